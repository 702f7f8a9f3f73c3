//! Lines on their way to Kafka.
//!
//! A line is handed to librdkafka, which keeps it in memory and retries until the brokers have it; nobody
//! waits. The memory is bounded (128 MiB, 200,000 lines; see [`line_producer`]). When it is full, **what is in it stays
//! and what comes is dropped**: after a long absence of the brokers Kafka gets the beginning of the story
//! without a gap in it, and then its present. Every line is in the end counted once: delivered, failed,
//! dropped or unroutable; the counts are logged.
//!
//! [`Outbox::accept`] is the one way in, and it promises nothing but that the line is in the books. A
//! store on disk would sit exactly there, in front of librdkafka.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::{Duration, Instant};

use rdkafka::error::RDKafkaErrorCode;
use rdkafka::producer::{BaseRecord, Producer};

use crate::configuration::ConfigurationError;
use crate::route::{Routing, split_rows};
use crate::throttle::Throttle;

mod line_producer;
mod tally;

use line_producer::{LineProducer, record_limit, start};
use tally::Tally;

/// How often the same kind of trouble is said.
const TROUBLE_PERIOD: Duration = Duration::from_secs(10);

/// Takes lines and brings them to Kafka.
pub(crate) struct Outbox {
    producers: RwLock<Producers>,
    tally: Arc<Tally>,
    full: Throttle,
    unroutable: Throttle,
    refused: Throttle,
    oversized: Throttle,
}

struct Producers {
    current: Arc<LineProducer>,
    /// The configuration's properties.
    properties: BTreeMap<String, String>,
    /// The most bytes a record may have.
    record_limit: usize,
    /// Earlier ones that still have lines under way.
    retired: Vec<Arc<LineProducer>>,
}

impl Producers {
    fn replace(&mut self, fresh: Arc<LineProducer>) {
        let former = std::mem::replace(&mut self.current, fresh);
        self.retired.push(former);
    }

    fn all(&self) -> Vec<Arc<LineProducer>> {
        self.retired.iter().chain([&self.current]).cloned().collect()
    }
}

impl Outbox {
    /// Starts librdkafka; it connects in the background.
    pub(crate) fn open(properties: &BTreeMap<String, String>) -> Result<Self, ConfigurationError> {
        let tally = Arc::new(Tally::default());
        let producers = Producers {
            current: start(properties, &tally)?,
            properties: properties.clone(),
            record_limit: record_limit(properties),
            retired: Vec::new(),
        };
        Ok(Self {
            producers: RwLock::new(producers),
            tally,
            full: Throttle::new(TROUBLE_PERIOD),
            unroutable: Throttle::new(TROUBLE_PERIOD),
            refused: Throttle::new(TROUBLE_PERIOD),
            oversized: Throttle::new(TROUBLE_PERIOD),
        })
    }

    /// What librdkafka says of properties, without a connection to anyone.
    pub(crate) fn check(mut properties: BTreeMap<String, String>) -> Result<(), ConfigurationError> {
        for servers in ["bootstrap.servers", "metadata.broker.list"] {
            properties.remove(servers);
        }
        start(&properties, &Arc::default()).map(drop)
    }

    /// Goes on with other properties. Lines already on their way keep the old ones. Does nothing when the
    /// properties are the ones in force.
    pub(crate) fn adopt(&self, properties: &BTreeMap<String, String>) -> Result<(), ConfigurationError> {
        if self.read().properties == *properties {
            return Ok(());
        }
        let fresh = start(properties, &self.tally)?;
        let mut producers = self.write();
        producers.properties = properties.clone();
        producers.record_limit = record_limit(properties);
        producers.replace(fresh);
        tracing::info!("the librdkafka properties changed and are in force");
        Ok(())
    }

    /// Looks after the producers: one that librdkafka has given up is replaced, one that is done is dropped.
    ///
    /// librdkafka gives up an idempotent producer that the brokers do not allow or do not know. Its successor
    /// does without, unless the configuration asks for idempotence.
    pub(crate) fn tend(&self) {
        let (fatal, mut properties) = {
            let producers = self.read();
            (
                producers.current.client().fatal_error(),
                producers.properties.clone(),
            )
        };
        if let Some((_, reason)) = fatal {
            properties
                .entry("enable.idempotence".to_owned())
                .or_insert_with(|| "false".to_owned());
            tracing::error!(reason, "librdkafka gave up; starting it anew");
            match start(&properties, &self.tally) {
                Ok(fresh) => self.write().replace(fresh),
                Err(error) => tracing::error!("cannot start librdkafka anew: {error}"),
            }
        }
        self.write()
            .retired
            .retain(|producer| producer.in_flight_count() != 0);
        self.tally.report();
    }

