//! `= <> < <= > >=`: which types compare, and how. A `NULL` operand makes any comparison false.

use std::cmp::Ordering;

use super::arithmetic::{as_double, decimal_of, is_number};
use crate::syntax::ast::BinaryOperator;
use crate::types::SqlType;
use crate::value::Value;

/// A comparison.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Comparison {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

impl Comparison {
    pub(crate) fn of(operator: BinaryOperator) -> Option<Self> {
        Some(match operator {
            BinaryOperator::Equal => Self::Equal,
            BinaryOperator::NotEqual => Self::NotEqual,
            BinaryOperator::Less => Self::Less,
            BinaryOperator::LessOrEqual => Self::LessOrEqual,
            BinaryOperator::Greater => Self::Greater,
            BinaryOperator::GreaterOrEqual => Self::GreaterOrEqual,
            _ => return None,
        })
    }

    /// The truth; false where an operand is `NULL` or nothing compares (`NaN`).
    pub(crate) fn holds(self, left: &Value, right: &Value) -> bool {
        if left.is_null() || right.is_null() {
            return false;
        }
        match self {
            Self::Equal => equal(left, right),
            Self::NotEqual => !equal(left, right),
            Self::Less => order(left, right).is_some_and(Ordering::is_lt),
            Self::LessOrEqual => order(left, right).is_some_and(Ordering::is_le),
            Self::Greater => order(left, right).is_some_and(Ordering::is_gt),
            Self::GreaterOrEqual => order(left, right).is_some_and(Ordering::is_ge),
        }
    }
}

/// ksqlDB's name of a comparison in its errors, and its sign.
pub(crate) fn names(operator: BinaryOperator) -> (&'static str, &'static str) {
    match operator {
        BinaryOperator::Equal => ("EQUAL", "="),
        BinaryOperator::NotEqual => ("NOT_EQUAL", "<>"),
        BinaryOperator::Less => ("LESS_THAN", "<"),
        BinaryOperator::LessOrEqual => ("LESS_THAN_OR_EQUAL", "<="),
        BinaryOperator::Greater => ("GREATER_THAN", ">"),
        BinaryOperator::GreaterOrEqual => ("GREATER_THAN_OR_EQUAL", ">="),
        BinaryOperator::IsDistinctFrom => ("IS_DISTINCT_FROM", "IS DISTINCT FROM"),
        BinaryOperator::IsNotDistinctFrom => ("IS_NOT_DISTINCT_FROM", "IS NOT DISTINCT FROM"),
        _ => ("", ""),
    }
}

/// Whether two values are equal; numbers by what they are worth.
pub(crate) fn equal(left: &Value, right: &Value) -> bool {
    match (left, right) {
        (Value::String(left), Value::String(right)) => left == right,
        _ => match order(left, right) {
            Some(order) => order.is_eq(),
            None => left == right,
        },
    }
}

/// The order of two values; `None` where there is none.
pub(crate) fn order(left: &Value, right: &Value) -> Option<Ordering> {
    match (left, right) {
        (Value::Integer(left), Value::Integer(right)) => Some(left.cmp(right)),
        (Value::Bigint(left), Value::Bigint(right)) => Some(left.cmp(right)),
        (Value::Integer(left), Value::Bigint(right)) => Some(i64::from(*left).cmp(right)),
        (Value::Bigint(left), Value::Integer(right)) => Some(left.cmp(&i64::from(*right))),
        // Java orders by UTF-16 code units, which differs from UTF-8's order above U+FFFF.
        (Value::String(left), Value::String(right)) => Some(left.encode_utf16().cmp(right.encode_utf16())),
        (Value::Boolean(left), Value::Boolean(right)) => Some(left.cmp(right)),
        (Value::Bytes(left), Value::Bytes(right)) => Some(left.cmp(right)),
        (Value::Time(left), Value::Time(right)) => Some(left.cmp(right)),
        (Value::Date(left), Value::Date(right)) => Some(left.cmp(right)),
        (Value::Timestamp(left), Value::Timestamp(right)) => Some(left.cmp(right)),
        (Value::Date(left), Value::Timestamp(right)) => Some(days_to_ms(*left).cmp(right)),
        (Value::Timestamp(left), Value::Date(right)) => Some(left.cmp(&days_to_ms(*right))),
        (Value::Decimal(_), _) | (_, Value::Decimal(_)) => match (decimal_of(left), decimal_of(right)) {
            (Ok(left), Ok(right)) => Some(left.cmp(&right)),
            _ => as_double(left).ok()?.partial_cmp(&as_double(right).ok()?),
        },
        (Value::Double(_), _) | (_, Value::Double(_)) => {
            as_double(left).ok()?.partial_cmp(&as_double(right).ok()?)
        }
        _ => None,
    }
}

fn days_to_ms(days: i32) -> i64 {
    i64::from(days) * 86_400_000
}

/// Whether two types compare with an operator.
pub(crate) fn is_comparable(operator: BinaryOperator, left: &SqlType, right: &SqlType) -> bool {
    let is_equality = matches!(
        operator,
        BinaryOperator::Equal
            | BinaryOperator::NotEqual
            | BinaryOperator::IsDistinctFrom
            | BinaryOperator::IsNotDistinctFrom
    );
    match (left, right) {
        (left, right) if is_number(left) => is_number(right),
        (SqlType::String, SqlType::String) | (SqlType::Bytes, SqlType::Bytes) => true,
        (SqlType::Boolean, SqlType::Boolean) => is_equality,
        (left, right) if is_temporal(left) && is_temporal(right) => {
            (*left == SqlType::Time) == (*right == SqlType::Time)
        }
        (left, SqlType::String) => is_temporal(left),
        (SqlType::String, right) => is_temporal(right),
        (SqlType::Array(_) | SqlType::Map(..) | SqlType::Struct(_), right) => is_equality && left == right,
        _ => false,
    }
}

/// Whether a type is a date, a time or both.
pub(crate) fn is_temporal(sql_type: &SqlType) -> bool {
    matches!(sql_type, SqlType::Date | SqlType::Time | SqlType::Timestamp)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn null_makes_every_comparison_false() {
        for comparison in [
            Comparison::Equal,
            Comparison::NotEqual,
            Comparison::GreaterOrEqual,
        ] {
            assert!(!comparison.holds(&Value::Null, &Value::Integer(1)));
            assert!(!comparison.holds(&Value::Null, &Value::Null));
        }
    }

    #[test]
    fn numbers_compare_by_worth() {
        let decimal = Value::Decimal("0.10".parse().expect("a number"));
        assert!(Comparison::Equal.holds(&decimal, &Value::Double(0.1)));
        assert!(Comparison::Less.holds(&Value::Integer(1), &Value::Bigint(2)));
        assert!(Comparison::NotEqual.holds(&Value::Double(f64::NAN), &Value::Double(f64::NAN)));
    }

    #[test]
    fn strings_and_numbers_do_not_compare() {
        let equal = BinaryOperator::Equal;
        assert!(!is_comparable(equal, &SqlType::String, &SqlType::Integer));
        assert!(!is_comparable(
            BinaryOperator::Less,
            &SqlType::Boolean,
            &SqlType::Boolean
        ));
        assert!(is_comparable(equal, &SqlType::Timestamp, &SqlType::String));
        assert!(!is_comparable(equal, &SqlType::Timestamp, &SqlType::Time));
    }
}
