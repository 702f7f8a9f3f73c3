//! Decoding a request without believing the lengths in it.
//!
//! The decoder sets memory aside for as many elements as a list claims to have, so four bytes of a hostile frame could
//! ask for hundreds of gigabytes. Here it reads the body through a buffer that knows how much is left, and that ends the
//! decoding at a length which cannot be. No second description of the requests is needed for that: in the newer
//! versions only lengths are variable-length integers. In the older ones a length is a number like any other, so a
//! large number is first shown as one that no list can have; when the body can be decoded like that, none of them was a
//! list's, and it is decoded once more as it stands. What was passed over as records must be read as just those then.

use bytes::{Buf, Bytes, TryGetError};
use kafka_protocol::messages::ApiKey;
use kafka_protocol::protocol::Request;
use kafka_protocol::protocol::buf::ByteBuf;

/// No list, text or blob is longer, except for the records that are produced.
const MAX_LENGTH: usize = 1024 * 1024;
/// More fields than this are in no honest request.
const MAX_FIELDS: usize = 1_000_000;
/// A list that claims no more than this costs nothing to speak of.
const HARMLESS: usize = 256;
/// What stands for a large number while it is not known what it is: as a length it is refused.
const NO_LENGTH: i32 = i32::MIN;
/// Bytes of a variable-length integer at most.
const MAX_VARINT: usize = 5;

/// Decodes a request's body; takes no more memory than a small multiple of its size. On failure says why.
pub(super) fn decode<Q: Request>(body: &Bytes, version: i16) -> Result<Q, String> {
    let decode = |hides: bool| {
        let mut bounded = Bounded {
            bytes: body.clone(),
            fields: 0,
            // Requests with the newer header have variable-length lengths.
            flexible: Q::header_version(version) >= 2,
            takes_records: Q::KEY == ApiKey::Produce as i16,
            within_varint: 0,
            hides,
            has_hidden: false,
            records: None,
            is_other: false,
        };
        // Some of the decoder's texts end in a line break.
        let request =
            Q::decode(&mut bounded, version).map_err(|error| error.to_string().trim_end().to_owned())?;
        if bounded.is_other || bounded.records.is_some() {
            return Err("a number that is no length stands in front of what looks like records".to_owned());
        }
        Ok((request, bounded.has_hidden))
    };
    let (request, has_hidden) = decode(true)?;
    if !has_hidden {
        return Ok(request);
    }
    drop(request);
    Ok(decode(false)?.0)
}

/// What is left of a body, with an eye on its lengths.
#[derive(Debug)]
struct Bounded {
    bytes: Bytes,
    /// Fields read so far.
    fields: usize,
    flexible: bool,
    takes_records: bool,
    /// Bytes left of a variable-length integer that was looked at as a whole.
    within_varint: usize,
    /// Whether numbers that can be no list's length are kept from the decoder, and records with them.
    hides: bool,
    /// Whether anything was not shown as it is.
    has_hidden: bool,
    /// Bytes of the records whose length was shown, which have to be read next, and as a whole.
    records: Option<usize>,
    /// Whether they were read as something else: then everything behind them is, too.
    is_other: bool,
}

impl Bounded {
    fn is_possible(&self, length: usize, left: usize) -> bool {
        length <= HARMLESS || length <= left.min(MAX_LENGTH)
    }

    /// Whether so many bytes behind a length can be produced records, which have no such bound.
    fn are_records(&self, length: usize, rest: &[u8]) -> bool {
        let mut batch_length = rest.get(8..).unwrap_or_default();
        // Batches come one at a time, and say themselves how long they are.
        let claimed = batch_length.try_get_i32().ok();
        let claimed = claimed.and_then(|claimed| usize::try_from(claimed).ok()?.checked_add(12));
        self.takes_records && length <= rest.len() && claimed == Some(length)
    }

    /// Passes bytes that are not the records waited for.
    fn pass(&mut self, count: usize) {
        self.bytes.advance(count);
        self.fields += 1;
        self.within_varint = 0;
    }

