//! What can be typed behind the verbs about a project and its services.

use std::path::PathBuf;

use clap::Args;

use super::LockArgs;

/// `osqdemo projects`.
#[derive(Debug, Args)]
pub struct ProjectsArgs {}

/// `osqdemo down`.
#[derive(Debug, Args)]
pub struct DownArgs {
    /// Also remove the data: topics, streams, logs, the hosts' homes.
    #[arg(long)]
    pub volumes: bool,
    /// Also remove the images that osqdemo made on the Docker engine. Those that it pulled stay.
    #[arg(long)]
    pub images: bool,
    /// Every project of this user, not only the current one.
    #[arg(long)]
    pub all: bool,
}

/// `osqdemo ps`.
#[derive(Debug, Args)]
pub struct PsArgs {}

/// `osqdemo logs`.
#[derive(Debug, Args)]
pub struct LogsArgs {
    /// Go on with new lines as they are written.
    #[arg(short, long)]
    pub follow: bool,
    /// Only the last lines of each log, this many.
    #[arg(short = 'n', long, value_name = "N")]
    pub tail: Option<u64>,
    /// Only these services; `supervisor` is the log of the process that looks after them.
    #[arg(value_name = "SERVICE")]
    pub services: Vec<String>,
}

/// `osqdemo exec`.
#[derive(Debug, Args)]
pub struct ExecArgs {
    /// The host, such as `host2`.
    #[arg(value_name = "HOST")]
    pub host: String,
    /// The command and its arguments.
    #[arg(value_name = "CMD", trailing_var_arg = true, allow_hyphen_values = true)]
    pub command: Vec<String>,
}

/// `osqdemo restart`.
#[derive(Debug, Args)]
pub struct RestartArgs {
    /// The service.
    #[arg(value_name = "SERVICE")]
    pub service: String,
}

/// `osqdemo wait`.
#[derive(Debug, Args)]
pub struct WaitArgs {
    /// How long to wait [default: 60s]
    #[arg(long, value_name = "DURATION")]
    pub timeout: Option<String>,
    /// Only these services.
    #[arg(value_name = "SERVICE")]
    pub services: Vec<String>,
}

/// `osqdemo bundle`.
#[derive(Debug, Args)]
pub struct BundleArgs {
    /// The file: a tar archive. By default `osqdemo-bundle-PROJECT-TIME.tar` in this folder.
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// Which content the images must have.
    #[command(flatten)]
    pub lock: LockArgs,
}

/// `osqdemo open`.
#[derive(Debug, Args)]
pub struct OpenArgs {
    /// The service; by default the console, or Control Center where the stack has that.
    #[arg(value_name = "SERVICE")]
    pub service: Option<String>,
    /// Only print the address.
    #[arg(long)]
    pub print: bool,
}
