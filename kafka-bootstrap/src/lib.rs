//! Kafka clients that find their cluster again after it forgot its brokers.
//!
//! A broker that was just restarted may answer for a moment that there is no broker at all, and that it does not know
//! the topic: one on `ZooKeeper` does, until its controller has told it. librdkafka takes the first at its word and lets
//! every broker go, also those that it was given to begin with; then it has nobody left to ask, and waits for ever
//! (its issue 5301). A client that holds a [`Bootstrap`] gets them again.

use std::ffi::CString;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use rdkafka::bindings::rd_kafka_brokers_add;
use rdkafka::client::{Client, ClientContext};
use rdkafka::config::ClientConfig;
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};
use rdkafka::metadata::Metadata;

/// How long to wait before the servers are given again: at first, and at most. librdkafka keeps what it was given.
const PAUSE: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));

/// The servers that one client was given to begin with.
#[derive(Debug)]
pub struct Bootstrap {
    servers: CString,
    again: Mutex<Again>,
}

/// When they may be given again.
#[derive(Debug)]
struct Again {
    at: Option<Instant>,
    pause: Duration,
}

impl Bootstrap {
    /// Those of a client that is made from this configuration.
    #[must_use]
    pub fn of(config: &ClientConfig) -> Self {
        let mut names = ["bootstrap.servers", "metadata.broker.list"].iter();
        let servers = names.find_map(|name| config.get(name));
        Self {
            // No client is made of a text with a NUL.
            servers: CString::new(servers.unwrap_or_default()).unwrap_or_default(),
            again: Mutex::new(Again {
                at: None,
                pause: PAUSE.0,
            }),
        }
    }

    /// Asks about a topic, or all of them, and blocks for it. A client that reaches nobody gets its first servers
    /// again, for the next question.
    ///
    /// # Errors
    /// As librdkafka's own question.
    pub fn fetch_metadata(
        &self,
        client: &Client<impl ClientContext>,
        topic: Option<&str>,
        patience: Duration,
    ) -> KafkaResult<Metadata> {
        let answer = client.fetch_metadata(topic, patience);
        self.note(client, answer.as_ref().err());
        answer
    }

    /// Asks about a topic, and blocks for it: whether it is there, as the client has learned by that.
    ///
    /// # Errors
    /// As librdkafka's own question.
    pub fn knows(
        &self,
        client: &Client<impl ClientContext>,
        topic: &str,
        patience: Duration,
    ) -> KafkaResult<bool> {
        let told = self.fetch_metadata(client, Some(topic), patience)?;
        Ok(told.topics().iter().any(|topic| !topic.partitions().is_empty()))
    }

    /// Takes to heart what came of a question: nothing, or why there is no answer.
    pub fn note(&self, client: &Client<impl ClientContext>, error: Option<&KafkaError>) {
        let mut again = self.again.lock().unwrap_or_else(PoisonError::into_inner);
        if !error.is_some_and(reached_nobody) {
            again.pause = PAUSE.0;
            return;
        }
        let now = Instant::now();
        if again.at.is_some_and(|at| now < at) {
            return;
        }
        again.at = Some(now + again.pause);
        again.pause = (again.pause * 2).min(PAUSE.1);
        self.give(client);
    }

    #[expect(
        unsafe_code,
        reason = "librdkafka's only call for this, which rdkafka does not wrap"
    )]
    fn give(&self, client: &Client<impl ClientContext>) {
        // SAFETY: the client lives as long as it is borrowed here, and librdkafka copies the text.
        unsafe { rd_kafka_brokers_add(client.native_ptr(), self.servers.as_ptr()) };
    }
}

fn reached_nobody(error: &KafkaError) -> bool {
    matches!(
        error.rdkafka_error_code(),
        Some(
            RDKafkaErrorCode::BrokerTransportFailure
                | RDKafkaErrorCode::AllBrokersDown
                | RDKafkaErrorCode::OperationTimedOut
                | RDKafkaErrorCode::Resolve
        )
    )
}
