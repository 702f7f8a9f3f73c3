//! How the records of a batch are compressed: Kafka's four codecs, each as its clients write it.
//!
//! Snappy comes in two forms: the framed one of the Java client and the bare block of librdkafka. What is written here
//! is what the Java client writes, which every client reads.

use std::io::{self, Read, Write};

use bytes::{Buf, BufMut};
use flate2::read::MultiGzDecoder;
use flate2::write::GzEncoder;
use lz4_flex::frame::{BlockMode, BlockSize, FrameDecoder, FrameEncoder, FrameInfo};

/// The records of one batch may not be more than this once decompressed: it bounds what a small batch can ask for.
pub(crate) const MAX_DECOMPRESSED: usize = 128 * 1024 * 1024;

const SNAPPY_MAGIC: &[u8] = b"\x82SNAPPY\0";
/// Version and oldest compatible version behind the magic.
const SNAPPY_VERSIONS: [u8; 8] = [0, 0, 0, 1, 0, 0, 0, 1];
const SNAPPY_BLOCK: usize = 32 * 1024;
const ZSTD_LEVEL: i32 = 3;

/// A codec, by Kafka's numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Compression {
    /// Records as they are.
    None,
    /// RFC 1952.
    Gzip,
    /// Framed or bare.
    Snappy,
    /// The frame format.
    Lz4,
    /// RFC 8878.
    Zstd,
}

impl Compression {
    /// The codec with that number in a batch's attributes.
    pub(crate) fn from_number(number: i16) -> Option<Self> {
        [Self::None, Self::Gzip, Self::Snappy, Self::Lz4, Self::Zstd]
            .into_iter()
            .find(|codec| codec.number() == number)
    }

    /// Its number in a batch's attributes.
    pub(crate) fn number(self) -> i16 {
        match self {
            Self::None => 0,
            Self::Gzip => 1,
            Self::Snappy => 2,
            Self::Lz4 => 3,
            Self::Zstd => 4,
        }
    }

    /// What was compressed; fails when it is not what the codec writes, or more than [`MAX_DECOMPRESSED`].
    pub(crate) fn decompress(self, bytes: &[u8]) -> io::Result<Vec<u8>> {
        self.decompress_at_most(bytes, MAX_DECOMPRESSED)
    }

    fn decompress_at_most(self, bytes: &[u8], limit: usize) -> io::Result<Vec<u8>> {
        match self {
            Self::None => Ok(bytes.to_vec()),
            Self::Gzip => read_bounded(MultiGzDecoder::new(bytes), limit),
            Self::Snappy => decompress_snappy(bytes, limit),
            Self::Lz4 => read_bounded(FrameDecoder::new(bytes), limit),
            Self::Zstd => read_bounded(zstd::stream::read::Decoder::with_buffer(bytes)?, limit),
        }
    }

    /// The records as this codec writes them, trying as hard as `level` says where the codec knows levels.
    pub(crate) fn compress_at(self, bytes: &[u8], level: Option<i32>) -> io::Result<Vec<u8>> {
        match self {
            Self::None => Ok(bytes.to_vec()),
            Self::Gzip => {
                let gzip_level = level
                    .and_then(|level| u32::try_from(level).ok())
                    .map_or_else(flate2::Compression::default, flate2::Compression::new);
                let mut encoder = GzEncoder::new(Vec::new(), gzip_level);
                encoder.write_all(bytes)?;
                encoder.finish()
            }
            Self::Snappy => compress_snappy(bytes),
            Self::Lz4 => {
                // Java's reader takes no blocks that depend on those before them.
                let info = FrameInfo::new()
                    .block_mode(BlockMode::Independent)
                    .block_size(BlockSize::Max64KB);
                let mut encoder = FrameEncoder::with_frame_info(info, Vec::new());
                encoder.write_all(bytes)?;
                encoder.finish().map_err(io::Error::other)
            }
            Self::Zstd => zstd::stream::encode_all(bytes, level.unwrap_or(ZSTD_LEVEL)),
        }
    }
}

