//! Giving up the oldest records: by age, by size, or because somebody asked for it.
//!
//! What is given up is written down and synced first, so that no crash brings it back; then the files go. Both happen
//! without the log's lock, in a [`Deletion`].

use std::io;
use std::path::PathBuf;

use super::{Log, LogSettings};
use crate::storage::checkpoint::Checkpoint;
use crate::storage::directory::{Durability, Replaced};
use crate::storage::disk::SharedDisk;
use crate::storage::segment::Segment;

/// A new start of the log that is decided on, to be written down without the log's lock.
#[derive(Debug)]
pub(crate) struct Deletion {
    disk: SharedDisk,
    folder: PathBuf,
    checkpoint: Checkpoint,
}

impl Deletion {
    /// Writes the new start down for good.
    pub(crate) fn run(&self) -> io::Result<Replaced> {
        self.checkpoint.write(&*self.disk, &self.folder, Durability::Disk)
    }
}

impl Log {
    /// Prepares to give up everything before `offset` (at most the end of the log); `None` when it is given up already.
    pub(crate) fn begin_delete(&self, offset: i64) -> Option<Deletion> {
        let offset = offset.min(self.next_offset());
        // A start that shows but could not be synced is written again, or it would be promised for nothing.
        (offset > self.safe_start).then(|| Deletion {
            disk: self.disk.clone(),
            folder: self.folder.clone(),
            checkpoint: Checkpoint {
                start_offset: offset.max(self.start_offset),
                ..self.checkpoint()
            },
        })
    }

    /// Moves the start to what was written down; the segments that hold nothing any more are returned, to be removed.
    pub(crate) fn end_delete(&mut self, deletion: &Deletion, written: &Replaced) -> Vec<Segment> {
        self.start_offset = self.start_offset.max(deletion.checkpoint.start_offset);
        self.transactions.forget_before(self.start_offset);
        match written {
            Replaced::Done => self.safe_start = deletion.checkpoint.start_offset,
            // Until the new start is safe the records are kept, so that a crash cannot bring a part of them back.
            Replaced::Unsynced(_) => return Vec::new(),
        }
        let last = self.segments.len() - 1;
        let gone = self.segments[..last]
            .iter()
            .take_while(|segment| segment.index.next_offset <= self.start_offset)
            .count();
        self.segments.drain(..gone).collect()
    }

    /// Where the log begins once the segments that are too old at `now_ms`, or too much, are gone.
    pub(crate) fn retained_from(&mut self, now_ms: i64, settings: &LogSettings) -> io::Result<i64> {
        let mut gone = 0;
        if let Some(retention_ms) = settings.retention_ms {
            let keep_from = now_ms.saturating_sub(retention_ms);
            gone = self
                .segments
                .iter()
                .take_while(|segment| segment.size() > 0 && segment.newest_ms() < keep_from)
                .count();
            if gone == self.segments.len() {
                // Everything is too old: the segment being written is closed, so that it can go as well.
                self.roll()?;
            }
        }
        if let Some(limit) = settings.retention_bytes {
            let mut excess = self.segments[gone..].iter().map(Segment::size).sum::<u64>();
            excess = excess.saturating_sub(limit);
            for segment in &self.segments[gone..self.segments.len() - 1] {
                if segment.size() > excess {
                    break;
                }
                excess -= segment.size();
                gone += 1;
            }
        }
        Ok(match gone {
            0 => self.start_offset,
            _ => self.start_offset.max(self.segments[gone].base_offset),
        })
    }
}
