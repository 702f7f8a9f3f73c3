//! A partition's log: segments in a row, the last of which is written to.
//!
//! The log assigns offsets, recognises repeated batches, finds records by offset and time, and drops old segments. It
//! is not thread-safe; its owner locks it, and the slow parts (syncing, reading) are handed out as values that are run
//! without the lock: [`flush::Flush`], [`Range`], [`retention::Deletion`], `compaction::Compaction`.

use std::io;
use std::path::{Path, PathBuf};

use super::batch::BatchHeader;
use super::batch::acceptance::{AcceptanceSettings, Accepted, Refusal};
use super::batch::marker::{self, Outcome};
use super::checkpoint::{Checkpoint, CompactedAt};
use super::directory::Durability;
use super::disk::SharedDisk;
use super::read::{Range, ReadError};
use super::segment::Segment;
use super::transactions::TransactionIndex;
use crate::producers::{ProducerTable, Verdict};

mod compaction;
mod flush;
mod recovery;
pub(crate) mod retention;
#[cfg(test)]
mod tests;

pub(crate) use self::compaction::CompactionSettings;
pub(crate) use self::flush::{CheckpointWhen, Flushed};
pub(crate) use self::recovery::Recovery;
use self::recovery::recover_segments;

/// The settings of a topic that its logs obey.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct LogSettings {
    /// Size at which a new segment is started.
    pub(crate) segment_bytes: u64,
    /// Age at which a new segment is started, in milliseconds.
    pub(crate) segment_ms: i64,
    /// Whether records may be deleted at all, other than for a later one of their key.
    pub(crate) deletes: bool,
    /// Age at which a segment may be deleted, in milliseconds; `None` keeps it.
    pub(crate) retention_ms: Option<i64>,
    /// Size of the log beyond which its oldest segments are deleted.
    pub(crate) retention_bytes: Option<u64>,
    /// Records after which the log is synced before the next answer.
    pub(crate) flush_messages: i64,
    /// How long a record waits to be synced, in milliseconds.
    pub(crate) flush_ms: i64,
    /// Bytes of log between two entries of the index.
    pub(crate) index_interval_bytes: u64,
    /// What batches have to be like.
    pub(crate) acceptance: AcceptanceSettings,
    /// Whether and how only the last record of each key is kept.
    pub(crate) compaction: Option<CompactionSettings>,
}

/// A partition's log.
#[derive(Debug)]
pub(crate) struct Log {
    disk: SharedDisk,
    folder: PathBuf,
    /// In order of offsets, never empty.
    segments: Vec<Segment>,
    start_offset: i64,
    /// The start that no power cut undoes.
    safe_start: i64,
    /// Up to here only the last record of each key is left.
    compacted_to: i64,
    /// When compaction reached which offset, oldest first.
    compactions: Vec<CompactedAt>,
    /// Everything before is on the disk itself.
    flushed_to: i64,
    producers: ProducerTable,
    transactions: TransactionIndex,
    /// Bytes appended since the last checkpoint.
    since_checkpoint: u64,
    /// Whether the checkpoint on disk is out of date in any way.
    checkpoint_due: bool,
    /// A sync failed: what it was to bring to the disk may be lost whatever later ones say, so nothing more is taken.
    failed: bool,
}

/// Where an appended batch went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Appended {
    /// Offset of its first record.
    pub(crate) base_offset: i64,
    /// Whether it had been stored before, so that nothing was written.
    pub(crate) duplicate: bool,
    /// Whether it began a new segment.
    pub(crate) filled: bool,
}

/// Why a batch was not appended.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AppendError {
    /// It is not one the topic takes.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// It is outside the transaction that its producer has open, or the partition does not belong to one.
    #[error("the batch does not belong to the transaction of its producer")]
    Transaction,
    /// Batches before it are missing.
    #[error("the sequence number is not the next one")]
    OutOfOrder,
    /// A newer instance of the producer has taken over.
    #[error("the producer epoch is fenced")]
    Fenced,
    /// The disk has failed to keep what it was given, so it is given nothing more until the broker is started again.
    #[error("the disk failed to sync the partition; it takes records again when the broker was started anew")]
    Failed,
    /// The disk refused it.
    #[error("the log cannot be written: {0}")]
    Storage(#[from] io::Error),
}

