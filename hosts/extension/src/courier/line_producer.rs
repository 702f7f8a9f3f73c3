//! librdkafka as it is used here: its defaults, what it says, what it reports of each record.
//!
//! Nothing it says leaves this file with a secret in it.

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use osqdemo_kafka_bootstrap::Bootstrap;
use rdkafka::client::{ClientContext, OAuthToken};
use rdkafka::config::{ClientConfig, FromClientConfigAndContext, RDKafkaLogLevel};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{DeliveryResult, Header, Message as _, OwnedHeaders};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _, ProducerContext};
use rdkafka::statistics::Statistics;

use super::oauth::TokenSource;
use crate::configuration::ConfigurationError;
use crate::outbox::TROUBLE_PERIOD;
use crate::outbox::kafka::{Failure, Kafka, LineId, Message as OutboxMessage, Outcome, SendError};
use crate::secrets::{Secrets, is_secret};
use crate::throttle::NamedThrottle;

/// How much memory the lines may take, in KiB. The outbox hands over less, unless a line is larger.
const MEMORY_KIB: &str = "131072";
/// How many lines may wait.
const MEMORY_LINES: &str = "200000";
/// What librdkafka is told unless the configuration says otherwise, each under all of its names: no line
/// given up, none twice, none out of order, none kept waiting for company longer than it takes to be worth a request.
///
/// Waking librdkafka's threads for each line would cost more than everything else that is done with it. What is worse: once
/// five requests are under way, the most that idempotence allows, and more lines wait, librdkafka 2.12 polls without a
/// pause until an answer comes. So lines wait for a fifth of the longest round trip that is usual.
const DEFAULTS: [(&[&str], &str); 9] = [
    (&["acks", "request.required.acks"], "all"),
    (&["linger.ms", "queue.buffering.max.ms"], "5"),
    // Each request under way is held in memory once more.
    (&["batch.size"], "131072"),
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

pub(super) type LineProducer = BaseProducer<Context>;

/// How long outcomes are gathered when the first of them came, unless there are many at once.
const GATHERING: Duration = Duration::from_millis(2);
const FEW: usize = 500;

/// What became of messages, until somebody takes it.
#[derive(Debug, Default)]
pub(super) struct Settled {
    outcomes: Mutex<Vec<(LineId, Outcome)>>,
    some: Condvar,
}

impl Settled {
    /// Waits until there is something, or time is up, and takes it.
    pub(super) fn wait(&self, patience: Duration) -> Vec<(LineId, Outcome)> {
        let outcomes = self.lock();
        let waited = self
            .some
            .wait_timeout_while(outcomes, patience, |outcomes| outcomes.is_empty());
        let (outcomes, timeout) = waited.unwrap_or_else(PoisonError::into_inner);
        let is_first_of_many = !timeout.timed_out() && outcomes.len() < FEW && !patience.is_zero();
        drop(outcomes);
        if is_first_of_many {
            // Its batch is still being told, one by one, and to wake up for each would cost more than they do.
            thread::park_timeout(GATHERING);
        }
        std::mem::take(&mut self.lock())
    }

    fn lock(&self) -> MutexGuard<'_, Vec<(LineId, Outcome)>> {
        self.outcomes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn push(&self, id: LineId, outcome: Outcome) {
        let mut outcomes = self.lock();
        outcomes.push((id, outcome));
        if outcomes.len() == 1 {
            self.some.notify_one();
        }
    }
}

/// The producer in force; none while one takes the place of another.
#[derive(Default)]
pub(super) struct CurrentProducer(pub(super) Option<Arc<LineProducer>>);

impl Kafka for CurrentProducer {
    fn send(&mut self, id: LineId, message: &OutboxMessage<'_>) -> Result<(), SendError> {
        let producer = self.0.as_ref().ok_or(SendError::Full)?;
        let record = &message.record;
        // An opaque of 64 bits, as on every platform that osquery runs on.
        let mut to_send =
            BaseRecord::<[u8], [u8], usize>::with_opaque_to(record.topic, id.to_number() as usize)
                .payload(record.value)
                .timestamp(record.unix_ms);
        to_send.key = record.key;
        if !message.headers.is_empty() {
            let headers = OwnedHeaders::new_with_capacity(message.headers.len());
            let headers = message.headers.iter().fold(headers, |headers, (key, value)| {
                headers.insert(Header {
                    key,
                    value: Some(&**value),
                })
            });
            to_send = to_send.headers(headers);
        }
        producer.send(to_send).map_err(|(error, _)| {
            producer.context().note_unknown(&error, record.topic);
            match error.rdkafka_error_code() {
                Some(RDKafkaErrorCode::QueueFull) => SendError::Full,
                _ => SendError::Failed(failure(&error)),
            }
        })
    }
}

/// Whether it helps to send a message again.
fn failure(error: &KafkaError) -> Failure {
    use RDKafkaErrorCode as Code;
    let reason = match error {
        KafkaError::MessageProduction(code) => code.to_string(),
        other => other.to_string(),
    };
    match error.rdkafka_error_code() {
        Some(Code::MessageSizeTooLarge | Code::MessageBatchTooLarge) => Failure::TooLarge(reason),
        Some(
            Code::TopicAuthorizationFailed
            | Code::InvalidTopic
            | Code::InvalidTimestamp
            | Code::InvalidRecord
            | Code::PolicyViolation
            | Code::UnsupportedForMessageFormat,
        ) => Failure::Final(reason),
        _ => Failure::Passing(reason),
    }
}

/// What librdkafka tells.
pub(super) struct Context {
    settled: Arc<Settled>,
    secrets: Secrets,
    tokens: TokenSource,
    /// No broker can be reached; said once, and taken back with the next delivery.
    cut_off: AtomicBool,
    /// What is wrong with each attempt to connect, by its kind.
    errors: NamedThrottle,
    /// Topics that librdkafka holds for gone.
    unknown: Mutex<BTreeSet<String>>,
    bootstrap: Bootstrap,
}

impl Context {
    fn note_unknown(&self, error: &KafkaError, topic: &str) {
        if let Some(
            RDKafkaErrorCode::UnknownTopic
            | RDKafkaErrorCode::UnknownPartition
            | RDKafkaErrorCode::UnknownTopicOrPartition,
        ) = error.rdkafka_error_code()
        {
            let mut unknown = self.unknown.lock().unwrap_or_else(PoisonError::into_inner);
            if !unknown.contains(topic) {
                unknown.insert(topic.to_owned());
            }
        }
    }
}

/// Asks about the topics that the last lines could not be sent to. A broker that was just started knows no topic for a
/// moment, and what librdkafka has once held for gone, it asks about again only after minutes.
pub(super) fn ask_about_unknown(producer: &LineProducer, patience: Duration) {
    let context = producer.context();
    let unknown = std::mem::take(&mut *context.unknown.lock().unwrap_or_else(PoisonError::into_inner));
    for topic in unknown {
        // The answer, also one that comes later, is for librdkafka to learn from. A broker that is away now is not waited
        // for once a topic: what cannot be sent asks again.
        let bootstrap = &context.bootstrap;
        if bootstrap
            .fetch_metadata(producer.client(), Some(&topic), patience)
            .is_err()
        {
            return;
        }
    }
}

/// Looks for brokers where none could be reached since the last delivery: librdkafka may have let them all go.
pub(super) fn look_for_brokers(producer: &LineProducer, patience: Duration) {
    let context = producer.context();
    if context.cut_off.load(Ordering::Relaxed) {
        // That there is none yet is no news.
        let _ = context
            .bootstrap
            .fetch_metadata(producer.client(), None, patience);
    }
}

impl ClientContext for Context {
    const ENABLE_REFRESH_OAUTH_TOKEN: bool = true;

    fn generate_oauth_token(&self, config: Option<&str>) -> Result<OAuthToken, Box<dyn Error>> {
        Ok(self.tokens.token(config)?)
    }

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
                    tracing::warn!("no broker can be reached; lines wait until one can");
                }
            }
            // librdkafka logs these itself.
            Some(RDKafkaErrorCode::BrokerTransportFailure | RDKafkaErrorCode::Resolve) => {}
            _ => {
                let error = error.to_string();
                if let Some(times) = self.errors.pass(error.as_bytes()) {
                    tracing::error!(times, "librdkafka: {error}: {reason}");
                }
            }
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
    type DeliveryOpaque = usize;

    fn delivery(&self, result: &DeliveryResult<'_>, number: usize) {
        let id = LineId::from_number(number as u64);
        match result {
            Ok(_) => {
                self.settled.push(id, Ok(()));
                if self.cut_off.load(Ordering::Relaxed) && self.cut_off.swap(false, Ordering::Relaxed) {
                    tracing::info!("Kafka takes lines again");
                }
            }
            Err((error, message)) => {
                self.note_unknown(error, message.topic());
                self.settled.push(id, Err(failure(error)));
            }
        }
    }
}

