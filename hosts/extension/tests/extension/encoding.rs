//! Lines as Avro records: the real extension with the registry and the broker of this repository, read by Apache's Avro.
//!
//! Whatever is wrong with the registry: osqueryd is answered, and no line is lost or written in another format.
//!
//! Long because each thing that can be wrong with a registry has its test, with the same readers beside it.

use std::time::{Duration, Instant};

use osquery_protocol::fake::{FakeExtension, FakeOsqueryd};
use osquery_protocol::plugin::LoggerRequest;
use serde_json::{Value, json};

use crate::connection::{certificate, tls_port};
use crate::platform::{Door, Platform, Record};
use crate::world::{Extension, World, line, log, until};

/// A world with a platform, and queries in each format.
struct Encoded {
    world: World,
    platform: Platform,
}

impl Encoded {
    fn new() -> Self {
        let encoded = Self {
            world: World::new(),
            platform: Platform::start(),
        };
        encoded.world.configure(&encoded.configuration());
        encoded
    }

    fn configuration(&self) -> Value {
        let query = |key: &str| json!({ "query": "select 1", "interval": 1, "key": key });
        json!({
            "config": { "bootstrap.servers": self.platform.broker },
            "source": { "schedule": {
                "processes": query("['hostIdentifier']"),
                "sockets": query("['hostIdentifier']"),
                "open_files": query("['columns']['path']"),
                "mounts": query("['hostIdentifier']"),
                "users": query("['hostIdentifier']"),
            } },
            "topic": "osquery-default-topic",
            "status_topic": "osquery-status",
            "topics": { "format": "avro", "queries": {
                "open_files": { "mode": "record", "key_format": "avro" },
                "mounts": { "format": "json_schema" },
                "users": { "format": "json" }
            } },
            "schema_registry": { "url": self.platform.url(), "basic.auth.user.info": "jay:hunter22" }
        })
    }

    fn reconfigure(&self, change: impl FnOnce(&mut Value)) {
        let mut configuration = self.configuration();
        change(&mut configuration);
        self.world.configure(&configuration);
    }

    fn running(&self) -> (FakeOsqueryd, Extension, FakeExtension) {
        self.world.running()
    }

    /// The paths of the rows of these records, in order.
    fn paths(&self, records: &[Record]) -> Vec<String> {
        let path = |record: &Record| {
            let (_, read) = self.platform.read(&record.value);
            read["columns"]["path"].as_str().map(str::to_owned)
        };
        records.iter().map(|record| path(record).unwrap()).collect()
    }
}

fn send(extension: &FakeExtension, line: impl Into<String>) {
    log(extension, LoggerRequest::Line(line.into().into()));
}

/// `count` lines of a query, their paths numbered from `first` on.
fn send_numbered(extension: &FakeExtension, query: &str, numbers: std::ops::Range<usize>) {
    for number in numbers {
        send(extension, line(query, &number.to_string()));
    }
}

fn numbered(numbers: std::ops::Range<usize>) -> Vec<String> {
    numbers.map(|number| number.to_string()).collect()
}

fn sorted(mut names: Vec<String>) -> Vec<String> {
    names.sort();
    names
}

