//! How fast the extension takes lines, and how long one takes to reach a consumer.
//!
//! It plays osqueryd (one thread, two fresh connections a line) against the real binary, and prints a table
//! and one JSON object. Lines are like those of `processes`. The number of lines a run and the number of runs
//! come from `LINES` and `RUNS`; the brokers from `BOOTSTRAP_SERVERS`, else they are librdkafka's mock cluster.

#![expect(clippy::print_stdout, reason = "a benchmark's result is its output")]

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use osquery_protocol::fake::{FakeExtension, FakeOsqueryd};
use osquery_protocol::plugin::LoggerRequest;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::Message;
use rdkafka::mocking::MockCluster;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

const PATIENCE: Duration = Duration::from_secs(60);
/// Lines of the latency run; one at a time, so few are enough.
const SINGLE_LINES: usize = 300;
/// Clock ticks a second in `/proc/<pid>/stat`; Linux has had the same number since ever.
const TICKS_PER_SECOND: f64 = 100.0;

fn main() {
    let lines = number("LINES", 10_000);
    let runs = number("RUNS", 5);
    let folder = tempfile::tempdir().expect("a temporary folder");
    let cluster = MockCluster::new(1).expect("a mock cluster");
    // The query's name, and the topic: a new one for each run, because the brokers may have a memory.
    let query = format!("lines-{}", std::process::id());
    cluster.create_topic(&query, 1, 1).expect("a topic");
    let servers = std::env::var("BOOTSTRAP_SERVERS").unwrap_or_else(|_| cluster.bootstrap_servers());
    let consumer = warm_consumer(&servers, &query);
    let osqueryd = FakeOsqueryd::start(&folder.path().join("em")).expect("a fake osqueryd");
    let started = Instant::now();
    let process = Extension::start(folder.path(), &servers);
    let extension = osqueryd
        .wait_for_extension("confluent", PATIENCE)
        .expect("a registered extension");
    let ready = started.elapsed();

    log(&extension, &query, 0);
    read(&consumer, 1);
    let first_record = started.elapsed();
    let cpu_before = process.cpu_seconds();
    let mut rates = Vec::new();
    let mut answers = Vec::new();
    for _ in 0..runs {
        let run = Instant::now();
        for line in 0..lines {
            let call = Instant::now();
            log(&extension, &query, line);
            answers.push(call.elapsed());
        }
        rates.push(lines as f64 / run.elapsed().as_secs_f64());
        read(&consumer, lines);
    }
    let cpu_per_line = (process.cpu_seconds() - cpu_before) * 1e6 / (lines * runs) as f64;
    let mut arrivals = Vec::new();
    for line in 0..SINGLE_LINES {
        let sent = Instant::now();
        log(&extension, &query, line);
        read(&consumer, 1);
        arrivals.push(sent.elapsed());
    }

    rates.sort_by(f64::total_cmp);
    answers.sort();
    arrivals.sort();
    let figures = [
        ("lines_per_second", rates[rates.len() / 2]),
        ("answer_p50_us", microseconds(&answers, 0.50)),
        ("answer_p99_us", microseconds(&answers, 0.99)),
        ("line_to_consumer_p50_us", microseconds(&arrivals, 0.50)),
        ("line_to_consumer_p99_us", microseconds(&arrivals, 0.99)),
        ("cpu_us_per_line", cpu_per_line),
        ("resident_kib", process.resident_kib()),
        ("start_to_ready_ms", ready.as_secs_f64() * 1e3),
        ("start_to_first_record_ms", first_record.as_secs_f64() * 1e3),
    ];
    for (name, value) in figures {
        println!("{name:<26}{value:>12.1}");
    }
    let json: serde_json::Map<String, serde_json::Value> = figures
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).into()))
        .collect();
    println!("{}", serde_json::Value::from(json));
}

fn number(variable: &str, default: usize) -> usize {
    std::env::var(variable)
        .ok()
        .and_then(|value| value.parse().ok())
        .unwrap_or(default)
}

fn microseconds(sorted: &[Duration], quantile: f64) -> f64 {
    let index = ((sorted.len() - 1) as f64 * quantile).round() as usize;
    sorted[index].as_secs_f64() * 1e6
}

