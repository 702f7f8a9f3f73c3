//! The agent's exit codes; `--help` shows them.

use std::process::ExitCode;

/// How the agent ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    /// It was asked to end, or did what it was asked.
    Success,
    /// It could not run.
    Failed,
    /// A flag was wrong.
    Usage,
    /// Results could not be logged for too long; osqueryd's `EXIT_CATASTROPHIC`.
    Catastrophic,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(match exit {
            Exit::Success => 0,
            Exit::Failed => 1,
            Exit::Usage => 2,
            Exit::Catastrophic => 78,
        })
    }
}
