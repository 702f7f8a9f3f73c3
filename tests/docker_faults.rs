//! What `up` says of containers that fail, and what is left of them for a look.

#[path = "support/docker.rs"]
mod docker_support;
mod support;

use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use docker_support::{DockerStack, docker, pause};
use serde_json::Value;
use support::eventually;

/// `up` of stack `lite` with a broker whose part of the file reads otherwise.
fn up(stack: &DockerStack, changes: &[(&str, &str)], more: &[&str]) -> Output {
    let mut text = include_str!("../compose/lite.yaml").to_owned();
    for (old, new) in changes {
        assert!(text.contains(old), "`{old}` is not in the stack file");
        // The broker is the first service.
        text = text.replacen(old, new, 1);
    }
    let file = stack.world.home().join("stack.yaml");
    std::fs::write(&file, text).expect("a file");
    let file = file.display().to_string();
    stack.output(&[&stack.up_arguments()[..], &["--stack-file", &file], more].concat())
}

/// The broker runs this script of a shell, which has the broker's arguments.
fn runs(script: &str) -> (&'static str, String) {
    let old = "    command:\n      - serve\n";
    (old, format!("    entrypoint: [sh, -c, '{script}', sh]\n{old}"))
}

#[test]
fn a_container_that_was_killed_for_its_memory_is_reported_as_that() {
    let Some(stack) = DockerStack::new() else { return };
    // `tail` keeps a line until it ends, and this one never does.
    let (old, new) = runs("echo taking memory; exec tail /dev/zero");
    let changes = [(old, new.as_str()), ("mem_limit: 512m", "mem_limit: 24m")];
    let output = up(&stack, &changes, &[]);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(13), "{stderr}");
    for said in [
        "before it was healthy: killed by the kernel: it used more memory than its limit of 24 MiB (exit status 137)\n",
        "what broker wrote last:\n    taking memory\n",
        "hint: give `broker` a larger `mem_limit` in the stack file\n",
    ] {
        assert!(stderr.contains(said), "`{said}` is not in {stderr}");
    }
    stack.assert_nothing_runs();
    let (stdout, _) = stack.succeed(&["logs", "broker"]);
    assert!(
        stdout.contains("taking memory"),
        "what it wrote outlives it: {stdout}"
    );

    // With a process between, whose own end has another status.
    let (old, new) = runs("tail /dev/zero; exit 3");
    let changes = [(old, new.as_str()), ("mem_limit: 512m", "mem_limit: 24m")];
    let output = up(&stack, &changes, &[]);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(
        stderr.contains("more memory than its limit of 24 MiB (exit status 3)"),
        "{stderr}"
    );
}

#[test]
fn a_container_that_crashed_once_and_then_became_healthy_is_healthy() {
    let Some(stack) = DockerStack::new() else { return };
    let (old, new) =
        runs("mkdir /tmp/once && { echo crashing this once >&2; exit 3; }; exec osqdemo \"$$@\"");
    // What a container remembers of its first life is in its own layer.
    let writable = ("    read_only: true\n    tmpfs: [/tmp]\n", "");
    let output = up(&stack, &[(old, &new), writable], &[]);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{stderr}");
    // Once, whether somebody saw it or the engine had mended it by then.
    let told = |text: &str| text.matches("warning: broker ended (exit status 3) and ").count();
    assert_eq!(told(&stderr), 1, "{stderr}");
    assert_eq!(stack.service("broker", "restarts"), 1);
    let (_, stderr) = stack.succeed(&["ps"]);
    assert_eq!(told(&stderr), 1, "{stderr}");
    assert!(stderr.contains("was started again"), "{stderr}");
    stack.succeed(&["scenario", "bigfile", "--size", "1M"]);

    // Both lives are in the log, also once the container is gone, and once there is another one.
    let lives = |log: &str| {
        (
            log.matches("crashing this once").count(),
            log.matches("listener=host").count(),
        )
    };
    let whole = stack.succeed(&["logs", "broker"]).0;
    assert_eq!(lives(&whole), (1, 1));
    let last = |count: &str| stack.succeed(&["logs", "-n", count, "broker"]).0;
    assert!(
        last("2")
            .lines()
            .eq(whole.lines().skip(whole.lines().count() - 2)),
        "{whole}"
    );
    stack.succeed(&["down"]);
    let whole = stack.succeed(&["logs", "broker"]).0;
    assert!(
        last("2")
            .lines()
            .eq(whole.lines().skip(whole.lines().count() - 2)),
        "{whole}"
    );
    let (log, _) = stack.succeed(&["logs", "broker", "host1"]);
    assert_eq!(lives(&log), (1, 1));
    assert!(log.contains("INFO ended; lines: "), "up to its last words: {log}");
    stack.succeed(&["up"]);
    assert_eq!(lives(&stack.succeed(&["logs", "broker"]).0), (2, 2));
}

