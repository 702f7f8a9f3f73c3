//! A stable group as it is written down, so that its members need not join again when the broker was restarted.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

/// A generation that was agreed on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct GroupSnapshot {
    /// The group's kind.
    pub(crate) kind: String,
    /// Number of the generation.
    pub(crate) generation: i32,
    /// The assignor chosen.
    pub(crate) protocol: String,
    /// Id of the member that has assigned.
    pub(crate) leader: Option<String>,
    /// Its members; none when the last has left.
    pub(crate) members: Vec<MemberSnapshot>,
}

/// One member of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct MemberSnapshot {
    pub(crate) id: String,
    pub(crate) instance: Option<String>,
    pub(crate) client: String,
    pub(crate) host: String,
    pub(crate) session_ms: u64,
    pub(crate) rebalance_ms: u64,
    pub(crate) protocols: Vec<(String, Blob)>,
    pub(crate) assignment: Blob,
}

/// Bytes that are written as hexadecimal digits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(crate) struct Blob(pub(crate) Bytes);

impl From<Blob> for String {
    fn from(blob: Blob) -> Self {
        use std::fmt::Write;
        let mut digits = Self::with_capacity(blob.0.len() * 2);
        for byte in &blob.0 {
            // Writing to a string cannot fail.
            let _ = write!(digits, "{byte:02x}");
        }
        digits
    }
}

impl TryFrom<String> for Blob {
    type Error = &'static str;

    fn try_from(digits: String) -> Result<Self, Self::Error> {
        let malformed = "expected pairs of hexadecimal digits";
        if !digits.len().is_multiple_of(2) {
            return Err(malformed);
        }
        digits
            .as_bytes()
            .chunks_exact(2)
            .map(|pair| {
                let pair = std::str::from_utf8(pair).ok()?;
                u8::from_str_radix(pair, 16).ok()
            })
            .collect::<Option<Vec<u8>>>()
            .map(|bytes| Self(bytes.into()))
            .ok_or(malformed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn bytes_survive_the_round_trip(bytes in proptest::collection::vec(any::<u8>(), 0..50)) {
            let blob = Blob(bytes.into());
            let digits = String::from(blob.clone());
            prop_assert_eq!(Blob::try_from(digits), Ok(blob));
        }

        #[test]
        fn any_text_is_read_or_refused(text in ".{0,20}") {
            let _ = Blob::try_from(text);
        }
    }
}
