//! Services, topics, queries and their lag, once a second: one task asks for all pages that are open.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::time::timeout;

use super::Sink;
use super::crowd::Crowd;
use crate::api::Refusal;
use crate::kafka::{Bounds, KafkaError, Layout};
use crate::server::App;

/// How often it is asked.
const PERIOD: Duration = Duration::from_secs(1);
/// Every how many rounds topics, queries and the registry are asked for anew; offsets are every time.
const SLOW_ROUNDS: u64 = 3;
/// How many times an end offset is remembered, for the lag in time.
const HISTORY: usize = 600;

/// What all pages share.
pub(crate) struct OverviewFeed {
    latest: watch::Sender<Option<Arc<Value>>>,
    crowd: Crowd,
}

impl Default for OverviewFeed {
    fn default() -> Self {
        Self {
            latest: watch::Sender::new(None),
            crowd: Crowd::default(),
        }
    }
}

struct Watching<'a>(&'a OverviewFeed);

impl Drop for Watching<'_> {
    fn drop(&mut self) {
        self.0.crowd.leave();
    }
}

pub(super) async fn run(app: &App, sink: &Sink) -> Result<(), Refusal> {
    let feed = &app.pages.overview;
    let is_first = feed.crowd.join();
    let _watching = Watching(feed);
    if is_first {
        app.tasks.spawn(ask(Arc::clone(app)));
    }
    let mut latest = feed.latest.subscribe();
    // What was asked a moment ago shows at once.
    latest.mark_changed();
    while latest.changed().await.is_ok() {
        let current = latest.borrow_and_update().clone();
        if let Some(current) = current
            && !sink.send("overview", Value::clone(&current)).await
        {
            break;
        }
    }
    Ok(())
}

/// Whether a service answers, and since when.
#[derive(Debug, Clone, Serialize)]
struct Service {
    is_up: bool,
    /// Since when it is so, in milliseconds since 1970.
    since: i64,
    error: Option<String>,
}

impl Service {
    fn tell(service: &mut Option<Self>, error: Option<String>) {
        let is_up = error.is_none();
        match service {
            Some(known) if known.is_up == is_up => known.error = error,
            _ => {
                *service = Some(Self {
                    is_up,
                    since: now_ms(),
                    error,
                });
            }
        }
    }
}

#[derive(Default)]
struct Asking {
    kafka: Option<Service>,
    ksqldb: Option<Service>,
    registry: Option<Service>,
    layout: Option<Layout>,
    ends: HashMap<(String, i32), VecDeque<(i64, i64)>>,
    topics: Vec<Value>,
    sources: Vec<Value>,
    queries: Vec<Value>,
    info: Value,
    lag: BTreeMap<String, Lag>,
}

/// How far a query is behind.
#[derive(Debug, Clone, Copy, Default, Serialize)]
struct Lag {
    records: u64,
    /// Since when the oldest record that it has not read lies there; none where it is not behind.
    milliseconds: Option<i64>,
    /// Whether it is behind for longer than anybody has looked.
    is_at_least: bool,
}

async fn ask(app: App) {
    let mut asking = Asking::default();
    let mut round = 0;
    while !app.stopping.is_cancelled() && !app.pages.overview.crowd.has_gone() {
        tokio::select! {
            () = asking.round(&app, round % SLOW_ROUNDS == 0) => {}
            () = app.stopping.cancelled() => return,
        }
        app.pages
            .overview
            .latest
            .send_replace(Some(Arc::new(asking.shown())));
        round += 1;
        let _ = timeout(PERIOD, app.stopping.cancelled()).await;
    }
    app.pages.overview.latest.send_replace(None);
    app.cluster.rest();
}

