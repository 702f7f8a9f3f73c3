//! `--check --connect`: whether lines would arrive, tried step by step, each failure with its fix.
//!
//! Names, connections, then what only librdkafka can try: TLS, the login, the topics and the right to write to each.
//! Nothing is written to Kafka.

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::net::{TcpStream, ToSocketAddrs as _};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use rdkafka::client::{ClientContext, OAuthToken};
use rdkafka::config::{ClientConfig, FromClientConfigAndContext as _, RDKafkaLogLevel};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::DeliveryResult;
use rdkafka::producer::{BaseProducer, Producer as _, ProducerContext};

use crate::configuration::Configuration;
use crate::courier::line_producer::with_defaults;
use crate::courier::oauth::TokenSource;
use crate::encoding::registry_check;
use crate::outbox::DEAD_LETTER_TOPIC;
use crate::secrets::Secrets;

mod rights;
mod tls;

use self::tls::shake_hands;

/// How long a connection may take.
const CONNECT_PATIENCE: Duration = Duration::from_secs(5);
/// How long the brokers may take for an answer.
const ANSWER_PATIENCE: Duration = Duration::from_secs(8);
/// How long complaints are listened to.
const COMPLAINT_PATIENCE: Duration = Duration::from_millis(200);
/// The port when none is given; librdkafka's default.
const DEFAULT_PORT: u16 = 9092;

/// What was tried.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct ConnectionReport {
    /// One a step, in order.
    pub(crate) steps: Vec<Step>,
}

/// One thing that was tried.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Step {
    pub(crate) what: String,
    /// Why it failed, and what to do.
    pub(crate) failure: Option<(String, String)>,
}

impl ConnectionReport {
    /// Whether every step went well.
    pub(crate) fn is_good(&self) -> bool {
        self.steps.iter().all(|step| step.failure.is_none())
    }

    pub(crate) fn good(&mut self, what: impl Into<String>) {
        let what = what.into();
        self.steps.push(Step { what, failure: None });
    }

    pub(crate) fn bad(
        &mut self,
        what: impl Into<String>,
        reason: impl Into<String>,
        hint: impl Into<String>,
    ) {
        self.steps.push(Step {
            what: what.into(),
            failure: Some((reason.into(), hint.into())),
        });
    }
}

impl std::fmt::Display for ConnectionReport {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for Step { what, failure } in &self.steps {
            match failure {
                None => writeln!(formatter, "ok: {what}")?,
                Some((reason, hint)) => writeln!(formatter, "failed: {what}: {reason}\nhint: {hint}")?,
            }
        }
        Ok(())
    }
}

/// Tries everything, up to the first step that makes the next ones pointless.
pub(crate) fn try_connection(configuration: &Configuration) -> ConnectionReport {
    let mut report = ConnectionReport::default();
    let properties = &configuration.properties;
    let servers = ["bootstrap.servers", "metadata.broker.list"]
        .iter()
        .find_map(|name| properties.get(*name))
        .map_or("", String::as_str);
    let servers: Vec<&str> = servers
        .split(',')
        .map(str::trim)
        .filter(|server| !server.is_empty())
        .collect();
    let tls = properties
        .get("security.protocol")
        .is_some_and(|protocol| protocol.to_ascii_lowercase().ends_with("ssl"));
    let mut ready = false;
    for server in servers {
        let Some((host, stream)) = reach(server, &mut report) else {
            continue;
        };
        ready |= !tls || shake_hands(&host, stream, properties, &mut report);
    }
    if ready {
        ask(configuration, &mut report);
    }
    registry_check::try_registry(configuration, &mut report);
    report
}

/// Tries the name and the port of a server; its name, and the connection.
fn reach(server: &str, report: &mut ConnectionReport) -> Option<(String, TcpStream)> {
    let address = server.rsplit_once("://").map_or(server, |(_, address)| address);
    let (host, port) = match address.rsplit_once(':').map(|(host, port)| (host, port.parse())) {
        Some((host, Ok(port))) => (host, port),
        _ => (address, DEFAULT_PORT),
    };
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let addresses: Vec<_> = match (host, port).to_socket_addrs() {
        Ok(addresses) => addresses.collect(),
        Err(error) => {
            let hint = "is the name in `bootstrap.servers` right, and does this host's resolver know it?";
            report.bad(format!("the name `{host}`"), error.to_string(), hint);
            return None;
        }
    };
    let mut last = String::from("the name has no address");
    for address in &addresses {
        match TcpStream::connect_timeout(address, CONNECT_PATIENCE) {
            Ok(stream) => {
                report.good(format!("`{host}` is {address}, and takes connections"));
                return Some((host.to_owned(), stream));
            }
            Err(error) => last = error.to_string(),
        }
    }
    let hint = "is the broker up, the port right, and does no firewall stand between?";
    report.bad(format!("a connection to `{host}` port {port}"), last, hint);
    None
}

