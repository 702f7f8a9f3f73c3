//! Functions of arrays.

use std::cmp::Ordering;
use std::sync::Arc;

use super::arguments::{
    Kind, accepts, argument, common_type, count, elements, is_number, one_type, optional_text, whole,
};
use super::comparison::{compare, same};
use super::value_text::element_text;
use super::{FunctionError, ScalarFunction};
use crate::types::SqlType;
use crate::value::Value;

pub(super) static FUNCTIONS: &[ScalarFunction] = &[
    ScalarFunction::new(
        "ARRAY_LENGTH",
        "How many elements the array has.",
        |arguments| accepts(arguments, &[Kind::Array], &[]).then_some(SqlType::Integer),
        |arguments| count(elements(arguments, 0)?.len()),
    ),
    ScalarFunction::new(
        "ARRAY_CONTAINS",
        "Whether the value is among the array's elements.",
        |arguments| element_and_value(arguments).then_some(SqlType::Boolean),
        |arguments| {
            if argument(arguments, 0)?.is_null() {
                return Ok(Value::Boolean(false));
            }
            let value = argument(arguments, 1)?;
            Ok(Value::Boolean(contains(elements(arguments, 0)?, value)))
        },
    )
    .with_own_nulls(),
    ScalarFunction::new(
        "ARRAY_CONCAT",
        "The elements of both arrays; where one of them is NULL, the other one.",
        two_arrays,
        |arguments| {
            let (left, right) = (argument(arguments, 0)?, argument(arguments, 1)?);
            if left.is_null() || right.is_null() {
                return Ok(if left.is_null() {
                    right.clone()
                } else {
                    left.clone()
                });
            }
            Ok(Value::Array(
                [elements(arguments, 0)?, elements(arguments, 1)?].concat().into(),
            ))
        },
    )
    .with_own_nulls(),
    ScalarFunction::new(
        "ARRAY_DISTINCT",
        "The different elements, in the order of their first occurrence.",
        one_array,
        |arguments| Ok(distinct(elements(arguments, 0)?.iter())),
    ),
    ScalarFunction::new(
        "ARRAY_EXCEPT",
        "The different elements of the first array that are not in the second one.",
        two_arrays,
        |arguments| {
            let others = elements(arguments, 1)?;
            Ok(distinct(
                elements(arguments, 0)?
                    .iter()
                    .filter(|element| !contains(others, element)),
            ))
        },
    ),
    ScalarFunction::new(
        "ARRAY_INTERSECT",
        "The different elements that are in both arrays, in the order of the first one.",
        two_arrays,
        |arguments| {
            let others = elements(arguments, 1)?;
            Ok(distinct(
                elements(arguments, 0)?
                    .iter()
                    .filter(|element| contains(others, element)),
            ))
        },
    ),
    ScalarFunction::new(
        "ARRAY_UNION",
        "The different elements of both arrays, in the order they are met.",
        two_arrays,
        |arguments| {
            Ok(distinct(
                elements(arguments, 0)?.iter().chain(elements(arguments, 1)?),
            ))
        },
    ),
    ScalarFunction::new(
        "ARRAY_REMOVE",
        "The array without the elements that equal the value.",
        |arguments| element_and_value(arguments).then(|| arguments[0].clone().unwrap_or_else(any_array)),
        |arguments| {
            if argument(arguments, 0)?.is_null() {
                return Ok(Value::Null);
            }
            let value = argument(arguments, 1)?;
            let kept = elements(arguments, 0)?
                .iter()
                .filter(|element| !same(element, value));
            Ok(Value::Array(kept.cloned().collect()))
        },
    )
    .with_own_nulls(),
    ScalarFunction::new(
        "ARRAY_MAX",
        "The greatest element; NULL elements are skipped.",
        primitive_element,
        |arguments| extreme(arguments, Ordering::Greater),
    ),
    ScalarFunction::new(
        "ARRAY_MIN",
        "The least element; NULL elements are skipped.",
        primitive_element,
        |arguments| extreme(arguments, Ordering::Less),
    ),
    ScalarFunction::new(
        "ARRAY_SORT",
        "The elements in ascending (ASC, the default) or descending (DESC) order, NULL last.",
        |arguments| {
            let (array, direction) = arguments.split_first()?;
            primitive_element(std::slice::from_ref(array))?;
            accepts(direction, &[], &[Kind::String]).then(|| array.clone().unwrap_or_else(any_array))
        },
        sort,
    ),
    ScalarFunction::new(
        "ARRAY_JOIN",
        "The elements as text with a delimiter between them, a comma by default.",
        |arguments| {
            let (array, delimiter) = arguments.split_first()?;
            let element = primitive_element(std::slice::from_ref(array))?;
            let has_text = is_number(&element) || matches!(element, SqlType::String | SqlType::Boolean);
            (has_text && accepts(delimiter, &[], &[Kind::String])).then_some(SqlType::String)
        },
        join,
    )
    .with_own_nulls(),
    ScalarFunction::new(
        "SLICE",
        "The elements from one place to another, both included, counting from 1; NULL where the places are \
         not within the array.",
        |arguments| {
            let fits = accepts(arguments, &[Kind::Array, Kind::Integer, Kind::Integer], &[]);
            fits.then(|| arguments[0].clone().unwrap_or_else(any_array))
        },
        slice,
    )
    .with_own_nulls(),
    ScalarFunction::new(
        "GENERATE_SERIES",
        "The numbers from one to another, both included, in steps of 1 (or -1) or of the step given.",
        |arguments| {
            let fits = accepts(arguments, &[Kind::Whole; 2], &[Kind::Integer]);
            fits.then(|| common_type(&arguments[..2]))?
                .map(|number| SqlType::Array(Box::new(number)))
        },
        series,
    ),
];

