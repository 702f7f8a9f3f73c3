//! The connection the agent's queries run on.

use std::sync::Arc;

use rusqlite::limits::Limit;
use rusqlite::{Connection, Row, Statement};

use super::table::Table;
use super::virtual_table;
use crate::status_log::StatusLog;

/// A statement that did not run. The message is SQLite's own, as osquery prints it.
#[derive(Debug, thiserror::Error)]
pub(crate) enum QueryError {
    #[error("{message}")]
    Sql { message: String },
    #[error("the statement changes data; osquery's tables are read-only")]
    NotReadOnly,
}

impl From<rusqlite::Error> for QueryError {
    fn from(error: rusqlite::Error) -> Self {
        let message = match error {
            rusqlite::Error::SqliteFailure(_, Some(message)) => message,
            rusqlite::Error::SqlInputError { msg, .. } => msg,
            other => other.to_string(),
        };
        Self::Sql { message }
    }
}

/// SQLite in memory, with the agent's tables.
pub(crate) struct Database {
    connection: Connection,
    tables: Vec<Arc<dyn Table>>,
}

impl std::fmt::Debug for Database {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Database")
            .field("connection", &self.connection)
            .finish_non_exhaustive()
    }
}

/// What one row visitor sees of a running statement.
pub(crate) trait QueryRows {
    /// The result's column names, before the first row.
    fn columns(&mut self, names: &[&str]);

    fn row(&mut self, row: &Row<'_>) -> Result<(), rusqlite::Error>;
}

impl Database {
    pub(crate) fn open(
        tables: impl IntoIterator<Item = Arc<dyn Table>>,
        status: &StatusLog,
    ) -> Result<Self, QueryError> {
        let connection = Connection::open_in_memory()?;
        // The database itself holds nothing: a few pages of cache are plenty.
        connection.execute_batch("PRAGMA cache_size = -64; PRAGMA temp_store = MEMORY;")?;
        connection.set_limit(Limit::SQLITE_LIMIT_ATTACHED, 0)?;
        let tables: Vec<_> = tables.into_iter().collect();
        for table in &tables {
            virtual_table::register(&connection, Arc::clone(table), status.clone())?;
        }
        Ok(Self { connection, tables })
    }

    /// Runs one read-only statement and hands its rows over as they come.
    pub(crate) fn query(&self, sql: &str, visitor: &mut dyn QueryRows) -> Result<(), QueryError> {
        let mut statement = self.prepare(sql)?;
        visitor.columns(&statement.column_names().collect::<Vec<_>>());
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            visitor.row(row)?;
        }
        Ok(())
    }

    /// The names of a statement's columns, each with the type of the table column of that name, if there is one.
    pub(crate) fn columns(&self, sql: &str) -> Result<Vec<(String, &'static str)>, QueryError> {
        let statement = self.prepare(sql)?;
        let known = |name: &str| {
            let mut columns = self.tables.iter().flat_map(|table| table.columns());
            columns
                .find(|column| column.name == name)
                .map_or("UNKNOWN", |column| column.kind.sql())
        };
        Ok(statement
            .column_names()
            .map(|name| (name.to_owned(), known(name)))
            .collect())
    }

    fn prepare(&self, sql: &str) -> Result<Statement<'_>, QueryError> {
        let statement = self.connection.prepare(sql)?;
        if statement.readonly() {
            Ok(statement)
        } else {
            Err(QueryError::NotReadOnly)
        }
    }
}
