//! All settings in force, each with where it comes from: what `config show` shows.

use std::collections::BTreeSet;
use std::fmt::Display;

use serde::Serialize;

use crate::cli::ConfigShowArgs;
use crate::error::Result;
use crate::quantity::{typed_duration, typed_size};
use crate::settings::key::{Id, KEYS, Key};
use crate::settings::{Setting, Settings, ShowSettings, Source, StackChoice};
use crate::stack::ServiceName;
use crate::state::Remembered;

/// A setting in force.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Shown {
    /// The name with its table.
    pub setting: String,
    /// What is in force, as it can be typed; nothing, where that is nothing.
    pub value: Option<String>,
    /// The kind of place that says so.
    pub from: &'static str,
}

/// What is shown.
struct InForce<'a> {
    settings: &'a Settings,
    show: &'a ShowSettings,
    /// What ports the project remembers.
    remembered: &'a Remembered,
}

/// Every setting as it would be if this was typed.
///
/// # Errors
/// When a setting cannot be.
pub fn in_force(
    arguments: &ConfigShowArgs,
    settings: &Settings,
    remembered: &Remembered,
) -> Result<Vec<Shown>> {
    let in_force = InForce {
        settings,
        show: &ShowSettings::resolve(arguments, settings, remembered)?,
        remembered,
    };
    Ok(KEYS.iter().flat_map(|key| in_force.of_key(key)).collect())
}

impl Shown {
    fn of(setting: String, value: impl Display, source: &Source) -> Self {
        Self {
            setting,
            value: Some(value.to_string()),
            from: source.word(),
        }
    }
}

impl InForce<'_> {
    fn of_key(&self, key: &Key) -> Vec<Shown> {
        let ShowSettings { run, scenario } = self.show;
        let (target, images) = (&run.target, &run.images);
        let name = || key.path();
        vec![match key.id {
            Id::Project => of(name(), &self.settings.project),
            Id::Engine => of(name(), &target.engine),
            // The two are one choice: only what is in force is shown.
            Id::Stack | Id::StackFile => {
                let choice = &target.stack.choice;
                let is_file = matches!(choice.value, StackChoice::File(_));
                if is_file != (key.id == Id::StackFile) {
                    return Vec::new();
                }
                of(name(), choice)
            }
            Id::With => of_services(name(), &target.stack.with),
            Id::Without => of_services(name(), &target.stack.without),
            Id::Statements => of(name(), &run.statements),
            Id::Timeout => Shown::of(name(), typed_duration(*run.timeout), &run.timeout.source),
            Id::Osqueryd => of(name(), &run.osquery.osqueryd),
            Id::OsquerySha256 => if_given(name(), run.osquery.sha256.as_ref()),
            Id::Source => of(name(), &run.source),
            // Where it was: what it says may be secret.
            Id::HostConfig => of(name(), &run.host_config),
            Id::Format => of(name(), &run.format),
            Id::Ports => return self.of_ports(),
            Id::Listen => of(name(), &run.listen),
            Id::Kafka => of(name(), &target.stack.kafka),
            // Where it is: what it says may be secret.
            Id::KafkaConfig => of(name(), &target.stack.kafka_config),
            Id::Pull => of(name(), &images.policy),
            Id::Registry => if_given(name(), images.registry.as_ref()),
            Id::PullSilence => Shown::of(name(), typed_duration(*images.silence), &images.silence.source),
            Id::LockFile => Shown::of(name(), images.lock_file.display(), &images.lock_file.source),
            Id::ScenarioSize => Shown::of(name(), typed_size(*scenario.size), &scenario.size.source),
            Id::ScenarioHost => match (&scenario.host, target.stack.stack.usual_host()) {
                (None, Some(usual)) => Shown::of(name(), &usual.name, &Source::Default),
                (host, _) => if_given(name(), host.as_ref()),
            },
            Id::ScenarioTimeout => match &scenario.timeout {
                Setting { value, source } if *source != Source::Default => {
                    Shown::of(name(), typed_duration(*value), source)
                }
                Setting { value, source } => {
                    let value = typed_duration(*value);
                    Shown::of(name(), format!("{value}, and 120s of `osqdemo smoke`"), source)
                }
            },
        }]
    }

    /// One for each service that publishes a port.
    fn of_ports(&self) -> Vec<Shown> {
        let target = &self.show.run.target;
        let services = target.stack.stack.services.iter();
        let published = services.filter_map(|service| Some((&service.name, service.port?.published)));
        published
            .map(|(service, usual)| {
                let setting = format!("ports.{service}");
                match (target.ports.get(service), self.remembered_port(service)) {
                    (Some(port), _) => of(setting, port),
                    (None, Some(port)) => Shown::of(setting, port, &Source::Remembered),
                    (None, None) => Shown::of(setting, usual, &Source::Default),
                }
            })
            .collect()
    }

    fn remembered_port(&self, service: &ServiceName) -> Option<u16> {
        let (asked, picked) = (&self.remembered.ports, &self.remembered.picked_ports);
        asked.get(service).or(picked.get(service)).copied()
    }
}

fn of<T: Display>(name: String, setting: &Setting<T>) -> Shown {
    Shown::of(name, &setting.value, &setting.source)
}

fn of_services(name: String, services: &Setting<BTreeSet<ServiceName>>) -> Shown {
    let names: Vec<&str> = services.iter().map(ServiceName::as_str).collect();
    Shown {
        value: Some(names.join(", ")).filter(|names| !names.is_empty()),
        ..Shown::of(name, "", &services.source)
    }
}

/// What need not be set.
fn if_given<T: Display>(name: String, setting: Option<&Setting<T>>) -> Shown {
    match setting {
        Some(setting) => of(name, setting),
        None => Shown {
            setting: name,
            value: None,
            from: Source::Default.word(),
        },
    }
}

#[cfg(test)]
mod tests;
