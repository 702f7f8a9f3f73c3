//! The `DELIMITED` format: one line of separated values, quoted where they must be, empty for `NULL`.

use super::number::{double_of_text, double_text, parse_decimal, round_to_fit, time_of_day};
use super::{SerdeError, base64};
use crate::types::SqlType;
use crate::value::Value;

/// Whether the format has values of that type.
pub(super) fn supports(sql_type: &SqlType) -> bool {
    !matches!(
        sql_type,
        SqlType::Array(_) | SqlType::Map(..) | SqlType::Struct(_)
    )
}

/// Splits a line; `None` is a value that is empty and not quoted.
pub(super) fn split(line: &str, delimiter: char) -> Result<Vec<Option<String>>, SerdeError> {
    let mut values = Vec::new();
    let mut rest = line;
    loop {
        if let Some(quoted) = rest.strip_prefix('"') {
            let (value, after) = unquote(quoted)?;
            values.push(Some(value));
            // Blanks may stand before the delimiter.
            let after = after.trim_start_matches(|blank: char| blank.is_whitespace() && blank != delimiter);
            match after.strip_prefix(delimiter) {
                Some(after) => rest = after,
                None if after.is_empty() => return Ok(values),
                None => {
                    return Err(SerdeError::new(
                        "invalid char between encapsulated token and delimiter",
                    ));
                }
            }
        } else {
            let (value, after) = match rest.split_once(delimiter) {
                Some((value, after)) => (value, Some(after)),
                None => (rest.trim_end_matches(['\r', '\n']), None),
            };
            values.push((!value.is_empty()).then(|| value.to_owned()));
            match after {
                Some(after) => rest = after,
                None => return Ok(values),
            }
        }
    }
}

/// The text up to the closing quote, and what follows that.
fn unquote(text: &str) -> Result<(String, &str), SerdeError> {
    let mut value = String::new();
    let mut rest = text;
    loop {
        let Some((before, after)) = rest.split_once('"') else {
            return Err(SerdeError::new("EOF reached before encapsulated token finished"));
        };
        value.push_str(before);
        match after.strip_prefix('"') {
            Some(after) => {
                value.push('"');
                rest = after;
            }
            None => return Ok((value, after)),
        }
    }
}

/// A text to a value.
pub(super) fn decode(text: &str, sql_type: &SqlType) -> Result<Value, SerdeError> {
    let trimmed = text.trim();
    let invalid = || SerdeError::new(format!("`{text}` is no {sql_type}"));
    let value = match sql_type {
        SqlType::String => Some(Value::string(text)),
        SqlType::Boolean => Some(Value::Boolean(trimmed.eq_ignore_ascii_case("true"))),
        SqlType::Integer => trimmed.parse().ok().map(Value::Integer),
        SqlType::Date => trimmed.parse().ok().map(Value::Date),
        SqlType::Time => match trimmed.parse() {
            Ok(ms) => Some(Value::Time(time_of_day(ms)?)),
            Err(_) => None,
        },
        SqlType::Bigint => trimmed.parse().ok().map(Value::Bigint),
        SqlType::Timestamp => trimmed.parse().ok().map(Value::Timestamp),
        SqlType::Double => double_of_text(trimmed).map(Value::Double),
        SqlType::Decimal { precision, scale } => parse_decimal(trimmed)
            .and_then(|number| round_to_fit(&number, *precision, *scale))
            .map(Value::Decimal),
        SqlType::Bytes => base64::decode(trimmed).map(|bytes| Value::Bytes(bytes.into())),
        SqlType::Array(_) | SqlType::Map(..) | SqlType::Struct(_) => None,
    };
    value.ok_or_else(invalid)
}

