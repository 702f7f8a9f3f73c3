//! Functions of one string (or of bytes, where ksqlDB has both): case, length, parts, padding.

use md5::{Digest, Md5};

use super::arguments::{Kind, accepts, accepts_many, argument, bytes, count, text, whole};
use super::{FunctionError, ScalarFunction, random, utf16};
use crate::types::SqlType;
use crate::value::Value;

pub(super) static FUNCTIONS: &[ScalarFunction] = &[
    ScalarFunction::new(
        "LEN",
        "The length of a STRING in UTF-16 code units, or the number of BYTES.",
        |arguments| string_or_bytes(arguments, &[], &[]).map(|_| SqlType::Integer),
        |arguments| match argument(arguments, 0)? {
            Value::Bytes(bytes) => count(bytes.len()),
            _ => count(utf16::length(text(arguments, 0)?)),
        },
    ),
    ScalarFunction::new("UCASE", "The text in upper case.", of_string, |arguments| {
        Ok(Value::string(text(arguments, 0)?.to_uppercase()))
    }),
    ScalarFunction::new("LCASE", "The text in lower case.", of_string, |arguments| {
        Ok(Value::string(text(arguments, 0)?.to_lowercase()))
    }),
    ScalarFunction::new(
        "INITCAP",
        "The text with the first letter of each word in upper case and all others in lower case; \
         words end at white space.",
        of_string,
        |arguments| Ok(Value::string(capitalized(text(arguments, 0)?))),
    ),
    ScalarFunction::new(
        "TRIM",
        "The text without blanks and control characters at both ends.",
        of_string,
        |arguments| {
            Ok(Value::string(
                text(arguments, 0)?.trim_matches(|character| character <= ' '),
            ))
        },
    ),
    ScalarFunction::new(
        "MD5",
        "The MD5 digest of the text in hexadecimal digits.",
        of_string,
        |arguments| {
            let digest = Md5::digest(text(arguments, 0)?.as_bytes());
            let digits = digest.iter().map(|byte| format!("{byte:02x}"));
            Ok(Value::string(digits.collect::<String>()))
        },
    ),
    ScalarFunction::new(
        "SUBSTRING",
        "The part that begins at a position, to the end or of the given length. The first position is 1; \
         negative positions count from the end.",
        |arguments| string_or_bytes(arguments, &[Kind::Integer], &[Kind::Integer]),
        substring,
    ),
    ScalarFunction::new(
        "CONCAT",
        "The strings or bytes one after the other; NULL counts as empty.",
        |arguments| {
            let bytes = arguments.contains(&Some(SqlType::Bytes));
            let (kind, result) = if bytes {
                (Kind::Bytes, SqlType::Bytes)
            } else {
                (Kind::String, SqlType::String)
            };
            accepts_many(arguments, &[], kind).then_some(result)
        },
        |arguments| joined(None, arguments),
    )
    .with_own_nulls(),
    ScalarFunction::new(
        "CONCAT_WS",
        "The strings or bytes one after the other with a separator between them; NULL is skipped. \
         NULL where the separator is NULL.",
        |arguments| {
            let bytes = arguments.contains(&Some(SqlType::Bytes));
            let (kind, result) = if bytes {
                (Kind::Bytes, SqlType::Bytes)
            } else {
                (Kind::String, SqlType::String)
            };
            accepts_many(arguments, &[kind], kind).then_some(result)
        },
        |arguments| match argument(arguments, 0)? {
            Value::Null => Ok(Value::Null),
            separator => joined(Some(separator), &arguments[1..]),
        },
    )
    .with_own_nulls(),
    ScalarFunction::new(
        "REPLACE",
        "The text with every occurrence of a text replaced by another one.",
        |arguments| accepts(arguments, &[Kind::String; 3], &[]).then_some(SqlType::String),
        |arguments| {
            let replaced = text(arguments, 0)?.replace(text(arguments, 1)?, text(arguments, 2)?);
            Ok(Value::string(replaced))
        },
    ),
    ScalarFunction::new(
        "INSTR",
        "The position of a text in another one, or 0. The search begins at the position given (backwards \
         from there where it is negative) and finds the occurrence asked for.",
        |arguments| {
            let optional = [Kind::Integer, Kind::Integer];
            accepts(arguments, &[Kind::String; 2], &optional).then_some(SqlType::Integer)
        },
        instr,
    )
    .with_own_nulls(),
    ScalarFunction::new(
        "LPAD",
        "The text or bytes, filled on the left up to a length or cut to it.",
        padding_type,
        |arguments| pad(arguments, Side::Left),
    ),
    ScalarFunction::new(
        "RPAD",
        "The text or bytes, filled on the right up to a length or cut to it.",
        padding_type,
        |arguments| pad(arguments, Side::Right),
    ),
    ScalarFunction::new(
        "CHR",
        "The character of a code point, given as a number or as text such as \\u004b.",
        |arguments| {
            let fits = accepts(arguments, &[Kind::Integer], &[]) || accepts(arguments, &[Kind::String], &[]);
            fits.then_some(SqlType::String)
        },
        chr,
    ),
    ScalarFunction::new(
        "UUID",
        "A random UUID, or that of 16 bytes.",
        |arguments| {
            let fits = arguments.is_empty() || accepts(arguments, &[Kind::Bytes], &[]);
            fits.then_some(SqlType::String)
        },
        |arguments| {
            let Some(bytes) = arguments.first() else {
                return Ok(Value::string(random::uuid()));
            };
            Ok(match bytes {
                // Of another length they are none.
                Value::Bytes(bytes) => <[u8; 16]>::try_from(&**bytes).map_or(Value::Null, |bytes| {
                    Value::string(random::uuid_of(u128::from_be_bytes(bytes)))
                }),
                _ => Value::Null,
            })
        },
    ),
];

