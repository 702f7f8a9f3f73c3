//! Text to dates and times, by a pattern.

use jiff::civil::{Date, Time};
use jiff::tz::{Offset, TimeZone};

use super::super::FunctionError;
use super::parsed::Parsed;
use super::pattern::{Field, Item, Named, OffsetParts, OffsetStyle, Pattern, Style, Zero};
use super::zone;

impl Pattern {
    /// The text as milliseconds since the epoch, in the given zone unless the text names one.
    pub(crate) fn parse_timestamp(&self, text: &str, zone: &TimeZone) -> Result<i64, FunctionError> {
        let parsed = self.read(text)?;
        let timestamp = parsed.timestamp(zone).ok_or_else(|| self.misfit(text))?;
        Ok(timestamp.as_millisecond())
    }

    /// The text as a date, which it has to say wholly and without a time.
    pub(super) fn parse_date(&self, text: &str) -> Result<Date, FunctionError> {
        let parsed = self.read(text)?;
        if parsed.says_time() {
            return Err(FunctionError::new(format!(
                "the date pattern `{}` contains a time field",
                self.source
            )));
        }
        let date = if parsed.says_whole_date() {
            parsed.date()
        } else {
            None
        };
        date.ok_or_else(|| self.misfit(text))
    }

    /// The text as a time of day, at least its hour, without a date.
    pub(super) fn parse_time(&self, text: &str) -> Result<Time, FunctionError> {
        let parsed = self.read(text)?;
        if parsed.says_date() {
            return Err(FunctionError::new(format!(
                "the time pattern `{}` contains a date field",
                self.source
            )));
        }
        let time = if parsed.says_hour() { parsed.time() } else { None };
        time.ok_or_else(|| self.misfit(text))
    }

    fn read(&self, text: &str) -> Result<Parsed, FunctionError> {
        let mut parsed = Parsed::default();
        match read_items(&self.items, text, &mut parsed) {
            Some("") => Ok(parsed),
            _ => Err(self.misfit(text)),
        }
    }

    fn misfit(&self, text: &str) -> FunctionError {
        FunctionError::new(format!(
            "`{text}` does not fit the date pattern `{}`",
            self.source
        ))
    }
}

/// Reads the items one after the other and returns the rest of the text.
fn read_items<'text>(items: &[Item], text: &'text str, parsed: &mut Parsed) -> Option<&'text str> {
    let mut rest = text;
    for (index, item) in items.iter().enumerate() {
        rest = read_item(item, &items[index + 1..], rest, parsed)?;
    }
    Some(rest)
}

fn read_item<'text>(
    item: &Item,
    following: &[Item],
    text: &'text str,
    parsed: &mut Parsed,
) -> Option<&'text str> {
    match item {
        Item::Literal(literal) => strip_prefix_ignoring_case(text, literal),
        Item::Number {
            field,
            minimum,
            maximum,
        } => {
            let (sign, unsigned) = match text.strip_prefix('-') {
                Some(after) if *field == Field::Year => (-1, after),
                _ => (1, text),
            };
            let reserved: usize = following.iter().map_while(fixed_digits).sum();
            let available = leading_digits(unsigned);
            let count = available.saturating_sub(reserved).max(*minimum).min(*maximum);
            let (number, rest) = read_digits(unsigned, count.min(available), *minimum)?;
            parsed.set(*field, sign * number)?;
            Some(rest)
        }
        Item::TwoDigitYear(field) => {
            let (number, rest) = read_digits(text, 2, 2)?;
            parsed.set(*field, 2000 + number)?;
            Some(rest)
        }
        Item::Fraction(digits) => {
            let (number, rest) = read_digits(text, *digits, *digits)?;
            parsed.fraction = Some(number * 10_i64.pow(9 - u32::try_from(*digits).ok()?));
            Some(rest)
        }
        Item::Name(named, style) => {
            let names = named.names(*style);
            let found = names.iter().enumerate().filter_map(|(index, name)| {
                let rest = strip_prefix_ignoring_case(text, name)?;
                Some((i64::try_from(index).ok()?, rest))
            });
            // The longest name wins, for one may be the beginning of another.
            let (index, rest) = found.min_by_key(|(_, rest)| rest.len())?;
            match named {
                Named::Month => parsed.set(Field::Month, index + 1)?,
                Named::Quarter => parsed.set(Field::Quarter, index + 1)?,
                Named::Weekday => parsed.weekday = Some(index + 1),
                Named::Era => parsed.is_common_era = Some(index == 1),
            }
            Some(rest)
        }
        Item::HalfDay => {
            let (is_afternoon, rest) = match strip_prefix_ignoring_case(text, "AM") {
                Some(rest) => (false, rest),
                None => (true, strip_prefix_ignoring_case(text, "PM")?),
            };
            parsed.is_afternoon = Some(is_afternoon);
            Some(rest)
        }
        Item::Offset(style) => {
            let (offset, rest) = read_offset(text, *style)?;
            parsed.offset = Some(offset);
            Some(rest)
        }
        Item::LocalizedOffset(style) => {
            let (offset, rest) = read_localized_offset(text, *style)?;
            parsed.offset = Some(offset);
            Some(rest)
        }
        Item::ZoneId | Item::ZoneName => {
            let (zone, rest) = read_zone(text)?;
            parsed.zone = Some(zone);
            Some(rest)
        }
        Item::Padded(width, item) => {
            let (padded, rest) = text.split_at_checked(*width)?;
            let after = read_item(item, &[], padded.trim_start_matches(' '), parsed)?;
            after.is_empty().then_some(rest)
        }
        Item::Optional(items) => {
            let mut attempt = parsed.clone();
            match read_items(items, text, &mut attempt) {
                Some(rest) => {
                    *parsed = attempt;
                    Some(rest)
                }
                None => Some(text),
            }
        }
    }
}

