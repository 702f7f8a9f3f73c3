//! The real agent with an extension that records what it is asked.
//!
//! The extension is this test program itself: the agent starts a script that runs the "test" `extension_process` below,
//! which serves osquery's protocol until it is told to end. Its behaviour is steered, and observed, through files.
//!
//! Long because the extension of every test is this one program, steered in the same words.

mod support;

use std::fs;
use std::time::Duration;

use serde_json::{Value, json};
use support::{AgentSetup, BEHAVIOUR, RecordedCall, serve_extension, wait_for};

/// Not a test of its own: the extension's process.
#[test]
#[ignore = "the extension that the other tests have the agent start"]
fn extension_process() {
    serve_extension();
}

fn lines_of<'calls>(calls: &'calls [RecordedCall], query: &str) -> Vec<&'calls Value> {
    calls
        .iter()
        .filter_map(|call| call.line.as_ref())
        .filter(|line| line["name"] == query)
        .collect()
}

#[test]
fn the_calls_of_a_start_come_in_osquerys_order() {
    let setup = AgentSetup::new();
    setup.configure(&json!({"schedule": {"one": {"query": "select 'a' as x, 1 as y", "interval": 1}}}));
    let agent = setup.start(&[]);
    let calls = setup.wait_for_calls("the first line", |calls| !lines_of(calls, "one").is_empty());
    let kinds: Vec<&str> = calls
        .iter()
        .map(|call| call.kind.as_str())
        .filter(|kind| *kind != "ping")
        .collect();
    assert_eq!(kinds[..4], ["genConfig", "init", "features", "string"]);
    let line = lines_of(&calls, "one")[0];
    assert_eq!(line["columns"], json!({"x": "a", "y": "1"}));
    assert_eq!(line["action"], "added");
    assert_eq!(
        (line["counter"].as_u64(), line["epoch"].as_u64()),
        (Some(0), Some(0))
    );
    let arguments = fs::read_to_string(setup.path("arguments")).unwrap();
    let pid = agent.id();
    assert_eq!(
        arguments.trim(),
        format!(
            "--socket {} --timeout 10 --interval 1 OSQUERY_EXTENSION={pid}",
            setup.path("osquery.em").display()
        )
    );
    agent.end();
    let calls = setup.calls();
    assert_eq!(
        calls.iter().filter(|call| call.kind == "shutdown").count(),
        1,
        "asked to end by RPC"
    );
    assert!(setup.path("terminated").exists(), "and by SIGTERM");
    assert!(!setup.path("osquery.em").exists() && !setup.path("pid").exists());
}

#[test]
fn each_line_has_a_ping_and_a_call_on_connections_of_their_own() {
    let setup = AgentSetup::new();
    let rows = (1..=20)
        .map(|number| format!("select {number} as n"))
        .collect::<Vec<_>>()
        .join(" union all ");
    setup.configure(&json!({"schedule": {"many": {"query": rows, "interval": 1}}}));
    let agent = setup.start(&["--extensions_interval=600"]);
    setup.wait_for_calls("twenty lines", |calls| lines_of(calls, "many").len() == 20);
    agent.end();
    let calls = setup.calls();
    let first = calls.iter().position(|call| call.kind == "string").unwrap();
    let of_lines = &calls[first - 1..first + 39];
    for pair in of_lines.chunks(2) {
        assert_eq!((pair[0].kind.as_str(), pair[1].kind.as_str()), ("ping", "string"));
        assert_ne!(pair[0].connection, pair[1].connection);
    }
    let mut connections: Vec<u64> = of_lines.iter().map(|call| call.connection).collect();
    connections.dedup();
    assert_eq!(connections.len(), 40);
}