fn of_string(arguments: &[Option<SqlType>]) -> Option<SqlType> {
    accepts(arguments, &[Kind::String], &[]).then_some(SqlType::String)
}

/// The type of the first argument, if it is `STRING` or `BYTES` and the others fit.
fn string_or_bytes(arguments: &[Option<SqlType>], others: &[Kind], optional: &[Kind]) -> Option<SqlType> {
    let (first, rest) = arguments.split_first()?;
    let sql_type = first.clone().unwrap_or(SqlType::String);
    let fits = matches!(sql_type, SqlType::String | SqlType::Bytes) && accepts(rest, others, optional);
    fits.then_some(sql_type)
}

fn padding_type(arguments: &[Option<SqlType>]) -> Option<SqlType> {
    if accepts(arguments, &[Kind::String, Kind::Integer, Kind::String], &[]) {
        Some(SqlType::String)
    } else {
        accepts(arguments, &[Kind::Bytes, Kind::Integer, Kind::Bytes], &[]).then_some(SqlType::Bytes)
    }
}

fn capitalized(text: &str) -> String {
    let mut result = String::with_capacity(text.len());
    let mut begins = true;
    for character in text.chars() {
        if begins {
            result.extend(character.to_uppercase());
        } else {
            result.extend(character.to_lowercase());
        }
        begins = character.is_whitespace();
    }
    result
}

fn substring(arguments: &[Value]) -> Result<Value, FunctionError> {
    let position = whole(arguments, 1)?;
    let wanted = if arguments.len() > 2 {
        whole(arguments, 2)?
    } else {
        i64::MAX
    };
    let range = |length: usize| {
        let length = length as i64;
        let start = if position < 0 {
            (length + position).max(0)
        } else {
            (position - 1).clamp(0, length)
        };
        let end = start.saturating_add(wanted).clamp(start, length);
        // Both lie between 0 and the length.
        (start as usize, end as usize)
    };
    if let Value::Bytes(bytes) = argument(arguments, 0)? {
        let (start, end) = range(bytes.len());
        return Ok(Value::Bytes(bytes[start..end].into()));
    }
    let text = text(arguments, 0)?;
    let (start, end) = range(utf16::length(text));
    Ok(Value::string(utf16::slice(text, start, end)))
}

fn joined(separator: Option<&Value>, parts: &[Value]) -> Result<Value, FunctionError> {
    let parts = || parts.iter().filter(|part| !part.is_null());
    let is_bytes = parts()
        .chain(separator)
        .any(|part| matches!(part, Value::Bytes(_)));
    let mut joined = Vec::new();
    for (index, part) in parts().enumerate() {
        if let Some(separator) = separator
            && index > 0
        {
            joined.extend_from_slice(raw(separator)?);
        }
        joined.extend_from_slice(raw(part)?);
    }
    if is_bytes {
        return Ok(Value::Bytes(joined.into()));
    }
    // Strings put together are UTF-8 again.
    let text = String::from_utf8(joined).map_err(|error| FunctionError::new(error.to_string()))?;
    Ok(Value::string(text))
}

