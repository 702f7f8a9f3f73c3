//! What the broker's log tells: a line for each event that clients set off, with who has.

mod support;

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use kafka_protocol::messages::alter_user_scram_credentials_request::ScramCredentialUpsertion;
use kafka_protocol::messages::create_acls_request::AclCreation;
use kafka_protocol::messages::create_partitions_request::CreatePartitionsTopic;
use kafka_protocol::messages::create_topics_request::CreatableTopic;
use kafka_protocol::messages::delete_acls_request::DeleteAclsFilter;
use kafka_protocol::messages::incremental_alter_configs_request::{AlterConfigsResource, AlterableConfig};
use kafka_protocol::messages::join_group_request::JoinGroupRequestProtocol;
use kafka_protocol::messages::sync_group_request::SyncGroupRequestAssignment;
use kafka_protocol::messages::{
    AlterUserScramCredentialsRequest, ConsumerGroupHeartbeatRequest, CreateAclsRequest,
    CreatePartitionsRequest, CreateTopicsRequest, DeleteAclsRequest, DeleteGroupsRequest,
    DeleteTopicsRequest, GroupId, IncrementalAlterConfigsRequest, JoinGroupRequest, SaslAuthenticateRequest,
    SaslHandshakeRequest, SyncGroupRequest, TopicName,
};
use kafka_protocol::protocol::StrBytes;
use osqdemo_broker::{ClientCertificates, Listener, Mechanism, Secret, User};
use rdkafka::producer::FutureProducer;

use support::certificates::Authority;
use support::raw::RawClient;
use support::{TestBroker, eventually, send};

/// The log of all brokers of this process.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Log {
    /// As it is without anything said: the level is `info`.
    fn started() -> &'static Self {
        static LOG: OnceLock<Log> = OnceLock::new();
        LOG.get_or_init(|| {
            let log = Self::default();
            let writer = log.clone();
            tracing_subscriber::fmt()
                .with_ansi(false)
                .with_max_level(tracing_subscriber::filter::LevelFilter::INFO)
                .with_writer(move || writer.clone())
                .init();
            log
        })
    }

    /// The lines that have all of these in them.
    fn lines(&self, parts: &[&str]) -> Vec<String> {
        let text = String::from_utf8(self.0.lock().unwrap().clone()).unwrap();
        let lines = text.lines();
        lines
            .filter(|line| parts.iter().all(|part| line.contains(part)))
            .map(str::to_owned)
            .collect()
    }

    /// Fails unless exactly one line has all of these in it.
    fn assert_told(&self, parts: &[&str]) {
        let found = self.lines(parts);
        assert_eq!(found.len(), 1, "{parts:?}: {found:?} in {:#?}", self.lines(&[]));
    }
}

fn text(text: &str) -> StrBytes {
    StrBytes::from_string(text.to_owned())
}

/// A connection of `user`, whose password is `password`.
async fn logged_in(address: &str, user: &str) -> RawClient {
    let mut client = RawClient::connect(address).await;
    let handshake = SaslHandshakeRequest::default().with_mechanism(text("PLAIN"));
    assert_eq!(client.call(1, handshake).await.error_code, 0);
    let message = Bytes::from(format!("\0{user}\0password"));
    let request = SaslAuthenticateRequest::default().with_auth_bytes(message);
    assert_eq!(client.call(1, request).await.error_code, 0);
    client
}

