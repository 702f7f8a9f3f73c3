//! The native engine, through the real binary: up, repairs, down, and that nothing is ever left behind. Long because
//! there are many ways to begin and to end, and each is gone from its beginning to its end.

mod support;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::panic::{self, AssertUnwindSafe};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use rustix::process::Signal;
use serde_json::Value;
use support::{
    InTime, NativeStack, SERVICES, UP, Written, eventually, processes_with, signal, two_free_ports,
};

#[test]
fn up_is_idempotent_and_down_leaves_nothing() {
    let stack = NativeStack::up();
    let processes = stack.processes();
    assert!(
        processes.len() >= 9,
        "supervisor, broker, ksqlDB and two hosts of three: {processes:#?}"
    );
    let before = stack.ps();
    let addresses = listening(&processes);
    assert!(addresses.len() >= 2, "broker and ksqlDB: {addresses:?}");
    assert!(
        addresses.iter().all(|address| address.starts_with("0100007F:")),
        "on 127.0.0.1 only: {addresses:?}"
    );

    let output = stack.world.output(&["up"]);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{stderr}");
    assert!(
        stderr.contains("nothing to do: 6 services are healthy"),
        "{stderr}"
    );
    for service in SERVICES {
        let pid = |document: &Value| {
            let services = document["services"].as_array().expect("services").clone();
            services
                .into_iter()
                .find(|entry| entry["service"] == service)
                .expect("it")["pid"]
                .clone()
        };
        assert_eq!(pid(&before), pid(&stack.ps()), "{service} is left alone");
    }
    assert!(!stderr.contains("warning:"), "{stderr}");

    // What `up` leaves alone although the pipeline stands still, it tells.
    stack.succeed(&["ksql", "TERMINATE ALL;"]);
    let output = stack.world.output(&["up"]);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{stderr}");
    assert!(
        stderr.contains("`files` is there, but its query was terminated"),
        "{stderr}"
    );

    stack.succeed(&["down"]);
    stack.assert_nothing_runs();
    assert!(stack.world.project().join("data").exists(), "data stays");
    stack.succeed(&UP);
    stack.succeed(&["down", "--volumes"]);
    assert!(!stack.world.project().exists(), "and goes with `--volumes`");
}

/// The TCP addresses that processes listen on, as the kernel writes them.
fn listening(processes: &[String]) -> Vec<String> {
    let pids = processes.iter().filter_map(|process| process.split_once(':'));
    let files = pids.flat_map(|(pid, _)| fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten());
    let sockets: Vec<String> = files
        .filter_map(|file| Some(fs::read_link(file.ok()?.path()).ok()?.display().to_string()))
        .collect();
    ["/proc/net/tcp", "/proc/net/tcp6"]
        .iter()
        .flat_map(|table| {
            let table = fs::read_to_string(table).unwrap_or_default();
            table.lines().map(str::to_owned).collect::<Vec<_>>()
        })
        .filter_map(|line| {
            let fields: Vec<&str> = line.split_whitespace().collect();
            let is_ours = sockets.contains(&format!("socket:[{}]", fields.get(9)?));
            (is_ours && fields.get(3) == Some(&"0A"))
                .then(|| fields.get(1).copied().unwrap_or_default().to_owned())
        })
        .collect()
}

