//! `last`: the logins and logouts of `/var/log/wtmp`.

use super::login_records::records;
use super::{Machine, table, text_file};
use crate::sql::{RowBuffer, Scan, TableError, columns};

columns! {
    USERNAME "username" Text,
    TTY "tty" Text,
    PID "pid" Integer,
    TYPE "type" Integer,
    TYPE_NAME "type_name" Text,
    TIME "time" Integer,
    HOST "host" Text,
}

table! { Last "last" fill }

const WTMP: &str = "/var/log/wtmp";
/// The kinds of record that are a login and a logout.
const KINDS: [(usize, &str); 2] = [(7, "user-process"), (8, "dead-process")];

fn fill(machine: &Machine, _: &Scan, rows: &mut RowBuffer) -> Result<(), TableError> {
    // A machine nobody logs in to keeps no such file.
    let content = text_file::read(&machine.path(WTMP)).unwrap_or_default();
    for record in records(&content) {
        let Some((kind, name)) = KINDS.iter().find(|(kind, _)| *kind == record.kind) else {
            continue;
        };
        rows.start_row();
        rows.text(USERNAME, record.user);
        rows.text(TTY, record.line);
        rows.integer(PID, record.pid);
        rows.integer(TYPE, i64::try_from(*kind).unwrap_or(0));
        rows.text(TYPE_NAME, name);
        rows.integer(TIME, record.time);
        rows.text(HOST, record.host);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::tables::fixture::TestDatabase;
    use crate::tables::login_records::for_tests;

    #[test]
    fn logins_and_logouts_are_listed() {
        let folder = tempfile::tempdir().unwrap();
        let records = [2, 7, 8].map(|kind| for_tests(kind, "192.0.2.7")).concat();
        std::fs::create_dir_all(folder.path().join("var/log")).unwrap();
        std::fs::write(folder.path().join("var/log/wtmp"), records).unwrap();
        let database = TestDatabase::seeded(folder.path(), &[]);
        assert_eq!(
            database.values("username,tty,pid,type,time", "last"),
            ["jay|pts/0|4711|7|1795495590", "jay|pts/0|4711|8|1795495590"]
        );
    }
}
