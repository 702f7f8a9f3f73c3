//! What the broker does with requests no well-behaved client sends, or sends only when something went wrong.
//!
//! Long because there is a test for each request that no client sends, each made by hand.

mod support;

use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant, SystemTime};

use bytes::{Bytes, BytesMut};
use kafka_protocol::ResponseError;
use kafka_protocol::messages::create_partitions_request::{
    CreatePartitionsAssignment, CreatePartitionsTopic,
};
use kafka_protocol::messages::create_topics_request::{
    CreatableReplicaAssignment, CreatableTopic, CreatableTopicConfig,
};
use kafka_protocol::messages::delete_records_request::{DeleteRecordsPartition, DeleteRecordsTopic};
use kafka_protocol::messages::fetch_request::{FetchPartition, FetchTopic};
use kafka_protocol::messages::list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic};
use kafka_protocol::messages::metadata_request::MetadataRequestTopic;
use kafka_protocol::messages::{
    BrokerId, CreatePartitionsRequest, CreateTopicsRequest, DeleteRecordsRequest, FetchRequest,
    ListOffsetsRequest, MetadataRequest, TopicName,
};
use kafka_protocol::protocol::StrBytes;
use osqdemo_broker::{Error, HostPort, Listener};
use tokio::io::AsyncWriteExt;

use support::raw::{RawClient, batch, batch_at, error};
use support::{TestBroker, send};

