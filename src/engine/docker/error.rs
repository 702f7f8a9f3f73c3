//! What can go wrong between us and a Docker daemon, each in plain words with the way out. bollard's errors are
//! wrapped with the name of the object they are about.

use std::error::Error as _;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use crate::error::Diagnose;
use crate::exit_code::ExitCode;
use crate::report::duration;
use crate::stack::{ImageRef, ServiceName};

/// The Docker engine cannot do something.
#[derive(Debug, thiserror::Error)]
pub enum DockerError {
    /// There is no daemon.
    #[error("no Docker daemon was found; looked for {}", list(looked_for))]
    NoSocket {
        /// The sockets that could have been there.
        looked_for: Vec<PathBuf>,
    },
    /// The daemon does not answer.
    #[error("the Docker daemon at `{endpoint}` does not answer: {reason}")]
    Unreachable {
        /// Its address and where it was found.
        endpoint: String,
        /// Why.
        reason: String,
    },
    /// The daemon may not be spoken to.
    #[error("permission to speak to the Docker daemon at `{endpoint}` is refused")]
    Permission {
        /// Its address and where it was found.
        endpoint: String,
    },
    /// An address that we cannot speak to.
    #[error("the Docker daemon's address `{endpoint}` is of a kind that osqdemo does not speak to")]
    UnsupportedEndpoint {
        /// Its address and where it was found.
        endpoint: String,
    },
    /// A context that does not exist, or is damaged.
    #[error("the Docker context `{name}` cannot be used: {reason}")]
    Context {
        /// The context.
        name: String,
        /// Why.
        reason: String,
    },
    /// The daemon refused something.
    #[error("failed to {action} {object}: {reason}")]
    Api {
        /// What was tried, such as `start`.
        action: &'static str,
        /// What it was about, such as `container demo-broker-1`.
        object: String,
        /// What the daemon said.
        reason: String,
        /// The HTTP status of its answer, where there was one.
        status: Option<u16>,
    },
    /// Something of that name is there and is somebody else's.
    #[error("{object} is there already, and is not of this project")]
    Foreign {
        /// What it is.
        object: String,
    },
    /// The daemon took too long.
    #[error("failed to {action} {object}: the daemon did not answer within {}", duration(*limit))]
    TooSlow {
        /// What was tried.
        action: &'static str,
        /// What it was about.
        object: String,
        /// How long it was waited for.
        limit: Duration,
    },
    /// An image could not be built.
    #[error("failed to build image `{image}`: {reason}")]
    Build {
        /// The image.
        image: ImageRef,
        /// Why.
        reason: String,
        /// The last lines of the build.
        log: Vec<String>,
    },
    /// A service that the stack file does not describe as a container.
    #[error("{service} cannot run as a container: the stack file names no image for it")]
    NoContainer {
        /// The service.
        service: ServiceName,
    },
    /// A service that is not running.
    #[error("{service} is not running")]
    NotRunning {
        /// The service.
        service: ServiceName,
    },
    /// The terminal cannot be put into the state that an interactive command needs.
    #[error("failed to {action} the terminal: {source}")]
    Terminal {
        /// What was tried.
        action: &'static str,
        /// What the system said.
        source: io::Error,
    },
}

fn list(paths: &[PathBuf]) -> String {
    let paths: Vec<String> = paths.iter().map(|path| format!("`{}`", path.display())).collect();
    paths.join(", ")
}

impl DockerError {
    /// An error of the API about an object.
    pub(super) fn api(
        action: &'static str,
        object: impl Into<String>,
        error: &bollard::errors::Error,
    ) -> Self {
        let (status, reason) = match error {
            bollard::errors::Error::DockerResponseServerError { status_code, message } => {
                (Some(*status_code), message.trim().to_owned())
            }
            other => (None, with_causes(other)),
        };
        Self::Api {
            action,
            object: object.into(),
            reason,
            status,
        }
    }

    /// Whether the object is not there.
    pub(super) fn is_not_found(&self) -> bool {
        matches!(
            self,
            Self::Api {
                status: Some(404),
                ..
            }
        )
    }

