//! Compaction: of each key only the last record stays.
//!
//! It works on closed segments, which nobody writes to. First the last offset of every key is noted, up to a bounded
//! number of keys; then each segment is written anew without the records that a later one of their key replaces. What
//! stays keeps its offset. The last batch of a segment stays even when it is empty, so that the next segment still
//! follows on without a gap. Compressed batches cannot be looked into and stay as they are.

use std::collections::HashMap;
use std::fs::{self, File};
use std::hash::{BuildHasher, RandomState};
use std::io::{self, BufWriter, Write};
use std::path::PathBuf;

use super::Log;
use crate::storage::batch::{self, BatchHeader};
use crate::storage::index::Index;
use crate::storage::read::{Range, WholeBatch};
use crate::storage::segment::Segment;

/// Keys noted in one go, about 13 MB of them; what lies behind waits for the next.
const MAX_KEYS: usize = 250_000;

/// How a topic is compacted.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct CompactionSettings {
    /// The part of the log that must be new before it is worth the work.
    pub(crate) min_dirty_ratio: f64,
    /// Records younger than this are left alone, in milliseconds.
    pub(crate) min_lag_ms: i64,
    /// How long a deleted key's tombstone stays, for consumers that are behind, in milliseconds.
    pub(crate) tombstone_ms: i64,
}

/// A compaction that is decided on; the long part, to be run without the log's lock.
#[derive(Debug)]
pub(crate) struct Compaction {
    segments: Vec<OldSegment>,
    dirty_from: i64,
    tombstones_before: i64,
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
            .take_while(|segment| {
                segment.index.next_offset <= self.compacted_to || segment.newest_ms() <= old_enough
            })
            .collect();
        let size = |dirty: bool| -> u64 {
            closed
                .iter()
                .filter(|segment| (segment.index.next_offset > self.compacted_to) == dirty)
                .map(|segment| segment.size())
                .sum()
        };
        let (dirty, clean) = (size(true), size(false));
        if dirty == 0 || (dirty as f64) < settings.min_dirty_ratio * (dirty + clean) as f64 {
            return Ok(None);
        }
        let segments = closed
            .iter()
            .map(|segment| {
                Ok(OldSegment {
                    base_offset: segment.base_offset,
                    range: segment.range_from(0)?,
                    new_path: segment.compacted_path(),
                })
            })
            .collect::<io::Result<_>>()?;
        Ok(Some(Compaction {
            segments,
            dirty_from: self.compacted_to,
            tombstones_before: now_ms.saturating_sub(settings.tombstone_ms),
        }))
    }

    /// Puts the compacted segments in place, oldest first: a tombstone never goes before what it has deleted.
    pub(crate) fn end_compaction(&mut self, compacted: Compacted) -> io::Result<()> {
        for new in compacted.segments {
            let closed = self.segments.len() - 1;
            let old = self.segments[..closed]
                .iter_mut()
                .find(|segment| segment.base_offset == new.base_offset);
            match old {
                Some(old) => old.replace(&new.path, new.index)?,
                // Retention was faster.
                None => fs::remove_file(&new.path)?,
            }
        }
        let closed = self.segments.len() - 1;
        let hollow = self.segments[..closed]
            .iter()
            .take_while(|segment| segment.is_hollow())
            .count();
        self.drop_first(hollow)?;
        self.compacted_to = self.compacted_to.max(compacted.up_to);
        self.checkpoint_due = true;
        Ok(())
    }
}

impl Compaction {
    /// Writes the segments anew beside the old ones.
    pub(crate) fn run(&self) -> io::Result<Compacted> {
        let (keys, up_to) = self.last_offsets()?;
        let mut segments = Vec::new();
        for segment in &self.segments {
            if segment.base_offset >= up_to {
                break;
            }
            if let Some(index) = self.rewrite(segment, &keys)? {
                segments.push(NewSegment {
                    base_offset: segment.base_offset,
                    path: segment.new_path.clone(),
                    index,
                });
            }
        }
        Ok(Compacted { segments, up_to })
    }

    /// The last offset of every key in the new part of the log, and how far that goes.
    fn last_offsets(&self) -> io::Result<(LastOffsets, i64)> {
        let mut keys = LastOffsets::default();
        let mut up_to = self.dirty_from;
        for segment in &self.segments {
            let mut scan = segment.range.scan();
            while let Some(WholeBatch { header, bytes, .. }) = scan.next_batch()? {
                if header.next_offset() <= self.dirty_from {
                    continue;
                }
                for record in batch::records(&header, bytes).unwrap_or_default() {
                    if let Some(key) = record.key {
                        keys.note(key, record.offset);
                    }
                }
                up_to = header.next_offset();
                if keys.offsets.len() >= MAX_KEYS {
                    return Ok((keys, up_to));
                }
            }
        }
        Ok((keys, up_to))
    }

    /// Writes one segment anew; `None` when nothing can be left out.
    fn rewrite(&self, old: &OldSegment, keys: &LastOffsets) -> io::Result<Option<Index>> {
        let mut file = BufWriter::new(File::create(&old.new_path)?);
        let written = self.rewrite_into(&mut file, old, keys);
        let done = written.and_then(|(index, dropped)| {
            let file = file.into_inner().map_err(io::IntoInnerError::into_error)?;
            file.sync_all()?;
            Ok((index, dropped))
        });
        match done {
            Ok((index, dropped)) if dropped > 0 => Ok(Some(index)),
            other => {
                fs::remove_file(&old.new_path)?;
                other.map(|_| None)
            }
        }
    }

    fn rewrite_into(
        &self,
        file: &mut impl Write,
        old: &OldSegment,
        keys: &LastOffsets,
    ) -> io::Result<(Index, usize)> {
        let mut index = Index::new(old.base_offset);
        let mut dropped = 0;
        let mut scan = old.range.scan();
        while let Some(WholeBatch {
            header,
            bytes,
            is_last,
        }) = scan.next_batch()?
        {
            let Some(records) = batch::records(&header, bytes).filter(|_| !header.is_control()) else {
                file.write_all(bytes)?;
                index.note(&header);
                continue;
            };
            let stays = |record: &batch::Record<'_>| self.stays(record, keys);
            let kept = records.iter().filter(|record| stays(record)).count();
            if kept == records.len() && kept > 0 {
                file.write_all(bytes)?;
                index.note(&header);
                continue;
            }
            if kept > 0 || is_last {
                // An empty batch that was left before is no loss now.
                dropped += records.len() - kept;
                let thinned = batch::with_records(bytes, records.into_iter().filter(stays));
                file.write_all(&thinned)?;
                index.note(&BatchHeader {
                    size: thinned.len(),
                    ..header
                });
            } else {
                dropped += records.len().max(1);
            }
        }
        Ok((index, dropped))
    }

    fn stays(&self, record: &batch::Record<'_>, keys: &LastOffsets) -> bool {
        let Some(key) = record.key else {
            return true;
        };
        if keys.last(key).is_some_and(|last| last > record.offset) {
            return false;
        }
        !(record.is_tombstone && record.timestamp < self.tombstones_before)
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