#[test]
fn a_table_of_an_extension_is_queried_through_it() {
    let setup = AgentSetup::new();
    let query = "select number, fraction, context, (select count(*) from osquery_registry where name = 'echo_table' and \
                 owner_uuid > 0) as known from echo_table join (select 'a' as a) on wanted = a";
    let compared = "select context from echo_table where number > 1 and number <= 100 and wanted like 'a%' and \
                    wanted glob 'a*' and wanted > '' and wanted != 'z'";
    setup.configure(&json!({"schedule": {
        "echo": {"query": query, "interval": 1, "snapshot": true},
        "compared": {"query": compared, "interval": 1, "snapshot": true},
    }}));
    let agent = setup.start(&[]);
    let calls = setup.wait_for_calls("two runs", |calls| {
        ["echo", "compared"]
            .iter()
            .all(|query| lines_of(calls, query).len() >= 2)
    });
    agent.end();
    for line in lines_of(&calls, "compared") {
        let context: Value = serde_json::from_str(line["snapshot"][0]["context"].as_str().unwrap()).unwrap();
        let told = |place: usize| {
            let told = context["constraints"][place]["list"].as_array().unwrap().iter();
            let mut told: Vec<String> = told
                .map(|told| format!("{} {}", told["op"], told["expr"].as_str().unwrap()))
                .collect();
            told.sort();
            told
        };
        assert_eq!(told(0), ["4 1", "8 100"]);
        // Which of two texts is larger is not told, as with osqueryd; nor is `!=`.
        assert_eq!(told(1), ["65 a%", "66 a*"]);
    }
    for line in lines_of(&calls, "echo") {
        let rows = line["snapshot"].as_array().unwrap();
        assert_eq!(rows.len(), 2, "{rows:?}");
        assert_eq!(
            (&rows[0]["number"], &rows[0]["fraction"], &rows[0]["known"]),
            (&json!("7"), &json!("0.1"), &json!("1"))
        );
        assert_eq!(rows[1]["number"], "");
        let context: Value = serde_json::from_str(rows[0]["context"].as_str().unwrap()).unwrap();
        assert_eq!(
            context["constraints"][1],
            json!({ "name": "wanted", "list": [{ "op": 2, "expr": "a" }], "affinity": "TEXT" })
        );
    }
}

#[test]
fn removed_rows_go_out_before_added_ones() {
    let setup = AgentSetup::new();
    let watched = setup.path("watched");
    fs::create_dir(&watched).unwrap();
    for name in ["a", "b"] {
        fs::write(watched.join(name), "").unwrap();
    }
    let query = format!(
        "select filename from file where directory = '{}'",
        watched.display()
    );
    setup.configure(&json!({"schedule": {"files": {"query": query, "interval": 1}}}));
    let agent = setup.start(&[]);
    setup.wait_for_calls("the first run", |calls| lines_of(calls, "files").len() == 2);
    // One rename is one change: one row goes and another comes.
    fs::rename(watched.join("a"), watched.join("c")).unwrap();
    let calls = setup.wait_for_calls("the change", |calls| lines_of(calls, "files").len() == 4);
    agent.end();
    let seen: Vec<_> = lines_of(&calls, "files")
        .into_iter()
        .map(|line| {
            format!(
                "{} {}",
                line["action"].as_str().unwrap(),
                line["columns"]["filename"].as_str().unwrap()
            )
        })
        .collect();
    assert_eq!(seen, ["added a", "added b", "removed a", "added c"]);
}

#[test]
fn a_killed_extension_is_restarted_and_nothing_is_lost() {
    let setup = AgentSetup::new();
    setup.configure(&json!({"schedule": {"clock": {"query": "select unix_time from time", "interval": 1}}}));
    let agent = setup.start(&[]);
    setup.wait_for_calls("some lines", |calls| lines_of(calls, "clock").len() >= 2);
    setup.signal_extension(rustix::process::Signal::KILL);
    let before = setup.calls().len();
    let calls = setup.wait_for_calls("lines of the restarted extension", |calls| {
        lines_of(&calls[before.min(calls.len())..], "clock").len() >= 4
    });
    agent.end();
    // Each second's row was logged as added and, but for the last, as removed, without a gap in the counters.
    let added: Vec<&Value> = lines_of(&calls, "clock")
        .into_iter()
        .filter(|line| line["action"] == "added")
        .collect();
    let counters: Vec<u64> = added
        .iter()
        .map(|line| line["counter"].as_u64().unwrap())
        .collect();
    let expected: Vec<u64> = (0..counters.len() as u64).collect();
    assert_eq!(counters, expected);
    for pair in added.windows(2) {
        let removed = lines_of(&calls, "clock")
            .into_iter()
            .any(|line| line["action"] == "removed" && line["columns"] == pair[0]["columns"]);
        assert!(removed, "{pair:?}");
    }
}

