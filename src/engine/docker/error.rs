//! What can go wrong between us and a Docker daemon, each in plain words with the way out. bollard's errors are
//! wrapped with the name of the object they are about. Long because all of them stand here, so that the same trouble is told
//! in the same words whatever met it.

use std::error::Error as _;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use crate::engine::docker::daemon::ApiVersion;
use crate::error::Diagnose;
use crate::exit_code::ExitCode;
use crate::images::Answer;
use crate::quantity::duration;
use crate::stack::{ImageRef, ServiceName};

/// What our own images are made from, and how daemons may spell it out.
const BASE_IMAGE: &str = "debian:bookworm-slim";
const BASE_IMAGE_IN_FULL: &str = "docker.io/library/debian:bookworm-slim";

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
    /// Something else answers where a daemon should be.
    #[error("what answers at `{endpoint}` is not a Docker daemon: {answer}")]
    Stranger {
        /// The address and where it was found.
        endpoint: String,
        /// What came back.
        answer: String,
    },
    /// The daemon does not have what we use.
    #[error("the Docker daemon at `{endpoint}` is too old: it speaks API {found}, and {needed} is needed")]
    TooOld {
        /// Its address and where it was found.
        endpoint: String,
        /// The newest API that it speaks.
        found: ApiVersion,
        /// The oldest one that will do.
        needed: ApiVersion,
    },
    /// The daemon wants TLS.
    #[error("the Docker daemon at `{endpoint}` is reached by TLS, which osqdemo does not speak")]
    Tls {
        /// Its address and where it was found.
        endpoint: String,
    },
    /// The daemon is not on this machine.
    #[error(
        "the Docker daemon at `{endpoint}` is on another machine, and so would be the ports of the containers, which \
         are published on 127.0.0.1 only"
    )]
    Remote {
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
    /// A network of the project cannot be removed: containers that are not the project's are on it.
    #[error("network {network} is still used{}", by(containers))]
    NetworkInUse {
        /// The network.
        network: String,
        /// The containers, where the daemon knows of any.
        containers: Vec<String>,
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
    /// What a container is given cannot be packed.
    #[error("failed to pack what a container is given: {source}")]
    Pack {
        /// Why not.
        source: io::Error,
    },
    /// An image was asked for of an engine that was not told what images are made of.
    #[error("nothing is known of what images are made of")]
    NoSources,
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
    /// A service that somebody paused: no command can begin in it.
    #[error("{service} is paused: somebody stopped it without ending it")]
    Paused {
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

/// How to start the daemon that should be at an address.
fn start_hint(endpoint: &str) -> String {
    let programs = [
        ("/.colima/", "`colima start`"),
        ("/.rd/", "Rancher Desktop"),
        (
            "/.docker/",
            "Docker Desktop, or `systemctl --user start docker-desktop`",
        ),
        ("/run/podman/", "`sudo systemctl start podman.socket`"),
        ("/podman/", "`systemctl --user start podman.socket`"),
        ("/run/user/", "`systemctl --user start docker`"),
        ("/run/docker.sock", "`sudo systemctl start docker`"),
    ];
    let usual = programs.iter().find(|(part, _)| endpoint.contains(part));
    match usual {
        Some((_, how)) => format!("start it, or start it again: {how}"),
        None => "check that it runs, `DOCKER_HOST` and `docker context ls`".to_owned(),
    }
}

/// How to be let in by the daemon at an address.
fn permission_hint(endpoint: &str) -> String {
    if endpoint.contains("/podman/") {
        "use a podman of your own: `systemctl --user enable --now podman.socket`".to_owned()
    } else {
        "join the group of the socket, then log in again: `sudo usermod -aG docker $USER`".to_owned()
    }
}

/// Whether the reference of Debian's image stands in a reason as a whole.
fn names_base_image(reason: &str) -> bool {
    reason
        .split_whitespace()
        .map(|token| token.trim_matches(|sign: char| !sign.is_alphanumeric()))
        .any(|token| token == BASE_IMAGE || token == BASE_IMAGE_IN_FULL)
}

/// Who uses something.
fn by(names: &[String]) -> String {
    match names {
        [] => String::new(),
        names => format!(" by {}", names.join(", ")),
    }
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

    /// Whether something else is in the way of it.
    pub(super) fn is_conflict(&self) -> bool {
        matches!(
            self,
            Self::Api {
                status: Some(409),
                ..
            }
        )
    }

    /// Whether others use the object: docker says so with a status of its own.
    pub(super) fn is_in_use(&self) -> bool {
        matches!(
            self,
            Self::Api {
                status: Some(403 | 409),
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
            | Self::Stranger { .. }
            | Self::TooOld { .. }
            | Self::Tls { .. }
            | Self::Remote { .. }
            | Self::UnsupportedEndpoint { .. }
            | Self::Context { .. } => ExitCode::Preflight,
            Self::Build { .. } => ExitCode::Build,
            Self::Api { .. } | Self::Foreign { .. } | Self::NetworkInUse { .. } | Self::TooSlow { .. } => {
                ExitCode::Start
            }
            Self::NoContainer { .. } => ExitCode::Usage,
            Self::NotRunning { .. } | Self::Paused { .. } => ExitCode::NotRunning,
            Self::Terminal { .. } | Self::Pack { .. } | Self::NoSources => ExitCode::Internal,
        }
    }

    fn hints(&self) -> Vec<String> {
        let native = "`--engine native` needs no Docker";
        match self {
            Self::NoSocket { .. } => vec![
                "install Docker (https://docs.docker.com/engine/install/) or podman, or set `DOCKER_HOST`".to_owned(),
                native.to_owned(),
            ],
            Self::Unreachable { endpoint, .. } => vec![start_hint(endpoint), native.to_owned()],
            Self::Permission { endpoint } => vec![permission_hint(endpoint), native.to_owned()],
            Self::Stranger { .. } => vec![
                "check `DOCKER_HOST` and `docker context ls`".to_owned(),
                native.to_owned(),
            ],
            Self::TooOld { .. } => vec![
                "update Docker to 19.03 or later, or podman to 3.0 or later".to_owned(),
                native.to_owned(),
            ],
            Self::Tls { .. } => vec![
                "let `socat UNIX-LISTEN:/tmp/docker.sock,fork \
                 OPENSSL:localhost:2376,cert=cert.pem,key=key.pem,cafile=ca.pem` speak it, and set \
                 `DOCKER_HOST=unix:///tmp/docker.sock`"
                    .to_owned(),
                native.to_owned(),
            ],
            Self::Remote { .. } => vec![
                "run osqdemo on that machine, or unset `DOCKER_HOST` and `docker context use default`".to_owned(),
                native.to_owned(),
            ],
            Self::UnsupportedEndpoint { endpoint } if endpoint.starts_with("ssh:") => vec![
                "the containers' ports would be on that machine: run osqdemo there, or unset `DOCKER_HOST` and \
                 `docker context use default`"
                    .to_owned(),
                native.to_owned(),
            ],
            Self::UnsupportedEndpoint { .. } => vec![
                "it is `unix:///PATH` for a socket, or `tcp://HOST:PORT`".to_owned(),
                native.to_owned(),
            ],
            Self::Context { .. } => vec!["`docker context ls` lists the contexts".to_owned()],
            Self::Build { image, reason, .. } if names_base_image(reason) => vec![format!(
                "`{image}` is made from `debian:bookworm-slim`: pull it, or make it with `scripts/base-image.sh`"
            )],
            Self::Foreign { .. } => {
                vec!["remove it, or give the project another name with `--project`".to_owned()]
            }
            Self::NetworkInUse { network, containers } => {
                let name = containers.first().map_or("CONTAINER", String::as_str);
                vec![format!(
                    "`docker network disconnect {network} {name}` takes it off; then `osqdemo down` again"
                )]
            }
            Self::Api { reason, .. } if Answer::read(reason).says("port is already allocated") => {
                vec!["`--port SERVICE=0` picks a free port, and `osqdemo ps` shows it".to_owned()]
            }
            // podman's `--init` is a program of another package.
            Self::Api { reason, .. } if Answer::read(reason).says("container-init binary not found") => {
                vec!["install `catatonit`, which podman starts containers with".to_owned()]
            }
            Self::Api { reason, .. } if Answer::read(reason).says("no space left") => {
                vec!["`docker system df` shows what uses the daemon's disk, `docker system prune` frees some".to_owned()]
            }
            Self::Paused { .. } => vec!["`osqdemo up` lets it go on".to_owned()],
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

#[cfg(test)]
mod tests;
