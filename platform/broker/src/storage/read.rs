//! Reading record batches out of a segment file.
//!
//! A [`Range`] is made under the log's lock and read without it: files only grow, so what it covers does not change,
//! and an open file stays readable when retention removes its name.

use std::fs::File;
use std::io;
use std::sync::Arc;

use bytes::Bytes;
use rustix::buffer::spare_capacity;

use super::batch::{BatchHeader, HEADER_LEN, first_record_at};

/// Bytes fetched in front of what was asked for, because the index is that sparse.
const INDEX_SLACK: usize = 8 * 1024;
/// Bytes read at a time while headers are being looked through.
const SCAN_CHUNK: usize = 64 * 1024;

/// A part of a segment file that holds whole batches only.
#[derive(Debug, Clone)]
pub(crate) struct Range {
    /// The segment file.
    pub(crate) file: Arc<File>,
    /// Where the first batch begins.
    pub(crate) start: u64,
    /// Where the last batch ends.
    pub(crate) end: u64,
    /// Offset that follows the last batch.
    pub(crate) next_offset: i64,
}

impl Range {
    /// Whole batches from the one that holds `offset` on: at most `max_bytes`, but always at least one.
    ///
    /// Empty when no batch of the range reaches `offset`. Batches that compaction has left without records are passed
    /// over where they come first: librdkafka takes an answer without records for a batch too large for it.
    pub(crate) fn batches_from(&self, offset: i64, max_bytes: usize) -> io::Result<Bytes> {
        let available = usize::try_from(self.end - self.start).unwrap_or(usize::MAX);
        let chunk_len = available.min(max_bytes.saturating_add(INDEX_SLACK));
        let chunk = Bytes::from(read_at(&self.file, self.start, chunk_len)?);
        let mut skipped = 0;
        while let Ok(header) = BatchHeader::parse(&chunk[skipped.min(chunk.len())..]) {
            if has_records_from(&header, offset) {
                let from = chunk.slice(skipped..);
                if header.size > max_bytes.min(from.len()) {
                    let position = self.start + skipped as u64;
                    return Ok(Bytes::from(read_at(&self.file, position, header.size)?));
                }
                let len = whole_batches(&from[..max_bytes.min(from.len())]);
                return Ok(from.slice(..len));
            }
            skipped += header.size;
        }
        // The batch begins beyond the chunk: rare, large batches stand between the index entry and it.
        let mut scan = self.scan();
        while let Some((position, header)) = scan.next_header()? {
            if has_records_from(&header, offset) {
                let beyond = Self {
                    start: position,
                    ..self.clone()
                };
                return beyond.batches_from(offset, max_bytes);
            }
        }
        Ok(Bytes::new())
    }

    /// Timestamp and offset of the first record at or after both `timestamp` and `start_offset`.
    ///
    /// Exact for uncompressed batches; the first record of the right batch otherwise.
    pub(crate) fn first_at(&self, timestamp: i64, start_offset: i64) -> io::Result<Option<(i64, i64)>> {
        let mut scan = self.scan();
        while let Some((position, header)) = scan.next_header()? {
            if header.max_timestamp < timestamp || header.last_offset() < start_offset {
                continue;
            }
            let batch = read_at(&self.file, position, header.size)?;
            let found = first_record_at(&header, &batch, timestamp);
            let (at, offset) = found.unwrap_or((header.max_timestamp, header.base_offset));
            return Ok(Some((at, offset.max(start_offset))));
        }
        Ok(None)
    }

    /// Goes through the headers of the range.
    pub(crate) fn scan(&self) -> Scan<'_> {
        Scan {
            range: self,
            position: self.start,
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
    /// Whether it is the last of the range.
    pub(crate) is_last: bool,
}

/// A walk over the batches of a range.
#[derive(Debug)]
pub(crate) struct Scan<'a> {
    range: &'a Range,
    position: u64,
    chunk: Vec<u8>,
    chunk_start: u64,
}

impl Scan<'_> {
    /// The next batch's position and header; `None` at the end or where no whole batch follows.
    pub(crate) fn next_header(&mut self) -> io::Result<Option<(u64, BatchHeader)>> {
        self.fill(HEADER_LEN)?;
        let Ok(header) = BatchHeader::parse(self.rest()) else {
            return Ok(None);
        };
        if header.size as u64 > self.range.end - self.position {
            return Ok(None);
        }
        let position = self.position;
        self.position += header.size as u64;
        Ok(Some((position, header)))
    }

    /// Like [`Self::next_header`], but ends at the first batch with a wrong checksum too.
    pub(crate) fn next_checked(&mut self) -> io::Result<Option<BatchHeader>> {
        self.fill(HEADER_LEN)?;
        let Ok(header) = BatchHeader::parse(self.rest()) else {
            return Ok(None);
        };
        if header.size as u64 > self.range.end - self.position {
            return Ok(None);
        }
        self.fill(header.size)?;
        if BatchHeader::parse_whole(self.rest()).is_err() {
            return Ok(None);
        }
        self.position += header.size as u64;
        Ok(Some(header))
    }

    /// The next batch as a whole, with its header; `None` at the end of the range.
    pub(crate) fn next_batch(&mut self) -> io::Result<Option<WholeBatch<'_>>> {
        self.fill(HEADER_LEN)?;
        let Ok(header) = BatchHeader::parse(self.rest()) else {
            return Ok(None);
        };
        if header.size as u64 > self.range.end - self.position {
            return Ok(None);
        }
        self.fill(header.size)?;
        let begin = usize::try_from(self.position - self.chunk_start).unwrap_or(usize::MAX);
        self.position += header.size as u64;
        let is_last = self.position == self.range.end;
        let bytes = self.chunk.get(begin..).and_then(|rest| rest.get(..header.size));
        Ok(bytes.map(|bytes| WholeBatch {
            header,
            bytes,
            is_last,
        }))
    }

    fn rest(&self) -> &[u8] {
        let skip = usize::try_from(self.position - self.chunk_start).unwrap_or(usize::MAX);
        self.chunk.get(skip..).unwrap_or_default()
    }

    /// Makes `needed` bytes from the position on available, unless the range ends before.
    fn fill(&mut self, needed: usize) -> io::Result<()> {
        if self.rest().len() >= needed {
            return Ok(());
        }
        let left = usize::try_from(self.range.end - self.position).unwrap_or(usize::MAX);
        self.chunk = read_at(&self.range.file, self.position, left.min(needed.max(SCAN_CHUNK)))?;
        self.chunk_start = self.position;
        Ok(())
    }
}

fn has_records_from(header: &BatchHeader, offset: i64) -> bool {
    header.last_offset() >= offset && header.record_count > 0
}

/// Length of the whole batches at the start of `bytes`.
fn whole_batches(bytes: &[u8]) -> usize {
    let mut len = 0;
    while let Ok(header) = BatchHeader::parse(&bytes[len..]) {
        if header.size > bytes.len() - len {
            break;
        }
        len += header.size;
    }
    len
}

/// Reads up to `len` bytes at `position`; fewer only at the end of the file.
fn read_at(file: &File, position: u64, len: usize) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::with_capacity(len);
    while bytes.len() < len {
        let at = position + bytes.len() as u64;
        match rustix::io::pread(file, spare_capacity(&mut bytes), at) {
            Ok(0) => break,
            Ok(_) => {}
            Err(rustix::io::Errno::INTR) => {}
            Err(errno) => return Err(errno.into()),
        }
    }
    bytes.truncate(len);
    Ok(bytes)
}
