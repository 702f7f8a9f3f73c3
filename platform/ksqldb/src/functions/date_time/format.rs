//! Dates and times to text, by a pattern.

use std::fmt::Write;

use jiff::Timestamp;
use jiff::civil::{Date, Time};
use jiff::tz::TimeZone;

use super::super::FunctionError;
use super::pattern::{Field, Item, Named, OffsetParts, OffsetStyle, Pattern, Style, Zero};

/// What is formatted: a date, a time, or both with a zone.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Moment<'zone> {
    pub(super) date: Option<Date>,
    /// Added to the date's year.
    pub(super) years: i64,
    pub(super) time: Option<Time>,
    pub(super) zone: Option<(Timestamp, &'zone TimeZone)>,
}

impl<'zone> Moment<'zone> {
    /// The date and time of a timestamp in a zone.
    pub(super) fn in_zone((timestamp, years): (Timestamp, i64), zone: &'zone TimeZone) -> Self {
        let local = zone.to_datetime(timestamp);
        Self {
            date: Some(local.date()),
            years,
            time: Some(local.time()),
            zone: Some((timestamp, zone)),
        }
    }

    fn offset_seconds(&self) -> Option<i32> {
        self.zone
            .map(|(timestamp, zone)| zone.to_offset(timestamp).seconds())
    }

    fn number(&self, field: Field) -> Option<i64> {
        let of_date = |number: fn(Date) -> i64| self.date.map(number);
        let of_time = |number: fn(Time) -> i64| self.time.map(number);
        match field {
            Field::Year => self.year(),
            Field::YearOfEra => {
                let year = self.year()?;
                Some(if year > 0 { year } else { 1 - year })
            }
            Field::WeekOfYear => of_date(week_of_year),
            Field::WeekOfMonth => of_date(week_of_month),
            Field::WeekYear => {
                let date = self.date?;
                Some(week_year(date) + self.years)
            }
            Field::DayOfWeek => of_date(day_of_week),
            Field::Quarter => of_date(|date| (i64::from(date.month()) + 2) / 3),
            Field::Month => of_date(|date| i64::from(date.month())),
            Field::Day => of_date(|date| i64::from(date.day())),
            Field::DayOfYear => of_date(|date| i64::from(date.day_of_year())),
            Field::Hour => of_time(|time| i64::from(time.hour())),
            Field::ClockHour => of_time(|time| from_one(i64::from(time.hour()), 24)),
            Field::HalfDayHour => of_time(|time| i64::from(time.hour()) % 12),
            Field::HalfDayClockHour => of_time(|time| from_one(i64::from(time.hour()) % 12, 12)),
            Field::Minute => of_time(|time| i64::from(time.minute())),
            Field::Second => of_time(|time| i64::from(time.second())),
            Field::Nanosecond => of_time(|time| i64::from(time.subsec_nanosecond())),
            Field::MillisecondOfDay => of_time(|time| nanosecond_of_day(time) / 1_000_000),
            Field::NanosecondOfDay => of_time(nanosecond_of_day),
        }
    }

    fn year(&self) -> Option<i64> {
        self.date.map(|date| i64::from(date.year()) + self.years)
    }

    fn name(&self, named: Named, style: Style) -> Option<&'static str> {
        let index = match named {
            Named::Month => self.number(Field::Month)? - 1,
            Named::Quarter => self.number(Field::Quarter)? - 1,
            Named::Weekday => i64::from(self.date?.weekday().to_monday_zero_offset()),
            Named::Era => i64::from(self.year()? > 0),
        };
        named.names(style).get(usize::try_from(index).ok()?).copied()
    }
}

/// The day of the week from 1, Sunday first: what the locale `en` of ksqlDB's server counts by.
fn day_of_week(date: Date) -> i64 {
    i64::from(date.weekday().to_sunday_one_offset())
}

/// The number of the week that a day is in, where the first week begins with day 1 and weeks with Sunday.
fn week(day: i64, day_of_week: i64) -> i64 {
    (day - day_of_week + 6).div_euclid(7) + 1
}

/// The last days of a year are in the first week of the next one where that begins in the same week.
fn week_of_year(date: Date) -> i64 {
    if week_year(date) > i64::from(date.year()) {
        return 1;
    }
    week(i64::from(date.day_of_year()), day_of_week(date))
}

