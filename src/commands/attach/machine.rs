//! The processes of an attached machine: `osqdemo host-init`, which sees the end of its standard input when this process
//! ends, however it ends, and below it osqueryd with the extension. What they write is read here; the last lines of it are
//! kept.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::{Child, Command};
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::error::AttachError;
use super::folder::AttachFolder;
use super::spool_log::SpoolLog;
use crate::engine::native::host_folder::HostSpec;
use crate::engine::native::programs::Programs;
use crate::process;
use crate::shutdown::Shutdown;
use crate::state::ProjectFolder;

/// How many lines are kept, and how much of each.
const KEPT_LINES: usize = 20;
const KEPT_BYTES: usize = 500;

/// What the end may take beyond the grace of osqueryd.
const MARGIN: Duration = Duration::from_secs(5);

/// How the first process ended.
pub(super) struct Ended(pub(super) String);

/// The processes.
pub(super) struct Machine {
    init: Child,
    mark: PathBuf,
    grace: Duration,
    said: Arc<Mutex<Said>>,
    readers: JoinSet<()>,
}

/// What they wrote.
#[derive(Debug, Default, Clone)]
pub(super) struct Said {
    last: VecDeque<String>,
    spool: SpoolLog,
}

impl Said {
    fn hear(&mut self, line: &[u8]) {
        let line = String::from_utf8_lossy(line);
        let line = line.trim_end();
        self.spool.hear(line);
        if self.last.len() == KEPT_LINES {
            self.last.pop_front();
        }
        self.last.push_back(line.chars().take(KEPT_BYTES).collect());
    }

    /// The last lines.
    pub(super) fn last_lines(&self) -> Vec<String> {
        self.last.iter().cloned().collect()
    }

    /// Whether every line that was accepted has arrived.
    pub(super) fn spool_is_empty(&self) -> bool {
        self.spool.is_empty()
    }

    /// How many arrived.
    pub(super) fn delivered(&self) -> u64 {
        self.spool.delivered()
    }
}

impl Machine {
    /// Starts them.
    pub(super) fn start(
        project: &ProjectFolder,
        programs: &Programs,
        folder: &AttachFolder,
        spec: &HostSpec,
    ) -> Result<Self, AttachError> {
        let program = &programs.osqdemo;
        let mut init = Command::new(program)
            .args(["--project", project.project.as_str(), "host-init"])
            .arg(folder.spec_file())
            // The extension's log tells what becomes of the lines.
            .env_remove("RUST_LOG")
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            // A Ctrl-C is for this process, which ends them in order.
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .map_err(|source| AttachError::Run {
                program: program.clone(),
                source,
            })?;
        let said = Arc::new(Mutex::new(Said::default()));
        let mut readers = JoinSet::new();
        if let Some(stdout) = init.stdout.take() {
            readers.spawn(read(stdout, Arc::clone(&said)));
        }
        if let Some(stderr) = init.stderr.take() {
            readers.spawn(read(stderr, Arc::clone(&said)));
        }
        Ok(Self {
            init,
            mark: spec.folder.clone(),
            grace: Duration::from_millis(spec.stop_grace_ms),
            said,
            readers,
        })
    }

    /// Returns when they have ended by themselves.
    pub(super) async fn ended(&mut self) -> Ended {
        // Standard input stays open: its end would be the wish that they end.
        let stdin = self.init.stdin.take();
        let status = self.init.wait().await;
        self.init.stdin = stdin;
        Ended(status.map_or_else(|error| error.to_string(), |status| status.to_string()))
    }

    /// Ends them, at the second signal at once, and returns what they wrote.
    pub(super) async fn end(mut self, shutdown: &Shutdown) -> Said {
        drop(self.init.stdin.take());
        let in_order = timeout(self.grace + MARGIN, async {
            let _ = self.init.wait().await;
            // What they wrote last is read to its end.
            while self.readers.join_next().await.is_some() {}
        });
        tokio::select! {
            _ = in_order => {}
            () = shutdown.at_once().cancelled() => {}
        }
        process::kill_marked(&self.mark);
        let _ = self.init.start_kill();
        self.said.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Reads lines to the end. Of a line that is longer than what is read of it, the rest is passed over.
async fn read(mut from: impl AsyncRead + Unpin, said: Arc<Mutex<Said>>) {
    const LONGEST: usize = 8 * 1024;
    let mut line = Vec::new();
    let mut buffer = [0; 4096];
    while let Ok(length @ 1..) = from.read(&mut buffer).await {
        for byte in &buffer[..length] {
            match byte {
                b'\n' => {
                    said.lock().unwrap_or_else(PoisonError::into_inner).hear(&line);
                    line.clear();
                }
                byte if line.len() < LONGEST => line.push(*byte),
                _ => {}
            }
        }
    }
}
