//! `shell_history`: the lines of the users' shell history files.
//!
//! As in osquery, a query without a user is about the user the agent runs as; joining `users` asks for the others.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use osquery_configuration::regular_file;

use super::Machine;
use super::accounts::{Account, accounts};
use crate::sql::{Column, RowBuffer, Scan, Table, TableError, columns};

columns! {
    UID "uid" BigInt additional,
    TIME "time" Integer,
    COMMAND "command" Text,
    HISTORY_FILE "history_file" Text,
}

const HISTORY_FILES: [&str; 5] = [
    ".bash_history",
    ".zsh_history",
    ".zhistory",
    ".history",
    ".sh_history",
];

pub(crate) struct ShellHistory {
    machine: Arc<Machine>,
    warned: AtomicBool,
}

impl ShellHistory {
    pub(crate) fn new(machine: Arc<Machine>) -> Self {
        Self {
            machine,
            warned: AtomicBool::new(false),
        }
    }
}

impl Table for ShellHistory {
    fn name(&self) -> &'static str {
        "shell_history"
    }

    fn columns(&self) -> &'static [Column] {
        COLUMNS
    }

    fn rows(&self, scan: &Scan, rows: &mut RowBuffer) -> Result<(), TableError> {
        if !scan.constrains(UID) && !self.warned.swap(true, Ordering::Relaxed) {
            self.machine.status.warning(
                "The shell_history table returns data based on the current user by default, consider JOINing against the \
                 users table",
            );
        }
        let users = scan
            .integers(UID)
            .unwrap_or_else(|| vec![i64::from(rustix::process::geteuid().as_raw())]);
        let passwd = std::fs::read("/etc/passwd").map_err(TableError::reading("/etc/passwd"))?;
        for account in accounts(&passwd).filter(|account| users.contains(&i64::from(account.uid))) {
            history_of(&account, rows);
        }
        Ok(())
    }
}

fn history_of(account: &Account<'_>, rows: &mut RowBuffer) {
    let Ok(directory) = std::str::from_utf8(account.directory) else {
        return;
    };
    for name in HISTORY_FILES {
        let path = format!("{}/{name}", directory.trim_end_matches('/'));
        // Other users' files are often not readable; that is not an error of the query.
        if let Ok(content) = regular_file::read(Path::new(&path)) {
            fill(&content, i64::from(account.uid), &path, rows);
        }
    }
}

fn fill(content: &[u8], uid: i64, path: &str, rows: &mut RowBuffer) {
    let mut bash_time = None;
    for line in content
        .split(|&byte| byte == b'\n')
        .filter(|line| !line.is_empty())
    {
        if bash_time.is_none()
            && let Some(time) = line.strip_prefix(b"#").and_then(digits)
        {
            bash_time = Some(time);
            continue;
        }
        let (time, command) = match bash_time.take() {
            Some(time) => (time, line),
            None => zsh_entry(line).unwrap_or((0, line)),
        };
        rows.start_row();
        rows.integer(UID, uid);
        rows.integer(TIME, time);
        rows.text(COMMAND, command);
        rows.text(HISTORY_FILE, path);
    }
}

/// zsh's extended history: `: TIME:ELAPSED;COMMAND`.
fn zsh_entry(line: &[u8]) -> Option<(i64, &[u8])> {
    let rest = line.strip_prefix(b":")?.trim_ascii_start();
    let colon = rest.iter().position(|&byte| byte == b':')?;
    let semicolon = rest.iter().position(|&byte| byte == b';')?;
    digits(rest.get(colon + 1..semicolon)?)?;
    Some((digits(&rest[..colon])?, &rest[semicolon + 1..]))
}

fn digits(text: &[u8]) -> Option<i64> {
    if text.is_empty() || !text.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(text).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::sql::CellValue;
    use crate::tables::fixture::TestDatabase;

    #[test]
    fn bash_and_zsh_times_are_read() {
        let mut rows = RowBuffer::new(COLUMNS.len());
        fill(
            b"ls\n#1700000000\n#1700000001\n: 1700000002:0;make; make\n#not a time\n: no:1;x\n",
            7,
            "/h",
            &mut rows,
        );
        let read: Vec<_> = (0..rows.rows())
            .map(|row| (rows.value(row, TIME), rows.value(row, COMMAND)))
            .collect();
        assert_eq!(
            read,
            [
                (CellValue::Integer(0), CellValue::Text(b"ls")),
                (CellValue::Integer(1_700_000_000), CellValue::Text(b"#1700000001")),
                (CellValue::Integer(1_700_000_002), CellValue::Text(b"make; make")),
                (CellValue::Integer(0), CellValue::Text(b"#not a time")),
                (CellValue::Integer(0), CellValue::Text(b": no:1;x")),
            ]
        );
    }

    #[test]
    fn the_live_table_reads_this_users_files() {
        let database = TestDatabase::open();
        let uid = rustix::process::geteuid().as_raw();
        let all = database.rows("select * from shell_history");
        assert!(all.iter().all(|row| row["uid"] == uid.to_string()), "{all:?}");
        let joined = database.rows(&format!(
            "select h.* from users u join shell_history h using (uid) where u.uid = {uid}"
        ));
        assert_eq!(joined.len(), all.len());
    }

    proptest! {
        #[test]
        fn no_history_can_make_it_panic(content in prop::collection::vec(any::<u8>(), 0..200)) {
            fill(&content, 0, "", &mut RowBuffer::new(COLUMNS.len()));
        }
    }
}
