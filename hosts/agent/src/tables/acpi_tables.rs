//! `acpi_tables`: the tables of the firmware's ACPI, as the kernel shows them.

use std::path::Path;

use super::{Machine, table, text_file};
use crate::digests::md5;
use crate::sql::{RowBuffer, Scan, TableError, columns};

columns! {
    NAME "name" Text,
    SIZE "size" Integer,
    MD5 "md5" Text,
}

table! { AcpiTables "acpi_tables" fill }

const TABLES: &str = "/sys/firmware/acpi/tables";
/// How deep folders of tables (`data`, `dynamic`) have folders.
const DEEPEST: usize = 4;

fn fill(machine: &Machine, _: &Scan, rows: &mut RowBuffer) -> Result<(), TableError> {
    walk(&machine.path(TABLES), DEEPEST, rows);
    Ok(())
}

fn walk(folder: &Path, depth: usize, rows: &mut RowBuffer) {
    for path in text_file::entries(folder) {
        if path.is_dir() {
            if depth > 0 {
                walk(&path, depth - 1, rows);
            }
            continue;
        }
        rows.start_row();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        rows.text(NAME, name.as_bytes());
        match text_file::read(&path) {
            Ok(content) => {
                rows.integer(SIZE, i64::try_from(content.len()).unwrap_or(i64::MAX));
                rows.text(MD5, md5(&content));
            }
            // Only root may read them.
            Err(_) => rows.integer(SIZE, -1),
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::tables::fixture::TestDatabase;

    #[test]
    fn tables_in_folders_are_tables_too() {
        let folder = tempfile::tempdir().unwrap();
        let database = TestDatabase::seeded(
            folder.path(),
            &[
                ("/sys/firmware/acpi/tables/DSDT", "hello"),
                ("/sys/firmware/acpi/tables/dynamic/SSDT1", ""),
            ],
        );
        assert_eq!(
            database.values("name,size,md5", "acpi_tables"),
            [
                "DSDT|5|5d41402abc4b2a76b9719d911017c592",
                "SSDT1|0|d41d8cd98f00b204e9800998ecf8427e"
            ]
        );
    }
}
