//! `osqdemo man`: the manual, a page for every verb, as `make install` puts it in place.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use clap::CommandFactory;

use crate::cli::{Cli, ManArgs, handed_down};
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

/// What follows the examples of the first page, by its heading there, and the section that it is in a manual.
const SECTIONS: [(&str, &str); 2] = [("Exit codes:", "EXIT STATUS"), ("Environment:", "ENVIRONMENT")];

/// Gives the examples, and what the first page says for all of them, sections of their own, line by line as they are
/// written.
fn name_sections(folder: &Path) -> io::Result<()> {
    for page in fs::read_dir(folder)? {
        let page = page?.path();
        if page.extension().is_some_and(|extension| extension == "1") {
            let text = fs::read_to_string(&page)?;
            if let Some(text) = with_sections(&text) {
                fs::write(&page, text)?;
            }
        }
    }
    Ok(())
}

/// A page whose section `EXTRA` begins with examples, with sections by their names in its place; nothing where it does
/// not.
fn with_sections(page: &str) -> Option<String> {
    let (before, extra) = page.split_once(".SH EXTRA\nExamples:\n")?;
    let (lines, after) = match extra.find("\n.SH ") {
        Some(end) => extra.split_at(end + 1),
        None => (extra, ""),
    };
    // Lines as they are, not filled up to paragraphs.
    let mut text = format!("{before}.SH EXAMPLES\n.nf\n");
    for line in lines.trim_end().lines() {
        match SECTIONS.iter().find(|(heading, _)| *heading == line) {
            Some((_, section)) => {
                text.truncate(text.trim_end().len());
                text.push_str(&format!("\n.fi\n.SH \"{section}\"\n.nf\n"));
            }
            None => {
                text.push_str(line);
                text.push('\n');
            }
        }
    }
    text.push_str(".fi\n");
    text.push_str(after);
    Some(text)
}

/// Fails when the folder cannot be made or written to.
pub(super) fn run(context: &Context, arguments: ManArgs) -> Result<()> {
    let folder = arguments.folder;
    fs::create_dir_all(&folder)
        .and_then(|()| clap_mangen::generate_to(handed_down(Cli::command()), &folder))
        .and_then(|()| name_sections(&folder))
        .map_err(|source| NotWritable {
            folder: folder.clone(),
            source,
        })?;
    context.reporter.emit(Note::ManualWritten { folder });
    Ok(())
}