fn week_of_month(date: Date) -> i64 {
    week(i64::from(date.day()), day_of_week(date))
}

fn week_year(date: Date) -> i64 {
    let days_left = i64::from(date.days_in_year()) - i64::from(date.day_of_year());
    i64::from(date.year()) + i64::from(days_left + day_of_week(date) < 7)
}

/// A number whose 0 is called by the highest one.
fn from_one(number: i64, highest: i64) -> i64 {
    if number == 0 { highest } else { number }
}

fn nanosecond_of_day(time: Time) -> i64 {
    let seconds = i64::from(time.hour()) * 3600 + i64::from(time.minute()) * 60 + i64::from(time.second());
    seconds * 1_000_000_000 + i64::from(time.subsec_nanosecond())
}

impl Pattern {
    /// The moment as text; an error where the pattern asks for what the moment lacks.
    pub(super) fn format(&self, moment: &Moment<'_>) -> Result<String, FunctionError> {
        let mut text = String::new();
        let complete = write_items(&self.items, moment, &mut text).is_some();
        complete.then_some(text).ok_or_else(|| {
            FunctionError::new(format!(
                "the date pattern `{}` asks for what the value lacks",
                self.source
            ))
        })
    }
}

fn write_items(items: &[Item], moment: &Moment<'_>, text: &mut String) -> Option<()> {
    items.iter().try_for_each(|item| write_item(item, moment, text))
}

fn write_item(item: &Item, moment: &Moment<'_>, text: &mut String) -> Option<()> {
    // Writing to a String cannot fail, which is why the results of `write!` are let go.
    match item {
        Item::Literal(literal) => text.push_str(literal),
        Item::Number { field, minimum, .. } => {
            let number = moment.number(*field)?;
            // Java's `SignStyle.EXCEEDS_PAD`, for years of four letters and more.
            let is_year = matches!(field, Field::Year | Field::YearOfEra | Field::WeekYear);
            let exceeds = is_year && *minimum >= 4 && number.to_string().len() > *minimum;
            let sign = match number {
                number if number < 0 => "-",
                _ if exceeds => "+",
                _ => "",
            };
            let digits = number.unsigned_abs();
            let _ = write!(text, "{sign}{digits:0minimum$}");
        }
        Item::TwoDigitYear(field) => {
            let _ = write!(text, "{:02}", moment.number(*field)?.rem_euclid(100));
        }
        Item::Fraction(digits) => {
            let all = format!("{:09}", moment.time?.subsec_nanosecond());
            text.push_str(&all[..*digits]);
        }
        Item::Name(named, style) => text.push_str(moment.name(*named, *style)?),
        Item::HalfDay => text.push_str(if moment.time?.hour() < 12 { "AM" } else { "PM" }),
        Item::Offset(style) => write_offset(moment.offset_seconds()?, *style, text),
        Item::LocalizedOffset(style) => write_localized_offset(moment.offset_seconds()?, *style, text),
        Item::ZoneId => {
            let (timestamp, zone) = moment.zone?;
            match zone.iana_name() {
                Some(name) => text.push_str(name),
                None => write_offset(zone.to_offset(timestamp).seconds(), ISO_OFFSET, text),
            }
        }
        Item::ZoneName => {
            let (timestamp, zone) = moment.zone?;
            match zone.iana_name() {
                Some(_) => text.push_str(zone.to_offset_info(timestamp).abbreviation()),
                None => write_offset(zone.to_offset(timestamp).seconds(), ISO_OFFSET, text),
            }
        }
        Item::Padded(width, item) => {
            let mut inner = String::new();
            write_item(item, moment, &mut inner)?;
            // Java refuses what is wider than its padding.
            let missing = width.checked_sub(inner.chars().count())?;
            text.extend(std::iter::repeat_n(' ', missing));
            text.push_str(&inner);
        }
        Item::Optional(items) => {
            let before = text.len();
            if write_items(items, moment, text).is_none() {
                text.truncate(before);
            }
        }
    }
    Some(())
}

const ISO_OFFSET: OffsetStyle = OffsetStyle {
    zero: Zero::Letter,
    colons: true,
    parts: OffsetParts::Seconds,
};

