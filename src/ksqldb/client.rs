//! ksqlDB's REST API, as a client speaks it to 0.29 and to 0.6.
//!
//! Statements go to `/ksql`, queries and `PRINT` to `/query`, which both versions have and which answers
//! HTTP/1.1. Knows nothing of files, terminals or stacks.

use std::error::Error as StdError;
use std::fs;
use std::path::Path;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use reqwest::header::{ACCEPT, AUTHORIZATION, DATE, HeaderMap, HeaderValue};
use reqwest::{Certificate, Response, StatusCode};
use serde_json::{Value, json};
use tokio::time;

use super::entity::Entity;
use super::error::{Error, ServerError};
use super::row_stream::RowStream;
use super::rows::Decoder;
use super::session::Session;
use super::statement::{Kind, Statement};
use crate::events::Doing;
use crate::stack::{Credentials, HttpService};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// A `CREATE STREAM AS SELECT` waits for the command topic and for the query to start.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(60);
const MEDIA_TYPE: &str = "application/vnd.ksql.v1+json";

pub(super) type Result<T> = std::result::Result<T, Error>;

/// A client of one server. A cheap clone; connections are kept and shared.
#[derive(Debug, Clone)]
pub struct Client {
    http: reqwest::Client,
    /// Without a slash at the end.
    base_url: String,
}

/// What `/info` tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerInfo {
    /// The version, such as `0.29.0`.
    pub version: String,
    /// `RUNNING` when statements are accepted; servers before 0.10 do not say.
    pub status: Option<String>,
}

impl Client {
    /// A client of the server at `url`. Connects when first asked something.
    ///
    /// # Errors
    /// When the URL is not one that HTTP has.
    pub fn new(url: &str) -> Result<Self> {
        Self::of(&HttpService::open(url))
    }

    /// A client of that server, which may want to know who asks.
    ///
    /// # Errors
    /// When its URL is not one that HTTP has, or the certificates to trust cannot be read.
    pub fn of(service: &HttpService) -> Result<Self> {
        let url = service.url.as_str();
        let invalid = || Error::InvalidUrl { url: url.to_owned() };
        let base_url = url.trim_end_matches('/').to_owned();
        let parsed = reqwest::Url::parse(&base_url).map_err(|_| invalid())?;
        if !matches!(parsed.scheme(), "http" | "https") || !parsed.has_host() {
            return Err(invalid());
        }
        let mut builder = reqwest::Client::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            // The server is one of ours: a proxy meant for the web does not reach it.
            .no_proxy()
            .tcp_nodelay(true);
        // Reading the system's certificates takes longer than most requests.
        if parsed.scheme() == "http" {
            builder = builder.tls_certs_only([]);
        }
        if let Some(file) = &service.certificates {
            builder = builder.tls_certs_only(trusted(file)?);
        }
        if let Some(credentials) = &service.credentials {
            builder = builder.default_headers(authorization(credentials));
        }
        let http = builder.build().map_err(|_| invalid())?;
        Ok(Self { http, base_url })
    }

    /// The server's base URL.
    pub fn url(&self) -> &str {
        &self.base_url
    }

    /// What is done while a request is not answered, for progress.
    pub fn waiting(&self) -> Doing {
        Doing::AwaitingAnswer {
            server: self.base_url.clone(),
        }
    }

    /// Asks for version and status.
    ///
    /// # Errors
    /// When there is no usable answer.
    pub async fn info(&self) -> Result<ServerInfo> {
        let answer = self.get("/info").await?;
        let info = &answer["KsqlServerInfo"];
        let Some(version) = info["version"].as_str() else {
            return Err(self.unexpected("/info", "no version"));
        };
        Ok(ServerInfo {
            version: version.to_owned(),
            status: info["serverStatus"].as_str().map(str::to_owned),
        })
    }

