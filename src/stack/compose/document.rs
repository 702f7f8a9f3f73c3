//! The shape of a stack file, and what a service of it becomes.

use std::num::NonZeroU32;

use super::StackError;
use super::values::{
    DurationText, InOrder, Mount, OnePort, Scalar, SizeTemplate, SizeText, TemporaryFolder, given_role,
};
use crate::stack::{
    Confinement, Container, Heap, InitProcess, Optional, Privileges, Probe, Recipe, Role, RootFolder,
    Service, ServiceName, Template,
};

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields, expecting = "a mapping with the key `services`")]
pub(super) struct ComposeFile {
    #[serde(rename = "name")]
    _name: Option<String>,
    pub(super) services: InOrder<ServiceName, Definition>,
    #[serde(default)]
    pub(super) volumes: InOrder<String, Option<NamedVolume>>,
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
    heap: Option<HeapBounds>,
    native: Option<Native>,
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
        let Extension {
            optional, instead_of, ..
        } = &self.extension;
        let reason = match (optional, &self.profiles, instead_of) {
            (false, Some(_), _) => "has `profiles`, and `x-osqdemo` does not say `optional: true`",
            (false, None, Some(_)) => "has `instead_of` without `optional: true`",
            _ => return Ok(()),
        };
        Err(StackError::Optional {
            file: file.to_owned(),
            service: name.clone(),
            reason: reason.to_owned(),
        })
    }

    pub(super) fn into_service(self, name: ServiceName) -> Service {
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
