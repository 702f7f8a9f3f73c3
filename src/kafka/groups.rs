//! The groups of consumers: who is in them, and how far behind they are, in records and in time.

use std::collections::BTreeMap;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use osqdemo_broker::asking;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::{Message, Offset, TopicPartitionList};
use serde::Serialize;

use super::access::access;
use super::lag::positions;
use super::topics::{consumer, in_background, watermarks};
use super::{Committed, KafkaError, REQUEST_TIMEOUT};
use crate::stack::Cluster;

/// A group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Group {
    /// Its name.
    pub name: String,
    /// What it is doing, in Kafka's words.
    pub state: String,
    /// `classic`, `consumer` where the broker assigns the partitions, `share` or `streams`.
    pub protocol: String,
    /// Who is in it.
    pub members: Vec<Member>,
    /// How far it has come in each partition that it has committed something of.
    pub positions: Vec<Position>,
    /// Why the broker tells no more of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refusal: Option<String>,
}

/// One of a group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Member {
    /// Its id.
    pub id: String,
    /// What its program calls itself.
    pub client_id: String,
    /// Where it runs.
    pub host: String,
    /// The partitions that it reads, by topic.
    pub assigned: BTreeMap<String, Vec<i32>>,
}

/// How far a group has come in a partition.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Position {
    /// The topic.
    pub topic: String,
    /// The partition.
    pub partition: i32,
    /// The offset of the record that it reads next.
    pub committed: i64,
    /// The offset of the next record that is written.
    pub end: i64,
    /// How many records it has not committed yet.
    pub lag: u64,
    /// The age of the oldest of them, in milliseconds; 0 without any, nothing when it could not be read in time.
    pub behind_ms: Option<u64>,
}

/// Asks for every group, by name.
///
/// # Errors
/// When the broker does not answer.
pub async fn groups(cluster: &Cluster) -> Result<Vec<Group>, KafkaError> {
    let known = match access(cluster) {
        Ok(access) => asking::groups(&access).await,
        Err(error) => Err(error),
    };
    let known = known.map_err(|error| KafkaError::Unreachable {
        bootstrap_servers: cluster.to_string(),
        purpose: "ask for the groups".to_owned(),
        reason: error.to_string(),
    })?;
    let mut positions = of_groups(cluster, positions(cluster).await?).await?;
    Ok(known
        .into_iter()
        .map(|group| Group {
            positions: positions.remove(&group.name).unwrap_or_default(),
            name: group.name,
            state: group.state,
            protocol: group.protocol,
            refusal: group.refusal,
            members: group
                .members
                .into_iter()
                .map(|member| Member {
                    id: member.id,
                    client_id: member.client_id,
                    host: member.host,
                    assigned: member.assigned,
                })
                .collect(),
        })
        .collect())
}

/// Positions by group, with the lag of each.
async fn of_groups(
    cluster: &Cluster,
    committed: Vec<Committed>,
) -> Result<BTreeMap<String, Vec<Position>>, KafkaError> {
    let cluster = cluster.clone();
    in_background(move || {
        let asking: BaseConsumer = consumer(&cluster)?;
        let mut ends = BTreeMap::new();
        let mut groups: BTreeMap<String, Vec<Position>> = BTreeMap::new();
        for Committed {
            group,
            topic,
            partition,
            offset,
        } in committed
        {
            let place = (topic.clone(), partition);
            let (start, end) = match ends.get(&place) {
                Some(known) => *known,
                None => *ends
                    .entry(place)
                    .or_insert(watermarks(&asking, &cluster, &topic, partition)?),
            };
            // What was deleted meanwhile it will not read any more.
            let lag = u64::try_from(end - offset.max(start)).unwrap_or(0);
            groups.entry(group).or_default().push(Position {
                topic,
                partition,
                committed: offset,
                end,
                lag,
                behind_ms: (lag == 0).then_some(0),
            });
        }
        let deadline = Instant::now() + REQUEST_TIMEOUT;
        for positions in groups.values_mut() {
            find_ages(&asking, positions, deadline);
        }
        Ok(groups)
    })
    .await
}

