//! Functions of numbers but trigonometry: rounding, logarithms, powers, the greatest of several.

use std::cmp::Ordering;

use bigdecimal::rounding::RoundingMode;
use bigdecimal::{BigDecimal, Signed};

use super::arguments::{
    Kind, accepts, accepts_many, argument, common_type, decimal_to_double, double, is_number, one_type,
    optional_text, whole,
};
use super::comparison::{compare, decimal_of};
use super::{Call, FunctionError, ScalarFunction, random};
use crate::types::SqlType;
use crate::value::Value;

pub(super) static FUNCTIONS: &[ScalarFunction] = &[
    ScalarFunction::new("ABS", "The number without its sign.", same_number, |arguments| {
        Ok(match argument(arguments, 0)? {
            Value::Integer(number) => Value::Integer(number.wrapping_abs()),
            Value::Bigint(number) => Value::Bigint(number.wrapping_abs()),
            Value::Decimal(number) => Value::Decimal(number.abs()),
            _ => Value::Double(double(arguments, 0)?.abs()),
        })
    }),
    ScalarFunction::new(
        "CEIL",
        "The smallest whole number that is not less than the number.",
        same_number,
        |arguments| whole_number(arguments, f64::ceil, RoundingMode::Ceiling),
    ),
    ScalarFunction::new(
        "FLOOR",
        "The largest whole number that is not greater than the number.",
        same_number,
        |arguments| whole_number(arguments, f64::floor, RoundingMode::Floor),
    ),
    ScalarFunction::new(
        "ROUND",
        "The number rounded to decimal places, none by default. What lies half-way is rounded up.",
        rounded_type,
        |arguments| {
            rounded(
                arguments,
                |number| {
                    if number - number.floor() >= 0.5 {
                        number.ceil()
                    } else {
                        number.floor()
                    }
                },
                half_up,
            )
        },
    ),
    ScalarFunction::new(
        "TRUNC",
        "The number cut off at decimal places, none by default.",
        rounded_type,
        |arguments| rounded(arguments, f64::trunc, |_| RoundingMode::Down),
    ),
    ScalarFunction::new(
        "SIGN",
        "1, 0 or -1, as the number is positive, zero or negative.",
        |arguments| accepts(arguments, &[Kind::Number], &[]).then_some(SqlType::Integer),
        |arguments| {
            let sign = match double(arguments, 0)? {
                number if number > 0.0 => 1,
                number if number < 0.0 => -1,
                _ => 0,
            };
            Ok(Value::Integer(sign))
        },
    ),
    of_double("SQRT", "The square root.", |arguments| {
        mapped(arguments, f64::sqrt)
    }),
    of_double("CBRT", "The cube root.", |arguments| mapped(arguments, f64::cbrt)),
    of_double("EXP", "The power of e.", |arguments| mapped(arguments, f64::exp)),
    of_double("LN", "The natural logarithm.", |arguments| {
        mapped(arguments, f64::ln)
    }),
    ScalarFunction::new(
        "LOG",
        "The logarithm to the base e, or to the base that stands first.",
        |arguments| accepts(arguments, &[Kind::Number], &[Kind::Number]).then_some(SqlType::Double),
        |arguments| {
            if arguments.len() < 2 {
                return mapped(arguments, f64::ln);
            }
            let (base, number) = (double(arguments, 0)?, double(arguments, 1)?);
            let has_logarithm = base > 0.0 && base != 1.0;
            Ok(Value::Double(match number {
                _ if !has_logarithm => f64::NAN,
                0.0 => f64::NEG_INFINITY,
                number => number.ln() / base.ln(),
            }))
        },
    ),
    ScalarFunction::new(
        "POWER",
        "The base raised to the exponent.",
        |arguments| accepts(arguments, &[Kind::Number; 2], &[]).then_some(SqlType::Double),
        |arguments| Ok(Value::Double(double(arguments, 0)?.powf(double(arguments, 1)?))),
    ),
    ScalarFunction::new(
        "RANDOM",
        "A random number from 0 (included) to 1 (excluded).",
        |arguments| arguments.is_empty().then_some(SqlType::Double),
        |_| Ok(Value::Double(random::fraction())),
    ),
    ScalarFunction::new(
        "GREATEST",
        "The greatest of the values; NULL is skipped.",
        extreme_type,
        |arguments| Ok(extreme(arguments, Ordering::Greater)),
    )
    .with_own_nulls()
    .with_widened_arguments(),
    ScalarFunction::new(
        "LEAST",
        "The least of the values; NULL is skipped.",
        extreme_type,
        |arguments| Ok(extreme(arguments, Ordering::Less)),
    )
    .with_own_nulls()
    .with_widened_arguments(),
    ScalarFunction::new(
        "GEO_DISTANCE",
        "The distance on the globe between two places, given as latitude and longitude in degrees, in \
         kilometres or in the unit that stands last (KM or MILES).",
        |arguments| accepts(arguments, &[Kind::Number; 4], &[Kind::String]).then_some(SqlType::Double),
        distance,
    ),
];

