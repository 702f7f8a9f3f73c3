//! Records of a topic: those that are there, newest first or from a place on, and those that come.
//!
//! A search backwards reads the topic in pieces from its end, small ones first, so that the newest records show at once
//! and a million can be looked through; it says how far it is, and ends where the page has enough.

mod incoming;

use std::collections::VecDeque;
use std::time::Duration;

use rdkafka::Message;
use rdkafka::message::{BorrowedMessage, Headers};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::time::{Instant, timeout};

use super::Sink;
use crate::api::Refusal;
use crate::filter::{Fields, Filter, Written};
use crate::kafka::{Bounds, Cluster, Raw, Reader, Topic, raw_of};
use crate::server::App;
use crate::shown::{LIST_LIMIT, Shown};

/// How many records a page gets at most before it asks for more.
const LIMIT: usize = 1000;
/// The first piece that a search backwards reads, and the largest.
const FIRST_PIECE: i64 = 200;
const LARGEST_PIECE: i64 = 250_000;
/// How often a search says how far it is.
const PROGRESS: Duration = Duration::from_millis(100);
/// How long a search waits for the next record; a range may end with records that are not there any more.
const SILENCE: Duration = Duration::from_secs(2);

#[derive(Debug, Deserialize)]
pub(super) struct Wanted {
    topic: String,
    #[serde(default)]
    from: From,
    #[serde(default)]
    filter: Vec<Written>,
    #[serde(default)]
    partitions: Option<Vec<i32>>,
    /// How many records are wanted before the search ends.
    #[serde(default)]
    limit: Option<usize>,
    /// Whether to go on with what comes.
    #[serde(default)]
    follow: bool,
    /// Where a search backwards goes on: the offsets that were reached.
    #[serde(default)]
    before: Option<Vec<(i32, i64)>>,
}

/// Where to begin.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
enum From {
    /// With the newest, backwards.
    #[default]
    Newest,
    /// With what comes.
    End,
    /// With the oldest.
    Beginning,
    /// With an offset of each partition.
    Offset(i64),
    /// With the first record at or after a time in milliseconds.
    Time(i64),
}

/// A partition and the offsets in it to be read, the end excluded.
#[derive(Debug, Clone, Copy)]
struct Span {
    partition: i32,
    from: i64,
    to: i64,
}

struct Search<'a> {
    sink: &'a Sink,
    cluster: &'a Cluster,
    topic: &'a str,
    filter: Filter,
    reader: Reader,
    scanned: u64,
    total: u64,
    told: Instant,
}

pub(super) async fn run(app: &App, wanted: Wanted, sink: &Sink) -> Result<(), Refusal> {
    let filter = Filter::new(&wanted.filter).map_err(|error| Refusal::wrong(error.to_string()))?;
    let mut topic = app.cluster.topic(&wanted.topic).await?;
    if let Some(partitions) = &wanted.partitions {
        topic
            .partitions
            .retain(|partition| partitions.contains(partition));
    }
    let bounds = app.cluster.bounds(vec![topic.clone()]).await?;
    let bounds = bounds.into_iter().next().unwrap_or_default();
    let limit = wanted.limit.unwrap_or(LIMIT).min(LIMIT);
    let mut search = Search {
        sink,
        cluster: &app.cluster,
        topic: &topic.name,
        filter,
        reader: app.cluster.reader()?,
        scanned: 0,
        total: 0,
        told: Instant::now(),
    };
    let ends: Vec<(i32, i64)> = topic
        .partitions
        .iter()
        .zip(&bounds)
        .map(|(&partition, bounds)| (partition, bounds.high))
        .collect();
    let reached = match wanted.from {
        From::End => {
            // From here on nothing is missed: whoever waits for what comes may begin.
            search.send(&[], json!({"after": ends})).await;
            ends
        }
        From::Newest => {
            let spans = spans(&topic, &bounds, |_| None, wanted.before.as_deref());
            search.backwards(spans, limit).await?;
            ends
        }
        From::Beginning | From::Offset(_) | From::Time(_) => {
            let starts = match wanted.from {
                From::Offset(offset) => topic
                    .partitions
                    .iter()
                    .map(|&partition| (partition, Some(offset)))
                    .collect(),
                From::Time(time) => {
                    let (reader, partitions) = (app.cluster.reader()?, topic.partitions.clone());
                    let name = topic.name.clone();
                    let found = tokio::task::spawn_blocking(move || {
                        reader.offsets_at(&name, &partitions, time, Duration::from_secs(5))
                    });
                    found.await.map_err(|error| Refusal::internal(&error))??
                }
                _ => Vec::new(),
            };
            let time_is_past_all = matches!(wanted.from, From::Time(_));
            let start = |partition| {
                let found = starts.iter().find(|(of, _)| *of == partition)?;
                found.1.or(time_is_past_all.then_some(i64::MAX))
            };
            search
                .forwards(spans(&topic, &bounds, start, None), limit)
                .await?
        }
    };
    if wanted.follow {
        search.live(&reached).await
    } else {
        Ok(())
    }
}

