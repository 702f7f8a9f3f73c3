//! The shared producer: every record any query writes, in order, acknowledged by all replicas.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::client::ClientContext;
use rdkafka::config::{FromClientConfigAndContext, RDKafkaLogLevel};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::Message;
use rdkafka::producer::{BaseProducer, BaseRecord, DeliveryResult, Producer, ProducerContext};
use tokio::sync::{Notify, oneshot};

use super::cluster::Cluster;
use super::context::log;

/// How long one poll waits for something to happen. Events end it at once.
const POLL: Duration = Duration::from_secs(5);

/// Where a record landed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Landing {
    /// The offset.
    pub(crate) offset: i64,
}

/// The deliveries of one query's records: how many are under way, and whether one failed.
#[derive(Debug, Default)]
pub(crate) struct Deliveries {
    outstanding: AtomicUsize,
    failure: Mutex<Option<String>>,
    changed: Notify,
}

impl Deliveries {
    /// How many records are neither acknowledged nor failed.
    pub(crate) fn outstanding(&self) -> usize {
        self.outstanding.load(Ordering::Acquire)
    }

    /// Waits until at most `limit` records are under way; fails as soon as one has failed.
    pub(crate) async fn settle(&self, limit: usize) -> Result<(), String> {
        loop {
            let changed = self.changed.notified();
            tokio::pin!(changed);
            // Registers before looking, so that no change in between is missed.
            changed.as_mut().enable();
            if let Some(reason) = self.failure() {
                return Err(reason);
            }
            if self.outstanding() <= limit {
                return Ok(());
            }
            changed.await;
        }
    }

    fn failure(&self) -> Option<String> {
        self.failure
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    fn finish(&self, result: Result<Landing, String>) {
        if let Err(reason) = result {
            let mut failure = self.failure.lock().unwrap_or_else(PoisonError::into_inner);
            failure.get_or_insert(reason);
        }
        self.outstanding.fetch_sub(1, Ordering::AcqRel);
        self.changed.notify_waiters();
    }
}

/// Who is told what became of a record.
pub(crate) enum Receipt {
    /// It is counted.
    Counted(Arc<Deliveries>),
    /// Somebody waits for it.
    Single(oneshot::Sender<Result<Landing, String>>),
}

struct DeliveryContext {
    room: Arc<Notify>,
}

impl ClientContext for DeliveryContext {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, line: &str) {
        log(level, facility, line);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        tracing::debug!("kafka producer: {error}: {reason}");
    }
}

impl ProducerContext for DeliveryContext {
    type DeliveryOpaque = Box<Receipt>;

    fn delivery(&self, result: &DeliveryResult<'_>, receipt: Self::DeliveryOpaque) {
        let result = match result {
            Ok(message) => Ok(Landing {
                offset: message.offset(),
            }),
            Err((error, message)) => Err(format!(
                "a record for topic `{}` was not acknowledged: {error}",
                message.topic()
            )),
        };
        match *receipt {
            Receipt::Counted(deliveries) => deliveries.finish(result),
            // Nobody waiting any more is fine.
            Receipt::Single(waiting) => drop(waiting.send(result)),
        }
        self.room.notify_waiters();
    }
}

/// The producer that all queries share.
pub(crate) struct RecordProducer {
    config: ClientConfig,
    room: Arc<Notify>,
    current: RwLock<Arc<BaseProducer<DeliveryContext>>>,
}

/// A record to write.
#[derive(Debug, Clone, Copy)]
pub(crate) struct OutgoingRecord<'a> {
    /// The topic.
    pub(crate) topic: &'a str,
    /// The key.
    pub(crate) key: Option<&'a [u8]>,
    /// The value.
    pub(crate) value: Option<&'a [u8]>,
    /// The timestamp in milliseconds.
    pub(crate) timestamp: i64,
}

impl RecordProducer {
    pub(crate) fn new(cluster: &Cluster) -> Result<Self, KafkaError> {
        let mut config = cluster.client_config("ksqldb-producer");
        config
            .set("acks", "all")
            .set("enable.idempotence", "true")
            .set("linger.ms", "0")
            // Java's partitioner, so that keys land where every other Kafka client expects them.
            .set("partitioner", "murmur2_random")
            .set("queue.buffering.max.kbytes", "16384")
            // Long enough for a broker to restart. A query whose record fails starts again from its position,
            // so nothing is lost after that either.
            .set("message.timeout.ms", "20000");
        let room = Arc::new(Notify::new());
        let producer = Self::connect(&config, &room)?;
        Ok(Self {
            config,
            room,
            current: RwLock::new(producer),
        })
    }