/// A function from a number to a `DOUBLE`.
pub(super) const fn of_double(name: &'static str, description: &'static str, call: Call) -> ScalarFunction {
    ScalarFunction::new(
        name,
        description,
        |arguments| accepts(arguments, &[Kind::Number], &[]).then_some(SqlType::Double),
        call,
    )
}

pub(super) fn mapped(arguments: &[Value], function: fn(f64) -> f64) -> Result<Value, FunctionError> {
    Ok(Value::Double(function(double(arguments, 0)?)))
}

fn same_number(arguments: &[Option<SqlType>]) -> Option<SqlType> {
    let fits = accepts(arguments, &[Kind::Number], &[]);
    fits.then(|| arguments[0].clone().unwrap_or(SqlType::Double))
}

fn whole_number(
    arguments: &[Value],
    of_double: fn(f64) -> f64,
    mode: RoundingMode,
) -> Result<Value, FunctionError> {
    Ok(match argument(arguments, 0)? {
        number @ (Value::Integer(_) | Value::Bigint(_)) => number.clone(),
        Value::Decimal(number) => {
            let scale = number.fractional_digit_count();
            Value::Decimal(number.with_scale_round(0, mode).with_scale(scale))
        }
        _ => Value::Double(of_double(double(arguments, 0)?)),
    })
}

fn rounded_type(arguments: &[Option<SqlType>]) -> Option<SqlType> {
    if !accepts(arguments, &[Kind::Number], &[Kind::Integer]) {
        return None;
    }
    Some(match (&arguments[0], arguments.len()) {
        (Some(SqlType::Decimal { precision, scale }), 1) => SqlType::Decimal {
            precision: (precision - scale).max(1),
            scale: 0,
        },
        (Some(decimal @ SqlType::Decimal { .. }), _) => decimal.clone(),
        (Some(SqlType::Integer), 1) => SqlType::Integer,
        (_, 1) => SqlType::Bigint,
        _ => SqlType::Double,
    })
}

/// Half-way upwards, for either sign: the mode that does that depends on it.
fn half_up(number: &BigDecimal) -> RoundingMode {
    if number.is_positive() {
        RoundingMode::HalfUp
    } else {
        RoundingMode::HalfDown
    }
}

fn rounded(
    arguments: &[Value],
    of_double: fn(f64) -> f64,
    mode: fn(&BigDecimal) -> RoundingMode,
) -> Result<Value, FunctionError> {
    let number = argument(arguments, 0)?;
    if arguments.len() < 2 {
        return Ok(match number {
            Value::Integer(_) | Value::Bigint(_) => number.clone(),
            Value::Decimal(number) => Value::Decimal(number.with_scale_round(0, mode(number))),
            // Beyond BIGINT the cast saturates and NaN becomes 0, as in Java.
            _ => Value::Bigint(of_double(double(arguments, 0)?) as i64),
        });
    }
    let places = whole(arguments, 1)?;
    if let Value::Decimal(number) = number {
        let scale = number.fractional_digit_count();
        let rounded = to_places(number, places, mode).with_scale(scale);
        return Ok(Value::Decimal(rounded));
    }
    let number = double(arguments, 0)?;
    let decimal =
        decimal_of(number).ok_or_else(|| FunctionError::new(format!("{number} has no decimal places")))?;
    let rounded = to_places(&decimal, places, mode);
    Ok(Value::Double(decimal_to_double(&rounded)))
}

