//! ksqlDB's REST API, as the console speaks it.

use std::error::Error as StdError;
use std::time::Duration;

use reqwest::header::ACCEPT;
use serde_json::{Value, json};

use crate::access;
use crate::config::Access;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
const ANSWER_TIMEOUT: Duration = Duration::from_secs(60);
/// The longest line of a push query's answer.
const ROW_LIMIT: usize = 16 * 1024 * 1024;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum KsqldbError {
    /// Not an address.
    #[error("`{0}` is not a URL")]
    Url(String),
    /// No client can be made.
    #[error("{0}")]
    Access(String),
    /// The server does not answer.
    #[error("ksqlDB does not answer: {0}")]
    Unreachable(String),
    /// The server refuses the statement.
    #[error("{}", .body["message"].as_str().unwrap_or("ksqlDB refused the statement"))]
    Refused {
        /// The HTTP status.
        status: u16,
        /// ksqlDB's error.
        body: Value,
    },
    /// Something else answered.
    #[error("an answer that is not ksqlDB's: {0}")]
    Unexpected(String),
}

/// A client of one server. A cheap clone.
#[derive(Debug, Clone)]
pub struct Ksqldb {
    http: reqwest::Client,
    base_url: String,
}

impl Ksqldb {
    /// A client of the server at `url`.
    ///
    /// # Errors
    /// [`KsqldbError::Url`], [`KsqldbError::Access`].
    pub fn new(url: &str, access: &Access) -> Result<Self, KsqldbError> {
        let base_url = url.trim_end_matches('/').to_owned();
        let wrong = || KsqldbError::Url(url.to_owned());
        let parsed = reqwest::Url::parse(&base_url).map_err(|_| wrong())?;
        if !matches!(parsed.scheme(), "http" | "https") {
            return Err(wrong());
        }
        let http = access::client(access)
            .map_err(KsqldbError::Access)?
            .connect_timeout(CONNECT_TIMEOUT)
            .tcp_nodelay(true)
            .build()
            .map_err(|error| KsqldbError::Access(error.to_string()))?;
        Ok(Self { http, base_url })
    }

    /// Runs statements; the results are ksqlDB's own objects.
    ///
    /// # Errors
    /// When ksqlDB is away or refuses one.
    pub async fn execute(&self, statements: &str, properties: &Value) -> Result<Vec<Value>, KsqldbError> {
        let request = self
            .http
            .post(format!("{}/ksql", self.base_url))
            .header(ACCEPT, "application/vnd.ksql.v1+json")
            .timeout(ANSWER_TIMEOUT)
            .json(&json!({"ksql": statements, "streamsProperties": properties}));
        let response = accepted(request.send().await.map_err(unreachable)?).await?;
        let body = response.bytes().await.map_err(unreachable)?;
        match serde_json::from_slice(&body) {
            Ok(Value::Array(results)) => Ok(results),
            _ => Err(KsqldbError::Unexpected("not a list of results".to_owned())),
        }
    }

    /// Starts a query. Dropping the rows ends it.
    ///
    /// # Errors
    /// When ksqlDB is away or refuses it.
    pub async fn query(&self, sql: &str, properties: &Value) -> Result<Rows, KsqldbError> {
        let request = self
            .http
            .post(format!("{}/query-stream", self.base_url))
            .header(ACCEPT, "application/vnd.ksqlapi.delimited.v1")
            .json(&json!({"sql": sql, "properties": properties}));
        let response = accepted(request.send().await.map_err(unreachable)?).await?;
        Ok(Rows {
            response,
            pending: Vec::new(),
        })
    }

    /// The version and state of the server.
    ///
    /// # Errors
    /// When ksqlDB is away.
    pub async fn info(&self) -> Result<Value, KsqldbError> {
        let request = self
            .http
            .get(format!("{}/info", self.base_url))
            .timeout(CONNECT_TIMEOUT);
        let response = accepted(request.send().await.map_err(unreachable)?).await?;
        let body = response.bytes().await.map_err(unreachable)?;
        serde_json::from_slice(&body).map_err(|error| KsqldbError::Unexpected(error.to_string()))
    }
}

/// The answer of a query: one line of JSON after the other, the header first.
#[derive(Debug)]
pub struct Rows {
    response: reqwest::Response,
    pending: Vec<u8>,
}

impl Rows {
    /// The next line; none when the query has ended. Dropping the future loses nothing.
    ///
    /// # Errors
    /// When the connection ends early.
    pub async fn next(&mut self) -> Result<Option<Value>, KsqldbError> {
        loop {
            if let Some(end) = memchr::memchr(b'\n', &self.pending) {
                let line: Vec<u8> = self.pending.drain(..=end).collect();
                match parse(&line)? {
                    Some(value) => return Ok(Some(value)),
                    None => continue,
                }
            }
            if self.pending.len() > ROW_LIMIT {
                return Err(KsqldbError::Unexpected(format!(
                    "a row of more than {ROW_LIMIT} bytes"
                )));
            }
            match self.response.chunk().await.map_err(unreachable)? {
                Some(chunk) => self.pending.extend_from_slice(&chunk),
                None => return parse(&std::mem::take(&mut self.pending)),
            }
        }
    }
}

fn parse(line: &[u8]) -> Result<Option<Value>, KsqldbError> {
    let line = line.trim_ascii();
    if line.is_empty() {
        return Ok(None);
    }
    serde_json::from_slice(line)
        .map(Some)
        .map_err(|error| KsqldbError::Unexpected(error.to_string()))
}

async fn accepted(response: reqwest::Response) -> Result<reqwest::Response, KsqldbError> {
    let status = response.status();
    if status.is_success() {
        return Ok(response);
    }
    let body = response.bytes().await.map_err(unreachable)?;
    match serde_json::from_slice::<Value>(&body) {
        Ok(body) if body.is_object() => Err(KsqldbError::Refused {
            status: status.as_u16(),
            body,
        }),
        _ => Err(KsqldbError::Unexpected(format!("HTTP status {status}"))),
    }
}

/// The cause at the bottom of an HTTP error.
fn unreachable(error: reqwest::Error) -> KsqldbError {
    let mut cause: &dyn StdError = &error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    KsqldbError::Unreachable(cause.to_string())
}
