//! The stacks of today on real programs: `kafka` on a real Apache Kafka, `confluent-8` on that under Confluent's names and
//! with a real Kafka Connect, Prometheus and Alertmanager (`scripts/real-images.sh`). Stack `confluent` has a file of its
//! own.

#[path = "support/docker.rs"]
mod docker_support;
#[path = "support/killed_broker.rs"]
mod killed_broker;
mod support;

use std::env;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::process::Command;
use std::time::Duration;

use docker_support::{DockerStack, docker, make_real_images};
use rdkafka::ClientConfig;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use reqwest::Method;
use serde_json::Value;
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

/// A `docker` that tells what it is called with and has the image that all of them are made of.
const TELLING_DOCKER: &str = r#"#!/usr/bin/env bash
echo "$*" >>"$CALLS"
case "$*" in
  *made-of*) cat scripts/real-images.sh tests/fixtures/real-images/start | sha256sum | cut -d ' ' -f 1 ;;
  *inspect*) echo yes ;;
  build*) cat >/dev/null ;;
esac
"#;

/// The image that had the name before goes, once what was made of it is made anew.
#[test]
fn an_image_that_is_made_anew_leaves_none_without_a_name() {
    let folder = tempfile::tempdir().expect("a folder");
    let (docker, calls) = (folder.path().join("docker"), folder.path().join("calls"));
    fs::write(&docker, TELLING_DOCKER).expect("a program");
    fs::set_permissions(&docker, Permissions::from_mode(0o755)).expect("it may be run");
    let path = env::var_os("PATH").unwrap_or_default();
    let path = [folder.path().to_owned()]
        .into_iter()
        .chain(env::split_paths(&path));
    let output = Command::new(concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/real-images.sh"))
        .arg("kafka")
        .env("PATH", env::join_paths(path).expect("folders"))
        .env("CALLS", &calls)
        .output()
        .expect("bash runs");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let calls = fs::read_to_string(&calls).expect("it was called");
    let (build, then) = calls.rsplit_once("build -q -t apache/kafka").expect("a build");
    assert!(!build.contains("prune"), "{calls}");
    assert!(
        then.ends_with("\nimage prune -f --filter label=io.osqdemo.stand-in\n"),
        "{calls}"
    );
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

/// The file sink is there, and what is written to a topic comes out of it when ksqlDB is told so.
fn the_file_sink_works(stack: &DockerStack) {
    let sink = "org.apache.kafka.connect.file.FileStreamSinkConnector";
    let (plugins, _) = stack.succeed(&["ksql", "SHOW CONNECTOR PLUGINS;"]);
    assert!(plugins.contains(sink), "{plugins}");

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
    let create = format!(
        "CREATE SINK CONNECTOR sink WITH ('connector.class'='{sink}', 'topics'='joined', 'file'='/tmp/joined.txt');"
    );
    let (made, _) = stack.succeed(&["ksql", &create]);
    assert_eq!(made.trim(), "Created connector SINK");
    let container = stack.container("connect");
    eventually("the line is in the file", PATIENCE, || {
        let mut look = std::process::Command::new("docker");
        look.args(["exec", &container, "cat", "/tmp/joined.txt"]);
        // The value was JSON, and the file has it as Java writes a map.
        look.output()
            .is_ok_and(|found| String::from_utf8_lossy(&found.stdout).trim() == "{tells=all}")
    });
}

/// What a service answers to a request; null where that is no JSON.
fn answer(stack: &DockerStack, service: &str, method: Method, path: &str) -> Value {
    let address = stack.service(service, "address");
    let url = format!("{}{path}", address.as_str().expect("an address"));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("a runtime").block_on(async {
        let client = reqwest::Client::builder().no_proxy().timeout(PATIENCE).build();
        let request = client.expect("a client").request(method, &url);
        let response = request.send().await.expect("an answer");
        assert!(response.status().is_success(), "{url}: {}", response.status());
        let text = response.text().await.expect("all of it");
        serde_json::from_str(&text).unwrap_or_default()
    })
}

fn get(stack: &DockerStack, service: &str, path: &str) -> Value {
    answer(stack, service, Method::GET, path)
}

/// The groups of rules that Prometheus has loaded, each with the number of its rules.
fn rule_groups(stack: &DockerStack) -> Vec<(String, usize)> {
    let rules = get(stack, "prometheus", "/api/v1/rules");
    let groups = rules["data"]["groups"].as_array().expect("groups").iter();
    groups
        .map(|group| {
            let name = group["name"].as_str().expect("a name").to_owned();
            (name, group["rules"].as_array().expect("rules").len())
        })
        .collect()
}

/// A rule, as Control Center writes one: into the file that it shares with Prometheus, which is told to read it.
fn make_an_alert(stack: &DockerStack) {
    let container = stack.container("control-center");
    let rule =
        "groups:\n- name: c3-triggers\n  interval: 1s\n  rules:\n  - alert: Made\n    expr: vector(1)\n";
    // By way of another file, too: the folder is theirs as well.
    let write = "printf '%b' \"$1\" >/mnt/config/new && cat /mnt/config/new >/mnt/config/trigger_rules-generated.yml && \
                 rm /mnt/config/new";
    docker(&["exec", &container, "sh", "-ec", write, "sh", rule]);
    answer(stack, "prometheus", Method::POST, "/-/reload");
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

#[test]
fn confluent_platform_8_with_prometheus() {
    let services = [
        "broker",
        "schema-registry",
        "ksqldb-server",
        "control-center",
        "prometheus",
        "alertmanager",
    ];
    let more = ["--with", "prometheus", "--without", "host1,host2"];
    let Some((stack, told)) = up("confluent-8", &services, &more) else {
        return;
    };
    assert!(told.contains("up: 6 services are healthy"), "{told}");
    assert_order(&told, "alertmanager", "prometheus");

    // The files of the stack file are what it runs by.
    let config = get(&stack, "prometheus", "/api/v1/status/config");
    let config = config["data"]["yaml"].as_str().expect("a text");
    assert!(config.contains("out_of_order_time_window: 10m"), "{config}");
    assert!(config.contains("- alertmanager:9093"), "{config}");
    let groups = |made| [("c3-triggers".to_owned(), made), ("sums".to_owned(), 15)];
    let sorted = || {
        let mut groups = rule_groups(&stack);
        groups.sort();
        groups
    };
    assert_eq!(sorted(), groups(0));
    eventually("Prometheus knows the Alertmanager", PATIENCE, || {
        let known = get(&stack, "prometheus", "/api/v1/alertmanagers");
        known["data"]["activeAlertmanagers"][0]["url"] == "http://alertmanager:9093/api/v2/alerts"
    });
    let receivers = get(&stack, "alertmanager", "/api/v2/receivers");
    assert_eq!(receivers[0]["name"], "default", "{receivers}");

    // What Control Center makes on its pages is used, and stays when the services are made anew.
    make_an_alert(&stack);
    eventually("the alert is sent on", PATIENCE, || {
        let alerts = get(&stack, "alertmanager", "/api/v2/alerts");
        alerts[0]["labels"]["alertname"] == "Made"
    });
    let before = stack.id("prometheus");
    stack.succeed(&["restart", "prometheus"]);
    assert_ne!(stack.id("prometheus"), before, "its container is another one");
    assert_eq!(sorted(), groups(1));

    let (page, _) = stack.succeed(&["open", "--print", "prometheus"]);
    let address = stack.service("prometheus", "address");
    assert_eq!(page.trim(), format!("{}/", address.as_str().expect("an address")));
    let (_, stderr) = stack.succeed(&["up"]);
    assert!(
        stderr.contains("nothing to do: 6 services are healthy"),
        "{stderr}"
    );
    let (plan, _) = stack.succeed(&["up", "--with", "none", "--dry-run"]);
    for gone in ["prometheus", "alertmanager"] {
        let line = format!("stop {gone} (not asked for by `with`)");
        assert!(plan.contains(&line), "{plan}");
    }
    stack.succeed(&["down", "--volumes"]);
    assert_eq!(stack.labelled(), [const { Vec::<String>::new() }; 3]);
}
