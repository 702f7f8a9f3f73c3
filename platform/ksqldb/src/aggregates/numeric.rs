//! Counts, sums, averages, deviations and correlations.

use bigdecimal::BigDecimal;

use crate::serde::number::precision;
use crate::types::SqlType;
use crate::value::Value;

/// The integer of a count.
pub(super) fn whole(value: &Value) -> i64 {
    match value {
        Value::Bigint(number) => *number,
        Value::Integer(number) => i64::from(*number),
        _ => 0,
    }
}

/// A number as a double.
fn double(value: &Value) -> f64 {
    match value {
        Value::Integer(number) => f64::from(*number),
        Value::Bigint(number) => *number as f64,
        Value::Double(number) => *number,
        _ => 0.0,
    }
}

/// The parts of a state.
fn parts<const COUNT: usize>(state: &Value) -> [f64; COUNT] {
    let mut parts = [0.0; COUNT];
    if let Value::Struct(values) = state {
        for (part, value) in parts.iter_mut().zip(values.iter()) {
            *part = double(value);
        }
    }
    parts
}

fn of_parts<const COUNT: usize>(parts: [f64; COUNT]) -> Value {
    Value::Struct(parts.map(Value::Double).into())
}

pub(super) fn counted(state: &Value, by: i64) -> Value {
    Value::Bigint(whole(state).wrapping_add(by))
}

/// Nothing added up yet.
pub(super) fn zero(sql_type: &SqlType) -> Value {
    match sql_type {
        SqlType::Integer => Value::Integer(0),
        SqlType::Double => Value::Double(0.0),
        SqlType::Decimal { .. } => Value::Decimal(BigDecimal::from(0)),
        _ => Value::Bigint(0),
    }
}

/// The sum of two numbers of a type: integers wrap around, decimals have to fit. `NULL` adds nothing.
pub(super) fn plus(left: &Value, right: &Value, sql_type: &SqlType) -> Result<Value, String> {
    Ok(match (left, right) {
        (Value::Integer(left), Value::Integer(right)) => Value::Integer(left.wrapping_add(*right)),
        (Value::Bigint(left), Value::Bigint(right)) => Value::Bigint(left.wrapping_add(*right)),
        (Value::Double(left), Value::Double(right)) => Value::Double(left + right),
        (Value::Decimal(left), Value::Decimal(right)) => fitting(left + right, sql_type)?,
        _ => left.clone(),
    })
}

/// The difference of two numbers of a type.
pub(super) fn minus(left: &Value, right: &Value, sql_type: &SqlType) -> Result<Value, String> {
    Ok(match (left, right) {
        (Value::Integer(left), Value::Integer(right)) => Value::Integer(left.wrapping_sub(*right)),
        (Value::Bigint(left), Value::Bigint(right)) => Value::Bigint(left.wrapping_sub(*right)),
        (Value::Double(left), Value::Double(right)) => Value::Double(left - right),
        (Value::Decimal(left), Value::Decimal(right)) => fitting(left - right, sql_type)?,
        _ => left.clone(),
    })
}

fn fitting(number: BigDecimal, sql_type: &SqlType) -> Result<Value, String> {
    let SqlType::Decimal {
        precision: digits,
        scale,
    } = sql_type
    else {
        return Ok(Value::Decimal(number));
    };
    let number = number.with_scale(i64::from(*scale));
    if precision(&number) > u64::from(*digits) {
        return Err(format!(
            "Numeric field overflow: A field with precision {digits} and scale {scale} must round to an absolute value less than 10^{}. Got {}",
            digits - scale,
            number.to_plain_string()
        ));
    }
    Ok(Value::Decimal(number))
}

/// The sum with all elements of a list.
pub(super) fn plus_all(state: Value, list: &Value, sql_type: &SqlType) -> Result<Value, String> {
    elements(list).try_fold(state, |sum, element| plus(&sum, element, sql_type))
}

/// The sum without the elements of a list.
pub(super) fn minus_all(state: Value, list: &Value, sql_type: &SqlType) -> Result<Value, String> {
    elements(list).try_fold(state, |sum, element| minus(&sum, element, sql_type))
}

fn elements(list: &Value) -> impl Iterator<Item = &Value> {
    let elements = match list {
        Value::Array(elements) => &**elements,
        _ => &[],
    };
    elements.iter()
}

/// The state of an average: the sum in its type, and the count.
pub(super) fn no_average(sql_type: &SqlType) -> Value {
    Value::Struct([zero(sql_type), Value::Bigint(0)].into())
}

fn sum_and_count(state: &Value) -> (Value, i64) {
    match state {
        Value::Struct(parts) if parts.len() == 2 => (parts[0].clone(), whole(&parts[1])),
        _ => (Value::Null, 0),
    }
}

