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
mod tests;
