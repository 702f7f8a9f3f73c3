//! `POST /ksql`: statements.

use std::collections::BTreeMap;

use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use serde::Deserialize;
use serde_json::Value as Json;

use super::accept::{JSON, KSQL_JSON, choose};
use super::{App, response};
use crate::execution::Request;

/// The body of `/ksql` and `/query`. What else it has is ignored.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct KsqlRequest {
    #[serde(default)]
    ksql: String,
    #[serde(default)]
    streams_properties: Option<BTreeMap<String, Json>>,
    #[serde(default)]
    session_variables: Option<BTreeMap<String, Json>>,
    #[serde(default)]
    command_sequence_number: Option<i64>,
}

impl From<KsqlRequest> for Request {
    fn from(body: KsqlRequest) -> Self {
        Self {
            statements: body.ksql,
            properties: body.streams_properties.unwrap_or_default(),
            variables: body.session_variables.unwrap_or_default(),
            after: body.command_sequence_number,
            ..Self::default()
        }
    }
}

/// `POST /ksql`
pub(super) async fn execute(State(shared): State<App>, headers: HeaderMap, body: Bytes) -> Response {
    if choose(&headers, &[KSQL_JSON, JSON]).is_none() {
        return response::not_acceptable();
    }
    let request: KsqlRequest = match response::parse(&body) {
        Ok(request) => request,
        Err(failure) => return response::untyped_failure(&failure),
    };
    let result = async {
        // A task of its own: a client that hangs up must not cut a command in half. What it has not begun is left.
        let executor = shared.executor()?;
        let request: Request = request.into();
        let _gone = request.gone.clone().drop_guard();
        let execution = tokio::spawn(async move { executor.execute(&request).await });
        execution
            .await
            .unwrap_or_else(|error| Err(shared.internal_error(&error)))
    };
    match result.await {
        Ok(answers) => response::json(StatusCode::OK, &answers),
        Err(failure) => response::failure(&failure),
    }
}
