//! The settings file and services that are left out, driven as a user drives them, on the fake engine.

#[path = "../support/host_config.rs"]
mod host_config;
mod left_out;
mod monitored;
mod places;
#[path = "../support/mod.rs"]
mod support;

use std::fs;
use std::path::Path;

use host_config::SECRET;
use insta::assert_snapshot;
use serde_json::Value;
use support::{InTime, World};

/// A folder with a settings file.
fn folder(text: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    fs::write(folder.path().join("osqdemo.toml"), text).expect("a file");
    folder
}

/// Each service with its state.
fn states(world: &World, project: &str) -> Vec<String> {
    let output = world.output(&["--json", "--project", project, "ps"]);
    let document: Value = serde_json::from_slice(&output.stdout).expect("one JSON document");
    let services = document["services"].as_array().expect("services").iter();
    services
        .map(|entry| {
            let text = |field: &str| entry[field].as_str().expect("a text").to_owned();
            format!("{} {}", text("service"), text("detail"))
        })
        .collect()
}

const UP: [&str; 3] = ["up", "--engine", "fake"];

/// Free ports, so that a stack that runs on this machine is not in the way.
const PORTS: &str = "[ports]\nbroker = 0\nksqldb-server = 0\nconsole = 0\nschema-registry = 0\n";

