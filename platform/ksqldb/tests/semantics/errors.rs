//! What is wrong with a statement, in ksqlDB's words.

use crate::script::World;

const SOURCES: &str = "
    create stream s (k varchar key, a int, b varchar, m map<varchar, int>, st struct<x int>) with (kafka_topic='s', value_format='json');
    create stream r (k varchar key, a int, c bigint) with (kafka_topic='r', value_format='json');
    create table t (k varchar primary key, a int) with (kafka_topic='t', value_format='json');
";

#[test]
fn statements_that_cannot_be_planned() {
    let mut world = World::of(SOURCES);
    for (statement, message) in [
        ("select * from nowhere emit changes;", "NOWHERE does not exist."),
        (
            "select z from s emit changes;",
            "Line: 1, Col: 8: SELECT column 'Z' cannot be resolved.",
        ),
        (
            "select a from s where z > 1 emit changes;",
            "Line: 1, Col: 23: WHERE column 'Z' cannot be resolved.",
        ),
        (
            "select x.a from s emit changes;",
            "Line: 1, Col: 8: SELECT column 'X.A' cannot be resolved.",
        ),
        (
            "select x.* from s emit changes;",
            "Line: 1, Col: 8: 'X' is not a valid stream/table name or alias.",
        ),
        (
            "select a, b as a from s emit changes;",
            "Duplicate value columns found in schema: `A` STRING",
        ),
        (
            "create stream x as select null as n from s;",
            "Can't infer a type of null. Please explicitly cast it to a required type, e.g. CAST(null AS VARCHAR).",
        ),
        (
            "select nope(a) from s emit changes;",
            "Can't find any functions with the name 'NOPE'",
        ),
        (
            "select a from s where a = 'x' emit changes;",
            "Error in WHERE expression: Cannot compare A (INTEGER) to 'x' (STRING) with EQUAL.",
        ),
        (
            "select a from s where a = null emit changes;",
            "Error in WHERE expression: Comparison with NULL not supported: INTEGER = NULL\nUse 'IS NULL' or 'IS NOT NULL' instead.",
        ),
        (
            "select a from s where a emit changes;",
            "Type error in WHERE expression: Should evaluate to boolean but is A (INTEGER) instead.",
        ),
        (
            "select a + b from s emit changes;",
            "Error processing expression: (A + B). Unsupported arithmetic types. INTEGER STRING",
        ),
        (
            "select st->y from s emit changes;",
            "Could not find field 'Y' in 'ST'.",
        ),
        (
            "select a[1] from s emit changes;",
            "Error processing expression: A[1]. Unsupported container type: INTEGER",
        ),
        (
            "select case when a = 1 then 'x' else 2 end from s emit changes;",
            "Invalid Case expression. Type for the default clause should be the same as for 'THEN' clauses.\nTHEN type: STRING.\nDEFAULT type: INTEGER.",
        ),
        (
            "select cast(a as boolean) from s emit changes;",
            "Cast of INTEGER to BOOLEAN is not supported",
        ),
        ("select a from s;", "Pull queries on streams are disabled."),
        (
            "select t.a from t join s on s.k = t.k emit changes;",
            "Invalid join order: table-stream joins are not supported; only stream-table joins. Got T [INNER] JOIN S.",
        ),
        (
            "select a, count(*) from s group by b emit changes;",
            "Non-aggregate SELECT expression(s) not part of GROUP BY: A",
        ),
        (
            "select a from s window tumbling (size 1 minute) emit changes;",
            "Line: 1, Col: 24: WINDOW clause requires a GROUP BY clause.",
        ),
        (
            "create table x as select count(*) from s;",
            "CREATE TABLE AS SELECT statement does not support aggregate function [COUNT(ROWTIME)] without a GROUP BY clause.",
        ),
        (
            "select a from s emit final;",
            "EMIT FINAL is only supported for windowed aggregations.",
        ),
        (
            "create table x as select k, a from s;",
            "Invalid result type. Your SELECT query produces a STREAM. Please use CREATE STREAM AS SELECT statement instead.",
        ),
        (
            "create stream x as select k, rowtime from s;",
            "Reserved column name in select: `ROWTIME`. Please remove or alias the column.",
        ),
        (
            "create stream x with (foo=1) as select * from s;",
            "Invalid config variable(s) in the WITH clause: FOO",
        ),
        (
            "create stream x with (value_format='kafka') as select * from s;",
            "The 'KAFKA' format only supports a single field.",
        ),
        (
            "create stream x with (value_format='delimited') as select k, m from s;",
            "The 'DELIMITED' format does not support type 'MAP', column: `M`",
        ),
        (
            "create stream x with (timestamp='nope') as select * from s;",
            "The TIMESTAMP column set in the WITH clause does not exist in the schema: 'NOPE'",
        ),
        (
            "create stream x with (timestamp='b') as select * from s;",
            "A String timestamp field has been specified without also specifying the 'timestamp_format'.",
        ),
        (
            "create stream x as select k, transform(array[1], (y, y) => y) from s;",
            "Lambda arguments have duplicates: [Y, Y]",
        ),
        (
            "insert into nowhere select * from s;",
            "Line: 1, Col: 13: Source `NOWHERE` does not exist.",
        ),
        (
            "insert into t select k, a from s;",
            "INSERT INTO can only be used to insert into a stream. T is a table.",
        ),
    ] {
        let error = world.error(statement);
        assert!(error.contains(message), "{statement}\n{error}");
    }
}

