//! How fast the extension takes lines and brings them to Kafka, for `make bench WHAT=extension`.
//!
//! It plays osqueryd (one thread, two fresh connections a line) against the real program, which lies in the folder
//! above this one's, and librdkafka's mock cluster. What it measures goes to standard output, a JSON object a line.
//!
//! - `rates`: an extension that does nothing, the real one without a spool, and the real one with it, side by side.
//! - `formats`: lines as they are, and as Avro in both modes, side by side.
//! - `bytes FILE`: what topics hold of the lines of a file in each of these formats.
//! - `drain`: a million lines are spooled without a broker; then there is one.
//! - `null SOCKET`: is the extension that does nothing.
//!
//! Long because what is measured side by side is measured by one program, with one clock.

#![expect(clippy::print_stdout, reason = "what is measured goes to standard output")]

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use osquery_protocol::client::{ManagerClient, extension_socket};
use osquery_protocol::fake::{FakeExtension, FakeOsqueryd};
use osquery_protocol::plugin::LoggerRequest;
use osquery_protocol::server::{ExtensionHandler, RunningServer};
use osquery_protocol::{ByteString, ExtensionInfo, PluginRequest, Registry, Response, RouteTable, Status};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::message::Message;
use rdkafka::mocking::MockCluster;
use rdkafka::{ClientConfig, Offset, TopicPartitionList};
use tokio::runtime::Runtime;
use tokio_util::sync::CancellationToken;

const PATIENCE: Duration = Duration::from_secs(120);
const TOPIC: &str = "processes";
/// Lines of one case at a time, and how often each case has its turn: what else the machine does then meets all alike.
const LINES: usize = 3000;
const TURNS: usize = 8;
/// Lines before anything is measured.
const WARM_UP: usize = 500;
/// Lines that are spooled, and how many a call has: osqueryd would need minutes.
const SPOOLED: usize = 1_000_000;
const BATCH: usize = 1000;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["rates"] => rates(),
        ["formats"] => formats(),
        ["bytes", file] => bytes(Path::new(file)),
        ["drain"] => drain(),
        ["null", socket] => serve_nothing(Path::new(socket)),
        _ => panic!("usage: line_throughput rates|formats|bytes FILE|drain"),
    }
}

fn rates() {
    let cluster = MockCluster::new(1).expect("a mock cluster");
    cluster.create_topic(TOPIC, 1, 1).expect("a topic");
    let servers = cluster.bootstrap_servers();
    let cases = [
        ("nothing", None),
        ("without a spool", Some(serde_json::json!("off"))),
        ("with the spool", Some(serde_json::json!({}))),
    ];
    let running = cases.map(|(case, spool)| {
        let more = spool.map(|spool| serde_json::json!({ "spool": spool }));
        (case, Running::start(more, &servers))
    });
    for (case, extension) in &running {
        if let Some(ready) = extension.ready {
            tell(case, "ready_ms", ready.as_secs_f64() * 1e3);
        }
        extension.log_lines(WARM_UP);
        extension.wait_until_delivered();
    }
    for round_trip in [0, 5] {
        let time = Duration::from_millis(round_trip);
        cluster
            .broker_round_trip_time(1, time)
            .expect("a round-trip time");
        let mut turns = [(); 3].map(|()| Measured::default());
        for _ in 0..TURNS {
            for ((_, extension), measured) in running.iter().zip(&mut turns) {
                measured.add_turn(extension);
            }
        }
        for ((case, extension), measured) in running.iter().zip(&mut turns) {
            let lines = (LINES * TURNS) as f64;
            let answers = &mut measured.answers;
            answers.sort_unstable();
            let case = format!("{case}, {round_trip} ms");
            tell(&case, "lines_per_second", lines / measured.took.as_secs_f64());
            tell(&case, "answer_p50_us", microseconds(answers, 0.50));
            tell(&case, "answer_p99_us", microseconds(answers, 0.99));
            tell(&case, "cpu_us_per_line", measured.cpu.as_secs_f64() * 1e6 / lines);
            tell(&case, "resident_mb", extension.status_megabytes("VmRSS:"));
        }
    }
}