fn write_offset(seconds: i32, style: OffsetStyle, text: &mut String) {
    if seconds == 0 && style.zero == Zero::Letter {
        text.push('Z');
        return;
    }
    let (minutes_part, seconds_part) = (seconds.abs() / 60 % 60, seconds.abs() % 60);
    let colon = if style.colons { ":" } else { "" };
    text.push(if seconds < 0 { '-' } else { '+' });
    let _ = write!(text, "{:02}", seconds.abs() / 3600);
    if style.parts != OffsetParts::Hours || minutes_part != 0 {
        let _ = write!(text, "{colon}{minutes_part:02}");
    }
    if style.parts == OffsetParts::Seconds && seconds_part != 0 {
        let _ = write!(text, "{colon}{seconds_part:02}");
    }
}

fn write_localized_offset(seconds: i32, style: Style, text: &mut String) {
    text.push_str("GMT");
    if seconds == 0 {
        return;
    }
    let sign = if seconds < 0 { '-' } else { '+' };
    let (hours, minutes) = (seconds.abs() / 3600, seconds.abs() / 60 % 60);
    let _ = match (style, minutes) {
        (Style::Full, _) => write!(text, "{sign}{hours:02}:{minutes:02}"),
        (_, 0) => write!(text, "{sign}{hours}"),
        _ => write!(text, "{sign}{hours}:{minutes:02}"),
    };
}

#[cfg(test)]
mod tests {
    use super::super::zone;
    use super::*;

    #[test]
    fn every_letter() {
        let zone = zone::named("America/Los_Angeles").unwrap();
        let timestamp: Timestamp = "2021-07-04T20:05:09.123456789Z".parse().unwrap();
        let moment = Moment::in_zone((timestamp, 0), &zone);
        for (pattern, expected) in [
            ("yyyy-MM-dd'T'HH:mm:ss.SSSX", "2021-07-04T13:05:09.123-07"),
            ("uu y yyyyy", "21 2021 02021"),
            ("M MM MMM MMMM MMMMM L", "7 07 Jul July J 7"),
            ("d dd D DDD", "4 04 185 185"),
            ("Q QQ QQQ QQQQ", "3 03 Q3 3rd quarter"),
            ("E EEE EEEE EEEEE", "Sun Sun Sunday S"),
            ("G GGGG", "AD Anno Domini"),
            ("Y w ww W e ee eee c", "2021 28 28 2 1 01 Sun 1"),
            ("h hh a K k H", "1 01 PM 1 13 13"),
            ("m s S SSSSSS n", "5 9 1 123456 123456789"),
            ("A N", "47109123 47109123456789"),
            ("VV z O OOOO", "America/Los_Angeles PDT GMT-7 GMT-07:00"),
            ("X XX XXX XXXX XXXXX", "-07 -0700 -07:00 -0700 -07:00"),
            ("x xxx Z ZZZZ ZZZZZ", "-07 -07:00 -0700 GMT-07:00 -07:00"),
            ("EEE MMM ppd HH:mm:ss yyyy z", "Sun Jul  4 13:05:09 2021 PDT"),
            ("yyyy[ HH][ VV]", "2021 13 America/Los_Angeles"),
        ] {
            assert_eq!(
                Pattern::parse(pattern).unwrap().format(&moment).unwrap(),
                expected,
                "{pattern}"
            );
        }
    }

    #[test]
    fn utc_and_midnight() {
        let utc = TimeZone::UTC;
        let moment = Moment::in_zone((Timestamp::UNIX_EPOCH, 0), &utc);
        for (pattern, expected) in [
            ("X x xxx Z ZZZZ ZZZZZ O VV", "Z +00 +00:00 +0000 GMT Z GMT UTC"),
            ("H k K h a", "0 24 0 12 AM"),
        ] {
            assert_eq!(
                Pattern::parse(pattern).unwrap().format(&moment).unwrap(),
                expected
            );
        }
    }

    #[test]
    fn what_is_lacking_is_an_error_unless_it_is_optional() {
        let date = Moment {
            date: Some(Date::new(2021, 7, 4).unwrap()),
            ..Moment::default()
        };
        assert_eq!(
            Pattern::parse("yyyy[ HH:mm]").unwrap().format(&date).unwrap(),
            "2021"
        );
        let error = Pattern::parse("yyyy HH").unwrap().format(&date).unwrap_err();
        assert_eq!(
            error.to_string(),
            "the date pattern `yyyy HH` asks for what the value lacks"
        );
    }
}
