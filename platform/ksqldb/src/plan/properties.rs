//! The `WITH` clause: which properties there are, and what their values mean.

use super::{PlanError, Stage};
use crate::metastore::{SchemaOptions, SourceWindow, TimestampColumn};
use crate::serde::Format;
use crate::syntax::ast::{Literal, Properties};
use crate::types::{Schema, SqlType};

/// How many partitions a topic may be given. Each costs every reader of the topic memory and requests.
const MOST_PARTITIONS: i64 = 10_000;

/// What `VALUE_SCHEMA_FULL_NAME` was called when only Avro had it.
pub(crate) const OLD_FULL_NAME: &str = "VALUE_AVRO_SCHEMA_FULL_NAME";

/// What the declaration of a source may set.
pub(super) const OF_SOURCES: &[&str] = &[
    "CLEANUP_POLICY",
    "FORMAT",
    "KAFKA_TOPIC",
    "KEY_DELIMITER",
    "KEY_FORMAT",
    "KEY_PROTOBUF_NULLABLE_REPRESENTATION",
    "KEY_SCHEMA_FULL_NAME",
    "KEY_SCHEMA_ID",
    "PARTITIONS",
    "REPLICAS",
    "RETENTION_MS",
    "SOURCED_BY_CONNECTOR",
    "TIMESTAMP",
    "TIMESTAMP_FORMAT",
    OLD_FULL_NAME,
    "VALUE_DELIMITER",
    "VALUE_FORMAT",
    "VALUE_PROTOBUF_NULLABLE_REPRESENTATION",
    "VALUE_SCHEMA_FULL_NAME",
    "VALUE_SCHEMA_ID",
    "WINDOW_SIZE",
    "WINDOW_TYPE",
    "WRAP_SINGLE_VALUE",
];

/// What `CREATE … AS SELECT` may set.
pub(super) const OF_SINKS: &[&str] = &[
    "CLEANUP_POLICY",
    "FORMAT",
    "KAFKA_TOPIC",
    "KEY_DELIMITER",
    "KEY_FORMAT",
    "KEY_PROTOBUF_NULLABLE_REPRESENTATION",
    "KEY_SCHEMA_FULL_NAME",
    "KEY_SCHEMA_ID",
    "PARTITIONS",
    "REPLICAS",
    "RETENTION_MS",
    "TIMESTAMP",
    "TIMESTAMP_FORMAT",
    OLD_FULL_NAME,
    "VALUE_DELIMITER",
    "VALUE_FORMAT",
    "VALUE_PROTOBUF_NULLABLE_REPRESENTATION",
    "VALUE_SCHEMA_FULL_NAME",
    "VALUE_SCHEMA_ID",
    "WRAP_SINGLE_VALUE",
];

/// What `INSERT INTO … SELECT` may set.
pub(super) const OF_INSERTS: &[&str] = &["QUERY_ID"];

/// A `WITH` clause all of whose properties are known.
#[derive(Debug, Clone, Copy)]
pub(super) struct With<'a> {
    pub(super) properties: &'a Properties,
}

impl<'a> With<'a> {
    pub(super) fn new(properties: &'a Properties, known: &[&str]) -> Result<Self, PlanError> {
        let mut unknown: Vec<&str> = properties
            .0
            .iter()
            .map(|(name, _)| name.as_str())
            .filter(|name| !known.contains(name))
            .collect();
        if unknown.is_empty() {
            return Ok(Self { properties });
        }
        unknown.sort_unstable();
        Err(reading(format!(
            "Invalid config variable(s) in the WITH clause: {}",
            unknown.join(",")
        )))
    }

