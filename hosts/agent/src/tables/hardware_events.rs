//! `hardware_events`: devices that come and go. This agent does not listen to udev, so the table is empty, as that of an
//! osqueryd with `--disable_events`, its default, is: a schedule that asks for it is not in error.

use super::{Machine, table};
use crate::sql::{RowBuffer, Scan, TableError, columns};

columns! {
    _ACTION "action" Text,
    _PATH "path" Text,
    _TYPE "type" Text,
    _DRIVER "driver" Text,
    _VENDOR "vendor" Text,
    _VENDOR_ID "vendor_id" Text,
    _MODEL "model" Text,
    _MODEL_ID "model_id" Text,
    _SERIAL "serial" Text,
    _REVISION "revision" Text,
    _TIME "time" BigInt additional,
    _EID "eid" Text hidden,
}

table! { HardwareEvents "hardware_events" fill }

fn fill(_: &Machine, _: &Scan, _: &mut RowBuffer) -> Result<(), TableError> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::tables::fixture::TestDatabase;

    #[test]
    fn it_is_there_and_empty() {
        let database = TestDatabase::open();
        let rows = database.rows("select * from hardware_events where path <> '' or model <> ''");
        assert!(rows.is_empty());
    }
}
