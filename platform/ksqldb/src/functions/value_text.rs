//! Primitive values as the text that Java's `toString` gives.

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