/// The array that a `NULL` literal is taken for.
fn any_array() -> SqlType {
    SqlType::Array(Box::new(SqlType::String))
}

fn element_of(argument: &Option<SqlType>) -> Option<SqlType> {
    match argument {
        Some(SqlType::Array(element)) => Some((**element).clone()),
        _ => None,
    }
}

fn one_array(arguments: &[Option<SqlType>]) -> Option<SqlType> {
    accepts(arguments, &[Kind::Array], &[]).then(|| arguments[0].clone().unwrap_or_else(any_array))
}

fn two_arrays(arguments: &[Option<SqlType>]) -> Option<SqlType> {
    if !accepts(arguments, &[Kind::Array; 2], &[]) {
        return None;
    }
    match arguments {
        [Some(left), Some(right)] => (left == right).then(|| left.clone()),
        [left, right] => Some(left.clone().or_else(|| right.clone()).unwrap_or_else(any_array)),
        _ => None,
    }
}

/// Whether the arguments are an array and a value that may be one of its elements.
fn element_and_value(arguments: &[Option<SqlType>]) -> bool {
    accepts(arguments, &[Kind::Array, Kind::Any], &[])
        && one_type(&[element_of(&arguments[0]), arguments[1].clone()]).is_some()
}

/// The type of the elements, if they have an order.
fn primitive_element(arguments: &[Option<SqlType>]) -> Option<SqlType> {
    if !accepts(arguments, &[Kind::Array], &[]) {
        return None;
    }
    let element = element_of(&arguments[0]).unwrap_or(SqlType::String);
    let nested = matches!(element, SqlType::Array(_) | SqlType::Map(..) | SqlType::Struct(_));
    (is_number(&element) || !nested).then_some(element)
}

fn contains(elements: &[Value], value: &Value) -> bool {
    elements.iter().any(|element| same(element, value))
}

fn distinct<'values>(values: impl Iterator<Item = &'values Value>) -> Value {
    let mut seen: Vec<Value> = Vec::new();
    for value in values {
        if !contains(&seen, value) {
            seen.push(value.clone());
        }
    }
    Value::Array(seen.into())
}

fn extreme(arguments: &[Value], wanted: Ordering) -> Result<Value, FunctionError> {
    let present = elements(arguments, 0)?
        .iter()
        .filter(|element| !element.is_null());
    let extreme = present.reduce(|best, next| if compare(next, best) == wanted { next } else { best });
    Ok(extreme.cloned().unwrap_or(Value::Null))
}

fn sort(arguments: &[Value]) -> Result<Value, FunctionError> {
    let descending = match optional_text(arguments, 1)? {
        None => false,
        Some(direction) => match direction.to_ascii_uppercase().as_str() {
            "ASC" | "ASCENDING" => false,
            "DESC" | "DESCENDING" => true,
            // An order that is neither sorts nothing.
            _ => return Ok(Value::Null),
        },
    };
    let mut sorted = elements(arguments, 0)?.to_vec();
    sorted.sort_by(|left, right| match (left.is_null(), right.is_null()) {
        (false, false) if descending => compare(right, left),
        (false, false) => compare(left, right),
        (left, right) => left.cmp(&right),
    });
    Ok(Value::Array(sorted.into()))
}

fn join(arguments: &[Value]) -> Result<Value, FunctionError> {
    if argument(arguments, 0)?.is_null() {
        return Ok(Value::Null);
    }
    let default = if arguments.len() < 2 { "," } else { "" };
    let delimiter = optional_text(arguments, 1)?.unwrap_or(default);
    let texts: Vec<String> = elements(arguments, 0)?.iter().map(element_text).collect();
    Ok(Value::string(texts.join(delimiter)))
}

fn slice(arguments: &[Value]) -> Result<Value, FunctionError> {
    if argument(arguments, 0)?.is_null() {
        return Ok(Value::Null);
    }
    let all = elements(arguments, 0)?;
    let place = |index: usize, default: i64| match argument(arguments, index)? {
        Value::Null => Ok(default),
        _ => whole(arguments, index),
    };
    let (from, to) = (place(1, 1)?, place(2, all.len() as i64)?);
    let range = usize::try_from(from - 1).ok().zip(usize::try_from(to).ok());
    let part = range.and_then(|(start, end)| all.get(start..end));
    Ok(part.map_or(Value::Null, |part| Value::Array(part.into())))
}

/// How many numbers a series may have: what a record could hold.
const LONGEST_SERIES: i128 = 1_000_000;

fn series(arguments: &[Value]) -> Result<Value, FunctionError> {
    let (start, end) = (whole(arguments, 0)?, whole(arguments, 1)?);
    let step = if arguments.len() > 2 {
        whole(arguments, 2)?
    } else if end < start {
        -1
    } else {
        1
    };
    if step == 0 {
        return Err(FunctionError::new("the step of a series must not be 0"));
    }
    let distance = i128::from(end) - i128::from(start);
    if distance != 0 && (distance > 0) != (step > 0) {
        return Err(FunctionError::new(format!(
            "steps of {step} do not lead from {start} to {end}"
        )));
    }
    let length = distance / i128::from(step) + 1;
    if length > LONGEST_SERIES {
        return Err(FunctionError::new(format!(
            "a series of {length} numbers is too long"
        )));
    }
    let is_bigint = arguments[..2]
        .iter()
        .any(|argument| matches!(argument, Value::Bigint(_)));
    let numbers = (0..length as i64).map(|index| {
        // Between start and end, which are of this very type.
        let number = start + index * step;
        if is_bigint {
            Value::Bigint(number)
        } else {
            Value::Integer(number as i32)
        }
    });
    Ok(Value::Array(numbers.collect::<Arc<[Value]>>()))
}

#[cfg(test)]
mod tests;
