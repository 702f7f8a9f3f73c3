//! Which program answers as the Docker daemon, and where podman is not like Docker.

use std::fmt;

use bollard::models::SystemVersion;

/// What podman calls itself among the components of its version.
const PODMAN: &str = "Podman Engine";

/// The first podman that can change the restart policy of a container that is there
/// (<https://github.com/containers/podman/releases/tag/v5.1.0>).
const PODMAN_WITH_UPDATE: (u32, u32) = (5, 1);

/// A version of the Docker API, such as 1.41.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct ApiVersion(pub(super) u32, pub(super) u32);

/// A program that answers as the Docker daemon.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Daemon {
    /// Docker's own.
    Docker {
        /// Such as `20.10.24`.
        version: String,
    },
    /// podman, with its Docker API.
    Podman {
        /// Such as `4.3.1`.
        version: String,
    },
}

/// When a container is told that it is to be started again when it ends unasked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum RestartPolicyFrom {
    /// Once it was healthy.
    Health,
    /// From the beginning: the daemon cannot change it later.
    Creation,
}

impl ApiVersion {
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (major, minor) = text.split_once('.')?;
        Some(Self(major.parse().ok()?, minor.parse().ok()?))
    }
}

impl fmt::Display for ApiVersion {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}.{}", self.0, self.1)
    }
}

impl fmt::Display for Daemon {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Docker { version } => write!(formatter, "Docker {version}"),
            Self::Podman { version } => write!(formatter, "podman {version}"),
        }
    }
}

impl Daemon {
    pub(super) fn of(version: &SystemVersion) -> Self {
        let components = version.components.iter().flatten();
        match components.into_iter().find(|component| component.name == PODMAN) {
            Some(podman) => Self::Podman {
                version: podman.version.clone(),
            },
            None => Self::Docker {
                version: version.version.clone().unwrap_or_default(),
            },
        }
    }

    /// Whether podman runs without root: not every version says so, but root's images are always here.
    pub(super) fn is_rootless(&self, folder: Option<&str>) -> bool {
        match self {
            Self::Docker { .. } => false,
            Self::Podman { .. } => folder.is_some_and(|folder| !folder.starts_with("/var/lib/")),
        }
    }

    pub(super) fn restart_policy_from(&self) -> RestartPolicyFrom {
        match self {
            Self::Podman { version } if numbers(version).is_some_and(|found| found < PODMAN_WITH_UPDATE) => {
                RestartPolicyFrom::Creation
            }
            Self::Docker { .. } | Self::Podman { .. } => RestartPolicyFrom::Health,
        }
    }
}

/// The first two numbers of a version.
fn numbers(version: &str) -> Option<(u32, u32)> {
    let mut numbers = version.split('.').map(|number| number.parse().ok());
    Some((numbers.next()??, numbers.next()??))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn daemon(version: &serde_json::Value) -> Daemon {
        Daemon::of(&serde_json::from_value(version.clone()).expect("a version"))
    }

    #[test]
    fn podman_is_told_from_docker() {
        let docker = daemon(&json!({
            "Version": "20.10.24+dfsg1",
            "Components": [{ "Name": "Engine", "Version": "20.10.24+dfsg1" }],
        }));
        assert_eq!(docker.to_string(), "Docker 20.10.24+dfsg1");
        assert_eq!(docker.restart_policy_from(), RestartPolicyFrom::Health);
        let podman = |version: &str| {
            let component = json!({ "Name": "Podman Engine", "Version": version });
            daemon(&json!({ "Version": version, "Components": [component] }))
        };
        assert_eq!(podman("4.3.1").to_string(), "podman 4.3.1");
        assert!(podman("4.3.1").is_rootless(Some("/home/jay/.local/share/containers/storage")));
        assert!(!podman("4.3.1").is_rootless(Some("/var/lib/containers/storage")));
        let cases = [
            ("4.3.1", RestartPolicyFrom::Creation),
            ("5.0.3", RestartPolicyFrom::Creation),
            ("5.1.0", RestartPolicyFrom::Health),
            ("5.10.0-dev", RestartPolicyFrom::Health),
            ("unknown", RestartPolicyFrom::Health),
        ];
        for (version, from) in cases {
            assert_eq!(podman(version).restart_policy_from(), from, "{version}");
        }
    }

    #[test]
    fn versions_of_the_api_are_numbers() {
        let parsed = |text: &str| ApiVersion::parse(text).map(|version| version.to_string());
        assert_eq!(parsed("1.41").as_deref(), Some("1.41"));
        assert_eq!(parsed("1"), None);
        assert!(ApiVersion(1, 9) < ApiVersion(1, 40));
    }
}
