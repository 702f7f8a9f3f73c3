//! When an image is pulled.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// How long a registry may be silent, unless the user says otherwise: longer than unpacking a large layer takes.
pub const USUAL_SILENCE: Duration = Duration::from_secs(120);

/// When an image is pulled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PullPolicy {
    /// Never: it must be there.
    Never,
    /// When it is not there. With everything there, no registry is asked anything.
    #[default]
    Missing,
    /// Every time.
    Always,
}

/// Not a policy.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("`{text}` is not one of `never`, `missing`, `always`")]
pub struct InvalidPolicy {
    /// What was given.
    pub text: String,
}

impl FromStr for PullPolicy {
    type Err = InvalidPolicy;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "never" => Ok(Self::Never),
            "missing" => Ok(Self::Missing),
            "always" => Ok(Self::Always),
            _ => Err(InvalidPolicy {
                text: text.to_owned(),
            }),
        }
    }
}

impl fmt::Display for PullPolicy {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Never => "never",
            Self::Missing => "missing",
            Self::Always => "always",
        })
    }
}
