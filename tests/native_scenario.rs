//! The demo from end to end through the real binary, on the native engine: real hosts, the real extension, the
//! real broker and ksqlDB, and a file that is really written. Long because a pass and each
//! way to fail is gone from `up` to `down`.

mod support;

use std::fs;
use std::path::PathBuf;
use std::process::{Child, Output, Stdio};
use std::time::Duration;

use assert_cmd::assert::OutputAssertExt;
use rustix::process::Signal;
use serde_json::Value;
use support::{NativeStack, UP, eventually, signal};

/// The home folder of host2.
fn home(stack: &NativeStack) -> PathBuf {
    stack.world.project().join("hosts/host2/home")
}

/// The scenario's files that are there.
fn files(stack: &NativeStack) -> Vec<String> {
    fs::read_dir(home(stack))
        .expect("host2 has a home")
        .map(|entry| {
            entry
                .expect("an entry")
                .file_name()
                .to_string_lossy()
                .into_owned()
        })
        .filter(|name| name.starts_with("myfile"))
        .collect()
}

/// The processes that hold a file of host2's home open.
fn writers(stack: &NativeStack) -> Vec<PathBuf> {
    let home = home(stack);
    let mut found = Vec::new();
    for process in fs::read_dir("/proc").expect("the processes").flatten() {
        for descriptor in fs::read_dir(process.path().join("fd"))
            .into_iter()
            .flatten()
            .flatten()
        {
            if fs::read_link(descriptor.path()).is_ok_and(|file| file.starts_with(&home) && file != home) {
                found.push(process.path());
            }
        }
    }
    found
}

fn start(stack: &NativeStack, arguments: &[&str]) -> Child {
    stack
        .world
        .command(arguments)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary runs")
}

fn report(stack: &NativeStack, output: &Output) -> Value {
    assert!(output.status.success(), "{}", stack.world.shown(output));
    serde_json::from_slice(&output.stdout).expect("a report")
}

/// Fails unless the report is of a run that passed, with everything the scenario promises.
fn assert_passed(stack: &NativeStack, report: &Value, size: u64) {
    assert_eq!(report["schema_version"], 1);
    assert_eq!(report["scenario"], "bigfile");
    assert_eq!(report["verdict"], "passed", "{report:#}");
    assert_eq!(report["host"], "host2");
    assert_eq!(report["size_bytes"], size);
    assert_eq!(report["error"], Value::Null);
    let file = report["file"].as_str().expect("a file");
    for join in ["original", "precise"] {
        let rows = report["rows"].as_array().expect("rows");
        assert!(
            rows.iter().any(|row| row["join"] == join
                && row["host"] == "host2"
                && row["proc"].as_str().is_some_and(|proc| proc.ends_with("/head"))
                && row["file"] == file),
            "{report:#}"
        );
    }
    let stages: Vec<&str> = report["stages"]
        .as_array()
        .expect("stages")
        .iter()
        .map(|stage| {
            assert!(
                stage["at"].is_string() && stage["count"].as_u64() > Some(0),
                "{stage}"
            );
            stage["name"].as_str().expect("a name")
        })
        .collect();
    assert_eq!(
        stages,
        [
            "write_started",
            "osquery_line",
            "topic",
            "stream",
            "joined_row",
            "precise_row",
            "file_size"
        ]
    );
    assert_eq!(files(stack), Vec::<String>::new(), "the file is removed");
}

