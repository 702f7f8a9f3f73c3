//! What this user may do on a Kafka outside of the stack, asked without changing anything there.

use std::time::Duration;

use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::RDKafkaErrorCode;
use rdkafka::{Offset, TopicPartitionList};
use tokio::time::Instant;

use super::topics::{consumer, in_background, partitions};
use super::{KafkaError, REQUEST_TIMEOUT, client_config};
use crate::stack::Cluster;

/// How long a refusal may take: what may be read says nothing.
const REFUSED_WITHIN: Duration = Duration::from_secs(2);

/// How long to wait for one answer.
const POLL: Duration = Duration::from_millis(100);

/// A topic of this name is never made.
const NEVER_MADE: &str = "osqdemo-doctor-asks";

/// Why something is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal(pub String);

/// The topics among these that are there and may not be read.
///
/// # Errors
/// When the broker does not answer.
pub async fn unreadable(cluster: &Cluster, topics: &[String]) -> Result<Vec<String>, KafkaError> {
    let (cluster, topics) = (cluster.clone(), topics.to_vec());
    in_background(move || {
        let consumer: BaseConsumer = consumer(&cluster)?;
        let mut assignment = TopicPartitionList::new();
        for (topic, partitions) in partitions(&consumer, &cluster)? {
            for partition in partitions.into_iter().filter(|_| topics.contains(&topic)) {
                // Where the next record will be: none of those that are there is fetched.
                let _ = assignment.add_partition_offset(&topic, partition, Offset::End);
            }
        }
        let failed = |error: rdkafka::error::KafkaError| KafkaError::Read {
            topics: "the hosts' topics".to_owned(),
            reason: error.to_string(),
        };
        consumer.assign(&assignment).map_err(failed)?;
        let mut refused = Vec::new();
        let until = Instant::now() + REFUSED_WITHIN;
        while Instant::now() < until {
            if let Some(Err(error)) = consumer.poll(POLL)
                && error.rdkafka_error_code() == Some(RDKafkaErrorCode::TopicAuthorizationFailed)
            {
                // It does not say of which topic.
                refused.push("one of the hosts' topics".to_owned());
                break;
            }
        }
        Ok(refused)
    })
    .await
}

/// Why no topic may be made; none where one may.
///
/// # Errors
/// When the broker does not answer.
pub async fn may_make_topics(cluster: &Cluster) -> Result<Option<Refusal>, KafkaError> {
    let failed = |error: rdkafka::error::KafkaError| KafkaError::Unreachable {
        bootstrap_servers: cluster.to_string(),
        purpose: "ask whether a topic may be made".to_owned(),
        reason: error.to_string(),
    };
    let admin: AdminClient<DefaultClientContext> = client_config(cluster).create().map_err(failed)?;
    let options = AdminOptions::new()
        .validate_only(true)
        .request_timeout(Some(REQUEST_TIMEOUT));
    let topic = NewTopic::new(NEVER_MADE, 1, TopicReplication::Fixed(1));
    let answers = admin.create_topics([&topic], &options).await.map_err(failed)?;
    Ok(answers.into_iter().find_map(|answer| match answer {
        Ok(_) | Err((_, RDKafkaErrorCode::TopicAlreadyExists)) => None,
        Err((_, code)) => Some(Refusal(code.to_string())),
    }))
}