/// An average with a number more (`by` 1) or less (-1).
pub(super) fn average_with(
    state: &Value,
    number: &Value,
    sql_type: &SqlType,
    by: i64,
) -> Result<Value, String> {
    if number.is_null() {
        return Ok(state.clone());
    }
    let (sum, count) = sum_and_count(state);
    let sum = if by > 0 {
        plus(&sum, number, sql_type)?
    } else {
        minus(&sum, number, sql_type)?
    };
    Ok(Value::Struct([sum, Value::Bigint(count + by)].into()))
}

pub(super) fn averages(left: &Value, right: &Value, sql_type: &SqlType) -> Result<Value, String> {
    let ((left_sum, left_count), (right_sum, right_count)) = (sum_and_count(left), sum_and_count(right));
    let sum = plus(&left_sum, &right_sum, sql_type)?;
    Ok(Value::Struct(
        [sum, Value::Bigint(left_count + right_count)].into(),
    ))
}

/// 0 while there is no number.
pub(super) fn average(state: &Value) -> Value {
    let (sum, count) = sum_and_count(state);
    Value::Double(if count == 0 {
        0.0
    } else {
        double(&sum) / count as f64
    })
}

/// The state of a deviation: count, sum, and the sum of the squared distances from the mean (after Youngs and
/// Cramer, so that large numbers close together lose nothing).
pub(super) fn no_deviation() -> Value {
    of_parts([0.0; 3])
}

pub(super) fn deviation_with(state: &Value, number: &Value) -> Value {
    if number.is_null() {
        return state.clone();
    }
    let ([count, sum, squares], number) = (parts(state), double(number));
    let (count, sum) = (count + 1.0, sum + number);
    of_parts([count, sum, squares + square_of(count, sum, number)])
}

pub(super) fn deviation_without(state: &Value, number: &Value) -> Value {
    if number.is_null() {
        return state.clone();
    }
    let ([count, sum, squares], number) = (parts(state), double(number));
    let squares = squares - square_of(count, sum, number);
    of_parts([count - 1.0, sum - number, squares])
}

/// What the last of `count` numbers with that sum adds to the squares.
fn square_of(count: f64, sum: f64, number: f64) -> f64 {
    if count < 2.0 {
        return 0.0;
    }
    let distance = number * count - sum;
    distance * distance / (count * (count - 1.0))
}

pub(super) fn deviations(left: &Value, right: &Value) -> Value {
    let [left_count, left_sum, left_squares]: [f64; 3] = parts(left);
    let [right_count, right_sum, right_squares]: [f64; 3] = parts(right);
    let between = if left_count == 0.0 || right_count == 0.0 {
        0.0
    } else {
        let distance = left_sum / left_count - right_sum / right_count;
        distance * distance * left_count * right_count / (left_count + right_count)
    };
    of_parts([
        left_count + right_count,
        left_sum + right_sum,
        left_squares + right_squares + between,
    ])
}

/// The sample variance, or its root.
pub(super) fn deviation(state: &Value, root: bool) -> Value {
    let [count, _, squares]: [f64; 3] = parts(state);
    if count < 2.0 {
        return Value::Double(0.0);
    }
    let variance = squares / (count - 1.0);
    Value::Double(if root { variance.sqrt() } else { variance })
}

/// The state of a correlation: count, sums, sums of squares, sum of products.
pub(super) fn no_correlation() -> Value {
    of_parts([0.0; 6])
}

/// A correlation with a pair more (`sign` 1) or less (-1).
pub(super) fn correlation_with(state: &Value, pair: &[Value], sign: f64) -> Value {
    let [x, y] = pair else {
        return state.clone();
    };
    if x.is_null() || y.is_null() {
        return state.clone();
    }
    let (x, y) = (double(x), double(y));
    let added = [1.0, x, y, x * x, y * y, x * y];
    let before: [f64; 6] = parts(state);
    let mut after = before;
    for (part, added) in after.iter_mut().zip(added) {
        *part += sign * added;
    }
    of_parts(after)
}

pub(super) fn correlations(left: &Value, right: &Value) -> Value {
    let (mut sum, right): ([f64; 6], [f64; 6]) = (parts(left), parts(right));
    for (part, added) in sum.iter_mut().zip(right) {
        *part += added;
    }
    of_parts(sum)
}

/// Pearson's coefficient; no number where it has no meaning.
pub(super) fn correlation(state: &Value) -> Value {
    let [count, x, y, xx, yy, xy]: [f64; 6] = parts(state);
    let spread = ((count * xx - x * x) * (count * yy - y * y)).sqrt();
    Value::Double((count * xy - x * y) / spread)
}
