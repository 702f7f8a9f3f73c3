//! What the demo asks for, fed directly: the engine's own example prints what one core does in a second. And how soon a
//! new query has its first result.

use std::net::TcpStream;
use std::time::Instant;

use anyhow::{Result, bail};
use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use serde::Deserialize;
use tempfile::TempDir;

use crate::example::run;
use crate::figure::{Figure, Report, quantile};
use crate::service::{Connection, PATIENCE, Service, free_address, until};

/// New queries of one sample.
const QUERIES: usize = 25;

/// One line of the example's output.
#[derive(Deserialize)]
struct Measured {
    case: String,
    records_per_second: f64,
    stored_rows: f64,
}

/// Records a second, what the window keeps of them, and how soon a new query has a result.
pub(crate) fn measure(runs: usize, report: &mut Report) -> Result<()> {
    throughput(runs, report)?;
    first_results(runs, report)
}

/// From the answer to `CREATE STREAM … AS SELECT` over a topic with a record until the result is in its topic.
fn first_results(runs: usize, report: &mut Report) -> Result<()> {
    let (mut medians, mut most) = (Vec::new(), Vec::new());
    for _ in 0..runs.max(1) {
        let waits = first_results_of_a_server()?;
        medians.push(quantile(&waits, 0.5));
        most.push(quantile(&waits, 1.0));
    }
    report.add(Figure::new("new query to its first record, p50", "ms", medians));
    report.add(Figure::new("new query to its first record, the slowest", "ms", most).at_most(50.0));
    Ok(())
}

fn first_results_of_a_server() -> Result<Vec<f64>> {
    let folder = TempDir::new()?;
    let (broker, address) = (free_address()?.to_string(), free_address()?);
    let data = folder.path().display().to_string();
    let _broker = Service::start(&["serve", "broker", "--data-dir", &data, "--listen", &broker])?;
    until("the broker", || TcpStream::connect(&broker).ok())?;
    let listen = address.to_string();
    let arguments = [
        "serve",
        "ksqldb",
        "--listen",
        &listen,
        "--bootstrap-servers",
        &broker,
    ];
    let _server = Service::start(&arguments)?;
    let mut server = until("ksqlDB", || {
        let mut connection = Connection::open(address).ok()?;
        let (status, _) = connection.ask("GET", "/info", None).ok()?;
        (status == 200).then_some(connection)
    })?;
    let mut execute = |statement: &str| -> Result<()> {
        let body =
            serde_json::json!({"ksql": statement, "streamsProperties": {"auto.offset.reset": "earliest"}});
        let (status, answer) = server.ask("POST", "/ksql", Some(&body.to_string()))?;
        if status != 200 {
            bail!("`{statement}` is answered {status}: {answer}");
        }
        Ok(())
    };
    execute("CREATE STREAM s (id BIGINT) WITH (KAFKA_TOPIC='s', VALUE_FORMAT='JSON', PARTITIONS=1);")?;
    execute("INSERT INTO s VALUES (1);")?;
    let consumer: BaseConsumer = ClientConfig::new().set("bootstrap.servers", &broker).create()?;
    let mut waits = Vec::new();
    for number in 0..QUERIES {
        execute(&format!("CREATE STREAM new{number} AS SELECT id FROM s;"))?;
        let made = Instant::now();
        let topic = format!("NEW{number}");
        until(&topic, || {
            let marks = consumer.fetch_watermarks(&topic, 0, PATIENCE).ok();
            marks.filter(|(_, end)| *end > 0)
        })?;
        waits.push(made.elapsed().as_secs_f64() * 1e3);
    }
    Ok(waits)
}

fn throughput(runs: usize, report: &mut Report) -> Result<()> {
    let mut measured = Vec::new();
    for _ in 0..runs {
        measured.extend(run::<Measured>("join_throughput", &[])?);
    }
    let of = |case: &str, value: fn(&Measured) -> f64| {
        measured
            .iter()
            .filter(|one| one.case == case)
            .map(value)
            .collect::<Vec<f64>>()
    };
    let rate = |one: &Measured| one.records_per_second;
    let kept = |one: &Measured| one.stored_rows;
    for (name, case, wanted) in [
        (
            "lines through the filter and projection of `proc`",
            "proc",
            1_000_000.0,
        ),
        (
            "lines counted by host over a tumbling minute",
            "count",
            1_500_000.0,
        ),
        ("join of the original, both sides", "verbatim", 1_000_000.0),
        ("precise join, both sides", "precise", 1_000_000.0),
    ] {
        report.add(
            Figure::new(name, "records/s", of(case, rate))
                .at_least(wanted)
                .bound_by("one core"),
        );
    }
    report.add(Figure::new(
        "rows that the precise join keeps, of 2 million",
        "rows",
        of("precise", kept),
    ));
    Ok(())
}
