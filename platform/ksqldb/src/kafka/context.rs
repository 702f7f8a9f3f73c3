//! Where librdkafka's own log lines and events go.

use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::ConsumerContext;
use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::topic_partition_list::TopicPartitionList;
use tokio::sync::watch;

/// Hands librdkafka's log to `tracing` and counts the answers to commits.
pub(crate) struct Context {
    commits_answered: watch::Sender<u64>,
}

impl Context {
    pub(crate) fn new() -> Self {
        Self {
            commits_answered: watch::Sender::new(0),
        }
    }

    /// How many commits the broker has answered, with whatever result.
    pub(crate) fn commits_answered(&self) -> watch::Receiver<u64> {
        self.commits_answered.subscribe()
    }
}

impl ClientContext for Context {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, line: &str) {
        log(level, facility, line);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        // Every one of these is repeated by librdkafka's log or by the call that fails for it.
        tracing::debug!("kafka client: {error}: {reason}");
    }
}

impl ConsumerContext for Context {
    fn commit_callback(&self, result: KafkaResult<()>, _offsets: &TopicPartitionList) {
        if let Err(error) = result {
            // The next commit covers this one, and a restart repeats records rather than losing any.
            tracing::warn!("cannot commit a query's position: {error}");
        }
        self.commits_answered.send_modify(|count| *count += 1);
    }
}

/// Passes a log line of librdkafka on. Lost connections are routine while a broker restarts, so what
/// librdkafka calls an error is a warning here.
pub(crate) fn log(level: RDKafkaLogLevel, facility: &str, line: &str) {
    match level {
        RDKafkaLogLevel::Emerg
        | RDKafkaLogLevel::Alert
        | RDKafkaLogLevel::Critical
        | RDKafkaLogLevel::Error
        | RDKafkaLogLevel::Warning => tracing::warn!(target: "librdkafka", "{facility}: {line}"),
        RDKafkaLogLevel::Notice | RDKafkaLogLevel::Info => {
            tracing::info!(target: "librdkafka", "{facility}: {line}");
        }
        RDKafkaLogLevel::Debug => tracing::debug!(target: "librdkafka", "{facility}: {line}"),
    }
}
