//! The requests the broker answers, one file for each noun of the protocol.
//!
//! A handler turns a decoded request into a response; what goes wrong is a code inside the response, never an error of
//! the handler. It knows neither frames nor sockets.

/// Tells the log what a client has done, and which client.
macro_rules! tell {
    ($session:expr, $($what:tt)*) => {
        tracing::info!(
            principal = %$session.authentication.principal(),
            host = $session.host(),
            $($what)*
        )
    };
}

pub(crate) mod acls;
pub(crate) mod api_versions;
pub(crate) mod authorization;
pub(crate) mod cluster;
pub(crate) mod configs;
pub(crate) mod consumer_groups;
pub(crate) mod coordinator;
pub(crate) mod features;
pub(crate) mod fetch;
pub(crate) mod group_membership;
pub(crate) mod groups;
pub(crate) mod list_offsets;
pub(crate) mod log_dirs;
pub(crate) mod metadata;
pub(crate) mod offsets;
pub(crate) mod produce;
pub(crate) mod producers;
pub(crate) mod quotas;
pub(crate) mod reassignments;
pub(crate) mod records;
pub(crate) mod sasl;
pub(crate) mod tokens;
pub(crate) mod topics;
pub(crate) mod transactions;
pub(crate) mod users;

use std::sync::{Arc, Mutex, PoisonError};

use kafka_protocol::ResponseError;
use kafka_protocol::messages::BrokerId;
use kafka_protocol::protocol::StrBytes;
use tokio::sync::{Notify, OwnedSemaphorePermit};

use crate::config::HostPort;
use crate::node::Node;
use crate::server::authentication::{Authentication, Framing, Stepped};

/// The id of the only broker there is.
pub(crate) const NODE_ID: BrokerId = BrokerId(1);
/// The leader never changes, so its epoch stays the first.
pub(crate) const LEADER_EPOCH: i32 = 0;
/// Kafka's code for success.
pub(crate) const NO_ERROR: i16 = 0;

/// What a client may do with a topic, a group and the cluster where nobody is kept from anything: a bit for each of
/// Kafka's operations that the kind of resource has.
pub(crate) mod operations {
    /// Read, write, create, delete, alter, describe, describe and alter settings.
    pub(crate) const OF_TOPIC: i32 = 0b1101_1111_1000;
    /// Read, delete, describe.
    pub(crate) const OF_GROUP: i32 = 0b1_0100_1000;
    /// Create, alter, describe, cluster action, describe and alter settings, idempotent write.
    pub(crate) const OF_CLUSTER: i32 = 0b1_1111_1010_0000;
}

/// What a handler knows of the connection a request came through.
#[derive(Debug)]
pub(crate) struct Session {
    /// The broker.
    pub(crate) node: Arc<Node>,
    /// The address this client is told to use.
    pub(crate) advertised: HostPort,
    /// Who the client is.
    pub(crate) authentication: Authentication,
    /// Where the client is.
    pub(crate) client_host: StrBytes,
    /// Wakes this connection's long poll.
    pub(crate) wake_up: Arc<Notify>,
    /// The share of memory that the answer being written takes.
    pub(crate) answer_memory: Mutex<Option<OwnedSemaphorePermit>>,
}

impl Session {
    /// Keeps a share of memory until the answer is written.
    pub(crate) fn hold(&self, memory: OwnedSemaphorePermit) {
        *self.answer_memory.lock().unwrap_or_else(PoisonError::into_inner) = Some(memory);
    }

    /// Gives it back.
    pub(crate) fn release(&self) {
        *self.answer_memory.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// Where the client is, as rules and lines of the log name it.
    pub(crate) fn host(&self) -> &str {
        self.client_host.trim_start_matches('/')
    }

    /// Goes on with the exchange in which the client tells who it is.
    pub(crate) async fn step(&self, message: &[u8], framing: Framing) -> Stepped {
        let stepped = self.authentication.step(&self.node, message, framing).await;
        if let Stepped::Known { mechanism, .. } = &stepped {
            self.tell_who(mechanism.name());
        }
        stepped
    }

    /// Tells the log who the client is, and how it is known.
    pub(crate) fn tell_who(&self, mechanism: &'static str) {
        tell!(self, mechanism, "a client is known");
    }

    /// The connection of somebody who has not said who it is.
    #[cfg(test)]
    pub(crate) fn of_anybody(node: Arc<Node>) -> Self {
        let local = std::net::SocketAddr::from((std::net::Ipv4Addr::LOCALHOST, 9092));
        let anonymous = crate::security::Principal::anonymous();
        Self {
            node,
            advertised: local.into(),
            authentication: Authentication::new(Vec::new(), anonymous, std::time::Instant::now(), None),
            client_host: StrBytes::from_static_str("/127.0.0.1"),
            wake_up: Arc::new(Notify::new()),
            answer_memory: Mutex::default(),
        }
    }
}

/// What a handler knows of a request besides its body.
#[derive(Debug, Clone)]
pub(crate) struct Call {
    /// The request's version.
    pub(crate) version: i16,
    /// What the client calls itself.
    pub(crate) client_id: StrBytes,
}

/// Runs work that may wait for the disk on a thread that may wait.
///
/// `None` when the work panicked, which the caller answers as an unknown server error.
pub(crate) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => Some(done),
        Err(error) => {
            tracing::error!(%error, "a request failed inside the broker");
            None
        }
    }
}

/// A result as the code and the message a response carries.
pub(crate) fn code_of<T, E: std::fmt::Display>(
    result: &Option<Result<T, E>>,
    code: impl FnOnce(&E) -> ResponseError,
) -> (i16, Option<StrBytes>) {
    match result {
        Some(Ok(_)) => (NO_ERROR, None),
        Some(Err(error)) => (code(error).code(), Some(StrBytes::from_string(error.to_string()))),
        None => (ResponseError::UnknownServerError.code(), None),
    }
}
