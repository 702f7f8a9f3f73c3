//! What goes wrong on a machine: a full disk, an osqueryd that does not want to end, an impatient user, a user
//! who is not root, a state folder that vanishes. Long because each is a mishap of its own, from `up` to what it leaves.

mod support;

use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process_group};
use serde_json::Value;
use support::{InTime, NativeStack, PLATFORM, UP, World, eventually, processes_with, signal};

/// A program in the place of osqueryd that does nothing, and when it is asked to end writes a line into `asked`.
fn stubborn(folder: &Path) -> String {
    let path = folder.join("stubborn");
    let asked = folder.join("asked");
    let script = format!(
        "#!/bin/sh\ntrap 'echo >>{}' TERM\nwhile :; do sleep 1; done\n",
        asked.display()
    );
    fs::write(&path, script).expect("a script");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("its mode");
    path.display().to_string()
}

#[test]
fn a_second_signal_does_not_wait() {
    let stack = NativeStack::new();
    let osqueryd = stubborn(stack.world.home());
    let up = stack
        .world
        .start(("A", "B"), &[&UP[..], &["--osqueryd", &osqueryd]].concat());
    // They sleep only once they have set their trap.
    eventually("the hosts run", Duration::from_secs(20), || {
        stack
            .processes()
            .iter()
            .filter(|process| process.contains("sleep 1"))
            .count()
            == 2
    });
    signal(up.id(), Signal::INT);
    let asked = stack.world.home().join("asked");
    eventually("both are asked to end", Duration::from_secs(20), || {
        fs::read_to_string(&asked).is_ok_and(|text| text.lines().count() >= 2)
    });
    // A shell that is about to sleep is there twice for a moment.
    eventually("the first signal is patient", Duration::from_secs(20), || {
        let processes = stack.processes();
        let shells = processes.iter().filter(|process| process.contains("/bin/sh "));
        shells.count() == 2
    });
    let began = Instant::now();
    signal(up.id(), Signal::INT);
    let output = up.wait_with_output().expect("it ends");
    assert_eq!(output.status.code(), Some(130), "{}", stack.world.shown(&output));
    assert!(
        began.elapsed() < Duration::from_secs(5),
        "it took {:?}",
        began.elapsed()
    );
    stack.assert_nothing_runs();
}

#[test]
fn ctrl_c_is_for_up_and_not_for_the_supervisor_that_has_just_begun() {
    let stack = NativeStack::new();
    let mut up = stack.world.command(&UP);
    let up = up.process_group(0).stdout(Stdio::piped()).stderr(Stdio::piped());
    let up = up.spawn().expect("it starts");
    // No pause between the looks: what is tried is the supervisor's first moment.
    let limit = Instant::now() + Duration::from_secs(20);
    while !stack
        .processes()
        .iter()
        .any(|process| process.contains(" supervise"))
    {
        assert!(Instant::now() < limit, "there is no supervisor");
    }
    // What a terminal does: a signal to everybody in the foreground.
    let group = Pid::from_raw(i32::try_from(up.id()).expect("a pid")).expect("a pid");
    kill_process_group(group, Signal::INT).expect("the group can be signalled");
    let output = up.wait_with_output().expect("it ends");
    assert_eq!(output.status.code(), Some(130), "{}", stack.world.shown(&output));
    stack.assert_nothing_runs();
}

#[test]
fn an_osqueryd_that_does_not_end_is_killed() {
    let stack = NativeStack::new();
    let osqueryd = stubborn(stack.world.home());
    let output = stack
        .world
        .output(&[&UP[..], &["--osqueryd", &osqueryd, "--timeout", "10s"]].concat());
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(14), "{stderr}");
    assert!(stderr.contains("was not healthy within 10.0 s"), "{stderr}");
    assert!(
        stderr.contains("probe: first record in topic `processes`"),
        "{stderr}"
    );
    stack.assert_nothing_runs();
}

#[test]
fn a_state_folder_that_vanishes_ends_the_stack() {
    let stack = NativeStack::up();
    fs::remove_dir_all(stack.world.project()).expect("the folder");
    eventually("everything has ended", Duration::from_secs(30), || {
        stack.processes().is_empty()
    });
}

/// Runs a script on a disk of its own, of this size.
fn on_a_disk_of(size: &str, folder: &Path, script: &str) -> String {
    let mounted = format!(
        "mount -t tmpfs -o size={size} none '{0}' && cd '{0}' && {script}",
        folder.display()
    );
    let output = Command::new("unshare")
        .args(["--map-root-user", "--mount", "sh", "-c", &mounted])
        .env("OSQDEMO", env!("CARGO_BIN_EXE_osqdemo"))
        .env("OSQDEMO_HOME", folder.join("home"))
        .env("NO_COLOR", "1")
        .stdin(Stdio::null())
        .output()
        .expect("unshare runs");
    format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}

