//! Kafka Connect as statements use it: its REST API.

use std::collections::BTreeMap;
use std::error::Error as StdError;
use std::io::ErrorKind;
use std::time::Duration;

use bytes::BytesMut;
use reqwest::{Client, Method, StatusCode, Url};
use serde::{Deserialize, Serialize};
use serde_json::{Value as Json, json};

/// How long one request may take (`ksql.connect.request.timeout.ms`).
const REQUEST_TIMEOUT: Duration = Duration::from_secs(5);
/// The longest answer that is read: the list of what a plugin can be told is the longest there is.
const MOST_ANSWERED: usize = 8 * 1024 * 1024;
/// How often a worker that rebalances is asked again, and how long to wait before.
const AGAIN: (u32, Duration) = (5, Duration::from_millis(500));

/// The address is of no use.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{url}` is not the URL of a Kafka Connect worker: {reason}")]
pub struct ConnectUrlError {
    url: String,
    reason: String,
}

/// Why Kafka Connect did not do as asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ConnectError {
    /// It gave no answer.
    Away {
        /// Its address as people write it, `http://host:port`.
        address: String,
        /// Why.
        reason: String,
    },
    /// It refused.
    Refused {
        /// The HTTP status.
        status: u16,
        /// Its answer as it came.
        body: String,
    },
}

/// How a worker's message begins while workers share out their work anew. What it says of a connector follows later.
const REBALANCE: [&str; 3] = [
    "Cannot complete request momentarily ",
    "Cannot complete request because of a conflicting operation ",
    "Request cannot be completed because a rebalance ",
];

impl ConnectError {
    /// Whether it will pass: a worker answers 409 for a connector that is there already, too.
    pub(crate) fn passes(&self) -> bool {
        #[derive(Deserialize)]
        struct Answer {
            message: String,
        }
        let Self::Refused { status, body } = self else {
            return false;
        };
        if *status != StatusCode::CONFLICT {
            return false;
        }
        let answer: Result<Answer, _> = serde_json::from_str(body);
        answer.is_ok_and(|answer| REBALANCE.iter().any(|begins| answer.message.starts_with(begins)))
    }
}

/// What a connector is told.
pub(crate) type Settings = BTreeMap<String, Option<String>>;

/// A connector.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ConnectorInfo {
    pub(crate) name: String,
    #[serde(default)]
    pub(crate) config: BTreeMap<String, Option<String>>,
    #[serde(default)]
    pub(crate) tasks: Vec<Json>,
    #[serde(rename = "type", default = "unknown")]
    pub(crate) kind: String,
}

/// How a connector does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ConnectorStatus {
    pub(crate) name: String,
    pub(crate) connector: State,
    #[serde(default)]
    pub(crate) tasks: Vec<TaskState>,
    #[serde(rename = "type", default = "unknown")]
    pub(crate) kind: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct State {
    pub(crate) state: String,
    pub(crate) worker_id: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) trace: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct TaskState {
    pub(crate) id: i32,
    #[serde(flatten)]
    pub(crate) state: State,
}

/// A class of connectors that the workers have.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Plugin {
    #[serde(rename(deserialize = "class"))]
    #[serde(rename(serialize = "className"))]
    pub(crate) class: String,
    #[serde(rename = "type")]
    pub(crate) kind: String,
    #[serde(default)]
    pub(crate) version: Option<String>,
}

fn unknown() -> String {
    "unknown".to_owned()
}

#[derive(Deserialize)]
struct Validation {
    #[serde(default)]
    configs: Vec<Validated>,
}

#[derive(Deserialize)]
struct Validated {
    value: ValidatedValue,
}

#[derive(Deserialize)]
struct ValidatedValue {
    name: String,
    #[serde(default)]
    errors: Vec<String>,
}

/// A client of the workers at one address. A cheap clone.
#[derive(Debug, Clone)]
pub(crate) struct Connect {
    url: Url,
    http: Client,
}

impl Connect {
    /// Asks nothing yet.
    pub(crate) fn new(url: &str) -> Result<Self, ConnectUrlError> {
        let wrong = |reason: String| ConnectUrlError {
            // Without what may be a password.
            url: url.rsplit('@').next().unwrap_or_default().to_owned(),
            reason,
        };
        let parsed = Url::parse(url).map_err(|error| wrong(error.to_string()))?;
        if !matches!(parsed.scheme(), "http" | "https") || parsed.cannot_be_a_base() {
            return Err(wrong("it begins with neither http:// nor https://".to_owned()));
        }
        if !parsed.username().is_empty() || parsed.password().is_some() {
            return Err(wrong("a name and a password cannot stand in it".to_owned()));
        }
        let http = Client::builder()
            .timeout(REQUEST_TIMEOUT)
            // It is as near as Kafka.
            .no_proxy()
            .build()
            .map_err(|error| wrong(chain(&error)))?;
        Ok(Self { url: parsed, http })
    }

    /// The names of the connectors.
    pub(crate) async fn names(&self) -> Result<Vec<String>, ConnectError> {
        self.ask(Method::GET, &["connectors"], None).await
    }

    /// A connector.
    pub(crate) async fn info(&self, name: &str) -> Result<ConnectorInfo, ConnectError> {
        self.ask(Method::GET, &["connectors", name], None).await
    }

