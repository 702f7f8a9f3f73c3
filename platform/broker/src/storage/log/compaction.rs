//! Compaction: of each key only the last record stays.
//!
//! It works on closed segments that are on the disk itself. First the last offset of every key is noted, up to a
//! bounded number of keys; then each segment is written anew without the records that a later one of their key
//! replaces. Only what lies before the last noted offset is judged: beyond it nobody knows what replaces what. What
//! stays keeps its offset, and an empty batch stands for each row of batches that are gone, so that every batch still
//! follows on the one before. The log's start stays where it is, as with Kafka's cleaner.
//!
//! Records of a transaction that came to nothing go, and replace nothing. What is not decided yet is left alone.
//!
//! A tombstone goes only when an earlier compaction has already seen it, and long enough ago: by then nothing it
//! deletes is left, and consumers that were behind have had their time.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::io;
use std::path::PathBuf;

use super::Log;
use crate::storage::batch::BatchHeader;
use crate::storage::batch::records::{Record, Records, placeholders, with_records};
use crate::storage::checkpoint::{CompactedAt, remember_compaction};
use crate::storage::disk::{Mode, SharedDisk, SharedFile, remove_if_present};
use crate::storage::index::Index;
use crate::storage::read::{Range, ReadError, WholeBatch};
use crate::storage::segment::Segment;
use crate::storage::transactions::AbortedByProducer;

/// Keys noted in one go, about 13 MB of them; what lies behind waits for the next.
const MAX_KEYS: usize = 250_000;
/// Bytes of a new segment gathered before they are written.
const WRITE_CHUNK: usize = 256 * 1024;

/// How a topic is compacted.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct CompactionSettings {
    /// The part of the log that must be new before it is worth the work.
    pub(crate) min_dirty_ratio: f64,
    /// Records younger than this are left alone, in milliseconds.
    pub(crate) min_lag_ms: i64,
    /// A record older than this is reason enough, in milliseconds.
    pub(crate) max_lag_ms: i64,
    /// How long a deleted key's tombstone stays, for consumers that are behind, in milliseconds.
    pub(crate) tombstone_ms: i64,
}

/// A compaction that is decided on; the long part, to be run without the log's lock.
#[derive(Debug)]
pub(crate) struct Compaction {
    disk: SharedDisk,
    segments: Vec<OldSegment>,
    dirty_from: i64,
    /// Tombstones before this offset have served their time.
    tombstones_before: i64,
    /// Where the last batch of each producer begins: its numbers outlive its records.
    producers: HashMap<i64, i64>,
    aborted: AbortedByProducer,
    pub(super) max_keys: usize,
    now_ms: i64,
}

#[derive(Debug)]
struct OldSegment {
    base_offset: i64,
    range: Range,
    new_path: PathBuf,
}

/// What a compaction has prepared.
#[derive(Debug)]
pub(crate) struct Compacted {
    segments: Vec<NewSegment>,
    up_to: i64,
    /// Of transactions that came to nothing before this offset no record is left.
    cleared_to: i64,
    at_ms: i64,
}

#[derive(Debug)]
struct NewSegment {
    base_offset: i64,
    path: PathBuf,
    index: Index,
}

impl Log {
    /// Decides whether there is enough to compact.
    pub(crate) fn begin_compaction(
        &self,
        now_ms: i64,
        settings: &CompactionSettings,
    ) -> io::Result<Option<Compaction>> {
        let old_enough = now_ms.saturating_sub(settings.min_lag_ms);
        let closed: Vec<&Segment> = self.segments[..self.segments.len() - 1]
            .iter()
            // What replaces a record must be as safe as the record was.
            .take_while(|segment| segment.index.next_offset <= self.flushed_to)
            .take_while(|segment| segment.index.next_offset <= self.last_stable_offset())
            .take_while(|segment| {
                segment.index.next_offset <= self.compacted_to || segment.newest_ms() <= old_enough
            })
            .collect();
        let is_dirty = |segment: &&&Segment| segment.index.next_offset > self.compacted_to;
        let dirty: u64 = closed.iter().filter(is_dirty).map(|segment| segment.size()).sum();
        let all: u64 = closed.iter().map(|segment| segment.size()).sum();
        let overdue = closed.iter().find(is_dirty).is_some_and(|segment| {
            let first = segment.index.first_timestamp;
            (0..now_ms.saturating_sub(settings.max_lag_ms)).contains(&first)
        });
        let worth_it = overdue || (dirty as f64) >= settings.min_dirty_ratio * all as f64;
        if dirty == 0 || !worth_it || self.failed {
            return Ok(None);
        }
        let segments = closed
            .iter()
            .map(|segment| {
                Ok(OldSegment {
                    base_offset: segment.base_offset,
                    range: segment.range()?,
                    new_path: segment.compacted_path(),
                })
            })
            .collect::<io::Result<_>>()?;
        let served = now_ms.saturating_sub(settings.tombstone_ms);
        Ok(Some(Compaction {
            disk: self.disk.clone(),
            segments,
            dirty_from: self.compacted_to,
            tombstones_before: self
                .compactions
                .iter()
                .filter(|done| done.at_ms <= served)
                .map(|done| done.up_to)
                .max()
                .unwrap_or(0)
                .min(self.compacted_to),
            producers: self.producers.last_offsets(),
            aborted: self.transactions.aborted_by_producer(),
            max_keys: MAX_KEYS,
            now_ms,
        }))
    }

