//! Confluent's wire format: a record begins with a byte 0 and the id of its schema, or carries the schema's GUID in a
//! header, in which case nothing stands before its data.

use std::borrow::Cow;
use std::fmt;

/// The header with the GUID of a key's schema.
pub const KEY_HEADER: &str = "__key_schema_id";
/// The header with the GUID of a value's schema.
pub const VALUE_HEADER: &str = "__value_schema_id";

/// What begins a record with an id.
const ID: u8 = 0;
/// What begins a record, or a header, with a GUID.
const GUID: u8 = 1;

/// How deep messages can be nested.
const DEEPEST_MESSAGE: usize = 64;

/// What a record says of its schema.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SchemaId {
    /// Its id in the registry.
    Id(u32),
    /// Its GUID: the same in every registry.
    Guid([u8; 16]),
}

impl fmt::Display for SchemaId {
    /// The number, or the GUID as registries print it.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Id(id) => write!(formatter, "{id}"),
            Self::Guid(guid) => {
                for (place, byte) in guid.iter().enumerate() {
                    let dash = if matches!(place, 4 | 6 | 8 | 10) { "-" } else { "" };
                    write!(formatter, "{dash}{byte:02x}")?;
                }
                Ok(())
            }
        }
    }
}

/// Why bytes do not say which schema they were written with.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WireError {
    /// They are too short.
    #[error("{0} bytes are too few for a schema's id and data")]
    TooShort(usize),
    /// They begin with something else.
    #[error("Unknown magic byte!")]
    UnknownMagicByte,
    /// A Protobuf record does not say which message of the file it is.
    #[error("the record does not say which message it is")]
    MessageIndexes,
}

/// Appends what stands before the data of a record with an id.
pub fn write_id(id: u32, out: &mut Vec<u8>) {
    out.push(ID);
    out.extend_from_slice(&id.to_be_bytes());
}

/// The value of a header with a GUID.
pub fn header_value(guid: [u8; 16]) -> [u8; 17] {
    let mut value = [GUID; 17];
    value[1..].copy_from_slice(&guid);
    value
}

/// The schema and the data of a record that carries both.
///
/// # Errors
/// When it begins with neither an id nor a GUID.
pub fn split(bytes: &[u8]) -> Result<(SchemaId, &[u8]), WireError> {
    let too_short = || WireError::TooShort(bytes.len());
    let (magic, rest) = bytes.split_first().ok_or_else(too_short)?;
    match *magic {
        ID => {
            let (id, data) = rest.split_first_chunk().ok_or_else(too_short)?;
            Ok((SchemaId::Id(u32::from_be_bytes(*id)), data))
        }
        GUID => {
            let (guid, data) = rest.split_first_chunk().ok_or_else(too_short)?;
            Ok((SchemaId::Guid(*guid), data))
        }
        _ => Err(WireError::UnknownMagicByte),
    }
}

/// The bytes of a key or value with what says their schema before them: as they are, or where a header says it, behind
/// the header. Of a Protobuf record that holds which message it is as well. A header that is no GUID says nothing.
pub fn with_header<'a>(bytes: &'a [u8], header: Option<&[u8]>) -> Cow<'a, [u8]> {
    match header {
        Some(header) if header.len() > 16 && header[0] == GUID => Cow::Owned([header, bytes].concat()),
        _ => Cow::Borrowed(bytes),
    }
}

/// A GUID as registries print it: 32 digits, with dashes or without.
pub fn guid(text: &str) -> Option<[u8; 16]> {
    let digits: Vec<u8> = text.bytes().filter(|byte| *byte != b'-').collect();
    let mut guid = [0; 16];
    if digits.len() != 2 * guid.len() || !digits.iter().all(u8::is_ascii_hexdigit) {
        return None;
    }
    for (byte, pair) in guid.iter_mut().zip(digits.chunks(2)) {
        *byte = u8::from_str_radix(str::from_utf8(pair).ok()?, 16).ok()?;
    }
    Some(guid)
}

/// Which message of its file a Protobuf record is, and the message: which one of the file, which one of those in it, and
/// so on.
///
/// # Errors
/// When that is cut off, or deeper than messages can be nested.
pub fn split_message_indexes(data: &[u8]) -> Result<(Vec<usize>, &[u8]), WireError> {
    let mut rest = data;
    let count = zigzag(&mut rest).ok_or(WireError::MessageIndexes)?;
    // The first message of a file is by far the most usual one.
    if count == 0 {
        return Ok((vec![0], rest));
    }
    let count = usize::try_from(count)
        .ok()
        .filter(|count| *count <= DEEPEST_MESSAGE)
        .ok_or(WireError::MessageIndexes)?;
    let indexes = (0..count).map(|_| usize::try_from(zigzag(&mut rest)?).ok());
    let indexes: Option<Vec<usize>> = indexes.collect();
    Ok((indexes.ok_or(WireError::MessageIndexes)?, rest))
}

