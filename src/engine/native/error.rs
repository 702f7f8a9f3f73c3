//! What the native engine cannot do.

use std::fmt;
use std::io;

use crate::error::Diagnose;
use crate::exit_code::ExitCode;
use crate::stack::ServiceName;
use crate::stack::project::ProjectName;

/// The native engine cannot do something.
#[derive(Debug, thiserror::Error)]
pub enum NativeError {
    /// The supervisor did not come up.
    #[error("failed to start the supervisor: {reason}")]
    Supervisor {
        /// Why.
        reason: String,
        /// The last lines of its log.
        log: Vec<String>,
    },
    /// The supervisor is there and does not answer.
    #[error("the supervisor of project `{project}` (process {pid}) does not answer: {reason}")]
    Silent {
        /// The project.
        project: ProjectName,
        /// Its process.
        pid: u32,
        /// Why, as far as it is known.
        reason: Silence,
    },
    /// Processes of the project run, but nothing on record tells of them, nor does anybody answer for them.
    #[error(
        "{} of project `{project}` run{}, of which nothing is on record, and for which nobody answers",
        processes(*pid, *others),
        if *others == 0 { "s" } else { "" }
    )]
    Unrecorded {
        /// The project.
        project: ProjectName,
        /// One of them: the supervisor, if it is there.
        pid: u32,
        /// How many others there are.
        others: usize,
    },
    /// There is no way to the supervisor.
    #[error("failed to ask the supervisor of project `{project}`: {source}")]
    Unreachable {
        /// The project.
        project: ProjectName,
        /// What went wrong.
        source: io::Error,
    },
    /// The supervisor is gone, and its services ended with it.
    #[error(
        "{service} is not running: the supervisor of its project (process {pid}) ended without being asked to"
    )]
    Lost {
        /// The service.
        service: ServiceName,
        /// What was the supervisor's process.
        pid: u32,
    },
    /// The supervisor could not do what it was asked to.
    #[error("failed to {action} {service}: {reason}")]
    Refused {
        /// What was asked.
        action: &'static str,
        /// The service.
        service: ServiceName,
        /// Why, in the supervisor's words.
        reason: String,
    },
    /// A process cannot be ended.
    #[error("process {pid} of {service} does not end, not even by SIGKILL")]
    Unkillable {
        /// The service.
        service: ServiceName,
        /// The process.
        pid: u32,
    },
    /// Nothing runs under this name.
    #[error("{service} is not running")]
    NotRunning {
        /// The service.
        service: ServiceName,
    },
}

/// Names one of several processes, and counts the others.
pub fn processes(named: u32, others: usize) -> String {
    match others {
        0 => format!("process {named}"),
        1 => format!("process {named} and another one"),
        _ => format!("process {named} and {others} others"),
    }
}

/// Why a supervisor does not answer.
#[derive(Debug)]
pub enum Silence {
    /// Somebody stopped it.
    Stopped,
    /// What went wrong when it was asked.
    Failed(io::Error),
}

impl fmt::Display for Silence {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stopped => formatter.write_str("it was stopped by a signal"),
            Self::Failed(error) if error.kind() == io::ErrorKind::TimedOut => {
                formatter.write_str("nothing came in time")
            }
            Self::Failed(error) => error.fmt(formatter),
        }
    }
}

impl Diagnose for NativeError {
    fn exit_code(&self) -> ExitCode {
        match self {
            Self::Supervisor { .. } | Self::Refused { .. } => ExitCode::Start,
            Self::NotRunning { .. } | Self::Lost { .. } => ExitCode::NotRunning,
            Self::Silent { .. } | Self::Unrecorded { .. } => ExitCode::NotHealthy,
            Self::Unreachable { .. } | Self::Unkillable { .. } => ExitCode::Internal,
        }
    }

    fn hints(&self) -> Vec<String> {
        match self {
            Self::NotRunning { .. } => vec!["start it with `osqdemo up`".to_owned()],
            Self::Lost { .. } => vec![
                "`osqdemo up` starts everything again; `osqdemo logs supervisor` has its last words"
                    .to_owned(),
            ],
            Self::Silent {
                pid,
                reason: Silence::Stopped,
                ..
            } => vec![
                format!("`kill -CONT {pid}` lets it go on"),
                "`osqdemo down` ends it and everything it looks after".to_owned(),
            ],
            Self::Silent { .. } => {
                vec!["`osqdemo down` ends it and everything it looks after".to_owned()]
            }
            Self::Unrecorded { .. } => {
                vec!["only `osqdemo down` can end what runs; then `osqdemo up` starts anew".to_owned()]
            }
            _ => Vec::new(),
        }
    }

    fn details(&self) -> Vec<String> {
        match self {
            Self::Supervisor { log, .. } => log.clone(),
            _ => Vec::new(),
        }
    }
}
