//! Settings that are altered while the broker runs: those that stand for all topics, and those of single groups.

mod support;

use kafka_protocol::ResponseError;
use kafka_protocol::messages::consumer_group_heartbeat_request::TopicPartitions;
use kafka_protocol::messages::describe_configs_request::DescribeConfigsResource;
use kafka_protocol::messages::incremental_alter_configs_request::{AlterConfigsResource, AlterableConfig};
use kafka_protocol::messages::{
    ConsumerGroupHeartbeatRequest, DescribeConfigsRequest, GroupId, IncrementalAlterConfigsRequest,
    ListConfigResourcesRequest, TopicName,
};
use kafka_protocol::protocol::StrBytes;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;

use support::TestBroker;
use support::raw::RawClient;

const TOPIC: i8 = 2;
const BROKER: i8 = 4;
const GROUP: i8 = 32;

const SET: i8 = 0;
const DELETE: i8 = 1;

const IS_VALIDATED: bool = true;
const IS_DONE: bool = false;

/// Alters one setting; the answer's error.
async fn alter(
    client: &mut RawClient,
    (kind, resource): (i8, &'static str),
    (name, operation, value): (&'static str, i8, Option<&'static str>),
    only_validated: bool,
) -> i16 {
    let change = AlterableConfig::default()
        .with_name(StrBytes::from_static_str(name))
        .with_config_operation(operation)
        .with_value(value.map(StrBytes::from_static_str));
    let resource = AlterConfigsResource::default()
        .with_resource_type(kind)
        .with_resource_name(StrBytes::from_static_str(resource))
        .with_configs(vec![change]);
    let request = IncrementalAlterConfigsRequest::default()
        .with_resources(vec![resource])
        .with_validate_only(only_validated);
    client.call(1, request).await.responses[0].error_code
}

/// A setting's value, and where it comes from.
async fn described(
    client: &mut RawClient,
    kind: i8,
    resource: &'static str,
    name: &'static str,
) -> (String, i8) {
    let resource = DescribeConfigsResource::default()
        .with_resource_type(kind)
        .with_resource_name(StrBytes::from_static_str(resource))
        .with_configuration_keys(Some(vec![StrBytes::from_static_str(name)]));
    let request = DescribeConfigsRequest::default().with_resources(vec![resource]);
    let config = client.call(4, request).await.results.remove(0).configs.remove(0);
    (config.value.unwrap().to_string(), config.config_source)
}

fn is(value: &str, source: i8) -> (String, i8) {
    (value.to_owned(), source)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_stands_for_all_topics_is_altered_and_kept() {
    let mut broker = TestBroker::start().await;
    let admin: AdminClient<DefaultClientContext> = broker.client().create().unwrap();
    let plain = NewTopic::new("lines", 1, TopicReplication::Fixed(1));
    let own = NewTopic::new("own", 1, TopicReplication::Fixed(1)).set("retention.ms", "5000");
    admin
        .create_topics([&plain, &own], &AdminOptions::new())
        .await
        .unwrap();
    drop(admin);
    let mut client = RawClient::connect(&broker.bootstrap).await;
    let shorter = ("log.retention.ms", SET, Some("60000"));
    assert_eq!(alter(&mut client, (BROKER, "1"), shorter, IS_VALIDATED).await, 0);
    assert_eq!(
        described(&mut client, TOPIC, "lines", "retention.ms").await,
        is("604800000", 5)
    );
    assert_eq!(alter(&mut client, (BROKER, ""), shorter, IS_DONE).await, 0);

    broker = broker.restart().await;
    let mut client = RawClient::connect(&broker.bootstrap).await;
    assert_eq!(
        described(&mut client, TOPIC, "lines", "retention.ms").await,
        is("60000", 3)
    );
    assert_eq!(
        described(&mut client, TOPIC, "own", "retention.ms").await,
        is("5000", 1)
    );
    assert_eq!(
        described(&mut client, BROKER, "1", "log.retention.ms").await,
        is("60000", 2)
    );
    let refused = [
        (
            (BROKER, "1"),
            "num.partitions",
            "3",
            ResponseError::InvalidRequest,
        ),
        (
            (BROKER, "2"),
            "log.retention.ms",
            "3",
            ResponseError::InvalidRequest,
        ),
        (
            (BROKER, "1"),
            "log.segment.bytes",
            "5",
            ResponseError::InvalidConfig,
        ),
        (
            (BROKER, "1"),
            "min.insync.replicas",
            "2",
            ResponseError::InvalidConfig,
        ),
    ];
    for (resource, name, value, code) in refused {
        let told = alter(&mut client, resource, (name, SET, Some(value)), IS_DONE).await;
        assert_eq!(told, code.code(), "{name}");
    }
    let again = ("log.retention.ms", DELETE, None);
    assert_eq!(alter(&mut client, (BROKER, "1"), again, IS_DONE).await, 0);
    assert_eq!(
        described(&mut client, TOPIC, "lines", "retention.ms").await,
        is("604800000", 5)
    );
    broker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn members_of_a_group_are_timed_as_it_is_set() {
    let mut broker = TestBroker::start().await;
    let mut client = RawClient::connect(&broker.bootstrap).await;
    let often = ("consumer.heartbeat.interval.ms", SET, Some("2000"));
    assert_eq!(alter(&mut client, (GROUP, "readers"), often, IS_DONE).await, 0);
    let never = ("consumer.heartbeat.interval.ms", SET, Some("45000"));
    let refused = alter(&mut client, (GROUP, "readers"), never, IS_DONE).await;
    assert_eq!(refused, ResponseError::InvalidConfig.code());
    assert_eq!(
        alter(&mut client, (GROUP, ""), often, IS_DONE).await,
        ResponseError::InvalidRequest.code()
    );

    broker = broker.restart().await;
    let mut client = RawClient::connect(&broker.bootstrap).await;
    let heartbeat = described(&mut client, GROUP, "readers", "consumer.heartbeat.interval.ms").await;
    assert_eq!(heartbeat, is("2000", 8));
    let session = described(&mut client, GROUP, "others", "consumer.session.timeout.ms").await;
    assert_eq!(session, is("45000", 5));
    let listed = client
        .call(1, ListConfigResourcesRequest::default())
        .await
        .config_resources;
    assert!(
        listed
            .iter()
            .any(|one| (one.resource_type, one.resource_name.as_str()) == (GROUP, "readers"))
    );
    for (group, expected) in [("readers", 2000), ("others", 5000)] {
        let join = ConsumerGroupHeartbeatRequest::default()
            .with_group_id(GroupId(StrBytes::from_static_str(group)))
            .with_member_id(StrBytes::from_static_str("a"))
            .with_rebalance_timeout_ms(30_000)
            .with_subscribed_topic_names(Some(vec![TopicName(StrBytes::from_static_str("lines"))]))
            .with_topic_partitions(Some(Vec::<TopicPartitions>::new()));
        let joined = client.call(1, join).await;
        assert_eq!(
            (joined.error_code, joined.heartbeat_interval_ms),
            (0, expected),
            "{group}"
        );
    }
    broker.stop().await;
}
