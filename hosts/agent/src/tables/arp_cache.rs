//! `arp_cache`: the kernel's address resolution cache.

use std::sync::Arc;

use super::Machine;
use crate::sql::{Column, RowBuffer, Scan, Table, TableError, columns};

columns! {
    ADDRESS "address" Text,
    MAC "mac" Text ignore_case,
    INTERFACE "interface" Text,
    PERMANENT "permanent" Text,
}

/// The kernel's flag for an entry that was set by hand.
const PERMANENT_FLAG: u32 = 0x4;

pub(crate) struct ArpCache(pub(crate) Arc<Machine>);

impl Table for ArpCache {
    fn name(&self) -> &'static str {
        "arp_cache"
    }

    fn columns(&self) -> &'static [Column] {
        COLUMNS
    }

    fn rows(&self, _: &Scan, rows: &mut RowBuffer) -> Result<(), TableError> {
        let mut reader = self.0.proc.reader();
        // `/proc/net` is a link to the reader's own namespace.
        let content = reader
            .read_global("self/net/arp")
            .map_err(TableError::reading("/proc/net/arp"))?;
        fill(content, rows);
        Ok(())
    }
}

/// `ADDRESS HARDWARE-TYPE FLAGS MAC MASK DEVICE` under a heading.
fn fill(content: &[u8], rows: &mut RowBuffer) {
    for line in String::from_utf8_lossy(content).lines().skip(1) {
        let fields: Vec<&str> = line.split_ascii_whitespace().collect();
        let [address, _, flags, mac, _, interface] = fields[..] else {
            continue;
        };
        let flags = u32::from_str_radix(flags.trim_start_matches("0x"), 16).unwrap_or(0);
        rows.start_row();
        rows.text(ADDRESS, address);
        rows.text(MAC, mac);
        rows.text(INTERFACE, interface);
        rows.text(PERMANENT, if flags & PERMANENT_FLAG == 0 { "0" } else { "1" });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql::CellValue;
    use crate::tables::fixture::TestDatabase;

    #[test]
    fn entries_are_read_from_the_kernels_table() {
        let mut rows = RowBuffer::new(COLUMNS.len());
        fill(
            b"IP address       HW type     Flags       HW address            Mask     Device\n\
              192.0.2.1        0x1         0x2         02:00:5e:10:00:01     *        eth0\n\
              192.0.2.9        0x1         0x6         02:00:5e:10:00:09     *        eth0\n",
            &mut rows,
        );
        assert_eq!(rows.rows(), 2);
        assert_eq!(rows.value(0, MAC), CellValue::Text(b"02:00:5e:10:00:01"));
        assert_eq!(rows.value(0, PERMANENT), CellValue::Text(b"0"));
        assert_eq!(rows.value(1, PERMANENT), CellValue::Text(b"1"));
        assert_eq!(rows.value(1, INTERFACE), CellValue::Text(b"eth0"));
    }

    #[test]
    fn the_live_table_has_a_row_for_each_of_the_kernels_lines() {
        let database = TestDatabase::open();
        let lines = std::fs::read_to_string("/proc/net/arp").unwrap().lines().count() - 1;
        assert_eq!(database.rows("select * from arp_cache").len(), lines);
    }
}
