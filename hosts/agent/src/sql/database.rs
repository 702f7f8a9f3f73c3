//! The connection the agent's queries run on.

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use rusqlite::limits::Limit;
use rusqlite::{Connection, ErrorCode, Row, Statement};

use super::calculated_types;
use super::column::Column;
use super::functions;
use super::table::{ForeignTables, Table};
use super::time_limit::TimeLimit;
use super::virtual_table;
use crate::status_log::StatusLog;

/// A statement that did not run. The message is SQLite's own, as osquery prints it.
#[derive(Debug, thiserror::Error)]
pub(crate) enum QueryError {
    #[error("{message}")]
    Sql { message: String },
    #[error("{message} ({why})")]
    NoSuchTable { message: String, why: &'static str },
    #[error("the statement changes data; osquery's tables are read-only")]
    NotReadOnly,
    #[error("given up after {} s (`--query_time_limit`)", limit.as_secs())]
    TooLong { limit: Duration },
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
    time_limit: TimeLimit,
    status: StatusLog,
    /// Why a table is not there, where that is known.
    why_absent: fn(&str) -> Option<&'static str>,
    foreign: Option<Arc<dyn ForeignTables>>,
    /// The foreign tables that SQLite knows, each with its columns as they were then.
    known: RefCell<HashMap<String, &'static [Column]>>,
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
        let mut connection = Connection::open_in_memory()?;
        // The database itself holds nothing: a few pages of cache are plenty.
        connection.execute_batch("PRAGMA cache_size = -64; PRAGMA temp_store = MEMORY;")?;
        connection.set_limit(Limit::SQLITE_LIMIT_ATTACHED, 0)?;
        for table in tables {
            virtual_table::register(&connection, table, status.clone())?;
        }
        functions::register(&connection)?;
        let time_limit = TimeLimit::watch(&mut connection)?;
        Ok(Self {
            connection,
            time_limit,
            status: status.clone(),
            why_absent: |_| None,
            foreign: None,
            known: RefCell::default(),
        })
    }

    /// From now on a table that is not there is looked for among these, each time that a statement names it.
    pub(crate) fn use_foreign(&mut self, tables: Arc<dyn ForeignTables>) {
        self.foreign = Some(tables);
    }

    /// From now on a statement on a table that is not there is told this about it.
    pub(crate) fn explain_absent(&mut self, why: fn(&str) -> Option<&'static str>) {
        self.why_absent = why;
    }

    /// From now on a statement is given up when it has run for so long; zero is never.
    pub(crate) fn limit_time(&self, limit: Duration) {
        self.time_limit.set(limit);
    }

    /// Runs one read-only statement and hands its rows over as they come.
    pub(crate) fn query(&self, sql: &str, visitor: &mut dyn QueryRows) -> Result<(), QueryError> {
        let mut statement = self.prepare(sql)?;
        visitor.columns(&statement.column_names().collect::<Vec<_>>());
        self.time_limit.begin();
        run(&mut statement, visitor).map_err(|error| match error.sqlite_error_code() {
            Some(ErrorCode::OperationInterrupted) => QueryError::TooLong {
                limit: self.time_limit.get(),
            },
            _ => error.into(),
        })
    }

    /// The names of a statement's columns, each with its type, as far as osquery tells it: that of the table's column, or
    /// what the compiled statement says of a calculated one.
    pub(crate) fn columns(&self, sql: &str) -> Result<Vec<(String, String)>, QueryError> {
        let statement = self.prepare(sql)?;
        let declared: Vec<(String, Option<String>)> = statement
            .columns()
            .map(|column| (column.name().to_owned(), column.decl_type().map(str::to_owned)))
            .collect();
        drop(statement);
        let is_known = declared.iter().all(|(_, kind)| kind.is_some());
        let calculated = match self.prepare(&format!("EXPLAIN {sql}")) {
            Ok(mut explained) if !is_known => calculated_types::of(&mut explained)?,
            _ => BTreeMap::new(),
        };
        let columns = declared.into_iter().enumerate();
        Ok(columns
            .map(|(place, (name, declared))| {
                let kind = calculated.get(&place).map(|&kind| kind.to_owned()).or(declared);
                (name, kind.unwrap_or_else(|| "UNKNOWN".to_owned()))
            })
            .collect())
    }

    fn prepare(&self, sql: &str) -> Result<Statement<'_>, QueryError> {
        let statement = self.prepare_with_foreign(sql).map_err(|error| {
            let why = missing_table(&error).and_then(self.why_absent);
            match (QueryError::from(error), why) {
                (QueryError::Sql { message }, Some(why)) => QueryError::NoSuchTable { message, why },
                (error, _) => error,
            }
        })?;
        if statement.readonly() {
            Ok(statement)
        } else {
            Err(QueryError::NotReadOnly)
        }
    }
}

