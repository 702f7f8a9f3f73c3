//! What a text said about a moment, and the moment it comes to.
//!
//! What a timestamp's text does not say comes from 1970-01-01T00:00. A day beyond the end of its month is
//! the month's last one, as Java's "smart" resolution has it.

use jiff::Timestamp;
use jiff::civil::{Date, DateTime, Time};
use jiff::tz::{Offset, TimeZone};

use super::pattern::Field;

/// What a text said.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Parsed {
    numbers: Vec<(Field, i64)>,
    pub(super) weekday: Option<i64>,
    pub(super) is_common_era: Option<bool>,
    pub(super) is_afternoon: Option<bool>,
    pub(super) fraction: Option<i64>,
    pub(super) zone: Option<TimeZone>,
    pub(super) offset: Option<Offset>,
}

impl Parsed {
    fn get(&self, field: Field) -> Option<i64> {
        self.numbers
            .iter()
            .find(|(known, _)| *known == field)
            .map(|(_, number)| *number)
    }

    /// Keeps the number; `None` where the text has said otherwise before.
    pub(super) fn set(&mut self, field: Field, number: i64) -> Option<()> {
        match self.get(field) {
            Some(known) => (known == number).then_some(()),
            None => {
                self.numbers.push((field, number));
                Some(())
            }
        }
    }

    fn says(&self, fields: &[Field]) -> bool {
        self.numbers.iter().any(|(field, _)| fields.contains(field))
    }

    fn says_year(&self) -> bool {
        self.says(&[Field::Year, Field::YearOfEra])
    }

    pub(super) fn says_date(&self) -> bool {
        let numbers = [Field::Quarter, Field::Month, Field::Day, Field::DayOfYear];
        self.says_year() || self.says(&numbers) || self.weekday.is_some() || self.is_common_era.is_some()
    }

    pub(super) fn says_whole_date(&self) -> bool {
        let day = self.says(&[Field::DayOfYear]) || (self.says(&[Field::Month]) && self.says(&[Field::Day]));
        self.says_year() && day
    }

    pub(super) fn says_hour(&self) -> bool {
        let whole = [
            Field::Hour,
            Field::ClockHour,
            Field::MillisecondOfDay,
            Field::NanosecondOfDay,
        ];
        self.says(&whole) || self.says(&[Field::HalfDayHour, Field::HalfDayClockHour])
    }

    pub(super) fn says_time(&self) -> bool {
        let parts = self.fraction.is_some() || self.is_afternoon.is_some();
        parts || self.says_hour() || self.says(&[Field::Minute, Field::Second, Field::Nanosecond])
    }

    pub(super) fn timestamp(&self, zone: &TimeZone) -> Option<Timestamp> {
        let local = DateTime::from_parts(self.date()?, self.time()?);
        let timestamp = match (&self.offset, &self.zone) {
            (Some(offset), _) => offset.to_timestamp(local),
            (None, named) => named
                .as_ref()
                .unwrap_or(zone)
                .to_ambiguous_timestamp(local)
                .compatible(),
        };
        timestamp.ok()
    }

    pub(super) fn date(&self) -> Option<Date> {
        let year = match (self.get(Field::Year), self.get(Field::YearOfEra)) {
            (Some(year), _) => year,
            (None, Some(year)) if self.is_common_era == Some(false) => 1 - year,
            (None, year) => year.unwrap_or(1970),
        };
        let year = i16::try_from(year).ok()?;
        let date = if let Some(day) = self.get(Field::DayOfYear) {
            let first = Date::new(year, 1, 1).ok()?;
            first.with().day_of_year(i16::try_from(day).ok()?).build().ok()?
        } else {
            let quarter_month = self.get(Field::Quarter).map(|quarter| quarter * 3 - 2);
            let month = self.get(Field::Month).or(quarter_month).unwrap_or(1);
            let first = Date::new(year, i8::try_from(month).ok()?, 1).ok()?;
            let day = self.get(Field::Day).unwrap_or(1);
            let day = i8::try_from(day).ok().filter(|day| (1..=31).contains(day))?;
            first.with().day(day.min(first.days_in_month())).build().ok()?
        };
        let weekday_fits = |weekday| weekday == i64::from(date.weekday().to_monday_one_offset());
        self.weekday.is_none_or(weekday_fits).then_some(date)
    }

    pub(super) fn time(&self) -> Option<Time> {
        let of_day = self.get(Field::NanosecondOfDay);
        let of_day = of_day.or_else(|| self.get(Field::MillisecondOfDay)?.checked_mul(1_000_000));
        if let Some(nanoseconds) = of_day {
            let seconds = nanoseconds / 1_000_000_000;
            return time(
                seconds / 3600,
                seconds / 60 % 60,
                seconds % 60,
                nanoseconds % 1_000_000_000,
            );
        }
        let within =
            |number: i64, range: std::ops::RangeInclusive<i64>| range.contains(&number).then_some(number);
        let half_day_hour = match (self.get(Field::HalfDayHour), self.get(Field::HalfDayClockHour)) {
            (Some(hour), _) => Some(within(hour, 0..=11)?),
            (None, Some(hour)) => Some(within(hour, 1..=12)? % 12),
            (None, None) => None,
        };
        let hour = match (self.get(Field::Hour), self.get(Field::ClockHour), half_day_hour) {
            (Some(hour), _, _) => hour,
            (None, Some(hour), _) => within(hour, 1..=24)? % 24,
            // An hour of the half-day says nothing without the half-day.
            (None, None, Some(hour)) => hour + if self.is_afternoon? { 12 } else { 0 },
            (None, None, None) => 0,
        };
        let minute = self.get(Field::Minute).unwrap_or(0);
        let second = self.get(Field::Second).unwrap_or(0);
        let nanosecond = self.fraction.or_else(|| self.get(Field::Nanosecond)).unwrap_or(0);
        time(hour, minute, second, nanosecond)
    }
}

fn time(hour: i64, minute: i64, second: i64, nanosecond: i64) -> Option<Time> {
    let small = |number: i64| i8::try_from(number).ok();
    Time::new(
        small(hour)?,
        small(minute)?,
        small(second)?,
        i32::try_from(nanosecond).ok()?,
    )
    .ok()
}