#[test]
fn a_machine_with_nothing_but_loopback_runs_everything() {
    let stack = NativeStack::new();
    let in_namespace = |script: &str| {
        let output = Command::new("unshare")
            .args(["--map-root-user", "--net", "sh", "-c", script])
            .env("OSQDEMO", env!("CARGO_BIN_EXE_osqdemo"))
            .env("OSQDEMO_HOME", stack.world.home())
            .env("NO_COLOR", "1")
            .stdin(Stdio::null())
            .output()
            .expect("unshare runs");
        stack.world.shown(&output)
    };
    let without = in_namespace("\"$OSQDEMO\" doctor; \"$OSQDEMO\" up; exit $?");
    assert!(without.starts_with("exit code: 10\n"), "{without}");
    assert!(without.contains("FAIL  loopback"), "{without}");
    assert!(
        without.contains("error: nothing on this machine can be reached at 127.0.0.1")
            && without.contains("hint: `ip link set lo up`, as root, starts the loopback interface"),
        "{without}"
    );
    let with = in_namespace(
        "ip link set lo up && \"$OSQDEMO\" up --timeout 2m && \"$OSQDEMO\" scenario bigfile --size 1M; code=$?; \
         \"$OSQDEMO\" down && exit $code",
    );
    assert!(with.starts_with("exit code: 0\n"), "{with}");
}

#[test]
fn a_disk_that_cannot_be_written_fails_the_doctor() {
    let world = World::new();
    let script = "mount -o remount,ro none; \"$OSQDEMO\" doctor; echo doctor $?; \"$OSQDEMO\" up; echo up $?";
    let text = on_a_disk_of("400m", world.home(), script);
    assert!(
        text.contains("nothing can be written: Read-only file system"),
        "{text}"
    );
    assert!(text.contains("doctor 10") && text.contains("up 10"), "{text}");
}

#[test]
fn a_state_folder_out_of_reach_is_not_taken_for_an_empty_one() {
    let world = World::new();
    let file = world.home().join("file");
    fs::write(&file, "").expect("a file");
    let output = world
        .command(&["down", "--volumes"])
        .env("OSQDEMO_HOME", &file)
        .in_time();
    assert_eq!(output.status.code(), Some(10), "{}", world.shown(&output));
}

#[test]
fn a_disk_that_is_full_before() {
    let world = World::new();
    let text = on_a_disk_of("8m", world.home(), "\"$OSQDEMO\" up; echo exit $?; ls -A home");
    assert!(text.contains("exit 10"), "{text}");
    assert!(text.contains("at least 64 MiB are needed"), "{text}");
    assert!(
        text.contains("hint: free some space, or set `OSQDEMO_HOME`"),
        "{text}"
    );
    assert!(
        !text.contains("osqdemo\n"),
        "the project's folder is left: {text}"
    );
}

#[test]
fn a_disk_that_fills_up() {
    let stack = NativeStack::new();
    let folder = stack.world.home();
    let script = "\"$OSQDEMO\" up --port broker=0 --port ksqldb-server=0 --port console=0 --port schema-registry=0; echo up $?; \
                  dd if=/dev/zero of=filler bs=64k 2>/dev/null; \
                  \"$OSQDEMO\" restart ksqldb-server; echo restart $?; \
                  \"$OSQDEMO\" ps; echo ps $?; \"$OSQDEMO\" down; echo down $?; \
                  rm filler; \"$OSQDEMO\" up; echo up again $?; \"$OSQDEMO\" down --volumes; echo end $?; ls -A home";
    let text = on_a_disk_of("400m", folder, script);
    for told in [
        "up 0\n",
        "restart 0\n",
        "ps 0\n",
        "down 0\n",
        "up again 0\n",
        "end 0\n",
    ] {
        assert!(text.contains(told), "{told}: {text}");
    }
    let home = format!("OSQDEMO_HOME={}", folder.join("home").display());
    assert!(processes_with(&home).is_empty(), "{:#?}", processes_with(&home));
}

