//! Lines that no disk has: all of them without a spool, and those that the disk did not take.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::spool::frame::Record;

/// What a line costs beyond its bytes.
const OVERHEAD: usize = 256;

/// Lines in the order they came, of bounded size.
#[derive(Debug)]
pub(super) struct Memory {
    lines: BTreeMap<u64, Arc<OwnedRecord>>,
    limit: usize,
    bytes: usize,
    last: u64,
    /// The next line to send; earlier ones are under way.
    pub(super) next: u64,
}

/// A line with its way.
#[derive(Clone, Debug)]
pub(crate) struct OwnedRecord {
    pub(crate) unix_ms: i64,
    pub(crate) topic: String,
    pub(crate) key: Option<Vec<u8>>,
    pub(crate) value: Vec<u8>,
    /// Lines of the spool below this number came before.
    pub(crate) after: u64,
}

impl OwnedRecord {
    pub(crate) fn new(record: &Record<'_>, after: u64) -> Self {
        Self {
            unix_ms: record.unix_ms,
            topic: record.topic.to_owned(),
            key: record.key.map(<[u8]>::to_vec),
            value: record.value.to_vec(),
            after,
        }
    }

    pub(crate) fn record(&self) -> Record<'_> {
        Record {
            unix_ms: self.unix_ms,
            topic: &self.topic,
            key: self.key.as_deref(),
            value: &self.value,
        }
    }

    /// What it takes of the memory.
    pub(crate) fn cost(&self) -> usize {
        OVERHEAD + self.topic.len() + self.key.as_ref().map_or(0, Vec::len) + self.value.len()
    }
}

impl Memory {
    pub(super) fn new(limit: usize) -> Self {
        Self {
            lines: BTreeMap::new(),
            limit,
            bytes: 0,
            last: 0,
            next: 1,
        }
    }

    /// Keeps a line; its number, or `None` when there is no room.
    pub(super) fn push(&mut self, line: OwnedRecord) -> Option<u64> {
        if self.bytes + line.cost() > self.limit {
            return None;
        }
        self.bytes += line.cost();
        self.last += 1;
        self.lines.insert(self.last, Arc::new(line));
        Some(self.last)
    }

    pub(super) fn get(&self, number: u64) -> Option<Arc<OwnedRecord>> {
        self.lines.get(&number).cloned()
    }

    /// The first line from [`Memory::next`] on.
    pub(super) fn peek(&self) -> Option<(u64, Arc<OwnedRecord>)> {
        let (number, line) = self.lines.range(self.next..).next()?;
        Some((*number, Arc::clone(line)))
    }

    /// Lets go of a line that is delivered or given up.
    pub(super) fn remove(&mut self, number: u64) {
        if let Some(line) = self.lines.remove(&number) {
            self.bytes -= line.cost();
        }
    }

    /// How many lines it has.
    pub(super) fn len(&self) -> usize {
        self.lines.len()
    }
}
