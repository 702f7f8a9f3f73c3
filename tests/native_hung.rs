//! What hangs, is paused or damaged: `down` wins over all of it, and every other verb says what is in the way.

mod support;

use std::fs;
use std::io::{self, BufRead as _, BufReader, Write as _};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use insta::assert_snapshot;
use regex::Regex;
use rustix::process::Signal;
use serde_json::Value;
use support::{NativeStack, eventually, signal};

#[test]
fn a_supervisor_that_hangs_is_told_with_its_process_and_down_ends_it() {
    let stack = NativeStack::up();
    let supervisor = stack.supervisor();
    signal(supervisor, Signal::STOP);
    let said = |arguments: &[&str]| {
        stack
            .world
            .run(arguments)
            .replace(&format!("CONT {supervisor}"), "CONT [PID]")
    };
    insta::allow_duplicates! { for verb in [
        &["up"][..],
        &["restart", "broker"],
        &["exec", "host1", "true"],
        &["topics"],
        &["wait"],
    ] {
        assert_snapshot!(said(verb), @r"
        exit code: 14
        ----- stdout -----
        ----- stderr -----
        error: the supervisor of project `osqdemo` (process [PID]) does not answer: it was stopped by a signal
        hint: `kill -CONT [PID]` lets it go on
        hint: `osqdemo down` ends it and everything it looks after
        ");
    } }
    let shown = said(&["ps"]);
    assert!(shown.contains("exit code: 0"), "{shown}");
    assert!(
        shown.contains("warning: the supervisor (process [PID]) does not answer: what is shown is what it wrote down last"),
        "{shown}"
    );
    assert!(shown.contains("broker"), "{shown}");
    let down = said(&["down"]);
    assert!(down.contains("exit code: 0"), "{down}");
    assert!(
        down.contains(
            "warning: the supervisor of project `osqdemo` (process [PID]) did not answer and was killed"
        ),
        "{down}"
    );
    stack.assert_nothing_runs();
    stack.succeed(&["up"]);
}

#[test]
fn a_paused_host_is_restarted_without_its_grace() {
    let stack = NativeStack::up();
    let host = stack.pid("host1");
    // The first process of the host is the one that should end it.
    let children = fs::read_to_string(format!("/proc/{host}/task/{host}/children")).expect("its children");
    let first: u32 = children.trim().parse().expect("one child");
    signal(first, Signal::STOP);
    let log = stack.world.project().join("logs/supervisor.log");
    stack.succeed(&["restart", "host1"]);
    let log = fs::read_to_string(log).expect("the log");
    assert!(!log.contains("host1: killed"), "{log}");
}

/// A `tail` that goes on, and what it prints.
fn reading(stack: &NativeStack) -> (Child, BufReader<ChildStdout>) {
    let mut tail = stack.world.command(&["tail", "processes", "--from-beginning"]);
    let tail = tail.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut tail = tail.spawn().expect("it starts");
    let lines = BufReader::new(tail.stdout.take().expect("its output"));
    (tail, lines)
}

#[test]
fn a_paused_broker_is_named_at_once_by_who_waits_for_what_stands_on_it() {
    let stack = NativeStack::up();
    let broker = stack.pid("broker");
    // Whoever reads from it would wait without a word.
    let (reader, mut lines) = reading(&stack);
    lines.read_line(&mut String::new()).expect("a first record");
    // It is not held up by who does not read on.
    let rest = thread::spawn(move || io::copy(&mut lines, &mut io::sink()));
    signal(broker, Signal::STOP);
    let reader = reader.wait_with_output().expect("it ends");
    let told = String::from_utf8_lossy(&reader.stderr);
    rest.join().expect("it is read").expect("to its end");
    assert_eq!(reader.status.code(), Some(16), "{told}");
    assert!(
        told.contains("broker is paused: somebody stopped it without ending it"),
        "{told}"
    );
    let told = |arguments: &[&str]| {
        let began = Instant::now();
        let text = stack.world.run(arguments);
        // Far less than a host has to be healthy.
        assert!(began.elapsed() < Duration::from_secs(25), "{text}");
        assert!(text.starts_with("exit code: 14\n"), "{text}");
        assert!(
            text.contains("\nerror: broker is paused: somebody stopped it without ending it\nhint: `osqdemo up` lets it go on\n"),
            "{text}"
        );
        text
    };
    // What does not need it is as healthy as it was. Who of the others says so first is a matter of moments.
    let waited = told(&["wait"]);
    assert!(waited.contains("\nconsole: healthy\n"), "{waited}");
    // ksqlDB only says that it failed.
    let asked = stack.world.run(&["ksql", "SHOW TOPICS;"]);
    assert!(
        asked.starts_with("exit code: 16\n")
            && asked.contains(
                "\nerror: broker is paused: somebody stopped it without ending it\n  ksqlDB said: "
            )
            && asked.contains("\nhint: `osqdemo up` lets it go on\n"),
        "{asked}"
    );
    let restarted = told(&["restart", "host1"]);
    assert!(
        restarted.contains("\nhost1: failed: broker is paused: "),
        "{restarted}"
    );
    let console = stack.pid("console");
    signal(console, Signal::STOP);
    assert_snapshot!(stack.world.run(&["open", "--print"]), @r"
    exit code: 16
    ----- stdout -----
    ----- stderr -----
    error: console is paused: somebody stopped it without ending it
    hint: `osqdemo up` lets it go on
    ");
    for process in [broker, console] {
        signal(process, Signal::CONT);
    }
    stack.succeed(&["wait"]);
}

#[test]
fn files_that_a_power_cut_emptied_block_nothing() {
    let stack = NativeStack::up();
    let file = |name: &str| stack.world.project().join(name);
    // Who wrote it is still there to ask.
    fs::write(file("services.json"), "").expect("it can be written");
    let ps = stack.world.run(&["ps"]);
    assert!(
        !ps.contains("warning: ") && ps.contains("broker           running"),
        "{ps}"
    );
    let restarted = stack.world.run(&["restart", "host1"]);
    assert!(restarted.contains("exit code: 0"), "{restarted}");
    // And now does not answer.
    signal(stack.supervisor(), Signal::STOP);
    fs::write(file("services.json"), "").expect("it can be written");
    let ps = stack.world.run(&["ps"]);
    let told = "services.json` is damaged, the record of what runs (process ";
    assert!(ps.contains("exit code: 0") && ps.contains(told), "{ps}");
    for verb in [&["topics"][..], &["wait"], &["restart", "host1"]] {
        let refused = stack.world.run(verb);
        assert!(
            refused.contains("exit code: 10")
                && refused.contains("services.json` is damaged: ")
                && refused.contains("\nhint: `osqdemo down` stops what runs"),
            "{refused}"
        );
    }
    for name in ["project.json", "services.json"] {
        fs::write(file(name), "").expect("it can be written");
    }
    let up = stack.world.run(&["up"]);
    assert!(up.contains("exit code: 10"), "{up}");
    assert!(
        up.contains("hint: `osqdemo down` stops what runs; `osqdemo down --volumes` removes the project"),
        "{up}"
    );
    let ps = stack.world.run(&["ps"]);
    assert!(ps.contains("exit code: 0") && ps.contains("warning: "), "{ps}");
    let down = stack.world.run(&["down", "--all", "--volumes"]);
    let told = "services.json` was damaged, the record of what ran of project `osqdemo` (process ";
    assert!(down.contains(told), "{down}");
    assert!(
        down.contains("exit code: 0") && down.contains("project `osqdemo` is down and its data is removed"),
        "{down}"
    );
    stack.assert_nothing_runs();
    assert!(!stack.world.project().exists());
}

#[test]
fn folders_in_the_place_of_files_block_no_down() {
    let stack = NativeStack::up();
    let supervisor = stack.supervisor();
    for name in ["project.json", "services.json", "faults.json", "lock"] {
        let place = stack.world.project().join(name);
        // Not all of them are there.
        let _ = fs::remove_file(&place);
        fs::create_dir(&place).expect("a folder");
        fs::write(place.join("file"), "").expect("a file in it");
    }
    // Nobody can be asked what runs, either.
    signal(supervisor, Signal::STOP);
    let down = stack.world.run(&["down"]);
    assert!(
        down.contains("exit code: 0") && down.contains("\nproject `osqdemo` is down ("),
        "{down}"
    );
    stack.assert_nothing_runs();
    let up = stack.world.run(&["up"]);
    assert!(
        up.contains("exit code: 10") && up.contains("project.json` is damaged: it is not a file\n"),
        "{up}"
    );
    stack.succeed(&["down", "--volumes"]);
    assert!(!stack.world.project().exists());
}

#[test]
fn what_nobody_knows_of_any_more_is_told_and_ended_by_down_alone() {
    let stack = NativeStack::up();
    let remove = |name: &str| fs::remove_file(stack.world.project().join(name)).expect("it is there");
    // The first process of so many.
    let counted = Regex::new(r"process (?:\[PID\]|\d+) and (?:\d+ others|another one)").expect("a pattern");
    let said = |arguments: &[&str]| {
        let text = stack.world.run(arguments);
        counted
            .replace_all(&text, "process [PID] and others")
            .into_owned()
    };
    let down = |told: &str| {
        let text = said(&["down"]);
        stack.assert_nothing_runs();
        assert!(
            text.starts_with("exit code: 0\n")
                && text.contains(&format!(
                    "warning: nothing was on record of what ran of project `osqdemo` ({told}), and it is ended\n"
                ))
                && text.contains("\nproject `osqdemo` is down ("),
            "{text}"
        );
    };
    // Neither written down nor to be asked. The supervisor would end it all as soon as it saw that.
    let broker = stack.pid("broker");
    signal(stack.supervisor(), Signal::STOP);
    remove("services.json");
    remove("control.sock");
    insta::allow_duplicates! { for verb in [
        &["up"][..],
        &["up", "--dry-run"],
        &["exec", "host1", "true"],
        &["topics"],
        &["restart", "broker"],
        &["wait"],
        &["smoke"],
    ] {
        assert_snapshot!(said(verb), @r"
        exit code: 14
        ----- stdout -----
        ----- stderr -----
        error: process [PID] and others of project `osqdemo` run, of which nothing is on record, and for which nobody answers
        hint: only `osqdemo down` can end what runs; then `osqdemo up` starts anew
        ");
    } }
    let ps = said(&["ps"]);
    assert!(
        ps.starts_with("exit code: 0\n")
            && ps.contains(
                "warning: nothing is on record of what runs (process [PID] and others), and nobody answers for it: what is \
                 shown is what the processes tell; only `osqdemo down` can end it\n"
            ),
        "{ps}"
    );
    for service in support::SERVICES {
        let row = ps.lines().find(|line| line.starts_with(&format!("{service} ")));
        assert!(
            row.is_some_and(|row| row.contains("running, not on record")),
            "{ps}"
        );
    }
    assert_eq!(stack.pid("broker"), broker);
    assert_eq!(stack.service("broker", "restarts"), Value::Null);
    down("process [PID] and others");

    stack.succeed(&["up"]);
    // Of its supervisor nothing is left, but something that began under it: it has the project's mark, and nothing makes it
    // end by itself.
    let mut left = Command::new("sleep")
        .arg("600")
        .env("OSQDEMO_HOME", stack.world.home())
        .env("OSQDEMO_PROJECT_FOLDER", stack.world.project())
        .spawn()
        .expect("it starts");
    signal(stack.supervisor(), Signal::KILL);
    remove("services.json");
    eventually("the others are gone", Duration::from_secs(20), || {
        stack.processes().len() == 1
    });
    let up = said(&["up"]);
    assert!(
        up.starts_with("exit code: 14\n") && up.contains("error: process [PID] of project `osqdemo` runs, "),
        "{up}"
    );
    down("process [PID]");
    left.wait().expect("it has ended");

    stack.succeed(&["up"]);
    // Not even a folder. A supervisor at work finds that out by itself, sooner or later.
    signal(stack.supervisor(), Signal::STOP);
    fs::remove_dir_all(stack.world.project()).expect("it can be removed");
    let ps = said(&["ps"]);
    assert!(
        ps.starts_with("exit code: 0\n") && ps.contains("running, not on record"),
        "{ps}"
    );
    let smoke = said(&["smoke"]);
    assert!(
        smoke.starts_with("exit code: 14\n") && smoke.contains("error: process [PID] and others of project "),
        "{smoke}"
    );
    assert!(!stack.processes().is_empty(), "what runs is left alone");
    down("process [PID] and others");
    assert_snapshot!(said(&["down"]), @r"
    exit code: 0
    ----- stdout -----
    ----- stderr -----
    project `osqdemo` was not running
    ");
}

#[test]
fn a_host_whose_supervisor_was_killed_says_so() {
    let stack = NativeStack::up();
    let log = stack.world.project().join("logs/host2.log");
    signal(stack.supervisor(), Signal::KILL);
    eventually("everything ended with it", Duration::from_secs(20), || {
        stack.processes().is_empty()
    });
    assert_snapshot!(stack.world.run(&["exec", "host2", "true"]), @r"
    exit code: 16
    ----- stdout -----
    ----- stderr -----
    error: host2 is not running: the supervisor of its project (process [PID]) ended without being asked to
    hint: `osqdemo up` starts everything again; `osqdemo logs supervisor` has its last words
    ");
    let mut log = fs::OpenOptions::new().append(true).open(log).expect("a log");
    writeln!(log, "\u{1b}]0;another title\u{7}\tthe end").expect("it can be written");
    let logs = stack.world.run(&["logs", "host2"]);
    assert!(
        logs.contains("exit code: 0") && logs.contains("host2 | \\u{1b}]0;another title\\u{7}\tthe end\n"),
        "{logs}"
    );
    stack.succeed(&["up"]);
    stack.succeed(&["exec", "host2", "true"]);
}

#[test]
fn two_ups_at_once_with_other_settings() {
    let stack = NativeStack::new();
    let first = stack
        .world
        .command(&support::UP)
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it starts");
    let lock = stack.world.project().join("lock");
    eventually("the first has the project", Duration::from_secs(20), || {
        fs::read_to_string(&lock).is_ok_and(|text| text.contains(" up ") && text.ends_with('\n'))
    });
    signal(first.id(), Signal::STOP);
    let second = stack.world.run(&["up", "--without", "host2"]);
    signal(first.id(), Signal::CONT);
    assert!(second.contains("exit code: 10"), "{second}");
    let told = "another `osqdemo up` is at work on project `osqdemo`";
    assert!(second.contains(told), "{second}");
    let first = first.wait_with_output().expect("it ends");
    assert!(first.status.success(), "{}", stack.world.shown(&first));
    // The first one's settings are in force.
    assert_eq!(stack.service("host2", "state"), "running");
}
