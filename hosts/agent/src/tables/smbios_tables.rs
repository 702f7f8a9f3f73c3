//! `smbios_tables`: the structures of the firmware's SMBIOS, from the table that the kernel shows.

use super::{Machine, table, text_file};
use crate::digests::md5;
use crate::sql::{RowBuffer, Scan, TableError, columns};

columns! {
    NUMBER "number" Integer,
    TYPE "type" Integer,
    DESCRIPTION "description" Text,
    HANDLE "handle" Integer,
    HEADER_SIZE "header_size" Integer,
    SIZE "size" Integer,
    MD5 "md5" Text ignore_case,
}

table! { SmbiosTables "smbios_tables" fill }

const TABLE: &str = "/sys/firmware/dmi/tables/DMI";
/// Type, length and handle; every structure begins with them.
const HEADER: usize = 4;

fn fill(machine: &Machine, _: &Scan, rows: &mut RowBuffer) -> Result<(), TableError> {
    let content = text_file::read(&machine.path(TABLE)).unwrap_or_default();
    for (number, structure) in structures(&content).enumerate() {
        let integer = |size: usize| i64::try_from(size).unwrap_or(i64::MAX);
        rows.start_row();
        rows.integer(NUMBER, integer(number));
        rows.integer(TYPE, i64::from(structure[0]));
        rows.text(DESCRIPTION, description(structure[0]));
        rows.integer(
            HANDLE,
            i64::from(u16::from_le_bytes([structure[2], structure[3]])),
        );
        rows.integer(HEADER_SIZE, i64::from(structure[1]));
        rows.integer(SIZE, integer(structure.len()));
        rows.text(MD5, md5(structure));
    }
    Ok(())
}

/// The structures one behind the other: the formatted part, whose length the header gives, then strings up to two zeros. A
/// structure that says of itself that it is shorter than its header, or longer than the table, ends the walk.
fn structures(table: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = table;
    std::iter::from_fn(move || {
        let formatted = usize::from(*rest.get(1)?);
        if formatted < HEADER || rest.len() < formatted {
            return None;
        }
        let strings = rest[formatted..].windows(2).position(|pair| pair == [0, 0]);
        let length = strings.map_or(rest.len(), |zeros| formatted + zeros + 2);
        let (structure, behind) = rest.split_at(length);
        rest = behind;
        Some(structure)
    })
}

/// What the specification of SMBIOS calls a type.
fn description(kind: u8) -> &'static str {
    const FROM_ZERO: [&str; 42] = [
        "BIOS Information",
        "System Information",
        "Base Board or Module Information",
        "System Enclosure or Chassis",
        "Processor Information",
        "Memory Controller Information",
        "Memory Module Information",
        "Cache Information",
        "Port Connector Information",
        "System Slots",
        "On Board Devices Information",
        "OEM Strings",
        "System Configuration Options",
        "BIOS Language Information",
        "Group Associations",
        "System Event Log",
        "Physical Memory Array",
        "Memory Device",
        "32-bit Memory Error Information",
        "Memory Array Mapped Address",
        "Memory Device Mapped Address",
        "Built-in Pointing Device",
        "Portable Battery",
        "System Reset",
        "Hardware Security",
        "System Power Controls",
        "Voltage Probe",
        "Cooling Device",
        "Temperature Probe",
        "Electrical Current Probe",
        "Out-of-Band Remote Access",
        "Boot Integrity Services",
        "System Boot Information",
        "64-bit Memory Error Information",
        "Management Device",
        "Management Device Component",
        "Management Device Threshold Data",
        "Memory Channel",
        "IPMI Device Information",
        "System Power Supply",
        "Additional Information",
        "Onboard Devices Extended Info",
    ];
    match kind {
        126 => "Inactive",
        127 => "End-of-Table",
        130 => "Memory SPD Data",
        131 => "OEM Processor Type",
        132 => "OEM Processor Bus Speed",
        kind => FROM_ZERO.get(usize::from(kind)).unwrap_or(&"Unknown"),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{HEADER, structures};
    use crate::tables::fixture::TestDatabase;

    #[test]
    fn structures_end_behind_their_strings() {
        let folder = tempfile::tempdir().unwrap();
        // A BIOS with two strings, one of a vendor's own type without any, the end; then what the walk must not reach.
        let table =
            "\0\u{6}\u{1}\0\u{1}\u{2}ACME\0v1\0\0\u{70}\u{4}\u{2}\0\0\0\u{7f}\u{4}\u{3}\0\0\0\u{1}\u{2}";
        let database = TestDatabase::seeded(folder.path(), &[("/sys/firmware/dmi/tables/DMI", table)]);
        assert_eq!(
            database.values("number,type,description,handle,header_size,size", "smbios_tables"),
            [
                "0|0|BIOS Information|1|6|15",
                "1|112|Unknown|2|4|6",
                "2|127|End-of-Table|3|4|6"
            ]
        );
    }

    proptest! {
        #[test]
        fn any_bytes_are_walked_to_an_end(table in prop::collection::vec(any::<u8>(), 0..400)) {
            let walked: usize = structures(&table).map(|structure| { assert!(structure.len() >= HEADER); structure.len() }).sum();
            prop_assert!(walked <= table.len());
        }
    }
}
