//! The stack on a Kafka that is already there, through the real binary: our own broker, the real Apache Kafka of
//! `scripts/kafka.sh`, with TLS and passwords, and with Schema Registry and ksqlDB elsewhere as well. What `down --volumes`
//! leaves there is what was there.

#[path = "../support/docker.rs"]
mod docker_support;
mod elsewhere;
mod secured;
#[path = "../support/mod.rs"]
mod support;
mod theirs;

use std::collections::BTreeSet;
use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use serde_json::Value;
use support::{NativeStack, two_free_ports};
use theirs::Theirs;

/// The user, and the password, of everything that wants one.
const USER: &str = "jay";
const PASSWORD: &str = "top-$ecret 77";

/// Every topic and group of a Kafka without TLS.
fn there(address: &str) -> (BTreeSet<String>, BTreeSet<String>) {
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", address)
        .create()
        .expect("a client");
    let limit = Duration::from_secs(30);
    let metadata = consumer.fetch_metadata(None, limit).expect("the topics");
    let topics = metadata.topics().iter().map(|topic| topic.name().to_owned());
    let groups = consumer.fetch_group_list(None, limit).expect("the groups");
    let names = groups.groups().iter().map(|group| group.name().to_owned());
    // Kafka's own, for what clients commit.
    let is_own = |topic: &String| topic.starts_with("__");
    (topics.filter(|topic| !is_own(topic)).collect(), names.collect())
}

fn set(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(ToString::to_string).collect()
}

/// Fails unless the scenario passes.
fn assert_demo_passes(stack: &NativeStack) -> String {
    let output = stack
        .world
        .output(&["--json", "scenario", "bigfile", "--size", "1M"]);
    let shown = stack.world.shown(&output);
    assert!(output.status.success(), "{shown}");
    let report: Value = serde_json::from_slice(&output.stdout).expect("a report");
    assert_eq!(report["verdict"], "passed", "{report:#}");
    shown
}

#[test]
fn the_demo_on_a_kafka_that_is_already_there() {
    let stack = NativeStack::new();
    let on = |address: &str| {
        let ports = ["ksqldb-server=0", "console=0", "schema-registry=0"];
        let ports = ports.iter().flat_map(|port| ["--port", port]);
        let arguments: Vec<&str> = ["up", "--kafka", address].into_iter().chain(ports).collect();
        stack.world.output(&arguments)
    };
    let (nobody, _) = two_free_ports();
    let silent = on(&format!("127.0.0.1:{nobody}"));
    let told = stack.world.shown(&silent);
    assert_eq!(silent.status.code(), Some(10), "{told}");
    assert!(told.contains("cannot reach the broker at 127.0.0.1"), "{told}");
    assert!(
        told.contains("`--kafka none` is the stack's own broker"),
        "{told}"
    );
    assert_eq!(stack.processes(), Vec::<String>::new(), "nothing was started");

    let theirs = Theirs::broker(&stack);
    // A topic of the hosts that is there already: it is not the project's.
    write_to(&theirs.address, "users");
    let (before, _) = there(&theirs.address);
    assert!(before.contains("users"), "{before:?}");
    let up = on(&theirs.address);
    assert!(up.status.success(), "{}", stack.world.shown(&up));
    assert_eq!(stack.service("broker", "state"), "left_out");
    assert_eq!(stack.ps()["kafka"], theirs.address.as_str());
    assert_demo_passes(&stack);

    // It is remembered, and what osqdemo's own services keep there carries the project's name.
    let again = stack.world.run(&["up"]);
    assert!(again.contains("nothing to do: 5 services are healthy"), "{again}");
    let (topics, groups) = there(&theirs.address);
    for topic in ["processes", "PROC", "_schemas_osqdemo_osqdemo"] {
        assert!(topics.contains(topic), "no {topic} in {topics:?}");
    }
    let own = "_confluent-ksql-osqdemo_osqdemo_";
    assert!(
        [&topics, &groups]
            .iter()
            .all(|names| names.iter().any(|name| name.starts_with(own))),
        "{topics:?}, {groups:?}"
    );
    let of_others = |name: &String| name == "_schemas" || name.starts_with("_confluent-ksql-default_");
    assert!(!topics.iter().any(of_others), "{topics:?}");

    // What the user has made stays, and everything does without `--volumes`.
    stack.succeed(&["ksql", "CREATE STREAM mine AS SELECT * FROM precise_proc;"]);
    stack.succeed(&["down"]);
    let (kept, _) = there(&theirs.address);
    assert!(topics.is_subset(&kept), "{topics:?} became {kept:?}");
    let down = stack.world.run(&["down", "--volumes"]);
    assert!(
        down.contains("what this project had made there: ") && down.contains("the rest stays as it is"),
        "{down}"
    );
    let (left, groups) = there(&theirs.address);
    let expected: BTreeSet<String> = before.into_iter().chain(set(&["MINE"])).collect();
    assert_eq!(left, expected, "{down}");
    assert!(!groups.iter().any(|group| group.starts_with(own)), "{groups:?}");
}

/// Writes a record.
fn write_to(address: &str, topic: &str) {
    let producer: BaseProducer = ClientConfig::new()
        .set("bootstrap.servers", address)
        .create()
        .expect("a client");
    let record: BaseRecord<'_, str, str> = BaseRecord::to(topic).payload("{}");
    producer
        .send(record)
        .map_err(|(error, _)| error)
        .expect("it is sent");
    producer.flush(Duration::from_secs(30)).expect("it is written");
}
