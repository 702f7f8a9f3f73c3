//! The mathematical functions of osquery. An argument that is no number, or for which there is no result, gives null.

use rusqlite::Connection;
use rusqlite::functions::Context;
use rusqlite::types::ValueRef;

use super::PURE;

type Function = fn(f64) -> f64;

const OF_ONE: [(&str, Function); 16] = [
    ("sqrt", f64::sqrt),
    ("log", f64::ln),
    ("ln", f64::ln),
    ("log10", f64::log10),
    ("exp", f64::exp),
    ("sin", f64::sin),
    ("cos", f64::cos),
    ("tan", f64::tan),
    ("cot", |number| 1.0 / number.tan()),
    ("asin", f64::asin),
    ("acos", f64::acos),
    ("atan", f64::atan),
    ("degrees", f64::to_degrees),
    ("radians", f64::to_radians),
    ("square", |number| number * number),
    ("coth", |number| 1.0 / number.tanh()),
];

pub(super) fn register(connection: &Connection) -> Result<(), rusqlite::Error> {
    for (name, function) in OF_ONE {
        connection.create_scalar_function(name, 1, PURE, move |context| {
            Ok(number(context, 0)
                .map(function)
                .filter(|result| result.is_finite()))
        })?;
    }
    // Those of a whole number are whole numbers.
    for (name, function) in [("ceil", f64::ceil as Function), ("floor", f64::floor)] {
        connection.create_scalar_function(name, 1, PURE, move |context| {
            Ok(number(context, 0).map(function).map(saturating))
        })?;
    }
    connection.create_scalar_function("pi", 0, PURE, |_| Ok(std::f64::consts::PI))?;
    for name in ["power", "pow"] {
        connection.create_scalar_function(name, 2, PURE, |context| {
            let (Some(base), Some(exponent)) = (number(context, 0), number(context, 1)) else {
                return Ok(None);
            };
            Ok(Some(base.powf(exponent)).filter(|result| result.is_finite()))
        })?;
    }
    Ok(())
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "a cast of a floating-point number saturates"
)]
fn saturating(number: f64) -> i64 {
    number as i64
}

#[expect(
    clippy::cast_precision_loss,
    reason = "SQLite itself counts with floating-point numbers here"
)]
fn number(context: &Context<'_>, index: usize) -> Option<f64> {
    match context.get_raw(index) {
        ValueRef::Integer(number) => Some(number as f64),
        ValueRef::Real(number) => Some(number),
        ValueRef::Text(text) => std::str::from_utf8(text).ok()?.trim().parse().ok(),
        ValueRef::Null | ValueRef::Blob(_) => None,
    }
}
