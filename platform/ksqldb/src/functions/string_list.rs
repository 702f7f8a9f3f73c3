//! Functions between strings and lists of strings: splitting, and choosing one of several.

use std::sync::Arc;

use super::arguments::{Kind, accepts, accepts_many, argument, array_of, bytes, text, whole};
use super::{FunctionError, ScalarFunction};
use crate::types::SqlType;
use crate::value::Value;

pub(super) static FUNCTIONS: &[ScalarFunction] = &[
    ScalarFunction::new(
        "SPLIT",
        "The parts between delimiters, as an array. An empty delimiter splits every character or byte.",
        |arguments| {
            let sql_type = match arguments {
                [Some(SqlType::Bytes), _] | [_, Some(SqlType::Bytes)] => SqlType::Bytes,
                _ => SqlType::String,
            };
            let kind = if sql_type == SqlType::Bytes {
                Kind::Bytes
            } else {
                Kind::String
            };
            accepts(arguments, &[kind; 2], &[]).then(|| SqlType::Array(Box::new(sql_type)))
        },
        split,
    ),
    ScalarFunction::new(
        "SPLIT_TO_MAP",
        "The key-value pairs in a text as a map, from the delimiter between pairs and the one inside a pair.",
        |arguments| {
            let map = || SqlType::Map(Box::new(SqlType::String), Box::new(SqlType::String));
            accepts(arguments, &[Kind::String; 3], &[]).then(map)
        },
        split_to_map,
    ),
    ScalarFunction::new(
        "FIELD",
        "The place of a text among the texts after it, from 1; 0 where it is not among them or NULL.",
        |arguments| accepts_many(arguments, &[Kind::String], Kind::String).then_some(SqlType::Integer),
        |arguments| {
            let wanted = argument(arguments, 0)?;
            let place = arguments[1..]
                .iter()
                .position(|text| text == wanted && !text.is_null());
            Ok(Value::Integer(place.map_or(0, |place| place as i32 + 1)))
        },
    )
    .with_own_nulls(),
    ScalarFunction::new(
        "ELT",
        "The text at a place among the texts after it, from 1; NULL where there is none.",
        |arguments| accepts_many(arguments, &[Kind::Integer], Kind::String).then_some(SqlType::String),
        |arguments| {
            if argument(arguments, 0)?.is_null() {
                return Ok(Value::Null);
            }
            let place = usize::try_from(whole(arguments, 0)?)
                .ok()
                .filter(|place| *place > 0);
            Ok(place
                .and_then(|place| arguments.get(place))
                .cloned()
                .unwrap_or(Value::Null))
        },
    )
    .with_own_nulls(),
];

fn split(arguments: &[Value]) -> Result<Value, FunctionError> {
    if let Value::Bytes(input) = argument(arguments, 0)? {
        let parts = split_bytes(input, bytes(arguments, 1)?);
        return array_of(parts.into_iter().map(|part| Value::Bytes(part.into())));
    }
    let (input, delimiter) = (text(arguments, 0)?, text(arguments, 1)?);
    if !delimiter.is_empty() {
        array_of(input.split(delimiter).map(Value::string))
    } else if input.is_empty() {
        array_of([Value::string("")].into_iter())
    } else {
        array_of(
            input
                .chars()
                .map(|character| Value::string(character.to_string())),
        )
    }
}

fn split_bytes<'input>(input: &'input [u8], delimiter: &[u8]) -> Vec<&'input [u8]> {
    if input.is_empty() {
        return vec![input];
    }
    if delimiter.is_empty() {
        return input.chunks(1).collect();
    }
    let mut parts = Vec::new();
    let mut rest = input;
    while let Some(end) = rest
        .windows(delimiter.len())
        .position(|window| window == delimiter)
    {
        parts.push(&rest[..end]);
        rest = &rest[end + delimiter.len()..];
    }
    parts.push(rest);
    parts
}

fn split_to_map(arguments: &[Value]) -> Result<Value, FunctionError> {
    let (input, between, inside) = (text(arguments, 0)?, text(arguments, 1)?, text(arguments, 2)?);
    if between.is_empty() || inside.is_empty() {
        return Ok(Value::Null);
    }
    let pairs = input.split(between).filter_map(|pair| {
        let mut parts = pair.split(inside);
        let (key, value) = (parts.next()?, parts.next()?);
        // What follows a second delimiter belongs to nothing.
        Some((Arc::from(key), Value::string(value)))
    });
    Ok(Value::map(pairs))
}

