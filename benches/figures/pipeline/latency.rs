//! From osquery's line to the joined row: the real extension, broker and ksqlDB, driven at the extension's
//! socket exactly as osqueryd drives it.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, bail};
use osqdemo::ksqldb::rows::Item;
use osqdemo::ksqldb::session::Session;
use osqdemo::ksqldb::shipped;
use osqdemo::ksqldb::{Client, RowStream};
use osquery_protocol::fake::{FakeExtension, FakeOsqueryd};
use osquery_protocol::plugin::LoggerRequest;
use serde_json::json;
use tokio::time::timeout;

use crate::figure::{Figure, Report, quantile};
use crate::stack::{BenchStack, Engine};

/// Files opened in one sample, each by a process of its own.
const FILES: usize = 100;

/// How long anything may take before the measurement gives up.
const PATIENCE: Duration = Duration::from_secs(20);

/// Lines of a process and of a file it opens go in; the time until the joined row is at the client counts.
pub(crate) fn measure(runs: usize, report: &mut Report) -> Result<()> {
    let stack = BenchStack::new(Engine::Native)?;
    stack.up()?;
    let endpoints = stack.endpoints()?;
    let folder = tempfile::tempdir()?;
    let osqueryd = FakeOsqueryd::start(&folder.path().join("osquery.em"))?;
    let _extension_process = Extension::start(
        folder.path(),
        osqueryd.socket(),
        &endpoints.kafka.bootstrap_servers,
    )?;
    let extension = osqueryd
        .wait_for_extension("confluent", PATIENCE)
        .context("the extension did not register")?;

    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let (mut medians, mut tails) = (Vec::new(), Vec::new());
    runtime.block_on(async {
        let client = Client::of(&endpoints.ksqldb).map_err(|error| anyhow::anyhow!("{error}"))?;
        let mut rows = client
            .query(&shipped::precise_query(), &Session::default())
            .await
            .map_err(|error| anyhow::anyhow!("{error}"))?;
        rows.header().await.map_err(|error| anyhow::anyhow!("{error}"))?;
        for run in 0..=runs {
            let samples = sample(run, &extension, &mut rows).await?;
            // The first round warms connections and caches up.
            if run > 0 {
                medians.push(quantile(&samples, 0.5));
                tails.push(quantile(&samples, 0.99));
            }
        }
        anyhow::Ok(())
    })?;
    report.add(Figure::new("osquery's line to joined row, p50", "ms", medians).at_most(10.0));
    report.add(Figure::new("osquery's line to joined row, p99", "ms", tails).at_most(50.0));
    Ok(())
}

async fn sample(run: usize, extension: &FakeExtension, rows: &mut RowStream) -> Result<Vec<f64>> {
    let mut samples = Vec::new();
    for number in 0..FILES {
        let pid = (1_000_000 + run * FILES + number).to_string();
        let file = format!("/srv/bench/{run}-{number}");
        log(
            extension,
            "processes",
            json!({"name": "writer", "path": "/usr/bin/writer", "pid": pid}),
        )?;
        let begun = Instant::now();
        log(
            extension,
            "open_files",
            json!({"fd": "1", "path": file, "pid": pid}),
        )?;
        timeout(PATIENCE, row_with(rows, &file))
            .await
            .with_context(|| format!("no row for `{file}`"))??;
        samples.push(begun.elapsed().as_secs_f64() * 1000.0);
    }
    Ok(samples)
}

/// Reads rows until one names the file. Rows of the hosts' own processes pass by.
async fn row_with(rows: &mut RowStream, file: &str) -> Result<()> {
    loop {
        match rows.next().await.map_err(|error| anyhow::anyhow!("{error}"))? {
            Some(Item::Row(row)) if row.cells.iter().any(|cell| cell.to_text() == file) => return Ok(()),
            Some(_) => {}
            None => bail!("the query ended"),
        }
    }
}

fn log(extension: &FakeExtension, query: &str, columns: serde_json::Value) -> Result<()> {
    let unix_time = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
    let line = json!({
        "name": query, "hostIdentifier": "bench", "calendarTime": "", "unixTime": unix_time, "epoch": 0,
        "counter": 1, "numerics": false, "columns": columns, "action": "added",
    });
    let request = LoggerRequest::Line(line.to_string().as_str().into());
    let status = extension.log("confluent_logger", request)?;
    if !status.is_success() {
        bail!("the extension refused a line: {status:?}");
    }
    Ok(())
}

/// The extension as a process; it is ended when this is dropped.
struct Extension(Child);

impl Extension {
    fn start(folder: &Path, socket: &Path, bootstrap_servers: &str) -> Result<Self> {
        let config = folder.join("config.json");
        let schedule =
            |interval: u32| json!({"query": "select 1;", "interval": interval, "key": "['hostIdentifier']"});
        let text = json!({
            // As the demo's own hosts have it: their broker is on the same machine.
            "config": {"bootstrap.servers": bootstrap_servers, "linger.ms": "0.5"},
            "source": {"schedule": {"processes": schedule(3600), "open_files": schedule(3600)}},
            "topic": "osquery",
        });
        std::fs::write(&config, text.to_string())?;
        let program = Path::new(env!("CARGO_BIN_EXE_osqdemo")).with_file_name("confluent-ext");
        let child = Command::new(&program)
            .arg("--socket")
            .arg(socket)
            .args(["--timeout", "10", "--interval", "3"])
            .env("OSQUERY_CONFIG", &config)
            .env("OSQDEMO_SPOOL_DIR", folder.join("spool"))
            .stdin(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .with_context(|| format!("failed to start `{}`", program.display()))?;
        Ok(Self(child))
    }
}

impl Drop for Extension {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