    /// Puts the compacted segments in place, oldest first: a tombstone never goes before what it has deleted.
    ///
    /// They count once the folder was synced and [`Self::compaction_is_safe`] was told.
    pub(crate) fn end_compaction(&mut self, compacted: &Compacted) -> io::Result<()> {
        for new in &compacted.segments {
            let closed = self.segments.len() - 1;
            let old = self.segments[..closed]
                .iter_mut()
                .find(|segment| segment.base_offset == new.base_offset);
            match old {
                Some(old) => old.replace(&new.path, new.index.clone())?,
                // Retention was faster.
                None => remove_if_present(&*self.disk, &new.path)?,
            }
        }
        Ok(())
    }

    /// Notes a compaction whose segments are on the disk under their names.
    pub(crate) fn compaction_is_safe(&mut self, compacted: &Compacted) {
        self.compacted_to = self.compacted_to.max(compacted.up_to);
        let done = CompactedAt {
            up_to: self.compacted_to,
            at_ms: compacted.at_ms,
        };
        remember_compaction(&mut self.compactions, done);
        self.transactions.forget_before(compacted.cleared_to);
        self.checkpoint_due = true;
    }

    /// The folder, to be synced, and the disk it is on.
    pub(crate) fn place(&self) -> (SharedDisk, PathBuf) {
        (self.disk.clone(), self.folder.clone())
    }
}

impl Compaction {
    /// Writes the segments anew beside the old ones.
    pub(crate) fn run(&self) -> Result<Compacted, ReadError> {
        let (keys, up_to) = self.last_offsets()?;
        let mut segments = Vec::new();
        let mut cleared_to = up_to;
        for segment in &self.segments {
            if segment.base_offset >= up_to {
                break;
            }
            match self.rewrite(segment, &keys, up_to)? {
                Rewritten::Smaller(index) => segments.push(NewSegment {
                    base_offset: segment.base_offset,
                    path: segment.new_path.clone(),
                    index,
                }),
                Rewritten::NoGain { has_aborted: true } => cleared_to = cleared_to.min(segment.base_offset),
                Rewritten::NoGain { has_aborted: false } => {}
            }
        }
        Ok(Compacted {
            segments,
            up_to,
            cleared_to,
            at_ms: self.now_ms,
        })
    }

    /// The last offset of every key in the new part of the log, and how far that goes.
    fn last_offsets(&self) -> Result<(LastOffsets, i64), ReadError> {
        let mut keys = LastOffsets::default();
        let mut up_to = self.dirty_from;
        for segment in &self.segments {
            if segment.range.next_offset <= self.dirty_from {
                continue;
            }
            let mut scan = segment.range.scan();
            while let Some(batch) = scan.next_batch()? {
                if batch.header.next_offset() <= self.dirty_from {
                    continue;
                }
                let counts = !batch.header.is_control() && !self.aborted.has(&batch.header);
                if counts {
                    let records = records_of(&batch)?;
                    for record in records.iter() {
                        let record = record.map_err(|fault| damaged(&batch.header, fault))?;
                        if let Some(key) = record.key {
                            keys.note(key, record.offset);
                        }
                    }
                }
                up_to = batch.header.next_offset();
                if keys.offsets.len() >= self.max_keys {
                    return Ok((keys, up_to));
                }
            }
            up_to = segment.range.next_offset;
        }
        Ok((keys, up_to))
    }

    /// Writes one segment anew, unless nothing is gained by it.
    fn rewrite(&self, old: &OldSegment, keys: &LastOffsets, up_to: i64) -> Result<Rewritten, ReadError> {
        let mut output = Output {
            file: self.disk.open(&old.new_path, Mode::Fresh)?,
            buffer: Vec::new(),
            written: 0,
            index: Index::new(old.base_offset),
            left_out_aborted: false,
        };
        let done = self
            .rewrite_into(&mut output, old, keys, up_to)
            .and_then(|()| Ok(output.flush()?))
            .and_then(|()| Ok(output.file.sync()?));
        let smaller = output.index.covered < old.range.end;
        if done.is_ok() && smaller {
            return Ok(Rewritten::Smaller(output.index));
        }
        remove_if_present(&*self.disk, &old.new_path)?;
        done.map(|()| Rewritten::NoGain {
            has_aborted: output.left_out_aborted,
        })
    }

