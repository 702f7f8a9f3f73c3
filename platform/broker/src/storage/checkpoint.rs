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
use super::transactions::TransactionIndex;
use crate::producers::ProducerTable;

const FILE: &str = "checkpoint.json";
/// What this broker writes: a line of JSON, and its checksum on the next. Format 1 was the JSON alone, without `format`,
/// `flushed_to` and `compactions`.
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
    /// Transactions up to there.
    #[serde(default)]
    pub(crate) transactions: TransactionIndex,
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
        match Self::decode(&text) {
            Ok(checkpoint) => Some(checkpoint),
            Err(error) => {
                tracing::warn!(path = %path.display(), %error, "checkpoint damaged, reading the log instead");
                None
            }
        }
    }

    fn decode(text: &[u8]) -> Result<Self, String> {
        let (json, checksum) = match text.iter().rposition(|byte| *byte == b'\n') {
            Some(end) => (&text[..end], Some(&text[end + 1..])),
            None => (text, None),
        };
        let checkpoint: Self = serde_json::from_slice(json).map_err(|error| error.to_string())?;
        let is_right = match checkpoint.format {
            // Format 1 had neither a number nor a checksum.
            0 => checksum.is_none(),
            _ => checksum == Some(checksum_of(json).as_bytes()),
        };
        if is_right {
            Ok(checkpoint)
        } else {
            Err("its checksum is wrong".to_owned())
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
        let mut text = serde_json::to_string(&written)?;
        let checksum = checksum_of(text.as_bytes());
        text.push('\n');
        text.push_str(&checksum);
        replace_file(disk, &folder.join(FILE), text.as_bytes(), durability)
    }
}

fn checksum_of(json: &[u8]) -> String {
    format!("{:08x}", crc32c::crc32c(json))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flipped_bit_is_noticed_and_version_0_1_0_is_read() {
        let disk = super::super::disk::RealDisk;
        let folder = tempfile::tempdir().unwrap();
        let checkpoint = Checkpoint {
            format: FORMAT,
            start_offset: 12,
            flushed_to: 20,
            ..Checkpoint::default()
        };
        let written = checkpoint.write(&disk, folder.path(), Durability::Whole);
        written.unwrap().done().unwrap();
        assert_eq!(Checkpoint::read(&disk, folder.path()), Some(checkpoint));
        let path = folder.path().join(FILE);
        let text = std::fs::read(&path).unwrap();
        for at in 0..text.len() {
            for bit in 0..8 {
                let mut damaged = text.clone();
                damaged[at] ^= 1 << bit;
                std::fs::write(&path, damaged).unwrap();
                assert_eq!(Checkpoint::read(&disk, folder.path()), None, "{at} {bit}");
            }
        }
        let old = r#"{"start_offset":7,"compacted_to":3,"producers_at":9,"producers":{}}"#;
        std::fs::write(&path, old).unwrap();
        let read = Checkpoint::read(&disk, folder.path()).unwrap();
        assert_eq!((read.start_offset, read.compacted_to, read.flushed_to), (7, 3, 0));
    }
}
