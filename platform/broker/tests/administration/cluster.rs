//! What the cluster of one says of itself, and of what may be done in it.

use kafka_protocol::ResponseError;
use kafka_protocol::messages::describe_quorum_request::{PartitionData, TopicData};
use kafka_protocol::messages::update_features_request::FeatureUpdateKey;
use kafka_protocol::messages::{
    BrokerId, ConsumerGroupDescribeRequest, ConsumerGroupHeartbeatRequest, CreateDelegationTokenRequest,
    DescribeDelegationTokenRequest, DescribeGroupsRequest, DescribeQuorumRequest,
    ExpireDelegationTokenRequest, FindCoordinatorRequest, GroupId, RenewDelegationTokenRequest, TopicName,
    UnregisterBrokerRequest, UpdateFeaturesRequest,
};
use kafka_protocol::protocol::StrBytes;

use super::support::raw::{RawClient, error};
use super::support::{TestBroker, receive, send, subscribed};

const NODE: i32 = 1;
/// What stands for "not asked for" among what may be done.
const NOT_ASKED: i32 = i32::MIN;

#[tokio::test(flavor = "multi_thread")]
async fn the_quorum_is_the_broker_itself() {
    let broker = TestBroker::start().await;
    let mut client = RawClient::connect(&broker.bootstrap).await;
    for version in 0..=2 {
        let mut ask = async |name: &'static str, partition: i32| {
            let partition = PartitionData::default().with_partition_index(partition);
            let topic = TopicData::default()
                .with_topic_name(TopicName(StrBytes::from_static_str(name)))
                .with_partitions(vec![partition]);
            let request = DescribeQuorumRequest::default().with_topics(vec![topic]);
            client.call(version, request).await
        };
        let mut answer = ask("__cluster_metadata", 0).await;
        assert_eq!(error(answer.error_code), None);
        let nodes: Vec<i32> = answer.nodes.iter().map(|node| node.node_id.0).collect();
        assert_eq!(
            nodes,
            if version < 2 { vec![] } else { vec![NODE] },
            "version {version}"
        );
        let found = answer.topics.remove(0).partitions.remove(0);
        assert_eq!(error(found.error_code), None);
        assert_eq!((found.leader_id.0, found.leader_epoch), (NODE, 0));
        assert_eq!(found.observers, []);
        let [voter] = &found.current_voters[..] else {
            panic!("one voter, not {:?}", found.current_voters);
        };
        assert_eq!(voter.replica_id.0, NODE);
        // It has all that there is.
        assert_eq!(voter.log_end_offset, found.high_watermark);
        assert_eq!(
            voter.last_caught_up_timestamp > 0,
            version > 0,
            "version {version}"
        );
        for (name, partition) in [("__cluster_metadata", 1), ("lines", 0)] {
            let answer = ask(name, partition).await;
            let code = answer.topics[0].partitions[0].error_code;
            assert_eq!(
                error(code),
                Some(ResponseError::UnknownTopicOrPartition),
                "{name}"
            );
        }
    }
    broker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn coordinators_of_what_is_not_coordinated_here_are_refused() {
    const GROUP: i8 = 0;
    const TRANSACTION: i8 = 1;
    /// A share group's.
    const SHARE: i8 = 2;
    let broker = TestBroker::start().await;
    let mut client = RawClient::connect(&broker.bootstrap).await;
    let key = StrBytes::from_static_str("mine");
    // The oldest version cannot say what it asks for: a group's.
    let oldest = client
        .call(0, FindCoordinatorRequest::default().with_key(key.clone()))
        .await;
    assert_eq!((error(oldest.error_code), oldest.node_id.0), (None, NODE));
    let port = i32::from(broker.addresses[0].local.port());
    for (kind, expected) in [
        (GROUP, (None, NODE, port)),
        (TRANSACTION, (None, NODE, port)),
        (SHARE, (Some(ResponseError::InvalidRequest), -1, -1)),
        (77, (Some(ResponseError::InvalidRequest), -1, -1)),
    ] {
        for version in [1, 3] {
            let request = FindCoordinatorRequest::default()
                .with_key(key.clone())
                .with_key_type(kind);
            let found = client.call(version, request).await;
            let found = (error(found.error_code), found.node_id.0, found.port);
            assert_eq!(found, expected, "kind {kind}, version {version}");
        }
        for version in [4, 5] {
            let request = FindCoordinatorRequest::default()
                .with_coordinator_keys(vec![key.clone(), StrBytes::from_static_str("other")])
                .with_key_type(kind);
            let answer = client.call(version, request).await;
            assert_eq!(answer.coordinators.len(), 2);
            for found in answer.coordinators {
                let found = (error(found.error_code), found.node_id.0, found.port);
                assert_eq!(found, expected, "kind {kind}, version {version}");
            }
        }
    }
    broker.stop().await;
}

