//! Bringing a log to the disk itself, without holding up whoever appends to it.
//!
//! The order is what makes a power cut harmless: first the records are synced, then the index and the checkpoint that
//! speak of them are written. Both may be behind the log, never ahead of it.

use std::fs::File;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use super::Log;
use crate::storage::checkpoint::Checkpoint;
use crate::storage::directory::{Durability, sync_folder};
use crate::storage::segment::{Segment, write_index};

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
    folder: PathBuf,
    files: Vec<UnsyncedFile>,
    /// Whether one of the files is so new that its name may not be on the disk either.
    has_new_file: bool,
    indexes: Vec<(PathBuf, Vec<u8>)>,
    checkpoint: Option<Checkpoint>,
}

#[derive(Debug)]
struct UnsyncedFile {
    base_offset: i64,
    file: Arc<File>,
    size: u64,
}

impl Flush {
    /// Syncs the files, then writes the index and the checkpoint that rely on them.
    pub(crate) fn run(&self) -> io::Result<()> {
        for unsynced in &self.files {
            unsynced.file.sync_data()?;
        }
        if self.has_new_file {
            sync_folder(&self.folder)?;
        }
        for (path, bytes) in &self.indexes {
            write_index(path, bytes)?;
        }
        if let Some(checkpoint) = &self.checkpoint {
            checkpoint.write(&self.folder, Durability::Process)?;
        }
        Ok(())
    }
}

impl Log {
    /// Whether anything was appended that is not known to be on the disk, or the checkpoint is out of date.
    pub(crate) fn needs_flush(&self) -> bool {
        self.checkpoint_due || self.segments.iter().any(Segment::is_unsynced)
    }

    /// Prepares to bring everything appended so far to the disk.
    pub(crate) fn begin_flush(&mut self, checkpoint: CheckpointWhen) -> io::Result<Flush> {
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
                })
            })
            .collect::<io::Result<Vec<_>>>()?;
        let mut flush = Flush {
            folder: self.folder.clone(),
            files,
            has_new_file: self.segments.iter().any(|segment| segment.synced == 0),
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
    pub(crate) fn end_flush(&mut self, flush: &Flush) {
        let with_indexes = flush.checkpoint.is_some();
        let last = self.segments.len() - 1;
        for (position, segment) in self.segments.iter_mut().enumerate() {
            let flushed = flush
                .files
                .iter()
                .find(|file| file.base_offset == segment.base_offset);
            if let Some(flushed) = flushed {
                segment.synced = segment.synced.max(flushed.size);
            }
            if with_indexes {
                segment.index_written = segment.index_written.max(segment.synced);
            }
            if position != last || with_indexes {
                segment.close_if_synced();
            }
        }
    }

    /// Asks for the checkpoint again after a flush that failed.
    pub(crate) fn flush_failed(&mut self) {
        self.checkpoint_due = true;
    }
}
