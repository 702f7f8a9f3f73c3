//! `osqdemo host-package`.

use std::path::PathBuf;

use clap::Args;

/// `osqdemo host-package`.
#[derive(Debug, Args)]
pub struct HostPackageArgs {
    /// The folder to write; it must not be there, or be empty.
    #[arg(long, value_name = "DIR", default_value = "osqdemo-host")]
    pub output: PathBuf,
    /// Where the machines find Kafka: what the broker advertises to them. By default the project's Kafka.
    #[arg(long, value_name = "HOST:PORT")]
    pub advertised: Option<String>,
}
