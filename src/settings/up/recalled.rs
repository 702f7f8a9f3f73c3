//! What `up` goes by only because an earlier one was asked for it. Where a run fails, that may be why, and is not in front of
//! the user.

use std::collections::BTreeSet;
use std::fmt;

use crate::engine::OsquerydChoice;
use crate::host_config::LineFormat;
use crate::listener::ListenChoice;
use crate::settings::{
    HostConfigSource, KafkaChoice, ProgramSource, RunSettings, Setting, Source, Statements,
};
use crate::stack::{Role, Service, ServiceName};

impl RunSettings {
    /// A hint for each setting that is remembered, is not the usual one, and matters to this service; without one, to
    /// any.
    pub fn hints_of_remembered(&self, service: Option<&Service>) -> Vec<String> {
        let failed = service.map(|service| service.role);
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
            Some(hint("kafka", &self.target.stack.kafka, &KafkaChoice::OfStack)),
            service
                .is_none_or(|service| self.target.stack.with.contains(&service.name))
                .then(|| hint_of_names("with", &self.target.stack.with)),
            // Whatever is there may miss what is not.
            Some(hint_of_names("without", &self.target.stack.without)),
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

/// A hint for an option that takes services, when what is remembered names any.
fn hint_of_names(option: &str, setting: &Setting<BTreeSet<ServiceName>>) -> Option<String> {
    let names: Vec<&str> = setting.iter().map(ServiceName::as_str).collect();
    if names.is_empty() {
        return None;
    }
    let value = names.join(",");
    let source = setting.source.clone();
    hint(option, &Setting { value, source }, &"none".to_owned())
}

/// The same, with the way back.
fn hint<T: fmt::Display + PartialEq>(option: &str, setting: &Setting<T>, usual: &T) -> Option<String> {
    let from = from(option, setting, usual)?;
    Some(format!("{from}; `osqdemo up --{option} {usual}` takes it back"))
}
