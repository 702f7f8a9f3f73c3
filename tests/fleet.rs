//! Machines that are not the project's own hosts: this one, attached to it, and one that gets the package.

mod support;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use assert_cmd::assert::OutputAssertExt;
use rustix::process::Signal;
use support::{NativeStack, Written, a_listener, eventually, processes_with, signal};

const LONG: Duration = Duration::from_secs(60);

/// This machine, attached.
struct Attached {
    verb: Child,
    told: Written,
    mark: String,
}

impl Attached {
    fn start(stack: &NativeStack, arguments: &[&str]) -> Self {
        let usual = ["attach", "--osqueryd", "builtin", "--name", "laptop"];
        let mut verb = stack
            .world
            .command(&[&usual[..], arguments].concat())
            .stderr(Stdio::piped())
            .spawn()
            .expect("it starts");
        Self {
            told: Written::by(verb.stderr.take().expect("its standard error")),
            verb,
            mark: format!(
                "OSQDEMO_HOST={}",
                stack.world.project().join("attached").display()
            ),
        }
    }

    /// Returns once it has said this.
    fn has_said(&self, what: &str) {
        let text = || self.told.text();
        eventually(&format!("it says `{what}`"), LONG, || text().contains(what));
    }

    fn is_attached(&self) {
        self.has_said("attached: the lines of laptop");
    }

    /// Ends it as Ctrl-C does; it says this.
    fn end(mut self, what: &str) {
        signal(self.verb.id(), Signal::INT);
        let status = self.verb.wait().expect("it ends");
        self.has_said(what);
        assert_eq!(status.code(), Some(130), "{}", self.told.text());
        assert_eq!(
            processes_with(&self.mark),
            Vec::<String>::new(),
            "nothing of it runs"
        );
    }
}

/// The bytes of the lines in a spool.
fn bytes(spool: &Path) -> u64 {
    let files = fs::read_dir(spool).expect("the spool").flatten();
    let segments = files.filter(|file| file.path().extension().is_some_and(|ending| ending == "log"));
    segments
        .filter_map(|file| Some(file.metadata().ok()?.len()))
        .sum()
}

#[test]
fn this_machine_is_attached_beside_the_hosts() {
    let stack = NativeStack::up();
    let folder = stack.world.project().join("attached");
    let attached = Attached::start(
        &stack,
        &[
            "--query",
            "own=select 'mine' as whose",
            "--query",
            "unknown=select * from no_such_table",
            "--query",
            "broken=selct 1",
            "--interval",
            "1",
        ],
    );
    attached.is_attached();
    attached.has_said("`unknown`: no such table: no_such_table");
    attached.has_said("`broken`: near \"selct\": syntax error");
    assert!(
        !attached.told.text().contains("`own`"),
        "nothing is wrong with it"
    );
    let record = stack.succeed(&["--json", "tail", "own", "--from-beginning", "-n", "1"]);
    assert!(record.contains("laptop") && record.contains("mine"), "{record}");
    // Two of them would have one spool.
    let second = stack
        .world
        .output(&["attach", "--osqueryd", "builtin", "--name", "other"]);
    second.assert().code(10);
    for (arguments, told) in [
        (
            ["--name", "host1"],
            "a host of the project is called `host1` already",
        ),
        (["--name", "a b"], "`a b` is no name for a host"),
        (
            ["--query", "processes=select 1"],
            "have a query `processes` already",
        ),
    ] {
        let refused = stack.world.output(&[&["attach"], &arguments[..]].concat());
        let refused = refused.assert().code(2);
        let stderr = String::from_utf8_lossy(&refused.get_output().stderr).into_owned();
        assert!(stderr.contains(told), "{stderr}");
    }
    attached.end("and nothing of it is left here");
    assert!(!folder.exists());

    // Killed, it leaves no process; the next one takes its place.
    let mut killed = Attached::start(&stack, &[]);
    killed.is_attached();
    signal(killed.verb.id(), Signal::KILL);
    killed.verb.wait().expect("it ends");
    eventually("what it had started ends", LONG, || {
        processes_with(&killed.mark).is_empty()
    });

    // Without a broker its lines stay.
    let attached = Attached::start(
        &stack,
        &["--query", "own=select unix_time from time", "--interval", "1"],
    );
    attached.is_attached();
    let broker = stack.pid("broker");
    signal(broker, Signal::STOP);
    let spool = folder.join("spool");
    let before = bytes(&spool);
    eventually("a line waits for the broker", LONG, || bytes(&spool) > before);
    attached.end("warning: not every line of laptop has arrived");
    signal(broker, Signal::CONT);
    assert!(spool.exists());
    let attached = Attached::start(&stack, &[]);
    attached.is_attached();

    // Who takes the project away takes this away, too.
    stack.succeed(&["down", "--volumes"]);
    attached.has_said("error: project `osqdemo` was stopped meanwhile");
    let Attached { mut verb, mark, .. } = attached;
    assert_eq!(verb.wait().expect("it ends").code(), Some(16));
    assert!(!folder.exists());
    assert_eq!(processes_with(&mark), Vec::<String>::new());
}

