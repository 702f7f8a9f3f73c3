//! What is wrong in a configuration without making it unusable: the part at fault is left out, and named.

use std::fmt;

/// One thing that was left out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The path in the document, such as `packs.ir.queries.ports.interval`.
    pub place: String,
    /// What is wrong with it, in osquery's words where it has some.
    pub message: String,
}

/// All of them, in the order of the text.
pub type Findings = Vec<Finding>;

impl Finding {
    /// What is wrong at a place.
    pub fn new(place: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            place: place.into(),
            message: message.into(),
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} (`{}`)", self.message, self.place)
    }
}

/// The path of a member in a document.
pub fn member(place: &str, name: &str) -> String {
    let is_word = |character: char| character.is_alphanumeric() || character == '_' || character == '-';
    if name.is_empty() || !name.chars().all(is_word) {
        format!("{place}['{name}']")
    } else if place.is_empty() {
        name.to_owned()
    } else {
        format!("{place}.{name}")
    }
}