    /// Writes a record of a query. Waits while the producer's memory is full.
    pub(crate) async fn send(
        &self,
        record: OutgoingRecord<'_>,
        deliveries: &Arc<Deliveries>,
    ) -> Result<(), KafkaError> {
        deliveries.outstanding.fetch_add(1, Ordering::AcqRel);
        let receipt = Box::new(Receipt::Counted(Arc::clone(deliveries)));
        let sent = self.enqueue(record, receipt).await;
        if sent.is_err() {
            deliveries.outstanding.fetch_sub(1, Ordering::AcqRel);
        }
        sent
    }

    /// Writes one record and waits until it is acknowledged.
    pub(crate) async fn send_and_wait(&self, record: OutgoingRecord<'_>) -> Result<Landing, String> {
        let (sender, receiver) = oneshot::channel();
        self.enqueue(record, Box::new(Receipt::Single(sender)))
            .await
            .map_err(|error| error.to_string())?;
        receiver
            .await
            .unwrap_or_else(|_| Err("the producer was closed".to_owned()))
    }

    /// Waits, blocking, until everything is acknowledged or the time is over.
    pub(crate) fn flush(&self, timeout: Duration) -> Result<(), KafkaError> {
        self.current().flush(timeout)
    }

    async fn enqueue(&self, record: OutgoingRecord<'_>, mut receipt: Box<Receipt>) -> Result<(), KafkaError> {
        loop {
            let room = self.room.notified();
            tokio::pin!(room);
            room.as_mut().enable();
            let mut outgoing = BaseRecord::<[u8], [u8], _>::with_opaque_to(record.topic, receipt)
                .timestamp(record.timestamp);
            if let Some(key) = record.key {
                outgoing = outgoing.key(key);
            }
            if let Some(value) = record.value {
                outgoing = outgoing.payload(value);
            }
            let producer = self.current();
            match producer.send(outgoing) {
                Ok(()) => return Ok(()),
                Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), refused)) => {
                    receipt = refused.delivery_opaque;
                    room.await;
                }
                Err((error, refused)) => {
                    if producer.client().fatal_error().is_none() {
                        return Err(error);
                    }
                    // An idempotent producer that lost its place with the broker is of no more use.
                    self.replace(&producer)?;
                    receipt = refused.delivery_opaque;
                }
            }
        }
    }

    fn current(&self) -> Arc<BaseProducer<DeliveryContext>> {
        Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn replace(&self, failed: &Arc<BaseProducer<DeliveryContext>>) -> Result<(), KafkaError> {
        let mut current = self.current.write().unwrap_or_else(PoisonError::into_inner);
        if Arc::ptr_eq(&current, failed) {
            tracing::warn!(
                "the producer failed for good and is replaced: {:?}",
                failed.client().fatal_error()
            );
            *current = Self::connect(&self.config, &self.room)?;
        }
        Ok(())
    }

    /// A producer and the thread that polls it, which ends soon after the producer is let go.
    ///
    /// `rdkafka`'s own `ThreadedProducer` polls in steps of 100 ms and spins through the last part of a
    /// millisecond of each: half a percent of a core, for nothing.
    fn connect(
        config: &ClientConfig,
        room: &Arc<Notify>,
    ) -> Result<Arc<BaseProducer<DeliveryContext>>, KafkaError> {
        let context = DeliveryContext {
            room: Arc::clone(room),
        };
        let producer = Arc::new(BaseProducer::from_config_and_context(config, context)?);
        let polled = Arc::downgrade(&producer);
        let polling = move || {
            while let Some(producer) = polled.upgrade() {
                producer.poll(POLL);
            }
        };
        std::thread::Builder::new()
            .name("producer-poll".to_owned())
            .spawn(polling)
            .map_err(|error| KafkaError::ClientCreation(format!("no thread to poll with: {error}")))?;
        Ok(producer)
    }
}
