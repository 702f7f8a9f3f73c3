//! The header of a record batch (message format 2, KIP-98), and the checks made before one is accepted.
//!
//! The records behind the header stay opaque, compressed or not. Base offset, length and leader epoch lie outside the
//! checksum, so the broker fills them in without recomputing anything.

use bytes::Buf;

/// Bytes of a batch before its first record.
pub(crate) const HEADER_LEN: usize = 61;
/// Bytes of a batch that its own length field does not count: base offset and the length itself.
const PREAMBLE_LEN: usize = 12;
/// Where the part covered by the checksum begins.
const CHECKED_FROM: usize = 21;
/// The only message format the broker stores.
const MAGIC: i8 = 2;

const COMPRESSION_MASK: i16 = 0x07;
const TRANSACTIONAL: i16 = 0x10;
const CONTROL: i16 = 0x20;

/// A batch's header, decoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct BatchHeader {
    /// Offset of the first record.
    pub(crate) base_offset: i64,
    /// Bytes of the whole batch, header included.
    pub(crate) size: usize,
    /// CRC-32C of everything after the checksum field.
    pub(crate) crc: u32,
    /// Compression, timestamp type, transactional and control flags.
    pub(crate) attributes: i16,
    /// Offset of the last record, relative to the first.
    pub(crate) last_offset_delta: i32,
    /// Timestamp of the first record, in milliseconds since the epoch.
    pub(crate) base_timestamp: i64,
    /// Largest timestamp of the batch.
    pub(crate) max_timestamp: i64,
    /// Producer that numbered the batch, or -1.
    pub(crate) producer_id: i64,
    /// Epoch of that producer.
    pub(crate) producer_epoch: i16,
    /// Sequence number of the first record, or -1.
    pub(crate) base_sequence: i32,
    /// Number of records.
    pub(crate) record_count: i32,
}

/// Why bytes are not an acceptable batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum BatchFault {
    /// Fewer bytes than the header, or than the header's length says.
    #[error("the batch is cut short")]
    Truncated,
    /// The length field is smaller than a header or negative.
    #[error("the batch length {0} is impossible")]
    Length(i32),
    /// A message format other than 2.
    #[error("message format {0} is not supported")]
    Magic(i8),
    /// The checksum does not match.
    #[error("the checksum is wrong")]
    Checksum,
    /// Record count and offset delta contradict each other.
    #[error("the record count does not match the offsets")]
    Count,
}

impl BatchHeader {
    /// Decodes a header; the records behind it need not be there.
    pub(crate) fn parse(mut bytes: &[u8]) -> Result<Self, BatchFault> {
        if bytes.len() < HEADER_LEN {
            return Err(BatchFault::Truncated);
        }
        let base_offset = bytes.get_i64();
        let length = bytes.get_i32();
        let size = usize::try_from(length)
            .ok()
            .and_then(|length| length.checked_add(PREAMBLE_LEN))
            .filter(|size| *size >= HEADER_LEN)
            .ok_or(BatchFault::Length(length))?;
        let _leader_epoch = bytes.get_i32();
        let magic = bytes.get_i8();
        if magic != MAGIC {
            return Err(BatchFault::Magic(magic));
        }
        let header = Self {
            base_offset,
            size,
            crc: bytes.get_u32(),
            attributes: bytes.get_i16(),
            last_offset_delta: bytes.get_i32(),
            base_timestamp: bytes.get_i64(),
            max_timestamp: bytes.get_i64(),
            producer_id: bytes.get_i64(),
            producer_epoch: bytes.get_i16(),
            base_sequence: bytes.get_i32(),
            record_count: bytes.get_i32(),
        };
        if header.last_offset_delta < 0 || header.base_offset < 0 {
            return Err(BatchFault::Count);
        }
        Ok(header)
    }

    /// Decodes the batch at the start of `bytes` and checks that it is whole and undamaged.
    pub(crate) fn parse_whole(bytes: &[u8]) -> Result<Self, BatchFault> {
        let header = Self::parse(bytes)?;
        let whole = bytes.get(..header.size).ok_or(BatchFault::Truncated)?;
        if crc32c::crc32c(&whole[CHECKED_FROM..]) != header.crc {
            return Err(BatchFault::Checksum);
        }
        Ok(header)
    }