#[test]
fn lines_arrive_in_their_formats_and_the_schemas_are_registered() {
    let encoded = Encoded::new();
    let (_osqueryd, process, extension) = encoded.running();
    let common = json!({
        "name": "processes", "hostIdentifier": "host1", "calendarTime": "Tue Nov 24 04:46:30 2026 UTC",
        "unixTime": 1_795_495_590, "epoch": 0, "counter": 3, "numerics": false,
        "decorations": { "who": "jay" },
    });
    let with = |more: Value| {
        let mut line = common.clone();
        line.as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        line
    };
    let row = json!({ "pid": "1", "name": "init", "ünicode": "\u{1F980}" });
    let event = with(json!({ "columns": row, "action": "added" }));
    let batch = with(json!({ "diffResults": { "removed": [], "added": [row, {}] } }));
    let snapshot = with(json!({ "snapshot": [row, row], "action": "snapshot" }));
    for line in [&event, &batch] {
        send(&extension, line.to_string());
    }
    log(&extension, LoggerRequest::Snapshot(snapshot.to_string().into()));
    let (sockets, mounts, users) = (line("sockets", "/s"), line("mounts", "/m"), line("users", "/u"));
    for line in [&sockets, &mounts, &users] {
        send(&extension, line.clone());
    }
    log(&extension, LoggerRequest::Status(r#"[{"s":0,"m":"x"}]"#.into()));

    let platform = &encoded.platform;
    let records = platform.records("processes", 3);
    let mut ids = Vec::new();
    for (record, expected) in records.iter().zip([&event, &batch, &snapshot]) {
        let (id, read) = platform.read(&record.value);
        assert_eq!(&read, expected);
        assert_eq!(record.key.as_deref(), Some(b"host1".as_slice()));
        assert_eq!(record.headers["osqdemo-query"], "processes");
        ids.push(id);
    }
    // One schema for all queries has one id, whatever the topic.
    ids.push(platform.read(&platform.records("sockets", 1)[0].value).0);
    ids.dedup();
    assert_eq!(ids.len(), 1, "{ids:?}");

    let mounted = &platform.records("mounts", 1)[0].value;
    assert_eq!(mounted[0], 0);
    assert_eq!(mounted[5..], *mounts.as_bytes());
    assert_eq!(platform.records("users", 1)[0].value, users.as_bytes());
    let status = &platform.records("osquery-status", 1)[0].value;
    assert_eq!(
        serde_json::from_slice::<Value>(status).unwrap()["m"],
        "x",
        "what osqueryd says of itself stays as it is"
    );
    assert_eq!(
        sorted(platform.client().subjects().unwrap()),
        [
            "mounts-value",
            "open_files-key",
            "processes-value",
            "sockets-value"
        ],
        "those of queries with records of their own come with their first rows"
    );
    let types = ["mounts-value", "processes-value"].map(|subject| {
        let version = platform.client().version(subject, None).unwrap();
        assert_eq!(version.version, 1);
        format!("{:?}", version.schema.schema_type)
    });
    assert_eq!(types, ["Json", "Avro"]);
    assert!(!process.log().contains("hunter22"), "{}", process.log());
}

#[test]
fn the_record_of_a_query_grows_as_its_rows_do() {
    let encoded = Encoded::new();
    let platform = &encoded.platform;
    platform.ask(
        "PUT",
        "/config/open_files-value",
        r#"{"compatibility":"FULL_TRANSITIVE"}"#,
    );
    let (_osqueryd, mut process, extension) = encoded.running();
    let of = |columns: Value| json!({ "name": "open_files", "hostIdentifier": "host1", "columns": columns, "action": "added" });
    let rows = [
        json!({ "path": "/a", "pid": "1" }),
        json!({ "path": "/b" }),
        json!({ "path": "/c", "count(*)": "7" }),
        json!({ "path": "/d", "pid": "2" }),
    ];
    for row in &rows {
        send(&extension, of(row.clone()).to_string());
    }
    let records = platform.records("open_files", 4);
    let read: Vec<_> = records
        .iter()
        .map(|record| platform.read(&record.value))
        .collect();
    let column = |row: usize, name: &str| read[row].1["columns"][name].clone();
    assert_eq!(
        [column(0, "path"), column(0, "pid"), column(1, "pid")],
        [json!("/a"), json!("1"), Value::Null]
    );
    assert_eq!(
        [column(2, "path"), column(2, "pid"), column(2, "count___")],
        [json!("/c"), Value::Null, json!("7")]
    );
    assert_eq!(
        [column(3, "pid"), column(3, "count___")],
        [json!("2"), Value::Null]
    );
    assert!(read[0].0 == read[1].0 && read[1].0 < read[2].0 && read[2].0 == read[3].0);
    let client = platform.client();
    assert_eq!(client.versions("open_files-value").unwrap(), [1, 2]);
    assert!(
        client
            .version("open_files-value", None)
            .unwrap()
            .schema
            .schema
            .contains(r#""osquery.name":"count(*)""#)
    );
    // The key is the text of the row's path, as Avro has it.
    assert_eq!(
        platform.read(records[0].key.as_ref().unwrap()).1,
        json!("/a"),
        "{:?}",
        records[0].key
    );

    // Whoever starts anew, or on another host, goes on with what is registered.
    process.signal(rustix::process::Signal::KILL);
    process.end();
    drop((_osqueryd, process, extension));
    let (_osqueryd, _process, extension) = encoded.running();
    send(&extension, of(json!({ "path": "/e" })).to_string());
    let records = platform.records("open_files", 5);
    assert_eq!(platform.read(&records[4].value).0, read[3].0);
    assert_eq!(client.versions("open_files-value").unwrap(), [1, 2]);
}

#[test]
fn while_the_registry_is_away_lines_wait_through_a_kill_and_arrive_in_order() {
    let mut encoded = Encoded::new();
    encoded.platform.set_door(Door::Gone);
    let (osqueryd, mut process, extension) = encoded.running();
    send_numbered(&extension, "processes", 0..10);
    // What needs no registry goes on.
    send(&extension, line("users", "/u"));
    encoded.platform.records("users", 1);
    process.wait_for_log("lines wait for the Schema Registry: the Schema Registry at ");

    // Whoever kills it takes nothing away: the lines are on the disk.
    process.signal(rustix::process::Signal::KILL);
    process.end();
    drop((osqueryd, process, extension));
    let (_osqueryd, process, extension) = encoded.running();
    let doors = [
        Door::Silent,
        Door::Shut,
        Door::Answers(
            "500 Internal Server Error",
            r#"{"error_code":50001,"message":"the store"}"#,
        ),
        Door::Answers("429 Too Many Requests", ""),
        Door::Answers("200 OK", "<html>no registry</html>"),
        Door::Answers("403 Forbidden", ""),
        Door::Gone,
    ];
    let mut sent = 10;
    for door in doors {
        encoded.platform.set_door(door);
        send_numbered(&extension, "processes", sent..sent + 10);
        sent += 10;
        assert_eq!(
            encoded.world.statistic(&extension, "waiting"),
            sent as u64,
            "{door:?}"
        );
    }
    encoded.platform.set_door(Door::Open);
    let records = encoded.platform.records("processes", sent);
    assert_eq!(encoded.paths(&records), numbered(0..sent));
    encoded.world.until_delivered(&extension);
    for name in ["dead_lettered", "lost", "not_accepted", "dropped"] {
        assert_eq!(encoded.world.statistic(&extension, name), 0, "{name}");
    }
    process.wait_for_log("the Schema Registry answers again");
    assert_eq!(
        process
            .log()
            .matches("lines wait for the Schema Registry")
            .count(),
        2,
        "once for each of the two that were started: {}",
        process.log()
    );
}

#[test]
fn behind_a_slow_registry_only_what_needs_it_waits() {
    const SLOW: Duration = Duration::from_secs(10);
    let mut encoded = Encoded::new();
    encoded.platform.set_door(Door::Late(SLOW));
    let (_osqueryd, process, extension) = encoded.running();
    let started = Instant::now();
    send_numbered(&extension, "processes", 0..10);
    send(&extension, line("users", "/u"));
    encoded.platform.records("users", 1);
    assert!(started.elapsed() < SLOW, "{:?}", started.elapsed());
    let records = encoded.platform.records("processes", 10);
    assert!(started.elapsed() >= SLOW, "{:?}", started.elapsed());
    assert_eq!(encoded.paths(&records), numbered(0..10));
    // What is registered is not asked for again.
    let registered = Instant::now();
    send_numbered(&extension, "processes", 10..20);
    encoded.platform.records("processes", 20);
    assert!(registered.elapsed() < SLOW, "{:?}", registered.elapsed());
    for name in ["dead_lettered", "lost", "not_accepted", "dropped"] {
        assert_eq!(encoded.world.statistic(&extension, name), 0, "{name}");
    }
    assert!(!process.log().contains("lines wait for"), "{}", process.log());
}

#[test]
fn what_is_registered_outlives_the_registry() {
    let mut encoded = Encoded::new();
    let (_osqueryd, _process, extension) = encoded.running();
    send_numbered(&extension, "processes", 0..1);
    encoded.platform.records("processes", 1);
    encoded.platform.kill_registry();
    encoded.platform.set_door(Door::Gone);
    send_numbered(&extension, "processes", 1..1000);
    let records = encoded.platform.records("processes", 1000);

    // A column that nobody has registered waits for it, and what comes behind it as well.
    send(&extension, line("open_files", "/a"));
    send(&extension, line("open_files", "/b"));
    until("two lines that wait", || {
        encoded.world.statistic(&extension, "waiting") == 2
    });
    encoded.platform.start_registry();
    let files = encoded.platform.records("open_files", 2);
    assert_eq!(encoded.paths(&files), ["/a", "/b"]);
    assert_eq!(encoded.paths(&records), numbered(0..1000));
}

#[test]
fn what_the_registry_refuses_is_a_dead_letter_and_other_topics_go_on() {
    let encoded = Encoded::new();
    let platform = &encoded.platform;
    platform.ask(
        "POST",
        "/subjects/processes-value/versions",
        r#"{"schema":"\"string\""}"#,
    );
    let (osqueryd, mut process, extension) = encoded.running();
    send_numbered(&extension, "processes", 0..5);
    send(&extension, line("sockets", "/s"));
    let dead = platform.records("osqdemo-dead-letters", 5);
    for (number, record) in dead.iter().enumerate() {
        let expected = line("processes", &number.to_string());
        assert_eq!(record.value, expected.as_bytes(), "as it came");
        assert_eq!(record.headers["osqdemo-topic"], "processes");
        let reason = &record.headers["osqdemo-reason"];
        assert!(
            reason.contains("incompatible with an earlier schema for subject \"processes-value\"")
                && reason.contains("error code: 409"),
            "{reason}"
        );
    }
    platform.records("sockets", 1);
    encoded.world.until_delivered(&extension);
    assert_eq!(encoded.world.statistic(&extension, "dead_lettered"), 5);
    let said = process.log().matches("the schema is refused").count();
    assert_eq!(said, 1, "{}", process.log());

    // Once the registry takes it, whoever asks again gets on.
    platform.ask("DELETE", "/subjects/processes-value", "");
    process.signal(rustix::process::Signal::KILL);
    process.end();
    drop((osqueryd, process, extension));
    let (_osqueryd, _process, extension) = encoded.running();
    send_numbered(&extension, "processes", 5..7);
    assert_eq!(encoded.paths(&platform.records("processes", 2)), numbered(5..7));
}

#[test]
fn a_line_that_is_none_is_a_dead_letter() {
    let encoded = Encoded::new();
    let (_osqueryd, _process, extension) = encoded.running();
    let wrong = r#"{"name":"processes","hostIdentifier":"host1","columns":7}"#;
    send(&extension, wrong);
    send_numbered(&extension, "processes", 0..1);
    let dead = encoded.platform.records("osqdemo-dead-letters", 1);
    assert_eq!(dead[0].value, wrong.as_bytes());
    assert_eq!(
        dead[0].headers["osqdemo-reason"],
        "`columns` is `7`, where the schema has an object"
    );
    encoded.platform.records("processes", 1);
}

#[test]
fn a_changed_file_changes_the_format_and_the_registry() {
    let mut encoded = Encoded::new();
    encoded.reconfigure(|configuration| {
        let root = configuration.as_object_mut().unwrap();
        root.remove("topics");
        root.remove("schema_registry");
    });
    let (_osqueryd, process, extension) = encoded.running();
    send(&extension, line("processes", "/json"));
    let plain = encoded.platform.records("processes", 1);
    assert_eq!(plain[0].value, line("processes", "/json").as_bytes());

    // With a registry that is not there, lines wait; with one that is, the same lines go on.
    encoded.platform.set_door(Door::Gone);
    encoded.world.configure(&encoded.configuration());
    process.wait_for_log("lines wait for the Schema Registry");
    send_numbered(&extension, "processes", 0..3);
    encoded.platform.set_door(Door::Open);
    let records = encoded.platform.records("processes", 4);
    assert_eq!(encoded.paths(&records[1..]), numbered(0..3));
}

#[test]
fn a_registry_with_a_wrong_certificate_is_away_and_told() {
    let encoded = Encoded::new();
    let (other, key) = certificate("localhost", (-1, 10));
    let port = tls_port(&other, &key);
    let ca = encoded.world.folder.path().join("ca.pem");
    std::fs::write(&ca, certificate("localhost", (-1, 10)).0.to_pem().unwrap()).unwrap();
    encoded.reconfigure(|configuration| {
        let registry = &mut configuration["schema_registry"];
        registry["url"] = format!("https://localhost:{port}").into();
        registry["ssl.ca.location"] = ca.display().to_string().into();
    });
    let (_osqueryd, process, extension) = encoded.running();
    send_numbered(&extension, "processes", 0..3);
    process.wait_for_log("certificate verify failed");
    assert_eq!(encoded.world.statistic(&extension, "waiting"), 3);
    // The address of the one that is ours, and the lines are there.
    encoded.world.configure(&encoded.configuration());
    assert_eq!(
        encoded.paths(&encoded.platform.records("processes", 3)),
        numbered(0..3)
    );
}

#[test]
fn a_check_tells_what_the_registry_would_say_and_registers_nothing() {
    let mut encoded = Encoded::new();
    let (code, text) = encoded.world.check(&["--check", "--connect"]);
    assert!(text.contains("ok: the Schema Registry `"), "{code:?} {text}");
    for subject in [
        "processes-value",
        "open_files-key",
        "open_files-value",
        "mounts-value",
    ] {
        assert!(
            text.contains(&format!("ok: the schema of `{subject}`")),
            "{subject}: {text}"
        );
    }
    assert!(!text.contains("users-value"), "{text}");
    assert_eq!(encoded.platform.client().subjects().unwrap(), [""; 0]);

    encoded.platform.ask(
        "POST",
        "/subjects/processes-value/versions",
        r#"{"schema":"\"string\""}"#,
    );
    let (code, text) = encoded.world.check(&["--check", "--connect"]);
    assert_eq!(code, Some(5), "{text}");
    assert!(
        text.contains("failed: the schema of `processes-value`") && text.contains("TYPE_MISMATCH"),
        "{text}"
    );

    encoded.platform.set_door(Door::Gone);
    let (code, text) = encoded.world.check(&["--check", "--connect"]);
    assert_eq!(code, Some(5), "{text}");
    assert!(text.contains("failed: the Schema Registry `"), "{text}");

    encoded.reconfigure(|configuration| configuration["schema_registry"]["url"] = "registry:8081".into());
    let (code, text) = encoded.world.check(&["--check"]);
    assert_eq!(code, Some(3), "{text}");
    assert!(text.contains("`schema_registry` is unusable"), "{text}");
    encoded.reconfigure(|configuration| {
        configuration.as_object_mut().unwrap().remove("schema_registry");
    });
    let (code, text) = encoded.world.check(&["--check"]);
    assert_eq!(code, Some(3), "{text}");
    assert!(text.contains("schema_registry.url"), "{text}");
}