#[cfg(test)]
mod tests {
    use super::super::tests::{array, call, failing_call, i, result_type, s};
    use super::*;

    #[test]
    fn splitting() {
        let split = |input: &str, delimiter: &str| call("SPLIT", [s(input), s(delimiter)]);
        assert_eq!(split("a-b--c", "-"), array(["a", "b", "", "c"].map(s)));
        assert_eq!(split("-a-", "-"), array(["", "a", ""].map(s)));
        assert_eq!(split("abc", "x"), array([s("abc")]));
        assert_eq!(split("", "x"), array([s("")]));
        assert_eq!(split("aż😀", ""), array(["a", "ż", "😀"].map(s)));
        assert_eq!(split("", ""), array([s("")]));
        assert_eq!(call("SPLIT", [Value::Null, s("x")]), Value::Null);
        let bytes = |bytes: &[u8]| Value::Bytes(bytes.into());
        assert_eq!(
            call("SPLIT", [bytes(&[1, 0, 0, 2, 0, 0]), bytes(&[0, 0])]),
            array([bytes(&[1]), bytes(&[2]), bytes(&[])])
        );
        assert_eq!(
            call("SPLIT", [bytes(&[1, 2]), bytes(&[])]),
            array([bytes(&[1]), bytes(&[2])])
        );
        assert_eq!(call("SPLIT", [bytes(&[]), bytes(&[])]), array([bytes(&[])]));
        assert_eq!(result_type("SPLIT", [SqlType::Bytes, SqlType::String]), None);
    }

    #[test]
    fn a_text_that_falls_into_too_many_parts_is_left_whole() {
        let long = "x".repeat(2_000_001);
        let delimited = ",".repeat(2_000_001);
        for (function, input, delimiter) in [
            ("SPLIT", &long, ""),
            ("SPLIT", &delimited, ","),
            ("REGEXP_SPLIT_TO_ARRAY", &long, ""),
            ("REGEXP_SPLIT_TO_ARRAY", &delimited, ","),
        ] {
            let called = failing_call(function, [s(input), s(delimiter)]);
            assert!(
                called.unwrap_err().to_string().contains("is too long"),
                "{function}"
            );
        }
    }

    #[test]
    fn splitting_to_a_map() {
        let map =
            |pairs: &[(&str, &str)]| Value::map(pairs.iter().map(|(key, value)| (Arc::from(*key), s(value))));
        let split = |input: &str, between: &str, inside: &str| {
            call("SPLIT_TO_MAP", [s(input), s(between), s(inside)])
        };
        assert_eq!(
            split("apple:=green/cherry:=red", "/", ":="),
            map(&[("apple", "green"), ("cherry", "red")])
        );
        assert_eq!(
            split("a=1;a=2;b;;c=1=2;d=", ";", "="),
            map(&[("a", "2"), ("c", "1"), ("d", "")])
        );
        assert_eq!(split("", ";", "="), map(&[]));
        assert_eq!(split("a=1", "", "="), Value::Null);
        assert_eq!(split("a=1", ";", ""), Value::Null);
        assert_eq!(call("SPLIT_TO_MAP", [Value::Null, s(";"), s("=")]), Value::Null);
    }

    #[test]
    fn choosing() {
        assert_eq!(call("FIELD", [s("b"), s("a"), s("b")]), i(2));
        assert_eq!(call("FIELD", [s("c"), s("a"), Value::Null]), i(0));
        assert_eq!(call("FIELD", [Value::Null, Value::Null]), i(0));
        assert_eq!(call("ELT", [i(2), s("a"), s("b")]), s("b"));
        assert_eq!(call("ELT", [i(2), s("a"), Value::Null]), Value::Null);
        for place in [i(0), i(3), i(-1), Value::Null] {
            assert_eq!(call("ELT", [place, s("a"), s("b")]), Value::Null);
        }
        assert_eq!(result_type("ELT", [SqlType::Integer]), None);
    }
}
