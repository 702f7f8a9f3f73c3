//! Which partition a row is of, and how far the time of each has come.
//!
//! Kafka Streams runs a task a partition, each with a time of its own: a row is late by what its own partition has
//! seen, however far others are. Rows that are grouped or joined by something else than their key go through a
//! repartition topic there, which Java's partitioner fills; here they are counted to the partition where they would
//! lie in it.

/// The time that the rows of each partition have come to, in milliseconds, in the order of the partitions; -1 where
/// there was none.
pub type StreamTimes = Vec<(i32, i64)>;

/// The partition in which Java's default partitioner puts a key.
pub(crate) fn partition_of(key: &[u8], partitions: i32) -> i32 {
    if partitions <= 1 {
        return 0;
    }
    // What Java calls `toPositive` takes the sign away.
    (murmur2(key) & 0x7fff_ffff) as i32 % partitions
}

/// The hash of Kafka's Java client (`Utils.murmur2`).
fn murmur2(key: &[u8]) -> u32 {
    const M: u32 = 0x5bd1_e995;
    let mut hash = 0x9747_b28c ^ key.len() as u32;
    let mut words = key.chunks_exact(4);
    for word in &mut words {
        let word = word
            .iter()
            .rev()
            .fold(0, |word, byte| word << 8 | u32::from(*byte));
        let word = word.wrapping_mul(M);
        let word = (word ^ word >> 24).wrapping_mul(M);
        hash = hash.wrapping_mul(M) ^ word;
    }
    let rest = words.remainder();
    if !rest.is_empty() {
        let rest = rest
            .iter()
            .rev()
            .fold(0, |rest, byte| rest << 8 | u32::from(*byte));
        hash = (hash ^ rest).wrapping_mul(M);
    }
    hash = (hash ^ hash >> 13).wrapping_mul(M);
    hash ^ hash >> 15
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The values of Kafka's own test of its hash (`UtilsTest.testMurmur2`).
    #[test]
    fn keys_lie_where_java_puts_them() {
        let cases: [(&[u8], i32); 6] = [
            (b"21", -973_932_308),
            (b"foobar", -790_332_482),
            (b"a-little-bit-long-string", -985_981_536),
            (b"a-little-bit-longer-string", -1_486_304_829),
            (b"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58_897_971),
            (b"abc", 479_470_107),
        ];
        for (key, hash) in cases {
            assert_eq!(murmur2(key) as i32, hash, "{key:?}");
            assert_eq!(partition_of(key, 7), (hash & 0x7fff_ffff) % 7);
            assert_eq!(partition_of(key, 1), 0);
        }
    }
}
