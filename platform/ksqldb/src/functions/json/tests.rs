use proptest::prelude::*;

use super::super::tests::{array, call, decimal, failing_call, i, s};
use super::*;

#[test]
fn extracting() {
    let json = r#"{"log": {"cloud": "gcp\u0041", "instance": 4, "list": [1, {"a": 1.10}], "nothing": null}, "x": 1, "x": 2}"#;
    let extract = |path: &str| call("EXTRACTJSONFIELD", [s(json), s(path)]);
    for (path, expected) in [
        ("$.log.cloud", "gcpA"),
        ("$.log.instance", "4"),
        ("$.log.list", r#"[1,{"a":1.10}]"#),
        ("$.log.list[1].a", "1.10"),
        ("$.log.nothing", "null"),
        ("$[\"x\"]", "2"),
    ] {
        assert_eq!(extract(path), s(expected), "{path}");
    }
    for path in [
        "$.nothing",
        "$.log.cloud.x",
        "$.log.list[2]",
        "$.log.list.a",
        "$.log[0]",
    ] {
        assert_eq!(extract(path), Value::Null, "{path}");
    }
    assert_eq!(call("EXTRACTJSONFIELD", [Value::Null, s("$.a")]), Value::Null);
    assert_eq!(call("EXTRACTJSONFIELD", [s(""), s("$.a")]), Value::Null);
    assert!(failing_call("EXTRACTJSONFIELD", [s("{"), s("$.a")]).is_err());
    assert!(failing_call("EXTRACTJSONFIELD", [s("{}"), s("a")]).is_err());
}

#[test]
fn what_is_json() {
    for json in ["[1, 2, 3]", "{}", "1", "\"abc\"", "null", " true "] {
        assert_eq!(call("IS_JSON_STRING", [s(json)]), Value::Boolean(true), "{json}");
    }
    for json in [s(""), s(" "), s("abc"), s("{"), Value::Null] {
        assert_eq!(call("IS_JSON_STRING", [json]), Value::Boolean(false));
    }
}

#[test]
fn arrays() {
    let length = |json: &str| call("JSON_ARRAY_LENGTH", [s(json)]);
    assert_eq!(length("[1, [1, [2]], 3]"), i(3));
    assert_eq!(length("[]"), i(0));
    for json in ["{}", "123", ""] {
        assert_eq!(length(json), Value::Null);
    }
    assert_eq!(call("JSON_ARRAY_LENGTH", [Value::Null]), Value::Null);
    assert!(failing_call("JSON_ARRAY_LENGTH", [s("abc")]).is_err());
    let items = call("JSON_ITEMS", [s(r#"[{"a": 1}, "x", 2.50]"#)]);
    assert_eq!(items, array([r#"{"a":1}"#, r#""x""#, "2.50"].map(s)));
    let contains = |json: &str, value: Value| call("JSON_ARRAY_CONTAINS", [s(json), value]);
    for (value, expected) in [
        (i(3), true),
        (Value::Bigint(3), true),
        (i(4), false),
        (Value::Double(1.5), true),
        (decimal("1.50"), true),
        (Value::Double(3.0), false),
        (s("x"), true),
        (s("3"), false),
        (Value::Boolean(true), true),
        (Value::Boolean(false), false),
        (Value::Null, true),
    ] {
        let json = r#"[1, 2, 3, 1.5, "x", true, null, [4]]"#;
        assert_eq!(
            contains(json, value.clone()),
            Value::Boolean(expected),
            "{value:?}"
        );
    }
    for json in ["{}", "[1", "", "3"] {
        assert_eq!(contains(json, i(3)), Value::Boolean(false));
    }
    assert_eq!(
        call("JSON_ARRAY_CONTAINS", [Value::Null, i(3)]),
        Value::Boolean(false)
    );
}

#[test]
fn objects() {
    let json = s(r#"{"b": "abc", "a": { "c": "a" }, "d": 1, "b": 2}"#);
    assert_eq!(call("JSON_KEYS", [json.clone()]), array(["b", "a", "d"].map(s)));
    assert_eq!(call("JSON_KEYS", [s("{}")]), array([]));
    let records = [("b", "2"), ("a", r#"{"c":"a"}"#), ("d", "1")];
    let records = Value::map(records.map(|(name, value)| (name.into(), s(value))));
    assert_eq!(call("JSON_RECORDS", [json]), records);
    for json in [s("[]"), s("123"), s(""), Value::Null] {
        assert_eq!(call("JSON_KEYS", [json.clone()]), Value::Null);
        assert_eq!(call("JSON_RECORDS", [json]), Value::Null);
    }
}

#[test]
fn concatenating() {
    for (left, right, expected) in [
        (r#"{"a": 1}"#, r#"{"b": 2}"#, r#"{"a":1,"b":2}"#),
        (r#"{"a": {"5": 6}}"#, r#"{"a": {"3": 4}}"#, r#"{"a":{"3":4}}"#),
        ("{}", "{}", "{}"),
        ("[1, 2]", "[3, 4]", "[1,2,3,4]"),
        ("[1, [2]]", "[[[3]], [[[4]]]]", "[1,[2],[[3]],[[[4]]]]"),
        ("null", "null", "[null,null]"),
        ("[1, 2]", r#"{"a": 1}"#, r#"[1,2,{"a":1}]"#),
        ("1", "2", "[1,2]"),
        ("[]", "[]", "[]"),
    ] {
        assert_eq!(call("JSON_CONCAT", [s(left), s(right)]), s(expected));
    }
    assert_eq!(call("JSON_CONCAT", [s(" 1 ")]), s("1"));
    assert_eq!(call("JSON_CONCAT", [Value::Null, s("[1]")]), Value::Null);
    assert_eq!(call("JSON_CONCAT", [s(""), s("[1]")]), Value::Null);
    assert!(failing_call("JSON_CONCAT", [s("abc"), s("[1]")]).is_err());
}

#[test]
fn values_as_json() {
    let map = Value::map([("d".into(), i(4)), ("c".into(), i(2))]);
    for (value, expected) in [
        (i(1), "1"),
        (decimal("15.30"), "15.30"),
        (Value::Double(1e10), "1.0E10"),
        (s("a\"b"), r#""a\"b""#),
        (Value::Boolean(true), "true"),
        (Value::Date(18_911), r#""2021-10-11""#),
        (Value::Time(48_300_000), r#""13:25""#),
        (
            Value::Timestamp(1_625_055_519_446),
            r#""2021-06-30T12:18:39.446""#,
        ),
        (Value::Bytes([1, 2].into()), r#""AQI=""#),
        (Value::Null, "null"),
        (array([i(1), Value::Null]), "[1,null]"),
        (array([map]), r#"[{"c":2,"d":4}]"#),
    ] {
        assert_eq!(call("TO_JSON_STRING", [value]), s(expected));
    }
}

proptest! {
    #[test]
    fn what_is_written_is_json(text in any::<String>()) {
        let json = call("TO_JSON_STRING", [array([s(&text)])]);
        prop_assert_eq!(call("EXTRACTJSONFIELD", [json.clone(), s("$[0]")]), s(&text));
        prop_assert_eq!(call("JSON_ARRAY_CONTAINS", [json, s(&text)]), Value::Boolean(true));
    }

    #[test]
    fn no_text_panics(text in "[\\[\\]{}:,\"a1. nulte-]{0,20}") {
        for function in FUNCTIONS {
            let _ = (function.call)(&[s(&text), s("$.a")]);
        }
    }
}
