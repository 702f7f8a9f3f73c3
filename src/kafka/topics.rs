//! Which topics there are, and how much is in them.

use rdkafka::consumer::{BaseConsumer, Consumer};
use serde::Serialize;
use tokio::task;

use super::{KafkaError, REQUEST_TIMEOUT, client_config};
use crate::stack::Cluster;

/// A topic.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TopicSummary {
    /// Its name.
    pub name: String,
    /// How many partitions it has.
    pub partitions: usize,
    /// How many offsets lie between the oldest and the next record: the records, where none was compacted.
    pub records: u64,
    /// The offsets of the next records, added up: what grows with every record.
    #[serde(skip)]
    pub end: u64,
}

/// Asks the broker whether it answers.
///
/// # Errors
/// When it does not.
pub async fn reach(cluster: &Cluster) -> Result<(), KafkaError> {
    let cluster = cluster.clone();
    in_background(move || partitions(&consumer(&cluster)?, &cluster).map(drop)).await
}

/// Asks the broker for its topics, sorted by name.
///
/// # Errors
/// When the broker does not answer.
pub async fn list_topics(cluster: &Cluster) -> Result<Vec<TopicSummary>, KafkaError> {
    let cluster = cluster.clone();
    in_background(move || {
        let consumer = consumer(&cluster)?;
        let mut topics = Vec::new();
        for (name, partitions) in partitions(&consumer, &cluster)? {
            let (mut records, mut end) = (0, 0);
            for &partition in &partitions {
                let (low, high) = watermarks(&consumer, &cluster, &name, partition)?;
                records += u64::try_from(high - low).unwrap_or(0);
                end += u64::try_from(high).unwrap_or(0);
            }
            topics.push(TopicSummary {
                name,
                partitions: partitions.len(),
                records,
                end,
            });
        }
        Ok(topics)
    })
    .await
}

/// librdkafka's requests block a thread.
pub(super) async fn in_background<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, KafkaError> + Send + 'static,
) -> Result<T, KafkaError> {
    match task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    }
}

pub(super) fn consumer<C: rdkafka::config::FromClientConfig>(cluster: &Cluster) -> Result<C, KafkaError> {
    client_config(cluster)
        .create()
        .map_err(|error| KafkaError::Client {
            bootstrap_servers: cluster.to_string(),
            reason: error.to_string(),
        })
}

/// Every topic with its partitions, sorted by name.
pub(super) fn partitions(
    consumer: &BaseConsumer,
    cluster: &Cluster,
) -> Result<Vec<(String, Vec<i32>)>, KafkaError> {
    let metadata = consumer
        .fetch_metadata(None, REQUEST_TIMEOUT)
        .map_err(|error| unreachable(cluster, "list the topics".to_owned(), &error))?;
    let mut topics: Vec<(String, Vec<i32>)> = metadata
        .topics()
        .iter()
        .filter(|topic| topic.error().is_none())
        .map(|topic| {
            let partitions = topic.partitions().iter().map(|partition| partition.id());
            (topic.name().to_owned(), partitions.collect())
        })
        .collect();
    topics.sort();
    Ok(topics)
}

/// The offsets of the oldest and of the next record.
pub(super) fn watermarks(
    consumer: &BaseConsumer,
    cluster: &Cluster,
    topic: &str,
    partition: i32,
) -> Result<(i64, i64), KafkaError> {
    consumer
        .fetch_watermarks(topic, partition, REQUEST_TIMEOUT)
        .map_err(|error| {
            let purpose = format!("ask for the offsets of `{topic}`");
            unreachable(cluster, purpose, &error)
        })
}

pub(super) fn unreachable(
    cluster: &Cluster,
    purpose: String,
    error: &rdkafka::error::KafkaError,
) -> KafkaError {
    KafkaError::Unreachable {
        bootstrap_servers: cluster.to_string(),
        purpose,
        reason: match error.rdkafka_error_code() {
            Some(code) => code.to_string(),
            None => error.to_string(),
        },
    }
}
