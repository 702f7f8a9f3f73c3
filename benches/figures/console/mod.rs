//! The console in a browser that is already open: how soon the first page shows, what it costs while nobody does
//! anything, and what the page of a topic bears while records pour in or are looked through.

mod browser;
mod traffic;

use std::net::TcpStream;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use serde_json::Value;
use tempfile::TempDir;

use self::browser::Browser;
use self::traffic::Traffic;
use crate::figure::{Figure, Report, quantile};
use crate::pipeline::processes::{TICKS_PER_SECOND, running_time};
use crate::service::{Service, free_address, until};
use crate::waiting::leave_alone;

/// The topic that is looked at.
const TOPIC: &str = "watched";
/// How long anything may take before the measurement gives up.
const PATIENCE: Duration = Duration::from_secs(120);
/// How long the server stands before the first page is opened.
const STANDING: Duration = Duration::from_secs(1);
/// How long one sample of doing nothing takes.
const IDLE: Duration = Duration::from_secs(10);
/// Records a second where they pour in, and for how long.
const POURING: u32 = 20_000;
const POURED: Duration = Duration::from_secs(30);
/// Records a second while the way of single ones is timed, and how many are.
const FLOWING: u32 = 1_000;
const PROBES: usize = 1_000;
/// Records that are searched.
const SEARCHED: u64 = 1_000_000;

/// Counts the frames of `MILLIS` milliseconds: how many, and the longest time between two.
const FRAMES: &str = "const done = arguments[arguments.length - 1]; const begun = performance.now(); \
    let [frames, last, gap] = [0, begun, 0]; \
    const frame = (now) => { frames += 1; gap = Math.max(gap, now - last); last = now; \
    if (now - begun < MILLIS) requestAnimationFrame(frame); else done([frames * 1000 / (now - begun), gap]); }; \
    requestAnimationFrame(frame);";

/// Milliseconds from a record's timestamp until its row is in the document, of the next `PROBES` rows.
const ARRIVALS: &str = "const done = arguments[arguments.length - 1]; const found = []; \
    const seen = new MutationObserver((changes) => { const now = Date.now(); \
    for (const change of changes) for (const row of change.addedNodes) { \
    const time = Number(row.querySelector?.('td span[title]')?.title); if (time) found.push(now - time); } \
    if (found.length >= PROBES) { seen.disconnect(); done(found); } }); \
    seen.observe(document.querySelector('data-table tbody'), { childList: true });";

/// Paint, memory and rest, pouring records, the way of single ones, the search.
pub(crate) fn measure(runs: usize, report: &mut Report) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()?;
    let Some(browser) = runtime.block_on(Browser::start())? else {
        report.note("There is no Chromium here, so nothing was measured; `scripts/browser.sh` installs it.");
        return Ok(());
    };
    let stand = Stand::start()?;
    let mut samples = Samples::default();
    runtime.block_on(async {
        let measured = all_runs(&stand, &browser, runs, &mut samples).await;
        // Else it would outlive the one that drives it.
        browser.close().await?;
        measured
    })?;
    samples.report(report);
    Ok(())
}

async fn all_runs(stand: &Stand, browser: &Browser, runs: usize, samples: &mut Samples) -> Result<()> {
    for run in 0..runs {
        one_run(stand, browser, samples)
            .await
            .with_context(|| format!("run {}", run + 1))?;
    }
    search(stand, browser, runs, samples).await
}

/// A broker with one topic.
struct Stand {
    _broker: Service,
    servers: String,
    _folder: TempDir,
}

impl Stand {
    fn start() -> Result<Self> {
        let folder = TempDir::new()?;
        let data = folder.path().join("broker");
        let data = data.to_str().context("the folder's name is no text")?;
        let address = free_address()?;
        let servers = address.to_string();
        let broker = Service::start(&["serve", "broker", "--data-dir", data, "--listen", &servers])?;
        until("the broker", || TcpStream::connect(address).ok())?;
        Ok(Self {
            _broker: broker,
            servers,
            _folder: folder,
        })
    }

    /// The topic, empty.
    async fn empty_topic(&self) -> Result<()> {
        let admin: AdminClient<_> = ClientConfig::new()
            .set("bootstrap.servers", &self.servers)
            .create()?;
        let options = AdminOptions::new().operation_timeout(Some(PATIENCE));
        // It is not there the first time.
        let _ = admin.delete_topics(&[TOPIC], &options).await?;
        let topics = [NewTopic::new(TOPIC, 1, TopicReplication::Fixed(1))];
        for result in admin.create_topics(&topics, &options).await? {
            result.map_err(|(topic, code)| anyhow::anyhow!("failed to create topic `{topic}`: {code}"))?;
        }
        Ok(())
    }

    /// A console that has stood for a while, and its address.
    fn console(&self) -> Result<(Service, String)> {
        let address = free_address()?;
        let listen = address.to_string();
        let console = Service::start(&[
            "serve",
            "console",
            "--listen",
            &listen,
            "--bootstrap-servers",
            &self.servers,
        ])?;
        until("the console", || TcpStream::connect(address).ok())?;
        leave_alone(STANDING);
        Ok((console, format!("http://{listen}/")))
    }
}