fn log(extension: &FakeExtension, query: &str, number: usize) {
    let line = format!(
        r#"{{"name":"{query}","hostIdentifier":"host1","calendarTime":"Tue Nov 24 04:46:30 2026 UTC","unixTime":1795495590,"epoch":0,"counter":{number},"numerics":false,"columns":{{"cmdline":"/usr/bin/python3 -m http.server --directory /srv/{number}","cwd":"/srv","egid":"0","euid":"0","gid":"0","name":"python3","nice":"0","on_disk":"1","parent":"1","path":"/usr/bin/python3.11","pgroup":"{number}","pid":"{number}","resident_size":"11722752","root":"/","state":"S","threads":"1","total_size":"27746304","uid":"0"}},"action":"added"}}"#
    );
    let status = extension
        .log("confluent_logger", LoggerRequest::Line(line.into()))
        .expect("an answer");
    assert!(status.is_success());
}

/// A consumer that has found the topic and read from it, so that its own start is in no figure.
fn warm_consumer(servers: &str, topic: &str) -> BaseConsumer {
    let producer: BaseProducer = ClientConfig::new()
        .set("bootstrap.servers", servers)
        .create()
        .expect("a producer");
    producer
        .send(BaseRecord::to(topic).key("host1").payload(""))
        .expect("room for a record");
    producer.flush(PATIENCE).expect("a delivered record");
    let consumer = consumer(servers, topic);
    read(&consumer, 1);
    consumer
}

fn consumer(servers: &str, topic: &str) -> BaseConsumer {
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", servers)
        .set("group.id", "bench")
        // The mock cluster answers a waiting fetch when its time is up, not when a record comes.
        .set("fetch.wait.max.ms", "1")
        .create()
        .expect("a consumer");
    let mut partitions = TopicPartitionList::new();
    partitions
        .add_partition_offset(topic, 0, Offset::Beginning)
        .expect("a partition");
    consumer.assign(&partitions).expect("an assignment");
    consumer
}

fn read(consumer: &BaseConsumer, count: usize) {
    let deadline = Instant::now() + PATIENCE;
    let mut left = count;
    while left > 0 {
        assert!(
            Instant::now() < deadline,
            "{left} of {count} lines did not arrive"
        );
        if let Some(Ok(message)) = consumer.poll(Duration::from_millis(100)) {
            assert_eq!(message.key(), Some(b"host1".as_slice()));
            left -= 1;
        }
    }
}

struct Extension {
    child: Child,
}

impl Extension {
    fn start(folder: &Path, servers: &str) -> Self {
        let configuration = serde_json::json!({
            "config": { "bootstrap.servers": servers },
            "source": {},
            "key": "['hostIdentifier']",
        });
        let path = folder.join("configuration.json");
        std::fs::write(&path, configuration.to_string()).expect("a configuration");
        let child = Command::new(env!("CARGO_BIN_EXE_confluent-ext"))
            .arg("--socket")
            .arg(folder.join("em"))
            .env("OSQUERY_CONFIG", path)
            .env("OSQDEMO_SPOOL_DIR", folder.join("spool"))
            .stdin(Stdio::null())
            .spawn();
        Self {
            child: child.expect("the extension"),
        }
    }

    /// User and system time, the 14th and 15th field of `stat`; the second one, the name, may hold spaces.
    fn cpu_seconds(&self) -> f64 {
        let stat = self.proc_file("stat");
        let fields: Vec<&str> = stat
            .rsplit(')')
            .next()
            .unwrap_or_default()
            .split_whitespace()
            .collect();
        let ticks = |index: usize| fields.get(index).and_then(|field| field.parse::<f64>().ok());
        ticks(11)
            .zip(ticks(12))
            .map_or(0.0, |(user, system)| (user + system) / TICKS_PER_SECOND)
    }

    fn resident_kib(&self) -> f64 {
        let status = self.proc_file("status");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        line.and_then(|line| line.split_whitespace().next()?.parse().ok())
            .unwrap_or_default()
    }

    fn proc_file(&self, name: &str) -> String {
        std::fs::read_to_string(format!("/proc/{}/{name}", self.child.id())).unwrap_or_default()
    }
}

impl Drop for Extension {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
