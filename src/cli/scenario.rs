//! `osqdemo scenario`.

use clap::{Args, Subcommand};

/// `osqdemo scenario`.
#[derive(Debug, Subcommand)]
pub enum ScenarioCommand {
    /// List the scenarios.
    List,
    /// A process on a host writes a large file; the joined row must name host, process and file.
    #[command(after_long_help = super::examples::BIGFILE)]
    Bigfile(BigfileArgs),
}

/// `osqdemo scenario bigfile`.
#[derive(Debug, Default, Args)]
pub struct BigfileArgs {
    /// The size of the file, such as `64M` or `1G` (powers of 1024) [default: 1G]
    #[arg(long, value_name = "SIZE")]
    pub size: Option<String>,
    /// The host that writes it. By default the second one of the stack, or the only one.
    #[arg(long, value_name = "HOST")]
    pub host: Option<String>,
    /// How long all of it may take [default: 60s]
    #[arg(long, value_name = "DURATION")]
    pub timeout: Option<String>,
    /// Also write what happens to the topic `osqdemo-runs`, from which the console shows runs. That is done without
    /// being asked where the broker is osqdemo's own.
    #[arg(long)]
    pub publish: bool,
    /// Also write a report: `json=FILE` or `junit=FILE`.
    #[arg(long, value_name = "FORMAT=FILE")]
    pub report: Vec<String>,
}
