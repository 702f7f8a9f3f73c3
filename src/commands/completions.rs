//! `osqdemo completions`: the completion script of a shell, on standard output.

use clap::CommandFactory;

use crate::cli::{Cli, CompletionsArgs};
use crate::commands::Context;
use crate::error::Result;

/// Runs the verb.
///
/// # Errors
/// When standard output cannot be written.
pub fn run(context: &Context, arguments: &CompletionsArgs) -> Result<()> {
    let mut script = Vec::new();
    clap_complete::generate(arguments.shell, &mut Cli::command(), "osqdemo", &mut script);
    context.reporter.text(&String::from_utf8_lossy(&script))
}