fn topic(name: &'static str) -> TopicName {
    TopicName(StrBytes::from_static_str(name))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_sent_twice_is_stored_once_also_over_a_restart() {
    let mut broker = TestBroker::start().await;
    let mut client = RawClient::connect(&broker.bootstrap).await;
    let first = client.produce("lines", batch(77, 0, &["a", "b"])).await;
    assert_eq!((first.error_code, first.base_offset), (0, 0));
    let second = client.produce("lines", batch(77, 2, &["c"])).await;
    assert_eq!((second.error_code, second.base_offset), (0, 2));
    let again = client.produce("lines", batch(77, 0, &["a", "b"])).await;
    assert_eq!((again.error_code, again.base_offset), (0, 0));
    let gap = client.produce("lines", batch(77, 9, &["z"])).await;
    assert_eq!(
        error(gap.error_code),
        Some(ResponseError::OutOfOrderSequenceNumber)
    );

    broker = broker.restart().await;
    let mut client = RawClient::connect(&broker.bootstrap).await;
    let again = client.produce("lines", batch(77, 2, &["c"])).await;
    assert_eq!((again.error_code, again.base_offset), (0, 2));
    let third = client.produce("lines", batch(77, 3, &["d"])).await;
    assert_eq!((third.error_code, third.base_offset), (0, 3));
    broker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_batch_is_refused() {
    let broker = TestBroker::start().await;
    let mut client = RawClient::connect(&broker.bootstrap).await;
    let mut damaged = BytesMut::from(&batch(-1, 0, &["value"])[..]);
    let last = damaged.len() - 1;
    damaged[last] ^= 1;
    let refused = client.produce("lines", damaged.freeze()).await;
    assert_eq!(error(refused.error_code), Some(ResponseError::CorruptMessage));
    let accepted = client.produce("lines", batch(-1, 0, &["value"])).await;
    assert_eq!((accepted.error_code, accepted.base_offset), (0, 0));
    broker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_that_do_not_read_cost_others_little() {
    let broker = TestBroker::start_with(|config| {
        config.limits.answer_bytes = 4 * 1024 * 1024;
        config.limits.stalled_in_need = Duration::from_millis(200);
    })
    .await;
    let mut client = RawClient::connect(&broker.bootstrap).await;
    let value = "x".repeat(900_000);
    for _ in 0..6 {
        client.produce("lines", batch(-1, 0, &[&value])).await;
    }
    let fetch = FetchRequest::default()
        .with_max_bytes(100_000_000)
        .with_session_epoch(-1)
        .with_topics(vec![
            FetchTopic::default()
                .with_topic(topic("lines"))
                .with_partitions(vec![
                    FetchPartition::default().with_partition_max_bytes(100_000_000),
                ]),
        ]);
    // They ask again and again and read nothing, until their answers fit no buffer.
    let mut slow = Vec::new();
    for _ in 0..4 {
        let mut reader = RawClient::connect(&broker.bootstrap).await;
        for _ in 0..10 {
            reader.send_request(11, &fetch).await;
        }
        slow.push(reader);
    }
    for _ in 0..3 {
        let answer = client.call(11, fetch.clone()).await;
        let records = answer.responses[0].partitions[0].records.clone();
        assert!(records.is_some_and(|records| records.len() > 3_000_000));
    }
    drop(slow);
    broker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_connection_more_than_there_may_be_is_closed() {
    let broker = TestBroker::start_with(|config| {
        config.limits.connections = 2;
        config.limits.idle = Duration::from_millis(300);
    })
    .await;
    let mut first = RawClient::connect(&broker.bootstrap).await;
    let mut second = RawClient::connect(&broker.bootstrap).await;
    for client in [&mut first, &mut second] {
        client.call(9, MetadataRequest::default()).await;
    }
    let mut third = RawClient::connect(&broker.bootstrap).await;
    assert!(third.read_frame().await.is_none());
    // They ask for nothing more, so their places become free.
    assert!(first.read_frame().await.is_none());
    assert!(second.read_frame().await.is_none());
    let mut fourth = RawClient::connect(&broker.bootstrap).await;
    fourth.call(9, MetadataRequest::default()).await;
    broker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn neither_half_a_request_nor_a_long_wait_is_kept_for_ever() {
    let broker = TestBroker::start_with(|config| {
        config.limits.stalled = Duration::from_millis(300);
        config.limits.max_wait = Duration::from_millis(300);
    })
    .await;
    let mut half = RawClient::connect(&broker.bootstrap).await;
    half.stream.write_all(&[0, 0, 0, 100, 1, 2, 3]).await.unwrap();
    assert!(half.read_frame().await.is_none());

    let mut client = RawClient::connect(&broker.bootstrap).await;
    client.produce("lines", batch(-1, 0, &["value"])).await;
    // Nothing comes behind the end; the client would wait for 24 days.
    let partition = FetchPartition::default()
        .with_fetch_offset(1)
        .with_partition_max_bytes(1_000);
    let fetch = FetchRequest::default()
        .with_max_wait_ms(i32::MAX)
        .with_min_bytes(1)
        .with_max_bytes(1_000)
        .with_session_epoch(-1)
        .with_topics(vec![
            FetchTopic::default()
                .with_topic(topic("lines"))
                .with_partitions(vec![partition]),
        ]);
    let answer = client.call(11, fetch).await;
    assert_eq!(answer.responses[0].partitions[0].error_code, 0);
    broker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_producer_does_not_bring_a_deleted_topic_back() {
    let broker = TestBroker::start().await;
    let mut client = RawClient::connect(&broker.bootstrap).await;
    for sent in [batch(-1, 0, &["a"]), Bytes::from_static(b"no batch at all")] {
        let refused = client.produce_only("gone", sent).await;
        assert_eq!(
            error(refused.error_code),
            Some(ResponseError::UnknownTopicOrPartition)
        );
    }
    let ask = MetadataRequest::default().with_topics(None);
    let known = client.call(9, ask).await.topics;
    assert!(known.is_empty(), "{known:?}");
    broker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn names_that_would_mislead_are_refused() {
    let broker = TestBroker::start().await;
    let mut client = RawClient::connect(&broker.bootstrap).await;
    let mut create = async |names: &[&'static str]| -> Vec<Option<ResponseError>> {
        let topics = names.iter().map(|name| {
            CreatableTopic::default()
                .with_name(topic(name))
                .with_num_partitions(1)
                .with_replication_factor(1)
        });
        let request = CreateTopicsRequest::default().with_topics(topics.collect());
        let response = client.call(5, request).await;
        let results = response.topics.iter();
        results.map(|result| error(result.error_code)).collect()
    };
    assert_eq!(create(&["a.b"]).await, [None]);
    for name in ["a_b", "__consumer_offsets", "__transaction_state"] {
        assert_eq!(
            create(&[name]).await,
            [Some(ResponseError::InvalidTopicException)],
            "{name}"
        );
    }
    assert_eq!(
        create(&["twice", "twice"]).await,
        [Some(ResponseError::InvalidRequest)]
    );
    assert_eq!(create(&["twice"]).await, [None], "nothing had been made");
    broker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn more_bytes_than_an_answer_carries_are_not_waited_for() {
    let broker = TestBroker::start().await;
    let mut client = RawClient::connect(&broker.bootstrap).await;
    let value = "x".repeat(900_000);
    for _ in 0..5 {
        client.produce("lines", batch(-1, 0, &[&value])).await;
    }
    let partition = FetchPartition::default()
        .with_partition(0)
        .with_partition_max_bytes(100_000_000);
    let request = FetchRequest::default()
        .with_max_wait_ms(3_600_000)
        .with_min_bytes(50_000_000)
        .with_max_bytes(100_000_000)
        .with_session_epoch(-1)
        .with_topics(vec![
            FetchTopic::default()
                .with_topic(topic("lines"))
                .with_partitions(vec![partition]),
        ]);
    // The answer does not wait for the hour: as much has come as one answer carries.
    let fetched = client.call(11, request);
    client_produces(&broker, &value).await;
    let fetched = fetched.await;
    let records = fetched.responses[0].partitions[0].records.clone();
    assert!(records.is_some_and(|records| records.len() > 3_000_000));
    broker.stop().await;
}

async fn client_produces(broker: &TestBroker, value: &str) {
    let mut other = RawClient::connect(&broker.bootstrap).await;
    other.produce("lines", batch(-1, 0, &[value])).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nonsense_closes_its_own_connection_only() {
    let broker = TestBroker::start().await;
    let frames: [&[u8]; 5] = [
        b"GET / HTTP/1.1\r\n\r\n",
        // A length over the limit, a negative one, one too short for a header.
        &[0x7f, 0xff, 0xff, 0xff, 0, 0],
        &[0xff, 0xff, 0xff, 0xff],
        &[0, 0, 0, 2, 0, 0],
        // Metadata version 0 that claims 2^31 - 1 topics.
        &[0, 0, 0, 14, 0, 3, 0, 0, 0, 0, 0, 1, 0, 0, 0x7f, 0xff, 0xff, 0xff],
    ];
    for frame in frames {
        let mut client = RawClient::connect(&broker.bootstrap).await;
        client.stream.write_all(frame).await.unwrap();
        client.stream.flush().await.unwrap();
        assert!(client.read_frame().await.is_none());
    }
    assert_eq!(send(&broker.producer(), "lines", "still here").await, (0, 0));
    broker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn fetching_outside_the_log_is_told_at_once() {
    let broker = TestBroker::start().await;
    let mut client = RawClient::connect(&broker.bootstrap).await;
    client.produce("lines", batch(-1, 0, &["a"])).await;
    let mut fetch = async |name, partition, offset, max_wait_ms| {
        let partition = FetchPartition::default()
            .with_partition(partition)
            .with_fetch_offset(offset)
            .with_partition_max_bytes(1000);
        let request = FetchRequest::default()
            .with_max_wait_ms(max_wait_ms)
            .with_min_bytes(1)
            .with_max_bytes(1000)
            .with_session_epoch(-1)
            .with_topics(vec![
                FetchTopic::default()
                    .with_topic(topic(name))
                    .with_partitions(vec![partition]),
            ]);
        let started = Instant::now();
        let response = client.call(11, request).await;
        let partition = response.responses[0].partitions[0].clone();
        let bytes = partition.records.map_or(0, |records| records.len());
        (error(partition.error_code), bytes, started.elapsed())
    };
    let patience = 10_000;
    let (code, _, took) = fetch("lines", 0, 2, patience).await;
    assert_eq!(code, Some(ResponseError::OffsetOutOfRange));
    assert!(took < Duration::from_secs(5));
    let (code, _, _) = fetch("lines", 7, 0, patience).await;
    assert_eq!(code, Some(ResponseError::UnknownTopicOrPartition));
    let (code, _, _) = fetch("nothing", 0, 0, patience).await;
    assert_eq!(code, Some(ResponseError::UnknownTopicOrPartition));
    // No patience: an answer at once, with data if there is any.
    let (code, bytes, took) = fetch("lines", 0, 1, 0).await;
    assert_eq!((code, bytes), (None, 0));
    assert!(took < Duration::from_secs(5));
    let (code, bytes, _) = fetch("lines", 0, 0, 0).await;
    assert_eq!(code, None);
    assert!(bytes > 60);
    broker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn offsets_are_found_by_time() {
    let broker = TestBroker::start().await;
    let mut client = RawClient::connect(&broker.bootstrap).await;
    client.produce("lines", batch(-1, 0, &["a", "b", "c"])).await;
    let mut offset = async |timestamp| {
        let partition = ListOffsetsPartition::default().with_timestamp(timestamp);
        let request = ListOffsetsRequest::default().with_topics(vec![
            ListOffsetsTopic::default()
                .with_name(topic("lines"))
                .with_partitions(vec![partition]),
        ]);
        let response = client.call(7, request).await;
        response.topics[0].partitions[0].offset
    };
    assert_eq!(offset(-2).await, 0);
    assert_eq!(offset(-1).await, 3);
    assert_eq!(offset(-3).await, 0);
    assert_eq!(offset(0).await, 0);
    assert_eq!(offset(1_000_001).await, -1);
    broker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn batches_are_sent_as_they_are_at_every_version() {
    let broker = TestBroker::start().await;
    let producer = broker.client().set("compression.type", "zstd").create().unwrap();
    send(&producer, "lines", &"x".repeat(1000)).await;
    let mut client = RawClient::connect(&broker.bootstrap).await;
    let topics = vec![
        FetchTopic::default()
            .with_topic(topic("lines"))
            .with_partitions(vec![
                FetchPartition::default().with_partition_max_bytes(1_000_000),
            ]),
    ];
    let fetch = FetchRequest::default()
        .with_max_bytes(1_000_000)
        .with_topics(topics);
    // As Apache Kafka 4 does it: there are clients that know zstd and ask by an old version.
    for version in [4, 9, 10] {
        let mut answer = client.call(version, fetch.clone()).await;
        let fetched = answer.responses.remove(0).partitions.remove(0);
        assert_eq!(error(fetched.error_code), None, "version {version}");
        let records = fetched.records.unwrap_or_default();
        // The codec stands in the low bits of the batch's attributes.
        assert_eq!(
            records.get(22).map(|attributes| attributes & 7),
            Some(4),
            "version {version}"
        );
    }
    broker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn partitions_cannot_be_assigned_to_a_broker_that_does_not_exist() {
    let broker = TestBroker::start().await;
    let mut client = RawClient::connect(&broker.bootstrap).await;
    client.produce("lines", batch(-1, 0, &["a"])).await;
    let mut grow = async |count: i32, brokers: &[i32]| {
        let assignments = brokers
            .iter()
            .map(|broker| CreatePartitionsAssignment::default().with_broker_ids(vec![BrokerId(*broker)]));
        let wanted = CreatePartitionsTopic::default()
            .with_name(topic("lines"))
            .with_count(count)
            .with_assignments(Some(assignments.collect()));
        let request = CreatePartitionsRequest::default().with_topics(vec![wanted]);
        let response = client.call(3, request).await;
        error(response.results[0].error_code)
    };
    let refused = Some(ResponseError::InvalidReplicaAssignment);
    assert_eq!(grow(3, &[1, 2]).await, refused);
    assert_eq!(grow(3, &[1]).await, refused, "one of two is missing");
    assert_eq!(grow(3, &[1, 1]).await, None);
    let mut create = async |name, broker| {
        let assigned = CreatableReplicaAssignment::default().with_broker_ids(vec![BrokerId(broker)]);
        let wanted = CreatableTopic::default()
            .with_name(topic(name))
            .with_num_partitions(-1)
            .with_replication_factor(-1)
            .with_assignments(vec![assigned]);
        let request = CreateTopicsRequest::default().with_topics(vec![wanted]);
        error(client.call(5, request).await.topics[0].error_code)
    };
    assert_eq!(create("elsewhere", 2).await, refused);
    assert_eq!(create("here", 1).await, None);
    broker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn records_of_a_compacted_topic_are_not_deleted_by_offset() {
    let broker = TestBroker::start().await;
    let mut client = RawClient::connect(&broker.bootstrap).await;
    create(&mut client, "states", ("cleanup.policy", "compact")).await;
    let wanted = DeleteRecordsTopic::default()
        .with_name(topic("states"))
        .with_partitions(vec![DeleteRecordsPartition::default().with_offset(-1)]);
    let delete = DeleteRecordsRequest::default().with_topics(vec![wanted]);
    let response = client.call(2, delete).await;
    let refused = error(response.topics[0].partitions[0].error_code);
    assert_eq!(refused, Some(ResponseError::PolicyViolation));
    broker.stop().await;
}

/// A topic with a setting.
async fn create(client: &mut RawClient, name: &'static str, setting: (&'static str, &'static str)) {
    let (key, value) = setting;
    let setting = CreatableTopicConfig::default()
        .with_name(StrBytes::from_static_str(key))
        .with_value(Some(StrBytes::from_static_str(value)));
    let wanted = CreatableTopic::default()
        .with_name(topic(name))
        .with_num_partitions(1)
        .with_replication_factor(1)
        .with_configs(vec![setting]);
    let create = CreateTopicsRequest::default().with_topics(vec![wanted]);
    assert_eq!(client.call(5, create).await.topics[0].error_code, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn records_that_a_topic_does_not_take_are_named_one_by_one() {
    let broker = TestBroker::start().await;
    let mut client = RawClient::connect(&broker.bootstrap).await;
    create(&mut client, "states", ("cleanup.policy", "compact")).await;
    create(&mut client, "lines", ("retention.ms", "-1")).await;
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
    let now = i64::try_from(now.as_millis()).unwrap();
    let days_ahead = now + 3 * 24 * 60 * 60 * 1000;
    let refused = [
        (
            "states",
            batch(-1, 0, &["a", "b", "c"]),
            ResponseError::InvalidRecord,
            vec![0, 1, 2],
        ),
        (
            "lines",
            batch_at(&[now, days_ahead, now, days_ahead], -1, 0, &["a", "b", "c", "d"]),
            ResponseError::InvalidTimestamp,
            vec![1, 3],
        ),
    ];
    for (name, batch, code, positions) in refused {
        let answer = client.produce_only(name, batch).await;
        assert_eq!((error(answer.error_code), answer.base_offset), (Some(code), -1));
        let named = answer.record_errors.iter().map(|record| record.batch_index);
        assert_eq!(named.collect::<Vec<_>>(), positions);
        let first = &answer.record_errors[0];
        assert!(first.batch_index_error_message.is_some());
    }
    // Nothing of it is stored; what is an hour ahead at most is.
    let soon = now + 50 * 60 * 1000;
    let taken = client
        .produce_only("lines", batch_at(&[soon], -1, 0, &["a"]))
        .await;
    assert_eq!((taken.error_code, taken.base_offset), (0, 0));
    broker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn only_who_asks_for_it_creates_a_topic() {
    for may_create in [true, false] {
        let broker = TestBroker::start_with(move |config| {
            config.auto_create_topics = may_create;
            config.default_partitions = 3;
        })
        .await;
        let mut client = RawClient::connect(&broker.bootstrap).await;
        let fetch = FetchRequest::default().with_session_epoch(-1).with_topics(vec![
            FetchTopic::default()
                .with_topic(topic("lines"))
                .with_partitions(vec![FetchPartition::default()]),
        ]);
        let fetched = client.call(11, fetch).await;
        let unknown = Some(ResponseError::UnknownTopicOrPartition);
        assert_eq!(error(fetched.responses[0].partitions[0].error_code), unknown);
        let mut ask = async |version, flag| {
            let wanted = MetadataRequestTopic::default().with_name(Some(topic("lines")));
            let request = MetadataRequest::default()
                .with_topics(Some(vec![wanted]))
                .with_allow_auto_topic_creation(flag);
            let answer = client.call(version, request).await.topics.remove(0);
            (error(answer.error_code), answer.partitions.len())
        };
        assert_eq!(ask(9, false).await, (unknown, 0));
        let expected = if may_create { (None, 3) } else { (unknown, 0) };
        assert_eq!(ask(9, true).await, expected);
        // Older versions have no flag, and ask for it.
        assert_eq!(ask(3, true).await, expected);
        broker.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_listener_tells_its_own_address() {
    let broker = TestBroker::start_with(|config| {
        config.listeners.push(Listener {
            advertised: Some(HostPort {
                host: "broker".to_owned(),
                port: 29092,
            }),
            ..Listener::plaintext("internal", SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))
        });
    })
    .await;
    let mut told = Vec::new();
    for address in &broker.addresses {
        let mut client = RawClient::connect(&address.local.to_string()).await;
        let request = MetadataRequest::default().with_topics(None);
        let response = client.call(12, request).await;
        let node = &response.brokers[0];
        told.push(format!("{}:{}", node.host, node.port));
    }
    assert_eq!(told, [broker.bootstrap.clone(), "broker:29092".to_owned()]);
    broker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_broker_on_the_same_folder_or_address_is_refused() {
    let broker = TestBroker::start().await;
    let same_folder = osqdemo_broker::bind(support::config(broker.folder.path())).await;
    let error = same_folder.unwrap_err();
    assert!(matches!(error, Error::Locked { .. }), "{error}");

    let folder = tempfile::tempdir().unwrap();
    let mut config = support::config(folder.path());
    config.listeners[0].bind = broker.bootstrap.parse().unwrap();
    let error = osqdemo_broker::bind(config).await.unwrap_err();
    let expected = format!("listener `test` cannot bind {}", broker.bootstrap);
    assert_eq!(error.to_string(), expected);
    broker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_impossible_configuration_is_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = support::config(folder.path());
    config.retention.check_interval = Duration::ZERO;
    let error = osqdemo_broker::bind(config).await.unwrap_err();
    assert_eq!(error.to_string(), "`retention.check_interval` is out of range: 0");
    let mut config = support::config(folder.path());
    config.listeners.clear();
    let error = osqdemo_broker::bind(config).await.unwrap_err();
    assert!(matches!(error, Error::NoListener), "{error}");
}