impl Asking {
    async fn round(&mut self, app: &App, is_slow: bool) {
        if is_slow || self.layout.is_none() {
            if let Some(ksqldb) = &app.ksqldb {
                let asked = self.ask_ksqldb(ksqldb).await;
                Service::tell(&mut self.ksqldb, asked.err().map(|error| error.to_string()));
            }
            if let Some(registry) = &app.registry {
                let asked = registry.get(&["mode"]).await;
                Service::tell(&mut self.registry, asked.err().map(|error| error.to_string()));
            }
        }
        let asked = self.ask_kafka(app, is_slow).await;
        Service::tell(&mut self.kafka, asked.err().map(|error| error.to_string()));
    }

    async fn ask_kafka(&mut self, app: &App, is_slow: bool) -> Result<(), KafkaError> {
        let layout = match &self.layout {
            Some(layout) if !is_slow => layout.clone(),
            _ => app.cluster.layout().await?,
        };
        let bounds = match app.cluster.bounds(layout.topics.clone()).await {
            Ok(bounds) => bounds,
            Err(error) => {
                // A topic may just have been deleted: the next round looks anew.
                self.layout = None;
                return Err(error);
            }
        };
        self.topics = layout
            .topics
            .iter()
            .zip(&bounds)
            .map(|(topic, bounds)| self.topic(&topic.name, topic.replicas, &topic.partitions, bounds))
            .collect();
        self.ends
            .retain(|(name, _), _| layout.topics.iter().any(|topic| topic.name == *name));
        let service_id = self.info["ksqlServiceId"]
            .as_str()
            .unwrap_or("default_")
            .to_owned();
        self.lag.clear();
        for query in &self.queries {
            let Some(id) = query["id"]
                .as_str()
                .filter(|_| query["queryType"] == "PERSISTENT")
            else {
                continue;
            };
            let group = query["consumerGroupId"].as_str().map_or_else(
                || format!("_confluent-ksql-{service_id}query_{id}"),
                str::to_owned,
            );
            let topics: Vec<_> = layout
                .topics
                .iter()
                .filter(|topic| self.reads(query, &topic.name))
                .cloned()
                .collect();
            // A group beyond those that are watched has no lag to show.
            let Ok(committed) = app.cluster.committed(&group, topics).await else {
                continue;
            };
            let lag = self.lag_of(&committed);
            self.lag.insert(id.to_owned(), lag);
        }
        self.layout = Some(layout);
        Ok(())
    }

    fn topic(&mut self, name: &str, replicas: usize, partitions: &[i32], bounds: &[Bounds]) -> Value {
        let now = now_ms();
        let mut rate = 0.0;
        let mut records = 0;
        let mut written = 0;
        for (&partition, bounds) in partitions.iter().zip(bounds) {
            let ends = self.ends.entry((name.to_owned(), partition)).or_default();
            // A clock that was set back says nothing of a rate.
            if let Some((at, end)) = ends.back().filter(|(at, _)| *at < now) {
                #[expect(clippy::cast_precision_loss, reason = "a rate for the eye")]
                let per_second = (bounds.high - end).max(0) as f64 * 1000.0 / (now - at) as f64;
                rate += per_second;
            }
            if ends.len() == HISTORY {
                ends.pop_front();
            }
            ends.push_back((now, bounds.high));
            records += bounds.count();
            written += bounds.high;
        }
        json!({
            "name": name, "partitions": partitions.len(), "replicas": replicas, "records": records,
            "written": written, "rate": rate,
            "is_internal": name.starts_with('_') || name.ends_with("-changelog") || name.ends_with("-repartition"),
        })
    }

    /// Whether a query reads a topic: by the topics of its sources.
    fn reads(&self, query: &Value, topic: &str) -> bool {
        let names = query["sources"].as_array().map(Vec::as_slice).unwrap_or_default();
        self.sources
            .iter()
            .any(|source| names.contains(&source["name"]) && source["topic"] == topic)
    }

