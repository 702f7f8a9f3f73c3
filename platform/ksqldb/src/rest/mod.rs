//! ksqlDB's REST API over HTTP/1.1 and HTTP/2 without TLS.
//!
//! Knows HTTP and JSON; what a statement does is [`crate::execution`]'s.

mod accept;
mod info;
mod inserts;
mod ksql;
mod query;
mod response;
mod row;
mod websocket;

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{Extension, Request, State};
use axum::http::StatusCode;
use axum::middleware::{self, Next};
use axum::response::Response;
use axum::routing::{get, post};
use tokio::sync::Semaphore;

use crate::execution::{ErrorCode, Failure};
use osqdemo_callers::Callers;
use osqdemo_callers::bodies::{Bodies, BodyError};

use crate::server::Shared;

/// The largest body of a request, in bytes: more than any statement that fits into the command topic.
const BODY_LIMIT: usize = 2 * 1024 * 1024;
/// The bodies of all requests that are not answered yet, in bytes.
const BODIES_ROOM: usize = 64 * 1024 * 1024;

type App = Arc<Shared>;

/// Every route of the API.
pub(crate) fn router(shared: App, callers: Callers) -> Router {
    let bodies = Bodies::new(BODY_LIMIT, BODIES_ROOM, shared.config().request_deadline);
    let cors = callers.cors();
    let ready = Router::new()
        .route("/ksql", post(ksql::execute))
        .route("/query", post(query::query))
        .route("/query-stream", post(query::query_stream))
        .route("/close-query", post(query::close_query))
        .route("/info", get(info::info))
        .route("/status", get(info::statuses))
        .route("/status/{kind}/{entity}/{action}", get(info::status))
        .route("/is_valid_property/{property}", get(info::is_valid_property))
        .route("/v1/metadata", get(info::metadata))
        .route("/v1/metadata/id", get(info::metadata_id))
        .route("/clusterStatus", get(info::cluster_status))
        .route("/chc/ready", get(info::alive))
        .route_layer(middleware::from_fn_with_state(
            Arc::clone(&shared),
            require_readiness,
        ));
    // What these take in comes as they go.
    let streaming = Router::new()
        .route("/inserts-stream", post(inserts::inserts_stream))
        .route("/ws/query", get(websocket::query))
        .layer(Extension(Arc::new(Semaphore::new(
            shared.config().most_websockets,
        ))))
        .route_layer(middleware::from_fn_with_state(
            Arc::clone(&shared),
            require_readiness,
        ));
    Router::new()
        .merge(ready)
        .route("/", get(info::root))
        .route("/healthcheck", get(info::healthcheck))
        .route("/chc/live", get(info::alive))
        .fallback(not_found)
        .layer(middleware::from_fn_with_state(bodies, take_in))
        .merge(streaming)
        .layer(cors)
        .layer(middleware::from_fn_with_state(Arc::new(callers), admit))
        .with_state(shared)
}

/// Answers 403 to whoever may not use the API.
async fn admit(State(callers): State<Arc<Callers>>, request: Request, next: Next) -> Response {
    match callers.check(request.uri(), request.headers()) {
        Ok(()) => next.run(request).await,
        Err(refusal) => response::failure(&Failure::generic(ErrorCode::Forbidden, refusal.to_string())),
    }
}

/// Reads the body: in time, only so much of it, and as far as there is room for it.
async fn take_in(State(bodies): State<Bodies>, request: Request, next: Next) -> Response {
    let (parts, body) = request.into_parts();
    match bodies.take(body).await {
        Ok(taken) => {
            let response = next
                .run(Request::from_parts(parts, Body::from(taken.bytes)))
                .await;
            drop(taken.room);
            response
        }
        Err(error) => {
            let code = match error {
                BodyError::TooLong { .. } => ErrorCode::TooLarge,
                BodyError::TooSlow { .. } => ErrorCode::RequestTimeout,
                BodyError::NoRoom { .. } => ErrorCode::RequestEnded,
                BodyError::Broken { .. } => ErrorCode::BadRequest,
            };
            response::failure(&Failure::generic(code, error.to_string()))
        }
    }
}

/// Answers 503 until the server is ready, and again when it stops.
async fn require_readiness(State(shared): State<App>, request: Request, next: Next) -> Response {
    match shared.executor() {
        Ok(_) => next.run(request).await,
        Err(failure) => response::failure(&failure),
    }
}

async fn not_found() -> Response {
    let body = "<html><body><h1>Resource not found</h1></body></html>";
    response::with_type(StatusCode::NOT_FOUND, "text/html; charset=utf-8", body.into())
}
