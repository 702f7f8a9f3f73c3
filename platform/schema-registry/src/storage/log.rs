//! The topic's clients: one that writes, with every record acknowledged by all replicas, and one that reads it from its
//! beginning and goes on reading.

use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::Duration;

use osqdemo_kafka_bootstrap::Bootstrap;
use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, ResourceSpecifier, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{Consumer, StreamConsumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{BorrowedMessage, Header, Headers, Message, OwnedHeaders};
use rdkafka::producer::{BaseRecord, Producer};
use rdkafka::util::Timeout;
use rdkafka::{Offset, TopicPartitionList};
use tokio::sync::{oneshot, watch};
use tokio::task::spawn_blocking;
use tokio::time::{Instant, sleep, timeout_at};

use super::record::Record;
use super::state::State;
use super::writer::{self, Writer};
use crate::config::Config;

/// The header that says which registry wrote a record.
const WRITER_HEADER: &str = "osqdemo-writer";
/// How long one question to the cluster may take.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(5);
/// How long to wait where the topic's leader is not known before asking again.
const AGAIN: Duration = Duration::from_millis(200);
/// What Confluent's registry keeps at most of its topic.
const MOST_REPLICAS: i32 = 3;

/// Why the topic cannot be used.
#[derive(Debug, Clone, thiserror::Error)]
pub(crate) enum LogError {
    /// The brokers do not answer.
    #[error("Kafka does not answer: {0}")]
    Away(String),
    /// The topic is not one that a registry can use.
    #[error(
        "the topic `{topic}` {what}; hint: a registry's topic has one partition and `cleanup.policy=compact`"
    )]
    Unusable { topic: String, what: String },
    /// A record is larger than the broker takes.
    #[error("the record is larger than the broker takes")]
    TooLarge,
    /// A record was not acknowledged, or not read back, in time.
    #[error("no answer within {0:?}")]
    TimedOut(Duration),
}

impl From<KafkaError> for LogError {
    fn from(error: KafkaError) -> Self {
        match error.rdkafka_error_code() {
            Some(RDKafkaErrorCode::MessageSizeTooLarge) => Self::TooLarge,
            _ => Self::Away(error.to_string()),
        }
    }
}

/// The topic, and what is known from it.
pub(crate) struct Log {
    topic: String,
    writer: String,
    deadline: Duration,
    client_config: ClientConfig,
    producer: Arc<Writer>,
    /// What the client that writes began with.
    bootstrap: Arc<Bootstrap>,
    state: Arc<RwLock<State>>,
    /// The offset after the last record that was taken in.
    position: watch::Sender<i64>,
}

impl Log {
    /// Makes the clients. Asks nothing of the cluster.
    pub(crate) fn new(config: &Config, writer: String) -> Result<Self, KafkaError> {
        let mut client_config = ClientConfig::new();
        client_config
            .set("bootstrap.servers", &config.bootstrap_servers)
            .set("client.id", "schema-registry")
            .set("reconnect.backoff.ms", "50")
            .set("reconnect.backoff.max.ms", "1000");
        for (name, value) in &config.kafka_properties {
            client_config.set(name, value);
        }
        let mut producer = client_config.clone();
        let deadline = config.write_deadline.as_millis().to_string();
        producer
            .set("acks", "all")
            .set("enable.idempotence", "true")
            .set("linger.ms", "0")
            .set("queue.buffering.max.kbytes", "65536")
            .set("message.max.bytes", "10485760")
            .set("message.timeout.ms", deadline);
        Ok(Self {
            topic: config.topic.clone(),
            writer,
            deadline: config.write_deadline,
            producer: writer::connect(&producer)?,
            bootstrap: Arc::new(Bootstrap::of(&client_config)),
            client_config,
            state: Arc::default(),
            position: watch::Sender::new(0),
        })
    }

    /// What is known.
    pub(crate) fn state(&self) -> RwLockReadGuard<'_, State> {
        // A panic leaves a whole record out, never half of one.
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn state_mut(&self) -> RwLockWriteGuard<'_, State> {
        self.state.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Which registry this is.
    pub(crate) fn writer(&self) -> &str {
        &self.writer
    }

