//! What can go wrong between us and the broker.

use crate::error::Diagnose;
use crate::exit_code::ExitCode;
use crate::near_names;

/// A failed exchange with the broker.
#[derive(Debug, thiserror::Error)]
pub enum KafkaError {
    /// No client could be made, as with an address that is not one.
    #[error("cannot make a Kafka client for `{bootstrap_servers}`: {reason}")]
    Client {
        /// The address.
        bootstrap_servers: String,
        /// What librdkafka says.
        reason: String,
    },
    /// The broker did not answer in time.
    #[error("cannot reach the broker at {bootstrap_servers} to {purpose}: {reason}")]
    Unreachable {
        /// The address.
        bootstrap_servers: String,
        /// What was asked.
        purpose: String,
        /// What librdkafka says.
        reason: String,
    },
    /// There is no such topic.
    #[error("the broker has no topic `{topic}`")]
    UnknownTopic {
        /// The topic.
        topic: String,
        /// The topics there are.
        known: Vec<String>,
    },
    /// The records of a topic cannot be read on.
    #[error("failed to read {topics}: {reason}")]
    Read {
        /// The topics.
        topics: String,
        /// What librdkafka says.
        reason: String,
    },
    /// Users cannot be changed or listed.
    #[error("failed to {action}: {reason}")]
    Users {
        /// What was to be done.
        action: &'static str,
        /// What the broker says.
        reason: String,
    },
    /// A topic cannot be written.
    #[error("failed to write topic `{topic}`: {reason}")]
    Write {
        /// The topic.
        topic: String,
        /// What librdkafka says.
        reason: String,
    },
}

impl Diagnose for KafkaError {
    fn exit_code(&self) -> ExitCode {
        match self {
            Self::Client { .. } | Self::Read { .. } | Self::Write { .. } | Self::Users { .. } => {
                ExitCode::Internal
            }
            Self::Unreachable { .. } => ExitCode::NotRunning,
            Self::UnknownTopic { .. } => ExitCode::Usage,
        }
    }

    fn hints(&self) -> Vec<String> {
        match self {
            Self::Unreachable { .. } => {
                vec!["`osqdemo ps` says what runs, `osqdemo up` starts what is missing; what runs elsewhere has to answer there".to_owned()]
            }
            Self::UnknownTopic { topic, known } => {
                // Topics of the broker's own are of no help here.
                let known: Vec<String> = known
                    .iter()
                    .filter(|name| !name.starts_with('_'))
                    .cloned()
                    .collect();
                near_names::hint("topics", topic, &known)
            }
            Self::Client { .. } | Self::Read { .. } | Self::Write { .. } | Self::Users { .. } => Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_topic_is_told_with_the_near_ones() {
        let error = KafkaError::UnknownTopic {
            topic: "proceses".to_owned(),
            known: vec![
                "_processes".to_owned(),
                "open_files".to_owned(),
                "processes".to_owned(),
            ],
        };
        assert_eq!(error.to_string(), "the broker has no topic `proceses`");
        assert_eq!(error.hints(), ["did you mean `processes`?"]);
        assert_eq!(error.exit_code(), ExitCode::Usage);
    }
}