    /// The same, with the server's time, where it tells that (RFC 9110, `Date`).
    ///
    /// # Errors
    /// When there is no usable answer.
    pub async fn info_and_time(&self) -> Result<(ServerInfo, Option<Timestamp>)> {
        let info = self.info().await?;
        let request = self
            .http
            .get(format!("{}/info", self.base_url))
            .header(ACCEPT, MEDIA_TYPE);
        let response = self.send(request).await?;
        let date = response.headers().get(DATE).and_then(|date| date.to_str().ok());
        let time = date.and_then(|date| jiff::fmt::rfc2822::parse(date).ok());
        Ok((info, time.map(|time| time.timestamp())))
    }

    /// Asks whether the server and what it depends on are well.
    ///
    /// # Errors
    /// When there is no usable answer.
    pub async fn is_healthy(&self) -> Result<bool> {
        let answer = self.get("/healthcheck").await?;
        answer["isHealthy"]
            .as_bool()
            .ok_or_else(|| self.unexpected("/healthcheck", "no `isHealthy`"))
    }

    /// Asks whether a property may be set.
    ///
    /// # Errors
    /// [`Error::Rejected`] when it may not.
    pub async fn check_property(&self, name: &str) -> Result<()> {
        let mut url = reqwest::Url::parse(&self.base_url).map_err(|_| Error::InvalidUrl {
            url: self.base_url.clone(),
        })?;
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().extend(["is_valid_property", name]);
        }
        let request = self.http.get(url).header(ACCEPT, MEDIA_TYPE);
        self.answer(request, "/is_valid_property").await.map(drop)
    }

    /// Runs a statement that answers at once.
    ///
    /// # Errors
    /// [`Error::Rejected`] when ksqlDB refuses it, also when it was accepted and then failed.
    pub async fn execute(&self, statement: &Statement, session: &Session) -> Result<Vec<Entity>> {
        let request = self.request("/ksql", statement, session);
        let Value::Array(entities) = self.answer(request, "/ksql").await? else {
            return Err(self.unexpected("/ksql", "not a list of results"));
        };
        let entities = entities
            .into_iter()
            .map(Entity::try_from)
            .collect::<std::result::Result<Vec<_>, ()>>()
            .map_err(|()| self.unexpected("/ksql", "a result that is not an object"))?;
        match entities.iter().find_map(Entity::failure) {
            Some(error) => Err(Error::Rejected(error)),
            None => Ok(entities),
        }
    }

    /// Starts a query or `PRINT`. Returns once the server has accepted it; rows come from the stream.
    /// Dropping the stream ends the query.
    ///
    /// # Errors
    /// [`Error::Rejected`] when ksqlDB refuses it.
    pub async fn query(&self, statement: &Statement, session: &Session) -> Result<RowStream> {
        let request = self.request("/query", statement, session);
        let response = self.send(request).await?;
        let response = self.accepted(response, "/query").await?;
        let decoder = match statement.kind() {
            Kind::Print => Decoder::lines(),
            Kind::Query | Kind::Command => Decoder::rows(),
        };
        Ok(RowStream::new(response, decoder, self.base_url.clone()))
    }

    fn request(&self, path: &str, statement: &Statement, session: &Session) -> reqwest::RequestBuilder {
        let mut body = json!({
            "ksql": statement.text,
            "streamsProperties": session.properties(),
        });
        // Servers before 0.18 do not know the field.
        if !session.variables().is_empty() {
            body["sessionVariables"] = json!(session.variables());
        }
        self.http
            .post(format!("{}{path}", self.base_url))
            .header(ACCEPT, MEDIA_TYPE)
            .json(&body)
    }

    async fn get(&self, path: &str) -> Result<Value> {
        let request = self
            .http
            .get(format!("{}{path}", self.base_url))
            .header(ACCEPT, MEDIA_TYPE);
        self.answer(request, path).await
    }

    /// Sends a request and reads its whole answer.
    async fn answer(&self, request: reqwest::RequestBuilder, path: &str) -> Result<Value> {
        let exchange = async {
            let response = self.send(request).await?;
            let response = self.accepted(response, path).await?;
            let body = response.bytes().await.map_err(|error| self.lost(&error))?;
            serde_json::from_slice(&body).map_err(|error| self.unexpected(path, error))
        };
        time::timeout(ANSWER_TIMEOUT, exchange)
            .await
            .unwrap_or_else(|_| Err(self.timed_out()))
    }

    /// Sends a request and waits for the head of the answer.
    async fn send(&self, request: reqwest::RequestBuilder) -> Result<Response> {
        match time::timeout(ANSWER_TIMEOUT, request.send()).await {
            Ok(Ok(response)) => Ok(response),
            Ok(Err(error)) if error.is_connect() => Err(Error::Unreachable {
                url: self.base_url.clone(),
                reason: innermost(&error),
            }),
            Ok(Err(error)) => Err(self.lost(&error)),
            Err(_) => Err(self.timed_out()),
        }
    }

    /// Passes an answer of success on; turns any other into ksqlDB's error.
    async fn accepted(&self, response: Response, path: &str) -> Result<Response> {
        let status = response.status();
        if status == StatusCode::OK {
            return Ok(response);
        }
        let body = match time::timeout(ANSWER_TIMEOUT, response.bytes()).await {
            Ok(body) => body.map_err(|error| self.lost(&error))?,
            Err(_) => return Err(self.timed_out()),
        };
        let error = serde_json::from_slice(&body)
            .ok()
            .and_then(|body: Value| ServerError::from_json(&body));
        Err(match error {
            error if is_about_the_client(status, error.is_some()) => Error::Refused {
                url: self.base_url.clone(),
                status: status.as_u16(),
                reason: error.map(|error| error.message).unwrap_or_default(),
            },
            Some(error) => Error::Rejected(error),
            None => self.unexpected(path, format_args!("HTTP status {status}")),
        })
    }

    fn lost(&self, error: &reqwest::Error) -> Error {
        Error::Lost {
            url: self.base_url.clone(),
            reason: innermost(error),
        }
    }

    fn timed_out(&self) -> Error {
        Error::TimedOut {
            url: self.base_url.clone(),
            after: ANSWER_TIMEOUT,
        }
    }

    fn unexpected(&self, path: &str, problem: impl std::fmt::Display) -> Error {
        Error::UnexpectedAnswer {
            url: format!("{}{path}", self.base_url),
            problem: problem.to_string(),
        }
    }
}

