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
mod tests {
    use proptest::prelude::*;

    use super::super::tests::{call, decimal, failing_call, i, result_type, s};
    use super::*;

    fn d(number: f64) -> Value {
        Value::Double(number)
    }

    #[test]
    fn numbers_keep_their_type() {
        assert_eq!(call("ABS", [i(-5)]), i(5));
        assert_eq!(call("ABS", [i(i32::MIN)]), i(i32::MIN));
        assert_eq!(call("ABS", [d(-5.5)]), d(5.5));
        assert_eq!(call("ABS", [decimal("-5.50")]), decimal("5.50"));
        assert_eq!(call("CEIL", [d(-1.5)]), d(-1.0));
        assert_eq!(call("CEIL", [Value::Bigint(7)]), Value::Bigint(7));
        assert_eq!(call("FLOOR", [d(-1.5)]), d(-2.0));
        for (name, expected) in [("CEIL", "-1.00"), ("FLOOR", "-2.00")] {
            let Value::Decimal(number) = call(name, [decimal("-1.50")]) else {
                panic!("not a decimal");
            };
            assert_eq!(number.to_string(), expected);
        }
        let money = SqlType::Decimal {
            precision: 10,
            scale: 2,
        };
        assert_eq!(result_type("FLOOR", [money.clone()]), Some(money));
        assert_eq!(result_type("ABS", [SqlType::String]), None);
        assert_eq!(call("ABS", [Value::Null]), Value::Null);
    }

    #[test]
    fn half_way_is_rounded_up() {
        for (number, expected) in [
            (1.1, 1),
            (1.5, 2),
            (-1.1, -1),
            (-1.5, -1),
            (-1.9, -2),
            (0.499_999_999_999_999_94, 0),
            (f64::NAN, 0),
            (f64::INFINITY, i64::MAX),
        ] {
            assert_eq!(call("ROUND", [d(number)]), Value::Bigint(expected), "{number}");
        }
        assert_eq!(call("ROUND", [i(3)]), i(3));
        assert_eq!(result_type("TRUNC", [SqlType::Integer]), Some(SqlType::Integer));
        for (number, places, expected) in [
            (1.235, 2, 1.24),
            (-1.235, 2, -1.23),
            (1234.5, -2, 1200.0),
            (1250.0, -2, 1300.0),
            (1.5, 400, 1.5),
            (1.5, -400, 0.0),
            (1e300, -2, 1e300),
        ] {
            assert_eq!(
                call("ROUND", [d(number), i(places)]),
                d(expected),
                "{number} {places}"
            );
        }
        assert!(failing_call("ROUND", [d(f64::NAN), i(1)]).is_err());
        for (number, places, expected) in [
            ("1.235", 2, "1.240"),
            ("-1.235", 2, "-1.230"),
            ("1.235", 9, "1.235"),
            ("155.0", -1, "160.0"),
            ("155.0", -2_000_000_000, "0.0"),
        ] {
            let Value::Decimal(rounded) = call("ROUND", [decimal(number), i(places)]) else {
                panic!("not a decimal");
            };
            assert_eq!(rounded.to_plain_string(), expected);
        }
        assert_eq!(call("ROUND", [decimal("-1.5")]), decimal("-1"));
        let money = SqlType::Decimal {
            precision: 10,
            scale: 2,
        };
        let whole = SqlType::Decimal {
            precision: 8,
            scale: 0,
        };
        assert_eq!(result_type("ROUND", [money.clone()]), Some(whole));
        assert_eq!(
            result_type("ROUND", [money.clone(), SqlType::Integer]),
            Some(money)
        );
        assert_eq!(
            result_type("ROUND", [SqlType::Double, SqlType::Integer]),
            Some(SqlType::Double)
        );
        assert_eq!(result_type("ROUND", [SqlType::Double]), Some(SqlType::Bigint));
    }

    #[test]
    fn cutting_off() {
        assert_eq!(call("TRUNC", [d(-1.9)]), Value::Bigint(-1));
        assert_eq!(call("TRUNC", [d(1.239), i(2)]), d(1.23));
        assert_eq!(call("TRUNC", [decimal("-1.99")]), decimal("-1"));
        assert_eq!(call("TRUNC", [d(1.5), Value::Null]), Value::Null);
    }

