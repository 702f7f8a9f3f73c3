//! Values and types of expressions.

use crate::script::{Record, World};

const SOURCE: &str = "create stream s (i int, l bigint, d double, c decimal(4,2), t varchar, b boolean,
    a array<int>, m map<varchar, varchar>, st struct<x int, y struct<z varchar>>, ts timestamp, dt date, tm time)
    with (kafka_topic='s', value_format='json');";

const ROW: &str = r#"{"i":7,"l":5000000000,"d":2.5,"c":1.25,"t":"text","b":true,"a":[1,2,3],"m":{"k":"v"},
    "st":{"x":1,"y":{"z":"deep"}},"ts":1000,"dt":1,"tm":3723004}"#;

/// The value and the type of an expression.
fn evaluate(expression: &str) -> (String, String) {
    let mut world = World::of(&format!("{SOURCE} select {expression} as e from s emit changes;"));
    world.send(Record::new("s", 0, ROW));
    let plan = world.last_plan.as_ref().expect("there is a plan");
    let sql_type = plan.output().columns[0].sql_type.to_string();
    let row = world.rows.pop().expect("a row");
    let value = row.strip_prefix('[').and_then(|row| row.strip_suffix("]@0"));
    (value.expect("a row of one value").to_owned(), sql_type)
}