    pub(super) fn text(self, name: &str) -> Result<Option<&'a str>, PlanError> {
        match self.properties.get(name) {
            None | Some(Literal::Null) => Ok(None),
            Some(Literal::String(text)) => Ok(Some(text)),
            Some(other) => Err(invalid(name, &literal_text(other), "a string")),
        }
    }

    /// An integer, also in quotes.
    fn integer(self, name: &str, lowest: i64, highest: i64) -> Result<Option<i64>, PlanError> {
        let number = match self.properties.get(name) {
            None | Some(Literal::Null) => return Ok(None),
            Some(Literal::Integer(number)) => Some(i64::from(*number)),
            Some(Literal::Bigint(number)) => Some(*number),
            Some(found @ Literal::String(text)) => match text.trim().parse() {
                Ok(number) => Some(number),
                Err(_) => {
                    return Err(unparsed(
                        name,
                        found,
                        &format!("Not a number of type {}", java_type(name)),
                    ));
                }
            },
            Some(_) => None,
        };
        match number {
            Some(number) if (lowest..=highest).contains(&number) => Ok(Some(number)),
            _ => {
                let found = self.properties.get(name).map(literal_text).unwrap_or_default();
                let expected = format!("an integer from {lowest} to {highest}");
                Err(invalid(name, &found, &expected))
            }
        }
    }

    /// A truth, also in quotes.
    pub(super) fn flag(self, name: &str) -> Result<Option<bool>, PlanError> {
        match self.properties.get(name) {
            None | Some(Literal::Null) => Ok(None),
            Some(Literal::Boolean(flag)) => Ok(Some(*flag)),
            Some(Literal::String(text)) if text.eq_ignore_ascii_case("true") => Ok(Some(true)),
            Some(Literal::String(text)) if text.eq_ignore_ascii_case("false") => Ok(Some(false)),
            Some(other) => Err(unparsed(name, other, "Expected value to be either true or false")),
        }
    }

    /// `WRAP_SINGLE_VALUE`, where the format and the columns leave a choice.
    pub(super) fn wrapping(self, schema: &Schema, format: Format) -> Result<Option<bool>, PlanError> {
        let wrapped = self.flag("WRAP_SINGLE_VALUE")?;
        let Some(wanted) = wrapped else {
            return Ok(None);
        };
        let has_choice = match format {
            format if format.unwraps() => true,
            Format::Kafka => !wanted,
            Format::Protobuf { .. } => wanted,
            _ => false,
        };
        if !has_choice {
            return Err(PlanError::new(format!(
                "Format '{format}' does not support 'WRAP_SINGLE_VALUE' set to '{wanted}'."
            )));
        }
        if schema.value().count() != 1 {
            return Err(PlanError::new(
                "'WRAP_SINGLE_VALUE' is only valid for single-field value schemas",
            ));
        }
        Ok(wrapped)
    }

    pub(super) fn partitions(self) -> Result<Option<i32>, PlanError> {
        let number = self.integer("PARTITIONS", 0, MOST_PARTITIONS)?;
        Ok(number.and_then(|number| i32::try_from(number).ok()))
    }

    pub(super) fn replicas(self) -> Result<Option<i16>, PlanError> {
        // -1 is the broker's default.
        let number = self.integer("REPLICAS", -1, i64::from(i16::MAX))?;
        Ok(number.and_then(|number| i16::try_from(number).ok()))
    }

    pub(super) fn retention_ms(self) -> Result<Option<i64>, PlanError> {
        self.integer("RETENTION_MS", -1, i64::MAX)
    }

    /// What the statement says of the schema of the keys (`KEY`) or the values (`VALUE`).
    pub(super) fn schema_options(self, side: &str) -> Result<SchemaOptions, PlanError> {
        let name = format!("{side}_SCHEMA_FULL_NAME");
        let old = match side {
            "VALUE" => self.text(OLD_FULL_NAME)?,
            _ => None,
        };
        let full_name = match (self.text(&name)?, old) {
            (Some(_), Some(_)) => {
                return Err(reading(format!(
                    "Cannot supply both '{OLD_FULL_NAME}' and '{name}' properties. Please only set '{name}'."
                )));
            }
            (new, old) => new.or(old),
        };
        if let Some(name) = full_name
            && name.trim().is_empty()
        {
            return Err(PlanError::new(format!(
                "fullSchemaName cannot be empty. Format configuration: {{fullSchemaName={name}}}"
            )));
        }
        let id = self.integer(&format!("{side}_SCHEMA_ID"), 0, i64::from(i32::MAX))?;
        Ok(SchemaOptions {
            full_name: full_name.map(ToOwned::to_owned),
            id: id.and_then(|id| u32::try_from(id).ok()),
        })
    }

    /// The windows that the keys end with.
    pub(super) fn window(self) -> Result<Option<SourceWindow>, PlanError> {
        let Some(kind) = self.text("WINDOW_TYPE")? else {
            return Ok(None);
        };
        let kind = kind.to_uppercase();
        let size = self.text("WINDOW_SIZE")?;
        match (kind.as_str(), size) {
            ("SESSION", Some(_)) => Err(reading("'WINDOW_SIZE' should not be set for SESSION windows.")),
            ("TUMBLING" | "HOPPING", None) => Err(reading(format!(
                "{kind} windows require 'WINDOW_SIZE' to be provided in the WITH clause. For example: 'WINDOW_SIZE'='10 SECONDS'"
            ))),
            ("TUMBLING", Some(size)) => {
                let size_ms = duration(size)?;
                Ok(Some(SourceWindow::Tumbling { size_ms }))
            }
            ("HOPPING", Some(size)) => {
                let size_ms = duration(size)?;
                Ok(Some(SourceWindow::Hopping { size_ms }))
            }
            ("SESSION", None) => Ok(Some(SourceWindow::Session)),
            _ => {
                let found = self.text("WINDOW_TYPE")?.unwrap_or_default();
                Err(reading(format!(
                    "Invalid value {found} for property WINDOW_TYPE: String must be one of: SESSION, HOPPING, TUMBLING, null"
                )))
            }
        }
    }

    /// `TIMESTAMP` and `TIMESTAMP_FORMAT`, checked against the columns.
    pub(super) fn timestamp(self, schema: &Schema) -> Result<Option<TimestampColumn>, PlanError> {
        let format = self.text("TIMESTAMP_FORMAT")?;
        let Some(column) = self.text("TIMESTAMP")? else {
            return match format {
                None => Ok(None),
                Some(_) => Err(PlanError::new(
                    "'TIMESTAMP_FORMAT' is set in the WITH clause but 'TIMESTAMP' is not.",
                )),
            };
        };
        let column = match column.strip_prefix('`').and_then(|rest| rest.strip_suffix('`')) {
            Some(quoted) => quoted.to_owned(),
            None => column.to_uppercase(),
        };
        let Some(place) = schema.position(&column) else {
            return Err(PlanError::new(format!(
                "The TIMESTAMP column set in the WITH clause does not exist in the schema: '{column}'"
            )));
        };
        match (&schema.columns[place].sql_type, format) {
            (SqlType::Bigint | SqlType::Timestamp, None) | (SqlType::String, Some(_)) => {}
            (SqlType::String, None) => {
                return Err(PlanError::new(format!(
                    "A String timestamp field has been specified without also specifying the 'timestamp_format'. Column: '{column}'"
                )));
            }
            (SqlType::Bigint | SqlType::Timestamp, Some(_)) => {
                return Err(PlanError::new(format!(
                    "'timestamp_format' set in the WITH clause can only be used when the timestamp column is of type STRING. Column: '{column}'"
                )));
            }
            (other, _) => {
                return Err(PlanError::new(format!(
                    "Timestamp column, {column}, should be LONG(INT64), TIMESTAMP, or a String with a timestamp_format specified. Got {other}"
                )));
            }
        }
        Ok(Some(TimestampColumn {
            column,
            format: format.map(ToOwned::to_owned),
        }))
    }
}

