//! Ports that others have.

use std::fmt;
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Serialize;

use crate::stack::ServiceName;

/// A service gets another port than it would have: nobody insists on that one, and it is taken.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct PortMoved {
    /// The service.
    pub service: ServiceName,
    /// The port it would have.
    pub from: u16,
    /// The port it gets.
    pub to: u16,
    /// What is in the way.
    pub obstacle: PortObstacle,
}

/// Why a service cannot have a port.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum PortObstacle {
    /// A process listens on it.
    Process {
        /// The process, when we may know it.
        #[serde(skip_serializing_if = "Option::is_none")]
        process: Option<u32>,
        /// The name of its program.
        #[serde(skip_serializing_if = "Option::is_none")]
        name: Option<String>,
        /// The folder of the osqdemo project that it belongs to.
        #[serde(skip_serializing_if = "Option::is_none")]
        project: Option<PathBuf>,
    },
    /// A container publishes it.
    Container {
        /// Its name.
        container: String,
        /// The Compose project it belongs to.
        #[serde(skip_serializing_if = "Option::is_none")]
        compose_project: Option<String>,
        /// The folder of the osqdemo project that it belongs to.
        #[serde(skip_serializing_if = "Option::is_none")]
        project: Option<PathBuf>,
    },
    /// An `up` of another project has chosen it.
    Up {
        /// Its process, when we may know it.
        #[serde(skip_serializing_if = "Option::is_none")]
        process: Option<u32>,
    },
    /// The system refuses for another reason.
    Unusable {
        /// What it says.
        reason: String,
    },
    /// Another service of the project gets it.
    Service {
        /// The service.
        service: ServiceName,
    },
}

/// What the port is: a predicate, such as ``in use by container `web` ``.
impl fmt::Display for PortObstacle {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Process {
                process: Some(process),
                name,
                ..
            } => write!(
                formatter,
                "in use by process {process} (`{}`)",
                name.as_deref().unwrap_or_default()
            )?,
            Self::Process { process: None, .. } => {
                formatter.write_str("in use by a process of another user")?;
            }
            Self::Container { container, .. } => write!(formatter, "in use by container `{container}`")?,
            Self::Up {
                process: Some(process),
            } => write!(
                formatter,
                "in use by an `up` of another project (process {process})"
            )?,
            Self::Up { process: None } => formatter.write_str("in use by an `up` of another project")?,
            Self::Unusable { reason } => write!(formatter, "not usable: {reason}")?,
            Self::Service { service } => write!(formatter, "that of {service}")?,
        }
        match self {
            Self::Process {
                project: Some(project),
                ..
            }
            | Self::Container {
                project: Some(project),
                ..
            } => write!(formatter, " of the osqdemo project `{}`", project.display()),
            Self::Container {
                compose_project: Some(project),
                ..
            } => write!(formatter, " of the Compose project `{project}`"),
            _ => Ok(()),
        }
    }
}
