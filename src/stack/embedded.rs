//! The stacks that are part of osqdemo.

use std::fmt;
use std::str::FromStr;

use crate::error::Diagnose;
use crate::exit_code::ExitCode;
use crate::stack::{Stack, StackError};

/// A stack that is part of osqdemo.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum EmbeddedStack {
    /// Built from this repository.
    #[default]
    Lite,
    /// The real platform.
    Confluent,
}

/// A stack that this version does not have.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("stack `{name}` is not available in this version")]
pub struct UnknownStack {
    /// Its name.
    pub name: String,
}

impl Diagnose for UnknownStack {
    fn exit_code(&self) -> ExitCode {
        ExitCode::Usage
    }

    fn hints(&self) -> Vec<String> {
        vec!["use `--stack lite`, `--stack confluent`, or a file with `--stack-file`".to_owned()]
    }
}

impl EmbeddedStack {
    /// Its services.
    ///
    /// # Errors
    /// When the embedded file is wrong, which a test rules out.
    pub fn services(self) -> Result<Stack, StackError> {
        match self {
            Self::Lite => Stack::lite(),
            Self::Confluent => Stack::confluent(),
        }
    }
}

impl FromStr for EmbeddedStack {
    type Err = UnknownStack;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        match name {
            "lite" => Ok(Self::Lite),
            "confluent" => Ok(Self::Confluent),
            _ => Err(UnknownStack {
                name: name.to_owned(),
            }),
        }
    }
}

impl fmt::Display for EmbeddedStack {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Lite => "lite",
            Self::Confluent => "confluent",
        })
    }
}
