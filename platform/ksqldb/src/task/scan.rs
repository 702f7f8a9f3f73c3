//! From a record to a row.

use std::sync::Arc;

use super::{InputRecord, LogEntry};
use crate::plan::Scan;
use crate::serde::Presence;
use crate::value::{Row, Value};

/// A record that was read.
#[derive(Debug)]
pub(super) struct Scanned {
    pub(super) row: Row,
    pub(super) timestamp: i64,
    pub(super) present: Present,
}

/// Which parts a record has. The columns of one that it lacks are `NULL`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Present {
    pub(super) key: bool,
    pub(super) value: bool,
}

impl Present {
    /// Both.
    pub(super) const WHOLE: Self = Self {
        key: true,
        value: true,
    };
}

/// Reads a record.
pub(super) fn scan(scan: &Scan, record: &InputRecord<'_>) -> Result<Scanned, LogEntry> {
    let failed = |part: &'static str, reason: String| LogEntry::Deserialization {
        topic: record.topic.to_owned(),
        partition: record.partition,
        offset: record.offset,
        part,
        reason,
    };
    let mut row = vec![Value::Null; scan.width];
    if let Some(key) = record.key {
        let presence = scan.key.decode(key, &mut row);
        let presence = presence.map_err(|error| failed("key", error.reason))?;
        if presence == Presence::Null && scan.key.has_several_columns() {
            return Err(failed(
                "key",
                "null, where an object with the key columns is needed".to_owned(),
            ));
        }
    }
    let has_value = match record.value {
        None => false,
        Some(value) => {
            let presence = scan.value.decode(value, &mut row);
            presence.map_err(|error| failed("value", error.reason))? == Presence::Present
        }
    };
    for (place, header) in &scan.headers {
        row[*place] = match header {
            Some(name) => one_header(record, name),
            None => all_headers(record),
        };
    }
    let timestamp = match &scan.time {
        Some((place, reading)) if has_value || !row[*place].is_null() => reading
            .read(&row[*place])
            .map_err(|reason| failed("timestamp", reason))?,
        _ => record.timestamp,
    };
    let [rowtime, rowpartition, rowoffset] = scan.pseudo;
    for (place, value) in [
        (rowtime, Value::Bigint(timestamp)),
        (rowpartition, Value::Integer(record.partition)),
        (rowoffset, Value::Bigint(record.offset)),
    ] {
        if let Some(place) = place {
            row[place] = value;
        }
    }
    Ok(Scanned {
        row,
        timestamp,
        present: Present {
            key: record.key.is_some(),
            value: has_value,
        },
    })
}

fn bytes(value: Option<&[u8]>) -> Value {
    value.map_or(Value::Null, |bytes| Value::Bytes(Arc::from(bytes)))
}

/// The last header of that name.
fn one_header(record: &InputRecord<'_>, name: &str) -> Value {
    let last = record.headers.iter().rfind(|(header, _)| *header == name);
    last.map_or(Value::Null, |(_, value)| bytes(*value))
}

fn all_headers(record: &InputRecord<'_>) -> Value {
    let pair = |(name, value): &(&str, Option<&[u8]>)| {
        Value::Struct(Arc::new([Value::string(*name), bytes(*value)]))
    };
    Value::Array(record.headers.iter().map(pair).collect())
}
