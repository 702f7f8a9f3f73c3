use proptest::prelude::*;

use super::super::tests::{call, i, result_type, s};
use super::*;

fn b(bytes: &[u8]) -> Value {
    Value::Bytes(bytes.into())
}

#[test]
fn lengths_are_utf16_code_units_or_bytes() {
    assert_eq!(call("LEN", [s("")]), i(0));
    assert_eq!(call("LEN", [s("żółw")]), i(4));
    assert_eq!(call("LEN", [s("a😀")]), i(3));
    assert_eq!(call("LEN", [b(&[1, 2])]), i(2));
    assert_eq!(call("LEN", [Value::Null]), Value::Null);
    assert_eq!(result_type("LEN", [SqlType::Integer]), None);
    assert_eq!(result_type("LEN", [SqlType::Bytes]), Some(SqlType::Integer));
}

#[test]
fn case_and_blanks() {
    assert_eq!(call("UCASE", [s("straße")]), s("STRASSE"));
    assert_eq!(call("LCASE", [s("ÀB")]), s("àb"));
    assert_eq!(
        call("INITCAP", [s("the qUICK\tbrown  fox")]),
        s("The Quick\tBrown  Fox")
    );
    assert_eq!(call("TRIM", [s(" \t\n a b \0")]), s("a b"));
    assert_eq!(call("UCASE", [Value::Null]), Value::Null);
}

#[test]
fn substrings_count_from_one_or_from_the_end() {
    for (arguments, expected) in [
        (vec![s("stream"), i(1), i(4)], "stre"),
        (vec![s("stream"), i(3)], "ream"),
        (vec![s("stream"), i(0)], "stream"),
        (vec![s("stream"), i(-3)], "eam"),
        (vec![s("stream"), i(-3), i(2)], "ea"),
        (vec![s("stream"), i(-30), i(2)], "st"),
        (vec![s("stream"), i(7)], ""),
        (vec![s("stream"), i(70), i(2)], ""),
        (vec![s("stream"), i(2), i(-1)], ""),
        (vec![s("a😀b"), i(2), i(2)], "😀"),
        (vec![s("a😀b"), i(4)], "b"),
    ] {
        assert_eq!(call("SUBSTRING", &arguments), s(expected), "{arguments:?}");
    }
    assert_eq!(call("SUBSTRING", [b(&[1, 2, 3]), i(-2), i(1)]), b(&[2]));
    assert_eq!(call("SUBSTRING", [s("x"), Value::Null]), Value::Null);
}

#[test]
fn strings_are_put_together() {
    assert_eq!(call("CONCAT", [s("a"), Value::Null, s("b")]), s("ab"));
    assert_eq!(call("CONCAT", [Value::Null, Value::Null]), s(""));
    assert_eq!(call("CONCAT", [b(&[1]), b(&[2, 3])]), b(&[1, 2, 3]));
    assert_eq!(result_type("CONCAT", [SqlType::String, SqlType::Integer]), None);
    assert_eq!(result_type("CONCAT", [SqlType::String, SqlType::Bytes]), None);
    assert_eq!(result_type("CONCAT", []), None);
    let parts = [s(", "), s("apple"), s("banana"), Value::Null, s("date")];
    assert_eq!(call("CONCAT_WS", &parts), s("apple, banana, date"));
    assert_eq!(call("CONCAT_WS", [Value::Null, s("a")]), Value::Null);
    assert_eq!(call("CONCAT_WS", [b(&[0]), b(&[1]), b(&[2])]), b(&[1, 0, 2]));
    assert_eq!(call("REPLACE", [s("foo foo"), s("oo"), s("x")]), s("fx fx"));
    assert_eq!(call("REPLACE", [s("ab"), s(""), s("-")]), s("-a-b-"));
}