    /// The variable-length integer that begins here, and its size.
    fn varint(&self) -> Option<(u64, usize)> {
        let mut value = 0;
        for (position, byte) in self.bytes.iter().take(MAX_VARINT).enumerate() {
            value |= u64::from(byte & 0x7f) << (7 * position);
            if byte & 0x80 == 0 {
                return Some((value, position + 1));
            }
        }
        None
    }
}

impl Buf for Bounded {
    fn remaining(&self) -> usize {
        if self.fields < MAX_FIELDS && !self.is_other {
            self.bytes.len()
        } else {
            0
        }
    }

    fn chunk(&self) -> &[u8] {
        &self.bytes[..self.remaining()]
    }

    fn advance(&mut self, count: usize) {
        self.is_other |= self.records.take().is_some_and(|records| records != count);
        self.pass(count);
    }

    /// A byte of a variable-length integer, or a boolean, which has no more than one.
    fn try_get_u8(&mut self) -> Result<u8, TryGetError> {
        let available = self.remaining();
        let Some(byte) = self.chunk().first().copied() else {
            return Err(TryGetError {
                requested: 1,
                available,
            });
        };
        let within = self.within_varint;
        if within == 0 && self.flexible && byte & 0x80 != 0 {
            let refused = |requested| TryGetError { requested, available };
            let (value, size) = self.varint().ok_or(refused(usize::MAX))?;
            // One more than the length, for nothing is told from none.
            let length = usize::try_from(value).map_or(usize::MAX, |value| value.saturating_sub(1));
            let rest = &self.bytes[size..];
            let are_records = length > MAX_LENGTH && self.are_records(length, rest);
            if are_records && self.hides {
                self.advance(size + length);
                self.has_hidden = true;
                return Ok(0);
            }
            if !are_records && !self.is_possible(length, rest.len()) {
                return Err(refused(length));
            }
            self.advance(1);
            self.within_varint = size - 1;
            self.records = are_records.then_some(length);
            return Ok(byte);
        }
        if within > 0 {
            self.pass(1);
        } else {
            self.advance(1);
        }
        self.within_varint = within.saturating_sub(1);
        Ok(byte)
    }

    fn try_get_i32(&mut self) -> Result<i32, TryGetError> {
        let value = self.chunk().try_get_i32()?;
        self.advance(4);
        let length = usize::try_from(value).unwrap_or(0);
        if self.flexible || self.is_possible(length, self.bytes.len()) {
            return Ok(value);
        }
        let are_records = self.are_records(length, &self.bytes);
        if !self.hides {
            self.records = are_records.then_some(length);
            return Ok(value);
        }
        self.has_hidden = true;
        if are_records {
            self.advance(length);
            return Ok(-1);
        }
        Ok(NO_LENGTH)
    }
}

impl ByteBuf for Bounded {
    fn peek_bytes(&mut self, range: std::ops::Range<usize>) -> Bytes {
        self.bytes.slice(range)
    }

    fn get_bytes(&mut self, size: usize) -> Bytes {
        let taken = self.bytes.slice(..size);
        self.advance(size);
        taken
    }
}

#[cfg(test)]
mod tests {
    use bytes::{BufMut, BytesMut};
    use kafka_protocol::messages::fetch_request::{FetchPartition, FetchTopic};
    use kafka_protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
    use kafka_protocol::messages::{FetchRequest, MetadataRequest, ProduceRequest};

    use super::*;

    /// The body of a request with a list that claims to have so many elements.
    fn claiming(elements: i32, rest: usize) -> Bytes {
        let mut body = BytesMut::new();
        body.put_i32(elements);
        body.put_bytes(0, rest);
        body.freeze()
    }

    fn body<Q: Request>(request: &Q, version: i16) -> Bytes {
        let mut body = BytesMut::new();
        request.encode(&mut body, version).unwrap();
        body.freeze()
    }

    #[test]
    fn a_list_must_have_room_for_the_elements_it_claims() {
        for claimed in [1_000, 1 << 24, i32::MAX, -2] {
            assert!(decode::<MetadataRequest>(&claiming(claimed, 500), 0).is_err());
        }
        // Null, the empty list, and one that is there.
        let topics = |count, rest| {
            let found = decode::<MetadataRequest>(&claiming(count, rest), 3).unwrap();
            found.topics.map(|topics| topics.len())
        };
        assert_eq!(topics(-1, 0), None);
        assert_eq!(topics(0, 0), Some(0));
        assert_eq!(topics(400, 800), Some(400));
    }

