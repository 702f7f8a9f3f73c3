//! Consumers of Kafka's newer group protocol (KIP-848), to whom the broker assigns their partitions.

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use kafka_protocol::ResponseError;
use kafka_protocol::messages::consumer_group_heartbeat_request::TopicPartitions;
use kafka_protocol::messages::offset_commit_request::{
    OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use kafka_protocol::messages::{
    ConsumerGroupDescribeRequest, ConsumerGroupHeartbeatRequest, ConsumerGroupHeartbeatResponse, GroupId,
    OffsetCommitRequest, TopicName,
};
use kafka_protocol::protocol::StrBytes;
use osqdemo_broker::{Config, GroupMigration};
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer, StreamConsumer};
use rdkafka::{ClientConfig, TopicPartitionList};

use support::raw::RawClient;
use support::{DEADLINE, TestBroker, eventually, receive, send, subscribed};

/// Members are heard of often, so that they learn soon what changed.
fn often(config: &mut Config) {
    config.groups.consumer_heartbeat_interval = Duration::from_millis(100);
}

fn member(broker: &TestBroker, settings: &[(&str, &str)]) -> StreamConsumer {
    let mut config: ClientConfig = broker.client();
    config
        .set("group.id", "readers")
        .set("group.protocol", "consumer")
        .set("auto.offset.reset", "earliest")
        .set("enable.auto.commit", "false");
    for (name, value) in settings {
        config.set(*name, *value);
    }
    subscribed(config.create().unwrap(), "lines")
}

async fn with_topic() -> TestBroker {
    let broker = TestBroker::start_with(often).await;
    let admin: AdminClient<DefaultClientContext> = broker.client().create().unwrap();
    let wanted = NewTopic::new("lines", 4, TopicReplication::Fixed(1));
    let created = admin
        .create_topics([&wanted], &AdminOptions::new())
        .await
        .unwrap();
    created[0].as_ref().unwrap();
    broker
}

/// The partitions a consumer has; it is polled, as only then it takes part in rebalances.
async fn assigned(consumer: &StreamConsumer) -> BTreeSet<i32> {
    let _ = tokio::time::timeout(Duration::from_millis(20), consumer.recv()).await;
    let assignment = consumer.assignment().unwrap();
    let partitions = assignment.elements();
    partitions.iter().map(|element| element.partition()).collect()
}