#[derive(Default)]
struct Samples {
    paint: Vec<f64>,
    idle: Vec<f64>,
    frames: Vec<f64>,
    gap: Vec<f64>,
    pouring: Vec<f64>,
    arrival_p50: Vec<f64>,
    arrival_p99: Vec<f64>,
    resident: Vec<f64>,
    searched: Vec<f64>,
}

impl Samples {
    fn report(self, report: &mut Report) {
        let mut add = |what: &str, unit, samples, limit: f64| {
            report.add(Figure::new(what, unit, samples).at_most(limit));
        };
        add(
            "first page: navigation until something shows",
            "ms",
            self.paint,
            150.0,
        );
        add(
            "server's processor time, a page open and nothing to do",
            "% of a core",
            self.idle,
            0.2,
        );
        add(
            "20,000 records a second into the topic shown: longest time between two frames",
            "ms",
            self.gap,
            100.0,
        );
        add(
            "the same: server's processor time",
            "% of a core",
            self.pouring,
            20.0,
        );
        add(
            "1,000 records a second: timestamp until its row shows, p99",
            "ms",
            self.arrival_p99,
            50.0,
        );
        add(
            "search through a million records of 550 bytes",
            "s",
            self.searched,
            3.0,
        );
        add("resident memory after all that", "MB", self.resident, 30.0);
        let frames = "20,000 records a second: frames, of those without any";
        report.add(Figure::new(frames, "%", self.frames).at_least(80.0));
        report.add(Figure::new(
            "1,000 records a second: timestamp until its row shows, p50",
            "ms",
            self.arrival_p50,
        ));
    }
}

async fn one_run(stand: &Stand, browser: &Browser, samples: &mut Samples) -> Result<()> {
    stand.empty_topic().await?;
    let (console, url) = stand.console()?;
    browser.open(&url).await?;
    let paint =
        "return performance.getEntriesByType('paint').find((one) => one.name === 'first-paint')?.startTime";
    let paint = browser.until("the first paint", paint).await?;
    samples.paint.push(number(&paint)?);

    let (before, begun) = (running_time(&console.process()), Instant::now());
    leave_alone(IDLE);
    let used = running_time(&console.process()).saturating_sub(before);
    samples
        .idle
        .push(100.0 * used.as_secs_f64() / begun.elapsed().as_secs_f64());

    browser.open(&format!("{url}#/topic/{TOPIC}?from=newest")).await?;
    browser
        .until(
            "the topic's page",
            "return !!document.querySelector('data-table tbody')",
        )
        .await?;
    let [quiet, _] = frames(browser, IDLE).await?;
    let traffic = Traffic::start(&stand.servers, POURING)?;
    let (before, begun) = (console.usage().ticks, Instant::now());
    let [busy, gap] = frames(browser, POURED).await?;
    let used = (console.usage().ticks - before) / TICKS_PER_SECOND;
    samples.pouring.push(100.0 * used / begun.elapsed().as_secs_f64());
    traffic.stop()?;
    samples.frames.push(100.0 * busy / quiet);
    samples.gap.push(gap);

    browser.open(&format!("{url}#/topic/{TOPIC}?from=newest")).await?;
    let traffic = Traffic::start(&stand.servers, FLOWING)?;
    browser
        .until(
            "a row",
            "return document.querySelectorAll('data-table tbody tr').length > 20",
        )
        .await?;
    let found = browser
        .ask_later(&ARRIVALS.replace("PROBES", &PROBES.to_string()))
        .await?;
    traffic.stop()?;
    let found: Vec<f64> = found
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_f64)
        .collect();
    samples.arrival_p50.push(quantile(&found, 0.5));
    samples.arrival_p99.push(quantile(&found, 0.99));
    samples.resident.push(console.resident_mb());
    Ok(())
}

/// Looks for what no record holds, so that every one is read.
async fn search(stand: &Stand, browser: &Browser, runs: usize, samples: &mut Samples) -> Result<()> {
    stand.empty_topic().await?;
    traffic::fill(&stand.servers, SEARCHED)?;
    let (console, url) = stand.console()?;
    let filter = "%5B%7B%22field%22%3A%22value%22%2C%22operator%22%3A%22contains%22%2C%22text%22%3A%22nowhere%22%7D%5D";
    for _ in 0..runs {
        let begun = Instant::now();
        browser
            .open(&format!(
                "{url}#/topic/{TOPIC}?from=newest&live=no&filter={filter}"
            ))
            .await?;
        browser
            .until(
                "the end of the search",
                "return document.body.innerText.includes('1,000,000 of 1,000,000 searched')",
            )
            .await?;
        samples.searched.push(begun.elapsed().as_secs_f64());
    }
    samples.resident.push(console.resident_mb());
    Ok(())
}

/// Frames a second, and the longest time between two of them in milliseconds.
async fn frames(browser: &Browser, span: Duration) -> Result<[f64; 2]> {
    let script = FRAMES.replace("MILLIS", &span.as_millis().to_string());
    let found = browser.ask_later(&script).await?;
    Ok([number(&found[0])?, number(&found[1])?])
}

fn number(value: &Value) -> Result<f64> {
    value
        .as_f64()
        .with_context(|| format!("the page answered `{value}` where a number was asked for"))
}
