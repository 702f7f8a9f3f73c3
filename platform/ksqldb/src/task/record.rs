//! What goes into a task and what comes out.

use super::StoreChange;
use crate::value::Row;

/// A record of an input topic.
#[derive(Debug, Clone, Copy)]
pub struct InputRecord<'a> {
    /// The topic.
    pub topic: &'a str,
    /// The partition.
    pub partition: i32,
    /// The offset.
    pub offset: i64,
    /// Its timestamp, in milliseconds.
    pub timestamp: i64,
    /// Its key.
    pub key: Option<&'a [u8]>,
    /// Its value.
    pub value: Option<&'a [u8]>,
    /// Its headers.
    pub headers: &'a [(&'a str, Option<&'a [u8]>)],
}

/// A row of a push query.
#[derive(Debug, Clone, PartialEq)]
pub struct OutputRow {
    /// The values, in the order of the plan's output schema.
    pub row: Row,
    /// Its time, in milliseconds.
    pub timestamp: i64,
    /// Whether the table has the row no more: then only its key is there.
    pub is_tombstone: bool,
}

/// A record for a topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutputRecord {
    /// The serialised key.
    pub key: Option<Vec<u8>>,
    /// The serialised value.
    pub value: Option<Vec<u8>>,
    /// Its timestamp, in milliseconds.
    pub timestamp: i64,
}

/// An entry of the processing log: something was wrong with a record, and the query went on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LogEntry {
    /// A record could not be read and was skipped.
    #[error("cannot read the {part} of `{topic}` partition {partition} offset {offset}: {reason}")]
    Deserialization {
        /// The topic.
        topic: String,
        /// The partition.
        partition: i32,
        /// The offset.
        offset: i64,
        /// `key`, `value` or `timestamp`.
        part: &'static str,
        /// What was wrong.
        reason: String,
    },
    /// An expression failed: in a projection its column became `NULL`; in a filter the row was dropped.
    #[error("cannot evaluate `{expression}`: {reason}")]
    Expression {
        /// The expression.
        expression: String,
        /// What was wrong.
        reason: String,
    },
    /// A row could not be written.
    #[error("cannot write the {part}: {reason}")]
    Serialization {
        /// `key`, `value` or `timestamp`.
        part: &'static str,
        /// What was wrong.
        reason: String,
    },
}

/// What a task gives out. Drain it after each record or each batch of records.
#[derive(Debug, Default)]
pub struct Collector {
    /// The rows of a push query.
    pub rows: Vec<OutputRow>,
    /// The records of a query with a sink.
    pub records: Vec<OutputRecord>,
    /// The records for the changelogs of the query's stores.
    pub changes: Vec<StoreChange>,
    /// The records for the changelogs about windows that have become too old. Until the position after what made them
    /// so is committed, a restart still needs these windows: write them then.
    pub expired: Vec<StoreChange>,
    /// The processing log.
    pub log: Vec<LogEntry>,
}
