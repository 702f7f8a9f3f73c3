//! The header of a record batch (message format 2, KIP-98); what is inside and how it is compressed below.
//!
//! Base offset, length and leader epoch lie outside the checksum, so the broker fills them in without recomputing
//! anything; damage to them is told by the batches around, because each follows on the one before.

pub(crate) mod acceptance;
pub(crate) mod compression;
pub(crate) mod marker;
pub(crate) mod records;
#[cfg(test)]
pub(crate) mod tests;

use bytes::Buf;

use self::compression::Compression;

/// Bytes of a batch before its first record.
pub(crate) const HEADER_LEN: usize = 61;
/// Bytes of a batch that its own length field does not count: base offset and the length itself.
const PREAMBLE_LEN: usize = 12;
/// Where the part covered by the checksum begins.
const CHECKED_FROM: usize = 21;
/// The only message format the broker stores.
const MAGIC: i8 = 2;

const COMPRESSION_MASK: i16 = 0x07;
/// The records carry the time the broker appended them, which is the batch's largest.
const APPEND_TIME: i16 = 0x08;
const TRANSACTIONAL: i16 = 0x10;
pub(crate) const CONTROL: i16 = 0x20;

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
    /// More than one batch came where one belongs.
    #[error("more than one batch for a partition in one request")]
    Several,
    /// No such codec.
    #[error("there is no compression codec {0}")]
    Codec(i16),
    /// The codec cannot read what is in the batch.
    #[error("the records are not what {0:?} writes, or too large once decompressed")]
    Compressed(Compression),
    /// A record is not what its lengths say, or there are more or fewer than the header says.
    #[error("the records are not what the header says")]
    Record,
    /// A producer with an id numbers its batches from 0 on.
    #[error("the producer's epoch or sequence number is negative")]
    Sequence,
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
            return Err(BatchFault::Several);
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

    /// How the records are compressed.
    pub(crate) fn compression(&self) -> Result<Compression, BatchFault> {
        let number = self.attributes & COMPRESSION_MASK;
        Compression::from_number(number).ok_or(BatchFault::Codec(number))
    }

    /// Whether the records carry the time the broker appended them.
    pub(crate) fn has_append_time(&self) -> bool {
        self.attributes & APPEND_TIME != 0
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
