//! Functions of maps.

use super::arguments::{Kind, accepts, argument, boolean, elements, entries, text};
use super::{FunctionError, ScalarFunction};
use crate::types::{SqlType, StructField};
use crate::value::Value;

pub(super) static FUNCTIONS: &[ScalarFunction] = &[
    ScalarFunction::new(
        "AS_MAP",
        "The map from an array's keys to another array's values; a key without a value has NULL.",
        |arguments| {
            if !accepts(arguments, &[Kind::Array; 2], &[]) {
                return None;
            }
            let element = |argument: &Option<SqlType>| match argument {
                Some(SqlType::Array(element)) => (**element).clone(),
                _ => SqlType::String,
            };
            let is_keyed = element(&arguments[0]) == SqlType::String;
            is_keyed.then(|| map_of(element(&arguments[1])))
        },
        as_map,
    ),
    ScalarFunction::new(
        "MAP_KEYS",
        "The map's keys, as an array.",
        |arguments| {
            let array = || SqlType::Array(Box::new(SqlType::String));
            accepts(arguments, &[Kind::Map], &[]).then(array)
        },
        |arguments| {
            let keys = entries(arguments, 0)?
                .iter()
                .map(|(key, _)| Value::String(key.clone()));
            Ok(Value::Array(keys.collect()))
        },
    ),
    ScalarFunction::new(
        "MAP_VALUES",
        "The map's values, as an array in the order of the keys.",
        |arguments| {
            let fits = accepts(arguments, &[Kind::Map], &[]);
            fits.then(|| SqlType::Array(Box::new(value_of(&arguments[0]))))
        },
        |arguments| {
            let values = entries(arguments, 0)?.iter().map(|(_, value)| value.clone());
            Ok(Value::Array(values.collect()))
        },
    ),
    ScalarFunction::new(
        "MAP_UNION",
        "The entries of both maps; of one key the second map's counts. Where one map is NULL, the other one.",
        |arguments| {
            if !accepts(arguments, &[Kind::Map; 2], &[]) {
                return None;
            }
            match arguments {
                [Some(left), Some(right)] => (left == right).then(|| left.clone()),
                [left, right] => Some(
                    left.clone()
                        .or_else(|| right.clone())
                        .unwrap_or(map_of(SqlType::String)),
                ),
                _ => None,
            }
        },
        |arguments| {
            let (left, right) = (argument(arguments, 0)?, argument(arguments, 1)?);
            if left.is_null() || right.is_null() {
                return Ok(if left.is_null() {
                    right.clone()
                } else {
                    left.clone()
                });
            }
            let both = entries(arguments, 0)?.iter().chain(entries(arguments, 1)?);
            Ok(Value::map(both.cloned()))
        },
    )
    .with_own_nulls(),
    ScalarFunction::new(
        "ENTRIES",
        "The map's entries as an array of structs of K and V, sorted by key if so asked.",
        |arguments| {
            let fits = accepts(arguments, &[Kind::Map, Kind::Boolean], &[]);
            fits.then(|| {
                let field = |name: &str, sql_type| StructField {
                    name: name.to_owned(),
                    sql_type,
                };
                let fields = vec![field("K", SqlType::String), field("V", value_of(&arguments[0]))];
                SqlType::Array(Box::new(SqlType::Struct(fields)))
            })
        },
        |arguments| {
            // Maps are sorted anyway, so that the second argument asks for nothing more.
            boolean(arguments, 1)?;
            let pairs = entries(arguments, 0)?.iter();
            let structs =
                pairs.map(|(key, value)| Value::Struct([Value::String(key.clone()), value.clone()].into()));
            Ok(Value::Array(structs.collect()))
        },
    ),
];

fn map_of(value: SqlType) -> SqlType {
    SqlType::Map(Box::new(SqlType::String), Box::new(value))
}

fn value_of(argument: &Option<SqlType>) -> SqlType {
    match argument {
        Some(SqlType::Map(_, value)) => (**value).clone(),
        _ => SqlType::String,
    }
}

fn as_map(arguments: &[Value]) -> Result<Value, FunctionError> {
    let (keys, values) = (elements(arguments, 0)?, elements(arguments, 1)?);
    let mut pairs = Vec::new();
    for (index, key) in keys.iter().enumerate() {
        // A value without a key has no place in a map.
        if !key.is_null() {
            let value = values.get(index).cloned().unwrap_or(Value::Null);
            pairs.push((text(keys, index)?.into(), value));
        }
    }
    Ok(Value::map(pairs))
}

#[cfg(test)]
mod tests {
    use super::super::tests::{array, call, i, result_type, s};
    use super::*;

    fn fruits(entries: &[(&str, i32)]) -> Value {
        Value::map(entries.iter().map(|(key, number)| ((*key).into(), i(*number))))
    }

    #[test]
    fn keys_and_values() {
        let map = fruits(&[("banana", 20), ("apple", 10)]);
        assert_eq!(call("MAP_KEYS", [map.clone()]), array([s("apple"), s("banana")]));
        assert_eq!(call("MAP_VALUES", [map.clone()]), array([i(10), i(20)]));
        assert_eq!(call("MAP_KEYS", [Value::Null]), Value::Null);
        let entry = |key: &str, value: i32| Value::Struct([s(key), i(value)].into());
        let entries = array([entry("apple", 10), entry("banana", 20)]);
        assert_eq!(call("ENTRIES", [map, Value::Boolean(true)]), entries);
        let sql_type = result_type("ENTRIES", [map_of(SqlType::Date), SqlType::Boolean]).unwrap();
        assert_eq!(sql_type.to_string(), "ARRAY<STRUCT<`K` STRING, `V` DATE>>");
    }

    #[test]
    fn unions() {
        let map = fruits(&[("apple", 10), ("banana", 20)]);
        let expected = fruits(&[("apple", 50), ("banana", 20)]);
        assert_eq!(
            call("MAP_UNION", [map.clone(), fruits(&[("apple", 50)])]),
            expected
        );
        assert_eq!(call("MAP_UNION", [map.clone(), Value::Null]), map);
        assert_eq!(call("MAP_UNION", [Value::Null, map.clone()]), map);
        assert_eq!(call("MAP_UNION", [Value::Null, Value::Null]), Value::Null);
        assert_eq!(
            result_type("MAP_UNION", [map_of(SqlType::Date), map_of(SqlType::Time)]),
            None
        );
    }

    #[test]
    fn maps_of_arrays() {
        let keys = array([s("a"), Value::Null, s("b"), s("a"), s("c")]);
        let values = array([1, 2, 3, 4].map(i));
        let expected = [("a", i(4)), ("b", i(3)), ("c", Value::Null)];
        let expected = Value::map(expected.map(|(key, value)| (key.into(), value)));
        assert_eq!(call("AS_MAP", [keys, values]), expected);
        assert_eq!(call("AS_MAP", [Value::Null, array([])]), Value::Null);
        let numbers = SqlType::Array(Box::new(SqlType::Integer));
        assert_eq!(result_type("AS_MAP", [numbers.clone(), numbers]), None);
    }
}
