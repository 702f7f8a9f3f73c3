//! The shape of a stack file, and what a service of it becomes.

use std::num::NonZeroU32;

use super::StackError;
use super::values::{
    DurationText, FileMode, InOrder, Mount, OnePort, Scalar, SizeTemplate, SizeText, TemporaryFolder, UserId,
    given_role,
};
use crate::stack::{
    Change, ConfigFile, Confinement, Container, Heap, InitProcess, Optional, Privileges, Probe, Recipe, Role,
    RootFolder, Service, ServiceName, Template,
};

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields, expecting = "a mapping with the key `services`")]
pub(super) struct ComposeFile {
    #[serde(rename = "name")]
    _name: Option<String>,
    pub(super) services: InOrder<ServiceName, Definition>,
    #[serde(default)]
    pub(super) volumes: InOrder<String, Option<NamedVolume>>,
    #[serde(default)]
    pub(super) configs: InOrder<String, Config>,
}

/// A file that services are given. What it says stands in the stack file itself, so that this is all there is to read.
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Config {
    content: Template,
}

/// A config as a service gets it.
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct ConfigMount {
    source: String,
    target: String,
    #[serde(default)]
    uid: UserId,
    #[serde(default)]
    mode: FileMode,
}

/// A named volume without options.
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct NamedVolume {}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Definition {
    hostname: Option<String>,
    // For plain `docker compose`, which starts a service with profiles only when one is asked for.
    profiles: Option<Vec<String>>,
    image: Option<Template>,
    entrypoint: Option<Vec<Template>>,
    #[serde(default)]
    command: Vec<Template>,
    #[serde(default)]
    environment: InOrder<String, Scalar>,
    #[serde(default)]
    volumes: Vec<Mount>,
    #[serde(default)]
    configs: Vec<ConfigMount>,
    mem_limit: Option<SizeTemplate>,
    #[serde(default)]
    cap_add: Vec<String>,
    #[serde(default)]
    cap_drop: Vec<String>,
    #[serde(default)]
    security_opt: Vec<SecurityOption>,
    pids_limit: Option<NonZeroU32>,
    #[serde(default)]
    read_only: bool,
    #[serde(default)]
    tmpfs: Vec<TemporaryFolder>,
    #[serde(default)]
    init: bool,
    // For plain `docker compose`: osqdemo asks for health itself, from outside.
    #[serde(rename = "healthcheck")]
    _healthcheck: Option<Healthcheck>,
    #[serde(default)]
    ports: Option<OnePort>,
    #[serde(default)]
    depends_on: InOrder<ServiceName, Dependency>,
    stop_grace_period: DurationText,
    #[serde(rename = "x-osqdemo")]
    extension: Extension,
}

