//! The lines of osquery's result log, byte for byte as osqueryd writes them.
//!
//! The order of the keys is osquery's; columns and decorations are sorted by name. Values are strings
//! unless osqueryd runs with `--logger_numerics`. A snapshot's text columns are written as they are, so a
//! line need not be UTF-8; rows of differential logs go through [`escape_bytes`] before they are compared
//! and logged.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::io::Write;

use crate::ByteString;

mod calendar;
mod topic;

pub use calendar::calendar_time;
pub use topic::{TOPIC_NAME_LIMIT, is_topic_name, topic_name};

/// The value of a column.
#[derive(Clone, Debug, PartialEq)]
pub enum ColumnValue {
    /// Text, or any value when numbers are not wanted.
    Text(ByteString),
    /// An integer, written as a number.
    Integer(i64),
    /// A floating-point number, written as one.
    Double(f64),
}

impl<T: Into<ByteString>> From<T> for ColumnValue {
    fn from(text: T) -> Self {
        Self::Text(text.into())
    }
}

/// A row: values by column name.
pub type Row = BTreeMap<ByteString, ColumnValue>;

/// A column's value, borrowed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum ColumnRef<'value> {
    /// Text, or any value when numbers are not wanted.
    Text(&'value [u8]),
    /// An integer, written as a number.
    Integer(i64),
    /// A floating-point number, written as one.
    Double(f64),
}

impl ColumnValue {
    fn borrow(&self) -> ColumnRef<'_> {
        match self {
            Self::Text(text) => ColumnRef::Text(text),
            Self::Integer(number) => ColumnRef::Integer(*number),
            Self::Double(number) => ColumnRef::Double(*number),
        }
    }
}

/// A row as it stands in a line: the JSON object of its columns. A differential engine keeps rows this way,
/// compares them and stores them; equal bytes are equal rows.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EncodedRow(Box<[u8]>);

impl EncodedRow {
    /// Encodes columns, which the caller has sorted by name.
    pub fn encode<'row>(columns: impl IntoIterator<Item = (&'row [u8], ColumnRef<'row>)>) -> Self {
        let mut bytes = Vec::with_capacity(256);
        write_columns(&mut bytes, columns);
        Self(bytes.into_boxed_slice())
    }

    /// A row that was encoded before, read back from where it was stored.
    pub fn from_bytes(bytes: impl Into<Box<[u8]>>) -> Self {
        Self(bytes.into())
    }

    /// The JSON object.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl From<&Row> for EncodedRow {
    fn from(row: &Row) -> Self {
        Self::encode(row.iter().map(|(name, value)| (name.as_bytes(), value.borrow())))
    }
}

/// Whether numeric columns are logged as numbers (`--logger_numerics`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Numerics {
    /// Every value is a string: osquery's default.
    AsText,
    /// Numbers are numbers.
    AsNumbers,
}

/// Where decorations go in a line (`--decorations_top_level`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DecorationPlace {
    /// Under `decorations`: osquery's default.
    Nested,
    /// Beside the other keys of the line.
    TopLevel,
}

/// Whether a differential row came or went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// The row is new.
    Added,
    /// The row is gone.
    Removed,
    /// The row is part of a snapshot (`--logger_snapshot_event_type`).
    Snapshot,
}

impl Action {
    /// The word in the line.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Added => "added",
            Self::Removed => "removed",
            Self::Snapshot => "snapshot",
        }
    }
}

/// What all lines of one run of a scheduled query have in common.
#[derive(Clone, Debug, PartialEq)]
pub struct QueryRun {
    /// The query's name; of a pack's query, `pack_<pack>_<query>` or with another delimiter.
    pub name: ByteString,
    /// The host, as `--host_identifier` says.
    pub host_identifier: ByteString,
    /// When the query ran, in seconds since 1970.
    pub unix_time: i64,
    /// `--schedule_epoch`.
    pub epoch: u64,
    /// How often the query ran since the epoch began; 0 is the run that logs every row.
    pub counter: u64,
    /// How numbers are logged.
    pub numerics: Numerics,
    /// The decorations, by name.
    pub decorations: BTreeMap<ByteString, ByteString>,
    /// Where they go.
    pub decoration_place: DecorationPlace,
}

impl QueryRun {
    /// The line of one differential row (`--logger_event_type=true`), or of one row of a snapshot.
    pub fn event_line(&self, columns: &Row, action: Action) -> Vec<u8> {
        self.encoded_event_line(&EncodedRow::from(columns), action)
    }

    /// [`QueryRun::event_line`] of an encoded row.
    pub fn encoded_event_line(&self, columns: &EncodedRow, action: Action) -> Vec<u8> {
        let mut line = Object::new();
        self.write_common(&mut line);
        line.key(b"columns");
        line.bytes.extend_from_slice(columns.as_bytes());
        line.text(b"action", action.as_str().as_bytes());
        line.finish()
    }

    /// The line of a whole differential run (`--logger_event_type=false`).
    pub fn batch_line(&self, removed: &[Row], added: &[Row]) -> Vec<u8> {
        self.encoded_batch_line(&encode_all(removed), &encode_all(added))
    }

