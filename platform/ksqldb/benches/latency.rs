//! How long a record takes through a server and its broker, and what a server costs.
//!
//! `cargo bench -p osqdemo-ksqldb --bench latency`, with `-- --quick` for one short round that only shows that
//! it works. Each figure is the median of five runs, each with a broker and a server of its own. The table goes
//! to standard error as it grows, the samples to standard output as one JSON document. Nothing here fails
//! because a number is high: the machine may be busy, so the reader judges.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a benchmark prints its figures"
)]

#[path = "../tests/support/mod.rs"]
mod support;

use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::producer::{FutureProducer, FutureRecord};
use serde_json::{Value, json};
use support::{Broker, DEADLINE, Push, Server, next_record, produce};

/// How much is measured.
struct Extent {
    runs: usize,
    /// Records one after the other; a tenth of them first to warm up.
    records: usize,
    /// Queries made one after the other.
    queries: usize,
    /// Records that wait when the query starts.
    backlog: usize,
    /// How long the processor time of a server at rest is watched.
    watch: Duration,
}

const FULL: Extent = Extent {
    runs: 5,
    records: 1000,
    queries: 25,
    backlog: 50_000,
    watch: Duration::from_secs(10),
};

const QUICK: Extent = Extent {
    runs: 1,
    records: 20,
    queries: 3,
    backlog: 500,
    watch: Duration::from_secs(1),
};

/// Between two records, so that each travels alone.
const PAUSE: Duration = Duration::from_millis(3);

const QUERIES: &str = "
    CREATE STREAM left_in (id BIGINT, at VARCHAR) WITH (KAFKA_TOPIC='left_in', VALUE_FORMAT='JSON', PARTITIONS=1);
    CREATE STREAM right_in (id BIGINT, at VARCHAR) WITH (KAFKA_TOPIC='right_in', VALUE_FORMAT='JSON', PARTITIONS=1);
    CREATE STREAM l AS SELECT id, at FROM left_in WHERE at <> 'never';
    CREATE STREAM r AS SELECT id, at FROM right_in WHERE at <> 'never';";

const JOIN: &str = "SELECT l.id AS id FROM l JOIN r WITHIN 1 MINUTE ON l.id = r.id EMIT CHANGES;";

fn main() -> std::io::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    let extent = if std::env::args().any(|argument| argument == "--quick") {
        QUICK
    } else {
        FULL
    };
    runtime.block_on(async {
        // In the process that a figure starts this serves until it is killed.
        support::run_child().await;
        let mut figures = Figures::default();
        figures.measure(&extent, through_the_pipeline).await;
        figures.measure(&extent, new_queries).await;
        figures.measure(&extent, a_backlog).await;
        figures.measure(&extent, at_rest).await;
        figures.print();
    });
    Ok(())
}

/// One sample: a figure's name, its unit and the value.
type Sample = (&'static str, &'static str, f64);

/// Every figure so far, in the order of the table.
#[derive(Default)]
struct Figures(Vec<Value>);

impl Figures {
    /// Runs a measurement as often as asked for and shows the medians.
    async fn measure(&mut self, extent: &Extent, measurement: impl AsyncFn(&Extent) -> Vec<Sample>) {
        let mut runs = Vec::new();
        for _ in 0..extent.runs {
            runs.push(measurement(extent).await);
        }
        for (place, (name, unit, _)) in runs[0].iter().enumerate() {
            let samples: Vec<f64> = runs.iter().map(|run| run[place].2).collect();
            let median = quantile(&samples, 0.5);
            eprintln!("{name:<52} {median:>12.2} {unit}");
            self.0
                .push(json!({"name": name, "unit": unit, "median": median, "samples": samples}));
        }
    }

    fn print(&self) {
        println!("{:#}", json!({"figures": self.0}));
    }
}

