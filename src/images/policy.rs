//! When an image is pulled.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

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