#[test]
fn joins_that_cannot_be_planned() {
    let mut world = World::of(SOURCES);
    for (join, message) in [
        (
            "join r on s.k = r.k",
            "Stream-Stream joins must have a WITHIN clause specified. None was provided.",
        ),
        (
            "join s within 1 minute on s.k = s.k",
            "Can not join 'S' to 'S': self joins are not yet supported.",
        ),
        (
            "join r within 1 minute on s.k = r.k and s.a = r.a",
            "Invalid join condition: joins on multiple conditions are not yet supported. Got ((S.K = R.K) AND (S.A = R.A)).",
        ),
        (
            "join r within 1 minute on s.k > r.k",
            "Only equality join criteria is supported.",
        ),
        (
            "join r within 1 minute on s.a is null",
            "Unsupported join expression: ",
        ),
        (
            "join r within 1 minute on s.k = s.b",
            "Each side of the join must reference exactly one source and not the same source. Left side references `S` and right references `S`",
        ),
        (
            "join r within 1 minute on s.a + r.a = r.c",
            "Invalid comparison expression '(S.A + R.A)' in join '((S.A + R.A) = R.C)'.",
        ),
        (
            "join r within 1 minute on s.a = 1",
            "Invalid comparison expression '1' in join '(S.A = 1)'.",
        ),
        (
            "join r within 1 minute on s.a = r.c",
            "Invalid join. Key types differ: INTEGER vs BIGINT",
        ),
        (
            "join r within 1 minute on a = c",
            "Column 'A' is ambiguous. Could be S.A or R.A.",
        ),
        (
            "join r within 1 minute on s.k = r.k left join t on r.k = s.k",
            "A join criteria is expected to reference the source (`T`) in the FROM clause, instead the right source references `S` and the left source references `R`",
        ),
    ] {
        let error = world.error(&format!("select s.b from s {join} emit changes;"));
        assert!(error.contains(message), "{join}\n{error}");
    }
}

