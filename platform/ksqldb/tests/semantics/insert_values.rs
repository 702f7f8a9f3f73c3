//! `INSERT INTO … VALUES`.

use crate::script::World;

const SOURCES: &str = "
    create stream s (k varchar key, a bigint, d decimal(4,2), st struct<src varchar, src_name varchar>, m map<varchar, int>, ts timestamp)
      with (kafka_topic='s', value_format='json');
    create stream o as select * from s;
";

fn insert(statement: &str) -> Vec<String> {
    let mut world = World::of(SOURCES);
    world.execute(statement).expect("a good insert");
    world.written_to("O")
}

#[test]
fn values_go_into_columns() {
    assert_eq!(
        insert(
            "insert into s values ('x', 1, 2.5, struct(src := 'a', srcname := 'b'), map('a' := 1 + 1), '1970-01-01T00:00:01');"
        ),
        [r#"x|{"A":1,"D":2.50,"ST":{"SRC":"a","SRC_NAME":null},"M":{"a":2},"TS":1000}@1000"#]
    );
    assert_eq!(
        insert("insert into s (a, rowtime, k) values (-1, 77, null);"),
        [r#"null|{"A":-1,"D":null,"ST":null,"M":null,"TS":null}@77"#]
    );
}

#[test]
fn what_does_not_fit_is_refused() {
    let mut world = World::of(SOURCES);
    for (statement, message) in [
        (
            "insert into s (a) values ('x');",
            "Expected type BIGINT for field `A` but got STRING(x)",
        ),
        ("insert into s (z) values (1);", "Column name Z does not exist."),
        (
            "insert into s (a, k) values (1);",
            "Mismatch between columns and values. Columns: [A, K]. Got 1 values.",
        ),
        (
            "insert into s values (1);",
            "Expected a value for each column. Expected Columns: [K, A, D, ST, M, TS]. Got 1 values.",
        ),
        (
            "insert into s (d) values (12345.5);",
            "Expected type DECIMAL(4, 2) for field `D` but got DECIMAL(12345.5)",
        ),
        ("insert into s (d) values (1.239);", "but got DECIMAL(1.239)"),
        (
            "insert into s (a) values (b);",
            "VALUES column 'B' cannot be resolved.",
        ),
    ] {
        let error = world.error(statement);
        let rest = error.strip_prefix("Failed to insert values into 'S'. ");
        let rest = rest.unwrap_or_else(|| panic!("{error}"));
        assert!(rest.contains(message) && !rest.contains("Failed"), "{error}");
    }
    world
        .execute("create source stream ro (a int) with (kafka_topic='ro', value_format='json');")
        .expect("a good declaration");
    assert!(
        world
            .error("insert into ro (a) values (1);")
            .contains("read-only")
    );
}

#[test]
fn text_is_read_as_the_base64_of_bytes() {
    let source = "create stream b (k varchar key, b bytes, l array<bytes>) with (kafka_topic='b', value_format='json');";
    let mut world = World::of(&format!("{source} create stream o as select * from b;"));
    world
        .execute("insert into b (b, l) values ('AQID', array['IQ==', null]);")
        .unwrap();
    let written = world.written_to("O");
    let (_, value) = written[0].split_once('|').unwrap();
    assert!(value.starts_with(r#"{"B":"AQID","L":["IQ==",null]}@"#), "{value}");
    let error = world.error("insert into b (b) values ('?');");
    assert!(
        error.ends_with("Expected type BYTES for field `B` but got STRING(?)"),
        "{error}"
    );
}

/// A record's time is that of the insertion; a source's own time is for those who read it.
#[test]
fn a_column_of_times_is_no_records_time() {
    let mut world = World::of(
        "create stream timed (ts bigint) with (kafka_topic='t', value_format='json', timestamp='ts');
         create stream plain (ts bigint) with (kafka_topic='t', value_format='json');
         create stream a as select * from timed;
         create stream b as select * from plain;",
    );
    world
        .execute("insert into timed values (5);")
        .expect("a good insert");
    assert_eq!(world.written_to("A"), [r#"null|{"TS":5}@5"#]);
    assert_eq!(world.written_to("B"), [r#"null|{"TS":5}@1000"#]);
}
