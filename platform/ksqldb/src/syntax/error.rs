//! What is wrong with a text, in the form ksqlDB's clients show.

use std::borrow::Cow;
use std::fmt;

use super::ast::Position;
use super::masked::without_settings;

/// A text that is not ksqlDB's SQL. Prints as ksqlDB does: `line 1:8: Syntax Error`, and what is wrong on a second line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SyntaxError {
    /// Where the offending token begins.
    pub position: Position,
    /// What is wrong there, without the position.
    pub message: String,
    /// The statement it happened in: up to its `;`, or to the end where it has none.
    pub statement: String,
    /// What sort of mistake it is.
    pub fault: SyntaxFault,
}

/// The sorts of mistake that a text can have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SyntaxFault {
    /// The grammar has no such text.
    Grammar,
    /// The grammar has it, but it means nothing.
    Meaning,
    /// A name that cannot be one.
    Name,
}

impl std::error::Error for SyntaxError {}

impl fmt::Display for SyntaxError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Position { line, column }, message) = (self.position, &self.message);
        match self.fault {
            SyntaxFault::Grammar => write!(formatter, "line {line}:{column}: Syntax Error\n{message}"),
            SyntaxFault::Meaning => write!(formatter, "Failed to prepare statement: {message}"),
            SyntaxFault::Name => write!(
                formatter,
                "Illegal argument at Line: {line}, Col: {column}. {message}"
            ),
        }
    }
}

impl SyntaxError {
    pub(crate) fn new(position: Position, message: impl Into<String>, statement: &str) -> Self {
        Self {
            position,
            message: message.into(),
            statement: statement.trim().to_owned(),
            fault: SyntaxFault::Grammar,
        }
    }

    pub(super) fn of(self, fault: SyntaxFault) -> Self {
        Self { fault, ..self }
    }

    pub(super) fn missing_semicolon(position: Position, statement: &str) -> Self {
        Self::new(position, "missing ';' at '<EOF>'", statement)
    }

    /// As it may be shown: without what a connector is told.
    pub(crate) fn masked(mut self) -> Self {
        if let Cow::Owned(masked) = without_settings(&self.statement) {
            self.statement = masked;
        }
        self
    }

    /// As the endpoint for queries tells it: with the statement, and the place once more.
    pub(crate) fn of_query(&self) -> String {
        match self.fault {
            SyntaxFault::Grammar => {
                let (statement, position) = (&self.statement, self.position);
                format!(
                    "{self}\nStatement: {statement}\nCaused by: line {position}: Syntax error at line {position}"
                )
            }
            SyntaxFault::Meaning | SyntaxFault::Name => self.to_string(),
        }
    }
}
