//! What a task executes: scans, joins, a filter, a projection, a destination.
//!
//! A row is one vector: the parts of the inputs in order, then the synthetic join key where there is one.

use crate::expression::Expr;
use crate::serde::{Decoder, Encoder};
use crate::syntax::ast::JoinKind;

use super::timestamps::TimeReading;

/// A query's steps.
#[derive(Debug)]
pub(crate) struct Pipeline {
    /// One an input. The first is what the first join's left side is.
    pub(crate) scans: Vec<Scan>,
    /// Each joins what came before (left) with the scan after it (right).
    pub(crate) joins: Vec<JoinStep>,
    /// Whether the last join's key is appended to the row.
    pub(crate) keeps_join_key: bool,
    /// `WHERE`, with its text.
    pub(crate) filter: Option<(Expr, String)>,
    /// The lists whose elements are appended to the row, a row each (`EXPLODE`).
    pub(crate) tables: Vec<Projected>,
    /// Whether the output's key is the input's, as it came.
    pub(crate) keeps_key: bool,
    /// The output columns; those of the key first where there is a sink.
    pub(crate) projection: Vec<Projected>,
    /// Where rows go.
    pub(crate) destination: Destination,
    /// `LIMIT`
    pub(crate) limit: Option<u64>,
}

/// How an input's records become rows.
#[derive(Debug)]
pub(crate) struct Scan {
    pub(crate) topic: String,
    /// How many places its part of the row has.
    pub(crate) width: usize,
    pub(crate) key: Decoder,
    pub(crate) value: Decoder,
    /// Places that take a header, or (`None`) all of them.
    pub(crate) headers: Vec<(usize, Option<String>)>,
    /// The place of the column that is the row's time.
    pub(crate) time: Option<(usize, TimeReading)>,
    /// The places of `ROWTIME`, `ROWPARTITION` and `ROWOFFSET`.
    pub(crate) pseudo: [Option<usize>; 3],
}

/// A stream–stream join.
#[derive(Debug)]
pub(crate) struct JoinStep {
    pub(crate) kind: JoinKind,
    /// Over the left row.
    pub(crate) left_key: Expr,
    /// Over the right scan's own part.
    pub(crate) right_key: Expr,
    pub(crate) left_width: usize,
    pub(crate) right_width: usize,
    pub(crate) before_ms: i64,
    pub(crate) after_ms: i64,
    /// `GRACE PERIOD`; without one, outer rows do not wait for the window to close.
    pub(crate) grace_ms: Option<i64>,
}

/// Kafka's grace period where a join gives none: rows stay for a day.
const DEFAULT_RETENTION_MS: i64 = 24 * 60 * 60 * 1000;

impl JoinStep {
    /// How long the rows of either side are kept.
    pub(crate) fn retention_ms(&self) -> i64 {
        let size = self.before_ms.saturating_add(self.after_ms);
        match self.grace_ms {
            Some(grace) => size.saturating_add(grace),
            None => size.max(DEFAULT_RETENTION_MS),
        }
    }
}

/// An output column.
#[derive(Debug)]
pub(crate) struct Projected {
    pub(crate) expr: Expr,
    /// As it is written, for the processing log.
    pub(crate) text: String,
}

/// Where rows go.
#[derive(Debug)]
pub(crate) enum Destination {
    /// To a client.
    Rows,
    /// To a topic.
    Records {
        /// So many of the first output columns are the key.
        key_columns: usize,
        key: Encoder,
        value: Encoder,
        /// The output column that is the record's time.
        time: Option<(usize, TimeReading)>,
    },
}