    /// Checks a batch a producer sent: exactly one, whole, its records numbered without gaps.
    pub(crate) fn parse_produced(bytes: &[u8]) -> Result<Self, BatchFault> {
        let header = Self::parse_whole(bytes)?;
        if bytes.len() != header.size {
            return Err(BatchFault::Length(i32::try_from(bytes.len()).unwrap_or(i32::MAX)));
        }
        if header.record_count < 1 || header.last_offset_delta != header.record_count - 1 {
            return Err(BatchFault::Count);
        }
        Ok(header)
    }

    /// Offset of the last record.
    pub(crate) fn last_offset(&self) -> i64 {
        self.base_offset.saturating_add(i64::from(self.last_offset_delta))
    }

    /// Offset of the record that follows this batch.
    pub(crate) fn next_offset(&self) -> i64 {
        self.last_offset().saturating_add(1)
    }

    /// Sequence number of the last record; they wrap to 0 after `i32::MAX`.
    pub(crate) fn last_sequence(&self) -> i32 {
        add_sequence(self.base_sequence, self.last_offset_delta)
    }

    /// Whether the producer numbers its batches, so that a repeated one can be told.
    pub(crate) fn is_idempotent(&self) -> bool {
        self.producer_id >= 0
    }

    /// Whether the records are compressed and so unreadable here.
    pub(crate) fn is_compressed(&self) -> bool {
        self.attributes & COMPRESSION_MASK != 0
    }

    /// Whether the batch belongs to a transaction.
    pub(crate) fn is_transactional(&self) -> bool {
        self.attributes & TRANSACTIONAL != 0
    }

    /// Whether the batch is a marker the broker writes, not data.
    pub(crate) fn is_control(&self) -> bool {
        self.attributes & CONTROL != 0
    }

    /// The first sixteen bytes of this batch as they are stored: its offset, its length and leader epoch 0.
    pub(crate) fn stored_preamble(bytes: &[u8], base_offset: i64) -> [u8; 16] {
        let mut preamble = [0; 16];
        preamble[..8].copy_from_slice(&base_offset.to_be_bytes());
        preamble[8..12].copy_from_slice(&bytes[8..12]);
        preamble
    }
}

/// Adds `delta` records to a sequence number, which wraps to 0 after `i32::MAX`.
fn add_sequence(sequence: i32, delta: i32) -> i32 {
    match sequence.checked_add(delta) {
        Some(sum) => sum,
        None => delta - (i32::MAX - sequence) - 1,
    }
}

/// One record of an uncompressed batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Record<'a> {
    /// Its offset.
    pub(crate) offset: i64,
    /// Its timestamp, in milliseconds since the epoch.
    pub(crate) timestamp: i64,
    /// Its key.
    pub(crate) key: Option<&'a [u8]>,
    /// Whether it has no value and so stands for the deletion of its key.
    pub(crate) is_tombstone: bool,
    /// The record as it is stored, its length included.
    pub(crate) encoded: &'a [u8],
}

/// The records of a batch; `None` when they are compressed or not what the header says.
pub(crate) fn records<'a>(header: &BatchHeader, batch: &'a [u8]) -> Option<Vec<Record<'a>>> {
    if header.is_compressed() {
        return None;
    }
    let mut rest = batch.get(HEADER_LEN..header.size)?;
    let mut found = Vec::new();
    for _ in 0..header.record_count {
        let whole = rest;
        let length = usize::try_from(take_varint(&mut rest)?).ok()?;
        let mut record = rest.get(..length)?;
        rest = &rest[length..];
        record = record.get(1..)?; // attributes, unused in format 2
        let timestamp = header.base_timestamp.checked_add(take_varint(&mut record)?)?;
        let offset = header.base_offset.checked_add(take_varint(&mut record)?)?;
        let key = match take_varint(&mut record)? {
            -1 => None,
            len => {
                let (key, behind) = record.split_at_checked(usize::try_from(len).ok()?)?;
                record = behind;
                Some(key)
            }
        };
        found.push(Record {
            offset,
            timestamp,
            key,
            is_tombstone: take_varint(&mut record)? < 0,
            encoded: &whole[..whole.len() - rest.len()],
        });
    }
    Some(found)
}

