//! `osqdemo completions` and `osqdemo man`: what a shell and `man` are told of the command line. What is hidden there
//! is hidden here, too.

use std::fs;
use std::io;
use std::path::PathBuf;

use clap::{Command, CommandFactory};

use crate::cli::{Cli, CompletionsArgs, ManArgs};
use crate::commands::Context;
use crate::error::{Diagnose, Result};
use crate::events::Event;
use crate::exit_code::ExitCode;

/// The pages cannot be written.
#[derive(Debug, thiserror::Error)]
#[error("failed to write the manual into `{}`: {source}", folder.display())]
struct NotWritable {
    folder: PathBuf,
    source: io::Error,
}

impl Diagnose for NotWritable {
    fn exit_code(&self) -> ExitCode {
        ExitCode::Usage
    }

    fn hints(&self) -> Vec<String> {
        vec!["choose a folder that you can write to".to_owned()]
    }
}

/// Writes a page for every verb.
///
/// # Errors
/// When the folder cannot be made or written to.
pub fn man(context: &Context, arguments: ManArgs) -> Result<()> {
    let folder = arguments.folder;
    fs::create_dir_all(&folder)
        .and_then(|()| clap_mangen::generate_to(Cli::command(), &folder))
        .map_err(|source| NotWritable {
            folder: folder.clone(),
            source,
        })?;
    context.reporter.emit(Event::Note {
        text: format!(
            "the manual is in `{}`: `man -l {}`",
            folder.display(),
            folder.join("osqdemo.1").display()
        ),
    });
    Ok(())
}

/// Prints the script.
///
/// # Errors
/// When standard output cannot be written.
pub fn run(context: &Context, arguments: &CompletionsArgs) -> Result<()> {
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
