//! The order of values, as `MIN`, `MAX` and `TOPK` see it.

use std::cmp::Ordering;

use crate::types::SqlType;
use crate::value::Value;

/// Whether values of a type have an order.
pub(super) fn is_ordered(sql_type: &SqlType) -> bool {
    !matches!(
        sql_type,
        SqlType::Array(_) | SqlType::Map(..) | SqlType::Struct(_)
    )
}

/// The order of two values of one type: texts by their UTF-16 units, bytes as signed ones, as Java compares them.
pub(super) fn compare(left: &Value, right: &Value) -> Ordering {
    match (left, right) {
        (Value::Integer(left), Value::Integer(right))
        | (Value::Date(left), Value::Date(right))
        | (Value::Time(left), Value::Time(right)) => left.cmp(right),
        (Value::Bigint(left), Value::Bigint(right)) | (Value::Timestamp(left), Value::Timestamp(right)) => {
            left.cmp(right)
        }
        (Value::Double(left), Value::Double(right)) => left.total_cmp(right),
        (Value::Decimal(left), Value::Decimal(right)) => left.cmp(right),
        (Value::Boolean(left), Value::Boolean(right)) => left.cmp(right),
        (Value::String(left), Value::String(right)) => left.encode_utf16().cmp(right.encode_utf16()),
        (Value::Bytes(left), Value::Bytes(right)) => {
            let signed = |byte: &u8| byte.cast_signed();
            left.iter().map(signed).cmp(right.iter().map(signed))
        }
        _ => Ordering::Equal,
    }
}

/// The lesser of what is kept and what comes; the kept one where they are equal.
pub(super) fn lesser(kept: Value, new: &Value) -> Value {
    extreme(kept, new, Ordering::Less)
}

/// The greater of what is kept and what comes; the kept one where they are equal.
pub(super) fn greater(kept: Value, new: &Value) -> Value {
    extreme(kept, new, Ordering::Greater)
}

fn extreme(kept: Value, new: &Value, wanted: Ordering) -> Value {
    if new.is_null() {
        kept
    } else if kept.is_null() || compare(new, &kept) == wanted {
        new.clone()
    } else {
        kept
    }
}
