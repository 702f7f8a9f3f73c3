//! Topics, settings, retention and groups, managed through librdkafka's admin client.

mod support;

use std::collections::HashMap;
use std::time::Duration;

use rdkafka::admin::{
    AdminClient, AdminOptions, AlterConfig, NewPartitions, NewTopic, ResourceSpecifier, TopicReplication,
};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::producer::FutureRecord;
use rdkafka::types::RDKafkaErrorCode;
use rdkafka::util::Timeout;
use rdkafka::{Message, Offset, TopicPartitionList};

use support::{DEADLINE, TestBroker, eventually, receive, send, subscribed};

fn admin(broker: &TestBroker) -> AdminClient<DefaultClientContext> {
    broker.client().create().unwrap()
}

fn options() -> AdminOptions {
    AdminOptions::new().request_timeout(Some(DEADLINE))
}

fn partitions(broker: &TestBroker, topic: &str) -> usize {
    let consumer: BaseConsumer = broker.client().create().unwrap();
    let metadata = consumer.fetch_metadata(Some(topic), DEADLINE).unwrap();
    metadata.topics()[0].partitions().len()
}

async fn setting(broker: &TestBroker, topic: &str, name: &str) -> String {
    let resources = [ResourceSpecifier::Topic(topic)];
    let described = admin(broker)
        .describe_configs(&resources, &options())
        .await
        .unwrap();
    let resource = described[0].as_ref().unwrap();
    let entry = resource.get(name).expect("the setting");
    entry.value.clone().expect("a value")
}

