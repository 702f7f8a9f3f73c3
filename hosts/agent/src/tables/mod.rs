//! osquery's tables over this machine's `/proc` and files: their columns in osquery's own order, names and types.
//!
//! A table knows the machine and nothing of SQLite, schedules or loggers.

pub(crate) mod absent;
mod accounts;
mod acpi_tables;
mod apparmor_profiles;
mod apt_sources;
mod arp_cache;
mod authorized_keys;
mod block_devices;
mod certificates;
mod chrome_extensions;
mod cpu_info;
mod cpuid;
mod crontab;
mod deb_packages;
mod disk_encryption;
mod dns_resolvers;
mod docker_containers;
mod etc_hosts;
mod etc_protocols;
mod etc_services;
mod file;
mod file_events;
mod firefox_addons;
mod groups;
mod hardware_events;
mod hash;
mod homes;
mod interface_addresses;
mod interface_details;
mod iptables;
mod kernel_info;
mod kernel_modules;
mod known_hosts;
mod last;
mod listening_ports;
mod load_average;
mod logged_in_users;
mod login_records;
mod magic;
mod memory_info;
mod mount_namespace;
mod mounts;
mod npm_packages;
mod opera_extensions;
mod os_version;
mod osquery_events;
mod osquery_extensions;
mod osquery_flags;
mod osquery_info;
mod osquery_packs;
mod osquery_registry;
mod osquery_schedule;
mod pci_devices;
mod portage;
mod portage_packages;
mod portage_use;
mod process_envs;
mod process_memory_map;
mod process_namespaces;
mod process_open_files;
mod process_open_sockets;
mod processes;
mod python_packages;
mod routes;
mod rpm_packages;
mod selinux_settings;
mod shared_memory;
mod shell_history;
mod smbios_tables;
mod sockets;
mod ssh_configs;
mod startup_items;
mod sudoers;
mod suid_bin;
mod syslog_events;
mod system_controls;
mod system_info;
mod systemd;
mod systemd_units;
mod text_file;
mod time;
mod udev;
mod uptime;
mod usb_devices;
mod user_groups;
mod user_ssh_keys;
mod users;

#[cfg(test)]
mod fixture;

use std::path::PathBuf;
use std::sync::Arc;

use crate::agent_status::AgentStatus;
use crate::file_events::FileEvents;
use crate::procfs::ProcFs;
use crate::sql::Table;
use crate::status_log::StatusLog;

/// What the tables are about: a machine, and the agent that runs on it.
#[derive(Debug)]
pub(crate) struct Machine {
    pub(crate) proc: ProcFs,
    /// Where files begin: nothing, or the folder of a test in front of every path.
    pub(crate) root: PathBuf,
    pub(crate) file_events: FileEvents,
    pub(crate) agent: AgentStatus,
    pub(crate) status: StatusLog,
}

impl Machine {
    /// Where a file of the machine is.
    pub(crate) fn path(&self, path: &str) -> PathBuf {
        if self.root.as_os_str().is_empty() {
            PathBuf::from(path)
        } else {
            self.root.join(path.trim_start_matches('/'))
        }
    }
}

/// Declares a table over the machine: its type, its name, the function that gives its rows, and an older name.
macro_rules! table {
    ($type:ident $name:literal $fill:path $(, alias $alias:literal)?) => {
        pub(crate) struct $type(pub(crate) std::sync::Arc<$crate::tables::Machine>);

        impl $crate::sql::Table for $type {
            fn name(&self) -> &'static str {
                $name
            }

            $(fn aliases(&self) -> &'static [&'static str] {
                &[$alias]
            })?

            fn columns(&self) -> &'static [$crate::sql::Column] {
                COLUMNS
            }

            fn rows(
                &self,
                scan: &$crate::sql::Scan,
                rows: &mut $crate::sql::RowBuffer,
            ) -> Result<(), $crate::sql::TableError> {
                $fill(&self.0, scan, rows)
            }
        }
    };
}
use table;

