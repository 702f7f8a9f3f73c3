//! What surrounds the extension: its folder, osqueryd, Kafka, and the process itself.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use osquery_protocol::PluginRequest;
use osquery_protocol::fake::{FakeExtension, FakeOsqueryd};
use osquery_protocol::plugin::LoggerRequest;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::Message as _;
use rdkafka::mocking::MockCluster;
use rdkafka::producer::DefaultProducerContext;
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::reading::{consumer, first_records, headers_of, value_of};

/// No wait in these tests is longer.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// The extension's plugins.
pub(crate) const LOGGER: &str = "confluent_logger";
pub(crate) const CONFIG: &str = "osquery_confluent_config";

/// The passwords that configurations of these tests have.
const SECRETS: [&str; 2] = ["hunter22", "swordfish"];

/// Partitions of the topics that tests create.
const PARTITIONS: i32 = 1;

pub(crate) struct World {
    pub(crate) folder: TempDir,
    pub(crate) cluster: MockCluster<'static, DefaultProducerContext>,
}

impl World {
    pub(crate) fn new() -> Self {
        let cluster = MockCluster::new(1).expect("librdkafka has a mock cluster");
        Self {
            folder: tempfile::tempdir().unwrap(),
            cluster,
        }
    }

    /// A world with a configuration: a schedule, a pack, a fallback topic, a secret.
    pub(crate) fn configured() -> Self {
        let world = Self::new();
        world.configure(&world.configuration());
        world
    }

    pub(crate) fn configuration(&self) -> serde_json::Value {
        serde_json::json!({
            "config": { "bootstrap.servers": self.cluster.bootstrap_servers(), "sasl.password": "hunter22" },
            "source": {
                "schedule": { "processes": { "query": "select 1", "interval": 1, "key": "['hostIdentifier']" } },
                "packs": { "ir": { "queries": { "open_files": {
                    "query": "select 2", "interval": 1, "key": "['columns']['path']"
                } } } }
            },
            "topic": "osquery-default-topic"
        })
    }

    pub(crate) fn configure(&self, configuration: &serde_json::Value) {
        std::fs::write(self.configuration_path(), configuration.to_string()).unwrap();
    }

    pub(crate) fn configuration_path(&self) -> PathBuf {
        self.folder.path().join("configuration.json")
    }

    pub(crate) fn spool(&self) -> PathBuf {
        self.folder.path().join("spool")
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.folder.path().join("osquery.em")
    }

    pub(crate) fn osqueryd(&self) -> FakeOsqueryd {
        FakeOsqueryd::start(&self.socket()).unwrap()
    }

    /// Starts the extension as osqueryd does.
    pub(crate) fn start(&self) -> Extension {
        self.start_with("OSQUERY_CONFIG", &self.configuration_path())
    }

    pub(crate) fn start_with(&self, variable: &str, configuration: &Path) -> Extension {
        self.start_by(
            Command::new(env!("CARGO_BIN_EXE_confluent-ext")),
            variable,
            configuration,
        )
    }

    /// Starts the extension with a disk of its own, on which its spool is: `mount` is the command of a shell, in a
    /// namespace of mounts, in which `$SPOOL` is that folder. The extension is the process that is started.
    pub(crate) fn start_on(&self, mount: &str) -> Extension {
        std::fs::create_dir_all(self.spool()).unwrap();
        let script = format!("{mount} && exec \"$0\" \"$@\"");
        let mut command = Command::new("unshare");
        command
            .args(["--map-root-user", "--mount", "sh", "-c", &script])
            .arg(env!("CARGO_BIN_EXE_confluent-ext"))
            .env("SPOOL", self.spool());
        self.start_by(command, "OSQUERY_CONFIG", &self.configuration_path())
    }

