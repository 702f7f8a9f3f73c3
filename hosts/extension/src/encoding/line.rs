//! A line of osquery's, read into the parts that a schema has fields for.

use std::borrow::Cow;

use osquery_protocol::result_log::escape_bytes;

use crate::json;

/// Why a line cannot be encoded, ever.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Unencodable {
    #[error("the line is no JSON object, and only one can be encoded")]
    NotAnObject,
    #[error("`{member}` is {found}, where the schema has {expected}")]
    Misshapen {
        member: &'static str,
        found: String,
        expected: &'static str,
    },
    #[error("`--logger_numerics` is on, and the JSON Schema has text; the format `avro` takes such lines")]
    Numerics,
    #[error("the query has more than {most} columns")]
    TooManyColumns { most: usize },
    #[error("the name of a column is longer than {most} bytes")]
    LongName { most: usize },
}

/// How much of what does not fit is shown.
const SHOWN: usize = 40;

/// The parts of a line. Rows stay as they stand in it.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Line<'l> {
    pub(super) name: Option<Cow<'l, str>>,
    pub(super) host_identifier: Option<Cow<'l, str>>,
    pub(super) calendar_time: Option<Cow<'l, str>>,
    pub(super) unix_time: Option<i64>,
    pub(super) epoch: Option<i64>,
    pub(super) counter: Option<i64>,
    pub(super) numerics: bool,
    pub(super) decorations: Option<&'l [u8]>,
    /// Members that osquery gives no name to: with `--decorations_top_level` they are decorations.
    pub(super) others: Vec<(Cow<'l, str>, &'l [u8])>,
    pub(super) action: Option<Cow<'l, str>>,
    /// The row.
    pub(super) columns: Option<&'l [u8]>,
    /// The rows.
    pub(super) snapshot: Option<&'l [u8]>,
    /// An object of rows.
    pub(super) diff_results: Option<&'l [u8]>,
}

impl<'l> Line<'l> {
    /// Reads the line. The first of several members of one name counts.
    pub(super) fn read(line: &'l [u8]) -> Result<Self, Unencodable> {
        let mut read = Self::default();
        let mut numerics = None;
        let (mut unix_time, mut epoch, mut counter) = (None, None, None);
        for member in json::members(line).map_err(|_| Unencodable::NotAnObject)? {
            let (name, value) = member.map_err(|_| Unencodable::NotAnObject)?;
            let text = || json::text(value).map(utf8);
            match &*json::decode(name) {
                b"name" => read.name = read.name.or_else(text),
                b"hostIdentifier" => read.host_identifier = read.host_identifier.or_else(text),
                b"calendarTime" => read.calendar_time = read.calendar_time.or_else(text),
                b"unixTime" => _ = unix_time.get_or_insert(value),
                b"epoch" => _ = epoch.get_or_insert(value),
                b"counter" => _ = counter.get_or_insert(value),
                b"numerics" => _ = numerics.get_or_insert(value),
                b"decorations" => read.decorations = read.decorations.or(present(value)),
                b"action" => read.action = read.action.or_else(text),
                b"columns" => read.columns = read.columns.or(present(value)),
                b"snapshot" => read.snapshot = read.snapshot.or(present(value)),
                b"diffResults" => read.diff_results = read.diff_results.or(present(value)),
                _ => read.others.push((utf8(json::decode(name)), value)),
            }
        }
        read.unix_time = number("unixTime", unix_time)?;
        read.epoch = number("epoch", epoch)?;
        read.counter = number("counter", counter)?;
        read.numerics = match numerics.and_then(json::text).as_deref() {
            Some(b"true") => true,
            Some(b"false") | None => false,
            Some(other) => return Err(misshapen("numerics", other, "true or false")),
        };
        Ok(read)
    }
}

/// A value that is not null.
fn present(value: &[u8]) -> Option<&[u8]> {
    (value != b"null").then_some(value)
}

fn number(member: &'static str, value: Option<&[u8]>) -> Result<Option<i64>, Unencodable> {
    let Some(text) = value.and_then(json::text) else {
        return Ok(None);
    };
    let number = std::str::from_utf8(&text).ok().and_then(|text| text.parse().ok());
    number
        .map(Some)
        .ok_or_else(|| misshapen(member, &text, "a whole number"))
}

pub(super) fn misshapen(member: &'static str, found: &[u8], expected: &'static str) -> Unencodable {
    let found = String::from_utf8_lossy(found);
    let mut shown: String = found.chars().take(SHOWN).collect();
    if shown.len() < found.len() {
        shown.push('…');
    }
    Unencodable::Misshapen {
        member,
        found: format!("`{shown}`"),
        expected,
    }
}

/// The text of a value; `None` for null. What is no text is written as it stands in the line.
pub(super) fn text(value: &[u8]) -> Option<Cow<'_, str>> {
    json::text(value).map(utf8)
}

/// Bytes as text. Those of snapshots need not be UTF-8; they become what osquery makes of the others.
pub(super) fn utf8(bytes: Cow<'_, [u8]>) -> Cow<'_, str> {
    match bytes {
        Cow::Borrowed(bytes) => match std::str::from_utf8(bytes) {
            Ok(text) => Cow::Borrowed(text),
            Err(_) => Cow::Owned(escaped(bytes)),
        },
        Cow::Owned(bytes) => {
            Cow::Owned(String::from_utf8(bytes).unwrap_or_else(|error| escaped(error.as_bytes())))
        }
    }
}

fn escaped(bytes: &[u8]) -> String {
    String::from_utf8_lossy(&escape_bytes(bytes)).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_read_whoever_wrote_it() {
        let line = br#"{"name":"q","hostIdentifier":"h","calendarTime":"c","unixTime":"7","epoch":0,"counter":2,
            "numerics":false,"who":"jay","decorations":{"a":"b"},"columns":{"x":"y"},"action":"added","name":"second"}"#;
        let line = Line::read(line).unwrap();
        assert_eq!(
            (line.name.as_deref(), line.unix_time, line.counter, line.numerics),
            (Some("q"), Some(7), Some(2), false)
        );
        assert_eq!(line.columns, Some(br#"{"x":"y"}"#.as_slice()));
        assert_eq!(line.others, [("who".into(), br#""jay""#.as_slice())]);
        assert_eq!(Line::read(b"{}"), Ok(Line::default()));
    }

    #[test]
    fn what_does_not_fit_is_named() {
        for (line, message) in [
            ("7", "the line is no JSON object, and only one can be encoded"),
            (
                r#"{"name":"#,
                "the line is no JSON object, and only one can be encoded",
            ),
            (
                r#"{"epoch":1.5}"#,
                "`epoch` is `1.5`, where the schema has a whole number",
            ),
            (
                r#"{"numerics":"maybe"}"#,
                "`numerics` is `maybe`, where the schema has true or false",
            ),
        ] {
            assert_eq!(Line::read(line.as_bytes()).unwrap_err().to_string(), message);
        }
    }

    #[test]
    fn bytes_that_are_no_text_are_written_as_osquery_writes_them() {
        assert_eq!(utf8(b"caf\xe9".as_slice().into()), "caf\\xE9");
        assert_eq!(text(b"\"a\\nb\"").as_deref(), Some("a\nb"));
        assert_eq!(text(b"12").as_deref(), Some("12"));
        assert_eq!(text(b"null"), None);
    }
}
