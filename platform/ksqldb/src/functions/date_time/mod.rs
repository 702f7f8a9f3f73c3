//! Functions of dates, times and timestamps. Where no zone is given, it is UTC.

mod format;
mod parse;
mod parsed;
mod pattern;
mod zone;

use std::cell::RefCell;
use std::rc::Rc;

use jiff::Timestamp;
use jiff::civil::{Date, Time};
use jiff::tz::TimeZone;

use self::format::Moment;
pub(crate) use self::pattern::Pattern;
use super::arguments::{Kind, accepts, argument, optional_text, text, whole};
use super::cache::Cache;
use super::{Call, FunctionError, ScalarFunction};
use crate::calendar;
use crate::types::SqlType;
use crate::value::Value;

const MILLISECONDS_A_DAY: i64 = 86_400_000;

pub(super) static FUNCTIONS: &[ScalarFunction] = &[
    ScalarFunction::new(
        "UNIX_TIMESTAMP",
        "Milliseconds since 1970-01-01T00:00:00Z: of the timestamp, or now.",
        |arguments| accepts(arguments, &[], &[Kind::Timestamp]).then_some(SqlType::Bigint),
        |arguments| {
            let now = osqdemo_clock::unix_ms();
            if arguments.is_empty() {
                Ok(Value::Bigint(now))
            } else {
                timestamp(arguments, 0).map(Value::Bigint)
            }
        },
    ),
    ScalarFunction::new(
        "UNIX_DATE",
        "Days since 1970-01-01: of the date, or today.",
        |arguments| accepts(arguments, &[], &[Kind::Date]).then_some(SqlType::Integer),
        |arguments| {
            if !arguments.is_empty() {
                return days(arguments, 0).map(Value::Integer);
            }
            let today = osqdemo_clock::unix_ms().div_euclid(MILLISECONDS_A_DAY);
            in_range(today).map(Value::Integer)
        },
    ),
    ScalarFunction::new(
        "FROM_UNIXTIME",
        "The timestamp of milliseconds since 1970-01-01T00:00:00Z.",
        |arguments| accepts(arguments, &[Kind::Whole], &[]).then_some(SqlType::Timestamp),
        |arguments| whole(arguments, 0).map(Value::Timestamp),
    ),
    ScalarFunction::new(
        "FROM_DAYS",
        "The date of days since 1970-01-01.",
        |arguments| accepts(arguments, &[Kind::Integer], &[]).then_some(SqlType::Date),
        |arguments| in_range(whole(arguments, 0)?).map(Value::Date),
    ),
    ScalarFunction::new(
        "PARSE_TIMESTAMP",
        "The timestamp that a text in the pattern stands for, in the zone.",
        |arguments| accepts(arguments, &[Kind::String; 2], &[Kind::String]).then_some(SqlType::Timestamp),
        |arguments| parsed_timestamp(arguments).map(Value::Timestamp),
    ),
    ScalarFunction::new(
        "FORMAT_TIMESTAMP",
        "The timestamp as text in the pattern, in the zone.",
        |arguments| {
            let fits = accepts(arguments, &[Kind::Timestamp, Kind::String], &[Kind::String]);
            fits.then_some(SqlType::String)
        },
        |arguments| formatted_timestamp(timestamp(arguments, 0)?, arguments),
    ),
    ScalarFunction::new(
        "PARSE_DATE",
        "The date that a text in the pattern stands for.",
        |arguments| accepts(arguments, &[Kind::String; 2], &[]).then_some(SqlType::Date),
        |arguments| parsed_days(arguments).map(Value::Date),
    ),
    ScalarFunction::new(
        "FORMAT_DATE",
        "The date as text in the pattern.",
        |arguments| accepts(arguments, &[Kind::Date, Kind::String], &[]).then_some(SqlType::String),
        |arguments| formatted_date(days(arguments, 0)?, arguments),
    ),
    ScalarFunction::new(
        "PARSE_TIME",
        "The time that a text in the pattern stands for.",
        |arguments| accepts(arguments, &[Kind::String; 2], &[]).then_some(SqlType::Time),
        |arguments| {
            let time = pattern(text(arguments, 1)?)?.parse_time(text(arguments, 0)?)?;
            let seconds =
                i32::from(time.hour()) * 3600 + i32::from(time.minute()) * 60 + i32::from(time.second());
            Ok(Value::Time(seconds * 1000 + time.subsec_nanosecond() / 1_000_000))
        },
    ),
    ScalarFunction::new(
        "FORMAT_TIME",
        "The time as text in the pattern.",
        |arguments| accepts(arguments, &[Kind::Time, Kind::String], &[]).then_some(SqlType::String),
        |arguments| {
            let moment = Moment {
                time: Some(time_of_day(arguments, 0)?),
                ..Moment::default()
            };
            Ok(Value::string(pattern(text(arguments, 1)?)?.format(&moment)?))
        },
    ),
    ScalarFunction::new(
        "STRINGTOTIMESTAMP",
        "Milliseconds since 1970-01-01T00:00:00Z of a text in the pattern; PARSE_TIMESTAMP succeeds it.",
        |arguments| accepts(arguments, &[Kind::String; 2], &[Kind::String]).then_some(SqlType::Bigint),
        |arguments| parsed_timestamp(arguments).map(Value::Bigint),
    ),
    ScalarFunction::new(
        "TIMESTAMPTOSTRING",
        "Milliseconds since 1970-01-01T00:00:00Z as text in the pattern; FORMAT_TIMESTAMP succeeds it.",
        |arguments| {
            let fits = accepts(arguments, &[Kind::Whole, Kind::String], &[Kind::String]);
            fits.then_some(SqlType::String)
        },
        |arguments| formatted_timestamp(whole(arguments, 0)?, arguments),
    ),
    ScalarFunction::new(
        "STRINGTODATE",
        "Days since 1970-01-01 of a text in the pattern; PARSE_DATE succeeds it.",
        |arguments| accepts(arguments, &[Kind::String; 2], &[]).then_some(SqlType::Integer),
        |arguments| parsed_days(arguments).map(Value::Integer),
    ),
    ScalarFunction::new(
        "DATETOSTRING",
        "Days since 1970-01-01 as text in the pattern; FORMAT_DATE succeeds it.",
        |arguments| accepts(arguments, &[Kind::Integer, Kind::String], &[]).then_some(SqlType::String),
        |arguments| formatted_date(in_range(whole(arguments, 0)?)?, arguments),
    ),
    shift(
        "TIMESTAMPADD",
        "The timestamp later by so many units.",
        |arguments| shifted(arguments, 1),
    ),
    shift(
        "TIMESTAMPSUB",
        "The timestamp earlier by so many units.",
        |arguments| shifted(arguments, -1),
    ),
    shift("DATEADD", "The date later by so many units.", |arguments| {
        shifted(arguments, 1)
    }),
    shift("DATESUB", "The date earlier by so many units.", |arguments| {
        shifted(arguments, -1)
    }),
    shift(
        "TIMEADD",
        "The time later by so many units, past midnight too.",
        |arguments| shifted(arguments, 1),
    ),
    shift(
        "TIMESUB",
        "The time earlier by so many units, past midnight too.",
        |arguments| shifted(arguments, -1),
    ),
    ScalarFunction::new(
        "CONVERT_TZ",
        "The timestamp whose clock in UTC shows what the clock of the second zone shows when the first \
         zone's shows the given one.",
        |arguments| {
            let fits = accepts(arguments, &[Kind::Timestamp, Kind::String, Kind::String], &[]);
            fits.then_some(SqlType::Timestamp)
        },
        |arguments| {
            let milliseconds = timestamp(arguments, 0)?;
            let (at, _) = instant(milliseconds)?;
            let offset = |index: usize| {
                Ok(i64::from(
                    zone::named(text(arguments, index)?)?.to_offset(at).seconds(),
                ))
            };
            let (from, to) = (offset(1)?, offset(2)?);
            Ok(Value::Timestamp(milliseconds + (to - from) * 1000))
        },
    ),
];

