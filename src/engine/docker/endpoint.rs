//! Where the Docker daemon is: `DOCKER_HOST`, else the context (`DOCKER_CONTEXT`, else the current one of
//! `~/.docker/config.json`), else the first socket where somebody listens, of Docker itself, rootless Docker, Docker
//! Desktop, colima, Rancher Desktop or podman. The same order as `docker` itself, and then further.

mod context;

use std::fmt;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, connect, socket_with};

use context::{address_of_context, current_context};

use crate::engine::docker::error::DockerError;

/// The address of a daemon and who named it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// Such as `unix:///var/run/docker.sock`.
    pub address: String,
    /// Who named it.
    pub origin: Origin,
    /// Whether it is spoken to in the clear.
    pub security: Security,
}

/// How a daemon is spoken to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Security {
    /// In the clear.
    Plain,
    /// By TLS.
    Tls,
}

/// Who named the address of a daemon.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// The variable `DOCKER_HOST`.
    Variable,
    /// A context of the `docker` command.
    Context(String),
    /// A socket that was found.
    Found,
}

impl fmt::Display for Endpoint {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.address)?;
        match &self.origin {
            Origin::Variable => formatter.write_str(" (DOCKER_HOST)"),
            Origin::Context(name) => write!(formatter, " (context {name})"),
            Origin::Found => Ok(()),
        }
    }
}

/// What of the machine decides about the endpoint.
pub(super) struct Surroundings<'a> {
    /// The environment.
    pub(super) variable: &'a dyn Fn(&str) -> Option<String>,
    /// The user's number.
    pub(super) user: u32,
    /// Whether there is a socket.
    pub(super) is_there: &'a dyn Fn(&Path) -> bool,
    /// Whether this user is let in by somebody who listens at the socket.
    pub(super) is_open: &'a dyn Fn(&Path) -> bool,
}

impl Endpoint {
    /// The endpoint for this process.
    ///
    /// # Errors
    /// When there is none, or the context that should name it cannot be read.
    pub fn find() -> Result<Self, DockerError> {
        Self::find_in(&Surroundings {
            variable: &|name| std::env::var(name).ok(),
            user: rustix::process::getuid().as_raw(),
            is_there: &|path| path.exists(),
            is_open: &is_open,
        })
    }

    /// Whether its containers publish their ports on this machine: through a socket (also of a virtual machine,
    /// which forwards them), or an address of this machine.
    pub fn is_local(&self) -> bool {
        let Some((scheme, rest)) = self.address.split_once("://") else {
            return false;
        };
        if scheme == "unix" {
            return true;
        }
        let host = rest.split('/').next().unwrap_or_default();
        let host = host.rsplit_once(':').map_or(host, |(host, _)| host);
        let host = host.trim_start_matches('[').trim_end_matches(']');
        host == "localhost" || host.parse().is_ok_and(|address: IpAddr| address.is_loopback())
    }

    pub(super) fn find_in(surroundings: &Surroundings<'_>) -> Result<Self, DockerError> {
        let variable = |name: &str| (surroundings.variable)(name).filter(|value| !value.is_empty());
        if let Some(address) = variable("DOCKER_HOST") {
            let is_secured = variable("DOCKER_TLS_VERIFY").is_some() || variable("DOCKER_TLS").is_some();
            return Ok(Self {
                security: security(&address, is_secured),
                address,
                origin: Origin::Variable,
            });
        }
        let folder = variable("DOCKER_CONFIG")
            .map(PathBuf::from)
            .or_else(|| variable("HOME").map(|home| Path::new(&home).join(".docker")));
        let context = variable("DOCKER_CONTEXT").or_else(|| current_context(folder.as_deref()?));
        if let Some(name) = context.filter(|name| name != "default") {
            let (address, security) = address_of_context(folder.as_deref(), &name)?;
            return Ok(Self {
                address,
                origin: Origin::Context(name),
                security,
            });
        }
        let looked_for = sockets(&variable, surroundings.user);
        let there = || looked_for.iter().filter(|path| (surroundings.is_there)(path));
        // A socket that cannot be used is still worth telling about.
        let found = there().find(|path| (surroundings.is_open)(path));
        match found.or_else(|| there().next()) {
            Some(path) => Ok(Self {
                address: format!("unix://{}", path.display()),
                origin: Origin::Found,
                security: Security::Plain,
            }),
            None => Err(DockerError::NoSocket { looked_for }),
        }
    }
}

fn security(address: &str, is_secured: bool) -> Security {
    if address.starts_with("https://") || (is_secured && address.starts_with("tcp://")) {
        Security::Tls
    } else {
        Security::Plain
    }
}

/// Whether a connection is accepted. Nothing is sent, and a daemon that is too busy to accept it is not waited for.
fn is_open(path: &Path) -> bool {
    let attempt = || {
        let socket = socket_with(
            AddressFamily::UNIX,
            SocketType::STREAM,
            SocketFlags::NONBLOCK | SocketFlags::CLOEXEC,
            None,
        )?;
        connect(&socket, &SocketAddrUnix::new(path)?)
    };
    matches!(attempt(), Ok(()) | Err(Errno::AGAIN))
}

