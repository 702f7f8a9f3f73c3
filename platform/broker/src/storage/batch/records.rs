//! The records inside a batch, and batches made anew from some of them.

use std::borrow::Cow;

use super::compression::Compression;
use super::{BatchFault, BatchHeader, CHECKED_FROM, HEADER_LEN, PREAMBLE_LEN};

/// One record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Record<'a> {
    /// Its offset.
    pub(crate) offset: i64,
    /// Its timestamp, in milliseconds since the epoch.
    pub(crate) timestamp: i64,
    /// Its key.
    pub(crate) key: Option<&'a [u8]>,
    /// Its value; without one it stands for the deletion of its key.
    pub(crate) value: Option<&'a [u8]>,
    /// The record as it is stored, its length included.
    pub(crate) encoded: &'a [u8],
}

impl Record<'_> {
    /// Whether it stands for the deletion of its key.
    pub(crate) fn is_tombstone(&self) -> bool {
        self.value.is_none()
    }
}

/// The records of a batch, decompressed.
#[derive(Debug)]
pub(crate) struct Records<'a> {
    header: BatchHeader,
    plain: Cow<'a, [u8]>,
}

impl<'a> Records<'a> {
    /// Decompresses the records of a batch.
    pub(crate) fn of(header: &BatchHeader, batch: &'a [u8]) -> Result<Self, BatchFault> {
        let stored = batch.get(HEADER_LEN..header.size).ok_or(BatchFault::Truncated)?;
        let plain = match header.compression()? {
            Compression::None => Cow::Borrowed(stored),
            // A batch that compaction has emptied holds nothing, not even an empty compressed stream.
            _ if stored.is_empty() && header.record_count == 0 => Cow::Borrowed(stored),
            codec => Cow::Owned(
                codec
                    .decompress(stored)
                    .map_err(|_| BatchFault::Compressed(codec))?,
            ),
        };
        Ok(Self {
            header: *header,
            plain,
        })
    }

    /// The records as they are without compression.
    pub(super) fn plain(&self) -> &[u8] {
        &self.plain
    }

    /// Goes through the records; ends with a fault where they are not what the header says.
    pub(crate) fn iter(&self) -> RecordIter<'_> {
        RecordIter {
            header: &self.header,
            rest: &self.plain,
            left: self.header.record_count,
        }
    }
}

/// A walk over the records of a batch.
#[derive(Debug)]
pub(crate) struct RecordIter<'a> {
    header: &'a BatchHeader,
    rest: &'a [u8],
    left: i32,
}

impl<'a> Iterator for RecordIter<'a> {
    type Item = Result<Record<'a>, BatchFault>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.left <= 0 {
            let trailing = !std::mem::take(&mut self.rest).is_empty();
            return trailing.then_some(Err(BatchFault::Record));
        }
        self.left -= 1;
        let record = take_record(self.header, &mut self.rest);
        if record.is_none() {
            self.left = 0;
            self.rest = &[];
        }
        Some(record.ok_or(BatchFault::Record))
    }
}

fn take_record<'a>(header: &BatchHeader, rest: &mut &'a [u8]) -> Option<Record<'a>> {
    let whole = *rest;
    let length = usize::try_from(take_varint(rest)?).ok()?;
    let (mut record, behind) = rest.split_at_checked(length)?;
    *rest = behind;
    record = record.get(1..)?; // attributes, unused in format 2
    let timestamp = header.base_timestamp.checked_add(take_varint(&mut record)?)?;
    let delta = take_varint(&mut record)?;
    if !(0..=i64::from(header.last_offset_delta)).contains(&delta) {
        return None;
    }
    let key = take_bytes(&mut record)?;
    let value = take_bytes(&mut record)?;
    let headers = usize::try_from(take_varint(&mut record)?).ok()?;
    for _ in 0..headers {
        take_bytes(&mut record)??; // a header's name is never null
        take_bytes(&mut record)?;
    }
    record.is_empty().then(|| Record {
        offset: header.base_offset.saturating_add(delta),
        timestamp: if header.has_append_time() {
            header.max_timestamp
        } else {
            timestamp
        },
        key,
        value,
        encoded: &whole[..whole.len() - behind.len()],
    })
}

/// Timestamp and offset of the first record of a batch, from `start_offset` on, that is at least as late as
/// `timestamp`.
pub(crate) fn first_record_at(
    header: &BatchHeader,
    batch: &[u8],
    timestamp: i64,
    start_offset: i64,
) -> Result<Option<(i64, i64)>, BatchFault> {
    let records = Records::of(header, batch)?;
    for record in records.iter() {
        let record = record?;
        if record.timestamp >= timestamp && record.offset >= start_offset {
            return Ok(Some((record.timestamp, record.offset)));
        }
    }
    Ok(None)
}

