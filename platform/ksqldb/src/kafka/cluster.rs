//! The Kafka cluster: how its clients are configured, and its topics.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use osqdemo_kafka_bootstrap::Bootstrap;
use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, ResourceSpecifier, TopicReplication};
use rdkafka::config::FromClientConfigAndContext;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use tokio::time::timeout;

use super::closing::ClosedElsewhere;
use super::context::Context;

/// How long a question to the cluster may take.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(5);

/// How often to look for a new topic that the brokers do not know yet.
const TOPIC_POLL: Duration = Duration::from_millis(20);

/// Why a question to the cluster has no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ClusterError {
    /// The client could not be made.
    #[error("cannot make a Kafka client for `{bootstrap_servers}`: {source}")]
    Client {
        bootstrap_servers: String,
        source: KafkaError,
    },
    /// The cluster did not answer a question about itself.
    #[error("cannot {action}: {source}")]
    Request { action: String, source: KafkaError },
    /// The cluster refused to do something with a topic.
    #[error("cannot {action} topic `{topic}`: {code}")]
    Topic {
        action: &'static str,
        topic: String,
        code: RDKafkaErrorCode,
    },
    /// The cluster refused to forget a group.
    #[error("cannot delete consumer group `{group}`: {code}")]
    Group { group: String, code: RDKafkaErrorCode },
    /// The thread that asked ended without an answer.
    #[error("cannot {action}: the request was abandoned")]
    Abandoned { action: String },
}

impl ClusterError {
    /// Why the cluster refuses to do something with a topic.
    pub(crate) fn refused(&self) -> Option<RDKafkaErrorCode> {
        match self {
            Self::Topic { code, .. } => Some(*code),
            _ => None,
        }
    }
}

/// What a new topic is made with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TopicOptions {
    /// The partitions.
    pub(crate) partitions: i32,
    /// The replicas of each.
    pub(crate) replicas: i32,
    /// Further settings, such as `retention.ms`.
    pub(crate) settings: Vec<(&'static str, String)>,
}

/// The replica count of each partition of a topic, in order.
pub(crate) type ReplicaCounts = Vec<usize>;

/// A handle on the cluster. Making one asks nothing of it.
pub(crate) struct Cluster {
    /// What every client of it shares.
    config: ClientConfig,
    admin: Arc<ClosedElsewhere<AdminClient<Context>>>,
    bootstrap: Arc<Bootstrap>,
}

impl Cluster {
    pub(crate) fn new(
        bootstrap_servers: &str,
        properties: &[(String, String)],
    ) -> Result<Self, ClusterError> {
        let shared = client_config(bootstrap_servers, properties);
        let mut config = shared.clone();
        config
            .set("client.id", "ksqldb-admin")
            .set("queue.buffering.max.kbytes", "1024");
        let admin = AdminClient::from_config_and_context(&config, Context).map_err(|source| {
            ClusterError::Client {
                bootstrap_servers: bootstrap_servers.to_owned(),
                source,
            }
        })?;
        Ok(Self {
            bootstrap: Arc::new(Bootstrap::of(&shared)),
            config: shared,
            admin: Arc::new(ClosedElsewhere::new(admin)),
        })
    }

    /// The settings every client of this cluster shares.
    pub(crate) fn client_config(&self, client_id: &str) -> ClientConfig {
        let mut config = self.config.clone();
        config.set("client.id", client_id);
        config
    }

    /// The servers that a client of this cluster begins with.
    pub(super) fn bootstrap(&self) -> Bootstrap {
        Bootstrap::of(&self.config)
    }

    /// The topics there are. Asking for all of them never makes one.
    pub(crate) async fn topics(&self) -> Result<BTreeMap<String, ReplicaCounts>, ClusterError> {
        let metadata = self
            .ask("list the topics", |admin| {
                admin.inner().fetch_metadata(None, REQUEST_TIMEOUT)
            })
            .await?;
        let counted = metadata.topics().iter().map(|topic| {
            let mut partitions: Vec<(i32, usize)> = topic
                .partitions()
                .iter()
                .map(|partition| (partition.id(), partition.replicas().len()))
                .collect();
            partitions.sort_unstable();
            let counts = partitions.into_iter().map(|(_, replicas)| replicas).collect();
            (topic.name().to_owned(), counts)
        });
        Ok(counted.collect())
    }

