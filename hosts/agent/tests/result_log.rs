//! The lines a real agent writes, whole and exact but for the clock.

#[path = "support/logging_agent.rs"]
mod logging_agent;

use std::fs;
use std::path::Path;
use std::process::Command;

use logging_agent::{Agent, wait_for_text};
use serde_json::{Value, json};

/// Everything the original demo schedules, word for word.
const ORIGINAL: [(&str, &str); 9] = [
    (
        "open_sockets",
        "select * from process_open_sockets where path <> '' or remote_address <> '';",
    ),
    (
        "open_files",
        "select * from process_open_files where path not in ('/dev/null','/dev/urandom','/dev/random') and path not like '/usr/share/fonts/%' and path not like '%Chrome%' and path not like '%.cache%';",
    ),
    ("logged_in_users", "select * from logged_in_users"),
    ("shell_history", "select * from shell_history;"),
    ("listening_ports", "select * FROM listening_ports;"),
    ("arp_cache", "select * from arp_cache;"),
    ("processes", "select * from processes;"),
    ("syslog", "select * from syslog;"),
    ("users", "select * from users;"),
];

/// The first line of a result log, with its clock replaced.
fn first_line(config: &Value, more: &[&str], log: &str) -> String {
    let folder = tempfile::tempdir().unwrap();
    let agent = Agent::start(folder.path(), config, more);
    let text = wait_for_text(&folder.path().join("log").join(log), |text| text.contains('\n'));
    agent.end();
    let line = text.lines().next().unwrap();
    let value: Value = serde_json::from_str(line).unwrap();
    let (calendar, unix) = (
        value["calendarTime"].as_str().unwrap(),
        value["unixTime"].to_string(),
    );
    let second = jiff::Timestamp::from_second(unix.parse().unwrap()).unwrap();
    let utc = second.to_zoned_datetime(jiff::tz::TimeZone::UTC);
    assert_eq!(calendar, utc.strftime("%a %b %e %H:%M:%S %Y UTC").to_string());
    line.replace(calendar, "CALENDAR").replace(&unix, "UNIX")
}

const RESULTS: &str = "osqueryd.results.log";
const SNAPSHOTS: &str = "osqueryd.snapshots.log";

fn one_query(options: Value) -> Value {
    let mut query = json!({"query": "select 'process_api' as name, 1 as pid, null as state", "interval": 1});
    query
        .as_object_mut()
        .unwrap()
        .extend(options.as_object().unwrap().clone());
    json!({"schedule": {"p2": query}, "decorators": {"load": ["select 'h4' as who"]}})
}

#[test]
fn an_event_line() {
    assert_eq!(
        first_line(&one_query(json!({})), &[], RESULTS),
        r#"{"name":"p2","hostIdentifier":"vm","calendarTime":"CALENDAR","unixTime":UNIX,"epoch":0,"counter":0,"numerics":false,"decorations":{"who":"h4"},"columns":{"name":"process_api","pid":"1","state":""},"action":"added"}"#
    );
}

#[test]
fn an_event_line_with_numbers_an_epoch_and_decorations_at_the_top() {
    assert_eq!(
        first_line(
            &one_query(json!({})),
            &[
                "--logger_numerics",
                "--schedule_epoch=7",
                "--decorations_top_level"
            ],
            RESULTS
        ),
        r#"{"name":"p2","hostIdentifier":"vm","calendarTime":"CALENDAR","unixTime":UNIX,"epoch":7,"counter":0,"numerics":true,"who":"h4","columns":{"name":"process_api","pid":1,"state":""},"action":"added"}"#
    );
}

#[test]
fn a_batch_line() {
    assert_eq!(
        first_line(
            &one_query(json!({})),
            &["--logger_event_type=false", "--disable_decorators"],
            RESULTS
        ),
        r#"{"diffResults":{"removed":[],"added":[{"name":"process_api","pid":"1","state":""}]},"name":"p2","hostIdentifier":"vm","calendarTime":"CALENDAR","unixTime":UNIX,"epoch":0,"counter":0,"numerics":false}"#
    );
}

#[test]
fn a_snapshot_line() {
    assert_eq!(
        first_line(&one_query(json!({"snapshot": true})), &[], SNAPSHOTS),
        r#"{"snapshot":[{"name":"process_api","pid":"1","state":""}],"action":"snapshot","name":"p2","hostIdentifier":"vm","calendarTime":"CALENDAR","unixTime":UNIX,"epoch":0,"counter":0,"numerics":false,"decorations":{"who":"h4"}}"#
    );
}

#[test]
fn a_snapshot_as_events() {
    assert_eq!(
        first_line(
            &one_query(json!({"snapshot": true})),
            &["--logger_snapshot_event_type"],
            SNAPSHOTS
        ),
        r#"{"name":"p2","hostIdentifier":"vm","calendarTime":"CALENDAR","unixTime":UNIX,"epoch":0,"counter":0,"numerics":false,"decorations":{"who":"h4"},"columns":{"name":"process_api","pid":"1","state":""},"action":"snapshot"}"#
    );
}

