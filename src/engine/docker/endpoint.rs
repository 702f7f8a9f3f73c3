//! Where the Docker daemon is: `DOCKER_HOST`, else the context (`DOCKER_CONTEXT`, else the current one of
//! `~/.docker/config.json`), else the first socket that is there, of Docker itself, rootless Docker, Docker Desktop,
//! colima, Rancher Desktop or podman. The same order as `docker` itself, and then further.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::engine::docker::error::DockerError;

/// The address of a daemon and who named it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// Such as `unix:///var/run/docker.sock`.
    pub address: String,
    /// Who named it.
    pub origin: Origin,
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
    /// Whether there is a socket.
    pub(super) is_there: &'a dyn Fn(&Path) -> bool,
}

impl Endpoint {
    /// The endpoint for this process.
    ///
    /// # Errors
    /// When there is none, or the context that should name it cannot be read.
    pub fn find() -> Result<Self, DockerError> {
        Self::find_in(&Surroundings {
            variable: &|name| std::env::var(name).ok(),
            is_there: &|path| path.exists(),
        })
    }

    pub(super) fn find_in(surroundings: &Surroundings<'_>) -> Result<Self, DockerError> {
        let variable = |name: &str| (surroundings.variable)(name).filter(|value| !value.is_empty());
        if let Some(address) = variable("DOCKER_HOST") {
            return Ok(Self {
                address,
                origin: Origin::Variable,
            });
        }
        let folder = variable("DOCKER_CONFIG")
            .map(PathBuf::from)
            .or_else(|| variable("HOME").map(|home| Path::new(&home).join(".docker")));
        let context = variable("DOCKER_CONTEXT").or_else(|| current_context(folder.as_deref()?));
        if let Some(name) = context.filter(|name| name != "default") {
            let address = address_of_context(folder.as_deref(), &name)?;
            return Ok(Self {
                address,
                origin: Origin::Context(name),
            });
        }
        let looked_for = sockets(&variable);
        match looked_for.iter().find(|path| (surroundings.is_there)(path)) {
            Some(path) => Ok(Self {
                address: format!("unix://{}", path.display()),
                origin: Origin::Found,
            }),
            None => Err(DockerError::NoSocket { looked_for }),
        }
    }
}

/// Where sockets usually are, in the order in which they are preferred.
fn sockets(variable: &dyn Fn(&str) -> Option<String>) -> Vec<PathBuf> {
    let mut sockets = vec![PathBuf::from("/var/run/docker.sock")];
    if let Some(runtime) = variable("XDG_RUNTIME_DIR").map(PathBuf::from) {
        sockets.push(runtime.join("docker.sock"));
    }
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
    if let Some(runtime) = variable("XDG_RUNTIME_DIR").map(PathBuf::from) {
        sockets.push(runtime.join("podman/podman.sock"));
    }
    sockets.push(PathBuf::from("/run/podman/podman.sock"));
    sockets
}

fn current_context(folder: &Path) -> Option<String> {
    let text = fs::read(folder.join("config.json")).ok()?;
    let config: Value = serde_json::from_slice(&text).ok()?;
    config["currentContext"].as_str().map(str::to_owned)
}

fn address_of_context(folder: Option<&Path>, name: &str) -> Result<String, DockerError> {
    let unusable = |reason: String| DockerError::Context {
        name: name.to_owned(),
        reason,
    };
    let folder = folder.ok_or_else(|| unusable("`HOME` is not set".to_owned()))?;
    // `docker context` names the folder of a context after the hash of its name.
    let hash: String = Sha256::digest(name)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let path = folder.join("contexts/meta").join(hash).join("meta.json");
    let text =
        fs::read(&path).map_err(|error| unusable(format!("failed to read `{}`: {error}", path.display())))?;
    let meta: Value = serde_json::from_slice(&text)
        .map_err(|error| unusable(format!("`{}` is damaged: {error}", path.display())))?;
    meta["Endpoints"]["docker"]["Host"]
        .as_str()
        .map(str::to_owned)
        .ok_or_else(|| unusable(format!("`{}` names no address", path.display())))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn find(variables: &[(&str, &str)], sockets: &[&str]) -> Result<String, String> {
        Endpoint::find_in(&Surroundings {
            variable: &|name| {
                variables
                    .iter()
                    .find(|(known, _)| *known == name)
                    .map(|(_, value)| (*value).to_owned())
            },
            is_there: &|path| sockets.iter().any(|socket| Path::new(socket) == path),
        })
        .map(|endpoint| endpoint.to_string())
        .map_err(|error| error.to_string())
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
                "no Docker daemon was found; looked for `/var/run/docker.sock`, `/run/podman/podman.sock`"
                    .to_owned()
            )
        );
    }

    #[test]
    fn a_context_is_read_as_docker_wrote_it() {
        let folder = tempfile::tempdir().expect("a folder");
        let config = folder.path().display().to_string();
        let variables = [("DOCKER_CONFIG", config.as_str())];
        fs::write(
            folder.path().join("config.json"),
            r#"{"currentContext": "colima"}"#,
        )
        .expect("a file");
        let error = find(&variables, &["/var/run/docker.sock"]).expect_err("there is no such context");
        assert!(
            error.starts_with("the Docker context `colima` cannot be used: failed to read"),
            "{error}"
        );
        // The hash of `colima`.
        let meta = folder
            .path()
            .join("contexts/meta/f24fd3749c1368328e2b149bec149cb6795619f244c5b584e844961215dadd16");
        fs::create_dir_all(&meta).expect("a folder");
        fs::write(
            meta.join("meta.json"),
            r#"{"Name": "colima", "Endpoints": {"docker": {"Host": "unix:///x.sock"}}}"#,
        )
        .expect("a file");
        assert_eq!(
            find(&variables, &[]),
            Ok("unix:///x.sock (context colima)".to_owned())
        );
        fs::write(
            folder.path().join("config.json"),
            r#"{"currentContext": "default"}"#,
        )
        .expect("a file");
        assert_eq!(
            find(&variables, &["/var/run/docker.sock"]),
            Ok("unix:///var/run/docker.sock".to_owned())
        );
    }
}