#[test]
fn root_is_not_needed() {
    if !rustix::process::getuid().is_root() {
        // Then every other test shows it.
        return;
    }
    let stack = NativeStack::new();
    // The user must be able to reach the programs, wherever the repository is.
    let folder = stack.world.home().join("programs");
    fs::create_dir(&folder).expect("a folder");
    let built = Path::new(env!("CARGO_BIN_EXE_osqdemo"))
        .parent()
        .expect("a folder");
    for program in ["osqdemo", "osqdemo-agent", "confluent-ext"] {
        fs::copy(built.join(program), folder.join(program)).expect("a copy");
    }
    let home = stack.world.home().join("user");
    fs::create_dir(&home).expect("a folder");
    std::os::unix::fs::chown(&home, Some(4711), Some(4711)).expect("its owner");
    fs::set_permissions(stack.world.home(), fs::Permissions::from_mode(0o755)).expect("its mode");
    let run = |arguments: &[&str]| {
        let output = Command::new("setpriv")
            .args(["--reuid=4711", "--regid=4711", "--clear-groups"])
            .arg(folder.join("osqdemo"))
            .args(arguments)
            .env("OSQDEMO_HOME", &home)
            .stdin(Stdio::null())
            .output()
            .expect("setpriv runs");
        assert!(
            output.status.success(),
            "{arguments:?}: {}",
            stack.world.shown(&output)
        );
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    run(&UP);
    assert_eq!(run(&["exec", "host1", "hostname"]).trim(), "host1");
    run(&[
        "exec",
        "host1",
        "--",
        "sh",
        "-c",
        "echo mine >file && test \"$(id -u)\" = 0",
    ]);
    run(&["down", "--volumes"]);
    let left = processes_with(&format!("OSQDEMO_HOME={}", home.display()));
    assert!(left.is_empty(), "{left:#?}");
}

#[test]
fn a_served_broker_ends_with_its_input_or_a_signal() {
    let world = World::new();
    let data = world.home().join("data").display().to_string();
    let serve = ["serve", "broker", "--data-dir", &data, "--listen", "127.0.0.1:0"];

    let mut command = world.command(&[&serve[..], &["--until-stdin-closes"]].concat());
    let mut child = command
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it starts");
    let mut input = child.stdin.take().expect("its input");
    input
        .write_all(b"what is written is of no interest\n")
        .expect("it reads");
    assert!(child.try_wait().expect("its state").is_none());
    drop(input);
    let output = child.wait_with_output().expect("it ends");
    assert_eq!(output.status.code(), Some(0), "{}", world.shown(&output));

    for (sent, code) in [(Signal::INT, 130), (Signal::TERM, 143)] {
        let child = world.start(("A", "B"), &serve);
        eventually("it has its data open", Duration::from_secs(20), || {
            fs::read_dir("/proc/self/task").is_ok() && is_listening(child.id())
        });
        signal(child.id(), sent);
        let output = child.wait_with_output().expect("it ends");
        assert_eq!(output.status.code(), Some(code), "{}", world.shown(&output));
    }
}

#[test]
fn a_brokers_configuration_is_followed_or_refused_by_name() {
    let world = World::new();
    let data = world.home().join("data").display().to_string();
    let file = world.home().join("broker.toml");
    let path = file.display().to_string();
    let serve = [
        "serve",
        "broker",
        "--data-dir",
        &data,
        "--listen",
        "127.0.0.1:0",
        "--broker-config",
        &path,
    ];
    for (text, code, expected) in [
        ("[[listner]]\n", 2, "line 1, column 3: unknown field `listner`"),
        (
            "[[listener]]\nname = \"host\"\nbind = \"127.0.0.1:0\"\ntls = { certificate = \"none.pem\", key = \"none.key\" }\n",
            13,
            "none.pem` cannot be used",
        ),
    ] {
        fs::write(&file, text).expect("a file");
        let output = world.output(&serve);
        let told = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{told}");
        assert!(told.contains(expected), "{told}");
    }
    let text = "[[listener]]\nname = \"host\"\nbind = \"127.0.0.1:0\"\nsasl = [\"PLAIN\"]\n";
    fs::write(&file, text).expect("a file");
    let child = world.start(("A", "B"), &serve);
    eventually("it listens", Duration::from_secs(20), || is_listening(child.id()));
    signal(child.id(), Signal::TERM);
    let output = child.wait_with_output().expect("it ends");
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(told.contains("protocol=\"SASL_PLAINTEXT\""), "{told}");
}

#[test]
fn a_service_may_open_as_many_files_as_the_system_allows() {
    let world = World::new();
    let data = world.home().join("data").display().to_string();
    let script = "ulimit -n 900 && ulimit -S -n 100 && exec \"$0\" \"$@\"";
    let mut child = Command::new("sh")
        .args(["-c", script, env!("CARGO_BIN_EXE_osqdemo")])
        .args(["serve", "broker", "--data-dir", &data, "--listen", "127.0.0.1:0"])
        .env("OSQDEMO_HOME", world.home())
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("it starts");
    eventually("it listens", Duration::from_secs(20), || is_listening(child.id()));
    let limits = fs::read_to_string(format!("/proc/{}/limits", child.id())).expect("its limits");
    let files = limits.lines().find(|line| line.starts_with("Max open files"));
    let files: Vec<&str> = files.expect("the limit").split_whitespace().collect();
    assert_eq!(files[3..5], ["900", "900"], "{limits}");
    signal(child.id(), Signal::TERM);
    assert_eq!(child.wait().expect("it ends").code(), Some(143));
}

#[test]
fn a_log_that_cannot_be_written_ends_no_service() {
    let world = World::new();
    let data = world.home().join("data").display().to_string();
    let full = fs::File::create("/dev/full").expect("the device that is always full");
    let mut child = world
        .command(&["serve", "broker", "--data-dir", &data, "--listen", "127.0.0.1:0"])
        .stdin(Stdio::null())
        .stderr(full)
        .spawn()
        .expect("it starts");
    eventually("it listens", Duration::from_secs(20), || is_listening(child.id()));
    signal(child.id(), Signal::TERM);
    assert_eq!(child.wait().expect("it ends").code(), Some(143));
}

/// Whether a process has a socket that listens.
fn is_listening(pid: u32) -> bool {
    let table = fs::read_to_string("/proc/net/tcp").unwrap_or_default();
    let sockets: Vec<String> = fs::read_dir(format!("/proc/{pid}/fd"))
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| {
            let link = fs::read_link(entry.path()).ok()?;
            Some(
                link.to_str()?
                    .strip_prefix("socket:[")?
                    .strip_suffix(']')?
                    .to_owned(),
            )
        })
        .collect();
    table.lines().any(|line| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        fields.get(3) == Some(&"0A")
            && fields
                .get(9)
                .is_some_and(|inode| sockets.iter().any(|own| own == inode))
    })
}

