//! What of a record is shown: its bytes as text, bounded, and what was cut is said.

use serde::Serialize;

/// How much of a value a list shows.
pub const LIST_LIMIT: usize = 16 * 1024;
/// How much of a value a record opened alone shows.
pub const RECORD_LIMIT: usize = 1024 * 1024;
/// How many headers are shown.
const HEADER_LIMIT: usize = 64;

/// A record as the page shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Shown {
    /// The partition.
    pub partition: i32,
    /// Its place in the partition.
    pub offset: i64,
    /// Its time in milliseconds since 1970, where it has one.
    pub timestamp: Option<i64>,
    /// The key.
    pub key: Option<Part>,
    /// The value; none is a tombstone.
    pub value: Option<Part>,
    /// The headers, in order.
    pub headers: Vec<(String, Option<Part>)>,
}

/// Bytes as text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Part {
    /// The text; a byte that is no UTF-8 is written `\xff`.
    pub text: String,
    /// How many bytes there are.
    pub size: usize,
    /// Whether `text` is the beginning only.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub is_cut: bool,
    /// Whether some byte is no UTF-8.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub is_binary: bool,
    /// The schema's id, where the bytes begin as Confluent's wire format does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub schema_id: Option<u32>,
}

impl Part {
    /// At most `limit` bytes as text.
    pub fn new(bytes: &[u8], limit: usize) -> Self {
        let mut kept = &bytes[..bytes.len().min(limit)];
        let is_cut = kept.len() < bytes.len();
        if is_cut {
            // A character is not cut in two.
            let whole = kept.utf8_chunks().last().map_or(0, |chunk| chunk.invalid().len());
            if whole < 4 {
                kept = &kept[..kept.len() - whole];
            }
        }
        let mut text = String::with_capacity(kept.len());
        let mut is_binary = false;
        for chunk in kept.utf8_chunks() {
            text.push_str(chunk.valid());
            for byte in chunk.invalid() {
                is_binary = true;
                text.push_str(&format!("\\x{byte:02x}"));
            }
        }
        Self {
            text,
            size: bytes.len(),
            is_cut,
            is_binary,
            schema_id: schema_id(bytes),
        }
    }
}

/// Confluent's wire format: a zero, and the schema's id in four bytes.
fn schema_id(bytes: &[u8]) -> Option<u32> {
    match bytes {
        [0, a, b, c, d, ..] => Some(u32::from_be_bytes([*a, *b, *c, *d])),
        _ => None,
    }
}

impl Shown {
    pub(crate) fn new(raw: &crate::kafka::Raw, limit: usize) -> Self {
        let part = |bytes: &Vec<u8>| Part::new(bytes, limit);
        Self {
            partition: raw.partition,
            offset: raw.offset,
            timestamp: raw.timestamp_ms,
            key: raw.key.as_ref().map(part),
            value: raw.value.as_ref().map(part),
            headers: raw
                .headers
                .iter()
                .take(HEADER_LIMIT)
                .map(|(name, value)| (name.clone(), value.as_ref().map(part)))
                .collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_is_cut_ends_with_a_whole_character() {
        let part = Part::new("aüb".as_bytes(), 2);
        assert_eq!((part.text.as_str(), part.size, part.is_cut), ("a", 4, true));
        assert!(!part.is_binary);
        let part = Part::new(b"\xff\x00", 10);
        assert_eq!((part.text.as_str(), part.is_binary), ("\\xff\0", true));
        assert_eq!(Part::new(&[0, 0, 0, 1, 2, 9], 10).schema_id, Some(258));
    }

    proptest! {
        #[test]
        fn text_is_shown_as_it_is(text in any::<String>()) {
            let part = Part::new(text.as_bytes(), usize::MAX);
            prop_assert_eq!(part.text, text);
            prop_assert!(!part.is_binary);
        }

        #[test]
        fn any_bytes_are_shown_within_their_limit(bytes in any::<Vec<u8>>(), limit in 0usize..64) {
            let part = Part::new(&bytes, limit);
            prop_assert!(part.text.len() <= limit * 4);
            prop_assert_eq!(part.size, bytes.len());
        }
    }
}