/// osqueryd's place on a machine that got the package; its files lie below `root`.
fn run_from(root: &Path, configuration: &Path) -> Child {
    let settings = root.join("etc/osquery/confluent");
    let moved = |file: &str| {
        let path = settings.join(file);
        let text = fs::read_to_string(&path).expect("a file");
        let root = root.display();
        let text = ["/etc/", "/usr/", "/run/", "/var/"]
            .iter()
            .fold(text, |text, folder| {
                text.replace(&format!("={folder}"), &format!("={root}{folder}"))
            });
        fs::write(&path, text.replace("\n/usr/", &format!("\n{root}/usr/"))).expect("a file");
        path
    };
    for folder in ["run", "var/lib/osqdemo", "var/log/osquery"] {
        fs::create_dir_all(root.join(folder)).expect("a folder");
    }
    let flags = moved("osqueryd.flags");
    let extension = root.join("usr/lib/osquery/extensions/confluent.ext");
    let load = fs::read_to_string(settings.join("extensions.load")).expect("a file");
    assert_eq!(load, "/usr/lib/osquery/extensions/confluent.ext\n");
    fs::write(
        settings.join("extensions.load"),
        format!("{}\n", extension.display()),
    )
    .expect("a file");
    Command::new(Path::new(env!("CARGO_BIN_EXE_osqdemo")).with_file_name("osqdemo-agent"))
        .arg(format!("--flagfile={}", flags.display()))
        .args(["--host_identifier=specified", "--specified_identifier=packaged"])
        .env("OSQUERY_CONFIG", configuration)
        .env("OSQDEMO_SPOOL_DIR", root.join("spool"))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("the agent starts")
}

/// What runs is ended, whatever becomes of the test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        signal(self.0.id(), Signal::TERM);
        let _ = self.0.wait();
    }
}

