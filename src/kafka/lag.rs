//! How far the groups of consumers are behind: what they have committed against the ends of the topics.

use std::collections::BTreeMap;

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::{Offset, TopicPartitionList};
use serde::Serialize;

use super::topics::{consumer, in_background, partitions, watermarks};
use super::{KafkaError, REQUEST_TIMEOUT, client_config};

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

/// Asks for the lag of every group on every topic that it has committed something of, sorted.
///
/// # Errors
/// When the broker does not answer.
pub async fn lags(bootstrap_servers: &str) -> Result<Vec<GroupLag>, KafkaError> {
    let bootstrap_servers = bootstrap_servers.to_owned();
    in_background(move || {
        let asking: BaseConsumer = consumer(&bootstrap_servers)?;
        let refused = |error: rdkafka::error::KafkaError| KafkaError::Unreachable {
            bootstrap_servers: bootstrap_servers.clone(),
            purpose: "ask for the groups".to_owned(),
            reason: error.to_string(),
        };
        let groups = asking.fetch_group_list(None, REQUEST_TIMEOUT).map_err(refused)?;
        let mut all = TopicPartitionList::new();
        for (topic, partitions) in partitions(&asking, &bootstrap_servers)? {
            for partition in partitions {
                all.add_partition(&topic, partition);
            }
        }
        let mut found = Vec::new();
        for group in groups.groups() {
            let of_group: BaseConsumer = client_config(&bootstrap_servers)
                .set("group.id", group.name())
                .create()
                .map_err(refused)?;
            let committed = of_group
                .committed_offsets(all.clone(), REQUEST_TIMEOUT)
                .map_err(refused)?;
            let mut lags: BTreeMap<String, u64> = BTreeMap::new();
            for element in committed.elements() {
                let Offset::Offset(offset) = element.offset() else {
                    continue;
                };
                let (_, end) = watermarks(&asking, &bootstrap_servers, element.topic(), element.partition())?;
                *lags.entry(element.topic().to_owned()).or_default() +=
                    u64::try_from(end - offset).unwrap_or(0);
            }
            found.extend(lags.into_iter().map(|(topic, lag)| GroupLag {
                group: group.name().to_owned(),
                topic,
                lag,
            }));
        }
        found.sort_by(|one, other| (&one.group, &one.topic).cmp(&(&other.group, &other.topic)));
        Ok(found)
    })
    .await
}