const fn shift(name: &'static str, description: &'static str, call: Call) -> ScalarFunction {
    ScalarFunction::new(name, description, return_type_of_shift(name), call)
}

/// The functions of the family differ in the type they shift, which their names begin with.
const fn return_type_of_shift(name: &str) -> fn(&[Option<SqlType>]) -> Option<SqlType> {
    match name.as_bytes() {
        [b'D', ..] => |arguments| {
            accepts(arguments, &[Kind::String, Kind::Whole, Kind::Date], &[]).then_some(SqlType::Date)
        },
        [b'T', b'I', b'M', b'E', b'S', b'T', ..] => |arguments| {
            accepts(arguments, &[Kind::String, Kind::Whole, Kind::Timestamp], &[])
                .then_some(SqlType::Timestamp)
        },
        _ => |arguments| {
            accepts(arguments, &[Kind::String, Kind::Whole, Kind::Time], &[]).then_some(SqlType::Time)
        },
    }
}

fn pattern(source: &str) -> Result<Rc<Pattern>, FunctionError> {
    thread_local! {
        static PATTERNS: RefCell<Cache<Pattern>> = RefCell::new(Cache::new());
    }
    PATTERNS.with_borrow_mut(|patterns| patterns.get_or_compile(source, Pattern::parse))
}

/// The zone in the third argument, else UTC.
fn zone_argument(arguments: &[Value]) -> Result<Rc<TimeZone>, FunctionError> {
    zone::named(optional_text(arguments, 2)?.unwrap_or("UTC"))
}

