//! Whatever the statement and whatever the records: an error or a result, never a panic.

use proptest::prelude::*;

use crate::script::{Record, World};

const SOURCES: &str = "
    create stream s (k varchar key, a int, b varchar, m map<varchar, varchar>, st struct<x int>) with (kafka_topic='s', format='json');
    create stream r (k varchar key, a int, c bigint, h array<struct<key varchar, value bytes>> headers) with (kafka_topic='r', value_format='json');
    create stream n (b varchar, a int) with (kafka_topic='s', value_format='json');
    create stream d (a int, b varchar) with (kafka_topic='d', value_format='delimited', timestamp='b', timestamp_format='yyyy-MM-dd');
";

fn pick(choices: &'static [&'static str]) -> impl Strategy<Value = String> {
    proptest::sample::select(choices).prop_map(str::to_owned)
}

fn query() -> impl Strategy<Value = String> {
    let item = pick(&[
        "*",
        "s.*",
        "r.*",
        "a",
        "s.a",
        "b",
        "k",
        "s.k",
        "r.k",
        "s.k as k2",
        "n.a",
        "d.a",
        "rowkey",
        "rowtime",
        "r.rowtime",
        "s.rowtime as t",
        "m['x']",
        "m",
        "st->x",
        "s.st->x",
        "h",
        "c + 1",
        "s.a / r.a",
        "as_value(k)",
        "null",
        "count(*)",
        "cast(b as int)",
        "len(b)",
        "a + 1",
    ]);
    let from = pick(&["s", "r", "n", "d", "s s", "s as r", "nowhere"]);
    let join = pick(&[
        "",
        "",
        "",
        "join r within 1 second on s.k = r.k",
        "left join r within (0 seconds, 1 second) grace period 0 seconds on r.a = s.a",
        "full join n within 5 seconds grace period 1 second on s.b = n.b",
        "right join d within 1 day on s.a = d.a",
        "join r within 1 second on s.a + 1 = r.a + 1",
        "join r within 1 second on s.k = r.k left join n within 1 minute grace period 1 minute on n.b = s.b",
        "join r on s.k = r.k",
        "join s within 1 second on s.k = s.k",
        "join r within 1 second on s.k = 'x'",
    ]);
    let filter = pick(&[
        "",
        "",
        "where a > 1",
        "where s.b like '%x%'",
        "where m['x'] <> 'y' or a is null",
        "where b",
        "where s.a / 0 = 1",
        "where r.c in (1, '2')",
    ]);
    let partition = pick(&[
        "",
        "",
        "partition by b",
        "partition by a + 1",
        "partition by null",
        "partition by a, b",
        "partition by s.k",
    ]);
    let items = proptest::collection::vec(item, 1..4);
    (items, from, join, filter, partition).prop_map(|(items, from, join, filter, partition)| {
        format!(
            "select {} from {from} {join} {filter} {partition}",
            items.join(", ")
        )
    })
}

fn record() -> impl Strategy<Value = Record> {
    let value = pick(&[
        r#"{"a":1,"b":"x","m":{"x":"y"},"st":{"x":5},"c":7}"#,
        r#"{"A":2,"B":null,"K":"k"}"#,
        "{}",
        "null",
        "",
        "7",
        r#"{"a":"z"}"#,
        "1,2020-01-01",
        "1,never",
        "\"text\"",
        "[1]",
    ]);
    let key = proptest::option::of(pick(&["\"k\"", "k", "1", "{}", "null", ""]));
    (
        pick(&["s", "r", "d"]),
        key,
        proptest::option::of(value),
        0..10_000_i64,
    )
        .prop_map(|(topic, key, value, timestamp)| Record {
            topic,
            key: key.map(String::into_bytes),
            value: value.map(String::into_bytes),
            timestamp,
        })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn any_query_gives_an_error_or_a_result(
        query in query(), push: bool, format in pick(&["", "with (key_format='json')", "with (value_format='delimited')"]),
        records in proptest::collection::vec(record(), 0..12)
    ) {
        let mut world = World::of(SOURCES);
        let statement = if push {
            format!("{query} emit changes limit 9;")
        } else {
            format!("create stream o {format} as {query};")
        };
        if let Err(error) = world.execute(&statement) {
            prop_assert!(!error.message.is_empty());
            return Ok(());
        }
        let (replayed, new) = records.split_at(records.len() / 3);
        replayed.iter().for_each(|record| world.restore(record));
        prop_assert!(world.rows.is_empty() && world.written.is_empty());
        new.iter().for_each(|record| world.send(record.clone()));
        prop_assert!(world.rows.len() <= 9);
    }
}

/// A short statement takes no more memory than a row may have.
#[test]
fn what_grows_with_each_step_ends() {
    for expression in [
        "reduce(generate_series(1, 60), s, (a, b) => concat(a, a))",
        "reduce(generate_series(1, 60), s, (a, b) => a + a)",
        "reduce(generate_series(1, 60), array[s], (a, b) => array_concat(a, a))",
        "replace(lpad(s, 100000, 'x'), 'x', lpad(s, 100000, 'y'))",
        "regexp_replace(lpad(s, 100000, 'x'), 'x', lpad(s, 100000, 'y'))",
        "array_join(transform(generate_series(1, 100000), x => s), lpad(s, 100000, 'y'))",
        "transform(generate_series(1, 100000), x => generate_series(1, 100000))",
        "reduce(generate_series(1, 100000), 0, (a, b) => a + reduce(generate_series(1, 100), 0, (c, e) => c + 1))",
    ] {
        let mut world = World::of("create stream s (s varchar) with (kafka_topic='s', value_format='json');");
        world
            .execute(&format!("select {expression} as r from s emit changes;"))
            .unwrap();
        world.send(Record::new("s", 1, r#"{"s":"x"}"#));
        assert_eq!(world.rows, ["[null]@1"], "{expression}");
        assert!(
            world.log.iter().any(|entry| entry.contains("bytes")),
            "{:?}",
            world.log
        );
    }
}