#[test]
fn a_line_that_is_refused_is_sent_again_until_it_is_taken() {
    let setup = AgentSetup::new();
    setup.configure(&json!({"schedule": {"one": {"query": "select 1 as n union select 2", "interval": 1}}}));
    fs::write(setup.path(BEHAVIOUR), "refuse").unwrap();
    let agent = setup.start(&[]);
    setup.wait_for_calls("three refusals", |calls| lines_of(calls, "one").len() >= 3);
    fs::write(setup.path(BEHAVIOUR), "").unwrap();
    let calls = setup.wait_for_calls("both lines", |calls| {
        lines_of(calls, "one")
            .iter()
            .any(|line| line["columns"]["n"] == "2")
    });
    let numbers: Vec<&str> = lines_of(&calls, "one")
        .iter()
        .map(|line| line["columns"]["n"].as_str().unwrap())
        .collect();
    let (first, rest) = numbers.split_at(numbers.len() - 1);
    assert!(
        first.iter().all(|number| *number == "1") && rest == ["2"],
        "{numbers:?}"
    );
    agent.end();
}

#[test]
fn what_was_not_acknowledged_is_logged_by_the_next_agent() {
    let setup = AgentSetup::new();
    setup.configure(&json!({"schedule": {"one": {"query": "select 1 as n union select 2", "interval": 1}}}));
    fs::write(setup.path(BEHAVIOUR), "refuse").unwrap();
    let agent = setup.start(&[]);
    setup.wait_for_calls("a refusal", |calls| !lines_of(calls, "one").is_empty());
    agent.end();
    fs::write(setup.path(BEHAVIOUR), "").unwrap();
    let before = setup.calls().len();
    let agent = setup.start(&[]);
    let calls = setup.wait_for_calls("both lines", |calls| lines_of(&calls[before..], "one").len() == 2);
    assert!(
        lines_of(&calls[before..], "one")
            .iter()
            .all(|line| line["counter"] == 0)
    );
    agent.end();
    let before = setup.calls().len();
    let agent = setup.start(&[]);
    setup.wait_for_calls("a few runs", |calls| {
        calls[before..].iter().filter(|call| call.kind == "ping").count() >= 5
    });
    agent.end();
    assert!(
        lines_of(&setup.calls()[before..], "one").is_empty(),
        "what was acknowledged is not logged again"
    );
}

#[test]
fn a_killed_agent_goes_on_where_it_was() {
    let setup = AgentSetup::new();
    setup.configure(&json!({"schedule": {"dice": {"query": "select random() as number", "interval": 1, "removed": false}}}));
    let agent = setup.start(&[]);
    setup.wait_for_calls("some lines", |calls| lines_of(calls, "dice").len() >= 2);
    agent.kill();
    let before = setup.calls().len();
    let agent = setup.start(&[]);
    let calls = setup.wait_for_calls("lines of the next agent", |calls| {
        lines_of(&calls[before..], "dice").len() >= 2
    });
    agent.end();
    let mut counters: Vec<u64> = lines_of(&calls, "dice")
        .iter()
        .map(|line| line["counter"].as_u64().unwrap())
        .collect();
    // A line that was acknowledged and not yet remembered comes twice.
    counters.dedup();
    assert_eq!(counters, (0..counters.len() as u64).collect::<Vec<_>>());
}

