//! The flags: osqueryd's own names and defaults, the agent's few additions, and osqueryd's flags that mean nothing here.

use std::fmt::Write as _;

use crate::agent_status::FlagStatus;

/// How a flag's value is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Switch,
    Number,
    Text,
    /// One of osqueryd's that is accepted, so that its flag file can be used, and changes nothing.
    Ignored {
        switch: bool,
    },
}

/// Where a flag's value goes.
pub(super) enum Slot<'flags> {
    Switch(&'flags mut bool),
    Number(&'flags mut u64),
    Text(&'flags mut String),
}

macro_rules! flags {
    ($($kind:ident $name:ident = $default:expr, $help:literal;)*) => {
        /// Every flag's value.
        #[derive(Debug, Clone, PartialEq, Eq)]
        #[allow(clippy::struct_excessive_bools, reason = "these are osqueryd's switches")]
        pub(crate) struct Flags {
            $(#[doc = $help] pub(crate) $name: flags!(@type $kind),)*
        }

        impl Default for Flags {
            fn default() -> Self {
                Self { $($name: $default.into(),)* }
            }
        }

        impl Flags {
            pub(super) fn slot(&mut self, name: &str) -> Option<Slot<'_>> {
                match name {
                    $(stringify!($name) => Some(Slot::$kind(&mut self.$name)),)*
                    _ => None,
                }
            }

            /// Every flag with the value in force, its default and osquery's name for its type.
            pub(crate) fn options(&self) -> Vec<(&'static str, String, String, &'static str)> {
                let defaults = Self::default();
                vec![$((stringify!($name), self.$name.to_string(), defaults.$name.to_string(), flags!(@word $kind)),)*]
            }
        }

        impl Flags {
            /// The same with what each flag is for, as `osquery_flags` shows it.
            pub(crate) fn status(&self) -> Vec<FlagStatus> {
                let help = DEFINITIONS.iter().map(|&(_, _, help)| help);
                let options = self.options().into_iter().zip(help);
                options
                    .map(|((name, value, default_value, kind), description)| FlagStatus {
                        name,
                        kind,
                        description,
                        default_value,
                        value,
                    })
                    .collect()
            }
        }

        const DEFINITIONS: &[(&str, Kind, &str)] = &[$((stringify!($name), Kind::$kind, $help),)*];
    };
    (@type Switch) => { bool };
    (@type Number) => { u64 };
    (@type Text) => { String };
    (@word Switch) => { "bool" };
    (@word Number) => { "uint64" };
    (@word Text) => { "string" };
}

flags! {
    Text flagfile = "", "read flags from this file, one a line";
    Text config_plugin = "filesystem", "the plugin the configuration comes from";
    Text config_path = "/etc/osquery/osquery.conf", "the configuration of the plugin `filesystem`";
    Number config_refresh = 0_u64, "read the configuration again every so many seconds; 0 is never";
    Number config_accelerated_refresh = 300_u64, "the same while the last attempt failed";
    Text logger_plugin = "filesystem", "the plugins that get the results, separated by commas";
    Text logger_path = "/var/log/osquery/", "the folder of the plugin `filesystem`";
    Switch logger_event_type = true, "one line for each row that came or went, not one for all of a run";
    Switch logger_snapshot_event_type = false, "one line for each row of a snapshot, not one for all of it";
    Switch logger_numerics = false, "numbers in results are JSON numbers";
    Switch disable_logging = false, "log nothing";
    Switch decorations_top_level = false, "decorations stand beside the other keys of a line";
    Switch disable_decorators = false, "run no decorators";
    Switch disable_events = false, "collect no events";
    Switch enable_file_events = false, "collect the changes of the files under `file_paths`";
    Text host_identifier = "hostname", "what names the host in a line: hostname, uuid, instance, ephemeral, specified";
    Text specified_identifier = "", "the name when `host_identifier` is `specified`";
    Number schedule_splay_percent = 10_u64, "spread intervals by so many per cent";
    Number schedule_default_interval = 3600_u64, "the interval of a query that has none, in seconds";
    Number schedule_epoch = 0_u64, "the epoch in each line; a new one makes every row new";
    Number query_time_limit = 30_u64, "the agent's own: give up a statement that has run so many seconds, and do not schedule it again; 0 is never";
    Number schedule_timeout = 0_u64, "end the agent when its schedule has run so many seconds; 0 is never";
    Text pack_delimiter = "_", "what separates `pack`, a pack's name and a query's";
    Number pack_refresh_interval = 3600_u64, "how long the answer of a discovery query holds, in seconds";
    Text extensions_socket = "/var/osquery/osquery.em", "the socket that extensions register at";
    Text extensions_autoload = "/etc/osquery/extensions.load", "the file that names the extensions to start, one a line";
    Text extension = "", "an extension to start";
    Number extensions_timeout = 3_u64, "how many seconds an extension may take to register";
    Number extensions_interval = 3_u64, "how often extensions are asked whether they live, in seconds";
    Text extensions_require = "", "the extensions to wait for, separated by commas";
    Switch disable_extensions = false, "start and accept no extensions";
    Switch allow_unsafe = false, "skip the checks of an extension's owner and permissions";
    Number thrift_timeout = 300_u64, "how many seconds an extension may take to answer";
    Text database_path = "/var/osquery/osquery.db", "the folder that keeps what was logged before";
    Switch ephemeral = false, "keep nothing on disk, and start beside another agent with the same database";
    Switch disable_database = false, "keep nothing on disk";
    Text pidfile = "/var/osquery/osqueryd.pidfile", "the file that holds the process id";
    Switch force = false, "start even though another agent holds the pid file";
    Switch verbose = false, "log each run of each query";
    Switch config_check = false, "read the configuration, report what is wrong, and end";
    Switch config_dump = false, "read the configuration, print it, and end";
    Switch disable_watchdog = false, "accepted: the agent has no watchdog of itself, and always restarts its extensions";
    Text query = "", "the agent's own: run one statement, print its rows as JSON, and end";
    Switch json = false, "with `config_check`: say what is wrong as JSON on standard output; the rows of `query` always are";
    Text process_scope_env = "", "the agent's own: see only processes whose environment holds this NAME=VALUE";
    Switch help = false, "show this";
    Switch version = false, "show the version";
}

/// osqueryd's flags about what the agent does not have: watchers, events, TLS, carving, AWS.
const IGNORED_SWITCHES: &[&str] = &[
    "audit_allow_config",
    "audit_allow_process_events",
    "audit_allow_sockets",
    "audit_allow_user_events",
    "audit_persist",
    "config_enable_backup",
    "daemonize",
    "disable_audit",
    "disable_carver",
    "disable_caching",
    "disable_distributed",
    "disable_enrollment",
    "disable_hash_cache",
    "disable_memory",
    "disable_reenrollment",
    "disable_tables_cache",
    "enable_extensions_watchdog",
    "enable_foreign",
    "enable_monitor",
    "enable_numeric_monitoring",
    "enable_syslog",
    "enable_watchdog_debug",
    "events_optimize",
    "ignore_table_exceptions",
    "keep_container_worker_open",
    "logger_rotate",
    "logger_secondary_status_only",
    "logger_status_sync",
    "logger_stderr",
    "logger_syslog_prepend_cee",
    "logtostderr",
    "schedule_reload_sql",
    "stderrthreshold_all",
    "table_exceptions",
    "utc",
    "watchdog_forced_shutdown",
];
const IGNORED_VALUES: &[&str] = &[
    "alarm_timeout",
    "config_tls_max_attempts",
    "disable_tables",
    "distributed_interval",
    "enable_tables",
    "events_expiry",
    "events_max",
    "extensions_default_index",
    "hash_cache_max",
    "hash_delay",
    "logger_min_status",
    "logger_min_stderr",
    "logger_mode",
    "logger_rotate_max_files",
    "logger_rotate_size",
    "nullvalue",
    "read_max",
    "schedule_lognames",
    "schedule_max_drift",
    "schedule_reload",
    "stderrthreshold",
    "syslog_pipe_path",
    "syslog_rate_limit",
    "table_delay",
    "thrift_string_size_limit",
    "thrift_verbose",
    "value_max",
    "watchdog_delay",
    "watchdog_latency_limit",
    "watchdog_level",
    "watchdog_memory_limit",
    "watchdog_utilization_limit",
    "worker_threads",
];

/// Flags that count before there is a configuration, or that say where it comes from: osquery's `CLI_FLAG`s.
const COMMAND_LINE_ONLY: &[&str] = &[
    "allow_unsafe",
    "config_check",
    "config_dump",
    "config_path",
    "config_plugin",
    "database_path",
    "disable_database",
    "disable_extensions",
    "ephemeral",
    "extension",
    "extensions_autoload",
    "extensions_interval",
    "extensions_require",
    "extensions_socket",
    "extensions_timeout",
    "flagfile",
    "force",
    "help",
    "json",
    "pidfile",
    "process_scope_env",
    "query",
    "version",
];

/// Whether a configuration cannot set a flag.
pub(super) fn is_for_command_line(name: &str) -> bool {
    COMMAND_LINE_ONLY.contains(&name)
}

/// A flag's name as it is kept, and its kind.
pub(super) fn find(name: &str) -> Option<(&'static str, Kind)> {
    let known = DEFINITIONS.iter().map(|&(known, kind, _)| (known, kind));
    let switches = IGNORED_SWITCHES
        .iter()
        .map(|&known| (known, Kind::Ignored { switch: true }));
    let values = IGNORED_VALUES
        .iter()
        .map(|&known| (known, Kind::Ignored { switch: false }));
    known
        .chain(switches)
        .chain(values)
        .find(|&(known, _)| known == name)
        .map(|(known, kind)| {
            // A switch that is ignored is still written like one.
            (
                known,
                if kind == (Kind::Ignored { switch: true }) {
                    Kind::Switch
                } else {
                    kind
                },
            )
        })
}

/// The names of the flags that mean something.
pub(super) fn names() -> impl Iterator<Item = &'static str> {
    DEFINITIONS.iter().map(|&(name, ..)| name)
}

/// The text of `--help`.
pub(crate) fn help() -> String {
    let mut text = String::from(
        "Runs osquery's schedule over this machine's processes and files, as osqueryd does.\n\n\
         Usage: osqdemo-agent [FLAGS]\n       osqdemo-agent --query 'select * from processes'\n\n\
         A line that a logger does not acknowledge is kept and tried again for 5 minutes; rows count as logged only \
         when all loggers\nhave acknowledged them, also over a restart.\n\n\
         Exit codes: 0 ended as asked, 1 could not run, 2 bad flags, 78 a plugin was not there in time, or lines \
         could not be logged for 5 minutes\n\nFlags:\n",
    );
    let defaults = Flags::default().options();
    for (&(name, kind, help), (_, _, default, _)) in DEFINITIONS.iter().zip(defaults) {
        let written = match kind {
            Kind::Switch => format!("--{name}"),
            Kind::Number => format!("--{name}=N"),
            _ => format!("--{name}=TEXT"),
        };
        let default = if default.is_empty() || default == "false" {
            String::new()
        } else {
            format!(" [{default}]")
        };
        let _ = writeln!(text, "  {written:<34} {help}{default}");
    }
    text.push_str(
        "\nosqueryd's other flags are accepted where they mean nothing here; an unknown one is an error.\n",
    );
    text
}