/// Timestamp and offset of the first record of an uncompressed batch that is at least as late as `timestamp`.
///
/// `None` when the records are compressed, damaged or all earlier.
pub(crate) fn first_record_at(header: &BatchHeader, batch: &[u8], timestamp: i64) -> Option<(i64, i64)> {
    records(header, batch)?
        .into_iter()
        .find(|record| record.timestamp >= timestamp)
        .map(|record| (record.timestamp, record.offset))
}

/// The batch with some of its records only; it keeps its place in the log and its producer's numbers.
pub(crate) fn with_records<'a>(batch: &[u8], kept: impl Iterator<Item = Record<'a>>) -> Vec<u8> {
    let mut rebuilt = batch[..HEADER_LEN].to_vec();
    let mut count = 0i32;
    for record in kept {
        rebuilt.extend_from_slice(record.encoded);
        count += 1;
    }
    // It has shrunk, so its length still fits.
    let length = (rebuilt.len() - PREAMBLE_LEN) as i32;
    rebuilt[8..12].copy_from_slice(&length.to_be_bytes());
    rebuilt[57..61].copy_from_slice(&count.to_be_bytes());
    let checksum = crc32c::crc32c(&rebuilt[CHECKED_FROM..]);
    rebuilt[17..21].copy_from_slice(&checksum.to_be_bytes());
    rebuilt
}

