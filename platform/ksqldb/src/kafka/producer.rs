//! The shared producer: every record any query writes, in order, acknowledged by all replicas.
//!
//! Long because each record is answered for once, whether it is acknowledged, comes back or is given up.

use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Duration;

use osqdemo_kafka_bootstrap::Bootstrap;
use osqdemo_registry_client::wire::{KEY_HEADER, VALUE_HEADER};
use rdkafka::ClientConfig;
use rdkafka::client::ClientContext;
use rdkafka::config::{FromClientConfigAndContext, RDKafkaLogLevel};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{Header, Message, OwnedHeaders};
use rdkafka::producer::{BaseProducer, BaseRecord, DeliveryResult, Producer, ProducerContext};
use rdkafka::util::IntoOpaque;
use tokio::sync::futures::Notified;
use tokio::sync::{Notify, oneshot};

use super::cluster::Cluster;
use super::context::log;
use super::returned::{Returned, ReturnedRecords, ask, is_unknown_topic};
use super::time_zero::TimeZero;

/// How long the producer's threads wait for something to happen. What happens ends that at once.
const POLL: Duration = Duration::from_secs(5);
/// How long to wait where the topic of a record that came back is still unknown.
const SEND_AGAIN: Duration = Duration::from_millis(200);

/// Where a record landed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Landing {
    /// The offset.
    pub(crate) offset: i64,
}

/// The deliveries of one query's records: how many are under way, and whether one failed.
#[derive(Debug, Default)]
pub(crate) struct Deliveries {
    /// Those that were counted before, which a commit waits for.
    before: Mutex<Option<Arc<Deliveries>>>,
    outstanding: AtomicUsize,
    /// The most records under way that anybody waited for: with more, nobody has to be told.
    awaited: AtomicUsize,
    failure: Mutex<Option<String>>,
    changed: Notify,
}

impl Deliveries {
    /// How many records are neither acknowledged nor failed.
    pub(crate) fn outstanding(&self) -> usize {
        self.outstanding.load(Ordering::SeqCst)
    }

    /// Waits until at most `limit` records are under way; fails as soon as one has failed.
    pub(crate) async fn settle(&self, limit: usize) -> Result<(), String> {
        // Before looking how many there are: whoever finishes one looks the other way round.
        self.awaited.fetch_max(limit, Ordering::SeqCst);
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

    /// Those of further records. Of what was before these, everything is acknowledged by then.
    pub(crate) fn further(self: &Arc<Self>) -> Arc<Self> {
        self.before().take();
        let further = Self::default();
        further.before().replace(Arc::clone(self));
        Arc::new(further)
    }

    /// Waits until no record is under way, whichever was counted where.
    async fn settle_all(&self) -> Result<(), String> {
        let before = self.before().clone();
        if let Some(before) = before {
            before.settle(0).await?;
        }
        self.settle(0).await
    }

    fn before(&self) -> MutexGuard<'_, Option<Arc<Self>>> {
        self.before.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn failure(&self) -> Option<String> {
        self.failure
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    fn finish(&self, result: Result<Landing, String>) {
        let has_failed = result.is_err();
        if let Err(reason) = result {
            let mut failure = self.failure.lock().unwrap_or_else(PoisonError::into_inner);
            failure.get_or_insert(reason);
        }
        let left = self.outstanding.fetch_sub(1, Ordering::SeqCst) - 1;
        // To wake a query for each of thousands of records costs more than they do.
        if has_failed || left <= self.awaited.load(Ordering::SeqCst) {
            self.changed.notify_waiters();
        }
    }
}

/// Who is told what became of a record.
enum Waiting {
    /// It is counted.
    Counted(Arc<Deliveries>),
    /// Somebody waits for it.
    Single(oneshot::Sender<Result<Landing, String>>),
}

/// What goes along with a record until it is acknowledged.
pub(crate) struct Receipt {
    waiting: Waiting,
    /// Its place among all records: one that comes back does so before later ones.
    pub(super) number: u64,
}

impl Receipt {
    /// Tells what became of the record.
    pub(super) fn finish(self, result: Result<Landing, String>) {
        match self.waiting {
            Waiting::Counted(deliveries) => deliveries.finish(result),
            // Nobody waiting any more is fine.
            Waiting::Single(waiting) => drop(waiting.send(result)),
        }
    }
}

pub(super) struct DeliveryContext {
    room: Arc<Notify>,
    returned: Arc<ReturnedRecords>,
    pub(super) bootstrap: Bootstrap,
    /// Whether a record was not acknowledged since somebody last looked.
    has_failed: AtomicBool,
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
        match result {
            Ok(message) => receipt.finish(Ok(Landing {
                offset: message.offset(),
            })),
            // A broker that has just come back does not know its topics for a moment.
            Err((error, message)) if is_unknown_topic(error) => {
                self.returned.put(Returned::new(message, receipt));
            }
            Err((error, message)) => {
                self.has_failed.store(true, Ordering::Relaxed);
                receipt.finish(Err(not_acknowledged(message.topic(), error)));
            }
        }
        self.room.notify_waiters();
    }
}

/// What is told of a record that was not acknowledged.
pub(super) fn not_acknowledged(topic: &str, error: &KafkaError) -> String {
    format!("a record for topic `{topic}` was not acknowledged: {error}")
}

/// The producer that all queries share.
pub(crate) struct RecordProducer {
    config: ClientConfig,
    room: Arc<Notify>,
    returned: Arc<ReturnedRecords>,
    time_zero: TimeZero,
    /// How many records there were.
    records: AtomicU64,
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
    /// The headers, in order.
    pub(crate) headers: &'a [(String, Option<Vec<u8>>)],
}

impl<'a> OutgoingRecord<'a> {
    /// The headers that go along. What an input's headers say of its schema would be wrong here: results have the id of
    /// theirs before the data.
    pub(super) fn carried(&self) -> impl Iterator<Item = &'a (String, Option<Vec<u8>>)> {
        let of_schema = |name: &str| [KEY_HEADER, VALUE_HEADER].contains(&name);
        self.headers.iter().filter(move |(name, _)| !of_schema(name))
    }

