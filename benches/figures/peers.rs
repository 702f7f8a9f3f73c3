//! The brokers that are measured beside each other: the embedded one, and Apache Kafka from Maven Central, each on a
//! free loopback port and an empty folder of its own.

use std::fs::File;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use tempfile::TempDir;

use crate::stack::OSQDEMO;

/// Fetches and runs Apache Kafka.
const KAFKA: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/kafka.sh");

/// The release of Kafka that is the peer.
const KAFKA_VERSION: &str = "4.2.0";

/// How long a broker may take until it answers.
const PATIENCE: Duration = Duration::from_secs(60);

/// Which broker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Peer {
    /// The embedded one.
    Osqdemo,
    /// Apache Kafka.
    Kafka,
}

impl Peer {
    /// What stands before its figures.
    pub(crate) fn name(self) -> String {
        match self {
            Self::Osqdemo => "osqdemo".to_owned(),
            Self::Kafka => format!("Apache Kafka {KAFKA_VERSION}"),
        }
    }
}

/// Fetches Kafka; false where it cannot be had.
pub(crate) fn fetch_kafka() -> bool {
    let fetched = Command::new(KAFKA).args(["fetch", KAFKA_VERSION]).status();
    fetched.is_ok_and(|status| status.success())
}

/// One of Kafka's own tools, by its class; standard output.
pub(crate) fn kafka_tool(class: &str, arguments: &[&str]) -> Result<String> {
    let output = Command::new(KAFKA)
        .args(["tool", KAFKA_VERSION, class])
        .args(arguments)
        .env("KAFKA_LOG_LEVEL", "ERROR")
        .output()
        .with_context(|| format!("failed to run `{KAFKA}`"))?;
    if !output.status.success() {
        bail!("`{class}` failed: {}", String::from_utf8_lossy(&output.stderr));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// A broker that answers. Dropping it ends it and removes its data.
pub(crate) struct Broker {
    child: Child,
    address: String,
    _folder: TempDir,
}

impl Broker {
    /// Starts one and waits until it answers.
    pub(crate) fn start(peer: Peer) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let (port, controller) = (free_port()?, free_port()?);
        let address = format!("127.0.0.1:{port}");
        let mut command = match peer {
            Peer::Osqdemo => {
                let mut command = Command::new(OSQDEMO);
                command.args(["serve", "broker", "--listen", &address, "--data-dir"]);
                command.arg(folder.path().join("data"));
                command
            }
            Peer::Kafka => {
                let mut command = Command::new(KAFKA);
                command.args(["broker", KAFKA_VERSION]).arg(folder.path());
                command.args([&port.to_string(), "--controller", &controller.to_string()]);
                command
            }
        };
        let log = folder.path().join("log");
        let child = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(File::create(&log)?)
            .spawn()
            .with_context(|| format!("failed to start {}", peer.name()))?;
        let mut broker = Self {
            child,
            address,
            _folder: folder,
        };
        broker.wait(&log).with_context(|| peer.name())?;
        Ok(broker)
    }

    /// Where its clients connect.
    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    fn wait(&mut self, log: &Path) -> Result<()> {
        let consumer: BaseConsumer = ClientConfig::new()
            .set("bootstrap.servers", &self.address)
            .set("log_level", "0")
            .create()?;
        let deadline = Instant::now() + PATIENCE;
        // Each request waits a second for its answer, so this is no busy loop.
        while consumer.fetch_metadata(None, Duration::from_secs(1)).is_err() {
            if Instant::now() > deadline || self.child.try_wait()?.is_some() {
                let text = std::fs::read_to_string(log).unwrap_or_default();
                let lines: Vec<&str> = text.lines().rev().take(5).collect();
                bail!("does not answer within {PATIENCE:?}; the end of its log, last line first: {lines:?}");
            }
        }
        Ok(())
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn free_port() -> Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}
