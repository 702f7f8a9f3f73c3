//! The sparse index of one segment: where in the file an offset or a time is to be looked for.
//!
//! An entry stands for the first batch that begins at least a few KiB after the last entry's. The whole index
//! lives in memory (24 bytes for 4 KiB of log) and is written beside the segment now and then. A written index says
//! how much of the segment it covers and which batch was the last of that, so recovery reads only what came after, and
//! never believes an index that was written for a longer or another past of the segment. A missing one costs a scan.

use bytes::{Buf, BufMut};

use super::batch::BatchHeader;

/// Bytes of log between two entries, unless the topic says otherwise.
const SPACING: u64 = 4096;
/// The format of version 0.1.0: without the last batch, and with Kafka's name for another format.
const FORMAT_1: u32 = 0x6f73_6901;
const FORMAT_2: u32 = 0x6f73_6902;
const ENTRY_LEN: usize = 20;
/// What follows on the covered bytes in the second format: the last batch's place and checksum, and whether offsets
/// are missing.
const LAST_BATCH_LEN: usize = 8 + 4 + 1;
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
    /// Bytes of log between two entries.
    spacing: u64,
    entries: Vec<Entry>,
    /// Bytes of the segment that were taken into account.
    pub(crate) covered: u64,
    /// Offset that follows the last batch taken into account.
    pub(crate) next_offset: i64,
    /// Largest timestamp taken into account; `i64::MIN` in an empty segment.
    pub(crate) max_timestamp: i64,
    /// Timestamp of the first batch; `i64::MAX` in an empty segment.
    pub(crate) first_timestamp: i64,
    /// The last batch taken into account; unknown where the index was written by version 0.1.0.
    last_batch: Option<LastBatch>,
    /// Whether batches need not follow on: some were removed by version 0.1.0's compaction, or are damaged.
    pub(crate) has_gaps: bool,
}

/// The last batch an index knows of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct LastBatch {
    /// Where it begins in the file.
    pub(crate) position: u64,
    /// Its checksum.
    pub(crate) crc: u32,
}

/// Where in a file to start, and what to expect there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place {
    /// Where a batch begins.
    pub(crate) position: u64,
    /// Its base offset; it may be later where offsets are missing.
    pub(crate) offset: i64,
}

impl Index {
    /// The index of an empty segment.
    pub(crate) fn new(base_offset: i64) -> Self {
        Self {
            base_offset,
            spacing: SPACING,
            entries: Vec::new(),
            covered: 0,
            next_offset: base_offset,
            max_timestamp: i64::MIN,
            first_timestamp: i64::MAX,
            last_batch: None,
            has_gaps: false,
        }
    }

    /// Changes how much log lies between two entries from here on.
    pub(crate) fn set_spacing(&mut self, bytes: u64) {
        self.spacing = bytes;
    }

    /// Takes the next batch of the segment into account.
    pub(crate) fn note(&mut self, header: &BatchHeader) {
        let due = self
            .entries
            .last()
            .is_none_or(|last| self.covered - last.position >= self.spacing);
        let relative_offset = u32::try_from(header.base_offset - self.base_offset);
        let follows = header.base_offset == self.next_offset;
        if let (true, Ok(relative_offset)) = (due || !follows, relative_offset) {
            self.entries.push(Entry {
                relative_offset,
                position: self.covered,
                max_timestamp_before: self.max_timestamp,
            });
        }
        if self.covered == 0 {
            self.first_timestamp = header.max_timestamp;
        }
        self.last_batch = Some(LastBatch {
            position: self.covered,
            crc: header.crc,
        });
        self.has_gaps |= !follows;
        self.covered += header.size as u64;
        self.next_offset = header.next_offset();
        self.max_timestamp = self.max_timestamp.max(header.max_timestamp);
    }

    /// Passes over bytes that are damaged; what follows them is found through an entry of its own.
    pub(crate) fn skip_damage(&mut self, bytes: u64) {
        self.covered += bytes;
        self.has_gaps = true;
    }

    /// The last batch, where it is known.
    pub(crate) fn last_batch(&self) -> Option<LastBatch> {
        self.last_batch
    }

    /// The last sampled batch.
    pub(crate) fn last_place(&self) -> Place {
        self.place_before(self.entries.len())
    }

