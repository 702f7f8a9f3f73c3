//! Numbers as Java reads and prints them, because records and casts carry Java's spelling.

use bigdecimal::num_bigint::BigInt;
use bigdecimal::{BigDecimal, RoundingMode, ToPrimitive, Zero};

use super::SerdeError;

/// A number too far from 1 to be worked with digit by digit; beyond it, digits would fill the memory.
const LARGEST_EXPONENT: i64 = 5_000;

/// Reads a decimal number, such as `-1.50` or `2e3`.
pub(crate) fn parse_decimal(text: &str) -> Option<BigDecimal> {
    let text = text.trim();
    let starts_well = text
        .trim_start_matches(['+', '-'])
        .starts_with(|first: char| first.is_ascii_digit() || first == '.');
    if !starts_well || text.len() > LARGEST_EXPONENT as usize {
        return None;
    }
    if let Some((_, exponent)) = text.split_once(['e', 'E']) {
        let exponent: i64 = exponent.parse().ok()?;
        if exponent.abs() > LARGEST_EXPONENT {
            return None;
        }
    }
    text.parse().ok()
}

/// All digits of a number, as Java's `BigDecimal.precision()`.
pub(crate) fn precision(number: &BigDecimal) -> u64 {
    number.digits().max(1)
}

/// The number with exactly `scale` digits after the point, if nothing but zeros is lost
/// and it has at most `precision` digits.
pub(crate) fn fit_exactly(number: &BigDecimal, precision: u32, scale: u32) -> Option<BigDecimal> {
    let scaled = number.with_scale_round(i64::from(scale), RoundingMode::Down);
    (scaled == *number && self::precision(&scaled) <= u64::from(precision)).then_some(scaled)
}

/// The number rounded half up to `scale` digits after the point, if it then has at most `precision` digits.
pub(crate) fn round_to_fit(number: &BigDecimal, precision: u32, scale: u32) -> Option<BigDecimal> {
    let scaled = number.with_scale_round(i64::from(scale), RoundingMode::HalfUp);
    let integer_digits = precision.saturating_sub(scale);
    let integer = scaled.with_scale_round(0, RoundingMode::Down);
    let fits = integer.is_zero() || self::precision(&integer) <= u64::from(integer_digits);
    fits.then_some(scaled)
}

/// The integer part in 64 bits, higher bits lost, as Java's `BigDecimal.longValue()`.
pub(crate) fn truncate_to_long(number: &BigDecimal) -> i64 {
    let (digits, _) = number
        .with_scale_round(0, RoundingMode::Down)
        .into_bigint_and_exponent();
    let modulus: BigInt = BigInt::from(1) << 64;
    let low = ((digits % &modulus) + &modulus) % &modulus;
    // The remainder is in 0..2^64, so it fits; its bits are the wanted ones.
    low.to_u64().unwrap_or_default() as i64
}

/// A number as Java's `Double.toString` prints it: `1.0`, `1.0E10`, `NaN`.
pub(crate) fn double_text(number: f64) -> String {
    if number.is_nan() {
        return "NaN".into();
    }
    if number.is_infinite() {
        return if number > 0.0 { "Infinity" } else { "-Infinity" }.into();
    }
    let magnitude = number.abs();
    if magnitude == 0.0 {
        return if number.is_sign_negative() { "-0.0" } else { "0.0" }.into();
    }
    if (1e-3..1e7).contains(&magnitude) {
        let text = number.to_string();
        return if text.contains('.') { text } else { text + ".0" };
    }
    let text = match format!("{number:e}") {
        // Java has two digits at least, those nearest to the number: of the smallest ones a single digit is as near as any.
        text if !text.contains('.') => format!("{number:.1e}"),
        text => text,
    };
    match text.split_once('e') {
        Some((digits, exponent)) if digits.contains('.') => format!("{digits}E{exponent}"),
        Some((digits, exponent)) => format!("{digits}.0E{exponent}"),
        None => text,
    }
}

