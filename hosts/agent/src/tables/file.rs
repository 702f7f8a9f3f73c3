//! `file`: attributes of the files a query names, by `path` or by `directory`, exactly or with LIKE.

use std::collections::BTreeSet;
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::sync::Arc;

use osquery_configuration::path_pattern::{Room, TooManyPaths, expand};
use rustix::fs::{AtFlags, CWD, FileType, Stat};

use super::Machine;
use super::mount_namespace::MountNamespace;
use crate::sql::{Column, Operator, RowBuffer, Scan, Table, TableError, columns};

columns! {
    PATH "path" Text index required,
    DIRECTORY "directory" Text required,
    FILENAME "filename" Text,
    INODE "inode" BigInt,
    UID "uid" BigInt,
    GID "gid" BigInt,
    MODE "mode" Text,
    DEVICE "device" BigInt,
    SIZE "size" BigInt,
    BLOCK_SIZE "block_size" Integer,
    ATIME "atime" BigInt,
    MTIME "mtime" BigInt,
    CTIME "ctime" BigInt,
    BTIME "btime" BigInt,
    HARD_LINKS "hard_links" Integer,
    SYMLINK "symlink" Integer,
    TYPE "type" Text,
    SYMLINK_TARGET_PATH "symlink_target_path" Text,
    _ATTRIBUTES "attributes" Text hidden,
    _VOLUME_SERIAL "volume_serial" Text hidden,
    _FILE_ID "file_id" Text hidden,
    _FILE_VERSION "file_version" Text version hidden,
    _PRODUCT_VERSION "product_version" Text version hidden,
    _ORIGINAL_FILENAME "original_filename" Text hidden,
    _SHORTCUT_TARGET_PATH "shortcut_target_path" Text hidden,
    _SHORTCUT_TARGET_TYPE "shortcut_target_type" Text hidden,
    _SHORTCUT_TARGET_LOCATION "shortcut_target_location" Text hidden,
    _SHORTCUT_START_IN "shortcut_start_in" Text hidden,
    _SHORTCUT_RUN "shortcut_run" Text hidden,
    _SHORTCUT_COMMENT "shortcut_comment" Text hidden,
    _BSD_FLAGS "bsd_flags" Text hidden,
    PID_WITH_NAMESPACE "pid_with_namespace" Integer additional hidden,
    MOUNT_NAMESPACE_ID "mount_namespace_id" Text hidden,
}

pub(crate) struct File(pub(crate) Arc<Machine>);

impl Table for File {
    fn name(&self) -> &'static str {
        "file"
    }

    fn columns(&self) -> &'static [Column] {
        COLUMNS
    }

    fn rows(&self, scan: &Scan, rows: &mut RowBuffer) -> Result<(), TableError> {
        for namespace in MountNamespace::of_scan(scan, PID_WITH_NAMESPACE, &self.0) {
            for path in named_paths(scan, PATH, DIRECTORY, &namespace)? {
                fill(&path, &namespace, rows);
            }
        }
        Ok(())
    }
}

/// A path that a scan names, and the folder it is shown under.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct NamedPath {
    pub(super) path: Vec<u8>,
    pub(super) directory: Vec<u8>,
}

impl NamedPath {
    fn alone(path: &[u8]) -> Self {
        Self {
            path: path.to_vec(),
            directory: split(path).0.to_vec(),
        }
    }
}

/// The paths a scan names: those it equals or is like, and the entries of the folders it equals or is like. An entry is
/// shown under its folder as the query writes it, be it with a slash at its end.
pub(super) fn named_paths(
    scan: &Scan,
    path_column: usize,
    directory_column: usize,
    namespace: &MountNamespace,
) -> Result<BTreeSet<NamedPath>, TableError> {
    find_named_paths(scan, path_column, directory_column, namespace)
        .map_err(io::Error::other)
        .map_err(TableError::reading("the files that the query names"))
}