#[test]
fn positions_of_texts() {
    let floor = s("CORPORATE FLOOR");
    for (arguments, expected) in [
        (vec![s("OR")], 2),
        (vec![s("OR"), i(3)], 5),
        (vec![s("OR"), i(3), i(2)], 14),
        (vec![s("OR"), i(-3)], 5),
        (vec![s("OR"), i(-3), i(2)], 2),
        (vec![s("OR"), i(-1)], 14),
        (vec![s("OR"), i(-3), i(3)], 0),
        (vec![s("MISSING")], 0),
        (vec![s("OR"), i(0)], 0),
        (vec![s("OR"), i(16)], 0),
        (vec![s("OR"), i(1), i(0)], 0),
        (vec![s("OR"), i(1), i(-1)], 0),
        (vec![s("")], 1),
        (vec![Value::Null], 0),
    ] {
        let mut all = vec![floor.clone()];
        all.extend(arguments.clone());
        assert_eq!(call("INSTR", &all), i(expected), "{arguments:?}");
    }
    assert_eq!(call("INSTR", [Value::Null, s("a")]), i(0));
    assert_eq!(call("INSTR", [s("😀a"), s("a")]), i(3));
    assert_eq!(call("INSTR", [s("a"), s("a"), Value::Null]), Value::Null);
}

#[test]
fn padding() {
    assert_eq!(call("LPAD", [s("Foo"), i(7), s("Bar")]), s("BarBFoo"));
    assert_eq!(call("LPAD", [s("Foo"), i(2), s("Bar")]), s("Fo"));
    assert_eq!(call("LPAD", [s("123"), i(5), s("0")]), s("00123"));
    assert_eq!(call("RPAD", [s("Foo"), i(7), s("Bar")]), s("FooBarB"));
    assert_eq!(call("RPAD", [s(""), i(2), s("Bar")]), s("Ba"));
    assert_eq!(call("RPAD", [s("Foo"), i(-1), s("Bar")]), Value::Null);
    assert_eq!(call("RPAD", [s("Foo"), i(5), s("")]), Value::Null);
    assert_eq!(call("RPAD", [s("Foo"), i(5), Value::Null]), Value::Null);
    assert_eq!(call("LPAD", [b(&[1]), i(3), b(&[9])]), b(&[9, 9, 1]));
}

#[test]
fn characters_of_code_points() {
    assert_eq!(call("CHR", [i(75)]), s("K"));
    assert_eq!(call("CHR", [i(22909)]), s("好"));
    assert_eq!(call("CHR", [s("\\u004b")]), s("K"));
    assert_eq!(call("CHR", [s("\\ud83d\\ude00")]), s("😀"));
    for invalid in [
        i(-1),
        i(0x11_0000),
        i(0xd800),
        s("K"),
        s("\\u"),
        s("\\uxyzw"),
        s(""),
        Value::Null,
    ] {
        assert_eq!(call("CHR", [invalid]), Value::Null);
    }
}

proptest! {
    #[test]
    fn parts_of_a_string_make_it_up(text in any::<String>(), cut in 0_i32..20) {
        let mut length = 0;
        if let Value::Integer(units) = call("LEN", [s(&text)]) {
            length = units;
        }
        let cut = cut.min(length);
        let left = call("SUBSTRING", [s(&text), i(1), i(cut)]);
        let right = call("SUBSTRING", [s(&text), i(cut + 1)]);
        if let (Value::String(left), Value::String(right)) = (left, right)
            && !left.ends_with('\u{fffd}')
        {
            prop_assert_eq!(format!("{left}{right}"), text);
        }
    }

    #[test]
    fn what_is_found_is_there(text in "[ab😀]{0,12}", wanted in "[ab😀]{1,3}", position in -13_i32..13) {
        let found = call("INSTR", [s(&text), s(&wanted), i(position)]);
        if let Value::Integer(found @ 1..) = found {
            let length = call("LEN", [s(&wanted)]);
            prop_assert_eq!(call("SUBSTRING", [s(&text), i(found), length]), s(&wanted));
        }
    }
}
