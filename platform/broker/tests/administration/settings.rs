//! Settings: described with all that is told of them, and what only asks whether a change could be made.

use std::collections::BTreeMap;

use kafka_protocol::ResponseError;
use kafka_protocol::messages::alter_configs_request::{AlterConfigsResource, AlterableConfig};
use kafka_protocol::messages::create_partitions_request::CreatePartitionsTopic;
use kafka_protocol::messages::create_topics_request::{CreatableTopic, CreatableTopicConfig};
use kafka_protocol::messages::describe_configs_request::DescribeConfigsResource;
use kafka_protocol::messages::describe_configs_response::DescribeConfigsResourceResult;
use kafka_protocol::messages::incremental_alter_configs_request::{
    AlterConfigsResource as ChangedResource, AlterableConfig as Change,
};
use kafka_protocol::messages::{
    AlterConfigsRequest, CreatePartitionsRequest, CreateTopicsRequest, DescribeConfigsRequest,
    IncrementalAlterConfigsRequest, TopicName,
};
use kafka_protocol::protocol::StrBytes;
use rdkafka::admin::{NewTopic, TopicReplication};

use super::support::raw::{RawClient, error};
use super::support::{TestBroker, send};
use super::{admin, options, partitions, setting};

const TOPIC: i8 = 2;
const BROKER: i8 = 4;
const GROUP: i8 = 32;

// Where a value comes from.
const SET_FOR_TOPIC: i8 = 1;
const SET_FOR_BROKER: i8 = 2;
const SET_FOR_ALL_BROKERS: i8 = 3;
const STARTED_WITH: i8 = 4;
const DEFAULT: i8 = 5;
const SET_FOR_GROUP: i8 = 8;

fn text(text: &str) -> StrBytes {
    StrBytes::from_string(text.to_owned())
}

/// The settings of a resource, by name.
async fn described(
    client: &mut RawClient,
    (kind, name): (i8, &str),
    with_documentation: bool,
) -> BTreeMap<String, DescribeConfigsResourceResult> {
    let resource = DescribeConfigsResource::default()
        .with_resource_type(kind)
        .with_resource_name(text(name))
        .with_configuration_keys(None);
    let request = DescribeConfigsRequest::default()
        .with_resources(vec![resource])
        .with_include_synonyms(true)
        .with_include_documentation(with_documentation);
    let result = client.call(4, request).await.results.remove(0);
    assert_eq!(error(result.error_code), None, "{:?}", result.error_message);
    let named = result.configs.into_iter();
    named.map(|config| (config.name.to_string(), config)).collect()
}

/// Sets one setting of a resource.
async fn set(client: &mut RawClient, (kind, name): (i8, &str), (key, value): (&str, &str)) {
    let change = Change::default()
        .with_name(text(key))
        .with_value(Some(text(value)));
    let resource = ChangedResource::default()
        .with_resource_type(kind)
        .with_resource_name(text(name))
        .with_configs(vec![change]);
    let request = IncrementalAlterConfigsRequest::default().with_resources(vec![resource]);
    let altered = client.call(1, request).await.responses.remove(0);
    assert_eq!(error(altered.error_code), None, "{:?}", altered.error_message);
}

/// The places where a value was looked for, from the one in force on.
fn places(setting: &DescribeConfigsResourceResult) -> Vec<(&str, &str, i8)> {
    let synonyms = setting.synonyms.iter();
    let places: Vec<_> = synonyms
        .map(|found| {
            (
                found.name.as_str(),
                found.value.as_ref().unwrap().as_str(),
                found.source,
            )
        })
        .collect();
    if let Some((_, value, source)) = places.first() {
        assert_eq!(setting.value.as_deref(), Some(*value), "{}", setting.name);
        assert_eq!(setting.config_source, *source, "{}", setting.name);
    }
    places
}