/// The formats, and what the configuration says of each.
fn formats_with(registry: &str) -> [(&'static str, serde_json::Value); 3] {
    let registry = serde_json::json!({ "url": registry });
    let topics = |topics| serde_json::json!({ "topics": topics, "schema_registry": registry });
    [
        ("json", serde_json::json!({})),
        (
            "map",
            topics(serde_json::json!({ "format": "avro", "mode": "map" })),
        ),
        (
            "record",
            topics(serde_json::json!({ "format": "avro", "mode": "record" })),
        ),
    ]
}

fn formats() {
    let services = Services::start();
    let cluster = MockCluster::new(1).expect("a mock cluster");
    cluster.create_topic(TOPIC, 1, 1).expect("a topic");
    let servers = cluster.bootstrap_servers();
    let running = formats_with(&services.registry)
        .map(|(format, configuration)| (format, Running::start(Some(configuration), &servers)));
    for (_, extension) in &running {
        extension.log_lines(WARM_UP);
        extension.wait_until_delivered();
    }
    let mut turns = [(); 3].map(|()| Measured::default());
    for _ in 0..TURNS {
        for ((_, extension), measured) in running.iter().zip(&mut turns) {
            measured.add_turn(extension);
        }
    }
    for ((format, _), measured) in running.iter().zip(&turns) {
        let microseconds = measured.cpu.as_secs_f64() * 1e6;
        tell(format, "cpu_us_per_line", microseconds / (LINES * TURNS) as f64);
    }
}

/// Tells for each topic how many bytes its keys and values have.
fn bytes(file: &Path) {
    let lines = std::fs::read_to_string(file).expect("a file of lines");
    let lines: Vec<&str> = lines.lines().collect();
    for place in 0..formats_with("").len() {
        // Each with a broker of its own: the topics have the same names.
        let services = Services::start();
        let (format, configuration) = formats_with(&services.registry)[place].clone();
        let extension = Running::start(Some(configuration), &services.broker);
        for lines in lines.chunks(BATCH) {
            let batch = serde_json::json!(lines).to_string();
            extension.log(LoggerRequest::Batch(batch.into()));
        }
        extension.wait_until_delivered();
        let topics = services.bytes();
        let records: usize = topics.values().map(|(records, _)| records).sum();
        assert_eq!(
            records,
            lines.len(),
            "a line is in no topic of its own: {topics:?}"
        );
        for (topic, (_, bytes)) in topics {
            tell(format, &topic, bytes as f64);
        }
    }
}

/// A broker and a registry in this process.
struct Services {
    broker: String,
    registry: String,
    runtime: Option<Runtime>,
    _folder: tempfile::TempDir,
}

impl Services {
    fn start() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let runtime = Runtime::new().expect("a runtime");
        let anywhere = SocketAddr::from(([127, 0, 0, 1], 0));
        let mut config = osqdemo_broker::Config::new(folder.path());
        config.listeners = vec![osqdemo_broker::Listener::plaintext("bench", anywhere)];
        let (broker, registry) = runtime.block_on(async {
            let broker = osqdemo_broker::bind(config).await.expect("a broker");
            let address = broker.addresses()[0].local.to_string();
            tokio::spawn(broker.run(CancellationToken::new()));
            let config = osqdemo_schema_registry::Config::new(anywhere, address.clone());
            let registry = osqdemo_schema_registry::bind(config).await.expect("a registry");
            let url = format!("http://{}", registry.address());
            tokio::spawn(registry.run(CancellationToken::new()));
            (address, url)
        });
        Self {
            broker,
            registry,
            runtime: Some(runtime),
            _folder: folder,
        }
    }

    /// The records of each topic of lines, and the bytes of their keys and values.
    fn bytes(&self) -> BTreeMap<String, (usize, usize)> {
        let consumer: BaseConsumer = ClientConfig::new()
            .set("bootstrap.servers", &self.broker)
            .set("group.id", "bytes")
            .set("enable.partition.eof", "true")
            .create()
            .expect("a consumer");
        let metadata = consumer.fetch_metadata(None, PATIENCE).expect("the topics");
        let mut assignment = TopicPartitionList::new();
        let of_lines = |topic: &str| !topic.starts_with(['_', '.']) && !topic.starts_with("osqdemo-");
        for topic in metadata.topics().iter().filter(|topic| of_lines(topic.name())) {
            for partition in topic.partitions() {
                assignment
                    .add_partition_offset(topic.name(), partition.id(), Offset::Beginning)
                    .expect("a place");
            }
        }
        let mut unread = assignment.count();
        consumer.assign(&assignment).expect("an assignment");
        let mut topics = BTreeMap::<String, (usize, usize)>::new();
        while unread > 0 {
            match consumer.poll(PATIENCE).expect("a record or the end") {
                Ok(record) => {
                    let parts = [record.key(), record.payload()];
                    let (records, bytes) = topics.entry(record.topic().to_owned()).or_default();
                    *records += 1;
                    *bytes += parts.into_iter().flatten().map(<[u8]>::len).sum::<usize>();
                }
                Err(KafkaError::PartitionEOF(_)) => unread -= 1,
                Err(error) => panic!("{error}"),
            }
        }
        topics
    }
}

