//! A ksqlDB server is healthy when `/healthcheck` says so and `/info` says RUNNING: it answers `/info` before
//! it can run statements.

use reqwest::Client;
use serde_json::Value;

use crate::health::{LastAnswer, http};

/// Returns once the server at `address` is healthy.
pub(super) async fn until_healthy(address: &str, last: &LastAnswer) {
    http::until_content(address, last, ask).await;
}

async fn ask(client: &Client, address: &str) -> Result<(), String> {
    let info = get(client, address, "/info").await?;
    let status = info
        .pointer("/KsqlServerInfo/serverStatus")
        .and_then(Value::as_str)
        .unwrap_or("unknown");
    if status != "RUNNING" {
        return Err(format!("GET /info: serverStatus {status}"));
    }
    let health = get(client, address, "/healthcheck").await?;
    match health.pointer("/isHealthy").and_then(Value::as_bool) {
        Some(true) => Ok(()),
        _ => Err(format!("GET /healthcheck: {health}")),
    }
}

async fn get(client: &Client, address: &str, path: &str) -> Result<Value, String> {
    let response = http::get(client, address, path).await?;
    response.json().await.map_err(|error| http::failed(path, error))
}
