//! One segment: a file of record batches, named after its first offset, with a sparse index beside it.

use std::fs::{self, File, OpenOptions};
use std::io::{self, IoSlice};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use rustix::io::pwritev;

use super::batch::{BatchHeader, HEADER_LEN};
use super::directory::{Durability, replace_file};
use super::index::Index;
use super::read::Range;

const LOG_SUFFIX: &str = "log";
const INDEX_SUFFIX: &str = "index";
const COMPACTED_SUFFIX: &str = "compacted";

/// A segment file and what is known of it.
#[derive(Debug)]
pub(crate) struct Segment {
    path: PathBuf,
    /// Offset the file is named after; no batch in it begins earlier.
    pub(crate) base_offset: i64,
    /// Open while the segment is written to, and until what was written is synced.
    file: Option<Arc<File>>,
    /// Where batches are, and how far the file goes.
    pub(crate) index: Index,
    /// Bytes known to be on the disk itself.
    pub(crate) synced: u64,
    /// Bytes the index written beside the segment covers.
    pub(crate) index_written: u64,
}

/// What recovery had to throw away at the end of a segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TornTail {
    /// Bytes that were cut.
    pub(crate) bytes: u64,
}

impl Segment {
    /// Starts a new, empty segment.
    pub(crate) fn create(folder: &Path, base_offset: i64) -> io::Result<Self> {
        let path = folder.join(format!("{base_offset:020}.{LOG_SUFFIX}"));
        let file = OpenOptions::new()
            .create(true)
            .truncate(true)
            .read(true)
            .write(true)
            .open(&path)?;
        let segment = Self {
            path,
            base_offset,
            file: Some(Arc::new(file)),
            index: Index::new(base_offset),
            synced: 0,
            index_written: 0,
        };
        // One may be left from a segment of that name that was set aside.
        segment.remove_index()?;
        Ok(segment)
    }

    /// Opens a segment again, cutting whatever follows its last whole batch with a right checksum.
    pub(crate) fn recover(path: &Path, base_offset: i64) -> io::Result<(Self, Option<TornTail>)> {
        let file = Arc::new(OpenOptions::new().read(true).write(true).open(path)?);
        let len = file.metadata()?.len();
        let written = fs::read(path.with_extension(INDEX_SUFFIX))
            .ok()
            .and_then(|bytes| Index::decode(base_offset, &bytes))
            .filter(|index| index.covered <= len);
        let mut index = written.unwrap_or_else(|| Index::new(base_offset));
        let trusted = index.covered;
        let range = Range {
            file: Arc::clone(&file),
            start: trusted,
            end: len,
            next_offset: i64::MAX,
        };
        let mut scan = range.scan();
        while let Some(header) = scan.next_checked()? {
            // Offsets never go back; a batch that does is left over from something else.
            if header.base_offset < index.next_offset {
                break;
            }
            index.note(&header);
        }
        let torn = (index.covered < len).then(|| TornTail {
            bytes: len - index.covered,
        });
        if torn.is_some() {
            file.set_len(index.covered)?;
        }
        let segment = Self {
            path: path.to_owned(),
            base_offset,
            file: Some(file),
            synced: trusted,
            index_written: trusted,
            index,
        };
        Ok((segment, torn))
    }

    /// Whether compaction has left nothing of it but an empty batch.
    pub(crate) fn is_hollow(&self) -> bool {
        self.size() == HEADER_LEN as u64
    }

    /// Bytes of whole batches in the file.
    pub(crate) fn size(&self) -> u64 {
        self.index.covered
    }

    /// When its newest record was written, in milliseconds since the epoch: what producers say, or else the file.
    pub(crate) fn newest_ms(&self) -> i64 {
        if self.index.max_timestamp >= 0 {
            return self.index.max_timestamp;
        }
        let modified = fs::metadata(&self.path).and_then(|metadata| metadata.modified());
        modified
            .ok()
            .and_then(|time| time.duration_since(SystemTime::UNIX_EPOCH).ok())
            // A segment whose age nobody knows is kept.
            .map_or(i64::MAX, |time| {
                i64::try_from(time.as_millis()).unwrap_or(i64::MAX)
            })
    }

