//! `up`: what it does, shows, repairs and takes back.

use std::fs;
use std::os::unix::fs::OpenOptionsExt;
use std::time::Duration;

use insta::assert_snapshot;
use rustix::process::Signal;

use crate::support::{FAKE, World, eventually, signal};
use crate::up;

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
    // It wins over whatever is at work.
    let down = world.run(&["down"]);
    assert!(down.starts_with("exit code: 0\n"), "{down}");
    assert!(
        down.contains("`osqdemo up` (process [PID]) is at work on the project, and is ended"),
        "{down}"
    );
    assert_eq!(first.wait().expect("it ends").code(), Some(143));
    assert!(!world.project().join("lock").exists());
    assert!(!world.project().join("fake.json").exists());
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
        include_bytes!("../../hosts/image/osqdemo.json"),
        "it is printed as it is"
    );
}

/// Lines in Avro stand and fall with the registry.
#[test]
fn avro_wants_a_registry() {
    let world = World::new();
    let ports = [
        "up",
        "--engine",
        "fake",
        "--port",
        "broker=0",
        "--port",
        "ksqldb-server=0",
        "--port",
        "console=0",
    ];
    assert_snapshot!(world.run(&[&ports[..], &["--format", "avro", "--without", "schema-registry"]].concat()), @r"
    exit code: 2
    ----- stdout -----
    ----- stderr -----
    error: the format `avro` needs a schema registry, and the stack has none, or it is left out
    hint: `--without none` leaves nothing out, `schema.registry.url` in the file of `--kafka-config` names one elsewhere, and `--format json` needs none
    ");
    let never = ("OSQDEMO_FAKE", "schema-registry=never-healthy");
    let late = world.run_with(never, &up(&["--format", "avro", "--timeout", "2s"]));
    assert!(late.starts_with("exit code: 14\n"), "{late}");
    assert!(
        late.contains("error: schema-registry was not healthy within"),
        "{late}"
    );
    world.run(&["down", "--volumes"]);
    let without = world.run(&[&ports[..], &["--without", "schema-registry"]].concat());
    assert!(without.starts_with("exit code: 0\n"), "{without}");
    for verb in [&["schemas"][..], &["schemas", "show", "processes-value"]] {
        insta::allow_duplicates! {
            assert_snapshot!(world.run(verb), @r"
            exit code: 16
            ----- stdout -----
            ----- stderr -----
            error: service `schema-registry` is left out
            hint: `osqdemo up --without none` brings it back
            ");
        }
    }
}
