//! The rows of one side of a join, by key and time, for as long as a partner may come.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;

use super::change::Bounds;
use super::stored_row::StoredRow;
use crate::value::Value;

/// A join key that can be looked up. Kafka compares the keys' bytes, so two numbers of one type
/// are one key exactly when they look the same.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum JoinKey {
    Boolean(bool),
    Integer(i64),
    Double(u64),
    String(Arc<str>),
    Bytes(Arc<[u8]>),
    /// Anything else, by its text.
    Other(String),
    /// One of these in a window.
    Windowed(Box<JoinKey>, i64, i64),
}

impl JoinKey {
    /// The key of a value in a window; `None` for `NULL`, which joins nothing.
    pub(super) fn of(value: &Value, window: Option<Bounds>) -> Option<Self> {
        let key = Self::of_value(value)?;
        Some(match window {
            None => key,
            Some(window) => Self::Windowed(Box::new(key), window.start, window.end),
        })
    }

    fn of_value(value: &Value) -> Option<Self> {
        Some(match value {
            Value::Null => return None,
            Value::Boolean(flag) => Self::Boolean(*flag),
            Value::Integer(number) | Value::Date(number) | Value::Time(number) => {
                Self::Integer(i64::from(*number))
            }
            Value::Bigint(number) | Value::Timestamp(number) => Self::Integer(*number),
            Value::Double(number) => Self::Double(number.to_bits()),
            Value::String(text) => Self::String(Arc::clone(text)),
            Value::Bytes(bytes) => Self::Bytes(Arc::clone(bytes)),
            Value::Decimal(number) => Self::Other(number.to_plain_string()),
            Value::Array(_) | Value::Map(_) | Value::Struct(_) => Self::Other(format!("{value:?}")),
        })
    }
}

/// The rows of a key in the order of their times; rows of one time in the order they came.
type Rows = VecDeque<(i64, StoredRow)>;

/// The rows of one side of a join.
#[derive(Debug)]
pub(super) struct WindowStore {
    retention_ms: i64,
    /// The highest time of a row of this side.
    stream_time: i64,
    rows: HashMap<JoinKey, Rows>,
    stored: usize,
    /// What the rows take, roughly.
    bytes: usize,
    /// Rows before it were let go of early, for want of room.
    floor: i64,
    /// Which keys have rows in a stretch of time, so that expiry touches nothing that stays.
    stretches: BTreeMap<i64, Vec<JoinKey>>,
    stretch_ms: i64,
}

/// Into so many stretches the retention is cut: more make expiry more exact, fewer make it cheaper.
const STRETCHES: i64 = 64;
/// What a row takes besides its values: its place, its key, and what the map and the lists around them need.
const OVERHEAD: usize = 64;

impl WindowStore {
    /// A store whose rows are kept so long. Partners within the window are what it is for: the rows before that wait
    /// for late ones.
    pub(super) fn new(retention_ms: i64, window_ms: i64) -> Self {
        Self {
            retention_ms,
            stream_time: i64::MIN,
            rows: HashMap::new(),
            stored: 0,
            bytes: 0,
            floor: i64::MIN,
            stretches: BTreeMap::new(),
            stretch_ms: (retention_ms / STRETCHES).min(window_ms).max(1),
        }
    }

    /// How many rows there are.
    pub(super) fn len(&self) -> usize {
        self.stored
    }

    /// A row that is exactly as old as the retention is gone, so a store without retention keeps nothing.
    fn oldest_kept(&self) -> i64 {
        let gone = self.stream_time.saturating_sub(self.retention_ms);
        gone.saturating_add(1).max(self.floor)
    }

    /// What its rows take, roughly, in bytes.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Lets go of the oldest rows, but of none from that time on. Returns whether there were any.
    pub(super) fn let_go_before(&mut self, time: i64) -> bool {
        let Some((first, _)) = self.stretches.first_key_value() else {
            return false;
        };
        let end = (first + 1).saturating_mul(self.stretch_ms);
        if end > time {
            return false;
        }
        self.floor = self.floor.max(end);
        self.expire();
        true
    }

    /// Keeps a row, unless it is too late, and lets go of those that have become too old.
    pub(super) fn insert(&mut self, key: JoinKey, timestamp: i64, row: StoredRow) {
        if timestamp > self.stream_time {
            self.stream_time = timestamp;
            self.expire();
        }
        if timestamp < self.oldest_kept() {
            return;
        }
        let stretch = timestamp.div_euclid(self.stretch_ms);
        let rows = match self.rows.entry(key) {
            Entry::Occupied(entry) => {
                let newest = entry
                    .get()
                    .back()
                    .map(|(newest, _)| newest.div_euclid(self.stretch_ms));
                if newest != Some(stretch) {
                    self.stretches
                        .entry(stretch)
                        .or_default()
                        .push(entry.key().clone());
                }
                entry.into_mut()
            }
            Entry::Vacant(entry) => {
                self.stretches
                    .entry(stretch)
                    .or_default()
                    .push(entry.key().clone());
                entry.insert(Rows::new())
            }
        };
        let place = match rows.back() {
            Some((newest, _)) if *newest > timestamp => {
                rows.partition_point(|(earlier, _)| *earlier <= timestamp)
            }
            _ => rows.len(),
        };
        self.bytes += row.bytes() + OVERHEAD;
        rows.insert(place, (timestamp, row));
        self.stored += 1;
    }

