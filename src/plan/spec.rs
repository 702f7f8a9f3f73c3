//! What is chosen for a stack, and what is wanted of each service by that.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Serialize;

use crate::stack::{Confinement, ImageRef, InitProcess, Probe, Recipe, Role, ServiceName, VolumeMount};

/// Where a container finds the client properties, and the files that they name.
pub const CLIENT_FOLDER: &str = "/etc/osqdemo-client";

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
    /// The file that its clock is wrong by, where it runs as a process and somebody is to step it.
    pub clock: Option<PathBuf>,
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
    /// The files that are put into those before it starts.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub configs: Vec<ConfigFileSpec>,
    /// The most memory it may use, in bytes.
    pub memory_limit: Option<u64>,
    /// What it may do beyond what containers usually may.
    pub capabilities: Vec<String>,
    /// What it may not do that containers usually may.
    pub confinement: Confinement,
    /// Who is process 1.
    pub init: InitProcess,
}

/// A file that a container is given: everything filled in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ConfigFileSpec {
    /// Where it is in the container: in one of its volumes.
    pub target: String,
    /// The number of the user whose it is.
    pub user: u32,
    /// Its permissions.
    pub mode: u32,
    /// What it says.
    pub content: String,
}

impl ConfigFileSpec {
    /// Whether its user may write it. Then it is given once, and belongs to the services from then on; any other one says
    /// at each start what the stack file says.
    pub fn becomes_theirs(&self) -> bool {
        self.mode & 0o200 != 0
    }
}
