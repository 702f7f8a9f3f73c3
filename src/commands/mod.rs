//! The verbs, one file each. What they share is a [`Context`].

pub mod ksql;
pub mod tail;
pub mod topics;

use std::fs;
use std::io;
use std::path::PathBuf;

use crate::cli::Command;
use crate::error::{Diagnose, Result};
use crate::exit_code::ExitCode;
use crate::report::Reporter;
use crate::settings::Settings;
use crate::shutdown::Shutdown;
use crate::stack::Endpoints;
use crate::stack::project::ProjectName;

/// What every verb gets.
#[derive(Clone)]
pub struct Context {
    /// What the command line means.
    pub settings: Settings,
    /// Where to tell it.
    pub reporter: Reporter,
    /// When to end.
    pub shutdown: Shutdown,
}

/// Errors that several verbs share.
#[derive(Debug, thiserror::Error)]
pub enum CommandError {
    /// Nothing runs under this name.
    #[error("project `{project}` is not running")]
    NotRunning {
        /// The project.
        project: ProjectName,
    },
    /// A verb that this build does not have.
    #[error("`{verb}` is not available in this version")]
    Unavailable {
        /// The verb.
        verb: &'static str,
    },
    /// A file of the project's state cannot be read.
    #[error("failed to read `{}`: {source}", path.display())]
    ReadState {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

impl Diagnose for CommandError {
    fn exit_code(&self) -> ExitCode {
        match self {
            Self::NotRunning { .. } => ExitCode::NotRunning,
            Self::Unavailable { .. } => ExitCode::Usage,
            Self::ReadState { .. } => ExitCode::Internal,
        }
    }

    fn hints(&self) -> Vec<String> {
        match self {
            Self::NotRunning { .. } => vec!["start it with `osqdemo up`".to_owned()],
            Self::Unavailable { .. } | Self::ReadState { .. } => Vec::new(),
        }
    }
}

impl Context {
    /// Where the clients on this machine find the running stack.
    ///
    /// # Errors
    /// When the project is not running.
    pub async fn endpoints(&self) -> Result<Endpoints> {
        let path = self
            .settings
            .home
            .join(self.settings.project.as_str())
            .join("endpoints.json");
        match fs::read(&path) {
            Ok(text) => match serde_json::from_slice(&text) {
                Ok(endpoints) => Ok(endpoints),
                Err(error) => Err(CommandError::ReadState {
                    path,
                    source: error.into(),
                }
                .into()),
            },
            Err(error) if error.kind() == io::ErrorKind::NotFound => Err(CommandError::NotRunning {
                project: self.settings.project.clone(),
            }
            .into()),
            Err(source) => Err(CommandError::ReadState { path, source }.into()),
        }
    }
}

/// Runs a verb.
///
/// # Errors
/// Whatever ends the verb; the error knows its exit code.
pub async fn run(context: Context, command: Command) -> Result<()> {
    match command {
        Command::Ksql(arguments) => ksql::run(context, arguments).await,
        Command::Topics(_) => topics::run(context).await,
        Command::Tail(arguments) => tail::run(context, arguments).await,
        Command::Scenario(_) => Err(CommandError::Unavailable { verb: "scenario" }.into()),
        _ => Err(CommandError::Unavailable { verb: "this verb" }.into()),
    }
}
