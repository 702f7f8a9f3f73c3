//! Reads a stack from a Compose file: a documented subset of the Compose specification
//! (<https://github.com/compose-spec/compose-spec>) with the extension `x-osqdemo`. Unknown fields are
//! errors: a field that would be silently ignored is worse than one that is refused.

use std::collections::BTreeSet;
use std::fmt;
use std::marker::PhantomData;
use std::num::NonZeroU32;
use std::time::Duration;

use serde::de::{Deserialize, Deserializer, Error, IntoDeserializer, MapAccess, Visitor};

use crate::error::Diagnose;
use crate::exit_code::ExitCode;
use crate::quantity::{parse_duration, parse_size};
use crate::stack::{
    Confinement, Container, Heap, InitProcess, Optional, Privileges, Probe, PublishedPort, Recipe, Role,
    RootFolder, Service, ServiceName, Stack, Template, VolumeMount,
};

/// How many characters of the beginning and of the end of the parser's words are told.
const EXCERPT: usize = 120;

/// What is wrong with a stack file.
#[derive(Debug, thiserror::Error)]
pub enum StackError {
    /// Not a Compose file of the subset; the reason says line and column.
    #[error("`{file}` is not a stack file: {reason}")]
    Syntax {
        /// The file.
        file: String,
        /// What the parser said, with line and column.
        reason: String,
    },
    /// A service depends on one that does not exist.
    #[error("`{file}`: service `{service}` depends on `{dependency}`, which is not in the stack")]
    UnknownDependency {
        /// The file.
        file: String,
        /// The service that depends.
        service: ServiceName,
        /// What it names.
        dependency: ServiceName,
    },
    /// A service mounts a volume that does not exist.
    #[error("`{file}`: service `{service}` mounts `{volume}`, which is not among the volumes of the file")]
    UnknownVolume {
        /// The file.
        file: String,
        /// The service that mounts it.
        service: ServiceName,
        /// What it names.
        volume: String,
    },
    /// What the file says of an optional service cannot be.
    #[error("`{file}`: service `{service}` {reason}")]
    Optional {
        /// The file.
        file: String,
        /// The service.
        service: ServiceName,
        /// What is wrong.
        reason: String,
    },
    /// Services that wait for each other could never start.
    #[error("`{file}`: services depend on each other in a circle: {}", circle(cycle))]
    Cycle {
        /// The file.
        file: String,
        /// The services of the circle, in order.
        cycle: Vec<ServiceName>,
    },
}

impl Diagnose for StackError {
    fn exit_code(&self) -> ExitCode {
        ExitCode::Usage
    }
}

/// What the parser said, short: it quotes a wrong value in full, which may be the whole file. What is wrong stands at
/// the beginning, what is expected and where at the end.
fn excerpt(reason: &str) -> String {
    let length = reason.chars().count();
    if length <= 2 * EXCERPT {
        return reason.to_owned();
    }
    let begin: String = reason.chars().take(EXCERPT).collect();
    let end: String = reason.chars().skip(length - EXCERPT).collect();
    format!("{begin} … {end}")
}

fn circle(cycle: &[ServiceName]) -> String {
    let mut names: Vec<String> = cycle.iter().map(|name| format!("`{name}`")).collect();
    names.extend(names.first().cloned());
    names.join(" → ")
}

/// Reads and checks a stack.
pub(super) fn parse(file: &str, text: &str) -> Result<Stack, StackError> {
    let parsed: ComposeFile = serde_yaml::from_str(text).map_err(|source| StackError::Syntax {
        file: file.to_owned(),
        reason: excerpt(&source.to_string()),
    })?;
    let volumes: Vec<String> = parsed.volumes.0.into_iter().map(|(name, _)| name).collect();
    for (name, definition) in &parsed.services.0 {
        definition.check_optional(file, name)?;
    }
    let services: Vec<Service> = parsed
        .services
        .0
        .into_iter()
        .map(|(name, definition)| definition.into_service(name))
        .collect();
    let mut stack = Stack {
        order: services.iter().map(|service| service.name.clone()).collect(),
        services,
        left_out: Vec::new(),
        optional: Vec::new(),
        kafka: None,
    };
    check_dependencies(file, &stack)?;
    check_volumes(file, &stack, &volumes)?;
    check_optional(file, &stack)?;
    let all = std::mem::take(&mut stack.services);
    for (place, service) in all.into_iter().enumerate() {
        match service.optional {
            Some(_) => stack.optional.push((place, service)),
            None => stack.services.push(service),
        }
    }
    Ok(stack)
}

