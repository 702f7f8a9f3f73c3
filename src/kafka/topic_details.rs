//! What else there is to know of topics: how large they are, and how much was written of late.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use osqdemo_broker::asking;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::{Offset, TopicPartitionList};
use serde::Serialize;

use super::access::access;
use super::topics::{consumer, in_background, list_topics, partitions, unreachable, watermarks};
use super::{KafkaError, REQUEST_TIMEOUT, TopicSummary};
use crate::stack::Cluster;

/// What counts as of late.
pub const RECENT: Duration = Duration::from_secs(60);

/// A topic, looked at closely.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TopicDetails {
    /// What the list says of it.
    #[serde(flatten)]
    pub summary: TopicSummary,
    /// What it takes on disk, in bytes; one copy.
    pub size_bytes: u64,
    /// How many records have come within the last minute, by the times that they carry.
    pub records_of_last_minute: u64,
}

/// Asks the broker for its topics in detail, sorted by name.
///
/// # Errors
/// When the broker does not answer.
pub async fn detail_topics(cluster: &Cluster) -> Result<Vec<TopicDetails>, KafkaError> {
    let topics = list_topics(cluster).await?;
    let sizes = match access(cluster) {
        Ok(access) => asking::sizes(&access).await,
        Err(error) => Err(error),
    };
    let mut sizes = sizes.map_err(|error| KafkaError::Unreachable {
        bootstrap_servers: cluster.to_string(),
        purpose: "ask for the sizes of the topics".to_owned(),
        reason: error.to_string(),
    })?;
    let cluster = cluster.clone();
    in_background(move || {
        let asking: BaseConsumer = consumer(&cluster)?;
        let since = SystemTime::now() - RECENT;
        let since = since.duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
        let since = Offset::Offset(i64::try_from(since).unwrap_or(i64::MAX));
        let known = partitions(&asking, &cluster)?;
        let mut details = Vec::new();
        for summary in topics {
            let mut recent = 0;
            let of_topic = known.iter().find(|(name, _)| *name == summary.name);
            let mut times = TopicPartitionList::new();
            for partition in of_topic.map_or(&[][..], |(_, partitions)| partitions) {
                let added = times.add_partition_offset(&summary.name, *partition, since);
                added.map_err(|error| refused(&cluster, &summary.name, &error))?;
            }
            let firsts = asking
                .offsets_for_times(times, REQUEST_TIMEOUT)
                .map_err(|error| refused(&cluster, &summary.name, &error))?;
            for first in firsts.elements() {
                // Where nothing is as young, it answers with the end.
                if let Offset::Offset(offset) = first.offset() {
                    let (_, end) = watermarks(&asking, &cluster, &summary.name, first.partition())?;
                    recent += u64::try_from(end - offset).unwrap_or(0);
                }
            }
            details.push(TopicDetails {
                size_bytes: sizes.remove(&summary.name).unwrap_or(0),
                records_of_last_minute: recent,
                summary,
            });
        }
        Ok(details)
    })
    .await
}

fn refused(cluster: &Cluster, topic: &str, error: &rdkafka::error::KafkaError) -> KafkaError {
    let purpose = format!("ask what was written to `{topic}` of late");
    unreachable(cluster, purpose, error)
}
