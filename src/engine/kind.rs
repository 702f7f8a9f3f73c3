//! Which engines there are, by their names.

use std::fmt;
use std::str::FromStr;

use crate::error::Diagnose;
use crate::exit_code::ExitCode;

/// The engines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EngineKind {
    /// Processes on this machine.
    Native,
    /// Containers.
    Docker,
    /// Nothing at all, for tests.
    Fake,
}

/// An engine that this version does not have.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("engine `{name}` is not available in this version")]
pub struct UnknownEngine {
    /// Its name.
    pub name: String,
}

impl Diagnose for UnknownEngine {
    fn exit_code(&self) -> ExitCode {
        ExitCode::Usage
    }

    fn hints(&self) -> Vec<String> {
        vec!["use `--engine native` or `--engine docker`".to_owned()]
    }
}

impl FromStr for EngineKind {
    type Err = UnknownEngine;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        match name {
            "native" => Ok(Self::Native),
            "docker" => Ok(Self::Docker),
            "fake" => Ok(Self::Fake),
            _ => Err(UnknownEngine {
                name: name.to_owned(),
            }),
        }
    }
}

impl fmt::Display for EngineKind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Native => "native",
            Self::Docker => "docker",
            Self::Fake => "fake",
        })
    }
}
