//! Why a statement cannot be planned.

use crate::syntax::ast::Position;

/// Why a statement cannot be planned, worded as ksqlDB words it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct PlanError {
    /// The whole message. Where ksqlDB puts a place before it (`Line: 1, Col: 8: `), it is in here.
    pub message: String,
    /// Where the offending construct begins.
    pub position: Option<Position>,
    /// Where in ksqlDB it comes up, and so what surrounds it and which code it has.
    pub stage: Stage,
}

/// Where in ksqlDB an error comes up. The same wrong statement is told with other words and codes when it is found
/// while it is read, planned or turned into code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Stage {
    /// While the statement's text becomes a tree.
    Reading,
    /// While its names are looked up.
    Preparing,
    /// While it is planned.
    #[default]
    Planning,
    /// While an expression becomes code. The clause adds the expression and its columns.
    Coding,
    /// While a condition became code: the message is whole, and is about the condition alone.
    Predicate,
    /// In the formats and topics below it; the client is told nothing of the statement.
    Request,
    /// Where ksqlDB itself fails and tells nothing: the message here is for the log.
    Internal,
    /// In the server, with a message for the client.
    Server,
}

impl PlanError {
    /// An error without a place.
    pub fn new(message: impl Into<String>) -> Self {
        Self::in_stage(Stage::Planning, message)
    }

    /// An error of a stage, without a place.
    pub fn in_stage(stage: Stage, message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            position: None,
            stage,
        }
    }

    /// What ksqlDB accepts at first and then fails at by itself.
    pub fn internal(reason: impl Into<String>) -> Self {
        Self::in_stage(Stage::Internal, reason)
    }

    /// An error whose message begins with the place, as ksqlDB's do for columns.
    pub fn at(position: Position, message: impl AsRef<str>) -> Self {
        Self {
            position: Some(position),
            ..Self::new(format!(
                "Line: {}, Col: {}: {}",
                position.line,
                position.column,
                message.as_ref()
            ))
        }
    }
}