#[tokio::test(flavor = "multi_thread")]
async fn topics_are_created_changed_and_deleted() {
    let mut broker = TestBroker::start().await;
    let wanted = NewTopic::new("lines", 3, TopicReplication::Fixed(1)).set("retention.ms", "60000");
    let created = admin(&broker).create_topics([&wanted], &options()).await.unwrap();
    assert_eq!(created[0].as_deref(), Ok("lines"));
    let again = admin(&broker).create_topics([&wanted], &options()).await.unwrap();
    assert_eq!(
        again[0].as_ref().unwrap_err().1,
        RDKafkaErrorCode::TopicAlreadyExists
    );
    let replicated = NewTopic::new("copies", 1, TopicReplication::Fixed(3));
    let refused = admin(&broker)
        .create_topics([&replicated], &options())
        .await
        .unwrap();
    assert_eq!(
        refused[0].as_ref().unwrap_err().1,
        RDKafkaErrorCode::InvalidReplicationFactor
    );

    admin(&broker)
        .create_partitions([&NewPartitions::new("lines", 5)], &options())
        .await
        .unwrap();
    let altered = AlterConfig::new(ResourceSpecifier::Topic("lines")).set("retention.bytes", "4096");
    admin(&broker)
        .alter_configs([&altered], &options())
        .await
        .unwrap();

    broker = broker.restart().await;
    assert_eq!(partitions(&broker, "lines"), 5);
    assert_eq!(setting(&broker, "lines", "retention.bytes").await, "4096");
    // Altering replaces all overrides, so the default is back.
    assert_eq!(setting(&broker, "lines", "retention.ms").await, "604800000");

    send(&broker.producer(), "lines", "gone soon").await;
    let deleted = admin(&broker)
        .delete_topics(&["lines"], &options())
        .await
        .unwrap();
    assert_eq!(deleted[0].as_deref(), Ok("lines"));
    broker = broker.restart().await;
    assert_eq!(
        std::fs::read_dir(broker.folder.path().join("topics"))
            .unwrap()
            .count(),
        0
    );
    broker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn old_records_are_deleted_and_reading_goes_on_behind_them() {
    let broker = TestBroker::start_with(|config| {
        config.retention.check_interval = Duration::from_millis(50);
        config.retention.compaction_interval = Duration::from_millis(50);
    })
    .await;
    let wanted = NewTopic::new("lines", 1, TopicReplication::Fixed(1))
        .set("segment.bytes", "2000")
        .set("retention.bytes", "6000");
    admin(&broker).create_topics([&wanted], &options()).await.unwrap();
    let producer = broker.producer();
    let value = "x".repeat(500);
    for _ in 0..60 {
        send(&producer, "lines", &value).await;
    }
    let consumer = subscribed(broker.consumer("readers"), "lines");
    eventually("the log is cut", async || {
        let (low, high) = consumer.fetch_watermarks("lines", 0, DEADLINE).unwrap();
        assert_eq!(high, 60);
        low > 40
    })
    .await;
    let first = receive(&consumer, 1).await;
    assert!(first[0].offset() > 40);
    drop(consumer);
    broker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_compacted_topic_keeps_the_last_record_of_each_key() {
    let broker = TestBroker::start_with(|config| {
        config.retention.check_interval = Duration::from_millis(50);
        config.retention.compaction_interval = Duration::from_millis(50);
    })
    .await;
    let wanted = NewTopic::new("states", 1, TopicReplication::Fixed(1))
        .set("cleanup.policy", "compact")
        .set("segment.bytes", "2000");
    admin(&broker).create_topics([&wanted], &options()).await.unwrap();
    let producer = broker.producer();
    let value = "x".repeat(500);
    for number in 0..60 {
        let key = format!("host{}", number % 3);
        let record = FutureRecord::to("states").key(&key).payload(&value);
        producer.send(record, Timeout::After(DEADLINE)).await.unwrap();
    }
    // Segments of compacted batches hold no more than an empty batch or two.
    eventually("the log is compacted", async || log_bytes(&broker) < 6000).await;
    let consumer = subscribed(broker.consumer("readers"), "states");
    let mut last = HashMap::new();
    let mut received = 0;
    while last.values().max() != Some(&59) {
        let message = receive(&consumer, 1).await.remove(0);
        last.insert(message.key().unwrap().to_vec(), message.offset());
        received += 1;
    }
    assert!(received < 15, "{received}");
    let mut offsets: Vec<i64> = last.into_values().collect();
    offsets.sort_unstable();
    assert_eq!(offsets, [57, 58, 59]);
    // Behind the last batch, which may be an empty one, reading goes on.
    let record = FutureRecord::to("states").key("another").payload("one more");
    producer.send(record, Timeout::After(DEADLINE)).await.unwrap();
    assert_eq!(receive(&consumer, 1).await[0].offset(), 60);
    drop(consumer);
    broker.stop().await;
}

/// Bytes of all segments.
fn log_bytes(broker: &TestBroker) -> u64 {
    let mut folders = vec![broker.folder.path().join("topics")];
    let mut bytes = 0;
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap().flatten() {
            // A file may go while it is looked at.
            match entry.metadata() {
                Ok(metadata) if metadata.is_dir() => folders.push(entry.path()),
                Ok(metadata) if entry.path().extension().is_some_and(|suffix| suffix == "log") => {
                    bytes += metadata.len();
                }
                _ => {}
            }
        }
    }
    bytes
}

#[tokio::test(flavor = "multi_thread")]
async fn records_are_deleted_up_to_an_offset() {
    let mut broker = TestBroker::start().await;
    let producer = broker.producer();
    for number in 0..10 {
        send(&producer, "lines", &number.to_string()).await;
    }
    let mut until = TopicPartitionList::new();
    until.add_partition_offset("lines", 0, Offset::Offset(7)).unwrap();
    admin(&broker).delete_records(&until, &options()).await.unwrap();
    broker = broker.restart().await;
    let consumer = subscribed(broker.consumer("readers"), "lines");
    let left = receive(&consumer, 3).await;
    assert_eq!(left[0].offset(), 7);
    drop(consumer);
    broker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn groups_are_listed_and_deleted() {
    let broker = TestBroker::start().await;
    send(&broker.producer(), "lines", "one").await;
    let consumer = subscribed(broker.consumer("readers"), "lines");
    receive(&consumer, 1).await;
    consumer.commit_consumer_state(CommitMode::Sync).unwrap();
    let listed = consumer.fetch_group_list(Some("readers"), DEADLINE).unwrap();
    let group = &listed.groups()[0];
    assert_eq!((group.state(), group.members().len()), ("Stable", 1));
    let busy = admin(&broker)
        .delete_groups(&["readers"], &options())
        .await
        .unwrap();
    assert_eq!(busy[0].as_ref().unwrap_err().1, RDKafkaErrorCode::NonEmptyGroup);
    drop(consumer);
    eventually("the group is deleted", async || {
        let deleted = admin(&broker)
            .delete_groups(&["readers"], &options())
            .await
            .unwrap();
        deleted[0].is_ok()
    })
    .await;
    let unknown = admin(&broker)
        .delete_groups(&["readers"], &options())
        .await
        .unwrap();
    assert_eq!(
        unknown[0].as_ref().unwrap_err().1,
        RDKafkaErrorCode::GroupIdNotFound
    );
    broker.stop().await;
}
