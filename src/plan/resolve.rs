//! From a stack and the user's choices to what is wanted: every service with its port, its arguments and the
//! hash that tells one definition from another. Pure: free ports and program identities are handed in. What goes into the
//! hash stands beside what it is made of, so that nothing is forgotten there.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Serialize;
use serde_json::json;
use sha2::{Digest, Sha256};

use crate::error::Diagnose;
use crate::exit_code::ExitCode;
use crate::plan::own_names;
use crate::quantity::parse_size;
use crate::stack::{
    Confinement, Container, ImageRef, InitProcess, Probe, Recipe, Role, Service, ServiceName, Stack,
    Template, VolumeMount,
};

/// What the user and the machine decide about a stack.
pub struct Choices<'a> {
    /// The port of every service that publishes one.
    pub ports: &'a BTreeMap<ServiceName, u16>,
    /// The project's folder.
    pub folder: &'a Path,
    /// What identifies the programs and files that a role runs as processes: part of the hash.
    pub identity: &'a dyn Fn(Role) -> String,
    /// The values of the stack file's variables, besides those that stand for published ports.
    pub variables: &'a BTreeMap<String, String>,
    /// What identifies the content of an image that is made from this repository.
    pub image_content: &'a dyn Fn(Recipe) -> String,
    /// The image with the programs of those that are made from this repository, where they are compiled.
    pub programs: Option<&'a ProgramsImage>,
    /// What identifies the configuration of the user's that the hosts get; none with the default one.
    pub host_config: Option<String>,
    /// How a Kafka outside of the stack is reached, where that takes more than its address.
    pub client: Option<ClientCopy>,
    /// What our own broker is told of a listener for other machines.
    pub listener: Option<ClientCopy>,
    /// From where the hosts reach the broker.
    pub reach: Reach,
}

/// The project's own copy of client properties, or of its broker's configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientCopy {
    /// Where it is.
    pub file: PathBuf,
    /// What identifies what it says: part of the hash.
    pub identity: String,
}

/// An image that holds compiled programs, which other images take from it: it has to be there before they are made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProgramsImage {
    /// Its name.
    pub image: ImageRef,
    /// What identifies the content that it should have.
    pub content: String,
}

/// From where a host reaches the broker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// From this machine, at the published port.
    Loopback,
    /// From the network between the containers, by the broker's name.
    Network,
}

/// A service as it should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceSpec {
    /// Its name.
    pub name: ServiceName,
    /// What it is in the demo.
    pub role: Role,
    /// Its name as a machine, which a host's records carry.
    pub hostname: String,
    /// How its health is asked.
    pub probe: Probe,
    /// Where its health is asked from this machine: its own address, or that of the broker that its lines go to.
    pub probe_address: String,
    /// The port for clients on this machine.
    pub port: Option<u16>,
    /// Where it finds its broker, where it is a host.
    pub bootstrap_servers: Option<String>,
    /// The arguments of `osqdemo` that run it as a process.
    pub arguments: Vec<String>,
    /// The services that must be healthy before it starts.
    pub depends_on: Vec<ServiceName>,
    /// How long one start may take until it is healthy.
    pub deadline: Duration,
    /// How long it may take to end when asked to.
    pub stop_grace: Duration,
    /// Tells this definition from any other one.
    pub config_hash: String,
    /// Tells the configuration of the user's that it gets, where it is a host. Not part of the definition: a changed
    /// configuration is a cause of its own.
    pub host_config: Option<String>,
    /// How it runs as a container.
    pub container: Option<ContainerSpec>,
}

/// How a service runs as a container: everything filled in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ContainerSpec {
    /// The image.
    pub image: ImageRef,
    /// How the image is made from this repository; without one, it comes from a registry.
    pub recipe: Option<Recipe>,
    /// What identifies the content that the image should have, where it is made here. Not part of the
    /// definition: a changed image is a cause of its own.
    #[serde(skip)]
    pub image_content: Option<String>,
    /// The image that the programs in it are taken from, where they are compiled for it. Its content is part of the
    /// image's own.
    #[serde(skip)]
    pub programs: Option<ProgramsImage>,
    /// Its host name.
    pub hostname: String,
    /// The program, where it is not the image's.
    pub entrypoint: Option<Vec<String>>,
    /// The arguments of the program; those of the image when empty.
    pub command: Vec<String>,
    /// Environment variables, in the order of the file.
    pub environment: Vec<(String, String)>,
    /// The port inside the container.
    pub target_port: Option<u16>,
    /// What outlives the container.
    pub volumes: Vec<VolumeMount>,
    /// The most memory it may use, in bytes.
    pub memory_limit: Option<u64>,
    /// What it may do beyond what containers usually may.
    pub capabilities: Vec<String>,
    /// What it may not do that containers usually may.
    pub confinement: Confinement,
    /// Who is process 1.
    pub init: InitProcess,
}

