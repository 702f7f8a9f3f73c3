//! One segment: a file of record batches, named after its first offset, with a sparse index beside it.

use std::io;
use std::ops;
use std::path::{Path, PathBuf};

use super::batch::records::placeholders;
use super::batch::{BatchHeader, HEADER_LEN};
use super::directory::{Durability, Replaced, replace_file};
use super::disk::{Disk, Mode, SharedDisk, SharedFile, read_all, remove_if_present};
use super::index::{Index, Place};
use super::read::Range;

const LOG_SUFFIX: &str = "log";
const INDEX_SUFFIX: &str = "sparse-index";
/// What version 0.1.0 called its index: Kafka's name for another format, which Kafka's own tools then call corrupt.
const OLD_INDEX_SUFFIX: &str = "index";
const COMPACTED_SUFFIX: &str = "compacted";

/// A segment file and what is known of it.
#[derive(Debug)]
pub(crate) struct Segment {
    disk: SharedDisk,
    path: PathBuf,
    /// Offset the file is named after; no batch in it begins earlier.
    pub(crate) base_offset: i64,
    /// Open while the segment is written to, and until what was written is synced.
    file: Option<SharedFile>,
    /// Where batches are, and how far the file goes.
    pub(crate) index: Index,
    /// Bytes known to be on the disk itself.
    pub(crate) synced: u64,
    /// What an earlier process wrote and may have failed to sync: it is written once more before the next sync.
    ///
    /// The system takes the pages of a failed sync for written, though they are not on the disk, and only a new write
    /// makes a later sync mean something.
    pub(crate) doubtful: Option<ops::Range<u64>>,
    /// Bytes the index written beside the segment covers.
    pub(crate) index_written: u64,
}

/// What a segment is opened with.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Expected {
    /// What lies before this offset was on the disk itself: damage to it is no half-done write.
    pub(crate) flushed_to: i64,
    /// Where the next segment begins, if there is one.
    pub(crate) next_base: Option<i64>,
}

/// Bytes read and written at a time when the end of a segment is written once more.
const REWRITE_CHUNK: usize = 1024 * 1024;

/// What was found wrong with a segment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Findings {
    /// Bytes of half-done writes that were cut.
    pub(crate) cut_bytes: u64,
    /// Bytes that were safe once and cannot be read any more; they stay where they are.
    pub(crate) damaged_bytes: u64,
}

impl Segment {
    /// Starts a new, empty segment.
    pub(crate) fn create(disk: &SharedDisk, folder: &Path, base_offset: i64) -> io::Result<Self> {
        let path = folder.join(format!("{base_offset:020}.{LOG_SUFFIX}"));
        let file = disk.open(&path, Mode::Fresh)?;
        let segment = Self {
            disk: disk.clone(),
            path,
            base_offset,
            file: Some(file),
            index: Index::new(base_offset),
            synced: 0,
            doubtful: None,
            index_written: 0,
        };
        // One may be left from a segment of that name that was set aside.
        segment.remove_indexes()?;
        Ok(segment)
    }

