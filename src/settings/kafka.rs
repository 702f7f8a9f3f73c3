//! Which Kafka a stack runs on.

use std::fmt;
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
