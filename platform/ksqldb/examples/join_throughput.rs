//! How fast one core joins the demo's two streams, and what memory that takes.
//!
//! Feeds raw JSON records of the schema of `proc` and `files` to the demo's join, without a broker, and prints
//! a JSON object a case: records a second of the clock and of the core, joined rows, stored rows, and the
//! process's peak memory.
//! `cargo run --release --example join_throughput [records]`

use std::io::Write;
use std::sync::Arc;
use std::time::Instant;

use osqdemo_ksqldb::metastore::Metastore;
use osqdemo_ksqldb::plan::{Purpose, plan_query, plan_source};
use osqdemo_ksqldb::syntax::ast::Statement;
use osqdemo_ksqldb::syntax::parse;
use osqdemo_ksqldb::task::{Collector, InputRecord, Task};

const SOURCES: &str = "
    create stream proc (host varchar, name varchar, pid varchar, path varchar) with (kafka_topic='PROC', value_format='json');
    create stream files (host varchar, pid varchar, path varchar) with (kafka_topic='FILES', value_format='json');
";

/// The demo's own join, and the one that also compares the hosts. The own one comes last: without a grace
/// period ksqlDB keeps a day of rows, which would hide what the other one takes.
const CASES: [(&str, &str); 2] = [
    (
        "precise",
        "select p.host as host, p.path as proc, f.path as file from proc as p join files as f within 1 minute grace period 1 minute on (f.host + '/' + f.pid) = (p.host + '/' + p.pid) emit changes;",
    ),
    (
        "verbatim",
        "select p.host as host, p.path as proc, f.path as file from proc as p join files as f within 1 minute on (f.pid=p.pid) emit changes;",
    ),
];

const DEFAULT_RECORDS: u64 = 2_000_000;

/// So much time is between two records: 250 records a second.
const STEP_MS: i64 = 4;

struct Generated {
    topic: &'static str,
    value: String,
}

/// Records of so many different processes that about one file in two meets its process.
fn generate(number: u64) -> Generated {
    let host = number / 2 % 2 + 1;
    let round = number / 2;
    // A small linear congruential generator: the same records in every run.
    let scattered = round
        .wrapping_mul(6_364_136_223_846_793_005)
        .wrapping_add(1_442_695_040_888_963_407)
        >> 33;
    let pid = scattered % 30_000;
    if number.is_multiple_of(2) {
        Generated {
            topic: "PROC",
            value: format!(
                r#"{{"HOST":"host{host}","NAME":"head","PID":"{pid}","PATH":"/usr/bin/head-{round}"}}"#
            ),
        }
    } else {
        let pid = (pid + scattered % 3) % 30_000;
        Generated {
            topic: "FILES",
            value: format!(r#"{{"HOST":"host{host}","PID":"{pid}","PATH":"/home/jay/myfile-{round}"}}"#),
        }
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let records = match std::env::args().nth(1) {
        Some(text) => text.parse()?,
        None => DEFAULT_RECORDS,
    };
    let mut metastore = Metastore::default();
    for parsed in parse(SOURCES)? {
        if let Statement::CreateSource(declaration) = parsed.statement {
            metastore.insert(Arc::new(plan_source(&declaration, &parsed.text)?));
        }
    }
    let mut output = std::io::stdout().lock();
    for (name, statement) in CASES {
        let report = run(&metastore, name, statement, records)?;
        writeln!(output, "{report}")?;
    }
    Ok(())
}

fn run(
    metastore: &Metastore,
    name: &str,
    statement: &str,
    records: u64,
) -> Result<serde_json::Value, Box<dyn std::error::Error>> {
    let parsed = parse(statement)?.remove(0);
    let Statement::Query(query) = parsed.statement else {
        return Err("the case is no query".into());
    };
    let mut task = Task::new(&plan_query(metastore, &query, Purpose::Push)?);
    let mut collector = Collector::default();
    let mut rows = 0;
    let mut seconds = 0.0;
    let mut cpu_seconds = 0.0;
    let mut next = 0;
    while next < records {
        // The records are made outside of the measured time, a batch at a time.
        let end = records.min(next + 10_000);
        let batch: Vec<Generated> = (next..end).map(generate).collect();
        let cpu_before = cpu_nanoseconds();
        let started = Instant::now();
        for (number, generated) in (next..end).zip(&batch) {
            let record = InputRecord {
                topic: generated.topic,
                partition: 0,
                offset: i64::try_from(number)?,
                timestamp: i64::try_from(number)? * STEP_MS,
                key: None,
                value: Some(generated.value.as_bytes()),
                headers: &[],
            };
            task.process(record, &mut collector);
            rows += collector.rows.len();
            collector.rows.clear();
        }
        seconds += started.elapsed().as_secs_f64();
        cpu_seconds += (cpu_nanoseconds() - cpu_before) as f64 / 1e9;
        next = end;
    }
    if let Some(entry) = collector.log.first() {
        return Err(format!("the processing log is not empty: {entry}").into());
    }
    Ok(serde_json::json!({
        "case": name,
        "records": records,
        "seconds": seconds,
        "cpu_seconds": cpu_seconds,
        "records_per_second": (records as f64 / seconds).round(),
        "records_per_cpu_second": (records as f64 / cpu_seconds).round(),
        "joined_rows": rows,
        "stored_rows": task.stored_rows().0,
        "peak_memory_bytes": peak_memory_bytes(),
    }))
}

/// The largest resident size of this process so far; it includes the case's batch of records.
fn peak_memory_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kilobytes: u64 = line.trim().trim_end_matches(" kB").parse().ok()?;
    Some(kilobytes * 1024)
}

/// How long this thread has been on a core, which says more than the clock where the machine is shared.
fn cpu_nanoseconds() -> u64 {
    let statistics = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let on_core = statistics.split_whitespace().next();
    on_core.and_then(|text| text.parse().ok()).unwrap_or_default()
}
