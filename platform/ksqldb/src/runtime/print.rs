//! `PRINT`: the records of a topic as lines of text, with the formats guessed as ksqlDB guesses them.

use std::borrow::Cow;
use std::collections::HashMap;

use jiff::Timestamp;
use osqdemo_registry_client::wire::{KEY_HEADER, SchemaId, VALUE_HEADER, split, with_header};

use crate::kafka::Record;
use crate::serde::WriterSchema;

/// A format that bytes can be read in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Format {
    Json,
    String,
    Bigint,
    Integer,
    Bytes,
    /// One whose schemas are in a registry.
    Registered,
}

impl Format {
    /// The formats ksqlDB would name for bytes like these, the first of which prints them.
    fn candidates(bytes: &[u8], schemas: &Schemas) -> (Self, String) {
        if let Some((schema, data)) = schemas.of(bytes)
            && schema.text(data).is_some()
        {
            return (Self::Registered, schema.format().to_string());
        }
        let text = std::str::from_utf8(bytes).ok().filter(|text| {
            text.chars()
                .all(|character| !character.is_control() || character.is_whitespace())
        });
        let (format, names) = match text {
            Some(text) if is_json(text) => (Self::Json, "JSON or KAFKA_STRING"),
            Some(_) => (Self::String, "KAFKA_STRING"),
            None if bytes.len() == 8 => (Self::Bigint, "KAFKA_BIGINT or KAFKA_DOUBLE"),
            None if bytes.len() == 4 => (Self::Integer, "KAFKA_INT"),
            None => (Self::Bytes, "unrecognized"),
        };
        (format, names.to_owned())
    }

    fn print(self, bytes: &[u8], schemas: &Schemas) -> String {
        if self == Self::Registered {
            let known = schemas.of(bytes);
            let text = known.and_then(|(schema, data)| schema.text(data));
            return text.unwrap_or_else(|| Self::Bytes.print(bytes, schemas));
        }
        let number = match (self, bytes.len()) {
            (Self::Bigint, 8) => bytes.try_into().ok().map(i64::from_be_bytes),
            (Self::Integer, 4) => bytes
                .try_into()
                .ok()
                .map(|bytes| i64::from(i32::from_be_bytes(bytes))),
            _ => None,
        };
        match (self, number) {
            (_, Some(number)) => number.to_string(),
            (Self::Bytes, None) => bytes.iter().map(|byte| format!("\\x{byte:02X}")).collect(),
            _ => String::from_utf8_lossy(bytes).into_owned(),
        }
    }
}

/// How many schemas are kept; then they are asked for again.
const MOST_SCHEMAS: usize = 1_000;

/// The schemas that records name; nothing for one that cannot be had.
#[derive(Debug, Default)]
struct Schemas(HashMap<SchemaId, Option<WriterSchema>>);

impl Schemas {
    /// The schema that a record's bytes name, and its data.
    fn of<'a>(&self, bytes: &'a [u8]) -> Option<(&WriterSchema, &'a [u8])> {
        let (id, data) = split(bytes).ok()?;
        Some((self.0.get(&id)?.as_ref()?, data))
    }
}

/// Prints the records of one topic: the formats once, then a line a record.
#[derive(Debug, Default)]
pub(super) struct Printer {
    schemas: Schemas,
    key: Option<Format>,
    value: Option<Format>,
    /// Whether a record was printed.
    began: bool,
}

/// The format of parts all of which were null.
const NO_FORMAT: &str = "\u{af}\\_(\u{30c4})_/\u{af} - no data processed";

impl Printer {
    /// The schema that has to be [learned](Self::learn) before a record can be printed, where there is a registry.
    pub(super) fn missing(&self, record: &Record) -> Option<SchemaId> {
        framed(record).iter().flatten().find_map(|bytes| {
            let (id, _) = split(bytes).ok()?;
            (!self.schemas.0.contains_key(&id)).then_some(id)
        })
    }

    /// Takes a schema that was missing, or that there is none.
    pub(super) fn learn(&mut self, id: SchemaId, schema: Option<WriterSchema>) {
        if self.schemas.0.len() >= MOST_SCHEMAS {
            self.schemas.0.clear();
        }
        self.schemas.0.insert(id, schema);
    }

