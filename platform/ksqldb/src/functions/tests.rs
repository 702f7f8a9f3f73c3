//! What all functions have in common, and the calls that the other files' tests make.

use std::collections::BTreeSet;

use super::{FunctionError, NullHandling, all, lookup};
use crate::types::SqlType;
use crate::value::Value;

/// Calls a function as an expression does: types first, then `NULL` handling.
pub(super) fn try_call(name: &str, arguments: &[(Option<SqlType>, Value)]) -> Result<Value, FunctionError> {
    let function = lookup(name).unwrap_or_else(|| panic!("no function {name}"));
    let types: Vec<_> = arguments.iter().map(|(sql_type, _)| sql_type.clone()).collect();
    assert!(
        (function.return_type)(&types).is_some(),
        "{name} does not accept {types:?}"
    );
    let values: Vec<_> = arguments.iter().map(|(_, value)| value.clone()).collect();
    if function.nulls == NullHandling::Propagate && values.iter().any(Value::is_null) {
        return Ok(Value::Null);
    }
    (function.call)(&values)
}

/// The type that a value stands for in the tests; `None` for `NULL`.
pub(super) fn type_of(value: &Value) -> Option<SqlType> {
    Some(match value {
        Value::Null => return None,
        Value::Boolean(_) => SqlType::Boolean,
        Value::Integer(_) => SqlType::Integer,
        Value::Bigint(_) => SqlType::Bigint,
        Value::Double(_) => SqlType::Double,
        Value::Decimal(number) => SqlType::Decimal {
            precision: (number.digits() as u32).max(number.fractional_digit_count() as u32),
            scale: number.fractional_digit_count() as u32,
        },
        Value::String(_) => SqlType::String,
        Value::Bytes(_) => SqlType::Bytes,
        Value::Date(_) => SqlType::Date,
        Value::Time(_) => SqlType::Time,
        Value::Timestamp(_) => SqlType::Timestamp,
        Value::Array(elements) => {
            let element = elements.iter().find_map(type_of).unwrap_or(SqlType::String);
            SqlType::Array(Box::new(element))
        }
        Value::Map(entries) => {
            let value = entries.iter().find_map(|(_, value)| type_of(value));
            SqlType::Map(
                Box::new(SqlType::String),
                Box::new(value.unwrap_or(SqlType::String)),
            )
        }
        Value::Struct(_) => SqlType::Struct(Vec::new()),
    })
}

/// Calls a function with values of the types they show.
pub(super) fn call(name: &str, arguments: impl AsRef<[Value]>) -> Value {
    let arguments = arguments.as_ref();
    failing_call(name, arguments).unwrap_or_else(|error| panic!("{name}{arguments:?}: {error}"))
}

/// As [`call`], for calls that may fail.
pub(super) fn failing_call(name: &str, arguments: impl AsRef<[Value]>) -> Result<Value, FunctionError> {
    let typed: Vec<_> = arguments
        .as_ref()
        .iter()
        .map(|value| (type_of(value), value.clone()))
        .collect();
    try_call(name, &typed)
}

/// The type of a call's result, or `None` where the types do not fit.
pub(super) fn result_type(name: &str, arguments: impl AsRef<[SqlType]>) -> Option<SqlType> {
    let function = lookup(name).unwrap_or_else(|| panic!("no function {name}"));
    let arguments: Vec<_> = arguments.as_ref().iter().cloned().map(Some).collect();
    (function.return_type)(&arguments)
}

pub(super) fn s(text: &str) -> Value {
    Value::string(text)
}

pub(super) fn i(number: i32) -> Value {
    Value::Integer(number)
}

pub(super) fn decimal(text: &str) -> Value {
    Value::Decimal(text.parse().unwrap())
}

pub(super) fn array(elements: impl IntoIterator<Item = Value>) -> Value {
    Value::Array(elements.into_iter().collect())
}

#[test]
fn every_function_is_documented_and_found() {
    let mut names = BTreeSet::new();
    for function in all() {
        assert!(names.insert(function.name), "{} is defined twice", function.name);
        assert_eq!(function.name, function.name.to_uppercase());
        assert!(lookup(function.name).is_some());
        assert!(function.description.ends_with('.'), "{}", function.name);
        assert!(!function.category.is_empty(), "{}", function.name);
        assert!(!function.signatures.is_empty(), "{}", function.name);
        for signature in function.signatures {
            assert!(
                signature.starts_with(&format!("{}(", function.name)),
                "{signature}"
            );
        }
    }
    assert!(lookup("NO_SUCH_FUNCTION").is_none());
}

#[test]
fn no_function_takes_arguments_of_every_number() {
    let types = vec![Some(SqlType::Struct(Vec::new())); 40];
    for function in all().filter(|function| !matches!(function.name, "COALESCE" | "GREATEST" | "LEAST")) {
        assert!((function.return_type)(&types).is_none(), "{}", function.name);
    }
}

#[test]
fn values_that_do_not_fit_are_errors_not_panics() {
    for function in all() {
        for count in 0..5 {
            for value in [
                Value::Boolean(true),
                s("x"),
                i(-1),
                Value::Null,
                array([]),
                Value::Bytes([].into()),
            ] {
                let _ = (function.call)(&vec![value; count]);
            }
        }
    }
}
