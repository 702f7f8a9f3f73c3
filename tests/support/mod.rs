//! What the tests that drive the real binary share: a state folder of their own, output without what changes
//! from run to run, and an end for everything they start.

#![allow(dead_code, unused_imports, reason = "every test binary uses a part of it")]

mod native;

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use regex::Regex;
use tempfile::TempDir;

pub(crate) use native::{NativeStack, processes_with};

/// The services of stack `lite`: those of the platform, and the hosts behind them.
pub(crate) const SERVICES: [&str; 6] = [
    "broker",
    "schema-registry",
    "ksqldb-server",
    "console",
    "host1",
    "host2",
];

/// How many of them are the platform's: those have a port each.
pub(crate) const PLATFORM: usize = SERVICES.len() - 2;

/// A state folder of a test, and the projects in it.
pub(crate) struct World {
    home: TempDir,
}

impl World {
    /// An empty state folder. Its path is short, so that sockets fit into it.
    pub(crate) fn new() -> Self {
        Self {
            home: tempfile::Builder::new()
                .prefix("osq")
                .tempdir_in("/tmp")
                .expect("a folder"),
        }
    }

    /// Whether a project is left in it.
    fn has_projects(&self) -> bool {
        let entries = fs::read_dir(self.home()).into_iter().flatten().flatten();
        entries
            .map(|entry| entry.path())
            .any(|project| project.join("project.json").exists() || project.join("lock").exists())
    }

    /// The state folder.
    pub(crate) fn home(&self) -> &Path {
        self.home.path()
    }

    /// The folder of the default project.
    pub(crate) fn project(&self) -> std::path::PathBuf {
        self.home().join("osqdemo")
    }

    /// A stack file: stack `lite` with these usual ports of the broker and of ksqlDB.
    pub(crate) fn stack_file(&self, broker: u16, ksqldb: u16) -> String {
        let path = self.home().join("stack.yaml");
        let (console, registry) = (a_listener().1, a_listener().1);
        let text = include_str!("../../compose/lite.yaml")
            .replace("BROKER_PORT:-9092", &format!("BROKER_PORT:-{broker}"))
            .replace("KSQLDB_PORT:-8088", &format!("KSQLDB_PORT:-{ksqldb}"))
            .replace("CONSOLE_PORT:-9021", &format!("CONSOLE_PORT:-{console}"))
            .replace(
                "SCHEMA_REGISTRY_PORT:-8081",
                &format!("SCHEMA_REGISTRY_PORT:-{registry}"),
            );
        fs::write(&path, text).expect("a file");
        path.display().to_string()
    }

    /// The binary with these arguments, on this state folder.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(assert_cmd::cargo::cargo_bin!("osqdemo"));
        command
            .args(arguments)
            .env("OSQDEMO_HOME", self.home())
            .env_remove("OSQDEMO_PROJECT")
            .env_remove("OSQDEMO_ENGINE")
            .env_remove("OSQDEMO_CONFIG")
            .env_remove("OSQDEMO_REGISTRY")
            .env_remove("OSQDEMO_IMAGES_LOCK")
            .env_remove("OSQDEMO_FAKE")
            .env_remove("RUST_LOG")
            .env_remove("COLUMNS")
            .env("NO_COLOR", "1")
            .stdin(Stdio::null());
        command
    }

    /// Runs the binary and returns exit code, standard output and standard error as one text.
    pub(crate) fn run(&self, arguments: &[&str]) -> String {
        self.shown(&self.output(arguments))
    }

    /// Runs the binary in a folder.
    pub(crate) fn run_in(&self, folder: &Path, arguments: &[&str]) -> String {
        let output = self.command(arguments).current_dir(folder).in_time();
        self.shown(&output)
            .replace(&folder.display().to_string(), "[FOLDER]")
    }

    /// Runs the binary with a variable set.
    pub(crate) fn run_with(&self, variable: (&str, &str), arguments: &[&str]) -> String {
        let output = self.command(arguments).env(variable.0, variable.1).in_time();
        self.shown(&output)
    }

    /// Runs the binary.
    pub(crate) fn output(&self, arguments: &[&str]) -> Output {
        self.command(arguments).in_time()
    }

    /// Starts the binary and leaves it running.
    pub(crate) fn start(&self, variable: (&str, &str), arguments: &[&str]) -> Child {
        self.command(arguments)
            .env(variable.0, variable.1)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("it starts")
    }

    /// An output as text, without what changes from run to run.
    pub(crate) fn shown(&self, output: &Output) -> String {
        let text = format!(
            "exit code: {}\n----- stdout -----\n{}----- stderr -----\n{}",
            output
                .status
                .code()
                .map_or_else(|| "none".to_owned(), |code| code.to_string()),
            String::from_utf8_lossy(&output.stdout),
            in_order(&String::from_utf8_lossy(&output.stderr)),
        );
        let text = text.replace(&self.home().display().to_string(), "[HOME]");
        [
            (r"\d+ ms\b", "[TIME]"),
            (r"\d+\.\d s\b", "[TIME]"),
            (r#""elapsed_ms":\d+"#, r#""elapsed_ms":0"#),
            (r#""uptime_ms":\d+"#, r#""uptime_ms":0"#),
            (r#""time":"[^"]+""#, r#""time":"[TIME]""#),
            (r"127\.0\.0\.1:\d+ *", "127.0.0.1:[PORT]"),
            (r"─{22,}", "──────────────────────"),
            (r"port changed from \d+ to", "port changed from [PORT] to"),
            (r"port \d+ of", "port [PORT] of"),
            (r"gets port \d+", "gets port [PORT]"),
            (
                r"`--port ([a-z-]+)=\d{4,5}` insists",
                "`--port $1=[PORT]` insists",
            ),
            (r"process \d+", "process [PID]"),
            (r"`kill \d+`", "`kill [PID]`"),
        ]
        .iter()
        .fold(text, |text, (pattern, replacement)| {
            Regex::new(pattern)
                .expect("a pattern")
                .replace_all(&text, *replacement)
                .into_owned()
        })
    }
}

impl Drop for World {
    /// Takes down what a test that failed has left, whatever it called its projects.
    fn drop(&mut self) {
        // A command that is still at work has its project until it is done.
        let deadline = Instant::now() + Duration::from_secs(60);
        while thread::panicking() && self.has_projects() && Instant::now() < deadline {
            self.output(&["down", "--all", "--volumes"]);
        }
    }
}

/// Services that work at the same time report in any order: each one's lines together, in order of the names.
fn in_order(stderr: &str) -> String {
    let services = [
        "broker: ",
        "console: ",
        "host1: ",
        "host2: ",
        "ksqldb-server: ",
        "schema-registry: ",
    ];
    let rank = |line: &str| services.iter().position(|service| line.starts_with(service));
    let mut lines: Vec<&str> = stderr.lines().collect();
    let mut start = 0;
    while start < lines.len() {
        let length = lines
            .iter()
            .skip(start)
            .take_while(|line| rank(line).is_some())
            .count();
        if let Some(block) = lines.get_mut(start..start + length) {
            block.sort_by_key(|line| rank(line));
        }
        start += length.max(1);
    }
    lines.iter().map(|line| format!("{line}\n")).collect()
}

/// How long a run of the binary may take. Everything it does has a limit of its own that is shorter; what hangs all the
/// same fails its test, and not the whole run of tests.
const RUN_LIMIT: Duration = Duration::from_secs(20 * 60);

/// Runs a command to its end, with a deadline.
pub(crate) trait InTime {
    /// What came of it. Its standard input is empty.
    fn in_time(&mut self) -> Output;
}

impl InTime for Command {
    fn in_time(&mut self) -> Output {
        // `assert_cmd` wants all of it.
        let command = std::mem::replace(self, Self::new("true"));
        let mut driven = assert_cmd::Command::from_std(command);
        driven.timeout(RUN_LIMIT).output().expect("it runs, and ends")
    }
}

/// Waits until `condition` holds, and fails the test when it does not within the limit.
pub(crate) fn eventually(what: &str, limit: Duration, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + limit;
    while !condition() {
        assert!(Instant::now() < deadline, "not within {limit:?}: {what}");
        #[expect(
            clippy::disallowed_methods,
            reason = "what the tests wait with is made of this"
        )]
        thread::sleep(Duration::from_millis(10));
    }
}

