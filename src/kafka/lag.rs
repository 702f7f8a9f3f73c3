//! How far the groups of consumers are behind: what they have committed against the ends of the topics.

use std::collections::BTreeMap;

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::{Offset, TopicPartitionList};
use serde::Serialize;

use super::topics::{consumer, in_background, partitions, watermarks};
use super::{KafkaError, REQUEST_TIMEOUT, client_config};
use crate::stack::Cluster;

/// A group and a topic that it reads.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct GroupLag {
    /// The group.
    pub group: String,
    /// The topic.
    pub topic: String,
    /// How many records it has not committed yet.
    pub lag: u64,
}

/// Where a group goes on reading.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Committed {
    /// The group.
    pub group: String,
    /// The topic.
    pub topic: String,
    /// The partition.
    pub partition: i32,
    /// The offset of the record that it reads next.
    pub offset: i64,
}

/// Asks for the lag of every group on every topic that it has committed something of, sorted.
///
/// # Errors
/// When the broker does not answer.
pub async fn lags(cluster: &Cluster) -> Result<Vec<GroupLag>, KafkaError> {
    let cluster = cluster.clone();
    in_background(move || {
        let asking: BaseConsumer = consumer(&cluster)?;
        let mut lags: BTreeMap<(String, String), u64> = BTreeMap::new();
        for position in committed(&asking, &cluster)? {
            let (_, end) = watermarks(&asking, &cluster, &position.topic, position.partition)?;
            *lags.entry((position.group, position.topic)).or_default() +=
                u64::try_from(end - position.offset).unwrap_or(0);
        }
        let lags = lags.into_iter();
        Ok(lags
            .map(|((group, topic), lag)| GroupLag { group, topic, lag })
            .collect())
    })
    .await
}

/// Asks for everything that groups have committed.
///
/// # Errors
/// When the broker does not answer.
pub async fn positions(cluster: &Cluster) -> Result<Vec<Committed>, KafkaError> {
    let cluster = cluster.clone();
    in_background(move || committed(&consumer(&cluster)?, &cluster)).await
}

fn committed(asking: &BaseConsumer, cluster: &Cluster) -> Result<Vec<Committed>, KafkaError> {
    let refused = |error: rdkafka::error::KafkaError| KafkaError::Unreachable {
        bootstrap_servers: cluster.to_string(),
        purpose: "ask for the groups".to_owned(),
        reason: error.to_string(),
    };
    let groups = asking.fetch_group_list(None, REQUEST_TIMEOUT).map_err(refused)?;
    let mut all = TopicPartitionList::new();
    for (topic, partitions) in partitions(asking, cluster)? {
        for partition in partitions {
            all.add_partition(&topic, partition);
        }
    }
    let mut found = Vec::new();
    for group in groups.groups() {
        let of_group: BaseConsumer = client_config(cluster)
            .set("group.id", group.name())
            .create()
            .map_err(refused)?;
        let positions = of_group
            .committed_offsets(all.clone(), REQUEST_TIMEOUT)
            .map_err(refused)?;
        for element in positions.elements() {
            if let Offset::Offset(offset) = element.offset() {
                found.push(Committed {
                    group: group.name().to_owned(),
                    topic: element.topic().to_owned(),
                    partition: element.partition(),
                    offset,
                });
            }
        }
    }
    Ok(found)
}