    /// Makes the topic where it is missing, and looks whether it can be used.
    pub(crate) async fn open(&self) -> Result<(), LogError> {
        let admin: AdminClient<DefaultClientContext> = self.client_config.create()?;
        let options = AdminOptions::new().request_timeout(Some(REQUEST_TIMEOUT));
        let admin = Arc::new(admin);
        let looked = self.look_at_topic(&admin, &options).await;
        // The client waits a tenth of a second for its thread when it goes; nobody else has to.
        std::thread::spawn(move || drop(admin));
        looked
    }

    async fn look_at_topic(
        &self,
        admin: &Arc<AdminClient<DefaultClientContext>>,
        options: &AdminOptions,
    ) -> Result<(), LogError> {
        let asking = Arc::clone(admin);
        let metadata = spawn_blocking(move || asking.inner().fetch_metadata(None, REQUEST_TIMEOUT))
            .await
            .map_err(|error| LogError::Away(error.to_string()))??;
        let found = metadata.topics().iter().find(|topic| topic.name() == self.topic);
        let Some(found) = found else {
            let brokers = i32::try_from(metadata.brokers().len()).unwrap_or(MOST_REPLICAS);
            let replicas = TopicReplication::Fixed(brokers.clamp(1, MOST_REPLICAS));
            let topic = NewTopic::new(&self.topic, 1, replicas).set("cleanup.policy", "compact");
            for created in admin.create_topics([&topic], options).await? {
                match created {
                    Ok(_) | Err((_, RDKafkaErrorCode::TopicAlreadyExists)) => {}
                    Err((_, code)) => {
                        return Err(LogError::Unusable {
                            topic: self.topic.clone(),
                            what: format!("cannot be made: {code}"),
                        });
                    }
                }
            }
            return Ok(());
        };
        let unusable = |what: String| LogError::Unusable {
            topic: self.topic.clone(),
            what,
        };
        if found.partitions().len() != 1 {
            return Err(unusable(format!("has {} partitions", found.partitions().len())));
        }
        let described = admin
            .describe_configs([&ResourceSpecifier::Topic(&self.topic)], options)
            .await?;
        for resource in described {
            let resource = resource.map_err(|code| LogError::Away(code.to_string()))?;
            let policy = resource
                .get("cleanup.policy")
                .and_then(|entry| entry.value.as_deref());
            if let Some(policy) = policy.filter(|policy| *policy != "compact") {
                return Err(unusable(format!("has `cleanup.policy={policy}`")));
            }
        }
        Ok(())
    }

    /// The id of the cluster, where it answers.
    pub(crate) async fn cluster_id(&self) -> Option<String> {
        let producer = Arc::clone(&self.producer);
        let asked = spawn_blocking(move || producer.client().fetch_cluster_id(REQUEST_TIMEOUT));
        asked.await.ok().flatten()
    }

    /// Reads the topic from its beginning and takes in every record, until it is dropped.
    ///
    /// # Errors
    /// Only when the client cannot be made: brokers that are away are waited for.
    pub(crate) async fn read(&self) -> Result<(), LogError> {
        let mut config = self.client_config.clone();
        config
            // A label: the group is never joined.
            .set("group.id", "schema-registry-reader")
            .set("enable.auto.commit", "false")
            .set("enable.auto.offset.store", "false")
            .set("auto.offset.reset", "earliest")
            .set("allow.auto.create.topics", "false")
            .set("fetch.error.backoff.ms", "50")
            .set("queued.max.messages.kbytes", "4096")
            .set("fetch.queue.backoff.ms", "5");
        let consumer: Arc<StreamConsumer> = Arc::new(config.create()?);
        let mut assignment = TopicPartitionList::new();
        assignment.add_partition_offset(&self.topic, 0, Offset::Beginning)?;
        let bootstrap = Arc::new(Bootstrap::of(&config));
        self.learn_leader(&consumer, &bootstrap).await;
        consumer.assign(&assignment)?;
        loop {
            match consumer.recv().await {
                Ok(message) => self.take_in(&message),
                Err(error) => {
                    tracing::debug!("the topic `{}` cannot be read: {error}", self.topic);
                    // A broker that was just restarted may have said that nothing is there.
                    while !self.learn_leader(&consumer, &bootstrap).await {
                        sleep(AGAIN).await;
                    }
                }
            }
        }
    }

