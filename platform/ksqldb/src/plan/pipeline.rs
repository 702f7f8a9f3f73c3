//! What a task executes: scans, and the steps that their rows go through.
//!
//! The steps stand in a row, each handing over to the next; a scan feeds the first step, or the right side of one
//! that joins. A row is one vector: the parts of the inputs in order, then the synthetic join key where there is
//! one; behind an aggregate, the grouping expressions, the results of the functions, and the window's bounds.

use std::sync::Arc;

use crate::aggregates::Aggregate;
use crate::expression::Expr;
use crate::metastore::SourceWindow;
use crate::serde::{Decoder, Encoder};
use crate::syntax::ast::{JoinKind, WindowKind};
use crate::task::Bounds;
use crate::value::{Row, Value};

use super::timestamps::TimeReading;

/// A query's scans and steps.
#[derive(Debug)]
pub(crate) struct Pipeline {
    /// One an input.
    pub(crate) scans: Vec<Scan>,
    /// Each hands what comes out to the left side of the next.
    pub(crate) steps: Vec<Step>,
    /// The table that pull queries read.
    pub(crate) materialization: Option<Arc<Materialization>>,
    /// `LIMIT`
    pub(crate) limit: Option<u64>,
    /// Tells how kept rows are laid out.
    pub(crate) layout: u32,
}

/// A step. What each does stands where its operator is, in the task.
#[derive(Debug)]
pub(crate) enum Step {
    /// A stream with a stream.
    StreamJoin(Arc<JoinStep>),
    /// A stream with a table.
    Lookup(Arc<TableJoinStep>),
    /// A table with a table, by their keys.
    TableJoin(Arc<TableJoinStep>),
    /// A table with the one a column of it refers to.
    ForeignKeyJoin(Arc<TableJoinStep>),
    /// A table's rows are kept.
    Remember(Arc<RememberStep>),
    /// `WHERE` or `HAVING`
    Filter(Arc<FilterStep>),
    /// `GROUP BY`
    Aggregate(Arc<AggregateStep>),
    /// Projection and destination.
    Output(Arc<OutputStep>),
}

impl Step {
    /// Its stores.
    pub(crate) fn stores(&self) -> Vec<&StoreStep> {
        match self {
            Self::Lookup(step) => vec![&step.right.store],
            Self::TableJoin(step) | Self::ForeignKeyJoin(step) => vec![&step.left.store, &step.right.store],
            Self::Remember(step) => vec![&step.store],
            Self::Aggregate(step) => vec![&step.store],
            Self::StreamJoin(_) | Self::Filter(_) | Self::Output(_) => Vec::new(),
        }
    }
}

/// A side of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    Left,
    Right,
}

/// How an input's records become rows.
#[derive(Debug)]
pub(crate) struct Scan {
    pub(crate) topic: String,
    /// Whether a record is a change of a table.
    pub(crate) is_table: bool,
    /// The step that takes the rows, and on which side.
    pub(crate) step: usize,
    pub(crate) side: Side,
    /// How many places its part of the row has.
    pub(crate) width: usize,
    pub(crate) key: Decoder,
    pub(crate) value: Decoder,
    /// The windows that the keys end with.
    pub(crate) window: Option<SourceWindow>,
    /// Places that take a header, or (`None`) all of them.
    pub(crate) headers: Vec<(usize, Option<String>)>,
    /// The place of the column that is the row's time.
    pub(crate) time: Option<(usize, TimeReading)>,
    /// The places of `ROWTIME`, `ROWPARTITION`, `ROWOFFSET`, `WINDOWSTART` and `WINDOWEND`.
    pub(crate) pseudo: [Option<usize>; 5],
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
    /// Whether the join's key is appended to the row.
    pub(crate) appends_key: bool,
    /// The column that stands for the join's key: it has the key where its own input has no row.
    pub(crate) key_place: Option<usize>,
    /// Whether the rows of either side are joined by something else than the key of their records.
    pub(crate) is_rekeyed: [bool; 2],
    /// Writes what they are joined by.
    pub(crate) encoder: Encoder,
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

/// A join with a table.
#[derive(Debug)]
pub(crate) struct TableJoinStep {
    pub(crate) kind: JoinKind,
    pub(crate) left: TableSide,
    pub(crate) right: TableSide,
    /// Writes what the sides are joined by.
    pub(crate) encoder: Encoder,
    /// Of a foreign-key join, the left table's own key, over the left row.
    pub(crate) left_primary: Vec<Expr>,
    /// Writes that.
    pub(crate) primary_encoder: Encoder,
    /// Whether the join's key is appended to the row.
    pub(crate) appends_key: bool,
    /// The column that stands for the join's key: it has the key where its own input has no row.
    pub(crate) key_place: Option<usize>,
}

/// A side of a join with a table.
#[derive(Debug)]
pub(crate) struct TableSide {
    /// What it is joined by, over its own part of the row.
    pub(crate) key: Expr,
    pub(crate) width: usize,
    pub(crate) store: StoreStep,
}

/// A store of a step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct StoreStep {
    /// Its changelog's topic ends with it.
    pub(crate) name: Arc<str>,
    pub(crate) windows: Windows,
    /// Whether it outlives the task.
    pub(crate) has_changelog: bool,
    /// How long windows are kept.
    pub(crate) retention_ms: Option<i64>,
}