#[test]
fn an_extension_that_hangs_does_not_keep_the_agent_from_ending() {
    let setup = AgentSetup::new();
    setup.configure(&json!({"schedule": {"clock": {"query": "select unix_time from time", "interval": 1}}}));
    let agent = setup.start(&[]);
    setup.wait_for_calls("a line", |calls| !lines_of(calls, "clock").is_empty());
    setup.signal_extension(rustix::process::Signal::STOP);
    // The next line is a second away; from then on the agent sits in a call that nobody answers.
    std::thread::sleep(Duration::from_millis(1500));
    agent.end();
    let said = fs::read_to_string(setup.path("agent.stderr")).unwrap();
    assert!(
        said.contains("recorder.ext has not ended within 10s and was killed"),
        "{said}"
    );
}

#[test]
fn snapshots_packs_and_decorations_reach_the_logger() {
    let setup = AgentSetup::new();
    setup.configure(&json!({
        "schedule": {"snap": {"query": "select 1 as n union select 2", "interval": 1, "snapshot": true},
                     "none": {"query": "select 1 as n where 0", "interval": 1, "snapshot": true}},
        "packs": {
            "incident/response": {"discovery": ["select 1"], "queries": {"who": {"query": "select 'x' as y", "interval": 1}}},
            "absent": {"discovery": ["select 1 where 0"], "queries": {"who": {"query": "select 1", "interval": 1}}},
            "ext": "/some/pack/value"
        },
        "decorators": {"load": ["select 'h4' as who"]}
    }));
    let agent = setup.start(&[]);
    let calls = setup.wait_for_calls("every query", |calls| {
        ["snap", "none", "pack_incident/response_who", "pack_ext_inside"]
            .iter()
            .all(|name| !lines_of(calls, name).is_empty())
    });
    agent.end();
    let snapshot = lines_of(&calls, "snap")[0];
    assert_eq!(snapshot["snapshot"], json!([{"n": "1"}, {"n": "2"}]));
    assert_eq!(
        (&snapshot["action"], &snapshot["decorations"]),
        (&json!("snapshot"), &json!({"who": "h4"}))
    );
    assert_eq!(lines_of(&calls, "none")[0]["snapshot"], json!([]));
    assert!(
        calls.iter().any(|call| call.kind == "snapshot") && calls.iter().any(|call| call.kind == "genPack")
    );
    assert!(lines_of(&calls, "pack_absent_who").is_empty());
}

#[test]
fn status_lines_go_to_a_logger_that_wants_them() {
    let setup = AgentSetup::new();
    setup.configure(&json!({"schedule": {"bad": {"query": "select * from yara", "interval": 1}}}));
    fs::write(setup.path(BEHAVIOUR), "want status").unwrap();
    let agent = setup.start(&[]);
    let text = "Error executing scheduled query bad: no such table: yara (this agent has no YARA rules";
    let has_error = |calls: &[RecordedCall]| {
        calls
            .iter()
            .filter(|call| call.kind == "status")
            .filter_map(|call| call.line.as_ref())
            .any(|lines| {
                let lines = lines.as_array().unwrap();
                lines
                    .iter()
                    .any(|line| line["s"] == 2 && line["m"].as_str().unwrap().starts_with(text))
            })
    };
    setup.wait_for_calls("the error", has_error);
    agent.end();
    let said = fs::read_to_string(setup.path("agent.stderr")).unwrap();
    assert_eq!(
        said.matches("no such table: yara").count(),
        1,
        "said once:\n{said}"
    );
}