#[tokio::test(flavor = "multi_thread")]
async fn what_clients_do_is_told_with_who_they_are() {
    let log = Log::started();
    let authority = Authority::new();
    let tls = authority.tls(ClientCertificates::Requested(authority.roots()));
    let broker = TestBroker::start_with(move |config| {
        let bind = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        config.listeners = vec![
            Listener {
                mechanisms: vec![Mechanism::Plain],
                ..Listener::plaintext("sasl", bind)
            },
            Listener {
                tls: Some(tls.clone()),
                ..Listener::plaintext("tls", bind)
            },
        ];
        config.security.users = vec![User {
            name: "mallory".to_owned(),
            password: Secret::new("password"),
        }];
    })
    .await;
    let mut client = logged_in(&broker.bootstrap, "mallory").await;
    let who = "principal=User:mallory host=\"127.0.0.1\"";
    log.assert_told(&["INFO", "a client is known", who, "mechanism=\"PLAIN\""]);

    let topic = CreatableTopic::default()
        .with_name(TopicName(text("told")))
        .with_num_partitions(2)
        .with_replication_factor(1);
    for validate_only in [true, false] {
        let request = CreateTopicsRequest::default()
            .with_topics(vec![topic.clone()])
            .with_validate_only(validate_only);
        assert_eq!(client.call(7, request).await.topics[0].error_code, 0);
    }
    log.assert_told(&["a topic was created", who, "topic=told partitions=2"]);
    let wanted = CreatePartitionsTopic::default()
        .with_name(TopicName(text("told")))
        .with_count(3)
        .with_assignments(None);
    let request = CreatePartitionsRequest::default().with_topics(vec![wanted]);
    assert_eq!(client.call(3, request).await.results[0].error_code, 0);
    log.assert_told(&[
        "a topic was given more partitions",
        who,
        "topic=told partitions=3",
    ]);
    let changes = ["retention.ms", "segment.ms"].map(|name| {
        AlterableConfig::default()
            .with_name(text(name))
            .with_value(Some(text("1000000")))
    });
    let resource = AlterConfigsResource::default()
        .with_resource_type(2)
        .with_resource_name(text("told"))
        .with_configs(changes.to_vec());
    let request = IncrementalAlterConfigsRequest::default().with_resources(vec![resource]);
    assert_eq!(client.call(1, request).await.responses[0].error_code, 0);
    let settings = "of=\"topic\" name=\"told\" settings=\"retention.ms,segment.ms\"";
    log.assert_told(&["settings were altered", who, settings]);
    let request = DeleteTopicsRequest::default().with_topic_names(vec![TopicName(text("told"))]);
    assert_eq!(client.call(5, request).await.responses[0].error_code, 0);
    log.assert_told(&["a topic was deleted", who, "topic=told"]);

    let user = ScramCredentialUpsertion::default()
        .with_name(text("new\none"))
        .with_mechanism(1)
        .with_iterations(4096)
        .with_salt(Bytes::from_static(b"salt"))
        .with_salted_password(Bytes::from_static(&[7; 32]));
    let request = AlterUserScramCredentialsRequest::default().with_upsertions(vec![user]);
    assert_eq!(client.call(0, request).await.results[0].error_code, 0);
    // Whatever a name is, it begins no line.
    log.assert_told(&["a user's password was changed", who, r#"user="new\none""#]);

    let rule = AclCreation::default()
        .with_resource_type(2)
        .with_resource_name(text("ruled"))
        .with_resource_pattern_type(3)
        .with_principal(text("User:mallory"))
        .with_host(text("*"))
        .with_operation(4)
        .with_permission_type(3);
    let request = CreateAclsRequest::default().with_creations(vec![rule]);
    assert_eq!(client.call(3, request).await.results[0].error_code, 0);
    let rule = "permission=Allow of=\"User:mallory\" from=\"*\" operation=Write resource=Topic";
    log.assert_told(&["a rule was made", who, rule, "name=\"ruled\""]);
    let filter = DeleteAclsFilter::default()
        .with_resource_type_filter(2)
        .with_resource_name_filter(Some(text("ruled")))
        .with_pattern_type_filter(3)
        .with_operation(1)
        .with_permission_type(1)
        .with_principal_filter(None)
        .with_host_filter(None);
    let request = DeleteAclsRequest::default().with_filters(vec![filter]);
    assert_eq!(client.call(3, request).await.filter_results[0].error_code, 0);
    log.assert_told(&["a rule was taken away", who, rule, "name=\"ruled\""]);

    let address = broker.addresses[1].local.to_string();
    let signed = authority.sign("carol");
    let mut config = support::client(&address);
    config
        .set("security.protocol", "SSL")
        .set("ssl.ca.pem", authority.root())
        .set("ssl.certificate.pem", signed.certificate)
        .set("ssl.key.pem", signed.key);
    let producer: FutureProducer = config.create().unwrap();
    send(&producer, "demanded", "value").await;
    let who = "principal=User:CN=carol host=\"127.0.0.1\"";
    assert!(
        !log.lines(&["a client is known", who, "mechanism=\"TLS\""])
            .is_empty()
    );
    log.assert_told(&["created a topic on demand", who, "topic=demanded partitions=1"]);
    drop(producer);
    broker.stop().await;
    assert!(log.lines(&["password\""]).is_empty(), "no secret is told");
}

/// Members of either protocol that fall silent, and the rebalances that follow from it.
#[tokio::test(flavor = "multi_thread")]
async fn what_becomes_of_groups_is_told() {
    let log = Log::started();
    let broker = TestBroker::start_with(|config| {
        config.groups.min_session_timeout = Duration::from_millis(100);
        config.groups.consumer_session_timeout = Duration::from_millis(500);
        config.groups.consumer_heartbeat_interval = Duration::from_millis(100);
    })
    .await;
    send(&broker.producer(), "lines", "value").await;
    let mut client = RawClient::connect(&broker.bootstrap).await;
    let id = |name: &str| GroupId(text(name));
    let joins = JoinGroupRequest::default()
        .with_group_id(id("silent"))
        .with_session_timeout_ms(500)
        .with_rebalance_timeout_ms(500)
        .with_protocol_type(text("consumer"))
        .with_protocols(vec![JoinGroupRequestProtocol::default().with_name(text("range"))]);
    let joined = client.call(2, joins).await;
    assert_eq!(joined.error_code, 0);
    let syncs = SyncGroupRequest::default()
        .with_group_id(id("silent"))
        .with_generation_id(joined.generation_id)
        .with_member_id(joined.member_id.clone())
        .with_assignments(vec![
            SyncGroupRequestAssignment::default().with_member_id(joined.member_id.clone()),
        ]);
    assert_eq!(client.call(2, syncs).await.error_code, 0);
    let rebalanced = "group=\"silent\" generation=1 members=1 assignor=\"range\"";
    log.assert_told(&["a group was rebalanced", rebalanced]);

    let joins = ConsumerGroupHeartbeatRequest::default()
        .with_group_id(id("newer"))
        .with_member_id(text("me"))
        .with_rebalance_timeout_ms(60_000)
        .with_subscribed_topic_names(Some(vec![TopicName(text("lines"))]))
        .with_topic_partitions(Some(Vec::new()));
    assert_eq!(client.call(1, joins).await.error_code, 0);
    log.assert_told(&[
        "a group was rebalanced",
        "group=\"newer\"",
        "members=1 assignor=\"uniform\"",
    ]);

    eventually("both are lost", async || {
        log.lines(&["nobody is in a group any more"]).len() == 2
    })
    .await;
    let member = format!("group=\"silent\" member=\"{}\"", &*joined.member_id);
    let expired = "reason=\"its session has expired\"";
    log.assert_told(&["a group has lost a member", &member, expired]);
    log.assert_told(&[
        "a group has lost a member",
        "group=\"newer\" member=\"me\"",
        expired,
    ]);
    log.assert_told(&["nobody is in a group any more", "group=\"silent\" generation=2"]);

    let request = DeleteGroupsRequest::default().with_groups_names(vec![id("silent")]);
    assert_eq!(client.call(1, request).await.results[0].error_code, 0);
    log.assert_told(&[
        "a group was deleted",
        "principal=User:ANONYMOUS",
        "group=\"silent\"",
    ]);
    broker.stop().await;
}
