//! A running plan: records in; rows, records and log entries out.
//!
//! One task a query, on one thread. It knows no broker, no clock and no client: time is the records' own.

mod join;
mod output;
mod record;
mod scan;
mod stored_row;
mod window_store;

use std::sync::Arc;

pub use record::{Collector, InputRecord, LogEntry, OutputRecord, OutputRow};

use crate::plan::{Pipeline, QueryPlan};
use crate::value::Row;
use join::{JoinState, Joined, Side};
use output::Output;
use scan::{Present, Scanned};

/// A running query.
#[derive(Debug)]
pub struct Task {
    pipeline: Arc<Pipeline>,
    /// One a join.
    joins: Vec<JoinState>,
    remaining: Option<u64>,
}

impl Task {
    /// A task with empty state.
    pub fn new(plan: &QueryPlan) -> Self {
        Self::with_state_of(plan, join::MOST_BYTES)
    }

    /// The same, where the rows of each join may take so many bytes.
    pub fn with_state_of(plan: &QueryPlan, most_bytes: usize) -> Self {
        let pipeline = Arc::clone(&plan.pipeline);
        let joins = pipeline.joins.iter();
        Self {
            joins: joins.map(|join| JoinState::new(join, most_bytes)).collect(),
            remaining: pipeline.limit,
            pipeline,
        }
    }

    /// Takes a record of one of the inputs' topics.
    ///
    /// A join's state expires with the highest timestamp seen, so among the records at hand
    /// (such as those of several partitions at start) the earliest should come first.
    pub fn process(&mut self, record: InputRecord<'_>, collector: &mut Collector) {
        self.take(record, Some(collector));
    }

    /// Takes a record that was processed before a restart: fills the state, emits nothing.
    pub fn restore(&mut self, record: InputRecord<'_>) {
        if !self.joins.is_empty() {
            self.take(record, None);
        }
    }

    /// Whether the query's `LIMIT` is reached: nothing more will come.
    pub fn is_complete(&self) -> bool {
        self.remaining == Some(0)
    }

    /// Why the query cannot go on.
    pub fn failure(&self) -> Option<String> {
        self.joins.iter().any(JoinState::is_overfull).then(|| {
            format!(
                "the rows within the window of a join take more than {} MiB; hint: a shorter WITHIN or GRACE PERIOD, \
                 fewer columns, or a WHERE before the join keeps less",
                join::MOST_BYTES / 1024 / 1024
            )
        })
    }

    /// How many rows the joins hold, and how many of these wait for the window to close without a partner.
    pub fn stored_rows(&self) -> (usize, usize) {
        let sum = |count: fn(&JoinState) -> usize| self.joins.iter().map(count).sum();
        (sum(JoinState::stored), sum(JoinState::waiting))
    }

    fn take(&mut self, record: InputRecord<'_>, mut collector: Option<&mut Collector>) {
        if self.is_complete() {
            return;
        }
        let pipeline = Arc::clone(&self.pipeline);
        for (index, scan) in pipeline.scans.iter().enumerate() {
            if scan.topic != record.topic {
                continue;
            }
            let scanned = match scan::scan(scan, &record) {
                Ok(scanned) => scanned,
                Err(entry) => {
                    if let Some(collector) = &mut collector {
                        collector.log.push(entry);
                    }
                    continue;
                }
            };
            let mut output = Output {
                pipeline: &pipeline,
                collector: collector.as_deref_mut(),
                remaining: &mut self.remaining,
            };
            if pipeline.joins.is_empty() {
                output.emit(scanned.row, scanned.timestamp, scanned.present);
            } else if scanned.present.value {
                join_row(&mut self.joins, &pipeline, index, scanned, &mut output);
            }
        }
    }
}

/// Hands a scanned row to the join that has this scan on a side.
fn join_row(
    states: &mut [JoinState],
    pipeline: &Pipeline,
    scan: usize,
    scanned: Scanned,
    output: &mut Output<'_>,
) {
    let (step, side) = match scan {
        0 => (0, Side::Left),
        later => (later - 1, Side::Right),
    };
    deliver(
        states,
        pipeline,
        step,
        side,
        scanned.row,
        scanned.timestamp,
        output,
    );
}

/// Hands a row to a side of a join, and what comes out to the next join or to the output.
fn deliver(
    states: &mut [JoinState],
    pipeline: &Pipeline,
    step: usize,
    side: Side,
    row: Row,
    timestamp: i64,
    output: &mut Output<'_>,
) {
    let join = &pipeline.joins[step];
    let (key_expression, key_text) = match side {
        Side::Left => (&join.left_key, "the left side of JOIN ON"),
        Side::Right => (&join.right_key, "the right side of JOIN ON"),
    };
    let key = key_expression.value(&row, &mut |error| output.log(key_text, error));
    let is_last = step + 1 == pipeline.joins.len();
    let keeps_key = is_last && pipeline.keeps_join_key;
    if is_last {
        states[step].take(join, side, key, row, timestamp, &mut |joined| {
            let Joined {
                mut row,
                timestamp,
                key,
            } = joined;
            if keeps_key {
                row.push(key.clone());
            }
            output.emit(row, timestamp, Present::WHOLE);
        });
        return;
    }
    let mut joined_rows = Vec::new();
    states[step].take(join, side, key, row, timestamp, &mut |joined| {
        joined_rows.push((joined.row, joined.timestamp));
    });
    for (row, timestamp) in joined_rows {
        deliver(states, pipeline, step + 1, Side::Left, row, timestamp, output);
    }
}
