//! A ksqlDB server is healthy when `/healthcheck` says so and `/info` says RUNNING: it answers `/info` before
//! it can run statements.

use std::time::Duration;

use reqwest::Client;
use serde_json::Value;
use tokio::time::sleep;

use crate::health::{LastAnswer, POLL};

/// How long one request may take.
const REQUEST_LIMIT: Duration = Duration::from_secs(5);

/// Returns once the server at `address` is healthy.
pub(super) async fn until_healthy(address: &str, last: &LastAnswer) {
    // The address is on this machine: a proxy has no business here.
    let client = loop {
        match Client::builder().no_proxy().timeout(REQUEST_LIMIT).build() {
            Ok(client) => break client,
            Err(error) => last.set(format!("HTTP client: {error}")),
        }
        sleep(POLL).await;
    };
    loop {
        match ask(&client, address).await {
            Ok(()) => return,
            Err(answer) => last.set(answer),
        }
        sleep(POLL).await;
    }
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
    let failed = |error: reqwest::Error| {
        let cause = std::error::Error::source(&error)
            .map(|cause| format!(": {cause}"))
            .unwrap_or_default();
        format!("GET {path}: {}{cause}", error.without_url())
    };
    let response = client
        .get(format!("http://{address}{path}"))
        .send()
        .await
        .map_err(failed)?;
    response.json().await.map_err(failed)
}
