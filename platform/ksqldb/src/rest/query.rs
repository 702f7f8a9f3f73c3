//! `POST /query`, `/query-stream`, `/close-query`: rows as they come.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::task::{Context, Poll};

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use futures_core::Stream;
use serde::Deserialize;
use serde_json::{Value as Json, json};
use tokio::sync::{OwnedSemaphorePermit, mpsc};

use super::accept::{DELIMITED, JSON, KSQL_JSON, choose, choose_or};
use super::ksql::KsqlRequest;
use super::row::{write_row, write_streamed_row, write_text};
use super::{App, response};
use crate::execution::{ClientQuery, ErrorCode, Failure, Request};
use crate::plan::schema_text;
use crate::runtime::{PushEvent, PushQuery};
use crate::task::OutputRow;
use crate::types::Schema;
use crate::value::Row;

/// How rows are put into the body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum RowFormat {
    /// `[{"header":…},\n{"row":…},\n{"finalMessage":…}]`
    Rows,
    /// A line of metadata, then a line a row.
    Delimited,
    /// `[{metadata},[…],[…]]`
    Array,
}

impl RowFormat {
    fn media_type(self) -> &'static str {
        match self {
            Self::Rows => KSQL_JSON,
            Self::Delimited => DELIMITED,
            Self::Array => JSON,
        }
    }

    fn begin(self, id: &str, schema: &Schema) -> String {
        let mut out = String::new();
        match self {
            Self::Rows => {
                out.push_str("[{\"header\":{\"queryId\":");
                write_text(id, &mut out);
                out.push_str(",\"schema\":");
                write_text(&schema_text(schema), &mut out);
                out.push_str("}},\n");
            }
            Self::Delimited | Self::Array => {
                let names: Vec<&str> = schema.columns.iter().map(|column| column.name.as_str()).collect();
                let types: Vec<String> = schema
                    .columns
                    .iter()
                    .map(|column| column.sql_type.to_string())
                    .collect();
                let metadata = json!({"queryId": id, "columnNames": names, "columnTypes": types});
                if self == Self::Array {
                    out.push('[');
                }
                out.push_str(&metadata.to_string());
                if self == Self::Delimited {
                    out.push('\n');
                }
            }
        }
        out
    }

    fn rows(self, rows: &[OutputRow], schema: &Schema) -> String {
        let mut out = String::new();
        // Only the first form has a way to say that a row is gone.
        let told = rows.iter().filter(|row| self == Self::Rows || !row.is_tombstone);
        for OutputRow {
            row, is_tombstone, ..
        } in told
        {
            match self {
                Self::Rows => {
                    write_streamed_row(row, *is_tombstone, schema, &mut out);
                    out.push_str(",\n");
                }
                Self::Delimited => {
                    write_row(row, schema, &mut out);
                    out.push('\n');
                }
                Self::Array => {
                    out.push(',');
                    write_row(row, schema, &mut out);
                }
            }
        }
        out
    }

    /// A whole answer: a pull query has no last message.
    fn answer(self, id: &str, schema: &Schema, rows: Vec<Row>) -> String {
        let mut out = self.begin(id, schema);
        let rows = rows.into_iter().map(|row| OutputRow {
            row,
            timestamp: 0,
            is_tombstone: false,
        });
        let rows: Vec<OutputRow> = rows.collect();
        out.push_str(&self.rows(&rows, schema));
        match self {
            Self::Rows => {
                // The last one is followed by nothing.
                let end = out.trim_end_matches(['\n', ',']).len();
                out.truncate(end);
                out.push(']');
            }
            Self::Delimited => {}
            Self::Array => out.push(']'),
        }
        out
    }

    fn error(self, message: &str) -> String {
        let error = Failure::generic(ErrorCode::ServerError, message).to_json();
        match self {
            Self::Rows => format!("{{\"errorMessage\":{error}}}]"),
            Self::Delimited => format!("{error}\n"),
            Self::Array => format!(",{error}]"),
        }
    }

    fn end(self, message: &str) -> String {
        match self {
            Self::Rows => format!("{{\"finalMessage\":\"{message}\"}}]"),
            Self::Delimited => String::new(),
            Self::Array => "]".to_owned(),
        }
    }
}

