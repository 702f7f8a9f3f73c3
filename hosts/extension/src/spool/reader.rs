//! Reads a spool from one line to the next, over everything in it that is not a line.

use std::io;
use std::ops::Range;

use super::Spool;
use super::disk::{Disk, DiskFile};
use super::frame::{HEADER_LENGTH, PREFIX_LENGTH, Prefix, Record, claimed_seq};
use super::segment::Segment;

/// How much is read at once.
const CHUNK: usize = 64 * 1024;
/// A buffer that grew beyond this, for a large line, is given back.
const KEPT_BUFFER: usize = 1024 * 1024;

/// A place in a spool.
#[derive(Debug, Default)]
pub(crate) struct Reader {
    /// The next line; earlier ones are passed over.
    seq: u64,
    /// The segment that is read, by its first line, and its generation.
    segment: u64,
    generation: u32,
    /// The place in the segment.
    offset: u64,
    /// Bytes of the segment, and where in it they are from.
    buffer: Vec<u8>,
    buffer_offset: u64,
    /// The length of the frame that was last returned.
    current: u64,
    /// Lines that should be there and are not.
    missing: Vec<Range<u64>>,
}

/// A line in the spool.
#[derive(Debug, PartialEq)]
pub(crate) struct SpooledRecord<'r> {
    pub(crate) seq: u64,
    pub(crate) record: Record<'r>,
}

impl Reader {
    /// Begins at the line `seq`, or at the first one after it.
    pub(crate) fn at(seq: u64) -> Self {
        Self {
            seq,
            ..Self::default()
        }
    }

    /// The next line's number.
    pub(crate) fn seq(&self) -> u64 {
        self.seq
    }

