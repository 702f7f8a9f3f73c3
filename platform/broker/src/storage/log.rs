//! A partition's log: segments in a row, the last of which is written to.
//!
//! The log assigns offsets, recognises repeated batches, finds records by offset and time, and drops old segments. It
//! is not thread-safe; its owner locks it, and the slow parts (syncing, reading) are handed out as values that are run
//! without the lock: [`flush::Flush`], [`Range`].

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::batch::{BatchFault, BatchHeader};
use super::checkpoint::Checkpoint;
use super::directory::Durability;
use super::read::Range;
use super::segment::{self, Segment};
use crate::producers::{ProducerTable, Verdict};

mod compaction;
mod flush;
mod retention;
#[cfg(test)]
mod tests;

pub(crate) use self::compaction::CompactionSettings;
pub(crate) use self::flush::CheckpointWhen;

/// The settings of a topic that its logs obey.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct LogSettings {
    /// Size at which a new segment is started.
    pub(crate) segment_bytes: u64,
    /// Age at which a new segment is started, in milliseconds.
    pub(crate) segment_ms: i64,
    /// Age at which a segment may be deleted, in milliseconds; `None` keeps it.
    pub(crate) retention_ms: Option<i64>,
    /// Size of the log beyond which its oldest segments are deleted.
    pub(crate) retention_bytes: Option<u64>,
    /// Largest batch accepted.
    pub(crate) max_message_bytes: usize,
    /// Whether and how only the last record of each key is kept.
    pub(crate) compaction: Option<CompactionSettings>,
}

/// A partition's log.
#[derive(Debug)]
pub(crate) struct Log {
    folder: PathBuf,
    /// In order of offsets, never empty.
    segments: Vec<Segment>,
    start_offset: i64,
    /// Up to here only the last record of each key is left.
    compacted_to: i64,
    producers: ProducerTable,
    /// Bytes appended since the last checkpoint.
    since_checkpoint: u64,
    /// Whether the checkpoint on disk is out of date in any way.
    checkpoint_due: bool,
}

/// Where an appended batch went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Appended {
    /// Offset of its first record.
    pub(crate) base_offset: i64,
    /// Whether it had been stored before, so that nothing was written.
    pub(crate) duplicate: bool,
}

/// Why a batch was not appended.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AppendError {
    /// It is not a whole, undamaged batch.
    #[error("the batch is refused: {0}")]
    Batch(#[from] BatchFault),
    /// It is larger than the topic allows.
    #[error("the batch has {size} bytes, the topic takes {limit}")]
    TooLarge {
        /// Its size.
        size: usize,
        /// The topic's `max.message.bytes`.
        limit: usize,
    },
    /// A client sent a marker only the broker may write.
    #[error("control batches are the broker's own")]
    Control,
    /// It belongs to a transaction that was never begun.
    #[error("the producer has no transaction")]
    NoTransaction,
    /// Batches before it are missing.
    #[error("the sequence number is not the next one")]
    OutOfOrder,
    /// A newer instance of the producer has taken over.
    #[error("the producer epoch is fenced")]
    Fenced,
    /// The disk refused it.
    #[error("the log cannot be written")]
    Storage(#[from] io::Error),
}

/// Why an offset cannot be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReadError {
    /// It lies before the log's start or after its end.
    #[error("the offset lies outside the log")]
    OutOfRange,
    /// The disk refused it.
    #[error("the log cannot be read")]
    Storage(#[from] io::Error),
}

/// What recovery found in a log.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Recovery {
    /// Bytes behind the last whole batch that were cut.
    pub(crate) cut_bytes: u64,
    /// Segments behind a damaged one that were renamed, out of the way.
    pub(crate) set_aside: usize,
}

