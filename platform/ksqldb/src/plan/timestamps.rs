//! Where a row's time comes from.

use std::sync::Arc;

use jiff::tz::TimeZone;

use super::PlanError;
use crate::functions::DatePattern;
use crate::metastore::{Source, TimestampColumn};
use crate::value::Value;

/// How a column's value becomes a time.
#[derive(Debug, Clone)]
pub(crate) enum TimeReading {
    /// Milliseconds, as they are.
    Milliseconds,
    /// A text in a pattern of Java's `DateTimeFormatter`, in UTC unless it names a zone.
    Text(Arc<DatePattern>),
}

impl TimeReading {
    pub(super) fn of(column: &TimestampColumn) -> Result<Self, PlanError> {
        match &column.format {
            None => Ok(Self::Milliseconds),
            Some(format) => match DatePattern::parse(format) {
                Ok(pattern) => Ok(Self::Text(Arc::new(pattern))),
                Err(error) => Err(PlanError::new(format!("Invalid TIMESTAMP_FORMAT: {error}"))),
            },
        }
    }

    /// The time, or why there is none.
    pub(crate) fn read(&self, value: &Value) -> Result<i64, String> {
        match (self, value) {
            (Self::Milliseconds, Value::Bigint(ms) | Value::Timestamp(ms)) if *ms >= 0 => Ok(*ms),
            (Self::Text(pattern), Value::String(text)) => {
                let ms = pattern.parse_timestamp(text, &TimeZone::UTC);
                let ms = ms.map_err(|error| error.to_string())?;
                if ms >= 0 {
                    Ok(ms)
                } else {
                    Err(format!("`{text}` is before 1970"))
                }
            }
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

#[cfg(test)]
mod tests {
    use super::*;

    fn reading(format: &str) -> Result<TimeReading, PlanError> {
        TimeReading::of(&TimestampColumn {
            column: "T".to_owned(),
            format: Some(format.to_owned()),
        })
    }

    #[test]
    fn a_text_is_read_by_its_format() {
        let reading = reading("yyyy-MM-dd HH:mm:ssX").unwrap();
        let read = |text: &str| reading.read(&Value::string(text));
        assert_eq!(read("2021-07-04 13:05:09+02"), Ok(1_625_396_709_000));
        assert!(read("yesterday").is_err());
        assert!(read("1969-12-31 00:00:00Z").is_err());
        assert!(reading.read(&Value::Null).is_err());
    }

    #[test]
    fn a_format_that_is_none_is_refused() {
        let error = reading("yyyy 'T").unwrap_err();
        assert!(
            error.to_string().contains("invalid date pattern `yyyy 'T`"),
            "{error}"
        );
    }
}
