//! `kernel_modules`: the loaded modules, from `/proc/modules`.

use super::{Machine, table, text_file};
use crate::sql::{RowBuffer, Scan, TableError, columns};

columns! {
    NAME "name" Text,
    SIZE "size" BigInt,
    USED_BY "used_by" Text,
    STATUS "status" Text,
    ADDRESS "address" Text,
}

table! { KernelModules "kernel_modules" fill }

fn fill(machine: &Machine, _: &Scan, rows: &mut RowBuffer) -> Result<(), TableError> {
    let text = text_file::text(&machine.path("/proc/modules"));
    for line in text.lines() {
        // `name size uses used_by status address`
        let words: Vec<&str> = line.split_whitespace().collect();
        let [name, size, _, used_by, status, address, ..] = words[..] else {
            continue;
        };
        rows.start_row();
        rows.text(NAME, name);
        if let Ok(size) = size.parse() {
            rows.integer(SIZE, size);
        }
        rows.text(USED_BY, used_by.trim_end_matches(','));
        rows.text(STATUS, status);
        rows.text(ADDRESS, address);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::tables::fixture::TestDatabase;

    #[test]
    fn each_line_is_a_module() {
        let folder = tempfile::tempdir().unwrap();
        let database = TestDatabase::seeded(
            folder.path(),
            &[(
                "/proc/modules",
                "nf_nat 61440 2 nft_nat,xt_nat, Live 0xffffffffc0a00000\nloop 32768 0 - Live 0x0\ncut off\n",
            )],
        );
        assert_eq!(
            database.values("name,size,used_by,status,address", "kernel_modules"),
            [
                "nf_nat|61440|nft_nat,xt_nat|Live|0xffffffffc0a00000",
                "loop|32768|-|Live|0x0"
            ]
        );
    }
}
