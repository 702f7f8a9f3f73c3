//! Which columns become the key of a query's records.

use osqdemo_ksqldb::metastore::Source;
use osqdemo_ksqldb::types::Namespace;

use crate::script::{Record, World};

const KEYED: &str =
    "create stream s (k varchar key, a int, b varchar) with (kafka_topic='s', value_format='json');";

fn columns(source: &Source) -> Vec<String> {
    let columns = source.schema.columns.iter();
    columns
        .map(|column| {
            let suffix = if column.namespace == Namespace::Key {
                " KEY"
            } else {
                ""
            };
            format!("{} {}{suffix}", column.name, column.sql_type)
        })
        .collect()
}

/// The sink's columns and what is written for one record.
fn run(query: &str) -> (Vec<String>, Vec<String>) {
    let mut world = World::of(&format!("{KEYED} create stream o as {query};"));
    world.send(Record::new("s", 5, r#"{"a":1,"b":"x"}"#).keyed("key"));
    let sink = world.metastore.get("O").expect("the sink is declared");
    (columns(sink), world.written_to("O"))
}

#[test]
fn the_sources_key_stays_the_key() {
    let (columns, written) = run("select b, k, a from s");
    assert_eq!(columns, ["K STRING KEY", "B STRING", "A INTEGER"]);
    assert_eq!(written, [r#"key|{"B":"x","A":1}@5"#]);
}

#[test]
fn a_key_may_be_renamed_and_copied() {
    let (columns, written) = run("select k as id, as_value(k) as k, a from s");
    assert_eq!(columns, ["ID STRING KEY", "K STRING", "A INTEGER"]);
    assert_eq!(written, [r#"key|{"K":"key","A":1}@5"#]);
}

#[test]
fn partition_by_a_column() {
    let (columns, written) = run("select * from s partition by b");
    assert_eq!(columns, ["B STRING KEY", "A INTEGER", "K STRING"]);
    assert_eq!(written, [r#"x|{"A":1,"K":"key"}@5"#]);
}

/// `*` has the expression for its key; the old key is the last of the values.
#[test]
fn a_star_includes_what_is_partitioned_by() {
    let (columns, written) = run("select * from s partition by ucase(b)");
    assert_eq!(
        columns,
        ["KSQL_COL_0 STRING KEY", "A INTEGER", "B STRING", "K STRING"]
    );
    assert_eq!(written, [r#"X|{"A":1,"B":"x","K":"key"}@5"#]);
    let mut world = World::of(KEYED);
    let error = world.error("create stream o as select *, ucase(b) as c from s partition by ucase(b);");
    assert!(
        error.starts_with("The projection contains a key column more than once: `C` and `KSQL_COL_0`."),
        "{error}"
    );
    let error = world.error("create stream o as select a from s partition by abs(a);");
    assert!(
        error.contains("must include the partitioning expression ABS(S.A) in its projection"),
        "{error}"
    );
    let error = world.error("create stream o as select * from s partition by a, a;");
    assert_eq!(error, "Duplicate PARTITION BY expression: A");
}

/// Whatever is partitioned by is a column of `*`, named as it would be without an alias.
#[test]
fn a_star_includes_every_kind_of_expression() {
    const SOURCE: &str = "create stream s (k varchar key, a int, b varchar, t struct<f varchar, a int>)
        with (kafka_topic='s', value_format='json');";
    let rest = |written: &str| format!(r#"{written}|{{"A":1,"B":"x","T":{{"F":"y","A":2}},"K":"key"}}@5"#);
    for (by, format, key, written) in [
        ("t->f", "kafka", "F STRING KEY", "y"),
        // A column has that name already.
        ("t->a", "kafka", "A_1 INTEGER KEY", "\0\0\0\u{2}"),
        ("cast(a as varchar)", "kafka", "KSQL_COL_0 STRING KEY", "1"),
        // No statement may give this name; ksqlDB does.
        ("rowtime", "kafka", "ROWTIME BIGINT KEY", "\0\0\0\0\0\0\0\u{5}"),
        ("b is null", "json", "KSQL_COL_0 BOOLEAN KEY", "false"),
        (
            "struct(x := b)",
            "json",
            "KSQL_COL_0 STRUCT<`X` STRING> KEY",
            r#"{"X":"x"}"#,
        ),
    ] {
        let mut world = World::of(&format!(
            "{SOURCE} create stream o with (key_format='{format}') as select * from s partition by {by};"
        ));
        world.send(Record::new("s", 5, r#"{"a":1,"b":"x","t":{"f":"y","a":2}}"#).keyed("key"));
        let sink = world.metastore.get("O").expect("the sink is declared");
        assert_eq!(
            columns(sink),
            [
                key,
                "A INTEGER",
                "B STRING",
                "T STRUCT<`F` STRING, `A` INTEGER>",
                "K STRING"
            ],
            "{by}"
        );
        assert_eq!(world.written_to("O"), [rest(written)], "{by}");

        let mut world = World::of(SOURCE);
        let error = world.error(&format!(
            "create stream o with (key_format='{format}') as select *, {by} as twice from s partition by {by};"
        ));
        assert!(
            error.starts_with("The projection contains a key column more than once: "),
            "{by}: {error}"
        );
    }
    let mut world = World::of(SOURCE);
    let error = world.error("create stream o as select rowtime, a from s partition by rowtime;");
    assert_eq!(
        error,
        "Reserved column name in select: `ROWTIME`. Please remove or alias the column."
    );
    world
        .execute("create stream o as select rowtime as time, a from s partition by rowtime;")
        .expect("the key has a name of its own");
}

#[test]
fn partition_by_an_expression() {
    let (columns, written) = run("select a + 1 as next, b from s partition by a + 1");
    assert_eq!(columns, ["NEXT INTEGER KEY", "B STRING"]);
    assert_eq!(written, ["\0\0\0\u{2}|{\"B\":\"x\"}@5"]);
}

#[test]
fn partition_by_null_leaves_no_key() {
    let (columns, written) = run("select k, a from s partition by null");
    assert_eq!(columns, ["K STRING", "A INTEGER"]);
    assert_eq!(written, [r#"null|{"K":"key","A":1}@5"#]);
}

#[test]
fn partition_by_several_needs_a_format_that_holds_them() {
    let mut world = World::of(&format!(
        "{KEYED} create stream o with (key_format='json') as select a, b, k from s partition by b, a;"
    ));
    world.send(Record::new("s", 5, r#"{"a":1,"b":"x"}"#).keyed("key"));
    assert_eq!(world.written_to("O"), [r#"{"B":"x","A":1}|{"K":"key"}@5"#]);
    let error = world.error("create stream o2 as select a, b, k from s partition by b, a;");
    assert!(
        error.contains("The 'KAFKA' format only supports a single field."),
        "{error}"
    );
}

#[test]
fn a_push_query_has_no_key() {
    let mut world = World::of(&format!("{KEYED} select a, k from s emit changes;"));
    world.send(Record::new("s", 5, r#"{"a":1}"#).keyed("key"));
    assert_eq!(world.rows, [r#"[1, "key"]@5"#]);
    let plan = world.last_plan.expect("there is a plan");
    assert!(plan.output().key().next().is_none());
}

#[test]
fn a_missing_key_is_named() {
    let mut world = World::of(KEYED);
    assert_eq!(
        world.error("create stream o as select a from s;"),
        "Key missing from projection (ie, SELECT). \nThe query used to build `O` must include the key column K in its projection (eg, SELECT K...)."
    );
    assert_eq!(
        world.error("create stream o as select a from s partition by b;"),
        "Key missing from projection (ie, SELECT). \nThe query used to build `O` must include the partitioning expression B in its projection (eg, SELECT B...)."
    );
    assert_eq!(
        world.error("create stream o as select k, k as k2, a from s;"),
        "The projection contains a key column (`K`) more than once, aliased as: K and K2.\nEach key column must only be in the projection once. If you intended to copy the key into the value, then consider using the `AS_VALUE` function to indicate which key reference should be copied."
    );
    assert_eq!(
        world.error("create stream o as select k from s;"),
        "The projection contains no value columns."
    );
}

const JOINED: &str = "
    create stream p (host varchar, pid varchar) with (kafka_topic='p', value_format='json');
    create stream f (host varchar, pid varchar) with (kafka_topic='f', value_format='json');
";

#[test]
fn a_persistent_join_projects_its_key() {
    let mut world = World::of(JOINED);
    assert_eq!(
        world.error(
            "create stream o as select p.host as host from p join f within 1 minute on (f.pid=p.pid);"
        ),
        "Key missing from projection (ie, SELECT). \nThe query used to build `O` must include the join expressions P.PID or F.PID in its projection (eg, SELECT P.PID...)."
    );
    world
        .execute("create stream o as select p.host as host, f.pid as pid from p join f within 1 minute on (f.pid=p.pid);")
        .expect("either side's column will do");
    let sink = world.metastore.get("O").expect("the sink is declared");
    assert_eq!(columns(sink), ["PID STRING KEY", "HOST STRING"]);
    assert_eq!(sink.derived_from, ["P", "F"]);
    let warnings = world.last_plan.as_ref().expect("there is a plan").warnings();
    assert!(
        warnings[0].starts_with("DEPRECATION NOTICE: Stream-stream joins statements without a GRACE PERIOD")
    );
    world.send(Record::new("p", 1, r#"{"host":"h","pid":"7"}"#));
    world.send(Record::new("f", 2, r#"{"host":"h","pid":"7"}"#));
    assert_eq!(world.written_to("O"), [r#"7|{"HOST":"h"}@2"#]);
}

#[test]
fn a_join_of_expressions_has_a_synthetic_key() {
    let mut world = World::of(JOINED);
    let join = "from p join f within 1 minute grace period 1 minute on p.host + p.pid = f.host + f.pid";
    let error = world.error(&format!("create stream o as select p.pid as pid {join};"));
    assert!(
        error.starts_with("Key missing from projection (ie, SELECT). See https://cnfl.io/2LV7ouS.\nThe query used to build `O` must include the join expression ROWKEY in its projection (eg, SELECT ROWKEY...)."),
        "{error}"
    );
    assert!(
        error.ends_with("This expression must be included in the projection and may be aliased. "),
        "{error}"
    );
    world
        .execute(&format!(
            "create stream o as select rowkey as id, p.pid as pid {join};"
        ))
        .expect("the key is projected");
    assert!(
        world
            .last_plan
            .as_ref()
            .expect("there is a plan")
            .warnings()
            .is_empty()
    );
    world.send(Record::new("f", 1, r#"{"host":"h","pid":"7"}"#));
    world.send(Record::new("p", 2, r#"{"host":"h","pid":"7"}"#));
    assert_eq!(world.written_to("O"), [r#"h7|{"PID":"7"}@2"#]);
}

/// A key that is not there is not one whose columns are `NULL`.
#[test]
fn a_null_key_of_several_columns_stays_null() {
    for format in ["json", "delimited"] {
        let mut world = World::of(&format!(
            "create stream s (a int key, b int key, v int) with (kafka_topic='s', key_format='{format}', value_format='json');
             create stream kept as select a, b, v from s;
             create stream made as select b, a, v from s partition by b, a;"
        ));
        world.send(Record::new("s", 1, r#"{"v":1}"#));
        assert_eq!(world.written_to("KEPT"), [r#"null|{"V":1}@1"#]);
        let made = if format == "json" {
            r#"{"B":null,"A":null}"#
        } else {
            ","
        };
        assert_eq!(world.written_to("MADE"), [format!(r#"{made}|{{"V":1}}@1"#)]);
    }
    let mut world = World::of(
        "create stream s (a int key, b int key, v int) with (kafka_topic='s', format='json');
         create stream kept as select a, b, v from s;",
    );
    world.send(Record::new("s", 1, r#"{"v":1}"#).keyed("null"));
    world.send(Record::new("s", 2, r#"{"v":2}"#).keyed(r#"{"A":null}"#));
    assert_eq!(world.written_to("KEPT"), [r#"{"A":null,"B":null}|{"V":2}@2"#]);
    assert_eq!(world.log.len(), 1);
}

/// A record without a value has no columns but those of its key.
#[test]
fn what_needs_a_value_makes_no_key_of_a_record_without_one() {
    for (by, written) in [
        ("ucase(k)", "KEY|null@5"),
        ("b", "null|null@5"),
        ("case when a = 1 then b else k end", "null|null@5"),
        ("rowtime", "null|null@5"),
    ] {
        let mut world = World::of(&format!(
            "{KEYED} create stream o as select * from s partition by {by};"
        ));
        let record = Record {
            value: None,
            ..Record::new("s", 5, "").keyed("key")
        };
        world.send(record);
        assert_eq!(world.written_to("O"), [written], "{by}");
    }
}
