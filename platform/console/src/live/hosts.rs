//! The hosts, from their lines: one task reads the topics that hold them while somebody watches.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::Deserialize;
use serde_json::json;
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};

use super::Sink;
use super::crowd::Crowd;
use crate::api::Refusal;
use crate::kafka::{Bounds, KafkaError, Topic};
use crate::osquery::{self, Hosts};
use crate::server::App;

/// How many of a partition's newest records are read at the start.
const BACKLOG: i64 = 200_000;
/// How often the page is told.
const PERIOD: Duration = Duration::from_secs(1);
/// How often new topics are looked for.
const LOOK_PERIOD: Duration = Duration::from_secs(5);
/// How long a topic's newest record may take when it is looked at.
const PEEK_TIMEOUT: Duration = Duration::from_secs(2);
/// How many rows of a query, or of a process, are shown.
const ROW_LIMIT: usize = 500;

/// What of the hosts is wanted: the summaries, and one query's rows or one process.
#[derive(Debug, Deserialize)]
pub(super) struct Wanted {
    #[serde(default)]
    host: Option<String>,
    #[serde(default)]
    query: Option<String>,
    #[serde(default)]
    pid: Option<String>,
}

/// What all pages share.
#[derive(Default)]
pub(crate) struct HostsFeed {
    hosts: Mutex<Hosts>,
    /// Whether the topics were looked at once, so that no host means that there is none.
    was_looked: AtomicBool,
    crowd: Crowd,
}

impl HostsFeed {
    fn hosts(&self) -> MutexGuard<'_, Hosts> {
        self.hosts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One watcher; the last one that goes lets the reading task end.
struct Watching(App);

impl Watching {
    fn begin(app: &App) -> Self {
        if app.pages.hosts.crowd.join() {
            app.tasks.spawn(follow(Arc::clone(app)));
        }
        Self(Arc::clone(app))
    }
}

impl Drop for Watching {
    fn drop(&mut self) {
        self.0.pages.hosts.crowd.leave();
    }
}

pub(super) async fn run(app: &App, wanted: &Wanted, sink: &Sink) -> Result<(), Refusal> {
    let _watching = Watching::begin(app);
    let mut lines_before: BTreeMap<(String, String), u64> = BTreeMap::new();
    let mut at = Instant::now();
    let mut tick = interval(PERIOD);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tick.tick().await;
        let seconds = at.elapsed().as_secs_f64().max(0.001);
        at = Instant::now();
        let body = {
            let hosts = app.pages.hosts.hosts();
            let summaries = hosts.summaries();
            let mut rates = BTreeMap::new();
            for host in &summaries {
                for query in &host.queries {
                    let key = (host.name.clone(), query.name.clone());
                    let before = lines_before.insert(key, query.lines);
                    #[expect(clippy::cast_precision_loss, reason = "a rate for the eye")]
                    let rate =
                        before.map_or(0.0, |before| query.lines.saturating_sub(before) as f64 / seconds);
                    rates.insert(format!("{}/{}", host.name, query.name), rate);
                }
            }
            let host = wanted.host.as_deref().unwrap_or_default();
            let rows = wanted
                .query
                .as_deref()
                .map(|query| hosts.rows(host, query, ROW_LIMIT));
            let process = wanted
                .pid
                .as_deref()
                .map(|pid| json!({"rows": hosts.process(host, pid), "history": hosts.history(host, pid)}));
            json!({
                "hosts": summaries, "rates": rates, "left_out": hosts.left_out(), "rows": rows, "process": process,
                "ready": app.pages.hosts.was_looked.load(Ordering::Relaxed),
            })
        };
        if !sink.send("hosts", body).await {
            return Ok(());
        }
    }
}

/// Reads every topic that holds result lines, until nobody watches any more.
async fn follow(app: App) {
    while !app.stopping.is_cancelled() {
        let ended = tokio::select! {
            ended = read_all(&app) => ended,
            () = app.stopping.cancelled() => return,
        };
        app.pages.hosts.was_looked.store(false, Ordering::Relaxed);
        *app.pages.hosts.hosts() = Hosts::default();
        match ended {
            Ok(()) => return,
            // The page says that Kafka is away; here it is only tried again.
            Err(error) => tracing::debug!("the hosts' topics cannot be read: {error}"),
        }
        let _ = timeout(PERIOD, app.stopping.cancelled()).await;
    }
}

