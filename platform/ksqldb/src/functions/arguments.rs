//! What functions do with their arguments first: match the types, take out the values.

use std::sync::Arc;

use bigdecimal::BigDecimal;

use super::FunctionError;
use crate::types::SqlType;
use crate::value::Value;

/// A family of types that a parameter accepts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Boolean,
    /// `INTEGER` alone.
    Integer,
    /// `INTEGER` and `BIGINT`.
    Whole,
    /// Every number.
    Number,
    String,
    Bytes,
    Date,
    Time,
    Timestamp,
    Array,
    Map,
    Any,
}

impl Kind {
    fn accepts(self, argument: &Option<SqlType>) -> bool {
        let Some(sql_type) = argument else {
            return true;
        };
        match self {
            Self::Boolean => *sql_type == SqlType::Boolean,
            Self::Integer => *sql_type == SqlType::Integer,
            Self::Whole => matches!(sql_type, SqlType::Integer | SqlType::Bigint),
            Self::Number => is_number(sql_type),
            Self::String => *sql_type == SqlType::String,
            Self::Bytes => *sql_type == SqlType::Bytes,
            Self::Date => *sql_type == SqlType::Date,
            Self::Time => *sql_type == SqlType::Time,
            Self::Timestamp => *sql_type == SqlType::Timestamp,
            Self::Array => matches!(sql_type, SqlType::Array(_)),
            Self::Map => matches!(sql_type, SqlType::Map(..)),
            Self::Any => true,
        }
    }
}

pub(super) fn is_number(sql_type: &SqlType) -> bool {
    matches!(
        sql_type,
        SqlType::Integer | SqlType::Bigint | SqlType::Double | SqlType::Decimal { .. }
    )
}

/// An array has at most so many elements when a function makes it: more would be more than a row may make.
const MOST_ELEMENTS: usize = 2_000_000;

/// An array of what a text falls into, which is not made where it would be too long: each element costs many times the
/// byte that it may stand for.
pub(super) fn array_of(parts: impl Iterator<Item = Value>) -> Result<Value, FunctionError> {
    let made: Vec<Value> = parts.take(MOST_ELEMENTS + 1).collect();
    if made.len() > MOST_ELEMENTS {
        return Err(FunctionError::new(format!(
            "an array of more than {MOST_ELEMENTS} elements is too long"
        )));
    }
    Ok(Value::Array(made.into()))
}

/// Whether the arguments are the required ones and perhaps some of the optional ones, in order.
pub(super) fn accepts(arguments: &[Option<SqlType>], required: &[Kind], optional: &[Kind]) -> bool {
    let count = arguments.len();
    let kinds = required.iter().chain(optional);
    let counts = required.len()..=required.len() + optional.len();
    counts.contains(&count)
        && arguments
            .iter()
            .zip(kinds)
            .all(|(argument, kind)| kind.accepts(argument))
}

/// Whether the arguments are the fixed ones and then one or more of the other kind.
pub(super) fn accepts_many(arguments: &[Option<SqlType>], fixed: &[Kind], rest: Kind) -> bool {
    let Some((first, others)) = arguments.split_at_checked(fixed.len()) else {
        return false;
    };
    accepts(first, fixed, &[]) && !others.is_empty() && others.iter().all(|argument| rest.accepts(argument))
}

/// The one type of several arguments: the same for all, or the widest of numbers. `NULL` literals fit
/// any type and alone have the type `STRING`, as an untyped `NULL` prints.
pub(super) fn common_type(arguments: &[Option<SqlType>]) -> Option<SqlType> {
    let mut common: Option<SqlType> = None;
    for sql_type in arguments.iter().flatten() {
        common = match &common {
            None => Some(sql_type.clone()),
            Some(known) => Some(wider(known, sql_type)?),
        };
    }
    Some(common.unwrap_or(SqlType::String))
}

/// The type that all arguments have; `NULL` literals have any, and alone `STRING`.
pub(super) fn one_type(arguments: &[Option<SqlType>]) -> Option<SqlType> {
    let mut types = arguments.iter().flatten();
    let first = types.next().unwrap_or(&SqlType::String);
    types.all(|other| other == first).then(|| first.clone())
}

