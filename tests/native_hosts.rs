//! The hosts of the native engine: worlds of their own, with namespaces and without.

mod support;

use std::fs;
use std::io::Write as _;
use std::process::{Command, Stdio};
use std::time::Duration;

use insta::assert_snapshot;
use rustix::process::Signal;
use support::{InTime, NativeStack, UP, Written, eventually, processes_with, signal};

#[test]
fn a_host_is_a_world_of_its_own() {
    let stack = NativeStack::up();
    for host in ["host1", "host2"] {
        assert_eq!(stack.succeed(&["exec", host, "hostname"]).trim(), host);
        assert_eq!(
            stack.succeed(&["exec", host, "cat", "/etc/hostname"]).trim(),
            host
        );
        let users = stack.succeed(&["exec", host, "cat", "/etc/passwd"]);
        for user in ["jay", "neha", "jun"] {
            assert!(users.contains(&format!("\n{user}:x:")), "{users}");
        }
        let home = stack.world.project().join("hosts").join(host).join("home");
        let seen = stack.succeed(&["exec", host, "--", "sh", "-c", "echo $HOME; pwd"]);
        assert_eq!(seen, format!("{0}\n{0}\n", home.display()));
        stack.succeed(&["exec", host, "--", "sh", "-c", "echo hello >greeting"]);
        assert_eq!(
            fs::read_to_string(home.join("greeting")).expect("the file"),
            "hello\n"
        );
    }
    // Each sees its own processes only, and its first one is number 1.
    let commands = stack.succeed(&[
        "exec",
        "host1",
        "--",
        "sh",
        "-c",
        "cat /proc/[0-9]*/cmdline | tr '\\0' ' '",
    ]);
    assert!(
        commands.contains("host-init") && commands.contains("hosts/host1/"),
        "{commands}"
    );
    assert!(
        !commands.contains("hosts/host2/") && !commands.contains("serve broker"),
        "{commands}"
    );
    assert_ne!(
        rustix::system::uname().nodename().to_string_lossy(),
        "host1",
        "this machine keeps its name"
    );
}