/// What a program writes, read by a thread as it comes, so that a test can wait for it with a deadline.
pub(crate) struct Written(Arc<Mutex<String>>);

impl Written {
    /// Begins to read.
    pub(crate) fn by(output: impl Read + Send + 'static) -> Self {
        let text = Arc::new(Mutex::new(String::new()));
        let reading = Arc::clone(&text);
        thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                let mut text = reading.lock().unwrap_or_else(PoisonError::into_inner);
                text.push_str(&line);
                text.push('\n');
            }
        });
        Self(text)
    }

    /// What came so far, up to the last whole line.
    pub(crate) fn text(&self) -> String {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Runs a command on a terminal of its own that `script` makes, of this width; returns everything it drew.
pub(crate) fn on_terminal(command: &Command, columns: u16) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    let words: Vec<String> = words
        .map(|word| format!("'{}'", word.to_string_lossy()))
        .collect();
    let mut terminal = Command::new("script");
    terminal
        .args([
            "-qfec",
            &format!("stty cols {columns} rows 60; exec {}", words.join(" ")),
            "/dev/null",
        ])
        .env("TERM", "xterm")
        .env_remove("CI");
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => terminal.env(name, value),
            None => terminal.env_remove(name),
        };
    }
    let output = terminal.in_time();
    String::from_utf8_lossy(&output.stdout).replace("\r\n", "\n")
}

/// Somebody who listens, and where.
pub(crate) fn a_listener() -> (TcpListener, u16) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("its address").port();
    (listener, port)
}

/// Two ports that nobody has.
pub(crate) fn two_free_ports() -> (u16, u16) {
    let ((_first, one), (_second, other)) = (a_listener(), a_listener());
    (one, other)
}

/// Sends a signal to a process.
pub(crate) fn signal(pid: u32, signal: rustix::process::Signal) {
    let pid = rustix::process::Pid::from_raw(i32::try_from(pid).expect("a pid")).expect("a pid");
    rustix::process::kill_process(pid, signal).expect("the process can be signalled");
}

/// `up` on the engine that runs nothing. Free ports, so that a stack that runs on this machine is not in the way.
pub(crate) const FAKE: [&str; 11] = [
    "up",
    "--engine",
    "fake",
    "--port",
    "broker=0",
    "--port",
    "ksqldb-server=0",
    "--port",
    "console=0",
    "--port",
    "schema-registry=0",
];

/// `up` with ports that are free.
pub(crate) const UP: [&str; 9] = [
    "up",
    "--port",
    "broker=0",
    "--port",
    "ksqldb-server=0",
    "--port",
    "console=0",
    "--port",
    "schema-registry=0",
];
