//! `osqdemo chaos` through the real binary: faults that are stood, and a proof that finds what is not as it must be.

#[path = "support/docker.rs"]
mod docker_support;
mod support;

use std::fs;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use assert_cmd::assert::OutputAssertExt;
use docker_support::{DockerStack, docker};
use serde_json::{Value, json};
use support::{NativeStack, Written, eventually};

/// Writes a list of faults, as a report has it.
fn list(home: &Path, faults: &[(&str, &str, u64)]) -> String {
    let rounds: Vec<Value> = faults
        .iter()
        .zip(1..)
        .map(|((kind, target, hold_ms), number)| {
            let mut round =
                json!({ "number": number, "after_ms": 100, "kind": kind, "target": target, "hold_ms": hold_ms });
            if *kind == "slow" {
                round["way"] = json!({ "delay_ms": 50, "loss_percent": 10 });
            }
            if *kind == "clock" {
                let is_ahead = *target != "host1";
                round["step_ms"] = json!(if is_ahead { 200_000 } else { -200_000 });
            }
            round
        })
        .collect();
    let path = home.join("faults.json");
    fs::write(&path, json!({ "seed": 5, "rounds": rounds }).to_string()).expect("a file");
    path.display().to_string()
}

/// The files of runs in the homes of the hosts.
fn files(stack: &NativeStack) -> Vec<String> {
    let homes = ["host1", "host2"].map(|host| stack.world.project().join("hosts").join(host).join("home"));
    let entries = homes
        .iter()
        .flat_map(|home| fs::read_dir(home).expect("a home").flatten());
    let names = entries.map(|entry| entry.file_name().to_string_lossy().into_owned());
    names.filter(|name| name.starts_with("chaos-")).collect()
}

/// The links that the supervisor looks after.
fn links(stack: &NativeStack) -> Vec<String> {
    let records = fs::read(stack.world.project().join("services.json")).expect("records");
    let records: Value = serde_json::from_slice(&records).expect("JSON");
    let services = records["services"].as_object().expect("services");
    let links = services.keys().filter(|name| name.starts_with("link-"));
    links.cloned().collect()
}

/// So many faults were stood, and there was something to compare.
fn assert_compared(report: &Path, faults: usize) {
    let report: Value = serde_json::from_slice(&fs::read(report).expect("a report")).expect("JSON");
    assert_eq!(report["verdict"], "passed", "{report}");
    assert_eq!(report["rounds"].as_array().map(Vec::len), Some(faults));
    for stream in report["streams"].as_array().expect("streams") {
        assert!(
            stream["rows"].as_u64() > Some(0),
            "nothing was compared: {stream}"
        );
    }
    for host in report["hosts"].as_array().expect("hosts") {
        assert!(host["lines"].as_u64() > Some(10), "nothing was compared: {host}");
    }
    assert!(report["positions_compared"].as_u64() > Some(10), "{report}");
}

#[test]
fn faults_of_containers_are_stood() {
    let Some(stack) = DockerStack::up() else { return };
    let home = stack.world.home();
    let report = home.join("report.json");
    let faults = [
        ("kill", "broker", 0),
        ("partition", "broker", 500),
        ("partition", "host1", 1_500),
        ("stop", "ksqldb-server", 300),
        ("partition", "ksqldb-server", 1_000),
        ("kill", "host2/extension", 0),
        // Its container is another one then, and its spool must be the same.
        ("restart", "host1", 0),
    ];
    let report_to = format!("json={}", report.display());
    let (told, _) = stack.succeed(&["chaos", "--replay", &list(home, &faults), "--report", &report_to]);
    assert!(told.contains("passed: after 7 faults in "), "{told}");
    assert_compared(&report, 7);
    // Nobody is cut off any more: the others find it by its name.
    for service in ["broker", "host1", "ksqldb-server"] {
        let format = "{{json .NetworkSettings.Networks}}";
        let network = docker(&["inspect", "--format", format, &stack.container(service)]).concat();
        assert!(network.contains(&format!("\"{service}\"")), "{network}");
    }
}

