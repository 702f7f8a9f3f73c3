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
    let find = |time: Offset| {
        let mut times = TopicPartitionList::new();
        for partition in partitions {
            times.add_partition_offset(TOPIC, *partition, time)?;
        }
        consumer.offsets_for_times(times, REQUEST_LIMIT)
    };
    // Where no record is new yet, the end as it was before that was asked: the end by which the first fetch would go may
    // be behind the one line for which this waits.
    let ends = find(Offset::End)?;
    let found = find(Offset::Offset(target.started_at))?;
    let mut positions = TopicPartitionList::new();
    for element in found.elements() {
        let partition = element.partition();
        if let Some(&offset) = target.lines_from.get(&partition) {
            positions.add_partition_offset(TOPIC, partition, Offset::Offset(offset))?;
            continue;
        }
        let end = || ends.find_partition(TOPIC, partition).map(|end| end.offset());
        let offset = match element.offset() {
            Offset::Offset(offset) => Offset::Offset(offset),
            _ => end().unwrap_or(Offset::End),
        };
        positions.add_partition_offset(TOPIC, partition, offset)?;
    }
    Ok(positions)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::time::Instant;

    use rdkafka::mocking::MockCluster;
    use rdkafka::producer::{BaseProducer, BaseRecord, Producer};

    use super::*;
    use crate::stack::{Probe, ServiceName};

    /// How long the mocked broker may take.
    const LIMIT: Duration = Duration::from_secs(20);

    #[test]
    fn a_line_that_comes_while_its_place_is_looked_for_is_seen() {
        let cluster = MockCluster::new(1).expect("a broker");
        cluster.create_topic(TOPIC, 2, 1).expect("a topic");
        let config = kafka::client(&cluster.bootstrap_servers());
        let producer: BaseProducer = config.create().expect("a producer");
        let send = |value: &str| {
            let record = BaseRecord::to(TOPIC).key("host1").payload(value).partition(0);
            producer.send(record).map_err(|(error, _)| error).expect("room");
            producer.flush(LIMIT).expect("it is taken");
        };
        send("before");
        let mut config = config;
        config.set("group.id", "osqdemo-health");
        let consumer: BaseConsumer = config.create().expect("a consumer");
        let place = |lines_from: BTreeMap<i32, i64>| {
            let target = Target {
                service: ServiceName::new("host1"),
                probe: Probe::Host,
                address: cluster.bootstrap_servers(),
                hostname: "host1".to_owned(),
                // Later than every record, so that none is new by its time.
                started_at: i64::MAX / 2,
                lines_from,
            };
            since_start(&consumer, &[0, 1], &target).expect("the broker answers")
        };
        let next = |places: &TopicPartitionList| {
            consumer.assign(places).expect("they are there");
            // What is told of an earlier assignment is no record.
            let begun = Instant::now();
            let is_wanted = || begun.elapsed() < LIMIT;
            let record = poll_blocking(Duration::ZERO, is_wanted, || consumer.poll(RECORD_LIMIT));
            let record = record.expect("a record").expect("it is read");
            String::from_utf8_lossy(record.payload().unwrap_or_default()).into_owned()
        };
        let places = place(BTreeMap::new());
        send("meanwhile");
        assert_eq!(next(&places), "meanwhile");
        assert_eq!(next(&place(BTreeMap::from([(0, 0)]))), "before");
    }
}
