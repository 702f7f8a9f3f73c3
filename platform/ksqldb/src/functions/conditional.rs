//! Functions that choose among values, `NULL` above all.

use super::ScalarFunction;
use super::arguments::{Kind, accepts, accepts_many, argument, one_type};
use super::comparison::same;
use crate::types::SqlType;
use crate::value::Value;

pub(super) static FUNCTIONS: &[ScalarFunction] = &[
    ScalarFunction::new(
        "COALESCE",
        "The first of the values that is not NULL.",
        |arguments| accepts_many(arguments, &[], Kind::Any).then(|| one_type(arguments))?,
        |arguments| {
            Ok(arguments
                .iter()
                .find(|value| !value.is_null())
                .cloned()
                .unwrap_or(Value::Null))
        },
    )
    .with_own_nulls(),
    ScalarFunction::new(
        "IFNULL",
        "The first value, or the second one where the first is NULL.",
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
    .with_own_nulls(),
    ScalarFunction::new(
        "NULLIF",
        "NULL where both values are the same, else the first one.",
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
    .with_own_nulls(),
    ScalarFunction::new(
        "AS_VALUE",
        "A key column's value, to have it among the row's values too.",
        |arguments| match arguments {
            [one] => Some(one.clone().unwrap_or(SqlType::String)),
            _ => None,
        },
        |arguments| argument(arguments, 0).cloned(),
    ),
];

fn of_two(arguments: &[Option<SqlType>]) -> Option<SqlType> {
    accepts(arguments, &[Kind::Any; 2], &[]).then(|| one_type(arguments))?
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
            result_type("COALESCE", [SqlType::Integer, SqlType::Integer]),
            Some(SqlType::Integer)
        );
        assert_eq!(result_type("COALESCE", [SqlType::Integer, SqlType::Bigint]), None);
        assert_eq!(result_type("COALESCE", [SqlType::Integer, SqlType::String]), None);
        assert_eq!(result_type("IFNULL", [SqlType::Integer]), None);
    }

    #[test]
    fn null_for_the_same() {
        assert_eq!(call("NULLIF", [s("a"), s("a")]), Value::Null);
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
