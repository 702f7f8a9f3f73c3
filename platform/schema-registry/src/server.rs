//! The server: a socket at once, the rest as soon as Kafka answers.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use osqdemo_callers::{Callers, connections};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::{AbortOnDropHandle, TaskTracker};
use uuid::Builder;

use crate::config::Config;
use crate::registry::{Readiness, Registry};
use crate::rest;
use crate::storage::{Log, LogError};

/// What the registry is called where containers call each other.
const SERVICE_NAME: &str = "schema-registry";
/// How long the head of a request, and then its body, may take to be sent.
const REQUEST_DEADLINE: Duration = Duration::from_secs(30);
/// How long to wait before Kafka is asked again.
const TRY_AGAIN: Duration = Duration::from_millis(100);
/// How long changes that are under way, and connections, may take to end.
const CLOSE_DEADLINE: Duration = Duration::from_secs(2);

/// Why the registry cannot run.
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
    /// The Kafka clients cannot be made: an address or a property is not one.
    #[error("cannot use the Kafka brokers `{bootstrap_servers}`: {reason}")]
    Kafka {
        /// The brokers' addresses.
        bootstrap_servers: String,
        /// Why.
        reason: String,
    },
    /// The topic is not one that a registry can use.
    #[error("{reason}")]
    Topic {
        /// Why.
        reason: String,
    },
}

/// A registry that has its address and does not serve yet.
pub struct Server {
    listener: TcpListener,
    address: SocketAddr,
    config: Config,
}

impl Server {
    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves until the token is cancelled. Until the topic was read to its end, every request is told to wait.
    ///
    /// # Errors
    /// When the topic is none that a registry can use.
    pub async fn run(self, shutdown: CancellationToken) -> Result<(), Error> {
        let Self {
            listener,
            address,
            config,
        } = self;
        let kafka_error = |reason: String| Error::Kafka {
            bootstrap_servers: config.bootstrap_servers.clone(),
            reason,
        };
        let mut name = [0; 16];
        getrandom::fill(&mut name).map_err(|error| kafka_error(error.to_string()))?;
        let writer = Builder::from_random_bytes(name).into_uuid().to_string();
        let log = Arc::new(Log::new(&config, writer).map_err(|error| kafka_error(error.to_string()))?);
        let waiting = Readiness::Waiting("Kafka has not answered yet".to_owned());
        let (readiness, readiness_seen) = watch::channel(waiting);
        let changes = TaskTracker::new();
        let registry = Registry::new(Arc::clone(&log), readiness_seen, changes.clone());
        let callers = Callers::new(
            SERVICE_NAME,
            address,
            &config.allowed_hosts,
            &config.allowed_origins,
        );
        tracing::info!(%address, "the Schema Registry listens");
        let closing = CancellationToken::new();
        let router = rest::router(rest::App {
            registry,
            callers,
            bodies: rest::bodies(REQUEST_DEADLINE),
        });
        let serving = connections::serve(listener, router, REQUEST_DEADLINE, closing.clone());
        let mut serving = AbortOnDropHandle::new(tokio::spawn(serving));
        let running = async {
            open(&log, &readiness).await?;
            tokio::select! {
                read = log.read() => read.map_err(|error| kafka_error(error.to_string())),
                never = claim(&log, &readiness) => match never {},
            }
        };
        tokio::pin!(running);
        let ended = tokio::select! {
            ended = &mut running => ended,
            () = shutdown.cancelled() => Ok(()),
        };
        closing.cancel();
        changes.close();
        // Changes that are under way end when they were read back; what is not answered was not promised.
        tokio::select! {
            _ = timeout(CLOSE_DEADLINE, changes.wait()) => {}
            _ = &mut running, if ended.is_ok() => {}
        }
        log.flush(CLOSE_DEADLINE).await;
        // Whoever has not taken its answer by then has none.
        let _ = timeout(CLOSE_DEADLINE, &mut serving).await;
        ended
    }
}

/// Takes the address. Everything else is [`Server::run`]'s.
///
/// # Errors
/// When the address is taken.
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
        config,
    })
}

/// Binds and runs.
///
/// # Errors
/// As [`bind`] and [`Server::run`].
pub async fn serve(config: Config, shutdown: CancellationToken) -> Result<(), Error> {
    bind(config).await?.run(shutdown).await
}

/// Waits for Kafka, and for a topic that can be used.
async fn open(log: &Log, readiness: &watch::Sender<Readiness>) -> Result<(), Error> {
    loop {
        match log.open().await {
            Ok(()) => return Ok(()),
            Err(error @ LogError::Unusable { .. }) => {
                let reason = error.to_string();
                return Err(Error::Topic { reason });
            }
            Err(error) => wait(readiness, &error).await,
        }
    }
}

/// Says that this registry writes from now on. It is ready when it has read that.
async fn claim(log: &Log, readiness: &watch::Sender<Readiness>) -> std::convert::Infallible {
    while let Err(error) = log.claim().await {
        wait(readiness, &error).await;
    }
    tracing::info!("the topic was read to its end");
    readiness.send_replace(Readiness::Ready);
    std::future::pending().await
}

async fn wait(readiness: &watch::Sender<Readiness>, error: &LogError) {
    tracing::debug!("not ready yet: {error}");
    readiness.send_replace(Readiness::Waiting(error.to_string()));
    tokio::time::sleep(TRY_AGAIN).await;
}
