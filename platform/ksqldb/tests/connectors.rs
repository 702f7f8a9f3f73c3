//! Statements about connectors, carried out by a real worker of Apache Kafka on the embedded broker.
//!
//! `scripts/kafka.sh` fetches it from Maven Central. Where it is neither there already nor must be (`CI`), there is
//! nothing to test with.
#![allow(clippy::print_stderr, reason = "a test that is skipped says so")]

mod support;

use std::fmt::Write;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use serde_json::{Value, json};
use support::{Broker, Server};
use tempfile::TempDir;
use tokio::process::{Child, Command};
use tokio::time::{Instant, sleep};

const VERSION: &str = "4.2.0";
const KAFKA: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../scripts/kafka.sh");
const FETCHED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../target/test-tools/kafka-4.2.0");
const STRING: &str = "org.apache.kafka.connect.storage.StringConverter";
/// A Java machine on a busy one takes its time to come up.
const PATIENCE: Duration = Duration::from_secs(120);

/// A worker of Kafka Connect.
struct Worker {
    url: String,
    _folder: TempDir,
    process: Child,
}

impl Worker {
    async fn start(broker: &Broker) -> Option<Self> {
        if std::env::var_os("CI").is_none() && !Path::new(FETCHED).exists() {
            eprintln!("skipped: Apache Kafka is not fetched (scripts/kafka.sh fetch)");
            return None;
        }
        let fetched = Command::new(KAFKA).args(["file-sink", VERSION]).status();
        assert!(fetched.await.unwrap().success(), "the file sink can be had");
        let folder = tempfile::tempdir().unwrap();
        let url = format!("http://127.0.0.1:{}", free_port());
        let mut properties = format!(
            "bootstrap.servers={}\nlisteners={url}\nplugin.path={FETCHED}/connect\ngroup.id=connect\n\
             key.converter={STRING}\nvalue.converter={STRING}\noffset.flush.interval.ms=500\n",
            broker.address
        );
        for of in ["config", "offset", "status"] {
            write!(
                properties,
                "{of}.storage.topic=connect-{of}s\n{of}.storage.replication.factor=1\n"
            )
            .unwrap();
        }
        let file = folder.path().join("connect.properties");
        std::fs::write(&file, properties).unwrap();
        let process = Command::new(KAFKA)
            .args(["tool", VERSION, "org.apache.kafka.connect.cli.ConnectDistributed"])
            .arg(&file)
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut worker = Self {
            url,
            _folder: folder,
            process,
        };
        let until = Instant::now() + PATIENCE;
        let client = reqwest::Client::builder()
            .no_proxy()
            .timeout(Duration::from_secs(5));
        let client = client.build().unwrap();
        // One that is coming up says 404.
        let is_up = async |url: &str| {
            let answer = client.get(format!("{url}/connectors")).send().await;
            answer.is_ok_and(|answer| answer.status() == 200)
        };
        while !is_up(&worker.url).await {
            assert!(Instant::now() < until, "the worker does not answer");
            let ended = worker.process.try_wait().unwrap();
            assert!(ended.is_none(), "the worker has ended: {ended:?}");
            sleep(Duration::from_millis(200)).await;
        }
        Some(worker)
    }
}

/// A port below those that connections are given by themselves: a Java machine opens it only seconds later.
fn free_port() -> u16 {
    let first = 20_000 + u16::try_from(std::process::id() % 10_000).unwrap();
    let is_free = |port: &u16| std::net::TcpListener::bind(("127.0.0.1", *port)).is_ok();
    (first..).find(is_free).expect("a free port")
}

/// The only answer to a statement.
async fn answer(server: &Server, statement: &str) -> (u16, Value) {
    let (status, body) = server.post("/ksql", &json!({"ksql": statement})).await;
    let body: Value = serde_json::from_str(&body).unwrap();
    (status, body.get(0).cloned().unwrap_or(body))
}

