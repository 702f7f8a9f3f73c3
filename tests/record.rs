//! What a run leaves for the one who investigates: the events of the verbs that change something, whatever ended them.

mod support;

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;

use rustix::process::Signal;
use serde_json::{Value, json};
use support::{FAKE, NativeStack, World, signal};

/// The events of a project.
fn events(project: &Path) -> Vec<Value> {
    let text = fs::read_to_string(project.join("events.jsonl")).expect("the events");
    text.lines()
        .map(|line| serde_json::from_str(line).expect("every line is a JSON object"))
        .collect()
}

/// Holds lines of events to the schema that osqdemo prints.
fn assert_as_the_schema_says(world: &World, lines: &[Value]) {
    let schema = world.output(&["config", "schema", "--events"]).stdout;
    let schema: Value = serde_json::from_slice(&schema).expect("a JSON document");
    let validator = jsonschema::validator_for(&schema).expect("a JSON Schema");
    for line in lines {
        if let Err(error) = validator.validate(line) {
            panic!("{error} in {line}");
        }
    }
}

/// The runs among them: verb, and the exit code of those that came to their end.
fn runs(events: &[Value]) -> Vec<(Value, Option<Value>)> {
    let begun = events.iter().filter(|event| event["event"] == "began");
    begun
        .map(|began| {
            let ended = events
                .iter()
                .find(|event| event["event"] == "ended" && event["process"] == began["process"]);
            (
                began["verb"].clone(),
                ended.map(|ended| ended["exit_code"].clone()),
            )
        })
        .collect()
}

fn ended(verb: &str, code: u8) -> (Value, Option<Value>) {
    (json!(verb), Some(json!(code)))
}

#[test]
fn every_verb_that_changes_something_is_on_record() {
    let world = World::new();
    world.run(&["build", "--osqueryd", "/no/such/file"]);
    assert!(!world.project().exists(), "a record makes no project");
    world.run(&[&FAKE[..], &["--dry-run"]].concat());
    assert!(!world.project().exists(), "a plan changes nothing");

    world.run(&FAKE);
    world.run(&["restart", "broker"]);
    for verb in ["ps", "wait", "logs"] {
        world.run(&[verb]);
    }
    world.run(&["down"]);
    world.run_with(("OSQDEMO_FAKE", "host1=start-fails"), &["--json", "up"]);
    world.run(&["scenario", "bigfile", "--size", "1M"]);
    let events = events(&world.project());
    assert_eq!(
        runs(&events),
        [
            ended("up", 0),
            ended("restart", 0),
            ended("down", 0),
            ended("up", 13),
            ended("scenario", 16),
        ]
    );
    for event in &events {
        assert_eq!(event["schema_version"], 2, "{event}");
        let time = event["time"].as_str().expect("a time");
        time.parse::<jiff::Timestamp>().expect("RFC 3339");
    }
    assert_eq!(events[0]["arguments"], json!(FAKE));
    // What is shown with `--verbose` only is on record, too.
    assert!(
        events
            .iter()
            .any(|event| event["detail"] == "planned" && event["action"] == "start_supervisor"),
        "{events:#?}"
    );
    assert_as_the_schema_says(&world, &events);
    let failed: Vec<&Value> = events.iter().filter(|event| event["event"] == "failed").collect();
    assert_eq!(failed.len(), 2, "each failure once: {failed:#?}");
    assert_eq!(failed[0]["exit_code"], 13);
    assert_eq!(
        failed[0]["error"],
        "failed to start host1: its program cannot be started: told to fail"
    );

    world.run(&["down", "--volumes"]);
    assert!(!world.project().exists(), "nothing is left of it");
}

#[test]
fn down_of_all_is_on_the_record_of_each() {
    let world = World::new();
    for project in ["one", "two"] {
        world.run(&[&["-p", project], &FAKE[..]].concat());
    }
    world.run(&["-p", "one", "down", "--all"]);
    for project in ["one", "two"] {
        let events = events(&world.home().join(project));
        assert_eq!(runs(&events), [ended("up", 0), ended("down", 0)], "{project}");
    }
    world.run(&["down", "--all", "--volumes"]);
    assert_eq!(fs::read_dir(world.home()).expect("the state folder").count(), 0);
}

#[test]
fn no_secret_is_on_record() {
    let world = World::new();
    world.run(&FAKE);
    // Not a registry's name, which the error repeats.
    let registry = ["--registry", "https://jay:pl4nt3d@registry.example"];
    world.run(&[&FAKE[..], &registry].concat());
    assert_eq!(runs(&events(&world.project())), [ended("up", 0), ended("up", 2)]);
    let text = fs::read_to_string(world.project().join("events.jsonl")).expect("the events");
    assert_eq!(
        text.matches("https://[redacted]@registry.example").count(),
        2,
        "{text}"
    );
    assert!(!text.contains("pl4nt3d"), "{text}");
}

