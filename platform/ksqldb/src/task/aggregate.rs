//! `GROUP BY`: a state a group, or a group and window, that each row changes.
//!
//! Long because a group's state, its windows' times and what of both comes back after a restart are one order.

mod times;
mod windowing;

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

use super::change::{Bounds, Change, Present};
use super::operator::{Context, Downstream, Operator};
use super::partitions::{StreamTimes, partition_of};
use super::store::Store;
use super::store_key::StoreKey;
use crate::aggregates::Input;
use crate::plan::{AggregateStep, Side, Windows};
use crate::syntax::ast::WindowKind;
use crate::value::{Row, Value};
use times::{NO_TIME, Times, kept_from, newest_window};

/// Aggregates by group and window.
#[derive(Debug)]
pub(super) struct Aggregation {
    step: Arc<AggregateStep>,
    store: Store,
    /// Of each partition that windows have rows of.
    times: BTreeMap<i32, Times>,
    /// The stream times that the record at hand has moved, as they were before, in that order.
    moved: StreamTimes,
    /// The stream times that were committed before a restart, where they are known.
    committed: Option<StreamTimes>,
    /// Over how many partitions groups are spread that are not the rows' own keys.
    partitions: i32,
    /// The next place in the order of processing.
    sequence: i64,
}

/// A row's group.
struct Group {
    values: Row,
    bytes: Arc<[u8]>,
    /// The partition by whose time its windows close.
    partition: i32,
}

/// Whether a row comes in or goes out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Turn {
    In,
    Out,
}

impl Aggregation {
    pub(super) fn new(step: &Arc<AggregateStep>, most_bytes: usize) -> Self {
        Self {
            step: Arc::clone(step),
            store: Store::new(&step.store, most_bytes),
            times: BTreeMap::new(),
            moved: StreamTimes::new(),
            committed: None,
            partitions: 1,
            sequence: 0,
        }
    }

    /// The group of a row; `None` where a part of it is `NULL`.
    fn group(&self, row: &[Value], context: &mut Context<'_>) -> Option<Group> {
        let mut values = Row::with_capacity(self.step.groups.len() + self.step.calls.len());
        for (index, (expr, text)) in self.step.groups.iter().enumerate() {
            let mut failed = None;
            let value = expr.value(row, &mut |error| failed = Some(error.reason));
            if let Some(reason) = failed {
                context.log_reason(
                    text,
                    format!(
                        "Error calculating group-by column with index {index}. The source row will be excluded from \
                         the table. {reason}"
                    ),
                );
                return None;
            }
            if value.is_null() {
                context.log_reason(
                    text,
                    format!(
                        "Group-by column with index {index} resolved to null. The source row will be excluded from \
                         the table."
                    ),
                );
                return None;
            }
            values.push(value);
        }
        match self.step.encoder.encode(&values) {
            Ok(bytes) => Some(Group {
                values,
                bytes: bytes.unwrap_or_default().into(),
                partition: 0,
            }),
            Err(error) => {
                context.log_reason("GROUP BY", error.reason);
                None
            }
        }
    }

    /// The states before the first row.
    fn start(&self) -> Vec<Value> {
        self.step
            .calls
            .iter()
            .map(|call| call.aggregate.start())
            .collect()
    }

    /// Makes the states those after a row. `false`: the query fails.
    fn fold(&mut self, states: &mut [Value], row: &[Value], turn: Turn, context: &mut Context<'_>) -> bool {
        let sequence = self.sequence;
        self.sequence += 1;
        let mut arguments = Row::new();
        for (call, state) in self.step.calls.iter().zip(states) {
            arguments.clear();
            for argument in &call.arguments {
                let value = argument.value(row, &mut |error| context.log(&call.text, error));
                arguments.push(value);
            }
            let input = Input {
                arguments: &arguments,
                sequence,
            };
            let before = std::mem::take(state);
            let after = match turn {
                Turn::In => call.aggregate.add(before, input),
                Turn::Out => call.aggregate.undo(before, input),
            };
            match after {
                Ok(after) => *state = after,
                Err(reason) => {
                    context.fail(reason);
                    return false;
                }
            }
        }
        true
    }

    /// The kept states of a group with their time, and the row they make.
    fn kept(&self, key: &StoreKey) -> Option<(Vec<Value>, i64, Row)> {
        let (mut row, timestamp) = self.store.get(key)?;
        let result = self.step.result(&row, key.window(self.store.windows));
        let states = row.split_off(self.step.groups.len());
        Some((states, timestamp, result))
    }

