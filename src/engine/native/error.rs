//! What the native engine cannot do.

use std::io;

use crate::error::Diagnose;
use crate::exit_code::ExitCode;
use crate::stack::ServiceName;

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
    /// The supervisor does not answer as it should.
    #[error("the supervisor of project `{project}` does not answer: {source}")]
    Unreachable {
        /// The project.
        project: String,
        /// What went wrong.
        source: io::Error,
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

impl Diagnose for NativeError {
    fn exit_code(&self) -> ExitCode {
        match self {
            Self::Supervisor { .. } | Self::Refused { .. } => ExitCode::Start,
            Self::NotRunning { .. } => ExitCode::NotRunning,
            Self::Unreachable { .. } | Self::Unkillable { .. } => ExitCode::Internal,
        }
    }

    fn hints(&self) -> Vec<String> {
        match self {
            Self::NotRunning { .. } => vec!["start it with `osqdemo up`".to_owned()],
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
