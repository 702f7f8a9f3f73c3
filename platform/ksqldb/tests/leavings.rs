//! What a topic that is dropped leaves in the Schema Registry: its subjects go with it, if need be at a later start, and no
//! subject goes that has become somebody else's.

mod support;

use std::path::PathBuf;

use rdkafka::admin::{AdminClient, AdminOptions};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::Consumer;
use serde_json::{Value, json};
use support::{Broker, DEADLINE, Registry, Server};
use tokio::io::AsyncReadExt;
use tokio::net::TcpListener;

/// The topic of the commands.
const LOG: &str = "_confluent-ksql-default__command_topic";

/// The subjects that there are.
async fn subjects(registry: &Registry) -> Value {
    registry.ask("GET", "/subjects", None).await.1
}

/// A server whose log of commands is written anew soon.
async fn start(broker: &Broker, registry: &str) -> Server {
    let server = Server::start_with(broker.address, |config| {
        config.schema_registry = Some(osqdemo_registry_client::Settings::new(registry));
        config.past_commands = 10;
    })
    .await;
    server.ready().await;
    server
}

/// Makes a stream over a topic of its name.
async fn make(server: &Server, name: &str) {
    server.ksql(&made(name)).await;
}

fn made(name: &str) -> String {
    format!("CREATE STREAM {name} (n INT) WITH (kafka_topic='{name}', value_format='AVRO', partitions=1);")
}

/// Drops a stream and its topic while the registry is away.
async fn drop_alone(server: &Server, name: &str) {
    let dropped = server.ksql(&format!("DROP STREAM {name} DELETE TOPIC;")).await;
    let warning = dropped[0]["warnings"][0]["message"].as_str().unwrap_or_default();
    assert!(
        warning.starts_with(&format!(
            "Could not clean up the schema registry for topic: {name}\nCaused by: "
        )),
        "{dropped}"
    );
}

/// What stands in the way of any change to the broker's list of topics, until it is dropped.
struct NoChanges(PathBuf);

impl NoChanges {
    fn of(broker: &Broker) -> Self {
        // The list is written here before it takes the old one's place.
        let place = broker.folder.path().join("catalog.json.new");
        std::fs::create_dir(&place).unwrap();
        Self(place)
    }
}

impl Drop for NoChanges {
    fn drop(&mut self) {
        std::fs::remove_dir(&self.0).unwrap();
    }
}