    /// Takes a line. It may come to nothing, but that is said here and nowhere else.
    pub(crate) fn accept(&self, routing: &Routing, line: &[u8]) {
        self.tally.accepted.fetch_add(1, Ordering::Relaxed);
        let (producer, limit) = {
            let producers = self.read();
            (Arc::clone(&producers.current), producers.record_limit)
        };
        // librdkafka would find out as well, but only after the whole line was searched for its key.
        if line.len() > limit || self.send(&producer, routing, line) == Sent::TooLarge {
            self.send_rows(&producer, routing, line);
        }
    }

    /// A line was lost before it got here.
    pub(crate) fn count_lost(&self) {
        self.tally.accepted.fetch_add(1, Ordering::Relaxed);
        self.tally.failed.fetch_add(1, Ordering::Relaxed);
    }

    /// Waits until Kafka has everything, or the deadline has come; how many records it has not. Lines may
    /// still come in meanwhile.
    pub(crate) fn flush(&self, deadline: Instant) -> i32 {
        let producers = self.read().all();
        let mut left = 0;
        for producer in producers {
            let patience = deadline.saturating_duration_since(Instant::now());
            // Its only failure is that time is up, and then the count says so.
            let _ = producer.flush(patience.max(Duration::from_millis(1)));
            left += producer.in_flight_count();
        }
        left
    }

    /// The books.
    pub(crate) fn tally(&self) -> &Tally {
        &self.tally
    }

    /// The producers behind these locks are whole at every moment, so a panic elsewhere does not spoil them.
    fn read(&self) -> RwLockReadGuard<'_, Producers> {
        self.producers.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Producers> {
        self.producers.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Snapshots and batches that are too large go row by row.
    fn send_rows(&self, producer: &LineProducer, routing: &Routing, line: &[u8]) {
        let rows = split_rows(line).unwrap_or_default();
        let lost = match rows.is_empty() {
            true => 1,
            false => rows
                .iter()
                .filter(|row| self.send(producer, routing, row) == Sent::TooLarge)
                .count() as u64,
        };
        self.tally.split.fetch_add(rows.len() as u64, Ordering::Relaxed);
        self.tally.oversized.fetch_add(lost, Ordering::Relaxed);
        let Some(times) = self.oversized.pass() else {
            return;
        };
        let example = rows.first().map_or(line, Vec::as_slice);
        let topic = routing
            .route(example)
            .map(|route| route.topic)
            .unwrap_or_default();
        let (bytes, rows) = (line.len(), rows.len());
        match rows {
            0 => tracing::error!(
                topic,
                bytes,
                times,
                "a line larger than message.max.bytes was dropped"
            ),
            _ => tracing::warn!(
                topic,
                bytes,
                rows,
                lost,
                times,
                "a line larger than message.max.bytes was sent row by row"
            ),
        }
    }

    fn send(&self, producer: &LineProducer, routing: &Routing, line: &[u8]) -> Sent {
        let Some(route) = routing.route(line) else {
            self.tally.unroutable.fetch_add(1, Ordering::Relaxed);
            if let Some(times) = self.unroutable.pass() {
                let bytes = line.len();
                tracing::warn!(
                    bytes,
                    times,
                    "a line without a query name was dropped: there is no `topic`"
                );
            }
            return Sent::Done;
        };
        let mut record = BaseRecord::<[u8], [u8]>::to(&route.topic).payload(line);
        record.key = route.key.as_deref();
        let Err((error, _)) = producer.send(record) else {
            return Sent::Done;
        };
        match error.rdkafka_error_code() {
            Some(RDKafkaErrorCode::MessageSizeTooLarge) => return Sent::TooLarge,
            Some(RDKafkaErrorCode::QueueFull) => {
                self.tally.dropped.fetch_add(1, Ordering::Relaxed);
                if let Some(times) = self.full.pass() {
                    tracing::error!(times, "lines are dropped: memory is full and Kafka takes no more");
                }
            }
            _ => {
                self.tally.failed.fetch_add(1, Ordering::Relaxed);
                if let Some(times) = self.refused.pass() {
                    tracing::error!(topic = route.topic, times, %error, "librdkafka refused a line");
                }
            }
        }
        Sent::Done
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sent {
    /// Under way, or in the books as lost.
    Done,
    TooLarge,
}

#[cfg(test)]
mod tests;