    #[test]
    fn powers_and_logarithms() {
        assert_eq!(call("SQRT", [i(9)]), d(3.0));
        assert_eq!(call("CBRT", [decimal("27.0")]), d(3.0));
        assert_eq!(call("EXP", [i(0)]), d(1.0));
        assert_eq!(call("LN", [d(1.0)]), d(0.0));
        assert_eq!(call("LOG", [i(1)]), d(0.0));
        assert_eq!(call("LOG", [i(100)]), d(4.605_170_185_988_092));
        assert_eq!(call("LOG", [i(2), i(8)]), d(3.0));
        assert_eq!(call("LOG", [i(3), i(0)]), d(f64::NEG_INFINITY));
        for (base, number) in [(1, 5), (0, 5), (-2, 5), (2, -5)] {
            let Value::Double(number) = call("LOG", [i(base), i(number)]) else {
                panic!("not a double");
            };
            assert!(number.is_nan());
        }
        assert_eq!(call("POWER", [i(2), i(10)]), d(1024.0));
        assert_eq!(call("POWER", [i(10), i(400)]), d(f64::INFINITY));
        assert_eq!(call("SIGN", [d(-0.1)]), i(-1));
        assert_eq!(call("SIGN", [decimal("0.00")]), i(0));
        assert_eq!(call("SIGN", [Value::Bigint(7)]), i(1));
    }

    #[test]
    fn extremes_skip_null() {
        assert_eq!(call("GREATEST", [i(3), Value::Null, i(5)]), i(5));
        assert_eq!(call("LEAST", [s("b"), s("a"), Value::Null]), s("a"));
        assert_eq!(call("LEAST", [Value::Null, Value::Null]), Value::Null);
        let decimal = SqlType::Decimal {
            precision: 4,
            scale: 2,
        };
        assert_eq!(result_type("GREATEST", [SqlType::Integer, decimal.clone()]), None);
        assert_eq!(result_type("GREATEST", [SqlType::Integer, SqlType::Bigint]), None);
        for other in [SqlType::Integer, decimal] {
            let double = Some(SqlType::Double);
            assert_eq!(result_type("GREATEST", [other, SqlType::Double]), double);
        }
        assert_eq!(
            result_type("LEAST", [SqlType::String, SqlType::Timestamp]),
            Some(SqlType::Timestamp)
        );
        assert_eq!(result_type("GREATEST", [SqlType::String, SqlType::Integer]), None);
        assert_eq!(
            result_type("GREATEST", [SqlType::Array(Box::new(SqlType::Integer))]),
            None
        );
        assert_eq!(result_type("GREATEST", []), None);
    }

    #[test]
    fn distances() {
        let palo_alto = [d(37.4439), d(-122.1663)];
        let london = [d(51.5257), d(-0.1122)];
        let arguments = [&palo_alto[..], &london[..]].concat();
        let Value::Double(kilometres) = call("GEO_DISTANCE", &arguments) else {
            panic!("not a double");
        };
        assert!((kilometres - 8634.6).abs() < 1.0, "{kilometres}");
        let Value::Double(miles) = call("GEO_DISTANCE", [arguments.clone(), vec![s("Miles")]].concat())
        else {
            panic!("not a double");
        };
        assert!((miles - 5365.7).abs() < 1.0, "{miles}");
        assert!(failing_call("GEO_DISTANCE", [arguments, vec![s("parsec")]].concat()).is_err());
        assert!(failing_call("GEO_DISTANCE", [d(91.0), d(0.0), d(0.0), d(0.0)]).is_err());
    }

    proptest! {
        #[test]
        fn rounding_stays_near(number in -1e9_f64..1e9, places in 0_i32..6) {
            let Value::Double(rounded) = call("ROUND", [d(number), i(places)]) else {
                panic!("not a double");
            };
            let unit = 10_f64.powi(-places);
            prop_assert!((rounded - number).abs() <= unit * 0.500_001 + 1e-6);
        }

        #[test]
        fn no_number_of_places_is_too_much(number in any::<f64>(), places in any::<i32>()) {
            let _ = failing_call("ROUND", [d(number), i(places)]);
            let _ = failing_call("TRUNC", [d(number), i(places)]);
        }
    }
}