/// Has librdkafka log in and ask for the topics.
fn ask(configuration: &Configuration, report: &mut ConnectionReport) {
    let mut config = ClientConfig::new();
    config.set_log_level(RDKafkaLogLevel::Info);
    let what = describe_security(&configuration.properties);
    let mut all = with_defaults(&configuration.properties);
    let tokens = match TokenSource::take(&mut all) {
        Ok(tokens) => tokens,
        Err(error) => return report.bad(what, error.to_string(), "run `--check` without `--connect`"),
    };
    for (name, value) in all {
        config.set(name, value);
    }
    let context = Witness {
        tokens,
        secrets: configuration.secrets.clone(),
        complaints: Mutex::default(),
    };
    let producer = match BaseProducer::from_config_and_context(&config, context) {
        Ok(producer) => producer,
        Err(error) => {
            let reason = configuration.secrets.redact(&error.to_string()).into_owned();
            return report.bad(what, reason, "run `--check` without `--connect`");
        }
    };
    let metadata = producer.client().fetch_metadata(None, ANSWER_PATIENCE);
    // Complaints wait in a queue.
    producer.poll(COMPLAINT_PATIENCE);
    let metadata = match metadata {
        Ok(metadata) => metadata,
        Err(error) => {
            let complaints = producer.context().complaints();
            let complaint = complaints
                .iter()
                .find_map(|(code, reason)| Some((reason, hint_for(*code)?)));
            return match complaint {
                Some((reason, hint)) => report.bad(what, reason.as_str(), hint),
                None => report.bad(
                    what,
                    complaints
                        .first()
                        .map_or_else(|| error.to_string(), |(_, reason)| reason.clone()),
                    "does this port speak Kafka, and does `security.protocol` say what it wants?",
                ),
            };
        }
    };
    report.good(format!("{what}; {} brokers", metadata.brokers().len()));
    let topics: Vec<String> = topics(configuration).into_iter().collect();
    let not_writable = rights::not_writable(producer.client(), &topics, ANSWER_PATIENCE);
    for topic in topics {
        let found = producer.client().fetch_metadata(Some(&topic), ANSWER_PATIENCE);
        let error = found.map(|found| found.topics().first().and_then(|topic| topic.error()));
        let what = format!("the topic `{topic}`");
        match error {
            Ok(None) if not_writable.contains(&topic) => report.bad(
                what,
                "this principal may describe it, and not write to it",
                "give the principal Write on it; until then its lines are dead letters",
            ),
            Ok(None) => report.good(what),
            Ok(Some(error)) => {
                let code = RDKafkaErrorCode::from(error);
                let hint = match code {
                    RDKafkaErrorCode::TopicAuthorizationFailed => {
                        "give the principal Write and Describe on it"
                    }
                    _ => {
                        "make it, unless the brokers make topics on demand; its lines wait until it is there"
                    }
                };
                report.bad(what, code.to_string(), hint);
            }
            Err(error) => report.bad(what, error.to_string(), "is the cluster well?"),
        }
    }
}

/// The topics that lines will go to, as far as the configuration tells.
fn topics(configuration: &Configuration) -> BTreeSet<String> {
    let of_queries = configuration.query_topics().into_iter().map(|(_, topic)| topic);
    let named = configuration
        .routing
        .fallback_topic
        .iter()
        .chain(&configuration.options.status_topic)
        .cloned();
    of_queries
        .chain(named)
        .chain([DEAD_LETTER_TOPIC.to_owned()])
        .collect()
}

fn describe_security(properties: &BTreeMap<String, String>) -> String {
    let get = |name: &str| properties.get(name).map(String::as_str);
    let protocol = get("security.protocol")
        .unwrap_or("plaintext")
        .to_ascii_lowercase();
    let mechanism = get("sasl.mechanisms")
        .or(get("sasl.mechanism"))
        .unwrap_or_default();
    match (protocol.contains("ssl"), protocol.starts_with("sasl")) {
        (true, true) => format!("TLS, and the login with {mechanism}"),
        (true, false) => "TLS".to_owned(),
        (false, true) => format!("the login with {mechanism}"),
        (false, false) => "Kafka answers, without TLS and login".to_owned(),
    }
}

/// What to do about a complaint of librdkafka's; `None` when it says nothing of its own.
fn hint_for(code: RDKafkaErrorCode) -> Option<&'static str> {
    Some(match code {
        RDKafkaErrorCode::Authentication | RDKafkaErrorCode::SaslAuthenticationFailed => {
            "are `sasl.username`, `sasl.password` and `sasl.mechanisms` those that the broker knows?"
        }
        RDKafkaErrorCode::SSL => "does the port speak TLS, and does it take this client's certificate?",
        _ => return None,
    })
}

/// Remembers what librdkafka complains about.
struct Witness {
    tokens: TokenSource,
    secrets: Secrets,
    complaints: Mutex<Vec<(RDKafkaErrorCode, String)>>,
}

impl Witness {
    fn complaints(&self) -> Vec<(RDKafkaErrorCode, String)> {
        self.complaints
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

impl ClientContext for Witness {
    const ENABLE_REFRESH_OAUTH_TOKEN: bool = true;

    fn generate_oauth_token(&self, config: Option<&str>) -> Result<OAuthToken, Box<dyn Error>> {
        Ok(self.tokens.token(config)?)
    }

    fn log(&self, _level: RDKafkaLogLevel, _facility: &str, _message: &str) {}

    fn error(&self, error: KafkaError, reason: &str) {
        let code = error.rdkafka_error_code().unwrap_or(RDKafkaErrorCode::Unknown);
        if code != RDKafkaErrorCode::AllBrokersDown {
            let mut complaints = self.complaints.lock().unwrap_or_else(PoisonError::into_inner);
            complaints.push((code, self.secrets.redact(reason).into_owned()));
        }
    }
}

impl ProducerContext for Witness {
    type DeliveryOpaque = ();

    fn delivery(&self, _result: &DeliveryResult<'_>, (): ()) {}
}
