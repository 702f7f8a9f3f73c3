//! Records that came back because the brokers did not know their topic, kept in order until they do.
//!
//! A broker that has just come back answers so for a moment, and librdkafka then gives up every record for the
//! topic. They are sent again as soon as the topic is known, those of a topic before any newer one; after half a
//! minute the answer is believed.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};
use rdkafka::message::{BorrowedMessage, Headers, Message};
use rdkafka::metadata::Metadata;
use rdkafka::producer::{BaseProducer, Producer};

use super::producer::{DeliveryContext, OutgoingRecord, Receipt, not_acknowledged};

/// How long a topic may be unknown.
const MOST_DOUBT: Duration = Duration::from_secs(30);
/// How long a question about topics may take.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(1);
/// How many bytes wait before further records have to wait elsewhere.
const MOST_BYTES: usize = 16 * 1024 * 1024;

/// A record that came back, or that waits behind one.
pub(super) struct Returned {
    topic: String,
    key: Option<Vec<u8>>,
    value: Option<Vec<u8>>,
    timestamp: i64,
    headers: Vec<(String, Option<Vec<u8>>)>,
    pub(super) receipt: Box<Receipt>,
    since: Instant,
}

impl Returned {
    /// A record that librdkafka gave up.
    pub(super) fn new(message: &BorrowedMessage<'_>, receipt: Box<Receipt>) -> Self {
        let headers = message.headers().map_or_else(Vec::new, |headers| {
            let owned = headers.iter();
            let owned = owned.map(|header| (header.key.to_owned(), header.value.map(<[u8]>::to_vec)));
            owned.collect()
        });
        Self {
            topic: message.topic().to_owned(),
            key: message.key().map(<[u8]>::to_vec),
            value: message.payload().map(<[u8]>::to_vec),
            timestamp: message.timestamp().to_millis().unwrap_or(0),
            headers,
            receipt,
            since: Instant::now(),
        }
    }

    /// A record that was not taken.
    pub(super) fn of(record: OutgoingRecord<'_>, receipt: Box<Receipt>) -> Self {
        Self {
            topic: record.topic.to_owned(),
            key: record.key.map(<[u8]>::to_vec),
            value: record.value.map(<[u8]>::to_vec),
            timestamp: record.timestamp,
            headers: record.headers.to_vec(),
            receipt,
            since: Instant::now(),
        }
    }

    fn bytes(&self) -> usize {
        let part = |bytes: &Option<Vec<u8>>| bytes.as_ref().map_or(0, Vec::len);
        let headers = self.headers.iter().map(|(name, value)| name.len() + part(value));
        size_of::<Self>() + part(&self.key) + part(&self.value) + headers.sum::<usize>()
    }
}

#[derive(Default)]
struct Queue {
    records: VecDeque<Returned>,
    bytes: usize,
}

impl Queue {
    /// The first record that waits for a topic.
    fn take(&mut self, topic: &str) -> Option<Returned> {
        let place = self.records.iter().position(|record| record.topic == topic)?;
        let record = self.records.remove(place)?;
        self.bytes -= record.bytes();
        Some(record)
    }
}

/// The records that came back, the first at the front.
#[derive(Default)]
pub(super) struct ReturnedRecords {
    /// Whether there may be any: nearly always there is none, and then nobody has to wait for the lock.
    may_wait: AtomicBool,
    queue: Mutex<Queue>,
    /// Told of each that is put there.
    arrived: Condvar,
}

impl ReturnedRecords {
    pub(super) fn is_empty(&self) -> bool {
        self.queue().records.is_empty()
    }

    /// Waits, blocking, until there is a record or the time is over. Returns whether there is one.
    pub(super) fn wait(&self, patience: Duration) -> bool {
        let queue = self.queue();
        let waited = self
            .arrived
            .wait_timeout_while(queue, patience, |queue| queue.records.is_empty());
        let (queue, _) = waited.unwrap_or_else(PoisonError::into_inner);
        !queue.records.is_empty()
    }

