//! `os_version`: what `/etc/os-release` says.

use std::sync::Arc;

use super::Machine;
use super::mount_namespace::MountNamespace;
use crate::sql::{Column, RowBuffer, Scan, Table, TableError, columns};

columns! {
    NAME "name" Text,
    VERSION "version" Text version,
    MAJOR "major" Integer,
    MINOR "minor" Integer,
    PATCH "patch" Integer,
    BUILD "build" Text,
    PLATFORM "platform" Text,
    PLATFORM_LIKE "platform_like" Text,
    CODENAME "codename" Text,
    ARCH "arch" Text,
    _EXTRA "extra" Text hidden,
    _INSTALL_DATE "install_date" BigInt hidden,
    _REVISION "revision" Integer hidden,
    PID_WITH_NAMESPACE "pid_with_namespace" Integer additional hidden,
    MOUNT_NAMESPACE_ID "mount_namespace_id" Text hidden,
}

pub(crate) struct OsVersion(pub(crate) Arc<Machine>);

impl Table for OsVersion {
    fn name(&self) -> &'static str {
        "os_version"
    }

    fn columns(&self) -> &'static [Column] {
        COLUMNS
    }

    fn rows(&self, scan: &Scan, rows: &mut RowBuffer) -> Result<(), TableError> {
        for namespace in MountNamespace::of_scan(scan, PID_WITH_NAMESPACE, &self.0) {
            // A system without the file is still some Linux; osquery gives a row with what it knows, too.
            let content = namespace.read("/etc/os-release").unwrap_or_default();
            rows.start_row();
            fill(&String::from_utf8_lossy(&content), rows);
            rows.text(ARCH, rustix::system::uname().machine().to_bytes());
            namespace.fill(PID_WITH_NAMESPACE, Some(MOUNT_NAMESPACE_ID), rows);
        }
        Ok(())
    }
}

fn fill(content: &str, rows: &mut RowBuffer) {
    for column in [MAJOR, MINOR, PATCH] {
        rows.integer(column, 0);
    }
    for line in content.lines() {
        let Some((key, value)) = line.split_once('=') else {
            continue;
        };
        let value = value.trim().trim_matches(['"', '\'']);
        match key.trim() {
            "NAME" => rows.text(NAME, value),
            "VERSION" => rows.text(VERSION, value),
            "BUILD_ID" => rows.text(BUILD, value),
            "ID" => rows.text(PLATFORM, value),
            "ID_LIKE" => rows.text(PLATFORM_LIKE, value),
            "VERSION_CODENAME" => rows.text(CODENAME, value),
            "VERSION_ID" => {
                for (column, number) in [MAJOR, MINOR, PATCH].into_iter().zip(value.split('.')) {
                    rows.integer(column, number.parse().unwrap_or(0));
                }
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql::CellValue;
    use crate::tables::fixture::TestDatabase;

    #[test]
    fn versions_are_split() {
        let mut rows = RowBuffer::new(COLUMNS.len());
        rows.start_row();
        fill(
            "NAME=\"Ubuntu\"\nVERSION_ID=\"22.04\"\nVERSION='22.04.3 LTS (Jammy)'\nID=ubuntu\nID_LIKE=debian\n",
            &mut rows,
        );
        assert_eq!(rows.value(0, NAME), CellValue::Text(b"Ubuntu"));
        assert_eq!(
            (rows.value(0, MAJOR), rows.value(0, MINOR)),
            (CellValue::Integer(22), CellValue::Integer(4))
        );
        assert_eq!(rows.value(0, PATCH), CellValue::Integer(0));
        assert_eq!(rows.value(0, PLATFORM_LIKE), CellValue::Text(b"debian"));
    }

    #[test]
    fn this_machine_has_one() {
        let rows = TestDatabase::open().rows("select * from os_version");
        assert_eq!(rows.len(), 1);
        assert_eq!(rows[0]["arch"], std::env::consts::ARCH);
    }
}