/// The body of a push query. The client that goes away drops it, and with it the query.
struct RowBody {
    format: RowFormat,
    schema: Schema,
    events: mpsc::Receiver<PushEvent<OutputRow>>,
    begin: Option<String>,
    ended: bool,
}

impl RowBody {
    fn new(format: RowFormat, query: PushQuery) -> Self {
        Self {
            format,
            begin: Some(format.begin(&query.id, &query.schema)),
            schema: query.schema,
            events: query.events,
            ended: false,
        }
    }
}

impl Stream for RowBody {
    type Item = Result<Bytes, std::convert::Infallible>;

    fn poll_next(mut self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if let Some(begin) = self.begin.take() {
            return Poll::Ready(Some(Ok(begin.into())));
        }
        if self.ended {
            return Poll::Ready(None);
        }
        let text = match self.events.poll_recv(task) {
            Poll::Pending => return Poll::Pending,
            Poll::Ready(Some(PushEvent::Items(rows))) => {
                return Poll::Ready(Some(Ok(self.format.rows(&rows, &self.schema).into())));
            }
            Poll::Ready(Some(PushEvent::LimitReached)) => self.format.end("Limit Reached"),
            Poll::Ready(Some(PushEvent::Failed(message))) => self.format.error(&message),
            Poll::Ready(None) => self.format.end("Query Completed"),
        };
        self.ended = true;
        Poll::Ready((!text.is_empty()).then(|| Ok(text.into())))
    }
}

/// The body of a pull query. It keeps the query's place until the client has taken all but the last part.
struct AnswerBody {
    rest: Bytes,
    place: Option<OwnedSemaphorePermit>,
}

/// How much of an answer is handed over at a time.
const PART: usize = 64 * 1024;

impl Stream for AnswerBody {
    type Item = Result<Bytes, std::convert::Infallible>;

    fn poll_next(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.rest.is_empty() {
            self.place = None;
            return Poll::Ready(None);
        }
        let length = self.rest.len().min(PART);
        let part = self.rest.split_to(length);
        Poll::Ready(Some(Ok(part)))
    }
}

/// The body of `PRINT`.
struct LineBody(mpsc::Receiver<PushEvent<String>>);

impl Stream for LineBody {
    type Item = Result<Bytes, std::convert::Infallible>;

    fn poll_next(mut self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.poll_recv(task).map(|event| {
            let text = match event? {
                PushEvent::Items(lines) => lines.join("\n") + "\n",
                PushEvent::Failed(message) => message + "\n",
                PushEvent::LimitReached => return None,
            };
            Some(Ok(text.into()))
        })
    }
}

/// `POST /query`
pub(super) async fn query(State(shared): State<App>, headers: HeaderMap, body: Bytes) -> Response {
    let format = match choose_or(&headers, &[KSQL_JSON, JSON, DELIMITED], Some(DELIMITED)) {
        Some(DELIMITED) => RowFormat::Delimited,
        Some(_) => RowFormat::Rows,
        None => return response::not_acceptable(),
    };
    let result = async {
        let request: KsqlRequest = response::parse(&body)?;
        match run(&shared, request.into(), format, true).await? {
            Ran::Response(response) => Ok(response),
            // As the real server says it, class name and all.
            Ran::Nothing { .. } => Ok(response::failure(&Failure::generic(
                ErrorCode::BadRequest,
                "Statement type `io.confluent.ksql.parser.KsqlParser$PreparedStatement' not supported for this resource",
            ))),
        }
    };
    result
        .await
        .unwrap_or_else(|failure| response::untyped_failure(&failure))
}

/// The body of `/query-stream`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct QueryStreamRequest {
    sql: String,
    #[serde(default)]
    properties: Option<BTreeMap<String, Json>>,
    #[serde(default)]
    session_variables: Option<BTreeMap<String, Json>>,
}

