//! Who may do what: rules that clients make, and what becomes of those who may not.

mod support;

use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use kafka_protocol::ResponseError;
use kafka_protocol::messages::create_acls_request::AclCreation;
use kafka_protocol::messages::create_topics_request::CreatableTopic;
use kafka_protocol::messages::delete_acls_request::DeleteAclsFilter;
use kafka_protocol::messages::metadata_request::MetadataRequestTopic;
use kafka_protocol::messages::{
    CreateAclsRequest, CreateTopicsRequest, DeleteAclsRequest, DescribeAclsRequest, InitProducerIdRequest,
    MetadataRequest, SaslAuthenticateRequest, SaslHandshakeRequest, TopicName, TransactionalId,
};
use kafka_protocol::protocol::StrBytes;
use osqdemo_broker::{Config, Listener, Mechanism, Secret, User, WithoutAcl};
use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::producer::{FutureProducer, FutureRecord};
use rdkafka::types::RDKafkaErrorCode;
use rdkafka::util::Timeout;

use support::raw::{RawClient, batch, error};
use support::{DEADLINE, TestBroker, eventually, receive, send, subscribed};

const TOPIC: i8 = 2;
const GROUP: i8 = 3;
const CLUSTER: i8 = 4;
const LITERAL: i8 = 3;
const PREFIXED: i8 = 4;
const READ: i8 = 3;
const WRITE: i8 = 4;
const DESCRIBE: i8 = 8;
const IDEMPOTENT_WRITE: i8 = 12;
const DENY: i8 = 2;
const ALLOW: i8 = 3;

fn configure(config: &mut Config, without_acl: WithoutAcl) {
    let bind = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    config.listeners = vec![Listener {
        mechanisms: vec![Mechanism::Plain],
        ..Listener::plaintext("sasl", bind)
    }];
    config.security.users = ["root", "alice", "bob"]
        .map(|name| User {
            name: name.to_owned(),
            password: Secret::new("password"),
        })
        .to_vec();
    config.security.super_users = vec!["User:root".to_owned()];
    config.security.without_acl = without_acl;
}

async fn raw(broker: &TestBroker, user: &str) -> RawClient {
    let mut client = RawClient::connect(&broker.bootstrap).await;
    let handshake = SaslHandshakeRequest::default().with_mechanism(StrBytes::from_static_str("PLAIN"));
    assert_eq!(client.call(1, handshake).await.error_code, 0);
    let message = format!("\0{user}\0password").into_bytes();
    let request = SaslAuthenticateRequest::default().with_auth_bytes(message.into());
    assert_eq!(client.call(1, request).await.error_code, 0);
    client
}

fn client(broker: &TestBroker, user: &str) -> ClientConfig {
    let mut config = broker.client();
    config
        .set("security.protocol", "SASL_PLAINTEXT")
        .set("sasl.mechanism", "PLAIN")
        .set("sasl.username", user)
        .set("sasl.password", "password")
        .set("auto.offset.reset", "earliest");
    config
}

/// `allow alice read topic lines`, `deny bob write topic-prefix li`.
fn rule(text: &'static str) -> AclCreation {
    let words: Vec<&str> = text.split(' ').collect();
    let [permission, user, operation, resource, name] = words[..] else {
        panic!("{text}");
    };
    let (resource, pattern) = match resource {
        "topic" => (TOPIC, LITERAL),
        "topic-prefix" => (TOPIC, PREFIXED),
        "group-prefix" => (GROUP, PREFIXED),
        "cluster" => (CLUSTER, LITERAL),
        other => panic!("{other}"),
    };
    AclCreation::default()
        .with_permission_type(if permission == "allow" { ALLOW } else { DENY })
        .with_principal(StrBytes::from_string(format!("User:{user}")))
        .with_host(StrBytes::from_static_str("*"))
        .with_operation(match operation {
            "read" => READ,
            "write" => WRITE,
            "describe" => DESCRIBE,
            "idempotent-write" => IDEMPOTENT_WRITE,
            other => panic!("{other}"),
        })
        .with_resource_type(resource)
        .with_resource_pattern_type(pattern)
        .with_resource_name(StrBytes::from_static_str(name))
}

async fn create(client: &mut RawClient, rules: Vec<AclCreation>) -> Vec<Option<ResponseError>> {
    let request = CreateAclsRequest::default().with_creations(rules);
    let results = client.call(3, request).await.results;
    results.iter().map(|result| error(result.error_code)).collect()
}

async fn create_topic(client: &mut RawClient, name: &'static str) -> Option<ResponseError> {
    let topic = CreatableTopic::default()
        .with_name(TopicName(StrBytes::from_static_str(name)))
        .with_num_partitions(1)
        .with_replication_factor(1);
    let request = CreateTopicsRequest::default().with_topics(vec![topic]);
    error(client.call(7, request).await.topics[0].error_code)
}

