//! How records become rows and rows become records. Long because each format has rules of its own.

use osqdemo_ksqldb::task::InputRecord;

use crate::script::{Record, World};

fn read(columns: &str, value: &str) -> Result<String, String> {
    let mut world = World::of(&format!(
        "create stream s ({columns}) with (kafka_topic='s', value_format='json'); select * from s emit changes;"
    ));
    world.send(Record::new("s", 0, value));
    match world.log.pop() {
        Some(entry) => Err(entry),
        None => Ok(world.rows.pop().expect("a row").trim_end_matches("@0").to_owned()),
    }
}

fn reads(columns: &str, value: &str, expected: &str) {
    assert_eq!(
        read(columns, value).as_deref(),
        Ok(expected),
        "{columns} of {value}"
    );
}

fn refuses(columns: &str, value: &str, reason: &str) {
    match read(columns, value) {
        Ok(row) => panic!("{columns} of {value} was read: {row}"),
        Err(entry) => assert!(entry.contains(reason), "{entry}"),
    }
}

#[test]
fn members_match_exactly_or_by_their_upper_case() {
    reads("abc int", r#"{"aBc":1}"#, "[1]");
    reads("abc int", r#"{"abc":1,"Abc":2}"#, "[2]");
    reads("abc int", r#"{"ABC":1,"abc":2}"#, "[1]");
    reads("abc int", r#"{"abc":2,"ABC":1}"#, "[1]");
    reads("`abc` int", r#"{"ABC":1}"#, "[null]");
    reads("`abc` int", r#"{"abc":1}"#, "[1]");
    reads("abc int", r#"{"other":[{"x":"}"}],"abc":1} trailing"#, "[1]");
    reads("s struct<ab int>", r#"{"s":{"aB":1}}"#, "[[1]]");
    reads(
        "m map<varchar, int>",
        r#"{"m":{"aB":1,"AB":2}}"#,
        r#"[{"AB": 2, "aB": 1}]"#,
    );
}

#[test]
fn varchar_takes_anything() {
    reads("a varchar", r#"{"a":1}"#, r#"["1"]"#);
    reads("a varchar", r#"{"a":1.50}"#, r#"["1.50"]"#);
    reads("a varchar", r#"{"a":true}"#, r#"["true"]"#);
    reads(
        "a varchar",
        r#"{"a":{"x": [1, 2],"y":null}}"#,
        r#"["{\"x\":[1,2],\"y\":null}"]"#,
    );
    reads("a varchar", r#"{"a":[1, "b", [true]]}"#, r#"["[1, b, [true]]"]"#);
    reads("a varchar", r#"{"a":null}"#, "[null]");
    reads("a varchar", r#"{"a":"\u0041\ud83d\ude00\n"}"#, r#"["A😀\n"]"#);
    reads(
        "m map<varchar, varchar>",
        r#"{"m":{"pid":42,"on":false}}"#,
        r#"[{"on": "false", "pid": "42"}]"#,
    );
}

#[test]
fn numbers_take_numbers_and_texts() {
    reads("a int", r#"{"a":1.9}"#, "[1]");
    reads("a int", r#"{"a":"12"}"#, "[12]");
    refuses("a int", r#"{"a":"1.5"}"#, "`1.5` is no such number, path: $.A");
    refuses(
        "a int",
        r#"{"a":true}"#,
        "sourceType: BooleanNode, requiredType: INTEGER",
    );
    reads("a bigint", r#"{"a":5000000000}"#, "[5000000000]");
    reads("a double", r#"{"a":"1e3"}"#, "[1000.0]");
    reads("a double", r#"{"a":1}"#, "[1.0]");
    reads("a decimal(5,2)", r#"{"a":1.5}"#, "[1.50]");
    reads(
        "a decimal(38,2)",
        r#"{"a":123456789012345678901234567890.12}"#,
        "[123456789012345678901234567890.12]",
    );
    refuses("a decimal(3,2)", r#"{"a":1.555}"#, "without rounding");
    refuses("a decimal(3,2)", r#"{"a":12}"#, "Cannot fit decimal");
    reads("a boolean", r#"{"a":true}"#, "[true]");
    refuses(
        "a boolean",
        r#"{"a":"true"}"#,
        "sourceType: TextNode, requiredType: BOOLEAN",
    );
    reads(
        "a date, b time, c timestamp",
        r#"{"a":1,"b":2,"c":3}"#,
        "[1, 2, 3]",
    );
}

#[test]
fn nested_values() {
    reads(
        "a array<struct<x int>>",
        r#"{"a":[{"x":1},{"X":2},null]}"#,
        "[[[1], [2], null]]",
    );
    refuses("a array<int>", r#"{"a":{}}"#, "requiredType: ARRAY");
    refuses("m map<varchar, int>", r#"{"m":[]}"#, "requiredType: MAP");
    refuses("m map<varchar, int>", r#"{"m":{"k":"x"}}"#, "no such number");
}

#[test]
fn what_is_not_json_is_skipped() {
    for value in [
        "",
        "x",
        "{",
        r#"{"a"}"#,
        r#"{"a":1,}"#,
        r#"{"a":01}"#,
        "[1]",
        "1",
        r#"{"a":"\q"}"#,
        "{\"a\":\"\n\"}",
    ] {
        assert!(read("a varchar", value).is_err(), "{value}");
    }
}

#[test]
fn a_column_no_query_looks_at_still_fails_its_record() {
    let mut world = World::of(
        "create stream s (a int, b int, m map<varchar, int>) with (kafka_topic='s', value_format='json');
         select a from s emit changes;
         select m['k'] as k from s emit changes;",
    );
    world.send_all(
        "s",
        &[
            r#"{"a":1,"b":"x"}"#,
            r#"{"a":2,"m":{"z":"x"}}"#,
            r#"{"a":3,"m":{"z":1,"k":5}}"#,
        ],
    );
    assert_eq!(world.rows, ["[3]@2", "[5]@2"]);
    assert_eq!(world.log.len(), 4);
}

#[test]
fn values_are_written_with_upper_case_names_and_nulls() {
    let mut world = World::of(
        "create stream s (a int, d double, c decimal(6,2), t varchar, y bytes, ts timestamp, l array<struct<x int>>)
           with (kafka_topic='s', value_format='json');
         create stream o as select * from s;",
    );
    world.send_all(
        "s",
        &[
            r#"{"a":1,"d":1e10,"c":1.5,"t":"\"\u0001\\é\n","y":"AQI=","ts":7,"l":[{"x":1},{}]}"#,
            "{}",
        ],
    );
    assert_eq!(
        world.written_to("O"),
        [
            r#"null|{"A":1,"D":1.0E10,"C":1.50,"T":"\"\u0001\\é\n","Y":"AQI=","TS":7,"L":[{"X":1},{"X":null}]}@0"#,
            r#"null|{"A":null,"D":null,"C":null,"T":null,"Y":null,"TS":null,"L":null}@1"#,
        ]
    );
}

#[test]
fn delimited_lines() {
    let mut world = World::of(
        "create stream s (a int, b varchar, c double) with (kafka_topic='s', value_format='delimited');
         create stream tabs with (value_delimiter='TAB', value_format='delimited') as select c, b from s;
         create stream bars with (value_format='delimited', value_delimiter='|') as select b, a from s;",
    );
    world.send_all("s", &[r#"1,"x, ""y""",2.5"#, ",,", "1,2", "x,y,1"]);
    assert_eq!(
        world.written_to("TABS"),
        ["null|2.5\t\"x, \"\"y\"\"\"@0", "null|\t@1"]
    );
    assert_eq!(
        world.written_to("BARS"),
        ["null|\"x, \"\"y\"\"\"|1@0", "null||@1"]
    );
    assert!(
        world.log[0].contains("Unexpected field count, csvFields:2 schemaFields:3"),
        "{}",
        world.log[0]
    );
    assert!(
        world.log[2].contains("`x` is no INTEGER, column: A"),
        "{}",
        world.log[2]
    );
}

/// What a statement does not say of a format, it takes from the source's where that is the same.
#[test]
fn a_sink_has_its_sources_delimiter() {
    let bars = "create stream s (a int, b varchar) with (kafka_topic='s', value_format='delimited', value_delimiter='|');";
    for (with, line) in [
        ("", "1|x"),
        ("with (value_format='delimited')", "1|x"),
        ("with (value_delimiter='TAB')", "1\tx"),
    ] {
        let mut world = World::of(&format!("{bars}create stream o {with} as select * from s;"));
        world.send_all("s", &["1|x"]);
        assert_eq!(world.written_to("O"), [format!("null|{line}@0")], "{with}");
    }
    let json = "create stream s (a int, b varchar) with (kafka_topic='s', value_format='json');";
    let error = World::of(json).error("create stream o with (value_delimiter='|') as select * from s;");
    assert!(
        error.ends_with("JSON does not support the following configs: [delimiter]"),
        "{error}"
    );
}

#[test]
fn kafka_primitives() {
    let mut world = World::of(
        "create stream s (k bigint key, a int) with (kafka_topic='s', format='kafka');
         create stream o as select * from s;
         select * from s emit changes;",
    );
    let good = Record {
        key: Some(7_i64.to_be_bytes().to_vec()),
        value: Some((-2_i32).to_be_bytes().to_vec()),
        ..Record::new("s", 0, "")
    };
    world.send(good.clone());
    assert_eq!(world.rows, ["[7, -2]@0"]);
    assert_eq!(
        (&world.written[0].key, &world.written[0].value),
        (&good.key, &good.value)
    );
    world.send(Record {
        key: Some(b"x".to_vec()),
        ..good.clone()
    });
    world.send(Record {
        value: Some(b"x".to_vec()),
        ..good
    });
    assert!(world.log[0].contains("cannot read the key of `s` partition 0 offset 0: Size of data received by LongDeserializer is not 8"), "{}", world.log[0]);
    assert!(
        world.log[2].contains("Size of data received by IntegerDeserializer is not 4"),
        "{}",
        world.log[2]
    );
}

#[test]
fn json_keys_and_unwrapped_values() {
    let mut world = World::of(
        "create stream s (k varchar key, a int) with (kafka_topic='s', format='json', wrap_single_value=false);
         create stream o as select k, a from s;
         create stream u with (wrap_single_value=false) as select k, a from s;",
    );
    world.send(Record::new("s", 0, "5").keyed("\"key\""));
    assert_eq!(world.written_to("O"), [r#""key"|{"A":5}@0"#]);
    assert_eq!(world.written_to("U"), [r#""key"|5@0"#]);
}

#[test]
fn times_come_from_a_column() {
    let mut world = World::of(
        "create stream s (a int, moment bigint) with (kafka_topic='s', value_format='json', timestamp='moment');
         create stream o as select a from s;
         create stream again with (timestamp='LATER') as select a, moment + 100 as later from s;
         select a, rowtime from s emit changes;",
    );
    world.send_all(
        "s",
        &[r#"{"a":1,"moment":500}"#, r#"{"a":2}"#, r#"{"a":3,"moment":-1}"#],
    );
    assert_eq!(world.written_to("O"), [r#"null|{"A":1}@500"#]);
    assert_eq!(world.written_to("AGAIN"), [r#"null|{"A":1,"LATER":600}@600"#]);
    assert_eq!(world.rows, ["[1, 500]@500"]);
    assert!(
        world.log[0].contains("cannot read the timestamp of `s`"),
        "{}",
        world.log[0]
    );
}

#[test]
fn times_come_from_a_text() {
    let mut world = World::of(
        "create stream s (a int, moment varchar) with (kafka_topic='s', value_format='json',
           timestamp='moment', timestamp_format='EEE MMM d HH:mm:ss yyyy z');
         select a from s emit changes;",
    );
    world.send_all(
        "s",
        &[
            r#"{"a":1,"moment":"Tue Nov 24 05:49:50 2020 UTC"}"#,
            r#"{"a":2,"moment":"yesterday"}"#,
        ],
    );
    assert_eq!(world.rows, ["[1]@1606196990000"]);
    assert!(
        world.log[0].contains("`yesterday` does not fit the date pattern"),
        "{}",
        world.log[0]
    );
    let error = world.error(
        "create stream x (moment varchar) with (kafka_topic='x', value_format='json', timestamp='moment', timestamp_format='YYYY-QQQQQQQ');",
    );
    assert!(
        error.starts_with("Invalid datetime format for config:TIMESTAMP_FORMAT, reason:"),
        "{error}"
    );
}

#[test]
fn headers_are_columns() {
    let mut world = World::of(
        "create stream s (a int, h array<struct<key varchar, value bytes>> headers) with (kafka_topic='s', value_format='json');
         create stream t (a int, x bytes header('x'), y bytes header('y')) with (kafka_topic='s', value_format='json');
         select h from s emit changes;
         select a, x, y from t emit changes;",
    );
    let value = br#"{"a":1}"#;
    world.send_input(InputRecord {
        topic: "s",
        partition: 0,
        offset: 0,
        timestamp: 0,
        key: None,
        value: Some(value),
        headers: &[("x", Some(b"1")), ("x", Some(b"2")), ("z", None)],
    });
    assert_eq!(
        world.rows,
        [
            r#"[[["x", [49]], ["x", [50]], ["z", null]]]@0"#,
            "[1, [50], null]@0"
        ]
    );
    assert!(
        world
            .error("insert into t (a) values (1);")
            .contains("has header columns")
    );
}

/// A value that stands by itself is there, whether a query looks at it or not.
#[test]
fn a_bare_value_that_nobody_wants_has_a_row() {
    let mut world = World::of(
        "create stream s (k varchar key, a varchar) with (kafka_topic='s', value_format='json', wrap_single_value=false);
         create stream o as select k, 1 as one from s;",
    );
    for value in [r#""p""#, "null", "17"] {
        world.send(Record::new("s", 1, value).keyed("k"));
    }
    assert_eq!(world.written_to("O"), [r#"k|{"ONE":1}@1"#; 3]);
}

#[test]
fn an_empty_line_is_no_record() {
    let mut world = World::of(
        "create stream s (a varchar) with (kafka_topic='s', value_format='delimited'); select a from s emit changes;",
    );
    world.send_all("s", &["", "x"]);
    assert_eq!(world.rows, [r#"["x"]@1"#]);
    assert!(world.log[0].contains("No fields in record"), "{}", world.log[0]);
}

#[test]
fn a_time_lies_within_a_day() {
    reads("t time", r#"{"t":86400000}"#, "[86400000]");
    for value in [r#"{"t":86400001}"#, r#"{"t":-1}"#, r#"{"t":4294967296}"#] {
        refuses(
            "t time",
            value,
            "Time values must use number of milliseconds greater than 0",
        );
    }
    let mut world = World::of(
        "create stream s (i int, t time) with (kafka_topic='s', value_format='delimited'); select t from s emit changes;",
    );
    world.send_all("s", &["1,86400001", "2,5"]);
    assert_eq!(world.rows, ["[5]@1"]);
}

/// A value by itself that is `null` is a column that is null, and the record is there.
#[test]
fn a_bare_null_is_a_row() {
    let mut world = World::of(
        "create stream s (a int) with (kafka_topic='s', value_format='json', wrap_single_value=false);
         create stream o with (wrap_single_value=true) as select * from s;
         create stream p as select * from s where a is null;",
    );
    world.send_all("s", &["5", "null"]);
    assert_eq!(
        world.written_to("O"),
        [r#"null|{"A":5}@0"#, r#"null|{"A":null}@1"#]
    );
    assert_eq!(world.written_to("P"), [r#"null|{"A":null}@1"#]);
}