#[test]
fn values_and_types() {
    for (expression, value, sql_type) in [
        ("i + 1", "8", "INTEGER"),
        ("i + l", "5000000007", "BIGINT"),
        ("i / 2", "3", "INTEGER"),
        ("i % 4", "3", "INTEGER"),
        ("-i", "-7", "INTEGER"),
        ("i * d", "17.5", "DOUBLE"),
        ("c + 1", "2.25", "DECIMAL(13, 2)"),
        ("c * c", "1.5625", "DECIMAL(9, 4)"),
        ("c / 2", "0.6250000000000", "DECIMAL(15, 13)"),
        ("i + 0.5", "7.5", "DECIMAL(12, 1)"),
        ("5.0", "5.0", "DECIMAL(2, 1)"),
        ("1e3", "1000.0", "DOUBLE"),
        ("2147483647 + 1", "-2147483648", "INTEGER"),
        ("t + '-' + t", r#""text-text""#, "STRING"),
        ("i > 6 and d < 3", "true", "BOOLEAN"),
        ("not b or i = 7", "true", "BOOLEAN"),
        ("c = 1.250", "true", "BOOLEAN"),
        ("i <> l", "true", "BOOLEAN"),
        ("i in (1, 7)", "true", "BOOLEAN"),
        ("t not in ('a', 'text')", "false", "BOOLEAN"),
        ("i in (l, '7')", "true", "BOOLEAN"),
        ("i in (1, '0.7e1')", "true", "BOOLEAN"),
        ("t in (1, 'text')", "true", "BOOLEAN"),
        ("b in ('no', 'y')", "true", "BOOLEAN"),
        ("dt in ('1970-01-02')", "true", "BOOLEAN"),
        ("i between 7 and 8", "true", "BOOLEAN"),
        ("t like 't_x%'", "true", "BOOLEAN"),
        ("ts = '1970-01-01T00:00:01'", "true", "BOOLEAN"),
        ("dt < ts", "false", "BOOLEAN"),
        ("a[1]", "1", "INTEGER"),
        ("a[-1]", "3", "INTEGER"),
        ("a[0]", "null", "INTEGER"),
        ("a[4]", "null", "INTEGER"),
        ("m['k']", r#""v""#, "STRING"),
        ("m['K']", "null", "STRING"),
        ("st->x", "1", "INTEGER"),
        ("st->y->z", r#""deep""#, "STRING"),
        ("array[1, l]", "[1, 5000000000]", "ARRAY<BIGINT>"),
        (
            "array['a', 5.0, true]",
            r#"["a", "5.0", "true"]"#,
            "ARRAY<STRING>",
        ),
        (
            "array[1, '2.5', l]",
            "[1.0, 2.5, 5000000000.0]",
            "ARRAY<DECIMAL(20, 1)>",
        ),
        (
            "array[struct(x := 1), struct(x := l, y := t)]",
            r#"[[1, null], [5000000000, "text"]]"#,
            "ARRAY<STRUCT<`X` BIGINT, `Y` STRING>>",
        ),
        ("array[null, 'x']", r#"[null, "x"]"#, "ARRAY<STRING>"),
        (
            "map('x' := 1, t := i)",
            r#"{"text": 7, "x": 1}"#,
            "MAP<STRING, INTEGER>",
        ),
        (
            "struct(p := i, q := t)",
            r#"[7, "text"]"#,
            "STRUCT<`P` INTEGER, `Q` STRING>",
        ),
        ("struct(p := i)->p", "7", "INTEGER"),
        (
            "case when i > 9 then 'big' when i > 5 then 'middle' else 'small' end",
            r#""middle""#,
            "STRING",
        ),
        ("case when i > 9 then null else l end", "5000000000", "BIGINT"),
        ("case when i > 9 then 'big' end", "null", "STRING"),
    ] {
        assert_eq!(
            evaluate(expression),
            (value.to_owned(), sql_type.to_owned()),
            "{expression}"
        );
    }
}

#[test]
fn casts() {
    for (expression, value, sql_type) in [
        ("cast(i as varchar)", r#""7""#, "STRING"),
        ("cast(d as varchar)", r#""2.5""#, "STRING"),
        ("cast(1e10 as varchar)", r#""1.0E10""#, "STRING"),
        ("cast(c as varchar)", r#""1.25""#, "STRING"),
        ("cast(b as varchar)", r#""true""#, "STRING"),
        ("cast(ts as varchar)", r#""1970-01-01T00:00:01.000""#, "STRING"),
        ("cast(dt as varchar)", r#""1970-01-02""#, "STRING"),
        ("cast(tm as varchar)", r#""01:02:03""#, "STRING"),
        ("cast(a as varchar)", r#""[1, 2, 3]""#, "STRING"),
        ("cast(m as varchar)", r#""{k=v}""#, "STRING"),
        (
            "cast(st as varchar)",
            r#""Struct{X=1,Y=Struct{Z=deep}}""#,
            "STRING",
        ),
        ("cast(' 12 ' as int)", "12", "INTEGER"),
        ("cast('x' as int)", "null", "INTEGER"),
        ("cast(d as int)", "2", "INTEGER"),
        ("cast(l as int)", "705032704", "INTEGER"),
        ("cast('yes' as boolean)", "true", "BOOLEAN"),
        ("cast('TR' as boolean)", "true", "BOOLEAN"),
        ("cast('fal' as boolean)", "false", "BOOLEAN"),
        ("cast('x' as boolean)", "false", "BOOLEAN"),
        ("cast('1.005' as decimal(3,2))", "1.01", "DECIMAL(3, 2)"),
        ("cast(i as decimal(3,2))", "7.00", "DECIMAL(3, 2)"),
        ("cast(l as decimal(3,2))", "null", "DECIMAL(3, 2)"),
        ("cast(c as int)", "1", "INTEGER"),
        ("cast('1e2' as double)", "100.0", "DOUBLE"),
        ("cast('1970-01-02' as timestamp)", "86400000", "TIMESTAMP"),
        ("cast('1970-01-02' as date)", "1", "DATE"),
        ("cast(ts as date)", "0", "DATE"),
        ("cast(dt as timestamp)", "86400000", "TIMESTAMP"),
        ("cast(ts as time)", "1000", "TIME"),
        ("cast('00:00:01' as time)", "1000", "TIME"),
        ("cast(a as array<varchar>)", r#"["1", "2", "3"]"#, "ARRAY<STRING>"),
        (
            "cast(st as struct<w int, x bigint>)",
            "[null, 1]",
            "STRUCT<`W` INTEGER, `X` BIGINT>",
        ),
        ("cast(null as int)", "null", "INTEGER"),
    ] {
        assert_eq!(
            evaluate(expression),
            (value.to_owned(), sql_type.to_owned()),
            "{expression}"
        );
    }
}

/// An error ends at the innermost function, cast or member of a constructor.
#[test]
fn what_fails_is_null_and_not_what_is_around_it() {
    for (expression, value) in [
        ("coalesce(cast(t as int), i)", "7"),
        ("array[1, cast(t as int)]", "[1, null]"),
        ("array[i / 0, i]", "[null, 7]"),
        ("map('a' := i / 0)", r#"{"a": null}"#),
        ("struct(a := i / 0)", "[null]"),
        ("coalesce(i / 0, i)", "null"),
        ("ifnull(parse_date(t, 'yyyy-MM-dd'), dt)", "1"),
        ("cast(i / 0 as varchar)", "null"),
        ("cast(t as int) is null", "true"),
        ("i / 0 is null", "null"),
        ("transform(array[1, null, 3], x => x + 1)", "null"),
        ("filter(array[1, null, 3], x => x > 1)", "[3]"),
        ("reduce(array[1, null], 0, (s, x) => s + x)", "null"),
        ("cast(null as varchar) + 'x'", r#""nullx""#),
        ("c / 3", "null"),
        ("m[1]", "null"),
    ] {
        assert_eq!(evaluate(expression).0, value, "{expression}");
    }
}

/// A text goes where a date, a time, a timestamp or bytes are wanted.
#[test]
fn texts_are_read_for_the_functions_that_want_something_else() {
    for (expression, value) in [
        (
            "format_timestamp('2024-03-01T07:08:09Z', 'yyyy-MM-dd HH:mm:ss')",
            r#""2024-03-01 07:08:09""#,
        ),
        ("format_date('2024-03-01', 'dd.MM.yyyy')", r#""01.03.2024""#),
        ("format_time('07:08', 'HH-mm')", r#""07-08""#),
        ("format_date(t, 'yyyy')", "null"),
        ("from_bytes('aGVsbG8=', 'utf8')", r#""hello""#),
        ("len('2024')", "4"),
    ] {
        assert_eq!(evaluate(expression).0, value, "{expression}");
    }
}

#[test]
fn lambdas() {
    for (expression, value, sql_type) in [
        ("transform(a, x => x * 2 + i)", "[9, 11, 13]", "ARRAY<INTEGER>"),
        (
            "transform(m, (k, v) => k + '!', (k, v) => cast(k = v as varchar))",
            r#"{"k!": "false"}"#,
            "MAP<STRING, STRING>",
        ),
        ("filter(a, x => x > 1)", "[2, 3]", "ARRAY<INTEGER>"),
        ("filter(m, (k, v) => v = 'w')", "{}", "MAP<STRING, STRING>"),
        ("reduce(a, 0, (s, x) => s + x)", "6", "INTEGER"),
        ("reduce(m, '', (s, k, v) => s + k + v)", r#""kv""#, "STRING"),
        (
            "transform(map('a' := 1, 'b' := 2), (k, v) => 'same', (k, v) => v)",
            "null",
            "MAP<STRING, INTEGER>",
        ),
        (
            "transform(m, (k, v) => k, (k, v) => nullif(v, v))",
            "null",
            "MAP<STRING, STRING>",
        ),
        (
            "filter(map('a' := 1, 'b' := cast(null as int)), (k, v) => true)",
            "null",
            "MAP<STRING, INTEGER>",
        ),
        (
            "filter(map('a' := 1, 'b' := cast(null as int)), (k, v) => k = 'a')",
            r#"{"a": 1}"#,
            "MAP<STRING, INTEGER>",
        ),
        (
            "filter(array[true, cast(null as boolean)], x => x)",
            "null",
            "ARRAY<BOOLEAN>",
        ),
        (
            "transform(array[a, a], x => reduce(x, 0, (s, y) => s + y + x[1]))",
            "[9, 9]",
            "ARRAY<INTEGER>",
        ),
    ] {
        assert_eq!(
            evaluate(expression),
            (value.to_owned(), sql_type.to_owned()),
            "{expression}"
        );
    }
}

#[test]
fn names_of_what_has_none() {
    let world = World::of(&format!(
        "{SOURCE} select i, i + 1, st->x, st->x, s.l, i * 2, m['k'] as KSQL_COL_1 from s emit changes;"
    ));
    let plan = world.last_plan.expect("there is a plan");
    let names: Vec<_> = plan
        .output()
        .columns
        .iter()
        .map(|column| column.name.as_str())
        .collect();
    assert_eq!(
        names,
        ["I", "KSQL_COL_0", "X", "X_1", "L", "KSQL_COL_2", "KSQL_COL_1"]
    );
}

#[test]
fn long_runs_of_concatenations_have_their_text() {
    let mut world = World::of(&format!(
        "create stream s (a varchar) with (kafka_topic='s', value_format='json');
         select a{} from s emit changes;",
        " || 'x' || a".repeat(1_000)
    ));
    world.send_all("s", &[r#"{"a":"y"}"#, r#"{"a":null}"#]);
    let long = format!("y{}", "xy".repeat(1_000));
    assert_eq!(
        world.rows,
        [format!("[{long:?}]@0"), format!("[{:?}]@1", "x".repeat(1_000))]
    );
}
