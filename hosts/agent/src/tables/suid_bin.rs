//! `suid_bin`: programs in the usual places that run with the rights of their owner or group.

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use super::accounts::{accounts, groups};
use super::mount_namespace::MountNamespace;
use super::{Machine, table, text_file};
use crate::sql::{RowBuffer, Scan, TableError, columns};

columns! {
    PATH "path" Text,
    USERNAME "username" Text,
    GROUPNAME "groupname" Text,
    PERMISSIONS "permissions" Text,
    PID_WITH_NAMESPACE "pid_with_namespace" Integer additional hidden,
}

table! { SuidBin "suid_bin" fill }

const FOLDERS: [&str; 7] = [
    "/bin",
    "/sbin",
    "/usr/bin",
    "/usr/sbin",
    "/usr/local/bin",
    "/usr/local/sbin",
    "/tmp",
];
const SET_UID: u32 = 0o4000;
const SET_GID: u32 = 0o2000;
/// How deep folders below those are looked into.
const DEEPEST: usize = 16;

fn fill(machine: &Machine, scan: &Scan, rows: &mut RowBuffer) -> Result<(), TableError> {
    for namespace in MountNamespace::of_scan(scan, PID_WITH_NAMESPACE, machine) {
        let prefix = namespace.path("").as_os_str().len();
        let read = |path: &str| namespace.read(path).unwrap_or_default();
        let (passwd, group) = (read("/etc/passwd"), read("/etc/group"));
        let mut visit = |path: &Path, file: &Metadata| {
            rows.start_row();
            rows.text(PATH, &path.as_os_str().as_encoded_bytes()[prefix..]);
            if let Some(owner) = accounts(&passwd).find(|account| account.uid == file.uid()) {
                rows.text(USERNAME, owner.name);
            }
            if let Some(owner) = groups(&group).find(|group| group.gid == file.gid()) {
                rows.text(GROUPNAME, owner.name);
            }
            let letters = [(SET_UID, 'S'), (SET_GID, 'G')];
            let set = letters.iter().filter(|(bit, _)| file.mode() & bit != 0);
            rows.text(PERMISSIONS, set.map(|(_, letter)| *letter).collect::<String>());
            namespace.fill(PID_WITH_NAMESPACE, None, rows);
        };
        for folder in FOLDERS {
            let folder = namespace.path(folder);
            // `/bin` is a link to `/usr/bin` on most machines; osquery names what is in it by both paths.
            walk(&folder, DEEPEST, &mut visit);
        }
    }
    Ok(())
}

fn walk(folder: &Path, depth: usize, visit: &mut dyn FnMut(&Path, &Metadata)) {
    if depth == 0 {
        return;
    }
    for path in text_file::entries(folder) {
        match path.symlink_metadata() {
            Ok(file) if file.is_dir() => walk(&path, depth - 1, visit),
            Ok(file) if file.is_file() && file.mode() & (SET_UID | SET_GID) != 0 => visit(&path, &file),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs::{Permissions, set_permissions};
    use std::os::unix::fs::PermissionsExt as _;

    use crate::tables::fixture::TestDatabase;

    #[test]
    fn only_programs_with_a_set_bit() {
        let folder = tempfile::tempdir().unwrap();
        let (uid, gid) = (
            rustix::process::geteuid().as_raw(),
            rustix::process::getegid().as_raw(),
        );
        let passwd = format!("jay:x:{uid}:{gid}::/home/jay:\n");
        let group = format!("staff:x:{gid}:\n");
        let files = ["/bin/su", "/usr/bin/deep/both", "/usr/bin/plain"].map(|path| (path, ""));
        let accounts = [("/etc/passwd", passwd.as_str()), ("/etc/group", group.as_str())];
        let database = TestDatabase::seeded(folder.path(), &[&files[..], &accounts].concat());
        for (path, mode) in [
            ("bin/su", 0o4755),
            ("usr/bin/deep/both", 0o6755),
            ("usr/bin/plain", 0o755),
        ] {
            set_permissions(folder.path().join(path), Permissions::from_mode(mode)).unwrap();
        }
        assert_eq!(
            database.values("path,username,groupname,permissions", "suid_bin"),
            ["/bin/su|jay|staff|S", "/usr/bin/deep/both|jay|staff|SG"]
        );
    }
}
