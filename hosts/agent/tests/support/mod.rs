//! A folder with everything an agent and its recording extension need, and both as processes.

mod recorder;

use std::fs::{self, File, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

pub(crate) use recorder::{BEHAVIOUR, RecordedCall, serve_extension};

const PATIENCE: Duration = Duration::from_secs(40);

/// One agent's folder: flags, configuration, extension, state.
pub(crate) struct AgentSetup {
    folder: TempDir,
}

/// An agent that runs; it is killed when a test fails.
pub(crate) struct RunningAgent {
    child: Child,
}

impl AgentSetup {
    pub(crate) fn new() -> Self {
        let folder = tempfile::Builder::new().prefix("agent").tempdir().unwrap();
        let setup = Self { folder };
        let program = std::env::current_exe().unwrap();
        let script = format!(
            "#!/bin/sh\necho \"$@\" OSQUERY_EXTENSION=$OSQUERY_EXTENSION > '{0}/arguments'\n\
             RECORDER_FOLDER='{0}' RECORDER_SOCKET=\"$2\" exec '{1}' --ignored --exact extension_process --nocapture > '{0}/extension.out' 2>&1\n",
            setup.folder.path().display(),
            program.display()
        );
        fs::write(setup.path("recorder.ext"), script).unwrap();
        fs::set_permissions(setup.path("recorder.ext"), Permissions::from_mode(0o755)).unwrap();
        fs::write(
            setup.path("extensions.load"),
            format!("{}\n", setup.path("recorder.ext").display()),
        )
        .unwrap();
        fs::write(setup.path("calls"), "").unwrap();
        let flags = [
            ("config_plugin", "osquery_confluent_config".to_owned()),
            ("logger_plugin", "confluent_logger".to_owned()),
            (
                "extensions_autoload",
                setup.path("extensions.load").display().to_string(),
            ),
            (
                "extensions_socket",
                setup.path("osquery.em").display().to_string(),
            ),
            ("extensions_timeout", "10".to_owned()),
            ("extensions_interval", "1".to_owned()),
            ("database_path", setup.path("db").display().to_string()),
            ("pidfile", setup.path("pid").display().to_string()),
            ("host_identifier", "specified".to_owned()),
            ("specified_identifier", "host7".to_owned()),
        ];
        let flags: String = flags
            .iter()
            .map(|(name, value)| format!("--{name}={value}\n"))
            .collect();
        fs::write(setup.path("flags"), flags).unwrap();
        setup
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// What the extension's configuration plugin answers from now on.
    pub(crate) fn configure(&self, config: &Value) {
        let new = self.path("config.new");
        fs::write(&new, config.to_string()).unwrap();
        fs::rename(new, self.path("config.json")).unwrap();
    }

    pub(crate) fn start(&self, more: &[&str]) -> RunningAgent {
        let stderr = File::options()
            .create(true)
            .append(true)
            .open(self.path("agent.stderr"))
            .unwrap();
        let child = self
            .command(more)
            .stdout(Stdio::null())
            .stderr(stderr)
            .spawn()
            .unwrap();
        RunningAgent { child }
    }

    /// Runs an agent that is expected to end by itself.
    pub(crate) fn run(&self, more: &[&str]) -> Output {
        self.command(more).output().unwrap()
    }

    fn command(&self, more: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_osqdemo-agent"));
        command
            .arg(format!("--flagfile={}", self.path("flags").display()))
            .args(more);
        command
    }

    pub(crate) fn calls(&self) -> Vec<RecordedCall> {
        let text = fs::read_to_string(self.path("calls")).unwrap();
        // A line without its end is still being written.
        let complete = text.rfind('\n').map_or("", |end| &text[..end]);
        complete.lines().map(RecordedCall::read).collect()
    }

    pub(crate) fn wait_for_calls(
        &self,
        what: &str,
        wanted: impl Fn(&[RecordedCall]) -> bool,
    ) -> Vec<RecordedCall> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let calls = self.calls();
            if wanted(&calls) {
                return calls;
            }
            if Instant::now() > deadline {
                let read = |name: &str| fs::read_to_string(self.path(name)).unwrap_or_default();
                let kinds: Vec<_> = calls.iter().map(|call| call.kind.as_str()).collect();
                panic!(
                    "{what} did not come; calls: {kinds:?}\n{}\n{}",
                    read("agent.stderr"),
                    read("extension.out")
                );
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    pub(crate) fn signal_extension(&self, signal: rustix::process::Signal) {
        let pid: i32 = fs::read_to_string(self.path("extension.pid"))
            .unwrap()
            .trim()
            .parse()
            .unwrap();
        let pid = rustix::process::Pid::from_raw(pid).unwrap();
        rustix::process::kill_process(pid, signal).unwrap();
    }
}

impl RunningAgent {
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Kills the agent with a signal it cannot see.
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Asks the agent to end, and expects that it does so well.
    pub(crate) fn end(mut self) {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
        let mut status = None;
        wait_for("the agent's end", PATIENCE, || {
            status = self.child.try_wait().unwrap();
            status.is_some()
        });
        assert_eq!(status.unwrap().code(), Some(0));
    }
}

impl Drop for RunningAgent {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub(crate) fn wait_for(what: &str, patience: Duration, mut there: impl FnMut() -> bool) {
    let deadline = Instant::now() + patience;
    while !there() {
        assert!(Instant::now() < deadline, "{what} did not come");
        std::thread::sleep(Duration::from_millis(10));
    }
}
