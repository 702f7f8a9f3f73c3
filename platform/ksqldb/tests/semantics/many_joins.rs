//! Joins of more than two sources, and the column that stands for a join's key where its own side has no row.

use crate::script::{Record, World};

const STREAMS: &str = "
    create stream s (id int key, a varchar) with (kafka_topic='s', format='json');
    create stream s2 (id int key, b varchar) with (kafka_topic='s2', format='json');
    create stream s3 (id int key, c varchar) with (kafka_topic='s3', format='json');
";

const TABLES: &str = "
    create table t (id int primary key, v varchar) with (kafka_topic='t', format='json');
    create table u (id int primary key, w varchar) with (kafka_topic='u', format='json');
    create table x (id int primary key, y varchar) with (kafka_topic='x', format='json');
";

/// What a query writes for these records, each `topic key value`, where a value without braces is that of the topic's
/// column.
fn written(sources: &str, query: &str, records: &[(&str, &str, Option<&str>)]) -> Vec<String> {
    let mut world = World::of(&format!("{sources} {query}"));
    for (time, (topic, key, value)) in (1..).zip(records) {
        let column = match *topic {
            "s" => "A",
            "s2" => "B",
            "s3" => "C",
            "t" => "V",
            "u" => "W",
            _ => "Y",
        };
        let record = Record::new(topic, time, "").keyed(key);
        world.send(Record {
            value: value.map(|value| format!(r#"{{"{column}":"{value}"}}"#).into_bytes()),
            ..record
        });
    }
    world.written_to("O")
}

#[test]
fn what_an_outer_join_made_equal_has_its_key() {
    let records = [
        ("s", "1", Some("a1")),
        ("s3", "1", Some("c1")),
        ("s2", "2", Some("b2")),
        ("s3", "2", Some("c2")),
    ];
    // The second join compares a column of the side that has no row.
    assert_eq!(
        written(
            STREAMS,
            "create stream o as select s.id, a, b, c from s left join s2 within 10 seconds on s.id = s2.id
               left join s3 within 10 seconds on s2.id = s3.id;",
            &records
        ),
        [
            r#"1|{"A":"a1","B":null,"C":null}@1"#,
            r#"1|{"A":"a1","B":null,"C":"c1"}@2"#,
        ]
    );
    assert_eq!(
        written(
            STREAMS,
            "create stream o as select s.id, s2.id, a, b, c from s right join s2 within 10 seconds on s.id = s2.id
               join s3 within 10 seconds on s.id = s3.id;",
            &records
        ),
        [r#"2|{"S2_ID":2,"A":null,"B":"b2","C":"c2"}@4"#]
    );
    // After a full join nothing is equal: what is NULL joins nothing.
    assert_eq!(
        written(
            STREAMS,
            "create stream o as select s.id, a, b, c from s full outer join s2 within 10 seconds on s.id = s2.id
               join s3 within 10 seconds on s.id = s3.id;",
            &records
        ),
        [r#"1|{"A":"a1","B":null,"C":"c1"}@2"#]
    );
}

#[test]
fn tables_are_joined_by_what_an_outer_join_made_equal() {
    let records = [
        ("t", "1", Some("v1")),
        ("x", "1", Some("y1")),
        ("u", "1", Some("w1")),
        ("u", "1", None),
        ("t", "1", None),
        ("x", "2", Some("y2")),
    ];
    assert_eq!(
        written(
            TABLES,
            "create table o as select t.id, v, w, y from t left join u on t.id = u.id left join x on u.id = x.id;",
            &records
        ),
        [
            r#"1|{"V":"v1","W":null,"Y":null}@1"#,
            r#"1|{"V":"v1","W":null,"Y":"y1"}@2"#,
            r#"1|{"V":"v1","W":"w1","Y":"y1"}@3"#,
            r#"1|{"V":"v1","W":null,"Y":"y1"}@4"#,
            "1|null@5",
        ]
    );
    assert_eq!(
        written(
            TABLES,
            "create table o as select rowkey, x.id, v, w, y from t left join u on t.id = u.id
               full outer join x on u.id = x.id;",
            &records
        )[4..],
        [
            r#"1|{"X_ID":1,"V":null,"W":null,"Y":"y1"}@5"#,
            r#"2|{"X_ID":2,"V":null,"W":null,"Y":"y2"}@6"#,
        ]
    );
    let error = World::of(TABLES)
        .error("create table o as select * from t full outer join u on t.id = u.id join x on t.id = x.id;");
    assert!(
        error.ends_with(
            "Cannot repartition a TABLE source. If this is a join, make sure that the criteria uses the TABLE's key \
             column ROWKEY instead of [T_ID]"
        ),
        "{error}"
    );
}

#[test]
fn the_column_that_stands_for_the_key_has_it_where_its_side_is_missing() {
    let lonely = [("s", "1", Some("a1"))];
    assert_eq!(
        written(
            STREAMS,
            "create stream o as select s2.id as k, a, b from s left join s2 within 10 seconds on s.id = s2.id;",
            &lonely
        ),
        [r#"1|{"A":"a1","B":null}@1"#]
    );
    // The first that may be the key is; the other is a column like any.
    assert_eq!(
        written(
            STREAMS,
            "create stream o as select s2.id as r, s.id as l, a from s left join s2 within 10 seconds on s.id = s2.id;",
            &lonely
        ),
        [r#"1|{"R":null,"A":"a1"}@1"#]
    );
    let both = format!("{STREAMS} {TABLES}");
    assert_eq!(
        written(
            &both,
            "create stream o as select t.id as k, a, v from s left join t on s.id = t.id;",
            &lonely
        ),
        [r#"1|{"A":"a1","V":null}@1"#]
    );
    assert_eq!(
        written(
            TABLES,
            "create table o as select u.id as k, v, w from t left join u on t.id = u.id;",
            &[("t", "1", Some("v1")), ("t", "1", None)]
        ),
        [r#"1|{"V":"v1","W":null}@1"#, "1|null@2"]
    );
}

/// `a JOIN b ON a.id = b.id JOIN c ON a.id = c.id`: all three are equal, so each of them may be the key.
#[test]
fn any_of_the_equal_keys_may_be_projected() {
    let records = [
        ("s", "1", Some("a1")),
        ("s2", "1", Some("b1")),
        ("s3", "1", Some("c1")),
    ];
    for key in ["s.id", "s2.id", "s3.id"] {
        for compared in ["s.id", "s2.id"] {
            let query = format!(
                "create stream o as select {key}, a, b, c from s join s2 within 10 seconds on s.id = s2.id
                   join s3 within 10 seconds on {compared} = s3.id;"
            );
            assert_eq!(
                written(STREAMS, &query, &records),
                [r#"1|{"A":"a1","B":"b1","C":"c1"}@3"#],
                "{key} {compared}"
            );
        }
    }
    let records = [
        ("t", "1", Some("v1")),
        ("u", "1", Some("w1")),
        ("x", "1", Some("y1")),
    ];
    for key in ["t.id", "u.id", "x.id"] {
        let query = format!(
            "create table o as select {key}, v, w, y from t join u on t.id = u.id join x on t.id = x.id;"
        );
        assert_eq!(
            written(TABLES, &query, &records),
            [r#"1|{"V":"v1","W":"w1","Y":"y1"}@3"#],
            "{key}"
        );
    }
}