/// `osqdemo fault`, and what is not one.
fn faults_are_done_by_hand(stack: &NativeStack) {
    let state = || stack.service("broker", "state");
    let extension = "host1/extension";
    stack.succeed(&["fault", "set", "stop", "broker"]);
    stack.succeed(&["fault", "set", "stop", extension]);
    assert_eq!(state(), "paused");
    assert_eq!(
        stack.succeed(&["fault"]),
        format!("stop broker\nstop {extension}\n")
    );
    stack.succeed(&["fault", "clear", "broker"]);
    assert_eq!(stack.succeed(&["fault"]), format!("stop {extension}\n"));
    let refused = |arguments: &[&str]| {
        let output = stack
            .world
            .output(&[&["fault"], arguments].concat())
            .assert()
            .code(2);
        String::from_utf8_lossy(&output.get_output().stderr).into_owned()
    };
    for (arguments, told) in [
        (&["clear", "broker"][..], "error: no fault is set on `broker`"),
        (
            &["set", "stop", "brokr"],
            "error: the stack has no `brokr`\nhint: did you mean `broker`?",
        ),
        (
            &["set", "burn", "broker"],
            "error: `burn` is no fault that is set by hand",
        ),
        (
            &["set", "slow", extension],
            "error: `host1/extension` has no network of its own",
        ),
        (
            &["set", "stop", "broker", "--delay", "1s"],
            "error: only the fault `slow` has a `--delay` and a `--loss`",
        ),
        (
            &["set", "clock", extension],
            "error: `host1/extension` has no clock of its own",
        ),
        (
            &["set", "clock", "host1", "--step", "soon"],
            "invalid value 'soon' for '--step <±DURATION>'",
        ),
        (
            &["set", "clock", "host1", "--step", "-9000h"],
            "a clock is wrong by at most a year, and not by nothing",
        ),
        (
            &["set", "stop", "broker", "--step", "+1s"],
            "error: only the fault `clock` has a `--step`",
        ),
        (
            &["set", "disk", "host1"],
            "error: `disk` is no fault that is set by hand",
        ),
        (
            &["set", "slow", "host1", "--delay", "2m"],
            "error: `--delay` may be at most 60s",
        ),
    ] {
        let said = refused(arguments);
        assert!(said.contains(told), "{said}");
    }
    stack.succeed(&["fault", "clear"]);
    assert_eq!(stack.succeed(&["fault"]), "");
    ways_are_slow_and_cut_by_hand(stack);
    clocks_are_wrong_by_hand(stack);
    let broker = stack.pid("broker");
    stack.succeed(&["fault", "set", "kill", "broker"]);
    eventually("it is started again", Duration::from_secs(60), || {
        stack
            .service("broker", "pid")
            .as_u64()
            .is_some_and(|pid| pid != u64::from(broker))
    });
    stack.succeed(&["wait"]);
}

/// The way of the console to the broker, which nobody else waits for.
fn ways_are_slow_and_cut_by_hand(stack: &NativeStack) {
    stack.succeed(&[
        "fault", "set", "slow", "console", "--delay", "300ms", "--loss", "3",
    ]);
    stack.succeed(&["fault", "set", "partition", "console"]);
    assert_eq!(
        stack.succeed(&["fault"]),
        "slow console by 300 ms with 3 % lost\npartition console\n"
    );
    assert_eq!(links(stack), ["link-console"]);
    // It would wait in vain for a broker that is silent.
    stack.succeed(&["fault", "set", "stop", "broker"]);
    let refused = stack
        .world
        .output(&["fault", "clear", "console"])
        .assert()
        .code(14);
    let refused = String::from_utf8_lossy(&refused.get_output().stderr).into_owned();
    for told in [
        "error: console is started anew for this, which cannot be well while broker is stopped",
        "hint: `osqdemo fault clear broker` lets it go on",
    ] {
        assert!(refused.contains(told), "{refused}");
    }
    stack.succeed(&["fault", "clear", "broker"]);
    stack.succeed(&["fault", "clear", "console"]);
    assert_eq!(stack.succeed(&["fault"]), "");
    assert_eq!(links(stack), Vec::<String>::new());
    let up = stack.world.output(&["up"]).assert().success();
    let up = String::from_utf8_lossy(&up.get_output().stderr).into_owned();
    assert!(up.contains("nothing to do"), "{up}");
    // Whoever starts it anew has ended the fault.
    stack.succeed(&["fault", "set", "partition", "console"]);
    stack.succeed(&["up"]);
    assert_eq!(stack.succeed(&["fault"]), "");
}

/// A host whose clock is behind writes older lines, until that is cleared.
fn clocks_are_wrong_by_hand(stack: &NativeStack) {
    // When the newest line of the host says that it was made, from now, in seconds.
    let age = |host: &str| {
        let query =
            format!("SELECT unixTime FROM processes WHERE hostIdentifier = '{host}' EMIT CHANGES LIMIT 1;");
        let row = stack.succeed(&["--json", "ksql", &query]);
        let row: Value = serde_json::from_str(row.lines().next().expect("a row")).expect("JSON");
        let unix_time = row["UNIXTIME"].as_i64().unwrap_or_else(|| panic!("{row}"));
        jiff::Timestamp::now().as_second() - unix_time
    };
    stack.succeed(&["fault", "set", "clock", "host1", "--step", "-10m"]);
    assert_eq!(stack.succeed(&["fault"]), "clock host1 by -600000 ms\n");
    let shown = stack.world.output(&["--json", "ps"]);
    let document: Value = serde_json::from_slice(&shown.stdout).expect("JSON");
    assert_eq!(
        document["faults"],
        serde_json::json!(["clock host1 by -600000 ms"])
    );
    let told = stack.world.output(&["ps"]);
    let told = String::from_utf8_lossy(&told.stderr).into_owned();
    assert!(
        told.contains("warning: a fault is set: clock host1 by -600000 ms; `osqdemo fault clear` ends it"),
        "{told}"
    );
    eventually("the lines of host1 are old", Duration::from_secs(60), || {
        (590..700).contains(&age("host1"))
    });
    assert!(age("host2") < 100, "host2 goes by the machine's clock");
    // Set again, it is stepped where it is; together with another fault of the same service, both are cleared at once.
    let pid = stack.pid("host1");
    stack.succeed(&["fault", "set", "clock", "host1", "--step", "-20m"]);
    assert_eq!(stack.pid("host1"), pid);
    stack.succeed(&["fault", "set", "slow", "host1", "--delay", "1ms"]);
    assert_eq!(
        stack.succeed(&["fault"]),
        "clock host1 by -1200000 ms\nslow host1 by 1 ms\n"
    );
    stack.succeed(&["fault", "clear", "host1"]);
    assert_eq!(stack.succeed(&["fault"]), "");
    assert!(!stack.world.project().join("clocks").exists());
    eventually("the lines of host1 are new", Duration::from_secs(60), || {
        age("host1") < 100
    });
    // Whoever starts it anew has ended the fault; the broker has a clock, too, and no way to itself.
    stack.succeed(&["fault", "set", "clock", "broker", "--step", "+1s"]);
    assert_eq!(stack.succeed(&["fault"]), "clock broker by +1000 ms\n");
    stack.succeed(&["up"]);
    assert_eq!(stack.succeed(&["fault"]), "");
}

