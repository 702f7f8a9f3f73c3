//! `osqdemo config`.

use clap::{Args, Subcommand};

use crate::cli::RunArgs;

const SHOW_NOTES: &str = "\
An option wins over the environment, that over the settings file, that over what the project remembers from its \
last `up`, that over the default. What `up` remembers, it remembers from the file too: a line that is removed there \
stays in force until another value is given, be it the default.
";

/// What to tell of the settings.
#[derive(Debug, Subcommand)]
pub enum ConfigCommand {
    /// Show the settings in force, and where each one comes from.
    #[command(after_help = SHOW_NOTES)]
    Show(Box<ConfigShowArgs>),
    /// Print the JSON Schema of the settings file, for editors.
    Schema(ConfigSchemaArgs),
}

/// `osqdemo config schema`.
#[derive(Debug, Args)]
pub struct ConfigSchemaArgs {
    /// That of the lines of events instead: of what `--json` writes to standard error, and of a project's record.
    #[arg(long)]
    pub events: bool,
}

/// `osqdemo config show`.
#[derive(Debug, Args)]
pub struct ConfigShowArgs {
    /// As if this was typed.
    #[command(flatten)]
    pub run: RunArgs,
    /// The size of the scenario's file.
    #[arg(long, value_name = "SIZE")]
    pub size: Option<String>,
    /// The host that writes it.
    #[arg(long, value_name = "HOST")]
    pub host: Option<String>,
    /// How long the scenario may take.
    #[arg(long, value_name = "DURATION")]
    pub scenario_timeout: Option<String>,
}