/// Asks until the answer is as wanted.
async fn until(server: &Server, statement: &str, holds: impl Fn(&Value) -> bool) -> Value {
    let until = Instant::now() + PATIENCE;
    loop {
        let (_, body) = answer(server, statement).await;
        if holds(&body) {
            return body;
        }
        assert!(Instant::now() < until, "{statement}: {body}");
        sleep(Duration::from_millis(200)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_writes_a_topic_into_a_file() {
    let broker = Broker::start().await;
    let Some(worker) = Worker::start(&broker).await else {
        return;
    };
    let server = Server::start_with(broker.address, |config| config.connect_url = worker.url.clone()).await;
    server.ready().await;
    let (status, none) = answer(&server, "SHOW CONNECTORS;").await;
    assert_eq!(
        (status, &none["@type"]),
        (200, &json!("connector_list")),
        "{none}"
    );
    assert_eq!(none["connectors"], json!([]));
    let (_, plugins) = answer(&server, "LIST CONNECTOR PLUGINS;").await;
    assert_eq!(plugins["@type"], "connector_plugins_list");
    let file_sink = json!({"className": "org.apache.kafka.connect.file.FileStreamSinkConnector", "type": "sink",
        "version": VERSION});
    let plugins = plugins["connectorsPlugins"].as_array().unwrap();
    assert!(plugins.contains(&file_sink), "{plugins:?}");

    let (status, _) = answer(
        &server,
        "CREATE STREAM lines (line VARCHAR) WITH (KAFKA_TOPIC='lines', FORMAT='KAFKA', PARTITIONS=1);",
    )
    .await;
    assert_eq!(status, 200);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("lines");
    let create = |options: &str| {
        format!(
            "CREATE SINK CONNECTOR {options} `file-sink` WITH ('connector.class'='FileStreamSink', 'topics'='lines', \
             'file'='{}', 'tasks.max'=1);",
            file.display()
        )
    };
    let (status, made) = answer(&server, &create("")).await;
    assert_eq!(
        (status, &made["@type"]),
        (200, &json!("connector_info")),
        "{made}"
    );
    assert_eq!(made["info"]["name"], "file-sink");
    assert_eq!(made["info"]["config"]["tasks.max"], "1");
    assert!(
        made["statementText"]
            .as_str()
            .unwrap()
            .contains("'file'='[string]'"),
        "{made}"
    );
    let (status, _) = answer(&server, "INSERT INTO lines VALUES ('a line');").await;
    assert_eq!(status, 200);
    let until_written = Instant::now() + PATIENCE;
    while std::fs::read_to_string(&file).unwrap_or_default() != "a line\n" {
        assert!(Instant::now() < until_written, "nothing is written");
        sleep(Duration::from_millis(200)).await;
    }

    let listed = until(&server, "SHOW SINK CONNECTORS;", |body| {
        body["connectors"][0]["state"] == "RUNNING (1/1 tasks RUNNING)"
    })
    .await;
    assert_eq!(
        listed["connectors"],
        json!([{"name": "file-sink", "type": "sink", "className": "FileStreamSink",
            "state": "RUNNING (1/1 tasks RUNNING)"}])
    );
    let (_, sources) = answer(&server, "SHOW SOURCE CONNECTORS;").await;
    assert_eq!(sources["connectors"], json!([]));
    let described = until(&server, "DESCRIBE CONNECTOR `file-sink`;", |body| {
        body["topics"] == json!(["lines"])
    })
    .await;
    assert_eq!(described["@type"], "connector_description");
    assert_eq!(described["connectorClass"], "FileStreamSink");
    assert_eq!(described["status"]["connector"]["state"], "RUNNING");
    assert_eq!(described["status"]["tasks"][0]["state"], "RUNNING");

    let (status, again) = answer(&server, &create("")).await;
    assert_eq!((status, &again["error_code"]), (409, &json!(40900)));
    assert_eq!(again["message"], "Connector file-sink already exists");
    let (status, kept) = answer(&server, &create("IF NOT EXISTS")).await;
    assert_eq!(
        (status, &kept["@type"]),
        (200, &json!("warning_entity")),
        "{kept}"
    );

    let (status, dropped) = answer(&server, "DROP CONNECTOR `file-sink`;").await;
    assert_eq!(
        (status, &dropped["@type"]),
        (200, &json!("drop_connector")),
        "{dropped}"
    );
    assert_eq!(dropped["connectorName"], "file-sink");
    let (status, missing) = answer(&server, "DROP CONNECTOR `file-sink`;").await;
    assert_eq!(
        (status, &missing["error_code"]),
        (404, &json!(40400)),
        "{missing}"
    );
    let message = missing["message"].as_str().unwrap();
    assert!(message.starts_with("Failed to drop connector: {"), "{message}");
    let (status, skipped) = answer(&server, "DROP CONNECTOR IF EXISTS `file-sink`;").await;
    assert_eq!((status, &skipped["@type"]), (200, &json!("warning_entity")));
    let (status, unknown) = answer(&server, "DESCRIBE CONNECTOR `file-sink`;").await;
    assert_eq!(status, 404, "{unknown}");

    for (settings, told) in [
        (
            "'topics'='lines', 'password'='secret'",
            "Validation error: Connector config {name=[string], password=[string], topics=[string]} contains no \
             connector type",
        ),
        (
            "'connector.class'='FileStreamSink'",
            "Validation error: topics - ",
        ),
        ("'connector.class'='NoSuchClass'", "Validation error: {"),
    ] {
        let statement = format!("CREATE TYPE t AS INT; CREATE SINK CONNECTOR c WITH ({settings});");
        let (status, body) = answer(&server, &statement).await;
        let message = body["message"].as_str().unwrap_or_default();
        assert_eq!((status, &body["error_code"]), (400, &json!(40001)), "{body}");
        assert!(message.starts_with(told), "{message}");
        assert!(!body.to_string().contains("secret"), "{body}");
    }
    let (_, types) = answer(&server, "SHOW TYPES;").await;
    assert_eq!(types["types"], json!({}), "nothing of a refused request is done");
    // Nor of what is no statement, to whichever endpoint it is sent.
    for wrong in [
        "CREATE SINK CONNECTOR c WITH ('password'='secret' 'a'='b');",
        "CREATE SINK CONNECTOR c WITH ('password'='secret);",
        "CREATE SINK CONNECTOR c WITH ('password'='secret');",
    ] {
        for path in ["/ksql", "/query"] {
            let (status, body) = server.post(path, &json!({"ksql": wrong})).await;
            assert_eq!(status, 400, "{body}");
            assert!(!body.contains("secret"), "{path}: {body}");
        }
    }
    server.stop().await;
    broker.stop().await;
}

#[tokio::test]
async fn without_a_worker_statements_are_refused_as_by_ksqldb() {
    let broker = Broker::start().await;
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", nobody.local_addr().unwrap());
    drop(nobody);
    let server = Server::start_with(broker.address, |config| config.connect_url = url.clone()).await;
    server.ready().await;
    for statement in [
        "SHOW CONNECTORS;",
        "CREATE SOURCE CONNECTOR c WITH ('a'='b');",
        "DESCRIBE CONNECTOR c;",
        "DROP CONNECTOR c;",
    ] {
        let (status, body) = answer(&server, statement).await;
        assert_eq!((status, &body["error_code"]), (500, &json!(50000)), "{body}");
        assert_eq!(
            body["message"],
            format!(
                "io.confluent.ksql.util.KsqlServerException: org.apache.hc.client5.http.HttpHostConnectException: Connect \
                 to {url} [127.0.0.1/127.0.0.1] failed: Connection refused\nCaused by: Could not connect to the server. \
                 Please check the server details are\n\tcorrect and that the server is running."
            )
        );
        let masked = statement.replace("'b'", "'[string]'");
        assert_eq!(body["statementText"], masked);
    }
    server.stop().await;
    broker.stop().await;
}

/// A worker that does not get done with sharing out its work has not said that the connector is there.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_that_goes_on_rebalancing_has_no_connector_yet() {
    use axum::http::{Method, StatusCode, Uri};
    use axum::{Json, Router};

    const REBALANCE: &str =
        "Cannot complete request because of a conflicting operation (e.g. worker rebalance)";
    let worker = Router::new().fallback(async |method: Method, uri: Uri| match (method, uri.path()) {
        (Method::GET, _) => (StatusCode::OK, Json(json!([]))),
        (Method::POST, "/connectors") => (
            StatusCode::CONFLICT,
            Json(json!({"error_code": 409, "message": REBALANCE})),
        ),
        _ => (StatusCode::OK, Json(json!({"configs": []}))),
    });
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let serving = tokio::spawn(async move { axum::serve(listener, worker).await });
    let broker = Broker::start().await;
    let server = Server::start_with(broker.address, |config| config.connect_url = url).await;
    server.ready().await;
    let statement = "CREATE SINK CONNECTOR IF NOT EXISTS c WITH ('connector.class'='C');";
    let (status, refused) = answer(&server, statement).await;
    assert_eq!(
        (status, &refused["error_code"]),
        (409, &json!(40900)),
        "{refused}"
    );
    let message = refused["message"].as_str().unwrap();
    assert!(message.contains(REBALANCE), "{message}");
    server.stop().await;
    broker.stop().await;
    serving.abort();
}
