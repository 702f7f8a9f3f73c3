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