#[test]
fn the_demo() {
    let stack = NativeStack::up();
    let json = stack.world.home().join("report.json");
    let junit = stack.world.home().join("report.xml");
    let output = stack.world.output(&[
        "--json",
        "scenario",
        "bigfile",
        "--size",
        "256M",
        "--report",
        &format!("json={}", json.display()),
        "--report",
        &format!("junit={}", junit.display()),
    ]);
    let printed = report(&stack, &output);
    assert_passed(&stack, &printed, 256 << 20);
    let written: Value = serde_json::from_slice(&fs::read(json).expect("the JSON report")).expect("JSON");
    assert_eq!(written, printed);
    let junit = fs::read_to_string(junit).expect("the JUnit report");
    assert!(
        junit.contains("tests=\"7\" skipped=\"0\" failures=\"0\""),
        "{junit}"
    );

    // What the scenario saw is there for everybody.
    let topics: Value = serde_json::from_str(&stack.succeed(&["--json", "topics"])).expect("a document");
    let topics = &topics["topics"];
    for name in [
        "processes",
        "open_files",
        "PROC",
        "FILES",
        "PRECISE_PROC",
        "PRECISE_FILES",
    ] {
        let topic = topics
            .as_array()
            .expect("a list")
            .iter()
            .find(|topic| topic["name"] == name)
            .unwrap_or_else(|| panic!("no {name} in {topics}"));
        assert!(topic["records"].as_u64() > Some(0), "{topic}");
    }
    let line = stack.succeed(&["--json", "tail", "processes", "--from-beginning", "-n", "1"]);
    let record: Value = serde_json::from_str(&line).expect("a record");
    assert_eq!(record["topic"], "processes");
    let value: Value =
        serde_json::from_str(record["value"].as_str().expect("a value")).expect("osquery's line");
    assert_eq!(value["name"], "processes");
    assert_eq!(record["key"], value["hostIdentifier"]);

    // After a second attempt there is another file of the run in it, too.
    let file = printed["file"].as_str().expect("a file");
    let rows = stack.succeed(&[
        "--json",
        "ksql",
        &format!(
            "SET 'auto.offset.reset'='earliest';
             SELECT host, path FROM files WHERE path = '{file}' EMIT CHANGES LIMIT 1;"
        ),
    ]);
    let row: Value = serde_json::from_str(&rows).expect("a row");
    assert_eq!(row["HOST"], "host2");
    assert_eq!(row["PATH"], printed["file"]);
    let narrow = stack.world.run_with(
        ("COLUMNS", "40"),
        &[
            "ksql",
            "SET 'auto.offset.reset'='earliest'; SELECT * FROM proc EMIT CHANGES LIMIT 3;",
        ],
    );
    let (stdout, _) = narrow.split_once("----- stderr").expect("both outputs");
    assert!(stdout.lines().all(|line| line.chars().count() <= 40), "{narrow}");
}

#[test]
fn the_demo_in_avro() {
    let stack = NativeStack::new();
    stack.succeed(&[UP.as_slice(), &["--format", "avro"]].concat());
    let output = stack
        .world
        .output(&["--json", "scenario", "bigfile", "--size", "1M"]);
    assert_passed(&stack, &report(&stack, &output), 1 << 20);

    // The topics hold Avro, and are shown as JSON: what the hosts wrote, and what ksqlDB did.
    let first = |arguments: &[&str]| {
        let line = stack.succeed(&[&["--json", "tail", "--from-beginning", "-n", "1"], arguments].concat());
        let record: Value = serde_json::from_str(&line).expect("a record");
        record["value"].as_str().expect("a value").to_owned()
    };
    let value: Value = serde_json::from_str(&first(&["processes"])).expect("a line as JSON");
    assert_eq!(value["name"], "processes");
    assert!(value["columns"]["pid"].is_string(), "{value}");
    let value: Value = serde_json::from_str(&first(&["PRECISE_PROC"])).expect("a row as JSON");
    assert_eq!(
        value["HOST_PID"],
        format!(
            "{}/{}",
            value["HOST"].as_str().unwrap(),
            value["PID"].as_str().unwrap()
        )
    );
    assert!(!first(&["processes", "--raw"]).starts_with('{'));
    schemas_are_looked_at(&stack);

    // Topics hold one format.
    let refused = stack.world.output(&["up", "--format", "json"]).assert().code(2);
    let told = String::from_utf8_lossy(&refused.get_output().stderr).into_owned();
    assert!(
        told.contains("the project's topics hold lines in the format `avro`, not `json`"),
        "{told}"
    );
}