/// Appends a value to a line; the first one of a record is the one that an empty line is told from.
pub(super) fn encode(value: &Value, delimiter: char, output: &mut String) -> Result<(), SerdeError> {
    let is_first = output.is_empty();
    match value {
        Value::Null => {}
        Value::Boolean(flag) => output.push_str(if *flag { "true" } else { "false" }),
        Value::Integer(number) | Value::Date(number) | Value::Time(number) => {
            write_text(&number.to_string(), is_first, delimiter, output);
        }
        Value::Bigint(number) | Value::Timestamp(number) => {
            write_text(&number.to_string(), is_first, delimiter, output);
        }
        Value::Double(number) => write_text(&double_text(*number), is_first, delimiter, output),
        Value::Decimal(number) => write_text(&number.to_plain_string(), is_first, delimiter, output),
        Value::Bytes(bytes) => write_text(&base64::encode(bytes), is_first, delimiter, output),
        Value::String(text) => write_text(text, is_first, delimiter, output),
        Value::Array(_) | Value::Map(_) | Value::Struct(_) => {
            return Err(SerdeError::new(
                "the 'DELIMITED' format has no arrays, maps or structs",
            ));
        }
    }
    Ok(())
}

/// Appends a text as the library that ksqlDB uses does: in quotes where something in it or around it needs them. A
/// record's first text needs them too where it does not begin with a letter or digit of ASCII, and where it is empty;
/// any other that is empty is nothing at all.
fn write_text(text: &str, is_first: bool, delimiter: char, output: &mut String) {
    let begins_plain = text.starts_with(|first: char| first.is_ascii_alphanumeric());
    let plain = (!is_first || begins_plain)
        && !text.contains(['"', '\n', '\r', delimiter])
        && text.trim().len() == text.len();
    if plain {
        output.push_str(text);
    } else {
        output.push('"');
        output.push_str(&text.replace('"', "\"\""));
        output.push('"');
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn quotes_and_empty_values() {
        let values = split(r#"a,,"b,""c""""#, ',').expect("a line");
        assert_eq!(values, [Some("a".into()), None, Some("b,\"c\"".into())]);
        assert!(split("\"a", ',').is_err());
        assert!(split("\"a\"b,c", ',').is_err());
        let spaced = split("\"a\"  ,\"b\" ", ',').expect("a line");
        assert_eq!(spaced, [Some("a".into()), Some("b".into())]);
        let blanks = split("\"a\" \"b\"", ' ').expect("a line");
        assert_eq!(blanks, [Some("a".into()), Some("b".into())]);
    }

    #[test]
    fn the_first_text_of_a_record_is_quoted_where_it_begins_oddly() {
        for (values, line) in [
            (["-3", "-3"], "\"-3\",-3"),
            (["!", "!"], "\"!\",!"),
            (["ünï", "ünï"], "\"ünï\",ünï"),
            (["a", ""], "a,"),
            (["", "a"], "\"\",a"),
            (["a b", " a"], "a b,\" a\""),
        ] {
            let mut written = String::new();
            encode(&Value::string(values[0]), ',', &mut written).expect("a string");
            written.push(',');
            encode(&Value::string(values[1]), ',', &mut written).expect("a string");
            assert_eq!(written, line);
        }
        let mut written = String::new();
        encode(&Value::Integer(-3), ',', &mut written).expect("a number");
        assert_eq!(written, "\"-3\"");
    }

    proptest! {
        #[test]
        fn what_was_joined_splits(texts in proptest::collection::vec(".*", 1..5), tab: bool) {
            let delimiter = if tab { '\t' } else { ',' };
            let mut line = String::new();
            for (index, text) in texts.iter().enumerate() {
                if index > 0 {
                    line.push(delimiter);
                }
                encode(&Value::string(text.as_str()), delimiter, &mut line).expect("a string");
            }
            let back = split(&line, delimiter).expect("a line");
            let first = texts[0].clone();
            // An empty text that is not the first one reads back as NULL.
            let rest = texts.into_iter().skip(1).map(|text| Some(text).filter(|text| !text.is_empty()));
            prop_assert_eq!(back, std::iter::once(Some(first)).chain(rest).collect::<Vec<_>>());
        }

        #[test]
        fn any_line_is_split_or_refused(line in ".*") {
            let _ = split(&line, ',');
        }
    }
}
