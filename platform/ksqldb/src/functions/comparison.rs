//! How functions compare values: numbers by what they are worth, strings by UTF-16 code units.

use std::cmp::Ordering;
use std::str::FromStr;

use bigdecimal::BigDecimal;

use crate::value::Value;

/// Whether two values are the same; `NULL` is the same as `NULL`, `1` as `1.0`.
pub(super) fn same(left: &Value, right: &Value) -> bool {
    left == right || (is_number(left) && is_number(right) && compare(left, right) == Ordering::Equal)
}

/// The order of two values of one primitive type; values without an order count as equal.
pub(super) fn compare(left: &Value, right: &Value) -> Ordering {
    match (left, right) {
        (Value::Boolean(left), Value::Boolean(right)) => left.cmp(right),
        (Value::String(left), Value::String(right)) => compare_strings(left, right),
        (Value::Bytes(left), Value::Bytes(right)) => left.cmp(right),
        (Value::Date(left), Value::Date(right)) | (Value::Time(left), Value::Time(right)) => left.cmp(right),
        (Value::Timestamp(left), Value::Timestamp(right)) => left.cmp(right),
        (Value::Integer(left), Value::Integer(right)) => left.cmp(right),
        (Value::Double(left), Value::Double(right)) => left.total_cmp(right),
        _ => match (exact(left), exact(right)) {
            (Some(left), Some(right)) => left.cmp(&right),
            _ => match (approximate(left), approximate(right)) {
                (Some(left), Some(right)) => left.total_cmp(&right),
                _ => Ordering::Equal,
            },
        },
    }
}

/// As Java compares strings. UTF-8 orders by code point, which differs beyond U+FFFF.
fn compare_strings(left: &str, right: &str) -> Ordering {
    left.encode_utf16().cmp(right.encode_utf16())
}

fn is_number(value: &Value) -> bool {
    matches!(
        value,
        Value::Integer(_) | Value::Bigint(_) | Value::Double(_) | Value::Decimal(_)
    )
}

fn exact(value: &Value) -> Option<BigDecimal> {
    match value {
        Value::Integer(number) => Some(BigDecimal::from(*number)),
        Value::Bigint(number) => Some(BigDecimal::from(*number)),
        Value::Decimal(number) => Some(number.clone()),
        Value::Double(number) => decimal_of(*number),
        _ => None,
    }
}

fn approximate(value: &Value) -> Option<f64> {
    match value {
        Value::Double(number) => Some(*number),
        // Only a DOUBLE has no exact form, and then it is beyond every other number.
        _ => is_number(value).then_some(0.0),
    }
}

/// The decimal that a `DOUBLE` prints as, or `None` where it is not finite.
pub(super) fn decimal_of(number: f64) -> Option<BigDecimal> {
    number
        .is_finite()
        .then(|| BigDecimal::from_str(&number.to_string()).ok())
        .flatten()
}