#[test]
fn exec_passes_the_exit_status_on() {
    let stack = NativeStack::up();
    let code = |command: &str| {
        stack
            .world
            .output(&["exec", "host1", "--", "sh", "-c", command])
            .status
            .code()
    };
    assert_eq!(code("exit 0"), Some(0));
    assert_eq!(code("exit 42"), Some(42));
    assert_snapshot!(stack.world.run(&["exec", "host1", "no-such-command"]), @r"
    exit code: 127
    ----- stdout -----
    ----- stderr -----
    error: host1 has no command `no-such-command`
    hint: `osqdemo exec host1` is a shell there, to look around
    ");
    assert_snapshot!(stack.world.run(&["exec", "host1", "--", "/etc/passwd"]), @r"
    exit code: 126
    ----- stdout -----
    ----- stderr -----
    error: host1 cannot run `/etc/passwd`: it is no program, or may not be run
    ");
    assert_eq!(code("kill -9 $$"), Some(137), "nobody but itself");
    // Signals are the command's.
    let script = "trap 'echo asked; exit 7' TERM; echo ready; while :; do sleep 0.1; done";
    let mut running = stack
        .world
        .start(("A", "1"), &["exec", "host1", "--", "sh", "-c", script]);
    let said = Written::by(running.stdout.take().expect("its output"));
    eventually("the command runs", Duration::from_secs(20), || {
        said.text() == "ready\n"
    });
    signal(running.id(), Signal::TERM);
    assert_eq!(running.wait().expect("it ends").code(), Some(7));
    eventually("what it said", Duration::from_secs(20), || {
        said.text() == "ready\nasked\n"
    });
    // The host ends under it.
    let script = ["exec", "host1", "--", "sh", "-c", "echo ready; exec sleep 1000"];
    let mut running = stack.world.start(("A", "1"), &script);
    let said = Written::by(running.stdout.take().expect("its output"));
    eventually("the command runs", Duration::from_secs(20), || {
        said.text() == "ready\n"
    });
    stack.succeed(&["down"]);
    assert_snapshot!(stack.world.shown(&running.wait_with_output().expect("it ends")), @r"
    exit code: 16
    ----- stdout -----
    ----- stderr -----
    error: host1 was stopped by `osqdemo down`, and with it what ran on it
    hint: `osqdemo up` starts it again
    ");
    assert_eq!(code("exit 0"), Some(16), "a host that is down");
}

#[test]
fn a_command_that_its_host_asks_to_end_tells_of_the_host() {
    let stack = NativeStack::up();
    let mark = format!("MARK={}", stack.world.home().display());
    let script = format!("echo ready; exec env {mark} sleep 1000");
    let mut running = stack
        .world
        .start(("A", "1"), &["exec", "host1", "--", "sh", "-c", &script]);
    let said = Written::by(running.stdout.take().expect("its output"));
    eventually("the command runs", Duration::from_secs(20), || {
        said.text() == "ready\n" && processes_with(&mark).len() == 1
    });
    let host = stack.pid("host1");
    let command = processes_with(&mark).remove(0);
    let command = command.split(':').next().expect("its process");
    // As of a host that asks everything on it to end before it does so itself.
    signal(command.parse().expect("a number"), Signal::TERM);
    signal(host, Signal::KILL);
    let told = stack.world.shown(&running.wait_with_output().expect("it ends"));
    assert!(
        told.starts_with("exit code: 16\n") && told.contains("\nerror: host1 ended"),
        "{told}"
    );
    // One that ends so by itself is nobody's business.
    let own = ["exec", "host2", "--", "sh", "-c", "kill -TERM $$"];
    let output = stack.world.output(&own);
    assert_eq!(output.status.code(), Some(143), "{}", stack.world.shown(&output));
    assert!(output.stderr.is_empty(), "{}", stack.world.shown(&output));
}

/// The keys of a terminal reach whatever runs in its foreground, also where it reads from a pipe.
#[test]
fn ctrl_c_at_a_command_that_reads_from_a_pipe_is_one_signal() {
    let stack = NativeStack::up();
    // It goes on long enough for a second signal to come.
    let counting = "trap 'echo interrupted' INT; echo ready; \
                    for moment in 1 2 3 4 5 6 7 8 9; do sleep 0.2; done; echo over";
    let exec = stack.world.command(&[]);
    let program = exec.get_program().to_string_lossy().into_owned();
    // The shell that makes the pipe outlives the signal, and what keeps it open as well.
    let pipe = format!("trap : INT; (trap '' INT; sleep 5) | '{program}' exec host1 -- sh -c \"$COUNTING\"");
    let mut terminal = Command::new("script");
    terminal
        .args(["-qfec", &pipe, "/dev/null"])
        .env("COUNTING", counting)
        .env("SHELL", "/bin/sh")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped());
    for (name, value) in exec.get_envs() {
        match value {
            Some(value) => terminal.env(name, value),
            None => terminal.env_remove(name),
        };
    }
    let mut terminal = terminal.spawn().expect("`script` of util-linux");
    let screen = Written::by(terminal.stdout.take().expect("a screen"));
    eventually("the command runs", Duration::from_secs(20), || {
        screen.text().contains("ready")
    });
    let mut keyboard = terminal.stdin.take().expect("a keyboard");
    keyboard.write_all(b"\x03").expect("the terminal reads");
    eventually("the command is over", Duration::from_secs(20), || {
        screen.text().contains("over")
    });
    assert_eq!(
        screen.text().matches("interrupted").count(),
        1,
        "{}",
        screen.text()
    );
    drop(keyboard);
    terminal.wait().expect("it ends");
}

#[test]
fn what_runs_on_a_host_ends_with_it() {
    let stack = NativeStack::up();
    let mark = format!("MARK={}", stack.world.home().display());
    let script = format!("{mark} setsid sleep 1000 >/dev/null 2>&1 &");
    stack.succeed(&["exec", "host2", "--", "sh", "-c", &script]);
    // The shell does not wait for what it leaves in the background.
    eventually("the process is there", Duration::from_secs(5), || {
        processes_with(&mark).len() == 1
    });
    stack.succeed(&["down"]);
    eventually("the process is gone", Duration::from_secs(5), || {
        processes_with(&mark).is_empty()
    });
}

#[test]
fn hosts_work_without_namespaces() {
    let stack = NativeStack::new();
    let without = |arguments: &[&str]| {
        let mut command = stack.world.command(arguments);
        let output = command.env("OSQDEMO_NAMESPACES", "off").in_time();
        assert!(
            output.status.success(),
            "{arguments:?}: {}",
            stack.world.shown(&output)
        );
        output
    };
    let output = without(&UP);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(
        stderr.contains("warning: the hosts share this machine's namespaces"),
        "{stderr}"
    );
    without(&["wait"]);
    let mark = format!("MARK={}", stack.world.home().display());
    let script = format!("echo $HOME; {mark} setsid sleep 1000 >/dev/null 2>&1 &");
    let home = stack
        .world
        .project()
        .join("hosts/host2/home")
        .display()
        .to_string();
    let output = without(&["exec", "host2", "--", "sh", "-c", &script]);
    assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), home);
    // The shell does not wait for what it leaves in the background.
    eventually("the process is there", Duration::from_secs(5), || {
        processes_with(&mark).len() == 1
    });

    // The records of a host speak of its own processes, not of this machine's.
    let records = without(&["--json", "tail", "processes", "--from-beginning", "-n", "1"]);
    let record = String::from_utf8_lossy(&records.stdout);
    assert!(record.contains("host1") || record.contains("host2"), "{record}");

    without(&["down"]);
    eventually("the process is gone", Duration::from_secs(5), || {
        processes_with(&mark).is_empty()
    });
    stack.assert_nothing_runs();
}