impl Log {
    /// Opens the log in `folder`, which is created when missing.
    pub(crate) fn open(disk: &SharedDisk, folder: &Path) -> io::Result<(Self, Recovery)> {
        disk.create_folder(folder)?;
        let checkpoint = Checkpoint::read(&**disk, folder);
        let known = checkpoint.clone().unwrap_or_default();
        let (mut segments, mut recovery) =
            recover_segments(disk, folder, known.start_offset, known.flushed_to)?;
        if segments.is_empty() {
            segments.push(Segment::create(
                disk,
                folder,
                known.start_offset.max(known.flushed_to),
            )?);
        }
        let mut log = Self {
            disk: disk.clone(),
            folder: folder.to_owned(),
            start_offset: 0,
            safe_start: 0,
            compacted_to: known.compacted_to,
            compactions: known.compactions,
            flushed_to: known.flushed_to,
            segments,
            producers: ProducerTable::default(),
            transactions: TransactionIndex::default(),
            since_checkpoint: 0,
            checkpoint_due: false,
            failed: false,
        };
        recovery.lost_records += (known.flushed_to - log.next_offset()).max(0);
        let used_to = known.flushed_to.max(known.start_offset);
        if log.next_offset() < used_to {
            // Consumers may have had these offsets, or they were deleted: whatever got them a second time would be
            // hidden from them.
            log.active_mut().append_placeholders(used_to)?;
        }
        for segment in &mut log.segments {
            segment.close_if_synced();
        }
        log.compacted_to = log.compacted_to.min(log.next_offset());
        log.start_offset = known
            .start_offset
            .clamp(log.segments[0].base_offset, log.next_offset());
        let ahead = known.producers_at > log.next_offset();
        log.recover_producers(checkpoint)?;
        if ahead {
            // It must never be believed once the log has grown to that length again.
            let written = log.checkpoint().write(&**disk, folder, Durability::Disk)?;
            written.done()?;
        }
        // What had to be looked at again this time need not be the next.
        log.checkpoint_due = log.segments.iter().any(Segment::is_unsynced) || recovery != Recovery::default();
        Ok((log, recovery))
    }

    /// Offset the next record will get: the end of the log, and its high watermark, for there is one replica.
    pub(crate) fn next_offset(&self) -> i64 {
        self.active().index.next_offset
    }

    /// First offset offered to consumers.
    pub(crate) fn start_offset(&self) -> i64 {
        self.start_offset
    }

    /// End of what is decided: records of open transactions lie behind it.
    pub(crate) fn last_stable_offset(&self) -> i64 {
        let decided = self.transactions.first_open().unwrap_or(i64::MAX);
        decided.clamp(self.start_offset, self.next_offset())
    }

    /// The transactions known here.
    pub(crate) fn transactions(&self) -> &TransactionIndex {
        &self.transactions
    }

    /// Bytes of all segments.
    pub(crate) fn size(&self) -> u64 {
        self.segments.iter().map(Segment::size).sum()
    }

    /// How many segments there are.
    pub(crate) fn segment_count(&self) -> usize {
        self.segments.len()
    }

    /// The idempotent producers known here.
    pub(crate) fn producers(&self) -> &ProducerTable {
        &self.producers
    }

    /// Whether a sync has failed, so that nothing more is taken.
    pub(crate) fn has_failed(&self) -> bool {
        self.failed
    }

    /// Everything before this offset is on the disk itself.
    pub(crate) fn flushed_to(&self) -> i64 {
        self.flushed_to
    }

    /// Appends one batch that was accepted.
    pub(crate) fn append(
        &mut self,
        batch: &Accepted<'_>,
        now_ms: i64,
        settings: &LogSettings,
    ) -> Result<Appended, AppendError> {
        let mut header = batch.header;
        if self.failed {
            return Err(AppendError::Failed);
        }
        let is_open = self.transactions.open_since(header.producer_id).is_some();
        if is_open && header.is_idempotent() && !header.is_transactional() {
            return Err(AppendError::Transaction);
        }
        match self.producers.judge(&header) {
            Verdict::Append => {}
            Verdict::Duplicate { first_offset } => {
                return Ok(Appended {
                    base_offset: first_offset,
                    duplicate: true,
                    filled: false,
                });
            }
            Verdict::OutOfOrder => return Err(AppendError::OutOfOrder),
            Verdict::Fenced => return Err(AppendError::Fenced),
        }
        header.base_offset = self.next_offset();
        let filled = self.store(&header, &batch.bytes, settings)?;
        self.producers.note(&header, now_ms);
        self.transactions.note(&header, None);
        Ok(Appended {
            base_offset: header.base_offset,
            duplicate: false,
            filled,
        })
    }

