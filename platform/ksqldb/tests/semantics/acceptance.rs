//! The cases that a table engine is accepted by and that no other test has as they stand: statements and records in,
//! records out.

use crate::script::{Record, World};

const SOURCES: &str = "
    create stream s (k string key, g string, v int) with (kafka_topic='s', value_format='json');
    create table t (id int primary key, g string, v int) with (kafka_topic='t', value_format='json');
    create table u (id int primary key, w string) with (kafka_topic='u', value_format='json');
    create stream p (id int key, a string) with (kafka_topic='p', value_format='json');";

/// What `o` has for a group after each of these values.
fn aggregated(calls: &str, values: &[Option<i32>]) -> Vec<String> {
    let mut world = World::of(&format!(
        "{SOURCES}create table o as select g, {calls} from s group by g;"
    ));
    for (time, value) in (1..).zip(values) {
        let json = serde_json::json!({"G": "x", "V": value}).to_string();
        world.send(Record::new("s", time, &json).keyed("k"));
    }
    let written = world.written_to("O").into_iter();
    written
        .map(|text| {
            let value = text.split_once('|').unwrap().1;
            value.rsplit_once('@').unwrap().0.to_owned()
        })
        .collect()
}

fn numbers(numbers: &[i32]) -> Vec<Option<i32>> {
    numbers.iter().copied().map(Some).collect()
}

