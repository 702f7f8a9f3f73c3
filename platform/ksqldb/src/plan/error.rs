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
}

impl PlanError {
    /// An error without a place.
    pub fn new(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            position: None,
        }
    }

    /// An error whose message begins with the place, as ksqlDB's do for columns.
    pub fn at(position: Position, message: impl AsRef<str>) -> Self {
        Self {
            message: format!(
                "Line: {}, Col: {}: {}",
                position.line,
                position.column,
                message.as_ref()
            ),
            position: Some(position),
        }
    }
}