#[tokio::test(flavor = "multi_thread")]
async fn settings_are_described_with_their_kinds_and_where_they_come_from() {
    let broker = TestBroker::start_with(|config| config.retention.bytes = Some(4096)).await;
    let wanted = NewTopic::new("lines", 1, TopicReplication::Fixed(1)).set("retention.ms", "60000");
    admin(&broker).create_topics([&wanted], &options()).await.unwrap();
    let mut client = RawClient::connect(&broker.bootstrap).await;
    let (lines, one, all, readers) = ((TOPIC, "lines"), (BROKER, "1"), (BROKER, ""), (GROUP, "readers"));

    let topic = described(&mut client, lines, false).await;
    // Numbers of 32 and of 64 bits are kinds of their own.
    assert_eq!(
        (
            topic["segment.bytes"].config_type,
            topic["retention.ms"].config_type
        ),
        (3, 5)
    );
    assert_eq!(
        places(&topic["retention.ms"]),
        [
            ("retention.ms", "60000", SET_FOR_TOPIC),
            ("log.retention.ms", "604800000", DEFAULT)
        ]
    );
    assert_eq!(
        places(&topic["retention.bytes"]),
        [
            ("log.retention.bytes", "4096", STARTED_WITH),
            ("log.retention.bytes", "-1", DEFAULT)
        ]
    );
    // There is no such setting of the broker.
    assert_eq!(places(&topic["message.format.version"]), []);
    assert_eq!(topic["message.format.version"].config_source, DEFAULT);

    let own = described(&mut client, one, false).await;
    assert!(own.values().all(|config| config.value.is_some()));
    assert_eq!(places(&own["num.partitions"]), [("num.partitions", "1", DEFAULT)]);
    assert!(own["num.partitions"].read_only && !own["log.retention.ms"].read_only);
    assert_eq!(
        places(&own["log.retention.bytes"])[0],
        ("log.retention.bytes", "4096", STARTED_WITH)
    );
    set(&mut client, all, ("log.retention.ms", "70000")).await;
    let altered = |source| {
        [
            ("log.retention.ms", "70000", source),
            ("log.retention.ms", "604800000", DEFAULT),
        ]
    };
    for (broker, source) in [(one, SET_FOR_BROKER), (all, SET_FOR_ALL_BROKERS)] {
        let own = described(&mut client, broker, false).await;
        assert_eq!(places(&own["log.retention.ms"]), altered(source));
    }
    let topic = described(&mut client, lines, false).await;
    assert_eq!(places(&topic["retention.ms"])[1..], altered(SET_FOR_ALL_BROKERS));

    let session = "consumer.session.timeout.ms";
    let usual = (session, "45000", DEFAULT);
    let group = described(&mut client, readers, false).await;
    assert_eq!(places(&group[session]), [usual]);
    set(&mut client, readers, (session, "50000")).await;
    let group = described(&mut client, readers, false).await;
    assert_eq!(
        places(&group[session]),
        [(session, "50000", SET_FOR_GROUP), usual]
    );
    broker.stop().await;
}

