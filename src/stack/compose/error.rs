//! What is wrong with a stack file.

use crate::error::Diagnose;
use crate::exit_code::ExitCode;
use crate::stack::ServiceName;

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
    /// A service gets a file that is not there.
    #[error("`{file}`: service `{service}` gets `{config}`, which is not among the configs of the file")]
    UnknownConfig {
        /// The file.
        file: String,
        /// The service that gets it.
        service: ServiceName,
        /// What it names.
        config: String,
    },
    /// A service gets a file in a place that is not kept.
    #[error(
        "`{file}`: service `{service}` gets `{target}`, which is not in the folder of one of its volumes"
    )]
    ConfigElsewhere {
        /// The file.
        file: String,
        /// The service that gets it.
        service: ServiceName,
        /// Where.
        target: String,
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

fn circle(cycle: &[ServiceName]) -> String {
    let mut names: Vec<String> = cycle.iter().map(|name| format!("`{name}`")).collect();
    names.extend(names.first().cloned());
    names.join(" → ")
}
