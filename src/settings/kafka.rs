//! Which Kafka a stack runs on.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use crate::stack::{InvalidKafkaAddress, KafkaAddress};

/// Which Kafka a stack runs on.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum KafkaChoice {
    /// Its own broker.
    #[default]
    OfStack,
    /// One that is already there.
    Outside(KafkaAddress),
}

impl KafkaChoice {
    /// Its word for the stack's own broker.
    pub const NONE: &str = "none";

    /// The one that is already there.
    pub fn outside(&self) -> Option<KafkaAddress> {
        match self {
            Self::OfStack => None,
            Self::Outside(address) => Some(address.clone()),
        }
    }
}

/// How the Kafka outside of the stack is reached, beside its address.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum KafkaConfigChoice {
    /// Without TLS and passwords.
    #[default]
    Plain,
    /// As that file says.
    File(PathBuf),
}

impl KafkaConfigChoice {
    /// What was typed, or stands in a file.
    pub fn of(path: &Path) -> Self {
        if path.as_os_str() == KafkaChoice::NONE {
            Self::Plain
        } else {
            Self::File(path.to_owned())
        }
    }
}

impl fmt::Display for KafkaConfigChoice {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Plain => formatter.write_str(KafkaChoice::NONE),
            Self::File(path) => path.display().fmt(formatter),
        }
    }
}

impl FromStr for KafkaChoice {
    type Err = InvalidKafkaAddress;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == Self::NONE {
            return Ok(Self::OfStack);
        }
        text.parse().map(Self::Outside)
    }
}

impl fmt::Display for KafkaChoice {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OfStack => formatter.write_str(Self::NONE),
            Self::Outside(address) => address.fmt(formatter),
        }
    }
}
