//! Control Center is healthy when it serves its page. It listens long before: until then it answers with an
//! error, or not at all.

use reqwest::Client;
use reqwest::header::CONTENT_TYPE;

use crate::health::{LastAnswer, http};

/// The page.
const PATH: &str = "/";

/// Returns once the Control Center at `address` is healthy.
pub(super) async fn until_healthy(address: &str, last: &LastAnswer) {
    http::until_content(address, last, ask).await;
}

async fn ask(client: &Client, address: &str) -> Result<(), String> {
    let response = http::get(client, address, PATH).await?;
    let status = response.status();
    let content_type = response
        .headers()
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .unwrap_or("no content type")
        .to_owned();
    if !status.is_success() {
        return Err(format!("GET {PATH}: status {status}"));
    }
    if content_type.starts_with("text/html") {
        Ok(())
    } else {
        Err(format!("GET {PATH}: not a page but {content_type}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::health::http::canned::{ends, goes_on, http, serve};

    #[tokio::test]
    async fn a_page_is_healthy() {
        let server = serve(vec![http("200 OK", "text/html;charset=utf-8", "<!doctype html>")]).await;
        assert!(ends(until_healthy(&server.address, &LastAnswer::default())).await);
    }

    #[tokio::test]
    async fn an_error_is_not_a_page() {
        let server = serve(vec![http("503 Service Unavailable", "text/html", "wait")]).await;
        let last = LastAnswer::default();
        assert!(goes_on(until_healthy(&server.address, &last)).await);
        assert_eq!(last.get(), "GET /: status 503 Service Unavailable");
    }

    #[tokio::test]
    async fn another_server_on_the_port_is_not_control_center() {
        let server = serve(vec![http("200 OK", "application/json", "{}")]).await;
        let last = LastAnswer::default();
        assert!(goes_on(until_healthy(&server.address, &last)).await);
        assert_eq!(last.get(), "GET /: not a page but application/json");
    }
}