    /// Lets rows go out of and come into a group, and passes on what it comes to.
    fn update(
        &mut self,
        group: &Group,
        window: Option<Bounds>,
        rows: &[(Turn, &[Value])],
        timestamp: i64,
        to: &mut Downstream<'_, '_>,
    ) {
        let key =
            StoreKey::new(Arc::clone(&group.bytes), self.store.windows, window).in_partition(group.partition);
        // What the group's columns were is only looked at where the old row is.
        let groups = self.step.groups.len();
        let left_out = if self.step.passes_old { 0 } else { groups };
        let mut old = None;
        let (mut states, timestamp) = match self.store.get_after(&key, left_out) {
            Some((mut kept, time)) => {
                if self.step.passes_old {
                    old = Some(self.step.result(&kept, window));
                    kept.drain(..groups);
                }
                (kept, timestamp.max(time))
            }
            None => (self.start(), timestamp),
        };
        for (turn, row) in rows {
            if !self.fold(&mut states, row, *turn, to.context) {
                return;
            }
        }
        let parts = [&group.values[..], &states];
        self.store.put_parts(key, parts, timestamp, to.context);
        if !self.step.is_final {
            to.pass(Change {
                row: self.step.result_of(parts, window),
                present: Present::WHOLE,
                old,
                timestamp,
                window,
                partition: group.partition,
            });
        }
    }

    /// A change of a table: the old row leaves its group before the new one enters its own.
    fn take_change(&mut self, change: &Change, to: &mut Downstream<'_, '_>) {
        let timestamp = change.timestamp;
        let old = change.old.as_deref();
        let new = change.present.value.then_some(&*change.row);
        // That an old row has no group was told when it was new.
        let left = old.and_then(|row| Some((self.group(row, &mut silent(&mut None, &mut None))?, row)));
        let entered = new.and_then(|row| Some((self.group(row, to.context)?, row)));
        match (left, entered) {
            (Some((left, old)), Some((entered, new))) if left.bytes == entered.bytes => {
                self.update(
                    &entered,
                    None,
                    &[(Turn::Out, old), (Turn::In, new)],
                    timestamp,
                    to,
                );
            }
            (left, entered) => {
                if let Some((group, old)) = left {
                    self.update(&group, None, &[(Turn::Out, old)], timestamp, to);
                }
                if let Some((group, new)) = entered {
                    self.update(&group, None, &[(Turn::In, new)], timestamp, to);
                }
            }
        }
    }

    /// A row of a stream.
    fn take_row(&mut self, change: &Change, to: &mut Downstream<'_, '_>) {
        let Some(mut group) = self.group(&change.row, to.context) else {
            return;
        };
        let (row, timestamp) = (&*change.row, change.timestamp);
        let Some(windowing) = self.step.windowing else {
            self.update(&group, None, &[(Turn::In, row)], timestamp, to);
            return;
        };
        if timestamp < 0 {
            to.context
                .log_reason("GROUP BY", "a row of a time before 1970 is in no window");
            return;
        }
        group.partition = if self.step.is_rekeyed {
            partition_of(&group.bytes, self.partitions)
        } else {
            change.partition
        };
        let times = self.times.entry(group.partition).or_insert(Times::START);
        if timestamp > times.stream_time {
            self.moved.push((group.partition, times.stream_time));
            times.stream_time = timestamp;
        }
        match windowing.kind {
            WindowKind::Tumbling { size: size_ms } => {
                self.take_into_windows(&group, row, timestamp, (size_ms, size_ms), windowing, to);
            }
            WindowKind::Hopping {
                size: size_ms,
                advance: advance_ms,
            } => {
                self.take_into_windows(&group, row, timestamp, (size_ms, advance_ms), windowing, to);
            }
            WindowKind::Session { gap: gap_ms } => {
                self.take_into_session(&group, row, timestamp, gap_ms, windowing, to);
            }
        }
        if self.step.is_final {
            self.pass_closed(group.partition, windowing, to);
        }
        let times = self.times_of(group.partition);
        let kept_from = kept_from(times.newest_window, windowing);
        if kept_from > times.kept_from {
            times.kept_from = kept_from;
            self.store.expire(group.partition, kept_from, to.context);
        }
    }
}