fn find_named_paths(
    scan: &Scan,
    path_column: usize,
    directory_column: usize,
    namespace: &MountNamespace,
) -> Result<BTreeSet<NamedPath>, TooManyPaths> {
    let mut room = Room::default();
    let prefix = namespace.reach(b"").len();
    let mut expand_here = |pattern: &[u8]| -> Result<Vec<Vec<u8>>, TooManyPaths> {
        let paths = expand(&namespace.reach(pattern), &mut room)?.into_iter();
        Ok(paths.map(|path| path[prefix..].to_vec()).collect())
    };
    let mut paths: BTreeSet<NamedPath> = scan
        .values(path_column, Operator::Equals)
        .map(NamedPath::alone)
        .collect();
    for pattern in scan.values(path_column, Operator::Like) {
        paths.extend(expand_here(pattern)?.iter().map(|path| NamedPath::alone(path)));
    }
    let mut folders: BTreeSet<Vec<u8>> = scan
        .values(directory_column, Operator::Equals)
        .map(<[u8]>::to_vec)
        .collect();
    for pattern in scan.values(directory_column, Operator::Like) {
        folders.extend(
            expand_here(pattern)?
                .into_iter()
                .filter(|path| path.ends_with(b"/")),
        );
    }
    for folder in folders {
        let reached = namespace.reach(&folder);
        let Ok(entries) = Path::new(std::ffi::OsStr::from_bytes(&reached)).read_dir() else {
            continue;
        };
        for entry in entries.flatten() {
            let separator: &[u8] = if folder.ends_with(b"/") { b"" } else { b"/" };
            let path = [&folder, separator, entry.file_name().as_bytes()].concat();
            room.take(path.len() + folder.len())?;
            paths.insert(NamedPath {
                path,
                directory: folder.clone(),
            });
        }
    }
    Ok(paths)
}

/// The folder and the name of a path, as osquery splits it: the name behind a slash at the end is `.`.
fn split(path: &[u8]) -> (&[u8], &[u8]) {
    match path.iter().rposition(|&byte| byte == b'/') {
        Some(0) => (b"/", &path[1..]),
        Some(slash) if slash + 1 == path.len() => (&path[..slash], b"."),
        Some(slash) => (&path[..slash], &path[slash + 1..]),
        None => (b"", path),
    }
}

fn fill(NamedPath { path, directory }: &NamedPath, namespace: &MountNamespace, rows: &mut RowBuffer) {
    let reached = namespace.reach(path);
    let Ok(link) = rustix::fs::statat(CWD, reached.as_slice(), AtFlags::SYMLINK_NOFOLLOW) else {
        return;
    };
    let is_link = FileType::from_raw_mode(link.st_mode) == FileType::Symlink;
    // A link that leads nowhere is described itself; its type is nobody's.
    let target = rustix::fs::statat(CWD, reached.as_slice(), AtFlags::empty());
    let kind = target.map_or("unknown", |target| {
        type_name(FileType::from_raw_mode(target.st_mode))
    });
    let file = target.unwrap_or(link);
    rows.start_row();
    let name = split(path).1;
    rows.text(PATH, path);
    rows.text(DIRECTORY, directory);
    rows.text(FILENAME, name);
    rows.integer(SYMLINK, i64::from(is_link));
    rows.text(MODE, permissions(file.st_mode));
    rows.text(TYPE, kind);
    numbers(&file, rows);
    if is_link && let Ok(target) = rustix::fs::readlinkat(CWD, reached.as_slice(), Vec::new()) {
        rows.text(SYMLINK_TARGET_PATH, target.to_bytes());
    }
    namespace.fill(PID_WITH_NAMESPACE, Some(MOUNT_NAMESPACE_ID), rows);
}

#[allow(
    clippy::useless_conversion,
    reason = "the kernel's fields differ in width from one architecture to the next"
)]
fn numbers(file: &Stat, rows: &mut RowBuffer) {
    let unsigned = |value: u64| i64::try_from(value).unwrap_or(i64::MAX);
    rows.integer(INODE, unsigned(file.st_ino.into()));
    rows.integer(UID, i64::from(file.st_uid));
    rows.integer(GID, i64::from(file.st_gid));
    rows.integer(DEVICE, unsigned(file.st_rdev.into()));
    rows.integer(SIZE, file.st_size.into());
    rows.integer(BLOCK_SIZE, file.st_blksize.into());
    rows.integer(HARD_LINKS, unsigned(file.st_nlink.into()));
    rows.integer(ATIME, file.st_atime.into());
    rows.integer(MTIME, file.st_mtime.into());
    rows.integer(CTIME, file.st_ctime.into());
    // osquery has no birth time on Linux either.
    rows.integer(BTIME, 0);
}

/// The permission bits in octal, the special ones first: `0644`.
fn permissions(mode: u32) -> String {
    format!("{:04o}", mode & 0o7777)
}

