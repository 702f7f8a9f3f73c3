//! The configuration plugin, and configurations that cannot be used.

use std::process::Command;

use osquery_protocol::fake::FakeExtension;
use osquery_protocol::plugin::{ConfigRequest, LoggerRequest};

use crate::world::{CONFIG, LOGGER, PATIENCE, Started as _, World, line, log, until};

fn source(extension: &FakeExtension) -> serde_json::Value {
    let response = extension.configure(CONFIG, ConfigRequest::Generate).unwrap();
    assert!(response.status.is_success(), "{:?}", response.status);
    let [row] = response.rows.as_slice() else {
        panic!("{:?}", response.rows)
    };
    assert_eq!(row.len(), 1);
    serde_json::from_slice(&row[b"source_one".as_slice()]).unwrap()
}

#[test]
fn osqueryd_gets_the_source_and_nothing_else() {
    let world = World::configured();
    let (_osqueryd, process, extension) = world.running();
    assert_eq!(source(&extension), world.configuration()["source"]);
    process.wait_for_log("holds a secret and everybody may read it");
    assert!(!process.log().contains("hunter22"));
}

#[test]
fn packs_in_files_are_handed_over_under_their_name() {
    let world = World::configured();
    let (_osqueryd, _process, extension) = world.running();
    std::fs::write(world.folder.path().join("ir.conf"), r#"{"queries":{}}"#).unwrap();
    let pack = |value: &str| {
        extension
            .configure(
                CONFIG,
                ConfigRequest::Pack {
                    name: "ir".into(),
                    value: value.into(),
                },
            )
            .unwrap()
    };
    let response = pack("ir.conf");
    assert!(response.status.is_success());
    assert_eq!(response.rows[0][b"ir".as_slice()], r#"{"queries":{}}"#);
    let missing = pack("gone.conf").status;
    assert!(
        !missing.is_success() && missing.message.to_text().contains("gone.conf"),
        "{missing:?}"
    );
}

#[test]
fn a_changed_file_is_taken_up_and_a_broken_one_is_not() {
    let world = World::configured();
    world.topic("fresh");
    let (_osqueryd, process, extension) = world.running();
    let mut configuration = world.configuration();
    configuration["source"]["schedule"]["processes"]["interval"] = 7.into();
    configuration["topic"] = "fresh".into();
    configuration["config"]["linger.ms"] = 1.into();
    world.configure(&configuration);
    assert_eq!(source(&extension), configuration["source"]);
    process.wait_for_log("properties changed");
    log(&extension, LoggerRequest::Line("{}".into()));
    assert_eq!(world.records("fresh", 1)[0].1, b"{}");

    std::fs::write(world.configuration_path(), "{").unwrap();
    assert_eq!(source(&extension), configuration["source"]);
    process.wait_for_log("the configuration in force stays");
    let mut wrong = world.configuration();
    wrong["config"]["no.such.property"] = "x".into();
    world.configure(&wrong);
    assert_eq!(source(&extension), configuration["source"]);
    process.wait_for_log("no.such.property");
    log(&extension, LoggerRequest::Line(line("fresh", "/still").into()));
    assert_eq!(world.records("fresh", 2).len(), 2);
}

#[test]
fn the_originals_misspelt_variable_works() {
    let world = World::configured();
    let osqueryd = world.osqueryd();
    let process = world.start_with("OSQURY_CONFIG", &world.configuration_path());
    assert!(
        osqueryd.wait_for_extension("confluent", PATIENCE).is_some(),
        "{}",
        process.log()
    );
}

#[test]
fn the_working_directory_is_the_last_resort() {
    let world = World::configured();
    std::fs::rename(
        world.configuration_path(),
        world.folder.path().join("osquery_confluent_config.json"),
    )
    .unwrap();
    let osqueryd = world.osqueryd();
    let process = world.start_with("UNRELATED", &world.configuration_path());
    assert!(
        osqueryd.wait_for_extension("confluent", PATIENCE).is_some(),
        "{}",
        process.log()
    );
}

#[test]
fn the_articles_misspelt_variable_works() {
    let world = World::configured();
    let osqueryd = world.osqueryd();
    let process = world.start_with("OSQUER_CONFIG", &world.configuration_path());
    let registered = osqueryd.wait_for_extension("confluent", PATIENCE);
    assert!(registered.is_some(), "{}", process.log());
}

#[test]
fn a_topic_is_made_of_the_lines_parts() {
    let world = World::configured();
    world.topic("osquery.host1.processes");
    let mut configuration = world.configuration();
    configuration["topic"] = "osquery.{host}.{name}".into();
    world.configure(&configuration);
    let (_osqueryd, _process, extension) = world.running();
    log(&extension, LoggerRequest::Line(line("processes", "/x").into()));
    assert_eq!(world.records("osquery.host1.processes", 1).len(), 1);
}

#[test]
fn osqueryds_own_log_goes_to_a_topic_when_asked() {
    let world = World::configured();
    world.topic("osquery-status");
    let mut configuration = world.configuration();
    configuration["status_topic"] = "osquery-status".into();
    configuration["compression"] = "zstd".into();
    world.configure(&configuration);
    let (_osqueryd, _process, extension) = world.running();
    let features = extension.log(LOGGER, LoggerRequest::Features).unwrap();
    assert_eq!(i32::from(features.code), 1);
    let entry = r#"{"s":0,"f":"interface.cpp","i":137,"m":"Registering, {extension}","h":"vm","u":1}"#;
    log(
        &extension,
        LoggerRequest::Status(format!("[{entry},{entry}]").into()),
    );
    let expected = (Some(b"vm".to_vec()), entry.as_bytes().to_vec());
    assert_eq!(world.records("osquery-status", 2), [expected.clone(), expected]);
}

#[test]
fn secrets_come_from_the_environment_and_from_files() {
    let world = World::configured();
    let secret = world.folder.path().join("secret");
    std::fs::write(&secret, "swordfish\n").unwrap();
    let check = |password: &str, variable: Option<&str>| {
        let mut configuration = world.configuration();
        configuration["config"]["security.protocol"] = "sasl_plaintext".into();
        configuration["config"]["sasl.mechanisms"] = "PLAIN".into();
        configuration["config"]["sasl.username"] = "${env:OSQUERY_TEST_USER}".into();
        configuration["config"]["sasl.password"] = password.into();
        // It cannot be used, and is said together with what is near it.
        configuration["config"]["compression.type"] = password.into();
        world.configure(&configuration);
        let mut command = Command::new(env!("CARGO_BIN_EXE_confluent-ext"));
        command
            .arg("--check")
            .env("OSQUERY_CONFIG", world.configuration_path());
        if let Some(value) = variable {
            command.env("OSQUERY_TEST_USER", value);
        }
        let output = command.finished().unwrap();
        assert_eq!(output.status.code(), Some(3));
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    let file = format!("${{file:{}}}", secret.display());
    let text = check(&file, Some("jay"));
    assert!(
        text.contains("`compression.type`") && !text.contains("swordfish"),
        "{text}"
    );
    let text = check(&file, None);
    assert!(
        text.contains("`config.sasl.username`: the environment variable `OSQUERY_TEST_USER` is not set"),
        "{text}"
    );
    assert!(
        text.contains("hint: osqueryd hands its own environment on"),
        "{text}"
    );
    let text = check("${file:/nonexistent/secret}", Some("jay"));
    assert!(
        text.contains("cannot read the file `/nonexistent/secret`"),
        "{text}"
    );
}

#[test]
fn kerberos_is_refused_by_name() {
    let world = World::configured();
    let mut configuration = world.configuration();
    configuration["config"]["security.protocol"] = "SASL_SSL".into();
    for mechanism in [None, Some("GSSAPI")] {
        if let Some(mechanism) = mechanism {
            configuration["config"]["sasl.mechanisms"] = mechanism.into();
        }
        world.configure(&configuration);
        let mut process = world.start();
        assert_eq!(process.end().code(), Some(3));
        process
            .wait_for_log("GSSAPI (Kerberos), which is also what counts when none is given, is not built in");
    }
}

#[test]
fn the_cloud_example_is_usable() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../image/cloud.example.json");
    let output = Command::new(env!("CARGO_BIN_EXE_confluent-ext"))
        .arg("--check")
        .env("OSQUERY_CONFIG", path)
        .finished()
        .unwrap();
    assert_eq!(
        output.status.code(),
        Some(0),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

#[test]
fn an_unusable_file_ends_it_with_the_place_and_a_hint() {
    let world = World::new();
    let mut cases = vec![
        (
            "{\n  \"config\": {},\n}".to_owned(),
            "configuration.json:3:1: trailing comma",
            "no comma after the last item",
        ),
        ("{}".to_owned(), "`config` must be there", "must be"),
    ];
    let mut wrong = world.configuration();
    wrong["config"]["linger.mss"] = 5.into();
    cases.push((
        wrong.to_string(),
        "property `linger.mss`",
        "hint: librdkafka's CONFIGURATION.md",
    ));
    let mut wrong = world.configuration();
    wrong["key"] = "hostIdentifier".into();
    cases.push((
        wrong.to_string(),
        "of the file: expected `[` at column 1",
        "looks like ['hostIdentifier']",
    ));
    for (text, expected, hint) in cases {
        std::fs::write(world.configuration_path(), &text).unwrap();
        let mut process = world.start();
        assert_eq!(process.end().code(), Some(3));
        let log = process.log();
        assert!(log.contains(expected) && log.contains(hint), "{expected}:\n{log}");
        assert!(!log.contains("hunter22"), "{log}");
    }
}

#[test]
fn a_missing_file_is_named() {
    let world = World::new();
    let mut process = world.start();
    assert_eq!(process.end().code(), Some(3));
    until("the file's name in the log", || {
        process.log().contains("configuration.json")
    });
}

#[test]
fn a_configuration_can_be_checked_without_osqueryd() {
    let world = World::configured();
    let check = || {
        let output = Command::new(env!("CARGO_BIN_EXE_confluent-ext"))
            .arg("--check")
            .env("OSQUERY_CONFIG", world.configuration_path())
            .finished()
            .unwrap();
        (
            output.status.code(),
            String::from_utf8_lossy(&output.stderr).into_owned(),
        )
    };
    assert_eq!(check(), (Some(0), String::new()));

    let mut configuration = world.configuration();
    configuration["key"] = "hostIdentifier".into();
    world.configure(&configuration);
    let (code, text) = check();
    assert_eq!(code, Some(3), "{text}");
    assert!(
        text.contains("the key expression `hostIdentifier` of the file"),
        "{text}"
    );
    assert!(text.contains("\nhint: a key expression looks like"), "{text}");

    let mut configuration = world.configuration();
    configuration["config"]["no.such.property"] = "1".into();
    world.configure(&configuration);
    let (code, text) = check();
    assert_eq!(code, Some(3), "{text}");
    assert!(text.contains("`no.such.property` is unusable"), "{text}");
    assert!(!text.contains("hunter22"), "{text}");
}

#[test]
fn what_is_left_out_is_named_in_the_log() {
    let world = World::new();
    let mut configuration = world.configuration();
    configuration["source"]["schedule"]["never"] = serde_json::json!({ "query": "select 1", "interval": 0 });
    configuration["source"]["packs"]["gone"] = "gone.conf".into();
    world.configure(&configuration);
    let (_osqueryd, process, extension) = world.running();
    process.wait_for_log("source.schedule.never.interval");
    process.wait_for_log("source.packs.gone");
    // The rest is handed over, and what is wrong as well: osqueryd judges for itself.
    assert_eq!(source(&extension), configuration["source"]);
    let mut changed = configuration;
    changed["source"]["packs"]["ir"]["queries"]["monthly"] =
        serde_json::json!({ "query": "select 1", "interval": 2_592_000 });
    world.configure(&changed);
    process.wait_for_log("source.packs.ir.queries.monthly.interval");
}

#[test]
fn what_is_left_out_is_told_as_data() {
    let world = World::configured();
    let check = || -> (Option<i32>, serde_json::Value) {
        let output = Command::new(env!("CARGO_BIN_EXE_confluent-ext"))
            .args(["--check", "--json"])
            .env("OSQUERY_CONFIG", world.configuration_path())
            .finished()
            .unwrap();
        (
            output.status.code(),
            serde_json::from_slice(&output.stdout).unwrap(),
        )
    };
    let mut configuration = world.configuration();
    configuration["source"]["packs"] = serde_json::json!({
        "win": { "platform": "windows", "queries": { "reg": { "query": "select 1", "interval": 0 } } },
        "lin": { "queries": {
            "monthly": { "query": "select 1", "interval": 2_592_000 },
            "up time": { "query": "select 1" } } } });
    // osquery's JSON has comments, and a string may go on in the next line.
    let text = configuration
        .to_string()
        .replace("\"select 1\"}", "\"select \\\n1\"} # short\n");
    std::fs::write(world.configuration_path(), text).unwrap();
    let (code, told) = check();
    assert_eq!((code, &told["usable"]), (Some(0), &true.into()));
    assert_eq!(told["findings"].as_array().unwrap().len(), 1, "{told:#}");
    assert_eq!(
        told["findings"][0]["place"],
        "source.packs.lin.queries.monthly.interval"
    );
    let queries = told["queries"].as_array().unwrap();
    assert_eq!(
        queries.last().unwrap(),
        &serde_json::json!({ "topic": "pack_lin_up-time", "name": "pack_lin_up time", "interval": 3600 })
    );

    std::fs::write(world.configuration_path(), "{").unwrap();
    let (code, told) = check();
    assert_eq!((code, &told["usable"]), (Some(3), &false.into()));
    assert!(
        told["error"]["message"]
            .as_str()
            .unwrap()
            .contains("configuration.json:1:1: EOF"),
        "{told:#}"
    );
}
