//! The stacks of today on real programs: `kafka` on a real Apache Kafka, `confluent-8` on that under Confluent's names and
//! with a real Kafka Connect (`scripts/real-images.sh`). Stack `confluent` has a file of its own.

#[path = "support/docker.rs"]
mod docker_support;
#[path = "support/killed_broker.rs"]
mod killed_broker;
mod support;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use docker_support::{DockerStack, docker, make_real_images};
use rdkafka::ClientConfig;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use serde_json::{Value, json};
use support::eventually;

/// A worker in Java on a busy machine.
const PATIENCE: Duration = Duration::from_secs(120);

/// A stack that is up with what is asked for, on ports that are free; nothing where no engine answers.
fn up(stack_name: &str, with_ports: &[&str], more: &[&str]) -> Option<(DockerStack, String)> {
    let stack = DockerStack::new()?;
    make_real_images(stack_name);
    let ports: Vec<String> = with_ports.iter().map(|service| format!("{service}=0")).collect();
    // Nothing is pulled: no registry can be asked.
    let mut arguments = vec![
        "up",
        "--stack",
        stack_name,
        "--osqueryd",
        "builtin",
        "--pull",
        "never",
    ];
    arguments.extend(ports.iter().flat_map(|port| ["--port", port]));
    arguments.extend(more);
    let (_, told) = stack.succeed(&arguments);
    Some((stack, told))
}

/// One service is healthy before the other is started.
fn assert_order(told: &str, first: &str, then: &str) {
    let find = |text: String| {
        told.find(&text)
            .unwrap_or_else(|| panic!("no `{text}` in {told}"))
    };
    let (healthy, starting) = (
        find(format!("{first}: healthy")),
        find(format!("{then}: starting")),
    );
    assert!(healthy < starting, "{first} before {then}: {told}");
}

/// Asks Connect; returns what it says.
fn connect(stack: &DockerStack, method: &str, path: &str, body: &Value) -> Value {
    let address = stack.service("connect", "address");
    let address = address
        .as_str()
        .expect("an address")
        .trim_start_matches("http://");
    let body = if body.is_null() {
        String::new()
    } else {
        body.to_string()
    };
    let mut stream = TcpStream::connect(address).expect("Connect listens");
    stream.set_read_timeout(Some(PATIENCE)).expect("a limit");
    write!(
        stream,
        "{method} {path} HTTP/1.0\r\nHost: {address}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .expect("it is asked");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    let (head, body) = answer.split_once("\r\n\r\n").expect("a head");
    assert!(head.contains(" 200 ") || head.contains(" 201 "), "{answer}");
    serde_json::from_str(body).unwrap_or_else(|error| panic!("{error}: {answer}"))
}

/// The file sink is there, and what is written to a topic comes out of it.
fn the_file_sink_works(stack: &DockerStack) {
    let plugins = connect(stack, "GET", "/connector-plugins", &Value::Null);
    let sink = "org.apache.kafka.connect.file.FileStreamSinkConnector";
    let mut listed = plugins.as_array().expect("a list").iter();
    assert!(listed.any(|plugin| plugin["class"] == sink), "{plugins:#}");

    let address = stack.service("broker", "address");
    let producer: BaseProducer = ClientConfig::new()
        .set("bootstrap.servers", address.as_str().expect("an address"))
        .create()
        .expect("a client");
    let line = r#"{"tells":"all"}"#;
    let record: BaseRecord<'_, str, str> = BaseRecord::to("joined").payload(line);
    producer
        .send(record)
        .map_err(|(error, _)| error)
        .expect("it is sent");
    producer.flush(PATIENCE).expect("it is written");
    let config =
        json!({ "connector.class": sink, "topics": "joined", "file": "/tmp/joined.txt", "tasks.max": "1" });
    connect(stack, "PUT", "/connectors/sink/config", &config);
    let container = stack.container("connect");
    eventually("the line is in the file", PATIENCE, || {
        let mut look = std::process::Command::new("docker");
        look.args(["exec", &container, "cat", "/tmp/joined.txt"]);
        // The value was JSON, and the file has it as Java writes a map.
        look.output()
            .is_ok_and(|found| String::from_utf8_lossy(&found.stdout).trim() == "{tells=all}")
    });
}

#[test]
fn apache_kafka_is_killed_in_the_middle_of_a_scenario() {
    let services = ["broker", "schema-registry", "ksqldb-server"];
    let Some((stack, told)) = up("kafka", &services, &["--without", "console"]) else {
        return;
    };
    assert!(told.contains("up: 5 services are healthy"), "{told}");
    for then in ["schema-registry", "ksqldb-server", "host1"] {
        assert_order(&told, "broker", then);
    }
    killed_broker::is_stood(&stack);
    stack.succeed(&["down", "--volumes"]);
    assert_eq!(stack.labelled(), [const { Vec::<String>::new() }; 3]);
}

#[test]
fn confluent_platform_8_with_connect() {
    let services = ["broker", "schema-registry", "ksqldb-server", "connect"];
    let less = ["--with", "connect", "--without", "control-center,host1,host2"];
    let Some((stack, told)) = up("confluent-8", &services, &less) else {
        return;
    };
    assert!(told.contains("up: 4 services are healthy"), "{told}");
    for (first, then) in [
        ("broker", "schema-registry"),
        ("broker", "connect"),
        ("schema-registry", "ksqldb-server"),
    ] {
        assert_order(&told, first, then);
    }
    the_file_sink_works(&stack);
    // What the broker was told of itself is what it believes.
    let cluster = docker(&[
        "exec",
        &stack.container("broker"),
        "grep",
        "cluster.id",
        "/var/lib/kafka/data/meta.properties",
    ]);
    assert_eq!(cluster, ["cluster.id=b3NxZGVtby1zdGFjay04MQ"]);
    stack.succeed(&["down", "--volumes"]);
    assert_eq!(stack.labelled(), [const { Vec::<String>::new() }; 3]);
}