/// What tools look up at a broker.
#[tokio::test(flavor = "multi_thread")]
async fn the_broker_tells_what_it_is_and_what_it_is_bound_by() {
    let broker = TestBroker::start().await;
    let mut client = RawClient::connect(&broker.bootstrap).await;
    let own = described(&mut client, (BROKER, "1"), false).await;
    let folder = broker.folder.path().display().to_string();
    let expected = [
        ("advertised.listeners", "TEST://127.0.0.1:0"),
        ("auto.create.topics.enable", "true"),
        ("broker.id", "1"),
        ("connections.max.idle.ms", "600000"),
        ("default.replication.factor", "1"),
        ("delete.topic.enable", "true"),
        ("fetch.max.bytes", "4194304"),
        ("group.consumer.assignors", "uniform,range"),
        ("group.consumer.max.size", "1000"),
        ("group.consumer.migration.policy", "bidirectional"),
        ("group.consumer.session.timeout.ms", "45000"),
        ("group.max.session.timeout.ms", "1800000"),
        ("group.min.session.timeout.ms", "6000"),
        ("listeners", "TEST://127.0.0.1:0"),
        ("log.dir", &folder),
        ("log.dirs", &folder),
        ("log.retention.check.interval.ms", "300000"),
        ("max.connections", "8192"),
        ("node.id", "1"),
        ("num.partitions", "1"),
        ("offsets.retention.minutes", "10080"),
        ("sasl.enabled.mechanisms", ""),
        ("socket.request.max.bytes", "104857600"),
        ("transaction.max.timeout.ms", "900000"),
        ("transactional.id.expiration.ms", "604800000"),
    ];
    for (name, value) in expected {
        let found = own.get(name).and_then(|found| found.value.as_deref());
        assert_eq!(found, Some(value), "{name}");
    }
    broker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_asks_for_it_is_told_what_settings_do() {
    let broker = TestBroker::start().await;
    send(&broker.producer(), "lines", "value").await;
    let mut client = RawClient::connect(&broker.bootstrap).await;
    for resource in [(TOPIC, "lines"), (BROKER, "1"), (GROUP, "readers")] {
        let all = described(&mut client, resource, true).await;
        for setting in all.values() {
            let explained = setting
                .documentation
                .as_ref()
                .is_some_and(|text| text.ends_with('.'));
            assert!(explained, "{resource:?}: {}", setting.name);
        }
        let all = described(&mut client, resource, false).await;
        assert!(all.values().all(|setting| setting.documentation.is_none()));
    }
    let of_topic = described(&mut client, (TOPIC, "lines"), true).await;
    let of_broker = described(&mut client, (BROKER, "1"), true).await;
    assert_eq!(
        of_topic["retention.ms"].documentation,
        of_broker["log.retention.ms"].documentation
    );
    broker.stop().await;
}

/// What is only to be looked at is judged as if it were to be done, and nothing is done.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_only_validated_changes_nothing() {
    let broker = TestBroker::start().await;
    let wanted = NewTopic::new("lines", 2, TopicReplication::Fixed(1)).set("retention.ms", "60000");
    admin(&broker).create_topics([&wanted], &options()).await.unwrap();
    let mut client = RawClient::connect(&broker.bootstrap).await;

    let mut create = async |name: &str, partitions: i32, (key, value): (&str, &str)| {
        let config = CreatableTopicConfig::default()
            .with_name(text(key))
            .with_value(Some(text(value)));
        let topic = CreatableTopic::default()
            .with_name(TopicName(text(name)))
            .with_num_partitions(partitions)
            .with_replication_factor(1)
            .with_configs(vec![config]);
        let request = CreateTopicsRequest::default()
            .with_topics(vec![topic])
            .with_timeout_ms(5000)
            .with_validate_only(true);
        let created = client.call(7, request).await.topics.remove(0);
        (error(created.error_code), created.num_partitions)
    };
    let good = ("retention.ms", "1");
    assert_eq!(create("new", 3, good).await, (None, 3));
    assert_eq!(
        create("lines", 3, good).await.0,
        Some(ResponseError::TopicAlreadyExists)
    );
    assert_eq!(
        create("new", 0, good).await.0,
        Some(ResponseError::InvalidPartitions)
    );
    assert_eq!(
        create("new", 3, ("retention.ms", "soon")).await.0,
        Some(ResponseError::InvalidConfig)
    );

    let mut grow = async |count: i32| {
        let topic = CreatePartitionsTopic::default()
            .with_name(TopicName(text("lines")))
            .with_count(count)
            .with_assignments(None);
        let request = CreatePartitionsRequest::default()
            .with_topics(vec![topic])
            .with_validate_only(true);
        error(client.call(3, request).await.results[0].error_code)
    };
    assert_eq!(grow(5).await, None);
    assert_eq!(grow(1).await, Some(ResponseError::InvalidPartitions));

    let mut replace = async |kind: i8, name: &str, (key, value): (&str, &str)| {
        let config = AlterableConfig::default()
            .with_name(text(key))
            .with_value(Some(text(value)));
        let resource = AlterConfigsResource::default()
            .with_resource_type(kind)
            .with_resource_name(text(name))
            .with_configs(vec![config]);
        let request = AlterConfigsRequest::default()
            .with_resources(vec![resource])
            .with_validate_only(true);
        error(client.call(2, request).await.responses[0].error_code)
    };
    // Whatever it is about: a good change, and one that cannot be.
    let changes = [
        (TOPIC, "lines", ("retention.ms", "1"), ("retention.ms", "soon")),
        (
            BROKER,
            "",
            ("log.retention.ms", "1"),
            ("log.retention.ms", "soon"),
        ),
        (
            GROUP,
            "readers",
            ("consumer.session.timeout.ms", "50000"),
            ("consumer.session.timeout.ms", "1"),
        ),
    ];
    for (kind, name, good, bad) in changes {
        assert_eq!(replace(kind, name, good).await, None, "{name}");
        assert_eq!(
            replace(kind, name, bad).await,
            Some(ResponseError::InvalidConfig),
            "{name}"
        );
    }
    let mut change = async |kind: i8, name: &str, (key, value): (&str, &str)| {
        let change = Change::default()
            .with_name(text(key))
            .with_value(Some(text(value)));
        let resource = ChangedResource::default()
            .with_resource_type(kind)
            .with_resource_name(text(name))
            .with_configs(vec![change]);
        let request = IncrementalAlterConfigsRequest::default()
            .with_resources(vec![resource])
            .with_validate_only(true);
        error(client.call(1, request).await.responses[0].error_code)
    };
    for (kind, name, good, bad) in changes {
        assert_eq!(change(kind, name, good).await, None, "{name}");
        assert_eq!(
            change(kind, name, bad).await,
            Some(ResponseError::InvalidConfig),
            "{name}"
        );
    }

    assert_eq!(partitions(&broker, "lines"), 2);
    assert_eq!(setting(&broker, "lines", "retention.ms").await, "60000");
    let own = described(&mut client, (BROKER, "1"), false).await;
    assert_eq!(own["log.retention.ms"].config_source, DEFAULT);
    let group = described(&mut client, (GROUP, "readers"), false).await;
    assert_eq!(group["consumer.session.timeout.ms"].config_source, DEFAULT);
    let folders = std::fs::read_dir(broker.folder.path().join("topics")).unwrap();
    assert_eq!(folders.count(), 1, "only what was created is there");
    broker.stop().await;
}

/// Nobody's metrics are collected: of that there is nothing to see, nothing can be set, and that can be taken away.
#[tokio::test(flavor = "multi_thread")]
async fn settings_of_what_is_not_collected_are_empty_and_stay_so() {
    const CLIENT_METRICS: i8 = 16;
    let broker = TestBroker::start().await;
    let mut client = RawClient::connect(&broker.bootstrap).await;
    let mut change = async |operation: i8| {
        let change = Change::default()
            .with_name(text("interval.ms"))
            .with_config_operation(operation)
            .with_value(Some(text("1000")));
        let resource = ChangedResource::default()
            .with_resource_type(CLIENT_METRICS)
            .with_resource_name(text("mine"))
            .with_configs(vec![change]);
        let request = IncrementalAlterConfigsRequest::default().with_resources(vec![resource]);
        error(client.call(1, request).await.responses[0].error_code)
    };
    assert_eq!(change(0).await, Some(ResponseError::InvalidRequest));
    assert_eq!(change(1).await, None);
    let all = described(&mut client, (CLIENT_METRICS, "mine"), false).await;
    assert!(all.is_empty(), "{all:?}");
    broker.stop().await;
}