/// A stack must be whole without its optional services, and also with one in the place of another.
fn check_optional(file: &str, stack: &Stack) -> Result<(), StackError> {
    let wrong = |service: &Service, reason: String| {
        Err(StackError::Optional {
            file: file.to_owned(),
            service: service.name.clone(),
            reason,
        })
    };
    for service in &stack.services {
        let is_optional = |name: &ServiceName| {
            stack
                .service(name.as_str())
                .is_some_and(|service| service.optional.is_some())
        };
        let needed = service.depends_on.iter().find(|name| is_optional(name));
        if let (None, Some(needed)) = (&service.optional, needed) {
            return wrong(service, format!("depends on `{needed}`, which is optional"));
        }
        let Some(instead_of) = service
            .optional
            .as_ref()
            .and_then(|optional| optional.instead_of.as_ref())
        else {
            continue;
        };
        if stack.service(instead_of.as_str()).is_none() || is_optional(instead_of) {
            let reason = format!(
                "runs in place of `{instead_of}`, which is not among the services that are always there"
            );
            return wrong(service, reason);
        }
        let mut others = stack.services.iter();
        if let Some(other) = others.find(|other| other.depends_on.contains(instead_of)) {
            let reason = format!(
                "runs in place of `{instead_of}`, which `{}` depends on",
                other.name
            );
            return wrong(service, reason);
        }
    }
    Ok(())
}

fn check_volumes(file: &str, stack: &Stack, known: &[String]) -> Result<(), StackError> {
    for service in &stack.services {
        let mounts = service.container.iter().flat_map(|container| &container.volumes);
        for VolumeMount { volume, .. } in mounts {
            if !known.contains(volume) {
                return Err(StackError::UnknownVolume {
                    file: file.to_owned(),
                    service: service.name.clone(),
                    volume: volume.clone(),
                });
            }
        }
    }
    Ok(())
}

fn check_dependencies(file: &str, stack: &Stack) -> Result<(), StackError> {
    for service in &stack.services {
        for dependency in &service.depends_on {
            if stack.service(dependency.as_str()).is_none() {
                return Err(StackError::UnknownDependency {
                    file: file.to_owned(),
                    service: service.name.clone(),
                    dependency: dependency.clone(),
                });
            }
        }
    }
    let mut finished = BTreeSet::new();
    for service in &stack.services {
        let mut path = Vec::new();
        if let Some(cycle) = find_cycle(stack, &service.name, &mut path, &mut finished) {
            return Err(StackError::Cycle {
                file: file.to_owned(),
                cycle,
            });
        }
    }
    Ok(())
}

/// Depth first: a service that is met again on the path to itself closes a circle.
fn find_cycle(
    stack: &Stack,
    name: &ServiceName,
    path: &mut Vec<ServiceName>,
    finished: &mut BTreeSet<ServiceName>,
) -> Option<Vec<ServiceName>> {
    if finished.contains(name) {
        return None;
    }
    if let Some(start) = path.iter().position(|visited| visited == name) {
        return Some(path.split_off(start));
    }
    path.push(name.clone());
    for dependency in &stack.service(name.as_str())?.depends_on {
        if let Some(cycle) = find_cycle(stack, dependency, path, finished) {
            return Some(cycle);
        }
    }
    path.pop();
    finished.insert(name.clone());
    None
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields, expecting = "a mapping with the key `services`")]
struct ComposeFile {
    #[serde(rename = "name")]
    _name: Option<String>,
    services: InOrder<ServiceName, Definition>,
    #[serde(default)]
    volumes: InOrder<String, Option<NamedVolume>>,
}

