//! The Schema Registry: how fast it starts with many schemas, finds one by its id, and takes new ones. Each new one is
//! answered when its record was read back from the topic.

use std::net::{SocketAddr, TcpStream};
use std::thread;
use std::time::Instant;

use anyhow::{Context, Result, bail};
use tempfile::TempDir;

use crate::avro;
use crate::figure::{Figure, Report};
use crate::service::{Connection, Service, free_address, until};

/// How many schemas there are in the end.
const SCHEMAS: usize = 10_000;
/// How many clients ask at the same time.
const CONNECTIONS: usize = 16;
/// How many questions one sample has.
const LOOKUPS: usize = 40_000;

/// The registry itself, then what Avro costs and saves beside JSON.
pub(crate) fn measure(runs: usize, report: &mut Report) -> Result<()> {
    service(runs, report)?;
    avro::measure(runs, report)
}

/// New schemas, look-ups and starts, and what the process has in memory then.
fn service(runs: usize, report: &mut Report) -> Result<()> {
    let folder = TempDir::new()?;
    let broker_address = free_address()?;
    let data = folder.path().join("broker");
    let data = data.to_str().context("the folder's name is no text")?;
    let _broker = Service::start(&[
        "serve",
        "broker",
        "--data-dir",
        data,
        "--listen",
        &broker_address.to_string(),
    ])?;
    until("the broker", || TcpStream::connect(broker_address).ok())?;
    let address = free_address()?;
    let start = || -> Result<(Service, f64)> {
        let began = Instant::now();
        let service = Service::start(&[
            "serve",
            "schema-registry",
            "--listen",
            &address.to_string(),
            "--bootstrap-servers",
            &broker_address.to_string(),
        ])?;
        until("the registry", || {
            let mut connection = Connection::open(address).ok()?;
            connection
                .ask("GET", "/subjects?limit=1", None)
                .ok()
                .filter(|(status, _)| *status == 200)
        })?;
        Ok((service, began.elapsed().as_secs_f64() * 1e3))
    };

    let (mut registry, empty) = start()?;
    let runs = runs.max(1);
    let mut registered = Vec::new();
    for run in 0..runs {
        let first = SCHEMAS * run / runs;
        let last = SCHEMAS * (run + 1) / runs;
        registered.push(rate(address, first..last, |connection, number| {
            let body = serde_json::json!({"schema": schema(number)}).to_string();
            let path = format!("/subjects/topic{number}-value/versions");
            connection.ask("POST", &path, Some(&body))
        })?);
    }
    let mut found = Vec::new();
    for _ in 0..runs {
        found.push(rate(address, 0..LOOKUPS, |connection, number| {
            connection.ask("GET", &format!("/schemas/ids/{}", number % SCHEMAS + 1), None)
        })?);
    }
    let mut starts = Vec::new();
    let mut resident = Vec::new();
    for _ in 0..runs {
        drop(registry);
        let started = start()?;
        registry = started.0;
        starts.push(started.1);
        resident.push(registry.resident_mb());
    }
    report.add(
        Figure::new(
            format!("start with {SCHEMAS} schemas, until it answers"),
            "ms",
            starts,
        )
        .at_most(50.0),
    );
    report.add(Figure::new("start without any", "ms", vec![empty]));
    report.add(
        Figure::new(format!("look-ups by id, {CONNECTIONS} connections"), "/s", found)
            .at_least(20_000.0)
            .bound_by("the client on the same cores"),
    );
    report.add(
        Figure::new(
            format!("new schemas, {CONNECTIONS} connections"),
            "/s",
            registered,
        )
        .at_least(2_000.0),
    );
    report.add(Figure::new(format!("resident with {SCHEMAS} schemas"), "MB", resident).at_most(25.0));
    Ok(())
}

/// Asks for each number, over all connections at once: answers a second.
fn rate(
    address: SocketAddr,
    numbers: std::ops::Range<usize>,
    ask: impl Fn(&mut Connection, usize) -> Result<(u16, String)> + Sync,
) -> Result<f64> {
    let count = numbers.len();
    let (ask, first) = (&ask, numbers.start);
    let began = Instant::now();
    thread::scope(|scope| {
        let askers: Vec<_> = (0..CONNECTIONS)
            .map(|own| {
                scope.spawn(move || -> Result<()> {
                    let mut connection = Connection::open(address)?;
                    for number in (own..count).step_by(CONNECTIONS) {
                        let (status, body) = ask(&mut connection, first + number)?;
                        if status != 200 {
                            bail!("the registry answered {status}: {body}");
                        }
                    }
                    Ok(())
                })
            })
            .collect();
        askers.into_iter().try_for_each(|asker| match asker.join() {
            Ok(outcome) => outcome,
            Err(_) => bail!("a client has panicked"),
        })
    })?;
    Ok(count as f64 / began.elapsed().as_secs_f64())
}

/// A schema of ten fields; each number has its own.
fn schema(number: usize) -> String {
    let fields: Vec<_> = (0..10)
        .map(|place| serde_json::json!({"name": format!("column_{place}"), "type": ["null", "string"], "default": null}))
        .collect();
    serde_json::json!({"type": "record", "name": format!("Line{number}"), "namespace": "site", "fields": fields})
        .to_string()
}
