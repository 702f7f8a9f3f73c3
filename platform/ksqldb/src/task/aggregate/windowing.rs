//! Rows into windows: those that have a size, sessions that grow and meet, and what is told when one closes.

use std::ops::Bound;
use std::sync::Arc;

use super::super::change::{Bounds, Change, Present};
use super::super::operator::Downstream;
use super::super::store_key::StoreKey;
use super::times::Times;
use super::{Aggregation, Group, Turn};
use crate::plan::{Windowing, Windows};
use crate::value::Value;

impl Aggregation {
    pub(super) fn times_of(&mut self, partition: i32) -> &mut Times {
        self.times.entry(partition).or_insert(Times::START)
    }

    /// A row into every window of that size that it lies in and that is open, the earliest first.
    pub(super) fn take_into_windows(
        &mut self,
        group: &Group,
        row: &[Value],
        timestamp: i64,
        (size, advance): (i64, i64),
        windowing: Windowing,
        to: &mut Downstream<'_, '_>,
    ) {
        let closed = self.times_of(group.partition).stream_time;
        let closed = closed.saturating_sub(windowing.grace_ms);
        let mut start = timestamp.saturating_sub(size - advance).max(0) / advance * advance;
        while start <= timestamp {
            let end = start.saturating_add(size);
            if end > closed {
                let times = self.times_of(group.partition);
                times.newest_window = times.newest_window.max(start);
                let window = Bounds { start, end };
                self.update(group, Some(window), &[(Turn::In, row)], timestamp, to);
            }
            match start.checked_add(advance) {
                // A query that has failed does nothing more.
                Some(next) if !to.context.has_failed() => start = next,
                _ => return,
            }
        }
    }

    /// A row into the session that it makes of all that it touches.
    pub(super) fn take_into_session(
        &mut self,
        group: &Group,
        row: &[Value],
        timestamp: i64,
        gap: i64,
        windowing: Windowing,
        to: &mut Downstream<'_, '_>,
    ) {
        let touched: Vec<StoreKey> = {
            let rows = self.store.read();
            let at = |time| StoreKey::at(Arc::clone(&group.bytes), group.partition, time);
            let (from, until) = (at(timestamp.saturating_sub(gap)), at(i64::MAX));
            let sessions = rows.range(Bound::Included(&from), Bound::Included(&until));
            sessions
                .map(|(key, _)| key.clone())
                .filter(|key| {
                    let window = key.window(Windows::Session);
                    window.is_some_and(|window| window.start <= timestamp.saturating_add(gap))
                })
                .collect()
        };
        let mut merged = Bounds {
            start: timestamp,
            end: timestamp,
        };
        for window in touched.iter().filter_map(|key| key.window(Windows::Session)) {
            merged.start = merged.start.min(window.start);
            merged.end = merged.end.max(window.end);
        }
        if merged.end < self.times_of(group.partition).closed_before(windowing) {
            return;
        }
        let is_alone = merged.start == timestamp && merged.end == timestamp;
        let mut states = self.start();
        let mut old = None;
        for key in &touched {
            let Some((kept, _, result)) = self.kept(key) else {
                continue;
            };
            let joined: Result<Vec<Value>, String> = self
                .step
                .calls
                .iter()
                .zip(states)
                .zip(kept)
                .map(|((call, state), kept)| call.aggregate.merge(state, kept))
                .collect();
            states = match joined {
                Ok(states) => states,
                Err(reason) => return to.context.fail(reason),
            };
            if is_alone {
                old = Some(result);
                continue;
            }
            let window = key.window(Windows::Session);
            let end = window.map_or(timestamp, |window| window.end);
            if !self.step.is_final {
                let gone = Change {
                    old: Some(result.clone()),
                    window,
                    partition: group.partition,
                    ..Change::of_row(result, end)
                };
                to.pass(gone.deleted());
            }
        }
        if !self.fold(&mut states, row, Turn::In, to.context) {
            return;
        }
        let times = self.times_of(group.partition);
        // A row that comes again after a crash may meet a session that ends later than anything did then: that lets
        // no other session go.
        times.newest_window = times.newest_window.max(merged.end.min(times.stream_time));
        let key = StoreKey::new(Arc::clone(&group.bytes), Windows::Session, Some(merged))
            .in_partition(group.partition);
        let parts = [&group.values[..], &states];
        self.store.put_parts(key.clone(), parts, merged.end, to.context);
        // After what was made of them: a crash in between leaves a session twice, and none nowhere.
        for old in touched.iter().filter(|old| **old != key) {
            let end = old
                .window(Windows::Session)
                .map_or(timestamp, |window| window.end);
            self.store.remove(old, end, to.context);
        }
        if !self.step.is_final {
            to.pass(Change {
                row: self.step.result_of(parts, Some(merged)),
                present: Present::WHOLE,
                old,
                timestamp: merged.end,
                window: Some(merged),
                partition: group.partition,
            });
        }
    }

    /// Passes on the windows of a partition that have closed.
    pub(super) fn pass_closed(&mut self, partition: i32, windowing: Windowing, to: &mut Downstream<'_, '_>) {
        let times = self.times_of(partition);
        let (from, before) = (times.emitted_before, times.closed_before(windowing));
        if before <= from {
            return;
        }
        times.emitted_before = before;
        let closed = self.store.read().windows(partition, from, before);
        for key in closed {
            if let Some((_, timestamp, result)) = self.kept(&key) {
                to.pass(Change {
                    window: key.window(self.store.windows),
                    partition,
                    ..Change::of_row(result, timestamp)
                });
            }
        }
    }
}