impl Operator for Aggregation {
    fn take(&mut self, _: Side, change: Change, to: &mut Downstream<'_, '_>) {
        if to.context.is_replaying() {
            return;
        }
        if self.step.of_table {
            self.take_change(&change, to);
        } else if change.present.value {
            self.take_row(&change, to);
        }
    }

    fn stores(&mut self) -> Vec<&mut Store> {
        vec![&mut self.store]
    }

    fn begin(&mut self) {
        self.moved.clear();
    }

    fn give_up(&mut self) {
        while let Some((partition, stream_time)) = self.moved.pop() {
            self.times_of(partition).stream_time = stream_time;
        }
    }

    fn spread_over(&mut self, partitions: i32) {
        self.partitions = partitions;
        if self.step.windowing.is_some() {
            self.store.spread_over(partitions);
        }
    }

    fn go_on_from(&mut self, committed: &[(i32, i64)]) {
        let Some(windowing) = self.step.windowing else {
            return;
        };
        self.times.clear();
        self.committed = None;
        let Some(earliest) = committed.iter().map(|(_, time)| *time).min() else {
            return;
        };
        let is_spread_otherwise = i32::try_from(committed.len()) != Ok(self.partitions);
        let mut times = committed.to_vec();
        times.extend((0..self.partitions).filter_map(|partition| {
            let is_known = committed.iter().any(|(known, _)| *known == partition);
            (!is_known).then_some((partition, NO_TIME))
        }));
        if self.step.is_rekeyed && is_spread_otherwise {
            // Groups lie elsewhere now: no window of theirs has closed that one of the times leaves open.
            times.iter_mut().for_each(|(_, time)| *time = earliest);
        }
        for (partition, time) in &times {
            let kept_from = kept_from(newest_window(*time, windowing), windowing);
            self.store.keep_from(*partition, kept_from);
        }
        self.committed = Some(times);
    }

    fn stream_times(&self, into: &mut StreamTimes) {
        if self.step.windowing.is_none() {
            return;
        }
        // Where nothing has come yet, that is known, too.
        let time = |partition: i32| {
            self.times
                .get(&partition)
                .map_or(NO_TIME, |times| times.stream_time)
        };
        into.extend((0..self.partitions).map(|partition| (partition, time(partition))));
        let further = self.times.range(self.partitions..);
        into.extend(further.map(|(partition, times)| (*partition, times.stream_time)));
    }

    fn restored(&mut self) {
        let groups = self.step.groups.len();
        let mut times: BTreeMap<i32, Times> = BTreeMap::new();
        let mut sequence = None;
        {
            let rows = self.store.read();
            for (key, stored) in rows.range(Bound::Unbounded, Bound::Unbounded) {
                if let Some(window) = key.window(self.store.windows) {
                    let times = times.entry(key.partition()).or_insert(Times::START);
                    // A window's time is that of its latest row, so the highest is that of the latest row of all.
                    times.stream_time = times.stream_time.max(stored.timestamp);
                    times.newest_window = times.newest_window.max(match self.store.windows {
                        Windows::Session => window.end,
                        _ => window.start,
                    });
                }
                let row = stored.row();
                let states = row.get(groups..).unwrap_or_default();
                for (call, state) in self.step.calls.iter().zip(states) {
                    sequence = sequence.max(call.aggregate.sequence(state));
                }
            }
        }
        self.sequence = sequence.map_or(0, |sequence| sequence + 1);
        if let Some(windowing) = self.step.windowing {
            // Rows from after the last commit come again: to them, what they made of it has not happened yet.
            for (partition, committed) in self.committed.iter().flatten() {
                let of_partition = Times {
                    stream_time: *committed,
                    newest_window: newest_window(*committed, windowing),
                    ..Times::START
                };
                times.insert(*partition, of_partition);
            }
            for (partition, times) in &mut times {
                times.emitted_before = times.closed_before(windowing);
                times.kept_from = kept_from(times.newest_window, windowing);
                self.store.let_go_before(*partition, times.kept_from);
            }
            self.times = times;
        }
    }
}

/// A context that notes nothing.
fn silent<'a>(remaining: &'a mut Option<u64>, failure: &'a mut Option<String>) -> Context<'a> {
    Context {
        collector: None,
        remaining,
        failure,
    }
}
