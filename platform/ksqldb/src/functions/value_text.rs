//! Values as text: what Java's `toString` gives, and JSON.

use crate::calendar::{date_text, time_text, timestamp_text};
use crate::serde::base64;
use crate::serde::json::write_string;
use crate::serde::number::{decimal_text, double_text};
use crate::types::SqlType;
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

/// Appends the value of a type as JSON. Dates and times are strings in ISO 8601, bytes are base64.
pub(crate) fn write_json(value: &Value, sql_type: &SqlType, json: &mut Vec<u8>) {
    match value {
        Value::Null => json.extend_from_slice(b"null"),
        Value::Double(number) if !number.is_finite() => write_string(&double_text(*number), json),
        Value::Decimal(number) => json.extend_from_slice(number.to_plain_string().as_bytes()),
        Value::String(text) => write_string(text, json),
        Value::Bytes(bytes) => write_string(&base64::encode(bytes), json),
        Value::Date(days) => write_string(&date_text(*days), json),
        Value::Time(milliseconds) => write_string(&time_text(*milliseconds), json),
        Value::Timestamp(milliseconds) => write_string(&timestamp_text(*milliseconds), json),
        Value::Array(elements) => {
            let element_type = match sql_type {
                SqlType::Array(element) => element,
                other => other,
            };
            json.push(b'[');
            for (index, element) in elements.iter().enumerate() {
                if index > 0 {
                    json.push(b',');
                }
                write_json(element, element_type, json);
            }
            json.push(b']');
        }
        Value::Map(entries) => {
            let value_type = match sql_type {
                SqlType::Map(_, value) => value,
                other => other,
            };
            let members = entries.iter().map(|(key, value)| (&**key, value, value_type));
            write_members(members, json);
        }
        Value::Struct(values) => {
            let fields = match sql_type {
                SqlType::Struct(fields) => fields.as_slice(),
                _ => &[],
            };
            let members = fields.iter().zip(values.iter());
            write_members(
                members.map(|(field, value)| (field.name.as_str(), value, &field.sql_type)),
                json,
            );
        }
        number_or_flag => json.extend_from_slice(element_text(number_or_flag).as_bytes()),
    }
}

fn write_members<'a>(members: impl Iterator<Item = (&'a str, &'a Value, &'a SqlType)>, json: &mut Vec<u8>) {
    json.push(b'{');
    for (index, (name, value, sql_type)) in members.enumerate() {
        if index > 0 {
            json.push(b',');
        }
        write_string(name, json);
        json.push(b':');
        write_json(value, sql_type, json);
    }
    json.push(b'}');
}