/// A named volume without options.
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct NamedVolume {}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Definition {
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

/// A folder in memory, without options.
struct TemporaryFolder(String);

impl<'de> Deserialize<'de> for TemporaryFolder {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        if text.starts_with('/') && !text.contains(':') {
            Ok(Self(text))
        } else {
            Err(D::Error::custom(format!("`{text}` is not of the form `/PATH`")))
        }
    }
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
    fn check_optional(&self, file: &str, name: &ServiceName) -> Result<(), StackError> {
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

    fn into_service(self, name: ServiceName) -> Service {
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

/// `["127.0.0.1:PUBLISHED:TARGET"]`, where the published port may be `${VARIABLE:-PORT}`. More than loopback is not
/// published from a file.
struct OnePort {
    port: PublishedPort,
    variable: Option<String>,
}

impl<'de> Deserialize<'de> for OnePort {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let [text] = <[String; 1]>::deserialize(deserializer)?;
        let wrong = || {
            D::Error::custom(format!(
                "`{text}` is not of the form `127.0.0.1:PUBLISHED:TARGET`, where PUBLISHED may be `${{VARIABLE:-PORT}}`"
            ))
        };
        let (published, target) = text
            .strip_prefix("127.0.0.1:")
            .and_then(|ports| ports.rsplit_once(':'))
            .ok_or_else(wrong)?;
        let port = |text: &str| {
            text.parse::<u16>()
                .ok()
                .filter(|port| *port != 0)
                .ok_or_else(wrong)
        };
        let template = Template::parse(published).map_err(|_| wrong())?;
        Ok(Self {
            port: PublishedPort {
                published: port(&template.fill(&|_| None))?,
                target: port(target)?,
            },
            variable: template.as_variable().map(str::to_owned),
        })
    }
}

/// `NAME:/PATH`: a named volume. Folders of this machine are not mounted from a file.
struct Mount(VolumeMount);

impl<'de> Deserialize<'de> for Mount {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let (name, target) = text
            .split_once(':')
            .filter(|(name, target)| is_volume_name(name) && target.starts_with('/') && !target.contains(':'))
            .ok_or_else(|| D::Error::custom(format!("`{text}` is not of the form `VOLUME:/PATH`")))?;
        Ok(Self(VolumeMount {
            volume: name.to_owned(),
            target: target.to_owned(),
        }))
    }
}

fn is_volume_name(name: &str) -> bool {
    name.bytes()
        .next()
        .is_some_and(|byte| byte.is_ascii_alphanumeric())
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte))
}

/// The value of an environment variable: a text, or a number as it is written.
struct Scalar(Template);

impl<'de> Deserialize<'de> for Scalar {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Value;

        impl Visitor<'_> for Value {
            type Value = Scalar;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a text or a whole number (quote `true`, `false` and fractions)")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Scalar, E> {
                Template::parse(text).map(Scalar).map_err(E::custom)
            }

            fn visit_u64<E: Error>(self, number: u64) -> Result<Scalar, E> {
                self.visit_str(&number.to_string())
            }

            fn visit_i64<E: Error>(self, number: i64) -> Result<Scalar, E> {
                self.visit_str(&number.to_string())
            }
        }

        deserializer.deserialize_any(Value)
    }
}

/// The role that a file gives a service. Files of before version 0.2 say `service`, and the probe tells which.
fn given_role<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Role>, D::Error> {
    match String::deserialize(deserializer)?.as_str() {
        "service" => Ok(None),
        name => Role::deserialize(name.into_deserializer()).map(Some),
    }
}

struct DurationText(Duration);

impl<'de> Deserialize<'de> for DurationText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        parse_duration(&text).map(Self).map_err(D::Error::custom)
    }
}

struct SizeText(u64);

