//! `hash`: digests of the regular files a query names.

use std::fs::File;
use std::io::Read as _;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::sync::Arc;

use sha2::Digest;

use super::Machine;
use super::file::{NamedPath, named_paths};
use super::mount_namespace::MountNamespace;
use crate::sql::{Column, RowBuffer, Scan, Table, TableError, columns};

columns! {
    PATH "path" Text index required,
    DIRECTORY "directory" Text required,
    MD5 "md5" Text,
    SHA1 "sha1" Text,
    SHA256 "sha256" Text,
    PID_WITH_NAMESPACE "pid_with_namespace" Integer additional hidden,
    MOUNT_NAMESPACE_ID "mount_namespace_id" Text hidden,
}

const BLOCK: usize = 64 * 1024;

pub(crate) struct Hash(pub(crate) Arc<Machine>);

impl Table for Hash {
    fn name(&self) -> &'static str {
        "hash"
    }

    fn columns(&self) -> &'static [Column] {
        COLUMNS
    }

    fn rows(&self, scan: &Scan, rows: &mut RowBuffer) -> Result<(), TableError> {
        for namespace in MountNamespace::of_scan(scan, PID_WITH_NAMESPACE, &self.0) {
            for NamedPath { path, directory } in named_paths(scan, PATH, DIRECTORY, &namespace) {
                let reached = namespace.reach(&path);
                let reached = Path::new(std::ffi::OsStr::from_bytes(&reached));
                // Only regular files end; a device or a pipe would hold the query for ever.
                if !reached.metadata().is_ok_and(|file| file.is_file()) {
                    continue;
                }
                let Some(digests) = digests(reached, [MD5, SHA1, SHA256].map(|column| scan.uses(column)))
                else {
                    continue;
                };
                rows.start_row();
                rows.text(PATH, &path);
                rows.text(DIRECTORY, directory);
                for (column, digest) in [MD5, SHA1, SHA256].into_iter().zip(digests) {
                    if let Some(digest) = digest {
                        rows.text(column, digest);
                    }
                }
                namespace.fill(PID_WITH_NAMESPACE, Some(MOUNT_NAMESPACE_ID), rows);
            }
        }
        Ok(())
    }
}

/// MD5, SHA-1 and SHA-256 of a file in one pass, each only when wanted; `None` when the file cannot be read.
fn digests(path: &Path, wanted: [bool; 3]) -> Option<[Option<String>; 3]> {
    let [md5, sha1, sha256] = wanted;
    let mut md5 = md5.then(md5::Md5::new);
    let mut sha1 = sha1.then(sha1::Sha1::new);
    let mut sha256 = sha256.then(sha2::Sha256::new);
    if wanted.contains(&true) {
        let mut file = File::open(path).ok()?;
        let mut block = vec![0; BLOCK];
        loop {
            let length = file.read(&mut block).ok()?;
            if length == 0 {
                break;
            }
            let bytes = &block[..length];
            if let Some(digest) = &mut md5 {
                digest.update(bytes);
            }
            if let Some(digest) = &mut sha1 {
                digest.update(bytes);
            }
            if let Some(digest) = &mut sha256 {
                digest.update(bytes);
            }
        }
    }
    Some([
        md5.map(|digest| hexadecimal(&digest.finalize())),
        sha1.map(|digest| hexadecimal(&digest.finalize())),
        sha256.map(|digest| hexadecimal(&digest.finalize())),
    ])
}

/// A digest as osquery writes it: lower-case hexadecimal.
pub(crate) fn hexadecimal(digest: &[u8]) -> String {
    use std::fmt::Write as _;
    digest
        .iter()
        .fold(String::with_capacity(digest.len() * 2), |mut text, byte| {
            // Writing to a string cannot fail.
            let _ = write!(text, "{byte:02x}");
            text
        })
}

#[cfg(test)]
mod tests {
    use crate::tables::fixture::TestDatabase;

    #[test]
    fn digests_are_the_well_known_ones() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("abc");
        std::fs::write(&path, "abc").unwrap();
        let database = TestDatabase::open();
        let rows = database.rows(&format!(
            "select * from hash where directory = '{}'",
            folder.path().display()
        ));
        assert_eq!(rows.len(), 1);
        assert_eq!(rows[0]["md5"], "900150983cd24fb0d6963f7d28e17f72");
        assert_eq!(rows[0]["sha1"], "a9993e364706816aba3e25717850c26c9cd0d89d");
        assert_eq!(
            rows[0]["sha256"],
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
        assert!(
            database
                .rows("select * from hash where path = '/dev/zero'")
                .is_empty()
        );
        assert_eq!(
            database.rows(&format!("select md5 from hash where path = '{}'", path.display()))[0].len(),
            1
        );
    }
}
