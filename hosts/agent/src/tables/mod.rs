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
mod os_version;
mod osquery_events;
mod osquery_extensions;
mod osquery_flags;
mod osquery_info;
mod osquery_packs;
mod osquery_registry;
mod osquery_schedule;
mod pci_devices;
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

/// Declares a table over the machine: its type, its name, and the function that gives its rows.
macro_rules! table {
    ($type:ident $name:literal $fill:path) => {
        pub(crate) struct $type(pub(crate) std::sync::Arc<$crate::tables::Machine>);

        impl $crate::sql::Table for $type {
            fn name(&self) -> &'static str {
                $name
            }

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
        Arc::new(os_version::OsVersion(machine())),
        Arc::new(osquery_events::OsqueryEvents(machine())),
        Arc::new(osquery_extensions::OsqueryExtensions(machine())),
        Arc::new(osquery_flags::OsqueryFlags(machine())),
        Arc::new(osquery_info::OsqueryInfo(machine())),
        Arc::new(osquery_packs::OsqueryPacks(machine())),
        Arc::new(osquery_registry::OsqueryRegistry(machine())),
        Arc::new(osquery_schedule::OsquerySchedule(machine())),
        Arc::new(pci_devices::PciDevices(machine())),
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
    use super::fixture::TestDatabase;

    /// What `select *` gives, in osquery's order.
    const COLUMNS: [(&str, &str); 74] = [
        ("acpi_tables", "name size md5"),
        ("apparmor_profiles", "path name attach mode sha1 sha256"),
        (
            "apt_sources",
            "name source base_uri release version maintainer components architectures",
        ),
        ("arp_cache", "address mac interface permanent"),
        ("authorized_keys", "uid algorithm key options comment key_file"),
        (
            "block_devices",
            "name parent vendor model serial size block_size uuid type label",
        ),
        (
            "certificates",
            "common_name subject subject2 issuer issuer2 ca self_signed not_valid_before not_valid_after \
             signing_algorithm key_algorithm key_strength key_usage subject_key_id authority_key_id sha1 path serial",
        ),
        (
            "chrome_extensions",
            "browser_type uid name profile profile_path referenced_identifier identifier version description \
             default_locale current_locale update_url author persistent path permissions optional_permissions \
             manifest_hash referenced from_webstore state install_time install_timestamp",
        ),
        (
            "cpu_info",
            "device_id model manufacturer processor_type cpu_status number_of_cores logical_processors \
             address_width current_clock_speed max_clock_speed socket_designation",
        ),
        ("cpuid", "feature value output_register output_bit input_eax"),
        (
            "crontab",
            "event minute hour day_of_month month day_of_week command path",
        ),
        (
            "deb_packages",
            "name version source size arch revision status maintainer section priority admindir",
        ),
        ("disk_encryption", "name uuid encrypted type encryption_status"),
        ("dns_resolvers", "id type address netmask options"),
        (
            "docker_containers",
            "id name image image_id command created state status pid path config_entrypoint started_at \
             finished_at privileged security_options env_variables readonly_rootfs cgroup_namespace ipc_namespace \
             mnt_namespace net_namespace pid_namespace user_namespace uts_namespace",
        ),
        ("etc_hosts", "address hostnames"),
        ("etc_protocols", "name number alias comment"),
        ("etc_services", "name port protocol aliases comment"),
        (
            "file",
            "path directory filename inode uid gid mode device size block_size atime mtime ctime btime hard_links \
             symlink type symlink_target_path",
        ),
        (
            "file_events",
            "target_path category action transaction_id inode uid gid mode size atime mtime ctime md5 sha1 sha256 \
             hashed time",
        ),
        (
            "firefox_addons",
            "uid name identifier creator type version description source_url visible active disabled autoupdate \
             location path",
        ),
        ("groups", "gid gid_signed groupname"),
        (
            "hardware_events",
            "action path type driver vendor vendor_id model model_id serial revision time",
        ),
        ("hash", "path directory md5 sha1 sha256"),
        (
            "interface_addresses",
            "interface address mask broadcast point_to_point type",
        ),
        (
            "interface_details",
            "interface mac type mtu metric flags ipackets opackets ibytes obytes ierrors oerrors idrops odrops \
             collisions last_change link_speed pci_slot",
        ),
        (
            "iptables",
            "filter_name chain policy target protocol src_port dst_port src_ip src_mask iniface iniface_mask \
             dst_ip dst_mask outiface outiface_mask match packets bytes",
        ),
        ("kernel_info", "version arguments path device"),
        ("kernel_modules", "name size used_by status address"),
        ("known_hosts", "uid key key_file"),
        ("last", "username tty pid type type_name time host"),
        (
            "listening_ports",
            "pid port protocol family address fd socket path net_namespace",
        ),
        ("load_average", "period average"),
        ("logged_in_users", "type user tty host time pid"),
        ("magic", "path magic_db_files data mime_type mime_encoding"),
        (
            "memory_info",
            "memory_total memory_free memory_available buffers cached swap_cached active inactive swap_total \
             swap_free",
        ),
        (
            "mounts",
            "device device_alias path type blocks_size blocks blocks_free blocks_available inodes inodes_free \
             flags",
        ),
        (
            "npm_packages",
            "name version description author license homepage path directory depth",
        ),
        (
            "os_version",
            "name version major minor patch build platform platform_like codename arch",
        ),
        (
            "osquery_events",
            "name publisher type subscriptions events refreshes active",
        ),
        ("osquery_extensions", "uuid name version sdk_version path type"),
        (
            "osquery_flags",
            "name type description default_value value shell_only",
        ),
        (
            "osquery_info",
            "pid uuid instance_id version config_hash config_valid extensions build_platform build_distro \
             start_time watcher platform_mask",
        ),
        (
            "osquery_packs",
            "name platform version shard discovery_cache_hits discovery_executions active",
        ),
        ("osquery_registry", "registry name owner_uuid internal active"),
        (
            "osquery_schedule",
            "name query interval executions last_executed denylisted output_size wall_time wall_time_ms \
             last_wall_time_ms user_time last_user_time system_time last_system_time average_memory last_memory",
        ),
        (
            "pci_devices",
            "pci_slot pci_class driver vendor vendor_id model model_id pci_class_id pci_subclass_id pci_subclass \
             subsystem_vendor_id subsystem_vendor subsystem_model_id subsystem_model",
        ),
        ("process_envs", "pid key value"),
        (
            "process_memory_map",
            "pid start end permissions offset device inode path pseudo",
        ),
        (
            "process_namespaces",
            "pid cgroup_namespace ipc_namespace mnt_namespace net_namespace pid_namespace user_namespace \
             uts_namespace",
        ),
        ("process_open_files", "pid fd path"),
        (
            "process_open_sockets",
            "pid fd socket family protocol local_address remote_address local_port remote_port path state \
             net_namespace",
        ),
        (
            "processes",
            "pid name path cmdline state cwd root uid gid euid egid suid sgid on_disk wired_size resident_size \
             total_size user_time system_time disk_bytes_read disk_bytes_written start_time parent pgroup threads \
             nice cgroup_path",
        ),
        (
            "python_packages",
            "name uid version summary author license path directory",
        ),
        (
            "routes",
            "destination netmask gateway source flags interface mtu metric type hopcount",
        ),
        (
            "rpm_packages",
            "name version release source size sha1 arch epoch install_time vendor package_group",
        ),
        ("selinux_settings", "scope key value"),
        (
            "shared_memory",
            "shmid owner_uid creator_uid pid creator_pid atime dtime ctime permissions size attached status \
             locked",
        ),
        ("shell_history", "uid time command history_file"),
        (
            "smbios_tables",
            "number type description handle header_size size md5",
        ),
        ("ssh_configs", "uid block option ssh_config_file"),
        ("startup_items", "name path args type source status username"),
        ("sudoers", "source header rule_details"),
        ("suid_bin", "path username groupname permissions"),
        (
            "syslog_events",
            "time datetime host severity facility tag message",
        ),
        (
            "system_controls",
            "name oid subsystem current_value config_value type",
        ),
        (
            "system_info",
            "hostname uuid cpu_type cpu_subtype cpu_brand cpu_physical_cores cpu_logical_cores cpu_sockets \
             cpu_microcode physical_memory hardware_vendor hardware_model hardware_version hardware_serial \
             board_vendor board_model board_version board_serial computer_name local_hostname",
        ),
        (
            "systemd_units",
            "id description load_state active_state sub_state unit_file_state following object_path job_id \
             job_type job_path fragment_path user source_path",
        ),
        (
            "time",
            "weekday year month day hour minutes seconds timezone local_timezone unix_time timestamp datetime \
             iso_8601",
        ),
        ("uptime", "days hours minutes seconds total_seconds"),
        (
            "usb_devices",
            "usb_address usb_port vendor vendor_id version model model_id serial class subclass protocol removable",
        ),
        ("user_groups", "uid gid"),
        (
            "user_ssh_keys",
            "uid path encrypted key_type key_group_name key_length key_security_bits",
        ),
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
                database
                    .column_names(&format!("select * from {table} where 0"))
                    .join(" "),
                columns,
                "{table}"
            );
        }
    }
}
