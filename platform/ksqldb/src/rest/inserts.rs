//! `POST /inserts-stream`: rows in, an acknowledgement a row out, for as long as the client likes. HTTP/2 only.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use axum::body::{Body, BodyDataStream, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, Version};
use axum::response::Response;
use futures_core::Stream;
use serde::Deserialize;
use serde_json::{Value as Json, json};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::accept::{DELIMITED, JSON, choose};
use super::{App, BODY_LIMIT, response};
use crate::execution::{ErrorCode, Executor, Failure};

/// How long a client may be silent.
const MOST_SILENCE: Duration = Duration::from_secs(600);
/// How long a schema is taken to be registered: its subject may be deleted while a client inserts. To ask at each row
/// would cost as much as the row.
const REGISTERED_FOR: Duration = Duration::from_secs(1);
/// How many acknowledgements may wait for the client to read them.
const WAITING: usize = 64;

/// The first line of the body; then comes a row a line.
#[derive(Debug, Deserialize)]
struct Target {
    target: String,
    #[serde(default)]
    #[expect(dead_code, reason = "clients send it; nothing here depends on it")]
    properties: Option<BTreeMap<String, Json>>,
}

/// `POST /inserts-stream`
pub(super) async fn inserts_stream(
    State(shared): State<App>,
    version: Version,
    headers: HeaderMap,
    body: Body,
) -> Response {
    if version < Version::HTTP_2 {
        return response::untyped_failure(&Failure::generic(
            ErrorCode::Http2Only,
            "This endpoint is only available when using HTTP2",
        ));
    }
    let Some(media_type) = choose(&headers, &[DELIMITED, JSON]) else {
        return response::not_acceptable();
    };
    let begin = async {
        let executor = shared.executor()?;
        // Ahead of the first line, which is held until it is whole.
        let place = executor
            .runtime()
            .place()
            .map_err(|error| Failure::generic(ErrorCode::TooManyPushQueries, error.to_string()))?;
        let mut lines = Lines::new(body);
        let first = lines.next(shared.config().request_deadline).await?;
        let target: Target = response::parse(&first.unwrap_or_default())?;
        let target = executor.insertable(&target.target)?;
        Ok::<_, Failure>((executor, lines, target, place))
    };
    let (executor, lines, target, place) = match begin.await {
        Ok(begun) => begun,
        Err(failure) => return response::untyped_failure(&failure),
    };
    let (sender, acknowledgements) = mpsc::channel(WAITING);
    let is_array = media_type == JSON;
    // It ends with its connection: then the body fails and nobody takes the acknowledgements.
    tokio::spawn(async move {
        let _place = place;
        tokio::select! {
            () = insert_all(&executor, lines, &target, &sender) => {}
            () = sender.closed() => {}
        }
    });
    let body = Acknowledgements {
        taken: acknowledgements,
        is_array,
        count: 0,
        has_ended: false,
    };
    response::with_type(StatusCode::OK, media_type, Body::from_stream(body))
}

/// Inserts row by row, each when the one before it is safe, until one fails or none comes.
async fn insert_all(executor: &Arc<Executor>, mut lines: Lines, target: &str, sender: &mpsc::Sender<Json>) {
    let mut looked: Option<Instant> = None;
    let mut looking: Option<JoinHandle<()>> = None;
    for seq in 0_u64.. {
        let line = lines.next(MOST_SILENCE).await;
        if looked.is_none() {
            executor.forget_deleted_subjects_of(target).await;
            looked = Some(Instant::now());
        } else if looked.is_some_and(|at| at.elapsed() >= REGISTERED_FOR)
            && looking.as_ref().is_none_or(JoinHandle::is_finished)
        {
            // Rows do not wait for a registry that does not answer.
            let (executor, target) = (Arc::clone(executor), target.to_owned());
            looking = Some(tokio::spawn(async move {
                executor.forget_deleted_subjects_of(&target).await;
            }));
            looked = Some(Instant::now());
        }
        let inserted = match line {
            Ok(None) => return,
            Ok(Some(row)) => executor.insert_json(target, &row).await,
            Err(failure) => Err(failure),
        };
        let (acknowledgement, failed) = match inserted {
            Ok(()) => (json!({"seq": seq, "status": "ok"}), false),
            Err(failure) => (
                json!({
                    "@type": "InsertError",
                    "status": "error",
                    "seq": seq,
                    "message": failure.message,
                    "error_code": failure.code.number(),
                }),
                true,
            ),
        };
        if sender.send(acknowledgement).await.is_err() || failed {
            return;
        }
    }
}

/// The lines of a body as they come.
struct Lines {
    body: BodyDataStream,
    read: Vec<u8>,
    /// How far there is no end of a line.
    searched: usize,
}

impl Lines {
    fn new(body: Body) -> Self {
        Self {
            body: body.into_data_stream(),
            read: Vec::new(),
            searched: 0,
        }
    }

    /// The next line that is not empty; `None` at the end of the body.
    async fn next(&mut self, patience: Duration) -> Result<Option<Vec<u8>>, Failure> {
        loop {
            let end = self.read[self.searched..].iter().position(|byte| *byte == b'\n');
            let line: Vec<u8> = match end {
                Some(end) => self.read.drain(..=self.searched + end).collect(),
                None => {
                    self.searched = self.read.len();
                    match timeout(patience, self.chunk()).await {
                        Ok(Some(chunk)) => {
                            self.read.extend_from_slice(&chunk?);
                            if self.read.len() > BODY_LIMIT {
                                return Err(Failure::generic(
                                    ErrorCode::TooLarge,
                                    format!("a row may have {BODY_LIMIT} bytes"),
                                ));
                            }
                            continue;
                        }
                        Ok(None) if self.read.trim_ascii().is_empty() => return Ok(None),
                        Ok(None) => std::mem::take(&mut self.read),
                        Err(_) => {
                            return Err(Failure::generic(
                                ErrorCode::RequestTimeout,
                                format!("nothing was sent for {patience:?}"),
                            ));
                        }
                    }
                }
            };
            self.searched = 0;
            if !line.trim_ascii().is_empty() {
                return Ok(Some(line));
            }
        }
    }

    async fn chunk(&mut self) -> Option<Result<Bytes, Failure>> {
        let next = std::future::poll_fn(|task| Pin::new(&mut self.body).poll_next(task)).await?;
        Some(next.map_err(|error| {
            Failure::generic(ErrorCode::BadRequest, format!("cannot read the request: {error}"))
        }))
    }
}

/// The body of the response: a line an acknowledgement, or all of them as one array.
struct Acknowledgements {
    taken: mpsc::Receiver<Json>,
    is_array: bool,
    count: u64,
    has_ended: bool,
}

impl Stream for Acknowledgements {
    type Item = Result<Bytes, std::convert::Infallible>;

    fn poll_next(mut self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.has_ended {
            return Poll::Ready(None);
        }
        let Poll::Ready(next) = self.taken.poll_recv(task) else {
            return Poll::Pending;
        };
        let separator = if self.count == 0 { "[" } else { "," };
        let text = match (next, self.is_array) {
            (Some(acknowledgement), true) => format!("{separator}{acknowledgement}"),
            (Some(acknowledgement), false) => format!("{acknowledgement}\n"),
            (None, true) => {
                self.has_ended = true;
                if self.count == 0 { "[]" } else { "]" }.to_owned()
            }
            (None, false) => return Poll::Ready(None),
        };
        self.count += 1;
        Poll::Ready(Some(Ok(text.into())))
    }
}
