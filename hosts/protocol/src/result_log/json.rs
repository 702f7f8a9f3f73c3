//! JSON as osquery writes it: numbers and control characters in its form, text as it is.

use std::io::Write as _;

use super::{ColumnRef, EncodedRow};

/// A JSON object under construction, at the end of a buffer.
pub(super) struct Object {
    pub(super) bytes: Vec<u8>,
    is_empty: bool,
}

impl Object {
    pub(super) fn new() -> Self {
        Self::within(Vec::with_capacity(512))
    }

    pub(super) fn within(mut bytes: Vec<u8>) -> Self {
        bytes.push(b'{');
        Self {
            bytes,
            is_empty: true,
        }
    }

    pub(super) fn key(&mut self, name: &[u8]) {
        if !self.is_empty {
            self.bytes.push(b',');
        }
        self.is_empty = false;
        write_text(&mut self.bytes, name);
        self.bytes.push(b':');
    }

    pub(super) fn text(&mut self, name: &[u8], value: &[u8]) {
        self.key(name);
        write_text(&mut self.bytes, value);
    }

    pub(super) fn number(&mut self, name: &[u8], value: impl std::fmt::Display) {
        self.key(name);
        write_display(&mut self.bytes, format_args!("{value}"));
    }

    pub(super) fn finish(mut self) -> Vec<u8> {
        self.bytes.push(b'}');
        self.bytes
    }
}

pub(super) fn write_rows(bytes: &mut Vec<u8>, rows: &[EncodedRow]) {
    bytes.push(b'[');
    for (index, row) in rows.iter().enumerate() {
        if index > 0 {
            bytes.push(b',');
        }
        bytes.extend_from_slice(row.as_bytes());
    }
    bytes.push(b']');
}

pub(super) fn write_columns<'row>(
    bytes: &mut Vec<u8>,
    columns: impl IntoIterator<Item = (&'row [u8], ColumnRef<'row>)>,
) {
    let mut object = Object::within(std::mem::take(bytes));
    for (name, value) in columns {
        object.key(name);
        match value {
            ColumnRef::Text(text) => write_text(&mut object.bytes, text),
            ColumnRef::Integer(number) => write_display(&mut object.bytes, format_args!("{number}")),
            ColumnRef::Double(number) if number.is_finite() => {
                object.bytes.extend_from_slice(number_text(number).as_bytes());
            }
            // JSON has no word for these.
            ColumnRef::Double(number) => {
                write_text(&mut object.bytes, number.to_string().as_bytes());
            }
        }
    }
    *bytes = object.finish();
}

/// A finite number as osquery's JSON has it: the fewest digits that mean the same number, at most 17, and an exponent only
/// where there would be more than 21 digits before the point, or more than five zeros behind it.
pub(super) fn number_text(number: f64) -> String {
    let scientific = format!("{:e}", number.abs());
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let digits: String = mantissa.chars().filter(|&digit| digit != '.').collect();
    let exponent: i32 = exponent.parse().unwrap_or(0);
    // Where the point stands among the digits.
    let point = exponent + 1;
    let length = i32::try_from(digits.len()).unwrap_or(i32::MAX);
    let zeros = |count: i32| "0".repeat(usize::try_from(count).unwrap_or(0));
    let text = if number == 0.0 {
        "0.0".to_owned()
    } else if (length..=21).contains(&point) {
        format!("{digits}{}.0", zeros(point - length))
    } else if (1..=21).contains(&point) {
        let (whole, fraction) = digits.split_at(usize::try_from(point).unwrap_or(0));
        format!("{whole}.{fraction}")
    } else if (-5..=0).contains(&point) {
        format!("0.{}{digits}", zeros(-point))
    } else {
        format!("{mantissa}e{exponent}")
    };
    if number.is_sign_negative() {
        format!("-{text}")
    } else {
        text
    }
}

/// Writes a JSON string. Bytes above ASCII go out as they are, UTF-8 or not, as osquery writes them.
fn write_text(bytes: &mut Vec<u8>, text: &[u8]) {
    bytes.push(b'"');
    for &byte in text {
        match byte {
            b'"' => bytes.extend_from_slice(b"\\\""),
            b'\\' => bytes.extend_from_slice(b"\\\\"),
            0x08 => bytes.extend_from_slice(b"\\b"),
            0x0c => bytes.extend_from_slice(b"\\f"),
            b'\n' => bytes.extend_from_slice(b"\\n"),
            b'\r' => bytes.extend_from_slice(b"\\r"),
            b'\t' => bytes.extend_from_slice(b"\\t"),
            0..0x20 => {
                bytes.extend_from_slice(b"\\u00");
                bytes.extend_from_slice(&hexadecimal(byte));
            }
            _ => bytes.push(byte),
        }
    }
    bytes.push(b'"');
}

fn write_display(bytes: &mut Vec<u8>, arguments: std::fmt::Arguments<'_>) {
    // Writing to a `Vec` cannot fail.
    let _ = bytes.write_fmt(arguments);
}

pub(super) fn hexadecimal(byte: u8) -> [u8; 2] {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    [DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 0xf)]]
}