#[test]
fn the_makefiles_verbs_are_those_of_the_binary() {
    let stack = NativeStack::up();
    let folder = Path::new(env!("CARGO_BIN_EXE_osqdemo"))
        .parent()
        .expect("a folder");
    // As it is when everything is built.
    let made = |verb: &str, input: &str| {
        let binary = stack.world.command(&[verb]);
        let mut make = Command::new("make");
        make.args([
            "--silent",
            "--old-file=build",
            &format!("BIN={}", folder.display()),
            verb,
        ])
        .current_dir(env!("CARGO_MANIFEST_DIR"));
        for (name, value) in binary.get_envs() {
            match value {
                Some(value) => make.env(name, value),
                None => make.env_remove(name),
            };
        }
        let output = assert_cmd::Command::from_std(make).write_stdin(input).output();
        let output = output.expect("make runs");
        let text = stack.world.shown(&output);
        assert!(output.status.success(), "make {verb}: {text}");
        text
    };
    let up = made("up", "");
    assert!(
        up.contains("6 services are healthy") && !up.contains("starting"),
        "{up}"
    );
    // What goes on meanwhile is not compared: uptimes, and the records of topics.
    let ps = made("ps", "");
    let topics = made("topics", "");
    for service in support::SERVICES {
        assert!(ps.contains(&format!("\n{service} ")), "{ps}");
    }
    assert!(topics.contains("\nprocesses "), "{topics}");
    let sources = "LIST STREAMS;";
    assert_eq!(made("ksql", sources), stack.world.run(&["ksql", sources]));
    let down = made("down", "");
    assert!(down.contains("\nproject `osqdemo` is down ("), "{down}");
    stack.assert_nothing_runs();
}

#[test]
fn a_service_that_is_killed_comes_back() {
    let stack = NativeStack::up();
    for service in ["broker", "schema-registry", "ksqldb-server", "console", "host1"] {
        let before = stack.pid(service);
        signal(before, Signal::KILL);
        eventually(&format!("{service} runs again"), Duration::from_secs(20), || {
            stack
                .service(service, "pid")
                .as_u64()
                .is_some_and(|pid| pid != u64::from(before))
        });
        assert_eq!(stack.service(service, "restarts"), 1, "{service}");
    }
    stack.succeed(&["wait"]);
}

#[test]
fn a_host_can_be_left_out_and_brought_back() {
    let stack = NativeStack::up();
    let others = || ["broker", "ksqldb-server", "host2"].map(|service| stack.pid(service));
    let (before, host1) = (others(), stack.pid("host1"));
    let plan = stack.succeed(&["up", "--without", "host1", "--dry-run"]);
    assert_eq!(plan, "1. stop host1 (left out by `without`)\n");
    stack.succeed(&["up", "--without", "host1"]);
    assert_eq!(others(), before, "the others are left alone");
    assert_eq!(stack.service("host1", "state"), "left_out");
    let is_gone = || !std::path::Path::new(&format!("/proc/{host1}")).exists();
    eventually("host1 is gone", Duration::from_secs(10), is_gone);
    stack.succeed(&["wait"]);
    let (again, doctor) = (stack.succeed(&["up", "--dry-run"]), stack.succeed(&["doctor"]));
    assert_eq!(again, "nothing to do\n", "it is remembered");
    assert!(doctor.contains("in use by this project"), "{doctor}");
    let output = stack.world.output(&["exec", "host1", "true"]);
    assert_eq!(output.status.code(), Some(2));
    stack.succeed(&["scenario", "bigfile", "--size", "1M"]);
    let output = stack.world.output(&["scenario", "bigfile", "--host", "host1"]);
    assert_eq!(output.status.code(), Some(2));

    // After a `down` it still is, until the user says otherwise.
    stack.succeed(&["down"]);
    stack.succeed(&["up"]);
    assert_eq!(stack.service("host1", "state"), "left_out");
    stack.succeed(&["up", "--without", "none"]);
    assert_eq!(stack.service("host1", "state"), "running");
    stack.succeed(&["scenario", "bigfile", "--size", "1M", "--host", "host1"]);
}

#[test]
fn restart_replaces_one_service_only() {
    let stack = NativeStack::up();
    let before = SERVICES.map(|service| stack.pid(service));
    stack.succeed(&["restart", "host2"]);
    let after = SERVICES.map(|service| stack.pid(service));
    assert_eq!(before[..5], after[..5]);
    assert_ne!(before[5], after[5]);
}

