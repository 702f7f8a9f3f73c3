//! The agent with a configuration file and loggers that write files, all below one folder.

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

/// An agent that runs; it is killed when a test fails.
pub(crate) struct Agent(pub(crate) Child);

impl Agent {
    pub(crate) fn start(folder: &Path, config: &Value, more: &[&str]) -> Self {
        fs::write(folder.join("osquery.conf"), config.to_string()).unwrap();
        let flag = |name: &str, file: &str| format!("--{name}={}", folder.join(file).display());
        let child = Command::new(env!("CARGO_BIN_EXE_osqdemo-agent"))
            .args([
                flag("config_path", "osquery.conf"),
                flag("logger_path", "log"),
                flag("database_path", "db"),
                flag("pidfile", "pid"),
                flag("extensions_socket", "em"),
            ])
            .args(["--host_identifier=specified", "--specified_identifier=vm"])
            .args(more)
            .stdout(Stdio::null())
            .stderr(fs::File::create(folder.join("stderr")).unwrap())
            .spawn()
            .unwrap();
        Self(child)
    }

    pub(crate) fn end(mut self) {
        let pid = rustix::process::Pid::from_child(&self.0);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
        assert_eq!(self.0.wait().unwrap().code(), Some(0));
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The text of a file once it is as wanted.
pub(crate) fn wait_for_text(path: &Path, wanted: impl Fn(&str) -> bool) -> String {
    let deadline = Instant::now() + Duration::from_secs(120);
    loop {
        let text = fs::read_to_string(path).unwrap_or_default();
        if wanted(&text) {
            return text;
        }
        assert!(Instant::now() < deadline, "{} holds only: {text}", path.display());
        std::thread::sleep(Duration::from_millis(20));
    }
}
