//! What runs and what is left of it: `ps`, `logs`, `wait`, `down`, and state that is damaged or belongs to others.

use std::fs;
use std::time::Duration;

use insta::assert_snapshot;
use rustix::process::Signal;

use crate::support::{FAKE, World, eventually, signal};
use crate::system_calls::{can_watch, watch};
use crate::up;

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

/// A power cut leaves the old state or the new one: the text is on the disk before it gets its name, and its name before
/// `up` goes on.
#[test]
fn the_state_is_on_the_disk_before_it_counts() {
    if !can_watch() {
        return;
    }
    let world = World::new();
    let (output, calls) = watch(&world.command(&FAKE), "fsync,rename,renameat,renameat2");
    assert!(output.status.success(), "{}", world.shown(&output));
    let folder = world.project().canonicalize().expect("the project's folder");
    let folder = folder.display();
    let place = |what: &str| {
        let mut lines = calls.lines();
        let place = lines.position(|line| line.contains(what) && line.ends_with(" = 0"));
        place.unwrap_or_else(|| panic!("there is no `{what}` in\n{calls}"))
    };
    let text = place(&format!("{folder}/project.new>)"));
    let name = place(&format!("{folder}/project.json\""));
    let behind = calls.lines().skip(name);
    let settled = format!("{folder}>)");
    assert!(text < name, "{calls}");
    assert!(
        behind
            .take(2)
            .any(|line| line.contains("fsync(") && line.contains(&settled)),
        "{calls}"
    );
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
    let bundle = world.home().join("bundle.tar");
    let bundle = bundle.to_str().expect("a path");
    assert_snapshot!(world.run(&["-p", "typo", "bundle", "-o", bundle]), @r"
    exit code: 16
    ----- stdout -----
    ----- stderr -----
    error: there is no project `typo` in `[HOME]`
    hint: `osqdemo -p typo up` makes it
    ");
    assert!(!std::path::Path::new(bundle).exists());
    // Where none is named, it is about the machine: perhaps nothing can come up on it.
    let of_machine = world.run(&["bundle", "-o", bundle]);
    assert!(of_machine.starts_with("exit code: 0\n"), "{of_machine}");
    std::fs::remove_file(bundle).expect("it was written");
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