/// Starts librdkafka, which connects in the background. Somebody has to poll it.
pub(super) fn start(
    properties: &BTreeMap<String, String>,
    secrets: &Secrets,
    settled: &Arc<Settled>,
) -> Result<Arc<LineProducer>, ConfigurationError> {
    let mut config = ClientConfig::new();
    config.set_log_level(RDKafkaLogLevel::Info);
    let mut all = with_defaults(properties);
    let tokens = TokenSource::take(&mut all)?;
    for (name, value) in all {
        config.set(name, value);
    }
    let context = Context {
        tokens,
        settled: Arc::clone(settled),
        secrets: secrets.clone(),
        cut_off: AtomicBool::new(false),
        errors: NamedThrottle::new(TROUBLE_PERIOD),
        unknown: Mutex::default(),
        bootstrap: Bootstrap::of(&config),
    };
    LineProducer::from_config_and_context(&config, context)
        .map(Arc::new)
        .map_err(|error| explain(error, secrets))
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

/// The properties with what librdkafka is told beside them.
pub(crate) fn with_defaults(properties: &BTreeMap<String, String>) -> BTreeMap<String, String> {
    let given = |names: &[&str]| names.iter().any(|name| properties.contains_key(*name));
    let mut all = properties.clone();
    // Without asking for versions, librdkafka speaks the Kafka of before idempotence.
    let asks_versions = properties
        .get("api.version.request")
        .is_none_or(|value| value != "false");
    if asks_versions && !given(&IDEMPOTENCE_CONDITIONS) {
        all.insert("enable.idempotence".to_owned(), "true".to_owned());
    }
    // The OpenSSL that is compiled in does not know where this machine keeps its certificates; librdkafka looks.
    let uses_tls = properties
        .get("security.protocol")
        .is_some_and(|protocol| protocol.to_ascii_lowercase().ends_with("ssl"));
    if uses_tls && !given(&["ssl.ca.location", "ssl.ca.pem"]) {
        all.insert("ssl.ca.location".to_owned(), "probe".to_owned());
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