#[test]
fn a_machine_that_gets_the_package_sends_its_lines_over_tls_with_a_password() {
    let stack = NativeStack::up();
    let told = |arguments: &[&str], code: i32| {
        let output = stack.world.output(arguments).assert().code(code);
        String::from_utf8_lossy(&output.get_output().stderr).into_owned()
    };
    let (_, port) = a_listener();
    let address = format!("127.0.0.1:{port}");
    let listen = ["up", "--listen", &address];
    let missing = told(&listen, 2);
    assert!(
        missing.contains("there are no certificates and no users")
            && missing.contains("`osqdemo certs make --host 127.0.0.1`")
            && missing.contains("`osqdemo users add NAME`"),
        "{missing}"
    );
    stack.succeed(&["certs", "make", "--host", "127.0.0.1"]);
    assert!(
        told(&listen, 2).contains("there are no users"),
        "who may come in is named, too"
    );
    let password = stack.world.home().join("password");
    fs::write(&password, "a pass word\n").expect("a file");
    let password_file = password.to_str().expect("a path");
    assert!(told(&["users"], 0).contains("no users; `osqdemo users add NAME` makes one"));
    told(&["users", "add", "laptop"], 2);
    stack.succeed(&["users", "add", "laptop", "--password-file", password_file]);
    stack.succeed(&["users", "add", "other", "--password-file", password_file]);
    stack.succeed(&["users", "remove", "other"]);
    assert!(told(&["users", "remove", "laptp"], 2).contains("did you mean `laptop`?"));
    assert_eq!(stack.succeed(&["users"]).trim(), "laptop");
    let broker = stack.pid("broker");
    let listening = told(&listen, 0);
    assert!(
        listening.contains(&format!("other machines find the broker at {address}")),
        "{listening}"
    );
    assert_ne!(stack.pid("broker"), broker, "it was told its listener");
    assert_eq!(stack.service("broker", "external_listener"), *address);
    assert_eq!(
        stack.service("console", "external_listener"),
        serde_json::Value::Null
    );
    let shown = stack.succeed(&["ps"]);
    assert!(shown.contains(&format!(", {address}\n")), "{shown}");
    // It is remembered, and then there is nothing to do.
    assert!(told(&["up"], 0).contains("nothing to do"));
    assert_eq!(stack.succeed(&["users"]).trim(), "laptop");

    let output = stack.world.home().join("package");
    let output = output.to_str().expect("a path");
    let made = stack.succeed(&["--json", "host-package", "--output", output]);
    let made: serde_json::Value = serde_json::from_str(&made).expect("JSON");
    assert_eq!(made["bootstrap_servers"], *address);
    assert!(told(&["host-package", "--output", output], 2).contains("is not empty"));
    let output = Path::new(output);
    let mode = |path: &Path| fs::metadata(path).expect("a file").permissions().mode() & 0o777;
    let root = output.join("root");
    for (file, expected) in [
        ("usr/lib/osquery/extensions/confluent.ext", 0o755),
        ("etc/osquery/confluent/osquery_confluent_config.json", 0o600),
        ("etc/osquery/confluent/osqueryd.flags", 0o644),
        ("lib/systemd/system/osqueryd-confluent.service", 0o644),
    ] {
        assert_eq!(mode(&root.join(file)), expected, "{file}");
    }
    let guide = fs::read_to_string(output.join("README.md")).expect("the guide");
    for part in [
        &format!("`bootstrap.servers` is `{address}`"),
        "`/etc/osquery/confluent/sasl-password`: the value of `sasl.password`, the password of `laptop`",
    ] {
        assert!(guide.contains(part), "{guide}");
    }

    // As dpkg would put it on a machine; without dpkg, as the guide says.
    let installed = stack.world.home().join("machine");
    if let Some(package) = made["package"].as_str() {
        let status = Command::new("dpkg-deb")
            .arg("-x")
            .arg(package)
            .arg(&installed)
            .status();
        assert!(status.expect("dpkg-deb runs").success());
    } else {
        fs::rename(&root, &installed).expect("the files");
    }
    let settings = installed.join("etc/osquery/confluent");
    let configuration = settings.join("osquery_confluent_config.json");
    assert_eq!(mode(&configuration), 0o600);
    let text = fs::read_to_string(&configuration).expect("a file");
    assert!(!text.contains("pass word") && text.contains("SASL_SSL"), "{text}");
    // Its root is not this machine's.
    let text = text.replace("/etc/osquery/confluent", &settings.display().to_string());
    fs::write(&configuration, text).expect("a file");
    let check = |password: &str| {
        fs::write(settings.join("sasl-password"), password).expect("a file");
        let output = Command::new(installed.join("usr/lib/osquery/extensions/confluent.ext"))
            .args(["--check", "--connect"])
            .env("OSQUERY_CONFIG", &configuration)
            .output();
        output.expect("the extension runs")
    };
    assert_eq!(
        check("another").status.code(),
        Some(5),
        "who has another password is not let in"
    );
    let checked = check("a pass word");
    assert!(
        checked.status.success(),
        "{}",
        String::from_utf8_lossy(&checked.stderr)
    );
    let running = Running(run_from(&installed, &configuration));
    let mut tail = stack
        .world
        .command(&["tail", "processes", "--from-beginning"])
        .stdout(Stdio::piped())
        .spawn()
        .expect("it starts");
    let lines = Written::by(tail.stdout.take().expect("its output"));
    eventually("a line of the machine is in Kafka", LONG, || {
        lines.text().contains("  packaged  ")
    });
    signal(tail.id(), Signal::INT);
    assert_eq!(
        tail.wait().expect("it ends").code(),
        Some(130),
        "as `logs -f` does"
    );
    drop(running);
    assert!(told(&["up", "--listen", "none"], 0).contains("up: "));
    stack.succeed(&["down", "--volumes"]);
}
