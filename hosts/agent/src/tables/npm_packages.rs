//! `npm_packages`: the packages of Node.js in the usual folders, or below the one that is named.

use std::path::Path;

use serde_json::Value;

use super::mount_namespace::MountNamespace;
use super::{Machine, table, text_file};
use crate::sql::{Operator, RowBuffer, Scan, TableError, columns};

columns! {
    NAME "name" Text,
    VERSION "version" Text version,
    DESCRIPTION "description" Text,
    AUTHOR "author" Text,
    LICENSE "license" Text,
    HOMEPAGE "homepage" Text,
    PATH "path" Text,
    DIRECTORY "directory" Text index,
    DEPTH "depth" Integer,
    MAX_DEPTH "max_depth" Integer additional hidden,
    PID_WITH_NAMESPACE "pid_with_namespace" Integer additional hidden,
    MOUNT_NAMESPACE_ID "mount_namespace_id" Text hidden,
}

table! { NpmPackages "npm_packages" fill }

const FOLDERS: [&str; 3] = ["/usr/local/lib", "/usr/lib", "/opt/homebrew/lib"];
/// How deep packages have packages, unless `max_depth` says otherwise.
const DEEPEST: i64 = 100;
const FIELDS: [(usize, &str); 4] = [
    (NAME, "name"),
    (VERSION, "version"),
    (DESCRIPTION, "description"),
    (HOMEPAGE, "homepage"),
];

fn fill(machine: &Machine, scan: &Scan, rows: &mut RowBuffer) -> Result<(), TableError> {
    let mut folders: Vec<String> = scan
        .values(DIRECTORY, Operator::Equals)
        .map(|folder| String::from_utf8_lossy(folder).into_owned())
        .collect();
    if folders.is_empty() {
        folders = FOLDERS.map(str::to_owned).to_vec();
    }
    let asked = scan
        .integers(MAX_DEPTH)
        .and_then(|depths| depths.into_iter().max());
    let deepest = match asked {
        Some(depth) if depth >= 0 => depth.min(DEEPEST),
        _ => DEEPEST,
    };
    for namespace in MountNamespace::of_scan(scan, PID_WITH_NAMESPACE, machine) {
        let prefix = namespace.path("").as_os_str().len();
        for folder in &folders {
            let mut visit = |package: &Path, document: &Value, depth: i64| {
                rows.start_row();
                for (column, field) in FIELDS {
                    rows.text(column, document[field].as_str().unwrap_or_default());
                }
                rows.text(AUTHOR, name_of(&document["author"], "name"));
                rows.text(LICENSE, name_of(&document["license"], "type"));
                rows.text(PATH, &package.as_os_str().as_encoded_bytes()[prefix..]);
                rows.text(DIRECTORY, folder);
                rows.integer(DEPTH, depth);
                rows.integer(MAX_DEPTH, asked.unwrap_or(DEEPEST));
                namespace.fill(PID_WITH_NAMESPACE, Some(MOUNT_NAMESPACE_ID), rows);
            };
            walk(&namespace.path(folder), 0, deepest, &mut visit);
        }
    }
    Ok(())
}

fn walk(folder: &Path, depth: i64, deepest: i64, visit: &mut dyn FnMut(&Path, &Value, i64)) {
    if depth > deepest {
        return;
    }
    let entries = text_file::entries(&folder.join("node_modules")).into_iter();
    // `@scope` holds packages itself.
    let packages = entries.flat_map(|entry| {
        let is_scope = entry
            .file_name()
            .is_some_and(|name| name.as_encoded_bytes().starts_with(b"@"));
        if is_scope {
            text_file::entries(&entry)
        } else {
            vec![entry]
        }
    });
    for package in packages {
        let text = text_file::text(&package.join("package.json"));
        if let Ok(document) = serde_json::from_str::<Value>(&text) {
            visit(&package, &document, depth);
        }
        walk(&package, depth + 1, deepest, visit);
    }
}

/// A name that is written as text or in an object.
fn name_of<'document>(value: &'document Value, member: &str) -> &'document str {
    value
        .as_str()
        .or_else(|| value[member].as_str())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use crate::tables::fixture::TestDatabase;

    #[test]
    fn packages_have_packages() {
        let folder = tempfile::tempdir().unwrap();
        let database = TestDatabase::seeded(
            folder.path(),
            &[
                (
                    "/srv/app/node_modules/left/package.json",
                    r#"{"name":"left","version":"1.0.0","author":{"name":"A"},"license":"MIT"}"#,
                ),
                (
                    "/srv/app/node_modules/left/node_modules/@s/deep/package.json",
                    r#"{"name":"@s/deep"}"#,
                ),
                ("/srv/app/node_modules/bad/package.json", "{"),
            ],
        );
        assert_eq!(
            database.values(
                "name,version,author,license,path,depth",
                "npm_packages where directory = '/srv/app'"
            ),
            [
                "left|1.0.0|A|MIT|/srv/app/node_modules/left|0",
                "@s/deep||||/srv/app/node_modules/left/node_modules/@s/deep|1"
            ]
        );
        assert_eq!(
            database.values(
                "name",
                "npm_packages where directory = '/srv/app' and max_depth = 0"
            ),
            ["left"]
        );
    }
}
