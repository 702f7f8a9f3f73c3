//! JSON values as text: what a `VARCHAR` column makes of any value, and how strings are quoted.

use super::super::SerdeError;
use super::super::number::{decimal_text, parse_decimal};
use super::reader::{Kind, Reader, end_of_run};

/// Appends a string in quotes.
pub(crate) fn write_string(text: &str, output: &mut Vec<u8>) {
    let bytes = text.as_bytes();
    output.push(b'"');
    let mut at = 0;
    loop {
        let end = end_of_run(bytes, at);
        output.extend_from_slice(&bytes[at..end]);
        let Some(byte) = bytes.get(end) else {
            break;
        };
        match byte {
            b'"' => output.extend_from_slice(b"\\\""),
            b'\\' => output.extend_from_slice(b"\\\\"),
            b'\n' => output.extend_from_slice(b"\\n"),
            b'\r' => output.extend_from_slice(b"\\r"),
            b'\t' => output.extend_from_slice(b"\\t"),
            0x08 => output.extend_from_slice(b"\\b"),
            0x0c => output.extend_from_slice(b"\\f"),
            control => output.extend_from_slice(format!("\\u{control:04X}").as_bytes()),
        }
        at = end + 1;
    }
    output.push(b'"');
}

/// Reads any value as a `VARCHAR` column takes it: a string as it is, a number or Boolean as its text,
/// an object as compact JSON, an array as `[a, b]` of its elements' texts.
pub(super) fn read_as_text(reader: &mut Reader<'_>, output: &mut String) -> Result<(), SerdeError> {
    match reader.kind()? {
        Kind::String => output.push_str(&reader.string()?),
        Kind::Number => output.push_str(&number_text(reader.number()?)),
        Kind::True => {
            reader.word("true")?;
            output.push_str("true");
        }
        Kind::False => {
            reader.word("false")?;
            output.push_str("false");
        }
        Kind::Null => {
            reader.word("null")?;
            output.push_str("null");
        }
        Kind::Object => {
            let mut compact = Vec::new();
            write_compact(reader, &mut compact)?;
            // What was written is pieces of the text and ASCII.
            output.push_str(&String::from_utf8_lossy(&compact));
        }
        Kind::Array => {
            output.push('[');
            let mut first = true;
            reader.array(|reader| {
                if !first {
                    output.push_str(", ");
                }
                first = false;
                read_as_text(reader, output)
            })?;
            output.push(']');
        }
    }
    Ok(())
}

/// A number's own digits, its exponent as Java writes it.
pub(crate) fn number_text(number: &str) -> String {
    if number == "-0" {
        return "0".to_owned();
    }
    if number.contains(['e', 'E'])
        && let Some(decimal) = parse_decimal(number)
    {
        return decimal_text(&decimal);
    }
    number.to_owned()
}

/// Reads any value and appends it without the space between its parts.
pub(crate) fn write_compact(reader: &mut Reader<'_>, output: &mut Vec<u8>) -> Result<(), SerdeError> {
    match reader.kind()? {
        Kind::String => write_string(&reader.string()?, output),
        Kind::Number => {
            let number = reader.number()?;
            match parse_decimal(number) {
                Some(decimal) if number.contains(['e', 'E']) => {
                    output.extend_from_slice(decimal.to_plain_string().as_bytes());
                }
                _ => output.extend_from_slice(number.as_bytes()),
            }
        }
        Kind::True => {
            reader.word("true")?;
            output.extend_from_slice(b"true");
        }
        Kind::False => {
            reader.word("false")?;
            output.extend_from_slice(b"false");
        }
        Kind::Null => {
            reader.word("null")?;
            output.extend_from_slice(b"null");
        }
        Kind::Object => {
            output.push(b'{');
            let mut first = true;
            reader.object(|reader, name| {
                if !first {
                    output.push(b',');
                }
                first = false;
                write_string(name, output);
                output.push(b':');
                write_compact(reader, output)
            })?;
            output.push(b'}');
        }
        Kind::Array => {
            output.push(b'[');
            let mut first = true;
            reader.array(|reader| {
                if !first {
                    output.push(b',');
                }
                first = false;
                write_compact(reader, output)
            })?;
            output.push(b']');
        }
    }
    Ok(())
}
