//! `osqdemo fault`.

use clap::{Args, Subcommand};

/// `osqdemo fault`.
#[derive(Debug, Args)]
pub struct FaultArgs {
    /// What to do; `list` by default.
    #[command(subcommand)]
    pub command: Option<FaultCommand>,
}

/// What to do with faults.
#[derive(Debug, Subcommand)]
pub enum FaultCommand {
    /// List those that are set.
    List,
    /// Do one, and leave it until `clear`.
    Set(SetFaultArgs),
    /// End one, or all of them.
    Clear(ClearFaultArgs),
}

/// `osqdemo fault set`.
#[derive(Debug, Args)]
pub struct SetFaultArgs {
    /// `stop` (SIGSTOP), `partition` (no network, on the Docker engine), or `kill` (SIGKILL; there is nothing to clear then).
    #[arg(value_name = "stop|partition|kill")]
    pub kind: String,
    /// A service, or a part of a host, such as `broker` or `host1/extension`.
    #[arg(value_name = "TARGET")]
    pub target: String,
}

/// `osqdemo fault clear`.
#[derive(Debug, Args)]
pub struct ClearFaultArgs {
    /// What it was done to; without it, every fault that is set.
    #[arg(value_name = "TARGET")]
    pub target: Option<String>,
}