    /// The next line. The same one again, until [`Reader::advance`] is called.
    pub(crate) fn peek<D: Disk>(&mut self, spool: &Spool<D>) -> io::Result<Option<SpooledRecord<'_>>> {
        self.current = 0;
        loop {
            let Some(segment) = self.find_segment(spool) else {
                return Ok(None);
            };
            if self.offset >= segment.length {
                if spool.is_active(segment) {
                    return Ok(None);
                }
                self.miss(segment.end.max(self.seq));
                self.leave(segment.end);
                continue;
            }
            match self.frame(segment)? {
                Some((seq, length)) if seq < self.seq => {
                    self.offset += length;
                }
                Some((seq, length)) => {
                    self.miss(seq);
                    self.current = length;
                    break;
                }
                None => {
                    let skipped = self.resynchronise(segment)?;
                    tracing::warn!(
                        segment = segment.name(),
                        offset = self.offset,
                        bytes = skipped,
                        "a part of the spool is damaged; reading goes on behind it"
                    );
                    self.offset += skipped;
                }
            }
        }
        // Once more, because the borrow of the buffer could not leave the loop.
        let seed = spool
            .segment(self.segment)
            .map_or(0, |segment| segment.header.seed());
        let start = (self.offset - self.buffer_offset) as usize;
        let (prefix, body) = self.buffer[start..].split_at(PREFIX_LENGTH);
        let decoded = Prefix::decode(prefix).and_then(|prefix| prefix.body(body, seed));
        Ok(decoded.map(|(seq, record)| SpooledRecord { seq, record }))
    }

    /// Goes on behind the line that [`Reader::peek`] returned.
    pub(crate) fn advance(&mut self) {
        self.offset += std::mem::take(&mut self.current);
        self.seq += 1;
    }

    /// Goes on behind a line that was just appended, without reading it, when it is the next one.
    pub(crate) fn pass<D: Disk>(&mut self, spool: &Spool<D>, seq: u64, frame_length: u64) {
        if seq != self.seq {
            return;
        }
        self.seq += 1;
        let Some(active) = spool.active() else { return };
        // A reader that has left one segment names the next before that has begun, and is at no place in it yet.
        if self.segment == active.first() && self.generation == active.generation && self.offset > 0 {
            self.offset += frame_length;
        } else {
            self.segment = active.first();
            self.generation = active.generation;
            self.offset = active.length;
            self.buffer.clear();
        }
    }

    /// The place in the segment.
    #[cfg(test)]
    pub(super) fn offset(&self) -> u64 {
        self.offset
    }

    /// Lines that were looked for and are not in the files, since the last time.
    pub(crate) fn take_missing(&mut self) -> Vec<Range<u64>> {
        std::mem::take(&mut self.missing)
    }

    fn miss(&mut self, found: u64) {
        if found > self.seq {
            self.missing.push(self.seq..found);
            self.seq = found;
        }
    }

    fn leave(&mut self, next: u64) {
        self.segment = next;
        self.generation = 0;
        self.offset = 0;
        self.buffer.clear();
        if self.buffer.capacity() > KEPT_BUFFER {
            self.buffer = Vec::new();
        }
    }

    /// The segment with the next line. Another one than before is begun at its beginning.
    fn find_segment<'s, D: Disk>(&mut self, spool: &'s Spool<D>) -> Option<&'s Segment<D::File>> {
        let known = spool
            .segment(self.segment)
            .filter(|segment| segment.generation == self.generation && self.offset > 0);
        if let Some(segment) = known {
            return Some(segment);
        }
        let segment = spool.segment_with(self.seq.max(self.segment))?;
        self.leave(segment.first());
        self.generation = segment.generation;
        self.offset = HEADER_LENGTH as u64;
        // What lay between was given up, and is not missing.
        self.seq = self.seq.max(segment.first());
        Some(segment)
    }

    /// The number and length of the frame at the place; `None` when there is none.
    fn frame<F: DiskFile>(&mut self, segment: &Segment<F>) -> io::Result<Option<(u64, u64)>> {
        if !self.fill(segment, PREFIX_LENGTH)? {
            return Ok(None);
        }
        let start = (self.offset - self.buffer_offset) as usize;
        let Some(prefix) = Prefix::decode(&self.buffer[start..]) else {
            return Ok(None);
        };
        let length = PREFIX_LENGTH + prefix.length;
        if !self.fill(segment, length)? {
            return Ok(None);
        }
        let start = (self.offset - self.buffer_offset) as usize + PREFIX_LENGTH;
        let decoded = prefix.body(&self.buffer[start..], segment.header.seed());
        Ok(decoded
            .filter(|(seq, _)| segment.contains(*seq))
            .map(|(seq, _)| (seq, length as u64)))
    }

    /// How many bytes there are up to the next frame, or to the end.
    fn resynchronise<F: DiskFile>(&mut self, segment: &Segment<F>) -> io::Result<u64> {
        let rest = segment.length - self.offset;
        if !self.fill(segment, rest as usize)? {
            return Ok(rest);
        }
        let bytes = &self.buffer[(self.offset - self.buffer_offset) as usize..];
        let seed = segment.header.seed();
        let is_frame = |at: &usize| {
            let Some(prefix) = Prefix::decode(&bytes[*at..]) else {
                return false;
            };
            let body = &bytes[*at + PREFIX_LENGTH..];
            // The number is looked at first: it costs nothing, and the checksum of everything would.
            claimed_seq(body).is_some_and(|seq| segment.contains(seq) && seq >= self.seq)
                && prefix.body(body, seed).is_some()
        };
        let found = (1..bytes.len()).find(is_frame);
        Ok(found.map_or(rest, |at| at as u64))
    }

    /// Sees to it that the buffer has `count` bytes from the place on; whether the segment has so many.
    fn fill<F: DiskFile>(&mut self, segment: &Segment<F>, count: usize) -> io::Result<bool> {
        let have = (self.buffer_offset + self.buffer.len() as u64).saturating_sub(self.offset);
        if self.offset >= self.buffer_offset && have >= count as u64 {
            return Ok(true);
        }
        let rest = segment.length - self.offset;
        if rest < count as u64 {
            return Ok(false);
        }
        let wanted = rest.min(count.max(CHUNK) as u64) as usize;
        self.buffer.resize(wanted, 0);
        let read = segment.file.read_at(&mut self.buffer, self.offset);
        self.buffer_offset = self.offset;
        self.buffer.truncate(*read.as_ref().unwrap_or(&0));
        Ok(read? >= count)
    }
}
