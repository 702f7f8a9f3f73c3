//! Functions that choose among values, `NULL` above all.

use super::ScalarFunction;
use super::arguments::{Kind, accepts, accepts_many, argument, common_type};
use super::comparison::same;
use crate::types::SqlType;
use crate::value::Value;

const CATEGORY: &str = "CONDITIONAL";

pub(super) static FUNCTIONS: &[ScalarFunction] = &[
    ScalarFunction::new(
        "COALESCE",
        CATEGORY,
        "The first of the values that is not NULL.",
        &["COALESCE(T, ...)"],
        |arguments| accepts_many(arguments, &[], Kind::Any).then(|| common_type(arguments))?,
        |arguments| {
            Ok(arguments
                .iter()
                .find(|value| !value.is_null())
                .cloned()
                .unwrap_or(Value::Null))
        },
    )
    .with_own_nulls()
    .with_widened_arguments(),
    ScalarFunction::new(
        "IFNULL",
        CATEGORY,
        "The first value, or the second one where the first is NULL.",
        &["IFNULL(T, T)"],
        of_two,
        |arguments| {
            let first = argument(arguments, 0)?;
            Ok(if first.is_null() {
                argument(arguments, 1)?.clone()
            } else {
                first.clone()
            })
        },
    )
    .with_own_nulls()
    .with_widened_arguments(),
    ScalarFunction::new(
        "NULLIF",
        CATEGORY,
        "NULL where both values are the same, else the first one.",
        &["NULLIF(T, T)"],
        of_two,
        |arguments| {
            let first = argument(arguments, 0)?;
            Ok(if same(first, argument(arguments, 1)?) {
                Value::Null
            } else {
                first.clone()
            })
        },
    )
    .with_own_nulls()
    .with_widened_arguments(),
    ScalarFunction::new(
        "AS_VALUE",
        "OTHER",
        "A key column's value, to have it among the row's values too.",
        &["AS_VALUE(T)"],
        |arguments| match arguments {
            [one] => Some(one.clone().unwrap_or(SqlType::String)),
            _ => None,
        },
        |arguments| argument(arguments, 0).cloned(),
    ),
];

fn of_two(arguments: &[Option<SqlType>]) -> Option<SqlType> {
    accepts(arguments, &[Kind::Any; 2], &[]).then(|| common_type(arguments))?
}

#[cfg(test)]
mod tests {
    use super::super::tests::{array, call, i, result_type, s};
    use super::*;

    #[test]
    fn the_first_that_is_there() {
        assert_eq!(call("COALESCE", [Value::Null, s("a"), s("b")]), s("a"));
        assert_eq!(call("COALESCE", [Value::Null]), Value::Null);
        assert_eq!(call("IFNULL", [Value::Null, i(1)]), i(1));
        assert_eq!(call("IFNULL", [i(2), i(1)]), i(2));
        assert_eq!(
            call("IFNULL", [array([Value::Null]), array([s("x")])]),
            array([Value::Null])
        );
        assert_eq!(
            result_type("COALESCE", [SqlType::Integer, SqlType::Bigint]),
            Some(SqlType::Bigint)
        );
        assert_eq!(result_type("COALESCE", [SqlType::Integer, SqlType::String]), None);
        assert_eq!(result_type("IFNULL", [SqlType::Integer]), None);
    }

    #[test]
    fn null_for_the_same() {
        assert_eq!(call("NULLIF", [s("a"), s("a")]), Value::Null);
        assert_eq!(call("NULLIF", [i(1), Value::Bigint(1)]), Value::Null);
        assert_eq!(call("NULLIF", [s("a"), s("b")]), s("a"));
        assert_eq!(call("NULLIF", [s("a"), Value::Null]), s("a"));
        assert_eq!(call("NULLIF", [Value::Null, s("a")]), Value::Null);
    }

    #[test]
    fn a_value_is_itself() {
        assert_eq!(call("AS_VALUE", [i(1)]), i(1));
        assert_eq!(call("AS_VALUE", [Value::Null]), Value::Null);
        let map = SqlType::Map(Box::new(SqlType::String), Box::new(SqlType::Date));
        assert_eq!(result_type("AS_VALUE", [map.clone()]), Some(map));
    }
}
