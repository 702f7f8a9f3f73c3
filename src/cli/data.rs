//! What can be typed behind the verbs about what flows: topics, groups, statements.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use crate::quantity::parse_duration;

/// `osqdemo ksql`.
#[derive(Debug, Args)]
pub struct KsqlArgs {
    /// The statements, each ended by `;`; the last one need not be.
    #[arg(value_name = "STATEMENT", conflicts_with = "file")]
    pub statement: Option<String>,
    /// A file with statements; `-` reads standard input.
    #[arg(short, long, value_name = "FILE")]
    pub file: Option<PathBuf>,
    /// Declare the stream of a topic that a query of the hosts fills, such as `pack_incident-response_remote_connections`: with
    /// the shape of the pipeline's own sources, under the topic's name with `_` for every other character.
    #[arg(long, value_name = "TOPIC", conflicts_with_all = ["statement", "file"])]
    pub declare: Option<String>,
}

/// `osqdemo top`.
#[derive(Debug, Args)]
pub struct TopArgs {
    /// How often to look.
    #[arg(long, value_name = "DURATION", default_value = "1s", value_parser = parse_duration)]
    pub interval: Duration,
    /// Stop after this many looks.
    #[arg(short = 'n', long = "looks", value_name = "N")]
    pub looks: Option<u64>,
}

/// `osqdemo topics`.
#[derive(Debug, Args)]
pub struct TopicsArgs {
    /// Also tell how large each topic is, and how much was written within the last minute
    #[arg(long)]
    pub details: bool,
}

/// `osqdemo groups`.
#[derive(Debug, Args)]
pub struct GroupsArgs {}

/// `osqdemo tail`.
#[derive(Debug, Args)]
pub struct TailArgs {
    /// The topic.
    #[arg(value_name = "TOPIC")]
    pub topic: String,
    /// Show records as they are. Without it, those whose schema the stack's registry has are shown as JSON.
    #[arg(long)]
    pub raw: bool,
    /// Start with the oldest record instead of the next one.
    #[arg(long)]
    pub from_beginning: bool,
    /// Stop after this many records.
    #[arg(short = 'n', long = "records", value_name = "N")]
    pub records: Option<u64>,
}
