//! Services are known by their roles: a stack whose services all have other names does what stack `lite` does, and one
//! that lacks a role says so.

#[path = "support/docker.rs"]
mod docker_support;
mod support;

use std::fs;

use docker_support::DockerStack;
use insta::assert_snapshot;
use regex::Regex;
use serde_json::Value;
use support::{NativeStack, World};

/// The services of stack `lite`, and what they are called here.
const NAMES: [(&str, &str); 4] = [
    ("broker", "kafka"),
    ("ksqldb-server", "sql"),
    ("host1", "alpha"),
    ("host2", "beta"),
];

/// `up` with every service renamed, on ports that are free.
const PORTS: [&str; 4] = ["--port", "kafka=0", "--port", "sql=0"];

/// Stack `lite` with every service renamed, and everything that refers to it.
fn renamed() -> String {
    let lite = include_str!("../compose/lite.yaml").to_owned();
    NAMES.iter().fold(lite, |text, (name, other)| {
        // Its definition, who depends on it, its address between containers, its address for processes.
        let reference = format!(r"(?m)^((?:  |      )){name}:|hostname: {name}$|{name}:29092|\{{{name}\}}");
        let reference = Regex::new(&reference).expect("a pattern");
        let replaced =
            reference.replace_all(&text, |found: &regex::Captures<'_>| found[0].replace(name, other));
        replaced.into_owned()
    })
}

/// A stack file of these services of the renamed stack, without the dependencies on the others.
fn only(services: &[&str]) -> String {
    let whole = renamed();
    let (services_part, volumes) = whole.split_once("\nvolumes:\n").expect("volumes");
    let heading = Regex::new(r"(?m)^  [a-z]+:$").expect("a pattern");
    let starts: Vec<usize> = heading
        .find_iter(services_part)
        .map(|found| found.start())
        .collect();
    let ends = starts.iter().skip(1).copied().chain([services_part.len()]);
    let kept = starts
        .iter()
        .zip(ends)
        .map(|(start, end)| &services_part[*start..end]);
    let kept: String = kept
        .filter(|service| {
            services
                .iter()
                .any(|name| service.starts_with(&format!("  {name}:")))
        })
        .map(|service| format!("{}\n", service.trim_end()))
        .collect();
    let dependency = Regex::new(r"(?m)^    depends_on:\n(      .*\n)+").expect("a pattern");
    // Addresses that nothing but a placeholder needs.
    let kept = dependency
        .replace_all(&kept, "")
        .replace("{kafka}", "127.0.0.1:9092");
    let kept = if kept.contains("role: schema-registry") {
        kept
    } else {
        kept.replace("{schema-registry}", "127.0.0.1:8081")
    };
    format!("services:\n{kept}\nvolumes:\n{volumes}")
}

fn write(world: &World, text: &str) -> String {
    let path = world.home().join("stack.yaml");
    fs::write(&path, text).expect("a file");
    path.display().to_string()
}

/// Fails unless it is a report of a run that passed on the second host.
fn assert_passed(report: &str) {
    let report: Value = serde_json::from_str(report).expect("a report");
    assert_eq!(report["verdict"], "passed", "{report:#}");
    assert_eq!(report["host"], "beta");
}

#[test]
fn processes_may_have_any_name() {
    let stack = NativeStack::new();
    let file = write(&stack.world, &renamed());
    let up = [&["--json", "up", "--stack-file", &file][..], &PORTS].concat();
    let told: Value = serde_json::from_str(&stack.succeed(&up)).expect("a document");
    assert_eq!(told["hosts"], serde_json::json!(["alpha", "beta"]));
    assert_passed(&stack.succeed(&["--json", "scenario", "bigfile", "--size", "1M"]));
    let again: Value = serde_json::from_str(&stack.succeed(&["--json", "up"])).expect("a document");
    assert_eq!(again["changed"], false, "{again:#}");
    assert_eq!(again["endpoints"], told["endpoints"]);
    let address = stack.service("sql", "address");
    assert_eq!(address, told["endpoints"]["ksqldb_url"], "it speaks HTTP");
    assert!(stack.succeed(&["topics"]).contains("processes"));
    assert!(stack.succeed(&["ksql", "LIST STREAMS"]).contains("PROC"));
}

#[test]
fn containers_may_have_any_name() {
    let Some(stack) = DockerStack::new() else { return };
    let file = write(&stack.world, &renamed());
    let up = [
        "up",
        "--engine",
        "docker",
        "--osqueryd",
        "builtin",
        "--stack-file",
        &file,
    ];
    stack.succeed(&[&up[..], &PORTS].concat());
    assert_passed(
        &stack
            .succeed(&["--json", "scenario", "bigfile", "--size", "1M"])
            .0,
    );
    let again: Value = serde_json::from_str(&stack.succeed(&["--json", "up"]).0).expect("a document");
    assert_eq!(again["changed"], false, "{again:#}");
    stack.succeed(&["down", "--volumes"]);
}

/// Nothing is told of hosts, and nothing that only they need is looked for.
#[test]
fn a_stack_without_hosts_says_nothing_of_them() {
    let world = World::new();
    let services = only(&["kafka", "sql"]);
    let file = write(&world, &services);
    let checks = world.run(&["doctor", "--stack-file", &file]);
    assert!(checks.contains("loopback"), "{checks}");
    for check in ["isolation", "osqueryd", "extension", "the hosts"] {
        assert!(!checks.contains(check), "`{check}` in {checks}");
    }

    let Some(stack) = DockerStack::new() else { return };
    let file = write(&stack.world, &services);
    let up = [
        "up",
        "--engine",
        "docker",
        "--osqueryd",
        "builtin",
        "--stack-file",
        &file,
    ];
    let (_, told) = stack.succeed(&[&up[..], &PORTS].concat());
    assert!(told.contains("services are healthy"), "{told}");
    assert!(!told.contains("host"), "{told}");
    stack.succeed(&["down", "--volumes"]);
}

/// What a world says after `up` of a stack file with these services, on the engine that runs nothing.
fn up(world: &World, services: &[&str], ports: &[&str]) -> String {
    let file = write(world, &only(services));
    world.run(&[&["up", "--engine", "fake", "--stack-file", &file][..], ports].concat())
}

/// The exit code of a verb and what it says.
fn said(world: &World, arguments: &[&str]) -> String {
    let output = world.output(arguments);
    let text = format!(
        "{}: {}",
        output.status.code().unwrap_or(-1),
        String::from_utf8_lossy(&output.stderr)
    );
    text.replace(&world.home().display().to_string(), "[HOME]")
}

#[test]
fn a_stack_without_ksqldb_comes_up_and_says_what_it_lacks() {
    let world = World::new();
    let told = up(&world, &["kafka", "alpha", "beta"], &PORTS[..2]);
    assert!(told.starts_with("exit code: 0\n"), "{told}");
    assert!(told.contains("\nhosts   alpha, beta\n----- stderr"), "{told}");
    assert!(
        told.contains(
            "no statements were submitted: the stack has no ksqlDB server\nnext:\n  `osqdemo tail processes "
        ),
        "{told}"
    );
    assert_snapshot!(said(&world, &["scenario", "bigfile"]), @r"
    16: error: stack `[HOME]/stack.yaml` has no ksqlDB server
    hint: stack `lite` has all that the demo takes
    ");
    assert_snapshot!(said(&world, &["ksql", "LIST STREAMS"]), @r"
    16: error: stack `[HOME]/stack.yaml` has no ksqlDB server
    hint: stack `lite` has all that the demo takes
    ");
    assert!(world.output(&["down"]).status.success());
}

#[test]
fn a_stack_without_a_broker_comes_up_and_says_what_it_lacks() {
    let world = World::new();
    assert_snapshot!(up(&world, &["sql"], &PORTS[2..]), @r"
    exit code: 0
    ----- stdout -----
    ksqlDB  http://127.0.0.1:[PORT]
    ----- stderr -----
    sql: starting (not running)
    sql: healthy ([TIME])
    up: 1 service is healthy ([TIME])
    next:
      `osqdemo ksql`  the prompt of ksqlDB
      `osqdemo down`  stops everything; with `--volumes` nothing stays
    ");
    assert_snapshot!(said(&world, &["topics"]), @r"
    16: error: stack `[HOME]/stack.yaml` has no broker
    hint: name a Kafka that is already there with `osqdemo up --kafka HOST:PORT`
    ");
    assert_snapshot!(said(&world, &["groups"]), @r"
    16: error: stack `[HOME]/stack.yaml` has no broker
    hint: name a Kafka that is already there with `osqdemo up --kafka HOST:PORT`
    ");
    assert_snapshot!(said(&world, &["tail", "processes"]), @r"
    16: error: stack `[HOME]/stack.yaml` has no broker
    hint: name a Kafka that is already there with `osqdemo up --kafka HOST:PORT`
    ");
    assert!(world.output(&["down"]).status.success());
}

#[test]
fn hosts_without_a_broker_are_refused() {
    let world = World::new();
    assert_snapshot!(up(&world, &["alpha"], &[]), @r"
    exit code: 2
    ----- stdout -----
    ----- stderr -----
    error: service `alpha` is a host, and the stack has no broker for what it sees
    hint: name a Kafka that is already there with `--kafka HOST:PORT` or `--kafka-config FILE`; or add a service with the probe `kafka` to the stack file, or leave the hosts out
    ");
}

#[test]
fn the_only_ksqldb_of_a_stack_cannot_be_left_out() {
    let world = World::new();
    let file = write(&world, &renamed());
    let up = [
        "up",
        "--engine",
        "fake",
        "--stack-file",
        &file,
        "--without",
        "sql",
    ];
    assert_snapshot!(world.run(&up), @r"
    exit code: 2
    ----- stdout -----
    ----- stderr -----
    error: service `sql` cannot be left out: it runs the statements
    ");
}

#[test]
fn a_ksqldb_of_any_name_that_is_never_healthy_ends_the_wait() {
    let world = World::new();
    let file = write(&world, &renamed());
    let up = ["up", "--engine", "fake", "--timeout", "1s", "--stack-file", &file];
    let output = world.run_with(("OSQDEMO_FAKE", "sql=never-healthy"), &[&up[..], &PORTS].concat());
    assert!(output.starts_with("exit code: 14"), "{output}");
    assert!(output.contains("error: sql was not healthy within"), "{output}");
}
