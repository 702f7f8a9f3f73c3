//! From a stack and the user's choices to what is wanted: every service with its port, its arguments and the
//! hash that tells one definition from another. Pure: free ports and program identities are handed in. What goes into the
//! hash stands beside what it is made of, so that nothing is forgotten there.

mod container;
mod error;

use serde_json::json;
use sha2::{Digest, Sha256};

pub use error::ResolveError;

use crate::plan::own_names;
use crate::plan::spec::{Choices, Reach, ServiceSpec};
use crate::stack::{Role, Service, ServiceName, Stack};

/// Where brokers listen for the other containers.
const PORT_BETWEEN_CONTAINERS: u16 = 29092;

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
    if let Some(client) = &choices.client {
        own_names::add_client_properties(&mut arguments, service, &client.file);
    }
    let listener = own_names::add_broker_config(&mut arguments, service, stack, choices);
    let identity = (choices.identity)(service.role);
    let container = service
        .container
        .as_ref()
        .map(|container| container::resolve(container, service, stack, choices))
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
        clock: None,
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
