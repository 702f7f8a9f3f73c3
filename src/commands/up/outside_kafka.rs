//! What `up` asks of a Kafka outside of the stack before anything starts: whether it answers, and whether it is another
//! one than the broker that it is to replace.

use super::Up;
use crate::error::{Diagnose, Result};
use crate::exit_code::ExitCode;
use crate::kafka::{self, KafkaError};
use crate::settings::Source;
use crate::stack::{KafkaAddress, ServiceName};

/// The stack cannot run on that Kafka.
#[derive(Debug, thiserror::Error)]
enum OutsideKafkaError {
    /// It does not answer.
    #[error("{answer}")]
    Silent {
        /// What it was asked, and what came of it.
        answer: KafkaError,
        /// Who named it.
        from: Source,
    },
    /// It is the broker that would be stopped.
    #[error("{kafka} is this project's own service `{service}`, which `--kafka` would stop")]
    Own {
        kafka: KafkaAddress,
        service: ServiceName,
    },
}

impl Diagnose for OutsideKafkaError {
    fn exit_code(&self) -> ExitCode {
        match self {
            Self::Silent { .. } => ExitCode::Preflight,
            Self::Own { .. } => ExitCode::Usage,
        }
    }

    fn hints(&self) -> Vec<String> {
        let own = "`--kafka none` is the stack's own broker".to_owned();
        match self {
            Self::Silent { from, .. } => {
                let from = from.hint("the address").into_iter();
                let plain = "a Kafka must listen there; `osqdemo doctor` tries it step by step, and TLS and passwords are `--kafka-config FILE`"
                    .to_owned();
                from.chain([plain, own]).collect()
            }
            Self::Own { .. } => vec![own],
        }
    }
}

impl Up<'_> {
    /// Fails when the stack is to run on a Kafka that cannot be used.
    pub(super) async fn check_outside_kafka(&self) -> Result<()> {
        let Some(kafka) = &self.project.stack.kafka else {
            return Ok(());
        };
        let observed = self.project.engine.observe().await?;
        let is_own = |service: &&ServiceName| {
            let port = observed.services.get(*service).and_then(|seen| seen.port);
            port.is_some_and(|port| kafka.is_local_port(port))
        };
        let mut replaced = self.project.stack.replaced_brokers().map(|broker| &broker.name);
        if let Some(service) = replaced.find(is_own) {
            return Err(OutsideKafkaError::Own {
                kafka: kafka.clone(),
                service: service.clone(),
            }
            .into());
        }
        let from = &self.request.settings.target.stack.kafka.source;
        kafka::reach(&self.project.cluster_at(kafka))
            .await
            .map_err(|answer| {
                let from = from.clone();
                OutsideKafkaError::Silent { answer, from }.into()
            })
    }
}
