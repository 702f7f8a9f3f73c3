//! Why a topic could not be created or changed, and Kafka's codes for it.

use std::io;

use kafka_protocol::ResponseError;

use super::settings::InvalidSetting;

/// Why a topic could not be created or changed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TopicError {
    /// The name is not one a topic may have.
    #[error("a topic cannot be named `{name}`: {reason}")]
    Name {
        /// The name.
        name: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// There is one already.
    #[error("topic `{name}` already exists")]
    Exists {
        /// Its name.
        name: String,
    },
    /// There is none.
    #[error("there is no such topic")]
    Unknown,
    /// The number of partitions is impossible.
    #[error("{0} partitions cannot be had")]
    Partitions(i32),
    /// More than one copy was asked for.
    #[error("replication factor {0} is impossible with one broker")]
    Replication(i16),
    /// The request names it more than once.
    #[error("the request names the topic more than once")]
    Twice,
    /// Replicas were assigned to brokers that do not exist.
    #[error("the replica assignment names brokers that do not exist")]
    Assignment,
    /// A setting is unknown or has an impossible value.
    #[error(transparent)]
    Setting(#[from] InvalidSetting),
    /// The disk refused it.
    #[error("the topic cannot be stored: {0}")]
    Storage(#[from] io::Error),
}

impl TopicError {
    /// Kafka's code for it.
    pub(crate) fn code(&self) -> ResponseError {
        match self {
            Self::Name { .. } => ResponseError::InvalidTopicException,
            Self::Exists { .. } => ResponseError::TopicAlreadyExists,
            Self::Unknown => ResponseError::UnknownTopicOrPartition,
            Self::Partitions(_) => ResponseError::InvalidPartitions,
            Self::Replication(_) => ResponseError::InvalidReplicationFactor,
            Self::Twice => ResponseError::InvalidRequest,
            Self::Assignment => ResponseError::InvalidReplicaAssignment,
            // Kafka's code for a setting that it reads at its start.
            Self::Setting(InvalidSetting::Fixed(_)) => ResponseError::InvalidRequest,
            Self::Setting(_) => ResponseError::InvalidConfig,
            Self::Storage(_) => ResponseError::KafkaStorageError,
        }
    }
}