    /// Asks who leads the topic, so that both clients can use it at once. Without that, librdkafka often finds out only
    /// when it next looks through its topics, which it does once a second.
    /// Returns whether it is known.
    async fn learn_leader(&self, consumer: &Arc<StreamConsumer>, bootstrap: &Arc<Bootstrap>) -> bool {
        let producer = Arc::clone(&self.producer);
        let (for_writing, topic) = (Arc::clone(&self.bootstrap), self.topic.clone());
        let written_to = move || for_writing.knows(producer.client(), &topic, REQUEST_TIMEOUT);
        let (consumer, bootstrap, topic) = (Arc::clone(consumer), Arc::clone(bootstrap), self.topic.clone());
        let read = move || bootstrap.knows(consumer.client(), &topic, REQUEST_TIMEOUT);
        // Each has to connect first: neither waits for the other.
        let (written_to, read) = tokio::join!(spawn_blocking(written_to), spawn_blocking(read));
        [written_to, read].into_iter().all(|asked| {
            asked.is_ok_and(|told| {
                told.unwrap_or_else(|error| {
                    tracing::debug!("the leader of `{}` is not known yet: {error}", self.topic);
                    false
                })
            })
        })
    }

    fn take_in(&self, message: &BorrowedMessage<'_>) {
        let offset = message.offset();
        let mut state = self.state_mut();
        if offset < *self.position.borrow() {
            tracing::warn!(
                "the topic `{}` begins anew: what was known from it is forgotten",
                self.topic
            );
            *state = State::default();
        }
        match Record::parse(message.key().unwrap_or_default(), message.payload()) {
            Ok(record) => {
                let headers = message.headers();
                let writer = headers.and_then(|headers| {
                    let mut headers = headers.iter();
                    let header = headers.find(|header| header.key == WRITER_HEADER)?;
                    str::from_utf8(header.value?).ok()
                });
                state.apply(record, writer);
            }
            Err(reason) => {
                tracing::warn!("offset {offset} of `{}` is passed over: {reason}", self.topic);
            }
        }
        drop(state);
        self.position.send_replace(offset + 1);
    }

    /// Says that this registry writes from now on, and waits until all that was written before was read.
    pub(crate) async fn claim(&self) -> Result<(), LogError> {
        self.write_with(&[Record::Noop], |_| true).await
    }

    /// Writes records and waits until the last one was read back.
    pub(crate) async fn write(&self, records: &[Record]) -> Result<(), LogError> {
        // The header of a record that says nothing claims the topic.
        self.write_with(records, |record| *record != Record::Noop).await
    }

    async fn write_with(&self, records: &[Record], signs: impl Fn(&Record) -> bool) -> Result<(), LogError> {
        let until = Instant::now() + self.deadline;
        let mut under_way = Vec::with_capacity(records.len());
        for record in records {
            let (key, value) = (record.key().to_bytes(), record.value());
            let header = signs(record).then(|| {
                let value = Some(&self.writer);
                OwnedHeaders::new().insert(Header {
                    key: WRITER_HEADER,
                    value,
                })
            });
            let (waiting, delivery) = oneshot::channel();
            let sent = self.producer.send(BaseRecord {
                topic: &self.topic,
                partition: Some(0),
                payload: value.as_ref(),
                key: Some(&key),
                timestamp: None,
                headers: header,
                delivery_opaque: Box::new(waiting),
            });
            sent.map_err(|(error, _)| LogError::from(error))?;
            under_way.push(delivery);
        }
        let mut last = -1;
        for delivery in under_way {
            let delivered = timeout_at(until, delivery)
                .await
                .map_err(|_| LogError::TimedOut(self.deadline))?;
            let delivered = delivered.map_err(|_| LogError::Away("the client ended".to_owned()))?;
            last = delivered?;
        }
        let mut position = self.position.subscribe();
        let read = timeout_at(until, position.wait_for(|position| *position > last)).await;
        match read {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(_)) | Err(_) => Err(LogError::TimedOut(self.deadline)),
        }
    }

    /// Lets what was sent go out, for as long as that may take.
    pub(crate) async fn flush(&self, deadline: Duration) {
        let producer = Arc::clone(&self.producer);
        let flushed = spawn_blocking(move || producer.flush(Timeout::After(deadline)));
        if let Ok(Err(error)) = flushed.await {
            tracing::warn!("records were not acknowledged: {error}");
        }
    }
}
