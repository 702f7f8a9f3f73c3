//! `syslog_events`: what rsyslog hands to osquery through a pipe. This agent opens none, so the table is empty, as that
//! of an osqueryd without `--enable_syslog` is: a schedule that asks for it is not in error.

use super::{Machine, table};
use crate::sql::{RowBuffer, Scan, TableError, columns};

columns! {
    _TIME "time" BigInt additional,
    _DATETIME "datetime" Text,
    _HOST "host" Text,
    _SEVERITY "severity" Integer,
    _FACILITY "facility" Text,
    _TAG "tag" Text,
    _MESSAGE "message" Text,
    _EID "eid" Text hidden,
}

table! { SyslogEvents "syslog_events" fill, alias "syslog" }

fn fill(_: &Machine, _: &Scan, _: &mut RowBuffer) -> Result<(), TableError> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::tables::fixture::TestDatabase;

    #[test]
    fn it_is_there_and_empty() {
        let database = TestDatabase::open();
        assert!(
            database
                .rows("select time, host, message from syslog_events")
                .is_empty()
        );
    }
}