fn read_bounded(reader: impl Read, limit: usize) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    reader.take(limit as u64 + 1).read_to_end(&mut bytes)?;
    if bytes.len() > limit {
        return Err(too_large());
    }
    Ok(bytes)
}

fn decompress_snappy(bytes: &[u8], limit: usize) -> io::Result<Vec<u8>> {
    let mut decompressed = Vec::new();
    let Some(mut rest) = bytes.strip_prefix(SNAPPY_MAGIC) else {
        append_snappy_block(&mut decompressed, bytes, limit)?;
        return Ok(decompressed);
    };
    let cut_short = || io::Error::from(io::ErrorKind::UnexpectedEof);
    rest = rest.get(SNAPPY_VERSIONS.len()..).ok_or_else(cut_short)?;
    while !rest.is_empty() {
        let size = rest.try_get_u32().map_err(|_| cut_short())? as usize;
        let (block, behind) = rest.split_at_checked(size).ok_or_else(cut_short)?;
        append_snappy_block(&mut decompressed, block, limit)?;
        rest = behind;
    }
    Ok(decompressed)
}

fn append_snappy_block(decompressed: &mut Vec<u8>, block: &[u8], limit: usize) -> io::Result<()> {
    let size = snap::raw::decompress_len(block).map_err(io::Error::other)?;
    let before = decompressed.len();
    // A block says how long it is before anything of it is read; and snappy makes at most 64 bytes of three.
    if before + size > limit || size / 64 > block.len() {
        return Err(too_large());
    }
    decompressed.resize(before + size, 0);
    snap::raw::Decoder::new()
        .decompress(block, &mut decompressed[before..])
        .map_err(io::Error::other)?;
    Ok(())
}

fn compress_snappy(bytes: &[u8]) -> io::Result<Vec<u8>> {
    let mut compressed = [SNAPPY_MAGIC, &SNAPPY_VERSIONS].concat();
    let mut encoder = snap::raw::Encoder::new();
    for block in bytes.chunks(SNAPPY_BLOCK) {
        let block = encoder.compress_vec(block).map_err(io::Error::other)?;
        // A block of 32 KiB grows by a few bytes at most.
        compressed.put_u32(block.len() as u32);
        compressed.extend_from_slice(&block);
    }
    Ok(compressed)
}

fn too_large() -> io::Error {
    io::Error::other("the records are too large once decompressed")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const ALL: [Compression; 5] = [
        Compression::None,
        Compression::Gzip,
        Compression::Snappy,
        Compression::Lz4,
        Compression::Zstd,
    ];

    #[test]
    fn a_bare_snappy_block_is_read_too() {
        let block = snap::raw::Encoder::new()
            .compress_vec(b"hello hello hello")
            .unwrap();
        assert_eq!(
            Compression::Snappy.decompress(&block).unwrap(),
            b"hello hello hello"
        );
    }

    #[test]
    fn what_grows_beyond_the_limit_is_refused() {
        let zeros = vec![0; 100_001];
        for codec in ALL.into_iter().skip(1) {
            let compressed = codec.compress_at(&zeros, None).unwrap();
            assert!(
                codec.decompress_at_most(&compressed, 100_000).is_err(),
                "{codec:?}"
            );
            assert!(
                codec.decompress_at_most(&compressed, 100_001).is_ok(),
                "{codec:?}"
            );
        }
        // A block that claims four gigabytes.
        assert!(
            Compression::Snappy
                .decompress(&[0xff, 0xff, 0xff, 0xff, 0x0f, 0])
                .is_err()
        );
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]

        #[test]
        fn what_was_compressed_comes_back(bytes in proptest::collection::vec(0u8..4, 0..70_000)) {
            for codec in ALL {
                prop_assert_eq!(Compression::from_number(codec.number()), Some(codec));
                let compressed = codec.compress_at(&bytes, None).unwrap();
                prop_assert_eq!(&codec.decompress(&compressed).unwrap(), &bytes);
            }
        }

        #[test]
        fn random_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            for codec in ALL {
                let _ = codec.decompress(&bytes);
            }
        }
    }
}