/// What of each partition is to be read, within what is there.
fn spans(
    topic: &Topic,
    bounds: &[Bounds],
    start: impl Fn(i32) -> Option<i64>,
    before: Option<&[(i32, i64)]>,
) -> Vec<Span> {
    let end = |partition| {
        before?
            .iter()
            .find(|(of, _)| *of == partition)
            .map(|(_, end)| *end)
    };
    topic
        .partitions
        .iter()
        .zip(bounds)
        .map(|(&partition, bounds)| {
            let to = end(partition)
                .unwrap_or(bounds.high)
                .clamp(bounds.low, bounds.high);
            Span {
                partition,
                from: start(partition).unwrap_or(bounds.low).clamp(bounds.low, to),
                to,
            }
        })
        .collect()
}

impl Search<'_> {
    /// From the end on, piece by piece, until there is enough.
    async fn backwards(&mut self, mut spans: Vec<Span>, limit: usize) -> Result<(), Refusal> {
        self.total = spans.iter().map(|span| length(*span)).sum();
        let mut piece = if self.filter.is_empty() {
            i64::try_from(limit).unwrap_or(FIRST_PIECE)
        } else {
            FIRST_PIECE
        };
        let mut found = 0;
        while found < limit && spans.iter().any(|span| span.from < span.to) {
            let pieces: Vec<Span> = spans
                .iter()
                .map(|span| Span {
                    from: span.from.max(span.to - piece),
                    ..*span
                })
                .collect();
            let mut records = VecDeque::new();
            let room = limit - found;
            let mut was_cut = None;
            self.read(&pieces, |record| {
                if records.len() == room {
                    was_cut = records.pop_front();
                }
                records.push_back(record);
                true
            })
            .await?;
            found += records.len();
            let mut records: Vec<Raw> = records.into();
            records.sort_by_key(|record| std::cmp::Reverse((record.timestamp_ms, record.offset)));
            for span in &mut spans {
                let begun = pieces.iter().find(|piece| piece.partition == span.partition);
                span.to = begun.map_or(span.to, |piece| piece.from);
            }
            if was_cut.is_some() {
                // What was cut off comes with the next request: it begins at the oldest record that was sent.
                for span in &mut spans {
                    let oldest = records
                        .iter()
                        .filter(|record| record.partition == span.partition)
                        .map(|record| record.offset)
                        .min();
                    span.to = oldest.unwrap_or(span.to);
                }
            }
            let reached: Vec<(i32, i64)> = spans.iter().map(|span| (span.partition, span.to)).collect();
            let has_more = spans.iter().any(|span| span.from < span.to);
            self.send(&records, json!({"before": reached, "has_more": has_more}))
                .await;
            piece = (piece * 8).min(LARGEST_PIECE);
        }
        self.done().await;
        Ok(())
    }

    /// From a place on, until there is enough or the end is reached. Returns where each partition was left.
    async fn forwards(&mut self, spans: Vec<Span>, limit: usize) -> Result<Vec<(i32, i64)>, Refusal> {
        self.total = spans.iter().map(|span| length(*span)).sum();
        let mut reached: Vec<(i32, i64)> = spans.iter().map(|span| (span.partition, span.to)).collect();
        let mut records = Vec::new();
        self.read(&spans, |record| {
            records.push(record);
            records.len() < limit
        })
        .await?;
        if records.len() >= limit {
            for (partition, offset) in &mut reached {
                let last = records.iter().rev().find(|record| record.partition == *partition);
                let from = spans
                    .iter()
                    .find(|span| span.partition == *partition)
                    .map_or(0, |span| span.from);
                *offset = last.map_or(from, |record| record.offset + 1);
            }
        }
        records.reverse();
        records.sort_by_key(|record| std::cmp::Reverse((record.timestamp_ms, record.offset)));
        self.send(&records, json!({"after": reached})).await;
        self.done().await;
        Ok(reached)
    }

    /// Reads the wanted records of these spans, until `keep` has enough.
    async fn read(&mut self, spans: &[Span], mut keep: impl FnMut(Raw) -> bool) -> Result<(), Refusal> {
        let mut open: Vec<Span> = spans.iter().copied().filter(|span| span.from < span.to).collect();
        if open.is_empty() {
            return Ok(());
        }
        let from: Vec<(String, i32, i64)> = open
            .iter()
            .map(|span| (self.topic.to_owned(), span.partition, span.from))
            .collect();
        self.reader.seek(&from)?;
        while !open.is_empty() {
            let Ok(message) = timeout(SILENCE, self.reader.next()).await else {
                // The end of a range may be a gap: compacted, or a transaction's marker.
                return Ok(());
            };
            let message = message?;
            let Some(index) = open.iter().position(|span| span.partition == message.partition()) else {
                continue;
            };
            let is_inside = message.offset() < open[index].to;
            if is_inside {
                self.scanned += u64::try_from(message.offset() + 1 - open[index].from).unwrap_or(1);
                open[index].from = message.offset() + 1;
            }
            if open[index].from >= open[index].to || !is_inside {
                open.swap_remove(index);
            }
            if is_inside && self.wants(&message) && !keep(raw_of(&message)) {
                return Ok(());
            }
            // Asking the clock costs more than looking at a record.
            if self.scanned.is_multiple_of(256) && self.told.elapsed() > PROGRESS {
                self.told = Instant::now();
                let body = json!({"scanned": self.scanned, "total": self.total});
                self.sink.send("progress", body).await;
            }
        }
        Ok(())
    }

    fn wants(&self, message: &BorrowedMessage<'_>) -> bool {
        if self.filter.is_empty() {
            return true;
        }
        let fields = Fields {
            partition: message.partition(),
            key: message.key(),
            value: message.payload(),
        };
        self.filter.wants(fields, |name| {
            let headers = message.headers()?;
            headers.iter().filter(|header| header.key == name).last()?.value
        })
    }

    async fn send(&self, records: &[Raw], more: Value) -> bool {
        let shown: Vec<Shown> = records
            .iter()
            .map(|record| Shown::new(record, LIST_LIMIT))
            .collect();
        let mut body = json!({"records": shown});
        if let (Value::Object(body), Value::Object(more)) = (&mut body, more) {
            body.extend(more);
        }
        self.sink.send("records", body).await
    }

    async fn done(&self) {
        let body = json!({"scanned": self.scanned, "total": self.total, "done": true});
        self.sink.send("progress", body).await;
    }
}

fn length(span: Span) -> u64 {
    u64::try_from(span.to - span.from).unwrap_or(0)
}
