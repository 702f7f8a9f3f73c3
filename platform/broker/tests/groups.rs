//! Several consumers in one group: they share the partitions, whatever assignor they use.

mod support;

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use kafka_protocol::messages::join_group_request::JoinGroupRequestProtocol;
use kafka_protocol::messages::{GroupId, JoinGroupRequest, SyncGroupRequest};
use kafka_protocol::protocol::StrBytes;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{Consumer, StreamConsumer};

use support::raw::RawClient;
use support::{DEADLINE, TestBroker, consumer, eventually, receive, send, subscribed};

async fn create(broker: &TestBroker, partitions: i32) {
    let admin: AdminClient<DefaultClientContext> = broker.client().create().unwrap();
    let wanted = NewTopic::new("lines", partitions, TopicReplication::Fixed(1));
    let created = admin
        .create_topics([&wanted], &AdminOptions::new())
        .await
        .unwrap();
    created[0].as_ref().unwrap();
}

/// The partitions a consumer has; it is polled, as only then it takes part in rebalances.
async fn assigned(consumer: &StreamConsumer) -> BTreeSet<i32> {
    let _ = tokio::time::timeout(Duration::from_millis(20), consumer.recv()).await;
    let assignment = consumer.assignment().unwrap();
    let partitions = assignment.elements();
    partitions.iter().map(|element| element.partition()).collect()
}

async fn share(assignor: &str) {
    let broker = TestBroker::start().await;
    create(&broker, 4).await;
    let settings = [("partition.assignment.strategy", assignor)];
    let new = || subscribed(consumer(&broker.bootstrap, "readers", &settings), "lines");
    let first = new();
    eventually("one has all", async || assigned(&first).await.len() == 4).await;
    let second = new();
    eventually("two share", async || {
        let (one, other) = (assigned(&first).await, assigned(&second).await);
        one.len() == 2 && other.len() == 2 && one.is_disjoint(&other)
    })
    .await;
    drop(second);
    eventually("one has all again", async || assigned(&first).await.len() == 4).await;
    drop(first);
    broker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_consumers_share_the_partitions_eagerly() {
    share("range").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_consumers_share_the_partitions_cooperatively() {
    share("cooperative-sticky").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_static_member_comes_back_to_its_partitions() {
    let broker = TestBroker::start().await;
    create(&broker, 2).await;
    let new = |instance: &str| {
        let settings = [
            ("group.instance.id", instance),
            ("partition.assignment.strategy", "range"),
        ];
        subscribed(consumer(&broker.bootstrap, "readers", &settings), "lines")
    };
    let (one, two) = (new("one"), new("two"));
    eventually("two share", async || {
        // Both are polled every time: whoever was first has to give a partition up.
        let (one, two) = (assigned(&one).await, assigned(&two).await);
        one.len() == 1 && two.len() == 1
    })
    .await;
    let before = assigned(&two).await;
    // A static member does not leave when it is closed, so nobody takes its partition meanwhile.
    drop(two);
    let two = new("two");
    eventually("it is back", async || {
        assert_eq!(assigned(&one).await.len(), 1);
        assigned(&two).await == before
    })
    .await;
    drop((one, two));
    broker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_that_dies_is_replaced_when_its_session_expires() {
    let broker = TestBroker::start().await;
    send(&broker.producer(), "lines", "one").await;
    let mut dying = RawClient::connect(&broker.bootstrap).await;
    let group = GroupId(StrBytes::from_static_str("readers"));
    // What librdkafka's "range" subscription to "lines" looks like.
    let subscription = b"\0\0\0\0\0\x01\0\x05lines\xff\xff\xff\xff";
    let protocol = JoinGroupRequestProtocol::default()
        .with_name(StrBytes::from_static_str("range"))
        .with_metadata(bytes::Bytes::from_static(subscription));
    let join = JoinGroupRequest::default()
        .with_group_id(group.clone())
        .with_session_timeout_ms(6000)
        .with_protocol_type(StrBytes::from_static_str("consumer"))
        .with_protocols(vec![protocol]);
    let joined = dying.call(0, join.with_rebalance_timeout_ms(-1)).await;
    assert_eq!(joined.error_code, 0);
    let sync = SyncGroupRequest::default()
        .with_group_id(group)
        .with_generation_id(joined.generation_id)
        .with_member_id(joined.member_id);
    assert_eq!(dying.call(0, sync).await.error_code, 0);
    drop(dying);

    let started = Instant::now();
    let settings = [("partition.assignment.strategy", "range")];
    let heir = subscribed(consumer(&broker.bootstrap, "readers", &settings), "lines");
    receive(&heir, 1).await;
    assert!(started.elapsed() < DEADLINE);
    drop(heir);
    broker.stop().await;
}
