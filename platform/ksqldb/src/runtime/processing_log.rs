//! The processing log: what was wrong with single records while their queries went on.
//!
//! The last entries are kept in memory and logged; each also goes to the processing log's topic, in the form
//! ksqlDB writes there, as long as the broker keeps up. The log never holds up a query.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use jiff::Timestamp;
use serde_json::{Value as Json, json};
use tokio::sync::mpsc;

use crate::kafka::{Cluster, OutgoingRecord, RecordProducer, TopicOptions};
use crate::task::LogEntry;

/// The stream of the entries.
pub(crate) const STREAM: &str = "KSQL_PROCESSING_LOG";

/// How ksqlDB declares it.
pub(crate) fn declaration(topic: &str) -> String {
    format!(
        "CREATE STREAM IF NOT EXISTS {STREAM} (logger VARCHAR, level VARCHAR, time BIGINT, message STRUCT<type INT, \
         deserializationError STRUCT<target VARCHAR, errorMessage VARCHAR, recordB64 VARCHAR, cause ARRAY<VARCHAR>, \
         `topic` VARCHAR>, recordProcessingError STRUCT<errorMessage VARCHAR, record VARCHAR, cause ARRAY<VARCHAR>>, \
         productionError STRUCT<errorMessage VARCHAR>, serializationError STRUCT<target VARCHAR, errorMessage VARCHAR, \
         record VARCHAR, cause ARRAY<VARCHAR>, `topic` VARCHAR>, kafkaStreamsThreadError STRUCT<errorMessage VARCHAR, \
         threadName VARCHAR, cause ARRAY<VARCHAR>>>) WITH (KAFKA_TOPIC='{topic}', VALUE_FORMAT='JSON', PARTITIONS=1);"
    )
}

/// How many entries are kept.
const KEPT: usize = 200;
/// How many entries may wait for the broker.
const WAITING: usize = 500;

/// An entry with its query and time.
#[derive(Debug, Clone)]
pub(crate) struct Noted {
    /// The query.
    pub(crate) query_id: String,
    /// What was wrong.
    pub(crate) entry: LogEntry,
    at: Timestamp,
}

/// The processing log.
pub(crate) struct ProcessingLog {
    kept: Mutex<VecDeque<Noted>>,
    outgoing: mpsc::Sender<Noted>,
}

impl ProcessingLog {
    /// A log, and what [`publish`] takes from it.
    pub(crate) fn new() -> (Self, mpsc::Receiver<Noted>) {
        let (outgoing, waiting) = mpsc::channel(WAITING);
        let log = Self {
            kept: Mutex::default(),
            outgoing,
        };
        (log, waiting)
    }

    /// Adds an entry.
    pub(crate) fn add(&self, query_id: &str, entry: LogEntry) {
        tracing::debug!(query_id, "{entry}");
        let noted = Noted {
            query_id: query_id.to_owned(),
            entry,
            at: osqdemo_clock::timestamp(),
        };
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() == KEPT {
            kept.pop_front();
        }
        kept.push_back(noted.clone());
        drop(kept);
        // A full queue means that the broker is slow or away; the entry stays in memory and in the log.
        let _ = self.outgoing.try_send(noted);
    }

    /// The last entries of a query, the oldest first.
    pub(crate) fn of_query(&self, query_id: &str) -> Vec<Noted> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.iter()
            .filter(|noted| noted.query_id == query_id)
            .cloned()
            .collect()
    }
}

impl Noted {
    /// One line for people.
    pub(crate) fn line(&self) -> String {
        format!("{} {}", self.at, self.entry)
    }

    fn to_json(&self) -> Json {
        let mut message = json!({
            "type": 0,
            "deserializationError": null,
            "recordProcessingError": null,
            "productionError": null,
            "serializationError": null,
            "kafkaStreamsThreadError": null,
        });
        let (number, field, detail, logger) = match &self.entry {
            LogEntry::Deserialization {
                topic,
                partition,
                offset,
                part,
                reason,
            } => (
                0,
                "deserializationError",
                json!({
                    "target": part,
                    "errorMessage": reason,
                    "recordB64": null,
                    "cause": [],
                    "topic": topic,
                    "partition": partition,
                    "offset": offset,
                }),
                "Source.deserializer",
            ),
            LogEntry::Expression { expression, reason } => (
                1,
                "recordProcessingError",
                json!({
                    "errorMessage": format!("cannot evaluate {expression}: {reason}"),
                    "record": null,
                    "cause": [],
                }),
                "Project",
            ),
            LogEntry::Serialization { part, reason } => (
                3,
                "serializationError",
                json!({"target": part, "errorMessage": reason, "record": null, "cause": [], "topic": ""}),
                "Sink.serializer",
            ),
        };
        message["type"] = json!(number);
        message[field] = detail;
        json!({
            "level": "ERROR",
            "logger": format!("processing.{}.{logger}", self.query_id),
            "time": self.at.as_millisecond(),
            "message": message,
        })
    }
}

/// Writes the entries to the topic until the log is gone. The topic is made with the first entry.
pub(crate) async fn publish(
    mut waiting: mpsc::Receiver<Noted>,
    cluster: Arc<Cluster>,
    producer: Arc<RecordProducer>,
    topic: String,
) {
    let options = TopicOptions {
        partitions: 1,
        replicas: 1,
        settings: Vec::new(),
    };
    let mut topic_exists = false;
    while let Some(noted) = waiting.recv().await {
        if !topic_exists {
            match cluster.create_topic(&topic, &options).await {
                Ok(()) => topic_exists = true,
                Err(error) => {
                    tracing::warn!("the processing log's topic is missing: {error}");
                    continue;
                }
            }
        }
        let value = noted.to_json().to_string();
        let record = OutgoingRecord {
            topic: &topic,
            key: None,
            value: Some(value.as_bytes()),
            timestamp: noted.at.as_millisecond(),
            headers: &[],
        };
        if let Err(reason) = producer.send_and_wait(record).await {
            tracing::warn!("an entry of the processing log was not written: {reason}");
        }
    }
}
