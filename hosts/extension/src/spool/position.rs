//! The file that says which lines of a spool are done: delivered, dead-lettered, or given up.
//!
//! It may be old, and it may be missing: then lines are delivered once more, under the same name. It is never ahead
//! of the truth, so it never makes a line disappear.
//! ```text
//! "osqsposn" | version u32 | spool 16 bytes | boot 16 bytes | next u64 | low u64 | count u32
//! count times: first u64 | words u32 | words times u64
//! checksum u32
//! ```
//! Every line below `low` is done. `next` is the first unused `seq`. Each of the `count` entries is a segment with
//! lines that were done out of order, a bit a line.

use super::frame::{Fields, Id};

const MAGIC: &[u8; 8] = b"osqsposn";
const VERSION: u32 = 1;

/// What is done.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Position {
    pub(crate) spool: Id,
    pub(crate) boot: Id,
    pub(crate) next: u64,
    pub(crate) low: u64,
    /// The first `seq` of a segment, and its bits.
    pub(crate) segments: Vec<(u64, Vec<u64>)>,
}

impl Position {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(64);
        bytes.extend_from_slice(MAGIC);
        bytes.extend_from_slice(&VERSION.to_le_bytes());
        bytes.extend_from_slice(&self.spool);
        bytes.extend_from_slice(&self.boot);
        bytes.extend_from_slice(&self.next.to_le_bytes());
        bytes.extend_from_slice(&self.low.to_le_bytes());
        bytes.extend_from_slice(&(self.segments.len() as u32).to_le_bytes());
        for (first, words) in &self.segments {
            bytes.extend_from_slice(&first.to_le_bytes());
            bytes.extend_from_slice(&(words.len() as u32).to_le_bytes());
            bytes.extend(words.iter().flat_map(|word| word.to_le_bytes()));
        }
        let checksum = crc32c::crc32c(&bytes);
        bytes.extend_from_slice(&checksum.to_le_bytes());
        bytes
    }

    /// `None` when the bytes are no position, or one of another version, or damaged.
    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        let (content, checksum) = bytes.split_last_chunk::<4>()?;
        if crc32c::crc32c(content) != u32::from_le_bytes(*checksum) {
            return None;
        }
        let mut fields = Fields(content);
        if fields.bytes(MAGIC.len())? != MAGIC || fields.u32()? != VERSION {
            return None;
        }
        let mut position = Self {
            spool: fields.array()?,
            boot: fields.array()?,
            next: fields.u64()?,
            low: fields.u64()?,
            segments: Vec::new(),
        };
        for _ in 0..fields.u32()? {
            let first = fields.u64()?;
            let count = fields.u32()? as usize;
            let words = fields.bytes(count.checked_mul(8)?)?.chunks_exact(8);
            let words = words.filter_map(|word| word.try_into().ok().map(u64::from_le_bytes));
            position.segments.push((first, words.collect()));
        }
        fields.0.is_empty().then_some(position)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn it_survives_the_round_trip_and_nothing_else_does(
            spool: Id, boot: Id, next: u64, low: u64,
            segments in proptest::collection::vec((any::<u64>(), proptest::collection::vec(any::<u64>(), 0..5)), 0..5),
            damage in any::<prop::sample::Index>(),
        ) {
            let position = Position { spool, boot, next, low, segments };
            let mut bytes = position.encode();
            prop_assert_eq!(Position::decode(&bytes), Some(position));
            let place = damage.index(bytes.len());
            prop_assert_eq!(Position::decode(&bytes[..place]), None);
            bytes[place] ^= 4;
            prop_assert_eq!(Position::decode(&bytes), None);
        }
    }
}
