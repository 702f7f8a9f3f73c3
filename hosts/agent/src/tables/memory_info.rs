//! `memory_info`: the main memory, from `/proc/meminfo`, in bytes.

use super::{Machine, table, text_file};
use crate::sql::{RowBuffer, Scan, TableError, columns};

columns! {
    MEMORY_TOTAL "memory_total" BigInt,
    MEMORY_FREE "memory_free" BigInt,
    MEMORY_AVAILABLE "memory_available" BigInt,
    BUFFERS "buffers" BigInt,
    CACHED "cached" BigInt,
    SWAP_CACHED "swap_cached" BigInt,
    ACTIVE "active" BigInt,
    INACTIVE "inactive" BigInt,
    SWAP_TOTAL "swap_total" BigInt,
    SWAP_FREE "swap_free" BigInt,
}

table! { MemoryInfo "memory_info" fill }

const FIELDS: [(usize, &str); 10] = [
    (MEMORY_TOTAL, "MemTotal"),
    (MEMORY_FREE, "MemFree"),
    (MEMORY_AVAILABLE, "MemAvailable"),
    (BUFFERS, "Buffers"),
    (CACHED, "Cached"),
    (SWAP_CACHED, "SwapCached"),
    (ACTIVE, "Active"),
    (INACTIVE, "Inactive"),
    (SWAP_TOTAL, "SwapTotal"),
    (SWAP_FREE, "SwapFree"),
];

fn fill(machine: &Machine, _: &Scan, rows: &mut RowBuffer) -> Result<(), TableError> {
    let text = text_file::text(&machine.path("/proc/meminfo"));
    for stanza in text_file::stanzas(&text) {
        rows.start_row();
        for (column, name) in FIELDS {
            let kibibytes = text_file::field(&stanza, name)
                .trim_end_matches(" kB")
                .parse::<i64>();
            if let Ok(kibibytes) = kibibytes {
                rows.integer(column, kibibytes.saturating_mul(1024));
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::tables::fixture::TestDatabase;

    #[test]
    fn kibibytes_become_bytes() {
        let folder = tempfile::tempdir().unwrap();
        let database = TestDatabase::seeded(
            folder.path(),
            &[(
                "/proc/meminfo",
                "MemTotal:       24 kB\nMemFree: 1 kB\nSwapFree:        3 kB\n",
            )],
        );
        assert_eq!(
            database.values("memory_total,memory_free,swap_free,cached", "memory_info"),
            ["24576|1024|3072|"]
        );
    }
}
