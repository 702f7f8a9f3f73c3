//! The bytes of a spool's files.
//!
//! A segment is a header and frames, one a line, in the order the lines came:
//! ```text
//! header  "osqspool" | version u32 | spool 16 bytes | boot 16 bytes | first u64 | checksum u32
//! frame   length u32 | checksum u32 | seq u64 | unix_ms i64 | topic length u16 | key length u32 | topic | key | value
//! ```
//! Numbers are little-endian; `length` counts what follows the checksum; a key length of `u32::MAX` is no key.
//! Checksums are CRC-32C. A frame's starts from a number that depends on the header, so that a line which
//! contains the bytes of a frame is not one.

/// The version of the format that this build reads and writes.
pub(crate) const VERSION: u32 = 1;
/// The length of a segment's header.
pub(crate) const HEADER_LENGTH: usize = 56;
/// What stands before a frame's body.
pub(crate) const PREFIX_LENGTH: usize = 8;
/// The most bytes of a frame's body; no call of osqueryd's is larger.
pub(crate) const BODY_LIMIT: usize = 256 * 1024 * 1024;

const MAGIC: &[u8; 8] = b"osqspool";
/// The fixed part of a body: seq, time, lengths.
const FIXED_LENGTH: usize = 8 + 8 + 2 + 4;
const NO_KEY: u32 = u32::MAX;

/// Sixteen bytes that name a spool or a boot of the machine.
pub(crate) type Id = [u8; 16];

/// What a segment says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    /// Names the lines of the segment together with their `seq`.
    pub(crate) spool: Id,
    /// The boot of the machine in which it was begun.
    pub(crate) boot: Id,
    /// The `seq` of its first line.
    pub(crate) first: u64,
}

/// Why bytes are not a header.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum HeaderError {
    #[error("it is not a spool's file")]
    Foreign,
    #[error("it has version {0} of the format, and this is version {VERSION}")]
    Version(u32),
    #[error("its beginning is damaged")]
    Damaged,
}

impl Header {
    pub(crate) fn encode(&self) -> [u8; HEADER_LENGTH] {
        let mut bytes = [0; HEADER_LENGTH];
        bytes[..8].copy_from_slice(MAGIC);
        bytes[8..12].copy_from_slice(&VERSION.to_le_bytes());
        bytes[12..28].copy_from_slice(&self.spool);
        bytes[28..44].copy_from_slice(&self.boot);
        bytes[44..52].copy_from_slice(&self.first.to_le_bytes());
        let checksum = crc32c::crc32c(&bytes[..52]);
        bytes[52..].copy_from_slice(&checksum.to_le_bytes());
        bytes
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, HeaderError> {
        if !bytes.starts_with(MAGIC) {
            return Err(match bytes.len() < HEADER_LENGTH && MAGIC.starts_with(bytes) {
                true => HeaderError::Damaged,
                false => HeaderError::Foreign,
            });
        }
        let mut fields = Fields(&bytes[MAGIC.len()..]);
        let version = fields.u32().ok_or(HeaderError::Damaged)?;
        if version != VERSION {
            return Err(HeaderError::Version(version));
        }
        let decoded = (|| {
            let header = Self {
                spool: fields.array()?,
                boot: fields.array()?,
                first: fields.u64()?,
            };
            (fields.u32()? == crc32c::crc32c(&bytes[..52])).then_some(header)
        })();
        decoded.ok_or(HeaderError::Damaged)
    }

    /// Where the checksums of the segment's frames start from.
    pub(crate) fn seed(&self) -> u32 {
        crc32c::crc32c_append(crc32c::crc32c(&self.spool), &self.first.to_le_bytes())
    }
}

/// A line with its way, as it stands in the spool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Record<'r> {
    /// When it was taken, in milliseconds since 1970.
    pub(crate) unix_ms: i64,
    pub(crate) topic: &'r str,
    pub(crate) key: Option<&'r [u8]>,
    pub(crate) value: &'r [u8],
}

impl Record<'_> {
    /// The bytes it takes in a segment; `None` when no frame can hold it.
    pub(crate) fn frame_length(&self) -> Option<usize> {
        let body = FIXED_LENGTH + self.topic.len() + self.key.map_or(0, <[u8]>::len) + self.value.len();
        (body <= BODY_LIMIT && self.topic.len() <= usize::from(u16::MAX)).then_some(PREFIX_LENGTH + body)
    }

    /// Writes the frame in the place of what is in `to`. [`Record::frame_length`] has allowed it.
    pub(crate) fn encode(&self, seq: u64, seed: u32, to: &mut Vec<u8>) {
        to.clear();
        to.extend_from_slice(&[0; PREFIX_LENGTH]);
        to.extend_from_slice(&seq.to_le_bytes());
        to.extend_from_slice(&self.unix_ms.to_le_bytes());
        to.extend_from_slice(&(self.topic.len() as u16).to_le_bytes());
        to.extend_from_slice(&self.key.map_or(NO_KEY, |key| key.len() as u32).to_le_bytes());
        to.extend_from_slice(self.topic.as_bytes());
        to.extend_from_slice(self.key.unwrap_or_default());
        to.extend_from_slice(self.value);
        let length = (to.len() - PREFIX_LENGTH) as u32;
        let checksum = crc32c::crc32c_append(seed, &to[PREFIX_LENGTH..]);
        to[..4].copy_from_slice(&length.to_le_bytes());
        to[4..8].copy_from_slice(&checksum.to_le_bytes());
    }
}

