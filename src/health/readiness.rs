//! Prometheus and Alertmanager are healthy when they say that they are ready: Prometheus has read its log of samples and
//! its rules by then.

use reqwest::Client;

use crate::health::{LastAnswer, http};

/// What is asked for.
const PATH: &str = "/-/ready";

/// How much of an answer is told, in characters.
const EXCERPT: usize = 80;

/// Returns once the Prometheus at `address` is healthy.
pub(super) async fn until_prometheus_is_healthy(address: &str, last: &LastAnswer) {
    http::until_content(address, last, ask_prometheus).await;
}

/// Returns once the Alertmanager at `address` is healthy.
pub(super) async fn until_alertmanager_is_healthy(address: &str, last: &LastAnswer) {
    http::until_content(address, last, ask_alertmanager).await;
}

async fn ask_prometheus(client: &Client, address: &str) -> Result<(), String> {
    ask(client, address, "is Ready.").await
}

async fn ask_alertmanager(client: &Client, address: &str) -> Result<(), String> {
    ask(client, address, "OK").await
}

/// Each has words of its own, which its answer ends with.
async fn ask(client: &Client, address: &str, ready: &str) -> Result<(), String> {
    let response = http::get(client, address, PATH).await?;
    let status = response.status();
    let answer = response.text().await.map_err(|error| http::failed(PATH, error))?;
    if status.is_success() && answer.trim_end().ends_with(ready) {
        return Ok(());
    }
    let begin: String = answer.trim().chars().take(EXCERPT).collect();
    Err(format!("GET {PATH}: status {status}, `{begin}`"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::health::http::canned::{ends, goes_on, http, serve};

    #[tokio::test]
    async fn each_is_ready_in_its_own_words() {
        let last = LastAnswer::default();
        let prometheus = serve(vec![http(
            "200 OK",
            "text/plain",
            "Prometheus Server is Ready.\n",
        )])
        .await;
        assert!(ends(until_prometheus_is_healthy(&prometheus.address, &last)).await);
        assert!(goes_on(until_alertmanager_is_healthy(&prometheus.address, &last)).await);
        let alertmanager = serve(vec![http("200 OK", "text/plain", "OK")]).await;
        assert!(ends(until_alertmanager_is_healthy(&alertmanager.address, &last)).await);
        assert!(goes_on(until_prometheus_is_healthy(&alertmanager.address, &last)).await);
        assert_eq!(last.get(), "GET /-/ready: status 200 OK, `OK`");
    }

    #[tokio::test]
    async fn one_that_reads_its_log_is_not_ready_yet() {
        let wait = http("503 Service Unavailable", "text/plain", "Service Unavailable");
        let server = serve(vec![wait]).await;
        let last = LastAnswer::default();
        assert!(goes_on(until_prometheus_is_healthy(&server.address, &last)).await);
        assert_eq!(
            last.get(),
            "GET /-/ready: status 503 Service Unavailable, `Service Unavailable`"
        );
    }

    #[tokio::test]
    async fn another_server_on_the_port_is_neither() {
        let page = format!("<html>{}", "x".repeat(1000));
        let server = serve(vec![http("200 OK", "text/html", &page)]).await;
        let last = LastAnswer::default();
        assert!(goes_on(until_prometheus_is_healthy(&server.address, &last)).await);
        assert!(goes_on(until_alertmanager_is_healthy(&server.address, &last)).await);
        assert!(last.get().len() < 200, "{}", last.get());
    }
}