async fn have_all(what: &str, consumers: &[&StreamConsumer]) {
    eventually(what, async || {
        let mut all = Vec::new();
        for consumer in consumers {
            all.push(assigned(consumer).await);
        }
        let union: BTreeSet<i32> = all.iter().flatten().copied().collect();
        let count: usize = all.iter().map(BTreeSet::len).sum();
        union.len() == 4 && count == 4 && all.iter().all(|one| one.len() == 4 / consumers.len())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn consumers_share_the_partitions_also_over_a_restart() {
    let mut broker = with_topic().await;
    let first = member(&broker, &[("group.remote.assignor", "range")]);
    have_all("one has all", &[&first]).await;
    let second = member(&broker, &[("group.remote.assignor", "uniform")]);
    have_all("two share", &[&first, &second]).await;
    let before = (assigned(&first).await, assigned(&second).await);

    broker = broker.restart_in_place().await;
    have_all("two share after a restart", &[&first, &second]).await;
    assert_eq!((assigned(&first).await, assigned(&second).await), before);
    let third = member(&broker, &[]);
    let fourth = member(&broker, &[]);
    have_all("four share", &[&first, &second, &third, &fourth]).await;
    drop((second, fourth));
    have_all("two share again", &[&first, &third]).await;
    drop((first, third));
    broker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_static_member_comes_back_to_its_partitions() {
    let broker = with_topic().await;
    let new = |instance: &str| member(&broker, &[("group.instance.id", instance)]);
    let (one, two) = (new("one"), new("two"));
    have_all("two share", &[&one, &two]).await;
    let before = assigned(&two).await;
    drop(two);
    let two = new("two");
    eventually("it is back", async || {
        assert_eq!(assigned(&one).await.len(), 2);
        assigned(&two).await == before
    })
    .await;
    drop((one, two));
    broker.stop().await;
}

/// Members are replaced one by one by ones of the newer protocol, and these by ones of the classic one, while records come:
/// each is read by somebody, and once where all that was read is committed.
async fn roll(broker: &TestBroker, strategy: &str) {
    let producer = broker.producer();
    let new = |protocol: &str| match protocol {
        "classic" => member(
            broker,
            &[
                ("group.protocol", "classic"),
                ("partition.assignment.strategy", strategy),
                ("heartbeat.interval.ms", "100"),
                ("session.timeout.ms", "10000"),
            ],
        ),
        _ => member(broker, &[]),
    };
    let mut members = vec![new("classic"), new("classic")];
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    let mut sent = BTreeSet::new();
    for (step, protocol) in ["consumer", "consumer", "classic", "classic"]
        .into_iter()
        .enumerate()
    {
        all_share(&members, &mut seen).await;
        for number in 0..20 {
            let value = format!("{step} {number}");
            send(&producer, "lines", &value).await;
            sent.insert(value);
        }
        // The new one comes first, so that both protocols are in the group.
        members.push(new(protocol));
        all_share(&members, &mut seen).await;
        let leaving = members.remove(0);
        read_and_commit(&leaving, &mut seen).await;
        drop(leaving);
    }
    // No member, which would have to be polled to be answered while the group is rebalanced.
    let observer: BaseConsumer = broker.client().set("group.id", "readers").create().unwrap();
    let mut all = TopicPartitionList::new();
    all.add_partition_range("lines", 0, 3);
    eventually("every record is read and committed", async || {
        for reader in &members {
            read_and_commit(reader, &mut seen).await;
        }
        let committed = observer.committed_offsets(all.clone(), DEADLINE).unwrap();
        let committed: i64 = committed
            .elements()
            .iter()
            .filter_map(|element| element.offset().to_raw().filter(|offset| *offset > 0))
            .sum();
        usize::try_from(committed).unwrap() == sent.len()
    })
    .await;
    assert_eq!(seen.keys().cloned().collect::<BTreeSet<_>>(), sent);
    drop(members);
    // What was committed on the way holds, whoever comes now.
    send(&producer, "lines", "last").await;
    let heir = new("classic");
    let last = receive(&heir, 1).await;
    assert_eq!(rdkafka::Message::payload(&last[0]).unwrap(), b"last");
}

/// Waits until each member has a part and together they have all, and reads meanwhile.
async fn all_share(members: &[StreamConsumer], seen: &mut BTreeMap<String, usize>) {
    eventually("all share", async || {
        let mut parts = Vec::new();
        for reader in members {
            parts.push(read_and_commit(reader, seen).await);
        }
        let all: BTreeSet<i32> = parts.iter().flatten().copied().collect();
        let count: usize = parts.iter().map(BTreeSet::len).sum();
        all.len() == 4 && count == 4 && parts.iter().all(|part| !part.is_empty())
    })
    .await;
}

/// Reads what is there and commits it; which partitions the consumer has.
async fn read_and_commit(reader: &StreamConsumer, seen: &mut BTreeMap<String, usize>) -> BTreeSet<i32> {
    while let Ok(Ok(record)) = tokio::time::timeout(Duration::from_millis(20), reader.recv()).await {
        let value = rdkafka::Message::payload(&record).unwrap().to_vec();
        *seen.entry(String::from_utf8(value).unwrap()).or_default() += 1;
        // It is refused while the member is to join again; then who gets the partition reads it once more.
        let _ = reader.commit_message(&record, CommitMode::Sync);
    }
    let assignment = reader.assignment().unwrap();
    let partitions = assignment.elements();
    partitions.iter().map(|element| element.partition()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_is_rolled_to_the_newer_protocol_and_back() {
    // The data that librdkafka's `cooperative-sticky` gives its members keeps a group of it from going over.
    for strategy in ["range", "roundrobin"] {
        let broker = with_topic().await;
        roll(&broker, strategy).await;
        broker.stop().await;
    }
}

/// Where the migration is off, a group changes its protocol when nobody is in it, and goes on where it was.
#[tokio::test(flavor = "multi_thread")]
async fn a_group_may_be_kept_from_changing_its_protocol() {
    let broker = TestBroker::start_with(|config| {
        often(config);
        config.groups.migration = GroupMigration::Disabled;
    })
    .await;
    let producer = broker.producer();
    for (number, protocol) in ["classic", "consumer", "classic"].into_iter().enumerate() {
        send(&producer, "lines", &number.to_string()).await;
        let reader = member(&broker, &[("group.protocol", protocol)]);
        let received = receive(&reader, 1).await;
        assert_eq!(
            rdkafka::Message::payload(&received[0]).unwrap(),
            number.to_string().as_bytes()
        );
        reader.commit_consumer_state(CommitMode::Sync).unwrap();
        if protocol == "classic" {
            let mut stranger = RawClient::connect(&broker.bootstrap).await;
            let told = join(&mut stranger, "stranger").await;
            assert_eq!(told.error_code, ResponseError::GroupIdNotFound.code());
            let reason = told.error_message.unwrap();
            assert!(reason.contains("the online upgrade is disabled"), "{reason}");
        }
        drop(reader);
    }
    broker.stop().await;
}

fn heartbeat(member: &str, epoch: i32) -> ConsumerGroupHeartbeatRequest {
    ConsumerGroupHeartbeatRequest::default()
        .with_group_id(GroupId(StrBytes::from_static_str("readers")))
        .with_member_id(StrBytes::from_string(member.to_owned()))
        .with_member_epoch(epoch)
}

async fn join(client: &mut RawClient, member: &str) -> ConsumerGroupHeartbeatResponse {
    let joining = heartbeat(member, 0)
        .with_rebalance_timeout_ms(30_000)
        .with_subscribed_topic_names(Some(vec![TopicName(StrBytes::from_static_str("lines"))]))
        .with_topic_partitions(Some(Vec::<TopicPartitions>::new()));
    client.call(1, joining).await
}

/// Commits as a member at an epoch; the answer's error.
async fn commit(client: &mut RawClient, member: &str, epoch: i32) -> i16 {
    let partition = OffsetCommitRequestPartition::default().with_committed_offset(1);
    let topic = OffsetCommitRequestTopic::default()
        .with_name(TopicName(StrBytes::from_static_str("lines")))
        .with_partitions(vec![partition]);
    let request = OffsetCommitRequest::default()
        .with_group_id(GroupId(StrBytes::from_static_str("readers")))
        .with_member_id(StrBytes::from_string(member.to_owned()))
        .with_generation_id_or_member_epoch(epoch)
        .with_topics(vec![topic]);
    client.call(9, request).await.topics[0].partitions[0].error_code
}

#[tokio::test(flavor = "multi_thread")]
async fn who_was_replaced_cannot_commit() {
    let mut broker = with_topic().await;
    let mut client = RawClient::connect(&broker.bootstrap).await;
    let first = join(&mut client, "a").await;
    assert_eq!((first.error_code, first.member_epoch), (0, 1));
    assert_eq!(
        first.assignment.unwrap().topic_partitions[0].partitions,
        [0, 1, 2, 3]
    );
    assert_eq!(commit(&mut client, "a", 1).await, 0);
    assert_eq!(
        commit(&mut client, "a", 0).await,
        ResponseError::StaleMemberEpoch.code()
    );
    assert_eq!(
        commit(&mut client, "b", 1).await,
        ResponseError::UnknownMemberId.code()
    );

    let second = join(&mut client, "b").await;
    assert_eq!((second.error_code, second.member_epoch), (0, 2));
    assert!(second.assignment.unwrap().topic_partitions.is_empty());
    broker = broker.restart_in_place().await;
    let mut client = RawClient::connect(&broker.bootstrap).await;
    let fenced = client.call(1, heartbeat("a", 7)).await;
    assert_eq!(fenced.error_code, ResponseError::FencedMemberEpoch.code());
    let description = ConsumerGroupDescribeRequest::default()
        .with_group_ids(vec![GroupId(StrBytes::from_static_str("readers"))]);
    let described = client.call(1, description).await.groups.remove(0);
    assert_eq!(described.members.len(), 2);
    assert_eq!(
        described.members[0].assignment.topic_partitions[0].partitions,
        [0, 1, 2, 3]
    );

    assert_eq!(client.call(1, heartbeat("a", -1)).await.error_code, 0);
    assert_eq!(
        commit(&mut client, "a", 1).await,
        ResponseError::UnknownMemberId.code()
    );
    let heir = client.call(1, heartbeat("b", 2)).await;
    assert_eq!(
        heir.assignment.unwrap().topic_partitions[0].partitions,
        [0, 1, 2, 3]
    );
    broker.stop().await;
}