    #[test]
    fn a_compact_list_must_have_room_for_the_elements_it_claims() {
        for claimed in [
            &[0xe9, 0x07][..], // a thousand
            &[0xff, 0xff, 0xff, 0x7f],
            &[0xff, 0xff, 0xff, 0xff, 0x0f],
            &[0x80, 0x80, 0x80, 0x80, 0x80, 0x0f], // longer than any
        ] {
            let mut body = BytesMut::from(claimed);
            body.put_bytes(0, 500);
            assert!(decode::<MetadataRequest>(&body.freeze(), 9).is_err());
        }
    }

    #[test]
    fn there_are_no_more_fields_than_in_an_honest_request() {
        // Texts without content are two bytes each.
        assert!(decode::<MetadataRequest>(&claiming(400_000, 800_000), 0).is_ok());
        assert!(decode::<MetadataRequest>(&claiming(1_040_000, 4_000_000), 0).is_err());
    }

    #[test]
    fn numbers_that_look_like_lengths_are_numbers() {
        let partition = FetchPartition::default()
            .with_fetch_offset(i64::MAX)
            .with_partition_max_bytes(i32::MAX);
        let topic = FetchTopic::default().with_partitions(vec![partition]);
        let request = FetchRequest::default()
            .with_max_wait_ms(2_000_000)
            .with_max_bytes(i32::MAX)
            .with_topics(vec![topic]);
        for version in [4, 11, 12] {
            assert_eq!(decode(&body(&request, version), version), Ok(request.clone()));
        }
    }

    #[test]
    fn what_was_passed_over_as_records_is_read_as_nothing_else() {
        // The number of a partition, which is none of a list, in front of what looks like a batch of that size: with it
        // passed over the body is whole, and as it stands it goes on with a list of any length.
        let length = 3_000_000;
        let mut body = BytesMut::new();
        body.put_i16(-1); // no transactional id
        body.put_i16(-1);
        body.put_i32(1_000);
        body.put_i32(1);
        body.put_i16(1);
        body.put_u8(b't');
        body.put_i32(1);
        body.put_i32(length);
        let batch = body.len();
        body.put_i32(-1); // as it stands: no records, and the end of the request
        body.put_i32(0);
        body.put_i32(length - 12);
        body.put_bytes(0, batch + length as usize - body.len());
        body.put_i32(-1); // no records of the partition
        assert!(decode::<ProduceRequest>(&body.freeze(), 3).is_err());
    }

    #[test]
    fn a_length_shorter_than_a_batch_is_none_of_records() {
        let bounded = Bounded {
            bytes: Bytes::new(),
            fields: 0,
            flexible: false,
            takes_records: true,
            within_varint: 0,
            hides: true,
            has_hidden: false,
            records: None,
            is_other: false,
        };
        for length in 0..12 {
            assert!(!bounded.are_records(length, &[0xff; 64]));
        }
    }

    #[test]
    fn only_records_are_larger_than_any_list() {
        let mut batch = BytesMut::new();
        batch.put_i64(0);
        batch.put_i32(3_000_000);
        batch.put_bytes(7, 3_000_000);
        let produce = |records: Bytes| {
            let partition = PartitionProduceData::default().with_records(Some(records));
            let topic = TopicProduceData::default().with_partition_data(vec![partition]);
            ProduceRequest::default()
                .with_acks(-1)
                .with_timeout_ms(1_500_000)
                .with_topic_data(vec![topic])
        };
        let batch = batch.freeze();
        for version in [3, 8, 9, 12] {
            let request = produce(batch.clone());
            assert_eq!(decode(&body(&request, version), version), Ok(request));
            let nonsense = produce(batch.slice(1..));
            assert!(decode::<ProduceRequest>(&body(&nonsense, version), version).is_err());
        }
    }
}
