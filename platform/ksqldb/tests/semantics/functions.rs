//! Scalar functions from statement to row: their types, their results, and how they fail.

use crate::script::{Record, World};

const SOURCE: &str = "create stream s (i int, l bigint, d double, c decimal(4,2), t varchar, b boolean,
    a array<int>, names array<varchar>, m map<varchar, varchar>, ts timestamp, dt date, tm time, nothing varchar)
    with (kafka_topic='s', value_format='json');";

const ROW: &str = r#"{"i":-7,"l":5000000000,"d":2.5,"c":1.25,"t":"Zażółć gęślą","b":true,"a":[3,1,2,3],
    "names":["b",null,"A"],"m":{"k":"v","a":"z"},"ts":1625429109123,"dt":18812,"tm":47109123}"#;

fn world(expression: &str) -> World {
    let mut world = World::of(&format!("{SOURCE} select {expression} as e from s emit changes;"));
    world.send(Record::new("s", 0, ROW));
    world
}

/// The value and the type of an expression.
fn evaluate(expression: &str) -> (String, String) {
    let mut world = world(expression);
    let plan = world.last_plan.as_ref().expect("there is a plan");
    let sql_type = plan.output().columns[0].sql_type.to_string();
    let row = world.rows.pop().expect("a row");
    let value = row.strip_prefix('[').and_then(|row| row.strip_suffix("]@0"));
    (value.expect("a row of one value").to_owned(), sql_type)
}