    /// Opens a segment again, cutting what follows its last whole batch unless it was safe once.
    pub(crate) fn recover(
        disk: &SharedDisk,
        path: &Path,
        base_offset: i64,
        expected: Expected,
    ) -> io::Result<(Self, Findings)> {
        let file = disk.open(path, Mode::Write)?;
        let len = file.size()?;
        let mut segment = Self {
            disk: disk.clone(),
            path: path.to_owned(),
            base_offset,
            file: Some(file.clone()),
            index: Index::new(base_offset),
            synced: 0,
            doubtful: None,
            index_written: 0,
        };
        if let Some(index) = segment.written_index(&file, len)? {
            segment.synced = index.covered;
            // One of the old format is written anew with the next checkpoint.
            segment.index_written = index.last_batch().map_or(0, |_| index.covered);
            segment.index = index;
        } else {
            // It must never be believed once the segment has grown to its size again.
            segment.remove_indexes()?;
        }
        let mut findings = Findings::default();
        let mut doubtful_from = None;
        let mut at = segment.index.covered;
        let mut next_offset = segment.index.next_offset;
        loop {
            let mut range = Range {
                file: file.clone(),
                start: at,
                start_offset: next_offset,
                end: len,
                next_offset: i64::MAX,
                has_gaps: false,
            };
            let mut scan = range.scan();
            while let Some(header) = scan.next_checked()? {
                if header.next_offset() > expected.flushed_to {
                    doubtful_from.get_or_insert(segment.index.covered);
                }
                segment.index.note(&header);
            }
            if segment.index.covered == len || segment.accept_gaps(&mut range, expected)? {
                break;
            }
            at = segment.index.covered;
            if segment.index.next_offset < expected.flushed_to {
                range.start = at;
                range.start_offset = segment.index.next_offset;
                range.next_offset = expected.next_base.unwrap_or(i64::MAX);
                range.has_gaps = true;
                if let Some((damaged, follows)) = range.scan().resync()? {
                    findings.damaged_bytes += damaged;
                    segment.index.skip_damage(damaged);
                    (at, next_offset) = (segment.index.covered, follows);
                    continue;
                }
                if let Some(next_base) = expected.next_base {
                    // It goes on in the next segment; what lies between is lost, and is said to be.
                    findings.damaged_bytes += len - at;
                    segment.index.skip_damage(len - at);
                    segment.index.next_offset = next_base;
                    break;
                }
            }
            findings.cut_bytes = len - at;
            file.set_size(at)?;
            // For good: what is cut must not come back behind what is written next.
            file.sync()?;
            break;
        }
        segment.doubtful = doubtful_from.map(|from| from..segment.index.covered);
        Ok((segment, findings))
    }

    /// The index beside the segment, if there is one that was written for what the file holds now.
    fn written_index(&self, file: &SharedFile, len: u64) -> io::Result<Option<Index>> {
        for path in [self.index_path(), self.path.with_extension(OLD_INDEX_SUFFIX)] {
            let index = read_all(&*self.disk, &path)
                .ok()
                .and_then(|bytes| Index::decode(self.base_offset, &bytes))
                .filter(|index| index.covered <= len);
            if let Some(index) = index
                && describes(&index, file)?
            {
                return Ok(Some(index));
            }
        }
        Ok(None)
    }

    /// Takes over what version 0.1.0's compaction has left, which removed batches without a trace: there may be gaps
    /// if everything else is right up to the next segment.
    fn accept_gaps(&mut self, range: &mut Range, expected: Expected) -> io::Result<bool> {
        let Some(next_base) = expected.next_base else {
            return Ok(false);
        };
        let mut index = self.index.clone();
        range.start = index.covered;
        range.start_offset = index.next_offset;
        range.next_offset = next_base;
        range.has_gaps = true;
        let mut scan = range.scan();
        while let Some(header) = scan.next_checked()? {
            index.note(&header);
        }
        range.has_gaps = false;
        let whole = index.covered == range.end && index.next_offset == next_base;
        if whole {
            self.index = index;
        }
        Ok(whole)
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
        // A segment whose age nobody knows is kept.
        self.disk.modified_ms(&self.path).unwrap_or(i64::MAX)
    }

    /// Appends a batch whose header already carries its offset; on failure the file is as before.
    pub(crate) fn append(&mut self, header: &BatchHeader, batch: &[u8]) -> io::Result<()> {
        let file = self.writable()?;
        let preamble = BatchHeader::stored_preamble(batch, header.base_offset);
        let written = file.write_at(self.size(), &preamble, &batch[preamble.len()..]);
        if let Err(error) = written {
            // Also when cutting fails nothing is lost: the next append writes over the rest, and recovery cuts it.
            let _ = file.set_size(self.size());
            return Err(error);
        }
        self.index.note(header);
        Ok(())
    }

    /// Stands in for the offsets up to `to`, which were given out once and must not be given out again.
    pub(crate) fn append_placeholders(&mut self, to: i64) -> io::Result<()> {
        let bytes = placeholders(self.index.next_offset, to);
        let mut rest = &bytes[..];
        while let Ok(header) = BatchHeader::parse(rest) {
            let (batch, behind) = rest.split_at(header.size);
            self.append(&header, batch)?;
            rest = behind;
        }
        Ok(())
    }