    /// Appends a batch whose header already carries its offset; on failure the file is as before.
    pub(crate) fn append(&mut self, header: &BatchHeader, batch: &[u8]) -> io::Result<()> {
        let file = self.writable()?;
        let preamble = BatchHeader::stored_preamble(batch, header.base_offset);
        let written = write_at(&file, self.size(), &preamble, &batch[preamble.len()..]);
        if let Err(error) = written {
            // Also when cutting fails nothing is lost: the next append writes over the rest, and recovery cuts it.
            let _ = file.set_len(self.size());
            return Err(error);
        }
        self.index.note(header);
        Ok(())
    }

    /// The part of the file from `position` on.
    pub(crate) fn range_from(&self, position: u64) -> io::Result<Range> {
        Ok(Range {
            file: self.file()?,
            start: position,
            end: self.size(),
            next_offset: self.index.next_offset,
        })
    }

    /// The file, opened again when it was closed.
    pub(crate) fn file(&self) -> io::Result<Arc<File>> {
        match &self.file {
            Some(file) => Ok(Arc::clone(file)),
            None => Ok(Arc::new(File::open(&self.path)?)),
        }
    }

    /// The file to write to, opened again and kept open when it was closed.
    fn writable(&mut self) -> io::Result<Arc<File>> {
        if let Some(file) = &self.file {
            return Ok(Arc::clone(file));
        }
        let file = Arc::new(OpenOptions::new().read(true).write(true).open(&self.path)?);
        self.file = Some(Arc::clone(&file));
        Ok(file)
    }

    /// Whether the file holds bytes that are not known to be on the disk.
    pub(crate) fn is_unsynced(&self) -> bool {
        self.synced < self.size()
    }

    /// Stops keeping the file open unless it is still to be synced, so that partitions at rest cost no descriptor.
    pub(crate) fn close_if_synced(&mut self) {
        if !self.is_unsynced() {
            self.file = None;
        }
    }

    /// Where the index is written.
    pub(crate) fn index_path(&self) -> PathBuf {
        self.path.with_extension(INDEX_SUFFIX)
    }

    /// Puts a compacted file in the place of this one.
    pub(crate) fn replace(&mut self, compacted: &Path, index: Index) -> io::Result<()> {
        // The old index must never be met beside the new file.
        self.remove_index()?;
        fs::rename(compacted, &self.path)?;
        self.file = None;
        self.synced = index.covered;
        self.index_written = 0;
        self.index = index;
        Ok(())
    }

    /// Where a compacted version of the segment is prepared.
    pub(crate) fn compacted_path(&self) -> PathBuf {
        self.path.with_extension(COMPACTED_SUFFIX)
    }

    /// Removes the files.
    pub(crate) fn remove(self) -> io::Result<()> {
        self.remove_index()?;
        fs::remove_file(&self.path)
    }

    fn remove_index(&self) -> io::Result<()> {
        match fs::remove_file(self.index_path()) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }
}

/// Writes an index beside its segment.
pub(crate) fn write_index(path: &Path, bytes: &[u8]) -> io::Result<()> {
    replace_file(path, bytes, Durability::Process)
}

/// The segments in a folder with their base offsets, in order; what a compaction left half-done is removed.
pub(crate) fn list(folder: &Path) -> io::Result<Vec<(i64, PathBuf)>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.extension().is_some_and(|suffix| suffix == COMPACTED_SUFFIX) {
            // Left half-written by a compaction that did not come to its end.
            fs::remove_file(&path)?;
            continue;
        }
        let is_log = path.extension().is_some_and(|suffix| suffix == LOG_SUFFIX);
        let base_offset = path
            .file_stem()
            .and_then(|stem| stem.to_str())
            .and_then(|stem| stem.parse::<i64>().ok())
            .filter(|offset| *offset >= 0);
        if let (true, Some(base_offset)) = (is_log, base_offset) {
            found.push((base_offset, path));
        }
    }
    found.sort_unstable();
    Ok(found)
}

/// Writes two pieces one after the other at `position`, all of them.
fn write_at(file: &File, position: u64, first: &[u8], second: &[u8]) -> io::Result<()> {
    let mut pieces = [IoSlice::new(first), IoSlice::new(second)];
    let mut rest = &mut pieces[..];
    let mut position = position;
    while !rest.is_empty() {
        match pwritev(file, rest, position) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(written) => {
                position += written as u64;
                IoSlice::advance_slices(&mut rest, written);
            }
            Err(rustix::io::Errno::INTR) => {}
            Err(errno) => return Err(errno.into()),
        }
    }
    Ok(())
}
