//! The values of a row.

use std::sync::Arc;

use bigdecimal::BigDecimal;

/// A value of a column or an expression. Cheap to clone: large contents are shared.
#[derive(Debug, Clone, PartialEq, Default)]
pub enum Value {
    /// SQL `NULL`, of any type.
    #[default]
    Null,
    /// `BOOLEAN`
    Boolean(bool),
    /// `INTEGER`
    Integer(i32),
    /// `BIGINT`
    Bigint(i64),
    /// `DOUBLE`
    Double(f64),
    /// `DECIMAL`, already at its type's scale.
    Decimal(BigDecimal),
    /// `STRING`
    String(Arc<str>),
    /// `BYTES`
    Bytes(Arc<[u8]>),
    /// `DATE`: days since 1970-01-01.
    Date(i32),
    /// `TIME`: milliseconds since midnight.
    Time(i32),
    /// `TIMESTAMP`: milliseconds since the epoch.
    Timestamp(i64),
    /// `ARRAY`
    Array(Arc<[Value]>),
    /// `MAP` with string keys (JSON allows no others), sorted by key; those of a histogram are in Java's order.
    Map(Arc<[(Arc<str>, Value)]>),
    /// `STRUCT`: the fields' values in the order of the type.
    Struct(Arc<[Value]>),
}

impl Value {
    /// A string value.
    pub fn string(text: impl Into<Arc<str>>) -> Self {
        Self::String(text.into())
    }

    /// A map value; of several entries with one key the last one counts.
    pub fn map(entries: impl IntoIterator<Item = (Arc<str>, Value)>) -> Self {
        let mut sorted: Vec<(Arc<str>, Value)> = entries.into_iter().collect();
        sorted.sort_by(|left, right| left.0.cmp(&right.0));
        // `dedup_by` keeps the first of equal neighbours, so the later value moves into it.
        sorted.dedup_by(|later, earlier| {
            let same = later.0 == earlier.0;
            if same {
                std::mem::swap(&mut later.1, &mut earlier.1);
            }
            same
        });
        Self::Map(sorted.into())
    }

    /// What it takes in memory, roughly, as if nothing of it were shared.
    pub(crate) fn bytes(&self) -> usize {
        let inside = match self {
            Self::String(text) => text.len(),
            Self::Bytes(bytes) => bytes.len(),
            Self::Decimal(number) => usize::try_from(number.digits() / 2).unwrap_or(usize::MAX),
            Self::Array(values) | Self::Struct(values) => values.iter().map(Self::bytes).sum(),
            Self::Map(entries) => entries
                .iter()
                .map(|(key, value)| size_of_val(key) + key.len() + value.bytes())
                .sum(),
            _ => 0,
        };
        size_of::<Self>() + inside
    }

    /// Whether this is `NULL`.
    pub fn is_null(&self) -> bool {
        matches!(self, Self::Null)
    }
}

/// The values of a row, in the order of its schema's columns.
pub type Row = Vec<Value>;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_entry_of_a_key_counts() {
        let entries = [("b", 1), ("a", 2), ("b", 3), ("b", 4)];
        let map = Value::map(entries.map(|(key, number)| (Arc::from(key), Value::Integer(number))));
        let expected = [
            (Arc::from("a"), Value::Integer(2)),
            (Arc::from("b"), Value::Integer(4)),
        ];
        assert_eq!(map, Value::Map(Arc::new(expected)));
    }
}