/// Reads a zig-zag variable-length integer.
fn take_varint(bytes: &mut &[u8]) -> Option<i64> {
    let mut value = 0u64;
    for shift in (0..64).step_by(7) {
        let (byte, rest) = bytes.split_first()?;
        *bytes = rest;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            // Zig-zag: the lowest bit is the sign.
            return Some(((value >> 1) as i64) ^ -((value & 1) as i64));
        }
    }
    None
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use proptest::prelude::*;

    /// What a test wants in a batch; the rest is fixed.
    #[derive(Debug, Clone)]
    pub(crate) struct Sample {
        pub(crate) key: Option<String>,
        pub(crate) values: Vec<Vec<u8>>,
        pub(crate) timestamp: i64,
        pub(crate) producer: Option<(i64, i16, i32)>,
    }

    impl Sample {
        pub(crate) fn of(values: &[&str]) -> Self {
            Self {
                values: values.iter().map(|value| value.as_bytes().to_vec()).collect(),
                key: None,
                timestamp: 1_000,
                producer: None,
            }
        }

        /// All records get this key; an empty value becomes a tombstone then.
        pub(crate) fn keyed(mut self, key: &str) -> Self {
            self.key = Some(key.to_owned());
            self
        }

        pub(crate) fn at(mut self, timestamp: i64) -> Self {
            self.timestamp = timestamp;
            self
        }

        pub(crate) fn by(mut self, id: i64, epoch: i16, sequence: i32) -> Self {
            self.producer = Some((id, epoch, sequence));
            self
        }

        /// The batch as a producer would send it: base offset 0, one millisecond between records.
        pub(crate) fn encode(&self) -> Vec<u8> {
            let mut records = Vec::new();
            for (position, value) in self.values.iter().enumerate() {
                let mut record = vec![0];
                put_varint(&mut record, position as i64);
                put_varint(&mut record, position as i64);
                match &self.key {
                    Some(key) => {
                        put_varint(&mut record, key.len() as i64);
                        record.extend_from_slice(key.as_bytes());
                    }
                    None => put_varint(&mut record, -1),
                }
                if self.key.is_some() && value.is_empty() {
                    put_varint(&mut record, -1);
                } else {
                    put_varint(&mut record, value.len() as i64);
                    record.extend_from_slice(value);
                }
                put_varint(&mut record, 0);
                put_varint(&mut records, record.len() as i64);
                records.extend_from_slice(&record);
            }
            let (id, epoch, sequence) = self.producer.unwrap_or((-1, -1, -1));
            let count = self.values.len() as i32;
            let mut checked = Vec::new();
            checked.extend_from_slice(&0i16.to_be_bytes());
            checked.extend_from_slice(&(count - 1).to_be_bytes());
            checked.extend_from_slice(&self.timestamp.to_be_bytes());
            checked.extend_from_slice(&(self.timestamp + i64::from(count) - 1).to_be_bytes());
            checked.extend_from_slice(&id.to_be_bytes());
            checked.extend_from_slice(&epoch.to_be_bytes());
            checked.extend_from_slice(&sequence.to_be_bytes());
            checked.extend_from_slice(&count.to_be_bytes());
            checked.extend_from_slice(&records);
            let mut batch = Vec::new();
            batch.extend_from_slice(&0i64.to_be_bytes());
            batch.extend_from_slice(&((9 + checked.len()) as i32).to_be_bytes());
            batch.extend_from_slice(&(-1i32).to_be_bytes());
            batch.push(2);
            batch.extend_from_slice(&crc32c::crc32c(&checked).to_be_bytes());
            batch.extend_from_slice(&checked);
            batch
        }
    }

    fn put_varint(bytes: &mut Vec<u8>, value: i64) {
        let mut rest = ((value << 1) ^ (value >> 63)) as u64;
        while rest >= 0x80 {
            bytes.push((rest as u8) | 0x80);
            rest >>= 7;
        }
        bytes.push(rest as u8);
    }

    #[test]
    fn a_batch_survives_the_round_trip() {
        let bytes = Sample::of(&["a", "bc"]).by(7, 1, 40).encode();
        let header = BatchHeader::parse_produced(&bytes).unwrap();
        assert_eq!(header.size, bytes.len());
        assert_eq!((header.record_count, header.last_sequence()), (2, 41));
        assert_eq!(header.next_offset(), 2);
    }

    #[test]
    fn a_flipped_bit_is_a_wrong_checksum() {
        let mut bytes = Sample::of(&["value"]).encode();
        *bytes.last_mut().unwrap() ^= 1;
        assert_eq!(BatchHeader::parse_produced(&bytes), Err(BatchFault::Checksum));
    }

    #[test]
    fn sequences_wrap_to_zero() {
        assert_eq!(add_sequence(i32::MAX, 1), 0);
        assert_eq!(add_sequence(i32::MAX - 1, 3), 1);
    }

    #[test]
    fn a_record_is_found_by_its_timestamp() {
        let bytes = Sample::of(&["a", "b", "c"]).at(100).encode();
        let header = BatchHeader::parse(&bytes).unwrap();
        assert_eq!(first_record_at(&header, &bytes, 101), Some((101, 1)));
        assert_eq!(first_record_at(&header, &bytes, 0), Some((100, 0)));
        assert_eq!(first_record_at(&header, &bytes, 103), None);
    }

    #[test]
    fn a_batch_can_lose_records() {
        let bytes = Sample::of(&["a", "b", "c"])
            .keyed("key")
            .at(100)
            .by(7, 0, 5)
            .encode();
        let header = BatchHeader::parse(&bytes).unwrap();
        let all = records(&header, &bytes).unwrap();
        assert_eq!(all[1].key, Some(b"key".as_slice()));
        let kept = with_records(&bytes, all.iter().copied().filter(|record| record.offset != 1));
        let thinned = BatchHeader::parse_whole(&kept).unwrap();
        assert_eq!((thinned.record_count, thinned.last_offset_delta), (2, 2));
        assert_eq!((thinned.producer_id, thinned.base_sequence), (7, 5));
        let left = records(&thinned, &kept).unwrap();
        assert_eq!(
            left.iter().map(|record| record.offset).collect::<Vec<_>>(),
            [0, 2]
        );
        let empty = with_records(&bytes, std::iter::empty());
        let empty = BatchHeader::parse_whole(&empty).unwrap();
        assert_eq!(
            (empty.record_count, empty.size, empty.next_offset()),
            (0, HEADER_LEN, 3)
        );
    }

    proptest! {
        #[test]
        fn random_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            if let Ok(header) = BatchHeader::parse(&bytes) {
                let _ = (header.last_offset(), header.next_offset(), header.last_sequence());
                let _ = first_record_at(&header, &bytes, 0);
            }
            let _ = BatchHeader::parse_produced(&bytes);
        }

        #[test]
        fn damaged_records_never_panic(cut in 0usize..100, flip in 61usize..100) {
            let mut bytes = Sample::of(&["some value", "another value", "a third"]).encode();
            let flip = flip.min(bytes.len() - 1);
            bytes[flip] ^= 0xff;
            let header = BatchHeader::parse(&bytes).unwrap();
            let _ = first_record_at(&header, &bytes[..bytes.len() - cut.min(bytes.len())], i64::MAX);
        }
    }
}
