//! What the server says about itself and about the commands it executed.

use std::collections::BTreeMap;

use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::header::LOCATION;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use serde_json::{Value as Json, json};

use super::accept::{JSON, KSQL_JSON, choose};
use super::{App, response};
use crate::execution::{ErrorCode, Failure, properties};
use crate::server::VERSION;

/// `GET /`
pub(super) async fn root() -> Response {
    (StatusCode::TEMPORARY_REDIRECT, [(LOCATION, "/info")]).into_response()
}

/// `GET /info`
pub(super) async fn info(State(shared): State<App>, headers: HeaderMap) -> Response {
    answer(
        &headers,
        &json!({"KsqlServerInfo": {
            "version": VERSION,
            "kafkaClusterId": shared.cluster_id(),
            "ksqlServiceId": shared.config().service_id,
            "serverStatus": "RUNNING",
        }}),
    )
}

/// `GET /healthcheck`: always 200, the health is in the body.
pub(super) async fn healthcheck(State(shared): State<App>, headers: HeaderMap) -> Response {
    let health = shared.health().await;
    answer(
        &headers,
        &json!({
            "isHealthy": health.is_healthy(),
            "details": {
                "metastore": {"isHealthy": health.metastore},
                "kafka": {"isHealthy": health.kafka},
                "commandRunner": {"isHealthy": health.command_runner},
            },
            "serverState": health.state,
        }),
    )
}

/// `GET /status`
pub(super) async fn statuses(State(shared): State<App>, headers: HeaderMap) -> Response {
    let statuses = match shared.executor() {
        Ok(executor) => executor.statuses(),
        Err(failure) => return response::failure(&failure),
    };
    let names: BTreeMap<&str, &str> = statuses
        .iter()
        .map(|(command_id, status)| (command_id, status.status))
        .collect();
    answer(&headers, &json!({"commandStatuses": names}))
}

/// `GET /status/{type}/{entity}/{action}`
pub(super) async fn status(
    State(shared): State<App>,
    Path((kind, entity, action)): Path<(String, String, String)>,
) -> Response {
    let statuses = match shared.executor() {
        Ok(executor) => executor.statuses(),
        Err(failure) => return response::failure(&failure),
    };
    match statuses.get(&format!("{kind}/{entity}/{action}")) {
        Some(status) => response::json(StatusCode::OK, status),
        None => response::failure(&Failure::generic(ErrorCode::NotFound, "Command not found")),
    }
}

/// `GET /is_valid_property/{property}`
pub(super) async fn is_valid_property(Path(property): Path<String>) -> Response {
    match properties::check_override(&property) {
        Ok(()) => response::json(StatusCode::OK, &true),
        Err(message) => response::failure(&Failure::generic(ErrorCode::BadRequest, message)),
    }
}

/// `GET /v1/metadata`
pub(super) async fn metadata(State(shared): State<App>) -> Response {
    response::json(
        StatusCode::OK,
        &json!({"version": VERSION, "clusterId": cluster_id(&shared)}),
    )
}

/// `GET /v1/metadata/id`
pub(super) async fn metadata_id(State(shared): State<App>) -> Response {
    response::json(StatusCode::OK, &cluster_id(&shared))
}

/// `GET /clusterStatus`: there is no cluster of servers that ask for each other's heartbeat.
pub(super) async fn cluster_status() -> Response {
    response::with_type(StatusCode::NOT_FOUND, JSON, Body::empty())
}

/// `GET /chc/ready` and `/chc/live`
pub(super) async fn alive() -> Response {
    response::json(StatusCode::OK, &json!({}))
}

fn cluster_id(shared: &App) -> Json {
    json!({
        "scope": {
            "path": [],
            "clusters": {
                "kafka-cluster": shared.cluster_id(),
                "ksql-cluster": shared.config().service_id,
            },
        },
        "id": "",
    })
}

fn answer(headers: &HeaderMap, body: &Json) -> Response {
    match choose(headers, &[KSQL_JSON, JSON]) {
        Some(_) => response::json(StatusCode::OK, body),
        None => response::not_acceptable(),
    }
}
