//! A record of a topic, owned, and its bytes as text.

use rdkafka::message::{BorrowedMessage, Headers, Message};
use serde::Serialize;

use crate::events::SCHEMA_VERSION;

/// A record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// The topic it is in.
    pub topic: String,
    /// The partition of the topic.
    pub partition: i32,
    /// Its place in the partition.
    pub offset: i64,
    /// Its time in milliseconds since 1970, where it has one.
    pub timestamp_ms: Option<i64>,
    /// The key.
    pub key: Option<Vec<u8>>,
    /// The value; none is a tombstone.
    pub value: Option<Vec<u8>>,
    /// The headers that have a value.
    pub headers: Vec<(String, Vec<u8>)>,
}

impl From<&BorrowedMessage<'_>> for Record {
    fn from(message: &BorrowedMessage<'_>) -> Self {
        Self {
            topic: message.topic().to_owned(),
            partition: message.partition(),
            offset: message.offset(),
            timestamp_ms: message.timestamp().to_millis(),
            key: message.key().map(<[u8]>::to_vec),
            value: message.payload().map(<[u8]>::to_vec),
            headers: message.headers().map_or_else(Vec::new, |headers| {
                let headers = headers.iter();
                headers
                    .filter_map(|header| Some((header.key.to_owned(), header.value?.to_vec())))
                    .collect()
            }),
        }
    }
}

/// The shape of a record in JSON output.
#[derive(Debug, Serialize)]
struct JsonRecord<'a> {
    schema_version: u32,
    topic: &'a str,
    partition: i32,
    offset: i64,
    /// RFC 3339, UTC.
    timestamp: Option<String>,
    key: Option<String>,
    value: Option<String>,
    /// Whether key or value are not UTF-8, so that some bytes are written as `\xff`.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    escaped: bool,
}

impl Record {
    /// The time as RFC 3339 with milliseconds, UTC.
    pub fn timestamp(&self) -> Option<String> {
        let time = jiff::Timestamp::from_millisecond(self.timestamp_ms?).ok()?;
        Some(format!("{time:.3}"))
    }

    /// The text of a header.
    pub fn header(&self, name: &str) -> Option<&str> {
        let (_, value) = self.headers.iter().find(|(key, _)| key == name)?;
        std::str::from_utf8(value).ok()
    }

    /// The record as JSON output shows it.
    pub fn as_json(&self) -> impl Serialize + '_ {
        let is_binary = |bytes: &Option<Vec<u8>>| {
            bytes
                .as_ref()
                .is_some_and(|bytes| std::str::from_utf8(bytes).is_err())
        };
        JsonRecord {
            schema_version: SCHEMA_VERSION,
            topic: &self.topic,
            partition: self.partition,
            offset: self.offset,
            timestamp: self.timestamp(),
            key: self.key.as_deref().map(text_of_bytes),
            value: self.value.as_deref().map(text_of_bytes),
            escaped: is_binary(&self.key) || is_binary(&self.value),
        }
    }
}

/// Bytes as text: what is UTF-8 as it is, any other byte as `\xff`.
pub fn text_of_bytes(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        for byte in chunk.invalid() {
            text.push_str(&format!("\\x{byte:02x}"));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_json_shape() {
        let record = Record {
            topic: "processes".to_owned(),
            partition: 0,
            offset: 7,
            timestamp_ms: Some(1_795_495_590_123),
            key: Some(b"host2".to_vec()),
            value: Some(b"caf\xe9".to_vec()),
            headers: vec![("osqdemo-seq".to_owned(), b"12".to_vec())],
        };
        insta::assert_snapshot!(
            serde_json::to_string(&record.as_json()).unwrap(),
            @r#"{"schema_version":1,"topic":"processes","partition":0,"offset":7,"timestamp":"2026-11-24T04:46:30.123Z","key":"host2","value":"caf\\xe9","escaped":true}"#
        );
        assert_eq!(
            (record.header("osqdemo-seq"), record.header("seq")),
            (Some("12"), None)
        );
        let tombstone = Record {
            timestamp_ms: None,
            key: None,
            value: None,
            ..record
        };
        insta::assert_snapshot!(
            serde_json::to_string(&tombstone.as_json()).unwrap(),
            @r#"{"schema_version":1,"topic":"processes","partition":0,"offset":7,"timestamp":null,"key":null,"value":null}"#
        );
    }

    proptest! {
        #[test]
        fn text_stays_as_it_is(text in any::<String>()) {
            prop_assert_eq!(text_of_bytes(text.as_bytes()), text);
        }

        #[test]
        fn any_bytes_become_text(bytes in any::<Vec<u8>>()) {
            prop_assert!(text_of_bytes(&bytes).len() >= bytes.len());
        }
    }
}
