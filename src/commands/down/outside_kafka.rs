//! `osqdemo down --volumes` on a Kafka outside of the stack: what the project has made there goes, and nothing else. What
//! cannot be removed is told and holds nothing up: the project goes all the same.

use std::time::Duration;

use tokio::time::timeout;

use crate::commands::Context;
use crate::commands::project::Project;
use crate::error::Diagnose;
use crate::events::{Failed, Note, Warning};
use crate::exit_code::ExitCode;
use crate::kafka::{self, KafkaError, NotRemoved};
use crate::ksqldb::{Client, shipped};
use crate::stack::{HttpService, KafkaAddress};
use crate::state::MadeOutside;

/// How long it may take.
const LIMIT: Duration = Duration::from_secs(60);

/// What is still there.
#[derive(Debug, thiserror::Error)]
enum Left {
    /// That Kafka does not answer.
    #[error("what `up` has made on the Kafka at {kafka} stays there: {source}")]
    Unreached { kafka: KafkaAddress, source: KafkaError },
    /// It is too slow.
    #[error("what `up` has made on the Kafka at {kafka} may still be there: it was not removed within {} s", LIMIT.as_secs())]
    TooSlow { kafka: KafkaAddress },
    /// It refuses.
    #[error("not everything that `up` has made on the Kafka at {kafka} could be removed")]
    Refused {
        kafka: KafkaAddress,
        left: Vec<NotRemoved>,
    },
    /// The ksqlDB server keeps what reads and writes the topics.
    #[error(
        "the ksqlDB server at {url} keeps what `up` has made there, and so the topics stay, too: {reason}"
    )]
    Statements { url: String, reason: String },
}

impl Diagnose for Left {
    fn exit_code(&self) -> ExitCode {
        match self {
            Self::Unreached { source, .. } => source.exit_code(),
            Self::TooSlow { .. } | Self::Refused { .. } | Self::Statements { .. } => ExitCode::Internal,
        }
    }

    fn details(&self) -> Vec<String> {
        match self {
            Self::Refused { left, .. } => left
                .iter()
                .map(|NotRemoved { name, reason }| format!("`{name}`: {reason}"))
                .collect(),
            _ => Vec::new(),
        }
    }

    fn hints(&self) -> Vec<String> {
        vec!["docs/kafka.md says what is made there; remove it with the tools of that Kafka".to_owned()]
    }
}

/// Removes it.
pub(super) async fn clean_up(context: &Context, project: &Project) {
    let tell = |left: &dyn Diagnose| {
        context.reporter.emit(Warning::Trouble {
            failure: Failed::of(left),
        });
    };
    let made = match MadeOutside::read(&project.folder) {
        Ok(made) => made,
        Err(error) => {
            tell(&error);
            MadeOutside::default()
        }
    };
    let current = project.stack.kafka.as_ref();
    if let Some(kafka) = current {
        match timeout(LIMIT, remove(project, kafka, &made)).await {
            Ok(Ok(note)) => context.reporter.emit(note),
            Ok(Err(left)) => tell(&left),
            Err(_) => tell(&Left::TooSlow { kafka: kafka.clone() }),
        }
    }
    // Where the project was before it moved on.
    let others = made.kafkas().filter_map(|kafka| kafka.parse().ok());
    for kafka in others.filter(|kafka| Some(kafka) != current) {
        context.reporter.emit(Note::KafkaKept { kafka });
    }
}

async fn remove(project: &Project, kafka: &KafkaAddress, made: &MadeOutside) -> Result<Note, Left> {
    let unreached = |source| Left::Unreached {
        kafka: kafka.clone(),
        source,
    };
    let current = project.remote_ksqldb().map(|ksqldb| ksqldb.url.as_str());
    if let Some(url) = made.ksqldbs().find(|url| Some(*url) != current) {
        return Err(Left::Statements {
            url: url.to_owned(),
            reason: "the project does not use that server any more".to_owned(),
        });
    }
    let statements = match project.remote_ksqldb() {
        Some(ksqldb) => drop_statements(ksqldb, made).await?,
        None => Vec::new(),
    };
    let cluster = project.cluster_at(kafka);
    let there = kafka::inventory(&cluster).await.map_err(unreached)?;
    // Another cluster may have that address by now.
    let Some(on) = made.on(there.cluster.as_deref(), kafka.as_str()) else {
        return Ok(Note::KafkaKept { kafka: kafka.clone() });
    };
    let name = &project.folder.project;
    let topics = on.topics(name, &there.topics);
    let groups = on.groups(name, there.groups.as_ref());
    let mut left = kafka::remove(&cluster, &topics, &groups)
        .await
        .map_err(unreached)?;
    if !on.knows_groups(there.groups.as_ref()) {
        left.push(NotRemoved {
            name: "the groups of its ksqlDB server".to_owned(),
            reason: "the broker did not tell which groups there are".to_owned(),
        });
    }
    if !left.is_empty() {
        let kafka = kafka.clone();
        return Err(Left::Refused { kafka, left });
    }
    Ok(Note::KafkaCleanedUp {
        kafka: kafka.clone(),
        topics: topics.into_iter().collect(),
        groups: groups.into_iter().collect(),
        statements,
    })
}

/// Drops what the statements have made on a server elsewhere: it would go on reading and writing the topics.
async fn drop_statements(ksqldb: &HttpService, made: &MadeOutside) -> Result<Vec<String>, Left> {
    let names = made.sources(&ksqldb.url);
    if names.is_empty() {
        return Ok(Vec::new());
    }
    let dropping = async { shipped::drop_existing(&Client::of(ksqldb)?, names).await };
    dropping.await.map_err(|error| Left::Statements {
        url: ksqldb.url.clone(),
        reason: error.to_string(),
    })
}
