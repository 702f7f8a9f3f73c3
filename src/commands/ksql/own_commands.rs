//! What is typed for osqdemo and not for the server: `HELP`, `SPOOL`, `RUN SCRIPT` and their like.

use tokio_util::sync::CancellationToken;

use super::help::help;
use super::pieces::Command;
use super::runner::{Flow, Runner};
use super::{KsqlCommandError, named, pieces_of};
use crate::error::Result;
use crate::input_file;
use crate::ksqldb::Client;
use crate::ksqldb::ddl::StatementFile;
use crate::ksqldb::statement::Position;
use crate::report::output_size::{output_is_terminal, output_width};

/// How deep scripts may run each other.
const DEEPEST: usize = 8;

impl Runner {
    /// Carries out what is for us and not for the server.
    pub(super) async fn command(
        &mut self,
        command: &Command,
        (file, position): (&StatementFile, Position),
        cancel: &CancellationToken,
        depth: usize,
    ) -> Result<Flow> {
        let wrong = |reason| KsqlCommandError::Command {
            file: file.name.clone(),
            position,
            reason,
        };
        let told = match command {
            Command::Exit => return Ok(Flow::Leaves),
            Command::Help => help(output_width()),
            // Only a prompt has one, and shows it itself.
            Command::History => String::new(),
            Command::Clear if output_is_terminal() => {
                self.output.reporter.text("\u{1b}[2J\u{1b}[H")?;
                String::new()
            }
            Command::Clear => String::new(),
            Command::Version => {
                let info = self.client.info().await?;
                format!("osqdemo {}, ksqlDB {}", env!("CARGO_PKG_VERSION"), info.version)
            }
            Command::Server(None) => self.client.url().to_owned(),
            Command::Server(Some(url)) => {
                let client = Client::new(url)?;
                let info = client.info().await?;
                self.client = client;
                format!("ksqlDB {} at {}", info.version, self.client.url())
            }
            Command::Output(choice) => self.output.choose_format(choice.as_deref()).map_err(wrong)?,
            Command::SetCli { name, value } => self.output.set(name, value).map_err(wrong)?,
            Command::Spool(path) => self.output.spool_into(path.as_deref())?,
            Command::RunScript(_) if depth >= DEEPEST => {
                return Err(KsqlCommandError::TooDeep {
                    file: file.name.clone(),
                    position,
                    most: DEEPEST,
                }
                .into());
            }
            Command::RunScript(path) => {
                let script = named(
                    &path.display().to_string(),
                    path,
                    input_file::read_to_string(path),
                )?;
                let pieces = pieces_of(&script)?;
                // `exit` in it ends that script, not this one.
                self.run_nested(&script, &pieces, cancel, depth + 1).await?;
                String::new()
            }
        };
        self.output.text(&told)?;
        Ok(Flow::GoesOn)
    }
}
