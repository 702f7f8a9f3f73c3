//! The `calendarTime` of a line: C's `asctime` of the UTC time, and the word `UTC`.

const WEEKDAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
const MONTHS: [&str; 12] = [
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
];
const SECONDS_PER_DAY: i64 = 86_400;
/// The days of 400 years, after which the calendar repeats.
const DAYS_PER_ERA: i64 = 146_097;

/// Writes a time as osquery does: `Tue Nov 24 04:46:30 2026 UTC`, the day padded with a space.
///
/// ```
/// assert_eq!(osquery_protocol::result_log::calendar_time(0), "Thu Jan  1 00:00:00 1970 UTC");
/// ```
pub fn calendar_time(unix_time: i64) -> String {
    let days = unix_time.div_euclid(SECONDS_PER_DAY);
    let seconds = unix_time.rem_euclid(SECONDS_PER_DAY);
    let (year, month, day) = civil_date(days);
    format!(
        "{} {} {day:>2} {:02}:{:02}:{:02} {year} UTC",
        WEEKDAYS[days.rem_euclid(7) as usize],
        MONTHS[month],
        seconds / 3600,
        seconds / 60 % 60,
        seconds % 60,
    )
}

/// The year, the month counted from 0 and the day counted from 1, of a day counted from 1970-01-01.
///
/// Years begin in March here, so that the leap day is a year's last and month lengths follow a line.
fn civil_date(days_since_1970: i64) -> (i64, usize, i64) {
    let days = days_since_1970 + 719_468;
    let era = days.div_euclid(DAYS_PER_ERA);
    let day_of_era = days.rem_euclid(DAYS_PER_ERA);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = (month_from_march + 2) % 12;
    let year = year_of_era + era * 400 + i64::from(month < 2);
    (year, month as usize, day)
}
