//! A configuration of one's own for the hosts, on the native engine.

#[path = "support/host_config.rs"]
mod host_config;
mod support;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use host_config::{SECRET, default_document, write_own};
use serde_json::{Value, json};
use support::{NativeStack, PLATFORM, SERVICES, UP, eventually};

fn pids(stack: &NativeStack) -> [u32; SERVICES.len()] {
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
    assert_eq!(
        before[..PLATFORM],
        after[..PLATFORM],
        "the platform is left alone"
    );
    assert!(
        (PLATFORM..SERVICES.len()).all(|host| before[host] != after[host]),
        "both hosts are new"
    );
    assert_eq!(stack.ps()["host_config"], own);
    for topic in ["uptime", "pack_people_who"] {
        eventually("the pack's topic is there", Duration::from_secs(60), || {
            stack.succeed(&["topics"]).contains(topic)
        });
        let record = stack.succeed(&["--json", "tail", topic, "--from-beginning", "-n", "1"]);
        assert!(record.contains(topic), "{record}");
    }
    stack.succeed(&["scenario", "bigfile", "--size", "1M"]);

    // The project does not need the files any more, and nothing is said of the secret.
    fs::remove_dir_all(folder.path().join("packs")).expect("the packs");
    fs::remove_file(own).expect("the file");
    let output = stack.world.output(&["-vv", "up"]);
    let mut seen = stack.world.shown(&output);
    assert!(seen.contains("nothing to do: 6 services are healthy"), "{seen}");
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
    assert_eq!(
        before[..PLATFORM],
        after[..PLATFORM],
        "the platform is left alone"
    );
    assert!(
        (PLATFORM..SERVICES.len()).all(|host| before[host] != after[host]),
        "both hosts are new"
    );
    assert_eq!(stack.ps()["host_config"], Value::Null);
    assert_eq!(stack.succeed(&["up", "--dry-run"]), "nothing to do\n");
}

/// Said before anything is written, not after a minute without rows.
#[test]
fn a_scenario_says_what_the_configuration_lacks() {
    let stack = NativeStack::up();
    let folder = tempfile::tempdir().expect("a folder");
    let mut document = default_document();
    let schedule = document["source"]["schedule"]
        .as_object_mut()
        .expect("a schedule");
    schedule.remove("open_files").expect("the query");
    let own = folder.path().join("own.json");
    fs::write(&own, document.to_string()).expect("a file");
    let own = own.to_str().expect("a path");
    up_with(&stack, own);
    let refused = stack.world.run(&["scenario", "bigfile"]);
    let says = format!("needs lines in the topic `open_files`, and `{own}` has no query `open_files`");
    assert!(
        refused.starts_with("exit code: 2\n") && refused.contains(&says),
        "{refused}"
    );
    up_with(&stack, "default");
    stack.succeed(&["scenario", "bigfile", "--size", "1M"]);
}

/// One of osqdemo's own by its name, and one of the user's from a folder.
#[test]
fn packs_are_added_by_name_and_their_topics_declared() {
    let stack = NativeStack::new();
    let folder = tempfile::tempdir().expect("a folder");
    let pack = r#"{ // As osquery's own are written.
        "queries": { "whose": { "query": "select username from users where uid = 0;", "interval": 1 } } }"#;
    fs::write(folder.path().join("my-own.conf"), pack).expect("a file");
    let path = folder.path().to_str().expect("a path");
    let packs = [
        "--pack",
        "incident-response",
        "--pack",
        "my-own",
        "--pack-path",
        path,
    ];
    stack.succeed(&[&UP[..], &packs].concat());
    let configured = stack
        .world
        .project()
        .join("hosts/host2/osquery/osquery_confluent_config.json");
    let configured = fs::read_to_string(configured).expect("the configuration");
    for query in ["shells_with_sockets", "whose"] {
        assert!(configured.contains(&format!("\"{query}\"")), "{query}");
    }

    let topic = "pack_my-own_whose";
    eventually("the pack's topic is there", Duration::from_secs(60), || {
        stack.succeed(&["topics"]).contains(topic)
    });
    let record = stack.succeed(&["--json", "tail", topic, "--from-beginning", "-n", "1"]);
    assert!(record.contains("root"), "{record}");
    let declared = stack.succeed(&["ksql", "--declare", topic]);
    assert!(declared.contains("pack_my_own_whose"), "{declared}");
    let whose = "SET 'auto.offset.reset'='earliest'; \
                 SELECT columns['username'] AS whose FROM pack_my_own_whose EMIT CHANGES LIMIT 1;";
    let row = stack.succeed(&["--json", "ksql", whose]);
    assert!(row.contains("root"), "{row}");
    let missing = stack.world.run(&["ksql", "--declare", "pack_my-own_who"]);
    assert!(
        missing.starts_with("exit code: 16\n") && missing.contains(&format!("hint: did you mean `{topic}`?")),
        "{missing}"
    );
    // The stream has the name that this topic's would have.
    let taken = "pack_my_own_whose";
    let makes_it =
        format!("CREATE STREAM t (a INT) WITH (KAFKA_TOPIC='{taken}', PARTITIONS=1, VALUE_FORMAT='JSON');");
    stack.succeed(&["ksql", &makes_it]);
    let other = stack.world.run(&["ksql", "--declare", taken]);
    assert!(
        other.starts_with("exit code: 15\n") && other.contains(&format!("reads the topic `{topic}`")),
        "{other}"
    );
    // What was added once is the project's.
    let up = stack.world.run(&["up"]);
    assert!(up.contains("nothing to do: 6 services are healthy"), "{up}");
}

