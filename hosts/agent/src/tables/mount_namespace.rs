//! osquery's hidden columns `pid_with_namespace` and `mount_namespace_id`: files as a process in another mount namespace
//! sees them.
//!
//! osquery enters that namespace; here the files are reached through `/proc/PID/root`, which needs no privilege over the
//! whole machine, only over that process.

use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use super::Machine;
use super::text_file;
use crate::sql::{RowBuffer, Scan};

/// Where a scan's paths begin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct MountNamespace {
    pid: i64,
    root: String,
    id: Option<String>,
}

impl MountNamespace {
    /// The namespaces a scan asks for; without a constraint, the agent's own.
    pub(super) fn of_scan(scan: &Scan, pid_column: usize, machine: &Machine) -> Vec<Self> {
        let Some(pids) = scan.integers(pid_column) else {
            return vec![Self::own(machine)];
        };
        let mut reader = machine.proc.reader();
        let visible = reader.processes(Some(&pids)).unwrap_or_default();
        pids.into_iter()
            .filter(|&pid| pid == 0 || visible.iter().any(|&seen| i64::from(seen) == pid))
            .map(|pid| Self {
                pid,
                root: if pid == 0 {
                    machine.root.display().to_string()
                } else {
                    format!("/proc/{pid}/root")
                },
                id: i32::try_from(pid).ok().filter(|&pid| pid != 0).and_then(|pid| {
                    let link = reader.link(pid, "ns/mnt")?;
                    let id = link.strip_prefix(b"mnt:[")?.strip_suffix(b"]")?;
                    Some(String::from_utf8_lossy(id).into_owned())
                }),
            })
            .collect()
    }

    /// The agent's own.
    pub(super) fn own(machine: &Machine) -> Self {
        Self {
            pid: 0,
            root: machine.root.display().to_string(),
            id: None,
        }
    }

    /// The path by which the agent reaches a path of this namespace.
    pub(super) fn reach(&self, path: &[u8]) -> Vec<u8> {
        [self.root.as_bytes(), path].concat()
    }

    /// The same for text.
    pub(super) fn path(&self, path: &str) -> PathBuf {
        PathBuf::from(format!("{}{path}", self.root))
    }

    /// The other way round: what a path that the agent reaches is called in this namespace.
    pub(super) fn inner<'path>(&self, path: &'path Path) -> &'path [u8] {
        let bytes = path.as_os_str().as_bytes();
        bytes.strip_prefix(self.root.as_bytes()).unwrap_or(bytes)
    }

    /// Reads a text file of this namespace.
    pub(super) fn read(&self, path: &str) -> std::io::Result<Vec<u8>> {
        text_file::read(&self.path(path))
    }

    pub(super) fn fill(&self, pid_column: usize, id_column: Option<usize>, rows: &mut RowBuffer) {
        rows.integer(pid_column, self.pid);
        if let (Some(column), Some(id)) = (id_column, &self.id) {
            rows.text(column, id);
        }
    }
}
