//! The brokers that are measured beside each other: the embedded one, and Apache Kafka from Maven Central, each on a
//! free loopback port and an empty folder of its own.

use std::fs::File;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use tempfile::TempDir;

use crate::broker::until_it_answers;
use crate::pipeline::processes::{Usage, running_time, usage_of_process};
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
    /// The embedded one, which syncs every batch before it acknowledges it.
    OsqdemoEveryBatch,
    /// The embedded one, with a second listener that has TLS.
    OsqdemoWithTls,
    /// Apache Kafka.
    Kafka,
}

impl Peer {
    /// What stands before its figures.
    pub(crate) fn name(self) -> String {
        match self {
            Self::Osqdemo | Self::OsqdemoWithTls => "osqdemo".to_owned(),
            Self::OsqdemoEveryBatch => "osqdemo, every batch synced".to_owned(),
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
    peer: Peer,
    child: Child,
    ports: [u16; 2],
    address: String,
    /// What its clients are set to, besides its address.
    settings: Vec<(&'static str, String)>,
    folder: TempDir,
}

impl Broker {
    /// Starts one and waits until it answers.
    pub(crate) fn start(peer: Peer) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let (port, controller) = (free_port()?, free_port()?);
        let ports = [port, controller];
        let mut broker = Self {
            child: spawn(peer, ports, folder.path())?,
            peer,
            ports,
            address: format!("127.0.0.1:{port}"),
            settings: Vec::new(),
            folder,
        };
        let log = broker.folder.path().join(LOG);
        broker.wait(&log).with_context(|| peer.name())?;
        Ok(broker)
    }

    /// From now on its clients come in by the listener that has TLS.
    pub(crate) fn speak_tls(&mut self) {
        let [_, port] = self.ports;
        self.address = format!("127.0.0.1:{port}");
        let certificate = self.folder.path().join(CERTIFICATE).display().to_string();
        self.settings = vec![
            ("security.protocol", "ssl".to_owned()),
            ("ssl.ca.location", certificate),
        ];
    }

    /// What its clients are set to, besides its address.
    pub(crate) fn settings(&self) -> &[(&'static str, String)] {
        &self.settings
    }

    /// Kills it and starts it on the same data; how long it takes until it answers.
    pub(crate) fn start_again(&mut self) -> Result<Duration> {
        self.child.kill()?;
        self.child.wait()?;
        let begun = Instant::now();
        self.child = spawn(self.peer, self.ports, self.folder.path())?;
        until_it_answers(&self.address, begun, PATIENCE)
    }

    /// Resident memory of its process.
    pub(crate) fn resident_mib(&self) -> f64 {
        self.usage().resident_kib / 1024.0
    }

    /// Processor time of its process, in clock ticks.
    pub(crate) fn ticks(&self) -> f64 {
        self.usage().ticks
    }

    /// The same by the scheduler's own clock, of the threads that are there.
    pub(crate) fn running_time(&self) -> Duration {
        running_time(&self.process())
    }

    fn usage(&self) -> Usage {
        usage_of_process(&self.process())
    }

    fn process(&self) -> PathBuf {
        PathBuf::from(format!("/proc/{}", self.child.id()))
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

/// Where a broker's log goes, in its folder.
const LOG: &str = "log";
/// What the listener with TLS has there.
const CERTIFICATE: &str = "broker.pem";
const KEY: &str = "broker.key";

/// Writes the configuration of a broker with such a listener; its path.
fn with_tls(port: u16, folder: &Path) -> Result<PathBuf> {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned(), "127.0.0.1".to_owned()])?;
    std::fs::write(folder.join(CERTIFICATE), made.cert.pem())?;
    std::fs::write(folder.join(KEY), made.signing_key.serialize_pem())?;
    let path = folder.join("broker.toml");
    let text = format!(
        "[[listener]]\nname = \"tls\"\nbind = \"127.0.0.1:{port}\"\n\
         tls = {{ certificate = \"{CERTIFICATE}\", key = \"{KEY}\" }}\n"
    );
    std::fs::write(&path, text)?;
    Ok(path)
}

fn spawn(peer: Peer, [port, controller]: [u16; 2], folder: &Path) -> Result<Child> {
    let mut command = match peer {
        Peer::Osqdemo | Peer::OsqdemoEveryBatch | Peer::OsqdemoWithTls => {
            let mut command = Command::new(OSQDEMO);
            let address = format!("127.0.0.1:{port}");
            command.args(["serve", "broker", "--listen", &address, "--data-dir"]);
            command.arg(folder.join("data"));
            if peer == Peer::OsqdemoEveryBatch {
                command.args(["--flush", "every-batch"]);
            }
            if peer == Peer::OsqdemoWithTls {
                // The controller's port of the other one.
                command.arg("--broker-config").arg(with_tls(controller, folder)?);
            }
            command
        }
        Peer::Kafka => {
            let mut command = Command::new(KAFKA);
            command.args(["broker", KAFKA_VERSION]).arg(folder);
            command.args([&port.to_string(), "--controller", &controller.to_string()]);
            command
        }
    };
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(File::create(folder.join(LOG))?)
        .spawn()
        .with_context(|| format!("failed to start {}", peer.name()))
}

impl Drop for Broker {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub(crate) fn free_port() -> Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}