/// Where brokers listen for the other containers.
const PORT_BETWEEN_CONTAINERS: u16 = 29092;

/// Why a stack cannot be resolved.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum ResolveError {
    /// A host without a broker.
    #[error("service `{service}` is a host, and the stack has no broker for what it sees")]
    NoBroker {
        /// The host.
        service: ServiceName,
    },
    /// Nobody can ask for its health.
    #[error("the health of service `{service}` cannot be asked: service `{asked}` publishes no port")]
    NoPort {
        /// The service.
        service: ServiceName,
        /// The service that is asked about it: itself, or its broker.
        asked: ServiceName,
    },
    /// The stack file contradicts itself.
    #[error("service `{service}` has the role `{}`, and the probe `{}` tells nothing of that", role.as_str(), probe.as_str())]
    Contradiction {
        /// The service.
        service: ServiceName,
        /// Its role.
        role: Role,
        /// Its probe.
        probe: Probe,
    },
    /// The stack file names something that does not exist.
    #[error("service `{service}`: unknown placeholder `{{{placeholder}}}` in its command")]
    UnknownPlaceholder {
        /// The service.
        service: ServiceName,
        /// The name between the braces.
        placeholder: String,
    },
    /// A variable of the environment makes a size into something else.
    #[error(
        "service `{service}`: its memory limit `{template}` is `{text}`, which is not a size such as `512m` or `2g`"
    )]
    MemoryLimit {
        /// The service.
        service: ServiceName,
        /// What the stack file says.
        template: String,
        /// What it comes to.
        text: String,
    },
}

impl Diagnose for ResolveError {
    fn exit_code(&self) -> ExitCode {
        ExitCode::Usage
    }

    fn hints(&self) -> Vec<String> {
        match self {
            Self::NoBroker { .. } => {
                vec![
                    "name a Kafka that is already there with `--kafka HOST:PORT` or `--kafka-config FILE`; or add a service \
                     with the probe `kafka` to the stack file, or leave the hosts out"
                        .to_owned(),
                ]
            }
            Self::NoPort { asked, .. } => {
                vec![format!(
                    "give `{asked}` a line such as `ports: [\"127.0.0.1:9092:9092\"]` in the stack file"
                )]
            }
            Self::Contradiction { role, .. } => {
                let mut probes = Probe::ALL.into_iter().filter(|probe| probe.tells_of(*role));
                let probe = probes.next().map(Probe::as_str);
                probe
                    .map(|probe| format!("a service with that role has the probe `{probe}`"))
                    .into_iter()
                    .collect()
            }
            Self::UnknownPlaceholder { placeholder, .. } if placeholder == Role::Broker.as_str() => vec![
                "the stack has no service `broker`: `--kafka HOST:PORT` names a Kafka that is already there"
                    .to_owned(),
            ],
            Self::UnknownPlaceholder { .. } | Self::MemoryLimit { .. } => Vec::new(),
        }
    }
}

/// Resolves a stack; the services come in an order in which dependencies come first.
///
/// # Errors
/// When the stack file contradicts itself, or leaves out what has to be known of a service.
pub fn resolve(stack: &Stack, choices: &Choices<'_>) -> Result<Vec<ServiceSpec>, ResolveError> {
    in_dependency_order(stack)
        .into_iter()
        .map(|service| resolve_service(service, stack, choices))
        .collect()
}

