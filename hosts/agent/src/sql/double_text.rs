//! Floating-point numbers as text.

/// A floating-point number as osquery writes it in text: fifteen digits, like C's `%.15g`, and always a point.
pub(crate) fn double_text(number: f64) -> String {
    const DIGITS: i32 = 15;
    if !number.is_finite() {
        return if number.is_nan() {
            "nan".into()
        } else if number > 0.0 {
            "inf".into()
        } else {
            "-inf".into()
        };
    }
    let scientific = format!("{number:.14e}");
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let trim = |digits: &str| digits.trim_end_matches('0').trim_end_matches('.').to_owned();
    let text = if (-4..DIGITS).contains(&exponent) {
        let decimals = usize::try_from(DIGITS - 1 - exponent).unwrap_or(0);
        let fixed = format!("{number:.decimals$}");
        if fixed.contains('.') { trim(&fixed) } else { fixed }
    } else {
        let sign = if exponent < 0 { '-' } else { '+' };
        format!("{}e{sign}{:02}", trim(mantissa), exponent.abs())
    };
    if text.contains('.') {
        text
    } else {
        format!("{text}.0")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_as_c_writes_them() {
        for (number, text) in [
            (0.0, "0.0"),
            (1.0, "1.0"),
            (0.1, "0.1"),
            (1.0 / 3.0, "0.333333333333333"),
            (1e300, "1e+300.0"),
            (-2.5, "-2.5"),
            (1e14, "100000000000000.0"),
            (1e15, "1e+15.0"),
            (1.5e-7, "1.5e-07"),
            (123_456.75, "123456.75"),
        ] {
            assert_eq!(double_text(number), text);
        }
    }
}
