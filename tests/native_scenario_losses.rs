//! A scenario that loses the ground under its feet says at once what happened: one cause, one exit code, a hint.

mod support;

use std::fs;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use rustix::process::Signal;
use support::{NativeStack, eventually, signal};

/// Far less than the scenario's own minute.
const AT_ONCE: Duration = Duration::from_secs(30);

fn home(stack: &NativeStack) -> PathBuf {
    stack.world.project().join("hosts/host2/home")
}

fn files(stack: &NativeStack) -> Vec<String> {
    let Ok(entries) = fs::read_dir(home(stack)) else {
        return Vec::new();
    };
    let names = entries
        .flatten()
        .map(|entry| entry.file_name().to_string_lossy().into_owned());
    names.filter(|name| name.starts_with("myfile")).collect()
}

/// A scenario whose writer writes for minutes.
fn scenario(stack: &NativeStack) -> Child {
    // Not one that an earlier run has left.
    let before = files(stack);
    let space = rustix::fs::statvfs(home(stack).as_path()).expect("a file system");
    let size = (space.f_bavail * space.f_frsize / 2).min(64 << 30).to_string();
    let child = stack
        .world
        .command(&["scenario", "bigfile", "--timeout", "5m", "--size", &size])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary runs");
    eventually("the file is being written", Duration::from_secs(60), || {
        files(stack).iter().any(|file| !before.contains(file)) && writer(stack).is_some()
    });
    child
}

/// The process that has the file of the scenario open.
fn writer(stack: &NativeStack) -> Option<u32> {
    let home = home(stack);
    for process in fs::read_dir("/proc").expect("the processes").flatten() {
        let open = fs::read_dir(process.path().join("fd"))
            .into_iter()
            .flatten()
            .flatten();
        for descriptor in open {
            let is_file = fs::read_link(descriptor.path())
                .is_ok_and(|file| file.starts_with(&home) && file.to_string_lossy().contains("myfile"));
            if is_file && let Ok(pid) = process.file_name().to_string_lossy().parse() {
                return Some(pid);
            }
        }
    }
    None
}

/// The process of host2 that looks at it.
fn osqueryd(stack: &NativeStack) -> u32 {
    let is_osqueryd = |process: &&String| process.contains("--flagfile=") && process.contains("/host2/");
    let processes = stack.processes();
    let found = processes.iter().find(is_osqueryd).expect("an osqueryd");
    found
        .split(':')
        .next()
        .and_then(|pid| pid.parse().ok())
        .expect("a pid")
}

/// What the scenario ended with: exit code and the lines about why.
fn told(stack: &NativeStack, child: Child, since: Instant) -> (i32, String) {
    let output: Output = child.wait_with_output().expect("it ends");
    assert!(since.elapsed() < AT_ONCE, "it took {:?}", since.elapsed());
    let text = stack.world.shown(&output);
    let lines = text
        .lines()
        .filter(|line| line.starts_with("error: ") || line.starts_with("hint: "));
    (
        output.status.code().expect("a code"),
        lines.collect::<Vec<_>>().join("\n"),
    )
}

const UP_AGAIN: &str = "hint: `osqdemo up` starts what is missing; then run the scenario again";