    /// [`QueryRun::batch_line`] of encoded rows.
    pub fn encoded_batch_line(&self, removed: &[EncodedRow], added: &[EncodedRow]) -> Vec<u8> {
        let mut line = Object::new();
        line.key(b"diffResults");
        let mut results = Object::within(std::mem::take(&mut line.bytes));
        results.key(b"removed");
        write_rows(&mut results.bytes, removed);
        results.key(b"added");
        write_rows(&mut results.bytes, added);
        line.bytes = results.finish();
        self.write_common(&mut line);
        line.finish()
    }

    /// The line of a whole snapshot. One without rows is a line, too.
    pub fn snapshot_line(&self, rows: &[Row]) -> Vec<u8> {
        self.encoded_snapshot_line(&encode_all(rows))
    }

    /// [`QueryRun::snapshot_line`] of encoded rows.
    pub fn encoded_snapshot_line(&self, rows: &[EncodedRow]) -> Vec<u8> {
        let mut line = Object::new();
        line.key(b"snapshot");
        write_rows(&mut line.bytes, rows);
        line.text(b"action", Action::Snapshot.as_str().as_bytes());
        self.write_common(&mut line);
        line.finish()
    }

    fn write_common(&self, line: &mut Object) {
        line.text(b"name", &self.name);
        line.text(b"hostIdentifier", &self.host_identifier);
        line.text(b"calendarTime", calendar_time(self.unix_time).as_bytes());
        line.number(b"unixTime", self.unix_time);
        line.number(b"epoch", self.epoch);
        line.number(b"counter", self.counter);
        line.key(b"numerics");
        let numerics: &[u8] = match self.numerics {
            Numerics::AsText => b"false",
            Numerics::AsNumbers => b"true",
        };
        line.bytes.extend_from_slice(numerics);
        if self.decorations.is_empty() {
            return;
        }
        match self.decoration_place {
            DecorationPlace::TopLevel => {
                for (name, value) in &self.decorations {
                    line.text(name, value);
                }
            }
            DecorationPlace::Nested => {
                line.key(b"decorations");
                let mut nested = Object::within(std::mem::take(&mut line.bytes));
                for (name, value) in &self.decorations {
                    nested.text(name, value);
                }
                line.bytes = nested.finish();
            }
        }
    }
}

/// Replaces control characters and bytes that are not UTF-8 by `\xNN`, as osquery does with the text of
/// differential rows. (Versions before 5.20 or so replaced every byte outside ASCII.)
pub fn escape_bytes(text: &[u8]) -> Cow<'_, [u8]> {
    let clean = |byte: &u8| *byte >= 0x20;
    if text.iter().all(clean) && std::str::from_utf8(text).is_ok() {
        return Cow::Borrowed(text);
    }
    let mut escaped = Vec::with_capacity(text.len() + 16);
    let escape = |escaped: &mut Vec<u8>, byte: u8| {
        escaped.extend_from_slice(b"\\x");
        escaped.extend_from_slice(&hexadecimal(byte));
    };
    for chunk in text.utf8_chunks() {
        for byte in chunk.valid().bytes() {
            if clean(&byte) {
                escaped.push(byte);
            } else {
                escape(&mut escaped, byte);
            }
        }
        for byte in chunk.invalid() {
            escape(&mut escaped, *byte);
        }
    }
    Cow::Owned(escaped)
}

/// A JSON object under construction, at the end of a buffer.
struct Object {
    bytes: Vec<u8>,
    is_empty: bool,
}

impl Object {
    fn new() -> Self {
        Self::within(Vec::with_capacity(512))
    }

    fn within(mut bytes: Vec<u8>) -> Self {
        bytes.push(b'{');
        Self {
            bytes,
            is_empty: true,
        }
    }

    fn key(&mut self, name: &[u8]) {
        if !self.is_empty {
            self.bytes.push(b',');
        }
        self.is_empty = false;
        write_text(&mut self.bytes, name);
        self.bytes.push(b':');
    }

    fn text(&mut self, name: &[u8], value: &[u8]) {
        self.key(name);
        write_text(&mut self.bytes, value);
    }

    fn number(&mut self, name: &[u8], value: impl std::fmt::Display) {
        self.key(name);
        write_display(&mut self.bytes, format_args!("{value}"));
    }

    fn finish(mut self) -> Vec<u8> {
        self.bytes.push(b'}');
        self.bytes
    }
}

fn encode_all(rows: &[Row]) -> Vec<EncodedRow> {
    rows.iter().map(EncodedRow::from).collect()
}

fn write_rows(bytes: &mut Vec<u8>, rows: &[EncodedRow]) {
    bytes.push(b'[');
    for (index, row) in rows.iter().enumerate() {
        if index > 0 {
            bytes.push(b',');
        }
        bytes.extend_from_slice(row.as_bytes());
    }
    bytes.push(b']');
}

fn write_columns<'row>(
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
fn number_text(number: f64) -> String {
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

fn hexadecimal(byte: u8) -> [u8; 2] {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    [DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 0xf)]]
}

#[cfg(test)]
mod tests;