/// How many digits an item always has: those a number before it must leave over, as in `yyyyMMdd`.
fn fixed_digits(item: &Item) -> Option<usize> {
    match item {
        Item::Number { minimum, maximum, .. } if minimum == maximum => Some(*minimum),
        Item::TwoDigitYear(_) => Some(2),
        Item::Fraction(digits) => Some(*digits),
        _ => None,
    }
}

fn leading_digits(text: &str) -> usize {
    text.bytes().take_while(u8::is_ascii_digit).count()
}

/// A number of exactly `count` digits, which must be `minimum` at least.
fn read_digits(text: &str, count: usize, minimum: usize) -> Option<(i64, &str)> {
    if count < minimum || count == 0 || leading_digits(text) < count {
        return None;
    }
    let (digits, rest) = text.split_at(count);
    Some((digits.parse().ok()?, rest))
}

fn strip_prefix_ignoring_case<'text>(text: &'text str, prefix: &str) -> Option<&'text str> {
    let (start, rest) = text.split_at_checked(prefix.len())?;
    start.eq_ignore_ascii_case(prefix).then_some(rest)
}

fn read_offset(text: &str, style: OffsetStyle) -> Option<(Offset, &str)> {
    if style.zero == Zero::Letter
        && let Some(rest) = strip_prefix_ignoring_case(text, "Z")
    {
        return Some((Offset::UTC, rest));
    }
    let (sign, after_sign) = read_sign(text)?;
    let (hours, mut rest) = read_digits(after_sign, 2, 2)?;
    let (mut minutes, mut seconds) = (0, 0);
    let part = |text| {
        let digits = if style.colons {
            str::strip_prefix(text, ':')?
        } else {
            text
        };
        read_digits(digits, 2, 2)
    };
    match part(rest) {
        Some((number, after)) => (minutes, rest) = (number, after),
        None if style.parts != OffsetParts::Hours => return None,
        None => {}
    }
    if style.parts == OffsetParts::Seconds
        && let Some((number, after)) = part(rest)
    {
        (seconds, rest) = (number, after);
    }
    Some((offset(sign, hours, minutes, seconds)?, rest))
}

fn read_localized_offset(text: &str, style: Style) -> Option<(Offset, &str)> {
    let after = strip_prefix_ignoring_case(text, "GMT")?;
    let Some((sign, digits)) = read_sign(after) else {
        return Some((Offset::UTC, after));
    };
    let wanted = if style == Style::Full {
        2
    } else {
        leading_digits(digits).min(2)
    };
    let (hours, rest) = read_digits(digits, wanted, 1)?;
    let minutes = rest
        .strip_prefix(':')
        .and_then(|digits| read_digits(digits, 2, 2));
    if minutes.is_none() && style == Style::Full {
        return None;
    }
    let (minutes, rest) = minutes.unwrap_or((0, rest));
    Some((offset(sign, hours, minutes, 0)?, rest))
}