impl Log {
    /// Opens the log in `folder`, which is created when missing.
    pub(crate) fn open(folder: &Path) -> io::Result<(Self, Recovery)> {
        fs::create_dir_all(folder)?;
        let checkpoint = Checkpoint::read(folder);
        let mut recovery = Recovery::default();
        let mut segments: Vec<Segment> = Vec::new();
        for (base_offset, path) in segment::list(folder)? {
            let follows = segments
                .last()
                .is_none_or(|last| last.index.next_offset == base_offset);
            if recovery.cut_bytes > 0 || !follows {
                // Behind a hole nothing can be trusted to follow on; a power cut before a sync leaves such a tail.
                // They stay for whoever wants to look into them.
                recovery.set_aside += 1;
                fs::rename(&path, path.with_extension("orphaned"))?;
                continue;
            }
            let (mut segment, torn) = Segment::recover(&path, base_offset)?;
            recovery.cut_bytes += torn.map_or(0, |torn| torn.bytes);
            segment.close_if_synced();
            segments.push(segment);
        }
        let checkpoint_start = checkpoint
            .as_ref()
            .map_or(0, |checkpoint| checkpoint.start_offset);
        if segments.is_empty() {
            let mut first = Segment::create(folder, checkpoint_start)?;
            first.close_if_synced();
            segments.push(first);
        }
        let mut log = Self {
            folder: folder.to_owned(),
            start_offset: 0,
            compacted_to: checkpoint
                .as_ref()
                .map_or(0, |checkpoint| checkpoint.compacted_to),
            segments,
            producers: ProducerTable::default(),
            since_checkpoint: 0,
            checkpoint_due: false,
        };
        log.compacted_to = log.compacted_to.min(log.next_offset());
        log.start_offset = checkpoint_start.clamp(log.segments[0].base_offset, log.next_offset());
        log.recover_producers(checkpoint)?;
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
        self.next_offset()
    }

    /// Bytes of all segments.
    pub(crate) fn size(&self) -> u64 {
        self.segments.iter().map(Segment::size).sum()
    }

    /// The idempotent producers known here.
    pub(crate) fn producers(&self) -> &ProducerTable {
        &self.producers
    }

    /// Appends one batch a producer sent.
    pub(crate) fn append(&mut self, batch: &[u8], settings: &LogSettings) -> Result<Appended, AppendError> {
        let mut header = BatchHeader::parse_produced(batch)?;
        if header.size > settings.max_message_bytes {
            return Err(AppendError::TooLarge {
                size: header.size,
                limit: settings.max_message_bytes,
            });
        }
        if header.is_control() {
            return Err(AppendError::Control);
        }
        if header.is_transactional() {
            return Err(AppendError::NoTransaction);
        }
        match self.producers.judge(&header) {
            Verdict::Append => {}
            Verdict::Duplicate { first_offset } => {
                return Ok(Appended {
                    base_offset: first_offset,
                    duplicate: true,
                });
            }
            Verdict::OutOfOrder => return Err(AppendError::OutOfOrder),
            Verdict::Fenced => return Err(AppendError::Fenced),
        }
        header.base_offset = self.next_offset();
        self.roll_if_full(&header, settings)?;
        self.active_mut().append(&header, batch)?;
        self.producers.note(&header);
        self.since_checkpoint += header.size as u64;
        self.checkpoint_due = true;
        Ok(Appended {
            base_offset: header.base_offset,
            duplicate: false,
        })
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
                let position = segment.index.position_of_offset(offset);
                Ok(Some(segment.range_from(position)?))
            }
            None => Ok(None),
        }
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
        self.producers.forget_older_than(before_ms);
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
            producers_at: self.next_offset(),
            producers: self.producers.clone(),
        }
    }

    fn write_checkpoint(&mut self, durability: Durability) -> io::Result<()> {
        self.checkpoint().write(&self.folder, durability)
    }

    fn roll_if_full(&mut self, header: &BatchHeader, settings: &LogSettings) -> io::Result<()> {
        let active = self.active();
        let full = active.size() + header.size as u64 > settings.segment_bytes;
        // An empty segment's first timestamp is later than any; a negative one says that producers give none.
        let first = active.index.first_timestamp;
        let old = first >= 0 && header.max_timestamp.saturating_sub(first) > settings.segment_ms;
        let too_far = header.next_offset() - active.base_offset > i64::from(u32::MAX);
        if active.size() > 0 && (full || old || too_far) {
            self.roll()?;
        }
        Ok(())
    }

    fn roll(&mut self) -> io::Result<()> {
        let segment = Segment::create(&self.folder, self.next_offset())?;
        self.segments.push(segment);
        Ok(())
    }

    /// Fills the table of producers from the checkpoint and from the batches after it.
    fn recover_producers(&mut self, checkpoint: Option<Checkpoint>) -> io::Result<()> {
        let mut from = self.segments[0].base_offset;
        if let Some(checkpoint) = checkpoint
            && checkpoint.producers_at <= self.next_offset()
        {
            from = from.max(checkpoint.producers_at);
            self.producers = checkpoint.producers;
        }
        for segment in &self.segments {
            if segment.index.next_offset <= from {
                continue;
            }
            let range = segment.range_from(segment.index.position_of_offset(from))?;
            let mut scan = range.scan();
            while let Some((_, header)) = scan.next_header()? {
                if header.base_offset >= from {
                    self.producers.note(&header);
                }
            }
        }
        Ok(())
    }
}