#[test]
fn a_supervisor_that_is_killed_takes_everything_along() {
    let stack = NativeStack::up();
    let supervisor = stack.supervisor();
    signal(supervisor, Signal::KILL);
    eventually(
        "its services ended by themselves",
        Duration::from_secs(20),
        || stack.processes().is_empty(),
    );

    let output = stack.world.output(&["ps"]);
    let stderr = String::from_utf8_lossy(&output.stderr);
    let told = format!("warning: the supervisor (process {supervisor}) is gone");
    assert!(
        output.status.success() && stderr.contains(&told),
        "{}",
        stack.world.shown(&output)
    );

    stack.succeed(&["up"]);
    assert_ne!(stack.supervisor(), supervisor);
    stack.succeed(&["wait"]);

    signal(stack.supervisor(), Signal::KILL);
    stack.succeed(&["down"]);
    stack.assert_nothing_runs();
}

#[test]
fn an_up_that_is_killed_can_be_repeated() {
    let stack = NativeStack::new();
    for file in ["logs/supervisor.log", "logs/broker.log", "hosts/host1/init.json"] {
        let mut up = stack.world.start(("A", "B"), &UP);
        eventually(&format!("`{file}` is there"), Duration::from_secs(20), || {
            stack.world.project().join(file).exists()
        });
        signal(up.id(), Signal::KILL);
        up.wait().expect("it ends");
        stack.succeed(&UP);
        stack.succeed(&["wait"]);
        stack.succeed(&["down"]);
        stack.assert_nothing_runs();
        fs::remove_dir_all(stack.world.project().join("logs")).expect("the logs");
        fs::remove_dir_all(stack.world.project().join("hosts")).expect("the hosts");
    }
}

#[test]
fn an_up_that_is_interrupted_leaves_nothing() {
    let stack = NativeStack::new();
    for file in [
        "project.json",
        "logs/supervisor.log",
        "logs/broker.log",
        "hosts/host1/init.json",
    ] {
        let up = stack.world.start(("A", "B"), &UP);
        eventually(&format!("`{file}` is there"), Duration::from_secs(20), || {
            stack.world.project().join(file).exists()
        });
        signal(up.id(), Signal::INT);
        let output = up.wait_with_output().expect("it ends");
        assert_eq!(
            output.status.code(),
            Some(130),
            "{file}: {}",
            stack.world.shown(&output)
        );
        stack.assert_nothing_runs();
        stack.succeed(&["down", "--volumes"]);
    }
}

#[test]
fn an_interrupted_repair_stops_only_what_it_started() {
    let stack = NativeStack::up();
    stack.succeed(&["down"]);
    // The hosts never become healthy: their osqueryd does nothing.
    let idle = stack.world.home().join("idle");
    fs::write(&idle, "#!/bin/sh\nexec sleep 1000\n").expect("a script");
    fs::set_permissions(&idle, std::os::unix::fs::PermissionsExt::from_mode(0o755)).expect("its mode");
    let idle = idle.display().to_string();
    stack.succeed(&UP);
    let broker = stack.pid("broker");
    let up = stack.world.start(("A", "B"), &["up", "--osqueryd", &idle]);
    eventually("the hosts are replaced", Duration::from_secs(20), || {
        fs::read_to_string(stack.world.project().join("hosts/host2/init.json"))
            .is_ok_and(|text| text.contains(&idle))
    });
    signal(up.id(), Signal::INT);
    let output = up.wait_with_output().expect("it ends");
    assert_eq!(output.status.code(), Some(130), "{}", stack.world.shown(&output));
    assert_eq!(stack.pid("broker"), broker, "what was there stays");
    stack.succeed(&["up", "--osqueryd", "builtin"]);
    stack.succeed(&["wait"]);
}