    fn rewrite_into(
        &self,
        output: &mut Output,
        old: &OldSegment,
        keys: &LastOffsets,
        up_to: i64,
    ) -> Result<(), ReadError> {
        let mut scan = old.range.scan();
        while let Some(batch) = scan.next_batch()? {
            let header = batch.header;
            if header.base_offset >= up_to || header.is_control() {
                output.put(&header, batch.bytes)?;
                continue;
            }
            let records = records_of(&batch)?;
            let mut kept: Vec<Record<'_>> = Vec::new();
            let counts = !self.aborted.has(&header);
            output.left_out_aborted |= !counts && header.record_count > 0;
            for record in records.iter().filter(|_| counts) {
                let record = record.map_err(|fault| damaged(&header, fault))?;
                if self.stays(&record, keys) {
                    kept.push(record);
                }
            }
            let count = kept.len();
            if count > 0 && i32::try_from(count) == Ok(header.record_count) {
                output.put(&header, batch.bytes)?;
            } else if count > 0 || self.producers.get(&header.producer_id) == Some(&header.base_offset) {
                let thinned = with_records(&header, batch.bytes, kept.into_iter())
                    .map_err(|fault| damaged(&header, fault))?;
                let header = BatchHeader::parse(&thinned).map_err(|fault| damaged(&header, fault))?;
                output.put(&header, &thinned)?;
            }
        }
        Ok(output.fill_to(old.range.next_offset)?)
    }

    fn stays(&self, record: &Record<'_>, keys: &LastOffsets) -> bool {
        let Some(key) = record.key else {
            return true;
        };
        if keys.last(key).is_some_and(|last| last > record.offset) {
            return false;
        }
        !(record.is_tombstone() && record.offset < self.tombstones_before)
    }
}

fn records_of<'a>(batch: &WholeBatch<'a>) -> Result<Records<'a>, ReadError> {
    Records::of(&batch.header, batch.bytes).map_err(|fault| damaged(&batch.header, fault))
}

fn damaged(header: &BatchHeader, fault: crate::storage::batch::BatchFault) -> ReadError {
    ReadError::Damaged {
        offset: header.base_offset,
        fault,
    }
}

/// What became of a segment.
#[derive(Debug)]
enum Rewritten {
    /// It was written anew.
    Smaller(Index),
    /// It stays as it is, with the records of transactions that came to nothing if it has any.
    NoGain { has_aborted: bool },
}

/// A segment that is being written anew.
#[derive(Debug)]
struct Output {
    file: SharedFile,
    buffer: Vec<u8>,
    written: u64,
    index: Index,
    left_out_aborted: bool,
}

impl Output {
    /// Adds a batch, and in front of it what stands for those that are gone.
    fn put(&mut self, header: &BatchHeader, bytes: &[u8]) -> io::Result<()> {
        self.fill_to(header.base_offset)?;
        self.add(header, bytes)
    }

    /// Stands in for the batches up to `offset` that are gone.
    fn fill_to(&mut self, offset: i64) -> io::Result<()> {
        let bytes = placeholders(self.index.next_offset, offset);
        let mut rest = &bytes[..];
        while let Ok(header) = BatchHeader::parse(rest) {
            let (batch, behind) = rest.split_at(header.size);
            self.add(&header, batch)?;
            rest = behind;
        }
        Ok(())
    }

    fn add(&mut self, header: &BatchHeader, bytes: &[u8]) -> io::Result<()> {
        self.buffer.extend_from_slice(bytes);
        self.index.note(header);
        if self.buffer.len() >= WRITE_CHUNK {
            self.flush()?;
        }
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.write_at(self.written, &self.buffer, &[])?;
        self.written += self.buffer.len() as u64;
        self.buffer.clear();
        Ok(())
    }
}

/// The last offset of each key, by 128 bits of its hash: two keys in a billion logs may collide.
#[derive(Debug, Default)]
struct LastOffsets {
    hashers: (RandomState, RandomState),
    offsets: HashMap<(u64, u64), i64>,
}

impl LastOffsets {
    fn note(&mut self, key: &[u8], offset: i64) {
        let hash = self.hash(key);
        self.offsets.insert(hash, offset);
    }

    fn last(&self, key: &[u8]) -> Option<i64> {
        self.offsets.get(&self.hash(key)).copied()
    }

    fn hash(&self, key: &[u8]) -> (u64, u64) {
        (self.hashers.0.hash_one(key), self.hashers.1.hash_one(key))
    }
}
