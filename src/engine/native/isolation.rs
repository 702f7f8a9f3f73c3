//! How the hosts are kept apart: by namespaces of their own where the system lets us make them, else by a
//! mark in the environment of their processes. Found out by trying.

use std::env;
use std::fmt;
use std::process::Stdio;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::process::Command;
use tokio::time::timeout;

/// Set to `off` to do without namespaces.
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
    pub async fn detect() -> Self {
        if env::var_os(VARIABLE).is_some_and(|value| value == "off") {
            return Self::Marked {
                reason: format!("`{VARIABLE}=off`"),
            };
        }
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
