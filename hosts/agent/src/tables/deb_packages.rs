//! `deb_packages`: the packages that dpkg has installed.

use super::mount_namespace::MountNamespace;
use super::{Machine, table, text_file};
use crate::sql::{Operator, RowBuffer, Scan, TableError, columns};

columns! {
    NAME "name" Text,
    VERSION "version" Text dpkg_version,
    SOURCE "source" Text,
    SIZE "size" BigInt,
    ARCH "arch" Text,
    REVISION "revision" Text,
    STATUS "status" Text,
    MAINTAINER "maintainer" Text,
    SECTION "section" Text,
    PRIORITY "priority" Text,
    ADMINDIR "admindir" Text additional,
    PID_WITH_NAMESPACE "pid_with_namespace" Integer additional hidden,
    MOUNT_NAMESPACE_ID "mount_namespace_id" Text hidden,
}

table! { DebPackages "deb_packages" fill }

const ADMINDIR_OF_DEBIAN: &str = "/var/lib/dpkg";
const FIELDS: [(usize, &str); 7] = [
    (NAME, "Package"),
    (VERSION, "Version"),
    (SOURCE, "Source"),
    (ARCH, "Architecture"),
    (MAINTAINER, "Maintainer"),
    (SECTION, "Section"),
    (PRIORITY, "Priority"),
];

fn fill(machine: &Machine, scan: &Scan, rows: &mut RowBuffer) -> Result<(), TableError> {
    let mut folders: Vec<String> = scan
        .values(ADMINDIR, Operator::Equals)
        .map(|folder| String::from_utf8_lossy(folder).into_owned())
        .collect();
    if folders.is_empty() {
        folders.push(ADMINDIR_OF_DEBIAN.to_owned());
    }
    for namespace in MountNamespace::of_scan(scan, PID_WITH_NAMESPACE, machine) {
        for folder in &folders {
            let text = text_file::text(&namespace.path(&format!("{folder}/status")));
            for package in text_file::stanzas(&text) {
                let field = |name: &str| text_file::field(&package, name);
                let status = field("Status");
                if field("Package").is_empty() || status.ends_with("not-installed") {
                    continue;
                }
                rows.start_row();
                for (column, name) in FIELDS {
                    rows.text(column, field(name));
                }
                if let Ok(size) = field("Installed-Size").parse() {
                    rows.integer(SIZE, size);
                }
                let revision = field("Version")
                    .rsplit_once('-')
                    .map_or("", |(_, revision)| revision);
                rows.text(REVISION, revision);
                rows.text(STATUS, status);
                rows.text(ADMINDIR, folder);
                namespace.fill(PID_WITH_NAMESPACE, Some(MOUNT_NAMESPACE_ID), rows);
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::tables::fixture::TestDatabase;

    #[test]
    fn each_stanza_is_a_package() {
        let folder = tempfile::tempdir().unwrap();
        let database = TestDatabase::seeded(
            folder.path(),
            &[
                (
                    "/var/lib/dpkg/status",
                    "Package: libc6\nStatus: install ok installed\nPriority: optional\nSection: libs\nInstalled-Size: 12986\nMaintainer: GNU <g@x>\nArchitecture: amd64\nSource: glibc\nVersion: 2.36-9+deb12u4\nDescription: C\n more: of it\n\nPackage: gone\nStatus: purge ok not-installed\n",
                ),
                (
                    "/opt/dpkg/status",
                    "Package: own\nStatus: install ok installed\nVersion: 1\n",
                ),
            ],
        );
        assert_eq!(
            database.values(
                "name,version,source,size,arch,revision,status,maintainer,section,priority,admindir",
                "deb_packages where admindir in ('/var/lib/dpkg', '/opt/dpkg') order by name"
            ),
            [
                "libc6|2.36-9+deb12u4|glibc|12986|amd64|9+deb12u4|install ok installed|GNU <g@x>|libs|optional|/var/lib/dpkg",
                "own|1|||||install ok installed||||/opt/dpkg"
            ]
        );
        assert_eq!(database.values("name", "deb_packages"), ["libc6"]);
    }
}
