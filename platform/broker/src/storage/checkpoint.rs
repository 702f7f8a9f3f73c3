//! What a partition writes down now and then so that opening it again is quick.
//!
//! The first offset still offered outlives the process only here. The producers are a cache: when the checkpoint is
//! missing, damaged or ahead of the log (after a power cut), they are read out of the log itself.

use std::path::Path;
use std::{fs, io};

use serde::{Deserialize, Serialize};

use super::directory::{Durability, replace_file};
use crate::producers::ProducerTable;

const FILE: &str = "checkpoint.json";

/// A partition's state at one moment.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Checkpoint {
    /// First offset still offered to consumers.
    pub(crate) start_offset: i64,
    /// Up to here only the last record of each key is left.
    #[serde(default)]
    pub(crate) compacted_to: i64,
    /// The log's end when `producers` was taken.
    pub(crate) producers_at: i64,
    /// Every producer known up to there.
    pub(crate) producers: ProducerTable,
}

impl Checkpoint {
    /// Reads a partition's checkpoint; `None` when there is no usable one.
    pub(crate) fn read(folder: &Path) -> Option<Self> {
        let path = folder.join(FILE);
        let text = match fs::read(&path) {
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
    pub(crate) fn write(&self, folder: &Path, durability: Durability) -> io::Result<()> {
        replace_file(&folder.join(FILE), &serde_json::to_vec(self)?, durability)
    }
}
