//! Lines on their way to Kafka.
//!
//! A line is handed to librdkafka, which keeps it in memory and retries until the brokers have it; nobody
//! waits. The memory is bounded ([`MEMORY_KIB`], [`MEMORY_LINES`]). When it is full, **what is in it stays
//! and what comes is dropped**: after a long absence of the brokers Kafka gets the beginning of the story
//! without a gap in it, and then its present. Every line is in the end counted once: delivered, failed,
//! dropped or unroutable; the counts are logged.
//!
//! [`Outbox::accept`] is the one way in, and it promises nothing but that the line is in the books. A
//! store on disk would sit exactly there, in front of librdkafka.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use rdkafka::client::ClientContext;
use rdkafka::config::{ClientConfig, FromClientConfigAndContext, RDKafkaLogLevel};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{DeliveryResult, Message};
use rdkafka::producer::{BaseRecord, NoCustomPartitioner, Producer, ProducerContext, ThreadedProducer};
use rdkafka::statistics::Statistics;

use crate::configuration::ConfigurationError;
use crate::route::{Routing, split_rows};
use crate::secrets::{Secrets, is_secret};
use crate::throttle::Throttle;

/// How much memory the lines may take, in KiB.
const MEMORY_KIB: &str = "131072";
/// How many lines may wait.
const MEMORY_LINES: &str = "200000";
/// How often the same kind of trouble is said.
const TROUBLE_PERIOD: Duration = Duration::from_secs(10);

/// What librdkafka is told unless the configuration says otherwise, each under all of its names: no line
/// given up, none twice, none out of order, none kept waiting for company.
const DEFAULTS: [(&[&str], &str); 8] = [
    (&["acks", "request.required.acks"], "all"),
    (&["linger.ms", "queue.buffering.max.ms"], "2"),
    (&["message.timeout.ms", "delivery.timeout.ms"], "0"),
    (&["queue.buffering.max.kbytes"], MEMORY_KIB),
    (&["queue.buffering.max.messages"], MEMORY_LINES),
    (&["reconnect.backoff.max.ms"], "1000"),
    (&["log.connection.close"], "false"),
    (&["client.id"], "osquery-confluent"),
];

/// Idempotence is on by default, but has conditions of its own: whoever sets one of these decides himself.
const IDEMPOTENCE_CONDITIONS: [&str; 8] = [
    "enable.idempotence",
    "acks",
    "request.required.acks",
    "max.in.flight",
    "max.in.flight.requests.per.connection",
    "retries",
    "message.send.max.retries",
    "queuing.strategy",
];

type LineProducer = ThreadedProducer<Context, NoCustomPartitioner>;

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
    properties: BTreeMap<String, String>,
    /// Earlier ones that still have lines under way.
    retired: Vec<Arc<LineProducer>>,
}

