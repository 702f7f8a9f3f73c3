//! How fast one core does what the demo asks for, and what memory that takes.
//!
//! Without a broker: feeds lines as osquery writes them to `proc`, as JSON and as Avro, and to a count by host, and raw
//! JSON records of the schema of `proc` and `files` to the demo's join. Prints a JSON object a case: records a second of the clock and of
//! the core, rows out, stored rows, and the process's peak memory.
//! `cargo run --release --example join_throughput [records]`

use std::io::Write;
use std::sync::Arc;
use std::time::Instant;

use osqdemo_avro::write::{Blocks, write_branch, write_string};
use osqdemo_avro::{Schema, write_long};
use osqdemo_ksqldb::metastore::Metastore;
use osqdemo_ksqldb::plan::{Purpose, plan_query, plan_source};
use osqdemo_ksqldb::serde::{Format, WriterSchema};
use osqdemo_ksqldb::syntax::ast::Statement;
use osqdemo_ksqldb::syntax::parse;
use osqdemo_ksqldb::task::{Collector, InputRecord, Task};
use osqdemo_registry_client::wire::write_id;

const SOURCES: &str = "
    create stream processes (name varchar, hostIdentifier varchar, calendarTime varchar, unixTime bigint, epoch bigint, counter bigint, columns map<varchar, varchar>, action varchar) with (kafka_topic='processes', value_format='json');
    create stream processes_avro (name varchar, hostIdentifier varchar, calendarTime varchar, unixTime bigint, epoch bigint, counter bigint, columns map<varchar, varchar>, action varchar) with (kafka_topic='processes_avro', value_format='avro');
    create stream proc (host varchar, name varchar, pid varchar, path varchar) with (kafka_topic='PROC', value_format='json');
    create stream files (host varchar, pid varchar, path varchar) with (kafka_topic='FILES', value_format='json');
";

/// A case: its name, its statement, and what is fed to it.
type Case = (&'static str, &'static str, fn(u64) -> Generated);

/// What one line of osquery's costs, alone and in a group, and the demo's join, its own one and the one that also
/// compares the hosts. The own one comes last: without a grace period ksqlDB keeps a day of rows, which would hide what
/// the others take.
const CASES: [Case; 5] = [
    (
        "proc",
        "create stream p as select hostIdentifier as host, COLUMNS['name'] as name, COLUMNS['pid'] as pid, COLUMNS['path'] as path from processes where COLUMNS ['name'] not like '%osqueryd%' and COLUMNS ['name'] <> 'python' and COLUMNS ['name'] <> 'bash';",
        line,
    ),
    (
        "proc_avro",
        "create stream p as select hostIdentifier as host, COLUMNS['name'] as name, COLUMNS['pid'] as pid, COLUMNS['path'] as path from processes_avro where COLUMNS ['name'] not like '%osqueryd%' and COLUMNS ['name'] <> 'python' and COLUMNS ['name'] <> 'bash';",
        avro_line,
    ),
    (
        "count",
        "create table c as select hostIdentifier, count(*) as lines from processes window tumbling (size 1 minute) group by hostIdentifier;",
        line,
    ),
    (
        "precise",
        "select p.host as host, p.path as proc, f.path as file from proc as p join files as f within 1 minute grace period 1 minute on (f.host + '/' + f.pid) = (p.host + '/' + p.pid) emit changes;",
        generate,
    ),
    (
        "verbatim",
        "select p.host as host, p.path as proc, f.path as file from proc as p join files as f within 1 minute on (f.pid=p.pid) emit changes;",
        generate,
    ),
];

const DEFAULT_RECORDS: u64 = 2_000_000;

/// So much time is between two records: 250 records a second.
const STEP_MS: i64 = 4;

struct Generated {
    topic: &'static str,
    value: Vec<u8>,
}

/// The schema that the extension writes the lines of all queries with.
const LINE_SCHEMA: &str = r#"{"type":"record","name":"Result","namespace":"io.osqdemo.osquery","fields":[
    {"name":"name","type":["null","string"],"default":null},
    {"name":"hostIdentifier","type":["null","string"],"default":null},
    {"name":"calendarTime","type":["null","string"],"default":null},
    {"name":"unixTime","type":["null","long"],"default":null},
    {"name":"epoch","type":["null","long"],"default":null},
    {"name":"counter","type":["null","long"],"default":null},
    {"name":"numerics","type":"boolean","default":false},
    {"name":"decorations","type":["null",{"type":"map","values":"string"}],"default":null},
    {"name":"action","type":["null","string"],"default":null},
    {"name":"columns","type":["null",{"type":"map","values":"string"}],"default":null},
    {"name":"snapshot","type":["null",{"type":"array","items":{"type":"map","values":"string"}}],"default":null}]}"#;
/// Its id, and that of the schema of what is written.
const IDS: (u32, u32) = (1, 2);

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
            )
            .into(),
        }
    } else {
        let pid = (pid + scattered % 3) % 30_000;
        Generated {
            topic: "FILES",
            value: format!(r#"{{"HOST":"host{host}","PID":"{pid}","PATH":"/home/jay/myfile-{round}"}}"#)
                .into(),
        }
    }
}