/// Where sockets usually are, in the order in which they are preferred.
fn sockets(variable: &dyn Fn(&str) -> Option<String>, user: u32) -> Vec<PathBuf> {
    let runtime = variable("XDG_RUNTIME_DIR").map_or_else(
        // A session without systemd's variables has the folder all the same.
        || PathBuf::from(format!("/run/user/{user}")),
        PathBuf::from,
    );
    let mut sockets = vec![PathBuf::from("/var/run/docker.sock"), runtime.join("docker.sock")];
    if let Some(home) = variable("HOME").map(PathBuf::from) {
        let in_home = [
            ".docker/run/docker.sock",
            ".docker/desktop/docker.sock",
            ".colima/default/docker.sock",
            ".colima/docker.sock",
            ".rd/docker.sock",
        ];
        sockets.extend(in_home.map(|socket| home.join(socket)));
    }
    sockets.push(runtime.join("podman/podman.sock"));
    sockets.push(PathBuf::from("/run/podman/podman.sock"));
    sockets
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(super) fn find(variables: &[(&str, &str)], sockets: &[&str]) -> Result<String, String> {
        find_open(variables, sockets, sockets)
            .map(|endpoint| endpoint.to_string())
            .map_err(|error| error.to_string())
    }

    pub(super) fn find_open(
        variables: &[(&str, &str)],
        sockets: &[&str],
        open: &[&str],
    ) -> Result<Endpoint, DockerError> {
        Endpoint::find_in(&Surroundings {
            variable: &|name| {
                variables
                    .iter()
                    .find(|(known, _)| *known == name)
                    .map(|(_, value)| (*value).to_owned())
            },
            user: 1000,
            is_there: &|path| sockets.iter().any(|socket| Path::new(socket) == path),
            is_open: &|path| open.iter().any(|socket| Path::new(socket) == path),
        })
    }

    #[test]
    fn the_variable_comes_first() {
        let variables = [("DOCKER_HOST", "tcp://build:2375"), ("DOCKER_CONTEXT", "colima")];
        assert_eq!(
            find(&variables, &["/var/run/docker.sock"]),
            Ok("tcp://build:2375 (DOCKER_HOST)".to_owned())
        );
    }

    #[test]
    fn sockets_are_found_in_their_order() {
        let variables = [("HOME", "/home/jay"), ("XDG_RUNTIME_DIR", "/run/user/1000")];
        let podman = "/run/user/1000/podman/podman.sock";
        let rootless = "/run/user/1000/docker.sock";
        let colima = "/home/jay/.colima/default/docker.sock";
        assert_eq!(find(&variables, &[podman]), Ok(format!("unix://{podman}")));
        assert_eq!(
            find(&variables, &[podman, colima]),
            Ok(format!("unix://{colima}"))
        );
        assert_eq!(
            find(&variables, &[podman, colima, rootless]),
            Ok(format!("unix://{rootless}"))
        );
        assert_eq!(
            find(&[], &[]),
            Err(
                "no Docker daemon was found; looked for `/var/run/docker.sock`, `/run/user/1000/docker.sock`, \
                 `/run/user/1000/podman/podman.sock`, `/run/podman/podman.sock`"
                    .to_owned()
            )
        );
    }

    #[test]
    fn a_socket_that_cannot_be_used_gives_way_to_one_that_can() {
        let docker = "/var/run/docker.sock";
        let podman = "/run/user/1000/podman/podman.sock";
        let found = |open: &[&str]| {
            let endpoint = find_open(&[], &[docker, podman], open).expect("an endpoint");
            endpoint.address.trim_start_matches("unix://").to_owned()
        };
        assert_eq!(found(&[docker, podman]), docker);
        assert_eq!(found(&[podman]), podman);
        assert_eq!(found(&[]), docker);
    }

    #[test]
    fn sockets_are_tried_without_waiting() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("docker.sock");
        assert!(!is_open(&path), "nothing is there");
        let listener = std::os::unix::net::UnixListener::bind(&path).expect("a socket");
        // Nobody accepts; once no more connections are held, the next ones are refused for now.
        let connections: Vec<bool> = (0..5000).map(|_| is_open(&path)).collect();
        assert!(connections.iter().all(|is_open| *is_open));
        drop(listener);
        // A program that another test starts just then holds the listener until it is that program.
        let deadline = std::time::Instant::now() + std::time::Duration::from_secs(20);
        while is_open(&path) {
            assert!(std::time::Instant::now() < deadline, "nobody listens");
            std::thread::yield_now();
        }
    }

    #[test]
    fn what_is_on_this_machine_is_told_from_what_is_not() {
        let is_local = |address: &str| {
            let variables = [("DOCKER_HOST", address)];
            let endpoint = find_open(&variables, &[], &[]).expect("an endpoint");
            endpoint.is_local()
        };
        let local = [
            "unix:///x.sock",
            "tcp://127.0.0.1:2375",
            "tcp://localhost:2375/",
            "tcp://[::1]:2375",
        ];
        for address in local {
            assert!(is_local(address), "{address}");
        }
        for address in ["tcp://build:2375", "tcp://10.0.0.1", "ssh://jay@build", "build"] {
            assert!(!is_local(address), "{address}");
        }
    }

    #[test]
    fn what_is_secured_is_known() {
        let security = |variables: &[(&str, &str)]| {
            let endpoint = find_open(variables, &[], &[]).expect("an endpoint");
            endpoint.security
        };
        let tcp = ("DOCKER_HOST", "tcp://127.0.0.1:2376");
        assert_eq!(security(&[tcp]), Security::Plain);
        assert_eq!(security(&[tcp, ("DOCKER_TLS_VERIFY", "1")]), Security::Tls);
        assert_eq!(security(&[("DOCKER_HOST", "https://127.0.0.1")]), Security::Tls);
        // As in `docker`, the variable means nothing for a socket.
        let socket = ("DOCKER_HOST", "unix:///x.sock");
        assert_eq!(security(&[socket, ("DOCKER_TLS_VERIFY", "1")]), Security::Plain);
    }
}
