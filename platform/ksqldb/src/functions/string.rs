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
mod tests;
