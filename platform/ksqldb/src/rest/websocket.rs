//! `GET /ws/query`: rows over a WebSocket, as the older command lines of ksqlDB ask for them.
//!
//! The request is in the address: `?request={"ksql":…}`. The first message tells the columns, each further one is a
//! row; the last one is `{"error":"done"}`, or says what was wrong, and so does the reason that the socket is closed
//! with.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade, close_code};
use axum::extract::{Extension, Query, State};
use axum::response::Response;
use serde::Deserialize;
use serde_json::json;
use tokio::sync::{Semaphore, mpsc};
use tokio::time::timeout;

use super::ksql::KsqlRequest;
use super::query::push_failure;
use super::row::write_streamed_row;
use super::{App, response};
use crate::execution::{ClientQuery, ErrorCode, Failure, FieldInfo, Request};
use crate::runtime::PushEvent;
use crate::task::OutputRow;
use crate::types::Schema;
use crate::value::Row;

/// The largest message that a client may send. It has nothing to say once it has asked.
const LARGEST_MESSAGE: usize = 64 * 1024;
/// The longest reason that a socket can be closed with, in bytes (RFC 6455, 5.5).
const LONGEST_REASON: usize = 123;
/// How long a client may take to read the end, and to say that it has.
const CLOSE_DEADLINE: Duration = Duration::from_secs(10);

/// What the address says.
#[derive(Debug, Deserialize)]
pub(super) struct Parameters {
    version: Option<String>,
    request: Option<String>,
}

/// `GET /ws/query`. A socket is no longer among the server's connections; it has a place of its own.
pub(super) async fn query(
    State(shared): State<App>,
    Extension(places): Extension<Arc<Semaphore>>,
    Query(parameters): Query<Parameters>,
    upgrade: WebSocketUpgrade,
) -> Response {
    let Ok(place) = places.try_acquire_owned() else {
        let most = shared.config().most_websockets;
        return response::failure(&Failure::generic(
            ErrorCode::TooManyRequests,
            format!("{most} WebSockets are open, and no more may be. hint: close one, or use /query"),
        ));
    };
    upgrade
        .max_message_size(LARGEST_MESSAGE)
        .max_frame_size(LARGEST_MESSAGE)
        // It ends with its client, or with its query.
        .on_upgrade(async move |socket| {
            let _place = place;
            serve(shared, parameters, socket).await;
        })
}

/// Why a socket is closed.
struct End {
    code: u16,
    message: String,
}

impl End {
    fn done() -> Self {
        Self {
            code: close_code::NORMAL,
            message: "done".to_owned(),
        }
    }

    /// The client asked for something that cannot be.
    fn refused(message: impl Into<String>) -> Self {
        Self {
            code: close_code::UNSUPPORTED,
            message: message.into(),
        }
    }

    /// The query failed on its way.
    fn failed(message: String) -> Self {
        Self {
            code: close_code::ERROR,
            message,
        }
    }
}

/// The client is gone: nobody is left to tell an end.
struct Gone;

async fn serve(shared: App, parameters: Parameters, mut socket: WebSocket) {
    let Ok(end) = answer(&shared, parameters, &mut socket).await else {
        return;
    };
    let closing = async {
        let last = json!({"error": end.message}).to_string();
        socket.send(Message::Text(last.into())).await?;
        let close = CloseFrame {
            code: end.code,
            reason: shortened(&end.message).into(),
        };
        socket.send(Message::Close(Some(close))).await?;
        // The client answers the close with its own; whatever else it says is too late.
        while socket.recv().await.transpose()?.is_some() {}
        Ok::<_, axum::Error>(())
    };
    if let Ok(Err(error)) = timeout(CLOSE_DEADLINE, closing).await {
        tracing::debug!("a WebSocket was not closed in order: {error}");
    }
}

async fn answer(shared: &App, parameters: Parameters, socket: &mut WebSocket) -> Result<End, Gone> {
    let request = match request(parameters) {
        Ok(request) => request,
        Err(message) => return Ok(End::refused(message)),
    };
    let executor = match shared.executor() {
        Ok(executor) => executor,
        Err(failure) => return Ok(End::failed(failure.message)),
    };
    if let Err(failure) = executor.check_client_statement(&request).await {
        let message = format!("Error parsing query: {}", failure.message);
        return Ok(End::refused(message));
    }
    let query = match executor.client_query(&request).await {
        Ok(query) => query,
        Err(failure) => return Ok(End::refused(failure.message)),
    };
    let refused = |error| Ok(End::refused(push_failure(&error, &request.statements).message));
    match query {
        ClientQuery::Push {
            plan,
            alias,
            text,
            extent,
        } => match executor.runtime().push(*plan, &alias, text, extent).await {
            Ok(query) => {
                send(socket, columns(&query.schema)).await?;
                let schema = query.schema;
                forward(
                    socket,
                    query.events,
                    |OutputRow {
                         row, is_tombstone, ..
                     }| { streamed_row(&row, is_tombstone, &schema) },
                )
                .await
            }
            Err(error) => refused(error),
        },
        ClientQuery::Pull {
            schema,
            rows,
            place: _place,
        } => {
            send(socket, columns(&schema)).await?;
            for row in rows {
                send(socket, streamed_row(&row, false, &schema)).await?;
            }
            Ok(End::done())
        }
        ClientQuery::Print(print) => match executor.runtime().print(print).await {
            Ok(lines) => forward(socket, lines, |line: String| json!(line).to_string()).await,
            Err(error) => refused(error),
        },
        ClientQuery::Neither { text } => Ok(End::refused(format!("Unexpected statement type {text}"))),
    }
}