#[test]
fn a_port_that_cannot_be_served_is_an_error() {
    let world = World::new();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("its address").to_string();
    let data = world.home().join("data").display().to_string();
    let output = world.output(&["serve", "broker", "--data-dir", &data, "--listen", &address]);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(13), "{stderr}");
    assert!(
        stderr.contains(&address) && stderr.contains("Address already in use"),
        "{stderr}"
    );
}

#[test]
fn a_broker_without_its_list_of_topics_says_what_to_do() {
    let world = World::new();
    let data = world.home().join("data");
    let partition = data.join("topics/lines-0/0");
    fs::create_dir_all(&partition).expect("a folder");
    fs::write(partition.join(format!("{:020}.log", 0)), "records").expect("a file");
    let shown = data.display().to_string();
    let output = world.output(&["serve", "broker", "--data-dir", &shown, "--listen", "127.0.0.1:0"]);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(13), "{stderr}");
    let hint = format!("hint: put `{shown}/catalog.json` back from a copy, or move `{shown}/topics` away");
    for part in [&format!("`{shown}/catalog.json` is missing"), &hint] {
        assert!(stderr.contains(part.as_str()), "{stderr}");
    }
    assert_eq!(fs::read_dir(partition).expect("it is there").count(), 1);
}

#[test]
fn the_doctor_knows_a_running_project() {
    let stack = NativeStack::up();
    let document: Value = serde_json::from_str(&stack.succeed(&["--json", "doctor"])).expect("JSON");
    let checks = document["checks"].as_array().expect("checks");
    assert!(
        checks.iter().all(|check| check["status"] != "fail"),
        "{document:#}"
    );
    let ports: Vec<&Value> = checks
        .iter()
        .filter(|check| check["category"] == "ports")
        .collect();
    assert_eq!(ports.len(), PLATFORM);
    assert!(
        ports
            .iter()
            .all(|check| check["message"] == "in use by this project"),
        "{document:#}"
    );
    let isolation = checks
        .iter()
        .find(|check| check["name"] == "isolation")
        .expect("it");
    assert_eq!(isolation["status"], "pass", "{document:#}");

    // Another project that picked the same port gets another one, unless it is asked for.
    let other = stack.world.home().join("other");
    fs::create_dir(&other).expect("a folder");
    let remembered = stack.world.project().join("project.json");
    fs::copy(remembered, other.join("project.json")).expect("a copy");
    let shown = stack.succeed(&["-p", "other", "doctor"]);
    let broker = stack.pid("broker");
    assert!(
        shown.contains(&format!("(broker): in use by process {broker} (`osqdemo`)"))
            && shown.contains("picks another"),
        "{shown}"
    );
    let address = stack.service("broker", "address");
    let port = address
        .as_str()
        .and_then(|address| address.rsplit_once(':'))
        .expect("a port")
        .1;
    let output = stack
        .world
        .output(&["-p", "other", "doctor", "--port", &format!("broker={port}")]);
    let stdout = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(10), "{stdout}");
    assert!(
        stdout.contains(&format!("FAIL  port {port} (broker): in use by process {broker}")),
        "{stdout}"
    );
    assert!(
        stdout.contains("hint: `osqdemo --project osqdemo down` stops that project"),
        "{stdout}"
    );
}