    /// The part of the file from a place on.
    pub(crate) fn range_from(&self, place: Place) -> io::Result<Range> {
        Ok(Range {
            file: self.file()?,
            start: place.position,
            start_offset: place.offset,
            end: self.size(),
            next_offset: self.index.next_offset,
            has_gaps: self.index.has_gaps,
        })
    }

    /// All of the file.
    pub(crate) fn range(&self) -> io::Result<Range> {
        self.range_from(self.index.first_place())
    }

    /// The file, opened again when it was closed.
    pub(crate) fn file(&self) -> io::Result<SharedFile> {
        match &self.file {
            Some(file) => Ok(file.clone()),
            None => self.disk.open(&self.path, Mode::Read),
        }
    }

    /// The file to write to, opened again and kept open when it was closed.
    fn writable(&mut self) -> io::Result<SharedFile> {
        if let Some(file) = &self.file {
            return Ok(file.clone());
        }
        let file = self.disk.open(&self.path, Mode::Write)?;
        self.file = Some(file.clone());
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
        // The old index would not be believed beside the new file; it need not stay either.
        self.remove_indexes()?;
        self.disk.rename(compacted, &self.path)?;
        self.file = None;
        self.synced = index.covered;
        self.doubtful = None;
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
        remove_files(&*self.disk, &self.path)
    }

    fn remove_indexes(&self) -> io::Result<()> {
        remove_indexes(&*self.disk, &self.path)
    }
}

/// Removes a segment's file and what lies beside it.
pub(crate) fn remove_files(disk: &dyn Disk, path: &Path) -> io::Result<()> {
    remove_indexes(disk, path)?;
    remove_if_present(disk, path)
}

fn remove_indexes(disk: &dyn Disk, path: &Path) -> io::Result<()> {
    remove_if_present(disk, &path.with_extension(INDEX_SUFFIX))?;
    remove_if_present(disk, &path.with_extension(OLD_INDEX_SUFFIX))
}

/// Whether an index speaks of what the file holds: its last batch must be where it says.
fn describes(index: &Index, file: &SharedFile) -> io::Result<bool> {
    let Some(last) = index.last_batch() else {
        // An old index does not say: the headers behind its last entry must lead to its end.
        let place = index.last_place();
        let range = Range {
            file: file.clone(),
            start: place.position,
            start_offset: place.offset,
            end: index.covered,
            next_offset: index.next_offset,
            has_gaps: true,
        };
        let mut scan = range.scan();
        let mut reached = (place.position, place.offset);
        while let Some(header) = scan.next_checked()? {
            reached = (reached.0 + header.size as u64, header.next_offset());
        }
        return Ok(reached == (index.covered, index.next_offset));
    };
    let bytes = file.read_at(last.position, HEADER_LEN)?;
    Ok(BatchHeader::parse(&bytes).is_ok_and(|header| header.crc == last.crc) || index.covered == 0)
}

/// Writes a part of a file once more, as it is.
pub(crate) fn write_once_more(file: &SharedFile, part: ops::Range<u64>) -> io::Result<()> {
    let mut at = part.start;
    while at < part.end {
        let len = usize::try_from(part.end - at).map_or(REWRITE_CHUNK, |left| left.min(REWRITE_CHUNK));
        let bytes = file.read_at(at, len)?;
        if bytes.is_empty() {
            break;
        }
        file.write_at(at, &bytes, &[])?;
        at += bytes.len() as u64;
    }
    Ok(())
}

/// Writes an index beside its segment; one of the old format gives way to it.
pub(crate) fn write_index(disk: &dyn Disk, path: &Path, bytes: &[u8]) -> io::Result<()> {
    replace_file(disk, path, bytes, Durability::Process).and_then(Replaced::done)?;
    remove_if_present(disk, &path.with_extension(OLD_INDEX_SUFFIX))
}

/// The segments in a folder with their base offsets, in order; what a compaction left half-done is removed.
pub(crate) fn list(disk: &dyn Disk, folder: &Path) -> io::Result<Vec<(i64, PathBuf)>> {
    let mut found = Vec::new();
    for path in disk.list(folder)? {
        if path.extension().is_some_and(|suffix| suffix == COMPACTED_SUFFIX) {
            // Left half-written by a compaction that did not come to its end.
            disk.remove_file(&path)?;
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
