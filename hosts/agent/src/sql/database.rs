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
#[derive(Debug)]
pub(crate) struct Database {
    connection: Connection,
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
        for table in tables {
            virtual_table::register(&connection, table, status.clone())?;
        }
        Ok(Self { connection })
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

    fn prepare(&self, sql: &str) -> Result<Statement<'_>, QueryError> {
        let statement = self.connection.prepare(sql)?;
        if statement.readonly() {
            Ok(statement)
        } else {
            Err(QueryError::NotReadOnly)
        }
    }
}
