//! What somebody sees who looks at the stack: the projects there are, a live view, progress on a terminal, narrow
//! terminals, and logs that cannot be read.

mod support;

use std::fs;
use std::process::Stdio;
use std::time::Duration;

use insta::assert_snapshot;
use rustix::process::Signal;
use serde_json::Value;
use support::{FAKE, NativeStack, PLATFORM, SERVICES, UP, World, Written, eventually, on_terminal, signal};

/// Far more than a row takes.
const LIMIT: Duration = Duration::from_secs(60);

fn json(text: &str) -> Value {
    serde_json::from_str(text).expect("a JSON document")
}

/// The projects that `projects` lists.
fn projects(world: &World) -> Vec<Value> {
    let output = world.output(&["--json", "projects"]);
    assert!(output.status.success(), "{}", world.shown(&output));
    let document = json(&String::from_utf8_lossy(&output.stdout));
    document["projects"].as_array().expect("a list").clone()
}

#[test]
fn projects_are_listed_whatever_became_of_them() {
    let world = World::new();
    assert_snapshot!(world.run(&["projects"]), @"
    exit code: 0
    ----- stdout -----
    ----- stderr -----
    no projects in `[HOME]`
    ");
    world.run(&[&["-p", "one"], &FAKE[..]].concat());
    let exits = ("OSQDEMO_FAKE", "console=exits");
    world.run_with(exits, &[&["-p", "part"], &FAKE[..], &["--keep"]].concat());
    world.run(&[&["-p", "rest"], &FAKE[..]].concat());
    world.run(&["-p", "rest", "down"]);
    fs::create_dir(world.home().join("torn")).expect("a folder");
    fs::write(world.home().join("torn/project.json"), "").expect("a file");

    let listed = projects(&world);
    let states: Vec<(&str, &str)> = listed
        .iter()
        .map(|project| {
            let text = |field: &str| project[field].as_str().expect("text");
            (text("project"), text("state"))
        })
        .collect();
    assert_eq!(
        states,
        [
            ("one", "running"),
            ("part", "partly"),
            ("rest", "stopped"),
            ("torn", "unknown")
        ]
    );
    let one = &listed[0];
    assert_eq!(one["engine"], "fake");
    assert_eq!(one["stack"], "lite");
    assert_eq!(
        one["services"],
        serde_json::json!([SERVICES.len(), SERVICES.len()])
    );
    assert!(one["uptime_ms"].is_u64(), "{one}");
    assert_eq!(one["ports"].as_object().map(serde_json::Map::len), Some(PLATFORM));
    assert!(
        listed[3]["error"]
            .as_str()
            .is_some_and(|why| why.contains("is damaged")),
        "{}",
        listed[3]
    );
    // The same for people, with the reason of what is not known.
    let text = world.run(&["projects"]);
    for part in [
        "one      running",
        " of 6 services",
        "rest     stopped",
        "unknown: `[HOME]/torn/project.json` is damaged",
    ] {
        assert!(text.contains(part), "`{part}` is not in {text}");
    }
}

/// `projects`, `top` and `ps` of one stack that runs.
#[test]
fn a_stack_that_runs_is_seen() {
    let stack = NativeStack::new();
    let world = &stack.world;
    assert_snapshot!(world.run(&["top", "--looks", "1"]), @"
    exit code: 16
    ----- stdout -----
    ----- stderr -----
    error: project `osqdemo` is not running
    hint: start it with `osqdemo up`
    ");
    stack.succeed(&UP);

    let listed = projects(world);
    assert_eq!(listed[0]["state"], "running");
    assert_eq!(listed[0]["ports"]["broker"], stack_port(&stack, "broker"));

    let looks = stack.succeed(&["--json", "top", "--interval", "1s", "--looks", "2"]);
    let looks: Vec<Value> = looks.lines().map(json).collect();
    assert_eq!(looks.len(), 2, "a document a look");
    let named = |look: &Value, list: &str, field: &str, name: &str| -> Value {
        let entries = look[list].as_array().expect("a list");
        let entry = entries.iter().find(|entry| entry[field] == name);
        entry.unwrap_or_else(|| panic!("no {name} in {look}")).clone()
    };
    for service in SERVICES {
        assert_eq!(
            named(&looks[1], "services", "service", service)["state"],
            "running"
        );
    }
    let first = named(&looks[0], "topics", "topic", "processes");
    let second = named(&looks[1], "topics", "topic", "processes");
    assert_eq!(first["per_second"], Value::Null, "nothing to compare with yet");
    assert!(
        second["per_second"].as_f64().is_some_and(|rate| rate >= 0.0),
        "{second}"
    );
    assert!(
        second["records"].as_u64() >= first["records"].as_u64(),
        "{first} {second}"
    );
    let queries = looks[1]["lags"].as_array().expect("a list");
    assert!(
        queries
            .iter()
            .any(|lag| lag["topic"] == "processes" && lag["lag"].is_u64()),
        "the query of `proc` has a lag: {queries:?}"
    );
    assert_eq!(looks[1]["trouble"], serde_json::json!([]));

    // Plain blocks of lines where there is no terminal, and a screen of its own where there is one.
    let plain = stack.succeed(&["top", "--looks", "1"]);
    assert!(plain.starts_with("project osqdemo: "), "{plain}");
    assert!(plain.contains("\nTOPIC") && !plain.contains('\u{1b}'), "{plain}");
    let screen = on_terminal(&world.command(&["top", "--looks", "1"]), 100);
    let (opened, closed) = (screen.find("\u{1b}[?1049h"), screen.rfind("\u{1b}[?1049l"));
    assert!(
        opened.is_some() && opened < closed,
        "the terminal is given back: {screen:?}"
    );
    assert!(
        screen.contains("SERVICE") && screen.contains("processes"),
        "{screen}"
    );

    // A joined row that comes while it looks is shown by it, newest first, and counted.
    let mut looking = world.command(&["--json", "top", "--interval", "200ms"]);
    let mut looking = looking.stdout(Stdio::piped()).spawn().expect("it starts");
    let looks = Written::by(looking.stdout.take().expect("its output"));
    let last = || looks.text().lines().last().map(json);
    eventually("it looks", LIMIT, || last().is_some());
    stack.succeed(&["scenario", "bigfile", "--size", "1M"]);
    let mut seen = Value::Null;
    eventually("the row is shown", LIMIT, || {
        seen = last().unwrap_or_default();
        seen["joined"].as_u64() >= Some(1)
    });
    signal(looking.id(), Signal::INT);
    assert_eq!(looking.wait().expect("it ends").code(), Some(130));
    let rows = seen["rows"].as_array().expect("a list");
    assert!(
        !rows.is_empty() && rows.len() as u64 <= seen["joined"].as_u64().expect("a number"),
        "{seen}"
    );
    assert_eq!(rows[0]["host"], "host2", "{seen}");
    assert!(
        rows[0]["proc"]
            .as_str()
            .is_some_and(|path| path.ends_with("/head")),
        "{seen}"
    );
    assert!(
        rows[0]["file"]
            .as_str()
            .is_some_and(|path| path.contains("/myfile-")),
        "{seen}"
    );

    // Forty columns: a service is a block, and no word is broken.
    let narrow = world.run_with(("COLUMNS", "40"), &["ps"]);
    assert!(
        narrow.contains("SERVICE   schema-registry\nSTATE     running\n"),
        "{narrow}"
    );
    let row = [
        "SET 'auto.offset.reset'='earliest';",
        "SELECT host, host_pid, 'a-word-of-24-characters-' AS word, 'two words and some more' AS words FROM precise_files EMIT CHANGES LIMIT 1;",
    ]
    .concat();
    stack.succeed(&["exec", "host1", "--", "sh", "-c", "exec 3>seen; sleep 4"]);
    let narrow = world.run_with(("COLUMNS", "40"), &["ksql", &row]);
    assert!(narrow.contains("a-word-of-24-characters-\n"), "{narrow}");
    assert!(narrow.contains("two words and some more\n"), "{narrow}");
}

fn stack_port(stack: &NativeStack, service: &str) -> u64 {
    let address = stack.service(service, "address");
    let port = address
        .as_str()
        .and_then(|address| address.rsplit(':').next()?.parse().ok());
    port.expect("a port")
}

#[test]
fn a_terminal_shows_how_much_of_the_plan_is_done_and_what_to_look_at_next() {
    let world = World::new();
    let mut up = world.command(&[&FAKE[..], &["--timeout", "1500ms", "--keep"]].concat());
    up.env("OSQDEMO_FAKE", "ksqldb-server=never-healthy")
        .env_remove("CI");
    let screen = on_terminal(&up, 100);
    assert!(screen.contains("━"), "a bar: {screen}");
    assert!(screen.contains(" 5 of 6 steps done"), "{screen}");
    assert!(screen.contains("✘ ksqldb-server: failed"), "{screen}");
    // What changes in place is gone in the end.
    let end = screen.rsplit("error: ").next().unwrap_or_default();
    assert!(!end.contains("steps done"), "{screen}");

    let mut up = world.command(&FAKE);
    up.env_remove("CI");
    let screen = on_terminal(&up, 100);
    let next = screen
        .split("next:")
        .nth(1)
        .unwrap_or_else(|| panic!("a summary: {screen}"));
    let next: Vec<&str> = next
        .lines()
        .map(str::trim_end)
        .filter(|line| !line.is_empty())
        .collect();
    assert_eq!(
        next,
        [
            "  `osqdemo scenario bigfile`                      writes a file on a host and follows it to a joined row",
            "  `osqdemo tail processes --from-beginning -n 1`  a message as it is in Kafka",
            "  `osqdemo ksql`                                  the prompt of ksqlDB",
            "  `osqdemo open`                                  all of it, live, in a browser",
            "  `osqdemo exec host2`                            a shell on host2",
            "  `osqdemo logs host2`                            what host2 says, as when no line of it comes",
            "  `osqdemo down`                                  stops everything; with `--volumes` nothing stays",
        ]
    );
}

#[test]
fn a_log_that_cannot_be_read_is_told_as_that() {
    let world = World::new();
    world.run(&FAKE);
    let log = world.project().join("logs/broker.log");
    fs::remove_file(&log).expect("the log");
    fs::create_dir(&log).expect("a folder in its place");
    assert_snapshot!(world.run(&["logs", "broker"]), @r"
    exit code: 10
    ----- stdout -----
    ----- stderr -----
    error: failed to read `[HOME]/osqdemo/logs/broker.log`: Is a directory (os error 21)
    ");
    // And by an `up` that fails: not as a service that wrote nothing.
    let never = ("OSQDEMO_FAKE", "broker=never-healthy");
    let up = world.run_with(never, &["up", "--timeout", "300ms", "--keep"]);
    assert!(
        up.contains(
            "  what broker wrote last:\n    (its log cannot be read: failed to read `[HOME]/osqdemo/logs/broker.log`: "
        ),
        "{up}"
    );
}