impl Database {
    /// Prepares a statement; the tables of extensions that it names are made known first, as they are now.
    fn prepare_with_foreign(&self, sql: &str) -> Result<Statement<'_>, rusqlite::Error> {
        // A statement names no more tables than SQLite joins.
        const MOST_NAMED: usize = 64;
        self.renew_foreign()?;
        for _ in 0..MOST_NAMED {
            let error = match self.connection.prepare(sql) {
                Err(error) => error,
                prepared => return prepared,
            };
            let Some(table) = missing_table(&error).and_then(|name| self.foreign.as_ref()?.find(name)) else {
                return Err(error);
            };
            self.make_known(table)?;
        }
        self.connection.prepare(sql)
    }

    fn make_known(&self, table: Arc<dyn Table>) -> Result<(), rusqlite::Error> {
        let mut known = self.known.borrow_mut();
        known.insert(table.name().to_owned(), table.columns());
        virtual_table::register(&self.connection, table, self.status.clone())
    }

    /// An extension that was replaced may have other columns now.
    fn renew_foreign(&self) -> Result<(), rusqlite::Error> {
        let Some(foreign) = &self.foreign else {
            return Ok(());
        };
        let changed: Vec<Arc<dyn Table>> = {
            let known = self.known.borrow();
            let now = known.iter().filter_map(|(name, columns)| {
                let table = foreign.find(name)?;
                (!std::ptr::eq(table.columns(), *columns)).then_some(table)
            });
            now.collect()
        };
        changed.into_iter().try_for_each(|table| self.make_known(table))
    }
}

/// The table that SQLite does not know, from its own words.
fn missing_table(error: &rusqlite::Error) -> Option<&str> {
    let message = match error {
        rusqlite::Error::SqliteFailure(_, Some(message)) => message,
        rusqlite::Error::SqlInputError { msg, .. } => msg,
        _ => return None,
    };
    let name = message.split_once("no such table: ")?.1;
    // Behind the name may stand where in the statement it is.
    Some(name.split(" in \"").next().unwrap_or(name).trim())
}

fn run(statement: &mut Statement<'_>, visitor: &mut dyn QueryRows) -> Result<(), rusqlite::Error> {
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        visitor.row(row)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;
    use crate::sql::TextRows;

    #[test]
    fn calculated_columns_have_the_types_that_osquery_tells() {
        let database = Database::open([], &StatusLog::default()).unwrap();
        let declared = "with t(name, pid) as (select cast('x' as text), 7)";
        let kinds = |columns: &str| {
            let columns = database
                .columns(&format!("{declared} select {columns} from t"))
                .unwrap();
            let kinds: Vec<String> = columns.into_iter().map(|(_, kind)| kind).collect();
            kinds.join(" ")
        };
        for (columns, expected) in [
            ("count(*) as number", "BIGINT"),
            ("sum(pid), max(pid)", "BIGINT BIGINT"),
            (
                "pid + 1, pid * 2, pid % 2, pid & 1",
                "BIGINT BIGINT BIGINT BIGINT",
            ),
            ("name || '!', 'text'", "TEXT TEXT"),
            ("1, 10000000000", "INTEGER BIGINT"),
            ("not pid, pid and name", "INTEGER INTEGER"),
            (
                "cast(pid as text), cast(pid as real), cast(name as integer), cast(name as blob)",
                "TEXT DOUBLE BIGINT BLOB",
            ),
            ("upper(name)", "UNKNOWN"),
        ] {
            assert_eq!(kinds(columns), expected, "{columns}");
        }
        // What cannot be explained once more has columns all the same.
        assert_eq!(database.columns("explain select 1").unwrap().len(), 8);
    }

    #[test]
    fn a_table_that_is_known_to_be_absent_is_told_with_the_reason() {
        let mut database = Database::open([], &StatusLog::default()).unwrap();
        database.explain_absent(|table| (table == "yara").then_some("no rules"));
        let error = |sql| {
            database
                .query(sql, &mut TextRows::default())
                .unwrap_err()
                .to_string()
        };
        assert_eq!(error("select * from yara"), "no such table: yara (no rules)");
        assert_eq!(error("select * from other"), "no such table: other");
        let error = database.columns("select * from yara").unwrap_err().to_string();
        assert_eq!(error, "no such table: yara (no rules)");
    }

    #[test]
    fn a_statement_that_runs_too_long_is_given_up_and_the_next_one_runs() {
        let database = Database::open([], &StatusLog::default()).unwrap();
        database.limit_time(Duration::from_secs(1));
        let endless =
            "with recursive n(x) as (select 1 union all select x + 1 from n) select count(*) from n";
        let began = Instant::now();
        let error = database.query(endless, &mut TextRows::default()).unwrap_err();
        assert!(began.elapsed() >= Duration::from_secs(1));
        assert_eq!(error.to_string(), "given up after 1 s (`--query_time_limit`)");
        let mut rows = TextRows::default();
        database.query("select 1", &mut rows).unwrap();
        assert_eq!(rows.into_rows().len(), 1);
    }
}