/// How long after it was made a query over a topic with records gives out the first of them.
async fn new_queries(extent: &Extent) -> Vec<Sample> {
    let broker = Broker::start().await;
    let server = Server::start(&broker).await;
    server.ksql(QUERIES).await;
    produce(&broker.producer(), "left_in", None, &record(0)).await;
    let mut waited = Vec::new();
    for number in 0..extent.queries {
        let statement = format!("CREATE STREAM new{number} AS SELECT id FROM left_in;");
        let properties = json!({"auto.offset.reset": "earliest"});
        let body = json!({"ksql": statement, "streamsProperties": properties});
        let (status, answer) = server.post("/ksql", &body).await;
        assert_eq!(status, 200, "{answer}");
        let made = Instant::now();
        let client = broker.client();
        let written = tokio::task::spawn_blocking(move || {
            let consumer: BaseConsumer = client.create().expect("the settings are good");
            let topic = format!("NEW{number}");
            while !consumer
                .fetch_watermarks(&topic, 0, DEADLINE)
                .is_ok_and(|(_, end)| end > 0)
            {
                std::thread::sleep(Duration::from_millis(1));
            }
        });
        written.await.expect("the thread ends");
        waited.push(milliseconds(made.elapsed()));
    }
    server.stop().await;
    broker.stop().await;
    vec![
        ("new query to its first record, p50", "ms", quantile(&waited, 0.5)),
        (
            "new query to its first record, at most",
            "ms",
            quantile(&waited, 1.0),
        ),
    ]
}

/// Records that a query copies, alone and into a join, until their rows are at the client.
async fn through_the_pipeline(extent: &Extent) -> Vec<Sample> {
    let broker = Broker::start().await;
    let server = Server::start(&broker).await;
    server.ksql(QUERIES).await;
    let producer = broker.producer();

    let mut rows = server.push("SELECT id FROM l EMIT CHANGES;", json!({})).await;
    let mut copied = Vec::new();
    for id in 0..extent.records {
        copied.push(timed_row(&producer, "left_in", id, &mut rows).await);
    }
    drop(rows);

    let mut rows = server.push(JOIN, json!({})).await;
    let mut joined = Vec::new();
    for id in 0..extent.records {
        produce(&producer, "left_in", None, &record(id)).await;
        joined.push(timed_row(&producer, "right_in", id, &mut rows).await);
    }
    let stop = milliseconds(server.stop().await);
    drop(rows);
    broker.stop().await;

    let warm = extent.records / 10;
    let (copied, joined) = (&copied[warm..], &joined[warm..]);
    vec![
        (
            "record to row through one query, p50",
            "ms",
            quantile(copied, 0.5),
        ),
        (
            "record to row through one query, p99",
            "ms",
            quantile(copied, 0.99),
        ),
        ("record to joined row, p50", "ms", quantile(joined, 0.5)),
        ("record to joined row, p99", "ms", quantile(joined, 0.99)),
        ("stop with an open push query", "ms", stop),
    ]
}

/// From before a record is sent until its row is there, in milliseconds.
async fn timed_row(producer: &FutureProducer, topic: &str, id: usize, rows: &mut Push) -> f64 {
    tokio::time::sleep(PAUSE).await;
    let began = Instant::now();
    produce(producer, topic, None, &record(id)).await;
    assert_eq!(rows.row().await, json!([id]), "another row than the record's");
    milliseconds(began.elapsed())
}