fn type_name(kind: FileType) -> &'static str {
    match kind {
        FileType::RegularFile => "regular",
        FileType::Directory => "directory",
        FileType::Symlink => "symlink",
        FileType::BlockDevice => "block",
        FileType::CharacterDevice => "character",
        FileType::Fifo => "fifo",
        FileType::Socket => "socket",
        FileType::Unknown => "unknown",
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};

    use crate::tables::fixture::TestDatabase;

    #[test]
    fn a_file_is_described_by_path_directory_and_pattern() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("one.txt");
        std::fs::write(&path, "twelve bytes").unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o4640)).unwrap();
        symlink(&path, folder.path().join("link")).unwrap();
        let database = TestDatabase::open();
        let rows = database.rows(&format!("select * from file where path = '{}'", path.display()));
        assert_eq!(rows.len(), 1);
        let row = &rows[0];
        assert_eq!(
            (row["size"].as_str(), row["mode"].as_str(), row["type"].as_str()),
            ("12", "4640", "regular")
        );
        assert_eq!(
            (row["filename"].as_str(), row["directory"].as_str()),
            ("one.txt", folder.path().to_str().unwrap())
        );
        assert_eq!(row["inode"], std::fs::metadata(&path).unwrap().ino().to_string());
        assert_eq!(row["symlink"], "0");
        let count = |condition: String| {
            database
                .rows(&format!("select path from file where {condition}"))
                .len()
        };
        assert_eq!(count(format!("directory = '{}'", folder.path().display())), 2);
        assert_eq!(count(format!("directory = '{}/'", folder.path().display())), 2);
        assert_eq!(count(format!("path like '{}/%'", folder.path().display())), 2);
        assert_eq!(count(format!("path like '{}/%.txt'", folder.path().display())), 1);
        assert_eq!(count(format!("path in ('{0}', '{0}x')", path.display())), 1);
        let link = database.rows(&format!(
            "select * from file where path = '{}/link'",
            folder.path().display()
        ));
        assert_eq!(
            (link[0]["symlink"].as_str(), link[0]["type"].as_str()),
            ("1", "regular")
        );
        assert_eq!(link[0]["symlink_target_path"], path.to_str().unwrap());
    }

    #[test]
    fn patterns_are_those_of_glob() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().display();
        std::fs::create_dir(folder.path().join("sub")).unwrap();
        std::fs::write(folder.path().join(".hidden"), "").unwrap();
        std::fs::write(folder.path().join("sub/inner"), "").unwrap();
        symlink("/nowhere/at/all", folder.path().join("dangling")).unwrap();
        let database = TestDatabase::open();
        let rows = |condition: String| -> Vec<[String; 4]> {
            let sql =
                format!("select path, directory, filename, type from file where {condition} order by path");
            let rows = database.rows(&sql).into_iter();
            rows.map(|row| {
                ["path", "directory", "filename", "type"]
                    .map(|name| row[name].replace(&root.to_string(), "X"))
            })
            .collect()
        };
        let row = |row: [&str; 4]| row.map(str::to_owned);
        assert_eq!(
            rows(format!("path like '{root}/%'")),
            [
                row(["X/dangling", "X", "dangling", "unknown"]),
                row(["X/sub/", "X/sub", ".", "directory"])
            ]
        );
        assert_eq!(
            rows(format!("directory = '{root}/' and filename <> 'dangling'")),
            [
                row(["X/.hidden", "X/", ".hidden", "regular"]),
                row(["X/sub", "X/", "sub", "directory"])
            ]
        );
        assert_eq!(
            rows(format!("directory like '{root}/%'")),
            [row(["X/sub/inner", "X/sub/", "inner", "regular"])]
        );
    }

    #[test]
    fn without_a_path_there_is_a_warning_and_an_error() {
        let database = TestDatabase::open();
        assert_eq!(database.error("select * from file"), "constraint failed");
        let warnings = database.machine().status.drain();
        assert_eq!(warnings.len(), 1);
        assert_eq!(
            warnings[0].message,
            "Table file was queried without a required column in the WHERE clause"
        );
    }

    #[test]
    fn a_join_gives_the_path_whatever_the_order() {
        let rows = TestDatabase::open().rows(&format!(
            "select f.filename from file f, processes p where f.path = p.path and p.pid = {}",
            std::process::id()
        ));
        assert_eq!(rows.len(), 1);
    }

    #[test]
    fn a_file_can_be_named_as_another_process_sees_it() {
        let own = std::process::id();
        let rows = TestDatabase::open()
            .rows(&format!("select path, mount_namespace_id from file where path = '/etc/passwd' and pid_with_namespace = {own}"));
        assert_eq!(rows[0]["path"], "/etc/passwd");
        assert!(rows[0]["mount_namespace_id"].parse::<u64>().unwrap() > 0);
    }
}