    /// As librdkafka takes it.
    pub(super) fn with_receipt(self, receipt: Box<Receipt>) -> BaseRecord<'a, [u8], [u8], Box<Receipt>> {
        self.with(receipt)
    }

    /// The same with whatever goes along.
    pub(super) fn with<T: IntoOpaque>(self, opaque: T) -> BaseRecord<'a, [u8], [u8], T> {
        // librdkafka takes a time of 0 for none and writes that of now; where `TimeZero` does not help, a millisecond
        // later is nearer.
        let timestamp = if self.timestamp == 0 { 1 } else { self.timestamp };
        let mut record = BaseRecord::with_opaque_to(self.topic, opaque).timestamp(timestamp);
        if let Some(key) = self.key {
            record = record.key(key);
        }
        if let Some(value) = self.value {
            record = record.payload(value);
        }
        if !self.headers.is_empty() {
            let mut headers = OwnedHeaders::new_with_capacity(self.headers.len());
            for (key, value) in self.carried() {
                headers = headers.insert(Header {
                    key,
                    value: value.as_deref(),
                });
            }
            record = record.headers(headers);
        }
        record
    }
}

impl RecordProducer {
    pub(crate) fn new(cluster: &Cluster) -> Result<Self, KafkaError> {
        Self::with(Self::client_config(cluster))
    }

    fn client_config(cluster: &Cluster) -> ClientConfig {
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
        config
    }

    fn with(config: ClientConfig) -> Result<Self, KafkaError> {
        let room = Arc::new(Notify::new());
        let returned = Arc::default();
        let producer = Self::connect(&config, &room, &returned)?;
        Ok(Self {
            time_zero: TimeZero::new(&config),
            config,
            room,
            returned,
            records: AtomicU64::new(0),
            current: RwLock::new(producer),
        })
    }

    /// Writes a record of a query. Waits while the producer's memory is full.
    pub(crate) async fn send(
        &self,
        record: OutgoingRecord<'_>,
        deliveries: &Arc<Deliveries>,
    ) -> Result<(), KafkaError> {
        if self.time_zero.takes(&record) {
            // In order: behind what is under way.
            let written = match deliveries.settle_all().await {
                Ok(()) => self.time_zero.write(record, &self.current()).await,
                Err(reason) => Err(reason),
            };
            return written.map(|_| ()).map_err(|reason| {
                tracing::warn!("{reason}");
                KafkaError::MessageProduction(RDKafkaErrorCode::MessageTimedOut)
            });
        }
        deliveries.outstanding.fetch_add(1, Ordering::SeqCst);
        let sent = self
            .enqueue(record, Waiting::Counted(Arc::clone(deliveries)))
            .await;
        if sent.is_err() {
            deliveries.outstanding.fetch_sub(1, Ordering::SeqCst);
        }
        sent
    }