#[test]
fn the_layers_in_their_order() {
    let world = World::new();
    let folder = folder(
        "engine = \"docker\"\ntimeout = \"5m\"\nosqueryd = \"bin/osqueryd\"\n\n[ports]\nbroker = 19092\n",
    );
    world.run(&[
        "up",
        "--engine",
        "fake",
        "--osqueryd",
        "builtin",
        "--port",
        "broker=0",
        "--port",
        "ksqldb-server=18088",
    ]);
    world.run(&["down"]);
    assert_snapshot!(world.run_in(folder.path(), &["config", "show", "--timeout", "7s"]), @"
    exit code: 0
    ----- stdout -----
    SETTING                  VALUE                             FROM
    ──────────────────────  ──────────────────────  ──────────
    project                  osqdemo                           default
    engine                   docker                            file
    stack                    lite                              default
    with                     -                                 default
    without                  -                                 default
    statements               demo                              default
    timeout                  7s                                flag
    osqueryd                 bin/osqueryd                      file
    osquery-sha256           -                                 default
    source                   installed                         default
    host-config              default                           default
    format                   json                              remembered
    ports.broker             19092                             file
    ports.schema-registry    8081                              default
    ports.ksqldb-server      18088                             remembered
    ports.console            9021                              default
    listen                   none                              default
    kafka.bootstrap-servers  none                              default
    kafka.config             none                              default
    images.pull              missing                           default
    images.registry          -                                 default
    images.pull-silence      2m                                default
    images.lock-file         [HOME]/images.lock        default
    scenario.size            1G                                default
    scenario.host            host2                             default
    scenario.timeout         60s, and 120s of `osqdemo smoke`  default
    ----- stderr -----
    settings file: `osqdemo.toml`
    ");
    let variable = ("OSQDEMO_ENGINE", "native");
    let output = world
        .command(&[
            "--json",
            "-q",
            "config",
            "show",
            "--without",
            "host1",
            "--port",
            "ksqldb-server=1",
        ])
        .env(variable.0, variable.1)
        .current_dir(folder.path())
        .in_time();
    let document: Value = serde_json::from_slice(&output.stdout).expect("one JSON document");
    assert_eq!(document["schema_version"], 1);
    assert_eq!(document["file"], "osqdemo.toml");
    let of = |name: &str| {
        let settings = document["settings"].as_array().expect("settings").clone();
        let setting = settings
            .into_iter()
            .find(|setting| setting["setting"] == name)
            .expect("it");
        (setting["value"].clone(), setting["from"].clone())
    };
    assert_eq!(of("engine"), ("native".into(), "environment".into()));
    assert_eq!(of("without"), ("host1".into(), "flag".into()));
    assert_eq!(of("ports.ksqldb-server"), ("1".into(), "flag".into()));
    assert_eq!(of("ports.broker"), ("19092".into(), "file".into()));
    assert_eq!(of("scenario.host"), ("host2".into(), "default".into()));
    assert_eq!(of("images.registry"), (Value::Null, "default".into()));
}

#[test]
fn up_follows_the_file_and_remembers() {
    let world = World::new();
    let folder = folder(&format!("project = \"mine\"\nwithout = [\"host1\"]\n\n{PORTS}"));
    assert_snapshot!(world.run_in(folder.path(), &UP), @r"
    exit code: 0
    ----- stdout -----
    Kafka   127.0.0.1:[PORT]
    ksqlDB  http://127.0.0.1:[PORT]
    console http://127.0.0.1:[PORT]
    hosts   host2
    ----- stderr -----
    broker: starting (not running)
    broker: healthy ([TIME])
    console: starting (not running)
    console: healthy ([TIME])
    host2: starting (not running)
    host2: healthy ([TIME])
    ksqldb-server: starting (not running)
    ksqldb-server: healthy ([TIME])
    schema-registry: starting (not running)
    schema-registry: healthy ([TIME])
    up: 5 services are healthy ([TIME])
    next:
      `osqdemo -p mine scenario bigfile`                      writes a file on a host and follows it to a joined row
      `osqdemo -p mine tail processes --from-beginning -n 1`  a message as it is in Kafka
      `osqdemo -p mine ksql`                                  the prompt of ksqlDB
      `osqdemo -p mine open`                                  all of it, live, in a browser
      `osqdemo -p mine exec host2`                            a shell on host2
      `osqdemo -p mine logs host2`                            what host2 says, as when no line of it comes
      `osqdemo -p mine down`                                  stops everything; with `--volumes` nothing stays
    ");
    assert!(world.home().join("mine").exists(), "the project is the file's");
    assert_eq!(
        states(&world, "mine"),
        [
            "broker running",
            "schema-registry running",
            "ksqldb-server running",
            "console running",
            "host2 running",
            "host1 left out"
        ]
    );
    assert_snapshot!(world.run_in(folder.path(), &["up", "--engine", "fake", "--without", "none", "--dry-run"]), @r"
    exit code: 0
    ----- stdout -----
    1. start host1 (not running)
    ----- stderr -----
    ");
    // Without the file and from another folder: as it was.
    assert_snapshot!(world.run(&["--project", "mine", "up", "--dry-run"]), @r"
    exit code: 0
    ----- stdout -----
    nothing to do
    ----- stderr -----
    ");
    let config = folder.path().join("osqdemo.toml").display().to_string();
    fs::write(&config, format!("without = [\"host2\"]\n{PORTS}")).expect("a file");
    assert_snapshot!(world.run(&["--project", "mine", "--config", &config, "up", "--dry-run"]), @r"
    exit code: 0
    ----- stdout -----
    1. stop host2 (left out by `without`)
    2. start host1 (not running)
    ----- stderr -----
    ");
}

#[test]
fn a_wrong_file_is_told() {
    let world = World::new();
    assert_snapshot!(world.run_in(folder("\nengin = \"docker\"").path(), &["ps"]), @r"
    exit code: 2
    ----- stdout -----
    ----- stderr -----
    error: `osqdemo.toml` line 2 column 1: there is no setting `engin`
    hint: did you mean `engine`?
    ");
    assert_snapshot!(world.run_in(folder("without = [\"broker\"]").path(), &UP), @r"
    exit code: 2
    ----- stdout -----
    ----- stderr -----
    error: `osqdemo.toml` line 1 column 12: `without`: service `broker` cannot be left out: everything goes through it
    ");
    assert_snapshot!(world.run_in(folder("ports = { brokr = 1 }").path(), &["doctor"]), @r"
    exit code: 2
    ----- stdout -----
    ----- stderr -----
    error: `osqdemo.toml` line 1 column 11: `ports`: there is no service `brokr`
    hint: did you mean `broker`?
    ");
    assert_snapshot!(world.run_in(folder("without = [\"control-center\"]").path(), &["config", "show"]), @r"
    exit code: 2
    ----- stdout -----
    ----- stderr -----
    error: `osqdemo.toml` line 1 column 12: `without`: there is no service `control-center` to leave out
    hint: the services are `broker`, `schema-registry`, `ksqldb-server`, `console`, `host1`, `host2`
    ");
    let output = world
        .command(&["host-config"])
        .env("OSQDEMO_CONFIG", "")
        .in_time();
    assert!(
        output.status.success(),
        "an empty variable is none: {}",
        world.shown(&output)
    );
    assert_snapshot!(world.run(&["--config", "/nowhere/osqdemo.toml", "ps"]), @r"
    exit code: 2
    ----- stdout -----
    ----- stderr -----
    error: failed to read the settings file `/nowhere/osqdemo.toml`: No such file or directory (os error 2)
    hint: `--config FILE` or `OSQDEMO_CONFIG` names another one
    ");
    // Verbs that need no settings work all the same.
    let wrong = folder("engin = 1");
    for verb in [&["completions", "bash"], &["config", "schema"]] {
        assert!(
            world.run_in(wrong.path(), verb).starts_with("exit code: 0"),
            "{verb:?}"
        );
    }
}

#[test]
fn a_file_may_speak_of_another_stack() {
    let world = World::new();
    let folder = folder("stack = \"confluent\"\nwithout = [\"control-center\"]\n[ports]\nzookeeper = 1\n");
    let shown = world.run_in(folder.path(), &["config", "show", "--stack", "lite"]);
    assert!(shown.starts_with("exit code: 0"), "{shown}");
    let shown = world.run_in(folder.path(), &["config", "show"]);
    assert!(shown.contains("control-center"), "{shown}");
}

/// The value and the origin of a setting.
fn shown(world: &World, folder: &Path, setting: &str) -> String {
    let text = world.run_in(folder, &["config", "show"]);
    assert!(!text.contains(SECRET), "a secret was shown");
    let line = text.lines().find(|line| line.starts_with(setting));
    let words = line.expect("the setting").split_whitespace().skip(1);
    words.collect::<Vec<_>>().join(" ")
}

#[test]
fn a_checkout_is_remembered_and_means_nothing_natively() {
    let world = World::new();
    let folder = folder(&format!("source = \"checkout\"\n\n{PORTS}"));
    assert_eq!(shown(&world, folder.path(), "source"), "checkout file");
    world.run_in(folder.path(), &UP);
    fs::write(folder.path().join("osqdemo.toml"), PORTS).expect("a file");
    assert_eq!(
        shown(&world, folder.path(), "source"),
        "[FOLDER]/checkout remembered"
    );
    fs::write(
        folder.path().join("osqdemo.toml"),
        format!("source = \"checkout\"\n\n{PORTS}"),
    )
    .expect("a file");
    let native = [
        "--project",
        "other",
        "up",
        "--engine",
        "native",
        "--osqueryd",
        "builtin",
        "--dry-run",
    ];
    let plan = world.run_in(folder.path(), &native);
    assert!(plan.starts_with("exit code: 0"), "{plan}");
    assert_snapshot!(world.run_in(folder.path(), &[&native[..], &["--source", "."]].concat()), @r"
    exit code: 2
    ----- stdout -----
    ----- stderr -----
    error: `--source` is about images, and engine `native` has none
    hint: natively the installed programs run: `make build`
    ");
}

#[test]
fn only_what_is_new_asks_for_osquery_again() {
    let world = World::new();
    let folder = folder(&format!("osqueryd = \"auto\"\n\n{PORTS}"));
    world.run_in(folder.path(), &UP);
    // As if osquery's package could not be had at that time.
    let path = world.project().join("project.json");
    let reason = "osquery_unavailable";
    let is_known = || fs::read_to_string(&path).expect("the state").contains(reason);
    let know = || {
        let mut state: Value =
            serde_json::from_slice(&fs::read(&path).expect("the state")).expect("one JSON document");
        state[reason] = "no network".into();
        fs::write(&path, state.to_string()).expect("the state");
    };
    know();
    world.run_in(folder.path(), &["up"]);
    assert!(is_known(), "the file says what it said");
    world.run(&["up"]);
    assert!(is_known(), "nothing is said");
    world.run_in(folder.path(), &["up", "--osqueryd", "auto"]);
    assert!(!is_known(), "the user asks for it again");
    know();
    let checksum = "0".repeat(64);
    let file = format!("osqueryd = \"auto\"\nosquery-sha256 = \"{checksum}\"\n\n{PORTS}");
    fs::write(folder.path().join("osqdemo.toml"), file).expect("a file");
    world.run_in(folder.path(), &["up"]);
    assert!(!is_known(), "the file says something new");
}

#[test]
fn the_schema_is_the_committed_one() {
    let world = World::new();
    let output = world.output(&["config", "schema"]);
    let committed =
        fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("osqdemo.schema.json")).expect("the schema");
    assert_eq!(
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&committed)
    );
}
