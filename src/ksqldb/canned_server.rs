//! A server for tests that answers each request with bytes prepared beforehand, in pieces of a chosen size,
//! and remembers what it was asked.

use std::sync::{Arc, Mutex};

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// An answer.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: Vec<u8>,
    /// How many bytes a chunk has.
    pub(crate) piece: usize,
    /// Whether the answer ends as it should, or the connection is cut after the body.
    pub(crate) is_cut: bool,
}

impl Answer {
    pub(crate) fn ok(body: impl Into<Vec<u8>>) -> Self {
        Self {
            status: 200,
            body: body.into(),
            piece: 7,
            is_cut: false,
        }
    }

    pub(crate) fn status(status: u16, body: impl Into<Vec<u8>>) -> Self {
        Self {
            status,
            ..Self::ok(body)
        }
    }

    pub(crate) fn cut(body: impl Into<Vec<u8>>) -> Self {
        Self {
            is_cut: true,
            ..Self::ok(body)
        }
    }
}

/// Answers from a closure `(path, request body) -> answer`. Ends when dropped.
pub(crate) struct CannedServer {
    pub(crate) url: String,
    requests: Arc<Mutex<Vec<(String, Value)>>>,
    accepting: JoinHandle<()>,
}

impl CannedServer {
    pub(crate) async fn start(answer: impl Fn(&str, &Value) -> Answer + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let requests = Arc::new(Mutex::new(Vec::new()));
        let answer = Arc::new(answer);
        let seen = Arc::clone(&requests);
        let accepting = tokio::spawn(async move {
            while let Ok((connection, _)) = listener.accept().await {
                let (answer, seen) = (Arc::clone(&answer), Arc::clone(&seen));
                tokio::spawn(async move {
                    let _ = serve(connection, &*answer, &seen).await;
                });
            }
        });
        Self {
            url,
            requests,
            accepting,
        }
    }

    /// What was asked so far: paths and bodies.
    pub(crate) fn requests(&self) -> Vec<(String, Value)> {
        self.requests.lock().unwrap().clone()
    }
}

impl Drop for CannedServer {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

/// Serves one request and closes the connection.
async fn serve(
    mut connection: TcpStream,
    answer: &(impl Fn(&str, &Value) -> Answer + ?Sized),
    seen: &Mutex<Vec<(String, Value)>>,
) -> std::io::Result<()> {
    let mut request = Vec::new();
    let (head_length, body_length) = loop {
        if connection.read_buf(&mut request).await? == 0 {
            return Ok(());
        }
        if let Some(at) = request.windows(4).position(|bytes| bytes == b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&request[..at]).to_ascii_lowercase();
            let length = head
                .lines()
                .find_map(|line| line.strip_prefix("content-length:"))
                .map_or(0, |length| length.trim().parse().unwrap());
            break (at + 4, length);
        }
    };
    while request.len() < head_length + body_length {
        connection.read_buf(&mut request).await?;
    }
    let head = String::from_utf8_lossy(&request[..head_length]).into_owned();
    let path = head.split(' ').nth(1).unwrap_or_default().to_owned();
    let body = serde_json::from_slice(&request[head_length..]).unwrap_or(Value::Null);
    seen.lock().unwrap().push((path.clone(), body.clone()));
    let answer = answer(&path, &body);
    let head = format!(
        "HTTP/1.1 {} x\r\ntransfer-encoding: chunked\r\nconnection: close\r\n\r\n",
        answer.status
    );
    connection.write_all(head.as_bytes()).await?;
    for piece in answer.body.chunks(answer.piece) {
        connection
            .write_all(format!("{:x}\r\n", piece.len()).as_bytes())
            .await?;
        connection.write_all(piece).await?;
        connection.write_all(b"\r\n").await?;
        connection.flush().await?;
    }
    if !answer.is_cut {
        connection.write_all(b"0\r\n\r\n").await?;
    }
    connection.shutdown().await
}
