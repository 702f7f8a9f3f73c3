//! One partition: its log behind a lock, and the consumers waiting for it to grow.

use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use crate::storage::log::{
    AppendError, Appended, CheckpointWhen, CompactionSettings, Log, LogSettings, ReadError, Recovery,
};
use crate::storage::read::Range;

/// One partition of a topic.
#[derive(Debug)]
pub(crate) struct Partition {
    topic: String,
    index: i32,
    log: Mutex<Log>,
    rewriting: Mutex<()>,
    waiting: Mutex<Vec<Arc<Notify>>>,
    retired: AtomicBool,
    /// Whether the last write failed, so that a full disk is reported once and not with every try.
    failing: AtomicBool,
}

/// Whether a read finds its bytes in memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Warmth {
    /// As good as certainly: it is the part being written.
    Recent,
    /// It may have to come from the disk.
    Old,
}

/// The ends of a partition at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Bounds {
    /// First offset offered.
    pub(crate) start: i64,
    /// Offset behind the last record, which is the high watermark too.
    pub(crate) end: i64,
    /// End of what is decided about transactions.
    pub(crate) stable: i64,
}

impl Partition {
    /// Opens the partition's log; what recovery had to cut is logged.
    pub(crate) fn open(topic: &str, index: i32, folder: &Path) -> io::Result<Self> {
        let (log, recovery) = Log::open(folder)?;
        if recovery != Recovery::default() {
            tracing::warn!(
                topic,
                partition = index,
                cut_bytes = recovery.cut_bytes,
                set_aside = recovery.set_aside,
                next_offset = log.next_offset(),
                "cut the end of the log behind its last whole batch"
            );
        }
        Ok(Self {
            topic: topic.to_owned(),
            index,
            log: Mutex::new(log),
            rewriting: Mutex::default(),
            waiting: Mutex::default(),
            retired: AtomicBool::new(false),
            failing: AtomicBool::new(false),
        })
    }

    /// The log, locked.
    pub(crate) fn log(&self) -> MutexGuard<'_, Log> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Appends a batch and wakes whoever waits for one.
    pub(crate) fn append(&self, batch: &[u8], settings: &LogSettings) -> Result<Appended, AppendError> {
        let appended = self.log().append(batch, settings);
        self.report_storage(&appended);
        if matches!(&appended, Ok(Appended { duplicate: false, .. })) {
            self.wake();
        }
        appended
    }

    /// Its ends.
    pub(crate) fn bounds(&self) -> Bounds {
        let log = self.log();
        Bounds {
            start: log.start_offset(),
            end: log.next_offset(),
            stable: log.last_stable_offset(),
        }
    }

    /// Finds the part of the log to read `offset` from; `None` at its end.
    pub(crate) fn locate(&self, offset: i64) -> Result<Option<(Range, Warmth)>, ReadError> {
        let log = self.log();
        let warmth = if log.is_recent(offset) {
            Warmth::Recent
        } else {
            Warmth::Old
        };
        Ok(log.range_at(offset)?.map(|range| (range, warmth)))
    }

    /// Timestamp and offset of the first record at or after `timestamp`; blocks on the disk.
    pub(crate) fn offset_at(&self, timestamp: i64) -> io::Result<Option<(i64, i64)>> {
        let (ranges, start) = {
            let log = self.log();
            (log.ranges_since(timestamp)?, log.start_offset())
        };
        for range in ranges {
            if let Some(found) = range.first_at(timestamp, start)? {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    /// Brings everything appended so far to the disk; blocks on it.
    pub(crate) fn flush(&self, checkpoint: CheckpointWhen) -> io::Result<()> {
        let _exclusive = self.rewriting();
        let flush = self.log().begin_flush(checkpoint)?;
        let done = flush.run();
        let mut log = self.log();
        match done {
            Ok(()) => log.end_flush(&flush),
            Err(_) => log.flush_failed(),
        }
        done
    }

    /// Keeps only the last record of each key in what is no longer written to; blocks on the disk, for long.
    pub(crate) fn compact(&self, now_ms: i64, settings: &CompactionSettings) -> io::Result<()> {
        let Some(compaction) = self.log().begin_compaction(now_ms, settings)? else {
            return Ok(());
        };
        let compacted = compaction.run()?;
        let _exclusive = self.rewriting();
        self.log().end_compaction(compacted)
    }

    /// Has `notify` called whenever the log grows, until the subscription is dropped.
    pub(crate) fn subscribe(self: &Arc<Self>, notify: &Arc<Notify>) -> Subscription {
        self.waiting().push(Arc::clone(notify));
        Subscription {
            partition: Arc::clone(self),
            notify: Arc::clone(notify),
        }
    }

    /// Marks the partition as deleted and wakes whoever waits for it.
    pub(crate) fn retire(&self) {
        self.retired.store(true, Ordering::Release);
        self.wake();
    }

    /// Whether it was deleted.
    pub(crate) fn is_retired(&self) -> bool {
        self.retired.load(Ordering::Acquire)
    }

    /// Logs the first write that fails and the first that succeeds again.
    fn report_storage(&self, appended: &Result<Appended, AppendError>) {
        match appended {
            Err(AppendError::Storage(error)) if !self.failing.swap(true, Ordering::Relaxed) => {
                tracing::error!(topic = %self.topic, partition = self.index, %error, "cannot write records, producers are told to try again");
            }
            Ok(_) if self.failing.load(Ordering::Relaxed) => {
                self.failing.store(false, Ordering::Relaxed);
                tracing::info!(topic = %self.topic, partition = self.index, "records can be written again");
            }
            _ => {}
        }
    }

    fn wake(&self) {
        for notify in self.waiting().iter() {
            notify.notify_one();
        }
    }

    /// A flush must not write down what a compaction is just replacing.
    fn rewriting(&self) -> MutexGuard<'_, ()> {
        self.rewriting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn waiting(&self) -> MutexGuard<'_, Vec<Arc<Notify>>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A consumer's wish to be woken; ends when dropped.
#[derive(Debug)]
pub(crate) struct Subscription {
    partition: Arc<Partition>,
    notify: Arc<Notify>,
}

impl Drop for Subscription {
    fn drop(&mut self) {
        let mut waiting = self.partition.waiting();
        if let Some(position) = waiting
            .iter()
            .position(|notify| Arc::ptr_eq(notify, &self.notify))
        {
            waiting.swap_remove(position);
        }
    }
}
