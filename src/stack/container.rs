//! How a service runs as a container: the part of a stack file that Docker needs. Pure data.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::stack::Template;

/// How a service runs as a container, with the variables not yet filled in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Container {
    /// The image.
    pub image: Template,
    /// How the image is made from this repository; without one, it comes from a registry.
    pub recipe: Option<Recipe>,
    /// The program, where it is not the image's.
    pub entrypoint: Option<Vec<Template>>,
    /// The arguments of the program; those of the image when empty.
    pub command: Vec<Template>,
    /// Environment variables, in the order of the file.
    pub environment: Vec<(String, Template)>,
    /// What outlives the container.
    pub volumes: Vec<VolumeMount>,
    /// The files that are put into those before it starts.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub configs: Vec<ConfigFile>,
    /// The most memory it may use: a size, perhaps with variables.
    pub memory_limit: Option<Template>,
    /// What it may do beyond what containers usually may.
    pub capabilities: Vec<String>,
    /// What it may not do that containers usually may.
    pub confinement: Confinement,
    /// Who is process 1.
    pub init: InitProcess,
}

/// Which image of this repository a service runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Recipe {
    /// The platform's services: one image with `osqdemo` in it.
    Platform,
    /// A monitored host: osquery, or the built-in agent, and our extension.
    Host,
}

/// A named volume and where it is in the container.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct VolumeMount {
    /// Its name in the file; the project's name is put before it.
    pub volume: String,
    /// The folder in the container.
    pub target: String,
}

impl VolumeMount {
    /// The name of a file in the folder that this is, by its path in the container.
    pub fn file_name<'a>(&self, path: &'a str) -> Option<&'a str> {
        let name = path.strip_prefix(&self.target)?.strip_prefix('/')?;
        (!name.is_empty() && !name.contains('/')).then_some(name)
    }
}

/// A file that a container is given, as a `config` of Compose.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ConfigFile {
    /// Where it is in the container: in one of its volumes.
    pub target: String,
    /// The number of the user whose it is.
    pub user: u32,
    /// Its permissions.
    pub mode: u32,
    /// What it says.
    pub content: Template,
}

/// What a container may not do, because its service does without.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Confinement {
    /// The capabilities that it does not get; `ALL` is all but those that are added.
    pub capabilities_dropped: Vec<String>,
    /// Whether a program may get more rights than who starts it, as `su` and `sudo` do.
    pub privileges: Privileges,
    /// How many processes and threads it may have.
    pub most_processes: Option<u32>,
    /// Whether it may write outside of its volumes.
    pub root: RootFolder,
    /// Folders in memory, which it may write all the same.
    pub temporary_folders: Vec<String>,
}

/// Whether programs of a container may get more rights.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Privileges {
    /// As usual.
    #[default]
    MayGrow,
    /// Never more than those of who starts them.
    NeverGrow,
}

/// Whether the file system of a container's image may be written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum RootFolder {
    /// As usual.
    #[default]
    Writable,
    /// Only volumes and temporary folders may.
    ReadOnly,
}

/// Who is process 1 of a container.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum InitProcess {
    /// The service itself.
    Own,
    /// A small process that reaps orphans and hands signals on.
    Reaper,
}

/// The name of an image with its tag or digest, such as `osqdemo/host:0.1.0`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct ImageRef(String);

impl ImageRef {
    /// A name as it stands in a stack file.
    pub fn new(name: impl Into<String>) -> Self {
        Self(name.into())
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ImageRef {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}
