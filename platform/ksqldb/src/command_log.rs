//! The durable list of executed commands: a topic with one partition, replayed when the server starts.
//!
//! A command is its statement with what executing it decided (the query's id, where its inputs began),
//! so that a replay comes to the same result.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use rdkafka::error::KafkaError;
use serde::{Deserialize, Serialize};
use tokio::time::timeout;

use crate::config::Config;
use crate::kafka::{
    Cluster, ClusterError, OutgoingRecord, Reader, RecordProducer, StartingPoint, TopicOptions,
};

/// How long the replay may go without a record before it is tried again from the beginning.
const REPLAY_PATIENCE: Duration = Duration::from_secs(10);

/// An executed command.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Command {
    /// The statement.
    pub(crate) statement: String,
    /// `stream/PROC/create`
    pub(crate) command_id: String,
    /// The properties of the request and of its `SET`s.
    #[serde(default)]
    pub(crate) streams_properties: BTreeMap<String, serde_json::Value>,
    /// The sequence number the command was written for. A retry can write one twice; the second is ignored.
    pub(crate) sequence: i64,
    /// The id of the query it starts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) query_id: Option<String>,
    /// Where the query begins: by topic, an offset for each partition.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) starting_offsets: BTreeMap<String, Vec<i64>>,
}

/// Why the log cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CommandLogError {
    /// The cluster did not do what was asked.
    #[error(transparent)]
    Cluster(#[from] ClusterError),
    /// The topic cannot be read.
    #[error("cannot read the command topic `{topic}`: {source}")]
    Read { topic: String, source: KafkaError },
    /// The topic's records did not come.
    #[error(
        "cannot read the command topic `{topic}`: no record for {patience:?} at offset {offset} of {end}"
    )]
    Stalled {
        topic: String,
        offset: i64,
        end: i64,
        patience: Duration,
    },
    /// A command was not acknowledged.
    #[error("Could not write the statement '{statement}' into the command topic: {reason}")]
    Write { statement: String, reason: String },
}

/// The command topic.
pub(crate) struct CommandLog {
    cluster: Arc<Cluster>,
    producer: Arc<RecordProducer>,
    topic: Arc<str>,
    group: String,
    /// The offset after the last command read or written.
    next: i64,
    /// Whether a write failed after it may have reached the topic.
    uncertain: bool,
}

impl CommandLog {
    /// Opens the log, and makes its topic where it is missing.
    pub(crate) async fn open(
        config: &Config,
        cluster: Arc<Cluster>,
        producer: Arc<RecordProducer>,
    ) -> Result<Self, CommandLogError> {
        let topic = config.command_topic();
        if !cluster.topics().await?.contains_key(&topic) {
            let options = TopicOptions {
                partitions: 1,
                replicas: 1,
                settings: vec![
                    ("retention.ms", "-1".to_owned()),
                    ("cleanup.policy", "delete".to_owned()),
                ],
            };
            cluster.create_topic(&topic, &options).await?;
        }
        Ok(Self {
            cluster,
            producer,
            topic: topic.into(),
            group: config.transient_group("command_runner"),
            next: 0,
            uncertain: false,
        })
    }

    /// The sequence number that the next command gets.
    pub(crate) fn next_sequence(&self) -> i64 {
        self.next
    }

    /// Whether commands may be in the topic that nobody has read yet.
    pub(crate) fn is_uncertain(&self) -> bool {
        self.uncertain
    }

    /// The commands that were not read yet, with their sequence numbers.
    pub(crate) async fn read_new(&mut self) -> Result<Vec<(i64, Command)>, CommandLogError> {
        let watermarks = self.cluster.watermarks(&self.topic, 1).await?;
        let (low, end) = watermarks.first().copied().unwrap_or((0, 0));
        let from = self.next.max(low);
        let mut commands = Vec::new();
        if from < end {
            self.read_range(from, end, &mut commands).await?;
        }
        self.next = self.next.max(end);
        self.uncertain = false;
        Ok(commands)
    }

    /// Writes a command and waits until it is safe. Its sequence number is its offset.
    pub(crate) async fn append(&mut self, command: &Command) -> Result<i64, CommandLogError> {
        let failed = |reason: String| CommandLogError::Write {
            statement: command.statement.clone(),
            reason,
        };
        let key = serde_json::to_vec(&command.command_id).map_err(|error| failed(error.to_string()))?;
        let value = serde_json::to_vec(command).map_err(|error| failed(error.to_string()))?;
        let record = OutgoingRecord {
            topic: &self.topic,
            key: Some(&key),
            value: Some(&value),
            timestamp: jiff::Timestamp::now().as_millisecond(),
            headers: &[],
        };
        match self.producer.send_and_wait(record).await {
            Ok(landing) => {
                self.next = landing.offset + 1;
                Ok(landing.offset)
            }
            Err(reason) => {
                self.uncertain = true;
                Err(failed(reason))
            }
        }
    }

    async fn read_range(
        &self,
        from: i64,
        end: i64,
        commands: &mut Vec<(i64, Command)>,
    ) -> Result<(), CommandLogError> {
        let read_error = |source| CommandLogError::Read {
            topic: self.topic.to_string(),
            source,
        };
        let start = StartingPoint {
            topic: Arc::clone(&self.topic),
            partition: 0,
            from,
            new_from: from,
            end,
            newest_timestamp: None,
            is_table: false,
        };
        let consumer = Reader::consumer(&self.cluster, &self.group).map_err(read_error)?;
        let mut reader = Reader::open(&self.cluster, consumer, &[start])
            .await
            .map_err(read_error)?;
        let mut position = from;
        while let Some(record) = timeout(REPLAY_PATIENCE, reader.next_old())
            .await
            .map_err(|_| CommandLogError::Stalled {
                topic: self.topic.to_string(),
                offset: position,
                end,
                patience: REPLAY_PATIENCE,
            })?
            .map_err(read_error)?
        {
            position = record.offset + 1;
            match serde_json::from_slice::<Command>(record.value.as_deref().unwrap_or_default()) {
                Ok(command) => commands.push((record.offset, command)),
                Err(error) => {
                    tracing::error!(
                        "offset {} of the command topic is not a command and is skipped: {error}",
                        record.offset
                    );
                }
            }
        }
        Ok(())
    }
}