#[test]
fn results_and_types() {
    for (expression, value, sql_type) in [
        ("len(t)", "12", "INTEGER"),
        ("Ucase(t)", r#""ZAŻÓŁĆ GĘŚLĄ""#, "STRING"),
        ("substring(t, -5, 3)", r#""gęś""#, "STRING"),
        ("t || '!'", r#""Zażółć gęślą!""#, "STRING"),
        ("concat_ws('-', t, nothing, 'x')", r#""Zażółć gęślą-x""#, "STRING"),
        ("split('a,b', ',')", r#"["a", "b"]"#, "ARRAY<STRING>"),
        ("split_to_map('a=1;b=2', ';', '=')['b']", r#""2""#, "STRING"),
        ("instr(t, 'ż')", "3", "INTEGER"),
        ("lpad('7', 3, '0')", r#""007""#, "STRING"),
        ("regexp_extract('(\\w+)@', 'joe@host', 1)", r#""joe""#, "STRING"),
        ("mask('Ab1-', '*', '*', '*', null)", r#""***-""#, "STRING"),
        ("field('b', 'a', 'b')", "2", "INTEGER"),
        ("abs(i)", "7", "INTEGER"),
        ("abs(c)", "1.25", "DECIMAL(4, 2)"),
        ("round(d)", "3", "BIGINT"),
        ("round(c, 1)", "1.30", "DECIMAL(4, 2)"),
        ("floor(d)", "2.0", "DOUBLE"),
        ("sign(i)", "-1", "INTEGER"),
        ("sqrt(9)", "3.0", "DOUBLE"),
        ("greatest(i, null, 3)", "3", "INTEGER"),
        ("least(i, d)", "-7.0", "DOUBLE"),
        ("least(ts, '2000-01-01')", "946684800000", "TIMESTAMP"),
        ("md5('abc')", r#""900150983cd24fb0d6963f7d28e17f72""#, "STRING"),
        (
            "to_json_string(struct(b := i, a := array[struct(x := t)]))",
            r#""{\"B\":-7,\"A\":[{\"X\":\"Zażółć gęślą\"}]}""#,
            "STRING",
        ),
        ("unix_timestamp(ts)", "1625429109123", "BIGINT"),
        (
            "format_timestamp(ts, 'yyyy-MM-dd''T''HH:mm:ss.SSSX', 'America/Los_Angeles')",
            r#""2021-07-04T13:05:09.123-07""#,
            "STRING",
        ),
        (
            "unix_timestamp(timestampadd(days, 1, ts)) - unix_timestamp(ts)",
            "86400000",
            "BIGINT",
        ),
        ("unix_date(datesub(day, 12, dt))", "18800", "INTEGER"),
        (
            "format_time(timeadd(hours, 12, tm), 'HH:mm:ss')",
            r#""01:05:09""#,
            "STRING",
        ),
        ("format_date(dt, 'd MMMM yyyy')", r#""4 July 2021""#, "STRING"),
        ("stringtotimestamp('2021', 'yyyy')", "1609459200000", "BIGINT"),
        ("array_length(a)", "4", "INTEGER"),
        ("array_sort(names)", r#"["A", "b", null]"#, "ARRAY<STRING>"),
        ("array_max(a)", "3", "INTEGER"),
        ("array_contains(a, 2)", "true", "BOOLEAN"),
        ("array_distinct(a)", "[3, 1, 2]", "ARRAY<INTEGER>"),
        ("array_join(a, '+')", r#""3+1+2+3""#, "STRING"),
        ("slice(a, 2, 3)", "[1, 2]", "ARRAY<INTEGER>"),
        (
            "generate_series(l, l + 1)",
            "[5000000000, 5000000001]",
            "ARRAY<BIGINT>",
        ),
        ("map_keys(m)", r#"["a", "k"]"#, "ARRAY<STRING>"),
        ("entries(m, true)[1]->v", r#""z""#, "STRING"),
        ("as_map(names, a)['b']", "3", "INTEGER"),
        (
            "extractjsonfield('{\"a\":{\"b\":[1,2.50]}}', '$.a.b[1]')",
            r#""2.50""#,
            "STRING",
        ),
        ("to_json_string(m)", r#""{\"a\":\"z\",\"k\":\"v\"}""#, "STRING"),
        (
            "from_bytes(to_bytes('aff0', 'hex'), 'base64')",
            r#""r/A=""#,
            "STRING",
        ),
        ("url_extract_host('http://host:8080/x')", r#""host""#, "STRING"),
        ("coalesce(nothing, t)", r#""Zażółć gęślą""#, "STRING"),
        ("ifnull(i, 1)", "-7", "INTEGER"),
        ("nullif(i, -7)", "null", "INTEGER"),
        ("as_value(c)", "1.25", "DECIMAL(4, 2)"),
        ("len(nothing)", "null", "INTEGER"),
        ("concat(nothing, nothing)", r#""""#, "STRING"),
        ("abs(null)", "null", "DOUBLE"),
    ] {
        let evaluated = evaluate(expression);
        let expected = (value.to_owned(), sql_type.to_owned());
        assert_eq!(evaluated, expected, "{expression}");
    }
}

#[test]
fn a_widened_argument_is_of_the_results_type() {
    // A comparison of types, not only of numbers: both sides are DOUBLE.
    assert_eq!(evaluate("array[greatest(d, i)] = array[d]").0, "true");
}

#[test]
fn a_failing_function_leaves_null_and_a_line_in_the_log() {
    let mut world = world("parse_date(t, 'yyyy')");
    assert_eq!(world.rows.pop().as_deref(), Some("[null]@0"));
    let entry = world.log.pop().expect("an entry");
    assert!(
        entry.contains("`Zażółć gęślą` does not fit the date pattern `yyyy`"),
        "{entry}"
    );
}

#[test]
fn arguments_that_do_not_fit_are_refused_with_what_would() {
    let mut world = World::of(SOURCE);
    let error = world.error("select len(i) from s emit changes;");
    assert!(
        error.contains("Function 'len' does not accept parameters (INTEGER)."),
        "{error}"
    );
    assert!(error.contains("LEN(VARCHAR input)\nLEN(BYTES input)"), "{error}");
    for arguments in ["coalesce(i, l)", "ifnull(l, 1)", "case when b then i else l end"] {
        world.error(&format!("select {arguments} from s emit changes;"));
    }
    let error = world.error("select least(i, l) from s emit changes;");
    assert!(
        error.contains("cannot be resolved due to ambiguous method parameters (INTEGER, BIGINT)"),
        "{error}"
    );
}

#[test]
fn the_deepest_expressions_that_parse_also_run() {
    let calls = format!("{}t{}", "trim(".repeat(79), ")".repeat(79));
    assert_eq!(evaluate(&calls).0, r#""Zażółć gęślą""#);
    let chain = format!("i{}", " + 1".repeat(118));
    assert_eq!(evaluate(&chain).0, "111");
    let conditions = format!("i = -7{}", " and i <> 1".repeat(117));
    assert_eq!(evaluate(&conditions).0, "true");
    let long = format!("i{}", " + 1".repeat(5_000));
    assert_eq!(evaluate(&long).0, "4993");
    let texts = format!("t{}", " + 'x'".repeat(2_000));
    assert_eq!(evaluate(&texts).0.len(), evaluate("t").0.len() + 2_000);
    let conditions = format!("i = -7{}", " and i <> 1".repeat(4_000));
    assert_eq!(evaluate(&conditions).0, "true");
    let alternatives = format!("i = 0{} or i = -7", " or i = 1".repeat(4_000));
    assert_eq!(evaluate(&alternatives).0, "true");
    let cases = format!("{}i{}", "case when b then ".repeat(39), " end".repeat(39));
    assert_eq!(evaluate(&cases).0, "-7");
}
