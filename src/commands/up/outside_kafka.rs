//! What `up` asks of a Kafka outside of the stack before anything starts: whether it answers, whether it is another one than
//! the broker that it is to replace, and what is there already. What the project is about to make there goes on record.

use std::collections::BTreeSet;

use super::Up;
use crate::chaos::check::DEAD_LETTERS;
use crate::error::{Diagnose, Result};
use crate::exit_code::ExitCode;
use crate::host_config;
use crate::kafka::{self, Inventory, KafkaError};
use crate::ksqldb::{Client, shipped};
use crate::settings::{Source, Statements};
use crate::stack::{HttpService, KafkaAddress, ServiceName};
use crate::state::MadeOutside;

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
    /// Fails when the stack is to run on a Kafka that cannot be used. Returns what is there, where the project is about to
    /// make something that is not on record yet.
    pub(super) async fn check_outside_kafka(&self) -> Result<Option<Inventory>> {
        let Some(kafka) = &self.project.stack.kafka else {
            return Ok(None);
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
        let made = MadeOutside::read(&self.project.folder)?;
        let cluster = self.project.cluster_at(kafka);
        let asked = if made.knows(kafka.as_str(), &self.topics_outside()) {
            kafka::reach(&cluster).await.map(|()| None)
        } else {
            kafka::inventory(&cluster).await.map(Some)
        };
        asked.map_err(|answer| {
            let from = from.clone();
            OutsideKafkaError::Silent { answer, from }.into()
        })
    }

    /// Puts on record what the project is about to make on a Kafka where all this is there already.
    pub(super) fn note_kafka(&self, there: &Inventory) -> Result<()> {
        let Some(kafka) = &self.project.stack.kafka else {
            return Ok(());
        };
        let folder = &self.project.folder;
        let mut made = MadeOutside::read(folder)?;
        made.note(
            &folder.project,
            there.cluster.as_deref(),
            kafka.as_str(),
            self.topics_outside(),
            (&there.topics, there.groups.as_ref()),
        );
        Ok(made.write(folder)?)
    }

    /// Puts on record which streams and tables are about to be made on a ksqlDB server outside of the stack.
    pub(super) async fn note_sources(&self, ksqldb: &HttpService) -> Result<()> {
        let missing = shipped::missing(&Client::of(ksqldb)?).await?;
        if missing.is_empty() {
            return Ok(());
        }
        let folder = &self.project.folder;
        let mut made = MadeOutside::read(folder)?;
        made.note_sources(&ksqldb.url, missing);
        Ok(made.write(folder)?)
    }

    /// The topics of the project's that are known by name beforehand and do not have its name: the hosts', and what the
    /// statements make.
    fn topics_outside(&self) -> BTreeSet<String> {
        let host_config = self
            .request
            .host_config
            .or(self.project.remembered.host_config.as_ref());
        let of_hosts = host_config::topics(host_config.as_ref()).into_iter();
        let are_submitted =
            self.request.settings.statements.value != Statements::None && self.project.has_ksqldb();
        let of_statements = are_submitted.then(|| {
            let sources = shipped::SOURCE_TOPICS.map(str::to_owned);
            shipped::sink_topics().into_iter().chain(sources)
        });
        of_hosts
            .chain([DEAD_LETTERS.to_owned()])
            .chain(of_statements.into_iter().flatten())
            .collect()
    }
}