#[test]
fn rows_that_are_gone_are_not_logged_when_nobody_wants_them() {
    let config =
        json!({"schedule": {"t": {"query": "select unix_time from time", "interval": 1, "removed": false}}});
    let folder = tempfile::tempdir().unwrap();
    let agent = Agent::start(folder.path(), &config, &[]);
    let text = wait_for_text(&folder.path().join("log").join(RESULTS), |text| {
        text.lines().count() >= 3
    });
    agent.end();
    assert!(
        text.lines().all(|line| line.ends_with(r#""action":"added"}"#)),
        "{text}"
    );
}

#[test]
fn the_originals_nine_queries_run_as_they_are() {
    let folder = tempfile::tempdir().unwrap();
    // The original's intervals are for a schedule that runs on; here each query is due at once.
    let due: serde_json::Map<String, Value> = ORIGINAL
        .iter()
        .map(|&(name, query)| {
            (
                name.to_owned(),
                json!({"query": query, "interval": 1, "key": "['hostIdentifier']"}),
            )
        })
        .collect();
    let agent = Agent::start(folder.path(), &json!({"schedule": due}), &[]);
    wait_for_text(&folder.path().join("stderr"), |text| {
        // `users` is the last of them by name.
        text.contains("Storing initial results for new scheduled query: users")
    });
    let said = fs::read_to_string(folder.path().join("stderr")).unwrap();
    let errors: Vec<&str> = said.lines().filter(|line| line.starts_with('E')).collect();
    // `syslog` is the older name of a table.
    assert!(errors.is_empty(), "{said}");
    for (name, ..) in ORIGINAL {
        assert!(
            said.contains(&format!("new scheduled query: {name}\n")),
            "{name}\n{said}"
        );
    }
    let text = wait_for_text(&folder.path().join("log").join(RESULTS), |text| {
        text.contains(r#"{"name":"users""#)
    });
    agent.end();
    let names = ["processes", "open_files", "users", "open_sockets"];
    for name in names {
        assert!(
            text.contains(&format!(r#"{{"name":"{name}","hostIdentifier":"vm""#)),
            "{name}"
        );
    }
}

#[test]
fn the_shipped_queries_run_without_a_word_of_warning() {
    for shipped in [
        include_str!("../../image/osqdemo.json"),
        include_str!("../../image/confluent-platform.json"),
    ] {
        let document: Value = serde_json::from_str(shipped).unwrap();
        let mut schedule = document["source"]["schedule"].clone();
        for query in schedule.as_object_mut().unwrap().values_mut() {
            query["interval"] = json!(1);
        }
        let folder = tempfile::tempdir().unwrap();
        let agent = Agent::start(folder.path(), &json!({ "schedule": schedule }), &[]);
        let said = wait_for_text(&folder.path().join("stderr"), |text| {
            // `users` is the last of them by name.
            text.contains("Storing initial results for new scheduled query: users")
        });
        agent.end();
        for name in schedule.as_object().unwrap().keys() {
            let ran = format!("new scheduled query: {name}\n");
            assert!(said.contains(&ran), "{name}\n{said}");
        }
        let complaints: Vec<&str> = said.lines().filter(|line| line.starts_with(['E', 'W'])).collect();
        assert_eq!(complaints, [] as [&str; 0], "{said}");
    }
}

#[test]
fn a_second_agent_with_the_same_state_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let agent = Agent::start(folder.path(), &one_query(json!({})), &[]);
    wait_for_text(&folder.path().join("log").join(RESULTS), |text| {
        text.contains('\n')
    });
    let second = |pidfile: &str| {
        let output = Command::new(env!("CARGO_BIN_EXE_osqdemo-agent"))
            .arg(format!("--database_path={}", folder.path().join("db").display()))
            .arg(format!("--pidfile={}", folder.path().join(pidfile).display()))
            .output()
            .unwrap();
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    };
    let (code, said) = second("pid");
    assert_eq!(code, Some(1));
    assert!(
        said.starts_with(&format!(
            "error: another agent runs as process {}, says the pid file",
            agent.0.id()
        )),
        "{said}"
    );
    let (code, said) = second("other");
    assert_eq!(code, Some(1));
    assert!(
        said.starts_with("error: the database `") && said.contains("is in use by another agent\nhint: "),
        "{said}"
    );
    agent.end();
}

#[test]
fn a_query_without_end_is_given_up_and_the_others_go_on() {
    let folder = tempfile::tempdir().unwrap();
    let endless = "with recursive n(x) as (select 1 union all select x + 1 from n) select count(*) from n";
    let config = json!({"schedule": {
        "a_endless": {"query": endless, "interval": 1},
        "denied": {"query": "select name from osquery_schedule where denylisted = 1", "interval": 1},
    }});
    let agent = Agent::start(folder.path(), &config, &["--query_time_limit=1"]);
    let text = wait_for_text(&folder.path().join("log").join(RESULTS), |text| {
        text.contains('\n')
    });
    agent.end();
    assert!(text.contains(r#""columns":{"name":"a_endless"}"#), "{text}");
    let said = fs::read_to_string(folder.path().join("stderr")).unwrap();
    let message = "Error executing scheduled query a_endless: given up after 1 s (`--query_time_limit`)";
    assert_eq!(said.matches(message).count(), 1, "{said}");
}

/// Starts the agent on the same folder with each configuration in turn, until it has logged so many lines more.
fn runs(folder: &Path, runs: &[(Value, &[&str], usize)]) -> Vec<Value> {
    let log = folder.join("log").join(RESULTS);
    let mut lines = 0;
    for (config, more, count) in runs {
        lines += count;
        let agent = Agent::start(folder, config, more);
        wait_for_text(&log, |text| text.lines().count() >= lines);
        agent.end();
    }
    let text = fs::read_to_string(&log).unwrap();
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

#[test]
fn changed_sql_and_other_numerics_go_on_counting() {
    let folder = tempfile::tempdir().unwrap();
    let config = |sql: &str| json!({"schedule": {"p": {"query": sql, "interval": 1}}});
    let lines = runs(
        folder.path(),
        &[
            (config("select 1 as a, 0.1 as b"), &[], 1),
            // The row is the same, so there is nothing to log until the SQL gives another one.
            (
                config("select 1 as a, 0.1 as b union select 2, 1e300"),
                &["--logger_numerics"],
                1,
            ),
            (config("select 3 as a, 0.1 as b"), &[], 3),
        ],
    );
    let told: Vec<String> = lines
        .iter()
        .map(|line| {
            format!(
                "{} {} {}",
                line["action"],
                line["columns"],
                line["counter"].as_u64() > Some(0)
            )
        })
        .collect();
    assert_eq!(
        told,
        [
            r#""added" {"a":"1","b":"0.1"} false"#,
            r#""added" {"a":2,"b":1e+300} true"#,
            r#""removed" {"a":"1","b":"0.1"} true"#,
            r#""removed" {"a":"2","b":"1e+300.0"} true"#,
            r#""added" {"a":"3","b":"0.1"} true"#,
        ]
    );
}

#[test]
fn an_empty_first_batch_is_told() {
    let config = json!({"schedule": {"p2": {"query": "select 1 as a where 0", "interval": 1}}});
    assert_eq!(
        first_line(&config, &["--logger_event_type=false"], RESULTS),
        r#"{"diffResults":{"removed":[],"added":[]},"name":"p2","hostIdentifier":"vm","calendarTime":"CALENDAR","unixTime":UNIX,"epoch":0,"counter":0,"numerics":false}"#
    );
}

#[test]
fn a_query_under_way_at_a_kill_is_not_run_again() {
    let folder = tempfile::tempdir().unwrap();
    let endless = "with recursive n(x) as (select 1 union all select x + 1 from n) select count(*) from n";
    let config = json!({"schedule": {"z_endless": {"query": endless, "interval": 1}}});
    // The test's `Agent` kills when it is dropped.
    let agent = Agent::start(folder.path(), &config, &["--query_time_limit=0"]);
    wait_for_text(&folder.path().join("db/underway"), |name| name == "z_endless");
    drop(agent);
    let config = json!({"schedule": {
        "z_endless": {"query": endless, "interval": 1},
        "a_denied": {"query": "select name from osquery_schedule where denylisted = 1", "interval": 1},
    }});
    let agent = Agent::start(folder.path(), &config, &["--query_time_limit=0"]);
    let text = wait_for_text(&folder.path().join("log").join(RESULTS), |text| {
        text.contains('\n')
    });
    agent.end();
    assert!(text.contains(r#""columns":{"name":"z_endless"}"#), "{text}");
    let said = fs::read_to_string(folder.path().join("stderr")).unwrap();
    assert!(
        said.contains("Scheduled query may have failed: z_endless"),
        "{said}"
    );
}

#[test]
fn changes_of_files_are_logged_as_they_come() {
    let folder = tempfile::tempdir().unwrap();
    let watched = folder.path().canonicalize().unwrap().join("watched");
    fs::create_dir(&watched).unwrap();
    let config = json!({
        "options": {"enable_file_events": true},
        "file_paths": {"mine": [format!("{}/%%", watched.display())]},
        "schedule": {"f": {"query": "select target_path, category, action from file_events where action = 'CREATED'", "interval": 1}},
    });
    let agent = Agent::start(folder.path(), &config, &[]);
    wait_for_text(&folder.path().join("stderr"), |text| {
        text.contains("The schedule begins")
    });
    let log = folder.path().join("log").join(RESULTS);
    for (count, name) in [(1, "one"), (2, "two")] {
        fs::write(watched.join(name), "").unwrap();
        wait_for_text(&log, |text| text.lines().count() == count);
    }
    agent.end();
    let text = fs::read_to_string(&log).unwrap();
    for (line, name) in text.lines().zip(["one", "two"]) {
        let line: Value = serde_json::from_str(line).unwrap();
        assert_eq!(line["action"], "added");
        assert_eq!(
            line["columns"],
            json!({"action": "CREATED", "category": "mine", "target_path": watched.join(name)})
        );
    }
}