    /// Whether a record for that topic waits.
    pub(super) fn has(&self, topic: &str) -> bool {
        self.may_wait.load(Ordering::Acquire)
            && self.queue().records.iter().any(|record| record.topic == topic)
    }

    /// Keeps a record, before all later ones: librdkafka refuses a new record at once and gives up earlier ones after.
    pub(super) fn put(&self, record: Returned) {
        let mut queue = self.queue();
        self.may_wait.store(true, Ordering::Release);
        queue.bytes += record.bytes();
        let number = record.receipt.number;
        let place = queue
            .records
            .partition_point(|earlier| earlier.receipt.number < number);
        queue.records.insert(place, record);
        self.arrived.notify_all();
    }

    /// Whether new records may be put behind the others.
    pub(super) fn has_room(&self) -> bool {
        self.queue().bytes <= MOST_BYTES
    }

    /// Sends what waits for a topic that is known by now, and gives up what has waited too long.
    /// Returns whether there is more room.
    pub(super) fn send_again(&self, producer: &BaseProducer<DeliveryContext>) -> bool {
        let mut changed = false;
        loop {
            let Some((topic, since)) = self
                .queue()
                .records
                .front()
                .map(|first| (first.topic.clone(), first.since))
            else {
                return changed;
            };
            let metadata = ask(producer, Some(&topic));
            let is_known = metadata.is_ok_and(|metadata| {
                let partitions = metadata.topics().iter().map(|topic| topic.partitions().len());
                partitions.sum::<usize>() > 0
            });
            if !is_known && since.elapsed() < MOST_DOUBT {
                return changed;
            }
            changed = true;
            // The lock is held throughout, so that no newer record overtakes the last of these.
            let mut queue = self.queue();
            while let Some(record) = queue.take(&topic) {
                if !is_known {
                    let error = KafkaError::MessageProduction(RDKafkaErrorCode::UnknownTopic);
                    record.receipt.finish(Err(not_acknowledged(&topic, &error)));
                } else if let Some(unsent) = send(producer, record) {
                    // Not now: it stays in front.
                    queue.bytes += unsent.bytes();
                    queue.records.push_front(unsent);
                    return changed;
                }
            }
            // Only now: until the last of them is handed over, newer ones wait for the lock.
            self.may_wait.store(!queue.records.is_empty(), Ordering::Release);
        }
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Asks the brokers about a topic, or all of them, so that the producer learns of it.
pub(super) fn ask(producer: &BaseProducer<DeliveryContext>, topic: Option<&str>) -> KafkaResult<Metadata> {
    let bootstrap = &producer.context().bootstrap;
    bootstrap.fetch_metadata(producer.client(), topic, REQUEST_TIMEOUT)
}

/// Hands a record to librdkafka again, or gives it back where that does not take it now.
fn send(producer: &BaseProducer<DeliveryContext>, record: Returned) -> Option<Returned> {
    let outgoing = OutgoingRecord {
        topic: &record.topic,
        key: record.key.as_deref(),
        value: record.value.as_deref(),
        timestamp: record.timestamp,
        headers: &record.headers,
    };
    match producer.send(outgoing.with_receipt(record.receipt)) {
        Ok(()) => None,
        Err((error, refused)) if is_temporary(&error) => Some(Returned {
            receipt: refused.delivery_opaque,
            ..record
        }),
        Err((error, refused)) => {
            refused
                .delivery_opaque
                .finish(Err(not_acknowledged(&record.topic, &error)));
            None
        }
    }
}

fn is_temporary(error: &KafkaError) -> bool {
    matches!(error, KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull)) || is_unknown_topic(error)
}

/// Whether a record was not taken because its topic, or the partition, is not known.
pub(super) fn is_unknown_topic(error: &KafkaError) -> bool {
    matches!(
        error,
        KafkaError::MessageProduction(
            RDKafkaErrorCode::UnknownTopicOrPartition
                | RDKafkaErrorCode::UnknownTopic
                | RDKafkaErrorCode::UnknownPartition
        )
    )
}
