//! State: rows by key, in the order of the keys' bytes.
//!
//! The task alone writes to a store; whoever has a handle may read. Every change is also a record for the store's
//! changelog, from which the store comes back after a restart.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;
use std::ops::Bound;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use super::operator::Context;
use super::store_key::StoreKey;
use super::stored_row::{PackedRow, StoredRow, pack};
use crate::plan::{StoreStep, Windows};
use crate::value::{Row, Value};

/// What the rows of a store may take, in bytes, where nothing else is said. A query whose rows take more fails.
pub(super) const MOST_BYTES: usize = 1024 * 1024 * 1024;

/// What a row takes besides its values: its places in the two orders.
const OVERHEAD: usize = 96;

/// A row at rest with its time.
#[derive(Debug, Clone)]
pub(crate) struct Stored {
    row: StoredRow,
    pub(crate) timestamp: i64,
}

impl Stored {
    pub(crate) fn row(&self) -> Row {
        self.values_after(0)
    }

    /// The row's values after so many.
    fn values_after(&self, count: usize) -> Row {
        let mut row = Row::new();
        PackedRow(self.row.packed()).unpack_after(count, &mut row);
        row
    }
}

/// A record for a changelog.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoreChange {
    /// The store's name; its changelog's topic ends with it.
    pub store: Arc<str>,
    /// The key.
    pub key: Vec<u8>,
    /// The row; `None` where it went.
    pub value: Option<Vec<u8>>,
    /// The row's time.
    pub timestamp: i64,
}

/// Where rows are kept, in order.
pub(crate) trait StateStore: Debug + Send + Sync {
    /// The row of a key.
    fn get(&self, key: &StoreKey) -> Option<&Stored>;
    /// Keeps a row, of these bytes, in place of another of the same key.
    fn put(&mut self, key: StoreKey, packed: &[u8], timestamp: i64);
    /// Lets go of a row. Returns whether there was one.
    fn remove(&mut self, key: &StoreKey) -> bool;
    /// Lets go of all rows.
    fn clear(&mut self);
    /// The rows between two keys, in order.
    fn range<'a>(
        &'a self,
        from: Bound<&StoreKey>,
        to: Bound<&StoreKey>,
    ) -> Box<dyn Iterator<Item = (&'a StoreKey, &'a Stored)> + 'a>;
    /// The keys of windows of a partition that are ordered by a time from one to another, the latter left out, in that
    /// order.
    fn windows(&self, partition: i32, from: i64, to: i64) -> Vec<StoreKey>;
    /// What the rows take, roughly.
    fn bytes(&self) -> usize;
}

/// Rows in memory.
#[derive(Debug, Default)]
struct MemoryStore {
    rows: BTreeMap<StoreKey, Stored>,
    /// The keys of windows by their partition and first bound.
    by_time: Option<BTreeSet<(i32, i64, StoreKey)>>,
    pub(super) bytes: usize,
}

impl MemoryStore {
    pub(super) fn new(windows: Windows) -> Self {
        Self {
            by_time: (windows != Windows::None).then(BTreeSet::new),
            ..Self::default()
        }
    }

    fn taken(key: &StoreKey, packed: &[u8]) -> usize {
        key.bytes.len() + size_of::<StoredRow>() + packed.len() + OVERHEAD
    }
}

impl StateStore for MemoryStore {
    fn get(&self, key: &StoreKey) -> Option<&Stored> {
        self.rows.get(key)
    }

    fn put(&mut self, key: StoreKey, packed: &[u8], timestamp: i64) {
        self.bytes += Self::taken(&key, packed);
        if let Some(earlier) = self.rows.get_mut(&key) {
            self.bytes -= Self::taken(&key, earlier.row.packed());
            earlier.row.replace(packed);
            earlier.timestamp = timestamp;
            return;
        }
        if let Some(by_time) = &mut self.by_time {
            by_time.insert((key.partition, key.order[0], key.clone()));
        }
        let row = StoredRow::of_packed(packed);
        self.rows.insert(key, Stored { row, timestamp });
    }