/// A configuration as osqueryd takes it: JSON with comments and continued lines, and parts that cannot run.
#[test]
fn what_cannot_run_costs_only_itself_and_is_named() {
    let stack = NativeStack::up();
    let folder = tempfile::tempdir().expect("a folder");
    let mut document = default_document();
    document["source"]["schedule"]["hourly"] = json!({ "query": "select * from uptime;" });
    document["source"]["schedule"]["misspelt"] = json!({ "query": "selct 1;", "interval": 1 });
    document["source"]["packs"] = json!({
        "inv": "inv.conf", "broken": "broken.conf",
        "win": { "platform": "windows", "queries": { "reg": { "query": "select 1;", "interval": 0 } } },
        "ir": { "queries": {
            "pe": { "query": "select * from process_events;", "interval": 1 },
            "monthly": { "query": "select * from uptime;", "interval": 2_592_000 } } } });
    let pack = "{ # osquery's own JSON\n\"queries\": { \"up\": { \"query\": \"select days, \\\n hours from uptime;\", \"interval\": 1 } } }";
    fs::write(folder.path().join("inv.conf"), pack).expect("a pack");
    fs::write(folder.path().join("broken.conf"), "{").expect("a pack");
    let own = folder.path().join("my.json");
    fs::write(&own, format!("// mine\n{document:#}")).expect("a configuration");
    let stderr = up_with(&stack, own.to_str().expect("a path"));
    let named = |told: &str| {
        for part in [
            "`source.packs.broken`: The pack broken cannot be read: it is not JSON",
            "`source.packs.ir.queries.monthly.interval`: Query has invalid interval: monthly: 2592000",
            "`pack_ir_pe`: no such table: process_events",
            "`misspelt`: near \"selct\": syntax error",
        ] {
            assert_eq!(told.matches(part).count(), 1, "{part}\n{told}");
        }
        assert!(
            !told.contains("win"),
            "a pack for another platform is not read: {told}"
        );
    };
    named(&stderr);
    let record = stack.succeed(&["--json", "tail", "pack_inv_up", "--from-beginning", "-n", "1"]);
    assert!(record.contains("pack_inv_up"), "{record}");
    let shown = stack.world.output(&["-v", "ps"]);
    named(&String::from_utf8_lossy(&shown.stderr));
    // The extension tells its books shortly after its start.
    let told = "host1's extension, when it last said so: ";
    eventually(
        "the extension tells of its lines",
        Duration::from_secs(60),
        || String::from_utf8_lossy(&stack.world.output(&["-v", "ps"]).stderr).contains(told),
    );
    let findings = stack.ps()["host_config_findings"].clone();
    assert_eq!(findings.as_array().map(Vec::len), Some(4), "{findings:#}");
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
            |root| root["key"] = json!("hostIdentifier"),
            "the key expression `hostIdentifier` of the file: expected `[` at column 1",
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
    // The listener that hosts are told of asks for no password, and answers who brings one as Kafka does.
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
        stderr.contains(
            "SASL PLAIN mechanism handshake failed: Broker: Request not valid in current SASL state"
        ),
        "{stderr}"
    );
    assert!(!stderr.contains(SECRET), "{stderr}");
    up_with(&stack, "default");
}
