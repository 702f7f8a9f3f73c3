//! What earlier versions left on disk comes up, and what a later version left is refused and stays as it is. The kept
//! folders are made by `scripts/keep-data.sh`, one a version.

mod support;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde_json::Value;
use support::{NativeStack, UP, eventually};

/// A project of an earlier version, and what must still be known of it.
struct Kept {
    /// The version that wrote it.
    version: &'static str,
    /// The file of the scenario, of which exactly one row is in `FILES`.
    file: &'static str,
}

/// Every kept project.
const KEPT: [Kept; 1] = [Kept {
    version: "0.1.0",
    file: "myfile-68bca3a24b6d-held",
}];

/// A state folder with the kept project in it, not up.
fn unpacked(kept: &Kept) -> NativeStack {
    let stack = NativeStack::new();
    let archive = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures")
        .join(kept.version)
        .join("lite.tar.gz");
    let status = Command::new("tar")
        .arg("-xzf")
        .arg(&archive)
        .arg("-C")
        .arg(stack.world.home())
        .status()
        .expect("tar runs");
    assert!(status.success(), "`{}` cannot be unpacked", archive.display());
    stack
}

#[test]
fn every_kept_folder_is_read_here() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
    let kept = fs::read_dir(folder)
        .expect("the fixtures")
        .flatten()
        .filter(|entry| entry.path().join("lite.tar.gz").exists());
    assert_eq!(kept.count(), KEPT.len());
}

#[test]
fn what_an_earlier_version_left_comes_up() {
    for kept in KEPT {
        let stack = unpacked(&kept);
        let told = stack.world.run(&UP);
        assert!(told.starts_with("exit code: 0\n"), "{told}");
        // A statement that has changed since is told, with the way out.
        assert!(
            told.contains("`precise_proc` is there with another definition, and stays so; `osqdemo ksql 'DROP STREAM precise_proc;'`"),
            "{told}"
        );

        // Remembered settings.
        let settings = stack.succeed(&["config", "show"]);
        assert!(settings.contains("/own.json"), "{settings}");
        // The statements are known as they are: nothing is submitted a second time.
        assert_eq!(stack.succeed(&["up", "--dry-run"]), "nothing to do\n");
        let queries: Value =
            serde_json::from_str(&stack.succeed(&["--json", "ksql", "LIST QUERIES;"])).expect("JSON");
        let sinks: Vec<&Value> = queries["queries"]
            .as_array()
            .expect("queries")
            .iter()
            .map(|query| &query["sinks"][0])
            .collect();
        for sink in ["PROC", "FILES", "PRECISE_PROC", "PRECISE_FILES"] {
            assert!(
                sinks.iter().any(|found| *found == sink),
                "{sink} is not in {sinks:?}"
            );
        }

        // The queries go on where they were: what they made is there once, and new lines reach the join.
        let rows = lines_with(&stack, "FILES", kept.file);
        assert_eq!(rows, 1, "rows about {}", kept.file);
        stack.succeed(&["scenario", "bigfile", "--size", "1M"]);
        assert_eq!(lines_with(&stack, "FILES", kept.file), 1);

        // The agents took their databases over and go on counting, run after run: a counter of 0 is a new begin, which
        // a file of 0.1.0 has once, because its rows hold numbers as text.
        stack.succeed(&["down"]);
        stack.succeed(&UP);
        let recorded = records(&stack, "processes");
        eventually("the hosts log more", Duration::from_secs(60), || {
            records(&stack, "processes") > recorded
        });
        let lines = lines(&stack, "processes");
        let later = lines
            .get(usize::try_from(recorded).expect("a count")..)
            .expect("more lines");
        for line in later {
            assert!(line["counter"].as_u64() > Some(0), "{line}");
        }
    }
}

#[test]
fn what_a_later_version_left_is_refused_and_stays() {
    for kept in KEPT {
        let stack = unpacked(&kept);
        let remembered = stack.world.project().join("project.json");
        let mut document: Value =
            serde_json::from_slice(&fs::read(&remembered).expect("it is there")).expect("JSON");
        document["format"] = 99.into();
        let before = document.to_string();
        fs::write(&remembered, &before).expect("it can be written");
        insta::assert_snapshot!(stack.world.run(&UP), @r"
        exit code: 10
        ----- stdout -----
        ----- stderr -----
        error: `[HOME]/osqdemo/project.json` was written by a newer osqdemo: it has format 99, and this one knows up to 1
        hint: use the osqdemo that wrote it, or remove the project with `osqdemo down --volumes`
        ");
        assert_eq!(fs::read_to_string(&remembered).expect("it is there"), before);
        // Taking it away is possible all the same.
        stack.succeed(&["down", "--volumes"]);
        assert!(!stack.world.project().exists());
        drop(stack);

        let stack = unpacked(&kept);
        let catalog = stack.world.project().join("data/broker/catalog.json");
        let mut document: Value =
            serde_json::from_slice(&fs::read(&catalog).expect("it is there")).expect("JSON");
        document["format"] = 99.into();
        let before = document.to_string();
        fs::write(&catalog, &before).expect("it can be written");
        let refused = stack.world.run(&UP);
        assert!(refused.starts_with("exit code: 13\n"), "{refused}");
        assert!(refused.contains("format 99"), "{refused}");
        assert_eq!(fs::read_to_string(&catalog).expect("it is there"), before);
        drop(stack);

        let stack = unpacked(&kept);
        let database = database(&stack, "host1");
        let mut bytes = fs::read(&database).expect("it is there");
        // SQLite's `user_version` (https://www.sqlite.org/fileformat2.html#database_header).
        bytes[60..64].copy_from_slice(&99_u32.to_be_bytes());
        fs::write(&database, &bytes).expect("it can be written");
        let refused = stack.world.run(&UP);
        assert!(!refused.starts_with("exit code: 0\n"), "{refused}");
        assert!(refused.contains("format 99"), "{refused}");
        assert_eq!(fs::read(&database).expect("it is there"), bytes);
    }
}

fn database(stack: &NativeStack, host: &str) -> PathBuf {
    stack
        .world
        .project()
        .join(format!("hosts/{host}/osquery/osquery.db/osqdemo-agent.sqlite"))
}

/// How many records a topic has.
fn records(stack: &NativeStack, topic: &str) -> u64 {
    let topics: Value = serde_json::from_str(&stack.succeed(&["--json", "topics"])).expect("JSON");
    let topics = topics["topics"].as_array().expect("topics");
    let topic = topics.iter().find(|one| one["name"] == topic).expect("the topic");
    topic["records"].as_u64().expect("a count")
}

/// The values of all records of a topic.
fn lines(stack: &NativeStack, topic: &str) -> Vec<Value> {
    let count = records(stack, topic).to_string();
    stack
        .succeed(&["--json", "tail", topic, "--from-beginning", "-n", &count])
        .lines()
        .map(|record| {
            let record: Value = serde_json::from_str(record).expect("JSON");
            serde_json::from_str(record["value"].as_str().expect("a value")).expect("JSON")
        })
        .collect()
}

/// How many records of a topic name the file.
fn lines_with(stack: &NativeStack, topic: &str, file: &str) -> usize {
    lines(stack, topic)
        .iter()
        .filter(|line| line["PATH"].as_str().is_some_and(|path| path.ends_with(file)))
        .count()
}