/// A frame's prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Prefix {
    /// The length of the body.
    pub(crate) length: usize,
    checksum: u32,
}

impl Prefix {
    /// `None` when a frame cannot begin so.
    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        let mut fields = Fields(bytes);
        let length = fields.u32()? as usize;
        let checksum = fields.u32()?;
        (FIXED_LENGTH..=BODY_LIMIT)
            .contains(&length)
            .then_some(Self { length, checksum })
    }

    /// The `seq` and the record in a body; `None` when it is damaged.
    pub(crate) fn body<'b>(&self, body: &'b [u8], seed: u32) -> Option<(u64, Record<'b>)> {
        let body = body.get(..self.length)?;
        if crc32c::crc32c_append(seed, body) != self.checksum {
            return None;
        }
        let mut fields = Fields(body);
        let seq = fields.u64()?;
        let unix_ms = i64::from_le_bytes(fields.array()?);
        let topic_length = u16::from_le_bytes(fields.array()?);
        let key_length = fields.u32()?;
        let topic = std::str::from_utf8(fields.bytes(usize::from(topic_length))?).ok()?;
        let key = match key_length {
            NO_KEY => None,
            length => Some(fields.bytes(length as usize)?),
        };
        let value = fields.0;
        Some((
            seq,
            Record {
                unix_ms,
                topic,
                key,
                value,
            },
        ))
    }
}

/// The `seq` at the beginning of a body, before anything of it is known to be right.
pub(crate) fn claimed_seq(body: &[u8]) -> Option<u64> {
    Fields(body).u64()
}

/// Reads one field after the other.
pub(crate) struct Fields<'f>(pub(crate) &'f [u8]);

impl<'f> Fields<'f> {
    pub(crate) fn bytes(&mut self, count: usize) -> Option<&'f [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    pub(crate) fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.bytes(N)?.try_into().ok()
    }

    pub(crate) fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_le_bytes)
    }

    pub(crate) fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_le_bytes)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_record_survives_the_round_trip(
            seq: u64, seed: u32, unix_ms: i64, topic in "[a-z.é]{0,20}",
            key in proptest::option::of(proptest::collection::vec(any::<u8>(), 0..20)),
            value in proptest::collection::vec(any::<u8>(), 0..200),
            damage in any::<prop::sample::Index>(),
        ) {
            let record = Record { unix_ms, topic: &topic, key: key.as_deref(), value: &value };
            let mut frame = Vec::new();
            record.encode(seq, seed, &mut frame);
            prop_assert_eq!(Some(frame.len()), record.frame_length());
            let prefix = Prefix::decode(&frame).unwrap();
            prop_assert_eq!(prefix.body(&frame[PREFIX_LENGTH..], seed), Some((seq, record)));
            prop_assert_eq!(prefix.body(&frame[PREFIX_LENGTH..], seed ^ 1), None);

            let place = damage.index(frame.len());
            frame[place] ^= 0x10;
            let read = Prefix::decode(&frame).and_then(|prefix| prefix.body(&frame[PREFIX_LENGTH..], seed).map(drop));
            prop_assert_eq!(read, None);
        }

        #[test]
        fn a_header_survives_the_round_trip(spool: Id, boot: Id, first: u64, place in 0..HEADER_LENGTH) {
            let header = Header { spool, boot, first };
            let mut bytes = header.encode();
            prop_assert_eq!(Header::decode(&bytes), Ok(header));
            bytes[place] ^= 1;
            prop_assert!(Header::decode(&bytes).is_err());
            prop_assert_eq!(Header::decode(&header.encode()[..place]), Err(HeaderError::Damaged));
        }
    }

    #[test]
    fn other_files_and_versions_are_told_apart() {
        let header = Header {
            spool: [1; 16],
            boot: [2; 16],
            first: 3,
        };
        let mut bytes = header.encode();
        bytes[8] = 9;
        assert_eq!(Header::decode(&bytes), Err(HeaderError::Version(9)));
        assert_eq!(Header::decode(b"#!/bin/sh\n"), Err(HeaderError::Foreign));
    }
}
