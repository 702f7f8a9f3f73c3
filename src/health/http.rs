//! What the probes that speak HTTP share: a client for addresses of this machine, and a request whose failure
//! is one readable line.

use std::error::Error;
use std::time::Duration;

use reqwest::{Client, Response};
use serde_json::Value;

use crate::health::{LastAnswer, POLL};
use crate::waiting::poll;

/// How long one request may take.
const REQUEST_LIMIT: Duration = Duration::from_secs(5);

/// Asks the service at `address` until it is content with the answer.
pub(super) async fn until_content(
    address: &str,
    last: &LastAnswer,
    ask: impl AsyncFn(&Client, &str) -> Result<(), String>,
) {
    let client = client(last).await;
    poll(POLL, || async { last.heard(ask(&client, address).await) }).await
}

/// The client; asked for again until there is one.
async fn client(last: &LastAnswer) -> Client {
    poll(POLL, || async {
        // The address is on this machine: a proxy has no business here.
        let client = Client::builder().no_proxy().timeout(REQUEST_LIMIT).build();
        last.heard(client.map_err(|error| format!("HTTP client: {error}")))
    })
    .await
}

/// Any answer to `GET path`, whatever its status.
pub(super) async fn get(client: &Client, address: &str, path: &str) -> Result<Response, String> {
    client
        .get(format!("http://{address}{path}"))
        .send()
        .await
        .map_err(|error| failed(path, error))
}

/// Asks for a list, of whatever length; `of` says in errors what it is a list of.
pub(super) async fn get_list(client: &Client, address: &str, path: &str, of: &str) -> Result<(), String> {
    let response = get(client, address, path).await?;
    let status = response.status();
    let answer: Value = response
        .json()
        .await
        .map_err(|error| format!("GET {path}: status {status}, {}", error.without_url()))?;
    if status.is_success() && answer.is_array() {
        return Ok(());
    }
    let message = answer.pointer("/message").and_then(Value::as_str);
    Err(match message {
        Some(message) => format!("GET {path}: status {status}, {message}"),
        None => format!("GET {path}: status {status}, not a list of {of}"),
    })
}

/// A failed request in one line, with the cause that reqwest keeps to itself.
pub(super) fn failed(path: &str, error: reqwest::Error) -> String {
    let cause = error
        .source()
        .map(|cause| format!(": {cause}"))
        .unwrap_or_default();
    format!("GET {path}: {}{cause}", error.without_url())
}

#[cfg(test)]
pub(super) mod canned {
    //! A server that gives the answers of a script, one a connection, and the last one from then on.

    use std::time::Duration;

    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;
    use tokio::task::JoinHandle;
    use tokio::time::timeout;

    /// Ends the server when dropped.
    pub(in crate::health) struct CannedServer {
        /// Where it listens.
        pub(in crate::health) address: String,
        task: JoinHandle<()>,
    }

    impl Drop for CannedServer {
        fn drop(&mut self) {
            self.task.abort();
        }
    }

    /// Serves raw answers; each connection is read once before it is answered.
    pub(in crate::health) async fn serve(answers: Vec<String>) -> CannedServer {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address").to_string();
        let task = tokio::spawn(async move {
            let mut position = 0;
            while let Ok((mut connection, _)) = listener.accept().await {
                let mut request = [0; 4096];
                if !matches!(connection.read(&mut request).await, Ok(length) if length > 0) {
                    continue;
                }
                let Some(answer) = answers.get(position).or(answers.last()) else {
                    continue;
                };
                position += 1;
                if connection.write_all(answer.as_bytes()).await.is_ok() {
                    let _ = connection.shutdown().await;
                }
            }
        });
        CannedServer { address, task }
    }

    /// One HTTP answer.
    pub(in crate::health) fn http(status: &str, content_type: &str, body: &str) -> String {
        format!(
            "HTTP/1.1 {status}\r\ncontent-type: {content_type}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
            body.len()
        )
    }

    /// Whether the probe ends within five seconds.
    pub(in crate::health) async fn ends<T>(probe: impl Future<Output = T>) -> bool {
        timeout(Duration::from_secs(5), probe).await.is_ok()
    }

    /// Lets the probe run for a while, in which it must not end.
    pub(in crate::health) async fn goes_on<T>(probe: impl Future<Output = T>) -> bool {
        timeout(Duration::from_millis(300), probe).await.is_err()
    }
}