    fn remove(&mut self, key: &StoreKey) -> bool {
        let Some(removed) = self.rows.remove(key) else {
            return false;
        };
        self.bytes -= Self::taken(key, removed.row.packed());
        if let Some(by_time) = &mut self.by_time {
            by_time.remove(&(key.partition, key.order[0], key.clone()));
        }
        true
    }

    fn clear(&mut self) {
        self.rows.clear();
        self.bytes = 0;
        if let Some(by_time) = &mut self.by_time {
            by_time.clear();
        }
    }

    fn range<'a>(
        &'a self,
        from: Bound<&StoreKey>,
        to: Bound<&StoreKey>,
    ) -> Box<dyn Iterator<Item = (&'a StoreKey, &'a Stored)> + 'a> {
        Box::new(self.rows.range((from, to)))
    }

    fn windows(&self, partition: i32, from: i64, to: i64) -> Vec<StoreKey> {
        let Some(by_time) = &self.by_time else {
            return Vec::new();
        };
        if from >= to {
            return Vec::new();
        }
        let bound = |time| (partition, time, StoreKey::first([]));
        let range = by_time.range(bound(from)..bound(to));
        range.map(|(_, _, key)| key.clone()).collect()
    }

    fn bytes(&self) -> usize {
        self.bytes
    }
}

/// A handle on a store for those who only read.
#[derive(Debug, Clone)]
pub(crate) struct StoreReader {
    rows: Arc<RwLock<dyn StateStore>>,
    pub(crate) windows: Windows,
}

