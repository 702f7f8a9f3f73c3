//! Trigonometric and hyperbolic functions. Angles are radians.

use super::ScalarFunction;
use super::arguments::{Kind, accepts, double};
use super::numeric::{mapped, of_double};
use crate::types::SqlType;
use crate::value::Value;

pub(super) static FUNCTIONS: &[ScalarFunction] = &[
    of_double("SIN", "The sine.", |arguments| mapped(arguments, f64::sin)),
    of_double("COS", "The cosine.", |arguments| mapped(arguments, f64::cos)),
    of_double("TAN", "The tangent.", |arguments| mapped(arguments, f64::tan)),
    of_double("COT", "The cotangent.", |arguments| {
        mapped(arguments, |angle| 1.0 / angle.tan())
    }),
    of_double("SINH", "The hyperbolic sine.", |arguments| {
        mapped(arguments, f64::sinh)
    }),
    of_double("COSH", "The hyperbolic cosine.", |arguments| {
        mapped(arguments, f64::cosh)
    }),
    of_double("TANH", "The hyperbolic tangent.", |arguments| {
        mapped(arguments, f64::tanh)
    }),
    of_double("ASIN", "The angle of a sine.", |arguments| {
        mapped(arguments, f64::asin)
    }),
    of_double("ACOS", "The angle of a cosine.", |arguments| {
        mapped(arguments, f64::acos)
    }),
    of_double("ATAN", "The angle of a tangent.", |arguments| {
        mapped(arguments, f64::atan)
    }),
    ScalarFunction::new(
        "ATAN2",
        "The angle of the point (x, y); y stands first.",
        |arguments| accepts(arguments, &[Kind::Number; 2], &[]).then_some(SqlType::Double),
        |arguments| Ok(Value::Double(double(arguments, 0)?.atan2(double(arguments, 1)?))),
    ),
    of_double("DEGREES", "Radians as degrees.", |arguments| {
        mapped(arguments, f64::to_degrees)
    }),
    of_double("RADIANS", "Degrees as radians.", |arguments| {
        mapped(arguments, f64::to_radians)
    }),
    ScalarFunction::new(
        "PI",
        "The ratio of a circle's circumference to its diameter.",
        |arguments| arguments.is_empty().then_some(SqlType::Double),
        |_| Ok(Value::Double(std::f64::consts::PI)),
    ),
];

#[cfg(test)]
mod tests {
    use super::super::tests::{call, i};
    use super::*;

    fn number(name: &str, arguments: &[Value]) -> f64 {
        match call(name, arguments) {
            Value::Double(number) => number,
            other => panic!("{name} gives {other:?}"),
        }
    }

    #[test]
    fn angles() {
        let half_turn = [Value::Double(std::f64::consts::PI)];
        assert!(number("SIN", &half_turn).abs() < 1e-12);
        assert_eq!(number("COS", &half_turn), -1.0);
        assert!(number("TAN", &half_turn).abs() < 1e-12);
        assert_eq!(number("COT", &[i(0)]), f64::INFINITY);
        assert_eq!(number("SINH", &[i(0)]), 0.0);
        assert_eq!(number("COSH", &[i(0)]), 1.0);
        assert_eq!(number("TANH", &[i(0)]), 0.0);
        assert!(number("ASIN", &[i(2)]).is_nan());
        assert_eq!(number("ACOS", &[i(1)]), 0.0);
        assert_eq!(number("ATAN", &[i(0)]), 0.0);
        assert_eq!(number("ATAN2", &[i(1), i(0)]), std::f64::consts::FRAC_PI_2);
        assert_eq!(number("DEGREES", &half_turn), 180.0);
        assert_eq!(number("RADIANS", &[i(180)]), number("PI", &[]));
        assert_eq!(call("SIN", [Value::Null]), Value::Null);
    }
}