/// Appends what says which message of its file follows.
pub fn write_message_indexes(indexes: &[usize], out: &mut Vec<u8>) {
    let mut write = |number: usize| {
        // Zigzag, of a number that is not negative.
        let mut number = (number as u64) << 1;
        while number >= 0x80 {
            out.push((number & 0x7f) as u8 | 0x80);
            number >>= 7;
        }
        out.push(number as u8);
    };
    if indexes == [0] {
        return write(0);
    }
    write(indexes.len());
    indexes.iter().for_each(|index| write(*index));
}

/// A number with its sign in the lowest bit, seven bits a byte.
fn zigzag(bytes: &mut &[u8]) -> Option<i64> {
    let mut number = 0u64;
    for shift in (0..64).step_by(7) {
        let (byte, rest) = bytes.split_first()?;
        *bytes = rest;
        number |= u64::from(byte & 0x7f).checked_shl(shift)?;
        if byte & 0x80 == 0 {
            return Some((number >> 1) as i64 ^ -((number & 1) as i64));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_is_too_short_or_foreign_is_told() {
        assert_eq!(split(b""), Err(WireError::TooShort(0)));
        assert_eq!(split(&[0, 0, 0, 1]), Err(WireError::TooShort(4)));
        assert_eq!(split(&[1; 16]), Err(WireError::TooShort(16)));
        assert_eq!(
            split(b"{\"a\":1}").unwrap_err().to_string(),
            "Unknown magic byte!"
        );
        assert_eq!(split(&[0, 0, 0, 1, 2]), Ok((SchemaId::Id(258), &[][..])));
    }

    #[test]
    fn a_header_may_say_which_message_it_is() {
        let mut header = header_value([7; 16]).to_vec();
        write_message_indexes(&[2, 1], &mut header);
        let whole = with_header(b"data", Some(&header));
        let (id, rest) = split(&whole).unwrap();
        assert_eq!(id.to_string(), "07070707-0707-0707-0707-070707070707");
        assert_eq!(split_message_indexes(rest), Ok((vec![2, 1], &b"data"[..])));
        for wrong in ["", "07", "zz070707-0707-0707-0707-070707070707", "0é"] {
            assert_eq!(guid(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn the_first_message_is_a_single_zero() {
        let written = |indexes: &[usize]| {
            let mut out = Vec::new();
            write_message_indexes(indexes, &mut out);
            out
        };
        assert_eq!(written(&[0]), [0]);
        assert_eq!(written(&[1, 0]), [4, 2, 0]);
        assert_eq!(split_message_indexes(&[2, 0, 9]), Ok((vec![0], &[9][..])));
        for cut in [
            &[][..],
            &[4, 2],
            &[0x80],
            &[1, 0],
            &[2, 1],
            &[0xfe, 0xff, 0xff, 0xff, 0x0f],
        ] {
            assert_eq!(
                split_message_indexes(cut),
                Err(WireError::MessageIndexes),
                "{cut:?}"
            );
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(id: u32, guid: [u8; 16], data: Vec<u8>) {
            let mut bytes = Vec::new();
            write_id(id, &mut bytes);
            bytes.extend_from_slice(&data);
            prop_assert_eq!(split(&bytes), Ok((SchemaId::Id(id), data.as_slice())));
            let header = header_value(guid);
            let whole = with_header(&data, Some(&header));
            prop_assert_eq!(split(&whole), Ok((SchemaId::Guid(guid), data.as_slice())));
            let shown = SchemaId::Guid(guid).to_string();
            prop_assert_eq!(super::guid(&shown), Some(guid));
        }

        #[test]
        fn the_way_to_a_message_is_read_as_written(
            indexes in proptest::collection::vec(0usize..70_000, 1..6),
            data: Vec<u8>,
        ) {
            let mut bytes = Vec::new();
            write_message_indexes(&indexes, &mut bytes);
            bytes.extend_from_slice(&data);
            prop_assert_eq!(split_message_indexes(&bytes), Ok((indexes, data.as_slice())));
        }

        #[test]
        fn any_bytes_say_a_message_or_none(bytes: Vec<u8>) {
            if let Ok((indexes, _)) = split_message_indexes(&bytes) {
                prop_assert!(!indexes.is_empty() && indexes.len() <= DEEPEST_MESSAGE);
            }
        }

        #[test]
        fn a_header_that_is_no_guid_says_nothing(header: Vec<u8>) {
            let is_guid = header.len() >= 17 && header[0] == 1;
            let whole = with_header(b"data", Some(&header));
            prop_assert_eq!(matches!(whole, Cow::Owned(_)), is_guid);
        }
    }
}
