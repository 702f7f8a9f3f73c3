//! `process_envs`: the environment of each process that the agent may look into.

use super::{Machine, table};
use crate::sql::{RowBuffer, Scan, TableError, columns};

columns! {
    PID "pid" Integer index,
    KEY "key" Text,
    VALUE "value" Text,
}

table! { ProcessEnvs "process_envs" fill }

fn fill(machine: &Machine, scan: &Scan, rows: &mut RowBuffer) -> Result<(), TableError> {
    let mut reader = machine.proc.reader();
    let wanted = scan.integers(PID);
    let processes = reader
        .processes(wanted.as_deref())
        .map_err(TableError::reading("/proc"))?;
    for pid in processes {
        // Longer than a page, so read piece by piece.
        let Some(environment) = reader.read_list(pid, "environ") else {
            continue;
        };
        for entry in environment.split(|&byte| byte == 0) {
            let Some(at) = entry.iter().position(|&byte| byte == b'=') else {
                continue;
            };
            rows.start_row();
            rows.integer(PID, i64::from(pid));
            rows.text(KEY, &entry[..at]);
            rows.text(VALUE, &entry[at + 1..]);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use crate::tables::fixture::TestDatabase;

    #[test]
    fn a_process_has_its_variables() {
        let mut child = Command::new("sleep")
            .arg("30")
            .env_clear()
            .env("ONE", "a=b")
            .env("TWO", "")
            .spawn()
            .unwrap();
        let sql = format!(
            "select key, value from process_envs where pid = {} order by key",
            child.id()
        );
        let rows = TestDatabase::open().rows_once(&sql, |rows| rows.len() == 2);
        child.kill().unwrap();
        child.wait().unwrap();
        let rows: Vec<_> = rows
            .iter()
            .map(|row| format!("{}|{}", row["key"], row["value"]))
            .collect();
        assert_eq!(rows, ["ONE|a=b", "TWO|"]);
    }
}
