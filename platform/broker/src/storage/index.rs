//! The sparse index of one segment: where in the file an offset or a time is to be looked for.
//!
//! An entry stands for the first batch that begins at least [`SPACING`] bytes after the last entry's. The whole index
//! lives in memory (16 bytes for 4 KiB of log) and is written beside the segment now and then. A written index says
//! how much of the segment it covers, so recovery reads only what came after; a missing or damaged one costs a scan.

use bytes::{Buf, BufMut};

use super::batch::BatchHeader;

/// Bytes of log between two entries.
const SPACING: u64 = 4096;
const FORMAT: u32 = 0x6f73_6901;
const ENTRY_LEN: usize = 20;
const FIXED_LEN: usize = 4 + 8 + 8 + 8 + 8 + 4;

/// One sampled batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Entry {
    /// The batch's base offset, relative to the segment's.
    relative_offset: u32,
    /// Where the batch begins in the file.
    position: u64,
    /// Largest timestamp of all batches of the segment before this one.
    max_timestamp_before: i64,
}

/// The sparse index of one segment, with what it covers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Index {
    base_offset: i64,
    entries: Vec<Entry>,
    /// Bytes of the segment that were taken into account.
    pub(crate) covered: u64,
    /// Offset that follows the last batch taken into account.
    pub(crate) next_offset: i64,
    /// Largest timestamp taken into account; `i64::MIN` in an empty segment.
    pub(crate) max_timestamp: i64,
    /// Timestamp of the first batch; `i64::MAX` in an empty segment.
    pub(crate) first_timestamp: i64,
}

impl Index {
    /// The index of an empty segment.
    pub(crate) fn new(base_offset: i64) -> Self {
        Self {
            base_offset,
            entries: Vec::new(),
            covered: 0,
            next_offset: base_offset,
            max_timestamp: i64::MIN,
            first_timestamp: i64::MAX,
        }
    }

    /// Takes the next batch of the segment into account.
    pub(crate) fn note(&mut self, header: &BatchHeader) {
        let due = self
            .entries
            .last()
            .is_none_or(|last| self.covered - last.position >= SPACING);
        let relative_offset = u32::try_from(header.base_offset - self.base_offset);
        if let (true, Ok(relative_offset)) = (due, relative_offset) {
            self.entries.push(Entry {
                relative_offset,
                position: self.covered,
                max_timestamp_before: self.max_timestamp,
            });
        }
        if self.covered == 0 {
            self.first_timestamp = header.max_timestamp;
        }
        self.covered += header.size as u64;
        self.next_offset = header.next_offset();
        self.max_timestamp = self.max_timestamp.max(header.max_timestamp);
    }

    /// Where to start looking for the batch that holds `offset`.
    pub(crate) fn position_of_offset(&self, offset: i64) -> u64 {
        let after = self
            .entries
            .partition_point(|entry| self.base_offset + i64::from(entry.relative_offset) <= offset);
        self.position_before(after)
    }

    /// Where to start looking for the first batch that is at least as late as `timestamp`.
    pub(crate) fn position_of_time(&self, timestamp: i64) -> u64 {
        let after = self
            .entries
            .partition_point(|entry| entry.max_timestamp_before < timestamp);
        self.position_before(after)
    }

    fn position_before(&self, entry: usize) -> u64 {
        entry.checked_sub(1).map_or(0, |last| self.entries[last].position)
    }

    /// The index as it is written beside its segment.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(FIXED_LEN + self.entries.len() * ENTRY_LEN + 4);
        bytes.put_u32(FORMAT);
        bytes.put_u64(self.covered);
        bytes.put_i64(self.next_offset);
        bytes.put_i64(self.max_timestamp);
        bytes.put_i64(self.first_timestamp);
        bytes.put_u32(self.entries.len() as u32);
        for entry in &self.entries {
            bytes.put_u32(entry.relative_offset);
            bytes.put_u64(entry.position);
            bytes.put_i64(entry.max_timestamp_before);
        }
        bytes.put_u32(crc32c::crc32c(&bytes));
        bytes
    }

    /// Reads a written index; `None` when the bytes are not one.
    pub(crate) fn decode(base_offset: i64, bytes: &[u8]) -> Option<Self> {
        let (content, mut checksum) = bytes.split_at_checked(bytes.len().checked_sub(4)?)?;
        if content.len() < FIXED_LEN || crc32c::crc32c(content) != checksum.get_u32() {
            return None;
        }
        let mut rest = content;
        if rest.get_u32() != FORMAT {
            return None;
        }
        let (covered, next_offset) = (rest.get_u64(), rest.get_i64());
        let (max_timestamp, first_timestamp) = (rest.get_i64(), rest.get_i64());
        let count = rest.get_u32() as usize;
        if rest.len() != count.checked_mul(ENTRY_LEN)? || next_offset < base_offset {
            return None;
        }
        let entries = (0..count)
            .map(|_| Entry {
                relative_offset: rest.get_u32(),
                position: rest.get_u64(),
                max_timestamp_before: rest.get_i64(),
            })
            .collect();
        Some(Self {
            base_offset,
            entries,
            covered,
            next_offset,
            max_timestamp,
            first_timestamp,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::batch::tests::Sample;
    use super::*;
    use proptest::prelude::*;

    fn header(base_offset: i64, timestamp: i64) -> BatchHeader {
        let bytes = Sample::of(&["x"; 30]).at(timestamp).encode();
        let mut header = BatchHeader::parse(&bytes).unwrap();
        header.base_offset = base_offset;
        header.size = 3000;
        header
    }

    fn index() -> Index {
        let mut index = Index::new(100);
        for batch in 0..10 {
            index.note(&header(100 + batch * 30, 1000 * batch));
        }
        index
    }

    #[test]
    fn an_offset_is_looked_for_at_or_before_its_batch() {
        let index = index();
        assert_eq!(index.position_of_offset(100), 0);
        assert_eq!(index.position_of_offset(159), 0);
        assert_eq!(index.position_of_offset(160), 6000);
        assert_eq!(index.position_of_offset(399), 24000);
    }

    #[test]
    fn a_time_is_looked_for_at_or_before_its_batch() {
        let index = index();
        assert_eq!(index.position_of_time(0), 0);
        assert_eq!(index.position_of_time(1030), 6000);
    }

    #[test]
    fn it_survives_the_round_trip() {
        let index = index();
        assert_eq!(Index::decode(100, &index.encode()), Some(index));
    }

    proptest! {
        #[test]
        fn damage_is_noticed(position in 0usize..100, flip in 1u8..) {
            let mut bytes = index().encode();
            let position = position % bytes.len();
            bytes[position] ^= flip;
            prop_assert_eq!(Index::decode(100, &bytes), None);
        }

        #[test]
        fn random_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = Index::decode(0, &bytes);
        }
    }
}
