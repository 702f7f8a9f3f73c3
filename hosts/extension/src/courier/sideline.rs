//! Lines that came while the disk hung: whoever waits in it holds the outbox, and osqueryd waits for nobody.
//!
//! From the moment at which a call took too long until the disk is back, lines are kept here, in memory and bounded. They
//! are not accepted. Then they follow, in their order, those that came before.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::outbox::memory::OwnedRecord;

/// Open while the disk hangs.
#[derive(Debug, Default)]
pub(super) struct Sideline {
    /// Read for every line; it changes only under the lock.
    open: AtomicBool,
    lines: Mutex<Lines>,
}

#[derive(Debug, Default)]
struct Lines {
    records: Vec<OwnedRecord>,
    bytes: usize,
}

/// What became of a line.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Aside {
    /// The disk does not hang, or no longer.
    Closed,
    Kept,
    /// There is no more room.
    Full,
}

impl Sideline {
    pub(super) fn is_open(&self) -> bool {
        self.open.load(Ordering::Relaxed)
    }

    /// The disk hangs; whether that is news.
    pub(super) fn open(&self) -> bool {
        let _lines = self.lock();
        !self.open.swap(true, Ordering::Relaxed)
    }

    /// Keeps a line, as long as all of them take no more than `limit` bytes.
    pub(super) fn keep(&self, record: impl FnOnce() -> OwnedRecord, limit: usize) -> Aside {
        let mut lines = self.lock();
        if !self.is_open() {
            return Aside::Closed;
        }
        let record = record();
        if lines.bytes + record.cost() > limit {
            return Aside::Full;
        }
        lines.bytes += record.cost();
        lines.records.push(record);
        Aside::Kept
    }

    /// The disk is back: the lines, in their order. New ones go the usual way, behind these as long as the caller has the
    /// outbox.
    pub(super) fn close(&self) -> Vec<OwnedRecord> {
        let mut lines = self.lock();
        self.open.store(false, Ordering::Relaxed);
        std::mem::take(&mut *lines).records
    }

    pub(super) fn len(&self) -> usize {
        self.lock().records.len()
    }

    /// What the lock holds is whole at every moment, so a panic elsewhere does not spoil it.
    fn lock(&self) -> MutexGuard<'_, Lines> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(number: u8) -> OwnedRecord {
        OwnedRecord {
            unix_ms: 0,
            topic: "t".to_owned(),
            key: None,
            value: vec![number; 100],
            after: 0,
        }
    }

    #[test]
    fn lines_are_kept_in_their_order_up_to_a_limit_and_only_while_it_is_open() {
        let sideline = Sideline::default();
        let limit = 2 * line(1).cost();
        assert_eq!(sideline.keep(|| line(1), limit), Aside::Closed);
        assert!(sideline.open() && !sideline.open());
        for number in [1, 2] {
            assert_eq!(sideline.keep(|| line(number), limit), Aside::Kept);
        }
        assert_eq!(sideline.keep(|| line(3), limit), Aside::Full);
        let taken = sideline.close().into_iter().map(|record| record.value[0]);
        assert_eq!((taken.collect::<Vec<u8>>(), sideline.len()), (vec![1, 2], 0));
        assert_eq!(sideline.keep(|| line(4), limit), Aside::Closed);
    }
}
