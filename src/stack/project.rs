//! The name of a project: what keeps several stacks on one machine apart.

use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The longest name: it becomes part of paths, and of the prefix of a host's processes.
const LONGEST: usize = 40;

/// A valid project name: lower-case letters, digits, `-` and `_`, as Compose wants it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String")]
#[schemars(with = "String")]
pub struct ProjectName(String);

/// Why a text is not a project name.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error(
    "`{text}` cannot be a project's name: it takes 1 to {LONGEST} lower-case letters, digits, `-` and `_`, \
     the first one a letter or a digit"
)]
pub struct InvalidProjectName {
    /// What was given.
    pub text: String,
}

impl ProjectName {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Default for ProjectName {
    fn default() -> Self {
        Self("osqdemo".to_owned())
    }
}

impl FromStr for ProjectName {
    type Err = InvalidProjectName;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let letter = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
        let is_valid = (1..=LONGEST).contains(&text.len())
            && text.bytes().next().is_some_and(letter)
            && text
                .bytes()
                .all(|byte| letter(byte) || byte == b'-' || byte == b'_');
        if is_valid {
            Ok(Self(text.to_owned()))
        } else {
            Err(InvalidProjectName {
                text: text.to_owned(),
            })
        }
    }
}

impl TryFrom<String> for ProjectName {
    type Error = InvalidProjectName;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl fmt::Display for ProjectName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}
