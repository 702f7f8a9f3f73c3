//! One extension's program: started as osqueryd starts it, and ended.

use std::io;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal};

use crate::flags::Flags;

/// How often a process that is ending is looked at.
const STEP: Duration = Duration::from_millis(10);

/// A program, and its process while it runs.
#[derive(Debug)]
pub(super) struct ExtensionProcess {
    program: PathBuf,
    arguments: Vec<String>,
    child: Option<Child>,
    /// When it was started last.
    pub(super) started: Option<Instant>,
}

impl ExtensionProcess {
    pub(super) fn new(program: PathBuf, socket: &Path, flags: &Flags) -> Self {
        let mut arguments = Vec::new();
        if flags.verbose {
            arguments.push("--verbose".to_owned());
        }
        for (name, value) in [
            ("--socket", socket.display().to_string()),
            ("--timeout", flags.extensions_timeout.to_string()),
            ("--interval", flags.extensions_interval.to_string()),
        ] {
            arguments.extend([name.to_owned(), value]);
        }
        Self {
            program,
            arguments,
            child: None,
            started: None,
        }
    }

    pub(super) fn program(&self) -> &Path {
        &self.program
    }

    pub(super) fn start(&mut self) -> io::Result<u32> {
        let child = Command::new(&self.program)
            .args(&self.arguments)
            .env("OSQUERY_EXTENSION", std::process::id().to_string())
            .stdin(Stdio::null())
            .spawn()?;
        let pid = child.id();
        self.child = Some(child);
        self.started = Some(Instant::now());
        Ok(pid)
    }

    pub(super) fn is_running(&self) -> bool {
        self.child.is_some()
    }

    /// How the process ended, once, if it has.
    pub(super) fn ended(&mut self) -> Option<ExitStatus> {
        let status = self.child.as_mut()?.try_wait().ok()??;
        self.child = None;
        Some(status)
    }

    /// Asks the process to end.
    pub(super) fn terminate(&self) {
        let pid = self
            .child
            .as_ref()
            .and_then(|child| Pid::from_raw(i32::try_from(child.id()).ok()?));
        if let Some(pid) = pid {
            // It may have ended by itself; it is not reaped yet, so the id is still its own.
            let _ = rustix::process::kill_process(pid, Signal::TERM);
        }
    }

    /// Waits until the process has ended; returns whether it has.
    pub(super) fn wait_until(&mut self, deadline: Instant) -> bool {
        loop {
            if self.child.is_none() || self.ended().is_some() {
                return true;
            }
            if Instant::now() >= deadline {
                return false;
            }
            std::thread::sleep(STEP);
        }
    }

    pub(super) fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            // A process that cannot be killed has ended.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

impl Drop for ExtensionProcess {
    fn drop(&mut self) {
        self.kill();
    }
}
