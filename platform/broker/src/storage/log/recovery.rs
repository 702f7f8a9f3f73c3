//! Finding a log again after whatever happened: its segments, its producers, its transactions.

use std::io;
use std::path::Path;

use super::Log;
use crate::storage::batch::marker;
use crate::storage::checkpoint::Checkpoint;
use crate::storage::disk::SharedDisk;
use crate::storage::read::ReadError;
use crate::storage::segment::{self, Expected, Segment};

/// What recovery found in a log.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Recovery {
    /// Bytes of half-done writes behind the last whole batch that were cut.
    pub(crate) cut_bytes: u64,
    /// Segments behind such a cut that were renamed, out of the way.
    pub(crate) set_aside: usize,
    /// Bytes that were safe once and cannot be read any more.
    pub(crate) damaged_bytes: u64,
    /// Records that were safe once and are gone; nothing else gets their offsets.
    pub(crate) lost_records: i64,
}

impl Log {
    /// Fills the tables of producers and transactions from the checkpoint and from the batches after it.
    pub(super) fn recover_producers(&mut self, checkpoint: Option<Checkpoint>) -> io::Result<()> {
        let mut from = self.segments[0].base_offset;
        if let Some(checkpoint) = checkpoint
            && checkpoint.producers_at <= self.next_offset()
        {
            from = from.max(checkpoint.producers_at);
            self.producers = checkpoint.producers;
            self.transactions = checkpoint.transactions;
        }
        for segment in &self.segments {
            if segment.index.next_offset <= from {
                continue;
            }
            let mut range = segment.range_from(segment.index.position_of_offset(from))?;
            loop {
                let (mut at, mut follows) = (range.start, range.start_offset);
                let mut scan = range.scan();
                let is_damaged = loop {
                    let (position, header) = match scan.next_header() {
                        Ok(Some(found)) => found,
                        Ok(None) => break false,
                        // It is told to whoever reads there.
                        Err(ReadError::Damaged { .. } | ReadError::OutOfRange) => break true,
                        Err(ReadError::Storage(error)) => return Err(error),
                    };
                    (at, follows) = (position + header.size as u64, header.next_offset());
                    if header.base_offset < from {
                        continue;
                    }
                    self.producers.note(&header, header.max_timestamp);
                    let outcome = if header.is_control() {
                        let batch = range.file.read_at(position, header.size)?;
                        // A damaged one is told to whoever reads there.
                        marker::outcome(&header, &batch).unwrap_or_default()
                    } else {
                        None
                    };
                    self.transactions.note(&header, outcome);
                };
                if !is_damaged {
                    break;
                }
                // Behind the damage it goes on with the next batch that is whole.
                (range.start, range.start_offset, range.has_gaps) = (at, follows, true);
                let Some((damaged, follows)) = range.scan().resync()? else {
                    break;
                };
                range.start += damaged;
                range.start_offset = follows;
            }
        }
        Ok(())
    }
}

/// Opens the segments in a folder as far as they follow on each other.
///
/// Those that end at `start_offset` or before were given up. A power cut brings some of them back and others not, and
/// the hole between them says nothing about those that were kept.
pub(super) fn recover_segments(
    disk: &SharedDisk,
    folder: &Path,
    start_offset: i64,
    flushed_to: i64,
) -> io::Result<(Vec<Segment>, Recovery)> {
    let mut recovery = Recovery::default();
    let mut segments: Vec<Segment> = Vec::new();
    let mut listed = segment::list(&**disk, folder)?;
    let first_kept = listed
        .iter()
        .rposition(|(base_offset, _)| *base_offset <= start_offset)
        .unwrap_or(0);
    for (_, path) in listed.drain(..first_kept) {
        segment::remove_files(&**disk, &path)?;
    }
    for (position, (base_offset, path)) in listed.iter().enumerate() {
        let end = segments
            .last()
            .map_or(*base_offset, |last| last.index.next_offset);
        if recovery.cut_bytes > 0 || end > *base_offset || (end < *base_offset && *base_offset >= flushed_to)
        {
            // Behind a hole nothing can be trusted to follow on; a power cut before a sync leaves such a tail.
            // They stay for whoever wants to look into them.
            recovery.set_aside += 1;
            disk.rename(path, &path.with_extension("orphaned"))?;
            continue;
        }
        if let Some(last) = segments.last_mut()
            && end < *base_offset
        {
            // A whole segment that was safe is gone; those behind it are none the worse for it.
            recovery.lost_records += base_offset - end;
            last.index.next_offset = *base_offset;
            last.index.has_gaps = true;
        }
        let expected = Expected {
            flushed_to,
            next_base: listed.get(position + 1).map(|(next_base, _)| *next_base),
        };
        let (segment, found) = Segment::recover(disk, path, *base_offset, expected)?;
        recovery.cut_bytes += found.cut_bytes;
        recovery.damaged_bytes += found.damaged_bytes;
        segments.push(segment);
    }
    if recovery.set_aside > 0 {
        // For good: under their old names they would be met again where the log has grown up to them.
        disk.sync_folder(folder)?;
    }
    Ok((segments, recovery))
}
