//! A Schema Registry is healthy when it lists its subjects: that takes its store, a topic of the broker.

use reqwest::Client;

use crate::health::{LastAnswer, http};

/// What is asked for.
const PATH: &str = "/subjects";

/// Returns once the registry at `address` is healthy.
pub(super) async fn until_healthy(address: &str, last: &LastAnswer) {
    http::until_content(address, last, ask).await;
}

async fn ask(client: &Client, address: &str) -> Result<(), String> {
    http::get_list(client, address, PATH, "subjects").await
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::health::http::canned::{ends, goes_on, http, serve};

    const JSON: &str = "application/vnd.schemaregistry.v1+json";

    #[tokio::test]
    async fn a_list_of_subjects_is_healthy_also_when_it_is_empty() {
        for body in ["[]", r#"["processes-value"]"#] {
            let server = serve(vec![http("200 OK", JSON, body)]).await;
            assert!(ends(until_healthy(&server.address, &LastAnswer::default())).await);
        }
    }

    #[tokio::test]
    async fn an_error_is_not_and_its_message_is_kept() {
        let error = r#"{"error_code":50003,"message":"Error while forwarding the request"}"#;
        let server = serve(vec![http("500 Internal Server Error", JSON, error)]).await;
        let last = LastAnswer::default();
        assert!(goes_on(until_healthy(&server.address, &last)).await);
        assert_eq!(
            last.get(),
            "GET /subjects: status 500 Internal Server Error, Error while forwarding the request"
        );
    }

    #[tokio::test]
    async fn another_server_on_the_port_is_no_registry() {
        let server = serve(vec![http("200 OK", "text/html", "<html>")]).await;
        let last = LastAnswer::default();
        assert!(goes_on(until_healthy(&server.address, &last)).await);
        assert!(
            last.get().starts_with("GET /subjects: status 200 OK"),
            "{}",
            last.get()
        );
    }

    #[tokio::test]
    async fn a_registry_that_becomes_healthy_is() {
        let answers = vec![
            http("503 Service Unavailable", JSON, r#"{"message":"starting"}"#),
            http("200 OK", JSON, "[]"),
        ];
        let server = serve(answers).await;
        assert!(ends(until_healthy(&server.address, &LastAnswer::default())).await);
    }
}
