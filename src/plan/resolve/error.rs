//! Why a stack cannot be resolved.

use crate::error::Diagnose;
use crate::exit_code::ExitCode;
use crate::stack::{Probe, Role, ServiceName};

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