/// Of groups of either protocol, to whom asks for it.
#[tokio::test(flavor = "multi_thread")]
async fn what_may_be_done_with_a_group_is_told() {
    let broker = TestBroker::start().await;
    send(&broker.producer(), "lines", "value").await;
    let consumer = subscribed(broker.consumer("classic"), "lines");
    receive(&consumer, 1).await;
    let mut client = RawClient::connect(&broker.bootstrap).await;
    let id = |name| GroupId(StrBytes::from_static_str(name));
    let joins = ConsumerGroupHeartbeatRequest::default()
        .with_group_id(id("newer"))
        .with_member_id(StrBytes::from_static_str("me"))
        .with_rebalance_timeout_ms(60_000)
        .with_subscribed_topic_names(Some(vec![TopicName(StrBytes::from_static_str("lines"))]))
        .with_topic_partitions(Some(Vec::new()));
    assert_eq!(error(client.call(1, joins).await.error_code), None);
    for (asks, expected) in [(true, super::OF_GROUP), (false, NOT_ASKED)] {
        let request = DescribeGroupsRequest::default()
            .with_groups(vec![id("classic")])
            .with_include_authorized_operations(asks);
        let classic = client.call(5, request).await.groups.remove(0);
        assert_eq!(
            (error(classic.error_code), classic.group_state.as_str()),
            (None, "Stable")
        );
        assert_eq!(classic.authorized_operations, expected);
        let request = ConsumerGroupDescribeRequest::default()
            .with_group_ids(vec![id("newer")])
            .with_include_authorized_operations(asks);
        let newer = client.call(1, request).await.groups.remove(0);
        assert_eq!((error(newer.error_code), newer.members.len()), (None, 1));
        assert_eq!(newer.authorized_operations, expected);
    }
    drop(consumer);
    broker.stop().await;
}

/// What can never be had is refused with a reason, not by a closed connection, which tools take for a broker that is too old.
#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_changed_of_the_cluster_is_refused_by_name() {
    let broker = TestBroker::start().await;
    let mut client = RawClient::connect(&broker.bootstrap).await;
    let update = |name: &'static str, level: i16| {
        let feature = FeatureUpdateKey::default()
            .with_feature(StrBytes::from_static_str(name))
            .with_max_version_level(level);
        UpdateFeaturesRequest::default().with_feature_updates(vec![feature])
    };
    let wrong = Some(ResponseError::InvalidUpdateVersion);
    for (name, level, expected) in [
        ("transaction.version", 2, None),
        ("transaction.version", 1, wrong),
        ("transaction.version", 3, wrong),
        ("metadata.version", 20, wrong),
    ] {
        for version in [0, 1] {
            let answer = client.call(version, update(name, level)).await;
            let codes = (error(answer.error_code), error(answer.results[0].error_code));
            assert_eq!(codes, (None, expected), "{name} {level}, version {version}");
        }
        let answer = client.call(2, update(name, level)).await;
        assert_eq!(error(answer.error_code), expected, "{name} {level}");
        assert_eq!(answer.error_message.is_some(), expected.is_some());
    }
    for (id, expected) in [
        (NODE, ResponseError::InvalidRequest),
        (9, ResponseError::BrokerIdNotRegistered),
    ] {
        let request = UnregisterBrokerRequest::default().with_broker_id(BrokerId(id));
        let answer = client.call(0, request).await;
        assert_eq!(error(answer.error_code), Some(expected), "broker {id}");
    }
    let off = Some(ResponseError::DelegationTokenAuthDisabled);
    let made = client.call(3, CreateDelegationTokenRequest::default()).await;
    assert_eq!(error(made.error_code), off);
    let renewed = client.call(2, RenewDelegationTokenRequest::default()).await;
    assert_eq!(error(renewed.error_code), off);
    let ended = client.call(2, ExpireDelegationTokenRequest::default()).await;
    assert_eq!(error(ended.error_code), off);
    let described = client.call(3, DescribeDelegationTokenRequest::default()).await;
    assert_eq!(error(described.error_code), off);
    broker.stop().await;
}
