//! Everything that topics hold, once.

use std::collections::BTreeMap;
use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::{Offset, TopicPartitionList};
use tokio::time::Instant;

use super::topics::{consumer, in_background, partitions, watermarks};
use super::{KafkaError, Record};
use crate::stack::Cluster;

/// How long to wait for one record before the positions are looked at.
const RECORD_LIMIT: Duration = Duration::from_millis(100);

/// How long nothing may come before the reading is given up.
const SILENCE: Duration = Duration::from_secs(30);

/// Where the next record of each partition of `topics` will be. Topics that the broker does not have are passed over.
///
/// # Errors
/// When the broker does not answer.
pub async fn ends(cluster: &Cluster, topics: &[String]) -> Result<BTreeMap<(String, i32), i64>, KafkaError> {
    let (cluster, topics) = (cluster.clone(), topics.to_vec());
    in_background(move || {
        let consumer: BaseConsumer = consumer(&cluster)?;
        let mut ends = BTreeMap::new();
        for (topic, partitions) in partitions(&consumer, &cluster)? {
            for partition in partitions.into_iter().filter(|_| topics.contains(&topic)) {
                let (_, end) = watermarks(&consumer, &cluster, &topic, partition)?;
                ends.insert((topic.clone(), partition), end);
            }
        }
        Ok(ends)
    })
    .await
}

/// Reads `topics` from their oldest record to what is their newest now, in the order of each partition. Topics that the
/// broker does not have are passed over.
///
/// # Errors
/// When the broker does not answer, or a topic cannot be read.
pub async fn read_all<T: Send + 'static>(
    cluster: &Cluster,
    topics: &[String],
    mut keep: impl FnMut(&Record) -> T + Send + 'static,
) -> Result<Vec<T>, KafkaError> {
    let (cluster, topics) = (cluster.clone(), topics.to_vec());
    in_background(move || {
        let consumer: BaseConsumer = consumer(&cluster)?;
        let failed = |reason: String| KafkaError::Read {
            topics: format!("`{}`", topics.join("`, `")),
            reason,
        };
        let mut ends = Vec::new();
        let mut assignment = TopicPartitionList::new();
        for (topic, partitions) in partitions(&consumer, &cluster)? {
            if !topics.contains(&topic) {
                continue;
            }
            for partition in partitions {
                let (low, high) = watermarks(&consumer, &cluster, &topic, partition)?;
                if low == high {
                    continue;
                }
                assignment
                    .add_partition_offset(&topic, partition, Offset::Beginning)
                    .map_err(|error| failed(error.to_string()))?;
                ends.push((topic.clone(), partition, high));
            }
        }
        let mut read = Vec::new();
        if ends.is_empty() {
            return Ok(read);
        }
        consumer
            .assign(&assignment)
            .map_err(|error| failed(error.to_string()))?;
        let mut heard = Instant::now();
        while !ends.is_empty() {
            match consumer.poll(RECORD_LIMIT) {
                Some(Ok(message)) => {
                    heard = Instant::now();
                    let record = Record::from(&message);
                    let end = ends
                        .iter()
                        .position(|(topic, partition, _)| {
                            *topic == record.topic && *partition == record.partition
                        })
                        .filter(|at| record.offset + 1 >= ends[*at].2);
                    read.push(keep(&record));
                    if let Some(end) = end {
                        ends.swap_remove(end);
                    }
                }
                // What librdkafka tells here it goes on to overcome, or the silence ends it.
                Some(Err(error)) if heard.elapsed() > SILENCE => return Err(failed(error.to_string())),
                None if heard.elapsed() > SILENCE => {
                    return Err(failed(format!("nothing came for {} s", SILENCE.as_secs())));
                }
                // A partition may end in what is no record, such as the mark of a transaction.
                Some(Err(_)) | None => {
                    let positions = consumer.position().map_err(|error| failed(error.to_string()))?;
                    ends.retain(|(topic, partition, high)| {
                        let position = positions.find_partition(topic, *partition);
                        !position.is_some_and(
                            |position| matches!(position.offset(), Offset::Offset(at) if at >= *high),
                        )
                    });
                }
            }
        }
        Ok(read)
    })
    .await
}
