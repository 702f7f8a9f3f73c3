//! Services as the user names them, and why there is none of that name.

use crate::error::Diagnose;
use crate::exit_code::ExitCode;
use crate::near_names;
use crate::stack::{Absence, KafkaAddress, Role, Service, ServiceName, Stack};

/// There is no such service.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoService {
    /// The stack does not have it.
    #[error("there is no service `{name}`; the services are {known}")]
    Unknown {
        /// What was named.
        name: String,
        /// The names of the services.
        known: String,
    },
    /// The user left it out.
    #[error("service `{service}` is left out")]
    LeftOut {
        /// The service.
        service: ServiceName,
    },
    /// Another one runs in its place.
    #[error("service `{service}` is left out: `{by}` runs in its place")]
    Replaced {
        /// The service.
        service: ServiceName,
        /// The other one.
        by: ServiceName,
    },
    /// A Kafka outside of the stack does its work.
    #[error("service `{service}` is left out: the stack runs on the Kafka at {kafka}")]
    OutsideKafka {
        /// The service.
        service: ServiceName,
        /// Where that Kafka is.
        kafka: KafkaAddress,
    },
    /// Nobody asked for it.
    #[error("service `{service}` is optional, and was not asked for")]
    NotAskedFor {
        /// The service.
        service: ServiceName,
        /// The name that it is asked for by.
        by: ServiceName,
    },
}

impl Diagnose for NoService {
    fn exit_code(&self) -> ExitCode {
        ExitCode::Usage
    }

    fn hints(&self) -> Vec<String> {
        match self {
            Self::Unknown { name, known } => {
                let near = near_names::near_names(name, known.split(", "));
                if near.is_empty() {
                    return Vec::new();
                }
                vec![format!("did you mean `{}`?", near.join("` or `"))]
            }
            Self::LeftOut { .. } => vec!["`osqdemo up --without none` brings it back".to_owned()],
            Self::Replaced { .. } => vec!["`osqdemo up --with none` brings it back".to_owned()],
            Self::OutsideKafka { .. } => vec!["`osqdemo up --kafka none` brings it back".to_owned()],
            Self::NotAskedFor { by, .. } => vec![format!("`osqdemo up --with {by}` starts it")],
        }
    }
}

impl Stack {
    /// The service that the user names.
    ///
    /// # Errors
    /// When the stack does not have it, or it is left out.
    pub fn named(&self, name: &str) -> Result<&Service, NoService> {
        self.service(name).ok_or_else(|| self.no_service(name))
    }

    /// Why there is no service of that name.
    pub fn no_service(&self, name: &str) -> NoService {
        let service = ServiceName::new(name);
        match self.absence(&service) {
            Some(Absence::LeftOut) => NoService::LeftOut { service },
            Some(Absence::Replaced { by }) => NoService::Replaced { service, by },
            Some(Absence::OutsideKafka { kafka }) => NoService::OutsideKafka { service, kafka },
            Some(Absence::NotAskedFor) => NoService::NotAskedFor {
                by: self.asked_for_by(&service).clone(),
                service,
            },
            None => NoService::Unknown {
                name: name.to_owned(),
                known: self.names(),
            },
        }
    }

    /// The host that works unless the user says otherwise: the second one, as in the original demo, else the only one.
    pub fn usual_host(&self) -> Option<&Service> {
        self.with_role(Role::Host)
            .nth(1)
            .or_else(|| self.first(Role::Host))
    }
}
