//! What all functions have in common, and the calls that the other files' tests make.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::{FunctionError, NullHandling, Widening, all, lookup};
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

/// Values of every type, the extreme ones above all.
fn value() -> BoxedStrategy<Value> {
    let text = prop_oneof![any::<String>(), "[a-z0-9:%'\\[\\]$. -]{0,8}"];
    let integer = prop_oneof![-3..20, Just(i32::MIN), Just(i32::MAX)];
    let bigint = prop_oneof![-3_i64..20, Just(i64::MIN), Just(i64::MAX)];
    let primitive = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::Boolean),
        integer.clone().prop_map(Value::Integer),
        bigint.clone().prop_map(Value::Bigint),
        any::<f64>().prop_map(Value::Double),
        "-?[0-9]{1,20}(\\.[0-9]{1,20})?".prop_map(|digits| decimal(&digits)),
        text.prop_map(Value::string),
        any::<Vec<u8>>().prop_map(|bytes| Value::Bytes(bytes.into())),
        integer.clone().prop_map(Value::Date),
        integer.prop_map(Value::Time),
        bigint.prop_map(Value::Timestamp),
    ];
    let nested = primitive.prop_recursive(2, 8, 3, |inner| {
        let several = proptest::collection::vec(inner.clone(), 0..3);
        let pairs = proptest::collection::vec((any::<String>(), inner), 0..3);
        prop_oneof![
            several.clone().prop_map(array),
            several.prop_map(|values| Value::Struct(values.into())),
            pairs.prop_map(|pairs| Value::map(pairs.into_iter().map(|(key, value)| (key.into(), value)))),
        ]
    });
    nested.boxed()
}

/// Whether all elements of an array and all values of a map have one type, as those of a row have.
fn is_of_one_type(value: &Value) -> bool {
    let agree = |values: &mut dyn Iterator<Item = &Value>| {
        let mut types = values
            .filter(|value| !value.is_null())
            .map(|value| (type_of(value), is_of_one_type(value)));
        let first = types.next();
        first.is_none_or(|(first, inner)| inner && types.all(|(other, inner)| inner && other == first))
    };
    match value {
        Value::Array(elements) => agree(&mut elements.iter()),
        Value::Map(entries) => agree(&mut entries.iter().map(|(_, value)| value)),
        _ => true,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn no_values_make_a_function_panic(arguments in proptest::collection::vec(value(), 0..6)) {
        for function in all() {
            let result = (function.call)(&arguments);
            let types: Vec<_> = arguments.iter().map(type_of).collect();
            let nulls_propagate = function.nulls == NullHandling::Propagate;
            let is_a_row = arguments.iter().all(is_of_one_type);
            if !is_a_row || (nulls_propagate && types.contains(&None)) {
                continue;
            }
            // Where the types fit, so does the result's.
            if let (Some(sql_type), Ok(value)) = ((function.return_type)(&types), result) {
                let shown = type_of(&value);
                let same_kind = |left: &SqlType, right: &SqlType| {
                    std::mem::discriminant(left) == std::mem::discriminant(right)
                };
                let fits = match shown {
                    None => true,
                    // Numbers of different types, which the caller would have widened.
                    Some(_) if function.widening == Widening::ToResult => true,
                    Some(shown) => same_kind(&shown, &sql_type),
                };
                prop_assert!(fits, "{} gives {value:?} for {sql_type}", function.name);
            }
        }
    }
}