#[test]
fn down_and_restart_and_kills_each_have_their_words() {
    let stack = NativeStack::up();

    let running = scenario(&stack);
    let began = Instant::now();
    stack.succeed(&["down"]);
    assert_eq!(
        told(&stack, running, began),
        (
            16,
            format!("error: host2 was stopped by `osqdemo down`\n{UP_AGAIN}")
        )
    );

    stack.succeed(&["up"]);
    let running = scenario(&stack);
    let began = Instant::now();
    stack.succeed(&["restart", "host2"]);
    let (code, text) = told(&stack, running, began);
    assert_eq!(code, 16, "{text}");
    let restarted = [
        format!("error: host2 was stopped by `osqdemo restart`\n{UP_AGAIN}"),
        "error: host2 was restarted\nhint: run the scenario again, and leave host2 alone meanwhile"
            .to_owned(),
    ];
    assert!(restarted.contains(&text), "{text}");

    let running = scenario(&stack);
    let began = Instant::now();
    signal(stack.pid("host2"), Signal::KILL);
    let (code, text) = told(&stack, running, began);
    assert_eq!(code, 16, "{text}");
    assert!(text.starts_with("error: host2 ended"), "{text}");
    stack.succeed(&["wait"]);

    let running = scenario(&stack);
    let began = Instant::now();
    signal(writer(&stack).expect("somebody writes"), Signal::KILL);
    assert_eq!(
        told(&stack, running, began),
        (
            20,
            "error: host2 failed to write the file: killed by signal 9 (SIGKILL)\n\
             hint: run the scenario again; nobody else may end its process"
                .to_owned()
        )
    );

    let running = scenario(&stack);
    let began = Instant::now();
    signal(writer(&stack).expect("somebody writes"), Signal::STOP);
    let (code, text) = told(&stack, running, began);
    assert_eq!(code, 16, "{text}");
    assert!(
        text.starts_with(
            "error: the process that writes the file on host2 (there process [PID]) is paused: "
        ) && text.ends_with(
            "\nhint: its file is removed; run the scenario again, and leave its process alone meanwhile"
        ),
        "{text}"
    );
    assert_eq!(files(&stack), [""; 0], "nothing is left");

    // What is paused in the midst of it; of the host, only its osqueryd is.
    let services = ["broker", "ksqldb-server"].map(|service| (service, stack.pid(service)));
    for (service, process) in services.into_iter().chain([("host2", osqueryd(&stack))]) {
        let running = scenario(&stack);
        let began = Instant::now();
        signal(process, Signal::STOP);
        let told = told(&stack, running, began);
        signal(process, Signal::CONT);
        assert_eq!(
            told,
            (
                16,
                format!(
                    "error: {service} is paused: somebody stopped it without ending it\n\
                     hint: `osqdemo up` lets it go on; then run the scenario again"
                )
            )
        );
    }
    stack.succeed(&["wait"]);

    let supervisor = stack.supervisor();
    let running = scenario(&stack);
    let began = Instant::now();
    signal(supervisor, Signal::STOP);
    let (code, text) = told(&stack, running, began);
    signal(supervisor, Signal::CONT);
    assert_eq!(
        (code, text.replace(&format!("CONT {supervisor}"), "CONT [PID]")),
        (
            14,
            "error: host2 is out of reach: the supervisor (process [PID]) does not answer\n\
             hint: `kill -CONT [PID]` lets it go on where it was stopped; then run the scenario again\n\
             hint: `osqdemo down` ends it and everything it looks after"
                .to_owned()
        )
    );
    stack.succeed(&["wait"]);

    let running = scenario(&stack);
    let began = Instant::now();
    signal(supervisor, Signal::KILL);
    let (code, text) = told(&stack, running, began);
    assert_eq!(
        (code, text),
        (
            16,
            format!(
                "error: host2 ended with the supervisor (process [PID]), which was not asked to end\n{UP_AGAIN}"
            )
        )
    );
}

#[test]
fn what_a_killed_scenario_left_goes_with_the_next_one() {
    let stack = NativeStack::up();
    let mine = home(&stack).join("myfile");
    fs::write(&mine, "mine").expect("a file");
    let mut running = scenario(&stack);
    running.kill().expect("it can be killed");
    running.wait().expect("it ends");
    let output = stack.world.output(&["scenario", "bigfile", "--size", "1M"]);
    let text = stack.world.shown(&output);
    assert!(output.status.success(), "{text}");
    assert!(
        text.contains("removed from host2 what a killed scenario had left: `myfile-"),
        "{text}"
    );
    assert_eq!(files(&stack), ["myfile"]);
}

#[test]
fn ksqldb_may_be_restarted_in_a_scenarios_first_second() {
    let stack = NativeStack::up();
    let start = || {
        stack
            .world
            .command(&["scenario", "bigfile", "--size", "1M"])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the binary runs")
    };
    let restart = || -> Command { stack.world.command(&["restart", "ksqldb-server"]) };
    // The restart first, so that the scenario begins in the midst of it; then the other way round.
    let mut restarting = restart().stderr(Stdio::null()).spawn().expect("it starts");
    let lock = stack.world.project().join("lock");
    eventually("the restart is at work", Duration::from_secs(20), || {
        lock.exists()
    });
    let within = start();
    assert!(restarting.wait().expect("it ends").success());
    let before = within.wait_with_output().expect("it ends");
    assert!(before.status.success(), "{}", stack.world.shown(&before));
    let begun = start();
    assert!(
        restart()
            .stderr(Stdio::null())
            .status()
            .expect("it ends")
            .success()
    );
    let after = begun.wait_with_output().expect("it ends");
    assert!(after.status.success(), "{}", stack.world.shown(&after));
}
