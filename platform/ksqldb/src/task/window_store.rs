//! The rows of one side of a join, by key and time, for as long as a partner may come.
//!
//! Made for many keys of few rows, as processes are: a key with one row is one piece of memory, in which the key stands
//! before the row, and a place in a table that knows it by its hash.

use std::collections::{BTreeMap, VecDeque};
use std::hash::BuildHasher;
use std::sync::Arc;

use hashbrown::{DefaultHashBuilder, HashTable};

use super::change::Bounds;
use super::stored_row::{PackedRow, StoredRow, run, split_run};
use crate::value::Value;

/// A join key in order. Kafka compares the keys' bytes, so two numbers of one type are one key exactly when they look
/// the same.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
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
            Value::Decimal(_) | Value::Array(_) | Value::Map(_) | Value::Struct(_) => {
                Self::Other(other_text(value))
            }
        })
    }
}

/// What stands for a value that has no bytes of its own to compare.
fn other_text(value: &Value) -> String {
    match value {
        Value::Decimal(number) => number.to_plain_string(),
        other => format!("{other:?}"),
    }
}

/// Writes the bytes of a key by which it is looked up: the same for the same [`JoinKey`], for others others. `false`:
/// `NULL`, which joins nothing.
pub(super) fn look_up_by(value: &Value, window: Option<Bounds>, bytes: &mut Vec<u8>) -> bool {
    bytes.clear();
    if let Some(window) = window {
        bytes.push(b'w');
        bytes.extend_from_slice(&window.start.to_le_bytes());
        bytes.extend_from_slice(&window.end.to_le_bytes());
    }
    let (tag, integer) = match value {
        Value::Null => return false,
        Value::Boolean(flag) => (b'b', i64::from(*flag)),
        Value::Integer(number) | Value::Date(number) | Value::Time(number) => (b'i', i64::from(*number)),
        Value::Bigint(number) | Value::Timestamp(number) => (b'i', *number),
        Value::Double(number) => (b'd', number.to_bits().cast_signed()),
        Value::String(text) => {
            bytes.push(b's');
            bytes.extend_from_slice(text.as_bytes());
            return true;
        }
        Value::Bytes(content) => {
            bytes.push(b'y');
            bytes.extend_from_slice(content);
            return true;
        }
        other => {
            bytes.push(b'o');
            bytes.extend_from_slice(other_text(other).as_bytes());
            return true;
        }
    };
    bytes.push(tag);
    bytes.extend_from_slice(&integer.to_le_bytes());
    true
}

/// A key's rows.
#[derive(Debug)]
enum Slot {
    /// One, and its time. The key with its length stands before the row.
    One(i64, Box<[u8]>),
    Several(Box<Several>),
}

/// The rows of a key in the order of their times; rows of one time in the order they came.
#[derive(Debug)]
struct Several {
    key: Box<[u8]>,
    rows: VecDeque<(i64, StoredRow)>,
}

impl Slot {
    fn key(&self) -> &[u8] {
        match self {
            Self::One(_, packed) => split_run(packed).0,
            Self::Several(several) => &several.key,
        }
    }

    /// The time of the newest row, and of the oldest.
    fn times(&self) -> [i64; 2] {
        match self {
            Self::One(time, _) => [*time; 2],
            Self::Several(several) => {
                let time = |row: Option<&(i64, StoredRow)>| row.map_or(i64::MIN, |(time, _)| *time);
                [time(several.rows.back()), time(several.rows.front())]
            }
        }
    }

    fn insert(&mut self, timestamp: i64, row: &[u8]) {
        if let Self::One(time, packed) = self {
            let (key, first) = split_run(packed);
            let mut rows = VecDeque::with_capacity(2);
            rows.push_back((*time, StoredRow::of_packed(first)));
            let key = key.into();
            *self = Self::Several(Box::new(Several { key, rows }));
        }
        if let Self::Several(several) = self {
            let rows = &mut several.rows;
            let place = match rows.back() {
                Some((newest, _)) if *newest > timestamp => {
                    rows.partition_point(|(earlier, _)| *earlier <= timestamp)
                }
                _ => rows.len(),
            };
            rows.insert(place, (timestamp, StoredRow::of_packed(row)));
        }
    }
}

/// The rows of one side of a join.
#[derive(Debug)]
pub(super) struct WindowStore {
    retention_ms: i64,
    /// The highest time of a row of this side.
    stream_time: i64,
    slots: HashTable<Slot>,
    hashes: Hashes,
    stored: usize,
    /// What the rows take, roughly.
    bytes: usize,
    /// Rows before it were let go of early, for want of room.
    floor: i64,
    /// The hashes of the keys that have rows in a stretch of time, so that expiry touches nothing that stays.
    stretches: BTreeMap<i64, Vec<u64>>,
    stretch_ms: i64,
    /// For putting a key before its row.
    scratch: Vec<u8>,
}

