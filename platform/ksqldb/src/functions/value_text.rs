//! Values as text: what Java's `toString` gives, and JSON.

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::FunctionError;
use crate::serde::base64;
use crate::serde::json::write_string;
use crate::serde::number::{decimal_text, double_text};
use crate::value::Value;

/// The text of an array's element; `NULL` is `null`.
pub(super) fn element_text(value: &Value) -> String {
    match value {
        Value::Boolean(flag) => flag.to_string(),
        Value::Integer(number) => number.to_string(),
        Value::Bigint(number) => number.to_string(),
        Value::Double(number) => double_text(*number),
        Value::Decimal(number) => decimal_text(number),
        Value::String(text) => text.to_string(),
        // The types that have no text here do not get this far.
        _ => "null".to_owned(),
    }
}

/// Appends the value as JSON. Dates and times are strings in ISO 8601, bytes are base64.
pub(super) fn write_json(value: &Value, json: &mut Vec<u8>) -> Result<(), FunctionError> {
    match value {
        Value::Null => json.extend_from_slice(b"null"),
        Value::Double(number) if !number.is_finite() => write_string(&double_text(*number), json),
        Value::Decimal(number) => json.extend_from_slice(number.to_plain_string().as_bytes()),
        Value::String(text) => write_string(text, json),
        Value::Bytes(bytes) => write_string(&base64::encode(bytes), json),
        Value::Date(days) => write_string(&iso("%Y-%m-%d", i64::from(*days) * 86_400_000)?, json),
        Value::Time(milliseconds) => {
            // As short as it goes.
            let format = match milliseconds {
                _ if milliseconds % 60_000 == 0 => "%H:%M",
                _ if milliseconds % 1000 == 0 => "%H:%M:%S",
                _ => "%H:%M:%S.%3f",
            };
            write_string(&iso(format, i64::from(*milliseconds))?, json);
        }
        Value::Timestamp(milliseconds) => write_string(&iso("%Y-%m-%dT%H:%M:%S.%3f", *milliseconds)?, json),
        Value::Array(elements) | Value::Struct(elements) => {
            json.push(b'[');
            for (index, element) in elements.iter().enumerate() {
                if index > 0 {
                    json.push(b',');
                }
                write_json(element, json)?;
            }
            json.push(b']');
        }
        Value::Map(entries) => {
            json.push(b'{');
            for (index, (key, value)) in entries.iter().enumerate() {
                if index > 0 {
                    json.push(b',');
                }
                write_string(key, json);
                json.push(b':');
                write_json(value, json)?;
            }
            json.push(b'}');
        }
        number_or_flag => json.extend_from_slice(element_text(number_or_flag).as_bytes()),
    }
    Ok(())
}

fn iso(format: &str, milliseconds: i64) -> Result<String, FunctionError> {
    let timestamp = Timestamp::from_millisecond(milliseconds);
    let timestamp = timestamp.map_err(|error| FunctionError::new(error.to_string()))?;
    Ok(TimeZone::UTC.to_datetime(timestamp).strftime(format).to_string())
}
