//! A line on its way into the outbox; past it, into memory, while the disk hangs.

use std::sync::atomic::Ordering;

use super::sideline::Aside;
use super::{EncodingProducer, MEMORY_BESIDE_SPOOL, SYNC_PATIENCE, Shared, lock};
use crate::line_facts::LineFacts;
use crate::outbox::memory::OwnedRecord;
use crate::outbox::{Outbox, Taken};
use crate::route::Routing;
use crate::spool::disk::Folder;
use crate::spool::frame::Record;

impl Shared {
    /// Takes a record; a mark to wait for when it is accepted only once it is durable.
    pub(super) fn take(&self, routing: &Routing, line: &[u8]) -> Option<u64> {
        let facts = LineFacts::of(line);
        let Some(route) = routing.route(line, &facts) else {
            self.books.unroutable.add(1);
            if let Some(times) = self.trouble.unroutable.pass() {
                let bytes = line.len();
                tracing::warn!(
                    bytes,
                    times,
                    "a line without a query name was dropped: there is no `topic`"
                );
            }
            return None;
        };
        self.take_routed(&route.topic, route.key.as_deref(), line)
    }

    pub(super) fn take_routed(&self, topic: &str, key: Option<&[u8]>, line: &[u8]) -> Option<u64> {
        let now = self.now();
        let record = Record {
            unix_ms: now.unix_ms,
            topic,
            key,
            value: line,
        };
        if self.sideline.is_open() && self.set_aside(&record) {
            return None;
        }
        self.callers.fetch_add(1, Ordering::SeqCst);
        let mut outbox = lock(&self.outbox);
        self.callers.fetch_sub(1, Ordering::SeqCst);
        let taken = outbox.accept(now, &record);
        self.end_sideline(&mut outbox);
        let spooled = taken == Taken::Accepted && outbox.spool().is_some();
        let owed = spooled.then(|| self.debt.add(line.len() as u64)).flatten();
        if owed.is_none() {
            self.books.took(taken);
        }
        owed
    }

    /// With `sync: always`, records count as accepted when they are durable, and are waited for until then.
    pub(super) fn wait_until_durable(&self, owed: &[u64]) {
        let Some(last) = owed.last() else { return };
        let records = owed.len() as u64;
        if self.debt.wait(*last, SYNC_PATIENCE) {
            return self.books.accepted.add(records);
        }
        self.books.not_accepted.add(records);
        if let Some(times) = self.trouble.undurable.pass() {
            tracing::error!(
                times,
                "the spool's disk is too slow, or does not sync; a line was answered before it was durable"
            );
        }
    }

    /// Keeps a line in memory, because the disk hangs; `false` when it no longer does.
    fn set_aside(&self, record: &Record<'_>) -> bool {
        match self
            .sideline
            .keep(|| OwnedRecord::new(record, 0), MEMORY_BESIDE_SPOOL)
        {
            Aside::Closed => return false,
            Aside::Kept => self.books.not_accepted.add(1),
            Aside::Full => {
                self.books.dropped.add(1);
                if let Some(times) = self.trouble.hanging.pass() {
                    tracing::error!(
                        times,
                        "lines are dropped: the spool's disk hangs and there is no more memory for them"
                    );
                }
            }
        }
        true
    }

    /// Whoever has the outbox knows that the disk is back. A call that waited for it comes first: it was there before the
    /// lines that were set aside.
    pub(super) fn end_sideline(&self, outbox: &mut Outbox<Folder, EncodingProducer>) {
        if !self.sideline.is_open() || self.callers.load(Ordering::SeqCst) > 0 {
            return;
        }
        let now = self.now();
        let lines = self.sideline.close();
        for line in &lines {
            outbox.accept_late(now, &line.record());
        }
        let lines = lines.len();
        tracing::warn!(lines, "the spool's disk is back; what came meanwhile follows");
    }

    pub(super) fn tell_oversized(&self, line: &[u8], rows: usize) {
        let query = LineFacts::of(line).query.unwrap_or_default();
        if let Some(times) = self.trouble.oversized.pass(&query) {
            let (query, bytes) = (String::from_utf8_lossy(&query), line.len());
            tracing::warn!(%query, bytes, rows, times, "a line larger than message.max.bytes is sent row by row");
        }
    }
}
