//! What there is on a Kafka outside of the stack, and taking away some of it.

use std::collections::BTreeSet;
use std::time::Duration;

use futures_util::future::join_all;
use rdkafka::admin::{AdminClient, AdminOptions};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::RDKafkaErrorCode;

use super::topics::{consumer, in_background, partitions};
use super::{KafkaError, REQUEST_TIMEOUT, client_config};
use crate::stack::Cluster;
use crate::waiting::poll_within;

/// How long a group may have members that have gone: until the broker misses them.
const EMPTY_WITHIN: Duration = Duration::from_secs(10);

/// How long to wait before a group is tried again.
const PAUSE: Duration = Duration::from_millis(500);

/// What there is on a Kafka.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inventory {
    /// The id of the cluster, where it has one.
    pub cluster: Option<String>,
    /// Its topics.
    pub topics: BTreeSet<String>,
    /// Its groups; nothing where it does not tell.
    pub groups: Option<BTreeSet<String>>,
}

/// Something that is still there, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotRemoved {
    /// Its name.
    pub name: String,
    /// What the broker says.
    pub reason: String,
}

/// Asks a Kafka what there is.
///
/// # Errors
/// When it does not answer.
pub async fn inventory(cluster: &Cluster) -> Result<Inventory, KafkaError> {
    let cluster = cluster.clone();
    in_background(move || {
        let consumer: BaseConsumer = consumer(&cluster)?;
        let topics = partitions(&consumer, &cluster)?;
        // Who may not list groups can use the topics all the same.
        let groups = consumer.fetch_group_list(None, REQUEST_TIMEOUT).ok();
        Ok(Inventory {
            cluster: consumer.client().fetch_cluster_id(REQUEST_TIMEOUT),
            topics: topics.into_iter().map(|(topic, _)| topic).collect(),
            groups: groups.map(|list| {
                let groups = list.groups().iter();
                groups.map(|group| group.name().to_owned()).collect()
            }),
        })
    })
    .await
}

/// Deletes these topics, then these groups. What is not there is as good as deleted. Says what is left.
///
/// # Errors
/// When the broker does not answer.
pub async fn remove(
    cluster: &Cluster,
    topics: &BTreeSet<String>,
    groups: &BTreeSet<String>,
) -> Result<Vec<NotRemoved>, KafkaError> {
    let failed = |error: rdkafka::error::KafkaError| KafkaError::Unreachable {
        bootstrap_servers: cluster.to_string(),
        purpose: "delete topics and groups".to_owned(),
        reason: error.to_string(),
    };
    let admin: AdminClient<DefaultClientContext> = client_config(cluster).create().map_err(failed)?;
    let options = AdminOptions::new()
        .request_timeout(Some(REQUEST_TIMEOUT))
        .operation_timeout(Some(REQUEST_TIMEOUT));
    let mut left = Vec::new();
    // librdkafka refuses an empty list.
    if !topics.is_empty() {
        let names: Vec<&str> = topics.iter().map(String::as_str).collect();
        let answers = admin.delete_topics(&names, &options).await.map_err(failed)?;
        left.extend(answers.into_iter().filter_map(|answer| match answer {
            Ok(_) | Err((_, RDKafkaErrorCode::UnknownTopicOrPartition)) => None,
            Err((name, code)) => Some(not_removed(name, code)),
        }));
    }
    let (admin, options) = (&admin, &options);
    let deleting = groups.iter().map(|group| async move {
        let attempt = || async {
            let answers = admin.delete_groups(&[group], options).await;
            match answers.map(|answers| answers.into_iter().next()) {
                Ok(Some(Err((_, RDKafkaErrorCode::NonEmptyGroup)))) => None,
                answer => Some(answer),
            }
        };
        match poll_within(EMPTY_WITHIN, PAUSE, attempt).await {
            None => Some(not_removed(group.clone(), RDKafkaErrorCode::NonEmptyGroup)),
            Some(Ok(None | Some(Ok(_) | Err((_, RDKafkaErrorCode::GroupIdNotFound))))) => None,
            Some(Ok(Some(Err((name, code))))) => Some(not_removed(name, code)),
            // The topics are gone by now, so this is not the whole Kafka's silence.
            Some(Err(error)) => Some(NotRemoved {
                name: group.clone(),
                reason: error.to_string(),
            }),
        }
    });
    left.extend(join_all(deleting).await.into_iter().flatten());
    Ok(left)
}

fn not_removed(name: String, code: RDKafkaErrorCode) -> NotRemoved {
    NotRemoved {
        name,
        reason: code.to_string(),
    }
}
