//! `python_packages`: the Python packages in the usual folders, or below the one that is named.

use std::path::Path;

use super::homes::homes;
use super::mount_namespace::MountNamespace;
use super::{Machine, table, text_file};
use crate::sql::{Operator, RowBuffer, Scan, TableError, columns};

columns! {
    NAME "name" Text,
    UID "uid" BigInt index,
    VERSION "version" Text version,
    SUMMARY "summary" Text,
    AUTHOR "author" Text,
    LICENSE "license" Text,
    PATH "path" Text,
    DIRECTORY "directory" Text index,
    PID_WITH_NAMESPACE "pid_with_namespace" Integer additional hidden,
}

table! { PythonPackages "python_packages" fill }

/// Where versions of Python keep their packages: `python3*/dist-packages` below these, and `python3*/site-packages`.
const LIBRARIES: [&str; 2] = ["/usr/lib", "/usr/local/lib"];
/// Debian's own, for all versions of Python 3.
const DEBIAN: &str = "/usr/lib/python3/dist-packages";
/// Where a user's own are, below the home.
const OWN_LIBRARY: &str = ".local/lib";
/// Who has those of the whole machine.
const SYSTEM: i64 = 0;
const FIELDS: [(usize, &str); 5] = [
    (NAME, "Name"),
    (VERSION, "Version"),
    (SUMMARY, "Summary"),
    (AUTHOR, "Author"),
    (LICENSE, "License"),
];

fn fill(machine: &Machine, scan: &Scan, rows: &mut RowBuffer) -> Result<(), TableError> {
    for namespace in MountNamespace::of_scan(scan, PID_WITH_NAMESPACE, machine) {
        let mut folders: Vec<(i64, String)> = scan
            .values(DIRECTORY, Operator::Equals)
            .map(|folder| (SYSTEM, String::from_utf8_lossy(folder).into_owned()))
            .collect();
        if folders.is_empty() {
            folders.extend(usual_folders(&namespace).map(|folder| (SYSTEM, folder)));
            // Those of users, for whoever names some.
            if scan.constrains(UID) {
                folders.extend(folders_of_users(scan, &namespace)?);
            }
        }
        for (uid, folder) in folders {
            for package in text_file::entries(&namespace.path(&folder)) {
                fill_package(&namespace, uid, &folder, &package, rows);
            }
        }
    }
    Ok(())
}

fn usual_folders(namespace: &MountNamespace) -> impl Iterator<Item = String> {
    let of_versions = LIBRARIES.into_iter().flat_map(|library| {
        let versions = text_file::entries(&namespace.path(library)).into_iter();
        let names = versions.filter_map(|version| Some(version.file_name()?.to_string_lossy().into_owned()));
        let pythons = names.filter(|name| name.starts_with("python") && name.contains('.'));
        pythons.flat_map(move |name| {
            ["dist-packages", "site-packages"].map(|kind| format!("{library}/{name}/{kind}"))
        })
    });
    [DEBIAN.to_owned()].into_iter().chain(of_versions)
}

fn folders_of_users(scan: &Scan, namespace: &MountNamespace) -> Result<Vec<(i64, String)>, TableError> {
    let mut folders = Vec::new();
    for home in homes(scan, UID, namespace)? {
        for version in text_file::entries(&home.path.join(OWN_LIBRARY)) {
            let version = version.file_name().unwrap_or_default().to_string_lossy();
            let folder = format!("{}/{OWN_LIBRARY}/{version}/site-packages", home.directory);
            folders.push((home.uid, folder));
        }
    }
    Ok(folders)
}

fn fill_package(namespace: &MountNamespace, uid: i64, folder: &str, package: &Path, rows: &mut RowBuffer) {
    let name = package.file_name().unwrap_or_default().to_string_lossy();
    let metadata = if name.ends_with(".dist-info") {
        package.join("METADATA")
    } else if name.ends_with(".egg-info") && package.is_dir() {
        package.join("PKG-INFO")
    } else if name.ends_with(".egg-info") {
        package.to_owned()
    } else {
        return;
    };
    let text = text_file::text(&metadata);
    // The description behind the first empty line is no field.
    let Some(fields) = text_file::stanzas(&text).into_iter().next() else {
        return;
    };
    rows.start_row();
    rows.integer(UID, uid);
    for (column, field) in FIELDS {
        rows.text(column, text_file::field(&fields, field));
    }
    rows.display(PATH, format_args!("{}/{name}", folder.trim_end_matches('/')));
    rows.text(DIRECTORY, folder);
    namespace.fill(PID_WITH_NAMESPACE, None, rows);
}

#[cfg(test)]
mod tests {
    use crate::tables::fixture::TestDatabase;

    #[test]
    fn packages_say_what_they_are() {
        let folder = tempfile::tempdir().unwrap();
        let database = TestDatabase::seeded(
            folder.path(),
            &[
                (
                    "/usr/lib/python3/dist-packages/six-1.16.0.dist-info/METADATA",
                    "Metadata-Version: 2.1\nName: six\nVersion: 1.16.0\nSummary: Python 2 and 3\nAuthor: B\nLicense: MIT\n\nName: no\n",
                ),
                (
                    "/usr/lib/python3.11/site-packages/old.egg-info",
                    "Name: old\nVersion: 1\n",
                ),
                ("/opt/x/own.dist-info/METADATA", "Name: own\n"),
                ("/etc/passwd", "jay:x:1000:1000::/home/jay:\n"),
                (
                    "/home/jay/.local/lib/python3.11/site-packages/mine.dist-info/METADATA",
                    "Name: mine\n",
                ),
            ],
        );
        assert_eq!(
            database.values(
                "name,version,summary,author,license,path,directory",
                "python_packages"
            ),
            [
                "six|1.16.0|Python 2 and 3|B|MIT|/usr/lib/python3/dist-packages/six-1.16.0.dist-info|/usr/lib/python3/dist-packages",
                "old|1||||/usr/lib/python3.11/site-packages/old.egg-info|/usr/lib/python3.11/site-packages"
            ]
        );
        assert_eq!(
            database.values("name", "python_packages where directory = '/opt/x'"),
            ["own"]
        );
        assert_eq!(
            database.values(
                "name,pid_with_namespace",
                "python_packages where pid_with_namespace = 0"
            ),
            ["six|0", "old|0"]
        );
        assert_eq!(
            database.values("name,uid,directory", "python_packages where uid = 1000"),
            ["mine|1000|/home/jay/.local/lib/python3.11/site-packages"]
        );
    }
}