/// `POST /query-stream`
pub(super) async fn query_stream(State(shared): State<App>, headers: HeaderMap, body: Bytes) -> Response {
    let format = match choose(&headers, &[DELIMITED, JSON, KSQL_JSON]) {
        Some(DELIMITED) => RowFormat::Delimited,
        Some(JSON) => RowFormat::Array,
        Some(_) => RowFormat::Rows,
        None => return response::not_acceptable(),
    };
    let result = async {
        let request: QueryStreamRequest = response::parse(&body)?;
        let request = Request {
            statements: request.sql,
            properties: request.properties.unwrap_or_default(),
            variables: request.session_variables.unwrap_or_default(),
            ..Request::default()
        };
        match run(&shared, request, format, format == RowFormat::Delimited).await? {
            Ran::Response(response) => Ok(response),
            Ran::Nothing { text } => Err(Failure::bad_statement(
                format!("Neither a query nor a print statement\nStatement: {text}"),
                &text,
            )),
        }
    };
    result
        .await
        .unwrap_or_else(|failure| response::untyped_failure(&failure))
}

/// What became of a statement.
enum Ran {
    /// Its rows are on their way.
    Response(Response),
    /// It has none.
    Nothing { text: String },
}

async fn run(shared: &App, request: Request, format: RowFormat, may_print: bool) -> Result<Ran, Failure> {
    let executor = shared.executor()?;
    match executor.client_query(&request).await? {
        ClientQuery::Push {
            plan,
            alias,
            text,
            extent,
        } => {
            let query = executor
                .runtime()
                .push(*plan, &alias, text.clone(), extent)
                .await
                .map_err(|error| push_failure(&error, &text))?;
            let body = Body::from_stream(RowBody::new(format, query));
            let response = response::with_type(StatusCode::OK, format.media_type(), body);
            Ok(Ran::Response(response))
        }
        ClientQuery::Pull { schema, rows, place } => {
            let id = format!("query_{}", osqdemo_clock::unix_ms());
            let body = AnswerBody {
                rest: format.answer(&id, &schema, rows).into(),
                place: Some(place),
            };
            let body = Body::from_stream(body);
            let response = response::with_type(StatusCode::OK, format.media_type(), body);
            Ok(Ran::Response(response))
        }
        ClientQuery::Neither { text } => Ok(Ran::Nothing { text }),
        ClientQuery::Print(_) if !may_print => Ok(Ran::Response(response::not_acceptable())),
        ClientQuery::Print(print) => {
            let lines = executor
                .runtime()
                .print(print)
                .await
                .map_err(|error| push_failure(&error, &request.statements))?;
            let body = Body::from_stream(LineBody(lines));
            Ok(Ran::Response(response::with_type(StatusCode::OK, JSON, body)))
        }
    }
}

pub(super) fn push_failure(error: &crate::runtime::PushError, statement: &str) -> Failure {
    use crate::runtime::PushError;
    let code = match error {
        PushError::MissingTopic { .. } => ErrorCode::BadStatement,
        PushError::TooMany { .. } => ErrorCode::TooManyPushQueries,
        PushError::Position(_) | PushError::Read(_) => ErrorCode::ServerError,
    };
    Failure::of_statement(code, error.to_string(), statement)
}

/// The body of `/close-query`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct CloseQueryRequest {
    query_id: String,
}

/// `POST /close-query`
pub(super) async fn close_query(State(shared): State<App>, body: Bytes) -> Response {
    let result = || {
        let request: CloseQueryRequest = response::parse(&body)?;
        if shared.executor()?.runtime().close(&request.query_id) {
            Ok(())
        } else {
            let message = format!("No query with id {}", request.query_id);
            Err(Failure::generic(ErrorCode::BadRequest, message))
        }
    };
    match result() {
        Ok(()) => StatusCode::OK.into_response(),
        Err(failure) => response::untyped_failure(&failure),
    }
}

#[cfg(test)]
mod tests;
