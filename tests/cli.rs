//! The command line, driven as a user drives it, on the fake engine: whole outputs, every exit code, one test
//! for each error that a user can meet.

mod support;

use std::fs;
use std::os::unix::fs::OpenOptionsExt;
use std::time::Duration;

use insta::assert_snapshot;
use rustix::process::Signal;
use serde_json::Value;
use support::{FAKE, World, a_listener, eventually, signal, two_free_ports};

fn up(more: &[&'static str]) -> Vec<&'static str> {
    FAKE.iter().chain(more).copied().collect()
}

#[test]
fn help() {
    assert_snapshot!(World::new().run(&["--help"]), @"
    exit code: 0
    ----- stdout -----
    Stand up, run and verify an osquery, Kafka and ksqlDB pipeline end to end

    Usage: osqdemo [OPTIONS] <COMMAND>

    Commands:
      up            Start what is missing, wait until everything is healthy, submit the statements
      build         Build the images of the stack
      images        List, pull, lock, save and load the images of the stack
      down          Stop everything that `up` started and leave nothing behind
      projects      List every project of this user: its state, engine, stack and ports
      ps            List the services, their state and their addresses
      logs          Show what the services wrote
      exec          Run a command on a host; a shell when none is given
      attach        Run this machine's own osqueryd beside the hosts, until Ctrl-C
      restart       Stop a service and start it again
      wait          Wait until the services are healthy
      ksql          Run ksqlDB statements; an interactive prompt when none is given
      topics        List the topics of the broker
      groups        List the groups of consumers, who is in them, and how far behind they are
      schemas       List, show and check the schemas of the Schema Registry
      top           Watch services, topics, queries and joined rows live, until Ctrl-C
      tail          Print the records of a topic as they arrive
      scenario      Run a scenario and verify its result
      chaos         Do faults to the pipeline while its hosts work, and prove that nothing is lost
      fault         Do a fault by hand and end it again, to see what becomes of the pipeline
      doctor        Check whether this machine can run the stack
      smoke         Check, start, verify and stop the whole stack in one run, for CI
      bundle        Write everything that a report of a failure needs into one file, without secrets
      open          Print the address of the user interface and open it in a browser
      config        Show the settings in force, or the schema of the settings file
      serve         Run one service of the platform in the foreground
      host-config   Print the default configuration of the hosts, to begin one of your own with
      users         List, make and forget those whom the broker lets in from other machines
      certs         Make certificates for the broker's listener for other machines
      host-package  Write what another machine needs to send its lines here: a package with a guide
      completions   Print the completion script of a shell
      man           Write the manual, a page for every verb
      help          Print this message or the help of the given subcommand(s)

    Options:
      -h, --help
              Print help (see a summary with '-h')

      -V, --version
              Print version

    Options of every verb:
      -p, --project <NAME>
              The project to work on; several can run side by side [env: OSQDEMO_PROJECT]

          --config <FILE>
              The settings file; by default `osqdemo.toml` in the current folder, if it is there [env:
              OSQDEMO_CONFIG]

          --json
              Write data and progress as JSON lines

      -q, --quiet
              Show errors only

      -v, --verbose...
              Show more; twice for debugging

    Examples:
      osqdemo up                                   everything, as processes of this machine
      osqdemo scenario bigfile                     a file on a host, followed to a joined row
      osqdemo tail processes --from-beginning -n 1 a message as it is in Kafka
      osqdemo ksql                                 the prompt of ksqlDB
      osqdemo logs host2                           what a host says, as when no line of it comes
      osqdemo down --volumes                       stops everything; nothing stays

    Exit codes:
      0    done; a scenario passed, or faults were stood
      1    internal error
      2    wrong command line, settings or input file
      10   the machine cannot run the stack (port in use, disk, no Docker, another `up`)
      11   an image could not be pulled
      12   an image could not be built
      13   a service could not be started
      14   a service was not healthy in time
      15   ksqlDB rejected a statement
      16   the stack or the service is not running
      20   the scenario failed, or faults were not stood
      21   the scenario timed out, or a part was not well again in time
      126  `exec`: the host cannot run that
      127  `exec`: the host has no such command
      130  interrupted (SIGINT)
      143  terminated (SIGTERM)

    Environment:
      OSQDEMO_HOME        the folder of all projects; by default `osqdemo` in the XDG state folder
      OSQDEMO_PROJECT     the project, as `--project`
      OSQDEMO_CONFIG      the settings file, as `--config`
      OSQDEMO_NAMESPACES  `off` runs the hosts without namespaces of their own; `auto` is the default
      DOCKER_HOST         the Docker daemon; else the current context, else a socket that is found
      OSQDEMO_IMAGE_TAG   the tag of the images that osqdemo makes; by default its version
      OSQDEMO_BUILDER     the image that `--source` compiles in; by default rust:1.95-bookworm
      BROWSER             what `open` opens the address with; by default the desktop's
      NO_COLOR            no colours
      CI                  progress as lines, also on a terminal
    ----- stderr -----
    ");
}

#[test]
fn a_signal_ends_who_waits_for_a_pipe() {
    let world = World::new();
    let pipe = world.home().join("hosts.json");
    rustix::fs::mkfifoat(rustix::fs::CWD, &pipe, rustix::fs::Mode::RWXU).expect("a pipe");
    let waiting = world.start(
        ("A", "1"),
        &up(&[
            "--host-config",
            Box::leak(pipe.display().to_string().into_boxed_str()),
        ]),
    );
    // It can be opened like this once somebody reads from it; who writes then says nothing.
    let mut writer = None;
    eventually("it waits for the pipe", Duration::from_secs(60), || {
        let mut options = fs::OpenOptions::new();
        let flags = rustix::fs::OFlags::NONBLOCK.bits().cast_signed();
        writer = options.write(true).custom_flags(flags).open(&pipe).ok();
        writer.is_some()
    });
    signal(waiting.id(), Signal::INT);
    let output = waiting.wait_with_output().expect("it ends");
    drop(writer);
    assert_eq!(output.status.code(), Some(130), "{}", world.shown(&output));
}

#[test]
fn up_shows_what_it_would_do() {
    let world = World::new();
    assert_snapshot!(world.run(&up(&["--dry-run"])), @"
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
    ");
    assert_eq!(
        fs::read_dir(world.home()).expect("the state folder").count(),
        0,
        "nothing was written"
    );
}

#[test]
fn up_twice_does_nothing_the_second_time() {
    let world = World::new();
    assert_snapshot!(world.run(&FAKE), @r"
    exit code: 0
    ----- stdout -----
    Kafka   127.0.0.1:[PORT]
    ksqlDB  http://127.0.0.1:[PORT]
    console http://127.0.0.1:[PORT]
    hosts   host1, host2
    ----- stderr -----
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
    assert_snapshot!(world.run(&FAKE), @r"
    exit code: 0
    ----- stdout -----
    Kafka   127.0.0.1:[PORT]
    ksqlDB  http://127.0.0.1:[PORT]
    console http://127.0.0.1:[PORT]
    hosts   host1, host2
    ----- stderr -----
    broker: healthy
    console: healthy
    host1: healthy
    host2: healthy
    ksqldb-server: healthy
    schema-registry: healthy
    nothing to do: 6 services are healthy
    next:
      `osqdemo scenario bigfile`                      writes a file on a host and follows it to a joined row
      `osqdemo tail processes --from-beginning -n 1`  a message as it is in Kafka
      `osqdemo ksql`                                  the prompt of ksqlDB
      `osqdemo open`                                  all of it, live, in a browser
      `osqdemo exec host2`                            a shell on host2
      `osqdemo logs host2`                            what host2 says, as when no line of it comes
      `osqdemo down`                                  stops everything; with `--volumes` nothing stays
    ");
    assert_snapshot!(world.run(&up(&["--dry-run"])), @r"
    exit code: 0
    ----- stdout -----
    nothing to do
    ----- stderr -----
    ");
}

#[test]
fn up_repairs_what_ended() {
    let world = World::new();
    world.run(&FAKE);
    world.run_with(("OSQDEMO_FAKE", "host1=exits"), &["restart", "host1"]);
    assert_snapshot!(world.run(&FAKE), @r"
    exit code: 0
    ----- stdout -----
    Kafka   127.0.0.1:[PORT]
    ksqlDB  http://127.0.0.1:[PORT]
    console http://127.0.0.1:[PORT]
    hosts   host1, host2
    ----- stderr -----
    broker: healthy
    console: healthy
    host1: starting (ended unexpectedly: exit status 3)
    host1: healthy ([TIME])
    host2: healthy
    ksqldb-server: healthy
    schema-registry: healthy
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
}

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
fn a_service_that_is_never_healthy() {
    let world = World::new();
    let never = ("OSQDEMO_FAKE", "ksqldb-server=never-healthy");
    assert_snapshot!(world.run_with(never, &up(&["--timeout", "2s"])), @"
    exit code: 14
    ----- stdout -----
    ----- stderr -----
    broker: starting (not running)
    broker: healthy ([TIME])
    console: starting (not running)
    console: healthy ([TIME])
    host1: starting (not running)
    host1: healthy ([TIME])
    host2: starting (not running)
    host2: healthy ([TIME])
    ksqldb-server: starting (not running)
    ksqldb-server: failed: was not healthy within [TIME] ([TIME])
    schema-registry: starting (not running)
    schema-registry: healthy ([TIME])
    error: ksqldb-server was not healthy within [TIME]
      probe: GET /healthcheck and /info, for [TIME]
      last answer: still starting
      what ksqldb-server wrote last:
        INFO fake service started
    hint: `osqdemo logs ksqldb-server` shows all it wrote; `osqdemo up --keep` leaves it as it is for a look; `osqdemo bundle` writes everything for a report
    stopping what this run started
    ");
    assert_snapshot!(world.run(&["ps"]), @"
    exit code: 0
    ----- stdout -----
    SERVICE          STATE    UPTIME  RESTARTS  PID  ADDRESS
    ───────────────  ───────  ──────  ────────  ───  ───────
    broker           stopped  -       -         -    -
    schema-registry  stopped  -       -         -    -
    ksqldb-server    stopped  -       -         -    -
    console          stopped  -       -         -    -
    host1            stopped  -       -         -    -
    host2            stopped  -       -         -    -
    ----- stderr -----
    ");
}

#[test]
fn a_service_that_cannot_be_started() {
    let world = World::new();
    assert_snapshot!(world.run_with(("OSQDEMO_FAKE", "broker=start-fails"), &FAKE), @r"
    exit code: 13
    ----- stdout -----
    ----- stderr -----
    broker: starting (not running)
    broker: failed: failed to start broker: its program cannot be started: told to fail ([TIME])
    error: failed to start broker: its program cannot be started: told to fail
    stopping what this run started
    ");
}

#[test]
fn a_service_that_ends_at_once_can_be_kept() {
    let world = World::new();
    let ends = ("OSQDEMO_FAKE", "broker=exits");
    assert_snapshot!(world.run_with(ends, &up(&["--keep"])), @r"
    exit code: 13
    ----- stdout -----
    ----- stderr -----
    broker: starting (not running)
    broker: failed: ended after [TIME] before it was healthy: exit status 3 ([TIME])
    error: broker ended after [TIME] before it was healthy: exit status 3
      what broker wrote last:
        INFO fake service started
        ERROR told to end
    hint: `osqdemo logs broker` shows all it wrote; `osqdemo up --keep` leaves it as it is for a look; `osqdemo bundle` writes everything for a report
    left as it is (`--keep`); `osqdemo down` stops it
    ");
    assert_snapshot!(world.run(&["ps"]), @"
    exit code: 0
    ----- stdout -----
    SERVICE          STATE                   UPTIME  RESTARTS  PID  ADDRESS
    ───────────────  ──────────────────────  ──────  ────────  ───  ───────
    broker           exited (exit status 3)  -       0         -    -
    schema-registry  stopped                 -       -         -    -
    ksqldb-server    stopped                 -       -         -    -
    console          stopped                 -       -         -    -
    host1            stopped                 -       -         -    -
    host2            stopped                 -       -         -    -
    ----- stderr -----
    ");
}

#[test]
fn what_this_version_does_not_have() {
    let world = World::new();
    assert_snapshot!(world.run(&["up", "--engine", "vagrant"]), @r"
    exit code: 2
    ----- stdout -----
    ----- stderr -----
    error: engine `vagrant` is not available in this version
    hint: use `--engine native` or `--engine docker`
    ");
    assert_snapshot!(world.run(&["up", "--stack", "cloudy"]), @"
    exit code: 2
    ----- stdout -----
    ----- stderr -----
    error: stack `cloudy` is not available in this version
    hint: use `--stack lite`, `--stack kafka`, `--stack cloud`, `--stack confluent`, `--stack confluent-8`, or a file with `--stack-file`
    ");
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
fn wrong_settings() {
    let world = World::new();
    assert_snapshot!(world.run(&up(&["--timeout", "soon"])), @r"
    exit code: 2
    ----- stdout -----
    ----- stderr -----
    error: `soon` is not a duration such as `500ms`, `30s`, `2m` or `1m30s`
    ");
    assert_snapshot!(world.run(&["--project", "Mine!", "ps"]), @r"
    exit code: 2
    ----- stdout -----
    ----- stderr -----
    error: `Mine!` cannot be a project's name: it takes 1 to 40 lower-case letters, digits, `-` and `_`, the first one a letter or a digit
    ");
    assert_snapshot!(world.run(&["restart", "zookeeper"]), @r"
    exit code: 2
    ----- stdout -----
    ----- stderr -----
    error: there is no service `zookeeper`; the services are broker, schema-registry, ksqldb-server, console, host1, host2
    ");
    assert_snapshot!(world.run(&["logs", "zookeeper"]), @r"
    exit code: 2
    ----- stdout -----
    ----- stderr -----
    error: there is no service `zookeeper`; the services are broker, schema-registry, ksqldb-server, console, host1, host2
    ");
    assert_snapshot!(world.run(&["exec", "host3", "true"]), @"
    exit code: 2
    ----- stdout -----
    ----- stderr -----
    error: there is no service `host3`; the services are broker, schema-registry, ksqldb-server, console, host1, host2
    hint: did you mean `host1` or `host2`?
    ");
    assert_snapshot!(world.run(&["exec", "broker", "true"]), @r"
    exit code: 2
    ----- stdout -----
    ----- stderr -----
    error: `broker` is not a host
    hint: the hosts are host1 and host2
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

#[test]
fn two_at_once() {
    let world = World::new();
    let never = ("OSQDEMO_FAKE", "broker=never-healthy");
    let mut first = world.start(never, &up(&["--timeout", "60s"]));
    eventually("the first `up` works", Duration::from_secs(20), || {
        fs::read_to_string(world.project().join("fake.json")).is_ok_and(|text| text.contains("broker"))
    });
    assert_snapshot!(world.run(&FAKE), @"
    exit code: 10
    ----- stdout -----
    ----- stderr -----
    error: another `osqdemo up` is at work on project `osqdemo` (process [PID])
    hint: wait until it is done, or end it with `kill [PID]`
    hint: what it was asked for is in force then; another `osqdemo up` changes what its own options name
    ");
    assert_snapshot!(world.run(&["down"]), @"
    exit code: 10
    ----- stdout -----
    ----- stderr -----
    error: another `osqdemo up` is at work on project `osqdemo` (process [PID])
    hint: wait until it is done, or end it with `kill [PID]`
    hint: what it was asked for is in force then; another `osqdemo up` changes what its own options name
    ");
    signal(first.id(), Signal::INT);
    first.wait().expect("it ends");
}

/// It would hold the project for ever.
#[test]
fn one_that_was_stopped_is_ended_by_down() {
    let world = World::new();
    let mut first = world.start(
        ("OSQDEMO_FAKE", "broker=never-healthy"),
        &up(&["--timeout", "60s"]),
    );
    eventually("the first `up` works", Duration::from_secs(20), || {
        fs::read_to_string(world.project().join("fake.json")).is_ok_and(|text| text.contains("broker"))
    });
    signal(first.id(), Signal::STOP);
    eventually("others see that it is stopped", Duration::from_secs(20), || {
        let told = world.shown(&world.output(&FAKE));
        told.contains("which was stopped") && told.contains("`osqdemo down` ends it too")
    });
    let output = world.output(&["down"]);
    let told = world.shown(&output);
    assert!(output.status.success(), "{told}");
    assert!(
        told.contains("was stopped while it worked on the project, and is ended"),
        "{told}"
    );
    first.wait().expect("it is ended");
    assert!(!world.project().join("lock").exists());
}

#[test]
fn interrupted_while_it_waits() {
    for (sent, code) in [(Signal::INT, 130), (Signal::TERM, 143)] {
        let world = World::new();
        let never = ("OSQDEMO_FAKE", "host2=never-healthy");
        let child = world.start(never, &FAKE);
        eventually("host2 is started", Duration::from_secs(20), || {
            fs::read_to_string(world.project().join("fake.json")).is_ok_and(|text| text.contains("host2"))
        });
        signal(child.id(), sent);
        let output = child.wait_with_output().expect("it ends");
        assert_eq!(output.status.code(), Some(code), "{}", world.shown(&output));
        assert!(
            !world.project().join("fake.json").exists(),
            "what was started is stopped"
        );
        assert!(!world.project().join("lock").exists());
    }
}

#[test]
fn nothing_runs() {
    let world = World::new();
    assert_snapshot!(world.run(&["ps"]), @"
    exit code: 16
    ----- stdout -----
    ----- stderr -----
    error: there is no project `osqdemo` in `[HOME]`
    hint: `osqdemo up` makes it
    ");
    assert_snapshot!(world.run(&["down"]), @r"
    exit code: 0
    ----- stdout -----
    ----- stderr -----
    project `osqdemo` was not running
    ");
    assert_snapshot!(world.run(&["wait"]), @r"
    exit code: 16
    ----- stdout -----
    ----- stderr -----
    error: project `osqdemo` is not running
    hint: start it with `osqdemo up`
    ");
    assert_snapshot!(world.run(&["restart", "broker"]), @r"
    exit code: 16
    ----- stdout -----
    ----- stderr -----
    error: project `osqdemo` is not running
    hint: start it with `osqdemo up`
    ");
    assert_snapshot!(world.run(&["exec", "host2"]), @r"
    exit code: 16
    ----- stdout -----
    ----- stderr -----
    error: host2 is not running
    hint: start it with `osqdemo up`
    ");
    assert_snapshot!(world.run(&["topics"]), @r"
    exit code: 16
    ----- stdout -----
    ----- stderr -----
    error: project `osqdemo` is not running
    hint: start it with `osqdemo up`
    ");
}

#[test]
fn down_stops_every_project() {
    let world = World::new();
    world.run(&[&["-p", "one"], &FAKE[..]].concat());
    world.run(&[&["-p", "two"], &FAKE[..]].concat());
    assert_snapshot!(world.run(&["down", "--all", "--volumes"]), @"
    exit code: 0
    ----- stdout -----
    ----- stderr -----
    broker: stopping
    broker: stopped ([TIME])
    console: stopping
    console: stopped ([TIME])
    host1: stopping
    host1: stopped ([TIME])
    host2: stopping
    host2: stopped ([TIME])
    ksqldb-server: stopping
    ksqldb-server: stopped ([TIME])
    schema-registry: stopping
    schema-registry: stopped ([TIME])
    project `one` is down and its data is removed ([TIME])
    broker: stopping
    broker: stopped ([TIME])
    console: stopping
    console: stopped ([TIME])
    host1: stopping
    host1: stopped ([TIME])
    host2: stopping
    host2: stopped ([TIME])
    ksqldb-server: stopping
    ksqldb-server: stopped ([TIME])
    schema-registry: stopping
    schema-registry: stopped ([TIME])
    project `two` is down and its data is removed ([TIME])
    ");
    assert_eq!(
        fs::read_dir(world.home()).expect("the state folder").count(),
        0,
        "nothing is left"
    );
}

#[test]
fn logs_of_a_service() {
    let world = World::new();
    world.run(&FAKE);
    assert_snapshot!(world.run(&["logs", "broker", "host1"]), @r"
    exit code: 0
    ----- stdout -----
    broker | INFO fake service started
    host1  | INFO fake service started
    ----- stderr -----
    ");
    assert_snapshot!(world.run(&["--json", "logs", "broker"]), @r#"
    exit code: 0
    ----- stdout -----
    {"schema_version":1,"service":"broker","line":"INFO fake service started"}
    ----- stderr -----
    "#);
}

#[test]
fn wait_for_services() {
    let world = World::new();
    world.run(&FAKE);
    assert_snapshot!(world.run(&["wait", "broker"]), @r"
    exit code: 0
    ----- stdout -----
    ----- stderr -----
    broker: healthy
    broker is healthy
    ");
    let never = ("OSQDEMO_FAKE", "host1=never-healthy");
    assert_snapshot!(world.run_with(never, &["wait", "--timeout", "100ms", "host1"]), @r"
    exit code: 14
    ----- stdout -----
    ----- stderr -----
    host1: failed: was not healthy within [TIME] ([TIME])
    error: host1 was not healthy within [TIME]
      probe: first record in topic `processes`, for [TIME]
      last answer: still starting
      what host1 wrote last:
        INFO fake service started
    hint: `osqdemo logs host1` shows all it wrote; `osqdemo up --keep` leaves it as it is for a look; `osqdemo bundle` writes everything for a report
    ");
}

#[test]
fn documents_for_programs() {
    let world = World::new();
    assert_snapshot!(world.run(&[&["--json"], &up(&["--dry-run"])[..]].concat()), @r#"
    exit code: 0
    ----- stdout -----
    {"schema_version":1,"project":"osqdemo","operations":[{"action":"start the supervisor","cause":"not running","after":[]},{"action":"start broker","cause":"not running","after":[0]},{"action":"start schema-registry","cause":"not running","after":[0,1]},{"action":"start ksqldb-server","cause":"not running","after":[0,1]},{"action":"start console","cause":"not running","after":[0,1]},{"action":"start host1","cause":"not running","after":[0,1]},{"action":"start host2","cause":"not running","after":[0,1]}]}
    ----- stderr -----
    "#);
    let output = world.output(&[&["--json"], &FAKE[..]].concat());
    let document: Value = serde_json::from_slice(&output.stdout).expect("one JSON document");
    assert_eq!(document["schema_version"], 1);
    assert_eq!(document["changed"], true);
    for line in String::from_utf8_lossy(&output.stderr).lines() {
        let event: Value = serde_json::from_str(line).expect("every line of the progress is JSON");
        assert_eq!(event["schema_version"], 2, "{line}");
    }
    assert_snapshot!(world.run(&["--json", "down"]), @r#"
    exit code: 0
    ----- stdout -----
    {"schema_version":1,"project":"osqdemo","stopped":6,"volumes_removed":false,"elapsed_ms":0}
    ----- stderr -----
    {"schema_version":2,"time":"[TIME]","event":"step_started","step":{"kind":"service","name":"broker"},"doing":"stopping"}
    {"schema_version":2,"time":"[TIME]","event":"step_started","step":{"kind":"service","name":"console"},"doing":"stopping"}
    {"schema_version":2,"time":"[TIME]","event":"step_started","step":{"kind":"service","name":"host1"},"doing":"stopping"}
    {"schema_version":2,"time":"[TIME]","event":"step_started","step":{"kind":"service","name":"host2"},"doing":"stopping"}
    {"schema_version":2,"time":"[TIME]","event":"step_started","step":{"kind":"service","name":"ksqldb-server"},"doing":"stopping"}
    {"schema_version":2,"time":"[TIME]","event":"step_started","step":{"kind":"service","name":"schema-registry"},"doing":"stopping"}
    {"schema_version":2,"time":"[TIME]","event":"step_finished","step":{"kind":"service","name":"broker"},"outcome":"done","result":"stopped","elapsed_ms":0}
    {"schema_version":2,"time":"[TIME]","event":"step_finished","step":{"kind":"service","name":"console"},"outcome":"done","result":"stopped","elapsed_ms":0}
    {"schema_version":2,"time":"[TIME]","event":"step_finished","step":{"kind":"service","name":"host1"},"outcome":"done","result":"stopped","elapsed_ms":0}
    {"schema_version":2,"time":"[TIME]","event":"step_finished","step":{"kind":"service","name":"host2"},"outcome":"done","result":"stopped","elapsed_ms":0}
    {"schema_version":2,"time":"[TIME]","event":"step_finished","step":{"kind":"service","name":"ksqldb-server"},"outcome":"done","result":"stopped","elapsed_ms":0}
    {"schema_version":2,"time":"[TIME]","event":"step_finished","step":{"kind":"service","name":"schema-registry"},"outcome":"done","result":"stopped","elapsed_ms":0}
    {"schema_version":2,"time":"[TIME]","event":"note","note":"down","project":"osqdemo","data_removed":false,"elapsed_ms":0}
    "#);
    assert_snapshot!(world.run(&["--json", "wait"]), @r#"
    exit code: 16
    ----- stdout -----
    ----- stderr -----
    {"schema_version":2,"time":"[TIME]","event":"failed","exit_code":16,"error":"project `osqdemo` is not running","causes":[],"details":[],"hints":["start it with `osqdemo up`"]}
    "#);
}

#[test]
fn a_wrong_command_line_is_told_to_programs_as_json() {
    let world = World::new();
    assert_snapshot!(world.run(&["--json", "tail"]), @r#"
    exit code: 2
    ----- stdout -----
    ----- stderr -----
    {"schema_version":2,"time":"[TIME]","event":"failed","exit_code":2,"error":"the following required arguments were not provided: <TOPIC>","causes":[],"details":["Usage: osqdemo tail <TOPIC>"],"hints":["`--help` tells more"]}
    "#);
    let output = world.output(&["up", "--prot", "broker=0", "--json"]);
    let failed: Value = serde_json::from_slice(&output.stderr).expect("one JSON object");
    assert_eq!(failed["error"], "unexpected argument '--prot' found");
    assert_eq!(output.status.code(), Some(2));
    // Help is asked for, and is no error.
    let output = world.output(&["--json", "up", "--help"]);
    assert!(output.status.success() && output.stderr.is_empty());
    assert!(String::from_utf8_lossy(&output.stdout).contains("Usage: osqdemo up"));
    // For people it stays as it is written for them.
    let output = world.output(&["tail"]);
    assert!(String::from_utf8_lossy(&output.stderr).starts_with("error: the following required arguments"));
}

#[test]
fn a_damaged_state_file() {
    let world = World::new();
    fs::create_dir(world.project()).expect("the project's folder");
    fs::write(world.project().join("project.json"), "{").expect("a file");
    assert_snapshot!(world.run(&["ps"]), @"
    exit code: 0
    ----- stdout -----
    SERVICE          STATE    UPTIME  RESTARTS  PID  ADDRESS
    ───────────────  ───────  ──────  ────────  ───  ───────
    broker           stopped  -       -         -    -
    schema-registry  stopped  -       -         -    -
    ksqldb-server    stopped  -       -         -    -
    console          stopped  -       -         -    -
    host1            stopped  -       -         -    -
    host2            stopped  -       -         -    -
    ----- stderr -----
    warning: `[HOME]/osqdemo/project.json` is damaged: EOF while parsing an object at line 1 column 1; project `osqdemo` is shown and stopped all the same, as far as can be told without it
    ");
}

#[test]
fn a_closed_pipe_is_no_error() {
    let world = World::new();
    let mut child = world.start(("A", "B"), &["completions", "bash"]);
    drop(child.stdout.take());
    let output = child.wait_with_output().expect("it ends");
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    assert_eq!(output.status.code(), Some(0));
}

/// A kill, or a power cut, before a project's first file was whole.
#[test]
fn a_project_that_was_only_begun_is_ours() {
    let world = World::new();
    let begin = || {
        fs::create_dir_all(world.project()).expect("a folder");
        fs::write(world.project().join("project.new"), "{\"schema").expect("a file");
        fs::write(world.project().join("lock"), "999999999 up\n").expect("a file");
    };
    begin();
    let up = world.run(&FAKE);
    assert!(up.starts_with("exit code: 0\n"), "{up}");
    world.run(&["down", "--volumes"]);
    assert!(!world.project().exists());
    begin();
    let down = world.run(&["down", "--volumes"]);
    assert!(down.starts_with("exit code: 0\n"), "{down}");
    assert!(!world.project().exists(), "{down}");
}

#[test]
fn folders_of_others_are_left_alone() {
    let world = World::new();
    let file = world.project().join("thesis.txt");
    fs::create_dir(world.project()).expect("a folder");
    fs::write(&file, "years of work").expect("a file");
    assert_snapshot!(world.run(&FAKE), @r"
    exit code: 10
    ----- stdout -----
    ----- stderr -----
    error: `[HOME]/osqdemo` is not a project of osqdemo: it holds other files
    hint: choose another `--project`, or another `OSQDEMO_HOME`
    ");
    assert_snapshot!(world.run(&["down", "--volumes"]), @r"
    exit code: 10
    ----- stdout -----
    ----- stderr -----
    error: `[HOME]/osqdemo` is not a project of osqdemo: it holds other files
    hint: choose another `--project`, or another `OSQDEMO_HOME`
    ");
    assert_snapshot!(world.run(&["down", "--volumes", "--all"]), @r"
    exit code: 0
    ----- stdout -----
    ----- stderr -----
    no projects in `[HOME]`
    ");
    assert!(file.exists());
}

#[test]
fn a_host_configuration_is_checked_before_anything_happens() {
    let world = World::new();
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("my.json");
    let run = |text: &str| {
        fs::write(&path, text).expect("a file");
        let path = path.display().to_string();
        let arguments = [&FAKE[..], &["--host-config", &path]].concat();
        world.run(&arguments).replace(&path, "[FILE]")
    };
    assert_snapshot!(run("{\n  \"config\": {\n"), @r"
    exit code: 2
    ----- stdout -----
    ----- stderr -----
    error: the host configuration is not JSON: [FILE]:3:0: EOF while parsing an object
    hint: look for a missing comma, quote or bracket just before that place; osquery's JSON has comments, but no comma after the last item
    ");
    assert_snapshot!(run(r#"{"config": {}, "topic": "t", "source": {"schedule": {"a": {"query": "select 1"}}}}"#), @r"
    exit code: 2
    ----- stdout -----
    ----- stderr -----
    error: the host configuration `[FILE]` is unusable: `source.schedule.processes` must be there: by its lines osqdemo sees that a host is healthy
    hint: `osqdemo host-config` prints the default one, to begin with
    ");
    assert_snapshot!(world.run(&up(&["--host-config", "/no/such.json"])), @r"
    exit code: 2
    ----- stdout -----
    ----- stderr -----
    error: failed to read the host configuration `/no/such.json`: No such file or directory (os error 2)
    hint: `osqdemo host-config` prints the default one, to begin with
    ");
    assert!(!world.project().exists(), "nothing is left of the project");

    // The default is one of one's own, too.
    let default = world.output(&["host-config"]);
    assert!(run(&String::from_utf8_lossy(&default.stdout)).starts_with("exit code: 0"));
    assert_eq!(
        default.stdout,
        include_bytes!("../hosts/image/osqdemo.json"),
        "it is printed as it is"
    );
}