    /// The rows of a key from one time to another, both included, in the order of time.
    pub(super) fn range(&self, key: &JoinKey, from: i64, to: i64) -> impl Iterator<Item = (i64, &StoredRow)> {
        let from = from.max(self.oldest_kept());
        let rows = self.rows.get(key);
        let start = rows.map_or(0, |rows| rows.partition_point(|(time, _)| *time < from));
        rows.into_iter()
            .flat_map(move |rows| rows.range(start..))
            .take_while(move |(time, _)| *time <= to)
            .map(|(time, row)| (*time, row))
    }

    fn expire(&mut self) {
        let oldest_kept = self.oldest_kept();
        while let Some(first) = self.stretches.first_entry() {
            let end = (first.key() + 1).saturating_mul(self.stretch_ms);
            if end > oldest_kept {
                return;
            }
            for key in first.remove() {
                let Entry::Occupied(mut entry) = self.rows.entry(key) else {
                    continue;
                };
                let rows = entry.get_mut();
                let expired = rows.partition_point(|(time, _)| *time < oldest_kept);
                let freed = rows.drain(..expired).map(|(_, row)| row.bytes() + OVERHEAD);
                self.bytes -= freed.sum::<usize>();
                self.stored -= expired;
                if rows.is_empty() {
                    entry.remove();
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn empty() -> StoredRow {
        StoredRow::new(&[], &mut Vec::new())
    }

    fn key(number: i64) -> JoinKey {
        JoinKey::Integer(number)
    }

    fn times(store: &WindowStore, number: i64, from: i64, to: i64) -> Vec<i64> {
        store
            .range(&key(number), from, to)
            .map(|(time, _)| time)
            .collect()
    }

    #[test]
    fn both_ends_are_included_and_late_rows_are_not_kept() {
        let mut store = WindowStore::new(10, 10);
        for time in [100, 95, 90, 89] {
            store.insert(key(1), time, empty());
        }
        assert_eq!(times(&store, 1, 95, 100), [95, 100]);
        assert_eq!(times(&store, 1, 0, 200), [95, 100]);
        assert_eq!(times(&store, 2, 0, 200), [0_i64; 0]);
        store.insert(key(1), 91, empty());
        assert_eq!(times(&store, 1, 0, 200), [91, 95, 100]);
        let mut nothing = WindowStore::new(0, 0);
        nothing.insert(key(1), 5, empty());
        assert_eq!(nothing.len(), 0);
    }

    #[test]
    fn old_rows_go_and_keys_with_them() {
        let mut store = WindowStore::new(1000, 1000);
        for time in 0..100_000 {
            store.insert(key(time % 7 + time / 10_000 * 7), time, empty());
        }
        assert!(store.len() <= 1001 + 16, "{}", store.len());
        assert!(store.rows.len() <= 14 && store.stretches.len() <= 70);
    }

    #[test]
    fn the_oldest_rows_make_room_but_none_of_the_window() {
        let mut store = WindowStore::new(100_000, 100);
        for time in 0..1_000 {
            store.insert(key(time % 3), time, empty());
        }
        let full = store.bytes();
        assert!(store.let_go_before(900));
        assert!(store.bytes() < full && store.len() == 900, "{}", store.len());
        while store.let_go_before(900) {}
        assert_eq!((store.len(), store.bytes()), (100, full / 10));
        assert_eq!(times(&store, 0, 0, 905), [900, 903]);
        store.insert(key(0), 850, empty());
        assert_eq!(store.len(), 100);
    }

    proptest! {
        #[test]
        fn it_holds_what_a_plain_list_holds(
            rows in proptest::collection::vec((0..3_i64, 0..400_i64), 0..80), retention in 0..200_i64
        ) {
            let mut store = WindowStore::new(retention, 20);
            let mut plain: Vec<(i64, i64)> = Vec::new();
            let mut stream_time = i64::MIN;
            for (number, time) in rows {
                store.insert(key(number), time, empty());
                stream_time = stream_time.max(time);
                if time > stream_time - retention {
                    plain.push((number, time));
                }
                for number in 0..3 {
                    let mut expected: Vec<i64> = plain
                        .iter()
                        .filter(|(other, time)| *other == number && *time > stream_time - retention)
                        .map(|(_, time)| *time)
                        .collect();
                    expected.sort_unstable();
                    prop_assert_eq!(times(&store, number, 0, 1000), expected);
                }
            }
        }
    }
}
