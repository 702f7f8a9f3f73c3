//! A host is healthy once a line of its agent has come all the way to Kafka: a record of the topic
//! `processes` with the host's name as key, no older than the host's start.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::message::Message;
use rdkafka::{Offset, TopicPartitionList};
use tokio::task::spawn_blocking;

use crate::health::{LastAnswer, POLL, Target, kafka};
use crate::kafka::set_properties;
use crate::stack::Properties;
use crate::waiting::poll_blocking;

/// The topic that every host writes to.
const TOPIC: &str = "processes";

/// How long one request may take.
const REQUEST_LIMIT: Duration = Duration::from_secs(2);

/// How long to wait for one record before the probe looks whether it is still wanted.
const RECORD_LIMIT: Duration = Duration::from_millis(100);

/// Returns once the host is healthy.
pub(super) async fn until_healthy(target: &Target, properties: &Properties, last: &LastAnswer) {
    let wanted = Wanted(Arc::new(AtomicBool::new(true)));
    let is_wanted = Arc::clone(&wanted.0);
    let (target, properties, last) = (target.clone(), properties.clone(), last.clone());
    let search = spawn_blocking(move || {
        let is_wanted = || is_wanted.load(Ordering::Relaxed);
        poll_blocking(POLL, is_wanted, || {
            let found = search(&target, &properties, &is_wanted, &last);
            last.heard(found.map_err(|error| error.to_string()))?
        })
    });
    if search.await.is_err() {
        // Only a panic of the search ends here; the deadline will tell.
        std::future::pending::<()>().await;
    }
}

/// Ends the search when the probe is dropped.
struct Wanted(Arc<AtomicBool>);

impl Drop for Wanted {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Relaxed);
    }
}

/// The host's line is there.
struct Found;

/// Searches until the line is found; without one when nobody wants to know any more.
fn search(
    target: &Target,
    properties: &Properties,
    is_wanted: &dyn Fn() -> bool,
    last: &LastAnswer,
) -> Result<Option<Found>, KafkaError> {
    let mut config = kafka::client(&target.address);
    config
        .set("group.id", "osqdemo-health")
        .set("enable.auto.commit", "false")
        .set("fetch.wait.max.ms", "100");
    set_properties(&mut config, properties);
    let consumer: BaseConsumer = config.create()?;
    let partitions = poll_blocking(POLL, is_wanted, || match partitions(&consumer) {
        Ok(partitions) if partitions.is_empty() => {
            last.set(format!("there is no topic `{TOPIC}` yet"));
            None
        }
        answer => Some(answer),
    });
    let Some(partitions) = partitions.transpose()? else {
        return Ok(None);
    };
    consumer.assign(&since_start(&consumer, &partitions, target)?)?;
    last.set(format!(
        "topic `{TOPIC}` has no record of `{}` since its start",
        target.hostname
    ));
    while is_wanted() {
        let Some(record) = consumer.poll(RECORD_LIMIT) else {
            continue;
        };
        let record = record?;
        let is_of_host = record.key() == Some(target.hostname.as_bytes());
        let is_new = record
            .timestamp()
            .to_millis()
            .is_some_and(|time| time >= target.started_at);
        if is_of_host && is_new {
            return Ok(Some(Found));
        }
    }
    Ok(None)
}

/// The partitions of the topic; none where it is not there yet.
fn partitions(consumer: &BaseConsumer) -> Result<Vec<i32>, KafkaError> {
    let metadata = consumer.fetch_metadata(Some(TOPIC), REQUEST_LIMIT)?;
    Ok(metadata
        .topics()
        .iter()
        .filter(|topic| topic.name() == TOPIC && topic.error().is_none())
        .flat_map(|topic| topic.partitions().iter().map(|partition| partition.id()))
        .collect())
}

/// Where the records since the host's start begin.
fn since_start(
    consumer: &BaseConsumer,
    partitions: &[i32],
    target: &Target,
) -> Result<TopicPartitionList, KafkaError> {
    let mut times = TopicPartitionList::new();
    for partition in partitions {
        times.add_partition_offset(TOPIC, *partition, Offset::Offset(target.started_at))?;
    }
    let found = consumer.offsets_for_times(times, REQUEST_LIMIT)?;
    let mut positions = TopicPartitionList::new();
    for element in found.elements() {
        // No record since then: wait at the end.
        let offset = match element.offset() {
            Offset::Offset(offset) => Offset::Offset(offset),
            _ => Offset::End,
        };
        positions.add_partition_offset(TOPIC, element.partition(), offset)?;
    }
    Ok(positions)
}