fn parsed_timestamp(arguments: &[Value]) -> Result<i64, FunctionError> {
    let zone = zone_argument(arguments)?;
    pattern(text(arguments, 1)?)?.parse_timestamp(text(arguments, 0)?, &zone)
}

fn formatted_timestamp(milliseconds: i64, arguments: &[Value]) -> Result<Value, FunctionError> {
    let zone = zone_argument(arguments)?;
    let moment = Moment::in_zone(instant(milliseconds)?, &zone);
    Ok(Value::string(pattern(text(arguments, 1)?)?.format(&moment)?))
}

fn parsed_days(arguments: &[Value]) -> Result<i32, FunctionError> {
    let date = pattern(text(arguments, 1)?)?.parse_date(text(arguments, 0)?)?;
    let since_epoch = date.duration_since(Date::constant(1970, 1, 1)).as_secs() / 86_400;
    in_range(since_epoch)
}

fn formatted_date(days: i32, arguments: &[Value]) -> Result<Value, FunctionError> {
    let (at, years) = instant(i64::from(days) * MILLISECONDS_A_DAY)?;
    let moment = Moment {
        date: Some(TimeZone::UTC.to_datetime(at).date()),
        years,
        ..Moment::default()
    };
    Ok(Value::string(pattern(text(arguments, 1)?)?.format(&moment)?))
}

/// A moment, and the years to be added to it.
fn instant(milliseconds: i64) -> Result<(Timestamp, i64), FunctionError> {
    calendar::moment(milliseconds)
        .ok_or_else(|| FunctionError::new(format!("no calendar reaches to {milliseconds} ms from 1970")))
}

fn in_range(days: i64) -> Result<i32, FunctionError> {
    i32::try_from(days).map_err(|_| FunctionError::new(format!("{days} days do not fit a DATE")))
}

fn unfit(expected: &str, value: &Value) -> FunctionError {
    FunctionError::new(format!("expected {expected}, not {value:?}"))
}

fn timestamp(arguments: &[Value], index: usize) -> Result<i64, FunctionError> {
    match argument(arguments, index)? {
        Value::Timestamp(milliseconds) => Ok(*milliseconds),
        other => Err(unfit("a TIMESTAMP", other)),
    }
}

fn days(arguments: &[Value], index: usize) -> Result<i32, FunctionError> {
    match argument(arguments, index)? {
        Value::Date(days) => Ok(*days),
        other => Err(unfit("a DATE", other)),
    }
}

fn time_of_day(arguments: &[Value], index: usize) -> Result<Time, FunctionError> {
    let value = argument(arguments, index)?;
    let Value::Time(milliseconds) = value else {
        return Err(unfit("a TIME", value));
    };
    let (at, _) = instant(i64::from(*milliseconds).rem_euclid(MILLISECONDS_A_DAY))?;
    Ok(TimeZone::UTC.to_datetime(at).time())
}

/// The third argument shifted by the second one's number of the first one's units.
fn shifted(arguments: &[Value], direction: i64) -> Result<Value, FunctionError> {
    let unit = text(arguments, 0)?;
    let unit_milliseconds = match unit.to_ascii_uppercase().as_str() {
        "MILLISECOND" | "MILLISECONDS" => 1,
        "SECOND" | "SECONDS" => 1000,
        "MINUTE" | "MINUTES" => 60_000,
        "HOUR" | "HOURS" => 3_600_000,
        "DAY" | "DAYS" => MILLISECONDS_A_DAY,
        _ => {
            return Err(FunctionError::new(format!(
                "{unit} is not a unit from MILLISECONDS to DAYS"
            )));
        }
    };
    let count = whole(arguments, 1)?;
    let too_far = || FunctionError::new(format!("{count} {unit} are too far"));
    let distance = count
        .checked_mul(unit_milliseconds * direction)
        .ok_or_else(too_far)?;
    let value = argument(arguments, 2)?;
    Ok(match value {
        Value::Timestamp(start) => Value::Timestamp(start.checked_add(distance).ok_or_else(too_far)?),
        Value::Date(start) => {
            let start = i64::from(*start) * MILLISECONDS_A_DAY;
            let end = start.checked_add(distance).ok_or_else(too_far)?;
            Value::Date(in_range(end.div_euclid(MILLISECONDS_A_DAY))?)
        }
        Value::Time(start) => {
            let end = (i64::from(*start) + distance % MILLISECONDS_A_DAY).rem_euclid(MILLISECONDS_A_DAY);
            // Less than a day of milliseconds.
            Value::Time(end as i32)
        }
        other => return Err(unfit("a DATE, TIME or TIMESTAMP", other)),
    })
}

#[cfg(test)]
mod tests;
