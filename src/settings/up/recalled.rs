//! What `up` goes by only because an earlier one was asked for it. Where a run fails, that may be why, and is not in front of
//! the user.

use std::fmt;

use crate::engine::OsquerydChoice;
use crate::host_config::LineFormat;
use crate::listener::ListenChoice;
use crate::settings::{HostConfigSource, ProgramSource, RunSettings, Setting, Source, Statements};
use crate::stack::Role;

impl RunSettings {
    /// A hint for each setting that is remembered, is not the usual one, and matters to a service of this role; without a
    /// role, to any.
    pub fn hints_of_remembered(&self, failed: Option<Role>) -> Vec<String> {
        let of_hosts = [None, Some(Role::Host)].contains(&failed);
        let of_broker = [None, Some(Role::Broker)].contains(&failed);
        let of_ksqldb = [None, Some(Role::Ksqldb)].contains(&failed);
        let hints = [
            of_hosts.then(|| hint("osqueryd", &self.osquery.osqueryd, &OsquerydChoice::Auto)),
            of_hosts.then(|| hint("host-config", &self.host_config, &HostConfigSource::Default)),
            of_hosts
                .then(|| from("format", &self.format, &LineFormat::Json))
                .map(|from| from.map(|from| format!("{from}; `osqdemo down --volumes` forgets it"))),
            of_broker.then(|| hint("listen", &self.listen, &ListenChoice::ThisMachine)),
            of_ksqldb.then(|| hint("statements", &self.statements, &Statements::Demo)),
            Some(hint("source", &self.source, &ProgramSource::Installed)),
        ];
        hints.into_iter().flatten().flatten().collect()
    }
}

/// Where a setting comes from, when it is remembered and not the usual one.
fn from<T: fmt::Display + PartialEq>(option: &str, setting: &Setting<T>, usual: &T) -> Option<String> {
    if setting.source != Source::Remembered || setting.value == *usual {
        return None;
    }
    setting.source.hint(&format!("`--{option} {setting}`"))
}

/// The same, with the way back.
fn hint<T: fmt::Display + PartialEq>(option: &str, setting: &Setting<T>, usual: &T) -> Option<String> {
    let from = from(option, setting, usual)?;
    Some(format!("{from}; `osqdemo up --{option} {usual}` takes it back"))
}