impl Drop for Services {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// What the turns of a case took.
#[derive(Default)]
struct Measured {
    took: Duration,
    cpu: Duration,
    answers: Vec<Duration>,
}

impl Measured {
    fn add_turn(&mut self, extension: &Running) {
        let (cpu, began) = (extension.cpu(), Instant::now());
        self.answers.extend(extension.log_lines(LINES));
        self.took += began.elapsed();
        extension.wait_until_delivered();
        self.cpu += extension.cpu().saturating_sub(cpu);
    }
}

fn drain() {
    let cluster = MockCluster::new(1).expect("a mock cluster");
    cluster.create_topic(TOPIC, 1, 1).expect("a topic");
    cluster.broker_down(1).expect("a broker that is away");
    let more = serde_json::json!({ "spool": { "max_bytes": 1_u64 << 30 } });
    let extension = Running::start(Some(more), &cluster.bootstrap_servers());
    let began = Instant::now();
    for first in (0..SPOOLED).step_by(BATCH) {
        let lines: Vec<String> = (first..first + BATCH).map(line).collect();
        let batch = serde_json::json!(lines).to_string();
        extension.log(LoggerRequest::Batch(batch.into()));
    }
    let seconds = began.elapsed().as_secs_f64();
    tell("drain", "spooled_lines_per_second", SPOOLED as f64 / seconds);
    let before = extension.status_megabytes("VmRSS:");
    assert_eq!(
        extension.statistic("waiting"),
        SPOOLED as u64,
        "a line was not accepted"
    );
    // From here on the kernel's peak is that of the drain (proc(5), `clear_refs`).
    std::fs::write(format!("/proc/{}/clear_refs", extension.child.id()), "5").expect("a new peak");
    cluster.broker_up(1).expect("a broker");
    // The way to the broker is no part of the rate.
    while extension.statistic("delivered") == 0 {
        std::thread::yield_now();
    }
    let (began, delivered) = (Instant::now(), extension.statistic("delivered"));
    extension.wait_until_delivered();
    let rate = (SPOOLED as u64 - delivered) as f64 / began.elapsed().as_secs_f64();
    tell("drain", "lines_per_second", rate);
    tell("drain", "resident_before_mb", before);
    tell("drain", "resident_most_mb", extension.status_megabytes("VmHWM:"));
}

fn tell(case: &str, figure: &str, value: f64) {
    println!(
        "{}",
        serde_json::json!({ "case": case, "figure": figure, "value": value })
    );
}

fn microseconds(sorted: &[Duration], quantile: f64) -> f64 {
    let index = ((sorted.len() - 1) as f64 * quantile).round() as usize;
    sorted[index].as_secs_f64() * 1e6
}

/// A line like those of the query `processes`.
fn line(number: usize) -> String {
    format!(
        r#"{{"name":"{TOPIC}","hostIdentifier":"host1","calendarTime":"Tue Nov 24 04:46:30 2026 UTC","unixTime":1795495590,"epoch":0,"counter":{number},"numerics":false,"columns":{{"cmdline":"/usr/bin/python3 -m http.server --directory /srv/{number}","cwd":"/srv","egid":"0","euid":"0","gid":"0","name":"python3","nice":"0","on_disk":"1","parent":"1","path":"/usr/bin/python3.11","pgroup":"{number}","pid":"{number}","resident_size":"11722752","root":"/","state":"S","threads":"1","total_size":"27746304","uid":"0"}},"action":"added"}}"#
    )
}

/// An extension, and the osqueryd that it is registered with.
struct Running {
    child: Child,
    extension: FakeExtension,
    /// From its start until it was registered and answered; of the real one.
    ready: Option<Duration>,
    _osqueryd: FakeOsqueryd,
    _folder: tempfile::TempDir,
}

impl Running {
    /// Starts the real one with these members in its configuration besides the usual ones, or the one that does nothing.
    fn start(more: Option<serde_json::Value>, servers: &str) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let socket = folder.path().join("em");
        let osqueryd = FakeOsqueryd::start(&socket).expect("a fake osqueryd");
        let own = std::env::current_exe().expect("a path of its own");
        let is_real = more.is_some();
        let mut command = match more {
            None => {
                let mut command = Command::new(own);
                command.arg("null").arg(&socket);
                command
            }
            Some(serde_json::Value::Object(more)) => {
                let mut configuration = serde_json::json!({
                    "config": { "bootstrap.servers": servers },
                    "source": {},
                    "key": "['hostIdentifier']",
                });
                let members = configuration.as_object_mut().expect("an object");
                members.extend(more);
                let path = folder.path().join("configuration.json");
                std::fs::write(&path, configuration.to_string()).expect("a configuration");
                let program: PathBuf = own.parent().expect("a folder").join("../confluent-ext");
                let mut command = Command::new(program);
                command.arg("--socket").arg(&socket).env("OSQUERY_CONFIG", path);
                command.env("OSQDEMO_SPOOL_DIR", folder.path().join("spool"));
                command
            }
            Some(other) => panic!("no members: {other}"),
        };
        let began = Instant::now();
        let child = command
            .stdin(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("the extension");
        let extension = osqueryd
            .wait_for_extension("confluent", PATIENCE)
            .expect("a registration");
        Self {
            child,
            extension,
            ready: is_real.then(|| began.elapsed()),
            _osqueryd: osqueryd,
            _folder: folder,
        }
    }

