//! From a bound socket to a running server: Kafka answers, the command log is replayed.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use crate::command_log::{CommandLog, CommandLogError};
use crate::config::Config;
use crate::connect::Connect;
use crate::execution::Executor;
use crate::kafka::{Cluster, RecordProducer};
use crate::registry::Registry;
use crate::runtime::Runtime;

/// How long to wait before the next attempt: at first, and at most.
const RETRY: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(2));

/// What a started server has.
pub(crate) struct Started {
    /// Executes statements.
    pub(crate) executor: Arc<Executor>,
    /// The Kafka cluster's id.
    pub(crate) cluster_id: String,
}

/// Starts, however long Kafka takes. Whoever waits for the server has a deadline of their own.
pub(super) async fn start(
    config: &Arc<Config>,
    address: SocketAddr,
    cluster: &Arc<Cluster>,
    producer: &Arc<RecordProducer>,
    registry: &Arc<Registry>,
    connect: &Connect,
) -> Started {
    let mut delay = RETRY.0;
    loop {
        match attempt(config, address, cluster, producer, registry, connect).await {
            Ok(started) => {
                tracing::info!("the server is ready");
                return started;
            }
            Err(error) => {
                tracing::warn!(
                    "the server waits for Kafka at `{}`: {error}",
                    config.bootstrap_servers
                );
                tokio::time::sleep(delay).await;
                delay = (delay * 2).min(RETRY.1);
            }
        }
    }
}

async fn attempt(
    config: &Arc<Config>,
    address: SocketAddr,
    cluster: &Arc<Cluster>,
    producer: &Arc<RecordProducer>,
    registry: &Arc<Registry>,
    connect: &Connect,
) -> Result<Started, CommandLogError> {
    let log = CommandLog::open(config, Arc::clone(cluster), Arc::clone(producer)).await?;
    let cluster_id = cluster.id().await.unwrap_or_default();
    let runtime = Arc::new(Runtime::new(
        Arc::clone(config),
        Arc::clone(cluster),
        Arc::clone(producer),
        Arc::clone(registry),
    ));
    let executor = Executor::restore(
        Arc::clone(config),
        address.to_string(),
        runtime,
        connect.clone(),
        log,
    )
    .await?;
    if config.processing_log_stream
        && let Err(failure) = executor.declare_processing_log().await
    {
        tracing::warn!("the processing log has no stream: {}", failure.message);
    }
    Ok(Started {
        executor: Arc::new(executor),
        cluster_id,
    })
}
