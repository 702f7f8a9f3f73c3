//! The books: every line is counted when it comes and once more for what became of it.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

/// The books: what became of the lines.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    /// Lines taken from osqueryd.
    pub(super) accepted: AtomicU64,
    /// Records that oversized lines were taken apart into.
    pub(super) split: AtomicU64,
    /// Records that Kafka acknowledged.
    pub(super) delivered: AtomicU64,
    /// Records that Kafka or librdkafka refused for good.
    pub(super) failed: AtomicU64,
    /// Records that found the memory full.
    pub(super) dropped: AtomicU64,
    /// Lines and rows larger than Kafka takes.
    pub(super) oversized: AtomicU64,
    /// Lines without a topic.
    pub(super) unroutable: AtomicU64,
    /// How many were lost when it was last said.
    reported: AtomicU64,
}

impl Tally {
    pub(super) fn lost(&self) -> u64 {
        let parts = [&self.failed, &self.dropped, &self.oversized, &self.unroutable];
        parts.iter().map(|part| part.load(Ordering::Relaxed)).sum()
    }

    /// Says the books when more was lost than at the last time.
    pub(super) fn report(&self) {
        let lost = self.lost();
        if self.reported.swap(lost, Ordering::Relaxed) != lost {
            tracing::warn!("lines so far: {self}");
        }
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let load = |part: &AtomicU64| part.load(Ordering::Relaxed);
        write!(
            formatter,
            "accepted={} split_into={} delivered={} failed={} dropped={} oversized={} unroutable={}",
            load(&self.accepted),
            load(&self.split),
            load(&self.delivered),
            load(&self.failed),
            load(&self.dropped),
            load(&self.oversized),
            load(&self.unroutable),
        )
    }
}
