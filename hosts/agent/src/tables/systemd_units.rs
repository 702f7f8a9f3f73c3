//! `systemd_units`: the units that systemd has loaded.

use std::fmt::Write as _;

use super::systemd::units;
use super::{Machine, table};
use crate::sql::{RowBuffer, Scan, TableError, columns};

columns! {
    ID "id" Text,
    DESCRIPTION "description" Text,
    LOAD_STATE "load_state" Text,
    ACTIVE_STATE "active_state" Text,
    SUB_STATE "sub_state" Text,
    UNIT_FILE_STATE "unit_file_state" Text,
    FOLLOWING "following" Text,
    OBJECT_PATH "object_path" Text,
    JOB_ID "job_id" BigInt,
    JOB_TYPE "job_type" Text,
    JOB_PATH "job_path" Text,
    FRAGMENT_PATH "fragment_path" Text,
    USER "user" Text,
    SOURCE_PATH "source_path" Text,
}

table! { SystemdUnits "systemd_units" fill }

const PROPERTIES: [(usize, &str); 10] = [
    (ID, "Id"),
    (DESCRIPTION, "Description"),
    (LOAD_STATE, "LoadState"),
    (ACTIVE_STATE, "ActiveState"),
    (SUB_STATE, "SubState"),
    (UNIT_FILE_STATE, "UnitFileState"),
    (FOLLOWING, "Following"),
    (FRAGMENT_PATH, "FragmentPath"),
    (USER, "User"),
    (SOURCE_PATH, "SourcePath"),
];

fn fill(machine: &Machine, _: &Scan, rows: &mut RowBuffer) -> Result<(), TableError> {
    let units = match units(machine) {
        Ok(units) => units,
        Err(error) => {
            machine.status.verbose(&|| format!("systemd_units: {error}"));
            return Ok(());
        }
    };
    for unit in units {
        rows.start_row();
        for (column, property) in PROPERTIES {
            rows.text(column, unit.get(property));
        }
        rows.text(OBJECT_PATH, object_path(unit.get("Id")));
        let job = unit.get("Job").parse().unwrap_or(0);
        rows.integer(JOB_ID, job);
        rows.text(JOB_TYPE, "");
        if job == 0 {
            rows.text(JOB_PATH, "/");
        } else {
            rows.display(JOB_PATH, format_args!("/org/freedesktop/systemd1/job/{job}"));
        }
    }
    Ok(())
}

/// The unit's path on D-Bus: letters and digits as they are, a digit at the beginning and the rest as `_` and two hexadecimal
/// digits.
fn object_path(id: &str) -> String {
    let mut path = String::from("/org/freedesktop/systemd1/unit/");
    for (place, byte) in id.bytes().enumerate() {
        if byte.is_ascii_alphabetic() || (byte.is_ascii_digit() && place > 0) {
            path.push(char::from(byte));
        } else {
            // Writing to a string cannot fail.
            let _ = write!(path, "_{byte:02x}");
        }
    }
    path
}

#[cfg(test)]
mod tests {
    use crate::tables::fixture::TestDatabase;
    use crate::tables::systemd::for_tests::SYSTEMCTL;

    #[test]
    fn units_are_those_of_systemctl() {
        let folder = tempfile::tempdir().unwrap();
        let database = TestDatabase::seeded(folder.path(), &[("/usr/bin/systemctl", SYSTEMCTL)]);
        database.make_executable("/usr/bin/systemctl");
        assert_eq!(
            database.values(
                "id,description,load_state,active_state,sub_state,unit_file_state,following,object_path,job_id,job_path,fragment_path,user",
                "systemd_units"
            ),
            [
                "ssh.service|OpenBSD Secure Shell server|loaded|active|running|enabled||/org/freedesktop/systemd1/unit/ssh_2eservice|17|/org/freedesktop/systemd1/job/17|/lib/systemd/system/ssh.service|jay",
                "dev-sda.device|QEMU = disk|loaded|active|plugged||sys-block-sda.device|/org/freedesktop/systemd1/unit/dev_2dsda_2edevice|0|/||",
            ]
        );
    }

    #[test]
    fn a_machine_without_systemd_has_none() {
        let folder = tempfile::tempdir().unwrap();
        let database = TestDatabase::seeded(folder.path(), &[]);
        assert!(database.rows("select * from systemd_units").is_empty());
    }
}