    /// The lines of a record.
    pub(super) fn print(&mut self, record: &Record) -> Vec<String> {
        let mut lines = Vec::new();
        let is_first = !std::mem::replace(&mut self.began, true);
        let framed = framed(record);
        let [key, value] = [(&framed[0], &record.key), (&framed[1], &record.value)].map(|(framed, plain)| {
            let named = framed.as_deref().filter(|bytes| self.schemas.of(bytes).is_some());
            named.or(plain.as_deref())
        });
        let key = part(&mut self.key, key, &self.schemas, "Key", is_first, &mut lines);
        let value = part(
            &mut self.value,
            value,
            &self.schemas,
            "Value",
            is_first,
            &mut lines,
        );
        let rowtime = Timestamp::from_millisecond(record.timestamp).map_or_else(
            |_| record.timestamp.to_string(),
            |at| at.strftime("%Y/%m/%d %H:%M:%S%.3f Z").to_string(),
        );
        lines.push(format!(
            "rowtime: {rowtime}, key: {key}, value: {value}, partition: {}",
            record.partition
        ));
        lines
    }
}

/// The key and the value with what says their schemas before them, which may stand in headers.
fn framed(record: &Record) -> [Option<Cow<'_, [u8]>>; 2] {
    let parts = [(&record.key, KEY_HEADER), (&record.value, VALUE_HEADER)];
    parts.map(|(bytes, name)| {
        let header = record.headers.iter().rfind(|(header, _)| header == name);
        let header = header.and_then(|(_, value)| value.as_deref());
        Some(with_header(bytes.as_deref()?, header))
    })
}

/// Prints a key or value, with the format that the first one which is not null shows.
fn part(
    format: &mut Option<Format>,
    bytes: Option<&[u8]>,
    schemas: &Schemas,
    name: &str,
    is_first: bool,
    lines: &mut Vec<String>,
) -> String {
    let Some(bytes) = bytes else {
        if is_first {
            lines.push(format!("{name} format: {NO_FORMAT}"));
        }
        return "<null>".to_owned();
    };
    if let Some(format) = *format {
        return format.print(bytes, schemas);
    }
    let (guessed, names) = Format::candidates(bytes, schemas);
    *format = Some(guessed);
    lines.push(format!("{name} format: {names}"));
    guessed.print(bytes, schemas)
}

fn is_json(text: &str) -> bool {
    let text = text.trim_start();
    (text.starts_with('{') || text.starts_with('['))
        && serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn record(key: Option<&[u8]>, value: Option<&[u8]>) -> Record {
        Record {
            topic: "t".into(),
            partition: 1,
            offset: 0,
            timestamp: 1_598_960_400_123,
            key: key.map(<[u8]>::to_vec),
            value: value.map(<[u8]>::to_vec),
            headers: Vec::new(),
        }
    }

    #[test]
    fn formats_are_said_once_and_then_used() {
        let mut printer = Printer::default();
        assert_eq!(
            printer.print(&record(None, Some(br#"{"a":1}"#))),
            [
                "Key format: ¯\\_(ツ)_/¯ - no data processed",
                "Value format: JSON or KAFKA_STRING",
                r#"rowtime: 2020/09/01 11:40:00.123 Z, key: <null>, value: {"a":1}, partition: 1"#,
            ]
        );
        assert_eq!(
            printer.print(&record(Some(b"host1"), Some(b"plain"))),
            [
                "Key format: KAFKA_STRING",
                "rowtime: 2020/09/01 11:40:00.123 Z, key: host1, value: plain, partition: 1",
            ]
        );
    }

    #[test]
    fn bytes_that_are_no_text_are_numbers_or_bytes() {
        let mut printer = Printer::default();
        let lines = printer.print(&record(Some(&[0, 0, 0, 7]), Some(&[255, 0, 1])));
        assert_eq!(lines[0], "Key format: KAFKA_INT");
        assert_eq!(lines[1], "Value format: unrecognized");
        assert!(lines[2].contains(r"key: 7, value: \xFF\x00\x01"));
    }

    proptest! {
        #[test]
        fn any_bytes_are_printed(
            records in prop::collection::vec(
                (
                    prop::option::of(prop::collection::vec(any::<u8>(), 0..12)),
                    prop::option::of(prop::collection::vec(any::<u8>(), 0..12)),
                ),
                1..4,
            ),
        ) {
            let mut printer = Printer::default();
            for (key, value) in &records {
                let lines = printer.print(&record(key.as_deref(), value.as_deref()));
                prop_assert!(lines.last().unwrap().starts_with("rowtime: 2020/09/01 11:40:00.123 Z, key: "));
                prop_assert!(lines.len() <= 3);
            }
        }
    }
}
