use super::super::tests::{call, failing_call, i, result_type, s};
use super::*;

/// 2021-07-04T20:05:09.123Z
const MOMENT: i64 = 1_625_429_109_123;

#[test]
fn epochs() {
    assert_eq!(
        call("UNIX_TIMESTAMP", [Value::Timestamp(MOMENT)]),
        Value::Bigint(MOMENT)
    );
    assert_eq!(call("UNIX_DATE", [Value::Date(18_812)]), i(18_812));
    assert_eq!(
        call("FROM_UNIXTIME", [Value::Bigint(MOMENT)]),
        Value::Timestamp(MOMENT)
    );
    assert_eq!(call("FROM_DAYS", [i(18_812)]), Value::Date(18_812));
    let (Value::Bigint(now), Value::Integer(today)) = (call("UNIX_TIMESTAMP", []), call("UNIX_DATE", []))
    else {
        panic!("no numbers");
    };
    assert!(now > MOMENT && today > 18_812);
    assert_eq!(call("FROM_UNIXTIME", [Value::Null]), Value::Null);
}

#[test]
fn text_and_back() {
    let pattern = "yyyy-MM-dd HH:mm:ss.SSS";
    let format = |zone: &str| {
        call(
            "FORMAT_TIMESTAMP",
            [Value::Timestamp(MOMENT), s(pattern), s(zone)],
        )
    };
    assert_eq!(format("America/Los_Angeles"), s("2021-07-04 13:05:09.123"));
    let utc = call("FORMAT_TIMESTAMP", [Value::Timestamp(MOMENT), s(pattern)]);
    assert_eq!(utc, s("2021-07-04 20:05:09.123"));
    assert_eq!(
        call("TIMESTAMPTOSTRING", [Value::Bigint(MOMENT), s(pattern)]),
        utc
    );
    assert_eq!(
        call("PARSE_TIMESTAMP", [utc.clone(), s(pattern)]),
        Value::Timestamp(MOMENT)
    );
    assert_eq!(
        call("STRINGTOTIMESTAMP", [utc, s(pattern)]),
        Value::Bigint(MOMENT)
    );
    assert_eq!(
        call(
            "PARSE_TIMESTAMP",
            [s("2021-07-04 13:05:09.123"), s(pattern), s("PDT")]
        ),
        Value::Timestamp(MOMENT)
    );
    assert_eq!(
        call("FORMAT_DATE", [Value::Date(-1), s("dd MMM yyyy")]),
        s("31 Dec 1969")
    );
    assert_eq!(
        call("DATETOSTRING", [i(18_812), s("yyyy-MM-dd")]),
        s("2021-07-04")
    );
    assert_eq!(
        call("PARSE_DATE", [s("04/07/21"), s("dd/MM/yy")]),
        Value::Date(18_812)
    );
    assert_eq!(call("STRINGTODATE", [s("1969-12-31"), s("yyyy-MM-dd")]), i(-1));
    assert_eq!(
        call("PARSE_TIME", [s("13:05:09.5"), s("HH:mm:ss.S")]),
        Value::Time(47_109_500)
    );
    assert_eq!(
        call("FORMAT_TIME", [Value::Time(47_109_500), s("h:mm a")]),
        s("1:05 PM")
    );
    assert_eq!(call("PARSE_DATE", [Value::Null, s("yyyy")]), Value::Null);
    for (function, text, pattern) in [
        ("PARSE_DATE", "2021-07", "yyyy-MM"),
        ("PARSE_DATE", "2021-07-04 13", "yyyy-MM-dd HH"),
        ("PARSE_TIME", "05", "mm"),
        ("PARSE_TIME", "2021 13", "yyyy HH"),
    ] {
        assert!(
            failing_call(function, [s(text), s(pattern)]).is_err(),
            "{function} {pattern}"
        );
    }
    assert_eq!(call("PARSE_TIME", [s("13"), s("HH")]), Value::Time(46_800_000));
    assert_eq!(
        call("PARSE_DATE", [s("2021/185"), s("yyyy/DDD")]),
        Value::Date(18_812)
    );
    assert!(failing_call("FORMAT_DATE", [Value::Date(0), s("HH")]).is_err());
    assert_eq!(
        call("FORMAT_TIMESTAMP", [Value::Timestamp(i64::MAX), s("yyyy")]),
        s("+292278994")
    );
    assert!(failing_call("FORMAT_TIMESTAMP", [Value::Timestamp(0), s("yyyy"), s("Nowhere")]).is_err());
    assert_eq!(
        call("FORMAT_DATE", [Value::Date(i32::MAX), s("yyyy")]),
        s("+5881580")
    );
}

#[test]
fn shifting() {
    let at = Value::Timestamp;
    assert_eq!(
        call("TIMESTAMPADD", [s("SECONDS"), i(5), at(MOMENT)]),
        at(MOMENT + 5000)
    );
    assert_eq!(
        call("TIMESTAMPSUB", [s("day"), i(1), at(MOMENT)]),
        at(MOMENT - MILLISECONDS_A_DAY)
    );
    assert_eq!(
        call("DATEADD", [s("DAYS"), i(3), Value::Date(10)]),
        Value::Date(13)
    );
    assert_eq!(
        call("DATEADD", [s("HOURS"), i(47), Value::Date(10)]),
        Value::Date(11)
    );
    assert_eq!(
        call("DATESUB", [s("DAYS"), i(11), Value::Date(10)]),
        Value::Date(-1)
    );
    assert_eq!(
        call("TIMEADD", [s("HOURS"), i(2), Value::Time(23 * 3_600_000)]),
        Value::Time(3_600_000)
    );
    assert_eq!(
        call("TIMESUB", [s("MINUTE"), i(1), Value::Time(0)]),
        Value::Time(86_340_000)
    );
    assert_eq!(
        call("TIMEADD", [s("DAYS"), i(i32::MAX), Value::Time(5)]),
        Value::Time(5)
    );
    assert_eq!(call("TIMESTAMPADD", [s("DAYS"), Value::Null, at(0)]), Value::Null);
    assert!(failing_call("TIMESTAMPADD", [s("YEARS"), i(1), at(0)]).is_err());
    assert!(failing_call("TIMESTAMPADD", [s("DAYS"), Value::Bigint(i64::MAX), at(0)]).is_err());
    assert!(failing_call("DATEADD", [s("DAYS"), i(1), Value::Date(i32::MAX)]).is_err());
    assert_eq!(
        result_type("DATEADD", [SqlType::String, SqlType::Integer, SqlType::Time]),
        None
    );
    assert_eq!(
        result_type("TIMESUB", [SqlType::String, SqlType::Integer, SqlType::Time]),
        Some(SqlType::Time)
    );
}

#[test]
fn zones() {
    let convert = |from: &str, to: &str| call("CONVERT_TZ", [Value::Timestamp(MOMENT), s(from), s(to)]);
    assert_eq!(
        convert("UTC", "America/Los_Angeles"),
        Value::Timestamp(MOMENT - 7 * 3_600_000)
    );
    assert_eq!(
        convert("America/Los_Angeles", "Europe/Berlin"),
        Value::Timestamp(MOMENT + 9 * 3_600_000)
    );
}
