use proptest::prelude::*;

use super::*;

fn run() -> QueryRun {
    QueryRun {
        name: "p2".into(),
        host_identifier: "vm".into(),
        unix_time: 1_795_495_590,
        epoch: 0,
        counter: 0,
        numerics: Numerics::AsText,
        decorations: BTreeMap::from([("who".into(), "h4".into())]),
        decoration_place: DecorationPlace::Nested,
    }
}

fn row(columns: &[(&str, &str)]) -> Row {
    columns
        .iter()
        .map(|(name, value)| (ByteString::from(*name), ColumnValue::from(*value)))
        .collect()
}

fn text(line: Vec<u8>) -> String {
    String::from_utf8(line).unwrap()
}

#[test]
fn an_event_line_is_osquerys() {
    let line = run().event_line(
        &row(&[("state", "S"), ("pid", "1"), ("name", "process_api")]),
        Action::Added,
    );
    assert_eq!(
        text(line),
        r#"{"name":"p2","hostIdentifier":"vm","calendarTime":"Tue Nov 24 04:46:30 2026 UTC","unixTime":1795495590,"epoch":0,"counter":0,"numerics":false,"decorations":{"who":"h4"},"columns":{"name":"process_api","pid":"1","state":"S"},"action":"added"}"#
    );
}

#[test]
fn a_batch_line_is_osquerys() {
    let run = QueryRun {
        decoration_place: DecorationPlace::TopLevel,
        numerics: Numerics::AsNumbers,
        ..run()
    };
    let gone = Row::from([
        ("pid".into(), ColumnValue::Integer(7)),
        ("load".into(), ColumnValue::Double(1.0)),
    ]);
    assert_eq!(
        text(run.batch_line(&[gone], &[])),
        r#"{"diffResults":{"removed":[{"load":1.0,"pid":7}],"added":[]},"name":"p2","hostIdentifier":"vm","calendarTime":"Tue Nov 24 04:46:30 2026 UTC","unixTime":1795495590,"epoch":0,"counter":0,"numerics":true,"who":"h4"}"#
    );
}

#[test]
fn a_snapshot_line_is_osquerys() {
    let run = QueryRun {
        decorations: BTreeMap::new(),
        ..run()
    };
    let line = run.snapshot_line(&[row(&[("pid", "2")]), row(&[("pid", "3")])]);
    assert_eq!(
        text(line),
        r#"{"snapshot":[{"pid":"2"},{"pid":"3"}],"action":"snapshot","name":"p2","hostIdentifier":"vm","calendarTime":"Tue Nov 24 04:46:30 2026 UTC","unixTime":1795495590,"epoch":0,"counter":0,"numerics":false}"#
    );
    assert!(text(run.snapshot_line(&[])).starts_with(r#"{"snapshot":[],"action":"snapshot","#));
}

#[test]
fn text_is_escaped_as_rapidjson_escapes_it() {
    let line = run().event_line(
        &Row::from([("c".into(), b"a\"\\/\x08\x0c\n\r\t\x1f\xe9\xff".as_slice().into())]),
        Action::Removed,
    );
    let expected: &[u8] =
        b"\"columns\":{\"c\":\"a\\\"\\\\/\\b\\f\\n\\r\\t\\u001F\xe9\xff\"},\"action\":\"removed\"}";
    assert!(line.ends_with(expected), "{}", line.escape_ascii());
}

#[test]
fn differential_text_is_escaped_where_it_is_not_printable_utf8() {
    assert_eq!(&*escape_bytes(b"caf\xe9\xff\n"), b"caf\\xE9\\xFF\\x0A");
    assert!(matches!(escape_bytes("café".as_bytes()), Cow::Borrowed(_)));
}

#[test]
fn calendar_times_match_asctime() {
    for (unix_time, expected) in [
        (1_795_495_590, "Tue Nov 24 04:46:30 2026 UTC"),
        (951_782_400, "Tue Feb 29 00:00:00 2000 UTC"),
        (4_107_542_400, "Mon Mar  1 00:00:00 2100 UTC"),
        (-1, "Wed Dec 31 23:59:59 1969 UTC"),
    ] {
        assert_eq!(calendar_time(unix_time), expected);
    }
}

#[test]
fn topics_have_names_that_kafka_accepts() {
    assert_eq!(topic_name("pack/x/o.f").as_deref(), Some("pack-x-o-f"));
    assert_eq!(topic_name("été").as_deref(), Some("-t-"));
    assert_eq!(
        topic_name(&"n".repeat(300)).map(|name| name.len()),
        Some(TOPIC_NAME_LIMIT)
    );
    assert!(is_topic_name("osquery-default.topic"));
    for bad in ["", ".", "..", "a b", "é"] {
        assert!(!is_topic_name(bad), "{bad}");
    }
}

proptest! {
    #[test]
    fn every_topic_is_acceptable(name in "\\PC{1,300}") {
        prop_assert!(is_topic_name(&topic_name(&name).unwrap()));
    }

    #[test]
    fn any_text_makes_a_line_that_parses_back(
        columns in proptest::collection::btree_map("\\PC{0,8}", "(?s).{0,40}", 0..5),
    ) {
        let row: Row = columns.iter().map(|(name, value)| (name.as_str().into(), value.as_str().into())).collect();
        let parsed: serde_json::Value = serde_json::from_slice(&run().event_line(&row, Action::Added)).unwrap();
        let back: BTreeMap<String, String> = serde_json::from_value(parsed["columns"].clone()).unwrap();
        prop_assert_eq!(back, columns);
    }

    #[test]
    fn escaped_bytes_are_printable_utf8(text in proptest::collection::vec(any::<u8>(), 0..60)) {
        let escaped = escape_bytes(&text);
        prop_assert!(std::str::from_utf8(&escaped).is_ok());
        prop_assert!(escaped.iter().all(|byte| *byte >= 0x20));
    }

    #[test]
    fn weekdays_follow_each_other(day in -1_000_000i64..1_000_000) {
        let weekday = |day: i64| calendar_time(day * 86_400)[..3].to_owned();
        prop_assert_eq!(weekday(day), weekday(day + 7));
        prop_assert_ne!(weekday(day), weekday(day + 1));
    }
}

#[test]
fn numbers_have_as_many_digits_as_they_need() {
    for (number, text) in [
        (0.0, "0.0"),
        (-0.0, "-0.0"),
        (1.0, "1.0"),
        (0.1, "0.1"),
        (0.1 + 0.2, "0.30000000000000004"),
        (1.0 / 3.0, "0.3333333333333333"),
        (-1234.5, "-1234.5"),
        (1e16, "10000000000000000.0"),
        (1e20, "100000000000000000000.0"),
        (1e21, "1e21"),
        (1.5e300, "1.5e300"),
        (0.00001, "0.00001"),
        (0.000001, "0.000001"),
        (1.5e-7, "1.5e-7"),
    ] {
        let encoded = EncodedRow::encode([(b"x".as_slice(), ColumnRef::Double(number))]);
        let expected = format!("{{\"x\":{text}}}");
        assert_eq!(String::from_utf8_lossy(encoded.as_bytes()), expected);
        assert_eq!(text.parse::<f64>().unwrap().to_bits(), number.to_bits());
    }
}
