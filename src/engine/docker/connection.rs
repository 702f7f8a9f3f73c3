//! A connection to the daemon: opened once, its API version negotiated, every request with a deadline.

use std::sync::Arc;
use std::time::Duration;

use bollard::errors::Error;
use bollard::{API_DEFAULT_VERSION, BollardRequest, Docker};
use tokio::sync::Semaphore;
use tokio::time::timeout;

use crate::engine::docker::daemon::{ApiVersion, Daemon};
use crate::engine::docker::endpoint::{Endpoint, Security};
use crate::engine::docker::error::{DockerError, io_kind, with_causes};
use crate::stack::ImageRef;

/// How long the daemon may take to say that it is there.
const GREETING_LIMIT: Duration = Duration::from_secs(10);

/// How long the daemon may take for what needs no waiting: longer than a busy machine takes.
const ANSWER_LIMIT: Duration = Duration::from_secs(60);

/// How many images are pulled at once: one comes while another is unpacked.
const PULLS_AT_ONCE: usize = 2;

/// The oldest API that has all we use: Docker 19.03.
const OLDEST_API: ApiVersion = ApiVersion(1, 40);

/// What Go's HTTP server says to who speaks in the clear where it expects TLS.
const TLS_WANTED: &str = "HTTP request to an HTTPS server";

/// A daemon that answers.
#[derive(Debug, Clone)]
pub struct Connection {
    /// The client.
    pub(super) docker: Docker,
    /// Whose turn it is to pull.
    pub(super) pulls: Arc<Semaphore>,
    /// Where the daemon is.
    pub endpoint: Endpoint,
    /// Which daemon it is.
    pub daemon: Daemon,
    /// The API that is spoken.
    pub api: ApiVersion,
    /// The machine that it runs containers on, such as `amd64`.
    pub architecture: String,
}

impl Connection {
    /// Connects to the daemon of this process's surroundings.
    ///
    /// # Errors
    /// When there is none, or it does not answer.
    pub async fn open() -> Result<Self, DockerError> {
        Self::open_at(Endpoint::find()?).await
    }

    async fn open_at(endpoint: Endpoint) -> Result<Self, DockerError> {
        if endpoint.security == Security::Tls {
            return Err(DockerError::Tls {
                endpoint: endpoint.to_string(),
            });
        }
        let docker =
            Docker::connect_with_host(&endpoint.address).map_err(|error| unreachable(&endpoint, &error))?;
        let version = match timeout(GREETING_LIMIT, docker.version()).await {
            Ok(answer) => answer.map_err(|error| unanswered(&endpoint, &error))?,
            Err(_) => {
                return Err(DockerError::Unreachable {
                    endpoint: endpoint.to_string(),
                    reason: format!("no answer within {} s", GREETING_LIMIT.as_secs()),
                });
            }
        };
        let Some(api) = version.api_version.as_deref().and_then(ApiVersion::parse) else {
            return Err(DockerError::Stranger {
                endpoint: endpoint.to_string(),
                answer: "it names no version of the API".to_owned(),
            });
        };
        if api < OLDEST_API {
            return Err(DockerError::TooOld {
                endpoint: endpoint.to_string(),
                found: api,
                needed: OLDEST_API,
            });
        }
        let api = api.min(newest_api());
        Ok(Self {
            docker: with_version(docker, api),
            pulls: Arc::new(Semaphore::new(PULLS_AT_ONCE)),
            daemon: Daemon::of(&version),
            api,
            architecture: version.arch.unwrap_or_default(),
            endpoint,
        })
    }

    /// Refuses a daemon whose containers would publish their ports where nobody here reaches them.
    ///
    /// # Errors
    /// When the daemon is such a one.
    pub fn check_local(&self) -> Result<(), DockerError> {
        if self.endpoint.is_local() {
            return Ok(());
        }
        Err(DockerError::Remote {
            endpoint: self.endpoint.to_string(),
        })
    }