/// The one option that is understood: others loosen what a container is held by.
#[derive(serde::Deserialize)]
enum SecurityOption {
    #[serde(rename = "no-new-privileges:true")]
    NoNewPrivileges,
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Dependency {
    #[serde(rename = "condition")]
    _condition: Condition,
}

#[derive(serde::Deserialize)]
enum Condition {
    #[serde(rename = "service_healthy")]
    ServiceHealthy,
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Extension {
    #[serde(default, deserialize_with = "given_role")]
    role: Option<Role>,
    probe: Probe,
    deadline: DurationText,
    memory: SizeText,
    build: Option<Recipe>,
    #[serde(default)]
    optional: bool,
    instead_of: Option<ServiceName>,
    along_with: Option<ServiceName>,
    #[serde(default)]
    changes: InOrder<ServiceName, ChangeOfOther>,
    heap: Option<HeapBounds>,
    native: Option<Native>,
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct ChangeOfOther {
    #[serde(default)]
    environment: InOrder<String, Option<Scalar>>,
    least_heap: Option<SizeText>,
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct HeapBounds {
    variable: String,
    limit: String,
    least: SizeText,
    most: SizeText,
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Healthcheck {
    #[serde(rename = "test")]
    _test: Vec<String>,
    #[serde(rename = "interval")]
    _interval: DurationText,
    #[serde(rename = "timeout")]
    _timeout: DurationText,
    #[serde(rename = "retries")]
    _retries: u32,
    #[serde(default, rename = "start_period")]
    _start_period: Option<DurationText>,
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Native {
    command: Vec<String>,
}

impl Definition {
    /// What is optional for one reader of the file must be so for the other.
    pub(super) fn check_optional(&self, file: &str, name: &ServiceName) -> Result<(), StackError> {
        let extension = &self.extension;
        let wrong = [
            (
                self.profiles.is_some(),
                "has `profiles`, and `x-osqdemo` does not say `optional: true`",
            ),
            (
                extension.instead_of.is_some(),
                "has `instead_of` without `optional: true`",
            ),
            (
                extension.along_with.is_some(),
                "has `along_with` without `optional: true`",
            ),
            (
                !extension.changes.0.is_empty(),
                "has `changes` without `optional: true`",
            ),
        ];
        let found = wrong.iter().find(|(is_wrong, _)| *is_wrong);
        let Some((_, reason)) = found.filter(|_| !extension.optional) else {
            return Ok(());
        };
        Err(StackError::Optional {
            file: file.to_owned(),
            service: name.clone(),
            reason: (*reason).to_owned(),
        })
    }

    /// Each config that it gets must be in the file.
    pub(super) fn check_configs(
        &self,
        file: &str,
        name: &ServiceName,
        known: &InOrder<String, Config>,
    ) -> Result<(), StackError> {
        let mut sources = self.configs.iter().map(|config| &config.source);
        match sources.find(|source| !known.0.iter().any(|(name, _)| name == *source)) {
            None => Ok(()),
            Some(config) => Err(StackError::UnknownConfig {
                file: file.to_owned(),
                service: name.clone(),
                config: config.clone(),
            }),
        }
    }

    pub(super) fn into_service(self, name: ServiceName, configs: &InOrder<String, Config>) -> Service {
        let (port, port_variable) = match self.ports {
            Some(OnePort { port, variable }) => (Some(port), variable),
            None => (None, None),
        };
        let container = self.image.map(|image| Container {
            image,
            recipe: self.extension.build,
            entrypoint: self.entrypoint,
            command: self.command,
            environment: self
                .environment
                .0
                .into_iter()
                .map(|(name, Scalar(value))| (name, value))
                .collect(),
            volumes: self.volumes.into_iter().map(|Mount(mount)| mount).collect(),
            configs: self
                .configs
                .into_iter()
                .filter_map(|mount| mount.into_file(configs))
                .collect(),
            memory_limit: self.mem_limit.map(|SizeTemplate(size)| size),
            capabilities: self.cap_add,
            confinement: Confinement {
                capabilities_dropped: self.cap_drop,
                privileges: if self.security_opt.is_empty() {
                    Privileges::MayGrow
                } else {
                    Privileges::NeverGrow
                },
                most_processes: self.pids_limit.map(NonZeroU32::get),
                root: if self.read_only {
                    RootFolder::ReadOnly
                } else {
                    RootFolder::Writable
                },
                temporary_folders: self
                    .tmpfs
                    .into_iter()
                    .map(|TemporaryFolder(folder)| folder)
                    .collect(),
            },
            init: if self.init {
                InitProcess::Reaper
            } else {
                InitProcess::Own
            },
        });
        Service {
            name,
            role: self.extension.role.unwrap_or(self.extension.probe.role()),
            probe: self.extension.probe,
            hostname: self.hostname,
            port,
            port_variable,
            depends_on: self
                .depends_on
                .0
                .into_iter()
                .map(|(dependency, _)| dependency)
                .collect(),
            deadline: self.extension.deadline.0,
            stop_grace: self.stop_grace_period.0,
            memory: self.extension.memory.0,
            optional: self.extension.optional.then_some(Optional {
                instead_of: self.extension.instead_of,
                along_with: self.extension.along_with,
                changes: self
                    .extension
                    .changes
                    .0
                    .into_iter()
                    .map(|(other, change)| (other, change.into()))
                    .collect(),
            }),
            heap: self.extension.heap.map(|heap| Heap {
                variable: heap.variable,
                limit: heap.limit,
                least: heap.least.0,
                most: heap.most.0,
            }),
            native_command: self.extension.native.map(|native| native.command),
            container,
        }
    }
}

impl ConfigMount {
    /// Nothing where the file does not have it, which was checked.
    fn into_file(self, configs: &InOrder<String, Config>) -> Option<ConfigFile> {
        let (_, config) = configs.0.iter().find(|(name, _)| *name == self.source)?;
        Some(ConfigFile {
            target: self.target,
            user: self.uid.0,
            mode: self.mode.0,
            content: config.content.clone(),
        })
    }
}

impl From<ChangeOfOther> for Change {
    fn from(change: ChangeOfOther) -> Self {
        let environment = change.environment.0.into_iter();
        Self {
            environment: environment
                .map(|(name, value)| (name, value.map(|Scalar(value)| value)))
                .collect(),
            least_heap: change.least_heap.map(|SizeText(size)| size),
        }
    }
}
