//! A configuration of one's own for the hosts, on the native engine.

#[path = "support/host_config.rs"]
mod host_config;
mod support;

use std::fs;
use std::os::unix::fs::PermissionsExt;

use host_config::{SECRET, default_document, write_own};
use serde_json::{Value, json};
use support::NativeStack;

const SERVICES: [&str; 4] = ["broker", "ksqldb-server", "host1", "host2"];

fn pids(stack: &NativeStack) -> [u32; 4] {
    SERVICES.map(|service| stack.pid(service))
}

/// Runs `up` with a configuration; returns what it says.
fn up_with(stack: &NativeStack, configuration: &str) -> String {
    let output = stack.world.output(&["up", "--host-config", configuration]);
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{stderr}");
    stderr
}

#[test]
fn hosts_monitor_what_the_user_says() {
    let stack = NativeStack::up();
    let folder = tempfile::tempdir().expect("a folder");
    let own = write_own(folder.path(), 1);
    let own = own.to_str().expect("a path");
    let before = pids(&stack);

    let plan = stack.succeed(&["up", "--host-config", own, "--dry-run"]);
    assert_eq!(
        plan.matches("(the host configuration changed)").count(),
        4,
        "{plan}"
    );
    let stderr = up_with(&stack, own);
    assert!(
        stderr.contains(&format!("the hosts have the configuration `{own}`")),
        "{stderr}"
    );
    let after = pids(&stack);
    assert_eq!(before[..2], after[..2], "the platform is left alone");
    assert!(
        before[2] != after[2] && before[3] != after[3],
        "both hosts are new"
    );
    assert_eq!(stack.ps()["host_config"], own);
    for topic in ["uptime", "pack_people_who"] {
        let record = stack.succeed(&["--json", "tail", topic, "--from-beginning", "-n", "1"]);
        assert!(record.contains(topic), "{record}");
    }
    stack.succeed(&["scenario", "bigfile", "--size", "1M"]);

    // The project does not need the files any more, and nothing is said of the secret.
    fs::remove_dir_all(folder.path().join("packs")).expect("the packs");
    fs::remove_file(own).expect("the file");
    let output = stack.world.output(&["-vv", "up"]);
    let mut seen = stack.world.shown(&output);
    assert!(seen.contains("nothing to do: 4 services are healthy"), "{seen}");
    stack.succeed(&["restart", "host1"]);
    stack.succeed(&["tail", "pack_people_who", "-n", "1", "--from-beginning"]);
    let bundle = folder.path().join("bundle.tar");
    stack.succeed(&["bundle", "-o", bundle.to_str().expect("a path")]);
    let bundle = String::from_utf8_lossy(&fs::read(&bundle).expect("a bundle")).into_owned();
    assert!(
        bundle.contains("select total_seconds from uptime;"),
        "the configuration in force is in the bundle"
    );
    seen.push_str(&bundle);
    seen.push_str(&stack.succeed(&["logs"]));
    seen.push_str(&stack.succeed(&["--json", "ps"]));
    seen.push_str(&stack.processes().join("\n"));
    assert!(!seen.contains(SECRET), "a secret was shown");
    let project = stack.world.project();
    for file in [
        "project.json",
        "hosts/host1/osquery/osquery_confluent_config.json",
    ] {
        let path = project.join(file);
        assert!(
            fs::read_to_string(&path).expect("a file").contains(SECRET),
            "{file}"
        );
        let mode = fs::metadata(&path).expect("a file").permissions().mode();
        assert_eq!(mode & 0o077, 0, "`{file}` is its owner's alone");
    }

    // Back to the default.
    let before = pids(&stack);
    up_with(&stack, "default");
    let after = pids(&stack);
    assert_eq!(before[..2], after[..2], "the platform is left alone");
    assert!(
        before[2] != after[2] && before[3] != after[3],
        "both hosts are new"
    );
    assert_eq!(stack.ps()["host_config"], Value::Null);
    assert_eq!(stack.succeed(&["up", "--dry-run"]), "nothing to do\n");
}

#[test]
fn a_changed_interval_is_taken_up() {
    let stack = NativeStack::up();
    let folder = tempfile::tempdir().expect("a folder");
    let own = write_own(folder.path(), 3600);
    let own = own.to_str().expect("a path");
    up_with(&stack, own);
    assert_eq!(up_with(&stack, own).matches("nothing to do").count(), 1);
    write_own(folder.path(), 1);
    let stderr = up_with(&stack, own);
    assert!(
        stderr.contains("host2: stopping (the host configuration changed)"),
        "{stderr}"
    );
    stack.succeed(&["tail", "uptime", "--from-beginning", "-n", "1"]);
}

#[test]
fn what_the_extension_refuses_stops_nothing() {
    let stack = NativeStack::up();
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("my.json");
    let before = pids(&stack);
    type Change = fn(&mut Value);
    let cases: [(Change, &str, &str); 3] = [
        (
            |root| root["config"]["no.such.property"] = json!("1"),
            "`no.such.property` is unusable: No such configuration property",
            "hint: librdkafka's CONFIGURATION.md lists every property",
        ),
        (
            |root| root["source"]["schedule"]["users"]["key"] = json!("hostIdentifier"),
            "the key expression `hostIdentifier` of the query `users`: expected `[` at column 1",
            "hint: a key expression looks like ['hostIdentifier']",
        ),
        (
            |root| root["config"] = json!({ "linger.ms": 5 }),
            "`config.bootstrap.servers` must be there",
            "error: the extension refuses the host configuration",
        ),
    ];
    for (change, expected, also) in cases {
        let mut document = default_document();
        document["config"]["sasl.password"] = json!(SECRET);
        change(&mut document);
        fs::write(&path, document.to_string()).expect("a file");
        let output = stack
            .world
            .output(&["up", "--host-config", path.to_str().expect("a path")]);
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{stderr}");
        assert!(stderr.contains(expected) && stderr.contains(also), "{stderr}");
        assert!(!stderr.contains(SECRET), "{stderr}");
    }
    assert_eq!(before, pids(&stack), "everything runs as before");
    assert_eq!(stack.succeed(&["up", "--dry-run"]), "nothing to do\n");
}

#[test]
fn hosts_that_cannot_reach_the_broker_say_why() {
    let stack = NativeStack::up();
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("my.json");
    let mut document = default_document();
    let config = document["config"].as_object_mut().expect("an object");
    // The demo's broker asks for no password and knows no way to give one.
    for (name, value) in [
        ("security.protocol", "SASL_PLAINTEXT"),
        ("sasl.mechanisms", "PLAIN"),
        ("sasl.username", "jay"),
        ("sasl.password", SECRET),
    ] {
        config.insert(name.to_owned(), json!(value));
    }
    fs::write(&path, document.to_string()).expect("a file");
    let path = path.to_str().expect("a path");
    let output = stack
        .world
        .output(&["up", "--timeout", "8s", "--host-config", path]);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(14), "{stderr}");
    assert!(
        stderr.contains("SASL Handshake not supported by broker"),
        "{stderr}"
    );
    assert!(!stderr.contains(SECRET), "{stderr}");
    up_with(&stack, "default");
}