/// The number at that many places. More places than it has leave it as it is.
fn to_places(number: &BigDecimal, places: i64, mode: fn(&BigDecimal) -> RoundingMode) -> BigDecimal {
    if places >= number.fractional_digit_count() {
        return number.clone();
    }
    // Further left than its first digit every number is 0, so that there is no need to go there.
    let leftmost = -(number.digits() as i64 + number.fractional_digit_count().abs()) - 1;
    number.with_scale_round(places.max(leftmost), mode(number))
}

/// The one type of all arguments, or `DOUBLE` where one of several kinds of number is, or the date or time that
/// the texts among them become. Else it is open which form of the function is meant.
fn extreme_type(arguments: &[Option<SqlType>]) -> Option<SqlType> {
    if !accepts_many(arguments, &[], Kind::Any) {
        return None;
    }
    let types: Vec<_> = arguments.iter().flatten().collect();
    let decimals = types
        .iter()
        .all(|sql_type| matches!(sql_type, SqlType::Decimal { .. }));
    let numbers = types.iter().all(|sql_type| is_number(sql_type));
    let common = if decimals || (numbers && types.contains(&&SqlType::Double)) {
        common_type(arguments)?
    } else if let Some(temporal) = types.iter().copied().find(|sql_type| is_temporal(sql_type)) {
        let fits = |other: &&&SqlType| **other == temporal || **other == &SqlType::String;
        (types.iter().filter(fits).count() == types.len()).then(|| temporal.clone())?
    } else {
        one_type(arguments)?
    };
    let nested = matches!(
        common,
        SqlType::Boolean | SqlType::Array(_) | SqlType::Map(..) | SqlType::Struct(_)
    );
    (!nested).then_some(common)
}

fn is_temporal(sql_type: &SqlType) -> bool {
    matches!(sql_type, SqlType::Date | SqlType::Time | SqlType::Timestamp)
}

fn extreme(arguments: &[Value], wanted: Ordering) -> Value {
    let present = arguments.iter().filter(|value| !value.is_null());
    let extreme = present.reduce(|best, next| if compare(next, best) == wanted { next } else { best });
    extreme.cloned().unwrap_or(Value::Null)
}

fn distance(arguments: &[Value]) -> Result<Value, FunctionError> {
    let degrees = |index: usize, limit: f64| {
        let degrees = double(arguments, index)?;
        let known = degrees.abs() <= limit;
        known
            .then_some(degrees.to_radians())
            .ok_or_else(|| FunctionError::new(format!("{degrees} degrees are not within {limit}")))
    };
    let (from_latitude, from_longitude) = (degrees(0, 90.0)?, degrees(1, 180.0)?);
    let (to_latitude, to_longitude) = (degrees(2, 90.0)?, degrees(3, 180.0)?);
    let unit = optional_text(arguments, 4)?.unwrap_or("KM").to_lowercase();
    let radius = match unit.as_str() {
        "km" | "kilometer" | "kilometers" | "kilometre" | "kilometres" => 6371.0,
        "mi" | "mile" | "miles" => 3959.0,
        _ => {
            return Err(FunctionError::new(format!(
                "the unit of distance `{unit}` is neither KM nor MILES"
            )));
        }
    };
    // The haversine formula.
    let half = |from: f64, to: f64| ((to - from) / 2.0).sin().powi(2);
    let along = half(from_longitude, to_longitude) * from_latitude.cos() * to_latitude.cos();
    let chord = half(from_latitude, to_latitude) + along;
    Ok(Value::Double(2.0 * radius * chord.sqrt().min(1.0).asin()))
}

#[cfg(test)]
mod tests;
