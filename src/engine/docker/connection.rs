//! A connection to the daemon: opened once, its API version negotiated, every request with a deadline.

use std::sync::Arc;
use std::time::Duration;

use bollard::Docker;
use bollard::errors::Error;
use tokio::sync::Semaphore;
use tokio::time::timeout;

use crate::engine::docker::endpoint::Endpoint;
use crate::engine::docker::error::{DockerError, io_kind, with_causes};
use crate::stack::ImageRef;

/// How long the daemon may take to say that it is there.
const GREETING_LIMIT: Duration = Duration::from_secs(10);

/// How long the daemon may take for what needs no waiting: longer than a busy machine takes.
const ANSWER_LIMIT: Duration = Duration::from_secs(60);

/// How many images are pulled at once: one comes while another is unpacked.
const PULLS_AT_ONCE: usize = 2;

/// A daemon that answers.
#[derive(Debug, Clone)]
pub struct Connection {
    /// The client.
    pub(super) docker: Docker,
    /// Whose turn it is to pull.
    pub(super) pulls: Arc<Semaphore>,
    /// Where the daemon is.
    pub endpoint: Endpoint,
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
        let docker =
            Docker::connect_with_host(&endpoint.address).map_err(|error| unreachable(&endpoint, &error))?;
        match timeout(GREETING_LIMIT, docker.negotiate_version()).await {
            Ok(Ok(docker)) => Ok(Self {
                docker,
                pulls: Arc::new(Semaphore::new(PULLS_AT_ONCE)),
                endpoint,
            }),
            Ok(Err(error)) => Err(unreachable(&endpoint, &error)),
            Err(_) => Err(DockerError::Unreachable {
                endpoint: endpoint.to_string(),
                reason: format!("no answer within {} s", GREETING_LIMIT.as_secs()),
            }),
        }
    }

    /// The machine that the daemon runs containers on, such as `amd64`.
    ///
    /// # Errors
    /// When the daemon does not answer.
    pub async fn architecture(&self) -> Result<String, DockerError> {
        let version = self
            .answer("ask", "the daemon for its version", self.docker.version())
            .await?;
        Ok(version.arch.unwrap_or_default())
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
