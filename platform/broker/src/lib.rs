//! A Kafka broker for one machine, on disk.
//!
//! It speaks Kafka's own protocol to any client: topics with partitions, idempotent and transactional producers,
//! long-polling consumers, consumer groups. It is one node that leads every partition; for more than one machine there
//! is Kafka itself.
//!
//! It has no replication.
//!
//! From the outside in: `server` (sockets, frames, dispatch) → `api` (one file for each noun of the protocol) →
//! `node` (the state they share) → `transactions` → `topics` and `groups` → `storage` (segments, indexes, journals). Each layer knows
//! only those to its right. What must hold:
//! - a record is in its file before it is acknowledged with `acks` 1 or all;
//! - recovery keeps a prefix of whole, undamaged batches and says what it cut;
//! - a batch that consumers could not read is never acknowledged, and one that was damaged since is never passed over;
//! - what a consumer gets is what the producer sent, unless the topic asks for the broker's times or another compression;
//! - nothing here knows osquery, ksqlDB or the command line.

mod api;
pub mod asking;
mod commit;
mod config;
mod error;
#[cfg(any(test, fuzzing))]
#[doc(hidden)]
pub mod fuzzing;
mod groups;
mod identity;
mod maintenance;
mod metrics;
mod node;
mod pattern;
mod producers;
mod security;
mod server;
#[cfg(test)]
mod simulation;
mod storage;
mod told;
mod topics;
mod transactions;
pub mod user_requests;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub use self::config::{
    ClientCertificates, Config, ConfigFile, ConfigFileError, FlushPolicy, GroupMigration, GroupTimings,
    HostPort, Limits, Listener, Mechanism, RetentionDefaults, Secret, Security, Tls, TokenKeys, Tokens, User,
    WithoutAcl,
};
pub use self::error::Error;
use self::maintenance::flush_all;
use self::metrics::endpoint::Endpoint;
use self::node::{MEMORY_UNIT, Node};
use self::server::listener::BoundListener;
use self::storage::log::CheckpointWhen;

/// How long tasks that wait for the disk may hold up the end.
const LAST_TASKS: Duration = Duration::from_secs(5);

/// A broker whose data is open and whose sockets are bound, ready to run.
#[derive(Debug)]
pub struct Broker {
    node: Arc<Node>,
    listeners: Vec<BoundListener>,
    metrics: Option<Endpoint>,
}

/// Where one listener can be reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListenerAddress {
    /// The listener's name.
    pub name: String,
    /// The address that was bound.
    pub local: SocketAddr,
    /// What its clients are told.
    pub advertised: HostPort,
}

/// Opens the data folder, recovering what a crash may have left, and binds the listeners.
///
/// # Errors
/// When the folder is unusable, locked by another broker or damaged, or an address cannot be bound.
pub async fn bind(config: Config) -> Result<Broker, Error> {
    check(&config)?;
    let (listeners, metrics) = (config.listeners.clone(), config.metrics);
    let node = tokio::task::spawn_blocking(move || Node::open(config))
        .await
        .map_err(|source| Error::Task {
            task: "recovery",
            source,
        })??;
    let mut bound = Vec::with_capacity(listeners.len());
    for listener in listeners {
        bound.push(BoundListener::bind(listener).await?);
    }
    let metrics = match metrics {
        Some(address) => Some(Endpoint::bind(address).await?),
        None => None,
    };
    Ok(Broker {
        node: Arc::new(node),
        listeners: bound,
        metrics,
    })
}

/// Binds and runs a broker until `shutdown` is cancelled.
///
/// # Errors
/// Those of [`bind`] and [`Broker::run`].
pub async fn serve(config: Config, shutdown: CancellationToken) -> Result<(), Error> {
    bind(config).await?.run(shutdown).await
}

impl Broker {
    /// Where the listeners can be reached, in the order of the configuration.
    #[must_use]
    pub fn addresses(&self) -> Vec<ListenerAddress> {
        self.listeners
            .iter()
            .map(|bound| ListenerAddress {
                name: bound.listener.name.clone(),
                local: bound.local,
                advertised: bound.advertised(),
            })
            .collect()
    }

    /// Where the metrics are told, when they are.
    #[must_use]
    pub fn metrics_address(&self) -> Option<SocketAddr> {
        self.metrics.as_ref().map(Endpoint::address)
    }

    /// Serves clients until `shutdown` is cancelled, then ends every task and brings everything to the disk.
    ///
    /// # Errors
    /// When the last flush could not be run; what was acknowledged is in its files even then.
    pub async fn run(self, shutdown: CancellationToken) -> Result<(), Error> {
        let node = self.node;
        let tasks = TaskTracker::new();
        for listener in self.listeners {
            let protocol = listener.listener.protocol();
            tracing::info!(listener = %listener.listener.name, protocol, address = %listener.local, advertised = %listener.advertised(), "listening");
            tasks.spawn(listener.run(Arc::clone(&node), tasks.clone()));
        }
        if let Some(endpoint) = self.metrics {
            tasks.spawn(endpoint.run(Arc::clone(&node), tasks.clone()));
        }
        tasks.spawn(maintenance::flush_as_written(Arc::clone(&node)));
        tasks.spawn(commit::sync_as_asked(Arc::clone(&node)));
        tasks.spawn(maintenance::check_after_unclean_stop(Arc::clone(&node)));
        tasks.spawn(maintenance::compact(Arc::clone(&node)));
        tasks.spawn(maintenance::apply_retention(Arc::clone(&node)));
        tasks.spawn(maintenance::end_old_transactions(Arc::clone(&node)));
        let timer = Arc::clone(&node);
        tasks.spawn(async move {
            tokio::select! {
                () = timer.groups.keep_time() => {}
                () = timer.shutdown.cancelled() => {}
            }
        });
        shutdown.cancelled().await;
        node.shutdown.cancel();
        tasks.close();
        if tokio::time::timeout(LAST_TASKS, tasks.wait()).await.is_err() {
            // Only a disk that does not answer holds a task up for so long.
            tracing::warn!(tasks = tasks.len(), "stopping without waiting for all tasks");
        }
        tokio::task::spawn_blocking(move || {
            if flush_all(&node, CheckpointWhen::Always) {
                node.note_clean_stop();
            }
        })
        .await
        .map_err(|source| Error::Task {
            task: "last flush",
            source,
        })
    }
}

fn check(config: &Config) -> Result<(), Error> {
    if config.listeners.is_empty() {
        return Err(Error::NoListener);
    }
    let amounts = [
        ("default_partitions", i64::from(config.default_partitions)),
        ("max_request_bytes", as_number(config.max_request_bytes)),
        ("limits.connections", as_number(config.limits.connections)),
        ("limits.handshakes", as_number(config.limits.handshakes)),
        (
            "limits.answer_bytes",
            as_number(config.limits.answer_bytes / MEMORY_UNIT),
        ),
        (
            "limits.request_bytes",
            as_number(config.limits.request_bytes / config.max_request_bytes.max(1)),
        ),
        (
            "retention.segment_bytes",
            as_number(config.retention.segment_bytes),
        ),
        (
            "retention.check_interval",
            as_number(config.retention.check_interval.as_millis()),
        ),
        (
            "retention.compaction_interval",
            as_number(config.retention.compaction_interval.as_millis()),
        ),
    ];
    for (setting, value) in amounts {
        if value < 1 {
            return Err(Error::OutOfRange { setting, value });
        }
    }
    Ok(())
}

fn as_number(value: impl TryInto<i64>) -> i64 {
    value.try_into().unwrap_or(i64::MAX)
}
