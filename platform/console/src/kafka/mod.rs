//! Kafka, through its public protocol: what there is, and the records themselves.
//!
//! librdkafka's requests block, so each runs on a thread of its own. One client asks everything about the cluster;
//! reading a topic takes a client for as long as it is read; the position of a consumer group is asked by a client that
//! carries the group's name and never joins it.

mod admin;
mod groups;
mod reader;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use osqdemo_kafka_bootstrap::Bootstrap;
use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError as RdKafkaError, RDKafkaErrorCode};
use serde::Serialize;

pub(crate) use reader::{Raw, Reader, raw_of};

/// How long one request to the cluster may take.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(5);
/// How many consumer groups are asked for their position; each costs a client.
const GROUP_LIMIT: usize = 64;

/// Why Kafka did not do what was asked.
#[derive(Debug, Clone, thiserror::Error)]
pub(crate) enum KafkaError {
    /// A client cannot be made.
    #[error("not a configuration of a Kafka client: {0}")]
    Client(String),
    /// The brokers do not answer.
    #[error("Kafka does not answer: {0}")]
    Unreachable(String),
    /// There is no such topic.
    #[error("there is no topic `{0}`")]
    UnknownTopic(String),
    /// Kafka answered with an error.
    #[error("{0}")]
    Refused(String),
}

impl From<RdKafkaError> for KafkaError {
    fn from(error: RdKafkaError) -> Self {
        match error.rdkafka_error_code() {
            Some(
                RDKafkaErrorCode::BrokerTransportFailure
                | RDKafkaErrorCode::AllBrokersDown
                | RDKafkaErrorCode::Resolve
                | RDKafkaErrorCode::OperationTimedOut
                | RDKafkaErrorCode::RequestTimedOut,
            ) => Self::Unreachable(error.to_string()),
            Some(code) => Self::Refused(code.to_string()),
            None => Self::Refused(error.to_string()),
        }
    }
}

/// A topic and its partitions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Topic {
    pub(crate) name: String,
    pub(crate) partitions: Vec<i32>,
    pub(crate) replicas: usize,
}

/// A broker of the cluster.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Broker {
    pub(crate) id: i32,
    pub(crate) host: String,
    pub(crate) port: i32,
}

/// What the cluster consists of.
#[derive(Debug, Clone)]
pub(crate) struct Layout {
    pub(crate) topics: Vec<Topic>,
    pub(crate) brokers: Vec<Broker>,
}

/// The oldest and the next offset of a partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(crate) struct Bounds {
    pub(crate) low: i64,
    pub(crate) high: i64,
}

impl Bounds {
    /// How many offsets there are.
    pub(crate) fn count(self) -> u64 {
        u64::try_from(self.high - self.low).unwrap_or(0)
    }
}

/// A cluster. A cheap clone; the clients are shared.
#[derive(Clone)]
pub(crate) struct Cluster {
    config: ClientConfig,
    asking: Arc<BaseConsumer>,
    bootstrap: Arc<Bootstrap>,
    /// A client for each group whose position was asked for.
    groups: Arc<Mutex<HashMap<String, Arc<BaseConsumer>>>>,
}

impl Cluster {
    pub(crate) fn new(bootstrap_servers: &str, properties: &[(String, String)]) -> Result<Self, KafkaError> {
        let mut config = ClientConfig::new();
        config
            .set("bootstrap.servers", bootstrap_servers)
            .set("client.id", "osqdemo-console")
            .set("group.id", "osqdemo-console")
            .set("enable.auto.commit", "false")
            .set("enable.auto.offset.store", "false")
            .set("allow.auto.create.topics", "false")
            .set("auto.offset.reset", "earliest")
            .set("reconnect.backoff.ms", "50")
            .set("reconnect.backoff.max.ms", "1000")
            .set("fetch.error.backoff.ms", "50")
            .set("fetch.wait.max.ms", "500")
            // What is read waits in little memory, and reading goes on as soon as there is room instead of a second later.
            .set("queued.max.messages.kbytes", "4096")
            .set("fetch.queue.backoff.ms", "5")
            .set("topic.metadata.refresh.interval.ms", "60000")
            // The console says itself when Kafka is away.
            .set("log_level", "2");
        for (name, value) in properties {
            config.set(name, value);
        }
        let asking: BaseConsumer = config
            .create()
            .map_err(|error| KafkaError::Client(error.to_string()))?;
        Ok(Self {
            bootstrap: Arc::new(Bootstrap::of(&config)),
            config,
            asking: Arc::new(asking),
            groups: Arc::default(),
        })
    }

    /// Topics, sorted by name, and brokers.
    pub(crate) async fn layout(&self) -> Result<Layout, KafkaError> {
        let (asking, bootstrap) = (Arc::clone(&self.asking), Arc::clone(&self.bootstrap));
        blocking(move || {
            let metadata = bootstrap.fetch_metadata(asking.client(), None, REQUEST_TIMEOUT)?;
            let mut topics: Vec<Topic> = metadata
                .topics()
                .iter()
                .filter(|topic| topic.error().is_none())
                .map(|topic| Topic {
                    name: topic.name().to_owned(),
                    partitions: topic
                        .partitions()
                        .iter()
                        .map(|partition| partition.id())
                        .collect(),
                    replicas: topic
                        .partitions()
                        .first()
                        .map_or(0, |first| first.replicas().len()),
                })
                .collect();
            topics.sort_by(|one, other| one.name.cmp(&other.name));
            let brokers = metadata
                .brokers()
                .iter()
                .map(|broker| Broker {
                    id: broker.id(),
                    host: broker.host().to_owned(),
                    port: broker.port(),
                })
                .collect();
            Ok(Layout { topics, brokers })
        })
        .await
    }

    /// A topic by its name.
    pub(crate) async fn topic(&self, name: &str) -> Result<Topic, KafkaError> {
        let layout = self.layout().await?;
        let found = layout.topics.into_iter().find(|topic| topic.name == name);
        found.ok_or_else(|| KafkaError::UnknownTopic(name.to_owned()))
    }

    /// The bounds of every partition of `topics`, in their order.
    pub(crate) async fn bounds(&self, topics: Vec<Topic>) -> Result<Vec<Vec<Bounds>>, KafkaError> {
        let asking = Arc::clone(&self.asking);
        blocking(move || {
            let of_topic = |topic: &Topic| -> Result<Vec<Bounds>, KafkaError> {
                let of_partition = |&partition: &i32| {
                    let (low, high) = asking.fetch_watermarks(&topic.name, partition, REQUEST_TIMEOUT)?;
                    Ok(Bounds { low, high })
                };
                topic.partitions.iter().map(of_partition).collect()
            };
            topics.iter().map(of_topic).collect()
        })
        .await
    }

    /// Reads partitions from given offsets on.
    pub(crate) fn reader(&self) -> Result<Reader, KafkaError> {
        Reader::new(&self.config)
    }

    /// A client for what comes: it asks for the next records only once those before are taken, so that where many come
    /// they come in few answers.
    pub(crate) fn live_reader(&self) -> Result<Reader, KafkaError> {
        Reader::new(self.config.clone().set("queued.min.messages", "1"))
    }

    /// Forgets the clients of groups: nobody watches.
    pub(crate) fn rest(&self) {
        self.groups.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}

/// Runs what blocks on a thread of its own.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, KafkaError> + Send + 'static,
) -> Result<T, KafkaError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
        Err(_) => Err(KafkaError::Unreachable("the console is stopping".to_owned())),
    }
}
