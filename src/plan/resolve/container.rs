//! A service as a container: its images, arguments and variables filled in.

use std::collections::BTreeSet;
use std::path::Path;

use super::{PORT_BETWEEN_CONTAINERS, ResolveError};
use crate::client_properties::portable;
use crate::plan::own_names;
use crate::plan::spec::{CLIENT_FOLDER, Choices, ConfigFileSpec, ContainerSpec};
use crate::quantity::parse_size;
use crate::stack::{Container, ImageRef, Role, Service, ServiceName, Stack, Template, VolumeMount};

/// What the volume with a service's client properties is called, before its name. Each has its own, so that none is written
/// anew under another that reads.
const CLIENT_VOLUME: &str = "client-properties";

pub(super) fn resolve(
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
    let mut volumes = container.volumes.clone();
    let file = Path::new(CLIENT_FOLDER).join(portable::FILE);
    if choices.client.is_some() && own_names::add_client_properties(&mut command, service, &file) {
        // The rest of it cannot be written: a volume takes the file, before the program starts.
        volumes.push(VolumeMount {
            volume: format!("{CLIENT_VOLUME}-{}", service.name),
            target: CLIENT_FOLDER.to_owned(),
        });
    }
    let mut environment: Vec<(String, String)> = stack
        .environment_of(service, container)
        .into_iter()
        // A variable with the address of a service that is not there is left out, as an argument is.
        .filter(|(_, value)| {
            let is_absent = value
                .as_variable()
                .is_some_and(|name| is_url_of_absent(name, stack));
            !is_absent
        })
        .map(|(name, value)| (name.to_owned(), with_kafka(value.fill(&value_of), stack)))
        .collect();
    let configs = container.configs.iter().map(|config| ConfigFileSpec {
        target: config.target.clone(),
        user: config.user,
        mode: config.mode,
        content: config.content.fill(&value_of),
    });
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
        volumes,
        configs: configs.collect(),
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
