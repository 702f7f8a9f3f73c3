//! Dates, times and timestamps read from the ISO forms that ksqlDB's casts know.

use jiff::civil::{Date, DateTime, Time};
use jiff::tz::{Offset, TimeZone};

const MS_PER_DAY: i64 = 86_400_000;

/// Reads `2020`, `2020-01`, `2020-01-31`, `2020-01-31T10:20[:30[.123]]`, each with or without a zone
/// (`Z`, `+01:00`, `+0100`), as milliseconds since the epoch.
pub(crate) fn parse_timestamp(text: &str) -> Option<i64> {
    let text = text.trim();
    let (date, time) = match text.split_once(['T', ' ']) {
        Some((date, time)) => (date, time),
        None => (text, ""),
    };
    let (time, offset) = split_offset(time)?;
    let datetime = DateTime::from_parts(parse_partial_date(date)?, parse_partial_time(time)?);
    let timestamp = TimeZone::fixed(offset).to_timestamp(datetime).ok()?;
    Some(timestamp.as_millisecond())
}

/// Reads a date in one of the forms of [`parse_timestamp`], as days since the epoch.
pub(super) fn parse_date(text: &str) -> Option<i32> {
    i32::try_from(parse_timestamp(text)?.div_euclid(MS_PER_DAY)).ok()
}

/// Reads `10:20`, `10:20:30` or `10:20:30.123`, as milliseconds since midnight.
pub(super) fn parse_time(text: &str) -> Option<i32> {
    let text = text.trim();
    if !text.contains(':') {
        return None;
    }
    let time = parse_partial_time(text)?;
    let seconds = i32::from(time.hour()) * 3600 + i32::from(time.minute()) * 60 + i32::from(time.second());
    Some(seconds * 1000 + i32::from(time.millisecond()))
}

fn split_offset(time: &str) -> Option<(&str, Offset)> {
    if let Some(time) = time.strip_suffix(['Z', 'z']) {
        return Some((time, Offset::UTC));
    }
    let Some(at) = time.rfind(['+', '-']) else {
        return Some((time, Offset::UTC));
    };
    let digits: String = time[at + 1..].chars().filter(|c| *c != ':').collect();
    if !matches!(digits.len(), 2 | 4) || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let hours: i32 = digits[..2].parse().ok()?;
    let minutes: i32 = if digits.len() == 4 {
        digits[2..].parse().ok()?
    } else {
        0
    };
    let seconds = (hours * 60 + minutes) * 60;
    let sign = if time.as_bytes()[at] == b'-' { -1 } else { 1 };
    Some((&time[..at], Offset::from_seconds(sign * seconds).ok()?))
}

fn parse_partial_date(text: &str) -> Option<Date> {
    let mut parts = text.splitn(3, '-');
    let year = number(parts.next()?, 4)?;
    let month = parts.next().map_or(Some(1), |part| number(part, 2))?;
    let day = parts.next().map_or(Some(1), |part| number(part, 2))?;
    Date::new(year, i8::try_from(month).ok()?, i8::try_from(day).ok()?).ok()
}

fn parse_partial_time(text: &str) -> Option<Time> {
    if text.is_empty() {
        return Some(Time::midnight());
    }
    let mut parts = text.splitn(3, ':');
    let hour = number(parts.next()?, 2)?;
    let minute = parts.next().map_or(Some(0), |part| number(part, 2))?;
    let (second, nanosecond) = match parts.next() {
        None => (0, 0),
        Some(part) => match part.split_once('.') {
            None => (number(part, 2)?, 0),
            Some((second, fraction)) => (number(second, 2)?, nanoseconds(fraction)?),
        },
    };
    let small = |number: i16| i8::try_from(number).ok();
    Time::new(small(hour)?, small(minute)?, small(second)?, nanosecond).ok()
}

fn nanoseconds(fraction: &str) -> Option<i32> {
    let digits = fraction.len();
    if !(1..=9).contains(&digits) || !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let number: i32 = fraction.parse().ok()?;
    Some(number * 10_i32.pow(9 - digits as u32))
}

fn number(text: &str, most_digits: usize) -> Option<i16> {
    let fits = (1..=most_digits).contains(&text.len());
    (fits && text.bytes().all(|byte| byte.is_ascii_digit())).then(|| text.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn partial_timestamps() {
        for (text, ms) in [
            ("1970", 0),
            ("1970-01-02", MS_PER_DAY),
            ("1970-01-01T00:00:00.020", 20),
            ("1970-01-01 01:00", 3_600_000),
            ("1970-01-01T01:00:00+01:00", 0),
            ("1970-01-01T01:00:00-0130", 9_000_000),
            ("1969-12-31T23:59:59.999Z", -1),
        ] {
            assert_eq!(parse_timestamp(text), Some(ms), "{text}");
        }
        for text in [
            "",
            "x",
            "1970-13-01",
            "1970-01-01T25:00",
            "1970-01-01T1:2:3:4",
            "T10:00",
        ] {
            assert_eq!(parse_timestamp(text), None, "{text}");
        }
    }

    #[test]
    fn times_need_a_colon() {
        for (ms, text) in [(0, "00:00"), (61_000, "00:01:01"), (86_399_999, "23:59:59.999")] {
            assert_eq!(parse_time(text), Some(ms));
        }
        assert_eq!(parse_time("10"), None);
    }

    proptest! {
        #[test]
        fn timestamps_round_trip(ms in -62_000_000_000_000_i64..250_000_000_000_000) {
            prop_assert_eq!(parse_timestamp(&crate::calendar::timestamp_text(ms)), Some(ms));
        }

        #[test]
        fn any_text_is_read_or_refused(text in "\\PC*") {
            let _ = (parse_timestamp(&text), parse_time(&text), parse_date(&text));
        }
    }
}