    /// Where to start looking for the batch that holds `offset`.
    pub(crate) fn position_of_offset(&self, offset: i64) -> Place {
        let after = self
            .entries
            .partition_point(|entry| self.base_offset + i64::from(entry.relative_offset) <= offset);
        self.place_before(after)
    }

    /// Where to start looking for the first batch that is at least as late as `timestamp`.
    pub(crate) fn position_of_time(&self, timestamp: i64) -> Place {
        let after = self
            .entries
            .partition_point(|entry| entry.max_timestamp_before < timestamp);
        self.place_before(after)
    }

    /// The beginning of the segment.
    pub(crate) fn first_place(&self) -> Place {
        Place {
            position: 0,
            offset: self.base_offset,
        }
    }

    fn place_before(&self, entry: usize) -> Place {
        let Some(last) = entry.checked_sub(1).map(|last| self.entries[last]) else {
            return self.first_place();
        };
        Place {
            position: last.position,
            offset: self.base_offset + i64::from(last.relative_offset),
        }
    }

    /// The index as it is written beside its segment.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let len = FIXED_LEN + LAST_BATCH_LEN + self.entries.len() * ENTRY_LEN + 4;
        let mut bytes = Vec::with_capacity(len);
        bytes.put_u32(FORMAT_2);
        bytes.put_u64(self.covered);
        let last = self.last_batch.unwrap_or(LastBatch {
            position: u64::MAX,
            crc: 0,
        });
        bytes.put_u64(last.position);
        bytes.put_u32(last.crc);
        bytes.put_u8(u8::from(self.has_gaps));
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

    /// Reads a written index of either format; `None` when the bytes are not one.
    pub(crate) fn decode(base_offset: i64, bytes: &[u8]) -> Option<Self> {
        let (content, mut checksum) = bytes.split_at_checked(bytes.len().checked_sub(4)?)?;
        if content.len() < FIXED_LEN || crc32c::crc32c(content) != checksum.get_u32() {
            return None;
        }
        let mut rest = content;
        let format = rest.get_u32();
        let covered = rest.get_u64();
        let (last_batch, has_gaps) = match format {
            FORMAT_1 => (None, true),
            FORMAT_2 if content.len() >= FIXED_LEN + LAST_BATCH_LEN => {
                let (position, crc) = (rest.get_u64(), rest.get_u32());
                let last = (position != u64::MAX).then_some(LastBatch { position, crc });
                (last, rest.get_u8() != 0)
            }
            _ => return None,
        };
        let next_offset = rest.get_i64();
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
            spacing: SPACING,
            entries,
            covered,
            next_offset,
            max_timestamp,
            first_timestamp,
            last_batch,
            has_gaps,
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
        assert_eq!(index.position_of_offset(100), index.first_place());
        assert_eq!(index.position_of_offset(159), index.first_place());
        let place = |position, offset| Place { position, offset };
        assert_eq!(index.position_of_offset(160), place(6000, 160));
        assert_eq!(index.position_of_offset(399), place(24000, 340));
    }

    #[test]
    fn a_time_is_looked_for_at_or_before_its_batch() {
        let index = index();
        assert_eq!(index.position_of_time(0), index.first_place());
        assert_eq!(index.position_of_time(1030).position, 6000);
    }

    #[test]
    fn it_survives_the_round_trip() {
        let index = index();
        assert_eq!(Index::decode(100, &index.encode()), Some(index));
    }

    #[test]
    fn the_index_of_version_0_1_0_is_read() {
        let index = index();
        let mut bytes = Vec::new();
        bytes.put_u32(FORMAT_1);
        bytes.put_u64(index.covered);
        for number in [index.next_offset, index.max_timestamp, index.first_timestamp] {
            bytes.put_i64(number);
        }
        bytes.put_u32(index.entries.len() as u32);
        for entry in &index.entries {
            bytes.put_u32(entry.relative_offset);
            bytes.put_u64(entry.position);
            bytes.put_i64(entry.max_timestamp_before);
        }
        bytes.put_u32(crc32c::crc32c(&bytes));
        let expected = Index {
            last_batch: None,
            has_gaps: true,
            ..index
        };
        assert_eq!(Index::decode(100, &bytes), Some(expected));
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
