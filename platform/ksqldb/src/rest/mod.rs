//! ksqlDB's REST API over HTTP/1.1 and HTTP/2 without TLS.
//!
//! Knows HTTP and JSON; what a statement does is [`crate::execution`]'s.

mod accept;
mod info;
mod ksql;
mod query;
mod response;
mod row;

use std::sync::Arc;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::http::StatusCode;
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};

use crate::server::Shared;

/// The largest body of a request.
const BODY_LIMIT: usize = 16 * 1024 * 1024;

type App = Arc<Shared>;

/// Every route of the API.
pub(crate) fn router(shared: App) -> Router {
    let ready = Router::new()
        .route("/ksql", post(ksql::execute))
        .route("/query", post(query::query))
        .route("/query-stream", post(query::query_stream))
        .route("/close-query", post(query::close_query))
        .route("/inserts-stream", post(query::inserts_stream))
        .route("/info", get(info::info))
        .route("/status", get(info::statuses))
        .route("/status/{kind}/{entity}/{action}", get(info::status))
        .route("/is_valid_property/{property}", get(info::is_valid_property))
        .route("/v1/metadata", get(info::metadata))
        .route("/v1/metadata/id", get(info::metadata_id))
        .route("/chc/ready", get(info::alive))
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
        .layer(DefaultBodyLimit::max(BODY_LIMIT))
        .with_state(shared)
}

/// Answers 503 until the server is ready, and again when it stops.
async fn require_readiness(State(shared): State<App>, request: Request, next: Next) -> Response {
    match shared.executor() {
        Ok(_) => next.run(request).await,
        Err(failure) => response::failure(&failure),
    }
}

async fn not_found() -> Response {
    (StatusCode::NOT_FOUND, "Not Found").into_response()
}