fn resolve_service(
    service: &Service,
    stack: &Stack,
    choices: &Choices<'_>,
) -> Result<ServiceSpec, ResolveError> {
    let port = choices.ports.get(&service.name).copied();
    let broker = broker_of(service, stack)?;
    check_probe(service)?;
    let kafka = stack.kafka.as_ref().filter(|_| service.role == Role::Host);
    let probe_address = match kafka {
        Some(kafka) => kafka.to_string(),
        None => format!("127.0.0.1:{}", probe_port(service, broker, choices)?),
    };
    let bootstrap_servers = match (kafka, broker, choices.reach) {
        (Some(kafka), ..) => Some(kafka.to_string()),
        (None, Some(_), Reach::Loopback) => Some(probe_address.clone()),
        (None, Some(broker), Reach::Network) => Some(format!("{}:{PORT_BETWEEN_CONTAINERS}", broker.name)),
        (None, None, _) => None,
    };
    let mut arguments = service
        .native_command
        .iter()
        .flatten()
        .filter_map(|argument| fill_in(argument, service, stack, choices).transpose())
        .collect::<Result<Vec<_>, _>>()?;
    own_names::add_arguments(&mut arguments, service, stack, choices);
    own_names::add_client_properties(&mut arguments, service, choices);
    let listener = own_names::add_broker_config(&mut arguments, service, choices);
    let identity = (choices.identity)(service.role);
    let container = service
        .container
        .as_ref()
        .map(|container| resolve_container(container, service, stack, choices))
        .transpose()?;
    let mut definition = json!({
        "service": service,
        "port": port,
        "arguments": arguments,
        "identity": identity,
        "container": container,
        "broker": bootstrap_servers,
        // Who talks to a service is told its address, and has to be told again when that changes.
        "dependencies": service
            .depends_on
            .iter()
            .map(|dependency| (dependency.as_str(), choices.ports.get(dependency)))
            .collect::<Vec<_>>(),
    });
    // Not where there is none: what was up before there was this choice is as it should be.
    if let Some(client) = &choices.client {
        definition["client"] = json!(client.identity);
    }
    if let Some(listener) = listener {
        definition["listener"] = json!(listener.identity);
    }
    let config_hash = Sha256::digest(definition.to_string())
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    Ok(ServiceSpec {
        name: service.name.clone(),
        role: service.role,
        hostname: service.machine_name(),
        probe: service.probe,
        probe_address,
        port,
        bootstrap_servers,
        arguments,
        depends_on: service.depends_on.clone(),
        deadline: service.deadline,
        stop_grace: service.stop_grace,
        config_hash,
        host_config: choices.host_config.clone().filter(|_| service.role == Role::Host),
        container,
    })
}

/// The broker of a host; other services have their own ways to theirs.
fn broker_of<'a>(service: &Service, stack: &'a Stack) -> Result<Option<&'a Service>, ResolveError> {
    if service.role != Role::Host || stack.kafka.is_some() {
        return Ok(None);
    }
    match stack.broker_of(service) {
        Some(broker) => Ok(Some(broker)),
        None => Err(ResolveError::NoBroker {
            service: service.name.clone(),
        }),
    }
}

/// A probe must tell of the role.
fn check_probe(service: &Service) -> Result<(), ResolveError> {
    let Service { role, probe, .. } = *service;
    if probe.tells_of(role) {
        return Ok(());
    }
    Err(ResolveError::Contradiction {
        service: service.name.clone(),
        role,
        probe,
    })
}

/// Where the health of a service is asked: a host's at its broker.
fn probe_port(
    service: &Service,
    broker: Option<&Service>,
    choices: &Choices<'_>,
) -> Result<u16, ResolveError> {
    let asked = broker.unwrap_or(service);
    let chosen = choices.ports.get(&asked.name).copied();
    chosen
        .or(asked.port.map(|port| port.published))
        .ok_or_else(|| ResolveError::NoPort {
            service: service.name.clone(),
            asked: asked.name.clone(),
        })
}

fn resolve_container(
    container: &Container,
    service: &Service,
    stack: &Stack,
    choices: &Choices<'_>,
) -> Result<ContainerSpec, ResolveError> {
    let value_of = |name: &str| {
        if is_url_of_absent(name, stack) {
            return Some(String::new());
        }
        let published = stack
            .services
            .iter()
            .find(|service| service.port_variable.as_deref() == Some(name))
            .and_then(|service| choices.ports.get(&service.name));
        match published {
            Some(port) => Some(port.to_string()),
            None => choices.variables.get(name).cloned(),
        }
    };
    let fill = |templates: &[Template]| -> Vec<String> {
        templates
            .iter()
            .map(|template| with_kafka(template.fill(&value_of), stack))
            .collect()
    };
    let memory_limit = container.memory_limit.as_ref().map(|template| {
        let text = template.fill(&value_of);
        parse_size(&text).map_err(|_| ResolveError::MemoryLimit {
            service: service.name.clone(),
            template: template.to_string(),
            text,
        })
    });
    let mut command = fill(&container.command);
    own_names::add_arguments(&mut command, service, stack, choices);
    let mut environment: Vec<(String, String)> = container
        .environment
        .iter()
        // A variable with the address of a service that is not there is left out, as an argument is.
        .filter(|(_, value)| {
            let is_absent = value
                .as_variable()
                .is_some_and(|name| is_url_of_absent(name, stack));
            !is_absent
        })
        .map(|(name, value)| (name.clone(), with_kafka(value.fill(&value_of), stack)))
        .collect();
    own_names::add_variables(&mut environment, &command, service, stack, choices);
    Ok(ContainerSpec {
        image: ImageRef::new(container.image.fill(&value_of)),
        recipe: container.recipe,
        image_content: container.recipe.map(choices.image_content),
        programs: container.recipe.and(choices.programs.cloned()),
        hostname: service.machine_name(),
        entrypoint: container.entrypoint.as_deref().map(fill),
        command,
        environment,
        target_port: service.port.map(|port| port.target),
        volumes: container.volumes.clone(),
        memory_limit: memory_limit.transpose()?,
        capabilities: container.capabilities.clone(),
        confinement: container.confinement.clone(),
        init: container.init,
    })
}