/// A line as osquery writes it, of 50 hosts.
fn line(number: u64) -> Generated {
    let host = number % 50;
    Generated {
        topic: "processes",
        value: format!(
            r#"{{"name":"processes","hostIdentifier":"host{host}","calendarTime":"Sat Nov 29 10:00:00 2025 UTC","unixTime":1764410400,"epoch":0,"counter":{},"numerics":false,"decorations":{{"host_uuid":"4c4c4544-0042-3010-8056-b8c04f303432"}},"columns":{{"cmdline":"/usr/bin/head-{number} -c 1G /dev/urandom","cwd":"/home/jay","egid":"1000","euid":"1000","gid":"1000","name":"head","nice":"0","on_disk":"1","parent":"{}","path":"/usr/bin/head-{number}","pgroup":"{}","pid":"{number}","resident_size":"{}","root":"/","state":"S","system_time":"{}","threads":"1","total_size":"{}","uid":"1000","user_time":"{}"}},"action":"added"}}"#,
            number / 1000,
            number / 2,
            number / 3,
            number * 4096,
            number % 991,
            number * 8192,
            number % 997,
        )
        .into(),
    }
}

/// The same line as the extension writes it in Avro.
fn avro_line(number: u64) -> Generated {
    let line: serde_json::Value = serde_json::from_slice(&line(number).value).unwrap_or_default();
    let mut value = Vec::new();
    write_id(IDS.0, &mut value);
    let text = |value: &mut Vec<u8>, member: &str| {
        write_branch(1, value);
        write_string(line[member].as_str().unwrap_or_default(), value);
    };
    let map = |value: &mut Vec<u8>, member: &str| {
        write_branch(1, value);
        let mut blocks = Blocks::default();
        for (name, member) in line[member].as_object().into_iter().flatten() {
            blocks.item(value);
            write_string(name, value);
            write_string(member.as_str().unwrap_or_default(), value);
        }
        blocks.end(value);
    };
    for member in ["name", "hostIdentifier", "calendarTime"] {
        text(&mut value, member);
    }
    for member in ["unixTime", "epoch", "counter"] {
        write_branch(1, &mut value);
        write_long(line[member].as_i64().unwrap_or_default(), &mut value);
    }
    value.push(0);
    map(&mut value, "decorations");
    text(&mut value, "action");
    map(&mut value, "columns");
    write_branch(0, &mut value);
    Generated {
        topic: "processes_avro",
        value,
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
    let only = std::env::args().nth(2);
    let cases = CASES
        .iter()
        .filter(|(name, ..)| only.as_deref().is_none_or(|only| only == *name));
    for case in cases {
        let report = run(&metastore, case, records)?;
        writeln!(output, "{report}")?;
    }
    Ok(())
}

fn run(
    metastore: &Metastore,
    (name, statement, make): &Case,
    records: u64,
) -> Result<serde_json::Value, Box<dyn std::error::Error>> {
    let parsed = parse(statement)?.remove(0);
    let plan = match &parsed.statement {
        Statement::Query(query) => plan_query(metastore, query, Purpose::Push)?,
        Statement::CreateAsSelect(create) => {
            let purpose = Purpose::Sink {
                name: &create.name,
                kind: create.kind,
                properties: &create.properties,
                statement: &parsed.text,
                wrap_single_values: true,
            };
            plan_query(metastore, &create.query, purpose)?
        }
        _ => return Err("the case is no query".into()),
    };
    if plan.inputs()[0].value_format == Format::Avro {
        let schema_of = |text: &str| {
            let schema = Schema::parse(text).expect("it is a schema");
            WriterSchema::Avro(Arc::new(schema))
        };
        let written = schema_of(LINE_SCHEMA);
        let first = make(0);
        while let Some(missing) = plan.missing_schema(&record(&first, 0)) {
            plan.learn_schema(&missing, Ok(&written));
        }
        plan.prepare_sink(|_, text| (IDS.1, schema_of(text)))?;
    }
    let mut task = Task::new(&plan);
    let mut collector = Collector::default();
    let mut rows = 0;
    let mut seconds = 0.0;
    let mut cpu_seconds = 0.0;
    let mut next = 0;
    while next < records {
        // The records are made outside of the measured time, a batch at a time.
        let end = records.min(next + 10_000);
        let batch: Vec<Generated> = (next..end).map(make).collect();
        let cpu_before = cpu_nanoseconds();
        let started = Instant::now();
        for (number, generated) in (next..end).zip(&batch) {
            task.process(record(generated, i64::try_from(number)?), &mut collector);
            rows += collector.rows.len() + collector.records.len();
            collector.rows.clear();
            collector.records.clear();
            collector.changes.clear();
            collector.expired.clear();
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
        "rows": rows,
        "stored_rows": task.stored_rows().0,
        "peak_memory_bytes": peak_memory_bytes(),
    }))
}

fn record(generated: &Generated, number: i64) -> InputRecord<'_> {
    InputRecord {
        topic: generated.topic,
        partition: 0,
        offset: number,
        timestamp: number * STEP_MS,
        key: None,
        value: Some(&generated.value),
        headers: &[],
    }
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
