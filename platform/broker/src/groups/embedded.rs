//! What consumers of the classic protocol tell each other by way of the broker: what one subscribes to and owns, and what
//! it is to read (Kafka's `ConsumerProtocolSubscription` and `ConsumerProtocolAssignment`, versions 0 to 3).
//!
//! A later version is read as the latest known one, as Kafka's clients do. What a client leaves out at the end counts as
//! not said: some write a version without its fields.

use std::collections::{BTreeMap, BTreeSet};

use bytes::{BufMut as _, Bytes, BytesMut};
use kafka_protocol::protocol::StrBytes;

use super::offsets::TopicPartition;

const LATEST: i16 = 3;
const OWNED_SINCE: i16 = 1;
const GENERATION_SINCE: i16 = 2;
const RACK_SINCE: i16 = 3;

/// What a member says when it joins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Subscription {
    pub(crate) version: i16,
    pub(crate) topics: BTreeSet<StrBytes>,
    /// What it goes on reading meanwhile; nothing where it gives up everything before it joins.
    pub(crate) owned: BTreeSet<TopicPartition>,
    pub(crate) rack_id: Option<StrBytes>,
}

impl Subscription {
    /// Reads one; `None` when it is something else.
    pub(crate) fn read(bytes: &[u8]) -> Option<Self> {
        let mut reader = Reader(bytes);
        let version = reader.version()?;
        let mut topics = BTreeSet::new();
        for _ in 0..reader.number()? {
            topics.insert(reader.text()??);
        }
        reader.bytes()?;
        let mut owned = BTreeSet::new();
        if version >= OWNED_SINCE && !reader.is_at_end() {
            owned = reader.places()?;
        }
        if version >= GENERATION_SINCE && !reader.is_at_end() {
            reader.number()?;
        }
        let mut rack_id = None;
        if version >= RACK_SINCE && !reader.is_at_end() {
            rack_id = reader.text()?;
        }
        Some(Self {
            version,
            topics,
            owned,
            rack_id: rack_id.filter(|rack_id| !rack_id.is_empty()),
        })
    }
}

/// What a member is to read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Assignment {
    pub(crate) places: BTreeSet<TopicPartition>,
    /// Whether the assignor tells the member more, which only that assignor understands.
    pub(crate) has_user_data: bool,
}

impl Assignment {
    /// Reads one; `None` when it is something else.
    pub(crate) fn read(bytes: &[u8]) -> Option<Self> {
        let mut reader = Reader(bytes);
        reader.version()?;
        let places = reader.places()?;
        let has_user_data = !reader.is_at_end() && !reader.bytes()?.is_empty();
        Some(Self {
            places,
            has_user_data,
        })
    }

    /// Writes one in a version.
    pub(crate) fn write(version: i16, places: &BTreeSet<TopicPartition>) -> Bytes {
        let mut topics: BTreeMap<&StrBytes, Vec<i32>> = BTreeMap::new();
        for (topic, partition) in places {
            topics.entry(topic).or_default().push(*partition);
        }
        let count = |count: usize| i32::try_from(count).unwrap_or(i32::MAX);
        let mut bytes = BytesMut::new();
        bytes.put_i16(version.clamp(0, LATEST));
        bytes.put_i32(count(topics.len()));
        for (topic, partitions) in topics {
            // Names of topics are short.
            bytes.put_i16(i16::try_from(topic.len()).unwrap_or(i16::MAX));
            bytes.put_slice(topic.as_bytes());
            bytes.put_i32(count(partitions.len()));
            partitions.iter().for_each(|partition| bytes.put_i32(*partition));
        }
        // No data of an assignor's own.
        bytes.put_i32(-1);
        bytes.freeze()
    }
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn is_at_end(&self) -> bool {
        self.0.is_empty()
    }

    fn chunk<const LENGTH: usize>(&mut self) -> Option<[u8; LENGTH]> {
        let (chunk, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*chunk)
    }

    fn slice(&mut self, length: usize) -> Option<&'a [u8]> {
        let (slice, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(slice)
    }

    fn version(&mut self) -> Option<i16> {
        let version = i16::from_be_bytes(self.chunk()?);
        (version >= 0).then(|| version.min(LATEST))
    }

