//! `CREATE STREAM` and what sinks take over from their sources.

use osqdemo_ksqldb::serde::Format;

use crate::script::{Record, World};

#[test]
fn a_sink_takes_over_what_it_does_not_set() {
    let world = World::of(
        "create stream s (a int, b varchar) with (kafka_topic='Some-Topic', value_format='delimited', value_delimiter='|', partitions=3, replicas=2);
         create stream `Plain` as select a, b from s;
         create stream o with (kafka_topic='out', value_format='json', partitions=5, retention_ms=1000) as select a from s;",
    );
    let source = world.metastore.get("S").expect("declared");
    assert_eq!((source.partitions, source.replicas), (Some(3), Some(2)));
    assert_eq!(source.topic, "Some-Topic");
    let plain = world.metastore.get("Plain").expect("declared");
    assert_eq!(plain.topic, "Plain");
    assert_eq!((plain.partitions, plain.key_format), (None, Format::Kafka));
    assert_eq!(plain.value_format, Format::Delimited { delimiter: '|' });
    let sink = world.metastore.get("O").expect("declared");
    assert_eq!((sink.topic.as_str(), sink.value_format), ("out", Format::Json));
    assert_eq!((sink.partitions, sink.retention_ms), (Some(5), Some(1000)));
    let plan = world.last_plan.expect("there is a plan");
    assert_eq!(plan.sink().map(|sink| sink.name.as_str()), Some("O"));
    let derived: Vec<_> = world
        .metastore
        .derived_from("S")
        .map(|source| source.name.as_str())
        .collect();
    assert_eq!(derived, ["O", "Plain"]);
}

#[test]
fn a_sandbox_changes_on_its_own() {
    let mut world = World::of("create stream s (a int) with (kafka_topic='s', value_format='json');");
    let kept = world.metastore.clone();
    world.metastore.remove("S");
    assert!(world.metastore.get("S").is_none() && kept.get("S").is_some());
}

#[test]
fn explain_shows_the_steps() {
    let world = World::of(
        "create stream l (id int key, a int) with (kafka_topic='l', format='json');
         create stream r (id int key, b int) with (kafka_topic='r', format='json');
         create stream j as select l.id, a, b from l left join r within (1 second, 2 seconds) grace period 3 seconds on l.id = r.id where a > 1;",
    );
    let plan = world.last_plan.expect("there is a plan");
    assert_eq!(
        plan.explain("X"),
        " > [ SINK ] | Schema: L_ID INTEGER KEY, A INTEGER, B INTEGER | Logger: X.J
\t\t > [ PROJECT ] | Schema: L_ID INTEGER KEY, A INTEGER, B INTEGER | Logger: X.Project
\t\t\t\t > [ FILTER ] | Schema: L_ID INTEGER KEY, L_A INTEGER, L_ROWTIME BIGINT, L_ROWPARTITION INTEGER, L_ROWOFFSET BIGINT, L_ID INTEGER, R_B INTEGER, R_ROWTIME BIGINT, R_ROWPARTITION INTEGER, R_ROWOFFSET BIGINT, R_ID INTEGER | Logger: X.WhereFilter
\t\t\t\t\t\t > [ JOIN ] | Schema: L_ID INTEGER KEY, L_A INTEGER, L_ROWTIME BIGINT, L_ROWPARTITION INTEGER, L_ROWOFFSET BIGINT, L_ID INTEGER, R_B INTEGER, R_ROWTIME BIGINT, R_ROWPARTITION INTEGER, R_ROWOFFSET BIGINT, R_ID INTEGER | Logger: X.Join
\t\t\t\t\t\t\t\t > [ PROJECT ] | Schema: L_ID INTEGER KEY, L_A INTEGER, L_ROWTIME BIGINT, L_ROWPARTITION INTEGER, L_ROWOFFSET BIGINT, L_ID INTEGER | Logger: X.PrependAliasLeft
\t\t\t\t\t\t\t\t\t\t > [ SOURCE ] | Schema: ID INTEGER KEY, A INTEGER, ROWTIME BIGINT, ROWPARTITION INTEGER, ROWOFFSET BIGINT, ID INTEGER | Logger: X.KafkaTopic_Left.Source
\t\t\t\t\t\t\t\t > [ PROJECT ] | Schema: R_ID INTEGER KEY, R_B INTEGER, R_ROWTIME BIGINT, R_ROWPARTITION INTEGER, R_ROWOFFSET BIGINT, R_ID INTEGER | Logger: X.PrependAliasRight
\t\t\t\t\t\t\t\t\t\t > [ SOURCE ] | Schema: ID INTEGER KEY, B INTEGER, ROWTIME BIGINT, ROWPARTITION INTEGER, ROWOFFSET BIGINT, ID INTEGER | Logger: X.KafkaTopic_Right.Source
"
    );
    assert_eq!(plan.retention_ms(), Some(6000));
}

