//! `mounts`: the mounted file systems.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt as _;
use std::path::PathBuf;
use std::sync::Arc;

use super::Machine;
use crate::sql::{Column, RowBuffer, Scan, Table, TableError, columns};

columns! {
    DEVICE "device" Text,
    DEVICE_ALIAS "device_alias" Text,
    PATH "path" Text,
    TYPE "type" Text,
    BLOCKS_SIZE "blocks_size" BigInt,
    BLOCKS "blocks" BigInt,
    BLOCKS_FREE "blocks_free" BigInt,
    BLOCKS_AVAILABLE "blocks_available" BigInt,
    INODES "inodes" BigInt,
    INODES_FREE "inodes_free" BigInt,
    FLAGS "flags" Text,
}

const SIZES: &[usize] = &[
    BLOCKS_SIZE,
    BLOCKS,
    BLOCKS_FREE,
    BLOCKS_AVAILABLE,
    INODES,
    INODES_FREE,
];

pub(crate) struct Mounts(pub(crate) Arc<Machine>);

impl Table for Mounts {
    fn name(&self) -> &'static str {
        "mounts"
    }

    fn columns(&self) -> &'static [Column] {
        COLUMNS
    }

    fn rows(&self, scan: &Scan, rows: &mut RowBuffer) -> Result<(), TableError> {
        let mut reader = self.0.proc.reader();
        let content = reader
            .read_global("self/mounts")
            .map_err(TableError::reading("/proc/self/mounts"))?;
        for line in content.split(|&byte| byte == b'\n') {
            let mut fields = line.split(|&byte| byte == b' ').map(unescape);
            let (Some(device), Some(path), Some(kind), Some(flags)) =
                (fields.next(), fields.next(), fields.next(), fields.next())
            else {
                continue;
            };
            rows.start_row();
            if scan.uses(DEVICE_ALIAS) {
                // Where `/dev/mapper/…` and the like really lead; anything else is its own alias.
                let alias = std::fs::canonicalize(PathBuf::from(OsString::from_vec(device.clone())));
                match alias {
                    Ok(alias) if device.starts_with(b"/") => {
                        rows.text(DEVICE_ALIAS, alias.as_os_str().as_encoded_bytes())
                    }
                    _ => rows.text(DEVICE_ALIAS, &device),
                }
            }
            if scan.uses_any(SIZES) {
                sizes(&path, rows);
            }
            rows.text(DEVICE, device);
            rows.text(PATH, path);
            rows.text(TYPE, kind);
            rows.text(FLAGS, flags);
        }
        Ok(())
    }
}

fn sizes(path: &[u8], rows: &mut RowBuffer) {
    let Ok(sizes) = rustix::fs::statvfs(path) else {
        return;
    };
    for (column, value) in [
        (BLOCKS_SIZE, sizes.f_bsize),
        (BLOCKS, sizes.f_blocks),
        (BLOCKS_FREE, sizes.f_bfree),
        (BLOCKS_AVAILABLE, sizes.f_bavail),
        (INODES, sizes.f_files),
        (INODES_FREE, sizes.f_ffree),
    ] {
        rows.integer(column, i64::try_from(value).unwrap_or(i64::MAX));
    }
}

/// The kernel writes blanks and backslashes as `\040` and the like.
fn unescape(field: &[u8]) -> Vec<u8> {
    let mut text = Vec::with_capacity(field.len());
    let mut rest = field;
    while let Some((&byte, tail)) = rest.split_first() {
        let octal = tail
            .get(..3)
            .filter(|digits| byte == b'\\' && digits.iter().all(|digit| (b'0'..=b'7').contains(digit)));
        match octal.and_then(|digits| u8::from_str_radix(std::str::from_utf8(digits).ok()?, 8).ok()) {
            Some(escaped) => {
                text.push(escaped);
                rest = &tail[3..];
            }
            None => {
                text.push(byte);
                rest = tail;
            }
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::tables::fixture::TestDatabase;

    #[test]
    fn the_root_and_proc_are_mounted() {
        let database = TestDatabase::open();
        assert_eq!(
            database.rows("select type from mounts where path = '/proc' limit 1")[0]["type"],
            "proc"
        );
        let root = database.rows("select * from mounts where path = '/' limit 1");
        assert!(root[0]["blocks_size"].parse::<u64>().unwrap() > 0, "{root:?}");
    }

    proptest! {
        #[test]
        fn unescaping_undoes_the_kernels_escaping(path in prop::collection::vec(any::<u8>(), 0..40)) {
            let mut escaped = Vec::new();
            for &byte in &path {
                if matches!(byte, b' ' | b'\t' | b'\n' | b'\\') {
                    escaped.extend(format!("\\{byte:03o}").bytes());
                } else {
                    escaped.push(byte);
                }
            }
            prop_assert_eq!(unescape(&escaped), path);
        }
    }
}
