//! A database over the live machine, for the tables' tests.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rusqlite::Row;
use rusqlite::types::ValueRef;

use super::Machine;
use crate::agent_status::AgentStatus;
use crate::file_events::FileEvents;
use crate::procfs::ProcFs;
use crate::sql::{Database, QueryRows};
use crate::status_log::StatusLog;

pub(crate) struct TestDatabase {
    database: Database,
    machine: Arc<Machine>,
}

#[derive(Default)]
struct Collected {
    names: Vec<String>,
    rows: Vec<BTreeMap<String, String>>,
}

impl QueryRows for Collected {
    fn columns(&mut self, names: &[&str]) {
        self.names = names.iter().map(|&name| name.to_owned()).collect();
    }

    fn row(&mut self, row: &Row<'_>) -> Result<(), rusqlite::Error> {
        let mut values = BTreeMap::new();
        for (place, name) in self.names.iter().enumerate() {
            let value = match row.get_ref(place)? {
                ValueRef::Null => String::new(),
                ValueRef::Integer(value) => value.to_string(),
                ValueRef::Real(value) => value.to_string(),
                ValueRef::Text(bytes) | ValueRef::Blob(bytes) => String::from_utf8_lossy(bytes).into_owned(),
            };
            values.insert(name.clone(), value);
        }
        self.rows.push(values);
        Ok(())
    }
}

impl TestDatabase {
    pub(crate) fn open() -> Self {
        Self::below(PathBuf::new())
    }

    /// A machine whose files are these, below a folder.
    pub(crate) fn seeded(folder: &Path, files: &[(&str, &str)]) -> Self {
        for (path, content) in files {
            let path = folder.join(path.trim_start_matches('/'));
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, content).unwrap();
        }
        Self::below(folder.to_owned())
    }

    fn below(root: PathBuf) -> Self {
        let status = StatusLog::default();
        let machine = Arc::new(Machine {
            proc: ProcFs::open(None).unwrap(),
            root,
            file_events: FileEvents::default(),
            agent: AgentStatus::default(),
            status: status.clone(),
        });
        let mut database = Database::open(super::all(&machine), &status).unwrap();
        database.explain_absent(super::absent::why);
        Self { database, machine }
    }

    /// Makes a program of a seeded file.
    pub(crate) fn make_executable(&self, path: &str) {
        use std::os::unix::fs::PermissionsExt as _;
        let permissions = std::fs::Permissions::from_mode(0o755);
        std::fs::set_permissions(self.machine.path(path), permissions).unwrap();
    }

    pub(crate) fn machine(&self) -> &Machine {
        &self.machine
    }

    pub(crate) fn shared_machine(&self) -> &Arc<Machine> {
        &self.machine
    }

    /// Values as text, null as the empty text, as osquery shows them.
    pub(crate) fn rows(&self, sql: &str) -> Vec<BTreeMap<String, String>> {
        self.collect(sql).rows
    }

    /// The rows once they are as wanted. A process that was just spawned takes a moment to get its own arguments.
    pub(crate) fn rows_once(
        &self,
        sql: &str,
        wanted: impl Fn(&[BTreeMap<String, String>]) -> bool,
    ) -> Vec<BTreeMap<String, String>> {
        let deadline = Instant::now() + Duration::from_secs(10);
        loop {
            let rows = self.rows(sql);
            if wanted(&rows) || Instant::now() > deadline {
                return rows;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// The values of the columns that are named in the statement, row by row, joined by `|`.
    pub(crate) fn values(&self, columns: &str, rest: &str) -> Vec<String> {
        let names: Vec<&str> = columns.split(',').map(str::trim).collect();
        let quoted: Vec<String> = names.iter().map(|name| format!("\"{name}\"")).collect();
        let rows = self
            .rows(&format!("select {} from {rest}", quoted.join(", ")))
            .into_iter();
        rows.map(|row| {
            names
                .iter()
                .map(|name| row[*name].as_str())
                .collect::<Vec<_>>()
                .join("|")
        })
        .collect()
    }

    /// What is wrong with a statement.
    pub(crate) fn error(&self, sql: &str) -> String {
        let error = self.database.query(sql, &mut Collected::default());
        error.expect_err("an error").to_string()
    }

    pub(crate) fn column_names(&self, sql: &str) -> Vec<String> {
        self.collect(sql).names
    }

    fn collect(&self, sql: &str) -> Collected {
        let mut collected = Collected::default();
        self.database
            .query(sql, &mut collected)
            .unwrap_or_else(|error| panic!("{sql}: {error}"));
        collected
    }
}