    /// Writes one record and waits until it is acknowledged.
    pub(crate) async fn send_and_wait(&self, record: OutgoingRecord<'_>) -> Result<Landing, String> {
        if self.time_zero.takes(&record) {
            return self.time_zero.write(record, &self.current()).await;
        }
        let (sender, receiver) = oneshot::channel();
        self.enqueue(record, Waiting::Single(sender))
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

    async fn enqueue(&self, record: OutgoingRecord<'_>, waiting: Waiting) -> Result<(), KafkaError> {
        let number = self.records.fetch_add(1, Ordering::Relaxed);
        let mut receipt = Box::new(Receipt { waiting, number });
        let mut room = pin!(None);
        loop {
            if self.returned.has(record.topic) {
                // In order: behind those that came back.
                if self.returned.has_room() {
                    self.returned.put(Returned::of(record, receipt));
                    return Ok(());
                }
                self.wait(room.as_mut()).await;
                continue;
            }
            let producer = self.current();
            match producer.send(record.with_receipt(receipt)) {
                Ok(()) => return Ok(()),
                Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), refused)) => {
                    receipt = refused.delivery_opaque;
                    self.wait(room.as_mut()).await;
                }
                Err((error, refused)) if is_unknown_topic(&error) => {
                    self.returned.put(Returned::of(record, refused.delivery_opaque));
                    return Ok(());
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

    /// Waits for room. The first time it only begins to listen, so that no room that is made before it looks again is
    /// missed: most records find room at once, and listening is not for nothing.
    async fn wait<'a>(&'a self, mut room: Pin<&mut Option<Notified<'a>>>) {
        match room.as_mut().as_pin_mut() {
            Some(listening) => {
                listening.await;
                room.set(None);
            }
            None => {
                room.set(Some(self.room.notified()));
                if let Some(listening) = room.as_pin_mut() {
                    listening.enable();
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
            *current = Self::connect(&self.config, &self.room, &self.returned)?;
        }
        Ok(())
    }

    /// A producer, the thread that polls it and the one that sends again what came back. Both end soon after the
    /// producer is let go.
    ///
    /// `rdkafka`'s own `ThreadedProducer` polls in steps of 100 ms and spins through the last part of a
    /// millisecond of each: half a percent of a core, for nothing.
    fn connect(
        config: &ClientConfig,
        room: &Arc<Notify>,
        returned: &Arc<ReturnedRecords>,
    ) -> Result<Arc<BaseProducer<DeliveryContext>>, KafkaError> {
        let context = DeliveryContext {
            room: Arc::clone(room),
            returned: Arc::clone(returned),
            bootstrap: Bootstrap::of(config),
            has_failed: AtomicBool::new(false),
        };
        let producer = Arc::new(BaseProducer::from_config_and_context(config, context)?);
        let polled = Arc::downgrade(&producer);
        spawn("producer-poll", move || {
            while let Some(producer) = polled.upgrade() {
                producer.poll(POLL);
            }
        })?;
        let (sending, returned, room) = (Arc::downgrade(&producer), Arc::clone(returned), Arc::clone(room));
        spawn("producer-again", move || {
            loop {
                let is_needed = returned.wait(POLL);
                let Some(producer) = sending.upgrade() else {
                    return;
                };
                if is_needed && returned.send_again(&producer) {
                    room.notify_waiters();
                }
                // The answer is for librdkafka to learn from.
                if producer.context().has_failed.swap(false, Ordering::Relaxed)
                    && ask(&producer, None).is_err()
                {
                    producer.context().has_failed.store(true, Ordering::Relaxed);
                }
                drop(producer);
                if is_needed && !returned.is_empty() {
                    std::thread::park_timeout(SEND_AGAIN);
                }
            }
        })?;
        Ok(producer)
    }
}

fn spawn(name: &str, work: impl FnOnce() + Send + 'static) -> Result<(), KafkaError> {
    let spawned = std::thread::Builder::new().name(name.to_owned()).spawn(work);
    spawned
        .map(|_| ())
        .map_err(|error| KafkaError::ClientCreation(format!("no thread `{name}`: {error}")))
}

#[cfg(test)]
mod tests;
