//! `osqdemo completions`: the completion script of a shell, on standard output. It offers nothing that is hidden.

use clap::{Command, CommandFactory};

use crate::cli::{Cli, CompletionsArgs};
use crate::commands::Context;
use crate::error::Result;

/// Fails when standard output cannot be written.
pub(super) fn run(context: &Context, arguments: &CompletionsArgs) -> Result<()> {
    let mut script = Vec::new();
    let mut command = visible(&Cli::command())
        .version(env!("CARGO_PKG_VERSION"))
        .propagate_version(true);
    clap_complete::generate(arguments.shell, &mut command, "osqdemo", &mut script);
    context.reporter.text(&String::from_utf8_lossy(&script))
}

/// The command without what is hidden: the scripts would offer it.
fn visible(command: &Command) -> Command {
    let arguments = command.get_arguments().filter(|argument| !argument.is_hide_set());
    let verbs = command.get_subcommands().filter(|verb| !verb.is_hide_set());
    // A name has to live as long as the process, which ends soon.
    let name: &'static str = command.get_name().to_owned().leak();
    let shown = Command::new(name)
        .args(arguments.cloned())
        .subcommands(verbs.map(visible));
    match command.get_about() {
        Some(about) => shown.about(about.clone()),
        None => shown,
    }
}