    /// Whether the object is in that state already, or on its way.
    pub(super) fn is_done_already(&self) -> bool {
        matches!(
            self,
            Self::Api {
                status: Some(304 | 404 | 409),
                ..
            }
        )
    }
}

/// An error with what caused it, so that "error trying to connect" is followed by why.
pub(super) fn with_causes(error: &bollard::errors::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let message = error.to_string();
        if !text.contains(&message) {
            text.push_str(": ");
            text.push_str(&message);
        }
        cause = error.source();
    }
    text
}

/// The system's own error below an error of the client, where there is one.
pub(super) fn io_kind(error: &bollard::errors::Error) -> Option<io::ErrorKind> {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(error) = cause {
        if let Some(error) = error.downcast_ref::<io::Error>() {
            return Some(error.kind());
        }
        cause = error.source();
    }
    None
}

impl Diagnose for DockerError {
    fn exit_code(&self) -> ExitCode {
        match self {
            Self::NoSocket { .. }
            | Self::Unreachable { .. }
            | Self::Permission { .. }
            | Self::UnsupportedEndpoint { .. }
            | Self::Context { .. } => ExitCode::Preflight,
            Self::Build { .. } => ExitCode::Build,
            Self::Api { .. } | Self::Foreign { .. } | Self::TooSlow { .. } => ExitCode::Start,
            Self::NoContainer { .. } => ExitCode::Usage,
            Self::NotRunning { .. } => ExitCode::NotRunning,
            Self::Terminal { .. } => ExitCode::Internal,
        }
    }

    fn hints(&self) -> Vec<String> {
        let native = "`--engine native` needs no Docker";
        match self {
            Self::NoSocket { .. } => vec![
                "install Docker (https://docs.docker.com/engine/install/) or podman, or set `DOCKER_HOST`".to_owned(),
                native.to_owned(),
            ],
            Self::Unreachable { endpoint, .. } if endpoint.starts_with("unix:") => vec![
                "start it: `sudo systemctl start docker`, `colima start`, `systemctl --user start podman.socket` or \
                 Docker Desktop"
                    .to_owned(),
                native.to_owned(),
            ],
            Self::Unreachable { .. } => vec![
                "check `DOCKER_HOST` and `docker context ls`".to_owned(),
                native.to_owned(),
            ],
            Self::Permission { .. } => vec![
                "join the group of the socket, then log in again: `sudo usermod -aG docker $USER`".to_owned(),
                native.to_owned(),
            ],
            Self::UnsupportedEndpoint { .. } => vec![
                "it speaks to `unix://` sockets and `tcp://` addresses without TLS; a remote daemon is reached by \
                 `ssh -L /tmp/docker.sock:/var/run/docker.sock HOST` and `DOCKER_HOST=unix:///tmp/docker.sock`"
                    .to_owned(),
            ],
            Self::Context { .. } => vec!["`docker context ls` lists the contexts".to_owned()],
            Self::Build { image, reason, .. } if reason.contains("debian:bookworm-slim") => vec![format!(
                "`{image}` is made from `debian:bookworm-slim`: pull it, or make it with `scripts/base-image.sh`"
            )],
            Self::Foreign { .. } => {
                vec!["remove it, or give the project another name with `--project`".to_owned()]
            }
            Self::Api { reason, .. } if reason.contains("port is already allocated") => {
                vec!["`--port SERVICE=0` picks a free port, and `osqdemo ps` shows it".to_owned()]
            }
            Self::Api { reason, .. } if reason.contains("no space left") => {
                vec!["`docker system df` shows what uses the daemon's disk, `docker system prune` frees some".to_owned()]
            }
            Self::NotRunning { .. } => vec!["start it with `osqdemo up`".to_owned()],
            _ => Vec::new(),
        }
    }

    fn details(&self) -> Vec<String> {
        match self {
            Self::Build { log, .. } if !log.is_empty() => {
                let mut lines = vec!["the last lines of the build:".to_owned()];
                lines.extend(log.iter().map(|line| format!("  {line}")));
                lines
            }
            _ => Vec::new(),
        }
    }
}