/// A text of a container with the address of an outside Kafka where that of the stack's broker stood.
fn with_kafka(text: String, stack: &Stack) -> String {
    let Some(kafka) = &stack.kafka else {
        return text;
    };
    let replaced = stack.replaced_brokers().map(|broker| broker.name.as_str());
    // A file without a broker names it as the others do.
    let usual = Role::Broker.as_str();
    let missing = stack.kafka_for(usual).map(|_| usual);
    let names: BTreeSet<&str> = replaced.chain(missing).collect();
    names.into_iter().fold(text, |text, broker| {
        let address = format!("{broker}:{PORT_BETWEEN_CONTAINERS}");
        text.replace(&address, kafka.as_str())
    })
}

/// Whether that variable is the address of a service that is not there: `SCHEMA_REGISTRY_URL` of `schema-registry`.
fn is_url_of_absent(variable: &str, stack: &Stack) -> bool {
    let service = variable
        .strip_suffix("_URL")
        .map(|name| name.replace('_', "-").to_lowercase());
    service.is_some_and(|service| stack.absence(&ServiceName::new(service)).is_some())
}

/// Replaces the placeholders of one argument; nothing for one about a service that was left out.
fn fill_in(
    argument: &str,
    service: &Service,
    stack: &Stack,
    choices: &Choices<'_>,
) -> Result<Option<String>, ResolveError> {
    let mut filled = String::new();
    let mut rest = argument;
    while let Some((before, after)) = rest.split_once('{') {
        filled.push_str(before);
        let (placeholder, after) = after.split_once('}').unwrap_or((after, ""));
        if let Some(kafka) = stack.kafka_for(placeholder) {
            filled.push_str(kafka.as_str());
            rest = after;
            continue;
        }
        if stack.absence(&ServiceName::new(placeholder)).is_some() {
            return Ok(None);
        }
        let port_of = |name: &str| {
            stack
                .service(name)
                .and_then(|service| choices.ports.get(&service.name))
                .copied()
        };
        let value = match placeholder {
            "data" => Some(
                choices
                    .folder
                    .join("data")
                    .join(service.name.as_str())
                    .display()
                    .to_string(),
            ),
            "spec" => Some(
                choices
                    .folder
                    .join("hosts")
                    .join(service.name.as_str())
                    .join("init.json")
                    .display()
                    .to_string(),
            ),
            "port" => port_of(service.name.as_str()).map(|port| port.to_string()),
            other => port_of(other).map(|port| format!("127.0.0.1:{port}")),
        };
        filled.push_str(&value.ok_or_else(|| ResolveError::UnknownPlaceholder {
            service: service.name.clone(),
            placeholder: placeholder.to_owned(),
        })?);
        rest = after;
    }
    filled.push_str(rest);
    Ok(Some(filled))
}

/// The services so that dependencies come first, otherwise in the order of the file. A stack has no cycle.
fn in_dependency_order(stack: &Stack) -> Vec<&Service> {
    let mut ordered: Vec<&Service> = Vec::new();
    while ordered.len() < stack.services.len() {
        let is_placed = |name: &ServiceName| ordered.iter().any(|service| service.name == *name);
        let ready: Vec<&Service> = stack
            .services
            .iter()
            .filter(|service| !is_placed(&service.name) && service.depends_on.iter().all(is_placed))
            .collect();
        if ready.is_empty() {
            break;
        }
        ordered.extend(ready);
    }
    ordered
}
