//! The address that Prometheus asks: HTTP/1.1, one question a connection, a few connections at a time.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hyper::header::CONTENT_TYPE;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use osqdemo_callers::Callers;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio_util::task::TaskTracker;

use super::text::metrics;
use crate::api::blocking;
use crate::error::Error;
use crate::node::Node;

/// What the broker is called where containers call each other.
const SERVICE_NAME: &str = "broker";
/// Who asks at the same time; the next one waits.
const CONNECTIONS: usize = 16;
/// How long a question and its answer may take.
const PATIENCE: Duration = Duration::from_secs(10);
const PATH: &str = "/metrics";

/// The bound address.
#[derive(Debug)]
pub(crate) struct Endpoint {
    socket: TcpListener,
    address: SocketAddr,
}

impl Endpoint {
    pub(crate) async fn bind(address: SocketAddr) -> Result<Self, Error> {
        let failed = |source| Error::Bind {
            listener: "metrics".to_owned(),
            address,
            source,
        };
        let socket = TcpListener::bind(address).await.map_err(failed)?;
        let address = socket.local_addr().map_err(failed)?;
        Ok(Self { socket, address })
    }

    /// Where it is.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Answers until the broker stops.
    pub(crate) async fn run(self, node: Arc<Node>, tasks: TaskTracker) {
        let callers = Arc::new(Callers::new(
            SERVICE_NAME,
            self.address,
            &node.config.metrics_hosts,
            &[],
        ));
        let places = Arc::new(Semaphore::new(CONNECTIONS));
        tracing::info!(address = %self.address, path = PATH, "metrics are told");
        loop {
            let Ok(place) = Arc::clone(&places).acquire_owned().await else {
                return;
            };
            let accepted = tokio::select! {
                accepted = self.socket.accept() => accepted,
                () = node.shutdown.cancelled() => return,
            };
            let Ok((stream, _)) = accepted else {
                // Out of descriptors: trying again at once would only spin.
                tokio::select! {
                    () = tokio::time::sleep(Duration::from_millis(100)) => continue,
                    () = node.shutdown.cancelled() => return,
                }
            };
            let (node, callers) = (Arc::clone(&node), Arc::clone(&callers));
            tasks.spawn(async move {
                let service = service_fn(|request: Request<hyper::body::Incoming>| {
                    let (node, callers) = (Arc::clone(&node), Arc::clone(&callers));
                    async move { Ok::<_, Infallible>(answer(node, &callers, &request).await) }
                });
                let serving = http1::Builder::new()
                    .keep_alive(false)
                    .timer(TokioTimer::new())
                    .serve_connection(TokioIo::new(stream), service);
                tokio::select! {
                    // Whoever goes away or dawdles has no answer.
                    _ = tokio::time::timeout(PATIENCE, serving) => {}
                    () = node.shutdown.cancelled() => {}
                }
                drop(place);
            });
        }
    }
}

async fn answer<B>(node: Arc<Node>, callers: &Callers, request: &Request<B>) -> Response<String> {
    if let Err(refusal) = callers.check(request.uri(), request.headers()) {
        return said(StatusCode::FORBIDDEN, format!("{refusal}\n"));
    }
    if request.uri().path() != PATH {
        return said(StatusCode::NOT_FOUND, format!("there is only {PATH}\n"));
    }
    if request.method() != Method::GET && request.method() != Method::HEAD {
        return said(StatusCode::METHOD_NOT_ALLOWED, "GET it\n".to_owned());
    }
    match blocking(move || metrics(&node)).await {
        Some(text) => said(StatusCode::OK, text),
        None => said(
            StatusCode::INTERNAL_SERVER_ERROR,
            "the metrics cannot be read\n".to_owned(),
        ),
    }
}

fn said(status: StatusCode, text: String) -> Response<String> {
    let mut response = Response::new(text);
    *response.status_mut() = status;
    let kind = "text/plain; version=0.0.4; charset=utf-8";
    response
        .headers_mut()
        .insert(CONTENT_TYPE, hyper::header::HeaderValue::from_static(kind));
    response
}