fn raw(value: &Value) -> Result<&[u8], FunctionError> {
    match value {
        Value::String(text) => Ok(text.as_bytes()),
        other => bytes(std::slice::from_ref(other), 0),
    }
}

fn instr(arguments: &[Value]) -> Result<Value, FunctionError> {
    if argument(arguments, 0)?.is_null() || argument(arguments, 1)?.is_null() {
        return Ok(Value::Integer(0));
    }
    if arguments[2..].iter().any(Value::is_null) {
        return Ok(Value::Null);
    }
    let text_units = utf16::units(text(arguments, 0)?);
    let wanted = utf16::units(text(arguments, 1)?);
    let position = if arguments.len() > 2 {
        whole(arguments, 2)?
    } else {
        1
    };
    let occurrence = if arguments.len() > 3 {
        whole(arguments, 3)?
    } else {
        1
    };
    let length = text_units.len();
    let distance = usize::try_from(position.unsigned_abs()).unwrap_or(usize::MAX);
    let (Ok(occurrence), 1..) = (usize::try_from(occurrence), distance) else {
        return Ok(Value::Integer(0));
    };
    if occurrence == 0 || distance > length || wanted.len() > length {
        return Ok(Value::Integer(0));
    }
    let is_here = |start: &usize| text_units[*start..].starts_with(&wanted);
    let last_start = length - wanted.len();
    let found = if position > 0 {
        (distance - 1..=last_start).filter(is_here).nth(occurrence - 1)
    } else {
        // An occurrence lies wholly before the position, which counts from the end.
        let end = length - distance + 1;
        let starts = 0..(end + 1).saturating_sub(wanted.len());
        starts.rev().filter(is_here).nth(occurrence - 1)
    };
    count(found.map_or(0, |start| start + 1))
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Side {
    Left,
    Right,
}

/// The longest result of a padding: what a record could hold.
const MAXIMUM_PADDED: usize = 16 << 20;

fn pad(arguments: &[Value], side: Side) -> Result<Value, FunctionError> {
    let Ok(length) = usize::try_from(whole(arguments, 1)?) else {
        return Ok(Value::Null);
    };
    if length > MAXIMUM_PADDED {
        return Err(FunctionError::new(format!("the length {length} is too large")));
    }
    if let Value::Bytes(input) = argument(arguments, 0)? {
        let padded = padded(input, length, bytes(arguments, 2)?, side);
        return Ok(padded.map_or(Value::Null, |padded| Value::Bytes(padded.into())));
    }
    let input = utf16::units(text(arguments, 0)?);
    let padding = utf16::units(text(arguments, 2)?);
    let padded = padded(&input, length, &padding, side);
    Ok(padded.map_or(Value::Null, |padded| Value::string(utf16::text(&padded))))
}

fn padded<T: Copy>(input: &[T], length: usize, padding: &[T], side: Side) -> Option<Vec<T>> {
    if padding.is_empty() {
        return None;
    }
    let fill = padding
        .iter()
        .copied()
        .cycle()
        .take(length.saturating_sub(input.len()));
    let kept = input.iter().copied().take(length);
    Some(match side {
        Side::Left => fill.chain(kept).collect(),
        Side::Right => kept.chain(fill).collect(),
    })
}

fn chr(arguments: &[Value]) -> Result<Value, FunctionError> {
    let code = match argument(arguments, 0)? {
        Value::String(code) => {
            let Some(units) = code
                .split("\\u")
                .skip(1)
                .map(hexadecimal_unit)
                .collect::<Option<Vec<u16>>>()
            else {
                return Ok(Value::Null);
            };
            let one = code
                .starts_with("\\u")
                .then(|| String::from_utf16(&units).ok())
                .flatten();
            return Ok(one
                .filter(|one| !one.is_empty())
                .map_or(Value::Null, Value::string));
        }
        _ => whole(arguments, 0)?,
    };
    let character = u32::try_from(code).ok().and_then(char::from_u32);
    Ok(character.map_or(Value::Null, |character| Value::string(character.to_string())))
}

fn hexadecimal_unit(digits: &str) -> Option<u16> {
    let valid = digits.len() == 4 && digits.bytes().all(|digit| digit.is_ascii_hexdigit());
    valid.then(|| u16::from_str_radix(digits, 16).ok()).flatten()
}

#[cfg(test)]
mod tests {
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
}
