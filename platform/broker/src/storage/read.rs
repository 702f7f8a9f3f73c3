//! Reading record batches out of a segment file.
//!
//! A [`Range`] is made under the log's lock and read without it: files only grow, so what it covers does not change,
//! and an open file stays readable when retention removes its name. It covers whole batches, so one that cannot be read
//! is damaged, which is told and never passed over.

use std::io;

use bytes::Bytes;

use super::batch::records::first_record_at;
use super::batch::{BatchFault, BatchHeader, HEADER_LEN};
use super::disk::SharedFile;

/// Bytes fetched in front of what was asked for, because the index is that sparse.
const INDEX_SLACK: usize = 8 * 1024;
/// Bytes read at a time while headers are being looked through.
const SCAN_CHUNK: usize = 64 * 1024;
/// Bytes searched for a batch behind damage.
const RESYNC_LIMIT: u64 = 256 * 1024 * 1024;

/// Why a log cannot be read at some place.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReadError {
    /// It lies before the log's start or after its end.
    #[error("the offset lies outside the log")]
    OutOfRange,
    /// What is there is not what was written.
    #[error("the log is damaged at offset {offset}: {fault}")]
    Damaged {
        /// Offset of the first record that cannot be read.
        offset: i64,
        /// What is wrong.
        fault: BatchFault,
    },
    /// The disk refused it.
    #[error("the log cannot be read: {0}")]
    Storage(#[from] io::Error),
}

/// A part of a segment file that holds whole batches only.
#[derive(Debug, Clone)]
pub(crate) struct Range {
    /// The segment file.
    pub(crate) file: SharedFile,
    /// Where the first batch begins.
    pub(crate) start: u64,
    /// Its base offset.
    pub(crate) start_offset: i64,
    /// Where the last batch ends.
    pub(crate) end: u64,
    /// Offset that follows the last batch.
    pub(crate) next_offset: i64,
    /// Whether a batch need not follow on the one before.
    pub(crate) has_gaps: bool,
}

impl Range {
    /// Whole, undamaged batches from the one that holds `offset` on: at most `max_bytes`, but always at least one.
    ///
    /// Empty when no batch of the range reaches `offset`. Batches that compaction has left without records are passed
    /// over where they come first: librdkafka takes an answer without records for a batch too large for it.
    pub(crate) fn batches_from(&self, offset: i64, max_bytes: usize) -> Result<Bytes, ReadError> {
        let mut position = self.start;
        let mut expected = self.start_offset;
        while position < self.end {
            let available = usize::try_from(self.end - position).unwrap_or(usize::MAX);
            let len = available.min(max_bytes.saturating_add(INDEX_SLACK));
            let chunk = Bytes::from(self.file.read_at(position, len)?);
            let mut skipped = 0;
            // A header that is cut by the chunk's end is read anew with the next.
            while skipped < chunk.len() && (chunk.len() - skipped >= HEADER_LEN || len == available) {
                let header = self.check(&chunk[skipped..], position + skipped as u64, expected)?;
                if has_records_from(&header, offset) {
                    let found = chunk.slice(skipped..);
                    return self.whole_batches(found, position + skipped as u64, &header, max_bytes);
                }
                skipped += header.size;
                expected = header.next_offset();
            }
            if skipped == 0 {
                // The file is shorter than it was.
                return Err(self.damage(expected, BatchFault::Truncated));
            }
            position += skipped as u64;
        }
        Ok(Bytes::new())
    }

    /// The batches at the start of `found`, which lies at `position` of the file and begins with `first`.
    fn whole_batches(
        &self,
        found: Bytes,
        position: u64,
        first: &BatchHeader,
        max_bytes: usize,
    ) -> Result<Bytes, ReadError> {
        let found = if first.size > max_bytes.min(found.len()) {
            Bytes::from(self.file.read_at(position, first.size)?)
        } else {
            found.slice(..max_bytes.min(found.len()))
        };
        let mut len = 0;
        let mut expected = first.base_offset;
        while len < found.len() {
            let checked = self
                .check(&found[len..], position + len as u64, expected)
                .and_then(|header| {
                    BatchHeader::parse_whole(&found[len..]).map_err(|fault| self.damage(expected, fault))?;
                    Ok(header)
                });
            match checked {
                Ok(header) => {
                    len += header.size;
                    expected = header.next_offset();
                }
                // What comes before the damage, or before the cut, is good; the next read begins there.
                Err(_) if len > 0 => break,
                Err(damaged) => return Err(damaged),
            }
        }
        Ok(found.slice(..len))
    }

    /// The header at the start of `bytes`, if it is one that can stand there.
    fn check(&self, bytes: &[u8], position: u64, expected: i64) -> Result<BatchHeader, ReadError> {
        let header = BatchHeader::parse(bytes).map_err(|fault| self.damage(expected, fault))?;
        let left = self.end - position;
        if header.size as u64 > left || !self.follows(&header, expected) {
            return Err(self.damage(expected, BatchFault::Count));
        }
        Ok(header)
    }

    fn follows(&self, header: &BatchHeader, expected: i64) -> bool {
        let at_once = header.base_offset == expected;
        let later = self.has_gaps && header.base_offset > expected;
        (at_once || later) && header.next_offset() <= self.next_offset
    }

