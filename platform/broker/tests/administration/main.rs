//! Topics, settings, retention and groups, managed through librdkafka's admin client.
//!
//! Long because there is a test for each thing that an admin client asks for; what is about settings and the cluster has a file.

mod cluster;
mod settings;
#[path = "../support/mod.rs"]
mod support;

use std::collections::HashMap;
use std::time::Duration;

use bytes::{Buf, BufMut, BytesMut};
use kafka_protocol::ResponseError;
use kafka_protocol::messages::alter_partition_reassignments_request::{
    ReassignablePartition, ReassignableTopic,
};
use kafka_protocol::messages::elect_leaders_request::TopicPartitions;
use kafka_protocol::messages::metadata_request::MetadataRequestTopic;
use kafka_protocol::messages::offset_delete_request::{
    OffsetDeleteRequestPartition, OffsetDeleteRequestTopic,
};
use kafka_protocol::messages::{
    AlterPartitionReassignmentsRequest, BrokerId, DescribeAclsRequest, DescribeClientQuotasRequest,
    DescribeClusterRequest, DescribeLogDirsRequest, DescribeTopicPartitionsRequest,
    DescribeUserScramCredentialsRequest, ElectLeadersRequest, GroupId, ListConfigResourcesRequest,
    ListPartitionReassignmentsRequest, MetadataRequest, OffsetDeleteRequest, TopicName,
    describe_topic_partitions_request,
};
use kafka_protocol::protocol::StrBytes;
use rdkafka::admin::{
    AdminClient, AdminOptions, AlterConfig, NewPartitions, NewTopic, ResourceSpecifier, TopicReplication,
};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::producer::FutureRecord;
use rdkafka::types::RDKafkaErrorCode;
use rdkafka::util::Timeout;
use rdkafka::{Message, Offset, TopicPartitionList};

use support::raw::{RawClient, error};
use support::{DEADLINE, TestBroker, eventually, receive, send, subscribed};

/// What may be done with a group where nobody is kept from anything, a bit for each operation: read, delete, describe,
/// describe and alter settings.
const OF_GROUP: i32 = 1 << 3 | 1 << 6 | 1 << 8 | 1 << 10 | 1 << 11;

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
    // A group that is in the middle of what is compacted goes on there, wherever it would begin without its offset.
    let mut halfway = TopicPartitionList::new();
    halfway
        .add_partition_offset("states", 0, Offset::Offset(10))
        .unwrap();
    broker
        .consumer("halfway")
        .commit(&halfway, CommitMode::Sync)
        .unwrap();
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
    let (low, high) = consumer.fetch_watermarks("states", 0, DEADLINE).unwrap();
    assert_eq!((low, high), (0, 60));
    let halfway = support::consumer(&broker.bootstrap, "halfway", &[("auto.offset.reset", "error")]);
    let halfway = subscribed(halfway, "states");
    let next = receive(&halfway, 1).await.remove(0).offset();
    assert!(next > 10, "{next}");
    drop(halfway);
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