#[test]
fn a_service_that_cannot_run_is_reported_with_its_log() {
    let stack = NativeStack::up();
    stack.succeed(&["down"]);
    fs::write(
        stack.world.project().join("data/broker/catalog.json"),
        "not a catalog",
    )
    .expect("a file");
    let output = stack.world.output(&["up"]);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(13), "{stderr}");
    assert!(stderr.contains("error: broker ended after"), "{stderr}");
    assert!(stderr.contains("what broker wrote last:"), "{stderr}");
    assert!(stderr.contains("catalog.json"), "{stderr}");
    assert!(stderr.contains("hint: `osqdemo logs broker`"), "{stderr}");
    stack.assert_nothing_runs();
}

#[test]
fn a_port_of_another_project_is_named() {
    let stack = NativeStack::up();
    let document: Value = serde_json::from_str(&stack.succeed(&["--json", "up"])).expect("JSON");
    let address = document["endpoints"]["bootstrap_servers"]
        .as_str()
        .expect("an address");
    let port = address.rsplit_once(':').expect("a port").1;
    let output = stack
        .world
        .output(&["-p", "other", "up", "--port", &format!("broker={port}")]);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(10), "{stderr}");
    let broker = stack.pid("broker");
    let told = format!(
        "error: port {port} of broker is in use by process {broker} (`osqdemo`) of the osqdemo project `{}`",
        stack.world.project().display()
    );
    assert!(stderr.contains(&told), "{stderr}");
    assert!(
        stderr.contains(
            "hint: `osqdemo --project osqdemo down` stops that project; to keep both, `--port broker=0`"
        ),
        "{stderr}"
    );
    assert!(
        !stack.world.home().join("other").exists(),
        "nothing is left of the other project"
    );
}

#[test]
fn two_projects_run_side_by_side() {
    let stack = NativeStack::new();
    let (broker, ksqldb) = two_free_ports();
    let file = stack.world.stack_file(broker, ksqldb);
    // Both at the same moment, and both want the same ports.
    let up = ["up", "--stack-file", &file];
    let first = stack.world.start(("NO_COLOR", "1"), &up);
    let second = stack
        .world
        .start(("NO_COLOR", "1"), &[&["-p", "other"], &up[..]].concat());
    let outputs = [first, second].map(|child| child.wait_with_output().expect("it ends"));
    let mut told = String::new();
    for output in &outputs {
        assert!(output.status.success(), "{}", stack.world.shown(output));
        told.push_str(&String::from_utf8_lossy(&output.stderr));
    }
    assert_eq!(told.matches(" gets port ").count(), 4, "{told}");
    let topics = [&["topics"][..], &["-p", "other", "topics"]].map(|arguments| stack.succeed(arguments));
    assert!(
        topics.iter().all(|topics| topics.contains("processes")),
        "{topics:?}"
    );
    stack.succeed(&["-p", "other", "wait"]);
    stack.succeed(&["down"]);
    stack.succeed(&["-p", "other", "wait"]);
    stack.succeed(&["down", "--all", "--volumes"]);
    stack.assert_nothing_runs();
}

#[test]
fn a_long_path_of_the_state_is_no_obstacle() {
    let stack = NativeStack::new();
    let project = "a-project-whose-name-is-as-long-as-it-may";
    let project = &project[..40];
    let home = stack
        .world
        .home()
        .join("a-folder-with-a-name-that-is-much-too-long-for-a-socket".repeat(2));
    let run = |arguments: &[&str]| {
        let arguments = [&["-p", project], arguments].concat();
        let output = stack
            .world
            .command(&arguments)
            .env("OSQDEMO_HOME", &home)
            // The sockets are then among the temporary files.
            .env_remove("XDG_RUNTIME_DIR")
            .in_time();
        assert!(output.status.success(), "{}", stack.world.shown(&output));
    };
    run(&UP);
    let sockets = format!("/tmp/osqdemo-{}", rustix::process::getuid().as_raw());
    let mode = fs::metadata(&sockets)
        .expect("the short folder")
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o700);
    let control = |entry: fs::DirEntry| entry.file_name().to_string_lossy().ends_with("-control.sock");
    let entries = fs::read_dir(&sockets).expect("the short folder").flatten();
    assert!(entries.into_iter().any(control));
    run(&["wait"]);
    run(&["exec", "host1", "true"]);
    run(&["down", "--volumes"]);
    let left = support::processes_with(&format!("OSQDEMO_HOME={}", home.display()));
    assert!(left.is_empty(), "{left:#?}");
}