#[test]
fn keep_keeps_the_wreck() {
    let Some(stack) = DockerStack::new() else { return };
    let (old, new) = runs("echo it will not do; exit 3");
    let output = up(&stack, &[(old, &new)], &["--keep"]);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(13), "{stderr}");
    assert!(
        stderr.contains("error: broker ended after") && stderr.contains("left as it is (`--keep`)"),
        "{stderr}"
    );
    assert_eq!(stack.service("broker", "state"), "exited");
    assert_eq!(stack.service("broker", "detail"), "exited (exit status 3)");
    let format = "{{.State.Status}}";
    let container = stack.container("broker");
    assert_eq!(docker(&["inspect", "--format", format, &container]), ["exited"]);
    // It was tried once more, and not again and again.
    let (stdout, _) = stack.succeed(&["logs", "broker"]);
    assert_eq!(stdout.matches("it will not do").count(), 2, "{stdout}");

    // What is wrong is put right, and only the broker is made anew.
    let network = stack.labelled()[1].clone();
    let output = up(&stack, &[], &[]);
    assert!(output.status.success(), "{}", stack.world.shown(&output));
    assert_eq!(stack.labelled()[1], network);
    let (stdout, _) = stack.succeed(&["logs", "broker"]);
    assert!(
        stdout.contains("it will not do") && stdout.contains("listener=host"),
        "the wreck's log is kept: {stdout}"
    );
}

#[test]
fn a_container_lost_in_the_midst_of_a_scenario_is_named() {
    let Some(stack) = DockerStack::up() else { return };
    for (action, service, cause) in [
        (
            "pause",
            "ksqldb-server",
            "is paused: somebody stopped it without ending it",
        ),
        ("kill", "broker", "ended: killed by signal 9 (SIGKILL)"),
        ("kill", "host2", "ended: killed by signal 9 (SIGKILL)"),
    ] {
        // What the round before did is repaired.
        stack.succeed(&["up"]);
        let host = stack.container("host2");
        // So slow that the file is not whole before the fault, on whatever disk.
        docker(&["update", "--cpus", "0.1", &host]);
        let mut scenario = stack.command(&["scenario", "bigfile", "--timeout", "5m", "--size", "1G"]);
        scenario.stdout(Stdio::piped()).stderr(Stdio::piped());
        let running = scenario.spawn().expect("it starts");
        eventually("the file is being written", Duration::from_secs(120), || {
            let mut look = Command::new("docker");
            look.args(["exec", &host, "sh", "-c", "ls /root/myfile-*"]);
            look.output().is_ok_and(|found| found.status.success())
        });
        let container = stack.container(service);
        match action {
            "pause" => pause(&container),
            _ => drop(docker(&[action, &container])),
        }
        let began = Instant::now();
        let output = running.wait_with_output().expect("it ends");
        let text = stack.world.shown(&output);
        // Far less than its own five minutes.
        assert!(began.elapsed() < Duration::from_secs(120), "{text}");
        assert_eq!(output.status.code(), Some(16), "{text}");
        assert!(
            text.contains(&format!("\nerror: {service} {cause}\n")) && text.contains("\nhint: "),
            "{text}"
        );
    }
}

#[test]
fn a_container_that_comes_back_is_waited_for() {
    let Some(stack) = DockerStack::up() else { return };
    let pid = docker(&[
        "inspect",
        "--format",
        "{{.State.Pid}}",
        &stack.container("ksqldb-server"),
    ])
    .concat();
    support::signal(pid.parse().expect("a pid"), rustix::process::Signal::KILL);
    // Right away: the daemon is only just starting it again.
    stack.succeed(&["wait", "ksqldb-server"]);
    let document: Value = stack.service("ksqldb-server", "restarts");
    assert_eq!(document, 1);
}
