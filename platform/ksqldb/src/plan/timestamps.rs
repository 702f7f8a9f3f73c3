//! Where a row's time comes from.

use super::PlanError;
use crate::metastore::{Source, TimestampColumn};
use crate::value::Value;

/// How a column's value becomes a time.
#[derive(Debug, Clone)]
pub(crate) enum TimeReading {
    /// Milliseconds, as they are.
    Milliseconds,
}

impl TimeReading {
    pub(super) fn of(column: &TimestampColumn) -> Result<Self, PlanError> {
        match &column.format {
            None => Ok(Self::Milliseconds),
            Some(format) => Err(PlanError::new(format!(
                "TIMESTAMP_FORMAT '{format}' is not supported"
            ))),
        }
    }

    /// The time, or why there is none.
    pub(crate) fn read(&self, value: &Value) -> Result<i64, String> {
        match (self, value) {
            (Self::Milliseconds, Value::Bigint(ms) | Value::Timestamp(ms)) if *ms >= 0 => Ok(*ms),
            (_, Value::Null) => Err("the timestamp column is null".to_owned()),
            (_, other) => Err(format!("{other:?} is no timestamp")),
        }
    }
}

/// Whether the timestamp column's format can be read.
pub(super) fn check(source: &Source) -> Result<(), PlanError> {
    match &source.timestamp {
        Some(column) => TimeReading::of(column).map(|_| ()),
        None => Ok(()),
    }
}
