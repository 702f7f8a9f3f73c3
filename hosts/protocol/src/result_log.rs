//! The lines of osquery's result log, byte for byte as osqueryd writes them.
//!
//! The order of the keys is osquery's; columns and decorations are sorted by name. Values are strings
//! unless osqueryd runs with `--logger_numerics`. A snapshot's text columns are written as they are, so a
//! line need not be UTF-8; rows of differential logs go through [`escape_bytes`] before they are compared
//! and logged.

use std::borrow::Cow;
use std::collections::BTreeMap;

use crate::ByteString;

mod calendar;
mod json;
mod topic;

pub use calendar::calendar_time;
use json::{Object, hexadecimal, write_columns, write_rows};
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

fn encode_all(rows: &[Row]) -> Vec<EncodedRow> {
    rows.iter().map(EncodedRow::from).collect()
}

#[cfg(test)]
mod tests;