fn wider(left: &SqlType, right: &SqlType) -> Option<SqlType> {
    if left == right {
        return Some(left.clone());
    }
    if !is_number(left) || !is_number(right) {
        return None;
    }
    if matches!(left, SqlType::Double) || matches!(right, SqlType::Double) {
        return Some(SqlType::Double);
    }
    match (as_decimal(left), as_decimal(right)) {
        (None, None) => Some(SqlType::Bigint),
        (left_decimal, right_decimal) => {
            let (left_whole, left_scale) = left_decimal.unwrap_or_else(|| whole_digits(left));
            let (right_whole, right_scale) = right_decimal.unwrap_or_else(|| whole_digits(right));
            let scale = left_scale.max(right_scale);
            let precision = left_whole.max(right_whole) + scale;
            Some(SqlType::Decimal { precision, scale })
        }
    }
}

/// Digits before and after the point of a `DECIMAL`.
fn as_decimal(sql_type: &SqlType) -> Option<(u32, u32)> {
    match sql_type {
        SqlType::Decimal { precision, scale } => Some((precision - scale, *scale)),
        _ => None,
    }
}

fn whole_digits(sql_type: &SqlType) -> (u32, u32) {
    if *sql_type == SqlType::Integer {
        (10, 0)
    } else {
        (19, 0)
    }
}

fn unfit(expected: &str, value: &Value) -> FunctionError {
    FunctionError::new(format!("expected {expected}, not {value:?}"))
}

/// The argument at that place; an error where there is none.
pub(super) fn argument(arguments: &[Value], index: usize) -> Result<&Value, FunctionError> {
    let missing = || FunctionError::new(format!("argument {} is missing", index + 1));
    arguments.get(index).ok_or_else(missing)
}

pub(super) fn text(arguments: &[Value], index: usize) -> Result<&str, FunctionError> {
    match argument(arguments, index)? {
        Value::String(text) => Ok(text),
        other => Err(unfit("a STRING", other)),
    }
}

/// The text, or `None` where the argument is `NULL` or absent.
pub(super) fn optional_text(arguments: &[Value], index: usize) -> Result<Option<&str>, FunctionError> {
    match arguments.get(index) {
        None | Some(Value::Null) => Ok(None),
        Some(_) => text(arguments, index).map(Some),
    }
}

pub(super) fn whole(arguments: &[Value], index: usize) -> Result<i64, FunctionError> {
    match argument(arguments, index)? {
        Value::Integer(number) => Ok(i64::from(*number)),
        Value::Bigint(number) => Ok(*number),
        other => Err(unfit("an INTEGER", other)),
    }
}

/// Any number as a `DOUBLE`.
pub(super) fn double(arguments: &[Value], index: usize) -> Result<f64, FunctionError> {
    match argument(arguments, index)? {
        Value::Integer(number) => Ok(f64::from(*number)),
        Value::Bigint(number) => Ok(*number as f64),
        Value::Double(number) => Ok(*number),
        Value::Decimal(number) => Ok(decimal_to_double(number)),
        other => Err(unfit("a number", other)),
    }
}

pub(super) fn decimal_to_double(number: &BigDecimal) -> f64 {
    // Through its digits, since the direct conversion is not exactly rounded.
    number.to_string().parse().unwrap_or(f64::NAN)
}

pub(super) fn bytes(arguments: &[Value], index: usize) -> Result<&[u8], FunctionError> {
    match argument(arguments, index)? {
        Value::Bytes(bytes) => Ok(bytes),
        other => Err(unfit("BYTES", other)),
    }
}

pub(super) fn boolean(arguments: &[Value], index: usize) -> Result<bool, FunctionError> {
    match argument(arguments, index)? {
        Value::Boolean(flag) => Ok(*flag),
        other => Err(unfit("a BOOLEAN", other)),
    }
}

pub(super) fn elements(arguments: &[Value], index: usize) -> Result<&[Value], FunctionError> {
    match argument(arguments, index)? {
        Value::Array(elements) => Ok(elements),
        other => Err(unfit("an ARRAY", other)),
    }
}

pub(super) fn entries(arguments: &[Value], index: usize) -> Result<&[(Arc<str>, Value)], FunctionError> {
    match argument(arguments, index)? {
        Value::Map(entries) => Ok(entries),
        other => Err(unfit("a MAP", other)),
    }
}

/// A count that has to fit an `INTEGER`.
pub(super) fn count(number: usize) -> Result<Value, FunctionError> {
    let fitting = i32::try_from(number).map(Value::Integer);
    fitting.map_err(|_| FunctionError::new(format!("{number} does not fit an INTEGER")))
}
