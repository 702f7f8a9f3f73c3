//! `EXPLODE` and `CUBE_EXPLODE`: a row becomes several; and `->*`, where a column does.

use crate::script::{Record, World};

const SOURCE: &str =
    "create stream s (k varchar key, a array<int>, b array<varchar>, n struct<x int, y varchar>, v int)
     with (kafka_topic='s', value_format='json');";

/// What a query writes for these records.
fn written(query: &str, values: &[&str]) -> Vec<String> {
    let mut world = World::of(&format!("{SOURCE} create stream o as {query};"));
    for value in values {
        world.send(Record::new("s", 5, value).keyed("key"));
    }
    world.written_to("O")
}

#[test]
fn each_element_has_a_row() {
    assert_eq!(
        written(
            "select k, v, explode(a) as e from s where v > 1",
            &[
                r#"{"a":[1,null,3],"v":2}"#,
                r#"{"a":[4],"v":1}"#,
                r#"{"v":3}"#,
                r#"{"a":[],"v":4}"#
            ]
        ),
        [
            r#"key|{"V":2,"E":1}@5"#,
            r#"key|{"V":2,"E":null}@5"#,
            r#"key|{"V":2,"E":3}@5"#
        ]
    );
}

/// Nothing comes of a record without a value.
#[test]
fn a_tombstone_has_no_elements() {
    let mut world = World::of(&format!(
        "{SOURCE} create stream o as select k, explode(a) as e from s;"
    ));
    world.send(Record {
        value: None,
        ..Record::new("s", 4, "").keyed("key")
    });
    world.send(Record::new("s", 5, r#"{"a":[1]}"#).keyed("key"));
    assert_eq!(world.written_to("O"), [r#"key|{"E":1}@5"#]);
}

#[test]
fn the_longest_list_counts() {
    assert_eq!(
        written(
            "select k, explode(a) + 1 as e, ucase(explode(b)) as f from s",
            &[r#"{"a":[1],"b":["p","q"]}"#]
        ),
        [r#"key|{"E":2,"F":"P"}@5"#, r#"key|{"E":null,"F":"Q"}@5"#]
    );
}

#[test]
fn every_combination_has_a_row() {
    assert_eq!(
        written("select k, cube_explode(array[v, 7]) from s", &[r#"{"v":1}"#]),
        [
            r#"key|{"KSQL_COL_0":[null,null]}@5"#,
            r#"key|{"KSQL_COL_0":[null,7]}@5"#,
            r#"key|{"KSQL_COL_0":[1,null]}@5"#,
            r#"key|{"KSQL_COL_0":[1,7]}@5"#
        ]
    );
}

/// Not in ksqlDB 7.9.8, where it is documented and fails.
#[test]
fn a_push_query_explodes_too_and_its_limit_counts_rows() {
    let mut world = World::of(&format!(
        "{SOURCE} select v, explode(a) as e from s emit changes limit 3;"
    ));
    world.send(Record::new("s", 5, r#"{"a":[1,2],"v":1}"#));
    world.send(Record::new("s", 6, r#"{"a":[3,4],"v":2}"#));
    assert_eq!(world.rows.len(), 3, "{:?}", world.rows);
}

/// Behind the key that the join makes.
#[test]
fn the_rows_of_a_join_explode() {
    let mut world = World::of(
        "create stream l (k varchar key, a array<int>) with (kafka_topic='l', value_format='json');
         create stream r (k varchar key, w int) with (kafka_topic='r', value_format='json');
         create stream o as select rowkey as id, explode(a) as e, w from l full join r within 1 hour on l.k = r.k;",
    );
    world.send(Record::new("l", 1, r#"{"a":[1,2]}"#).keyed("x"));
    world.send(Record::new("r", 2, r#"{"w":7}"#).keyed("x"));
    let written = world.written_to("O");
    let joined = &written[written.len() - 2..];
    assert_eq!(joined, [r#"x|{"E":1,"W":7}@2"#, r#"x|{"E":2,"W":7}@2"#]);
}

#[test]
fn what_table_functions_may_not() {
    let mut world = World::of(SOURCE);
    for (query, expected) in [
        (
            "select k, explode(array[explode(array[1])]) from s",
            "Table functions cannot be nested: `EXPLODE`(`EXPLODE`())",
        ),
        (
            "select k, case when v > 1 then explode(array[1]) else 1 end from s",
            "Table functions cannot be used in CASE: (CASE WHEN (S.V > 1) THEN EXPLODE(ARRAY[1]) ELSE 1 END)",
        ),
        (
            "select k, explode(v) from s",
            "Function 'EXPLODE' does not accept parameters (INTEGER).",
        ),
        (
            "select k, explode(a), count(*) from s group by k",
            "Table functions cannot be used with aggregations.",
        ),
        (
            "select k, v from s partition by explode(a)",
            "Table functions can only be used in the SELECT clause. Got: EXPLODE",
        ),
    ] {
        let error = world.error(&format!("create stream o as {query};"));
        assert!(error.starts_with(expected), "{query}: {error}");
    }
}

#[test]
fn all_fields_of_a_struct_are_columns() {
    assert_eq!(
        written(
            "select k, n->*, n->x, v from s",
            &[r#"{"n":{"x":1,"y":"z"},"v":2}"#]
        ),
        [r#"key|{"X":1,"Y":"z","X_1":1,"V":2}@5"#]
    );
    assert_eq!(
        written(
            "select k, explode(array[n, struct(x := 2, y := 'q')])->* from s",
            &[r#"{"n":{"x":1,"y":"z"}}"#]
        ),
        [r#"key|{"X":1,"Y":"z"}@5"#, r#"key|{"X":2,"Y":"q"}@5"#]
    );
    let error = World::of(SOURCE).error("create stream o as select k, v->* from s;");
    assert_eq!(error, "Expected STRUCT type, got: INTEGER");
}