/// `osqdemo schemas`, where there are some.
fn schemas_are_looked_at(stack: &NativeStack) {
    let listed: Value = serde_json::from_str(&stack.succeed(&["--json", "schemas"])).expect("JSON");
    let subjects = listed["subjects"].as_array().expect("subjects");
    let lines = subjects
        .iter()
        .find(|one| one["subject"] == "processes-value")
        .expect("the subject of the hosts' lines");
    assert_eq!(lines["versions"], serde_json::json!([1]));
    assert_eq!(
        (&lines["type"], &lines["compatibility"]),
        (&"AVRO".into(), &"BACKWARD".into())
    );
    let table = stack.succeed(&["schemas"]);
    assert!(table.starts_with("SUBJECT"), "{table}");
    let shown = stack.succeed(&["schemas", "show", "processes-value"]);
    assert!(shown.contains("\"name\": \"Result\""), "{shown}");
    let missing = ["schemas", "show", "processes-value", "--version", "9"];
    let refused = |arguments: &[&str]| {
        let output = stack.world.output(arguments).assert().code(2);
        String::from_utf8_lossy(&output.get_output().stderr).into_owned()
    };
    let told = refused(&missing);
    assert!(
        told.contains("error: the registry has no version 9 of the subject `processes-value`\nhint: "),
        "{told}"
    );

    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("new.avsc");
    let file = file.to_str().expect("a text");
    let checks = |schema: &str| {
        std::fs::write(file, schema).expect("a file");
        ["schemas", "check", file, "--subject", "processes-value"]
    };
    let schema = stack.succeed(&["--json", "schemas", "show", "processes-value"]);
    let schema: Value = serde_json::from_str(&schema).expect("JSON");
    let taken = stack.succeed(&checks(schema["schema"].as_str().expect("a schema")));
    assert_eq!(taken.trim_end(), "processes-value: it could be registered");
    let told = refused(&checks(r#"{"type":"record","name":"Other","fields":[]}"#));
    assert!(
        told.starts_with("error: the schema cannot be registered under `processes-value`\n"),
        "{told}"
    );
    assert!(told.contains("NAME_MISMATCH"), "{told}");
    let told = refused(&checks("{"));
    assert!(told.contains("42201"), "{told}");
}

#[test]
fn broker_and_ksqldb_may_be_killed_while_it_runs() {
    let stack = NativeStack::up();
    for service in ["ksqldb-server", "broker"] {
        let began = jiff::Timestamp::now().to_string();
        let scenario = start(&stack, &["--json", "scenario", "bigfile", "--size", "16M"]);
        let victim = stack.pid(service);
        eventually("the file is being written", Duration::from_secs(20), || {
            !files(&stack).is_empty()
        });
        signal(victim, Signal::KILL);
        let output = scenario.wait_with_output().expect("it ends");
        let report = report(&stack, &output);
        assert_passed(&stack, &report, 16 << 20);
        let restarts = report["restarts"].as_array().expect("a list");
        assert_eq!(restarts.len(), 1, "{report:#}");
        assert_eq!(restarts[0]["service"], service);
        assert_eq!(restarts[0]["cause"], "killed by signal 9 (SIGKILL)");
        assert_eq!(restarts[0]["times"], 1);
        assert!(
            restarts[0]["at"].as_str().is_some_and(|at| at > began.as_str()),
            "{began}: {report:#}"
        );
        stack.succeed(&["wait"]);
    }
}

#[test]
fn an_interruption_leaves_nothing_behind() {
    let stack = NativeStack::up();
    // Far more than is written before the interruption, and less than the disk holds.
    let space = rustix::fs::statvfs(home(&stack).as_path()).expect("a file system");
    let size = (space.f_bavail * space.f_frsize / 2).min(8 << 30).to_string();
    let scenario = start(&stack, &["scenario", "bigfile", "--size", &size]);
    eventually("the file is being written", Duration::from_secs(20), || {
        !files(&stack).is_empty()
    });
    signal(scenario.id(), Signal::INT);
    let output = scenario.wait_with_output().expect("it ends");
    assert_eq!(output.status.code(), Some(130), "{}", stack.world.shown(&output));
    assert_eq!(files(&stack), Vec::<String>::new());
    eventually("nobody writes any more", Duration::from_secs(5), || {
        writers(&stack).is_empty()
    });
}

#[test]
fn what_cannot_pass_says_why() {
    let stack = NativeStack::up();
    let output = stack.world.output(&["scenario", "bigfile", "--size", "4000T"]);
    assert_eq!(output.status.code(), Some(10), "{}", stack.world.shown(&output));
    let queries = stack.succeed(&["--json", "ksql", "LIST QUERIES;"]);
    let queries: Value = serde_json::from_str(&queries).expect("JSON");
    let id = |sink: &str| {
        let queries = queries["queries"].as_array().expect("queries");
        let query = queries
            .iter()
            .find(|query| query["sinks"][0] == sink)
            .expect("a query");
        query["id"].as_str().expect("an id").to_owned()
    };
    let pausing = format!("PAUSE {}; TERMINATE {};", id("PROC"), id("PRECISE_PROC"));
    stack.succeed(&["ksql", &pausing]);
    let said = stack
        .world
        .run(&["scenario", "bigfile"])
        .replace(&id("PROC"), "ID");
    insta::assert_snapshot!(said, @r"
    exit code: 16
    ----- stdout -----
    ----- stderr -----
    error: the pipeline stands still: `proc` is there, but its query is paused; `precise_proc` is there, but its query was terminated
    hint: `osqdemo ksql 'RESUME ID;'` lets it go on
    hint: `osqdemo ksql 'DROP STREAM precise_proc;'` and `osqdemo up` make it anew
    ");
    stack.succeed(&[
        "ksql",
        &format!("RESUME {}; DROP STREAM precise_proc;", id("PROC")),
    ]);
    stack.succeed(&["up"]);
    stack.succeed(&["ksql", "DROP STREAM precise_files;"]);
    // Asked for once and remembered: the streams are the user's.
    for up in [&["up", "--no-statements"][..], &["up"]] {
        let output = stack.world.output(up);
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{}", stack.world.shown(&output));
        assert!(
            stderr.contains("no statements were submitted, as asked for"),
            "{stderr}"
        );
    }
    insta::assert_snapshot!(stack.world.run(&["scenario", "bigfile"]), @r"
    exit code: 16
    ----- stdout -----
    ----- stderr -----
    error: the pipeline is not complete: ksqlDB does not have the stream `PRECISE_FILES`
    hint: `osqdemo up --statements demo` submits what is missing and leaves the rest as it is
    ");
    stack.succeed(&["ksql", "DROP STREAM files DELETE TOPIC;"]);
    insta::assert_snapshot!(stack.world.run(&["scenario", "bigfile"]), @r"
    exit code: 16
    ----- stdout -----
    ----- stderr -----
    error: the pipeline is not complete: ksqlDB does not have the streams `FILES`, `PRECISE_FILES`
    hint: `osqdemo up --statements demo` submits what is missing and leaves the rest as it is
    ");
    insta::assert_snapshot!(stack.world.run(&["tail", "proceses"]), @r"
    exit code: 2
    ----- stdout -----
    ----- stderr -----
    error: the broker has no topic `proceses`
    hint: did you mean `processes`?
    ");
    insta::assert_snapshot!(stack.world.run(&["ksql", "LIST STREAMS;\nSELECT nope FROM proc EMIT CHANGES;\nLIST TABLES;"]), @r"
    exit code: 15
    ----- stdout -----
    NAME                 TOPIC                        KEY FORMAT  VALUE FORMAT  WINDOWED
    ───────────────────  ──────────────────────  ──────────  ────────────  ────────
    KSQL_PROCESSING_LOG  default_ksql_processing_log  KAFKA       JSON          false
    LISTENING_PORTS      listening_ports              KAFKA       JSON          false
    LOGGED_IN_USERS      logged_in_users              KAFKA       JSON          false
    OPEN_FILES           open_files                   KAFKA       JSON          false
    PRECISE_PROC         PRECISE_PROC                 KAFKA       JSON          false
    PROC                 PROC                         KAFKA       JSON          false
    PROCESSES            processes                    KAFKA       JSON          false
    ----- stderr -----
    error: ksqlDB rejected the statement at <argument>:2:8: SELECT column 'NOPE' cannot be resolved.
      <argument>:2:8 (ksqlDB error code 40001)
      2 | SELECT nope FROM proc EMIT CHANGES;
        |        ^
      done before it:
        LIST STREAMS
      not submitted:
        LIST TABLES
    ");
}
