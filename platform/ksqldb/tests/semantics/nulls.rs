//! Two-valued logic, and records without values.

use crate::script::{Record, World};

const SOURCE: &str = "create stream s (a int, b varchar, f boolean, m map<varchar, varchar>) with (kafka_topic='s', value_format='json');";

/// The rows of a filter over a row of nulls, and how many entries the log has.
fn filter(condition: &str) -> (usize, usize) {
    let mut world = World::of(&format!(
        "{SOURCE} select a from s where {condition} emit changes;"
    ));
    world.send(Record::new("s", 0, "{}"));
    (world.rows.len(), world.log.len())
}

#[test]
fn comparisons_with_null_are_false() {
    for condition in [
        "a = 1",
        "a <> 1",
        "a < 1",
        "b = 'x'",
        "a in (1, 2)",
        "a between 0 and 9",
        "m['k'] = 'x'",
    ] {
        assert_eq!(filter(condition), (0, 0), "{condition}");
        assert_eq!(filter(&format!("not ({condition})")), (1, 0), "{condition}");
    }
    assert_eq!(filter("a not in (1, 2)"), (1, 0));
    assert_eq!(filter("a not between 1 and 2"), (1, 0));
    assert_eq!(filter("a is null and b is null"), (1, 0));
    assert_eq!(filter("a is distinct from 1"), (1, 0));
    assert_eq!(filter("a is not distinct from 1"), (0, 0));
    assert_eq!(filter("a is not distinct from cast(null as int)"), (1, 0));
}

#[test]
fn like_of_null_is_an_error_both_ways() {
    assert_eq!(filter("b like 'x%'"), (0, 1));
    assert_eq!(filter("b not like 'x%'"), (0, 1));
}

#[test]
fn a_short_circuit_never_sees_the_error() {
    assert_eq!(filter("a is null or b like 'x'"), (1, 0));
    assert_eq!(filter("a is not null and b like 'x'"), (0, 0));
    assert_eq!(filter("b like 'x' or a is null"), (0, 1));
    assert_eq!(filter("f or a is null"), (0, 1));
    assert_eq!(filter("a is null or f"), (1, 0));
}

#[test]
fn a_failed_expression_leaves_its_column_null() {
    let mut world = World::of(&format!(
        "{SOURCE} select 1 / a as q, a + 1 as n, '<' + b + '>' as t from s emit changes;"
    ));
    world.send_all("s", &[r#"{"a":0,"b":"x"}"#, "{}"]);
    assert_eq!(
        world.rows,
        [r#"[null, 1, "<x>"]@0"#, "[null, null, \"<null>\"]@1"]
    );
    assert_eq!(world.log, ["cannot evaluate `(1 / A)`: / by zero"]);
}

#[test]
fn records_without_values() {
    let mut world = World::of(
        "create stream k (id varchar key, a int) with (kafka_topic='k', value_format='json');
         create stream plain as select id, a from k;
         create stream filtered as select id, a from k where a is null;
         select * from k emit changes;",
    );
    let tombstone = Record {
        value: None,
        ..Record::new("k", 3, "").keyed("x")
    };
    world.send(tombstone);
    world.send(Record::new("k", 4, " null ").keyed("y"));
    assert_eq!(world.written_to("PLAIN"), ["x|null@3", "y|null@4"]);
    assert!(world.written_to("FILTERED").is_empty());
    assert!(world.rows.is_empty() && world.log.is_empty());
}
