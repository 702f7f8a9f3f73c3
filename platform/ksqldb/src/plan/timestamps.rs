//! Where a row's time comes from.

use std::sync::Arc;

use jiff::tz::TimeZone;

use super::{PlanError, Stage};
use crate::functions::FunctionError;
use crate::functions::date_time::Pattern;
use crate::metastore::{Source, TimestampColumn};
use crate::value::Value;

/// How a column's value becomes a time.
#[derive(Debug, Clone)]
pub(crate) enum TimeReading {
    /// Milliseconds, as they are.
    Milliseconds,
    /// A text of a pattern, in UTC unless it names a zone.
    Text(Arc<Pattern>),
}

impl TimeReading {
    /// That of a source that was let in, perhaps by an earlier version.
    pub(super) fn of(column: &TimestampColumn) -> Result<Self, PlanError> {
        Self::by(Pattern::parse_let_in, column)
    }

    fn by(
        parse: fn(&str) -> Result<Pattern, FunctionError>,
        column: &TimestampColumn,
    ) -> Result<Self, PlanError> {
        let Some(format) = &column.format else {
            return Ok(Self::Milliseconds);
        };
        match parse(format) {
            Ok(pattern) => Ok(Self::Text(Arc::new(pattern))),
            Err(error) => {
                let error = error.to_string();
                let reason = error
                    .rsplit_once("`: ")
                    .map_or(error.as_str(), |(_, reason)| reason);
                Err(PlanError::in_stage(
                    Stage::Reading,
                    format!("Invalid datetime format for config:TIMESTAMP_FORMAT, reason:{reason}"),
                ))
            }
        }
    }

    /// The time, or why there is none.
    pub(crate) fn read(&self, value: &Value) -> Result<i64, String> {
        let ms = match (self, value) {
            (_, Value::Null) => return Err("the timestamp column is null".to_owned()),
            (Self::Milliseconds, Value::Bigint(ms) | Value::Timestamp(ms)) => *ms,
            (Self::Text(pattern), Value::String(text)) => pattern
                .parse_timestamp(text, &TimeZone::UTC)
                .map_err(|error| error.to_string())?,
            (_, other) => return Err(format!("{other:?} is no timestamp")),
        };
        if ms < 0 {
            return Err(format!("the timestamp is negative: {ms}"));
        }
        Ok(ms)
    }
}

/// Whether a new source's timestamp column has a format that is taken today.
pub(crate) fn check_new(source: &Source) -> Result<(), PlanError> {
    match &source.timestamp {
        Some(column) => TimeReading::by(Pattern::parse, column).map(|_| ()),
        None => Ok(()),
    }
}

/// Whether the timestamp column's format can be read.
pub(super) fn check(source: &Source) -> Result<(), PlanError> {
    match &source.timestamp {
        Some(column) => TimeReading::of(column).map(|_| ()),
        None => Ok(()),
    }
}