/// Into so many stretches the retention is cut: more make expiry more exact, fewer make it cheaper.
const STRETCHES: i64 = 64;
/// What a row takes besides its values: its place, what is free in the table or the list around it, what the allocator
/// needs, and its hash among those of its stretch.
const OVERHEAD: usize = 48;

/// How keys are hashed. Whoever writes records may choose keys, but sees no hash, and the seed of one store is not that
/// of another: a quick function is safe enough.
#[derive(Debug, Default)]
struct Hashes(DefaultHashBuilder);

impl Hashes {
    fn of(&self, key: &[u8]) -> u64 {
        self.0.hash_one(key)
    }
}

/// What a row takes, roughly.
fn taken(row: &[u8]) -> usize {
    size_of::<StoredRow>() + row.len() + OVERHEAD
}

impl WindowStore {
    /// A store whose rows are kept so long. Partners within the window are what it is for: the rows before that wait
    /// for late ones.
    pub(super) fn new(retention_ms: i64, window_ms: i64) -> Self {
        Self {
            retention_ms,
            stream_time: i64::MIN,
            slots: HashTable::new(),
            hashes: Hashes::default(),
            stored: 0,
            bytes: 0,
            floor: i64::MIN,
            stretches: BTreeMap::new(),
            stretch_ms: (retention_ms / STRETCHES).min(window_ms).max(1),
            scratch: Vec::new(),
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
    pub(super) fn insert(&mut self, key: &[u8], timestamp: i64, row: PackedRow<'_>) {
        if timestamp > self.stream_time {
            self.stream_time = timestamp;
            self.expire();
        }
        if timestamp < self.oldest_kept() {
            return;
        }
        let stretch = timestamp.div_euclid(self.stretch_ms);
        let hash = self.hashes.of(key);
        let is_new_there = match self.slots.find_mut(hash, |slot| slot.key() == key) {
            Some(slot) => {
                let [newest, _] = slot.times();
                slot.insert(timestamp, row.0);
                newest.div_euclid(self.stretch_ms) != stretch
            }
            None => {
                self.scratch.clear();
                run(key, &mut self.scratch);
                self.scratch.extend_from_slice(row.0);
                let slot = Slot::One(timestamp, self.scratch.as_slice().into());
                let hashes = &self.hashes;
                self.slots.insert_unique(hash, slot, |slot| hashes.of(slot.key()));
                self.bytes += key.len();
                true
            }
        };
        if is_new_there {
            self.stretches.entry(stretch).or_default().push(hash);
        }
        self.bytes += taken(row.0);
        self.stored += 1;
    }

    /// The rows of a key from one time to another, both included, in the order of time.
    pub(super) fn range(&self, key: &[u8], from: i64, to: i64) -> impl Iterator<Item = (i64, PackedRow<'_>)> {
        let from = from.max(self.oldest_kept());
        let (mut one, mut several) = (None, None);
        match self.slots.find(self.hashes.of(key), |slot| slot.key() == key) {
            None => {}
            Some(Slot::One(time, packed)) => {
                one = (*time >= from).then(|| (*time, PackedRow(split_run(packed).1)));
            }
            Some(Slot::Several(found)) => {
                let start = found.rows.partition_point(|(time, _)| *time < from);
                several = Some(found.rows.range(start..));
            }
        }
        let several = several.into_iter().flatten();
        let several = several.map(|(time, row)| (*time, PackedRow(row.packed())));
        one.into_iter()
            .chain(several)
            .take_while(move |(time, _)| *time <= to)
    }

    fn expire(&mut self) {
        let oldest_kept = self.oldest_kept();
        while let Some(first) = self.stretches.first_entry() {
            let end = (first.key() + 1).saturating_mul(self.stretch_ms);
            if end > oldest_kept {
                return;
            }
            for hash in first.remove() {
                // Where two keys have one hash, each has put it there.
                let is_meant = |slot: &Slot| {
                    let [_, oldest] = slot.times();
                    oldest < oldest_kept && self.hashes.of(slot.key()) == hash
                };
                let Ok(mut entry) = self.slots.find_entry(hash, is_meant) else {
                    continue;
                };
                let is_empty = match entry.get_mut() {
                    Slot::One(_, packed) => {
                        self.bytes -= taken(split_run(packed).1);
                        self.stored -= 1;
                        true
                    }
                    Slot::Several(several) => {
                        let rows = &mut several.rows;
                        let expired = rows.partition_point(|(time, _)| *time < oldest_kept);
                        let freed = rows.drain(..expired).map(|(_, row)| taken(row.packed()));
                        self.bytes -= freed.sum::<usize>();
                        self.stored -= expired;
                        rows.is_empty()
                    }
                };
                if is_empty {
                    self.bytes -= entry.get().key().len();
                    entry.remove();
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
