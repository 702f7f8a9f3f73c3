//! A failure as data: what an error tells, once nobody needs its type any more.

use schemars::JsonSchema;
use serde::Serialize;

use crate::error::Diagnose;

/// A failure.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Failed {
    /// The exit code of the process, should the failure end it.
    pub exit_code: u8,
    /// What the error says.
    pub error: String,
    /// The chain of its causes, without those that the error itself repeats.
    pub causes: Vec<String>,
    /// The evidence, such as the last lines of a service's log.
    pub details: Vec<String>,
    /// What the user can do about it.
    pub hints: Vec<String>,
}

impl Failed {
    /// What `error` tells.
    pub fn of(error: &dyn Diagnose) -> Self {
        Self {
            exit_code: error.exit_code() as u8,
            error: error.to_string(),
            causes: causes(error),
            details: error.details(),
            hints: error.hints(),
        }
    }
}

/// The chain of causes, without those whose text the message above already carries.
fn causes(error: &dyn Diagnose) -> Vec<String> {
    let mut said = error.to_string();
    let mut causes = Vec::new();
    let mut next = error.source();
    while let Some(cause) = next {
        let text = cause.to_string();
        if !said.contains(&text) {
            said.clone_from(&text);
            causes.push(text);
        }
        next = cause.source();
    }
    causes
}