    fn damage(&self, offset: i64, fault: BatchFault) -> ReadError {
        ReadError::Damaged { offset, fault }
    }

    /// Timestamp and offset of the first record at or after both `timestamp` and `start_offset`.
    pub(crate) fn first_at(
        &self,
        timestamp: i64,
        start_offset: i64,
    ) -> Result<Option<(i64, i64)>, ReadError> {
        let mut scan = self.scan();
        while let Some((position, header)) = scan.next_header()? {
            if header.max_timestamp < timestamp || header.last_offset() < start_offset {
                continue;
            }
            let batch = self.file.read_at(position, header.size)?;
            let found = first_record_at(&header, &batch, timestamp, start_offset)
                .map_err(|fault| self.damage(header.base_offset, fault))?;
            if found.is_some() {
                return Ok(found);
            }
        }
        Ok(None)
    }

    /// Reads everything and checks it.
    pub(crate) fn verify(&self) -> Result<(), ReadError> {
        let mut scan = self.scan();
        while scan.next_batch()?.is_some() {}
        Ok(())
    }

    /// Goes through the range.
    pub(crate) fn scan(&self) -> Scan<'_> {
        Scan {
            range: self,
            position: self.start,
            expected: self.start_offset,
            chunk: Vec::new(),
            chunk_start: self.start,
        }
    }
}

/// A batch met on a walk.
#[derive(Debug)]
pub(crate) struct WholeBatch<'a> {
    /// Its header.
    pub(crate) header: BatchHeader,
    /// Its bytes, header included.
    pub(crate) bytes: &'a [u8],
}

/// A walk over the batches of a range.
#[derive(Debug)]
pub(crate) struct Scan<'a> {
    range: &'a Range,
    position: u64,
    expected: i64,
    chunk: Vec<u8>,
    chunk_start: u64,
}

impl Scan<'_> {
    /// The next batch's position and header; `None` at the end.
    pub(crate) fn next_header(&mut self) -> Result<Option<(u64, BatchHeader)>, ReadError> {
        if self.position >= self.range.end {
            return Ok(None);
        }
        self.fill(HEADER_LEN)?;
        let header = self.range.check(self.rest(), self.position, self.expected)?;
        let position = self.position;
        self.pass(&header);
        Ok(Some((position, header)))
    }

    /// The next batch as a whole, with its header; `None` at the end of the range.
    pub(crate) fn next_batch(&mut self) -> Result<Option<WholeBatch<'_>>, ReadError> {
        if self.position >= self.range.end {
            return Ok(None);
        }
        self.fill(HEADER_LEN)?;
        let header = self.range.check(self.rest(), self.position, self.expected)?;
        self.fill(header.size)?;
        BatchHeader::parse_whole(self.rest()).map_err(|fault| self.range.damage(self.expected, fault))?;
        let begin = usize::try_from(self.position - self.chunk_start).unwrap_or(usize::MAX);
        self.pass(&header);
        let bytes = self.chunk.get(begin..).and_then(|rest| rest.get(..header.size));
        Ok(bytes.map(|bytes| WholeBatch { header, bytes }))
    }

    /// The next batch of a file nobody vouches for; `None` where it is not whole, undamaged and the one that follows.
    pub(crate) fn next_checked(&mut self) -> io::Result<Option<BatchHeader>> {
        match self.next_batch() {
            Ok(batch) => Ok(batch.map(|batch| batch.header)),
            Err(ReadError::Storage(error)) => Err(error),
            Err(ReadError::Damaged { .. } | ReadError::OutOfRange) => Ok(None),
        }
    }

    /// Looks behind damage for the next batch that can stand there and is whole: the bytes between, and its offset.
    pub(crate) fn resync(&mut self) -> io::Result<Option<(u64, i64)>> {
        let from = self.position;
        let end = self.range.end.min(from.saturating_add(RESYNC_LIMIT));
        while self.position + (HEADER_LEN as u64) < end {
            self.position += 1;
            self.fill(HEADER_LEN)?;
            let Ok(header) = self.range.check(self.rest(), self.position, self.expected) else {
                continue;
            };
            self.fill(header.size)?;
            if BatchHeader::parse_whole(self.rest()).is_ok() {
                return Ok(Some((self.position - from, header.base_offset)));
            }
        }
        self.position = from;
        Ok(None)
    }

    fn pass(&mut self, header: &BatchHeader) {
        self.position += header.size as u64;
        self.expected = header.next_offset();
    }

    fn rest(&self) -> &[u8] {
        let skip = usize::try_from(self.position - self.chunk_start).unwrap_or(usize::MAX);
        self.chunk.get(skip..).unwrap_or_default()
    }

    /// Makes `needed` bytes from the position on available, unless the range ends before.
    fn fill(&mut self, needed: usize) -> io::Result<()> {
        if self.position >= self.chunk_start && self.rest().len() >= needed {
            return Ok(());
        }
        let left = usize::try_from(self.range.end - self.position).unwrap_or(usize::MAX);
        let len = left.min(needed.max(SCAN_CHUNK));
        self.chunk = self.range.file.read_at(self.position, len)?;
        self.chunk_start = self.position;
        Ok(())
    }
}

fn has_records_from(header: &BatchHeader, offset: i64) -> bool {
    header.last_offset() >= offset && header.record_count > 0
}
