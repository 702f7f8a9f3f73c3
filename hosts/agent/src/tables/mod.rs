//! osquery's tables over this machine's `/proc` and files: their columns in osquery's own order, names and types.
//!
//! A table knows the machine and nothing of SQLite, schedules or loggers.

mod accounts;
mod arp_cache;
mod file;
mod hash;
mod interface_addresses;
mod listening_ports;
mod logged_in_users;
mod mount_namespace;
mod mounts;
mod os_version;
mod osquery_info;
mod osquery_schedule;
mod path_pattern;
mod process_open_files;
mod process_open_sockets;
mod processes;
mod shell_history;
mod sockets;
mod system_info;
mod time;
mod uptime;
mod users;

pub(crate) use hash::hexadecimal;

#[cfg(test)]
mod fixture;

use std::sync::Arc;

use crate::agent_status::AgentStatus;
use crate::procfs::ProcFs;
use crate::sql::Table;
use crate::status_log::StatusLog;

/// What the tables are about: a machine, and the agent that runs on it.
#[derive(Debug)]
pub(crate) struct Machine {
    pub(crate) proc: ProcFs,
    pub(crate) agent: AgentStatus,
    pub(crate) status: StatusLog,
}

/// Every table there is.
pub(crate) fn all(machine: &Arc<Machine>) -> Vec<Arc<dyn Table>> {
    let machine = || Arc::clone(machine);
    vec![
        Arc::new(arp_cache::ArpCache(machine())),
        Arc::new(file::File(machine())),
        Arc::new(hash::Hash(machine())),
        Arc::new(interface_addresses::InterfaceAddresses),
        Arc::new(listening_ports::ListeningPorts(machine())),
        Arc::new(logged_in_users::LoggedInUsers),
        Arc::new(mounts::Mounts(machine())),
        Arc::new(os_version::OsVersion(machine())),
        Arc::new(osquery_info::OsqueryInfo(machine())),
        Arc::new(osquery_schedule::OsquerySchedule(machine())),
        Arc::new(process_open_files::ProcessOpenFiles(machine())),
        Arc::new(process_open_sockets::ProcessOpenSockets(machine())),
        Arc::new(processes::Processes(machine())),
        Arc::new(shell_history::ShellHistory::new(machine())),
        Arc::new(system_info::SystemInfo(machine())),
        Arc::new(time::Time),
        Arc::new(uptime::Uptime),
        Arc::new(users::Users(machine())),
    ]
}
