//! Which services there are: names, ports, probes, order. Pure data; knows nothing of where they run.

mod change;
mod cluster;
mod compose;
pub mod container;
mod embedded;
mod heap;
#[cfg(test)]
mod image_environment;
mod kafka;
mod named;
mod optional;
pub mod project;
mod role;
mod template;
mod without;

use std::fmt;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use change::Change;
pub use cluster::{Cluster, Credentials, HttpService, Properties};
pub use compose::StackError;
pub use container::{
    ConfigFile, Confinement, Container, ImageRef, InitProcess, Privileges, Recipe, RootFolder, VolumeMount,
};
pub use embedded::{EmbeddedStack, UnknownStack};
pub use heap::Heap;
pub use kafka::{InvalidKafkaAddress, KafkaAddress};
pub use named::NoService;
pub use optional::{Absence, Optional, WithError};
pub use role::{Probe, Role};
pub use template::Template;
pub use without::WithoutError;

/// The name of a service, such as `broker` or `host2`: also its DNS name between containers.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct ServiceName(String);

impl ServiceName {
    /// A name that is already known to be valid.
    pub fn new(name: impl Into<String>) -> Self {
        Self(name.into())
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ServiceName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// Where the clients on this machine find a running stack.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoints {
    /// The broker for clients on this machine, such as `127.0.0.1:9092`.
    pub kafka: Cluster,
    /// The ksqlDB server, such as `http://127.0.0.1:8088`.
    pub ksqldb: HttpService,
    /// The Schema Registry, where there is one.
    pub registry: Option<HttpService>,
}

/// A named set of services, checked: every dependency exists and there is no cycle.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stack {
    /// The services in the order of the file, which is the order they are shown in.
    pub services: Vec<Service>,
    /// The services of the file that the user left out, or asked for others in place of.
    pub left_out: Vec<Service>,
    /// The services of the file that nobody asked for, each with its place in the file.
    pub optional: Vec<(usize, Service)>,
    /// The Kafka that it runs on in place of its own broker.
    pub kafka: Option<KafkaAddress>,
    /// The names of all services, in the order of the file.
    order: Vec<ServiceName>,
}

/// One service of a stack.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Service {
    /// Its name.
    pub name: ServiceName,
    /// What it is in the demo.
    pub role: Role,
    /// How its health is asked.
    pub probe: Probe,
    /// The host name, where it is not the service's name.
    pub hostname: Option<String>,
    /// Where clients on this machine reach it.
    pub port: Option<PublishedPort>,
    /// The variable that stands for the published port everywhere in the file.
    pub port_variable: Option<String>,
    /// The services that must be healthy before it starts.
    pub depends_on: Vec<ServiceName>,
    /// How long one start may take until it is healthy.
    pub deadline: Duration,
    /// How long it may take to end when asked to.
    pub stop_grace: Duration,
    /// The memory it needs, in bytes.
    pub memory: u64,
    /// Whether it starts only when it is asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub optional: Option<Optional>,
    /// Its Java heap, which is sized to the machine.
    pub heap: Option<Heap>,
    /// The arguments of `osqdemo` that run it as a process, with placeholders; none where it runs as a container only.
    pub native_command: Option<Vec<String>>,
    /// How it runs as a container.
    pub container: Option<Container>,
}

/// A port that clients on this machine use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct PublishedPort {
    /// The port on this machine unless another is chosen.
    pub published: u16,
    /// The port inside a container.
    pub target: u16,
}

impl Service {
    /// Its name as a machine, which a host's records carry.
    pub fn machine_name(&self) -> String {
        let own = self.hostname.clone();
        own.unwrap_or_else(|| self.name.to_string())
    }
}

impl Stack {
    /// The embedded stack `lite`.
    ///
    /// # Errors
    /// When the embedded file is wrong, which a test rules out.
    pub fn lite() -> Result<Self, StackError> {
        compose::parse("compose/lite.yaml", include_str!("../../compose/lite.yaml"))
    }

    /// The embedded stack `confluent`.
    ///
    /// # Errors
    /// When the embedded file is wrong, which a test rules out.
    pub fn confluent() -> Result<Self, StackError> {
        compose::parse(
            "compose/confluent.yaml",
            include_str!("../../compose/confluent.yaml"),
        )
    }

    /// The embedded stack `confluent-8`.
    ///
    /// # Errors
    /// When the embedded file is wrong, which a test rules out.
    pub fn confluent_8() -> Result<Self, StackError> {
        compose::parse(
            "compose/confluent-8.yaml",
            include_str!("../../compose/confluent-8.yaml"),
        )
    }

    /// The embedded stack `kafka`.
    ///
    /// # Errors
    /// When the embedded file is wrong, which a test rules out.
    pub fn kafka() -> Result<Self, StackError> {
        compose::parse("compose/kafka.yaml", include_str!("../../compose/kafka.yaml"))
    }

    /// The embedded stack `cloud`.
    ///
    /// # Errors
    /// When the embedded file is wrong, which a test rules out.
    pub fn cloud() -> Result<Self, StackError> {
        compose::parse("compose/cloud.yaml", include_str!("../../compose/cloud.yaml"))
    }

    /// Whether every service can run as a process.
    pub fn is_native(&self) -> bool {
        self.services
            .iter()
            .all(|service| service.native_command.is_some())
    }

    /// A stack from the text of a Compose file; `file` is its name in errors.
    ///
    /// # Errors
    /// When the text is not a Compose file of the documented subset.
    pub fn parse(file: &str, text: &str) -> Result<Self, StackError> {
        compose::parse(file, text)
    }

    /// The service of that name.
    pub fn service(&self, name: &str) -> Option<&Service> {
        self.services.iter().find(|service| service.name.as_str() == name)
    }

    /// The names of all services, for messages.
    pub fn names(&self) -> String {
        let names: Vec<&str> = self
            .services
            .iter()
            .map(|service| service.name.as_str())
            .collect();
        names.join(", ")
    }
}
