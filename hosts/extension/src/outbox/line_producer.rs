//! librdkafka as it is used here: its defaults, what it says, what it reports of each record.
//!
//! Nothing it says leaves this file with a secret in it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rdkafka::client::ClientContext;
use rdkafka::config::{ClientConfig, FromClientConfigAndContext, RDKafkaLogLevel};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{DeliveryResult, Message};
use rdkafka::producer::{BaseProducer, ProducerContext};
use rdkafka::statistics::Statistics;

use super::TROUBLE_PERIOD;
use super::tally::Tally;
use crate::configuration::ConfigurationError;
use crate::secrets::{Secrets, is_secret};
use crate::throttle::Throttle;

/// How much memory the lines may take, in KiB.
const MEMORY_KIB: &str = "131072";
/// How many lines may wait.
const MEMORY_LINES: &str = "200000";
/// What librdkafka is told unless the configuration says otherwise, each under all of its names: no line
/// given up, none twice, none out of order, none kept waiting for company.
const DEFAULTS: [(&[&str], &str); 8] = [
    (&["acks", "request.required.acks"], "all"),
    (&["linger.ms", "queue.buffering.max.ms"], "0"),
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

/// How long one poll waits for something to happen. Events end it at once.
const POLL: Duration = Duration::from_secs(5);

pub(super) type LineProducer = BaseProducer<Context>;

/// What librdkafka tells.
pub(super) struct Context {
    tally: Arc<Tally>,
    secrets: Secrets,
    failed: Throttle,
    /// No broker can be reached; said once, and taken back with the next delivery.
    cut_off: AtomicBool,
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
            Some(RDKafkaErrorCode::AllBrokersDown) => {
                if !self.cut_off.swap(true, Ordering::Relaxed) {
                    tracing::warn!("no broker can be reached; lines are kept in memory");
                }
            }
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
            Ok(_) => {
                self.tally.delivered.fetch_add(1, Ordering::Relaxed);
                if self.cut_off.load(Ordering::Relaxed) && self.cut_off.swap(false, Ordering::Relaxed) {
                    tracing::info!("Kafka takes lines again");
                }
            }
            Err((error, message)) => {
                self.tally.failed.fetch_add(1, Ordering::Relaxed);
                // What is purged was given up here, not refused there, and that was said.
                let purged = [RDKafkaErrorCode::PurgeQueue, RDKafkaErrorCode::PurgeInflight];
                if error
                    .rdkafka_error_code()
                    .is_some_and(|code| purged.contains(&code))
                {
                    return;
                }
                if let Some(times) = self.failed.pass() {
                    let bytes = message.payload_len();
                    tracing::error!(topic = message.topic(), bytes, times, %error, "Kafka refused a line");
                }
            }
        }
    }
}

/// Starts librdkafka, which connects in the background, and the thread that polls it, which ends soon after
/// the producer is let go.
///
/// `rdkafka`'s own `ThreadedProducer` polls in steps of 100 ms and spins through the last part of a
/// millisecond of each: almost a percent of a core on every host, for nothing.
pub(super) fn start(
    properties: &BTreeMap<String, String>,
    tally: &Arc<Tally>,
) -> Result<Arc<LineProducer>, ConfigurationError> {
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
        cut_off: AtomicBool::new(false),
    };
    let producer = LineProducer::from_config_and_context(&config, context)
        .map(Arc::new)
        .map_err(|error| explain(error, &secrets))?;
    let polled = Arc::downgrade(&producer);
    let polling = move || {
        while let Some(producer) = polled.upgrade() {
            producer.poll(POLL);
        }
    };
    std::thread::Builder::new()
        .name("producer-poll".to_owned())
        .spawn(polling)
        .map_err(|error| ConfigurationError::Librdkafka {
            reason: format!("no thread to poll with: {error}"),
        })?;
    Ok(producer)
}

/// The most bytes a record may have; librdkafka has made sure that it is a number.
pub(super) fn record_limit(properties: &BTreeMap<String, String>) -> usize {
    const LIBRDKAFKAS_DEFAULT: usize = 1_000_000;
    let given = properties
        .get("message.max.bytes")
        .and_then(|bytes| bytes.parse().ok());
    given.unwrap_or(LIBRDKAFKAS_DEFAULT)
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

pub(super) fn with_defaults(properties: &BTreeMap<String, String>) -> BTreeMap<String, String> {
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