/// Every table there is.
pub(crate) fn all(machine: &Arc<Machine>) -> Vec<Arc<dyn Table>> {
    let machine = || Arc::clone(machine);
    vec![
        Arc::new(acpi_tables::AcpiTables(machine())),
        Arc::new(apparmor_profiles::ApparmorProfiles(machine())),
        Arc::new(apt_sources::AptSources(machine())),
        Arc::new(arp_cache::ArpCache(machine())),
        Arc::new(authorized_keys::AuthorizedKeys(machine())),
        Arc::new(block_devices::BlockDevices(machine())),
        Arc::new(certificates::Certificates(machine())),
        Arc::new(chrome_extensions::ChromeExtensions(machine())),
        Arc::new(cpu_info::CpuInfo(machine())),
        Arc::new(cpuid::Cpuid(machine())),
        Arc::new(crontab::Crontab(machine())),
        Arc::new(deb_packages::DebPackages(machine())),
        Arc::new(disk_encryption::DiskEncryption(machine())),
        Arc::new(dns_resolvers::DnsResolvers(machine())),
        Arc::new(docker_containers::DockerContainers(machine())),
        Arc::new(etc_hosts::EtcHosts(machine())),
        Arc::new(etc_protocols::EtcProtocols(machine())),
        Arc::new(etc_services::EtcServices(machine())),
        Arc::new(file::File(machine())),
        Arc::new(file_events::FileEvents(machine())),
        Arc::new(firefox_addons::FirefoxAddons(machine())),
        Arc::new(groups::Groups(machine())),
        Arc::new(hardware_events::HardwareEvents(machine())),
        Arc::new(hash::Hash(machine())),
        Arc::new(interface_addresses::InterfaceAddresses),
        Arc::new(interface_details::InterfaceDetails(machine())),
        Arc::new(iptables::Iptables(machine())),
        Arc::new(kernel_info::KernelInfo(machine())),
        Arc::new(kernel_modules::KernelModules(machine())),
        Arc::new(known_hosts::KnownHosts(machine())),
        Arc::new(last::Last(machine())),
        Arc::new(listening_ports::ListeningPorts(machine())),
        Arc::new(load_average::LoadAverage(machine())),
        Arc::new(logged_in_users::LoggedInUsers),
        Arc::new(magic::Magic(machine())),
        Arc::new(memory_info::MemoryInfo(machine())),
        Arc::new(mounts::Mounts(machine())),
        Arc::new(npm_packages::NpmPackages(machine())),
        Arc::new(opera_extensions::OperaExtensions(machine())),
        Arc::new(os_version::OsVersion(machine())),
        Arc::new(osquery_events::OsqueryEvents(machine())),
        Arc::new(osquery_extensions::OsqueryExtensions(machine())),
        Arc::new(osquery_flags::OsqueryFlags(machine())),
        Arc::new(osquery_info::OsqueryInfo(machine())),
        Arc::new(osquery_packs::OsqueryPacks(machine())),
        Arc::new(osquery_registry::OsqueryRegistry(machine())),
        Arc::new(osquery_schedule::OsquerySchedule(machine())),
        Arc::new(pci_devices::PciDevices(machine())),
        Arc::new(portage_packages::PortagePackages(machine())),
        Arc::new(portage_use::PortageUse(machine())),
        Arc::new(process_envs::ProcessEnvs(machine())),
        Arc::new(process_memory_map::ProcessMemoryMap(machine())),
        Arc::new(process_namespaces::ProcessNamespaces(machine())),
        Arc::new(process_open_files::ProcessOpenFiles(machine())),
        Arc::new(process_open_sockets::ProcessOpenSockets(machine())),
        Arc::new(processes::Processes(machine())),
        Arc::new(python_packages::PythonPackages(machine())),
        Arc::new(routes::Routes(machine())),
        Arc::new(rpm_packages::RpmPackages(machine())),
        Arc::new(selinux_settings::SelinuxSettings(machine())),
        Arc::new(shared_memory::SharedMemory(machine())),
        Arc::new(shell_history::ShellHistory::new(machine())),
        Arc::new(smbios_tables::SmbiosTables(machine())),
        Arc::new(ssh_configs::SshConfigs(machine())),
        Arc::new(startup_items::StartupItems(machine())),
        Arc::new(sudoers::Sudoers(machine())),
        Arc::new(suid_bin::SuidBin(machine())),
        Arc::new(syslog_events::SyslogEvents(machine())),
        Arc::new(system_controls::SystemControls(machine())),
        Arc::new(system_info::SystemInfo(machine())),
        Arc::new(systemd_units::SystemdUnits(machine())),
        Arc::new(time::Time),
        Arc::new(uptime::Uptime),
        Arc::new(usb_devices::UsbDevices(machine())),
        Arc::new(user_groups::UserGroups(machine())),
        Arc::new(user_ssh_keys::UserSshKeys(machine())),
        Arc::new(users::Users(machine())),
    ]
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::fixture::TestDatabase;
    use crate::sql::{Column, Table};

    /// What osquery's specifications say.
    const OSQUERY: &str = include_str!("../../tests/osquery-columns.txt");

    /// Each table's own line and those of its columns.
    fn specified() -> BTreeMap<&'static str, Vec<&'static str>> {
        let mut tables = BTreeMap::new();
        let mut table = "";
        for line in OSQUERY.lines().filter(|line| !line.starts_with('#')) {
            if !line.starts_with(' ') {
                table = line.split(' ').next().unwrap();
            }
            tables.entry(table).or_insert_with(Vec::new).push(line.trim());
        }
        tables
    }

    fn described(table: &dyn Table) -> Vec<String> {
        let mut lines = vec![table.name().to_owned()];
        lines[0].extend(table.aliases().iter().map(|alias| format!(" alias={alias}")));
        lines.extend(table.columns().iter().map(column));
        lines
    }

    fn column(column: &Column) -> String {
        let mut line = format!("{} {}", column.name, column.kind.sql());
        for (is_so, option) in [
            (column.index, " index"),
            (column.additional, " additional"),
            (column.required, " required"),
            (column.hidden, " hidden"),
        ] {
            line.push_str(if is_so { option } else { "" });
        }
        line.extend(column.collation.map(|collation| format!(" collate={collation}")));
        line
    }

    #[test]
    fn tables_and_columns_are_osquerys_in_osquerys_order() {
        let database = TestDatabase::open();
        let specified = specified();
        let tables = super::all(database.shared_machine());
        let names: Vec<&str> = tables.iter().map(|table| table.name()).collect();
        assert_eq!(names, specified.keys().copied().collect::<Vec<_>>());
        for table in tables {
            assert_eq!(described(&*table), specified[table.name()]);
        }
    }

    /// What is declared is what SQLite takes: every column can be asked for by name, hidden ones as well.
    #[test]
    fn every_column_can_be_asked_for() {
        let database = TestDatabase::open();
        for table in super::all(database.shared_machine()) {
            let columns = table.columns().iter();
            let (all, visible): (Vec<String>, Vec<Option<&str>>) = columns
                .map(|column| {
                    (
                        format!("`{}`", column.name),
                        (!column.hidden).then_some(column.name),
                    )
                })
                .unzip();
            let visible: Vec<&str> = visible.into_iter().flatten().collect();
            let asked = format!("select {} from {} where 0", all.join(", "), table.name());
            assert_eq!(database.column_names(&asked).len(), all.len());
            for name in [table.name()].iter().chain(table.aliases()) {
                assert_eq!(
                    database.column_names(&format!("select * from {name} where 0")),
                    visible,
                    "{name}"
                );
            }
        }
    }

    #[test]
    fn versions_are_compared_as_versions() {
        let folder = tempfile::tempdir().unwrap();
        let status = "Package: six\nStatus: install ok installed\nVersion: 1:1.10-2\n";
        let database = TestDatabase::seeded(folder.path(), &[("/var/lib/dpkg/status", status)]);
        for (condition, expected) in [
            ("version > '1:1.9'", 1),
            ("version < '1:1.9'", 0),
            ("version > '2.0'", 1),
            ("version > '2:0'", 0),
        ] {
            let rows = database.rows(&format!("select name from deb_packages where {condition}"));
            assert_eq!(rows.len(), expected, "{condition}");
        }
    }

    /// A query that is written for all systems runs, and its conditions on texts hold.
    #[test]
    fn what_other_systems_have_is_there_and_empty() {
        let folder = tempfile::tempdir().unwrap();
        let users = "root:x:0:0::/root:/bin/sh\n";
        let database = TestDatabase::seeded(folder.path(), &[("/etc/passwd", users)]);
        assert_eq!(
            database.values(
                "username,type",
                "users where type <> 'special' and is_hidden is null"
            ),
            ["root|"]
        );
    }
}
