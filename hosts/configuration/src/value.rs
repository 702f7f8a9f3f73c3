//! JSON values as osquery reads them: a number or a switch may be written as text.

use serde_json::Value;

pub(crate) fn number(value: &Value) -> Option<u64> {
    match value {
        Value::Number(number) => number.as_u64(),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    }
}

pub(crate) fn switch(value: &Value) -> bool {
    match value {
        Value::Bool(switch) => *switch,
        Value::Number(number) => number.as_f64() != Some(0.0),
        Value::String(text) => matches!(
            text.trim().to_ascii_lowercase().as_str(),
            "true" | "t" | "yes" | "y" | "1"
        ),
        _ => false,
    }
}

/// A scalar as text, as an option's value.
pub(crate) fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Bool(_) | Value::Number(_) => Some(value.to_string()),
        _ => None,
    }
}

/// The strings of an array.
pub(crate) fn texts(value: &Value) -> Vec<String> {
    let items = value.as_array().map(Vec::as_slice).unwrap_or_default();
    items
        .iter()
        .filter_map(|item| item.as_str().map(str::to_owned))
        .collect()
}
