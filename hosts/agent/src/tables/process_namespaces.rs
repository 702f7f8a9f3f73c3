//! `process_namespaces`: the namespaces of each process.

use super::{Machine, table};
use crate::sql::{RowBuffer, Scan, TableError, columns};

columns! {
    PID "pid" Integer index,
    CGROUP_NAMESPACE "cgroup_namespace" Text,
    IPC_NAMESPACE "ipc_namespace" Text,
    MNT_NAMESPACE "mnt_namespace" Text,
    NET_NAMESPACE "net_namespace" Text,
    PID_NAMESPACE "pid_namespace" Text,
    USER_NAMESPACE "user_namespace" Text,
    UTS_NAMESPACE "uts_namespace" Text,
}

table! { ProcessNamespaces "process_namespaces" fill }

const NAMESPACES: [(usize, &str); 7] = [
    (CGROUP_NAMESPACE, "ns/cgroup"),
    (IPC_NAMESPACE, "ns/ipc"),
    (MNT_NAMESPACE, "ns/mnt"),
    (NET_NAMESPACE, "ns/net"),
    (PID_NAMESPACE, "ns/pid"),
    (USER_NAMESPACE, "ns/user"),
    (UTS_NAMESPACE, "ns/uts"),
];

fn fill(machine: &Machine, scan: &Scan, rows: &mut RowBuffer) -> Result<(), TableError> {
    let mut reader = machine.proc.reader();
    let wanted = scan.integers(PID);
    let processes = reader
        .processes(wanted.as_deref())
        .map_err(TableError::reading("/proc"))?;
    for pid in processes {
        rows.start_row();
        rows.integer(PID, i64::from(pid));
        for (column, name) in NAMESPACES {
            // `net:[4026531840]`
            let link = reader.link(pid, name);
            let inode = link.and_then(|link| link.strip_suffix(b"]")?.split(|&byte| byte == b'[').nth(1));
            if let Some(inode) = inode {
                rows.text(column, inode);
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::tables::fixture::TestDatabase;

    #[test]
    fn they_are_those_of_the_links() {
        let pid = std::process::id();
        let rows = TestDatabase::open().values(
            "net_namespace,uts_namespace",
            &format!("process_namespaces where pid = {pid}"),
        );
        let link = |name: &str| {
            std::fs::read_link(format!("/proc/{pid}/ns/{name}"))
                .unwrap()
                .display()
                .to_string()
        };
        let (net, uts) = rows[0].split_once('|').unwrap();
        assert_eq!(
            (link("net"), link("uts")),
            (format!("net:[{net}]"), format!("uts:[{uts}]"))
        );
    }
}
