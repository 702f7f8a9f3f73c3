//! One partition: its log behind a lock, and the consumers waiting for it to grow.

mod subscription;

use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use crate::metrics::Traffic;
use crate::storage::batch::acceptance::accept;
use crate::storage::batch::marker::Outcome;
use crate::storage::disk::SharedDisk;
use crate::storage::log::{
    AppendError, Appended, CheckpointWhen, CompactionSettings, Flushed, Log, LogSettings,
};
use crate::storage::read::{Range, ReadError};
use crate::storage::segment::Segment;
use crate::storage::transactions::Aborted;

/// More bytes than any consumer waits for.
const WHATEVER_WAITS: u64 = 1 << 32;

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
    /// Bytes appended since the broker was started.
    written: AtomicU64,
    /// The damaged offset that was told last, so that a consumer that asks again does not fill the log.
    damage_told: AtomicI64,
    /// What has gone in and out.
    pub(crate) traffic: Traffic,
}

/// Where a batch was appended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Written {
    /// Offset of its first record.
    pub(crate) base_offset: i64,
    /// The time the broker has given it, where the topic asks for that.
    pub(crate) append_time: Option<i64>,
    /// Whether it began a new segment.
    pub(crate) filled: bool,
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
    pub(crate) fn open(disk: &SharedDisk, topic: &str, index: i32, folder: &Path) -> io::Result<Self> {
        let (log, recovery) = Log::open(disk, folder)?;
        if recovery.damaged_bytes > 0 || recovery.lost_records > 0 {
            tracing::error!(
                topic,
                partition = index,
                damaged_bytes = recovery.damaged_bytes,
                lost_records = recovery.lost_records,
                "the log is damaged where it was safe on the disk once"
            );
        }
        if recovery.cut_bytes > 0 || recovery.set_aside > 0 {
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
            written: AtomicU64::new(0),
            damage_told: AtomicI64::new(-1),
            traffic: Traffic::default(),
        })
    }

    /// The log, locked.
    pub(crate) fn log(&self) -> MutexGuard<'_, Log> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Checks a batch, appends it, and wakes whoever waits for one.
    pub(crate) fn append(
        &self,
        batch: &[u8],
        now_ms: i64,
        settings: &LogSettings,
    ) -> Result<Written, AppendError> {
        let accepted = accept(batch, now_ms, &settings.acceptance)?;
        let appended = self.log().append(&accepted, now_ms, settings);
        self.report_storage(&appended);
        let Appended {
            base_offset,
            duplicate,
            filled,
        } = appended?;
        if !duplicate {
            self.written
                .fetch_add(accepted.bytes.len() as u64, Ordering::Release);
            let records = u64::try_from(accepted.header.record_count).unwrap_or(0);
            self.traffic.came(records, accepted.bytes.len());
            self.wake();
        }
        Ok(Written {
            base_offset,
            append_time: accepted.append_time,
            filled,
        })
    }

    /// Ends the transaction that a producer has open here; false when there is none.
    pub(crate) fn end_transaction(
        &self,
        producer: (i64, i16),
        outcome: Outcome,
        now_ms: i64,
        settings: &LogSettings,
    ) -> Result<bool, AppendError> {
        let ended = self.log().end_transaction(producer, outcome, now_ms, settings)?;
        if ended {
            // Whoever reads only what is committed can go on, whatever it waits for.
            self.written.fetch_add(WHATEVER_WAITS, Ordering::Release);
            self.wake();
        }
        Ok(ended)
    }

    /// The epoch of a producer as far as it is known here.
    pub(crate) fn epoch_of(&self, producer_id: i64) -> i16 {
        let log = self.log();
        log.producers()
            .get(producer_id)
            .map_or(0, |producer| producer.epoch)
    }

    /// Open transactions: producer id and first offset.
    pub(crate) fn open_transactions(&self) -> Vec<(i64, i64)> {
        self.log().transactions().open().collect()
    }

    /// Transactions that came to nothing, with records from `from` on and before `to`.
    #[cfg(test)]
    pub(crate) fn aborted_between(&self, from: i64, to: i64) -> Vec<Aborted> {
        self.log().transactions().aborted_between(from, to)
    }

    /// Bytes appended since the broker was started; what a waiting consumer counts by.
    pub(crate) fn written(&self) -> u64 {
        self.written.load(Ordering::Acquire)
    }

    /// Whether so many records wait to be synced that the topic's `flush.messages` asks for it now.
    pub(crate) fn is_due(&self, flush_messages: i64) -> bool {
        let log = self.log();
        log.next_offset() - log.flushed_to() >= flush_messages
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
        locate_in(&self.log(), offset)
    }

    /// The same for who reads only what is committed, before `stable`: with the transactions that came to nothing and
    /// have records in that part.
    ///
    /// Both at one moment: what a deletion or a compaction takes away later is in the part still, and in the list.
    pub(crate) fn locate_committed(
        &self,
        offset: i64,
        stable: i64,
    ) -> Result<Option<(Range, Warmth, Vec<Aborted>)>, ReadError> {
        let log = self.log();
        let found = locate_in(&log, offset)?;
        Ok(found.map(|(range, warmth)| {
            let to = stable.min(range.next_offset);
            let aborted = log.transactions().aborted_between(offset, to);
            (range, warmth, aborted)
        }))
    }

    /// Timestamp and offset of the first record at or after `timestamp`; blocks on the disk.
    pub(crate) fn offset_at(&self, timestamp: i64) -> Result<Option<(i64, i64)>, ReadError> {
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
        let flushed = flush.run();
        self.log().end_flush(&flush, &flushed);
        match flushed {
            Flushed::Done => Ok(()),
            // The files of a deleted topic have gone: that says nothing of the disk.
            Flushed::WithoutCheckpoint(_) if self.is_retired() => Ok(()),
            Flushed::Failed(error) if self.is_retired() => Err(error),
            Flushed::WithoutCheckpoint(error) => {
                tracing::warn!(topic = %self.topic, partition = self.index, %error, "cannot write an index or a checkpoint; the next start reads more");
                Ok(())
            }
            Flushed::Failed(error) => {
                tracing::error!(topic = %self.topic, partition = self.index, %error, "the disk failed to sync a log; nothing more is taken until the broker is started anew");
                Err(error)
            }
        }
    }

    /// Gives up everything before `offset`; blocks on the disk.
    pub(crate) fn delete_before(&self, offset: i64) -> io::Result<()> {
        let _exclusive = self.rewriting();
        let deletion = self.log().begin_delete(offset);
        let Some(deletion) = deletion else {
            return Ok(());
        };
        let written = deletion.run()?;
        let gone = self.log().end_delete(&deletion, &written);
        written.done()?;
        gone.into_iter().try_for_each(Segment::remove)
    }

    /// Deletes what is too old at `now_ms`, or too much; returns the new start if it has moved. Blocks on the disk.
    pub(crate) fn apply_retention(&self, now_ms: i64, settings: &LogSettings) -> io::Result<Option<i64>> {
        let (before, from) = {
            let mut log = self.log();
            (log.start_offset(), log.retained_from(now_ms, settings)?)
        };
        if from <= before {
            return Ok(None);
        }
        self.delete_before(from)?;
        Ok(Some(from))
    }

    /// Keeps only the last record of each key in what is no longer written to; blocks on the disk, for long.
    ///
    /// Whether there was anything to do: there may be more then.
    pub(crate) fn compact(&self, now_ms: i64, settings: &CompactionSettings) -> Result<bool, ReadError> {
        let compaction = self.log().begin_compaction(now_ms, settings)?;
        let Some(compaction) = compaction else {
            return Ok(false);
        };
        let compacted = compaction.run()?;
        let _exclusive = self.rewriting();
        let (disk, folder) = {
            let mut log = self.log();
            log.end_compaction(&compacted)?;
            log.place()
        };
        disk.sync_folder(&folder)?;
        self.log().compaction_is_safe(&compacted);
        Ok(true)
    }

    /// Reads the segment being written to and tells of damage; blocks on the disk.
    pub(crate) fn check_active_segment(&self) {
        let range = self.log().active_range();
        if let Err(error) = range.map_err(ReadError::from).and_then(|range| range.verify()) {
            self.report_damage(&error);
        }
    }

    /// Logs damage that somebody met, once for each place.
    pub(crate) fn report_damage(&self, error: &ReadError) {
        let offset = match error {
            ReadError::OutOfRange => return,
            ReadError::Damaged { offset, .. } => *offset,
            ReadError::Storage(_) => i64::MAX,
        };
        if self.damage_told.swap(offset, Ordering::Relaxed) != offset {
            tracing::error!(topic = %self.topic, partition = self.index, %error, "records cannot be read");
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
            // Of a deleted topic nothing can be written.
            Err(_) if self.is_retired() => {}
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

    /// A flush must not write down what a compaction is just replacing.
    fn rewriting(&self) -> MutexGuard<'_, ()> {
        self.rewriting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn locate_in(log: &Log, offset: i64) -> Result<Option<(Range, Warmth)>, ReadError> {
    let warmth = if log.is_recent(offset) {
        Warmth::Recent
    } else {
        Warmth::Old
    };
    Ok(log.range_at(offset)?.map(|range| (range, warmth)))
}

#[cfg(test)]
mod tests;
