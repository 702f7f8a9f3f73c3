//! From a record to a row.

use std::sync::Arc;

use osqdemo_registry_client::wire::{KEY_HEADER, VALUE_HEADER};

use super::change::{Bounds, Change, Present};
use super::{InputRecord, LogEntry};
use crate::metastore::SourceWindow;
use crate::plan::Scan;
use crate::serde::Presence;
use crate::value::Value;

/// Reads a record.
pub(super) fn scan(scan: &Scan, record: &InputRecord<'_>) -> Result<Change, LogEntry> {
    let failed = |part: &'static str, reason: String| LogEntry::Deserialization {
        topic: record.topic.to_owned(),
        partition: record.partition,
        offset: record.offset,
        part,
        reason,
    };
    let mut row = vec![Value::Null; scan.width];
    let mut window = None;
    if let Some(mut key) = record.key {
        if let Some(windows) = scan.window {
            let (rest, bounds) = split(key, windows)
                .ok_or_else(|| failed("key", "it is too short to have a window".to_owned()))?;
            (key, window) = (rest, Some(bounds));
        }
        let key = scan.key.framed(key, record.headers, KEY_HEADER);
        let presence = scan.key.decode(&key, &mut row);
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
            let value = scan.value.framed(value, record.headers, VALUE_HEADER);
            let presence = scan.value.decode(&value, &mut row);
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
    let [rowtime, rowpartition, rowoffset, windowstart, windowend] = scan.pseudo;
    let bound = |bound: fn(Bounds) -> i64| window.map_or(Value::Null, |window| Value::Bigint(bound(window)));
    for (place, value) in [
        (rowtime, Value::Bigint(timestamp)),
        (rowpartition, Value::Integer(record.partition)),
        (rowoffset, Value::Bigint(record.offset)),
        (windowstart, bound(|window| window.start)),
        (windowend, bound(|window| window.end)),
    ] {
        if let Some(place) = place {
            row[place] = value;
        }
    }
    Ok(Change {
        row,
        present: Present {
            key: record.key.is_some(),
            value: has_value,
        },
        old: None,
        timestamp,
        window,
        partition: record.partition,
    })
}

/// A key without the window at its end, and that window.
fn split(key: &[u8], windows: SourceWindow) -> Option<(&[u8], Bounds)> {
    let (rest, start) = key.split_last_chunk()?;
    let start = i64::from_be_bytes(*start);
    match windows {
        SourceWindow::Tumbling { size_ms } | SourceWindow::Hopping { size_ms } => {
            let end = start.saturating_add(size_ms);
            Some((rest, Bounds { start, end }))
        }
        SourceWindow::Session => {
            let (rest, end) = rest.split_last_chunk()?;
            let end = i64::from_be_bytes(*end);
            Some((rest, Bounds { start, end }))
        }
    }
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