/// What the client asks for.
fn request(parameters: Parameters) -> Result<Request, String> {
    if let Some(version) = parameters.version.filter(|version| version != "1") {
        return Err(format!("Received invalid api version: {version}"));
    }
    let wrong = |reason: &str| format!("Error parsing request: {reason}");
    let Some(text) = parameters.request.filter(|text| !text.is_empty()) else {
        return Err(wrong("missing request parameter"));
    };
    let request: KsqlRequest = serde_json::from_str(&text).map_err(|error| wrong(&error.to_string()))?;
    let request = Request::from(request);
    if request.statements.is_empty() {
        return Err(wrong("\"ksql\" field of \"request\" must be populated"));
    }
    Ok(request)
}

/// Sends what comes, until it ends or the client is gone.
async fn forward<T>(
    socket: &mut WebSocket,
    mut events: mpsc::Receiver<PushEvent<T>>,
    text: impl Fn(T) -> String,
) -> Result<End, Gone> {
    loop {
        let event = tokio::select! {
            event = events.recv() => event,
            message = socket.recv() => match message {
                // Pings are answered on the way; what else a client says means nothing.
                Some(Ok(Message::Text(_) | Message::Binary(_) | Message::Ping(_) | Message::Pong(_))) => continue,
                Some(Ok(Message::Close(_)) | Err(_)) | None => return Err(Gone),
            },
        };
        match event {
            Some(PushEvent::Items(items)) => {
                for item in items {
                    send(socket, text(item)).await?;
                }
            }
            Some(PushEvent::LimitReached) | None => return Ok(End::done()),
            Some(PushEvent::Failed(message)) => return Ok(End::failed(message)),
        }
    }
}

async fn send(socket: &mut WebSocket, text: String) -> Result<(), Gone> {
    let sent = socket.send(Message::Text(text.into())).await;
    sent.map_err(|_| Gone)
}

fn columns(schema: &Schema) -> String {
    let fields: Vec<FieldInfo> = schema.columns.iter().map(FieldInfo::of_column).collect();
    json!(fields).to_string()
}

fn streamed_row(row: &Row, is_tombstone: bool, schema: &Schema) -> String {
    let mut out = String::new();
    write_streamed_row(row, is_tombstone, schema, &mut out);
    out
}

/// A reason that a socket can be closed with.
fn shortened(reason: &str) -> String {
    const DOTS: &str = "...";
    if reason.len() <= LONGEST_REASON {
        return reason.to_owned();
    }
    let mut end = LONGEST_REASON - DOTS.len();
    while !reason.is_char_boundary(end) {
        end -= 1;
    }
    format!("{}{DOTS}", &reason[..end])
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of(version: Option<&str>, request: Option<&str>) -> Result<String, String> {
        let parameters = Parameters {
            version: version.map(str::to_owned),
            request: request.map(str::to_owned),
        };
        super::request(parameters).map(|request| request.statements)
    }

    #[test]
    fn a_request_is_in_the_address() {
        assert_eq!(of(Some("1"), Some(r#"{"ksql":"x;"}"#)), Ok("x;".to_owned()));
        assert_eq!(of(None, Some(r#"{"ksql":"x;"}"#)), Ok("x;".to_owned()));
        for (version, request, refusal) in [
            (
                Some("2"),
                Some(r#"{"ksql":"x;"}"#),
                "Received invalid api version: 2",
            ),
            (None, None, "Error parsing request: missing request parameter"),
            (None, Some(""), "Error parsing request: missing request parameter"),
            (
                None,
                Some("{}"),
                "Error parsing request: \"ksql\" field of \"request\" must be populated",
            ),
        ] {
            assert_eq!(of(version, request), Err(refusal.to_owned()));
        }
        assert!(
            of(None, Some("x"))
                .unwrap_err()
                .starts_with("Error parsing request: ")
        );
    }

    proptest! {
        #[test]
        fn every_reason_fits_into_a_close(reason in ".{0,200}") {
            let short = shortened(&reason);
            prop_assert!(short.len() <= LONGEST_REASON);
            prop_assert!(short == reason || short.ends_with("..."));
        }
    }
}
