//! Bringing a log to the disk itself, without holding up whoever appends to it.
//!
//! The order is what makes a power cut harmless: first the records are synced, then the index and the checkpoint that
//! speak of them are written. Both may be behind the log, never ahead of it. A sync that fails is not tried again: the
//! system reports it once and forgets the pages, so a second one would succeed and mean nothing.

use std::io;
use std::ops::Range;
use std::path::PathBuf;

use super::Log;
use crate::storage::checkpoint::Checkpoint;
use crate::storage::directory::{Durability, Replaced};
use crate::storage::disk::{SharedDisk, SharedFile};
use crate::storage::segment::{Segment, write_index, write_once_more};

/// Bytes appended before the index and the producers are written down again; recovery reads at most this much.
const CHECKPOINT_BYTES: u64 = 8 * 1024 * 1024;

/// When a flush writes the index and the producers down as well.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CheckpointWhen {
    /// When enough was appended since the last time.
    Due,
    /// Whenever there is anything new: at rest and at the end.
    Always,
    /// Not now.
    Never,
}

/// The slow part of a flush, to be run without the log's lock.
#[derive(Debug)]
pub(crate) struct Flush {
    disk: SharedDisk,
    folder: PathBuf,
    files: Vec<UnsyncedFile>,
    /// Whether one of the files is so new that its name may not be on the disk either.
    has_new_file: bool,
    /// Offset behind the last record this brings to the disk.
    up_to: i64,
    indexes: Vec<(PathBuf, Vec<u8>)>,
    checkpoint: Option<Checkpoint>,
}

#[derive(Debug)]
struct UnsyncedFile {
    base_offset: i64,
    file: SharedFile,
    size: u64,
    /// What must be written once more before a sync of it means something.
    doubtful: Option<Range<u64>>,
}

/// How far a flush came.
#[derive(Debug)]
pub(crate) enum Flushed {
    /// Everything is done.
    Done,
    /// The records are safe; an index or the checkpoint could not be written.
    WithoutCheckpoint(io::Error),
    /// The records may be lost.
    Failed(io::Error),
}

impl Flush {
    /// Syncs the files, then writes the index and the checkpoint that rely on them.
    pub(crate) fn run(&self) -> Flushed {
        if let Err(error) = self.sync() {
            return Flushed::Failed(error);
        }
        match self.write_checkpoint() {
            Ok(()) => Flushed::Done,
            Err(error) => Flushed::WithoutCheckpoint(error),
        }
    }

    fn sync(&self) -> io::Result<()> {
        for unsynced in &self.files {
            if let Some(part) = unsynced.doubtful.clone() {
                write_once_more(&unsynced.file, part)?;
            }
            unsynced.file.sync()?;
        }
        if self.has_new_file {
            self.disk.sync_folder(&self.folder)?;
        }
        Ok(())
    }

    fn write_checkpoint(&self) -> io::Result<()> {
        for (path, bytes) in &self.indexes {
            write_index(&*self.disk, path, bytes)?;
        }
        if let Some(checkpoint) = &self.checkpoint {
            let written = Checkpoint {
                flushed_to: self.up_to,
                ..checkpoint.clone()
            };
            // Whole on the disk, because the first offset still offered stands nowhere else.
            written
                .write(&*self.disk, &self.folder, Durability::Whole)
                .and_then(Replaced::done)?;
        }
        Ok(())
    }
}

impl Log {
    /// Whether anything was appended that is not known to be on the disk, or the checkpoint is out of date.
    pub(crate) fn needs_flush(&self) -> bool {
        !self.failed && (self.checkpoint_due || self.segments.iter().any(Segment::is_unsynced))
    }

    /// Prepares to bring everything appended so far to the disk.
    pub(crate) fn begin_flush(&mut self, checkpoint: CheckpointWhen) -> io::Result<Flush> {
        if self.failed {
            return Err(io::Error::other("an earlier sync of the partition has failed"));
        }
        let with_checkpoint = match checkpoint {
            CheckpointWhen::Due => self.since_checkpoint >= CHECKPOINT_BYTES,
            CheckpointWhen::Always => self.checkpoint_due,
            CheckpointWhen::Never => false,
        };
        let files = self
            .segments
            .iter()
            .filter(|segment| segment.is_unsynced())
            .map(|segment| {
                Ok(UnsyncedFile {
                    base_offset: segment.base_offset,
                    file: segment.file()?,
                    size: segment.size(),
                    doubtful: segment.doubtful.clone(),
                })
            })
            .collect::<io::Result<Vec<_>>>()?;
        let mut flush = Flush {
            disk: self.disk.clone(),
            folder: self.folder.clone(),
            files,
            has_new_file: self.segments.iter().any(|segment| segment.synced == 0),
            up_to: self.next_offset(),
            indexes: Vec::new(),
            checkpoint: None,
        };
        if with_checkpoint {
            for segment in &self.segments {
                if segment.index_written < segment.size() {
                    let path = segment.index_path();
                    flush.indexes.push((path, segment.index.encode()));
                }
            }
            flush.checkpoint = Some(self.checkpoint());
            self.since_checkpoint = 0;
            self.checkpoint_due = false;
        }
        Ok(flush)
    }

    /// Takes note of what a flush has brought to the disk.
    pub(crate) fn end_flush(&mut self, flush: &Flush, flushed: &Flushed) {
        let with_indexes = flush.checkpoint.is_some() && matches!(flushed, Flushed::Done);
        self.checkpoint_due |= !matches!(flushed, Flushed::Done);
        if let Flushed::Failed(_) = flushed {
            self.failed = true;
            return;
        }
        self.flushed_to = self.flushed_to.max(flush.up_to);
        let last = self.segments.len() - 1;
        for (position, segment) in self.segments.iter_mut().enumerate() {
            let flushed = flush
                .files
                .iter()
                .find(|file| file.base_offset == segment.base_offset);
            if let Some(flushed) = flushed {
                segment.synced = segment.synced.max(flushed.size);
                segment.doubtful = None;
            }
            if with_indexes {
                segment.index_written = segment.index_written.max(segment.synced);
            }
            if position != last || with_indexes {
                segment.close_if_synced();
            }
        }
    }
}