    /// Ends the transaction that a producer has open; false when it has none here.
    pub(crate) fn end_transaction(
        &mut self,
        (producer_id, epoch): (i64, i16),
        outcome: Outcome,
        now_ms: i64,
        settings: &LogSettings,
    ) -> Result<bool, AppendError> {
        if self.transactions.open_since(producer_id).is_none() {
            return Ok(false);
        }
        if self.failed {
            return Err(AppendError::Failed);
        }
        let batch = marker::marker(producer_id, epoch, outcome, now_ms);
        let mut header = BatchHeader::parse(&batch).map_err(Refusal::from)?;
        header.base_offset = self.next_offset();
        self.store(&header, &batch, settings)?;
        self.producers.note(&header, now_ms);
        self.transactions.note(&header, Some(outcome));
        Ok(true)
    }

    /// Puts a batch at the end of the log; whether a new segment was begun for it.
    fn store(&mut self, header: &BatchHeader, bytes: &[u8], settings: &LogSettings) -> io::Result<bool> {
        let filled = self.roll_if_full(header, settings)?;
        self.active_mut().index.set_spacing(settings.index_interval_bytes);
        self.active_mut().append(header, bytes)?;
        self.since_checkpoint += header.size as u64;
        self.checkpoint_due = true;
        Ok(filled)
    }

    /// The part of the log where the batch that holds `offset` lies; `None` at the end of the log.
    pub(crate) fn range_at(&self, offset: i64) -> Result<Option<Range>, ReadError> {
        if offset < self.start_offset || offset > self.next_offset() {
            return Err(ReadError::OutOfRange);
        }
        let after = self
            .segments
            .partition_point(|segment| segment.base_offset <= offset);
        // An offset removed by compaction is answered by the next one that is left.
        let holder = self.segments[after.saturating_sub(1)..]
            .iter()
            .find(|segment| segment.index.next_offset > offset);
        match holder {
            Some(segment) => {
                let place = segment.index.position_of_offset(offset);
                Ok(Some(segment.range_from(place)?))
            }
            None => Ok(None),
        }
    }

    /// The segment being written to, to be checked after an unclean stop.
    pub(crate) fn active_range(&self) -> io::Result<Range> {
        self.active().range()
    }

    /// Whether `offset` lies in the segment being written, whose bytes are as good as certainly in memory.
    pub(crate) fn is_recent(&self, offset: i64) -> bool {
        offset >= self.active().base_offset
    }

    /// The parts of the log that may hold the first record at or after `timestamp`, in order.
    pub(crate) fn ranges_since(&self, timestamp: i64) -> io::Result<Vec<Range>> {
        self.segments
            .iter()
            .filter(|segment| segment.size() > 0 && segment.index.max_timestamp >= timestamp)
            .map(|segment| segment.range_from(segment.index.position_of_time(timestamp)))
            .collect()
    }

    /// Largest timestamp in the log; `None` when it is empty.
    pub(crate) fn max_timestamp(&self) -> Option<i64> {
        self.segments
            .iter()
            .filter(|segment| segment.size() > 0)
            .map(|segment| segment.index.max_timestamp)
            .max()
    }

    /// Forgets producers silent since `before_ms`.
    pub(crate) fn forget_producers(&mut self, before_ms: i64) {
        let transactions = &self.transactions;
        self.producers
            .forget_older_than(before_ms, |id| transactions.open_since(id).is_some());
    }

    fn active(&self) -> &Segment {
        &self.segments[self.segments.len() - 1]
    }

    fn active_mut(&mut self) -> &mut Segment {
        let last = self.segments.len() - 1;
        &mut self.segments[last]
    }

    fn checkpoint(&self) -> Checkpoint {
        Checkpoint {
            start_offset: self.start_offset,
            compacted_to: self.compacted_to,
            compactions: self.compactions.clone(),
            flushed_to: self.flushed_to,
            producers_at: self.next_offset(),
            producers: self.producers.clone(),
            transactions: self.transactions.clone(),
            ..Checkpoint::default()
        }
    }

    fn roll_if_full(&mut self, header: &BatchHeader, settings: &LogSettings) -> io::Result<bool> {
        let active = self.active();
        let full = active.size() + header.size as u64 > settings.segment_bytes;
        // An empty segment's first timestamp is later than any; a negative one says that producers give none.
        let first = active.index.first_timestamp;
        let old = first >= 0 && header.max_timestamp.saturating_sub(first) > settings.segment_ms;
        let too_far = header.next_offset() - active.base_offset > i64::from(u32::MAX);
        let due = active.size() > 0 && (full || old || too_far);
        if due {
            self.roll()?;
        }
        Ok(due)
    }

    fn roll(&mut self) -> io::Result<()> {
        let segment = Segment::create(&self.disk, &self.folder, self.next_offset())?;
        self.segments.push(segment);
        Ok(())
    }
}