#[test]
fn logs_are_followed() {
    let stack = NativeStack::up();
    let mut follow = stack.world.start(("A", "B"), &["logs", "-f", "supervisor"]);
    signal(stack.pid("ksqldb-server"), Signal::KILL);
    eventually("ksqlDB runs again", Duration::from_secs(20), || {
        stack.service("ksqldb-server", "restarts") == 1
    });
    let written = Written::by(follow.stdout.take().expect("its output"));
    eventually("the log tells it", Duration::from_secs(20), || {
        let text = written.text();
        text.contains("ksqldb-server: process") && text.contains("ended unasked")
    });
    signal(follow.id(), Signal::INT);
    assert_eq!(follow.wait().expect("it ends").code(), Some(130));

    // Only the last lines: of each log, and of one that is followed.
    let mut follow = stack
        .world
        .start(("A", "B"), &["logs", "-f", "-n", "1", "supervisor"]);
    let written = Written::by(follow.stdout.take().expect("its output"));
    eventually("the last line is shown", Duration::from_secs(20), || {
        !written.text().is_empty()
    });
    signal(stack.pid("ksqldb-server"), Signal::KILL);
    eventually("the new lines are shown", Duration::from_secs(20), || {
        written.text().contains("ended unasked")
    });
    let before = written.text();
    let before: Vec<&str> = before
        .lines()
        .take_while(|line| !line.contains("ended unasked"))
        .collect();
    assert_eq!(before.len(), 1, "{before:?}");
    signal(follow.id(), Signal::INT);
    follow.wait().expect("it ends");
    stack.succeed(&["down"]);
    let all = stack.succeed(&["logs", "broker"]);
    let lines: Vec<&str> = all.lines().collect();
    assert!(lines.len() > 2, "{all}");
    assert_eq!(
        stack.succeed(&["logs", "broker", "--tail", "2"]),
        lines[lines.len() - 2..].join("\n") + "\n"
    );
    assert_eq!(stack.succeed(&["logs", "broker", "-n", "0"]), "");
    let of_all = stack.succeed(&["logs", "-n", "1"]);
    assert!(
        (1..=SERVICES.len() + 1).contains(&of_all.lines().count()),
        "{of_all}"
    );
}

#[test]
fn a_test_that_fails_leaves_no_project_behind() {
    let (mut entry, mut begun) = (String::new(), None);
    let failed = panic::catch_unwind(AssertUnwindSafe(|| {
        let stack = NativeStack::new();
        entry = format!("OSQDEMO_HOME={}", stack.world.home().display());
        stack.succeed(&[&["-p", "other"], &UP[..]].concat());
        // And one that is still at work.
        let mut up = stack.world.command(&UP);
        begun = up.stdout(Stdio::null()).stderr(Stdio::null()).spawn().ok();
        let lock = stack.world.project().join("lock");
        eventually("it has its project", Duration::from_secs(20), || lock.exists());
        // As a failed assertion, but without its words on standard error.
        panic::resume_unwind(Box::new("it fails"));
    }));
    assert!(failed.is_err());
    // It was asked to end, and its folder was not taken away under it.
    let ended = begun.expect("it starts").wait().expect("it ends");
    assert!(ended.success() || ended.code() == Some(143), "{ended}");
    let home = entry.trim_start_matches("OSQDEMO_HOME=");
    assert!(!fs::exists(home).expect("a parent"), "`{home}` is left");
    // By `down`, and not since the folder is gone.
    let left = processes_with(&entry);
    assert!(left.is_empty(), "{left:?}");
}