#[test]
fn an_osqueryd_that_ends_at_once_is_reported() {
    let stack = NativeStack::new();
    let arguments = [&UP[..], &["--osqueryd", "/bin/false"]].concat();
    let output = stack.world.output(&arguments);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(13), "{stderr}");
    assert!(
        stderr.contains("`/bin/false` ended unasked: exit status 1"),
        "{stderr}"
    );
    assert!(!stderr.contains("remembered"), "it was typed: {stderr}");
    stack.assert_nothing_runs();
    // It is remembered, and the next error says so.
    let remembered = "hint: `--osqueryd /bin/false` is remembered from the last `up`; `osqdemo up --osqueryd auto` takes it back";
    let again = stack.world.output(&["up"]);
    let stderr = String::from_utf8_lossy(&again.stderr);
    assert_eq!(again.status.code(), Some(13), "{stderr}");
    assert_eq!(stderr.matches(remembered).count(), 1, "{stderr}");
    stack.assert_nothing_runs();

    let output = stack
        .world
        .output(&[&UP[..], &["--osqueryd", "/no/such/osqueryd"]].concat());
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{stderr}");
    assert!(
        stderr.contains("`/no/such/osqueryd` is not a program"),
        "{stderr}"
    );
}

#[test]
fn a_host_without_namespaces_is_cleared_after_the_worst() {
    let stack = NativeStack::new();
    let without = |arguments: &[&str]| {
        let mut command = stack.world.command(arguments);
        let output = command.env("OSQDEMO_NAMESPACES", "off").in_time();
        assert!(
            output.status.success(),
            "{arguments:?}: {}",
            stack.world.shown(&output)
        );
    };
    without(&UP);
    let pids = [stack.pid("host1"), stack.pid("host2")];
    // Nobody is left who could tell the agents to end.
    signal(stack.supervisor(), Signal::STOP);
    for pid in pids {
        signal(pid, Signal::KILL);
    }
    signal(stack.supervisor_by_record(), Signal::KILL);
    eventually("the platform has ended", Duration::from_secs(10), || {
        !stack.processes().iter().any(|process| process.contains("serve "))
    });
    assert!(
        stack
            .processes()
            .iter()
            .any(|process| process.contains("osqdemo-agent")),
        "{:#?}",
        stack.processes()
    );
    without(&["up"]);
    without(&["wait"]);
    let agents = stack
        .processes()
        .iter()
        .filter(|process| process.contains("osqdemo-agent"))
        .count();
    assert_eq!(agents, 2, "{:#?}", stack.processes());
    without(&["down"]);
    stack.assert_nothing_runs();
}

#[test]
fn an_unknown_way_to_keep_the_hosts_apart_is_refused() {
    let stack = NativeStack::new();
    for verb in [&UP[..], &["doctor", "--engine", "native"]] {
        insta::allow_duplicates! {
            insta::assert_snapshot!(stack.world.run_with(("OSQDEMO_NAMESPACES", "foo"), verb), @r"
            exit code: 2
            ----- stdout -----
            ----- stderr -----
            error: `foo` is not a value of the environment variable `OSQDEMO_NAMESPACES`
            hint: `off` does without namespaces; `auto`, the default, makes them where the system lets us
            ");
        }
    }
}

#[test]
fn an_osqueryd_that_was_found_and_is_gone_is_told() {
    let stack = NativeStack::new();
    let bin = tempfile::tempdir().expect("a folder");
    let osqueryd = bin.path().join("osqueryd");
    let agent = assert_cmd::cargo::cargo_bin!("osqdemo").with_file_name("osqdemo-agent");
    std::os::unix::fs::symlink(agent, &osqueryd).expect("a link");
    let path = format!(
        "{}:{}",
        bin.path().display(),
        std::env::var("PATH").expect("a PATH")
    );
    let run = |arguments: &[&str]| stack.world.run_with(("PATH", &path), arguments);
    let gone = format!(
        "`{}`, which the hosts ran, is no program any more",
        osqueryd.display()
    );
    let up = run(&UP);
    assert!(up.starts_with("exit code: 0") && !up.contains(&gone), "{up}");

    // From a shell that does not find it, the hosts go on with it.
    let running = || {
        let processes = fs::read_dir("/proc").expect("the processes").flatten();
        let lines = processes.filter_map(|process| fs::read(process.path().join("cmdline")).ok());
        let program = osqueryd.display().to_string();
        lines
            .filter(|line| line.starts_with(format!("{program}\0").as_bytes()))
            .count()
    };
    let before = running();
    assert!(before > 0, "the hosts run it");
    for verb in [&["restart", "host1"][..], &["up"]] {
        let told = stack.world.run(verb);
        assert!(
            told.starts_with("exit code: 0") && !told.contains(&gone),
            "{told}"
        );
        assert_eq!(running(), before, "{verb:?}");
    }

    // A restart tells it each time; `up` replaces the hosts, and it is no news any more.
    fs::remove_file(&osqueryd).expect("the link");
    for (verb, is_told) in [
        (&["restart", "host1"][..], true),
        (&["up"], true),
        (&["up"], false),
    ] {
        let told = run(verb);
        assert!(told.starts_with("exit code: 0"), "{told}");
        assert_eq!(told.contains(&gone), is_told, "{verb:?}: {told}");
    }
}