/// Any rule at all.
fn anything() -> DescribeAclsRequest {
    DescribeAclsRequest::default()
        .with_resource_type_filter(1)
        .with_pattern_type_filter(1)
        .with_operation(1)
        .with_permission_type(1)
        .with_resource_name_filter(None)
        .with_principal_filter(None)
        .with_host_filter(None)
}

async fn refused(producer: &FutureProducer, topic: &str) -> RDKafkaErrorCode {
    let record = FutureRecord::<str, str>::to(topic).payload("not allowed");
    match producer.send(record, Timeout::After(DEADLINE)).await {
        Err((KafkaError::MessageProduction(code), _)) => code,
        other => panic!("{other:?}"),
    }
}

/// The first error that a consumer is told.
async fn consumer_error(config: ClientConfig, topic: &'static str) -> RDKafkaErrorCode {
    let polled = tokio::task::spawn_blocking(move || {
        let consumer: BaseConsumer = config.create().unwrap();
        consumer.subscribe(&[topic]).unwrap();
        let began = Instant::now();
        loop {
            match consumer.poll(Duration::from_millis(50)) {
                Some(Err(error)) => return error.rdkafka_error_code().unwrap(),
                _ => assert!(began.elapsed() < DEADLINE),
            }
        }
    });
    polled.await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn who_was_allowed_may_and_nobody_else_until_it_is_taken_back() {
    let mut broker = TestBroker::start_with(|config| configure(config, WithoutAcl::Deny)).await;
    let mut root = raw(&broker, "root").await;
    assert_eq!(create_topic(&mut root, "lines").await, None);
    let mut alice = raw(&broker, "alice").await;
    let denied = Some(ResponseError::TopicAuthorizationFailed);
    assert_eq!(create_topic(&mut alice, "hers").await, denied);
    let rules = vec![rule("allow alice read topic lines")];
    assert_eq!(
        create(&mut alice, rules).await,
        [Some(ResponseError::ClusterAuthorizationFailed)]
    );
    let mut config = client(&broker, "alice");
    config.set("enable.idempotence", "false");
    let producer: FutureProducer = config.create().unwrap();
    assert_eq!(
        refused(&producer, "lines").await,
        RDKafkaErrorCode::TopicAuthorizationFailed
    );

    let rules = vec![
        rule("allow alice write topic lines"),
        rule("allow alice read topic-prefix li"),
        rule("allow alice read group-prefix team-"),
        rule("allow bob read topic lines"),
    ];
    assert_eq!(create(&mut root, rules).await, [None; 4]);
    // Kept, and in force for connections that were there before.
    let bob_created = create_topic(&mut alice, "hers").await;
    assert_eq!(bob_created, denied);
    broker = broker.restart().await;
    let producer: FutureProducer = client(&broker, "alice").create().unwrap();
    assert_eq!(send(&producer, "lines", "hers").await, (0, 0));
    let mut config = client(&broker, "alice");
    config.set("group.id", "team-a");
    let consumer = subscribed(config.create().unwrap(), "lines");
    assert_eq!(receive(&consumer, 1).await.len(), 1);
    drop(consumer);
    // Bob may read the topic, and is in no group that he may be in; and he may write nowhere.
    let mut config = client(&broker, "bob");
    config.set("group.id", "team-a");
    assert_eq!(
        consumer_error(config, "lines").await,
        RDKafkaErrorCode::GroupAuthorizationFailed
    );
    let mut bob = raw(&broker, "bob").await;
    let stored = bob.produce_only("lines", batch(-1, 0, &["his"])).await;
    assert_eq!(error(stored.error_code), denied);
    let numbered = bob
        .call(4, InitProducerIdRequest::default().with_transactional_id(None))
        .await;
    assert_eq!(
        error(numbered.error_code),
        Some(ResponseError::ClusterAuthorizationFailed)
    );
    let mine = Some(TransactionalId(StrBytes::from_static_str("mine")));
    let numbered = bob
        .call(4, InitProducerIdRequest::default().with_transactional_id(mine))
        .await;
    assert_eq!(
        error(numbered.error_code),
        Some(ResponseError::TransactionalIdAuthorizationFailed)
    );

    // Who asks for all topics sees those that are theirs, and what they may do with them.
    let mut root = raw(&broker, "root").await;
    assert_eq!(create_topic(&mut root, "secret").await, None);
    let all = MetadataRequest::default()
        .with_topics(None)
        .with_include_topic_authorized_operations(true);
    let seen = bob.call(9, all.clone()).await.topics;
    let seen: Vec<_> = seen
        .iter()
        .map(|topic| {
            let name = topic.name.as_ref().map(|name| name.0.to_string());
            (name.unwrap(), topic.topic_authorized_operations)
        })
        .collect();
    assert_eq!(seen, [("lines".to_owned(), 1 << READ | 1 << DESCRIBE)]);
    assert_eq!(root.call(9, all).await.topics.len(), 2);
    let wanted = ["secret", "none"].map(|name| {
        MetadataRequestTopic::default().with_name(Some(TopicName(StrBytes::from_static_str(name))))
    });
    let named = MetadataRequest::default()
        .with_topics(Some(wanted.to_vec()))
        .with_allow_auto_topic_creation(true);
    let told = bob.call(9, named).await.topics;
    // One that is there and one that is not look the same.
    let told: Vec<_> = told.iter().map(|topic| error(topic.error_code)).collect();
    assert_eq!(told, [denied, denied]);
    assert_eq!(
        root.call(9, MetadataRequest::default().with_topics(None))
            .await
            .topics
            .len(),
        2
    );

    let filter = DeleteAclsFilter::default()
        .with_resource_type_filter(1)
        .with_pattern_type_filter(1)
        .with_operation(1)
        .with_permission_type(1)
        .with_resource_name_filter(None)
        .with_principal_filter(Some(StrBytes::from_static_str("User:alice")))
        .with_host_filter(None);
    let deleted = root
        .call(3, DeleteAclsRequest::default().with_filters(vec![filter]))
        .await;
    assert_eq!(deleted.filter_results[0].matching_acls.len(), 3);
    let left = root.call(3, anything()).await.resources;
    assert_eq!(left.len(), 1);
    assert_eq!(&*left[0].acls[0].principal, "User:bob");
    assert_eq!(
        refused(&producer, "lines").await,
        RDKafkaErrorCode::TopicAuthorizationFailed
    );
    broker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_rules_everybody_may_and_a_denial_counts_first() {
    let broker = TestBroker::start_with(|config| configure(config, WithoutAcl::Allow)).await;
    let mut alice = raw(&broker, "alice").await;
    assert_eq!(create_topic(&mut alice, "lines").await, None);
    assert_eq!(create_topic(&mut alice, "others").await, None);
    let rules = vec![
        rule("allow * write topic-prefix li"),
        rule("deny bob write topic lines"),
        rule("allow * idempotent-write cluster kafka-cluster"),
    ];
    assert_eq!(create(&mut alice, rules).await, [None; 3]);
    // With a rule about the cluster, it is for those that it names.
    assert_eq!(
        create(&mut alice, vec![rule("allow alice read topic lines")]).await,
        [Some(ResponseError::ClusterAuthorizationFailed)]
    );
    let bob: FutureProducer = client(&broker, "bob").create().unwrap();
    assert_eq!(send(&bob, "others", "nobody has said anything").await, (0, 0));
    assert_eq!(
        refused(&bob, "lines").await,
        RDKafkaErrorCode::TopicAuthorizationFailed
    );
    let producer: FutureProducer = client(&broker, "alice").create().unwrap();
    assert_eq!(send(&producer, "lines", "hers").await, (0, 0));
    // Nobody may read it any more, as the rules about it allow no reading.
    let mut config = client(&broker, "alice");
    config.set("group.id", "readers");
    eventually("it cannot be read", async || {
        consumer_error(config.clone(), "lines").await == RDKafkaErrorCode::TopicAuthorizationFailed
    })
    .await;
    broker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rules_that_make_no_sense_are_refused_each_for_itself() {
    let broker = TestBroker::start_with(|config| configure(config, WithoutAcl::Deny)).await;
    let mut root = raw(&broker, "root").await;
    let right = || rule("allow alice read topic lines");
    let text = StrBytes::from_static_str;
    let long = StrBytes::from_string("x".repeat(1025));
    let rules = vec![
        right(),
        right().with_resource_type(1),
        right().with_resource_pattern_type(2),
        right().with_operation(1),
        right().with_permission_type(1),
        right().with_resource_name(text("")),
        right().with_resource_name(long),
        right().with_principal(text("alice")),
        right().with_host(text("")),
        right().with_resource_type(CLUSTER),
        right(),
    ];
    let invalid = Some(ResponseError::InvalidRequest);
    let mut expected = vec![invalid; 11];
    (expected[0], expected[10]) = (None, None);
    assert_eq!(create(&mut root, rules).await, expected);
    let found = root.call(3, anything()).await;
    assert_eq!(found.resources.len(), 1);
    let wrong = root.call(3, anything().with_pattern_type_filter(0)).await;
    assert_eq!(error(wrong.error_code), invalid);
    broker.stop().await;
}