#[test]
fn what_was_interrupted_or_killed_is_on_record_up_to_there() {
    let world = World::new();
    let never = ("OSQDEMO_FAKE", "ksqldb-server=never-healthy");
    for sent in [Signal::INT, Signal::KILL] {
        let mut up = world.start(never, &[&FAKE[..], &["--keep"]].concat());
        let mut progress = BufReader::new(up.stderr.take().expect("its progress")).lines();
        let is_waiting = progress.find(|line| {
            line.as_ref()
                .is_ok_and(|line| line.starts_with("ksqldb-server: starting"))
        });
        assert!(is_waiting.is_some());
        signal(up.id(), sent);
        progress.for_each(drop);
        up.wait().expect("it ends");
        world.run(&["down"]);
    }
    let events = events(&world.project());
    assert_eq!(
        runs(&events),
        [
            ended("up", 130),
            ended("down", 0),
            (json!("up"), None),
            ended("down", 0),
        ]
    );
    let killed = events
        .iter()
        .filter(|event| event["event"] == "began")
        .nth(2)
        .expect("the killed run");
    assert!(
        events.iter().any(|event| {
            event["process"] == killed["process"]
                && event["event"] == "step_started"
                && event["step"]["name"] == "ksqldb-server"
        }),
        "{events:#?}"
    );
}

#[test]
fn a_disk_that_takes_no_events_ends_nothing() {
    let world = World::new();
    world.run(&FAKE);
    let file = world.project().join("events.jsonl");
    fs::remove_file(&file).expect("it was there");
    fs::create_dir(&file).expect("a folder in its place");
    let output = world.output(&["restart", "broker"]);
    assert!(output.status.success(), "{}", world.shown(&output));
}

#[test]
fn a_host_that_crashed_once_and_then_became_healthy_is_healthy() {
    let stack = NativeStack::new();
    let agent = Path::new(env!("CARGO_BIN_EXE_osqdemo")).with_file_name("osqdemo-agent");
    let mark = stack.world.home().join("crashed");
    let osqueryd = stack.world.home().join("osqueryd");
    let script = format!(
        "#!/bin/sh\nif mkdir '{}' 2>/dev/null; then echo 'crashing this once' >&2; exit 3; fi\nexec '{}' \"$@\"\n",
        mark.display(),
        agent.display()
    );
    fs::write(&osqueryd, script).expect("a script");
    fs::set_permissions(&osqueryd, std::os::unix::fs::PermissionsExt::from_mode(0o755)).expect("a program");
    let osqueryd = osqueryd.display().to_string();
    stack.succeed(&[&support::UP[..], &["--osqueryd", &osqueryd]].concat());
    let restarts = ["host1", "host2"].map(|host| stack.service(host, "restarts").as_u64().expect("a number"));
    assert_eq!(restarts.iter().sum::<u64>(), 1, "one of them crashed once");
    let events = events(&stack.world.project());
    let warning = events.iter().find(|event| event["event"] == "warning");
    let warning = warning.expect("it is told");
    // As what, depends on whether somebody looked while it was down.
    let is_one = ["crashed", "restarted"]
        .map(|kind| warning["warning"] == kind)
        .contains(&true);
    assert!(is_one && warning["exit"] == json!({ "code": 13 }), "{warning}");
    stack.succeed(&["scenario", "bigfile", "--size", "1M"]);
    // What was stopped can be read.
    stack.succeed(&["down"]);
    let logs = stack.succeed(&["logs", "host1", "host2"]);
    assert_eq!(logs.matches("crashing this once").count(), 1, "{logs}");
}

#[test]
fn every_line_of_events_is_as_the_schema_says() {
    let stack = NativeStack::new();
    let lines = |arguments: &[&str]| -> Vec<Value> {
        let output = stack.world.output(&[&["--json", "-v"], arguments].concat());
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{text}");
        text.lines()
            .map(|line| serde_json::from_str(line).expect("every line is a JSON object"))
            .collect()
    };
    let mut shown = lines(&support::UP);
    shown.extend(lines(&["scenario", "bigfile", "--size", "1M"]));
    let refused = stack.world.output(&["--json", "logs", "nobody"]);
    shown.push(serde_json::from_slice(&refused.stderr).expect("a JSON object"));
    assert_as_the_schema_says(&stack.world, &shown);
    let recorded = events(&stack.world.project());
    assert_as_the_schema_says(&stack.world, &recorded);

    // What happened can be read without reading a sentence.
    let finished = |kind: &str, name: &str| {
        let found = shown.iter().find(|line| {
            line["event"] == "step_finished" && line["step"]["kind"] == kind && line["step"]["name"] == name
        });
        found.unwrap_or_else(|| panic!("{kind} {name} in {shown:#?}"))
    };
    assert_eq!(finished("service", "broker")["result"], "healthy");
    let statement = shown
        .iter()
        .find(|line| line["query_id"].as_str().is_some_and(|id| id.contains("PROC")));
    assert_eq!(statement.expect("its query")["result"], "executed");
    let topic = finished("stage", "topic");
    assert_eq!(topic["result"], "reached");
    assert_eq!(topic["evidence"]["sources"][0]["source"], "processes");
    assert_eq!(finished("stage", "precise_row")["evidence"]["host"], "host2");
    assert!(
        shown
            .iter()
            .any(|line| line["event"] == "failed" && line["exit_code"] == 2)
    );

    // The schema is no pass for everything.
    let mut wrong = recorded[0].clone();
    wrong["schema_version"] = json!(1);
    let schema = stack.world.output(&["config", "schema", "--events"]).stdout;
    let schema: Value = serde_json::from_slice(&schema).expect("a JSON document");
    assert!(!jsonschema::is_valid(&schema, &wrong));
    let unknown = json!({ "schema_version": 2, "time": "2026-11-24T04:46:30Z", "event": "happened" });
    assert!(!jsonschema::is_valid(&schema, &unknown));
}