    /// How a connector does.
    pub(crate) async fn status(&self, name: &str) -> Result<ConnectorStatus, ConnectError> {
        self.ask(Method::GET, &["connectors", name, "status"], None).await
    }

    /// The topics that a connector has used.
    pub(crate) async fn topics(&self, name: &str) -> Result<Vec<String>, ConnectError> {
        #[derive(Deserialize)]
        struct Used {
            #[serde(default)]
            topics: Vec<String>,
        }
        let path = ["connectors", name, "topics"];
        let used: BTreeMap<String, Used> = self.ask(Method::GET, &path, None).await?;
        Ok(used.into_values().flat_map(|used| used.topics).collect())
    }

    /// The classes of connectors that there are.
    pub(crate) async fn plugins(&self) -> Result<Vec<Plugin>, ConnectError> {
        self.ask(Method::GET, &["connector-plugins"], None).await
    }

    /// What is wrong with settings, a text for each of them.
    pub(crate) async fn faults(&self, class: &str, settings: &Settings) -> Result<Vec<String>, ConnectError> {
        let path = ["connector-plugins", class, "config", "validate"];
        let found: Validation = self.ask(Method::PUT, &path, Some(&json!(settings))).await?;
        let faulty = found.configs.into_iter().map(|config| config.value);
        let faulty = faulty.filter(|value| !value.errors.is_empty());
        Ok(faulty
            .map(|value| format!("{} - {}", value.name, value.errors.join(". ")))
            .collect())
    }

    /// Makes a connector.
    pub(crate) async fn create(
        &self,
        name: &str,
        settings: &Settings,
    ) -> Result<ConnectorInfo, ConnectError> {
        let body = json!({ "name": name, "config": settings });
        self.ask(Method::POST, &["connectors"], Some(&body)).await
    }

    /// Ends a connector.
    pub(crate) async fn delete(&self, name: &str) -> Result<(), ConnectError> {
        let path = ["connectors", name];
        self.answer(Method::DELETE, &path, None).await.map(|_| ())
    }

    async fn ask<T: for<'a> Deserialize<'a>>(
        &self,
        method: Method,
        path: &[&str],
        body: Option<&Json>,
    ) -> Result<T, ConnectError> {
        let answer = self.answer(method, path, body).await?;
        serde_json::from_slice(&answer).map_err(|error| self.away(format!("not an answer of its: {error}")))
    }

    /// The body of an answer. While workers share out their work anew nothing can be changed: that passes.
    async fn answer(
        &self,
        method: Method,
        path: &[&str],
        body: Option<&Json>,
    ) -> Result<Vec<u8>, ConnectError> {
        let mut url = self.url.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().extend(path);
        }
        let mut attempts = 0;
        loop {
            attempts += 1;
            let (status, answer) = self.once(method.clone(), url.clone(), body).await?;
            if status.is_success() {
                return Ok(answer);
            }
            let body = String::from_utf8_lossy(&answer).into_owned();
            let refusal = ConnectError::Refused {
                status: status.as_u16(),
                body,
            };
            if !refusal.passes() || attempts > AGAIN.0 {
                return Err(refusal);
            }
            tokio::time::sleep(AGAIN.1).await;
        }
    }

    async fn once(
        &self,
        method: Method,
        url: Url,
        body: Option<&Json>,
    ) -> Result<(StatusCode, Vec<u8>), ConnectError> {
        let away = |error: reqwest::Error| {
            let is_late = error.is_timeout();
            // As Java's client words it, where that is known.
            let reason = match (error.is_connect(), io_kind(&error)) {
                (true, Some(ErrorKind::ConnectionRefused)) => "Connection refused".to_owned(),
                (true, Some(ErrorKind::TimedOut)) => "Connect timed out".to_owned(),
                (true, _) if is_late => "Connect timed out".to_owned(),
                (false, _) if is_late => format!("no answer within {REQUEST_TIMEOUT:?}"),
                _ => chain(&error.without_url()),
            };
            self.away(reason)
        };
        let mut request = self.http.request(method, url);
        if let Some(body) = body {
            request = request.json(body);
        }
        let mut response = request.send().await.map_err(away)?;
        let status = response.status();
        let mut answer = BytesMut::new();
        while let Some(chunk) = response.chunk().await.map_err(away)? {
            if answer.len() + chunk.len() > MOST_ANSWERED {
                return Err(self.away(format!("an answer of more than {MOST_ANSWERED} bytes")));
            }
            answer.extend_from_slice(&chunk);
        }
        Ok((status, answer.into()))
    }

    fn away(&self, reason: String) -> ConnectError {
        let host = self.url.host_str().unwrap_or_default();
        let port = self.url.port_or_known_default().unwrap_or_default();
        ConnectError::Away {
            address: format!("{}://{host}:{port}", self.url.scheme()),
            reason,
        }
    }
}

/// What the system said, where an error comes from that.
fn io_kind(error: &(dyn StdError + 'static)) -> Option<ErrorKind> {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if let Some(said) = error.downcast_ref::<std::io::Error>() {
            return Some(said.kind());
        }
        cause = error.source();
    }
    None
}

/// An error with what it comes from.
fn chain(error: &dyn StdError) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(inner) = source {
        text = format!("{text}: {inner}");
        source = inner.source();
    }
    text
}

#[cfg(test)]
mod tests;
