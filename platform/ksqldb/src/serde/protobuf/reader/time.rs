//! Google's messages of dates and times.

use jiff::civil::Date;
use osqdemo_protobuf::DynamicMessage;

use super::super::super::SerdeError;
use super::whole;

const MS_PER_DAY: i64 = 86_400_000;

/// The seconds that Protocol Buffers' timestamps may have: of the years 1 to 9999.
const SECONDS: std::ops::RangeInclusive<i64> = -62_135_596_800..=253_402_300_799;

pub(super) fn number(message: &DynamicMessage, name: &str) -> i64 {
    let number = message.get_field_by_name(name);
    number.and_then(|number| whole(&number)).unwrap_or(0)
}

pub(super) fn days(message: &DynamicMessage) -> Result<i32, SerdeError> {
    let part = |name| number(message, name);
    let (year, month, day) = (part("year"), part("month"), part("day"));
    let date = (|| {
        Date::new(
            i16::try_from(year).ok()?,
            i8::try_from(month).ok()?,
            i8::try_from(day).ok()?,
        )
        .ok()
    })();
    let date = date.ok_or_else(|| SerdeError::new(format!("Invalid date: {year}-{month}-{day}")))?;
    let since = date.since(Date::constant(1970, 1, 1));
    since
        .map(|span| span.get_days())
        .map_err(|error| SerdeError::new(error.to_string()))
}

pub(super) fn milliseconds(message: &DynamicMessage) -> Result<i32, SerdeError> {
    let part = |name| number(message, name);
    let (hours, minutes, seconds, nanos) = (part("hours"), part("minutes"), part("seconds"), part("nanos"));
    let is_time = (0..24).contains(&hours)
        && (0..60).contains(&minutes)
        && (0..60).contains(&seconds)
        && (0..1_000_000_000).contains(&nanos);
    let ms = is_time.then_some(((hours * 60 + minutes) * 60 + seconds) * 1000 + nanos / 1_000_000);
    ms.filter(|ms| *ms < MS_PER_DAY)
        .and_then(|ms| i32::try_from(ms).ok())
        .ok_or_else(|| SerdeError::new(format!("Invalid time: {hours}:{minutes}:{seconds}, {nanos} ns")))
}

pub(super) fn moment(message: &DynamicMessage) -> Result<i64, SerdeError> {
    let (seconds, nanos) = (number(message, "seconds"), number(message, "nanos"));
    if !SECONDS.contains(&seconds) || !(0..1_000_000_000).contains(&nanos) {
        return Err(SerdeError::new(format!(
            "Timestamp is not valid. Seconds ({seconds}) must be in range [-62,135,596,800, +253,402,300,799]. Nanos \
             ({nanos}) must be in range [0, +999,999,999]."
        )));
    }
    Ok(seconds * 1000 + nanos / 1_000_000)
}
