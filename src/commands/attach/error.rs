//! Why this machine cannot be attached, or is not any more.

use std::path::PathBuf;
use std::time::Duration;

use crate::error::Diagnose;
use crate::exit_code::ExitCode;
use crate::quantity::duration;
use crate::stack::project::ProjectName;

/// An error of `osqdemo attach`.
#[derive(Debug, thiserror::Error)]
pub(super) enum AttachError {
    /// Lines cannot carry this name.
    #[error("`{name}` is no name for a host: letters, digits, `.`, `_` and `-` are, up to 253 of them")]
    Name { name: String },
    /// A host of the project has it.
    #[error("a host of the project is called `{name}` already")]
    NameTaken { name: String },
    /// What `--query` says cannot be used.
    #[error("`--query {text}` is not a query: {reason}")]
    Query { text: String, reason: String },
    /// The hosts have a query of that name.
    #[error("the project's hosts have a query `{name}` already")]
    QueryTaken { name: String },
    /// Another one runs.
    #[error("this machine is attached already, by another `osqdemo attach`")]
    Attached,
    /// What a former one has left still runs.
    #[error("what a former `osqdemo attach` had started did not end within {}", duration(*limit))]
    NotEnded { limit: Duration },
    /// A program cannot be run.
    #[error("failed to run `{}`: {source}", program.display())]
    Run {
        program: PathBuf,
        source: std::io::Error,
    },
    /// osqueryd, or the agent, ended by itself.
    #[error("`{}` ended unasked: {status}", program.display())]
    Ended {
        program: PathBuf,
        status: String,
        log: Vec<String>,
    },
    /// Nothing came.
    #[error("no line of {name} was in Kafka within {}", duration(*limit))]
    NoLine {
        name: String,
        limit: Duration,
        last_answer: String,
        log: Vec<String>,
    },
    /// `down`, or the end of the supervisor.
    #[error("project `{project}` was stopped meanwhile")]
    ProjectStopped { project: ProjectName },
}

impl Diagnose for AttachError {
    fn exit_code(&self) -> ExitCode {
        match self {
            Self::Name { .. } | Self::NameTaken { .. } | Self::Query { .. } | Self::QueryTaken { .. } => {
                ExitCode::Usage
            }
            Self::Attached | Self::NotEnded { .. } => ExitCode::Preflight,
            Self::Run { .. } | Self::Ended { .. } => ExitCode::Start,
            Self::NoLine { .. } => ExitCode::NotHealthy,
            Self::ProjectStopped { .. } => ExitCode::NotRunning,
        }
    }

    fn details(&self) -> Vec<String> {
        let (answer, log) = match self {
            Self::Ended { log, .. } => (None, log),
            Self::NoLine { last_answer, log, .. } => (Some(format!("last answer: {last_answer}")), log),
            _ => return Vec::new(),
        };
        let head = match log.as_slice() {
            [] => "it wrote nothing",
            _ => "what it wrote last:",
        };
        let log = log.iter().map(|line| format!("  {line}"));
        answer.into_iter().chain([head.to_owned()]).chain(log).collect()
    }

    fn hints(&self) -> Vec<String> {
        let hint = match self {
            Self::Name { .. } | Self::NameTaken { .. } => "give it another one with `--name NAME`",
            Self::Query { .. } => "such as `--query \"mounts=select device, path from mounts\"`",
            Self::QueryTaken { .. } => "give it another name, which is that of its topic",
            Self::Attached => "end that one with Ctrl-C",
            Self::ProjectStopped { .. } => "start it with `osqdemo up`",
            Self::NotEnded { .. } | Self::Run { .. } | Self::Ended { .. } | Self::NoLine { .. } => {
                return Vec::new();
            }
        };
        vec![hint.to_owned()]
    }
}