#[test]
fn a_limit_ends_a_push_query() {
    let mut world = World::of(
        "create stream s (a int) with (kafka_topic='s', value_format='json');
         select a from s where a > 1 emit changes limit 2;",
    );
    world.send_all("s", &[r#"{"a":1}"#, r#"{"a":2}"#]);
    assert!(!world.is_complete());
    world.send_all("s", &[r#"{"a":3}"#, r#"{"a":4}"#]);
    assert!(world.is_complete());
    assert_eq!(world.rows, ["[2]@1", "[3]@0"]);
}

#[test]
fn insert_into_select_adds_to_a_stream() {
    let mut world = World::of(
        "create stream s (a int, b varchar) with (kafka_topic='s', value_format='json');
         create stream o as select a, b from s where a = 1;
         insert into o select a, b from s where a = 2;",
    );
    world.send_all("s", &[r#"{"a":1,"b":"x"}"#, r#"{"a":2,"b":"y"}"#]);
    assert_eq!(
        world.written_to("O"),
        [r#"null|{"A":1,"B":"x"}@0"#, r#"null|{"A":2,"B":"y"}@1"#]
    );
    let error = world.error("insert into o select b, a from s;");
    assert_eq!(
        error,
        "Incompatible schema between results and sink.\nResult schema is `B` STRING, `A` INTEGER\nSink schema is `A` INTEGER, `B` STRING"
    );
}

#[test]
fn what_is_inserted_widens_to_what_the_stream_has() {
    let mut world = World::of(
        "create stream s (i int, d decimal(3,1), b bigint) with (kafka_topic='s', value_format='json');
         create stream o (i bigint, d decimal(6,2)) with (kafka_topic='o', value_format='json');
         create stream p (i double, d double) with (kafka_topic='p', value_format='json');
         create stream q (i decimal(12,1), d decimal(3,1)) with (kafka_topic='q', value_format='json');
         insert into o select i, d from s;
         insert into p select i, d from s;
         insert into q select i, d from s;",
    );
    world.send_all("s", &[r#"{"i":1,"d":12.5,"b":7}"#]);
    assert_eq!(world.written_to("o"), [r#"null|{"I":1,"D":12.50}@0"#]);
    assert_eq!(world.written_to("p"), [r#"null|{"I":1.0,"D":12.5}@0"#]);
    assert_eq!(world.written_to("q"), [r#"null|{"I":1.0,"D":12.5}@0"#]);
    // What would lose digits does not fit.
    for (items, result) in [
        ("b as i, d", "`I` BIGINT, `D` DECIMAL(3, 1)"),
        (
            "i, cast(d as decimal(4,1)) as d",
            "`I` INTEGER, `D` DECIMAL(4, 1)",
        ),
        ("i, cast(d as double) as d", "`I` INTEGER, `D` DOUBLE"),
    ] {
        let error = world.error(&format!("insert into q select {items} from s;"));
        assert_eq!(
            error,
            format!(
                "Incompatible schema between results and sink.\nResult schema is {result}\n\
                 Sink schema is `I` DECIMAL(12, 1), `D` DECIMAL(3, 1)"
            )
        );
    }
}

#[test]
fn only_some_formats_leave_the_wrapping_of_a_value_open() {
    let mut world = World::of("create stream s (a int) with (kafka_topic='s', value_format='json');");
    for (format, wanted) in [
        ("DELIMITED", true),
        ("DELIMITED", false),
        ("KAFKA", true),
        ("PROTOBUF", false),
    ] {
        let expected = format!("Format '{format}' does not support 'WRAP_SINGLE_VALUE' set to '{wanted}'.");
        let with = format!("value_format='{format}', wrap_single_value={wanted}");
        let error = world.error(&format!(
            "create stream x (a int) with (kafka_topic='x', {with});"
        ));
        assert_eq!(error, expected);
        let error = world.error(&format!("create stream x with ({with}) as select a from s;"));
        assert_eq!(error, expected);
    }
    for declared in [
        "create stream x (a int, b int) with (kafka_topic='x', value_format='json', wrap_single_value=true);",
        "create stream x with (wrap_single_value=false) as select a, a + 1 as b from s;",
    ] {
        assert_eq!(
            world.error(declared),
            "'WRAP_SINGLE_VALUE' is only valid for single-field value schemas"
        );
    }
}

#[test]
fn two_streams_over_one_topic_join() {
    let mut world = World::of(
        "create stream x (id int, a varchar) with (kafka_topic='t', value_format='json');
         create stream y (id int, b varchar) with (kafka_topic='t', value_format='json');
         select x.id, a, b from x join y within 1 second on x.id = y.id emit changes;",
    );
    world.send(Record::new("t", 1, r#"{"id":1,"a":"p","b":"q"}"#));
    assert_eq!(world.rows, [r#"[1, "p", "q"]@1"#]);
}

#[test]
fn rowtime_compares_with_a_text() {
    let mut world = World::of(
        "create stream s (a int) with (kafka_topic='s', value_format='json');
         select a from s where rowtime >= '1970-01-01T00:00:01' and '1970-01-01T00:00:03Z' > s.rowtime emit changes;
         select a from s where rowtime between '1970-01-01T00:00:02' and '1971' emit changes;",
    );
    for second in 0..4 {
        world.send(Record::new("s", second * 1000, &format!(r#"{{"a":{second}}}"#)));
    }
    assert_eq!(world.rows, ["[1]@1000", "[2]@2000", "[2]@2000", "[3]@3000"]);
    let error = world.error("select a from s where rowtime > 'noon' emit changes;");
    assert!(error.contains("Failed to parse timestamp 'noon'"), "{error}");
}

#[test]
fn columns_have_an_end() {
    let declared = |count: usize| {
        let columns: Vec<_> = (0..count).map(|number| format!("c{number} int")).collect();
        format!(
            "create stream s ({}) with (kafka_topic='s', value_format='json');",
            columns.join(", ")
        )
    };
    World::of(&declared(4_000));
    let error = World::default().error(&declared(4_001));
    assert_eq!(error, "A stream or table has at most 4000 columns, not 4001.");
}

#[test]
fn a_header_is_one_column() {
    let mut world = World::default();
    let error = world.error(
        "create stream s (a int, h bytes header('x'), i bytes header('x')) with (kafka_topic='s', value_format='json');",
    );
    assert_eq!(error, "Schema already contains a HEADER('x') column.");
    world
        .execute(
            "create stream s (a int, h bytes header('x'), i bytes header('y')) with (kafka_topic='s', value_format='json');",
        )
        .expect("two headers");
}
