//! Names of the project's own on a Kafka outside of the stack: what keeps the ksqlDB server and the Schema Registry apart
//! from those that others run there, whose command topic and schemas they would take for theirs.

use std::path::Path;

use crate::plan::{Choices, ClientCopy};
use crate::stack::{Role, Service, Stack};

/// How the arguments of our broker begin.
const BROKER: [&str; 2] = ["serve", "broker"];

/// How the arguments of our ksqlDB server begin.
const KSQLDB: [&str; 2] = ["serve", "ksqldb"];

/// How the arguments of our Schema Registry begin.
const SCHEMA_REGISTRY: [&str; 2] = ["serve", "schema-registry"];

/// A setting of a service, as an argument of our program and as a variable of Confluent's image.
struct OwnName {
    /// The arguments that our program begins with, and its option; none where it has no such setting.
    argument: Option<([&'static str; 2], &'static str)>,
    variable: &'static str,
    value: String,
}

/// The names of a service; none on the stack's own broker, where nobody else is.
fn own_names(service: &Service, stack: &Stack, choices: &Choices<'_>) -> Vec<OwnName> {
    if stack.kafka.is_none() {
        return Vec::new();
    }
    let project = choices.folder.file_name().unwrap_or_default().to_string_lossy();
    match service.role {
        Role::Ksqldb => vec![OwnName {
            argument: Some((KSQLDB, "--service-id")),
            variable: "KSQL_KSQL_SERVICE_ID",
            value: format!("osqdemo_{project}_"),
        }],
        Role::SchemaRegistry => vec![
            OwnName {
                argument: Some((SCHEMA_REGISTRY, "--topic")),
                variable: "SCHEMA_REGISTRY_KAFKASTORE_TOPIC",
                value: format!("_schemas_osqdemo_{project}"),
            },
            OwnName {
                argument: None,
                variable: "SCHEMA_REGISTRY_SCHEMA_REGISTRY_GROUP_ID",
                value: format!("schema-registry-osqdemo_{project}"),
            },
        ],
        _ => Vec::new(),
    }
}

/// Adds them to the arguments of our program, where that runs, and the stack file does not say another one.
pub(super) fn add_arguments(
    arguments: &mut Vec<String>,
    service: &Service,
    stack: &Stack,
    choices: &Choices<'_>,
) {
    for name in own_names(service, stack, choices) {
        let Some((program, option)) = name.argument else {
            continue;
        };
        let is_said = arguments.iter().any(|said| said.starts_with(option));
        if arguments.starts_with(&program.map(str::to_owned)) && !is_said {
            arguments.push(format!("{option}={}", name.value));
        }
    }
}

/// Adds the client properties in that file to the arguments of our program, where it is a client of Kafka. Says whether it
/// is.
pub(super) fn add_client_properties(arguments: &mut Vec<String>, service: &Service, file: &Path) -> bool {
    let is_client = matches!(service.role, Role::Ksqldb | Role::SchemaRegistry | Role::Console)
        && arguments.first().is_some_and(|first| first == "serve");
    if is_client {
        arguments.push(format!("--kafka-config={}", file.display()));
    }
    is_client
}

/// Adds what our own broker is told of a listener for other machines; the first broker has it.
pub(super) fn add_broker_config<'a>(
    arguments: &mut Vec<String>,
    service: &Service,
    stack: &Stack,
    choices: &'a Choices<'_>,
) -> Option<&'a ClientCopy> {
    let listener = choices.listener.as_ref()?;
    let is_first = stack
        .first(Role::Broker)
        .is_some_and(|first| first.name == service.name);
    let is_said = arguments.iter().any(|said| said.starts_with("--broker-config"));
    if !is_first || !arguments.starts_with(&BROKER.map(str::to_owned)) || is_said {
        return None;
    }
    arguments.push(format!("--broker-config={}", listener.file.display()));
    Some(listener)
}

/// Adds them to the variables of an image that our program does not run in.
pub(super) fn add_variables(
    environment: &mut Vec<(String, String)>,
    command: &[String],
    service: &Service,
    stack: &Stack,
    choices: &Choices<'_>,
) {
    if command.first().is_some_and(|first| first == "serve") {
        return;
    }
    for name in own_names(service, stack, choices) {
        environment.retain(|(variable, _)| variable != name.variable);
        environment.push((name.variable.to_owned(), name.value));
    }
}