    /// How many brokers there are.
    pub(crate) async fn brokers(&self) -> Result<usize, ClusterError> {
        let metadata = self
            .ask("list the brokers", |admin| {
                admin.inner().fetch_metadata(None, REQUEST_TIMEOUT)
            })
            .await?;
        Ok(metadata.brokers().len())
    }

    /// How long a topic keeps its records (`retention.ms`; -1: for ever), where the cluster says so.
    pub(crate) async fn retention_ms(&self, topic: &str) -> Result<Option<i64>, ClusterError> {
        let options = AdminOptions::new().request_timeout(Some(REQUEST_TIMEOUT));
        let described = self
            .admin
            .describe_configs([&ResourceSpecifier::Topic(topic)], &options)
            .await
            .map_err(|source| ClusterError::Request {
                action: format!("read the settings of topic `{topic}`"),
                source,
            })?;
        let mut retention = None;
        for resource in described {
            let resource = resource.map_err(|code| ClusterError::Topic {
                action: "read the settings of",
                topic: topic.to_owned(),
                code,
            })?;
            let value = resource
                .get("retention.ms")
                .and_then(|entry| entry.value.as_deref());
            retention = retention.or(value.and_then(|value| value.parse().ok()));
        }
        Ok(retention)
    }

    /// The first and the next offset of each partition.
    pub(crate) async fn watermarks(
        &self,
        topic: &str,
        partitions: i32,
    ) -> Result<Vec<(i64, i64)>, ClusterError> {
        let name = topic.to_owned();
        self.ask(&format!("read the offsets of topic `{topic}`"), move |admin| {
            (0..partitions)
                .map(|partition| admin.inner().fetch_watermarks(&name, partition, REQUEST_TIMEOUT))
                .collect::<Result<Vec<_>, _>>()
        })
        .await
    }

    /// The next offset of each partition of a topic.
    pub(crate) async fn ends(&self, topic: &str) -> Result<Vec<i64>, ClusterError> {
        let name = topic.to_owned();
        self.ask(&format!("read the ends of topic `{topic}`"), move |admin| {
            let metadata = admin.inner().fetch_metadata(Some(&name), REQUEST_TIMEOUT)?;
            let partitions = metadata
                .topics()
                .first()
                .map_or(0, |topic| topic.partitions().len());
            (0..i32::try_from(partitions).unwrap_or(0))
                .map(|partition| {
                    let (_, end) = admin
                        .inner()
                        .fetch_watermarks(&name, partition, REQUEST_TIMEOUT)?;
                    Ok(end)
                })
                .collect()
        })
        .await
    }

    /// The cluster's id.
    pub(crate) async fn id(&self) -> Option<String> {
        let admin = Arc::clone(&self.admin);
        tokio::task::spawn_blocking(move || admin.inner().fetch_cluster_id(REQUEST_TIMEOUT))
            .await
            .ok()
            .flatten()
    }

    /// Makes a topic and waits until it is there. One that is already there is left as it is.
    pub(crate) async fn create_topic(&self, topic: &str, options: &TopicOptions) -> Result<(), ClusterError> {
        let mut new_topic = NewTopic::new(
            topic,
            options.partitions,
            TopicReplication::Fixed(options.replicas),
        );
        for (name, value) in &options.settings {
            new_topic = new_topic.set(name, value);
        }
        let admin_options = AdminOptions::new()
            .operation_timeout(Some(REQUEST_TIMEOUT))
            .request_timeout(Some(REQUEST_TIMEOUT));
        let results = self
            .admin
            .create_topics([&new_topic], &admin_options)
            .await
            .map_err(|source| ClusterError::Request {
                action: format!("create topic `{topic}`"),
                source,
            })?;
        for result in results {
            match result {
                Ok(_) | Err((_, RDKafkaErrorCode::TopicAlreadyExists)) => {}
                Err((topic, code)) => {
                    return Err(ClusterError::Topic {
                        action: "create",
                        topic,
                        code,
                    });
                }
            }
        }
        // The broker that makes a topic is not always the one that is asked next.
        let known = async {
            while !self.topics().await?.contains_key(topic) {
                tokio::time::sleep(TOPIC_POLL).await;
            }
            Ok(())
        };
        timeout(REQUEST_TIMEOUT, known).await.unwrap_or_else(|_| {
            Err(ClusterError::Topic {
                action: "see",
                topic: topic.to_owned(),
                code: RDKafkaErrorCode::UnknownTopicOrPartition,
            })
        })
    }