/// Records that are there before the query is, until the last of them is in its topic.
async fn a_backlog(extent: &Extent) -> Vec<Sample> {
    let broker = Broker::start().await;
    let server = Server::start(&broker).await;
    server
        .ksql("CREATE STREAM s (id BIGINT, at VARCHAR) WITH (KAFKA_TOPIC='s', VALUE_FORMAT='JSON', PARTITIONS=1);")
        .await;
    let producer = broker.producer();
    let mut sent = Vec::new();
    for id in 0..extent.backlog {
        let value = record(id);
        let record = FutureRecord::<str, str>::to("s").payload(&value);
        sent.push(
            producer
                .send_result(record)
                .map_err(|(error, _)| error)
                .expect("there is room for the record"),
        );
    }
    for delivery in sent {
        delivery
            .await
            .expect("the producer lives")
            .map_err(|(error, _)| error)
            .expect("the record is delivered");
    }
    let began = Instant::now();
    server
        .ksql("SET 'auto.offset.reset'='earliest'; CREATE STREAM d AS SELECT id, at FROM s WHERE id >= 0;")
        .await;
    let reader = broker.reader("D");
    for _ in 0..extent.backlog {
        next_record(&reader).await;
    }
    let rate = extent.backlog as f64 / began.elapsed().as_secs_f64();
    server.stop().await;
    broker.stop().await;
    vec![("backlog through one query to its topic", "records/s", rate)]
}

/// A server as a process of its own, with two queries and a push query over their join.
async fn at_rest(extent: &Extent) -> Vec<Sample> {
    let broker = Broker::start().await;
    let began = Instant::now();
    let server = Server::start_process(&broker).await;
    let ready = milliseconds(began.elapsed());
    let began = Instant::now();
    server.ksql(QUERIES).await;
    let declared = milliseconds(began.elapsed());
    let began = Instant::now();
    let _rows = server.push(JOIN, json!({})).await;
    let header = milliseconds(began.elapsed());

    let pid = server.process_id();
    // The work of the start ends.
    tokio::time::sleep(extent.watch / 5).await;
    let (before, began) = (cpu_ticks(pid), Instant::now());
    tokio::time::sleep(extent.watch).await;
    let idle = share(cpu_ticks(pid) - before, began.elapsed());

    let producer = broker.producer();
    let (before, began) = (cpu_ticks(pid), Instant::now());
    for id in 0..usize::try_from(extent.watch.as_secs()).expect("some seconds") {
        for topic in ["left_in", "right_in"] {
            produce(&producer, topic, None, &record(id)).await;
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    let busy = share(cpu_ticks(pid) - before, began.elapsed());
    let resident = status(pid, "VmRSS:") / 1024.0;
    let threads = status(pid, "Threads:");
    server.kill().await;
    broker.stop().await;
    vec![
        ("start of the process to ready", "ms", ready),
        ("two sources and two queries", "ms", declared),
        ("push query to its header", "ms", header),
        ("processor at rest", "% of a core", idle),
        ("processor at a record a second on each side", "% of a core", busy),
        ("resident memory", "MiB", resident),
        ("threads", "", threads),
    ]
}

fn record(id: usize) -> String {
    json!({"id": id, "at": "x"}).to_string()
}

fn milliseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}

/// Ticks of 10 ms within a time, in percent.
fn share(ticks: u64, within: Duration) -> f64 {
    ticks as f64 / within.as_secs_f64()
}

/// The value below which a share of the samples lies.
fn quantile(samples: &[f64], share: f64) -> f64 {
    let mut sorted = samples.to_vec();
    sorted.sort_by(f64::total_cmp);
    let index = (share * (sorted.len() - 1) as f64).round() as usize;
    sorted[index]
}

/// The processor time a process has used, in ticks of 10 ms.
fn cpu_ticks(pid: u32) -> u64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).expect("the process lives");
    // The name, in parentheses, may have spaces in it.
    let (_, fields) = stat.rsplit_once(')').expect("a process has a name");
    let fields: Vec<&str> = fields.split_whitespace().collect();
    let ticks = |field: usize| fields[field].parse::<u64>().expect("times are numbers");
    ticks(11) + ticks(12)
}

/// A number out of a process's status.
fn status(pid: u32, name: &str) -> f64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("the process lives");
    let line = status.lines().find_map(|line| line.strip_prefix(name));
    let number = line.and_then(|line| line.split_whitespace().next());
    number
        .and_then(|number| number.parse().ok())
        .expect("the status has the number")
}