fn read_sign(text: &str) -> Option<(i64, &str)> {
    match text.strip_prefix('+') {
        Some(rest) => Some((1, rest)),
        None => text.strip_prefix('-').map(|rest| (-1, rest)),
    }
}

fn offset(sign: i64, hours: i64, minutes: i64, seconds: i64) -> Option<Offset> {
    let known = hours <= 18 && minutes < 60 && seconds < 60;
    let total = sign * (hours * 3600 + minutes * 60 + seconds);
    known.then(|| Offset::from_seconds(i32::try_from(total).ok()?).ok())?
}

/// The longest beginning of the text that names a zone.
fn read_zone(text: &str) -> Option<(TimeZone, &str)> {
    const LONGEST_NAME: usize = 40;
    let belongs = |byte: &u8| byte.is_ascii_alphanumeric() || b"/_+-:".contains(byte);
    let longest = text.bytes().take(LONGEST_NAME).take_while(belongs).count();
    (1..=longest).rev().find_map(|length| {
        let (name, rest) = text.split_at(length);
        let zone = zone::named(name).ok()?;
        Some(((*zone).clone(), rest))
    })
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use proptest::prelude::*;

    use super::super::format::Moment;
    use super::*;

    fn timestamp(pattern: &str, text: &str) -> Result<String, FunctionError> {
        let milliseconds = Pattern::parse(pattern)?.parse_timestamp(text, &TimeZone::UTC)?;
        Ok(Timestamp::from_millisecond(milliseconds).unwrap().to_string())
    }

    #[test]
    fn texts_that_fit() {
        for (pattern, text, expected) in [
            (
                "yyyy-MM-dd HH:mm:ss.SSS",
                "2021-07-04 13:05:09.123",
                "2021-07-04T13:05:09.123Z",
            ),
            (
                "yyyy-MM-dd'T'HH:mm:ssX",
                "2021-07-04t13:05:09+02",
                "2021-07-04T11:05:09Z",
            ),
            (
                "yyyy-MM-dd'T'HH:mm:ssX",
                "2021-07-04T13:05:09Z",
                "2021-07-04T13:05:09Z",
            ),
            (
                "yyyy-MM-dd HH:mm XXX",
                "2021-07-04 13:05 -03:30",
                "2021-07-04T16:35:00Z",
            ),
            (
                "yyyyMMddHHmmssSSS",
                "20210704130509007",
                "2021-07-04T13:05:09.007Z",
            ),
            ("d/M/yy", "4/7/21", "2021-07-04T00:00:00Z"),
            ("dd MMM yyyy", "04 JUL 2021", "2021-07-04T00:00:00Z"),
            ("EEEE, d MMMM uuuu", "Sunday, 4 July 2021", "2021-07-04T00:00:00Z"),
            ("h:mm a", "1:05 pm", "1970-01-01T13:05:00Z"),
            ("hh:mm a", "12:05 AM", "1970-01-01T00:05:00Z"),
            ("k:mm", "24:05", "1970-01-01T00:05:00Z"),
            ("yyyy-DDD", "2020-366", "2020-12-31T00:00:00Z"),
            ("yyyy-MM", "2021-07", "2021-07-01T00:00:00Z"),
            ("yyyy-MM-dd", "2021-06-31", "2021-06-30T00:00:00Z"),
            ("yyyy-MM-dd[ HH:mm]", "2021-07-04", "2021-07-04T00:00:00Z"),
            ("yyyy-MM-dd[ HH:mm]", "2021-07-04 13:05", "2021-07-04T13:05:00Z"),
            (
                "yyyy-MM-dd HH:mm VV",
                "2021-07-04 13:05 America/Los_Angeles",
                "2021-07-04T20:05:00Z",
            ),
            (
                "yyyy-MM-dd HH:mm z",
                "2021-07-04 13:05 PDT",
                "2021-07-04T20:05:00Z",
            ),
            (
                "yyyy-MM-dd HH:mm O",
                "2021-07-04 13:05 GMT+8",
                "2021-07-04T05:05:00Z",
            ),
            ("yyyy G", "0044 BC", "-000043-01-01T00:00:00Z"),
            (
                "EEE MMM ppd HH:mm:ss yyyy z",
                "Sun Jul  4 20:05:09 2021 UTC",
                "2021-07-04T20:05:09Z",
            ),
            (
                "EEE MMM ppd HH:mm:ss yyyy z",
                "Sun Jul 11 20:05:09 2021 UTC",
                "2021-07-11T20:05:09Z",
            ),
            (
                "EEE MMM [ ]d HH:mm:ss yyyy z",
                "Sun Jul  4 20:05:09 2021 UTC",
                "2021-07-04T20:05:09Z",
            ),
            ("A", "47109123", "1970-01-01T13:05:09.123Z"),
            ("QQQ yyyy", "Q3 2021", "2021-07-01T00:00:00Z"),
        ] {
            assert_eq!(timestamp(pattern, text).unwrap(), expected, "{pattern} {text}");
        }
    }

    #[test]
    fn texts_that_do_not_fit() {
        for (pattern, text) in [
            ("yyyy-MM-dd", "2021-07-04 "),
            ("yyyy-MM-dd", "2021-7-04"),
            ("yyyy-MM-dd", "2021-13-04"),
            ("yyyy-MM-dd", "2021-12-32"),
            ("HH:mm", "24:00"),
            ("hh:mm", "01:05"),
            ("hh:mm a", "13:05 AM"),
            ("E yyyy-MM-dd", "Mon 2021-07-04"),
            ("MM MM", "07 08"),
            ("yyyy", "20210"),
            ("yyyy-DDD", "2021-366"),
            ("VV", "Nowhere"),
            ("X", "+99"),
            ("MMM ppd", "Jul 4"),
            ("yyyyMd", "2021704"),
            ("", "x"),
        ] {
            assert!(timestamp(pattern, text).is_err(), "{pattern} {text}");
        }
        let error = timestamp("yyyy", "x").unwrap_err();
        assert_eq!(error.to_string(), "`x` does not fit the date pattern `yyyy`");
    }

    #[test]
    fn gaps_and_overlaps_of_a_zone_resolve_as_in_java() {
        let zone = zone::named("Europe/Berlin").unwrap();
        let pattern = Pattern::parse("yyyy-MM-dd HH:mm").unwrap();
        let at = |text| {
            let milliseconds = pattern.parse_timestamp(text, &zone).unwrap();
            Timestamp::from_millisecond(milliseconds).unwrap().to_string()
        };
        assert_eq!(at("2021-03-28 02:30"), "2021-03-28T01:30:00Z");
        assert_eq!(at("2021-10-31 02:30"), "2021-10-31T00:30:00Z");
    }

    proptest! {
        #[test]
        fn what_is_formatted_reads_back(
            milliseconds in -60_000_000_000_000_i64..200_000_000_000_000,
            zone in proptest::sample::select(&["UTC", "America/Los_Angeles", "Asia/Kolkata", "+05:45"][..]),
            pattern in proptest::sample::select(&[
                "uuuu-MM-dd'T'HH:mm:ss.SSSXXXXX",
                "EEEE, d MMMM uuuu h:mm:ss.SSS a xxxx",
                "uuuuMMddHHmmssSSSXXXXX",
                "D/uuuu A ZZZZZ",
                "uuuu.M.d K:m:s a n XXXXX",
                "EEE MMM ppd HH:mm:ss.SSS uuuu XXXXX",
                "G yyyy MMM dd kk:mm:ss.SSSSSS xxxxx",
            ][..]),
        ) {
            let zone = zone::named(zone).unwrap();
            let timestamp = Timestamp::from_millisecond(milliseconds).unwrap();
            let pattern = Pattern::parse(pattern).unwrap();
            let text = pattern.format(&Moment::in_zone((timestamp, 0), &zone)).unwrap();
            let again = pattern.parse_timestamp(&text, &TimeZone::UTC).unwrap();
            prop_assert_eq!(again, milliseconds, "{}", text);
        }

        #[test]
        fn no_pattern_and_no_text_panics(pattern in "[a-zA-Z'\\[\\] :ż-]{0,12}", text in any::<String>(), date in "[0-9a-z: -]{0,20}") {
            if let Ok(pattern) = Pattern::parse(&pattern) {
                let _ = pattern.parse_timestamp(&text, &TimeZone::UTC);
                let _ = pattern.parse_timestamp(&date, &TimeZone::UTC);
                let utc = TimeZone::UTC;
        let moment = Moment::in_zone((Timestamp::UNIX_EPOCH, 0), &utc);
                if let Ok(formatted) = pattern.format(&moment) {
                    let _ = pattern.parse_timestamp(&formatted, &TimeZone::UTC);
                }
            }
        }
    }
}