#[test]
fn a_new_configuration_is_taken_over() {
    let setup = AgentSetup::new();
    setup.configure(&json!({"schedule": {"old": {"query": "select 1 as n", "interval": 1}}}));
    let agent = setup.start(&["--config_refresh=1"]);
    setup.wait_for_calls("the old query", |calls| !lines_of(calls, "old").is_empty());
    fs::write(setup.path("config.json"), "{ not json").unwrap();
    wait_for("the complaint", Duration::from_secs(20), || {
        fs::read_to_string(setup.path("agent.stderr"))
            .unwrap()
            .contains("is not JSON: key must be a string at line 1 column 3")
    });
    setup.configure(&json!({"schedule": {"new": {"query": "select 2 as n", "interval": 1}}}));
    setup.wait_for_calls("the new query", |calls| !lines_of(calls, "new").is_empty());
    agent.end();
}

#[test]
fn what_is_wrong_costs_only_itself_and_is_named_in_the_log() {
    let setup = AgentSetup::new();
    setup.configure(&json!({
        "schedule": {
            "good": {"query": "select 1 as n", "interval": 1},
            "never": {"query": "select 1", "interval": 0},
            "wrong": {"query": "selec", "interval": 1},
            "text": "select 1"
        },
        "packs": {
            "ir": {"queries": {
                "inside": {"query": "select 2 as n", "interval": 1},
                "elsewhere": {"query": "select * from launchd", "interval": 1},
                "monthly": {"query": "select 1", "interval": 2_592_000}
            }},
            "number": 7,
            "macs": {"platform": "darwin", "queries": {"never": {"query": "select 1", "interval": 0}}}
        }
    }));
    let agent = setup.start(&[]);
    setup.wait_for_calls("lines of what is right", |calls| {
        ["good", "pack_ir_inside"]
            .iter()
            .all(|query| !lines_of(calls, query).is_empty())
    });
    let log = || fs::read_to_string(setup.path("agent.stderr")).unwrap();
    let named = [
        "schedule.never.interval",
        "schedule.text",
        "packs.ir.queries.monthly.interval",
        "packs.number",
        "Error executing scheduled query wrong: ",
        "Error executing scheduled query pack_ir_elsewhere: no such table: launchd",
    ];
    wait_for("every name in the log", Duration::from_secs(20), || {
        let log = log();
        named.iter().all(|name| log.contains(name))
    });
    agent.end();
    let log = log();
    for name in named {
        assert_eq!(log.matches(name).count(), 1, "{name} is said once:\n{log}");
    }
    assert!(
        !log.contains("macs"),
        "a pack for another platform is not looked at:\n{log}"
    );
}

#[test]
fn without_its_plugin_the_agent_does_not_start() {
    let setup = AgentSetup::new();
    setup.configure(&json!({}));
    fs::write(setup.path("extensions.load"), "").unwrap();
    let output = setup.run(&["--extensions_timeout=1"]);
    assert_eq!(output.status.code(), Some(78));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(
        said.contains("error: cannot activate the configuration plugin `osquery_confluent_config`: neither the agent nor an extension has it\nhint: "),
        "{said}"
    );
    let output = setup.run(&["--extensions_timeout=1", "--extensions_require=confluent"]);
    assert_eq!(output.status.code(), Some(78));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(
        said.contains("error: the required extension `confluent` has not registered within 1s\nhint: "),
        "{said}"
    );
}

#[test]
fn an_unsafe_extension_is_not_started() {
    use std::os::unix::fs::PermissionsExt as _;
    let setup = AgentSetup::new();
    setup.configure(&json!({}));
    fs::set_permissions(setup.path("recorder.ext"), fs::Permissions::from_mode(0o757)).unwrap();
    let output = setup.run(&["--extensions_timeout=1"]);
    assert_eq!(output.status.code(), Some(78));
    let said = String::from_utf8_lossy(&output.stderr);
    let path = setup.path("recorder.ext");
    assert!(
        said.contains(&format!(
            "Will not load the extension {}: everybody may write to it",
            path.display()
        )),
        "{said}"
    );
    let agent = setup.start(&["--allow_unsafe"]);
    setup.wait_for_calls("the extension", |calls| {
        calls.iter().any(|call| call.kind == "features")
    });
    agent.end();
}
