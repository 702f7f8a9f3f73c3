//! `logged_in_users`: the records of the login accounting file.

use std::io::ErrorKind;

use std::path::Path;

use osquery_configuration::regular_file;

use super::login_records::{Record, records};
use crate::sql::{Column, RowBuffer, Scan, Table, TableError, columns};

columns! {
    TYPE "type" Text,
    USER "user" Text,
    TTY "tty" Text,
    HOST "host" Text,
    TIME "time" BigInt,
    PID "pid" Integer,
    _SID "sid" Text hidden,
    _REGISTRY_HIVE "registry_hive" Text hidden,
}

const UTMP: &str = "/var/run/utmp";
/// The kinds of record by number, in osquery's words.
const TYPES: [&str; 9] = [
    "empty",
    "runlevel",
    "boot_time",
    "new_time",
    "old_time",
    "init",
    "login",
    "user",
    "dead",
];

pub(crate) struct LoggedInUsers;

impl Table for LoggedInUsers {
    fn name(&self) -> &'static str {
        "logged_in_users"
    }

    fn columns(&self) -> &'static [Column] {
        COLUMNS
    }

    fn rows(&self, _: &Scan, rows: &mut RowBuffer) -> Result<(), TableError> {
        let content = match regular_file::read(Path::new(UTMP)) {
            Ok(content) => content,
            // A machine nobody logs in to, a container for one, keeps no such file.
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::PermissionDenied) => {
                return Ok(());
            }
            Err(error) => return Err(TableError::reading(UTMP)(error)),
        };
        records(&content).for_each(|record| fill(&record, rows));
        Ok(())
    }
}

fn fill(record: &Record<'_>, rows: &mut RowBuffer) {
    let Some(kind) = TYPES.get(record.kind) else {
        return;
    };
    rows.start_row();
    rows.text(TYPE, kind);
    rows.integer(PID, record.pid);
    rows.text(TTY, record.line);
    rows.text(USER, record.user);
    match record.address {
        Some(address) if record.host.is_empty() => rows.display(HOST, address),
        _ => rows.text(HOST, record.host),
    }
    rows.integer(TIME, record.time);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql::CellValue;
    use crate::tables::fixture::TestDatabase;

    #[test]
    fn a_login_is_read_from_its_record() {
        let record = crate::tables::login_records::for_tests(7, "192.0.2.7");
        let mut rows = RowBuffer::new(COLUMNS.len());
        fill(&records(&record).next().unwrap(), &mut rows);
        assert_eq!(rows.value(0, TYPE), CellValue::Text(b"user"));
        assert_eq!(rows.value(0, USER), CellValue::Text(b"jay"));
        assert_eq!(rows.value(0, TTY), CellValue::Text(b"pts/0"));
        assert_eq!(rows.value(0, HOST), CellValue::Text(b"192.0.2.7"));
        assert_eq!(rows.value(0, TIME), CellValue::Integer(1_795_495_590));
        assert_eq!(rows.value(0, PID), CellValue::Integer(4711));
    }

    #[test]
    fn it_can_be_asked_on_any_machine() {
        let database = TestDatabase::open();
        let records = std::fs::metadata(UTMP).map_or(0, |file| file.len() / 384);
        assert_eq!(
            database.rows("select * from logged_in_users").len() as u64,
            records
        );
    }
}
