//! How many of osquery's lines a second go through the demo's statements, from topic to topic, and what that costs.
//!
//! `cargo bench -p osqdemo-ksqldb --bench throughput [-- LINES]`: a broker and a server, each a process of its own; the
//! demo's four streams and its precise join as a persistent query run; then lines of the length that osquery writes go
//! into `processes` and `open_files` as fast as the broker takes them. The clock stops when the last row of each query
//! is in its topic. Prints a JSON object a run. Nothing here fails because a number is high: the machine may be busy,
//! so the reader judges.
#![expect(clippy::print_stdout, reason = "a benchmark prints its figures")]

#[path = "../tests/support/mod.rs"]
mod support;

use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use serde_json::json;
use support::{Broker, DEADLINE, Server};

/// Names a program whose `serve ksqldb` is to be measured instead.
const OTHER: &str = "KSQLDB_BENCH_PROGRAM";

const RUNS: usize = 5;
const DEFAULT_LINES: u64 = 400_000;
const HOSTS: u64 = 50;
/// Of so many lines one is an open file, the others are processes.
const ONE_FILE_IN: u64 = 4;
/// So many lines lie in a millisecond of record time: all of them are within the join's window.
const LINES_A_MS: u64 = 20;
const BEGIN_MS: i64 = 1_700_000_000_000;

/// The demo's own statements, as they are submitted.
const STATEMENTS: [&str; 3] = [
    include_str!("../../../ksql/01-sources.sql"),
    include_str!("../../../ksql/02-streams.sql"),
    include_str!("../../../ksql/03-precise.sql"),
];

const JOIN: &str =
    "CREATE STREAM precise AS SELECT p.host_pid AS host_pid, p.host AS host, p.path AS proc, f.path AS file
    FROM precise_proc AS p JOIN precise_files AS f WITHIN (1 MINUTE, 1 HOUR) GRACE PERIOD 10 MINUTES
    ON p.host_pid = f.host_pid EMIT CHANGES;";

fn main() -> std::io::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    let mut numbers = std::env::args().skip(1).filter_map(|text| text.parse().ok());
    let lines = numbers.next().unwrap_or(DEFAULT_LINES);
    let runs = numbers
        .next()
        .and_then(|runs| usize::try_from(runs).ok())
        .unwrap_or(RUNS);
    runtime.block_on(async {
        // In the process that is started for a server or a broker this serves until it is killed.
        support::run_child().await;
        for _ in 0..runs {
            println!("{}", run(lines).await);
        }
    });
    Ok(())
}

async fn run(lines: u64) -> serde_json::Value {
    let broker =
        Broker::start_process(tempfile::tempdir().expect("a folder"), ([127, 0, 0, 1], 0).into()).await;
    let server = match std::env::var_os(OTHER) {
        Some(program) => Server::start_program(program.as_ref(), &broker).await,
        None => Server::start_process(&broker).await,
    };
    for statements in STATEMENTS {
        server.ksql(statements).await;
    }
    server.ksql(JOIN).await;
    let files = lines / ONE_FILE_IN;
    let sinks = [
        ("PROC", lines - files),
        ("FILES", files),
        ("PRECISE_PROC", lines - files),
        ("PRECISE_FILES", files),
        ("PRECISE", files),
    ];
    let client = broker.client();
    let pid = server.process_id();
    let measuring = tokio::task::spawn_blocking(move || {
        let mut config = client.clone();
        config
            .set("linger.ms", "5")
            .set("queue.buffering.max.kbytes", "65536");
        let producer: BaseProducer = config.create().expect("the settings are good");
        // The queries have joined their groups and have nothing to do.
        std::thread::sleep(Duration::from_secs(1));
        let (before, began) = (cpu_seconds(pid), Instant::now());
        for number in 0..lines {
            send(&producer, number);
        }
        producer.flush(DEADLINE).expect("the lines are delivered");
        let produced = began.elapsed().as_secs_f64();
        let consumer: BaseConsumer = client.create().expect("the settings are good");
        for (topic, rows) in sinks {
            let deadline = Instant::now() + 6 * DEADLINE;
            loop {
                let end = consumer
                    .fetch_watermarks(topic, 0, DEADLINE)
                    .map_or(0, |(_, end)| end);
                if u64::try_from(end).is_ok_and(|end| end >= rows) {
                    break;
                }
                assert!(Instant::now() < deadline, "`{topic}` has {end} of {rows} rows");
                std::thread::sleep(Duration::from_millis(2));
            }
        }
        let seconds = began.elapsed().as_secs_f64();
        // What is still to be committed belongs to it.
        std::thread::sleep(Duration::from_millis(1500));
        (produced, seconds, cpu_seconds(pid) - before)
    });
    let (produced, seconds, cpu) = measuring.await.expect("the thread ends");
    let peak = peak_kib(pid);
    server.kill().await;
    broker.stop().await;
    json!({
        "lines": lines,
        "seconds": seconds,
        "seconds_to_produce": produced,
        "lines_per_second": (lines as f64 / seconds).round(),
        "server_cpu_us_per_line": (cpu / lines as f64 * 1e8).round() / 100.0,
        "server_peak_kib": peak,
    })
}

