//! Dates and times as ksqlDB prints them, in any year: the library's calendar ends with the year 9999, Java's does
//! not.

use jiff::Timestamp;

const MS_PER_DAY: i64 = 86_400_000;
/// After so many years the calendar repeats itself, to the day of the week.
const YEARS_PER_CYCLE: i64 = 400;
const DAYS_PER_CYCLE: i64 = 146_097;
/// From 1600 to 2400: every moment within is one of the library's calendar.
const PLAIN_DAYS: std::ops::Range<i64> = -135_140..157_054;

/// A moment of any year, as one of the library's calendar and the years that are to be added to it.
pub(crate) fn moment(ms: i64) -> Option<(Timestamp, i64)> {
    if let Ok(timestamp) = Timestamp::from_millisecond(ms) {
        return Some((timestamp, 0));
    }
    let cycles = ms.div_euclid(MS_PER_DAY * DAYS_PER_CYCLE);
    let within = ms.rem_euclid(MS_PER_DAY * DAYS_PER_CYCLE);
    let timestamp = Timestamp::from_millisecond(within).ok()?;
    Some((timestamp, cycles * YEARS_PER_CYCLE))
}

/// `2020-01-31T10:20:30.123`
pub(crate) fn timestamp_text(ms: i64) -> String {
    let seconds = ms.rem_euclid(MS_PER_DAY) / 1000;
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    let date = day_text(ms.div_euclid(MS_PER_DAY));
    format!(
        "{date}T{hours:02}:{minutes:02}:{seconds:02}.{:03}",
        ms.rem_euclid(1000)
    )
}

/// `2020-01-31`
pub(crate) fn date_text(days: i32) -> String {
    day_text(i64::from(days))
}

/// `10:20` or `10:20:30`, as short as it goes; ksqlDB shows no fraction of a second.
pub(crate) fn time_text(ms: i32) -> String {
    let seconds = ms / 1000;
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    match seconds {
        0 => format!("{hours:02}:{minutes:02}"),
        _ => format!("{hours:02}:{minutes:02}:{seconds:02}"),
    }
}

fn day_text(days: i64) -> String {
    let (days, cycles) = if PLAIN_DAYS.contains(&days) {
        (days, 0)
    } else {
        (days.rem_euclid(DAYS_PER_CYCLE), days.div_euclid(DAYS_PER_CYCLE))
    };
    // Within the library's calendar, as the ranges above are.
    let date = jiff::Span::new()
        .try_days(days)
        .and_then(|span| jiff::civil::date(1970, 1, 1).checked_add(span));
    date.map_or_else(
        |_| days.to_string(),
        |date| {
            let year = i64::from(date.year()) + cycles * YEARS_PER_CYCLE;
            let sign = if year < 0 { "-" } else { "" };
            format!("{sign}{:04}-{:02}-{:02}", year.abs(), date.month(), date.day())
        },
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn years_go_on_after_9999_and_before_0() {
        for (ms, text) in [
            (-1, "1969-12-31T23:59:59.999"),
            (253_402_300_799_999, "9999-12-31T23:59:59.999"),
            (253_402_300_800_000, "10000-01-01T00:00:00.000"),
            (i64::MIN, "-292275055-05-16T16:47:04.192"),
            (i64::MAX, "292278994-08-17T07:12:55.807"),
        ] {
            assert_eq!(timestamp_text(ms), text);
        }
        assert_eq!(date_text(18_295), "2020-02-03");
    }

    #[test]
    fn times_are_as_short_as_they_go() {
        for (ms, text) in [(0, "00:00"), (61_999, "00:01:01"), (86_399_999, "23:59:59")] {
            assert_eq!(time_text(ms), text);
        }
    }

    #[test]
    fn every_moment_has_a_place_in_the_calendar() {
        for ms in [i64::MIN, -1, 0, 253_402_300_800_000, i64::MAX] {
            let (timestamp, years) = moment(ms).expect("a moment");
            assert_eq!(years % YEARS_PER_CYCLE, 0);
            let cycles = years / YEARS_PER_CYCLE;
            let back = i128::from(timestamp.as_millisecond())
                + i128::from(cycles) * i128::from(DAYS_PER_CYCLE * MS_PER_DAY);
            assert_eq!(back, i128::from(ms));
        }
    }
}