impl<'de> Deserialize<'de> for SizeText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        parse_size(&text).map(Self).map_err(D::Error::custom)
    }
}

/// A size, perhaps with a variable; with the variables' defaults it must be one.
struct SizeTemplate(Template);

impl<'de> Deserialize<'de> for SizeTemplate {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let template = Template::deserialize(deserializer)?;
        parse_size(&template.fill(&|_| None)).map_err(D::Error::custom)?;
        Ok(Self(template))
    }
}

/// A mapping whose order counts, without duplicates.
struct InOrder<K, V>(Vec<(K, V)>);

impl<K, V> Default for InOrder<K, V> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<'de, K: Deserialize<'de> + PartialEq + fmt::Display, V: Deserialize<'de>> Deserialize<'de>
    for InOrder<K, V>
{
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Entries<K, V>(PhantomData<(K, V)>);

        impl<'de, K: Deserialize<'de> + PartialEq + fmt::Display, V: Deserialize<'de>> Visitor<'de>
            for Entries<K, V>
        {
            type Value = InOrder<K, V>;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a mapping")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut entries: Vec<(K, V)> = Vec::new();
                while let Some(key) = map.next_key::<K>()? {
                    if entries.iter().any(|(seen, _)| *seen == key) {
                        return Err(A::Error::custom(format!("duplicate entry `{key}`")));
                    }
                    entries.push((key, map.next_value()?));
                }
                Ok(InOrder(entries))
            }
        }

        deserializer.deserialize_map(Entries(PhantomData))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::stack::EmbeddedStack;

    fn service(name: &str, depends_on: &str) -> String {
        format!(
            "  {name}:\n    depends_on: {{{depends_on}}}\n    stop_grace_period: 1s\n    x-osqdemo: {{role: service, \
             probe: kafka, deadline: 1s, memory: 1M, native: {{command: [serve]}}}}\n"
        )
    }

    fn error(text: &str) -> String {
        parse("test.yaml", text).expect_err("a wrong file").to_string()
    }

    #[test]
    fn the_embedded_stack_is_valid() {
        let stack = Stack::lite().expect("the embedded stack");
        assert_eq!(
            stack.names(),
            "broker, schema-registry, ksqldb-server, console, host1, host2"
        );
        let port = |name: &str| {
            stack
                .service(name)
                .and_then(|service| service.port)
                .map(|port| port.published)
        };
        assert_eq!(port("broker"), Some(9092));
        assert_eq!(port("ksqldb-server"), Some(8088));
        assert_eq!(port("host1"), None);
    }

    #[test]
    fn every_container_of_the_embedded_stacks_is_confined() {
        for stack in EmbeddedStack::ALL {
            let stack = stack.services().expect("an embedded stack");
            let optional = stack.optional.into_iter().map(|(_, service)| service);
            for service in stack.services.into_iter().chain(optional) {
                let container = service.container.expect("a container");
                let confinement = container.confinement;
                assert_eq!(confinement.capabilities_dropped, ["ALL"], "{}", service.name);
                assert_eq!(confinement.privileges, Privileges::NeverGrow, "{}", service.name);
                assert!(confinement.most_processes.is_some(), "{}", service.name);
                // Java's images write their configuration at their start, and a host is there to be written on.
                let can_be_read_only = container.recipe == Some(Recipe::Platform);
                assert_eq!(
                    confinement.root == RootFolder::ReadOnly,
                    can_be_read_only,
                    "{}",
                    service.name
                );
            }
        }
    }

    #[test]
    fn what_would_loosen_a_container_is_not_understood() {
        let with =
            |line: &str| service("a", "").replace("    depends_on", &format!("    {line}\n    depends_on"));
        for (line, told) in [
            (
                "security_opt: [\"seccomp:unconfined\"]",
                "unknown variant `seccomp:unconfined`",
            ),
            ("tmpfs: [\"/x:exec\"]", "`/x:exec` is not of the form `/PATH`"),
            ("pids_limit: 0", "expected a nonzero u32"),
            ("privileged: true", "unknown field `privileged`"),
        ] {
            let message = error(&format!("services:\n{}", with(line)));
            assert!(message.contains(told), "{message}");
        }
    }

    #[test]
    fn the_embedded_confluent_stack_is_valid() {
        let stack = Stack::confluent().expect("the embedded stack");
        assert_eq!(
            stack.names(),
            "zookeeper, broker, schema-registry, ksqldb-server, control-center, host1, host2"
        );
        let ports: Vec<u16> = stack
            .services
            .iter()
            .filter_map(|service| Some(service.port?.published))
            .collect();
        assert_eq!(ports, [2181, 9092, 8081, 8088, 9021]);
        assert!(!stack.is_native());
        assert!(Stack::lite().expect("the other one").is_native());
    }

    #[test]
    fn the_images_of_the_embedded_stack_have_the_version_as_their_tag() {
        let stack = Stack::lite().expect("the embedded stack");
        for service in stack.services {
            let container = service.container.expect("a container");
            let image = container.image.fill(&|_| None);
            let tag = image.rsplit_once(':').map(|(_, tag)| tag);
            assert_eq!(tag, Some(env!("CARGO_PKG_VERSION")), "{image}");
        }
    }

    #[test]
    fn nothing_of_the_embedded_confluent_stack_reports_to_its_vendor() {
        let stack = Stack::confluent().expect("the embedded stack");
        for (name, switches) in [
            (
                "broker",
                &[
                    "KAFKA_CONFLUENT_TELEMETRY_ENABLED",
                    "KAFKA_CONFLUENT_SUPPORT_METRICS_ENABLE",
                ][..],
            ),
            ("ksqldb-server", &["KSQL_CONFLUENT_SUPPORT_METRICS_ENABLE"]),
            (
                "control-center",
                &[
                    "CONTROL_CENTER_USAGE_DATA_COLLECTION_ENABLE",
                    "CONTROL_CENTER_UI_AUTOUPDATE_ENABLE",
                ],
            ),
        ] {
            let container = stack.service(name).and_then(|service| service.container.as_ref());
            let environment = &container.expect("a container").environment;
            for switch in switches {
                let value = environment.iter().find(|(name, _)| name == switch);
                let (_, value) = value.unwrap_or_else(|| panic!("{name}: `{switch}` is not set"));
                assert_eq!(value.fill(&|_| None), "false", "{name}: {switch}");
            }
        }
    }

    #[test]
    fn what_only_containers_need_is_checked_too() {
        let with = |line: &str| format!("services:\n{}    {line}\n", service("a", ""));
        let message = error(&with("volumes: [\"/etc:/etc\"]"));
        assert!(
            message.contains("`/etc:/etc` is not of the form `VOLUME:/PATH`"),
            "{message}"
        );
        assert_eq!(
            error(&with("image: x\n    volumes: [\"data:/data\"]")),
            "`test.yaml`: service `a` mounts `data`, which is not among the volumes of the file"
        );
        let message = error(&with("environment: {A: true}"));
        assert!(message.contains("expected a text or a whole number"), "{message}");
        let message = error(&with("command: [\"${\"]"));
        assert!(
            message.contains("has a variable that is not of the form"),
            "{message}"
        );
        let message = error(&with("ports: [\"0.0.0.0:1:1\"]"));
        assert!(
            message.contains("is not of the form `127.0.0.1:PUBLISHED:TARGET`"),
            "{message}"
        );
    }

    #[test]
    fn an_unknown_field_is_refused_with_its_line() {
        let text = "services:\n  a:\n    imagee: x\n";
        let message = error(text);
        assert!(message.contains("unknown field `imagee`"), "{message}");
        assert!(message.contains("line 3 column 5"), "{message}");
    }

    #[test]
    fn a_text_that_is_no_mapping_is_not_told_in_full() {
        assert_eq!(
            error("just a note\n"),
            "`test.yaml` is not a stack file: invalid type: string \"just a note\", expected a mapping with the key \
             `services`"
        );
        let message = error(&"über allen Gipfeln ist Ruh\n".repeat(1000));
        assert!(message.chars().count() < 300, "{message}");
        assert!(message.contains("invalid type: string \"über allen"), "{message}");
        let expected = "expected a mapping with the key `services`";
        assert!(message.ends_with(expected), "{message}");
        let message = error(&format!("services:\n  a: \"{}\"\n", "x".repeat(1000)));
        assert!(message.chars().count() < 300, "{message}");
        assert!(message.ends_with("at line 2 column 6"), "{message}");
    }

    #[test]
    fn a_wrong_value_is_refused_with_its_line() {
        let text = format!(
            "services:\n{}",
            service("a", "").replace("deadline: 1s", "deadline: soon")
        );
        let message = error(&text);
        assert!(message.contains("`soon` is not a duration"), "{message}");
        assert!(message.contains("line 5"), "{message}");
    }

    #[test]
    fn the_role_is_what_the_file_says_else_what_the_probe_tells() {
        let role = |role: &str| {
            let text = format!("services:\n{}", service("a", "").replace("role: service, ", role));
            parse("test.yaml", &text).map(|stack| stack.services[0].role)
        };
        assert_eq!(role("").expect("a stack"), Role::Broker);
        assert_eq!(role("role: service, ").expect("a stack"), Role::Broker);
        assert_eq!(role("role: connect, ").expect("a stack"), Role::Connect);
        let message = role("role: boss, ").expect_err("no role").to_string();
        assert!(
            message.contains("unknown variant `boss`, expected one of `broker`, `ksqldb`"),
            "{message}"
        );
    }

    #[test]
    fn a_missing_dependency_is_named() {
        let text = format!("services:\n{}", service("a", "b: {condition: service_healthy}"));
        assert_eq!(
            error(&text),
            "`test.yaml`: service `a` depends on `b`, which is not in the stack"
        );
    }

    #[test]
    fn a_circle_is_named() {
        let on = |name: &str| format!("{name}: {{condition: service_healthy}}");
        let text = format!(
            "services:\n{}{}{}",
            service("a", &on("b")),
            service("b", &on("c")),
            service("c", &on("b"))
        );
        assert_eq!(
            error(&text),
            "`test.yaml`: services depend on each other in a circle: `b` → `c` → `b`"
        );
    }

    #[test]
    fn a_stack_is_whole_without_its_optional_services() {
        let optional = |more: &str| service("b", "").replace("memory: 1M", &format!("memory: 1M{more}"));
        let on = |name: &str| service("a", &format!("{name}: {{condition: service_healthy}}"));
        let cases = [
            (
                format!("{}{}", on("b"), optional(", optional: true")),
                "`test.yaml`: service `a` depends on `b`, which is optional",
            ),
            (
                optional(", instead_of: a"),
                "`test.yaml`: service `b` has `instead_of` without `optional: true`",
            ),
            (
                service("b", "").replace("    depends_on", "    profiles: [b]\n    depends_on"),
                "`test.yaml`: service `b` has `profiles`, and `x-osqdemo` does not say `optional: true`",
            ),
            (
                optional(", optional: true, instead_of: c"),
                "`test.yaml`: service `b` runs in place of `c`, which is not among the services that are always there",
            ),
            (
                format!(
                    "{}{}{}",
                    on("c"),
                    service("c", ""),
                    optional(", optional: true, instead_of: c")
                ),
                "`test.yaml`: service `b` runs in place of `c`, which `a` depends on",
            ),
        ];
        for (services, told) in cases {
            assert_eq!(error(&format!("services:\n{services}")), told);
        }
    }

    #[test]
    fn a_service_given_twice_is_refused() {
        let text = format!("services:\n{}{}", service("a", ""), service("a", ""));
        assert!(error(&text).contains("duplicate entry `a`"));
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in "(services:\n)?(  [a-z]:[ {}a-z0-9:\n-]{0,80})*") {
            let _ = parse("test.yaml", &text);
        }
    }
}