impl StoreReader {
    /// The rows, which stay as they are until the guard is gone: read few at a time.
    pub(crate) fn read(&self) -> RwLockReadGuard<'_, dyn StateStore + 'static> {
        self.rows.read().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A store as its operator uses it.
#[derive(Debug)]
pub(super) struct Store {
    name: Arc<str>,
    pub(super) windows: Windows,
    /// Whether its changes are kept.
    has_changelog: bool,
    most_bytes: usize,
    reader: StoreReader,
    scratch: Vec<u8>,
    /// Windows that were let go of and whose changelog does not know it yet.
    expired: BTreeSet<StoreKey>,
    /// Windows of a partition that are ordered by a time before it are not taken from the changelog.
    kept_from: BTreeMap<i32, i64>,
    /// How many partitions there are whose rows have a time of their own.
    partitions: i32,
}

impl Store {
    pub(super) fn new(step: &StoreStep, most_bytes: usize) -> Self {
        Self {
            name: Arc::clone(&step.name),
            windows: step.windows,
            has_changelog: step.has_changelog,
            most_bytes,
            reader: StoreReader {
                rows: Arc::new(RwLock::new(MemoryStore::new(step.windows))),
                windows: step.windows,
            },
            scratch: Vec::new(),
            expired: BTreeSet::new(),
            kept_from: BTreeMap::new(),
            partitions: 1,
        }
    }

    /// Says that the rows are those of so many partitions.
    pub(super) fn spread_over(&mut self, partitions: i32) {
        self.partitions = partitions;
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn reader(&self) -> StoreReader {
        self.reader.clone()
    }

    pub(super) fn read(&self) -> RwLockReadGuard<'_, dyn StateStore + 'static> {
        self.reader.read()
    }

    fn write(&self) -> RwLockWriteGuard<'_, dyn StateStore + 'static> {
        self.reader.rows.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// The row of a key, with its time.
    pub(super) fn get(&self, key: &StoreKey) -> Option<(Row, i64)> {
        self.read()
            .get(key)
            .map(|stored| (stored.row(), stored.timestamp))
    }

    /// The values of a key's row after so many, with the row's time.
    pub(super) fn get_after(&self, key: &StoreKey, count: usize) -> Option<(Row, i64)> {
        self.read()
            .get(key)
            .map(|stored| (stored.values_after(count), stored.timestamp))
    }

    /// Keeps a row.
    pub(super) fn put(&mut self, key: StoreKey, row: &[Value], timestamp: i64, context: &mut Context<'_>) {
        self.put_parts(key, [row, &[]], timestamp, context);
    }

    /// Keeps a row that is in two parts.
    pub(super) fn put_parts(
        &mut self,
        key: StoreKey,
        row: [&[Value]; 2],
        timestamp: i64,
        context: &mut Context<'_>,
    ) {
        self.scratch.clear();
        row.into_iter().for_each(|part| pack(part, &mut self.scratch));
        if self.has_changelog {
            context.keep(StoreChange {
                store: Arc::clone(&self.name),
                key: key.record(self.windows, self.partitions),
                value: Some(self.scratch.clone()),
                timestamp,
            });
        }
        let bytes = {
            let mut rows = self.write();
            rows.put(key, &self.scratch, timestamp);
            rows.bytes()
        };
        if let Some(excess) = self.excess_of(bytes) {
            context.fail(excess);
        }
    }

    /// Why the query cannot go on: the rows take too much.
    pub(super) fn excess(&self) -> Option<String> {
        self.excess_of(self.read().bytes())
    }

    fn excess_of(&self, bytes: usize) -> Option<String> {
        (bytes > self.most_bytes).then(|| {
            format!(
                "the rows of store `{}` take more than {} MiB; hint: fewer keys or columns, a shorter window or \
                 RETENTION, or a WHERE keeps less; `serve ksqldb --store-size` allows more",
                self.name,
                self.most_bytes / 1024 / 1024
            )
        })
    }

    /// Lets go of a row, and tells the changelog.
    pub(super) fn remove(&mut self, key: &StoreKey, timestamp: i64, context: &mut Context<'_>) {
        if self.write().remove(key) && self.has_changelog {
            context.keep(StoreChange {
                store: Arc::clone(&self.name),
                key: key.record(self.windows, self.partitions),
                value: None,
                timestamp,
            });
        }
    }

    /// Lets go of the windows of a partition that are ordered by a time before that, and tells the changelog.
    pub(super) fn expire(&mut self, partition: i32, before: i64, context: &mut Context<'_>) {
        self.let_go_before(partition, before);
        for key in std::mem::take(&mut self.expired) {
            context.keep_later(StoreChange {
                store: Arc::clone(&self.name),
                key: key.record(self.windows, self.partitions),
                value: None,
                timestamp: before,
            });
        }
    }

    /// The same while nobody writes to the changelog: it is told with the next ones.
    pub(super) fn let_go_before(&mut self, partition: i32, before: i64) {
        let old = self.read().windows(partition, i64::MIN, before);
        if old.is_empty() {
            return;
        }
        let mut rows = self.write();
        for key in &old {
            rows.remove(key);
        }
        drop(rows);
        if self.has_changelog {
            self.expired.extend(old);
        }
    }

    /// Takes no windows of a partition from the changelog that are ordered by a time before that.
    pub(super) fn keep_from(&mut self, partition: i32, time: i64) {
        self.kept_from.insert(partition, time);
    }

    /// Whether a window is too old to be taken from the changelog.
    fn is_too_old(&self, key: &StoreKey) -> bool {
        let kept_from = self.kept_from.get(&key.partition);
        self.windows != Windows::None && kept_from.is_some_and(|from| key.order[0] < *from)
    }

    /// Takes a record of the changelog. `false`: it is none.
    pub(super) fn restore(&mut self, key: &[u8], value: Option<&[u8]>, timestamp: i64) -> bool {
        let Some(key) = StoreKey::of_record(key, self.windows, self.partitions) else {
            return false;
        };
        match value {
            Some(_) if self.is_too_old(&key) => {
                self.expired.insert(key);
            }
            Some(value) => {
                self.write().put(key, value, timestamp);
            }
            None => {
                self.write().remove(&key);
                self.expired.remove(&key);
            }
        }
        true
    }

    /// Lets go of everything.
    pub(super) fn clear(&mut self) {
        self.write().clear();
        self.expired.clear();
        self.kept_from.clear();
    }
}

#[cfg(test)]
mod tests;
