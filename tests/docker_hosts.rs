//! Hosts as containers: commands on them, what they write, and the daemon that is not there.

#[path = "support/docker.rs"]
mod docker_support;
mod support;

use std::io::Write;
use std::process::{Command, Stdio};
use std::time::Duration;

use docker_support::{DockerStack, docker};
use rustix::process::Signal;
use support::{InTime, World, Written, eventually, signal};

#[test]
fn commands_run_as_if_they_were_here() {
    let Some(stack) = DockerStack::up() else { return };
    let output = stack.output(&[
        "exec",
        "host2",
        "--",
        "sh",
        "-c",
        "hostname; pwd; id -un; echo no >&2; exit 3",
    ]);
    assert_eq!(output.status.code(), Some(3));
    assert_eq!(String::from_utf8_lossy(&output.stdout), "host2\n/root\nroot\n");
    assert_eq!(String::from_utf8_lossy(&output.stderr), "no\n");

    let mut child = stack
        .command(&["exec", "host1", "--", "wc", "-c"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("it starts");
    let mut stdin = child.stdin.take().expect("its input");
    let bytes = vec![0; 1 << 20];
    stdin.write_all(&bytes).expect("it reads");
    drop(stdin);
    let output = child.wait_with_output().expect("it ends");
    assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), "1048576");

    // The users of the demo are there, and orphans are reaped.
    let users =
        "id -u jay neha jun >/dev/null && (sleep 0.1 &) ; sleep 0.5; cat /proc/[0-9]*/stat | grep -c ' Z '";
    let output = stack.output(&["exec", "host1", "--", "sh", "-c", users]);
    assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), "0", "no zombies");

    let mut child = stack
        .command(&["exec", "host1", "--", "sh", "-c", "sleep 4242 & sleep 4242"])
        .stdin(Stdio::piped())
        .spawn()
        .expect("it starts");
    let sleeps = || {
        let container = stack.container("host1");
        let lines = docker(&[
            "exec",
            &container,
            "sh",
            "-c",
            "cat /proc/[0-9]*/cmdline | tr '\\0' ' '",
        ]);
        lines.concat().matches("sleep 4242 ").count()
    };
    eventually("the command runs", Duration::from_secs(20), || sleeps() >= 2);
    signal(child.id(), Signal::INT);
    assert_eq!(child.wait().expect("it ends").code(), Some(130));
    eventually("its processes are gone", Duration::from_secs(20), || {
        sleeps() == 0
    });

    let output = stack.output(&["exec", "host1", "no-such-command"]);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!((output.status.code(), output.stdout), (Some(127), Vec::new()));
    assert!(
        stderr.starts_with("error: host1 has no command `no-such-command`\n"),
        "{stderr}"
    );

    let output = stack.output(&["exec", "broker", "true"]);
    assert_eq!(output.status.code(), Some(2), "the broker is not a host");
    let mut child = stack
        .command(&["exec", "host1", "--", "sh", "-c", "echo ready; exec sleep 1000"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it starts");
    let said = Written::by(child.stdout.take().expect("its output"));
    eventually("the command runs", Duration::from_secs(20), || {
        said.text() == "ready\n"
    });
    stack.succeed(&["down"]);
    let output = child.wait_with_output().expect("it ends");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(16), "{stderr}");
    assert!(
        stderr.contains("error: host1 was stopped by `osqdemo down`, and with it"),
        "{stderr}"
    );
    let output = stack.output(&["exec", "host1", "true"]);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(16), "{stderr}");
    assert!(stderr.contains("error: host1 is not running"), "{stderr}");
}

#[test]
fn logs_are_followed_through_a_restart() {
    let Some(stack) = DockerStack::up() else { return };
    let mut follow = stack
        .command(&["logs", "-f", "ksqldb-server", "host1"])
        .stdout(Stdio::piped())
        .spawn()
        .expect("it starts");
    let followed = Written::by(follow.stdout.take().expect("its output"));
    stack.succeed(&["restart", "ksqldb-server"]);
    let (written, _) = stack.succeed(&["logs", "ksqldb-server"]);
    assert!(!written.is_empty(), "the new container writes");
    eventually(
        "the new container's lines are followed",
        Duration::from_secs(60),
        || {
            let text = followed.text();
            text.contains("host1         | ") && written.lines().all(|line| text.contains(line))
        },
    );
    signal(follow.id(), Signal::INT);
    assert_eq!(follow.wait().expect("it ends").code(), Some(130));
}

#[test]
fn without_a_daemon_nothing_is_left_of_the_project() {
    let world = World::new();
    let output = world
        .command(&["up", "--engine", "docker"])
        .env(
            "DOCKER_HOST",
            format!("unix://{}", world.home().join("docker.sock").display()),
        )
        .in_time();
    assert_eq!(output.status.code(), Some(10), "{}", world.shown(&output));
    assert!(!world.home().join("osqdemo").exists());
}

#[test]
fn the_doctor_examines_the_daemon() {
    let world = World::new();
    let socket = format!("unix://{}", world.home().join("docker.sock").display());
    let output = world
        .command(&["doctor", "--engine", "docker"])
        .env("DOCKER_HOST", &socket)
        .in_time();
    let stdout = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(10), "{stdout}");
    assert!(
        stdout.contains("FAIL  Docker daemon: the Docker daemon at"),
        "{stdout}"
    );

    let Some(stack) = DockerStack::new() else { return };
    let output = stack.output(&["--json", "doctor", "--engine", "docker"]);
    let document: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let checks = document["checks"].as_array().expect("checks");
    for name in [
        "Docker daemon",
        "Docker API",
        "images",
        "memory",
        "clock",
        "cgroups",
        "namespaces",
        "proxy",
        "system",
        "base image",
    ] {
        let check = checks.iter().find(|check| check["name"] == name).expect(name);
        assert_eq!(check["status"], "pass", "{check}");
    }
    assert!(
        checks.iter().all(|check| check["name"] != "isolation"),
        "what only processes need is not asked"
    );
}

#[test]
fn a_project_whose_folder_is_gone_is_found_by_its_labels() {
    let Some(stack) = DockerStack::up() else { return };
    let folder = stack.world.home().join(&stack.project);
    std::fs::remove_dir_all(&folder).expect("the folder");
    stack.succeed(&["down"]);
    stack.assert_nothing_runs();
    std::fs::remove_dir_all(&folder).expect("the logs");
    assert!(!stack.labelled()[2].is_empty(), "the volumes are still there");
    stack.succeed(&["down", "--all", "--volumes"]);
    assert_eq!(stack.labelled(), [const { Vec::<String>::new() }; 3]);
}

#[test]
fn plain_compose_accepts_the_stack_file() {
    let compose: [&[&str]; 2] = [&["docker", "compose"], &["docker-compose"]];
    let is_there = |words: &&&[&str]| {
        let (program, arguments) = words.split_first().expect("a program");
        let version = Command::new(program).args(arguments).arg("version").output();
        version.is_ok_and(|output| output.status.success())
    };
    let Some(words) = compose.iter().find(is_there) else {
        assert!(
            std::env::var("CI").as_deref() != Ok("true"),
            "no Compose is installed"
        );
        let _ = writeln!(std::io::stderr(), "\n*** SKIPPED: no Compose is installed ***");
        return;
    };
    let (program, arguments) = words.split_first().expect("a program");
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/compose/lite.yaml");
    let output = Command::new(program)
        .args(arguments)
        .args(["-f", file, "config"])
        .env("BROKER_PORT", "19092")
        .in_time();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(text.contains("--advertise=127.0.0.1:19092"), "{text}");
}
