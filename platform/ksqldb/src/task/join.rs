//! A stream–stream join: the rows of both sides, kept while a partner may come.
//!
//! The rules are Kafka Streams': a row first goes into its own side's store, then meets the rows of the other
//! side in the order of their times; the joined row's time is the later one. A row without a partner, where its
//! side keeps such rows, comes out when its window closes, or at once where the join has no grace period.

use std::collections::BTreeMap;

use super::stored_row::StoredRow;
use super::window_store::{JoinKey, WindowStore};
use crate::plan::JoinStep;
use crate::syntax::ast::JoinKind;
use crate::value::{Row, Value};

/// A side of a join.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Side {
    Left,
    Right,
}

/// A row that comes out of a join.
pub(super) struct Joined<'a> {
    pub(super) row: Row,
    pub(super) timestamp: i64,
    pub(super) key: &'a Value,
}

/// A row that has no partner yet.
#[derive(Debug)]
struct Waiting {
    key: Value,
    row: StoredRow,
}

/// The state of a join.
#[derive(Debug)]
pub(super) struct JoinState {
    left: WindowStore,
    right: WindowStore,
    /// The highest time of a row of either side.
    stream_time: i64,
    /// The rows without a partner whose window is open.
    waiting: BTreeMap<(i64, Side, JoinKey), Vec<Waiting>>,
    /// For packing rows.
    scratch: Vec<u8>,
}

impl JoinState {
    pub(super) fn new(join: &JoinStep) -> Self {
        Self {
            left: WindowStore::new(join.retention_ms()),
            right: WindowStore::new(join.retention_ms()),
            stream_time: i64::MIN,
            waiting: BTreeMap::new(),
            scratch: Vec::new(),
        }
    }

    /// How many rows both sides hold.
    pub(super) fn stored(&self) -> usize {
        self.left.len() + self.right.len()
    }

    /// How many rows wait for a partner.
    pub(super) fn waiting(&self) -> usize {
        self.waiting.values().map(Vec::len).sum()
    }

    /// Takes a row of a side and gives `emit` what comes out.
    pub(super) fn take(
        &mut self,
        join: &JoinStep,
        side: Side,
        key: Value,
        row: Row,
        timestamp: i64,
        emit: &mut dyn FnMut(Joined<'_>),
    ) {
        self.stream_time = self.stream_time.max(timestamp);
        if timestamp == self.stream_time {
            self.close_windows(join, emit);
        }
        let Some(join_key) = JoinKey::of(&key) else {
            return;
        };
        let (from, to) = window(join, side, timestamp);
        let (other, other_side) = match side {
            Side::Left => (&self.right, Side::Right),
            Side::Right => (&self.left, Side::Left),
        };
        let mut found = false;
        for (other_timestamp, other_row) in other.range(&join_key, from, to) {
            found = true;
            if !self.waiting.is_empty() {
                self.waiting
                    .remove(&(other_timestamp, other_side, join_key.clone()));
            }
            emit(Joined {
                row: combine(join, side, &row, other_row),
                timestamp: timestamp.max(other_timestamp),
                key: &key,
            });
        }
        let stored = StoredRow::new(&row, &mut self.scratch);
        if !found && keeps_lonely_rows(join.kind, side) {
            let is_closed = match join.grace_ms {
                Some(grace) => to.saturating_add(grace) < self.stream_time,
                None => true,
            };
            if is_closed {
                emit(Joined {
                    row: lonely(join, side, &row),
                    timestamp,
                    key: &key,
                });
            } else {
                let rows = self.waiting.entry((timestamp, side, join_key.clone()));
                rows.or_default().push(Waiting {
                    key,
                    row: stored.clone(),
                });
            }
        }
        let own = match side {
            Side::Left => &mut self.left,
            Side::Right => &mut self.right,
        };
        own.insert(join_key, timestamp, stored);
    }

    /// Lets go of the rows whose window has closed without a partner.
    fn close_windows(&mut self, join: &JoinStep, emit: &mut dyn FnMut(Joined<'_>)) {
        let Some(grace) = join.grace_ms else {
            return;
        };
        let closes = |timestamp: i64, side: Side| window(join, side, timestamp).1.saturating_add(grace);
        let mut closed = Vec::new();
        for place in self.waiting.keys() {
            let (timestamp, side, _) = place;
            let earliest = closes(*timestamp, Side::Left).min(closes(*timestamp, Side::Right));
            if earliest >= self.stream_time {
                break;
            }
            if closes(*timestamp, *side) < self.stream_time {
                closed.push(place.clone());
            }
        }
        for place in closed {
            let (timestamp, side, _) = place;
            for waiting in self.waiting.remove(&place).unwrap_or_default() {
                let mut row = Row::new();
                waiting.row.unpack(&mut row);
                emit(Joined {
                    row: lonely(join, side, &row),
                    timestamp,
                    key: &waiting.key,
                });
            }
        }
    }
}

/// The times a partner of a row may have, both included.
fn window(join: &JoinStep, side: Side, timestamp: i64) -> (i64, i64) {
    let (before, after) = match side {
        Side::Left => (join.before_ms, join.after_ms),
        // Seen from the right, before and after change places.
        Side::Right => (join.after_ms, join.before_ms),
    };
    (timestamp.saturating_sub(before), timestamp.saturating_add(after))
}

fn keeps_lonely_rows(kind: JoinKind, side: Side) -> bool {
    match kind {
        JoinKind::Inner => false,
        JoinKind::Left => side == Side::Left,
        JoinKind::Right => side == Side::Right,
        JoinKind::Full => true,
    }
}

/// One more place than the columns, for the join key.
fn empty_row(join: &JoinStep) -> Row {
    Vec::with_capacity(join.left_width + join.right_width + 1)
}

fn combine(join: &JoinStep, side: Side, own: &[Value], other: &StoredRow) -> Row {
    let mut row = empty_row(join);
    match side {
        Side::Left => {
            row.extend_from_slice(own);
            other.unpack(&mut row);
        }
        Side::Right => {
            other.unpack(&mut row);
            row.extend_from_slice(own);
        }
    }
    row
}

fn lonely(join: &JoinStep, side: Side, own: &[Value]) -> Row {
    let mut row = empty_row(join);
    if side == Side::Right {
        row.resize(join.left_width, Value::Null);
    }
    row.extend_from_slice(own);
    row.resize(join.left_width + join.right_width, Value::Null);
    row
}
