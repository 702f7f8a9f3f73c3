//! `users`: the accounts of `/etc/passwd`. Accounts of directories (LDAP and the like) are not looked up.

use std::sync::Arc;

use super::Machine;
use super::accounts::accounts;
use super::mount_namespace::MountNamespace;
use crate::sql::{Column, RowBuffer, Scan, Table, TableError, columns};

columns! {
    UID "uid" BigInt index,
    GID "gid" BigInt,
    UID_SIGNED "uid_signed" BigInt,
    GID_SIGNED "gid_signed" BigInt,
    USERNAME "username" Text additional,
    DESCRIPTION "description" Text,
    DIRECTORY "directory" Text,
    SHELL "shell" Text,
    UUID "uuid" Text index,
    _TYPE "type" Text hidden,
    _IS_HIDDEN "is_hidden" Integer hidden,
    PID_WITH_NAMESPACE "pid_with_namespace" Integer additional hidden,
    INCLUDE_REMOTE "include_remote" Integer additional hidden,
}

pub(crate) struct Users(pub(crate) Arc<Machine>);

impl Table for Users {
    fn name(&self) -> &'static str {
        "users"
    }

    fn columns(&self) -> &'static [Column] {
        COLUMNS
    }

    fn rows(&self, scan: &Scan, rows: &mut RowBuffer) -> Result<(), TableError> {
        for namespace in MountNamespace::of_scan(scan, PID_WITH_NAMESPACE, &self.0) {
            let passwd = namespace
                .read("/etc/passwd")
                .map_err(TableError::reading("/etc/passwd"))?;
            for account in accounts(&passwd) {
                rows.start_row();
                rows.integer(UID, i64::from(account.uid));
                rows.integer(GID, i64::from(account.gid));
                rows.integer(UID_SIGNED, i64::from(account.uid.cast_signed()));
                rows.integer(GID_SIGNED, i64::from(account.gid.cast_signed()));
                rows.text(USERNAME, account.name);
                rows.text(DESCRIPTION, account.description);
                rows.text(DIRECTORY, account.directory);
                rows.text(SHELL, account.shell);
                namespace.fill(PID_WITH_NAMESPACE, None, rows);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use crate::tables::fixture::TestDatabase;

    #[test]
    fn root_is_there() {
        let database = TestDatabase::open();
        let rows = database.rows("select * from users where uid = 0");
        assert_eq!(
            (rows[0]["username"].as_str(), rows[0]["directory"].as_str()),
            ("root", "/root")
        );
    }

    #[test]
    fn accounts_can_be_read_through_a_process() {
        let own = std::process::id();
        let rows = TestDatabase::open().rows(&format!(
            "select username, pid_with_namespace from users where pid_with_namespace = {own} and uid = 0"
        ));
        assert_eq!(rows.len(), 1);
        assert_eq!(rows[0]["pid_with_namespace"], own.to_string());
    }
}