    fn lag_of(&self, committed: &[(String, i32, i64)]) -> Lag {
        let now = now_ms();
        let mut lag = Lag::default();
        for (topic, partition, offset) in committed {
            let Some(ends) = self.ends.get(&(topic.clone(), *partition)) else {
                continue;
            };
            let behind = ends.back().map_or(0, |(_, end)| end - offset);
            lag.records += u64::try_from(behind).unwrap_or(0);
            // The record at the committed offset was there when the end had passed it.
            if behind > 0
                && let Some(index) = ends.iter().position(|(_, end)| end > offset)
            {
                let since = (now - ends[index].0).max(0);
                if lag.milliseconds.is_none_or(|known| since > known) {
                    lag.milliseconds = Some(since);
                    lag.is_at_least = index == 0;
                }
            }
        }
        lag
    }

    async fn ask_ksqldb(&mut self, ksqldb: &crate::ksqldb::Ksqldb) -> Result<(), crate::ksqldb::KsqldbError> {
        if self.info.is_null() {
            let info = ksqldb.info().await?;
            self.info = info["KsqlServerInfo"].clone();
        }
        let statements = "SHOW STREAMS; SHOW TABLES; SHOW QUERIES EXTENDED;";
        let results = match ksqldb.execute(statements, &json!({})).await {
            Ok(results) => results,
            Err(error) => {
                self.info = Value::Null;
                return Err(error);
            }
        };
        let list = |kind: &str, field: &str| -> Vec<Value> {
            let of_kind = results.iter().filter(|result| result["@type"] == kind);
            of_kind
                .filter_map(|result| result[field].as_array())
                .flatten()
                .cloned()
                .collect()
        };
        self.sources = list("streams", "streams");
        self.sources.extend(list("tables", "tables"));
        self.queries = list("query_descriptions", "queryDescriptions");
        Ok(())
    }

    fn shown(&self) -> Value {
        let queries: Vec<Value> = self
            .queries
            .iter()
            .map(|query| {
                let id = query["id"].as_str().unwrap_or_default();
                json!({
                    "id": id, "state": query["state"], "type": query["queryType"], "sql": query["statementText"],
                    "sources": query["sources"], "sinks": query["sinks"], "errors": query["queryErrors"],
                    "lag": self.lag.get(id),
                })
            })
            .collect();
        json!({
            "at": now_ms(),
            "services": {"kafka": self.kafka, "ksqldb": self.ksqldb, "registry": self.registry},
            "brokers": self.layout.as_ref().map(|layout| &layout.brokers),
            "version": self.info["version"],
            "topics": self.topics, "sources": self.sources, "queries": queries,
        })
    }
}

fn now_ms() -> i64 {
    osqdemo_clock::unix_ms()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lag_in_time_begins_when_the_oldest_unread_record_was_written() {
        let mut asking = Asking::default();
        let now = now_ms();
        let ends = VecDeque::from([(now - 5000, 10), (now - 3000, 10), (now - 2000, 15), (now, 20)]);
        asking.ends.insert(("t".to_owned(), 0), ends);
        let lag = |offset| asking.lag_of(&[("t".to_owned(), 0, offset)]);
        assert_eq!((lag(20).records, lag(20).milliseconds), (0, None));
        let behind = lag(12);
        assert_eq!((behind.records, behind.is_at_least), (8, false));
        assert!((2000..3000).contains(&behind.milliseconds.unwrap()));
        assert!(lag(3).is_at_least);
    }

    #[test]
    fn a_service_tells_since_when_it_is_away() {
        let mut service = None;
        Service::tell(&mut service, None);
        let up = service.clone().unwrap();
        Service::tell(&mut service, Some("refused".to_owned()));
        let away = service.clone().unwrap();
        assert!(up.is_up && !away.is_up && away.since >= up.since);
        Service::tell(&mut service, Some("reset".to_owned()));
        let still = service.unwrap();
        assert_eq!((still.since, still.error.as_deref()), (away.since, Some("reset")));
    }
}
