//! What outlives the agent: each query's last rows and counter, splayed intervals, and the agent's own id.
//!
//! One SQLite file in `--database_path`, held exclusively, so that a second agent on the same state is refused. Only
//! what changed is written.

use std::fs;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use osquery_protocol::result_log::EncodedRow;
use rusqlite::{Connection, OptionalExtension as _, params};

/// The file in the folder `--database_path`.
const FILE_NAME: &str = "osqdemo-agent.sqlite";
/// The form of the tables, kept as SQLite's `user_version`. Files of 0.1.0 carry none, which reads as 0.
const FORMAT: u32 = 1;
const LOCK_PATIENCE: Duration = Duration::from_secs(2);

/// State on disk, or in memory for `--ephemeral`.
#[derive(Debug)]
pub(crate) struct ResultStore {
    connection: Connection,
    path: PathBuf,
}

/// State that cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StoreError {
    #[error("cannot create the database folder `{}`: {source}", path.display())]
    Folder { path: PathBuf, source: std::io::Error },
    #[error("the database `{}` is in use by another agent", path.display())]
    InUse { path: PathBuf },
    #[error(
        "the database `{}` was written by a newer osqdemo: it has format {format}, and this one knows up to {FORMAT}; \
         hint: use that one, or another `--database_path`",
        path.display()
    )]
    Newer { path: PathBuf, format: u32 },
    #[error("cannot use the database `{}`: {source}", path.display())]
    Database { path: PathBuf, source: rusqlite::Error },
}

/// What is stored about a query.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct StoredQuery {
    pub(crate) sql: String,
    /// Whether the rows hold numbers as numbers; those of version 0.1.0 may not.
    pub(crate) numerics: bool,
    pub(crate) epoch: u64,
    pub(crate) counter: u64,
}

/// The change of one row's number of copies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RowChange<'row> {
    pub(crate) row: &'row EncodedRow,
    /// How many copies there are now; 0 when the row is gone.
    pub(crate) copies: u32,
}

impl ResultStore {
    pub(crate) fn open(folder: &Path) -> Result<Self, StoreError> {
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(folder)
            .map_err(|source| StoreError::Folder {
                path: folder.to_owned(),
                source,
            })?;
        let path = folder.join(FILE_NAME);
        let opened = Connection::open(&path).and_then(|connection| {
            let format = format_of(&connection)?;
            if format <= FORMAT {
                prepare(&connection)?;
            }
            Ok((connection, format))
        });
        match opened {
            Ok((_, format)) if format > FORMAT => Err(StoreError::Newer { path, format }),
            Ok((connection, _)) => Ok(Self { connection, path }),
            Err(error) if error.sqlite_error_code() == Some(rusqlite::ErrorCode::DatabaseBusy) => {
                Err(StoreError::InUse { path })
            }
            Err(source) => Err(StoreError::Database { path, source }),
        }
    }

    pub(crate) fn in_memory() -> Result<Self, StoreError> {
        let path = PathBuf::from(":memory:");
        let opened =
            Connection::open_in_memory().and_then(|connection| prepare(&connection).map(|()| connection));
        match opened {
            Ok(connection) => Ok(Self { connection, path }),
            Err(source) => Err(StoreError::Database { path, source }),
        }
    }

    pub(crate) fn query(&self, name: &str) -> Result<Option<StoredQuery>, StoreError> {
        let sql = "select sql, numerics, epoch, counter from query where name = ?";
        self.wrap(|connection| {
            connection
                .query_row(sql, [name], |row| {
                    Ok(StoredQuery {
                        sql: row.get(0)?,
                        numerics: row.get(1)?,
                        epoch: row.get::<_, i64>(2)?.cast_unsigned(),
                        counter: row.get::<_, i64>(3)?.cast_unsigned(),
                    })
                })
                .optional()
        })
    }

    pub(crate) fn rows(&self, name: &str) -> Result<Vec<(EncodedRow, u32)>, StoreError> {
        self.wrap(|connection| {
            let mut statement =
                connection.prepare("select columns, copies from result_row where query = ?")?;
            let rows = statement.query_map([name], |row| {
                Ok((EncodedRow::from_bytes(row.get::<_, Vec<u8>>(0)?), row.get(1)?))
            })?;
            rows.collect()
        })
    }