async fn read_all(app: &App) -> Result<(), KafkaError> {
    let reader = app.cluster.reader()?;
    let mut positions: BTreeMap<(String, i32), i64> = BTreeMap::new();
    let mut looked_at: BTreeSet<String> = BTreeSet::new();
    let mut look = interval(LOOK_PERIOD);
    look.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = look.tick() => {
                if app.pages.hosts.crowd.has_gone() {
                    return Ok(());
                }
                let found = new_topics(app, &mut looked_at).await?;
                app.pages.hosts.was_looked.store(true, Ordering::Relaxed);
                if !found.is_empty() {
                    positions.extend(found);
                    let all: Vec<(String, i32, i64)> = positions
                        .iter()
                        .map(|((topic, partition), offset)| (topic.clone(), *partition, *offset))
                        .collect();
                    reader.seek(&all)?;
                }
            }
            message = reader.next(), if !positions.is_empty() => take(app, &mut positions, &message?),
        }
    }
}

fn take(
    app: &App,
    positions: &mut BTreeMap<(String, i32), i64>,
    message: &rdkafka::message::BorrowedMessage<'_>,
) {
    use rdkafka::Message as _;
    if let Some(position) = positions.get_mut(&(message.topic().to_owned(), message.partition())) {
        *position = message.offset() + 1;
    }
    if let Some(value) = message.payload() {
        let time = message.timestamp().to_millis();
        app.pages.hosts.hosts().take(message.topic(), value, time);
    }
}

/// Topics that were not looked at before and hold lines of osquery's, with the offset to begin at.
async fn new_topics(
    app: &App,
    looked_at: &mut BTreeSet<String>,
) -> Result<Vec<((String, i32), i64)>, KafkaError> {
    let layout = app.cluster.layout().await?;
    let new: Vec<Topic> = layout
        .topics
        .into_iter()
        .filter(|topic| !topic.name.starts_with('_') && !looked_at.contains(&topic.name))
        .collect();
    let bounds = app.cluster.bounds(new.clone()).await?;
    // A topic without records may yet be one of osquery's: it is looked at again.
    let there: Vec<(Topic, Vec<Bounds>)> = new
        .into_iter()
        .zip(bounds)
        .filter(|(_, bounds)| bounds.iter().any(|bounds| bounds.count() > 0))
        .collect();
    let of_osquery = peek(app, &there).await?;
    let mut found = Vec::new();
    for (topic, bounds) in there {
        if of_osquery.contains(&topic.name) {
            found.extend(topic.partitions.iter().zip(bounds).map(|(&partition, bounds)| {
                let begin = bounds.low.max(bounds.high - BACKLOG);
                ((topic.name.clone(), partition), begin)
            }));
        }
        looked_at.insert(topic.name);
    }
    Ok(found)
}

/// The topics whose newest record is a result line.
async fn peek(app: &App, topics: &[(Topic, Vec<Bounds>)]) -> Result<BTreeSet<String>, KafkaError> {
    use rdkafka::Message as _;
    let newest: Vec<(String, i32, i64)> = topics
        .iter()
        .filter_map(|(topic, bounds)| {
            let mut partitions = topic.partitions.iter().zip(bounds);
            let (&partition, bounds) = partitions.find(|(_, bounds)| bounds.count() > 0)?;
            Some((topic.name.clone(), partition, bounds.high - 1))
        })
        .collect();
    let mut waiting: BTreeSet<&str> = newest.iter().map(|(topic, _, _)| topic.as_str()).collect();
    let mut found = BTreeSet::new();
    if waiting.is_empty() {
        return Ok(found);
    }
    let reader = app.cluster.reader()?;
    reader.seek(&newest)?;
    let reading = async {
        while !waiting.is_empty() {
            let message = reader.next().await?;
            if waiting.remove(message.topic()) && message.payload().is_some_and(osquery::is_result_line) {
                found.insert(message.topic().to_owned());
            }
        }
        Ok::<(), KafkaError>(())
    };
    // The newest record of a topic may be one that is not there any more.
    if let Ok(read) = timeout(PEEK_TIMEOUT, reading).await {
        read?;
    }
    Ok(found)
}
