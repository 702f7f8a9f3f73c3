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
mod process_open_files;
mod process_open_sockets;
mod processes;
mod shell_history;
mod sockets;
mod system_info;
mod time;
mod uptime;
mod users;

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

#[cfg(test)]
mod tests {
    use super::fixture::TestDatabase;

    /// What `select *` gives, in osquery's order.
    const COLUMNS: [(&str, &str); 18] = [
        ("arp_cache", "address mac interface permanent"),
        (
            "file",
            "path directory filename inode uid gid mode device size block_size atime mtime ctime btime hard_links symlink \
             type symlink_target_path",
        ),
        ("hash", "path directory md5 sha1 sha256"),
        (
            "interface_addresses",
            "interface address mask broadcast point_to_point type",
        ),
        (
            "listening_ports",
            "pid port protocol family address fd socket path net_namespace",
        ),
        ("logged_in_users", "type user tty host time pid"),
        (
            "mounts",
            "device device_alias path type blocks_size blocks blocks_free blocks_available inodes inodes_free flags",
        ),
        (
            "os_version",
            "name version major minor patch build platform platform_like codename arch",
        ),
        (
            "osquery_info",
            "pid uuid instance_id version config_hash config_valid extensions build_platform build_distro start_time \
             watcher platform_mask",
        ),
        (
            "osquery_schedule",
            "name query interval executions last_executed denylisted output_size wall_time wall_time_ms \
             last_wall_time_ms user_time last_user_time system_time last_system_time average_memory last_memory",
        ),
        ("process_open_files", "pid fd path"),
        (
            "process_open_sockets",
            "pid fd socket family protocol local_address remote_address local_port remote_port path state net_namespace",
        ),
        (
            "processes",
            "pid name path cmdline state cwd root uid gid euid egid suid sgid on_disk wired_size resident_size \
             total_size user_time system_time disk_bytes_read disk_bytes_written start_time parent pgroup threads nice \
             cgroup_path",
        ),
        ("shell_history", "uid time command history_file"),
        (
            "system_info",
            "hostname uuid cpu_type cpu_subtype cpu_brand cpu_physical_cores cpu_logical_cores cpu_sockets \
             cpu_microcode physical_memory hardware_vendor hardware_model hardware_version hardware_serial board_vendor \
             board_model board_version board_serial computer_name local_hostname",
        ),
        (
            "time",
            "weekday year month day hour minutes seconds timezone local_timezone unix_time timestamp datetime iso_8601",
        ),
        ("uptime", "days hours minutes seconds total_seconds"),
        (
            "users",
            "uid gid uid_signed gid_signed username description directory shell uuid",
        ),
    ];

    #[test]
    fn columns_are_osquerys_in_osquerys_order() {
        let database = TestDatabase::open();
        let tables: Vec<&str> = super::all(database.shared_machine())
            .iter()
            .map(|table| table.name())
            .collect();
        assert_eq!(tables, COLUMNS.map(|(table, _)| table));
        for (table, columns) in COLUMNS {
            assert_eq!(
                database.column_names(&format!("select * from {table}")).join(" "),
                columns,
                "{table}"
            );
        }
    }
}
