//! The durable list of executed commands: a topic with one partition, replayed when the server starts.
//!
//! A command is its statement with what executing it decided (the query's id, where its inputs began),
//! so that a replay comes to the same result.
//!
//! The list would only grow. Where too much of it is past, the commands that still matter are written once more, then
//! a mark that all of them are there, and everything before them is deleted. A replay begins with the last such mark.

mod command;
mod history;

use std::sync::Arc;
use std::time::Duration;

use rdkafka::error::KafkaError;
use serde::{Deserialize, Serialize};
use tokio::time::timeout;

use crate::config::Config;
use crate::kafka::{
    Cluster, ClusterError, OutgoingRecord, Reader, RecordProducer, StartingPoint, TopicOptions,
};
use command::LeftBehind;

pub(crate) use command::{Command, Leavings};
pub(crate) use history::{Effects, History, Thing};

/// How long the replay may go without a record before it is tried again from the beginning.
const REPLAY_PATIENCE: Duration = Duration::from_secs(10);

/// Dropped topics whose subjects wait for a registry that is away; of more, the oldest keep theirs.
const MOST_LEFT: usize = 1_000;

/// A command that was executed before and is written once more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Again {
    /// The offset of the first command that is written once more with it.
    first: i64,
    /// Of the mark behind them: how many they are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    all: Option<usize>,
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
    /// The first offset that is there.
    low: i64,
    /// Whether a write failed after it may have reached the topic.
    uncertain: bool,
    /// Whether it was read before.
    was_read: bool,
    /// How many commands that are past it may hold.
    slack: usize,
    history: History,
    left: LeftBehind,
    /// Commands whose leavings are gone, not yet marked.
    cleared: Vec<i64>,
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
            low: 0,
            uncertain: false,
            was_read: false,
            slack: config.past_commands,
            history: History::default(),
            left: LeftBehind::default(),
            cleared: Vec::new(),
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
        self.low = low;
        self.uncertain = false;
        // What is written once more was executed by whoever reads on.
        let is_first = !std::mem::replace(&mut self.was_read, true);
        let commands = current(commands, is_first);
        for (_, command) in &commands {
            self.left.note(command);
        }
        Ok(commands)
    }

    /// What commands have left behind, each with its command's number.
    pub(crate) fn left_behind(&self) -> Vec<(i64, Leavings)> {
        let left = self.left.0.iter();
        left.map(|(sequence, leavings)| (*sequence, leavings.clone()))
            .collect()
    }

    /// What the commands have done so far, to be told by whoever executes them.
    pub(crate) fn history(&mut self) -> &mut History {
        &mut self.history
    }

    /// Notes that nothing is left to be deleted after a command. The mark is a record with a number of its own, so it is
    /// written by [`tidy`](Self::tidy), once the request's commands have theirs.
    pub(crate) fn note_cleared(&mut self, sequence: i64) {
        if self.left.0.remove(&sequence).is_some() {
            self.cleared.push(sequence);
        }
    }

    /// Notes that somebody has taken a subject up: it is nobody's leaving any more.
    pub(crate) fn note_taken_up(&mut self, subject: &str) {
        let left = self.left.0.iter();
        let of_it = left.filter(|(_, leavings)| leavings.latest.contains_key(subject));
        let sequences: Vec<i64> = of_it.map(|(sequence, _)| *sequence).collect();
        for sequence in sequences {
            self.note_cleared(sequence);
        }
    }

    /// After the commands of a request: writes the marks, and the log anew where it is time to.
    pub(crate) async fn tidy(&mut self) {
        for sequence in std::mem::take(&mut self.cleared) {
            let mark = Command::cleaned(sequence, self.next);
            if let Err(error) = self.append(&mark).await {
                // It is looked for once more at the next start.
                tracing::warn!("{error}");
            }
        }
        if self.is_due()
            && let Err(error) = self.rewrite().await
        {
            tracing::warn!("the command log is not written anew: {error}");
        }
    }

    /// Whether so many commands are past that it is time to write the others once more.
    pub(crate) fn is_due(&self) -> bool {
        let held = usize::try_from(self.next - self.low).unwrap_or(usize::MAX);
        held > self
            .slack
            .saturating_add(2 * (self.history.len() + self.left.0.len()))
    }

    /// Writes the commands that matter once more, and deletes everything before them. A crash in between leaves the
    /// log as good as it was.
    pub(crate) async fn rewrite(&mut self) -> Result<(), CommandLogError> {
        let first = self.next;
        let mut commands = self.history.commands();
        let left = self.left.0.iter();
        commands.extend(left.map(|(of, leavings)| Command::left(*of, leavings.clone())));
        let all = commands.len();
        for mut command in commands {
            command.again = Some(Again { first, all: None });
            self.append(&command).await?;
        }
        let mark = Command {
            command_id: format!("log/{first}/rewrite"),
            sequence: self.next,
            again: Some(Again {
                first,
                all: Some(all),
            }),
            ..Command::default()
        };
        self.append(&mark).await?;
        // The next attempt is as far away as if it had succeeded.
        self.low = first;
        self.cluster.delete_records_before(&self.topic, first).await?;
        tracing::info!(commands = all, "the command log is written anew");
        Ok(())
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
            timestamp: osqdemo_clock::unix_ms(),
            headers: &[],
        };
        match self.producer.send_and_wait(record).await {
            Ok(landing) => {
                self.next = landing.offset + 1;
                self.left.note(command);
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

/// The commands to execute: those written once more in the place of all before them, or, where these were executed
/// already, none of them. An incomplete list counts for nothing.
fn current(read: Vec<(i64, Command)>, is_first: bool) -> Vec<(i64, Command)> {
    let mut commands: Vec<(i64, Command)> = Vec::new();
    let mut again: Vec<(i64, Command)> = Vec::new();
    for (offset, mut command) in read {
        match command.again.take() {
            None => commands.push((offset, command)),
            Some(Again { first, all: None }) => {
                // A retried write can put one there twice; an incomplete list can be before.
                again.retain(|(other, _)| *other >= first);
                if again
                    .last()
                    .is_none_or(|(_, last)| last.sequence != command.sequence)
                {
                    again.push((offset, command));
                }
            }
            Some(Again {
                first,
                all: Some(all),
            }) => {
                again.retain(|(other, _)| *other >= first);
                if is_first && again.len() == all {
                    commands = std::mem::take(&mut again);
                }
                again.clear();
            }
        }
    }
    commands
}

#[cfg(test)]
mod tests;
