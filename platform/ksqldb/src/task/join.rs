//! A stream–stream join: the rows of both sides, kept while a partner may come.
//!
//! The rules are Kafka Streams': a row first goes into its own side's store, then meets the rows of the other
//! side in the order of their times; the joined row's time is the later one. A row without a partner, where its
//! side keeps such rows, comes out when its window closes; at once where the join has no grace period, where the
//! window is in the past already (it may still join later), and where its key is `NULL`.

mod state;

use std::collections::BTreeMap;
use std::sync::Arc;

use super::change::Change;
use super::operator::{Downstream, Operator};
use super::partitions::partition_of;
use crate::plan::{JoinStep, Side};
use crate::value::Value;
use state::{JoinState, Joined, Key};

/// What the rows of a join may take, in bytes. Beyond it go the rows that only late ones could meet, the oldest
/// first; where the windows alone take more, the query fails.
pub(super) const MOST_BYTES: usize = 256 * 1024 * 1024;

/// Joins two streams.
#[derive(Debug)]
pub(super) struct StreamJoin {
    step: Arc<JoinStep>,
    /// Of each partition.
    states: BTreeMap<i32, JoinState>,
    /// Over how many partitions rows are spread that are joined by something else than their key.
    partitions: i32,
    /// What the rows take, roughly, and what they may.
    bytes: usize,
    most_bytes: usize,
}

impl StreamJoin {
    pub(super) fn new(step: &Arc<JoinStep>, most_bytes: usize) -> Self {
        Self {
            states: BTreeMap::new(),
            partitions: 1,
            bytes: 0,
            most_bytes,
            step: Arc::clone(step),
        }
    }

    /// The partition by whose time a row of a key is late.
    fn partition(&self, side: Side, key: &Value, own: i32) -> i32 {
        let [left, right] = self.step.is_rekeyed;
        let is_rekeyed = match side {
            Side::Left => left,
            Side::Right => right,
        };
        if !is_rekeyed {
            return own;
        }
        if self.partitions == 1 || key.is_null() {
            return 0;
        }
        // What cannot be written joins by its value all the same.
        let bytes = self.step.encoder.encode(std::slice::from_ref(key));
        let bytes = bytes.ok().flatten().unwrap_or_default();
        partition_of(&bytes, self.partitions)
    }

    /// Makes room where the rows take too much. `false`: there is none to be had.
    fn make_room(&mut self) -> bool {
        while self.bytes > self.most_bytes {
            let mut made = false;
            for state in self.states.values_mut() {
                let before = state.bytes();
                made |= state.make_room(&self.step);
                self.bytes -= before - state.bytes();
            }
            if !made {
                return false;
            }
        }
        true
    }
}

impl Operator for StreamJoin {
    fn take(&mut self, side: Side, change: Change, to: &mut Downstream<'_, '_>) {
        if !change.present.value {
            return;
        }
        let (key, text) = match side {
            Side::Left => (&self.step.left_key, "the left side of JOIN ON"),
            Side::Right => (&self.step.right_key, "the right side of JOIN ON"),
        };
        let key = Key {
            value: key.value(&change.row, &mut |error| to.context.log(text, error)),
            window: change.window,
        };
        let partition = self.partition(side, &key.value, change.partition);
        let (appends_key, key_place) = (self.step.appends_key, self.step.key_place);
        let state = self
            .states
            .entry(partition)
            .or_insert_with(|| JoinState::new(&self.step));
        let bytes = state.bytes();
        state.take(
            &self.step,
            side,
            key,
            change.row,
            change.timestamp,
            &mut |joined| {
                let Joined {
                    mut row,
                    timestamp,
                    key,
                } = joined;
                if let Some(place) = key_place
                    && row[place].is_null()
                {
                    row[place] = key.value.clone();
                }
                if appends_key {
                    row.push(key.value.clone());
                }
                to.pass(Change {
                    window: key.window,
                    partition,
                    ..Change::of_row(row, timestamp)
                });
            },
        );
        self.bytes = self.bytes + state.bytes() - bytes;
        if !self.make_room() {
            to.context.fail(format!(
                "the rows within the window of a join take more than {} MiB; hint: a shorter WITHIN or GRACE PERIOD, \
                 fewer columns, or a WHERE before the join keeps less",
                MOST_BYTES / 1024 / 1024
            ));
        }
    }

    fn spread_over(&mut self, partitions: i32) {
        self.partitions = partitions;
    }

    fn waiting(&self) -> (usize, usize) {
        let states = self.states.values();
        states.fold((0, 0), |(stored, waiting), state| {
            (stored + state.stored(), waiting + state.waiting())
        })
    }
}