    /// Writes a query's state and the rows that changed, all or nothing. `forget` drops the rows there were before.
    pub(crate) fn save(
        &mut self,
        name: &str,
        query: &StoredQuery,
        forget: bool,
        changes: &[RowChange<'_>],
    ) -> Result<(), StoreError> {
        let path = self.path.clone();
        let transaction = |connection: &mut Connection| -> Result<(), rusqlite::Error> {
            let transaction = connection.transaction()?;
            transaction.execute(
                "insert into query (name, sql, numerics, epoch, counter) values (?, ?, ?, ?, ?)
                 on conflict (name) do update set sql = excluded.sql, numerics = excluded.numerics,
                    epoch = excluded.epoch, counter = excluded.counter",
                params![
                    name,
                    query.sql,
                    query.numerics,
                    query.epoch.cast_signed(),
                    query.counter.cast_signed()
                ],
            )?;
            if forget {
                transaction.execute("delete from result_row where query = ?", [name])?;
            }
            if !changes.is_empty() {
                let mut put = transaction
                    .prepare("insert or replace into result_row (query, columns, copies) values (?, ?, ?)")?;
                let mut drop =
                    transaction.prepare("delete from result_row where query = ? and columns = ?")?;
                for change in changes {
                    match change.copies {
                        0 => drop.execute(params![name, change.row.as_bytes()])?,
                        copies => put.execute(params![name, change.row.as_bytes(), copies])?,
                    };
                }
            }
            transaction.commit()
        };
        transaction(&mut self.connection).map_err(|source| StoreError::Database { path, source })
    }

    pub(crate) fn setting(&self, key: &str) -> Result<Option<String>, StoreError> {
        self.wrap(|connection| {
            connection
                .query_row("select value from setting where key = ?", [key], |row| row.get(0))
                .optional()
        })
    }

    pub(crate) fn set_setting(&self, key: &str, value: &str) -> Result<(), StoreError> {
        self.wrap(|connection| {
            connection
                .execute(
                    "insert or replace into setting (key, value) values (?, ?)",
                    [key, value],
                )
                .map(drop)
        })
    }

    fn wrap<T>(&self, work: impl FnOnce(&Connection) -> Result<T, rusqlite::Error>) -> Result<T, StoreError> {
        work(&self.connection).map_err(|source| StoreError::Database {
            path: self.path.clone(),
            source,
        })
    }
}

/// The form of the tables that are there.
fn format_of(connection: &Connection) -> Result<u32, rusqlite::Error> {
    connection.busy_timeout(LOCK_PATIENCE)?;
    connection.pragma_query_value(None, "user_version", |row| row.get(0))
}

fn prepare(connection: &Connection) -> Result<(), rusqlite::Error> {
    connection.busy_timeout(LOCK_PATIENCE)?;
    // Write-ahead logging needs no flush for each commit: after a power cut the last rows are at worst logged once more.
    connection.execute_batch(
        "pragma locking_mode = exclusive;
         pragma journal_mode = wal;
         pragma synchronous = normal;
         pragma wal_autocheckpoint = 1024;
         pragma journal_size_limit = 4194304;
         pragma cache_size = -256;
         begin exclusive;
         create table if not exists query (
            name text primary key, sql text not null, numerics integer not null, epoch integer not null, counter integer not null
         ) without rowid;
         create table if not exists result_row (
            query text not null, columns blob not null, copies integer not null, primary key (query, columns)
         ) without rowid;
         create table if not exists setting (key text primary key, value text not null) without rowid;
         commit;",
    )?;
    connection.pragma_update(None, "user_version", FORMAT)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_newer_file_is_refused_and_left_as_it_is() {
        let folder = tempfile::tempdir().unwrap();
        drop(ResultStore::open(folder.path()).unwrap());
        let path = folder.path().join(FILE_NAME);
        let mut bytes = fs::read(&path).unwrap();
        // Where SQLite keeps `user_version` (https://www.sqlite.org/fileformat2.html#database_header).
        assert_eq!(bytes[60..64], FORMAT.to_be_bytes());
        bytes[60..64].copy_from_slice(&(FORMAT + 1).to_be_bytes());
        fs::write(&path, &bytes).unwrap();
        let error = ResultStore::open(folder.path()).unwrap_err().to_string();
        assert!(
            error.contains("has format 2, and this one knows up to 1"),
            "{error}"
        );
        assert_eq!(fs::read(&path).unwrap(), bytes);
        // One without a format, as 0.1.0 wrote it, is taken.
        bytes[60..64].copy_from_slice(&[0; 4]);
        fs::write(&path, &bytes).unwrap();
        drop(ResultStore::open(folder.path()).unwrap());
    }

    #[test]
    fn state_survives_and_is_held_by_one_agent() {
        let folder = tempfile::tempdir().unwrap();
        let query = StoredQuery {
            sql: "select 1".into(),
            numerics: false,
            epoch: u64::MAX,
            counter: 7,
        };
        let row = |text: &str| EncodedRow::from_bytes(text.as_bytes());
        let (kept, gone) = (row("{\"a\":\"\u{e9}\"}"), row("{}"));
        {
            let mut store = ResultStore::open(folder.path()).unwrap();
            assert_eq!(store.query("q").unwrap(), None);
            let changes = [
                RowChange {
                    row: &kept,
                    copies: 2,
                },
                RowChange {
                    row: &gone,
                    copies: 1,
                },
            ];
            store.save("q", &query, false, &changes).unwrap();
            store
                .save(
                    "q",
                    &query,
                    false,
                    &[RowChange {
                        row: &gone,
                        copies: 0,
                    }],
                )
                .unwrap();
            store.set_setting("instance", "x").unwrap();
        }
        let mut store = ResultStore::open(folder.path()).unwrap();
        assert_eq!(store.query("q").unwrap(), Some(query.clone()));
        assert_eq!(store.rows("q").unwrap(), [(kept, 2)]);
        assert_eq!(store.setting("instance").unwrap().as_deref(), Some("x"));
        store.save("q", &query, true, &[]).unwrap();
        assert!(store.rows("q").unwrap().is_empty());
    }

    #[test]
    fn a_folder_that_cannot_be_made_is_named() {
        let error = ResultStore::open(Path::new("/proc/none/db"))
            .unwrap_err()
            .to_string();
        assert!(
            error.starts_with("cannot create the database folder `/proc/none/db`: "),
            "{error}"
        );
    }
}