/// Looks at the first record of each partition that a group has not read. What cannot be had in time stays unknown.
fn find_ages(asking: &BaseConsumer, positions: &mut [Position], deadline: Instant) {
    let mut wanted = TopicPartitionList::new();
    let late = positions.iter().filter(|position| position.lag > 0);
    for position in late {
        let at = Offset::Offset(position.committed);
        if wanted
            .add_partition_offset(&position.topic, position.partition, at)
            .is_err()
        {
            return;
        }
    }
    let mut missing = wanted.count();
    if missing == 0 || asking.assign(&wanted).is_err() {
        return;
    }
    let now_ms = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| i64::try_from(since.as_millis()).unwrap_or(i64::MAX));
    while missing > 0 && Instant::now() < deadline {
        let Some(Ok(record)) = asking.poll(Duration::from_millis(100)) else {
            continue;
        };
        let found = positions.iter_mut().find(|position| {
            position.behind_ms.is_none()
                && (position.topic.as_str(), position.partition) == (record.topic(), record.partition())
        });
        if let (Some(position), Some(written_ms)) = (found, record.timestamp().to_millis()) {
            position.behind_ms = Some(u64::try_from(now_ms - written_ms).unwrap_or(0));
            missing -= 1;
            // Of this one enough is known.
            let mut done = TopicPartitionList::new();
            done.add_partition(record.topic(), record.partition());
            let _ = asking.pause(&done);
        }
    }
    // What is paused stays so in the assignment for the next group.
    let _ = asking.resume(&wanted);
    let _ = asking.unassign();
}

#[cfg(test)]
mod tests {
    use osqdemo_broker::{Config, Listener};
    use rdkafka::consumer::CommitMode;
    use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
    use tokio_util::sync::CancellationToken;

    use super::*;
    use crate::kafka::{client_config, detail_topics};

    /// Writes records of ten seconds ago, commits the first two for one group, and all for another.
    fn write_and_commit(broker: &Cluster) {
        let producer: BaseProducer = client_config(broker)
            .set("allow.auto.create.topics", "true")
            .create()
            .expect("a producer");
        let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970");
        let written = i64::try_from(now.as_millis()).expect("before the end") - 10_000;
        for number in 0..5 {
            let value = number.to_string();
            let record = BaseRecord::<(), str>::to("lines")
                .payload(&value)
                .timestamp(written);
            producer.send(record).map_err(|(error, _)| error).expect("sent");
        }
        producer.flush(Duration::from_secs(20)).expect("answered");
        for (group, offset) in [("late", 2), ("later", 2), ("done", 5)] {
            let committing: BaseConsumer = client_config(broker)
                .set("group.id", group)
                .create()
                .expect("a consumer");
            let mut position = TopicPartitionList::new();
            position
                .add_partition_offset("lines", 0, Offset::Offset(offset))
                .expect("an offset");
            committing.commit(&position, CommitMode::Sync).expect("committed");
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_group_is_behind_in_records_and_in_time() {
        let begun = Instant::now();
        let folder = tempfile::tempdir().expect("a folder");
        let mut config = Config::new(folder.path());
        config.listeners = vec![Listener::plaintext(
            "test",
            "127.0.0.1:0".parse().expect("an address"),
        )];
        let broker = osqdemo_broker::bind(config).await.expect("a broker");
        let address = Cluster::plain(broker.addresses()[0].local.to_string());
        let shutdown = CancellationToken::new();
        let running = tokio::spawn(broker.run(shutdown.clone()));

        let writing = address.clone();
        tokio::task::spawn_blocking(move || write_and_commit(&writing))
            .await
            .expect("written");
        let groups = groups(&address).await.expect("groups");
        let names: Vec<&str> = groups.iter().map(|group| group.name.as_str()).collect();
        assert_eq!(names, ["done", "late", "later"]);
        let [done, late, later] = [0, 1, 2].map(|place| &groups[place].positions[0]);
        assert!(
            later.behind_ms.is_some(),
            "a partition is read for each group that is behind"
        );
        assert_eq!((done.lag, done.behind_ms), (0, Some(0)));
        assert_eq!((late.committed, late.end, late.lag), (2, 5, 3));
        assert!(late.behind_ms.expect("it was read") >= 10_000, "{late:?}");

        let topics = detail_topics(&address).await.expect("topics");
        assert_eq!(topics.len(), 1, "{topics:?}");
        assert_eq!(topics[0].summary.records, 5);
        assert!(topics[0].size_bytes > 0);
        // Unless this machine has stood still, that was within the last minute.
        if begun.elapsed() < Duration::from_secs(40) {
            assert_eq!(topics[0].records_of_last_minute, 5);
        }
        shutdown.cancel();
        running.await.expect("the broker's end").expect("its last flush");
    }
}
