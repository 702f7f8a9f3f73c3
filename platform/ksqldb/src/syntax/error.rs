//! What is wrong with a text, in the form ksqlDB's clients show.

use super::ast::Position;

/// A text that is not ksqlDB's SQL. Prints as `line 1:8: mismatched input 'FORM' expecting 'FROM'`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {position}: {message}")]
pub struct SyntaxError {
    /// Where the offending token begins.
    pub position: Position,
    /// What is wrong there, without the position.
    pub message: String,
    /// The statement it happened in: up to its `;`, or to the end where it has none.
    pub statement: String,
}

impl SyntaxError {
    pub(super) fn new(position: Position, message: impl Into<String>, statement: &str) -> Self {
        Self {
            position,
            message: message.into(),
            statement: statement.trim().to_owned(),
        }
    }

    pub(super) fn missing_semicolon(position: Position, statement: &str) -> Self {
        Self::new(position, "missing ';' at '<EOF>'", statement)
    }
}