impl Outbox {
    /// Starts librdkafka; it connects in the background.
    pub(crate) fn open(properties: &BTreeMap<String, String>) -> Result<Self, ConfigurationError> {
        let tally = Arc::new(Tally::default());
        let producers = Producers {
            current: Arc::new(start(properties, &tally)?),
            properties: properties.clone(),
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

    /// Goes on with other properties. Lines already on their way keep the old ones. Does nothing when the
    /// properties are the ones in force.
    pub(crate) fn adopt(&self, properties: &BTreeMap<String, String>) -> Result<(), ConfigurationError> {
        if self
            .producers
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .properties
            == *properties
        {
            return Ok(());
        }
        self.replace(properties)?;
        tracing::info!("the librdkafka properties changed and are in force");
        Ok(())
    }

    /// Looks after the producers: one that librdkafka has given up is replaced, one that is done is dropped.
    pub(crate) fn tend(&self) {
        let (fatal, properties) = {
            let mut producers = self.producers.write().unwrap_or_else(PoisonError::into_inner);
            producers
                .retired
                .retain(|producer| producer.in_flight_count() > 0);
            (
                producers.current.client().fatal_error(),
                producers.properties.clone(),
            )
        };
        if let Some((_, reason)) = fatal {
            tracing::error!(reason, "librdkafka gave up; starting it anew");
            if let Err(error) = self.replace(&properties) {
                tracing::error!("cannot start librdkafka anew: {error}");
            }
        }
        self.tally.report();
    }

    /// Takes a line. It may come to nothing, but that is said here and nowhere else.
    pub(crate) fn accept(&self, routing: &Routing, line: &[u8]) {
        self.tally.accepted.fetch_add(1, Ordering::Relaxed);
        let producer = {
            let producers = self.producers.read().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(&producers.current)
        };
        if self.send(&producer, routing, line) == Sent::TooLarge {
            self.send_rows(&producer, routing, line);
        }
    }

    /// A line was lost before it got here.
    pub(crate) fn count_lost(&self) {
        self.tally.accepted.fetch_add(1, Ordering::Relaxed);
        self.tally.failed.fetch_add(1, Ordering::Relaxed);
    }

    /// Waits until Kafka has everything, or the deadline has come. Lines may still come in meanwhile.
    pub(crate) fn flush(&self, deadline: Instant) {
        let producers: Vec<Arc<LineProducer>> = {
            let producers = self.producers.read().unwrap_or_else(PoisonError::into_inner);
            producers
                .retired
                .iter()
                .chain([&producers.current])
                .cloned()
                .collect()
        };
        for producer in producers {
            let left = deadline.saturating_duration_since(Instant::now());
            if let Err(error) = producer.flush(left.max(Duration::from_millis(1))) {
                tracing::warn!(left = producer.in_flight_count(), %error, "not every line reached Kafka in time");
            }
        }
    }

    /// The books.
    pub(crate) fn tally(&self) -> &Tally {
        &self.tally
    }

    fn replace(&self, properties: &BTreeMap<String, String>) -> Result<(), ConfigurationError> {
        let fresh = Arc::new(start(properties, &self.tally)?);
        let mut producers = self.producers.write().unwrap_or_else(PoisonError::into_inner);
        let old = std::mem::replace(&mut producers.current, fresh);
        producers.retired.push(old);
        producers.properties = properties.clone();
        Ok(())
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
        if let Some(times) = self.oversized.pass() {
            let bytes = line.len();
            let topic = routing.route(line).map(|route| route.topic).unwrap_or_default();
            tracing::warn!(
                topic,
                bytes,
                rows = rows.len(),
                lost,
                times,
                "a line larger than message.max.bytes was sent row by row"
            );
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

/// The books: what became of the lines.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    /// Lines taken from osqueryd.
    accepted: AtomicU64,
    /// Records that oversized lines were taken apart into.
    split: AtomicU64,
    /// Records that Kafka acknowledged.
    delivered: AtomicU64,
    /// Records that Kafka or librdkafka refused for good.
    failed: AtomicU64,
    /// Records that found the memory full.
    dropped: AtomicU64,
    /// Lines and rows larger than Kafka takes.
    oversized: AtomicU64,
    /// Lines without a topic.
    unroutable: AtomicU64,
    /// How many were lost when it was last said.
    reported: AtomicU64,
}

impl Tally {
    fn lost(&self) -> u64 {
        let parts = [&self.failed, &self.dropped, &self.oversized, &self.unroutable];
        parts.iter().map(|part| part.load(Ordering::Relaxed)).sum()
    }

    /// Says the books when more was lost than at the last time.
    fn report(&self) {
        let lost = self.lost();
        if self.reported.swap(lost, Ordering::Relaxed) != lost {
            tracing::warn!("lines so far: {self}");
        }
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let load = |part: &AtomicU64| part.load(Ordering::Relaxed);
        write!(
            formatter,
            "accepted={} split_into={} delivered={} failed={} dropped={} oversized={} unroutable={}",
            load(&self.accepted),
            load(&self.split),
            load(&self.delivered),
            load(&self.failed),
            load(&self.dropped),
            load(&self.oversized),
            load(&self.unroutable),
        )
    }
}

/// What librdkafka tells.
struct Context {
    tally: Arc<Tally>,
    secrets: Secrets,
    failed: Throttle,
}

impl ClientContext for Context {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        let message = self.secrets.redact(message);
        match level {
            RDKafkaLogLevel::Debug | RDKafkaLogLevel::Info => {
                tracing::debug!(facility, "librdkafka: {message}")
            }
            RDKafkaLogLevel::Notice => tracing::info!(facility, "librdkafka: {message}"),
            _ => tracing::warn!(facility, "librdkafka: {message}"),
        }
    }

    fn error(&self, error: KafkaError, reason: &str) {
        let reason = self.secrets.redact(reason);
        match error.rdkafka_error_code() {
            Some(RDKafkaErrorCode::AllBrokersDown) => tracing::warn!("no broker can be reached: {reason}"),
            // librdkafka logs these itself.
            Some(RDKafkaErrorCode::BrokerTransportFailure | RDKafkaErrorCode::Resolve) => {}
            _ => tracing::error!("librdkafka: {error}: {reason}"),
        }
    }

    fn stats(&self, statistics: Statistics) {
        tracing::debug!(
            queued = statistics.msg_cnt,
            sent = statistics.txmsgs,
            "librdkafka's statistics"
        );
    }
}

impl ProducerContext for Context {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, _opaque: ()) {
        match result {
            Ok(_) => drop(self.tally.delivered.fetch_add(1, Ordering::Relaxed)),
            Err((error, message)) => {
                self.tally.failed.fetch_add(1, Ordering::Relaxed);
                if let Some(times) = self.failed.pass() {
                    let bytes = message.payload_len();
                    tracing::error!(topic = message.topic(), bytes, times, %error, "Kafka refused a line");
                }
            }
        }
    }
}

fn start(
    properties: &BTreeMap<String, String>,
    tally: &Arc<Tally>,
) -> Result<LineProducer, ConfigurationError> {
    let secrets = Secrets::of(properties);
    let mut config = ClientConfig::new();
    config.set_log_level(RDKafkaLogLevel::Info);
    for (name, value) in with_defaults(properties) {
        config.set(name, value);
    }
    let context = Context {
        tally: Arc::clone(tally),
        secrets: secrets.clone(),
        failed: Throttle::new(TROUBLE_PERIOD),
    };
    LineProducer::from_config_and_context(&config, context).map_err(|error| explain(error, &secrets))
}

/// librdkafka's reasons name the property and, for a value it cannot use, the value.
fn explain(error: KafkaError, secrets: &Secrets) -> ConfigurationError {
    match error {
        KafkaError::ClientConfig(_, _, property, _) if is_secret(&property) => ConfigurationError::Property {
            property,
            reason: "its value cannot be used".to_owned(),
        },
        KafkaError::ClientConfig(_, reason, property, _) => ConfigurationError::Property {
            property,
            reason: secrets.redact(&reason).into_owned(),
        },
        KafkaError::ClientCreation(reason) => ConfigurationError::Librdkafka {
            reason: secrets.redact(&reason).into_owned(),
        },
        other => ConfigurationError::Librdkafka {
            reason: secrets.redact(&other.to_string()).into_owned(),
        },
    }
}

fn with_defaults(properties: &BTreeMap<String, String>) -> BTreeMap<String, String> {
    let given = |names: &[&str]| names.iter().any(|name| properties.contains_key(*name));
    let mut all = properties.clone();
    // Without asking for versions, librdkafka speaks the Kafka of before idempotence.
    let asks_versions = properties
        .get("api.version.request")
        .is_none_or(|value| value != "false");
    if asks_versions && !given(&IDEMPOTENCE_CONDITIONS) {
        all.insert("enable.idempotence".to_owned(), "true".to_owned());
    }
    for (names, value) in DEFAULTS {
        if !given(names) {
            all.insert(names[0].to_owned(), value.to_owned());
        }
    }
    all
}

#[cfg(test)]
mod tests;
