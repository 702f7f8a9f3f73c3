//! What a partition writes down now and then so that opening it again is quick.
//!
//! The first offset still offered outlives the process only here, so the file is always whole, and on the disk itself
//! before records are given up because of it. The producers are a cache: when the checkpoint is missing, damaged or
//! ahead of the log (after a power cut), they are read out of the log itself.

use std::io;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::directory::{Durability, Replaced, replace_file};
use super::disk::{Disk, read_all};
use crate::producers::ProducerTable;

const FILE: &str = "checkpoint.json";
/// What this broker writes. Format 1 had no `format`, `flushed_to` and `compactions`.
const FORMAT: u32 = 2;
/// Compactions remembered; of more than these some are forgotten, which keeps tombstones longer.
const MAX_COMPACTIONS: usize = 32;

/// A partition's state at one moment.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Checkpoint {
    /// What the file looks like.
    #[serde(default)]
    pub(crate) format: u32,
    /// First offset still offered to consumers.
    pub(crate) start_offset: i64,
    /// Up to here only the last record of each key is left.
    #[serde(default)]
    pub(crate) compacted_to: i64,
    /// When compaction reached which offset, oldest first.
    #[serde(default)]
    pub(crate) compactions: Vec<CompactedAt>,
    /// Everything before was on the disk itself when this was written: damage there is no half-done write.
    #[serde(default)]
    pub(crate) flushed_to: i64,
    /// The log's end when `producers` was taken.
    pub(crate) producers_at: i64,
    /// Every producer known up to there.
    pub(crate) producers: ProducerTable,
}

/// A compaction that was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct CompactedAt {
    /// Before this offset only the last record of each key was left.
    pub(crate) up_to: i64,
    /// When, in milliseconds since the epoch.
    pub(crate) at_ms: i64,
}

/// Adds a compaction to those remembered.
pub(crate) fn remember_compaction(compactions: &mut Vec<CompactedAt>, done: CompactedAt) {
    if compactions.len() == MAX_COMPACTIONS {
        // The one in the middle: both the far and the near past stay known.
        compactions.remove(MAX_COMPACTIONS / 2);
    }
    compactions.push(done);
}

impl Checkpoint {
    /// Reads a partition's checkpoint; `None` when there is no usable one.
    pub(crate) fn read(disk: &dyn Disk, folder: &Path) -> Option<Self> {
        let path = folder.join(FILE);
        let text = match read_all(disk, &path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return None,
            Err(error) => {
                tracing::warn!(path = %path.display(), %error, "checkpoint unreadable, reading the log instead");
                return None;
            }
        };
        match serde_json::from_slice(&text) {
            Ok(checkpoint) => Some(checkpoint),
            Err(error) => {
                tracing::warn!(path = %path.display(), %error, "checkpoint damaged, reading the log instead");
                None
            }
        }
    }

    /// Writes the checkpoint into the partition's folder.
    pub(crate) fn write(
        &self,
        disk: &dyn Disk,
        folder: &Path,
        durability: Durability,
    ) -> io::Result<Replaced> {
        let written = Self {
            format: FORMAT,
            ..self.clone()
        };
        replace_file(
            disk,
            &folder.join(FILE),
            &serde_json::to_vec(&written)?,
            durability,
        )
    }
}
