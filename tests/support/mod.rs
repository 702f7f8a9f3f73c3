//! What the tests that drive the real binary share: a state folder of their own, output without what changes
//! from run to run, and an end for everything they start.

#![allow(dead_code, reason = "every test binary uses a part of it")]

use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use regex::Regex;
use tempfile::TempDir;

/// A state folder of a test, and the projects in it.
pub struct World {
    home: TempDir,
}

impl World {
    /// An empty state folder. Its path is short, so that sockets fit into it.
    pub fn new() -> Self {
        Self {
            home: tempfile::Builder::new()
                .prefix("osq")
                .tempdir_in("/tmp")
                .expect("a folder"),
        }
    }

    /// The state folder.
    pub fn home(&self) -> &Path {
        self.home.path()
    }

    /// The folder of the default project.
    pub fn project(&self) -> std::path::PathBuf {
        self.home().join("osqdemo")
    }

    /// The binary with these arguments, on this state folder.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_osqdemo"));
        command
            .args(arguments)
            .env("OSQDEMO_HOME", self.home())
            .env_remove("OSQDEMO_PROJECT")
            .env_remove("OSQDEMO_ENGINE")
            .env_remove("OSQDEMO_FAKE")
            .env_remove("RUST_LOG")
            .env_remove("COLUMNS")
            .env("NO_COLOR", "1")
            .stdin(Stdio::null());
        command
    }

    /// Runs the binary and returns exit code, standard output and standard error as one text.
    pub fn run(&self, arguments: &[&str]) -> String {
        self.shown(&self.output(arguments))
    }

    /// Runs the binary with a variable set.
    pub fn run_with(&self, variable: (&str, &str), arguments: &[&str]) -> String {
        let output = self
            .command(arguments)
            .env(variable.0, variable.1)
            .output()
            .expect("it runs");
        self.shown(&output)
    }

    /// Runs the binary.
    pub fn output(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().expect("it runs")
    }

    /// Starts the binary and leaves it running.
    pub fn start(&self, variable: (&str, &str), arguments: &[&str]) -> Child {
        self.command(arguments)
            .env(variable.0, variable.1)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("it starts")
    }

    /// An output as text, without what changes from run to run.
    pub fn shown(&self, output: &Output) -> String {
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

/// Services that work at the same time report in any order: each one's lines together, in order of the names.
fn in_order(stderr: &str) -> String {
    let services = ["broker: ", "host1: ", "host2: ", "ksqldb-server: "];
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

/// Waits until `condition` holds, and fails the test when it does not within the limit.
pub fn eventually(what: &str, limit: Duration, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + limit;
    while !condition() {
        assert!(Instant::now() < deadline, "not within {limit:?}: {what}");
        thread::sleep(Duration::from_millis(10));
    }
}

/// Sends a signal to a process.
pub fn signal(pid: u32, signal: rustix::process::Signal) {
    let pid = rustix::process::Pid::from_raw(i32::try_from(pid).expect("a pid")).expect("a pid");
    rustix::process::kill_process(pid, signal).expect("the process can be signalled");
}
