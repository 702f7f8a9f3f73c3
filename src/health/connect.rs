//! A Kafka Connect worker is healthy when it lists its connectors: that takes its group and its topics.

use reqwest::Client;

use crate::health::{LastAnswer, http};

/// What is asked for.
const PATH: &str = "/connectors";

/// Returns once the worker at `address` is healthy.
pub(super) async fn until_healthy(address: &str, last: &LastAnswer) {
    http::until_content(address, last, ask).await;
}

async fn ask(client: &Client, address: &str) -> Result<(), String> {
    http::get_list(client, address, PATH, "connectors").await
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::health::http::canned::{ends, goes_on, http, serve};

    #[tokio::test]
    async fn a_list_of_connectors_is_healthy() {
        let server = serve(vec![http("200 OK", "application/json", "[]")]).await;
        assert!(ends(until_healthy(&server.address, &LastAnswer::default())).await);
    }

    #[tokio::test]
    async fn a_worker_that_is_still_joining_says_so() {
        let body = r#"{"error_code":409,"message":"Cannot complete request momentarily"}"#;
        let server = serve(vec![http("409 Conflict", "application/json", body)]).await;
        let last = LastAnswer::default();
        assert!(goes_on(until_healthy(&server.address, &last)).await);
        assert_eq!(
            last.get(),
            "GET /connectors: status 409 Conflict, Cannot complete request momentarily"
        );
    }
}
