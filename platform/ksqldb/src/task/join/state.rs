//! What a stream-stream join keeps: for each key, the rows of both sides that may still find a partner.

use std::collections::BTreeMap;

use super::super::change::Bounds;
use super::super::stored_row::{PackedRow, StoredRow, pack};
use super::super::window_store::{JoinKey, WindowStore, look_up_by};
use crate::plan::{JoinStep, Side};
use crate::syntax::ast::JoinKind;
use crate::value::{Row, Value};

/// What rows are joined by: a value, and of windowed streams the window, too.
#[derive(Debug)]
pub(super) struct Key {
    pub(super) value: Value,
    pub(super) window: Option<Bounds>,
}

/// A row that comes out of a join.
pub(super) struct Joined<'a> {
    pub(super) row: Row,
    pub(super) timestamp: i64,
    pub(super) key: &'a Key,
}

/// A row that has no partner yet.
#[derive(Debug)]
struct Waiting {
    key: Key,
    row: StoredRow,
}

impl Waiting {
    /// What it takes, roughly: with its place, and its key twice.
    pub(super) fn bytes(&self) -> usize {
        2 * size_of::<Self>() + self.row.bytes()
    }
}

/// The rows of one side.
#[derive(Debug)]
struct Half {
    store: WindowStore,
    /// The rows without a partner whose window is open, the one that closes first at the front.
    waiting: BTreeMap<(i64, JoinKey), Vec<Waiting>>,
}

impl Half {
    pub(super) fn new(join: &JoinStep) -> Self {
        Self {
            store: WindowStore::new(join.retention_ms(), window_ms(join)),
            waiting: BTreeMap::new(),
        }
    }

    /// The time of the waiting row whose window closes first.
    fn first_waiting(&self) -> Option<i64> {
        self.waiting
            .first_key_value()
            .map(|((timestamp, _), _)| *timestamp)
    }
}

/// The state of a join in a partition.
#[derive(Debug)]
pub(super) struct JoinState {
    left: Half,
    right: Half,
    /// The highest time of a row of either side.
    stream_time: i64,
    /// For packing rows and the keys that they are looked up by.
    scratch: [Vec<u8>; 2],
    /// What the rows that wait take.
    waiting_bytes: usize,
}

impl JoinState {
    pub(super) fn new(join: &JoinStep) -> Self {
        Self {
            scratch: Default::default(),
            waiting_bytes: 0,
            left: Half::new(join),
            right: Half::new(join),
            stream_time: i64::MIN,
        }
    }

    /// How many rows both sides hold.
    pub(super) fn stored(&self) -> usize {
        self.left.store.len() + self.right.store.len()
    }

    /// What the rows take, roughly, in bytes.
    pub(super) fn bytes(&self) -> usize {
        self.left.store.bytes() + self.right.store.bytes() + self.waiting_bytes
    }

    /// Lets go of the oldest rows that only late ones could meet. Returns whether there were any.
    pub(super) fn make_room(&mut self, join: &JoinStep) -> bool {
        let needed = self.stream_time.saturating_sub(window_ms(join));
        let left = self.left.store.let_go_before(needed);
        self.right.store.let_go_before(needed) || left
    }

    /// How many rows wait for a partner.
    pub(super) fn waiting(&self) -> usize {
        let both = self.left.waiting.values().chain(self.right.waiting.values());
        both.map(Vec::len).sum()
    }

    /// Takes a row of a side and gives `emit` what comes out.
    pub(super) fn take(
        &mut self,
        join: &JoinStep,
        side: Side,
        key: Key,
        row: Row,
        timestamp: i64,
        emit: &mut dyn FnMut(Joined<'_>),
    ) {
        self.stream_time = self.stream_time.max(timestamp);
        let keeps_lonely = keeps_lonely_rows(join.kind, side);
        let [mut packed, mut looked_up] = std::mem::take(&mut self.scratch);
        if !look_up_by(&key.value, key.window, &mut looked_up) {
            if keeps_lonely {
                emit(Joined {
                    row: lonely(join, side, &row),
                    timestamp,
                    key: &key,
                });
            }
            self.scratch = [packed, looked_up];
            return;
        }
        if timestamp == self.stream_time {
            self.close_windows(join, emit);
        }
        let (own, other) = match side {
            Side::Left => (&mut self.left, &mut self.right),
            Side::Right => (&mut self.right, &mut self.left),
        };
        let (from, to) = window(join, side, timestamp);
        let mut found = false;
        for (other_timestamp, other_row) in other.store.range(&looked_up, from, to) {
            found = true;
            if !other.waiting.is_empty()
                && let Some(join_key) = JoinKey::of(&key.value, key.window)
                && let Some(met) = other.waiting.remove(&(other_timestamp, join_key))
            {
                self.waiting_bytes -= met.iter().map(Waiting::bytes).sum::<usize>();
            }
            emit(Joined {
                row: combine(join, side, &row, other_row),
                timestamp: timestamp.max(other_timestamp),
                key: &key,
            });
        }
        packed.clear();
        pack(&row, &mut packed);
        own.store.insert(&looked_up, timestamp, PackedRow(&packed));
        if !found && keeps_lonely {
            let waits = join.grace_ms.is_some() && to >= self.stream_time;
            match JoinKey::of(&key.value, key.window) {
                Some(join_key) if waits => {
                    let waiting = Waiting {
                        key,
                        row: StoredRow::of_packed(&packed),
                    };
                    self.waiting_bytes += waiting.bytes();
                    own.waiting
                        .entry((timestamp, join_key))
                        .or_default()
                        .push(waiting);
                }
                _ => emit(Joined {
                    row: lonely(join, side, &row),
                    timestamp,
                    key: &key,
                }),
            }
        }
        self.scratch = [packed, looked_up];
    }

    /// Lets go of the rows whose window has closed without a partner, in the order of their times.
    fn close_windows(&mut self, join: &JoinStep, emit: &mut dyn FnMut(Joined<'_>)) {
        let Some(grace) = join.grace_ms else {
            return;
        };
        let stream_time = self.stream_time;
        let closed = |half: &Half, side: Side| {
            let closes = |timestamp: &i64| window(join, side, *timestamp).1.saturating_add(grace);
            half.first_waiting()
                .filter(|timestamp| closes(timestamp) < stream_time)
        };
        loop {
            let (side, half) = match (closed(&self.left, Side::Left), closed(&self.right, Side::Right)) {
                (None, None) => return,
                (Some(left), right) if right.is_none_or(|right| left <= right) => {
                    (Side::Left, &mut self.left)
                }
                _ => (Side::Right, &mut self.right),
            };
            let Some(((timestamp, _), rows)) = half.waiting.pop_first() else {
                return;
            };
            for waiting in rows {
                self.waiting_bytes -= waiting.bytes();
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

/// How far apart partners may be, from the earliest to the latest.
fn window_ms(join: &JoinStep) -> i64 {
    join.before_ms.saturating_add(join.after_ms)
}

/// The times a partner of a row may have, both included.
pub(super) fn window(join: &JoinStep, side: Side, timestamp: i64) -> (i64, i64) {
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

fn combine(join: &JoinStep, side: Side, own: &[Value], other: PackedRow<'_>) -> Row {
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

/// A row without a partner.
fn lonely(join: &JoinStep, side: Side, own: &[Value]) -> Row {
    let mut row = empty_row(join);
    if side == Side::Right {
        row.resize(join.left_width, Value::Null);
    }
    row.extend_from_slice(own);
    row.resize(join.left_width + join.right_width, Value::Null);
    row
}
