//! `logged_in_users`: the records of the login accounting file.

use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::sql::{Column, RowBuffer, Scan, Table, TableError, columns};

columns! {
    TYPE "type" Text,
    USER "user" Text,
    TTY "tty" Text,
    HOST "host" Text,
    TIME "time" BigInt,
    PID "pid" Integer,
}

const UTMP: &str = "/var/run/utmp";
/// The size of the C library's `struct utmpx` on Linux, the same on 32 and 64 bits.
const RECORD_LENGTH: usize = 384;
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
        let content = match std::fs::read(UTMP) {
            Ok(content) => content,
            // A machine nobody logs in to, a container for one, keeps no such file.
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::PermissionDenied) => {
                return Ok(());
            }
            Err(error) => return Err(TableError::reading(UTMP)(error)),
        };
        for record in content.as_chunks::<RECORD_LENGTH>().0 {
            fill(record, rows);
        }
        Ok(())
    }
}

/// `type(2) padding(2) pid(4) line(32) id(4) user(32) host(256) exit(4) session(4) seconds(4) microseconds(4) address(16)`
fn fill(record: &[u8; RECORD_LENGTH], rows: &mut RowBuffer) {
    let kind = usize::from(u16::from_ne_bytes([record[0], record[1]]));
    let Some(kind) = TYPES.get(kind) else { return };
    rows.start_row();
    rows.text(TYPE, kind);
    rows.integer(PID, i64::from(number(record, 4)));
    rows.text(TTY, until_zero(&record[8..40]));
    rows.text(USER, until_zero(&record[44..76]));
    let host = until_zero(&record[76..332]);
    match address(record) {
        Some(address) if host.is_empty() => rows.display(HOST, address),
        _ => rows.text(HOST, host),
    }
    rows.integer(TIME, i64::from(number(record, 340)));
}

fn address(record: &[u8; RECORD_LENGTH]) -> Option<IpAddr> {
    let bytes: [u8; 16] = record[348..364].try_into().ok()?;
    match bytes {
        [0, 0, 0, 0, ..] if bytes == [0; 16] => None,
        [a, b, c, d, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0] => Some(Ipv4Addr::new(a, b, c, d).into()),
        _ => Some(Ipv6Addr::from(bytes).into()),
    }
}

fn number(record: &[u8; RECORD_LENGTH], at: usize) -> i32 {
    i32::from_ne_bytes([record[at], record[at + 1], record[at + 2], record[at + 3]])
}

fn until_zero(field: &[u8]) -> &[u8] {
    field.split(|&byte| byte == 0).next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql::CellValue;
    use crate::tables::fixture::TestDatabase;

    #[test]
    fn a_login_is_read_from_its_record() {
        let mut record = [0; RECORD_LENGTH];
        record[0..2].copy_from_slice(&7_u16.to_ne_bytes());
        record[4..8].copy_from_slice(&4711_i32.to_ne_bytes());
        record[8..13].copy_from_slice(b"pts/0");
        record[44..47].copy_from_slice(b"jay");
        record[340..344].copy_from_slice(&1_795_495_590_i32.to_ne_bytes());
        record[348..352].copy_from_slice(&[192, 0, 2, 7]);
        let mut rows = RowBuffer::new(COLUMNS.len());
        fill(&record, &mut rows);
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
        let records = std::fs::metadata(UTMP).map_or(0, |file| file.len() / RECORD_LENGTH as u64);
        assert_eq!(
            database.rows("select * from logged_in_users").len() as u64,
            records
        );
    }
}
