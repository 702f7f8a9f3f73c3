//! The server: a socket at once; Kafka, ksqlDB and the registry may come and go.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::middleware;
use axum::routing::{get, post};
use osqdemo_callers::bodies::Bodies;
use osqdemo_callers::{Callers, connections};
use tokio::net::TcpListener;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::{AbortOnDropHandle, TaskTracker};

use crate::api;
use crate::config::Config;
use crate::guard::{self, Guard};
use crate::kafka::Cluster;
use crate::ksqldb::Ksqldb;
use crate::live::{self, Pages};
use crate::page;
use crate::registry::Registry;

/// What the console is called where containers call each other.
const SERVICE_NAME: &str = "console";
/// The largest body of a request: a statement, or a record to produce.
const BODY_LIMIT: usize = 2 * 1024 * 1024;
/// The bodies of all requests that are not answered yet, in bytes.
const BODIES_ROOM: usize = 32 * 1024 * 1024;
/// How long the head of a request, and then its body, may take to be sent.
const REQUEST_DEADLINE: Duration = Duration::from_secs(30);
/// How long connections may take to end.
const CLOSE_DEADLINE: Duration = Duration::from_secs(2);

/// Why the console cannot run.
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
    /// A client cannot be made: an address or a property is not one.
    #[error("cannot use {what}: {reason}")]
    Client {
        /// Which service.
        what: &'static str,
        /// Why.
        reason: String,
    },
}

/// What the routes share.
pub(crate) type App = Arc<Shared>;

pub(crate) struct Shared {
    pub(crate) guard: Guard,
    pub(crate) cluster: Cluster,
    pub(crate) ksqldb: Option<Ksqldb>,
    pub(crate) registry: Option<Registry>,
    pub(crate) pages: Pages,
    /// Ends what runs on behalf of the pages.
    pub(crate) stopping: CancellationToken,
    pub(crate) tasks: TaskTracker,
}

/// A console that has its address and does not serve yet.
pub struct Server {
    listener: TcpListener,
    address: SocketAddr,
    shared: App,
}

impl Server {
    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves until the token is cancelled.
    ///
    /// # Errors
    /// None, so far: what fails is one connection.
    pub async fn run(self, shutdown: CancellationToken) -> Result<(), Error> {
        let Self {
            listener,
            address,
            shared,
        } = self;
        tracing::info!(%address, "the console listens");
        let close = CancellationToken::new();
        let router = router(Arc::clone(&shared));
        let serving = connections::serve(listener, router, REQUEST_DEADLINE, close.clone());
        let mut serving = AbortOnDropHandle::new(tokio::spawn(serving));
        shutdown.cancelled().await;
        // Event streams have no end of their own: they end first, then their connections can.
        shared.stopping.cancel();
        close.cancel();
        // Whoever has not taken its answer by then has none.
        let _ = timeout(CLOSE_DEADLINE, &mut serving).await;
        drop(serving);
        shared.tasks.close();
        shared.tasks.wait().await;
        Ok(())
    }
}

/// Takes the address. Everything else is [`Server::run`]'s.
///
/// # Errors
/// When the address is taken, or a service's address is not one.
pub async fn bind(config: Config) -> Result<Server, Error> {
    let bind_error = |source| Error::Bind {
        address: config.listen,
        source,
    };
    let listener = TcpListener::bind(config.listen).await.map_err(bind_error)?;
    let address = listener.local_addr().map_err(bind_error)?;
    let client = |what, reason: String| Error::Client { what, reason };
    let cluster = Cluster::new(&config.bootstrap_servers, &config.kafka_properties)
        .map_err(|error| client("the Kafka brokers", error.to_string()))?;
    let ksqldb = match &config.ksqldb_url {
        Some(url) => Some(
            Ksqldb::new(url, &config.ksqldb_access)
                .map_err(|error| client("the ksqlDB server", error.to_string()))?,
        ),
        None => None,
    };
    let registry = match &config.registry_url {
        Some(url) => Some(
            Registry::new(url, &config.registry_access)
                .map_err(|error| client("the Schema Registry", error.to_string()))?,
        ),
        None => None,
    };
    let callers = Callers::new(
        SERVICE_NAME,
        address,
        &config.allowed_hosts,
        &config.allowed_origins,
    );
    let guard =
        Guard::new(callers).map_err(|error| client("the system's random numbers", error.to_string()))?;
    let shared = Arc::new(Shared {
        guard,
        cluster,
        ksqldb,
        registry,
        pages: Pages::default(),
        stopping: CancellationToken::new(),
        tasks: TaskTracker::new(),
    });
    Ok(Server {
        listener,
        address,
        shared,
    })
}

/// Binds and runs.
///
/// # Errors
/// As [`bind`] and [`Server::run`].
pub async fn serve(config: Config, shutdown: CancellationToken) -> Result<(), Error> {
    bind(config).await?.run(shutdown).await
}

fn router(shared: App) -> Router {
    let bodies = Bodies::new(BODY_LIMIT, BODIES_ROOM, REQUEST_DEADLINE);
    Router::new()
        .route("/api/health", get(api::health))
        .route("/api/live", get(live::open))
        .route("/api/live/{page}/watch", post(live::watch))
        .route("/api/live/{page}/unwatch", post(live::unwatch))
        .route("/api/topics", get(api::topics::list).post(api::topics::create))
        .route("/api/topics/{topic}", get(api::topics::describe))
        .route("/api/topics/{topic}/settings", post(api::topics::set))
        .route("/api/topics/{topic}/delete", post(api::topics::delete))
        .route("/api/topics/{topic}/records", post(api::records::produce))
        .route(
            "/api/topics/{topic}/records/{partition}/{offset}",
            get(api::records::one),
        )
        .route("/api/topics/{topic}/proposal", get(api::records::proposal))
        .route("/api/groups", get(api::groups::list))
        .route("/api/brokers", get(api::brokers::list))
        .route("/api/ksql", post(api::ksql::execute))
        .route("/api/ksql/catalog", get(api::ksql::catalog))
        .route("/api/schemas", get(api::schemas::subjects))
        .route("/api/schemas/{subject}", get(api::schemas::versions))
        .route("/api/schemas/{subject}/{version}", get(api::schemas::version))
        .fallback(get(page::serve))
        .layer(middleware::from_fn_with_state(bodies, guard::take_in))
        .layer(middleware::from_fn_with_state(Arc::clone(&shared), guard::check))
        .with_state(shared)
}
