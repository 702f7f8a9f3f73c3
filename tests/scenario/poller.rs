//! What osquery does on a host, as far as the scenario needs it: looks through `/proc` at an interval, and
//! writes a line for every process that holds a file of the host's home open, and for that file.

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use serde_json::{Value, json};

use crate::stack::{LocalHost, TestStack};

/// A poller that is about to run.
pub(crate) struct PollerSettings {
    bootstrap_servers: String,
    home: PathBuf,
    interval: Duration,
    twin: Option<&'static str>,
    is_paused: bool,
}

/// Runs until it is dropped.
pub(crate) struct Poller {
    is_paused: Arc<AtomicBool>,
    is_wanted: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Poller {
    pub(crate) fn start(stack: &TestStack, host: &LocalHost) -> PollerSettings {
        PollerSettings {
            bootstrap_servers: stack.endpoints().kafka.bootstrap_servers,
            home: host.home(),
            interval: Duration::from_millis(100),
            twin: None,
            is_paused: false,
        }
    }

    pub(crate) fn resume(&self) {
        self.is_paused.store(false, Ordering::Relaxed);
    }
}

impl PollerSettings {
    pub(crate) fn every(mut self, milliseconds: u64) -> Self {
        self.interval = Duration::from_millis(milliseconds);
        self
    }

    /// Every process has a twin of the same pid on another host.
    pub(crate) fn with_a_twin_on(mut self, host: &'static str) -> Self {
        self.twin = Some(host);
        self
    }

    pub(crate) fn paused(mut self) -> Self {
        self.is_paused = true;
        self
    }

    pub(crate) fn run(self) -> Poller {
        let is_paused = Arc::new(AtomicBool::new(self.is_paused));
        let (is_wanted, ending) = channel::<()>();
        let paused = Arc::clone(&is_paused);
        let thread = thread::spawn(move || {
            let producer: BaseProducer = ClientConfig::new()
                .set("bootstrap.servers", &self.bootstrap_servers)
                .set("acks", "all")
                .create()
                .expect("a producer");
            let mut logged = HashSet::new();
            // One look each interval, until the poller is dropped.
            while ending.recv_timeout(self.interval) == Err(RecvTimeoutError::Timeout) {
                if !paused.load(Ordering::Relaxed) {
                    self.poll(&producer, &mut logged);
                }
                producer.poll(Duration::ZERO);
            }
            let _ = producer.flush(Duration::from_secs(1));
        });
        Poller {
            is_paused,
            is_wanted: Some(is_wanted),
            thread: Some(thread),
        }
    }

    /// Logs what is new, as osquery's differential logs do.
    fn poll(&self, producer: &BaseProducer, logged: &mut HashSet<(String, PathBuf)>) {
        for (pid, program, file) in open_files(&self.home) {
            if !logged.insert((pid.clone(), file.clone())) {
                continue;
            }
            let name = program
                .file_name()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned();
            let process = json!({"pid": pid, "name": name, "path": program});
            send(
                producer,
                "open_files",
                "host2",
                &json!({"pid": pid, "fd": "1", "path": file}),
            );
            send(producer, "processes", "host2", &process);
            if let Some(twin) = self.twin {
                let other = json!({"pid": pid, "name": "sshd", "path": "/usr/sbin/sshd"});
                send(producer, "processes", twin, &other);
            }
        }
    }
}

impl Drop for Poller {
    fn drop(&mut self) {
        drop(self.is_wanted.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn send(producer: &BaseProducer, query: &str, host: &str, columns: &Value) {
    let line = json!({
        "name": query, "hostIdentifier": host, "calendarTime": "Tue Nov 24 04:46:30 2026 UTC",
        "unixTime": 1_795_495_590, "epoch": 0, "counter": 1, "numerics": false,
        "columns": columns, "action": "added"
    })
    .to_string();
    producer
        .send(BaseRecord::to(query).key(host).payload(&line))
        .expect("the queue has room");
}

/// Processes, their programs, and the files under `folder` that they hold open.
fn open_files(folder: &Path) -> Vec<(String, PathBuf, PathBuf)> {
    let mut found = Vec::new();
    for process in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let pid = process.file_name().to_string_lossy().into_owned();
        if !pid.bytes().all(|byte| byte.is_ascii_digit()) {
            continue;
        }
        // Processes come and go while they are looked at.
        let Ok(program) = fs::read_link(process.path().join("exe")) else {
            continue;
        };
        for descriptor in fs::read_dir(process.path().join("fd"))
            .into_iter()
            .flatten()
            .flatten()
        {
            if let Ok(file) = fs::read_link(descriptor.path())
                && file.starts_with(folder)
            {
                found.push((pid.clone(), program.clone(), file));
            }
        }
    }
    found
}
