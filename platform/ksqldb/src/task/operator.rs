//! Operators: each takes changes on its sides and passes on what becomes of them.
//!
//! A query is a tree of them that leans to the left: an operator's left side is fed by the one before it, its right
//! side, where it has one, by a scan. So they stand in a row, and each has all later ones downstream.

use std::fmt::Debug;

use super::change::Change;
use super::partitions::StreamTimes;
use super::store::{Store, StoreChange};
use super::{Collector, LogEntry};
use crate::expression::EvaluationError;
use crate::plan::Side;

/// An operator with its state.
pub(super) trait Operator: Debug + Send {
    /// Takes a change on a side.
    fn take(&mut self, side: Side, change: Change, to: &mut Downstream<'_, '_>);

    /// Its stores.
    fn stores(&mut self) -> Vec<&mut Store> {
        Vec::new()
    }

    /// Called before the rows of a record are taken.
    fn begin(&mut self) {}

    /// Called where the record cannot be processed: its time has not come.
    fn give_up(&mut self) {}

    /// Says over how many partitions rows are spread by a key that is not that of their records.
    fn spread_over(&mut self, _partitions: i32) {}

    /// Called before its stores are filled from their changelogs: it goes on at those stream times, where they are
    /// known.
    fn go_on_from(&mut self, _stream_times: &[(i32, i64)]) {}

    /// Adds the highest time of a row that it took into a window, of each partition.
    fn stream_times(&self, _into: &mut StreamTimes) {}

    /// Called when its stores have been filled from their changelogs.
    fn restored(&mut self) {}

    /// How many rows a join of streams holds, and how many of these wait for a partner.
    fn waiting(&self) -> (usize, usize) {
        (0, 0)
    }
}

/// What a change meets on its way through the operators.
pub(super) struct Context<'a> {
    /// `None` while joins of streams are refilled from their inputs: nothing leaves.
    pub(super) collector: Option<&'a mut Collector>,
    /// How many rows are still wanted.
    pub(super) remaining: &'a mut Option<u64>,
    /// Why the query cannot go on.
    pub(super) failure: &'a mut Option<String>,
}

impl Context<'_> {
    /// Whether the record was processed before, and only the state that no changelog has is built from it.
    pub(super) fn is_replaying(&self) -> bool {
        self.collector.is_none()
    }

    /// Notes that an expression failed.
    pub(super) fn log(&mut self, expression: &str, error: EvaluationError) {
        self.log_reason(expression, error.reason);
    }

    /// Notes that something about an expression is not as it should be.
    pub(super) fn log_reason(&mut self, expression: &str, reason: impl Into<String>) {
        if let Some(collector) = self.collector.as_deref_mut() {
            collector.log.push(LogEntry::Expression {
                expression: expression.to_owned(),
                reason: reason.into(),
            });
        }
    }

    /// Notes what goes to a changelog.
    pub(super) fn keep(&mut self, change: StoreChange) {
        if let Some(collector) = self.collector.as_deref_mut() {
            collector.changes.push(change);
        }
    }

    /// Whether the query cannot go on.
    pub(super) fn has_failed(&self) -> bool {
        self.failure.is_some()
    }

    /// Notes what goes to a changelog once what made it so is committed.
    pub(super) fn keep_later(&mut self, change: StoreChange) {
        if let Some(collector) = self.collector.as_deref_mut() {
            collector.expired.push(change);
        }
    }

    /// Ends the query.
    pub(super) fn fail(&mut self, reason: impl Into<String>) {
        self.failure.get_or_insert_with(|| reason.into());
    }
}

/// The operators after one, and what goes along.
pub(super) struct Downstream<'a, 'b> {
    pub(super) operators: &'a mut [Box<dyn Operator>],
    pub(super) context: &'a mut Context<'b>,
}

impl Downstream<'_, '_> {
    /// Hands a change to the next operator.
    pub(super) fn pass(&mut self, change: Change) {
        if let Some((next, later)) = self.operators.split_first_mut() {
            next.take(
                Side::Left,
                change,
                &mut Downstream {
                    operators: later,
                    context: self.context,
                },
            );
        }
    }
}