    fn log(&self, request: LoggerRequest) {
        let status = self
            .extension
            .log("confluent_logger", request)
            .expect("an answer");
        assert!(status.is_success());
    }

    /// Logs lines one by one; how long each took.
    fn log_lines(&self, count: usize) -> Vec<Duration> {
        let times = (0..count).map(|number| {
            let request = LoggerRequest::Line(line(number).into());
            let began = Instant::now();
            self.log(request);
            began.elapsed()
        });
        times.collect()
    }

    fn statistic(&self, name: &str) -> u64 {
        let request = PluginRequest::from([("action".into(), "generate".into())]);
        let answer = self
            .extension
            .call("table", "confluent_extension_stats", request)
            .expect("statistics");
        // The one that does nothing has none, and nothing waits in it.
        let value = answer.rows.first().and_then(|row| row.get(name.as_bytes()));
        value.map_or(0, |value| value.to_text().parse().expect("a number"))
    }

    fn wait_until_delivered(&self) {
        let deadline = Instant::now() + PATIENCE;
        while self.statistic("waiting") > 0 {
            assert!(Instant::now() < deadline, "lines do not arrive");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// The time that all threads have had a processor, to the nanosecond. None of them ends before the program.
    fn cpu(&self) -> Duration {
        let tasks = std::fs::read_dir(format!("/proc/{}/task", self.child.id())).into_iter();
        let tasks = tasks.flatten().flatten();
        let nanoseconds = tasks.filter_map(|task| {
            let text = std::fs::read_to_string(task.path().join("schedstat")).ok()?;
            text.split_whitespace().next()?.parse::<u64>().ok()
        });
        Duration::from_nanos(nanoseconds.sum())
    }

    fn status_megabytes(&self, name: &str) -> f64 {
        let status = self.proc_file("status");
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        let kib: Option<f64> = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
        kib.unwrap_or_default() * 1024.0 / 1e6
    }

    fn proc_file(&self, name: &str) -> String {
        std::fs::read_to_string(format!("/proc/{}/{name}", self.child.id())).unwrap_or_default()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The extension that does nothing.
fn serve_nothing(socket: &Path) {
    struct Nothing;
    impl ExtensionHandler for Nothing {
        fn call(&self, _registry: &ByteString, _item: &ByteString, _request: PluginRequest) -> Response {
            Status::success().into()
        }

        fn shutdown(&self) {}
    }
    let info = ExtensionInfo {
        name: "confluent".into(),
        version: "1".into(),
        sdk_version: "5.0.0".into(),
        min_sdk_version: "5.0.0".into(),
    };
    let logger = RouteTable::from([("confluent_logger".into(), Vec::new())]);
    let mut manager = ManagerClient::connect(socket, PATIENCE).expect("osqueryd");
    let status = manager
        .register(info, Registry::from([("logger".into(), logger)]))
        .expect("a registration");
    let server = RunningServer::extension(&extension_socket(socket, status.uuid), Arc::new(Nothing));
    let _server = server.expect("a server");
    loop {
        std::thread::park();
    }
}