/// What follows a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Windows {
    None,
    /// A stretch of time of a fixed length.
    Time,
    /// A session.
    Session,
}

/// A table whose rows are kept.
#[derive(Debug)]
pub(crate) struct RememberStep {
    /// The columns of its key.
    pub(crate) key: Vec<Expr>,
    pub(crate) encoder: Encoder,
    pub(crate) store: StoreStep,
}

/// A condition.
#[derive(Debug)]
pub(crate) struct FilterStep {
    pub(crate) condition: Expr,
    /// As it is written, for the processing log.
    pub(crate) text: String,
    /// Whether rows of a table are filtered, which then have to be deleted.
    pub(crate) of_table: bool,
}

/// An aggregation.
#[derive(Debug)]
pub(crate) struct AggregateStep {
    /// The grouping expressions, with their texts.
    pub(crate) groups: Vec<(Expr, String)>,
    pub(crate) calls: Vec<AggregateCall>,
    pub(crate) windowing: Option<Windowing>,
    /// Whether groups are something else than the keys of the records.
    pub(crate) is_rekeyed: bool,
    /// `EMIT FINAL`
    pub(crate) is_final: bool,
    /// Whether a row goes along as it was before: `HAVING` asks whether it passed then.
    pub(crate) passes_old: bool,
    pub(crate) of_table: bool,
    /// Writes a group's key.
    pub(crate) encoder: Encoder,
    pub(crate) store: StoreStep,
}

impl AggregateStep {
    /// The row of a group, of its kept values and states.
    pub(crate) fn result(&self, kept: &[Value], window: Option<Bounds>) -> Row {
        self.result_of(kept.split_at(self.groups.len()).into(), window)
    }

    /// The same, of the kept values and the states.
    pub(crate) fn result_of(&self, [group, states]: [&[Value]; 2], window: Option<Bounds>) -> Row {
        let mut row = Row::with_capacity(group.len() + states.len() + 2);
        row.extend_from_slice(group);
        let calls = self.calls.iter().zip(states);
        row.extend(calls.map(|(call, state)| call.aggregate.result(state)));
        if let Some(window) = window {
            row.push(Value::Bigint(window.start));
            row.push(Value::Bigint(window.end));
        }
        row
    }
}

/// A call of an aggregate function.
#[derive(Debug)]
pub(crate) struct AggregateCall {
    pub(crate) aggregate: Aggregate,
    /// The arguments that are columns, over the row.
    pub(crate) arguments: Vec<Expr>,
    /// As it is written, for the processing log.
    pub(crate) text: String,
}

/// The windows of an aggregation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Windowing {
    /// Its lengths are milliseconds.
    pub(crate) kind: WindowKind<i64>,
    pub(crate) grace_ms: i64,
    pub(crate) retention_ms: i64,
}

/// The end of a query.
#[derive(Debug)]
pub(crate) struct OutputStep {
    /// The lists whose elements are appended to the row, a row each (`EXPLODE`).
    pub(crate) tables: Vec<Projected>,
    /// Whether the output's key is the input's, as it came.
    pub(crate) keeps_key: bool,
    /// The output columns; those of the key first where there is a sink.
    pub(crate) projection: Vec<Projected>,
    /// The columns that are `NULL` for a record without a value: what it is partitioned by, where that needs one.
    pub(crate) value_only: Vec<bool>,
    /// Where rows go.
    pub(crate) destination: Destination,
}

/// An output column.
#[derive(Debug, Clone)]
pub(crate) struct Projected {
    pub(crate) expr: Expr,
    /// As it is written, for the processing log.
    pub(crate) text: String,
}

/// Where rows go.
#[derive(Debug)]
pub(crate) enum Destination {
    /// Only into the query's store.
    Nowhere,
    /// To a client.
    Rows {
        /// Of a table: which columns are its key.
        keys: Option<Vec<bool>>,
    },
    /// To a topic.
    Records {
        /// So many of the first output columns are the key.
        key_columns: usize,
        key: Encoder,
        value: Encoder,
        /// The output column that is the record's time.
        time: Option<(usize, TimeReading)>,
        /// The windows that the keys end with.
        windows: Windows,
    },
}

/// How the rows of a store become those of the query's table.
#[derive(Debug)]
pub(crate) struct Materialization {
    /// The step whose (first) store it is.
    pub(crate) step: usize,
    /// Of an aggregate: how its states become a row.
    pub(crate) groups: Option<Arc<AggregateStep>>,
    /// `WHERE` or `HAVING`
    pub(crate) filter: Option<Arc<FilterStep>>,
    /// The table's columns, those of the key first.
    pub(crate) projection: Vec<Projected>,
    /// Writes a key as the store has it.
    pub(crate) encoder: Encoder,
}

impl Materialization {
    /// The table's row for what is kept; `None` where the table has none.
    pub(crate) fn row(&self, kept: &[Value], window: Option<Bounds>) -> Option<Row> {
        let result;
        let row = match &self.groups {
            Some(groups) => {
                result = groups.result(kept, window);
                &result
            }
            None => kept,
        };
        // What was wrong with it was told when the row came.
        if let Some(filter) = &self.filter
            && !filter.condition.holds(row, &mut |_| {})
        {
            return None;
        }
        let columns = self.projection.iter();
        Some(
            columns
                .map(|column| column.expr.value(row, &mut |_| {}))
                .collect(),
        )
    }
}
