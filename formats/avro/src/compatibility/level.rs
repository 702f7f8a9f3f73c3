//! The levels of a registry: which of the earlier schemas are asked, and in which direction.

use std::fmt;
use std::str::FromStr;

use super::{Incompatibility, Newer, incompatibilities};
use crate::Schema;

/// A compatibility level.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Level {
    /// Anything goes.
    None,
    /// The new schema reads data of the latest one.
    #[default]
    Backward,
    /// The new schema reads data of all earlier ones.
    BackwardTransitive,
    /// The latest schema reads data of the new one.
    Forward,
    /// All earlier schemas read data of the new one.
    ForwardTransitive,
    /// Both, with the latest.
    Full,
    /// Both, with all earlier ones.
    FullTransitive,
}

/// No level has this name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no compatibility level")]
pub struct UnknownLevel(String);

impl Level {
    /// Every level.
    pub const ALL: [Self; 7] = [
        Self::None,
        Self::Backward,
        Self::BackwardTransitive,
        Self::Forward,
        Self::ForwardTransitive,
        Self::Full,
        Self::FullTransitive,
    ];

    /// `FULL_TRANSITIVE`
    pub fn word(self) -> &'static str {
        match self {
            Self::None => "NONE",
            Self::Backward => "BACKWARD",
            Self::BackwardTransitive => "BACKWARD_TRANSITIVE",
            Self::Forward => "FORWARD",
            Self::ForwardTransitive => "FORWARD_TRANSITIVE",
            Self::Full => "FULL",
            Self::FullTransitive => "FULL_TRANSITIVE",
        }
    }

    /// Whether all earlier schemas count, or the latest alone.
    pub fn is_transitive(self) -> bool {
        matches!(
            self,
            Self::BackwardTransitive | Self::ForwardTransitive | Self::FullTransitive
        )
    }

    /// Whether the new schema must read what earlier ones wrote.
    pub fn is_backward(self) -> bool {
        matches!(
            self,
            Self::Backward | Self::BackwardTransitive | Self::Full | Self::FullTransitive
        )
    }

    /// Whether earlier schemas must read what the new one writes.
    pub fn is_forward(self) -> bool {
        matches!(
            self,
            Self::Forward | Self::ForwardTransitive | Self::Full | Self::FullTransitive
        )
    }
}

impl fmt::Display for Level {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.word())
    }
}

impl FromStr for Level {
    type Err = UnknownLevel;

    fn from_str(text: &str) -> Result<Self, UnknownLevel> {
        let found = Self::ALL
            .into_iter()
            .find(|level| level.word().eq_ignore_ascii_case(text));
        found.ok_or_else(|| UnknownLevel(text.to_owned()))
    }
}

/// Compares a new schema with one earlier schema, in the directions of the level. The messages come in two parts: those
/// of earlier schemas that read new data, then those of the new schema that reads earlier data.
pub fn check_against(level: Level, new: &Schema, old: &Schema) -> (Vec<String>, Vec<String>) {
    let messages = |found: Vec<Incompatibility>, newer| -> Vec<String> {
        found
            .iter()
            .map(|incompatibility| incompatibility.message(newer))
            .collect()
    };
    let forward = if level.is_forward() {
        messages(incompatibilities(old, new), Newer::Writer)
    } else {
        Vec::new()
    };
    let backward = if level.is_backward() {
        messages(incompatibilities(new, old), Newer::Reader)
    } else {
        Vec::new()
    };
    (forward, backward)
}
