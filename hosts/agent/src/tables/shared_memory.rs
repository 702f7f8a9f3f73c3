//! `shared_memory`: the regions of System V shared memory.

use super::{Machine, table, text_file};
use crate::sql::{RowBuffer, Scan, TableError, columns};

columns! {
    SHMID "shmid" Integer,
    OWNER_UID "owner_uid" BigInt,
    CREATOR_UID "creator_uid" BigInt,
    PID "pid" BigInt,
    CREATOR_PID "creator_pid" BigInt,
    ATIME "atime" BigInt,
    DTIME "dtime" BigInt,
    CTIME "ctime" BigInt,
    PERMISSIONS "permissions" Text,
    SIZE "size" BigInt,
    ATTACHED "attached" Integer,
    STATUS "status" Text,
    LOCKED "locked" Integer,
}

table! { SharedMemory "shared_memory" fill }

/// The bits of the mode that say more than permissions, from the kernel's `shm.h`.
const DESTROYED: u32 = 0o1000;
const LOCKED_IN_MEMORY: u32 = 0o2000;

fn fill(machine: &Machine, _: &Scan, rows: &mut RowBuffer) -> Result<(), TableError> {
    let text = text_file::text(&machine.path("/proc/sysvipc/shm"));
    for line in text.lines().skip(1) {
        // `key shmid perms size cpid lpid nattch uid gid cuid cgid atime dtime ctime rss swap`
        let words: Vec<&str> = line.split_whitespace().collect();
        let [
            _,
            shmid,
            mode,
            size,
            creator,
            last,
            attached,
            uid,
            _,
            creator_uid,
            _,
            atime,
            dtime,
            ctime,
            ..,
        ] = words[..]
        else {
            continue;
        };
        rows.start_row();
        for (column, word) in [
            (SHMID, shmid),
            (OWNER_UID, uid),
            (CREATOR_UID, creator_uid),
            (PID, last),
            (CREATOR_PID, creator),
            (ATIME, atime),
            (DTIME, dtime),
            (CTIME, ctime),
            (SIZE, size),
            (ATTACHED, attached),
        ] {
            if let Ok(number) = word.parse() {
                rows.integer(column, number);
            }
        }
        let mode = u32::from_str_radix(mode, 8).unwrap_or(0);
        rows.display(PERMISSIONS, format_args!("{:04o}", mode & 0o777));
        rows.text(STATUS, if mode & DESTROYED == 0 { "" } else { "dest" });
        rows.integer(LOCKED, i64::from(mode & LOCKED_IN_MEMORY != 0));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::tables::fixture::TestDatabase;

    #[test]
    fn each_line_is_a_region() {
        let folder = tempfile::tempdir().unwrap();
        let database = TestDatabase::seeded(
            folder.path(),
            &[(
                "/proc/sysvipc/shm",
                " key shmid perms size cpid lpid nattch uid gid cuid cgid atime dtime ctime rss swap\n 0 4 1600 4096 11 12 2 1000 1000 1001 1001 5 6 7 4096 0\n",
            )],
        );
        assert_eq!(
            database.values("shmid,owner_uid,creator_uid,pid,creator_pid,atime,dtime,ctime,permissions,size,attached,status,locked", "shared_memory"),
            [
                "4|1000|1001|12|11|5|6|7|0600|4096|2|dest|0"
            ]
        );
    }
}