/// Reads a number as Java's `Double.parseDouble` does, but without its `NaN`, `Infinity` and hexadecimal forms.
pub(crate) fn parse_double(text: &str) -> Option<f64> {
    let text = text.trim();
    let text = text.strip_suffix(['d', 'D', 'f', 'F']).unwrap_or(text);
    let plain = text
        .chars()
        .all(|c| c.is_ascii_digit() || matches!(c, '+' | '-' | '.' | 'e' | 'E'));
    if plain { text.parse().ok() } else { None }
}

/// Reads the number of a record: like [`parse_double`], and what [`double_text`] writes for what is not finite.
pub(super) fn double_of_text(text: &str) -> Option<f64> {
    match text.trim() {
        "NaN" => Some(f64::NAN),
        "Infinity" | "+Infinity" => Some(f64::INFINITY),
        "-Infinity" => Some(f64::NEG_INFINITY),
        text => parse_double(text),
    }
}

/// A decimal number as Java's `BigDecimal.toString` prints it: an exponent where the scale is negative or
/// the number is small, such as `1E+3`.
pub(crate) fn decimal_text(number: &BigDecimal) -> String {
    let (digits, scale) = number.as_bigint_and_exponent();
    let digit_text = digits.magnitude().to_string();
    let adjusted = digit_text.len() as i64 - 1 - scale;
    if scale >= 0 && adjusted >= -6 {
        return number.to_plain_string();
    }
    let sign = if digits < BigInt::from(0) { "-" } else { "" };
    let (first, rest) = digit_text.split_at(1);
    let point = if rest.is_empty() { "" } else { "." };
    if adjusted == 0 {
        return format!("{sign}{first}{point}{rest}");
    }
    format!("{sign}{first}{point}{rest}E{adjusted:+}")
}

/// Milliseconds since midnight, the day's end among them.
pub(super) fn time_of_day(ms: i64) -> Result<i32, SerdeError> {
    const DAY: i32 = 86_400_000;
    match i32::try_from(ms) {
        Ok(ms @ 0..=DAY) => Ok(ms),
        _ => Err(SerdeError::new(
            "Time values must use number of milliseconds greater than 0 and less than 86400000.",
        )),
    }
}

/// A float as Java prints it: the digits that tell it from others of its kind.
pub(crate) fn float_text(number: f32) -> String {
    number
        .to_string()
        .parse()
        .map_or_else(|_| number.to_string(), double_text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doubles_print_as_java_prints_them() {
        let cases = [
            (0.0, "0.0"),
            (1.0, "1.0"),
            (-2.5, "-2.5"),
            (0.001, "0.001"),
            (1e-4, "1.0E-4"),
            (9_999_999.0, "9999999.0"),
            (1e7, "1.0E7"),
            (1.234e20, "1.234E20"),
            (2e23, "2.0E23"),
            (f64::from_bits(1), "4.9E-324"),
            (-f64::from_bits(2), "-9.9E-324"),
            (f64::NAN, "NaN"),
            (f64::NEG_INFINITY, "-Infinity"),
        ];
        for (number, expected) in cases {
            assert_eq!(double_text(number), expected);
        }
    }

    #[test]
    fn decimals_print_as_java_prints_them() {
        for (text, expected) in [
            ("1.50", "1.50"),
            ("1e3", "1E+3"),
            ("15e2", "1.5E+3"),
            ("1e-3", "0.001"),
            ("1e-9", "1E-9"),
            ("-12.3e-9", "-1.23E-8"),
            ("0", "0"),
        ] {
            let number = parse_decimal(text).expect("a number");
            assert_eq!(decimal_text(&number), expected, "{text}");
        }
    }

    #[test]
    fn longs_keep_their_low_bits() {
        let cases = [
            ("1.9", 1),
            ("-1.9", -1),
            ("9223372036854775808", i64::MIN),
            ("18446744073709551615", -1),
            ("-9223372036854775809", i64::MAX),
        ];
        for (text, expected) in cases {
            let number = parse_decimal(text).expect("a number");
            assert_eq!(truncate_to_long(&number), expected, "{text}");
        }
    }

    #[test]
    fn an_absurd_exponent_is_no_number() {
        assert_eq!(parse_decimal("1e999999999"), None);
        assert_eq!(parse_decimal("e5"), None);
    }
}