    /// Deletes the records of a topic's only partition that lie before an offset.
    pub(crate) async fn delete_records_before(&self, topic: &str, offset: i64) -> Result<(), ClusterError> {
        let failed = |source| ClusterError::Request {
            action: format!("delete the first records of topic `{topic}`"),
            source,
        };
        let mut offsets = TopicPartitionList::new();
        offsets
            .add_partition_offset(topic, 0, Offset::Offset(offset))
            .map_err(failed)?;
        let admin_options = AdminOptions::new()
            .operation_timeout(Some(REQUEST_TIMEOUT))
            .request_timeout(Some(REQUEST_TIMEOUT));
        let deleted = self.admin.delete_records(&offsets, &admin_options).await;
        let deleted = deleted.map_err(failed)?;
        let partition = deleted.find_partition(topic, 0);
        match partition.map_or(Ok(()), |partition| partition.error()) {
            Ok(()) => Ok(()),
            Err(source) => Err(failed(source)),
        }
    }

    /// Deletes a topic. One that is not there is fine.
    pub(crate) async fn delete_topic(&self, topic: &str) -> Result<(), ClusterError> {
        let admin_options = AdminOptions::new()
            .operation_timeout(Some(REQUEST_TIMEOUT))
            .request_timeout(Some(REQUEST_TIMEOUT));
        let results = self
            .admin
            .delete_topics(&[topic], &admin_options)
            .await
            .map_err(|source| ClusterError::Request {
                action: format!("delete topic `{topic}`"),
                source,
            })?;
        for result in results {
            match result {
                Ok(_)
                | Err((_, RDKafkaErrorCode::UnknownTopicOrPartition | RDKafkaErrorCode::UnknownTopic)) => {}
                Err((topic, code)) => {
                    return Err(ClusterError::Topic {
                        action: "delete",
                        topic,
                        code,
                    });
                }
            }
        }
        Ok(())
    }

    /// Forgets the positions of a consumer group. A group that is not there is fine.
    pub(crate) async fn delete_group(&self, group: &str) -> Result<(), ClusterError> {
        let options = AdminOptions::new().request_timeout(Some(REQUEST_TIMEOUT));
        let results = self
            .admin
            .delete_groups(&[group], &options)
            .await
            .map_err(|source| ClusterError::Request {
                action: format!("delete consumer group `{group}`"),
                source,
            })?;
        for result in results {
            match result {
                Ok(_) | Err((_, RDKafkaErrorCode::GroupIdNotFound)) => {}
                Err((group, code)) => return Err(ClusterError::Group { group, code }),
            }
        }
        Ok(())
    }

    /// Asks on a thread of its own: librdkafka answers these questions only by blocking.
    async fn ask<T: Send + 'static>(
        &self,
        action: &str,
        question: impl FnOnce(&AdminClient<Context>) -> Result<T, KafkaError> + Send + 'static,
    ) -> Result<T, ClusterError> {
        let (admin, bootstrap) = (Arc::clone(&self.admin), Arc::clone(&self.bootstrap));
        let asking = move || {
            let answer = question(&admin);
            bootstrap.note(admin.inner(), answer.as_ref().err());
            answer
        };
        tokio::task::spawn_blocking(asking)
            .await
            .map_err(|_| ClusterError::Abandoned {
                action: action.to_owned(),
            })?
            .map_err(|source| ClusterError::Request {
                action: action.to_owned(),
                source,
            })
    }
}

fn client_config(bootstrap_servers: &str, properties: &[(String, String)]) -> ClientConfig {
    let mut config = ClientConfig::new();
    config
        .set("bootstrap.servers", bootstrap_servers)
        // A restarted broker is found again within a second; one that is away costs little.
        .set("reconnect.backoff.ms", "50")
        .set("reconnect.backoff.max.ms", "1000")
        .set("retry.backoff.ms", "20")
        .set("retry.backoff.max.ms", "500")
        .set("socket.connection.setup.timeout.ms", "5000")
        .set("socket.nagle.disable", "true")
        // Every topic is made before it is used. A client that asked about one which was deleted, as all do about
        // every topic they ever used, would bring it back.
        .set("allow.auto.create.topics", "false")
        // Client metrics (KIP-714) cost a request each and nobody reads them.
        .set("enable.metrics.push", "false")
        .set("log.connection.close", "false");
    for (name, value) in properties {
        config.set(name, value);
    }
    config
}
