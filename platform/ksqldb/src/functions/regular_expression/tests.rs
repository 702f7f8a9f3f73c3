use proptest::prelude::*;

use super::super::tests::{array, call, failing_call, i, s};
use super::*;

#[test]
fn extracting() {
    assert_eq!(
        call("REGEXP_EXTRACT", [s("(.*) (.*)"), s("hello there"), i(2)]),
        s("there")
    );
    assert_eq!(call("REGEXP_EXTRACT", [s(r"\w+"), s("--ab--")]), s("ab"));
    assert_eq!(call("REGEXP_EXTRACT", [s("x"), s("abc")]), Value::Null);
    assert_eq!(call("REGEXP_EXTRACT", [s("a"), s("abc"), i(1)]), Value::Null);
    assert_eq!(call("REGEXP_EXTRACT", [s("a"), s("abc"), i(-1)]), Value::Null);
    assert_eq!(call("REGEXP_EXTRACT", [s("a(x)?"), s("abc"), i(1)]), Value::Null);
    assert_eq!(call("REGEXP_EXTRACT", [Value::Null, s("abc")]), Value::Null);
    assert_eq!(
        call(
            "REGEXP_EXTRACT_ALL",
            [s(r"(\w+) (\w+)"), s("hello there nice day"), i(2)]
        ),
        array([s("there"), s("day")])
    );
    assert_eq!(call("REGEXP_EXTRACT_ALL", [s("x"), s("abc")]), array([]));
    assert_eq!(
        call("REGEXP_EXTRACT_ALL", [s(".*"), s("ab")]),
        array([s("ab"), s("")])
    );
}

#[test]
fn replacing() {
    let replace = |input: &str, pattern: &str, replacement: &str| {
        call("REGEXP_REPLACE", [s(input), s(pattern), s(replacement)])
    };
    assert_eq!(replace("axb ayyb", "a.b", "-"), s("- ayyb"));
    assert_eq!(replace("john smith", r"(\w+) (\w+)", "$2 $1"), s("smith john"));
    assert_eq!(replace("ab", "(a)", "$10"), s("a0b"));
    assert_eq!(replace("foo", "o*", "x"), s("xfxx"));
    assert_eq!(replace("ab", ".*", "x"), s("xx"));
    assert_eq!(replace("über", "", "-"), s("-ü-b-e-r-"));
    assert_eq!(replace("aab", "(?<=a)a", "x"), s("axb"));
    assert_eq!(replace("ab", "(?<first>a)", r"${first}\$"), s("a$b"));
    for bad in ["$", "$9", "${x}", "\\"] {
        assert!(
            failing_call("REGEXP_REPLACE", [s("a"), s("a"), s(bad)]).is_err(),
            "{bad}"
        );
    }
}

#[test]
fn splitting() {
    let split = |input: &str, pattern: &str| call("REGEXP_SPLIT_TO_ARRAY", [s(input), s(pattern)]);
    assert_eq!(split("a1b22c", "[0-9]+"), array(["a", "b", "c"].map(s)));
    assert_eq!(split("xaxbx", "x"), array(["", "a", "b", ""].map(s)));
    assert_eq!(split("abc", "z"), array([s("abc")]));
    assert_eq!(split("abc", ""), array(["a", "b", "c"].map(s)));
    assert_eq!(split("", "x"), array([s("")]));
    assert_eq!(split("", ""), array([s("")]));
    assert_eq!(split("abbc", "b*"), array(["a", "", "c"].map(s)));
    assert_eq!(split("xxab", "x*"), array(["", "", "a", "b"].map(s)));
    assert_eq!(split("aBcD", "(?=[A-Z])"), array(["a", "Bc", "D"].map(s)));
    assert_eq!(split("abc", "(?<=b)|(?<=c)"), array(["ab", "c"].map(s)));
    assert_eq!(split("üa", ""), array(["ü", "a"].map(s)));
}

#[test]
fn patterns_mean_what_they_mean_in_java() {
    let extract = |pattern: &str, input: &str| call("REGEXP_EXTRACT", [s(pattern), s(input)]);
    assert_eq!(extract(r"\d+", "٣٤5"), s("5"));
    assert_eq!(extract(r"[\d.]+", "v1.2x"), s("1.2"));
    assert_eq!(extract(r"[^\d]+", "12ab"), s("ab"));
    assert_eq!(extract(r"\Qa.b\E.", "axb a.bc"), s("a.bc"));
    assert_eq!(extract(r"\\d", r"5\d"), s(r"\d"));
    assert_eq!(extract(r"\<b\>", "<b>"), s("<b>"));
    assert_eq!(extract(r"\b(?=b)\w+", "ab bc"), s("bc"));
    assert_eq!(extract(r"(?<!a)b\d", "ab1 b2"), s("b2"));
    assert_eq!(extract(r"(\w)\1", "abccd"), s("cc"));
    assert_eq!(extract("(?>a+)b", "aab"), s("aab"));
    let error = failing_call("REGEXP_EXTRACT", [s("a("), s("ab")]).unwrap_err();
    assert!(
        error.to_string().starts_with("invalid regular expression `a(`"),
        "{error}"
    );
    // A search that would take for ever ends.
    let slow = failing_call("REGEXP_EXTRACT", [s(r"(a|b|ab)*(?=c)$"), s(&"ab".repeat(40))]);
    assert!(slow.is_err() || slow.is_ok_and(|value| value == Value::Null));
}

proptest! {
    #[test]
    fn no_pattern_panics(pattern in any::<String>(), replacement in any::<String>(), input in any::<String>()) {
        let _ = failing_call("REGEXP_EXTRACT", [s(&pattern), s(&input)]);
        let _ = failing_call("REGEXP_REPLACE", [s(&input), s(&pattern), s(&replacement)]);
        let _ = failing_call("REGEXP_SPLIT_TO_ARRAY", [s(&input), s(&pattern)]);
    }

    #[test]
    fn ascii_patterns_compile_or_say_why(pattern in "[a-c\\\\dwsbQE.*+?()\\[\\]^$|{}0-9]{0,12}") {
        let _ = failing_call("REGEXP_EXTRACT_ALL", [s(&pattern), s("abc 123")]);
    }
}

#[test]
fn possessive_quantifiers_give_nothing_back() {
    let extract = |pattern: &str, input: &str| call("REGEXP_EXTRACT", [s(pattern), s(input)]);
    assert_eq!(extract("a*+a", "aaa"), Value::Null);
    assert_eq!(extract("a?+b", "aab"), s("ab"));
    assert_eq!(extract("a{1,2}+a", "aa"), Value::Null);
    assert_eq!(extract(r"\w++b", "aab"), Value::Null);
    assert_eq!(extract(r#""[^"]*+""#, r#"x "y" z"#), s(r#""y""#));
    for (pattern, input, expected) in [
        (r"\++", "a++", "++"),
        ("[*+]+", "a*+", "*+"),
        (r"\x{61}+", "aab", "aa"),
        ("(?:a+)+", "aab", "aa"),
        ("a+?", "aab", "a"),
    ] {
        assert_eq!(extract(pattern, input), s(expected), "{pattern}");
    }
}
