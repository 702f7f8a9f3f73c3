//! `osqdemo attach`.

use clap::{Args, value_parser};

/// `osqdemo attach`.
#[derive(Debug, Args)]
pub struct AttachArgs {
    /// What runs on this machine: `osquery` (the one on the PATH), `builtin` (the built-in agent), `auto` (osquery where it
    /// is, else the built-in agent), or the path of an osqueryd.
    #[arg(long, value_name = "auto|osquery|builtin|PATH", default_value = "auto")]
    pub osqueryd: String,
    /// The name that its lines carry [default: this machine's host name]
    #[arg(long, value_name = "NAME")]
    pub name: Option<String>,
    /// Run this query, too, beside those of the project's hosts. Its lines go to the topic NAME; may be given several times.
    #[arg(long = "query", value_name = "NAME=STATEMENT")]
    pub queries: Vec<String>,
    /// How often those run, in seconds.
    #[arg(long, value_name = "SECONDS", default_value_t = 10, value_parser = value_parser!(u32).range(1..=604_800))]
    pub interval: u32,
}
