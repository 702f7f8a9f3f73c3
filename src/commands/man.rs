//! `osqdemo man`: the manual, a page for every verb, as `make install` puts it in place.

use std::fs;
use std::io;
use std::path::PathBuf;

use clap::CommandFactory;

use crate::cli::{Cli, ManArgs};
use crate::commands::Context;
use crate::error::{Diagnose, Result};
use crate::events::Note;
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

/// Fails when the folder cannot be made or written to.
pub(super) fn run(context: &Context, arguments: ManArgs) -> Result<()> {
    let folder = arguments.folder;
    fs::create_dir_all(&folder)
        .and_then(|()| clap_mangen::generate_to(Cli::command(), &folder))
        .map_err(|source| NotWritable {
            folder: folder.clone(),
            source,
        })?;
    context.reporter.emit(Note::ManualWritten { folder });
    Ok(())
}