/// Another client deletes a topic.
async fn delete_topic(broker: &Broker, topic: &str) {
    let admin: AdminClient<DefaultClientContext> = broker.client().create().unwrap();
    let options = AdminOptions::new().operation_timeout(Some(DEADLINE));
    let deleted = admin.delete_topics(&[topic], &options).await.unwrap();
    assert_eq!(deleted[0].as_deref(), Ok(topic));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_subjects_of_a_topic_go_with_it() {
    let broker = Broker::start().await;
    let registry = Registry::start(&broker).await;
    let server = Server::start_registered(&broker, &registry.url()).await;
    server
        .ksql(
            "CREATE STREAM first (k INT KEY, a INT) WITH (kafka_topic='t', format='AVRO', partitions=1, \
             value_avro_schema_full_name='site.First');",
        )
        .await;
    assert_eq!(registry.latest("t-value").await["namespace"], "site");
    let drop = server.ksql("DROP STREAM first DELETE TOPIC;").await;
    assert_eq!(drop[0]["commandStatus"]["status"], "SUCCESS", "{drop}");
    assert_eq!(registry.ask("GET", "/subjects", None).await.1, json!([]));
    // Neither is in the way of a topic of that name, whatever its format.
    server
        .ksql(
            "CREATE STREAM other (k STRING KEY, b STRING) WITH (kafka_topic='t', format='JSON_SR', partitions=1);",
        )
        .await;
    server.ksql("DROP STREAM other DELETE TOPIC;").await;
    // What is registered again is so, although its id is known.
    server
        .ksql("CREATE STREAM again (k INT KEY, a INT) WITH (kafka_topic='t', format='AVRO', partitions=1);")
        .await;
    assert_eq!(registry.latest("t-key").await, "int");
    let (_, error) = server
        .refused(
            "CREATE STREAM x (a INT) WITH (kafka_topic='t', value_format='AVRO', value_schema_full_name='a.B', \
             value_avro_schema_full_name='a.B');",
        )
        .await;
    let message = error["message"].as_str().unwrap();
    assert!(
        message.contains("Cannot supply both 'VALUE_AVRO_SCHEMA_FULL_NAME' and 'VALUE_SCHEMA_FULL_NAME'"),
        "{message}"
    );
    server.stop().await;
    registry.stop().await;
    broker.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_source_and_its_topic_go_while_the_registry_is_away() {
    let broker = Broker::start().await;
    let registry = Registry::start(&broker).await;
    let server = Server::start_registered(&broker, &registry.url()).await;
    server
        .ksql("CREATE STREAM first (a INT) WITH (kafka_topic='t', value_format='AVRO', partitions=1);")
        .await;
    server
        .ksql("CREATE STREAM second (a INT) WITH (kafka_topic='u', value_format='AVRO', partitions=1);")
        .await;
    let address = registry.stop().await;
    server.ksql("DROP STREAM second DELETE TOPIC;").await;
    let drop = server.ksql("DROP STREAM first DELETE TOPIC;").await;
    assert_eq!(drop[0]["commandStatus"]["status"], "SUCCESS", "{drop}");
    let warning = drop[0]["warnings"][0]["message"].as_str().unwrap();
    assert!(
        warning.starts_with("Could not clean up the schema registry for topic: t\nCaused by: "),
        "{warning}"
    );
    let left = server.ksql("SHOW STREAMS; SHOW TOPICS;").await;
    assert_eq!(left[0]["streams"], json!([]));
    let topics = left[1]["topics"].as_array().unwrap();
    assert!(topics.iter().all(|topic| topic["name"] != "t"), "{left}");
    server
        .ksql(
            "CREATE STREAM made (a INT) WITH (kafka_topic='u', value_format='JSON', partitions=1); DROP STREAM made;",
        )
        .await;
    server.stop().await;

    // The next start finds what is left, as after a crash between the end of the topic and that of its subjects: not
    // where somebody has made the topic again, and no more once it is gone.
    let registry = Registry::start_at(&broker, address).await;
    let subjects = async || registry.ask("GET", "/subjects", None).await.1;
    assert_eq!(subjects().await, json!(["t-value", "u-value"]));
    let server = Server::start_registered(&broker, &registry.url()).await;
    assert_eq!(subjects().await, json!(["u-value"]));
    server.stop().await;
    registry.register("t-value", &json!({"type": "string"})).await;
    let server = Server::start_registered(&broker, &registry.url()).await;
    assert_eq!(subjects().await, json!(["t-value", "u-value"]));
    server.stop().await;
    registry.stop().await;
    broker.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_end_of_subjects_takes_no_number_of_a_request() {
    let broker = Broker::start().await;
    let registry = Registry::start(&broker).await;
    let server = Server::start_registered(&broker, &registry.url()).await;
    let made = server
        .ksql(
            "CREATE STREAM a (n INT) WITH (kafka_topic='a', value_format='AVRO', partitions=1); \
             CREATE STREAM b (n INT) WITH (kafka_topic='b', value_format='AVRO', partitions=1);",
        )
        .await;
    let last = made[1]["commandSequenceNumber"].as_i64().unwrap();
    let query = last + 2;
    let answers = server
        .ksql(&format!(
            "DROP STREAM a DELETE TOPIC; CREATE STREAM c AS SELECT * FROM b; TERMINATE CSAS_C_{query};"
        ))
        .await;
    assert_eq!(
        answers[2]["commandStatus"]["message"], "Query terminated.",
        "{answers}"
    );
    let (_, subjects) = registry.ask("GET", "/subjects", None).await;
    assert_eq!(subjects, json!(["C-value", "b-value"]));
    server.stop().await;
    registry.stop().await;
    broker.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_that_is_written_anew_forgets_nothing_that_is_left() {
    let broker = Broker::start().await;
    let registry = Registry::start(&broker).await;
    let server = start(&broker, &registry.url()).await;
    for name in ["a", "b"] {
        make(&server, name).await;
    }
    let address = registry.stop().await;
    for name in ["a", "b"] {
        drop_alone(&server, name).await;
    }
    let first_kept = || broker.reader(LOG).fetch_watermarks(LOG, 0, DEADLINE).unwrap().0;
    assert_eq!(first_kept(), 0);
    let pass_time = async |server: &Server| {
        for _ in 0..20 {
            server
                .ksql(
                    "CREATE STREAM passing (n INT) WITH (kafka_topic='c', value_format='JSON', partitions=1); \
                     DROP STREAM passing;",
                )
                .await;
        }
    };
    // Twice, so that what was written once more is written once more; with a start in between that finds nobody to ask.
    pass_time(&server).await;
    server.stop().await;
    let once = first_kept();
    assert!(once > 4, "{once}");
    let server = start(&broker, &format!("http://{address}")).await;
    pass_time(&server).await;
    server.stop().await;
    assert!(first_kept() > once);

    let registry = Registry::start_at(&broker, address).await;
    assert_eq!(subjects(&registry).await, json!(["a-value", "b-value"]));
    let server = start(&broker, &registry.url()).await;
    assert_eq!(subjects(&registry).await, json!([]));
    // And it is marked: what comes under the names later is left alone.
    pass_time(&server).await;
    server.stop().await;
    registry.register("a-value", &json!("string")).await;
    let server = start(&broker, &registry.url()).await;
    assert_eq!(subjects(&registry).await, json!(["a-value"]));
    server.stop().await;
    registry.stop().await;
    broker.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_start_deletes_what_is_somebody_elses_by_then() {
    let broker = Broker::start().await;
    let registry = Registry::start(&broker).await;
    let server = start(&broker, &registry.url()).await;
    let names = ["changed", "gone", "made_again", "refused", "registered_again"];
    for name in names {
        make(&server, name).await;
    }
    // The topic is not deleted, so its subjects are none that it has left, also when somebody deletes it later.
    let blocked = NoChanges::of(&broker);
    let (_, error) = server.refused("DROP STREAM refused DELETE TOPIC;").await;
    let message = error["message"].as_str().unwrap();
    assert!(
        message.starts_with("Could not delete the corresponding kafka topic: refused."),
        "{message}"
    );
    drop(blocked);
    delete_topic(&broker, "refused").await;

    let address = registry.stop().await;
    for name in names.iter().filter(|name| **name != "refused") {
        drop_alone(&server, name).await;
    }
    let registry = Registry::start_at(&broker, address).await;
    // Somebody registers a schema of a topic that is still to be made: another one, or the same once the old one is away.
    let (_, latest) = registry
        .ask("GET", "/subjects/changed-value/versions/latest", None)
        .await;
    let mut schema: Value = serde_json::from_str(latest["schema"].as_str().unwrap()).unwrap();
    let same = schema.clone();
    schema["fields"]
        .as_array_mut()
        .unwrap()
        .push(json!({"name": "M", "type": ["null", "int"], "default": null}));
    registry.register("changed-value", &schema).await;
    registry
        .ask("DELETE", "/subjects/registered_again-value", None)
        .await;
    registry.register("registered_again-value", &same).await;
    // The statement has registered the same, and then the topic could not be made.
    let blocked = NoChanges::of(&broker);
    let (_, error) = server.refused(&made("made_again")).await;
    let message = error["message"].as_str().unwrap();
    assert!(
        message.contains("Failed to guarantee existence of topic made_again"),
        "{message}"
    );
    drop(blocked);
    server.stop().await;

    let all = names.map(|name| format!("{name}-value"));
    assert_eq!(subjects(&registry).await, json!(all));
    let kept: Vec<&String> = all.iter().filter(|subject| *subject != "gone-value").collect();
    for _ in 0..2 {
        let server = start(&broker, &registry.url()).await;
        assert_eq!(subjects(&registry).await, json!(kept));
        server.stop().await;
    }
    registry.stop().await;
    broker.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_registry_that_does_not_answer_holds_a_start_up_for_a_moment_only() {
    let broker = Broker::start().await;
    let registry = Registry::start(&broker).await;
    let server = start(&broker, &registry.url()).await;
    make(&server, "t").await;
    let address = registry.stop().await;
    drop_alone(&server, "t").await;
    server.stop().await;

    let silent = TcpListener::bind(address).await.unwrap();
    let url = format!("http://{address}");
    let asked = async {
        let (mut connection, _) = silent.accept().await.unwrap();
        let mut first = [0; 3];
        connection.read_exact(&mut first).await.unwrap();
        // Nothing is deleted that may be another by the time that the answer comes.
        assert_eq!(&first, b"GET");
        connection
    };
    let (server, connection) = tokio::join!(start(&broker, &url), asked);
    // The server is ready, and its question is not given up yet.
    let mut rest = Vec::new();
    while match connection.try_read_buf(&mut rest) {
        Ok(0) => panic!("the start has waited for as long as a question is waited for"),
        Ok(_) => true,
        Err(error) => {
            assert_eq!(error.kind(), std::io::ErrorKind::WouldBlock);
            false
        }
    } {}
    server.ksql("SHOW STREAMS;").await;
    drop((connection, silent));
    server.stop().await;

    // It is looked for at the next start.
    let registry = Registry::start_at(&broker, address).await;
    assert_eq!(subjects(&registry).await, json!(["t-value"]));
    let server = start(&broker, &registry.url()).await;
    assert_eq!(subjects(&registry).await, json!([]));
    server.stop().await;
    registry.stop().await;
    broker.stop().await;
}