#[test]
fn a_row_of_a_table_is_inserted_under_its_key() {
    let mut world = World::of(&format!("{SOURCES}create table o as select * from t;"));
    world
        .execute("insert into t (id, g, v, rowtime) values (1, 'a', 2, 50);")
        .unwrap();
    let record = &world.written[0];
    assert_eq!(record.key.as_deref(), Some(&[0, 0, 0, 1][..]));
    assert_eq!(record.value.as_deref(), Some(&br#"{"G":"a","V":2}"#[..]));
    assert_eq!(record.timestamp, 50);
}

#[test]
fn two_groups_need_a_key_format_for_two() {
    let error =
        World::of(SOURCES).error("create table o as select v, g, count(*) as n from s group by g, v;");
    assert!(
        error.contains(
            "reason: The 'KAFKA' format only supports a single field. Got: [`G` STRING KEY, `V` INTEGER KEY]"
        ),
        "{error}"
    );
}

#[test]
fn counts_sums_and_averages_skip_null() {
    assert_eq!(
        aggregated(
            "count(*) as n, count(v) as c, sum(v) as s, avg(v) as a",
            &[None, Some(4), Some(5)]
        ),
        [
            r#"{"N":1,"C":0,"S":0,"A":0.0}"#,
            r#"{"N":2,"C":1,"S":4,"A":4.0}"#,
            r#"{"N":3,"C":2,"S":9,"A":4.5}"#
        ]
    );
}

#[test]
fn the_least_the_greatest_and_the_only_value() {
    let calls = "min(v) as l, max(v) as m, attr(v) as a";
    assert_eq!(
        aggregated(calls, &[None, Some(7), Some(7), Some(8)]),
        [
            r#"{"L":null,"M":null,"A":null}"#,
            r#"{"L":7,"M":7,"A":null}"#,
            r#"{"L":7,"M":7,"A":null}"#,
            r#"{"L":7,"M":8,"A":null}"#
        ]
    );
    assert_eq!(
        aggregated("attr(v) as a", &numbers(&[7, 7, 8])),
        [r#"{"A":7}"#, r#"{"A":7}"#, r#"{"A":null}"#]
    );
}

#[test]
fn lists_and_sets_keep_null() {
    assert_eq!(
        aggregated(
            "collect_list(v) as l, collect_set(v) as s",
            &[Some(2), None, Some(2)]
        ),
        [
            r#"{"L":[2],"S":[2]}"#,
            r#"{"L":[2,null],"S":[2,null]}"#,
            r#"{"L":[2,null,2],"S":[2,null]}"#
        ]
    );
}

#[test]
fn the_earliest_by_offset() {
    let calls =
        "earliest_by_offset(v) as e, earliest_by_offset(v, false) as f, earliest_by_offset(v, 2) as t";
    assert_eq!(
        aggregated(calls, &[None, Some(1), Some(2), Some(3)]),
        [
            r#"{"E":null,"F":null,"T":[]}"#,
            r#"{"E":1,"F":null,"T":[1]}"#,
            r#"{"E":1,"F":null,"T":[1,2]}"#,
            r#"{"E":1,"F":null,"T":[1,2]}"#
        ]
    );
}

#[test]
fn the_greatest_few() {
    assert_eq!(
        aggregated(
            "topk(v, 2) as t, topkdistinct(v, 2) as d",
            &numbers(&[5, 5, 3, 9])
        ),
        [
            r#"{"T":[5],"D":[5]}"#,
            r#"{"T":[5,5],"D":[5]}"#,
            r#"{"T":[5,5],"D":[5,3]}"#,
            r#"{"T":[9,5],"D":[9,5]}"#
        ]
    );
}

#[test]
fn deviation_and_what_is_called_so() {
    assert_eq!(
        aggregated(
            "stddev_sample(v) as d, stddev_samp(v) as v",
            &numbers(&[10, 12, 13])
        ),
        [
            r#"{"D":0.0,"V":0.0}"#,
            r#"{"D":1.4142135623730951,"V":2.0}"#,
            r#"{"D":1.5275252316519465,"V":2.333333333333333}"#
        ]
    );
}

#[test]
fn a_session_has_its_end_before_its_start_in_the_key() {
    let mut world = World::of(&format!(
        "{SOURCES}create table o as select g, count(*) as n from s window session (10 milliseconds) group by g;"
    ));
    for time in [10, 25, 18] {
        world.send(Record::new("s", time, r#"{"G":"x","V":1}"#).keyed("k"));
    }
    let last = world.written.iter().rfind(|record| record.topic == "O").unwrap();
    let key = last.key.as_deref().unwrap();
    let hex: String = key.iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(hex, "78".to_owned() + "0000000000000019" + "000000000000000a");
}

#[test]
fn a_window_may_have_a_name() {
    let windowed = |name: &str| {
        let mut world = World::of(&format!(
            "{SOURCES}create table o as select g, count(*) as n from s window {name} tumbling (size 10 milliseconds) group by g;"
        ));
        world.send(Record::new("s", 13, r#"{"G":"x","V":1}"#).keyed("k"));
        world.written
    };
    assert_eq!(windowed("minutely"), windowed(""));
}

/// Into windows of the query's own, by anything but its key: a table has its own windows or those of its source.
#[test]
fn a_windowed_stream_can_be_grouped() {
    let sources = "create stream w (k string key, n bigint) with (kafka_topic='w', value_format='json', window_type='tumbling', window_size='10 milliseconds');";
    let after = |query: &str| {
        let mut world = World::of(&format!("{sources}{query}"));
        for (key, start, n, time) in [("x", 0_i64, 1, 5), ("x", 10, 1, 12), ("y", 10, 2, 13)] {
            let record = Record::new("w", time, &format!("{{\"N\":{n}}}"));
            world.send(Record {
                key: Some([key.as_bytes(), &start.to_be_bytes()].concat()),
                ..record
            });
        }
        let written = world.written.into_iter();
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        written
            .map(|record| (record.key.unwrap(), text(record.value.unwrap()), record.timestamp))
            .collect::<Vec<_>>()
    };
    let number = |n: i64| n.to_be_bytes().to_vec();
    let windowed = after(
        "create table o as select ucase(k) as u, count(*) as c from w window tumbling (size 1 second) group by ucase(k);",
    );
    assert_eq!(windowed[1].0, [b"X".to_vec(), number(0)].concat());
    let error = World::of(sources).error("create table o as select k, count(*) as c from w group by k;");
    assert!(
        error.ends_with("Group by on windowed should always require rekey"),
        "{error}"
    );
    for by in ["n", "windowstart"] {
        let query = format!("create table o as select {by} as b, count(*) as c from w group by {by};");
        let error = World::of(sources).error(&query);
        assert!(error.ends_with("Can't change windowing"), "{error}");
    }
    World::of(&format!(
        "{sources}select n, count(*) as c from w group by n emit changes;"
    ));
}

#[test]
fn a_decimal_may_be_written_as_one() {
    let mut world = World::of(&format!(
        "{SOURCES}create stream o as select k, decimal '7' as a, decimal '-1.50' + v as b from s;"
    ));
    world.send(Record::new("s", 1, r#"{"G":"x","V":2}"#).keyed("k"));
    assert_eq!(world.written_to("O"), [r#"k|{"A":7,"B":0.50}@1"#]);
}

#[test]
fn a_stream_is_partitioned_by_a_column_or_by_nothing() {
    let after = |by: &str| {
        let mut world = World::of(&format!(
            "{SOURCES}create stream o as select * from s partition by {by};"
        ));
        world.send(Record::new("s", 1, r#"{"G":"x","V":7}"#).keyed("a"));
        world.written.remove(0)
    };
    let by_value = after("v");
    assert_eq!(by_value.key.as_deref(), Some(&[0, 0, 0, 7][..]));
    assert!(
        by_value.text().ends_with(r#"|{"G":"x","K":"a"}@1"#),
        "{}",
        by_value.text()
    );
    assert_eq!(after("null").text(), r#"null|{"G":"x","V":7,"K":"a"}@1"#);
    let error = World::of(SOURCES).error("create stream o as select * from s partition by v, null;");
    assert!(
        error.ends_with("Cannot PARTITION BY multiple columns including NULL"),
        "{error}"
    );
}

#[test]
fn the_shorter_list_is_followed_by_null() {
    let mut world = World::of(&format!(
        "{SOURCES}create stream o as select k, explode(array[1, 2]) as a, explode(array['p']) as b from s;"
    ));
    world.send(Record::new("s", 1, r#"{"G":"x","V":7}"#).keyed("k"));
    assert_eq!(
        world.written_to("O"),
        [r#"k|{"A":1,"B":"p"}@1"#, r#"k|{"A":2,"B":null}@1"#]
    );
}