/// Whether an answer is about who asks. Why a statement is forbidden, ksqlDB says itself.
fn is_about_the_client(status: StatusCode, says_why: bool) -> bool {
    status == StatusCode::UNAUTHORIZED || (status == StatusCode::FORBIDDEN && !says_why)
}

/// The certificates of a file.
fn trusted(file: &Path) -> Result<Vec<Certificate>> {
    let unusable = |reason: String| Error::Certificates {
        file: file.to_owned(),
        reason,
    };
    let text = fs::read(file).map_err(|error| unusable(error.to_string()))?;
    let certificates = Certificate::from_pem_bundle(&text).map_err(|error| unusable(innermost(&error)))?;
    if certificates.is_empty() {
        return Err(unusable("it holds no certificate".to_owned()));
    }
    Ok(certificates)
}

/// HTTP's basic authentication.
fn authorization(Credentials { user, password }: &Credentials) -> HeaderMap {
    let encoded = STANDARD.encode(format!("{user}:{password}"));
    let mut headers = HeaderMap::new();
    // Base64 is always a value that a header may have.
    if let Ok(mut value) = HeaderValue::try_from(format!("Basic {encoded}")) {
        value.set_sensitive(true);
        headers.insert(AUTHORIZATION, value);
    }
    headers
}

/// The cause at the bottom of an HTTP error: `Connection refused (os error 111)`, not `error sending request`.
pub(super) fn innermost(error: &reqwest::Error) -> String {
    let mut cause: &dyn StdError = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}

#[cfg(test)]
#[path = "client_tests.rs"]
mod tests;
