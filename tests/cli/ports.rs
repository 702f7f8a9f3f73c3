//! Ports: those asked for, those remembered, and those that somebody else has.

use std::fs;
use std::time::Duration;

use insta::assert_snapshot;
use rustix::process::Signal;
use serde_json::Value;

use crate::support::{FAKE, World, a_listener, eventually, signal, two_free_ports};
use crate::up;

#[test]
fn a_port_that_changed_restarts_what_uses_it() {
    let world = World::new();
    world.run(&FAKE);
    assert_snapshot!(world.run(&up(&["--port", "ksqldb-server=18088", "--dry-run"])), @r"
    exit code: 0
    ----- stdout -----
    1. stop console (its definition or program changed)
    2. stop ksqldb-server (port changed from [PORT] to 18088)
    3. start ksqldb-server (port changed from [PORT] to 18088), after 2
    4. start console (its definition or program changed), after 1
    ----- stderr -----
    ");
    assert_snapshot!(world.run(&up(&["--port", "broker=19092", "--dry-run"])), @"
    exit code: 0
    ----- stdout -----
    1. stop host2 (its definition or program changed)
    2. stop host1 (its definition or program changed)
    3. stop console (its definition or program changed)
    4. stop ksqldb-server (its definition or program changed)
    5. stop schema-registry (its definition or program changed)
    6. stop broker (port changed from [PORT] to 19092), after 1, 2, 3, 4, 5
    7. start broker (port changed from [PORT] to 19092), after 6
    8. start schema-registry (its definition or program changed), after 5, 6, 7
    9. start ksqldb-server (its definition or program changed), after 4, 6, 7
    10. start console (its definition or program changed), after 3, 6, 7
    11. start host1 (its definition or program changed), after 2, 6, 7
    12. start host2 (its definition or program changed), after 1, 6, 7
    ----- stderr -----
    ");
}

#[test]
fn chosen_ports_are_remembered() {
    let world = World::new();
    world.run(&FAKE);
    let port = |world: &World| -> Value {
        let output = world.output(&["--json", "up", "--engine", "fake"]);
        let document: Value = serde_json::from_slice(&output.stdout).expect("JSON");
        document["endpoints"]["bootstrap_servers"].clone()
    };
    let chosen = port(&world);
    assert_ne!(chosen, "127.0.0.1:9092");
    world.run(&["down"]);
    assert_eq!(port(&world), chosen);
    world.run(&FAKE);
    assert_eq!(port(&world), chosen, "asking for any port again changes nothing");
}

#[test]
fn wrong_ports() {
    let world = World::new();
    assert_snapshot!(world.run(&up(&["--port", "broker"])), @r"
    exit code: 2
    ----- stdout -----
    ----- stderr -----
    error: `broker` is not of the form `SERVICE=PORT`
    hint: for example `--port broker=19092`, or `--port broker=0`
    ");
    assert_snapshot!(world.run(&up(&["--port", "zookeeper=2181"])), @r"
    exit code: 2
    ----- stdout -----
    ----- stderr -----
    error: there is no service `zookeeper`; the services are broker, schema-registry, ksqldb-server, console, host1, host2
    ");
    assert_snapshot!(world.run(&up(&["--port", "host1=1"])), @r"
    exit code: 2
    ----- stdout -----
    ----- stderr -----
    error: service `host1` publishes no port
    ");
    assert_snapshot!(world.run(&["up", "--engine", "fake", "--port", "broker=4000", "--port", "ksqldb-server=4000"]), @r"
    exit code: 2
    ----- stdout -----
    ----- stderr -----
    error: services `broker` and `ksqldb-server` cannot both have port 4000
    ");
}

#[test]
fn a_port_in_use_names_its_holder() {
    let world = World::new();
    let (_listener, port) = a_listener();
    let output = world.output(&[
        "up",
        "--engine",
        "fake",
        "--port",
        &format!("broker={port}"),
        "--port",
        "ksqldb-server=0",
        "--port",
        "console=0",
        "--port",
        "schema-registry=0",
    ]);
    assert_eq!(output.status.code(), Some(10));
    let stderr = String::from_utf8_lossy(&output.stderr);
    let holder = format!(
        "error: port {port} of broker is in use by process {} (`",
        std::process::id()
    );
    assert!(stderr.starts_with(&holder), "{stderr}");
    assert!(
        stderr.contains("hint: `--port broker=0` picks a free port"),
        "{stderr}"
    );
    assert!(!world.project().exists(), "nothing is left behind");
}

#[test]
fn a_default_port_in_use_makes_way() {
    let world = World::new();
    let (listener, port) = a_listener();
    let (ksqldb, _) = two_free_ports();
    let file = world.stack_file(port, ksqldb);
    let up = ["up", "--engine", "fake", "--stack-file", &file];
    let broker = |world: &World| -> u16 {
        let document = String::from_utf8(world.output(&["--json", "ps"]).stdout).expect("text");
        let document: Value = serde_json::from_str(&document).expect("JSON");
        let address = document["services"][0]["address"]
            .as_str()
            .expect("it runs")
            .to_owned();
        address
            .rsplit_once(':')
            .expect("a port")
            .1
            .parse()
            .expect("a number")
    };

    let dry = world.output(&[&up[..], &["--dry-run"]].concat());
    let told = String::from_utf8_lossy(&dry.stderr).into_owned();
    assert!(!world.project().exists(), "nothing is remembered");
    let shown = world.run(&up);
    let name = fs::read_to_string("/proc/self/comm").expect("our name");
    assert_snapshot!(shown.replace(name.trim_end(), "[NAME]"), @r"
    exit code: 0
    ----- stdout -----
    Kafka   127.0.0.1:[PORT]
    ksqlDB  http://127.0.0.1:[PORT]
    console http://127.0.0.1:[PORT]
    hosts   host1, host2
    ----- stderr -----
    warning: port [PORT] of broker is in use by process [PID] (`[NAME]`): broker gets port [PORT], remembered by this project; `--port broker=[PORT]` insists
    broker: starting (not running)
    broker: healthy ([TIME])
    console: starting (not running)
    console: healthy ([TIME])
    host1: starting (not running)
    host1: healthy ([TIME])
    host2: starting (not running)
    host2: healthy ([TIME])
    ksqldb-server: starting (not running)
    ksqldb-server: healthy ([TIME])
    schema-registry: starting (not running)
    schema-registry: healthy ([TIME])
    up: 6 services are healthy ([TIME])
    next:
      `osqdemo scenario bigfile`                      writes a file on a host and follows it to a joined row
      `osqdemo tail processes --from-beginning -n 1`  a message as it is in Kafka
      `osqdemo ksql`                                  the prompt of ksqlDB
      `osqdemo open`                                  all of it, live, in a browser
      `osqdemo exec host2`                            a shell on host2
      `osqdemo logs host2`                            what host2 says, as when no line of it comes
      `osqdemo down`                                  stops everything; with `--volumes` nothing stays
    ");
    let picked = broker(&world);
    assert_eq!(
        told,
        format!(
            "warning: port {port} of broker is in use by process {} (`{}`): broker gets port {picked}, remembered by this \
             project; `--port broker={port}` insists\n",
            std::process::id(),
            name.trim_end()
        )
    );

    // As long as the project has it, it keeps it.
    assert!(world.run(&up).contains("nothing to do: 6 services are healthy"));
    drop(listener);
    world.run(&["down"]);
    assert!(!world.run(&["up"]).contains("warning"));
    assert_eq!(broker(&world), picked);

    // It was picked, so it makes way as well.
    world.run(&["down"]);
    let _listener = std::net::TcpListener::bind(("127.0.0.1", picked)).expect("it is free");
    let shown = world.run(&["up"]);
    assert!(shown.contains("broker gets port"), "{shown}");
    assert_ne!(broker(&world), picked);

    // Who asks for it, insists.
    world.run(&["down"]);
    let insisting = world.output(&["up", "--port", &format!("broker={picked}")]);
    assert_eq!(insisting.status.code(), Some(10));
    let document = String::from_utf8(world.output(&["--json", "doctor"]).stdout).expect("text");
    let document: Value = serde_json::from_str(&document).expect("JSON");
    let checks = document["checks"].as_array().expect("checks");
    let status = |port: u16| {
        let name = format!("port {port} (broker)");
        checks.iter().find(|check| check["name"] == name)?["status"].as_str()
    };
    assert_eq!(
        status(picked),
        None,
        "what failed is not remembered: {document:#}"
    );
}

#[test]
fn a_default_port_of_another_up_makes_way() {
    let world = World::new();
    let (broker, ksqldb) = two_free_ports();
    let file = world.stack_file(broker, ksqldb);
    let up = ["up", "--engine", "fake", "--stack-file", &file];
    let never = ("OSQDEMO_FAKE", "broker=never-healthy");
    let first = world.start(never, &[&["-p", "first"], &up[..]].concat());
    eventually("the first `up` works", Duration::from_secs(20), || {
        fs::read_to_string(world.home().join("first/fake.json")).is_ok_and(|text| text.contains("broker"))
    });
    let shown = world.run(&[&["-p", "second"], &up[..], &["--dry-run"]].concat());
    signal(first.id(), Signal::INT);
    first.wait_with_output().expect("it ends");
    assert_snapshot!(shown, @"
    exit code: 0
    ----- stdout -----
    1. start the supervisor (not running)
    2. start broker (not running), after 1
    3. start schema-registry (not running), after 1, 2
    4. start ksqldb-server (not running), after 1, 2
    5. start console (not running), after 1, 2
    6. start host1 (not running), after 1, 2
    7. start host2 (not running), after 1, 2
    ----- stderr -----
    warning: port [PORT] of broker is in use by an `up` of another project (process [PID]): broker gets port [PORT], remembered by this project; `--port broker=[PORT]` insists
    warning: port [PORT] of schema-registry is in use by an `up` of another project (process [PID]): schema-registry gets port [PORT], remembered by this project; `--port schema-registry=[PORT]` insists
    warning: port [PORT] of ksqldb-server is in use by an `up` of another project (process [PID]): ksqldb-server gets port [PORT], remembered by this project; `--port ksqldb-server=[PORT]` insists
    warning: port [PORT] of console is in use by an `up` of another project (process [PID]): console gets port [PORT], remembered by this project; `--port console=[PORT]` insists
    ");
    let shown = world.run(&[&["-p", "second"], &up[..], &["--dry-run"]].concat());
    assert!(!shown.contains("warning"), "{shown}");
}

#[test]
fn a_port_that_is_lost_while_its_service_starts() {
    let world = World::new();
    let (broker, ksqldb) = two_free_ports();
    let file = world.stack_file(broker, ksqldb);
    let lost = ("OSQDEMO_FAKE", "broker=loses-port");
    let up = ["up", "--engine", "fake", "--stack-file", &file];
    assert_snapshot!(world.run_with(lost, &up), @r"
    exit code: 0
    ----- stdout -----
    Kafka   127.0.0.1:[PORT]
    ksqlDB  http://127.0.0.1:[PORT]
    console http://127.0.0.1:[PORT]
    hosts   host1, host2
    ----- stderr -----
    broker: starting (not running)
    broker: failed: failed to start broker: its program cannot be started: told to fail ([TIME])
    stopping what this run started
    warning: port [PORT] of broker is in use by process [PID] (`osqdemo`): broker gets port [PORT], remembered by this project; `--port broker=[PORT]` insists
    broker: starting (not running)
    broker: healthy ([TIME])
    console: starting (not running)
    console: healthy ([TIME])
    host1: starting (not running)
    host1: healthy ([TIME])
    host2: starting (not running)
    host2: healthy ([TIME])
    ksqldb-server: starting (not running)
    ksqldb-server: healthy ([TIME])
    schema-registry: starting (not running)
    schema-registry: healthy ([TIME])
    up: 6 services are healthy ([TIME])
    next:
      `osqdemo scenario bigfile`                      writes a file on a host and follows it to a joined row
      `osqdemo tail processes --from-beginning -n 1`  a message as it is in Kafka
      `osqdemo ksql`                                  the prompt of ksqlDB
      `osqdemo open`                                  all of it, live, in a browser
      `osqdemo exec host2`                            a shell on host2
      `osqdemo logs host2`                            what host2 says, as when no line of it comes
      `osqdemo down`                                  stops everything; with `--volumes` nothing stays
    ");
    world.run(&["down"]);
    let port = format!("broker={broker}");
    let insisting = [&up[..], &["--port", &port]].concat();
    assert_snapshot!(world.run_with(lost, &insisting), @r"
    exit code: 10
    ----- stdout -----
    ----- stderr -----
    broker: starting (not running)
    broker: failed: failed to start broker: its program cannot be started: told to fail ([TIME])
    error: port [PORT] of broker is in use by process [PID] (`osqdemo`)
    hint: `--port broker=0` picks a free port, and `osqdemo ps` shows it
    stopping what this run started
    ");
}
