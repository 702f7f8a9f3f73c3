//! How the hosts are kept apart: by namespaces of their own where the system lets us make them, else by a
//! mark in the environment of their processes. Found out by trying.

use std::env;
use std::fmt;
use std::process::Stdio;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::process::Command;
use tokio::time::timeout;

use crate::error::Diagnose;
use crate::exit_code::ExitCode;

/// `off` does without namespaces, `auto` means the same as nothing.
pub const VARIABLE: &str = "OSQDEMO_NAMESPACES";

/// How long making the namespaces once may take.
const DEADLINE: Duration = Duration::from_secs(5);

/// The command line that makes the namespaces of a host; what follows is its first process.
pub const UNSHARE: [&str; 8] = [
    "unshare",
    "--user",
    "--map-root-user",
    "--pid",
    "--fork",
    "--kill-child",
    "--mount-proc",
    "--uts",
];

/// How the hosts are kept apart.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Isolation {
    /// Process table, mounts, host name and home of their own.
    Namespaces,
    /// The process table of this machine, of which the agent shows what belongs to the host.
    Marked {
        /// Why there are no namespaces.
        reason: String,
    },
}

/// The environment asks for something that there is not.
#[derive(Debug, thiserror::Error)]
#[error("`{value}` is not a value of the environment variable `{VARIABLE}`")]
pub struct UnknownIsolation {
    value: String,
}

impl Diagnose for UnknownIsolation {
    fn exit_code(&self) -> ExitCode {
        ExitCode::Usage
    }

    fn hints(&self) -> Vec<String> {
        vec![
            "`off` does without namespaces; `auto`, the default, makes them where the system lets us"
                .to_owned(),
        ]
    }
}

impl fmt::Display for Isolation {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Namespaces => formatter.write_str("the hosts have namespaces of their own"),
            Self::Marked { reason } => write!(
                formatter,
                "the hosts share this machine's namespaces ({reason}); the agent shows each its own processes"
            ),
        }
    }
}

impl Isolation {
    /// Finds out which is in force.
    ///
    /// # Errors
    /// When the environment asks for something that there is not.
    pub async fn detect() -> Result<Self, UnknownIsolation> {
        match env::var_os(VARIABLE)
            .unwrap_or_default()
            .to_string_lossy()
            .as_ref()
        {
            "" | "auto" => Ok(Self::attempt().await),
            "off" => Ok(Self::Marked {
                reason: format!("`{VARIABLE}=off`"),
            }),
            value => Err(UnknownIsolation {
                value: value.to_owned(),
            }),
        }
    }

    /// Makes the namespaces once.
    async fn attempt() -> Self {
        let [program, arguments @ ..] = UNSHARE;
        let attempt = Command::new(program)
            .args(arguments)
            .arg("true")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .output();
        let reason = match timeout(DEADLINE, attempt).await {
            Ok(Ok(output)) if output.status.success() => return Self::Namespaces,
            Ok(Ok(output)) => {
                let text = String::from_utf8_lossy(&output.stderr);
                text.lines().next().unwrap_or("`unshare` failed").to_owned()
            }
            Ok(Err(error)) => format!("`unshare` cannot be run: {error}"),
            Err(_) => format!("`unshare` did not end within {} s", DEADLINE.as_secs()),
        };
        Self::Marked { reason }
    }
}