/// Sends a line, and waits while there is no room for it.
fn send(producer: &BaseProducer, number: u64) {
    let (topic, host, value) = line(number);
    let timestamp = BEGIN_MS + i64::try_from(number / LINES_A_MS).unwrap_or(0);
    let mut record = BaseRecord::<str, str>::to(topic)
        .key(&host)
        .payload(&value)
        .timestamp(timestamp);
    loop {
        match producer.send(record) {
            Ok(()) => break,
            Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), refused)) => {
                record = refused;
                producer.poll(Duration::from_millis(5));
            }
            Err((error, _)) => panic!("{error}"),
        }
    }
    if number.is_multiple_of(256) {
        producer.poll(Duration::ZERO);
    }
}

/// A line as osquery writes it, of about 550 bytes. Each file is open in the process of the line before.
fn line(number: u64) -> (&'static str, String, String) {
    let is_file = number % ONE_FILE_IN == ONE_FILE_IN - 1;
    let process = if is_file { number - 1 } else { number };
    let host = format!("host{}", process % HOSTS);
    let (topic, columns) = if is_file {
        (
            "open_files",
            format!(
                r#"{{"fd":"{}","path":"/home/jay/project/data/part-{number}/myfile-{number}.parquet","pid":"{process}","name":"worker","user":"jay","uid":"1000","gid":"1000","size":"{}","mode":"0644","inode":"{}","device":"253,0","cwd":"/home/jay/project","cmdline":"/usr/bin/head-{process} -c 1G /dev/urandom"}}"#,
                number % 64,
                number * 37,
                number * 11,
            ),
        )
    } else {
        (
            "processes",
            format!(
                r#"{{"cmdline":"/usr/bin/head-{process} -c 1G /dev/urandom","cwd":"/home/jay","egid":"1000","euid":"1000","gid":"1000","name":"head","nice":"0","on_disk":"1","parent":"{}","path":"/usr/bin/head-{process}","pgroup":"{}","pid":"{process}","resident_size":"{}","root":"/","state":"S","system_time":"{}","threads":"1","total_size":"{}","uid":"1000","user_time":"{}"}}"#,
                process / 2,
                process / 3,
                process * 4096,
                process % 991,
                process * 8192,
                process % 997,
            ),
        )
    };
    let value = format!(
        r#"{{"name":"{topic}","hostIdentifier":"{host}","calendarTime":"Sat Nov 29 10:00:00 2025 UTC","unixTime":1700000000,"epoch":0,"counter":{},"numerics":false,"decorations":{{"host_uuid":"4c4c4544-0042-3010-8056-b8c04f303432"}},"columns":{columns},"action":"added"}}"#,
        number / 1000,
    );
    (topic, host, value)
}

/// The processor time a process has used, to a tick of 10 ms.
fn cpu_seconds(pid: u32) -> f64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).expect("the process lives");
    // The name, in parentheses, may have spaces in it.
    let (_, fields) = stat.rsplit_once(')').expect("a process has a name");
    let mut fields = fields
        .split_whitespace()
        .skip(11)
        .map(|field| field.parse::<f64>().expect("a number"));
    (fields.next().unwrap_or(0.0) + fields.next().unwrap_or(0.0)) / 100.0
}

/// The largest resident size of a process so far.
fn peak_kib(pid: u32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().trim_end_matches(" kB").parse().ok()
}
