//! `time`: the clock, in UTC as osquery shows it.

use jiff::tz::TimeZone;

use crate::sql::{Column, RowBuffer, Scan, Table, TableError, columns};

columns! {
    WEEKDAY "weekday" Text,
    YEAR "year" Integer,
    MONTH "month" Integer,
    DAY "day" Integer,
    HOUR "hour" Integer,
    MINUTES "minutes" Integer,
    SECONDS "seconds" Integer,
    TIMEZONE "timezone" Text,
    LOCAL_TIMEZONE "local_timezone" Text,
    UNIX_TIME "unix_time" Integer,
    TIMESTAMP "timestamp" Text,
    DATETIME "datetime" Text,
    ISO_8601 "iso_8601" Text,
    _WIN_TIMESTAMP "win_timestamp" BigInt hidden,
    DATE_TIME "date_time" Text hidden,
}

pub(crate) struct Time;

impl Table for Time {
    fn name(&self) -> &'static str {
        "time"
    }

    fn columns(&self) -> &'static [Column] {
        COLUMNS
    }

    fn rows(&self, _: &Scan, rows: &mut RowBuffer) -> Result<(), TableError> {
        let timestamp = osqdemo_clock::timestamp();
        let now = timestamp.to_zoned_datetime(TimeZone::UTC);
        rows.start_row();
        rows.display(WEEKDAY, now.strftime("%A"));
        rows.integer(YEAR, i64::from(now.year()));
        rows.integer(MONTH, i64::from(now.month()));
        rows.integer(DAY, i64::from(now.day()));
        rows.integer(HOUR, i64::from(now.hour()));
        rows.integer(MINUTES, i64::from(now.minute()));
        rows.integer(SECONDS, i64::from(now.second()));
        rows.text(TIMEZONE, "UTC");
        rows.display(
            LOCAL_TIMEZONE,
            timestamp.to_zoned_datetime(TimeZone::system()).strftime("%Z"),
        );
        rows.integer(UNIX_TIME, timestamp.as_second());
        rows.display(TIMESTAMP, now.strftime("%a %b %e %H:%M:%S %Y UTC"));
        for column in [DATETIME, DATE_TIME, ISO_8601] {
            rows.display(column, now.strftime("%Y-%m-%dT%H:%M:%SZ"));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use crate::tables::fixture::TestDatabase;

    #[test]
    fn is_now_and_in_utc() {
        let database = TestDatabase::open();
        let rows = database.rows("select * from time");
        let row = &rows[0];
        let now = jiff::Timestamp::now().as_second();
        assert!((row["unix_time"].parse::<i64>().unwrap() - now).abs() < 5);
        let read: jiff::Timestamp = row["iso_8601"].parse().unwrap();
        assert_eq!(read.as_second().to_string(), row["unix_time"]);
        assert!(row["timestamp"].ends_with(" UTC"), "{row:?}");
    }
}