#[test]
fn declarations_that_cannot_be_made() {
    let mut world = World::default();
    for (statement, message) in [
        (
            "create stream x (a int);",
            "Missing required property \"KAFKA_TOPIC\" which has no default value.",
        ),
        (
            "create stream x (a int) with (kafka_topic='x');",
            "Statement is missing the 'VALUE_FORMAT' property from the WITH clause.",
        ),
        (
            "create stream x (a int) with (kafka_topic='x', value_format='json', key='a');",
            "Invalid config variable(s) in the WITH clause: KEY",
        ),
        (
            "create stream x (a array<array<int>>) with (kafka_topic='x', value_format='protobuf');",
            "Array cannot be nested",
        ),
        (
            "create stream x (a int, a int) with (kafka_topic='x', value_format='json');",
            "Duplicate column names: `A`",
        ),
        (
            "create stream x (rowtime bigint) with (kafka_topic='x', value_format='json');",
            "'ROWTIME' is a reserved column name.",
        ),
        (
            "create stream x (a int primary key) with (kafka_topic='x', value_format='json');",
            "Column `A` is a 'PRIMARY KEY' column: please use 'KEY' for streams.",
        ),
        (
            "create table x (a int key) with (kafka_topic='x', value_format='json');",
            "Column `A` is a 'KEY' column: please use 'PRIMARY KEY' for tables.",
        ),
        (
            "create table x (a int) with (kafka_topic='x', value_format='json');",
            "Tables require a PRIMARY KEY. Please define the PRIMARY KEY.",
        ),
        (
            "create stream x (m map<int, int>) with (kafka_topic='x', value_format='json');",
            "JSON only supports MAP types with STRING keys",
        ),
        (
            "create stream x (k int key, a int) with (kafka_topic='x', value_format='json', key_format='none');",
            "The 'NONE' format can only be used when no columns are defined. Got: [`K` INTEGER KEY]",
        ),
        (
            "create stream x (h bytes headers) with (kafka_topic='x', value_format='json');",
            "Invalid type for HEADERS column: expected ARRAY<STRUCT<`KEY` STRING, `VALUE` BYTES>>, got BYTES",
        ),
        (
            "create stream x (a int) with (kafka_topic='x', value_format='json', partitions=-1);",
            "Invalid value -1 for property PARTITIONS",
        ),
        (
            "create stream x (a int) with (kafka_topic='x', value_format='json', partitions='x');",
            "Invalid value x for property PARTITIONS: Not a number of type INT",
        ),
        (
            "create stream x (a int) with (kafka_topic='x', value_format='json', partitions=1, retention_ms='x');",
            "Invalid value x for property RETENTION_MS: Not a number of type LONG",
        ),
        (
            "create stream x (a int) with (kafka_topic='x', value_format='json', wrap_single_value='x');",
            "Invalid value x for property WRAP_SINGLE_VALUE: Expected value to be either true or false",
        ),
        (
            "create stream x (k map<varchar, int> key, a int) with (kafka_topic='x', format='json');",
            "Map keys, including types that contain maps, are not supported",
        ),
        (
            "create stream x with (kafka_topic='x', value_format='json');",
            "No columns supplied.",
        ),
    ] {
        let error = world.error(statement);
        assert!(error.contains(message), "{statement}\n{error}");
    }
}

#[test]
fn absurd_decimals_are_refused() {
    let mut world = World::of(SOURCES);
    for sql_type in [
        "decimal(2, 5)",
        "decimal(0, 0)",
        "decimal(4000000000, 1)",
        "decimal(2147483647, 2147483647)",
    ] {
        let statement =
            format!("create stream x (a {sql_type}) with (kafka_topic='x', value_format='json');");
        let error = world.error(&statement);
        assert!(error.to_lowercase().contains("decimal"), "{sql_type}: {error}");
    }
}

/// What a statement lists is compared with all else that it lists: a short statement must not take hours.
#[test]
fn what_a_query_comes_to_has_bounds() {
    let columns: Vec<String> = (0..400).map(|column| format!("c{column} int")).collect();
    let mut world = World::of(&format!(
        "create stream wide ({}) with (kafka_topic='w', value_format='json');
         create stream lists (l array<int>, a int) with (kafka_topic='l', value_format='json');",
        columns.join(", ")
    ));
    let repeated = |item: fn(usize) -> String, count| (0..count).map(item).collect::<Vec<_>>().join(", ");
    for (statement, message) in [
        (
            format!(
                "select {} from wide emit changes;",
                repeated(|_| "*".to_owned(), 4_000)
            ),
            "A stream or table has at most 4000 columns, not 4400.",
        ),
        (
            format!(
                "select {}, count(*) from wide group by c0 emit changes;",
                repeated(|_| "*".to_owned(), 3_999)
            ),
            "A stream or table has at most 4000 columns, not 4389.",
        ),
        (
            format!(
                "select {} from lists emit changes;",
                repeated(|number| format!("explode(l) as c{number}"), 101)
            ),
            "A query calls at most 100 table functions.",
        ),
        (
            format!(
                "select l, {} from lists group by l emit changes;",
                repeated(|number| format!("sum(a + {number}) as c{number}"), 1_001)
            ),
            "A query calls at most 1000 different aggregate functions.",
        ),
    ] {
        assert_eq!(world.error(&statement), message);
    }
}

#[test]
fn a_foreign_key_refers_to_no_windows() {
    let mut world = World::of(
        "create table a (id int primary key, f int) with (kafka_topic='a', value_format='json', window_type='session');
         create table b (id int primary key, w string) with (kafka_topic='b', value_format='json', window_type='session');",
    );
    for kind in ["", "left"] {
        assert_eq!(
            world.error(&format!(
                "create table o as select a.id, w from a {kind} join b on a.f = b.id;"
            )),
            "Foreign-key table-table joins are not supported on windowed tables."
        );
    }
}
