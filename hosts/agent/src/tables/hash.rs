//! `hash`: digests of the regular files a query names.

use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::sync::Arc;

use super::Machine;
use super::file::{NamedPath, named_paths};
use super::mount_namespace::MountNamespace;
use crate::digests::digests;
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
            for NamedPath { path, directory } in named_paths(scan, PATH, DIRECTORY, &namespace)? {
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
        // A file that is larger than the agent reads one is not hashed.
        let large = folder.path().join("large");
        let file = std::fs::File::create(&large).unwrap();
        file.set_len((50 << 20) + 1).unwrap();
        let rows = database.rows(&format!("select * from hash where path = '{}'", large.display()));
        assert!(rows.is_empty(), "{rows:?}");
        assert_eq!(
            database.rows(&format!("select md5 from hash where path = '{}'", path.display()))[0].len(),
            1
        );
    }

    #[test]
    fn patterns_leave_out_what_is_hidden_or_no_file() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().display();
        std::fs::create_dir(folder.path().join("sub")).unwrap();
        for name in ["abc", ".hidden", "sub/inner"] {
            std::fs::write(folder.path().join(name), "abc").unwrap();
        }
        std::os::unix::fs::symlink("/nowhere/at/all", folder.path().join("dangling")).unwrap();
        let database = TestDatabase::open();
        let paths = |condition: String| -> Vec<String> {
            let sql = format!("select path, md5 from hash where {condition} order by path");
            let rows = database.rows(&sql).into_iter();
            rows.map(|row| {
                assert_eq!(row["md5"], "900150983cd24fb0d6963f7d28e17f72");
                row["path"].replace(&root.to_string(), "X")
            })
            .collect()
        };
        assert_eq!(paths(format!("path like '{root}/%'")), ["X/abc"]);
        assert_eq!(paths(format!("path like '{root}/%%'")), ["X/abc", "X/sub/inner"]);
        assert_eq!(paths(format!("directory like '{root}/%'")), ["X/sub/inner"]);
        assert_eq!(paths(format!("directory = '{root}/'")), ["X/.hidden", "X/abc"]);
    }
}