/// A number and a unit of Java's `TimeUnit`, in milliseconds.
fn duration(text: &str) -> Result<i64, PlanError> {
    const UNITS: [(&str, i64); 7] = [
        ("NANOSECONDS", 0),
        ("MICROSECONDS", 0),
        ("MILLISECONDS", 1),
        ("SECONDS", 1000),
        ("MINUTES", 60_000),
        ("HOURS", 3_600_000),
        ("DAYS", 86_400_000),
    ];
    let invalid = |reason: String| {
        reading(format!(
            "Configuration WINDOW_SIZE is invalid: Invalid duration: '{text}'. {reason}"
        ))
    };
    let Some((count, unit)) = text.trim().split_once(char::is_whitespace) else {
        return Err(invalid("Expected two words: a number and a unit".to_owned()));
    };
    let Ok(number) = count.parse::<u32>() else {
        return Err(invalid(format!("Not a number: {count}")));
    };
    let unit = unit.trim().to_uppercase();
    let known = UNITS
        .iter()
        .find(|(known, _)| *known == unit || known.strip_suffix('S') == Some(&unit));
    let number = i64::from(number);
    match known {
        Some(("NANOSECONDS", _)) => Ok(number / 1_000_000),
        Some(("MICROSECONDS", _)) => Ok(number / 1000),
        Some((_, milliseconds)) => Ok(number * milliseconds),
        None => Err(invalid(format!(
            "Unknown time unit: '{unit}'\nSupported time units are: {}",
            UNITS.map(|(known, _)| known).join(", ")
        ))),
    }
}

/// What ksqlDB finds while it reads the statement.
pub(super) fn reading(message: impl Into<String>) -> PlanError {
    PlanError::in_stage(Stage::Reading, message)
}

fn invalid(name: &str, found: &str, expected: &str) -> PlanError {
    reading(format!(
        "Invalid value {found} for property {name}: it must be {expected}"
    ))
}

/// The same of a value that cannot be read, in the words of Kafka's library.
fn unparsed(name: &str, found: &Literal, reason: &str) -> PlanError {
    let found = match found {
        Literal::String(text) => text.clone(),
        other => literal_text(other),
    };
    reading(format!("Invalid value {found} for property {name}: {reason}"))
}

/// The type of a property that is a number.
fn java_type(name: &str) -> &'static str {
    match name {
        "RETENTION_MS" => "LONG",
        "REPLICAS" => "SHORT",
        _ => "INT",
    }
}

fn literal_text(literal: &Literal) -> String {
    match literal {
        Literal::Null => "NULL".to_owned(),
        Literal::Boolean(flag) => flag.to_string(),
        Literal::Integer(number) => number.to_string(),
        Literal::Bigint(number) => number.to_string(),
        Literal::Decimal(digits) => digits.clone(),
        Literal::Double(number) => number.to_string(),
        Literal::String(text) => format!("'{text}'"),
    }
}

#[cfg(test)]
mod tests;
