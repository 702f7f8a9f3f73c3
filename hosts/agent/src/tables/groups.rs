//! `groups`: the groups of `/etc/group`. Those of directories (LDAP and the like) are not looked up.

use super::accounts::groups;
use super::mount_namespace::MountNamespace;
use super::{Machine, table};
use crate::sql::{RowBuffer, Scan, TableError, columns};

columns! {
    GID "gid" BigInt index,
    GID_SIGNED "gid_signed" BigInt,
    GROUPNAME "groupname" Text,
    _GROUP_SID "group_sid" Text index hidden,
    _COMMENT "comment" Text hidden,
    _IS_HIDDEN "is_hidden" Integer hidden,
    PID_WITH_NAMESPACE "pid_with_namespace" Integer additional hidden,
}

table! { Groups "groups" fill }

fn fill(machine: &Machine, scan: &Scan, rows: &mut RowBuffer) -> Result<(), TableError> {
    for namespace in MountNamespace::of_scan(scan, PID_WITH_NAMESPACE, machine) {
        let content = namespace
            .read("/etc/group")
            .map_err(TableError::reading("/etc/group"))?;
        for group in groups(&content) {
            rows.start_row();
            rows.integer(GID, i64::from(group.gid));
            rows.integer(GID_SIGNED, i64::from(group.gid.cast_signed()));
            rows.text(GROUPNAME, group.name);
            namespace.fill(PID_WITH_NAMESPACE, None, rows);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::tables::fixture::TestDatabase;

    #[test]
    fn each_line_is_a_group() {
        let folder = tempfile::tempdir().unwrap();
        let database = TestDatabase::seeded(
            folder.path(),
            &[("/etc/group", "root:x:0:\nbad\nnogroup:x:4294967294:a,b\n")],
        );
        assert_eq!(
            database.values("gid,gid_signed,groupname", "groups"),
            ["0|0|root", "4294967294|-2|nogroup"]
        );
    }
}