    /// Whether the daemon has an image.
    ///
    /// # Errors
    /// When the daemon does not answer.
    pub async fn has_image(&self, image: &ImageRef) -> Result<bool, DockerError> {
        let request = self.docker.inspect_image(image.as_str());
        match self.answer("inspect", &format!("image {image}"), request).await {
            Ok(_) => Ok(true),
            Err(error) if error.is_not_found() => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// The error, if it is one of the way to the daemon.
    pub(super) fn connection_error(&self, error: &Error) -> Option<DockerError> {
        io_kind(error).map(|_| unreachable(&self.endpoint, error))
    }

    /// Waits for an answer of the daemon, up to the usual limit.
    pub(super) async fn answer<T>(
        &self,
        action: &'static str,
        object: &str,
        request: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, DockerError> {
        self.answer_within(ANSWER_LIMIT, action, object, request).await
    }

    /// Waits for an answer of the daemon.
    pub(super) async fn answer_within<T>(
        &self,
        limit: Duration,
        action: &'static str,
        object: &str,
        request: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, DockerError> {
        match timeout(limit, request).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(error)) if io_kind(&error).is_some() => Err(unreachable(&self.endpoint, &error)),
            Ok(Err(error)) => Err(DockerError::api(action, object, &error)),
            Err(_) => Err(DockerError::TooSlow {
                action,
                object: object.to_owned(),
                limit,
            }),
        }
    }
}

/// The newest API that the client knows.
fn newest_api() -> ApiVersion {
    ApiVersion(
        API_DEFAULT_VERSION.major_version as u32,
        API_DEFAULT_VERSION.minor_version as u32,
    )
}

/// The client asks without a version, which gets whatever API is the daemon's newest, and is to be refused one day
/// (<https://docs.docker.com/reference/api/engine/#versioned-api-and-sdk>).
fn with_version(docker: Docker, api: ApiVersion) -> Docker {
    docker.with_request_modifier(move |mut request: BollardRequest| {
        let uri = request.uri();
        let scheme = uri.scheme_str().unwrap_or_default();
        let authority = uri.authority().map(|authority| authority.as_str());
        let path = uri.path_and_query().map(|path| path.as_str());
        let versioned = format!(
            "{scheme}://{}/v{api}{}",
            authority.unwrap_or_default(),
            path.unwrap_or_default()
        );
        if let Ok(uri) = versioned.parse() {
            *request.uri_mut() = uri;
        }
        request
    })
}

/// What is wrong with an answer to the first question.
fn unanswered(endpoint: &Endpoint, error: &Error) -> DockerError {
    let shown = endpoint.to_string();
    match error {
        Error::DockerResponseServerError { message, .. } if message.contains(TLS_WANTED) => {
            DockerError::Tls { endpoint: shown }
        }
        // What stands in for a daemon that starts or stops says so in its own words.
        Error::DockerResponseServerError {
            status_code: 500..,
            message,
        } => DockerError::Unreachable {
            endpoint: shown,
            reason: message.trim().to_owned(),
        },
        Error::DockerResponseServerError { status_code, .. } => DockerError::Stranger {
            endpoint: shown,
            answer: format!("HTTP status {status_code}"),
        },
        Error::JsonDataError { .. } => DockerError::Stranger {
            endpoint: shown,
            answer: "not what a daemon answers".to_owned(),
        },
        other if io_kind(other).is_none() && is_answer(other) => DockerError::Stranger {
            endpoint: shown,
            answer: with_causes(other),
        },
        other => unreachable(endpoint, other),
    }
}

/// Whether the error is about what came back, and not about the way.
fn is_answer(error: &Error) -> bool {
    matches!(
        error,
        Error::HyperLegacyError { err } if !err.is_connect()
    )
}

fn unreachable(endpoint: &Endpoint, error: &Error) -> DockerError {
    let endpoint = endpoint.to_string();
    match (error, io_kind(error)) {
        (Error::UnsupportedURISchemeError { .. }, _) => DockerError::UnsupportedEndpoint { endpoint },
        (_, Some(std::io::ErrorKind::PermissionDenied)) => DockerError::Permission { endpoint },
        (Error::SocketNotFoundError(_), _) => DockerError::Unreachable {
            endpoint,
            reason: "there is no such socket".to_owned(),
        },
        (_, Some(std::io::ErrorKind::ConnectionRefused)) => DockerError::Unreachable {
            endpoint,
            reason: "nobody listens there".to_owned(),
        },
        _ => DockerError::Unreachable {
            endpoint,
            reason: with_causes(error),
        },
    }
}