/// The batch with some of its records only; it keeps its place in the log, its codec and its producer's numbers.
pub(crate) fn with_records<'a>(
    header: &BatchHeader,
    batch: &[u8],
    kept: impl Iterator<Item = Record<'a>>,
) -> Result<Vec<u8>, BatchFault> {
    let mut plain = Vec::new();
    let mut count = 0;
    let mut max_timestamp = -1;
    for record in kept {
        plain.extend_from_slice(record.encoded);
        max_timestamp = record.timestamp.max(max_timestamp);
        count += 1;
    }
    Ok(rebuilt(
        batch,
        &plain,
        Rebuilt {
            attributes: header.attributes,
            compression: header.compression()?,
            level: None,
            max_timestamp,
            record_count: count,
        },
    ))
}

/// What differs in a batch that is written anew.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rebuilt {
    pub(super) attributes: i16,
    pub(super) compression: Compression,
    pub(super) level: Option<i32>,
    pub(super) max_timestamp: i64,
    pub(super) record_count: i32,
}

/// The batch with other records, given without compression.
pub(super) fn rebuilt(batch: &[u8], plain: &[u8], change: Rebuilt) -> Vec<u8> {
    let stored = if plain.is_empty() {
        Cow::Borrowed(plain)
    } else {
        match change.compression {
            Compression::None => Cow::Borrowed(plain),
            codec => codec
                .compress_at(plain, change.level)
                .map_or(Cow::Borrowed(plain), Cow::Owned),
        }
    };
    let compressed = matches!(stored, Cow::Owned(_));
    let codec = if compressed {
        change.compression.number()
    } else {
        0
    };
    let attributes = (change.attributes & !super::COMPRESSION_MASK) | codec;
    let mut bytes = batch[..HEADER_LEN].to_vec();
    bytes.extend_from_slice(&stored);
    // Records are bounded far below this.
    let length = i32::try_from(bytes.len() - PREAMBLE_LEN).unwrap_or(i32::MAX);
    bytes[8..12].copy_from_slice(&length.to_be_bytes());
    bytes[21..23].copy_from_slice(&attributes.to_be_bytes());
    bytes[35..43].copy_from_slice(&change.max_timestamp.to_be_bytes());
    bytes[57..61].copy_from_slice(&change.record_count.to_be_bytes());
    put_checksum(&mut bytes);
    bytes
}

/// Empty batches that stand for the offsets from `from` to `to`, whose records compaction has removed.
///
/// Kafka's own cleaner leaves such batches too. With them every batch follows on the one before, so that damage to an
/// offset is told from a gap.
pub(crate) fn placeholders(mut from: i64, to: i64) -> Vec<u8> {
    let mut bytes = Vec::new();
    while from < to {
        let delta = i32::try_from(to - from - 1).unwrap_or(i32::MAX);
        let mut batch = vec![0; HEADER_LEN];
        batch[..8].copy_from_slice(&from.to_be_bytes());
        batch[8..12].copy_from_slice(&((HEADER_LEN - PREAMBLE_LEN) as i32).to_be_bytes());
        batch[16] = 2;
        batch[23..27].copy_from_slice(&delta.to_be_bytes());
        // Times, producer id, epoch and sequence: none.
        batch[27..57].fill(0xff);
        put_checksum(&mut batch);
        bytes.extend_from_slice(&batch);
        from += i64::from(delta) + 1;
    }
    bytes
}

/// Gives a batch the checksum of its content.
pub(super) fn put_checksum(batch: &mut [u8]) {
    let checksum = crc32c::crc32c(&batch[CHECKED_FROM..]);
    batch[17..21].copy_from_slice(&checksum.to_be_bytes());
}

/// Reads a length and as many bytes; the inner `None` is null.
#[expect(
    clippy::option_option,
    reason = "the outer one is damage, the inner one Kafka's null"
)]
fn take_bytes<'a>(bytes: &mut &'a [u8]) -> Option<Option<&'a [u8]>> {
    match take_varint(bytes)? {
        -1 => Some(None),
        len => {
            let (taken, rest) = bytes.split_at_checked(usize::try_from(len).ok()?)?;
            *bytes = rest;
            Some(Some(taken))
        }
    }
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
