//! `user_groups`: which users are in which groups.

use std::collections::BTreeSet;

use super::accounts::{accounts, groups};
use super::{Machine, table, text_file};
use crate::sql::{RowBuffer, Scan, TableError, columns};

columns! {
    UID "uid" BigInt index,
    GID "gid" BigInt index,
}

table! { UserGroups "user_groups" fill }

fn fill(machine: &Machine, _: &Scan, rows: &mut RowBuffer) -> Result<(), TableError> {
    let read = |path: &str| text_file::read(&machine.path(path)).map_err(TableError::reading(path));
    let (passwd, group) = (read("/etc/passwd")?, read("/etc/group")?);
    for account in accounts(&passwd) {
        let more = groups(&group).filter(|group| group.members().any(|member| member == account.name));
        let gids: BTreeSet<u32> = more.map(|group| group.gid).chain([account.gid]).collect();
        for gid in gids {
            rows.start_row();
            rows.integer(UID, i64::from(account.uid));
            rows.integer(GID, i64::from(gid));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::tables::fixture::TestDatabase;

    #[test]
    fn the_own_group_and_the_others() {
        let folder = tempfile::tempdir().unwrap();
        let database = TestDatabase::seeded(
            folder.path(),
            &[
                (
                    "/etc/passwd",
                    "root:x:0:0::/root:/bin/sh\njay:x:1000:1000::/home/jay:\n",
                ),
                ("/etc/group", "root:x:0:\nsudo:x:27:jay,kim\njay:x:1000:jay\n"),
            ],
        );
        assert_eq!(
            database.values("uid,gid", "user_groups"),
            ["0|0", "1000|27", "1000|1000"]
        );
    }
}
