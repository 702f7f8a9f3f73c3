use super::*;

fn items(pattern: &str) -> Vec<Item> {
    Pattern::parse(pattern).unwrap().items
}

#[test]
fn literals_join_and_quotes_double() {
    assert_eq!(items("'T'-''"), [Item::Literal("T-'".to_owned())]);
    assert_eq!(items("'o''clock'"), [Item::Literal("o'clock".to_owned())]);
}

#[test]
fn optional_parts_nest_and_close_at_the_end() {
    let seconds = Item::Optional(vec![
        Item::Literal(":".to_owned()),
        item('s', 2).unwrap(),
        Item::Optional(vec![Item::Literal(".".to_owned()), Item::Fraction(3)]),
    ]);
    assert_eq!(items("mm[:ss[.SSS]]"), [item('m', 2).unwrap(), seconds.clone()]);
    assert_eq!(items("mm[:ss[.SSS"), [item('m', 2).unwrap(), seconds]);
}

#[test]
fn what_is_no_pattern_is_named() {
    for (pattern, reason) in [
        ("yyyy 'T", "a quote is not closed"),
        ("yyyy]", "a `]` closes no `[`"),
        ("{yyyy}", "`{` is reserved"),
        ("ddd", "Too many pattern letters: d"),
        ("pp", "nothing follows the padding"),
        ("pppp:", "nothing follows the padding"),
        ("WW", "Too many pattern letters: W"),
        ("b", "Unknown pattern letter: b"),
        ("SSSSSSSSSS", "Too many pattern letters: S"),
        (
            "HH:mm zzzz",
            "the full names of time zones (`zzzz`) are not known here; `z` is their short names",
        ),
    ] {
        let error = Pattern::parse(pattern).unwrap_err().to_string();
        assert_eq!(error, format!("invalid date pattern `{pattern}`: {reason}"));
        // What an earlier version let in is not lost.
        assert_eq!(
            Pattern::parse_let_in(pattern).is_ok(),
            pattern.contains("zzzz"),
            "{pattern}"
        );
    }
    assert!(Pattern::parse(&"[".repeat(100_000)).is_err());
}
