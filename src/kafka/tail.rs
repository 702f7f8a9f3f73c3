//! The records of topics as they arrive.

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use osqdemo_kafka_bootstrap::Bootstrap;
use rdkafka::consumer::{BaseConsumer, Consumer, StreamConsumer};
use rdkafka::error::{KafkaError as RdKafkaError, RDKafkaErrorCode};
use rdkafka::{Offset, TopicPartitionList};
use tokio::sync::Mutex;
use tokio::task::JoinSet;

use super::topics::{consumer, in_background, partitions, watermarks};
use super::{Decoder, KafkaError, REQUEST_TIMEOUT, Record, client_config};
use crate::stack::Cluster;
use crate::waiting::before_next_try;

/// How often to look for a broker that went away.
const SEARCH_AGAIN: Duration = Duration::from_secs(1);

/// Where to start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// With the oldest record.
    Beginning,
    /// With the next one.
    End,
}

/// Reads topics; goes on where it was when the broker comes back after a restart.
pub struct Tail {
    consumer: Arc<StreamConsumer>,
    bootstrap: Arc<Bootstrap>,
    topics: Vec<String>,
    /// Looks for a broker that went away, until it is there again. Ended when dropped.
    search: std::sync::Mutex<JoinSet<()>>,
    decoder: Option<Decoder>,
    /// Was read and is being decoded: it is the next one also when nobody waits for it any more.
    read: Mutex<Option<Record>>,
}

impl Tail {
    /// Starts to read `topics`, all of their partitions.
    ///
    /// # Errors
    /// When the broker does not answer, or does not have one of the topics.
    pub async fn open(cluster: &Cluster, topics: &[&str], start: Start) -> Result<Self, KafkaError> {
        let names: Vec<String> = topics.iter().map(|topic| (*topic).to_owned()).collect();
        let cluster = cluster.clone();
        in_background(move || {
            let assignment = assignment(&cluster, &names, start)?;
            let consumer: StreamConsumer = consumer(&cluster)?;
            let tail = Self {
                consumer: Arc::new(consumer),
                bootstrap: Arc::new(Bootstrap::of(&client_config(&cluster))),
                topics: names,
                search: std::sync::Mutex::default(),
                decoder: None,
                read: Mutex::default(),
            };
            tail.consumer
                .assign(&assignment)
                .map_err(|error| tail.failed(&error))?;
            Ok(tail)
        })
        .await
    }

    /// The same, with records as this one decodes them.
    #[must_use]
    pub fn decoded_by(mut self, decoder: Option<Decoder>) -> Self {
        self.decoder = decoder;
        self
    }

    /// The next record. May wait for ever. Dropping the future loses nothing.
    ///
    /// # Errors
    /// When a topic can no longer be read, as after it was deleted. A broker that is away is waited for.
    pub async fn next(&self) -> Result<Record, KafkaError> {
        let Some(decoder) = &self.decoder else {
            return self.receive().await;
        };
        let mut read = self.read.lock().await;
        let record = match &*read {
            Some(record) => record,
            None => read.insert(self.receive().await?),
        };
        let decoded = decoder.decoded(record).await;
        *read = None;
        Ok(decoded)
    }

    async fn receive(&self) -> Result<Record, KafkaError> {
        loop {
            match self.consumer.recv().await {
                Ok(message) => return Ok(Record::from(&message)),
                Err(error) if is_passing(&error) => self.search(),
                Err(error) => return Err(self.failed(&error)),
            }
        }
    }

    /// Asks for the topics until they are there: librdkafka does not always find a broker that was restarted.
    fn search(&self) {
        let mut search = self.search.lock().unwrap_or_else(PoisonError::into_inner);
        while search.try_join_next().is_some() {}
        if !search.is_empty() {
            return;
        }
        let (consumer, bootstrap) = (Arc::clone(&self.consumer), Arc::clone(&self.bootstrap));
        let topics = self.topics.clone();
        search.spawn(async move {
            loop {
                let (consumer, bootstrap, topics) =
                    (Arc::clone(&consumer), Arc::clone(&bootstrap), topics.clone());
                let are_there = tokio::task::spawn_blocking(move || {
                    let mut topics = topics.iter();
                    topics.all(|topic| {
                        matches!(
                            bootstrap.knows(consumer.client(), topic, REQUEST_TIMEOUT),
                            Ok(true)
                        )
                    })
                });
                if are_there.await.unwrap_or(true) {
                    return;
                }
                before_next_try(SEARCH_AGAIN).await;
            }
        });
    }

    fn failed(&self, error: &RdKafkaError) -> KafkaError {
        let quoted: Vec<String> = self.topics.iter().map(|name| format!("`{name}`")).collect();
        KafkaError::Read {
            topics: quoted.join(", "),
            reason: error.to_string(),
        }
    }
}

/// Whether librdkafka only tells of trouble that it goes on to overcome.
fn is_passing(error: &RdKafkaError) -> bool {
    matches!(
        error.rdkafka_error_code(),
        Some(
            RDKafkaErrorCode::BrokerTransportFailure
                | RDKafkaErrorCode::AllBrokersDown
                | RDKafkaErrorCode::Resolve
                | RDKafkaErrorCode::OperationTimedOut
                | RDKafkaErrorCode::RequestTimedOut
                | RDKafkaErrorCode::NotLeaderForPartition
                | RDKafkaErrorCode::LeaderNotAvailable
                | RDKafkaErrorCode::UnknownTopicOrPartition
        )
    )
}

/// Where each partition is read from. The end is a number from here on: a record that arrives between this
/// and the first fetch is not missed, and a restart of the broker changes nothing.
fn assignment(cluster: &Cluster, names: &[String], start: Start) -> Result<TopicPartitionList, KafkaError> {
    let asking: BaseConsumer = consumer(cluster)?;
    let existing = partitions(&asking, cluster)?;
    let mut assignment = TopicPartitionList::new();
    for name in names {
        let Some((_, partitions)) = existing.iter().find(|(existing, _)| existing == name) else {
            return Err(KafkaError::UnknownTopic {
                topic: name.clone(),
                known: existing.into_iter().map(|(name, _)| name).collect(),
            });
        };
        for &partition in partitions {
            let offset = match start {
                Start::Beginning => Offset::Beginning,
                Start::End => {
                    let (_, high) = watermarks(&asking, cluster, name, partition)?;
                    Offset::Offset(high)
                }
            };
            assignment
                .add_partition_offset(name, partition, offset)
                .map_err(|error| KafkaError::Read {
                    topics: format!("`{name}`"),
                    reason: error.to_string(),
                })?;
        }
    }
    Ok(assignment)
}