#[tokio::test(flavor = "multi_thread")]
async fn what_one_node_has_nothing_of_is_answered_as_kafka_answers_it() {
    let broker = TestBroker::start().await;
    send(&broker.producer(), "lines", "value").await;
    let mut client = RawClient::connect(&broker.bootstrap).await;
    let lines = TopicName(StrBytes::from_static_str("lines"));

    let moving = client.call(0, ListPartitionReassignmentsRequest::default()).await;
    assert_eq!((moving.error_code, moving.topics.len()), (0, 0));
    let mut reassign = async |replicas: Option<Vec<i32>>| {
        let replicas = replicas.map(|ids| ids.into_iter().map(BrokerId).collect());
        let partition = ReassignablePartition::default().with_replicas(replicas);
        let topic = ReassignableTopic::default()
            .with_name(lines.clone())
            .with_partitions(vec![partition]);
        let request = AlterPartitionReassignmentsRequest::default().with_topics(vec![topic]);
        let answer = client.call(0, request).await;
        error(answer.responses[0].partitions[0].error_code)
    };
    assert_eq!(reassign(Some(vec![1])).await, None);
    assert_eq!(
        reassign(Some(vec![2])).await,
        Some(ResponseError::InvalidReplicaAssignment)
    );
    assert_eq!(
        reassign(None).await,
        Some(ResponseError::NoReassignmentInProgress)
    );
    let topic = TopicPartitions::default()
        .with_topic(lines.clone())
        .with_partitions(vec![0, 9]);
    let elect = ElectLeadersRequest::default().with_topic_partitions(Some(vec![topic]));
    let elected = client.call(2, elect).await;
    let codes = elected.replica_election_results[0].partition_result.iter();
    assert_eq!(
        codes.map(|result| error(result.error_code)).collect::<Vec<_>>(),
        [
            Some(ResponseError::ElectionNotNeeded),
            Some(ResponseError::UnknownTopicOrPartition)
        ]
    );
    let any = DescribeAclsRequest::default()
        .with_resource_type_filter(1)
        .with_pattern_type_filter(1)
        .with_operation(1)
        .with_permission_type(1);
    let acls = client.call(2, any).await;
    assert_eq!((acls.error_code, acls.resources.len()), (0, 0));
    let quotas = client.call(1, DescribeClientQuotasRequest::default()).await;
    assert_eq!((quotas.error_code, quotas.entries), (0, Some(Vec::new())));
    let users = client
        .call(0, DescribeUserScramCredentialsRequest::default())
        .await;
    assert_eq!((users.error_code, users.results.len()), (0, 0));

    let folders = client
        .call(4, DescribeLogDirsRequest::default().with_topics(None))
        .await;
    let folder = &folders.results[0];
    assert!(folder.total_bytes > 0 && folder.usable_bytes > 0);
    assert_eq!(folder.topics[0].name, lines);
    let size = folder.topics[0].partitions[0].partition_size;
    assert_eq!(u64::try_from(size).unwrap(), log_bytes(&broker));

    let partitions = client
        .call(
            0,
            DescribeTopicPartitionsRequest::default().with_response_partition_limit(10),
        )
        .await;
    assert_eq!(partitions.topics[0].partitions[0].leader_id, BrokerId(1));
    let resources = client.call(1, ListConfigResourcesRequest::default()).await;
    let kinds: Vec<i8> = resources
        .config_resources
        .iter()
        .map(|resource| resource.resource_type)
        .collect();
    assert_eq!(kinds, [4, 2]);
    broker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn partitions_are_described_in_pages() {
    let broker = TestBroker::start().await;
    for name in ["a", "b"] {
        let wanted = NewTopic::new(name, 3, TopicReplication::Fixed(1));
        admin(&broker).create_topics([&wanted], &options()).await.unwrap();
    }
    let mut client = RawClient::connect(&broker.bootstrap).await;
    let mut cursor = None;
    let mut pages = Vec::new();
    loop {
        let request = DescribeTopicPartitionsRequest::default()
            .with_response_partition_limit(2)
            .with_cursor(cursor.take());
        let page = client.call(0, request).await;
        let partitions = page.topics.iter().flat_map(|topic| {
            let name = topic.name.as_ref().unwrap().to_string();
            let partitions = topic.partitions.iter();
            partitions.map(move |partition| format!("{name}{}", partition.partition_index))
        });
        pages.push(partitions.collect::<Vec<_>>().join(" "));
        let Some(next) = page.next_cursor else { break };
        cursor = Some(
            describe_topic_partitions_request::Cursor::default()
                .with_topic_name(next.topic_name)
                .with_partition_index(next.partition_index),
        );
    }
    assert_eq!(pages, ["a0 a1", "a2 b0", "b1 b2"]);
    broker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_topic_is_described_by_its_id_and_with_what_may_be_done_to_it() {
    let broker = TestBroker::start().await;
    send(&broker.producer(), "lines", "value").await;
    let mut client = RawClient::connect(&broker.bootstrap).await;
    let all = MetadataRequest::default().with_topics(None);
    let answer = client.call(12, all).await;
    // What Kafka's own Uuid reads.
    assert_eq!(answer.cluster_id.unwrap().len(), 22);
    // Java's admin client sends an empty name with the id.
    let wanted = MetadataRequestTopic::default()
        .with_topic_id(answer.topics[0].topic_id)
        .with_name(Some(TopicName::default()));
    let request = MetadataRequest::default()
        .with_topics(Some(vec![wanted]))
        .with_include_topic_authorized_operations(true);
    let found = client.call(12, request).await;
    assert_eq!(found.topics[0].error_code, 0);
    assert_eq!(found.topics[0].name.as_ref().unwrap().as_str(), "lines");
    assert_eq!(found.topics[0].topic_authorized_operations, 3576);
    let cluster = DescribeClusterRequest::default().with_include_cluster_authorized_operations(true);
    let cluster = client.call(0, cluster).await;
    assert_eq!(cluster.cluster_authorized_operations, 8096);
    broker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn offsets_of_topics_that_nobody_reads_are_deleted_in_a_living_group() {
    let broker = TestBroker::start().await;
    for topic in ["lines", "others"] {
        send(&broker.producer(), topic, "value").await;
    }
    let consumer = subscribed(broker.consumer("readers"), "lines");
    receive(&consumer, 1).await;
    let mut offsets = TopicPartitionList::new();
    for topic in ["lines", "others"] {
        offsets.add_partition_offset(topic, 0, Offset::Offset(1)).unwrap();
    }
    consumer.commit(&offsets, CommitMode::Sync).unwrap();
    let mut client = RawClient::connect(&broker.bootstrap).await;
    let topics = ["lines", "others"].map(|name| {
        OffsetDeleteRequestTopic::default()
            .with_name(TopicName(StrBytes::from_static_str(name)))
            .with_partitions(vec![OffsetDeleteRequestPartition::default()])
    });
    let request = OffsetDeleteRequest::default()
        .with_group_id(GroupId(StrBytes::from_static_str("readers")))
        .with_topics(topics.to_vec());
    let answer = client.call(0, request).await;
    let codes = answer
        .topics
        .iter()
        .map(|topic| error(topic.partitions[0].error_code));
    assert_eq!(
        codes.collect::<Vec<_>>(),
        [Some(ResponseError::GroupSubscribedToTopic), None]
    );
    let mut wanted = TopicPartitionList::new();
    wanted.add_partition("lines", 0);
    wanted.add_partition("others", 0);
    let left = consumer.committed_offsets(wanted, DEADLINE).unwrap();
    let left: Vec<Offset> = left.elements().iter().map(|element| element.offset()).collect();
    assert_eq!(left, [Offset::Offset(1), Offset::Invalid]);
    drop(consumer);
    broker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_that_has_committed_nothing_is_shown_when_its_last_member_has_left() {
    let broker = TestBroker::start().await;
    send(&broker.producer(), "lines", "value").await;
    let consumer = subscribed(broker.consumer("readers"), "lines");
    receive(&consumer, 1).await;
    drop(consumer);
    let observer: BaseConsumer = broker.client().create().unwrap();
    eventually("it is empty", async || {
        let listed = observer.fetch_group_list(Some("readers"), DEADLINE).unwrap();
        listed
            .groups()
            .first()
            .is_some_and(|group| group.state() == "Empty")
    })
    .await;
    broker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_oldest_way_to_ask_for_offsets_is_answered() {
    let broker = TestBroker::start().await;
    for value in ["a", "b"] {
        send(&broker.producer(), "lines", value).await;
    }
    let mut client = RawClient::connect(&broker.bootstrap).await;
    let mut ask = async |timestamp: i64| {
        let mut frame = BytesMut::new();
        frame.put_slice(&[0, 2, 0, 0, 0, 0, 0, 9, 0xff, 0xff]);
        frame.put_i32(-1);
        frame.put_i32(1);
        frame.put_slice(b"\0\x05lines");
        frame.put_i32(1);
        frame.put_i32(0);
        frame.put_i64(timestamp);
        frame.put_i32(1);
        client.send_frame(&frame).await;
        let mut answer = client.read_frame().await.unwrap();
        assert_eq!(answer.split_to(15)[..], *b"\0\0\0\x09\0\0\0\x01\0\x05lines");
        assert_eq!(
            answer.split_to(14)[..],
            [0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]
        );
        answer.get_i64()
    };
    assert_eq!(ask(-1).await, 2);
    assert_eq!(ask(-2).await, 0);
    broker.stop().await;
}