    fn number(&mut self) -> Option<i32> {
        self.chunk().map(i32::from_be_bytes)
    }

    /// A text, or that there is none.
    fn text(&mut self) -> Option<Option<StrBytes>> {
        let length = i16::from_be_bytes(self.chunk()?);
        if length == -1 {
            return Some(None);
        }
        let text = self.slice(usize::try_from(length).ok()?)?;
        let text = std::str::from_utf8(text).ok()?;
        // A copy, which does not keep the request's frame in memory.
        Some(Some(StrBytes::from_string(text.to_owned())))
    }

    /// Bytes; none where there are none.
    fn bytes(&mut self) -> Option<&'a [u8]> {
        match self.number()? {
            -1 => Some(&[]),
            length => self.slice(usize::try_from(length).ok()?),
        }
    }

    /// Whatever counts are claimed, each turn takes bytes, and ends the reading where there are none.
    fn places(&mut self) -> Option<BTreeSet<TopicPartition>> {
        let mut places = BTreeSet::new();
        for _ in 0..self.number()? {
            let topic = self.text()??;
            for _ in 0..self.number()? {
                places.insert((topic.clone(), self.number()?));
            }
        }
        Some(places)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kafka_protocol::messages::consumer_protocol_subscription::TopicPartition as Owned;
    use kafka_protocol::messages::{ConsumerProtocolAssignment, ConsumerProtocolSubscription, TopicName};
    use kafka_protocol::protocol::{Decodable as _, Encodable as _};
    use proptest::prelude::*;

    fn name(text: &str) -> StrBytes {
        StrBytes::from_string(text.to_owned())
    }

    #[test]
    fn a_subscription_is_read_in_every_version() {
        let said = ConsumerProtocolSubscription::default()
            .with_topics(vec![name("lines"), name("rows")])
            .with_user_data(Some(Bytes::from_static(b"own")));
        let full = said
            .clone()
            .with_owned_partitions(vec![
                Owned::default()
                    .with_topic(TopicName(name("lines")))
                    .with_partitions(vec![0, 2]),
            ])
            .with_generation_id(7)
            .with_rack_id(Some(name("rack")));
        for version in 0..=3 {
            let mut bytes = BytesMut::new();
            bytes.put_i16(version);
            let written = if version == 0 { &said } else { &full };
            written.encode(&mut bytes, version).unwrap();
            let read = Subscription::read(&bytes).unwrap();
            assert_eq!(read.topics, BTreeSet::from([name("lines"), name("rows")]));
            let owned = BTreeSet::from([(name("lines"), 0), (name("lines"), 2)]);
            assert_eq!(read.owned, if version == 0 { BTreeSet::new() } else { owned });
            assert_eq!(read.rack_id, (version == 3).then(|| name("rack")));
            // Without its last fields, as some clients write it, nothing more is said.
            let short = &bytes[..2 + 4 + 7 + 6 + 4 + 3];
            assert_eq!(Subscription::read(short).unwrap().owned, BTreeSet::new());
            assert_eq!(Subscription::read(&bytes[..10]), None);
        }
    }

    proptest! {
        #[test]
        fn an_assignment_is_what_kafka_reads(
            places in prop::collection::btree_set(("[a-c]{1,3}", 0i32..9), 0..8), version in 0i16..=3,
        ) {
            let places: BTreeSet<TopicPartition> =
                places.into_iter().map(|(topic, partition)| (name(&topic), partition)).collect();
            let bytes = Assignment::write(version, &places);
            let read = Assignment::read(&bytes).unwrap();
            prop_assert_eq!(&read.places, &places);
            prop_assert!(!read.has_user_data);
            let mut rest = bytes.slice(2..);
            let kafkas = ConsumerProtocolAssignment::decode(&mut rest, version).unwrap();
            let count: usize = kafkas.assigned_partitions.iter().map(|topic| topic.partitions.len()).sum();
            prop_assert_eq!((count, rest.len(), kafkas.user_data), (places.len(), 0, None));
        }

        #[test]
        fn anything_is_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..60)) {
            let _ = Subscription::read(&bytes);
            let _ = Assignment::read(&bytes);
        }
    }
}
