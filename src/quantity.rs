//! Durations and sizes as people write and read them.

use std::time::Duration;

use crate::error::Diagnose;
use crate::exit_code::ExitCode;

/// A text is not what it should be.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum InvalidQuantity {
    /// Not a duration.
    #[error("`{text}` is not a duration such as `500ms`, `30s`, `2m` or `1m30s`")]
    Duration {
        /// What was given.
        text: String,
    },
    /// Not a size.
    #[error("`{text}` is not a size such as `4096`, `64M` or `1G`")]
    Size {
        /// What was given.
        text: String,
    },
}

impl Diagnose for InvalidQuantity {
    fn exit_code(&self) -> ExitCode {
        ExitCode::Usage
    }
}

/// Reads a duration: whole numbers with the units `ms`, `s`, `m`, `h`, such as `500ms`, `30s` or `1m30s`.
///
/// # Errors
/// [`InvalidQuantity::Duration`].
pub fn parse_duration(text: &str) -> Result<Duration, InvalidQuantity> {
    let error = || InvalidQuantity::Duration {
        text: text.to_owned(),
    };
    let mut rest = text;
    let mut total: u64 = 0;
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let (number, after) = rest.split_at(digits);
        let letters = after.bytes().take_while(u8::is_ascii_alphabetic).count();
        let (unit, after) = after.split_at(letters);
        let unit: u64 = match unit {
            "ms" => 1,
            "s" => 1_000,
            "m" => 60_000,
            "h" => 3_600_000,
            _ => return Err(error()),
        };
        let number: u64 = number.parse().map_err(|_| error())?;
        total = number
            .checked_mul(unit)
            .and_then(|part| total.checked_add(part))
            .ok_or_else(error)?;
        rest = after;
    }
    if text.is_empty() {
        Err(error())
    } else {
        Ok(Duration::from_millis(total))
    }
}

/// Reads a number of bytes: a whole number, alone or with `K`, `M`, `G` or `T` (powers of 1024; `KiB`, `MB`
/// and the like are accepted and mean the same).
///
/// # Errors
/// [`InvalidQuantity::Size`].
pub fn parse_size(text: &str) -> Result<u64, InvalidQuantity> {
    let error = || InvalidQuantity::Size {
        text: text.to_owned(),
    };
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let shift = match unit.to_ascii_lowercase().as_str() {
        "" | "b" => 0,
        "k" | "kb" | "kib" => 10,
        "m" | "mb" | "mib" => 20,
        "g" | "gb" | "gib" => 30,
        "t" | "tb" | "tib" => 40,
        _ => return Err(error()),
    };
    let number: u64 = number.parse().map_err(|_| error())?;
    number.checked_mul(1 << shift).ok_or_else(error)
}

/// A duration as people read it: `85 ms`, `1.2 s`, `2 min 5 s`.
pub fn duration(elapsed: Duration) -> String {
    let seconds = elapsed.as_secs();
    if seconds >= 60 {
        format!("{} min {} s", seconds / 60, seconds % 60)
    } else if seconds >= 1 {
        format!("{:.1} s", elapsed.as_secs_f64())
    } else {
        format!("{} ms", elapsed.as_millis())
    }
}

/// A duration as it can be typed: `500ms`, `90s`, `15m`. [`parse_duration`] reads it again.
pub fn typed_duration(duration: Duration) -> String {
    let milliseconds = duration.as_millis();
    match milliseconds {
        _ if !milliseconds.is_multiple_of(1_000) => format!("{milliseconds}ms"),
        _ if milliseconds > 60_000 && milliseconds.is_multiple_of(60_000) => {
            format!("{}m", milliseconds / 60_000)
        }
        _ => format!("{}s", milliseconds / 1_000),
    }
}

/// A size as it can be typed: `4097`, `64M`, `1G`. [`parse_size`] reads it again.
pub fn typed_size(bytes: u64) -> String {
    let units = [(40, "T"), (30, "G"), (20, "M"), (10, "K")];
    let whole = |(shift, _): &(u32, &str)| bytes != 0 && bytes.is_multiple_of(1_u64 << shift);
    match units.into_iter().find(whole) {
        Some((shift, unit)) => format!("{}{unit}", bytes >> shift),
        None => bytes.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn durations() {
        let read = |text| parse_duration(text).ok();
        assert_eq!(read("500ms"), Some(Duration::from_millis(500)));
        assert_eq!(read("30s"), Some(Duration::from_secs(30)));
        assert_eq!(read("1m30s"), Some(Duration::from_secs(90)));
        assert_eq!(read("0s"), Some(Duration::ZERO));
        for wrong in [
            "",
            "s",
            "30",
            "-1s",
            "1.5s",
            "1 s",
            "1d",
            "99999999999999999999h",
            "1s x",
        ] {
            assert_eq!(read(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn sizes() {
        let read = |text| parse_size(text).ok();
        assert_eq!(read("0"), Some(0));
        assert_eq!(read("4096"), Some(4096));
        assert_eq!(read("64M"), Some(64 << 20));
        assert_eq!(read("1g"), Some(1 << 30));
        assert_eq!(read("2KiB"), Some(2048));
        for wrong in ["", "G", "-1", "1.5G", "1X", "99999999999T"] {
            assert_eq!(read(wrong), None, "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn what_is_shown_as_typed_is_read_again(milliseconds in 0..10_000_000_000_u64, bytes in any::<u64>(), shift in 0..41_u32) {
            let span = Duration::from_millis(milliseconds);
            prop_assert_eq!(parse_duration(&typed_duration(span)), Ok(span));
            for size in [bytes, bytes >> shift << shift] {
                prop_assert_eq!(parse_size(&typed_size(size)), Ok(size));
            }
        }

        #[test]
        fn any_text_is_read_or_refused(text in "\\PC*") {
            let _ = (parse_duration(&text), parse_size(&text));
        }

        #[test]
        fn milliseconds_are_read_back(milliseconds in 0_u64..u64::MAX) {
            prop_assert_eq!(
                parse_duration(&format!("{milliseconds}ms")),
                Ok(Duration::from_millis(milliseconds))
            );
        }
    }
}
