//! Packs in the manner of osquery's own, with its comments, continued lines, conditions and joins: the agent loads them, runs
//! each of their queries, and has nothing to complain about.
//!
//! Their queries run every second, for as long as it takes each of them to run twice, or for `OSQDEMO_SOAK_SECONDS`.

#[path = "support/logging_agent.rs"]
mod logging_agent;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};
use std::{env, fs, thread};

use logging_agent::{Agent, wait_for_text};
use serde_json::{Value, json};

const PACKS: [&str; 10] = [
    "monitoring",
    "incident_response",
    "compliance",
    "rootkits",
    "attacks_on_macs",
    "hardware",
    "vulnerabilities",
    "ssh",
    "unwanted_extensions",
    "windows",
];

/// A pack's text, with its intervals shortened.
fn pack(name: &str) -> String {
    let path = format!("{}/tests/packs/{name}.conf", env!("CARGO_MANIFEST_DIR"));
    let text = fs::read_to_string(path).unwrap();
    let intervals = regex::Regex::new(r#""interval" ?: "?\d+"?"#).unwrap();
    intervals.replace_all(&text, r#""interval": 1"#).into_owned()
}

#[test]
fn packs_run_and_nothing_is_wrong_with_them() {
    let folder = tempfile::tempdir().unwrap();
    let mut packs = BTreeMap::new();
    for name in PACKS {
        let path = folder.path().join(format!("{name}.conf"));
        fs::write(&path, pack(name)).unwrap();
        packs.insert(name, path.display().to_string());
    }
    // What is asked of the agent last: how often each query has run.
    let executions = "select name, executions from osquery_schedule";
    let config = json!({
        "options": { "disable_events": false, "enable_file_events": true },
        "packs": packs,
        "schedule": { "executions": { "query": executions, "interval": 1, "snapshot": true } },
    });
    let agent = Agent::start(
        folder.path(),
        &config,
        &["--schedule_splay_percent=0", "--verbose"],
    );
    let snapshots = folder.path().join("log/osqueryd.snapshots.log");
    let ran_often = |text: &str| {
        let line = text
            .lines()
            .rev()
            .find(|line| line.contains("\"name\":\"executions\""));
        let line: Option<Value> = line.and_then(|line| serde_json::from_str(line).ok());
        let rows = line.as_ref().and_then(|line| line["snapshot"].as_array());
        rows.is_some_and(|rows| {
            let often =
                |row: &Value| row["executions"].as_str().and_then(|text| text.parse().ok()) >= Some(2);
            rows.len() > 75 && rows.iter().all(often)
        })
    };
    wait_for_text(&snapshots, ran_often);
    if let Ok(seconds) = env::var("OSQDEMO_SOAK_SECONDS") {
        let until = Instant::now() + Duration::from_secs(seconds.parse().unwrap());
        while Instant::now() < until {
            thread::sleep(Duration::from_millis(500));
        }
    }
    agent.end();
    let said = fs::read_to_string(folder.path().join("stderr")).unwrap();
    let complaints: Vec<&str> = said
        .lines()
        .filter(|line| line.starts_with(['E', 'W']) || line.contains("panicked"))
        .collect();
    assert!(complaints.is_empty(), "{complaints:#?}");
    let results = fs::read_to_string(folder.path().join("log/osqueryd.results.log")).unwrap();
    assert!(results.contains("pack_compliance_os"));
    // A pack or a query for another platform is not run.
    let scheduled = fs::read_to_string(snapshots).unwrap();
    for query in [
        "pack_vulnerabilities_ebuilds",
        "pack_unwanted_extensions_A Tool's Helper ",
    ] {
        assert!(scheduled.contains(query), "{query}");
    }
    for query in [
        "pack_attacks_on_macs_",
        "pack_windows_",
        "only_of_mac",
        "pack_vulnerabilities_applications",
    ] {
        assert!(!scheduled.contains(query) && !results.contains(query), "{query}");
    }
}
