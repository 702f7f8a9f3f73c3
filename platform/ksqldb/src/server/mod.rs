//! The server: a socket at once, the rest as soon as Kafka answers.

mod startup;

use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use osqdemo_callers::{Callers, connections};
use tokio::net::TcpListener;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use crate::config::Config;
use crate::connect::{Connect, ConnectUrlError};
use crate::execution::{ErrorCode, Executor, Failure};
use crate::kafka::{Cluster, ClusterError, RecordProducer};
use crate::registry::Registry;
use crate::rest;
use startup::Started;

/// What the server is called where containers call each other.
const SERVICE_NAME: &str = "ksqldb-server";
/// The version of ksqlDB whose behaviour this is, as clients check it.
pub(crate) const VERSION: &str = "7.9.8";

/// How long Kafka may take to answer a health check.
const HEALTH_DEADLINE: Duration = Duration::from_secs(1);
/// How long open connections may take to end once everything they waited for has ended.
const CLOSE_DEADLINE: Duration = Duration::from_millis(100);
/// How long the last records may take to be acknowledged.
const FLUSH_DEADLINE: Duration = Duration::from_millis(100);

/// Why the server cannot run.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The address cannot be listened on.
    #[error("cannot listen on {address}: {source}")]
    Bind {
        /// The address.
        address: SocketAddr,
        /// Why.
        source: std::io::Error,
    },
    /// The Schema Registry's address is none.
    #[error("cannot use the Schema Registry: {0}")]
    SchemaRegistry(#[from] osqdemo_registry_client::SettingsError),
    /// Kafka Connect's address is none.
    #[error(transparent)]
    Connect(#[from] ConnectUrlError),
    /// The Kafka clients cannot be made: the addresses of the brokers are not addresses.
    #[error("cannot use the Kafka brokers `{bootstrap_servers}`: {reason}")]
    Kafka {
        /// The brokers' addresses.
        bootstrap_servers: String,
        /// Why.
        reason: String,
    },
}

/// What the routes share.
pub(crate) struct Shared {
    config: Arc<Config>,
    cluster: Arc<Cluster>,
    started: OnceLock<Started>,
    stopping: CancellationToken,
}

/// How the parts of the server are.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Health {
    /// The sources are known.
    pub(crate) metastore: bool,
    /// Kafka answers.
    pub(crate) kafka: bool,
    /// Commands are executed.
    pub(crate) command_runner: bool,
    /// The state of the server as a whole.
    pub(crate) state: &'static str,
}

impl Health {
    /// Whether everything is well.
    pub(crate) fn is_healthy(&self) -> bool {
        self.metastore && self.kafka && self.command_runner
    }
}

impl Shared {
    /// How the server runs.
    pub(crate) fn config(&self) -> &Config {
        &self.config
    }

    /// The Kafka cluster's id.
    pub(crate) fn cluster_id(&self) -> &str {
        self.started
            .get()
            .map_or("", |started| started.cluster_id.as_str())
    }

    /// What executes statements, once there is one.
    pub(crate) fn executor(&self) -> Result<Arc<Executor>, Failure> {
        if self.stopping.is_cancelled() {
            return Err(Failure::generic(
                ErrorCode::ShuttingDown,
                "Server is shutting down",
            ));
        }
        self.started
            .get()
            .map(|started| Arc::clone(&started.executor))
            .ok_or_else(|| Failure::generic(ErrorCode::NotReady, "Server initializing"))
    }

    /// How the server is.
    pub(crate) async fn health(&self) -> Health {
        let started = self.started.get().is_some();
        let state = match (self.stopping.is_cancelled(), started) {
            (true, _) => "TERMINATING",
            (false, true) => "READY",
            (false, false) => "INITIALIZING",
        };
        let kafka = started
            && timeout(HEALTH_DEADLINE, self.cluster.topics())
                .await
                .is_ok_and(|topics| topics.is_ok());
        Health {
            metastore: started,
            kafka,
            command_runner: started && !self.stopping.is_cancelled(),
            state,
        }
    }

    /// A panic in a request, as an answer.
    pub(crate) fn internal_error(&self, error: &tokio::task::JoinError) -> Failure {
        tracing::error!("a request failed: {error}");
        Failure::generic(
            ErrorCode::ServerError,
            "The server encountered an internal error when processing the request. Please consult the server logs \
             for more information.",
        )
    }
}

/// A server that has its address and does not serve yet.
pub struct Server {
    listener: TcpListener,
    address: SocketAddr,
    config: Arc<Config>,
}

impl Server {
    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves until the token is cancelled. Until Kafka answers, every request is told to wait.
    pub async fn run(self, shutdown: CancellationToken) -> Result<(), Error> {
        let kafka_error = |reason: String| Error::Kafka {
            bootstrap_servers: self.config.bootstrap_servers.clone(),
            reason,
        };
        let cluster = Cluster::new(&self.config.bootstrap_servers, &self.config.kafka_properties)
            .map_err(|error: ClusterError| kafka_error(error.to_string()))?;
        let cluster = Arc::new(cluster);
        let producer = RecordProducer::new(&cluster).map_err(|error| kafka_error(error.to_string()))?;
        let producer = Arc::new(producer);
        let registry = Registry::new(self.config.schema_registry.as_ref())?;
        let registry = Arc::new(registry);
        let connect = Connect::new(&self.config.connect_url)?;
        let shared = Arc::new(Shared {
            config: Arc::clone(&self.config),
            cluster: Arc::clone(&cluster),
            started: OnceLock::new(),
            stopping: CancellationToken::new(),
        });
        tracing::info!(address = %self.address, "the REST API listens");

        // Push queries hold their connections open, so connections are asked to end only after the queries.
        let close_connections = CancellationToken::new();
        let config = &self.config;
        let callers = Callers::new(
            SERVICE_NAME,
            self.address,
            &config.allowed_hosts,
            &config.allowed_origins,
        );
        let serving = connections::serve(
            self.listener,
            rest::router(Arc::clone(&shared), callers),
            self.config.request_deadline,
            close_connections.clone(),
        );
        let mut serving = AbortOnDropHandle::new(tokio::spawn(serving));
        let starting = startup::start(
            &self.config,
            self.address,
            &cluster,
            &producer,
            &registry,
            &connect,
        );
        tokio::select! {
            started = starting => {
                // Nobody else sets it.
                let _ = shared.started.set(started);
                shutdown.cancelled().await;
            }
            () = shutdown.cancelled() => {}
        }

        shared.stopping.cancel();
        if let Some(started) = shared.started.get() {
            started.executor.runtime().shut_down().await;
        }
        close_connections.cancel();
        if timeout(CLOSE_DEADLINE, &mut serving).await.is_err() {
            serving.abort();
        }
        let flush = tokio::task::spawn_blocking(move || producer.flush(FLUSH_DEADLINE));
        if let Ok(Err(error)) = flush.await {
            tracing::warn!("some records were not acknowledged before the end: {error}");
        }
        Ok(())
    }
}

/// Takes the address. Everything else is [`Server::run`]'s.
pub async fn bind(config: Config) -> Result<Server, Error> {
    let bind_error = |source| Error::Bind {
        address: config.listen,
        source,
    };
    let listener = TcpListener::bind(config.listen).await.map_err(bind_error)?;
    let address = listener.local_addr().map_err(bind_error)?;
    Ok(Server {
        listener,
        address,
        config: Arc::new(config),
    })
}

/// Binds and runs.
pub async fn serve(config: Config, shutdown: CancellationToken) -> Result<(), Error> {
    bind(config).await?.run(shutdown).await
}