    fn start_by(&self, mut command: Command, variable: &str, configuration: &Path) -> Extension {
        let log = self.folder.path().join("extension.log");
        let file = File::options().create(true).append(true).open(&log).unwrap();
        let child = command
            .args(["--verbose", "--socket"])
            .arg(self.socket())
            .args(["--timeout", "3", "--interval", "1"])
            .env_remove("OSQUERY_CONFIG")
            .env_remove("OSQURY_CONFIG")
            .env_remove("OSQUER_CONFIG")
            .env("OSQDEMO_SPOOL_DIR", self.spool())
            .env(variable, configuration)
            .current_dir(self.folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(file)
            .started()
            .unwrap();
        Extension { child, log }
    }

    /// Starts osqueryd and the extension, and waits until they know each other.
    pub(crate) fn running(&self) -> (FakeOsqueryd, Extension, FakeExtension) {
        let osqueryd = self.osqueryd();
        let process = self.start();
        let registered = osqueryd.wait_for_extension("confluent", PATIENCE);
        let registered = registered.unwrap_or_else(|| panic!("not registered:\n{}", process.log()));
        (osqueryd, process, registered)
    }

    /// Creates a topic with one partition, so that its records have one order.
    pub(crate) fn topic(&self, name: &str) {
        self.cluster.create_topic(name, PARTITIONS, 1).unwrap();
    }

    /// The broker goes away.
    pub(crate) fn broker_down(&self) {
        let _alone = alone();
        self.cluster.broker_down(1).unwrap();
    }

    /// It comes back.
    pub(crate) fn broker_up(&self) {
        let _alone = alone();
        self.cluster.broker_up(1).unwrap();
    }

    /// A number of the extension's statistics.
    pub(crate) fn statistic(&self, extension: &FakeExtension, name: &str) -> u64 {
        let request = PluginRequest::from([("action".into(), "generate".into())]);
        let answer = extension
            .call("table", "confluent_extension_stats", request)
            .unwrap();
        answer.rows[0][name.as_bytes()].to_text().parse().unwrap()
    }

    /// Checks the configuration as it is: the exit code, and what was said, which is no secret.
    pub(crate) fn check(&self, arguments: &[&str]) -> (Option<i32>, String) {
        let output = Command::new(env!("CARGO_BIN_EXE_confluent-ext"))
            .args(arguments)
            .env("OSQUERY_CONFIG", self.configuration_path())
            .finished()
            .unwrap();
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        for secret in SECRETS {
            assert!(!text.contains(secret), "{text}");
        }
        (output.status.code(), text)
    }

    /// Waits until everything that was taken has arrived.
    pub(crate) fn until_delivered(&self, extension: &FakeExtension) {
        until("the last delivery", || self.statistic(extension, "waiting") == 0);
    }

    /// All records that there are now.
    pub(crate) fn all_records(&self, topic: &str) -> Vec<Record> {
        let consumer = self.consumer();
        let (low, high) = consumer.fetch_watermarks(topic, 0, PATIENCE).unwrap();
        let count = usize::try_from(high - low).unwrap();
        let messages = first_records(&consumer, topic, count, PATIENCE).into_iter();
        messages
            .map(|message| {
                let headers = headers_of(&message);
                let part = |name: &str| headers.get(name).cloned().unwrap_or_default();
                Record {
                    value: value_of(&message),
                    name: format!("{} {}", part("osqdemo-spool"), part("osqdemo-seq")),
                    headers,
                }
            })
            .collect()
    }

    fn consumer(&self) -> BaseConsumer {
        consumer(&self.cluster.bootstrap_servers())
    }

    /// How many records the topic has, or had.
    pub(crate) fn end_of(&self, topic: &str) -> i64 {
        self.consumer().fetch_watermarks(topic, 0, PATIENCE).unwrap().1
    }

    /// Reads `count` records of `topic`, from the beginning: key and value.
    pub(crate) fn records(&self, topic: &str, count: usize) -> Vec<(Option<Vec<u8>>, Vec<u8>)> {
        let messages = first_records(&self.consumer(), topic, count, PATIENCE).into_iter();
        messages
            .map(|message| (message.key().map(<[u8]>::to_vec), value_of(&message)))
            .collect()
    }
}

/// A record with all that it has.
#[derive(Clone, Debug)]
pub(crate) struct Record {
    pub(crate) value: Vec<u8>,
    pub(crate) headers: BTreeMap<String, String>,
    /// The spool and the number in it, together.
    pub(crate) name: String,
}

/// The extension's process; killed when dropped.
pub(crate) struct Extension {
    child: Child,
    log: PathBuf,
}

impl Extension {
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Waits until its log contains `text`.
    pub(crate) fn wait_for_log(&self, text: &str) {
        let deadline = Instant::now() + PATIENCE;
        while !self.log().contains(text) {
            assert!(
                Instant::now() < deadline,
                "waited in vain for `{text}` in the log:\n{}",
                self.log()
            );
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(i32::try_from(self.child.id()).unwrap()).unwrap();
        kill_process(pid, signal).unwrap();
    }

    /// Waits for its end.
    pub(crate) fn end(&mut self) -> ExitStatus {
        let mut status = None;
        until("the extension's end", || {
            status = self.child.try_wait().unwrap();
            status.is_some()
        });
        status.unwrap()
    }
}

impl Drop for Extension {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A mock broker that goes away binds its port anew, and a process that is being started has the old socket for a moment,
/// whoever starts it: these do not happen at once.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Processes of these tests are started one after the other.
pub(crate) trait Started {
    fn started(&mut self) -> io::Result<Child>;

    /// Waits for its end, and reads what it said.
    fn finished(&mut self) -> io::Result<Output>;
}

impl Started for Command {
    fn started(&mut self) -> io::Result<Child> {
        let _alone = alone();
        self.spawn()
    }

    fn finished(&mut self) -> io::Result<Output> {
        self.stdout(Stdio::piped()).stderr(Stdio::piped());
        self.started()?.wait_with_output()
    }
}

/// Says loudly that a test is skipped for want of something; fails where CI promises it.
pub(crate) fn is_there(is_there: bool, what: &str) -> bool {
    if !is_there {
        assert!(
            std::env::var("CI").as_deref() != Ok("true"),
            "there is no {what}, and CI must have one"
        );
        // Past the test harness, which hides what a passing test prints.
        let _ = writeln!(
            std::io::stderr(),
            "\n*** SKIPPED: there is no {what}; {:?} did not run ***",
            std::thread::current().name().unwrap_or_default()
        );
    }
    is_there
}

/// Waits until something holds.
pub(crate) fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < deadline, "waited in vain for {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Logs a line and insists on success.
pub(crate) fn log(extension: &FakeExtension, request: LoggerRequest) {
    let status = extension.log(LOGGER, request).unwrap();
    assert!(status.is_success(), "{status:?}");
}

/// A differential line of the query `name`.
pub(crate) fn line(name: &str, path: &str) -> String {
    format!(
        r#"{{"name":"{name}","hostIdentifier":"host1","unixTime":1,"columns":{{"path":"{path}"}},"action":"added"}}"#
    )
}
