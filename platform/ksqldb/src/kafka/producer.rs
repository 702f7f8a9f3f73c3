//! The shared producer: every record any query writes, in order, acknowledged by all replicas.

use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Duration;

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
use super::returned::{Returned, ReturnedRecords, is_unknown_topic};
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
            Err((error, message)) => receipt.finish(Err(not_acknowledged(message.topic(), error))),
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
mod tests {
    use std::task::{Poll, Wake, Waker};

    use super::*;
    use crate::kafka::test_broker::{DEADLINE, TestBroker};

    fn record(topic: &str) -> OutgoingRecord<'_> {
        OutgoingRecord {
            topic,
            key: None,
            value: Some(b"v"),
            timestamp: 1,
            headers: &[],
        }
    }

    /// librdkafka asks the brokers again and again about every topic it ever wrote to.
    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_deleted_topic_does_not_come_back() {
        let broker = TestBroker::with(&["deleted", "kept"]).await;
        let mut config = RecordProducer::client_config(&broker.cluster);
        config.set("topic.metadata.refresh.interval.ms", "50");
        let producer = RecordProducer::with(config).unwrap();
        for topic in ["deleted", "kept"] {
            let sent = tokio::time::timeout(DEADLINE, producer.send_and_wait(record(topic)));
            sent.await.unwrap().unwrap();
        }
        broker.cluster.delete_topic("deleted").await.unwrap();
        for _ in 0..20 {
            tokio::time::sleep(Duration::from_millis(50)).await;
            let topics = broker.cluster.topics().await.unwrap();
            assert_eq!(topics.keys().collect::<Vec<_>>(), ["kept"]);
        }
    }

    /// As after a restart of its broker: the topic is unknown at first, and what was written comes in order.
    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn records_wait_in_order_until_their_topic_is_known() {
        let broker = TestBroker::with(&["first"]).await;
        let mut config = RecordProducer::client_config(&broker.cluster);
        // Unknown is unknown at once, as it is of a topic that was known before.
        config.set("topic.metadata.propagation.max.ms", "0");
        let producer = RecordProducer::with(config).unwrap();
        let deliveries = Arc::default();
        let values: Vec<String> = (0..50).map(|n| n.to_string()).collect();
        for (n, value) in values.iter().enumerate() {
            let value = Some(value.as_bytes());
            producer
                .send(
                    OutgoingRecord {
                        value,
                        ..record("late")
                    },
                    &deliveries,
                )
                .await
                .unwrap();
            if n == 25 {
                // The first of them have come back by now.
                let deadline = std::time::Instant::now() + DEADLINE;
                while producer.returned.is_empty() {
                    assert!(std::time::Instant::now() < deadline);
                    tokio::time::sleep(Duration::from_millis(10)).await;
                }
            }
        }
        assert_eq!(deliveries.outstanding(), 50);
        broker.create("late").await;
        tokio::time::timeout(DEADLINE, deliveries.settle(0))
            .await
            .unwrap()
            .unwrap();
        assert_eq!(broker.values("late", 50).await, values);
    }

    /// In the order in which they were handed over, also among those that librdkafka writes.
    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_record_of_time_0_keeps_its_time_and_its_place() {
        let broker = TestBroker::with(&["t"]).await;
        let producer = RecordProducer::new(&broker.cluster).unwrap();
        let mut deliveries: Arc<Deliveries> = Arc::default();
        let times = [5, 0, 7, 0, 0, 3];
        for (n, timestamp) in times.into_iter().enumerate() {
            if n == 3 {
                // As when a commit begins.
                deliveries = deliveries.further();
            }
            let value = n.to_string();
            let record = OutgoingRecord {
                value: Some(value.as_bytes()),
                key: Some(b"k"),
                timestamp,
                headers: &[("h".to_owned(), Some(b"x".to_vec()))],
                ..record("t")
            };
            producer.send(record, &deliveries).await.unwrap();
        }
        let landing = producer.send_and_wait(OutgoingRecord {
            timestamp: 0,
            value: None,
            ..record("t")
        });
        tokio::time::timeout(DEADLINE, deliveries.settle(0))
            .await
            .unwrap()
            .unwrap();
        assert_eq!(landing.await.unwrap(), Landing { offset: 6 });
        let records = broker.records("t", 7).await;
        let read: Vec<_> = records.iter().map(|record| record.timestamp).collect();
        assert_eq!(read, [5, 0, 7, 0, 0, 3, 0]);
        let values: Vec<_> = records.iter().map(|record| record.value.clone()).collect();
        let expected = (0..6).map(|n| Some(n.to_string().into_bytes()));
        assert_eq!(values, expected.chain([None]).collect::<Vec<_>>());
        assert_eq!(records[1].key.as_deref(), Some(&b"k"[..]));
        assert_eq!(records[1].headers, [("h".to_owned(), Some(b"x".to_vec()))]);
    }

    /// Counts how often it is woken.
    #[derive(Default)]
    struct Wakes(AtomicUsize);

    impl Wake for Wakes {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    #[test]
    fn who_waits_for_records_is_woken_when_few_enough_are_left_and_when_one_fails() {
        let wakes = Arc::new(Wakes::default());
        let waker = Waker::from(Arc::clone(&wakes));
        let mut context = std::task::Context::from_waker(&waker);
        let deliveries = Deliveries::default();
        deliveries.outstanding.store(6, Ordering::SeqCst);
        let mut settling = pin!(deliveries.settle(3));
        let landing = || Ok(Landing { offset: 0 });
        for finished in 1..=3 {
            assert!(settling.as_mut().poll(&mut context).is_pending());
            deliveries.finish(landing());
            assert_eq!(wakes.0.load(Ordering::SeqCst), finished / 3, "after {finished}");
        }
        assert_eq!(settling.as_mut().poll(&mut context), Poll::Ready(Ok(())));

        let mut settling = pin!(deliveries.settle(0));
        assert!(settling.as_mut().poll(&mut context).is_pending());
        deliveries.finish(Err("lost".to_owned()));
        assert_eq!(
            settling.as_mut().poll(&mut context),
            Poll::Ready(Err("lost".to_owned()))
        );
    }

    /// Also by one that librdkafka refuses at once, of which the thread that polls hears nothing.
    #[test]
    fn who_sends_again_is_woken_by_what_is_put_there() {
        let returned = Arc::new(ReturnedRecords::default());
        let waited = Arc::clone(&returned);
        let waiting = std::thread::spawn(move || waited.wait(DEADLINE));
        let (sender, _receiver) = oneshot::channel();
        let waiting_for = Waiting::Single(sender);
        let receipt = Box::new(Receipt {
            waiting: waiting_for,
            number: 0,
        });
        returned.put(Returned::of(record("t"), receipt));
        assert!(waiting.join().unwrap());
        assert!(!ReturnedRecords::default().wait(Duration::ZERO));
    }
}
