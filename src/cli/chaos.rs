//! `osqdemo chaos`.

use std::path::PathBuf;

use clap::Args;

use crate::cli::RunArgs;

/// `osqdemo chaos`.
#[derive(Debug, Args)]
pub struct ChaosArgs {
    /// How many faults [default: 20, or as many as fit into `--for`]
    #[arg(long, value_name = "N")]
    pub rounds: Option<u32>,
    /// For how long faults are done, such as `10m`.
    #[arg(long = "for", value_name = "DURATION", conflicts_with = "replay")]
    pub lasting: Option<String>,
    /// What the faults are drawn from: the same seed is the same list. By default another one each time.
    #[arg(long, value_name = "N", conflicts_with = "replay")]
    pub seed: Option<u64>,
    /// Which sorts of faults: `kill` (SIGKILL), `stop` (SIGSTOP for a while), `restart`, `partition`
    /// (no network for a while); natively `slow` (a slow way to the broker), `clock` (a wrong clock for a while), `supervisor` (everything is killed and brought up again) and, with `--to`, `upgrade`
    /// [default: all]
    #[arg(long, value_name = "FAULT", value_delimiter = ',', conflicts_with = "replay")]
    pub faults: Vec<String>,
    /// Another build of osqdemo: the fault `upgrade` restarts a service with it.
    #[arg(long, value_name = "PATH")]
    pub to: Option<PathBuf>,
    /// Do the faults of an earlier run again: its report (`json=FILE`), or the list that a failure names. With `--rounds`
    /// only the first ones.
    #[arg(long, value_name = "FILE")]
    pub replay: Option<PathBuf>,
    /// Also write a report: `json=FILE` or `junit=FILE`.
    #[arg(long, value_name = "FORMAT=FILE")]
    pub report: Vec<String>,
    /// How the stack is run.
    #[command(flatten)]
    pub run: RunArgs,
}
