//! Table functions: each makes a list, whose elements become rows. `EXPLODE` takes the list as it is.

use std::sync::Arc;

use super::{FunctionError, ScalarFunction};
use crate::types::SqlType;
use crate::value::Value;

/// How many columns may be combined: each doubles the rows.
const MOST_COLUMNS: usize = 16;

/// The list of `CUBE_EXPLODE`.
pub(crate) static CUBE: ScalarFunction = ScalarFunction::new(
    "CUBE_EXPLODE",
    "Every combination of the columns with and without a value.",
    |arguments| match arguments {
        [Some(columns @ SqlType::Array(_))] => Some(SqlType::Array(Box::new(columns.clone()))),
        _ => None,
    },
    combinations,
);

/// From none of the columns to all of them, as a binary number counts whose last digit is the last column. A column
/// that is `NULL` has no other value to take.
fn combinations(arguments: &[Value]) -> Result<Value, FunctionError> {
    let [Value::Array(columns)] = arguments else {
        return Ok(Value::Null);
    };
    let count = columns.len();
    if count > MOST_COLUMNS {
        return Err(FunctionError::new(format!(
            "CUBE_EXPLODE combines at most {MOST_COLUMNS} columns, not {count}"
        )));
    }
    let digit = |place: usize| 1_usize << (count - 1 - place);
    let counted = |number: &usize| {
        let mut nulls = (0..count).filter(|place| columns[*place].is_null());
        nulls.all(|place| number & digit(place) == 0)
    };
    let numbers = (0..1_usize << count).filter(counted);
    let rows = numbers.map(|number| {
        let columns = columns.iter().enumerate().map(|(place, column)| {
            if number & digit(place) == 0 {
                Value::Null
            } else {
                column.clone()
            }
        });
        Value::Array(columns.collect())
    });
    Ok(Value::Array(rows.collect::<Arc<[Value]>>()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cube(columns: &[Option<i32>]) -> Result<Vec<Vec<Option<i32>>>, FunctionError> {
        let value = |column: &Option<i32>| column.map_or(Value::Null, Value::Integer);
        let Value::Array(rows) = (CUBE.call)(&[Value::Array(columns.iter().map(value).collect())])? else {
            panic!("not a list");
        };
        let number = |value: &Value| match value {
            Value::Integer(number) => Some(*number),
            _ => None,
        };
        let rows = rows.iter().map(|row| match row {
            Value::Array(columns) => columns.iter().map(number).collect(),
            other => panic!("{other:?}"),
        });
        Ok(rows.collect())
    }

    #[test]
    fn every_combination_comes_once() {
        assert_eq!(
            cube(&[Some(1), Some(2)]).unwrap(),
            [[None, None], [None, Some(2)], [Some(1), None], [Some(1), Some(2)]]
        );
        assert_eq!(cube(&[Some(1), None]).unwrap(), [[None, None], [Some(1), None]]);
        assert_eq!(cube(&[]).unwrap(), [Vec::<Option<i32>>::new()]);
    }

    #[test]
    fn too_many_combinations_are_refused() {
        assert_eq!(cube(&[Some(1); MOST_COLUMNS]).unwrap().len(), 1 << MOST_COLUMNS);
        assert!(cube(&[Some(1); MOST_COLUMNS + 1]).is_err());
    }
}