#[test]
fn faults_are_stood_and_what_is_wrong_is_found() {
    let stack = NativeStack::up();
    // What a run that was killed has left.
    let stale = "CREATE STREAM osqdemo_chaos_0123abcd WITH (KAFKA_TOPIC='osqdemo-chaos-0123abcd') AS SELECT * FROM precise_files;";
    stack.succeed(&["ksql", stale]);
    let home = stack.world.home();
    let host1 = stack.world.project().join("hosts/host1/home");
    fs::write(host1.join("chaos-0123abcd-host1-7"), "").expect("a file");

    let report = home.join("report.json");
    let faults = [
        ("kill", "broker", 0),
        ("kill", "ksqldb-server", 0),
        ("stop", "host1/extension", 300),
        ("kill", "host1/extension", 0),
        ("kill", "host2/osqueryd", 0),
        ("restart", "ksqldb-server", 0),
        ("supervisor", "supervisor", 0),
        ("upgrade", "broker", 0),
        ("upgrade", "host1", 0),
        ("partition", "host1", 500),
        ("partition", "broker", 500),
        ("slow", "ksqldb-server", 500),
        ("clock", "host1", 3_000),
        ("clock", "host2", 3_000),
        ("clock", "broker", 500),
        ("kill", "broker", 0),
    ];
    // Another build of osqdemo, as far as anybody can tell: it lies elsewhere.
    let other = home.join("osqdemo-other");
    fs::copy(env!("CARGO_BIN_EXE_osqdemo"), &other).expect("a copy");
    let told = stack.succeed(&[
        "chaos",
        "--to",
        other.to_str().expect("a path"),
        "--replay",
        &list(home, &faults),
        "--report",
        &format!("json={}", report.display()),
    ]);
    assert!(told.contains("passed: after 16 faults in "), "{told}");
    assert_compared(&report, 16);
    // It is run by the installed build again, without anything in between.
    let programs = stack.ps().to_string();
    assert!(!programs.contains("osqdemo-other"), "{programs}");
    assert_eq!(links(&stack), Vec::<String>::new());
    let up = stack.world.output(&["up"]).assert().success();
    let up = String::from_utf8_lossy(&up.get_output().stderr).into_owned();
    assert!(up.contains("nothing to do"), "{up}");
    // The project ran before, so it runs on; what the run made is gone.
    let streams = stack
        .succeed(&["ksql", "LIST STREAMS; LIST TOPICS;"])
        .to_lowercase();
    assert!(!streams.contains("chaos"), "{streams}");
    assert_eq!(files(&stack), Vec::<String>::new());

    faults_are_done_by_hand(&stack);

    // A row that no line of a host explains.
    let faults = list(home, &[("restart", "console", 0), ("restart", "console", 0)]);
    let mut chaos = stack
        .world
        .command(&["chaos", "--replay", &faults])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary runs");
    let written = Written::by(chaos.stderr.take().expect("its errors"));
    eventually("the first fault is stood", Duration::from_secs(120), || {
        written.text().contains("1. restart console: well again")
    });
    stack.succeed(&[
        "ksql",
        "INSERT INTO precise_files (host_pid, host, pid, path) VALUES ('host1/1', 'host1', '1', '/of/nobody');",
    ]);
    let code = chaos.wait().expect("it ends").code();
    let text = || written.text();
    eventually("what it wrote is read", Duration::from_secs(20), || {
        text().contains("hint: ")
    });
    assert_eq!(code, Some(20), "{}", text());
    let kept = stack.world.project().join("chaos.json");
    for said in [
        "error: the faults were not stood: row invented: `PRECISE_FILES` has at offset ",
        ": host1/1, host1, 1, /of/nobody\n",
        "seed 5; the faults up to where it showed:\n  1. restart console\n",
        &format!(
            "hint: the same again: `osqdemo chaos --replay {} --rounds 1`",
            kept.display()
        ),
    ] {
        assert!(text().contains(said), "`{said}` is not in {}", text());
    }
}
