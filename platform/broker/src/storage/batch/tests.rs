//! Batches as producers send them, and what becomes of those that nobody could read.

use super::acceptance::{AcceptanceSettings, Accepted, RecordTime, Refusal, Target, accept};
use super::records::{Record, Records, first_record_at, placeholders, with_records};
use super::*;
use proptest::prelude::*;

/// What a test wants in a batch; the rest is fixed.
#[derive(Debug, Clone)]
pub(crate) struct Sample {
    pub(crate) key: Option<String>,
    pub(crate) values: Vec<Vec<u8>>,
    pub(crate) timestamp: i64,
    pub(crate) producer: Option<(i64, i16, i32)>,
    pub(crate) compression: Compression,
}

/// A batch as the producer of a transaction would send it.
pub(crate) fn transactional(mut batch: Vec<u8>) -> Vec<u8> {
    let attributes = i16::from_be_bytes([batch[21], batch[22]]) | TRANSACTIONAL;
    batch[21..23].copy_from_slice(&attributes.to_be_bytes());
    super::records::put_checksum(&mut batch);
    batch
}

impl Sample {
    pub(crate) fn of(values: &[&str]) -> Self {
        Self {
            values: values.iter().map(|value| value.as_bytes().to_vec()).collect(),
            key: None,
            timestamp: 1_000,
            producer: None,
            compression: Compression::None,
        }
    }

    /// All records get this key; an empty value becomes a tombstone then.
    pub(crate) fn keyed(mut self, key: &str) -> Self {
        self.key = Some(key.to_owned());
        self
    }

    pub(crate) fn at(mut self, timestamp: i64) -> Self {
        self.timestamp = timestamp;
        self
    }

    pub(crate) fn by(mut self, id: i64, epoch: i16, sequence: i32) -> Self {
        self.producer = Some((id, epoch, sequence));
        self
    }

    pub(crate) fn compressed(mut self, codec: Compression) -> Self {
        self.compression = codec;
        self
    }

    /// The batch as a producer would send it: base offset 0, one millisecond between records.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut records = Vec::new();
        for (position, value) in self.values.iter().enumerate() {
            let mut record = vec![0];
            put_varint(&mut record, position as i64);
            put_varint(&mut record, position as i64);
            match &self.key {
                Some(key) => {
                    put_varint(&mut record, key.len() as i64);
                    record.extend_from_slice(key.as_bytes());
                }
                None => put_varint(&mut record, -1),
            }
            if self.key.is_some() && value.is_empty() {
                put_varint(&mut record, -1);
            } else {
                put_varint(&mut record, value.len() as i64);
                record.extend_from_slice(value);
            }
            put_varint(&mut record, 0);
            put_varint(&mut records, record.len() as i64);
            records.extend_from_slice(&record);
        }
        let (id, epoch, sequence) = self.producer.unwrap_or((-1, -1, -1));
        let count = self.values.len() as i32;
        let mut checked = Vec::new();
        checked.extend_from_slice(&self.compression.number().to_be_bytes());
        checked.extend_from_slice(&(count - 1).to_be_bytes());
        checked.extend_from_slice(&self.timestamp.to_be_bytes());
        checked.extend_from_slice(&(self.timestamp + i64::from(count) - 1).to_be_bytes());
        checked.extend_from_slice(&id.to_be_bytes());
        checked.extend_from_slice(&epoch.to_be_bytes());
        checked.extend_from_slice(&sequence.to_be_bytes());
        checked.extend_from_slice(&count.to_be_bytes());
        checked.extend_from_slice(&self.compression.compress_at(&records, None).unwrap());
        let mut batch = Vec::new();
        batch.extend_from_slice(&0i64.to_be_bytes());
        batch.extend_from_slice(&((9 + checked.len()) as i32).to_be_bytes());
        batch.extend_from_slice(&(-1i32).to_be_bytes());
        batch.push(2);
        batch.extend_from_slice(&crc32c::crc32c(&checked).to_be_bytes());
        batch.extend_from_slice(&checked);
        batch
    }
}

fn put_varint(bytes: &mut Vec<u8>, value: i64) {
    let mut rest = ((value << 1) ^ (value >> 63)) as u64;
    while rest >= 0x80 {
        bytes.push((rest as u8) | 0x80);
        rest >>= 7;
    }
    bytes.push(rest as u8);
}

#[test]
fn a_batch_survives_the_round_trip() {
    let bytes = Sample::of(&["a", "bc"]).by(7, 1, 40).encode();
    let header = BatchHeader::parse_produced(&bytes).unwrap();
    assert_eq!(header.size, bytes.len());
    assert_eq!((header.record_count, header.last_sequence()), (2, 41));
    assert_eq!(header.next_offset(), 2);
}

#[test]
fn a_flipped_bit_is_a_wrong_checksum() {
    let mut bytes = Sample::of(&["value"]).encode();
    *bytes.last_mut().unwrap() ^= 1;
    assert_eq!(BatchHeader::parse_produced(&bytes), Err(BatchFault::Checksum));
}

#[test]
fn sequences_wrap_to_zero() {
    assert_eq!(add_sequence(i32::MAX, 1), 0);
    assert_eq!(add_sequence(i32::MAX - 1, 3), 1);
}

const CODECS: [Compression; 5] = [
    Compression::None,
    Compression::Gzip,
    Compression::Snappy,
    Compression::Lz4,
    Compression::Zstd,
];

const TAKES_ANYTHING: AcceptanceSettings = AcceptanceSettings {
    max_message_bytes: 1 << 20,
    compression: None,
    time: RecordTime::Create {
        max_before_ms: i64::MAX,
        max_after_ms: i64::MAX,
    },
    keys_required: false,
};

fn all<'a>(records: &'a Records<'_>) -> Vec<Record<'a>> {
    records.iter().collect::<Result<_, _>>().unwrap()
}

/// The batch with its attributes, record count or sequence changed, and a right checksum.
fn changed(batch: &[u8], at: usize, bytes: &[u8]) -> Vec<u8> {
    let mut batch = batch.to_vec();
    batch[at..at + bytes.len()].copy_from_slice(bytes);
    records::put_checksum(&mut batch);
    batch
}

#[test]
fn a_record_is_found_by_its_timestamp_however_it_is_compressed() {
    for codec in CODECS {
        let bytes = Sample::of(&["a", "b", "c"]).at(100).compressed(codec).encode();
        let header = BatchHeader::parse(&bytes).unwrap();
        let find = |timestamp, start| first_record_at(&header, &bytes, timestamp, start).unwrap();
        assert_eq!(find(101, 0), Some((101, 1)), "{codec:?}");
        assert_eq!(find(0, 0), Some((100, 0)));
        assert_eq!(find(0, 2), Some((102, 2)));
        assert_eq!(find(103, 0), None);
    }
}

#[test]
fn a_batch_can_lose_records_however_it_is_compressed() {
    for codec in CODECS {
        let bytes = Sample::of(&["a", "b", "c"])
            .keyed("key")
            .at(100)
            .by(7, 0, 5)
            .compressed(codec)
            .encode();
        let header = BatchHeader::parse(&bytes).unwrap();
        let records = Records::of(&header, &bytes).unwrap();
        let all = all(&records);
        assert_eq!(all[1].key, Some(b"key".as_slice()));
        let kept = all.iter().copied().filter(|record| record.offset != 2);
        let kept = with_records(&header, &bytes, kept).unwrap();
        let thinned = BatchHeader::parse_whole(&kept).unwrap();
        assert_eq!((thinned.record_count, thinned.last_offset_delta), (2, 2));
        assert_eq!((thinned.producer_id, thinned.base_sequence), (7, 5));
        assert_eq!((thinned.compression(), thinned.max_timestamp), (Ok(codec), 101));
        let records = Records::of(&thinned, &kept).unwrap();
        let offsets = records.iter().map(|record| record.unwrap().offset);
        assert_eq!(offsets.collect::<Vec<_>>(), [0, 1]);
        let empty = with_records(&header, &bytes, std::iter::empty()).unwrap();
        let empty_header = BatchHeader::parse_whole(&empty).unwrap();
        assert_eq!(
            (
                empty_header.record_count,
                empty_header.size,
                empty_header.next_offset()
            ),
            (0, HEADER_LEN, 3)
        );
        assert_eq!(Records::of(&empty_header, &empty).unwrap().iter().count(), 0);
    }
}

#[test]
fn placeholders_follow_on() {
    let far = i64::from(i32::MAX) * 2 + 50;
    let bytes = placeholders(10, far);
    let (mut at, mut next) = (0, 10);
    while at < bytes.len() {
        let header = BatchHeader::parse_whole(&bytes[at..]).unwrap();
        assert_eq!((header.base_offset, header.record_count), (next, 0));
        (at, next) = (at + header.size, header.next_offset());
    }
    assert_eq!(next, far);
}

#[test]
fn what_consumers_could_not_read_is_refused() {
    let plain = Sample::of(&["a", "b"]).by(7, 0, 0).encode();
    let gzip = Sample::of(&["a", "b"]).compressed(Compression::Gzip).encode();
    let fault = |bytes: &[u8]| match accept(bytes, 0, &TAKES_ANYTHING) {
        Err(Refusal::Batch(fault)) => fault,
        other => panic!("{other:?}"),
    };
    assert_eq!(
        fault(&changed(&plain, 21, &7i16.to_be_bytes())),
        BatchFault::Codec(7)
    );
    assert_eq!(
        fault(&changed(&gzip, 80, b"garbage")),
        BatchFault::Compressed(Compression::Gzip)
    );
    assert_eq!(
        fault(&changed(&plain, 21, &1i16.to_be_bytes())),
        BatchFault::Compressed(Compression::Gzip)
    );
    // As many records as there are numbers, and the offsets to match.
    let many = changed(&plain, 23, &(i32::MAX - 1).to_be_bytes());
    assert_eq!(
        fault(&changed(&many, 57, &i32::MAX.to_be_bytes())),
        BatchFault::Record
    );
    // One record fewer than there are.
    let fewer = changed(&plain, 23, &0i32.to_be_bytes());
    assert_eq!(
        fault(&changed(&fewer, 57, &1i32.to_be_bytes())),
        BatchFault::Record
    );
    assert_eq!(
        fault(&changed(&plain, 53, &(-1i32).to_be_bytes())),
        BatchFault::Sequence
    );
    assert_eq!(fault(&[&plain[..], &plain].concat()), BatchFault::Several);
}

#[test]
fn a_wrong_largest_timestamp_is_put_right() {
    let bytes = changed(
        &Sample::of(&["a", "b"]).at(100).encode(),
        35,
        &9_999i64.to_be_bytes(),
    );
    let accepted = accept(&bytes, 0, &TAKES_ANYTHING).unwrap();
    assert_eq!(
        BatchHeader::parse_whole(&accepted.bytes).unwrap(),
        accepted.header
    );
    assert_eq!(accepted.header.max_timestamp, 101);
}

#[test]
fn the_broker_can_give_the_time() {
    let settings = AcceptanceSettings {
        time: RecordTime::Append,
        ..TAKES_ANYTHING
    };
    for codec in CODECS {
        let bytes = Sample::of(&["a", "b"]).at(100).compressed(codec).encode();
        let accepted = accept(&bytes, 5_000, &settings).unwrap();
        assert_eq!(accepted.append_time, Some(5_000));
        let header = BatchHeader::parse_whole(&accepted.bytes).unwrap();
        let records = Records::of(&header, &accepted.bytes).unwrap();
        let times = records.iter().map(|record| record.unwrap().timestamp);
        assert_eq!(times.collect::<Vec<_>>(), [5_000, 5_000]);
    }
}

#[test]
fn a_batch_is_compressed_as_the_topic_asks() {
    for (from, to) in CODECS.into_iter().zip(CODECS.into_iter().rev()) {
        let settings = AcceptanceSettings {
            compression: Some(Target::of(to, None)),
            ..TAKES_ANYTHING
        };
        let values: Vec<String> = (0..50).map(|value| format!("value {value}")).collect();
        let values: Vec<&str> = values.iter().map(String::as_str).collect();
        let bytes = Sample::of(&values).by(4, 0, 9).compressed(from).encode();
        let accepted: Accepted<'_> = accept(&bytes, 0, &settings).unwrap();
        let header = BatchHeader::parse_produced(&accepted.bytes).unwrap();
        assert_eq!((header.compression(), header.base_sequence), (Ok(to), 9));
        let (before, after) = (
            Records::of(&BatchHeader::parse(&bytes).unwrap(), &bytes).unwrap(),
            Records::of(&header, &accepted.bytes).unwrap(),
        );
        assert_eq!(all(&before), all(&after));
    }
}

#[test]
fn records_a_topic_does_not_take_are_named() {
    let compacted = AcceptanceSettings {
        keys_required: true,
        ..TAKES_ANYTHING
    };
    let bytes = Sample::of(&["a", "b"]).encode();
    let refused = accept(&bytes, 0, &compacted).unwrap_err();
    assert_eq!(refused, Refusal::NoKey { records: vec![0, 1] });
    let punctual = AcceptanceSettings {
        time: RecordTime::Create {
            max_before_ms: i64::MAX,
            max_after_ms: 1_000,
        },
        ..TAKES_ANYTHING
    };
    let bytes = Sample::of(&["a", "b"]).at(6_000).encode();
    let refused = accept(&bytes, 5_000, &punctual).unwrap_err();
    assert_eq!(refused, Refusal::Time { records: vec![1] });
}

proptest! {
    #[test]
    fn random_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        if let Ok(header) = BatchHeader::parse(&bytes) {
            let _ = (header.last_offset(), header.next_offset(), header.last_sequence());
            let _ = first_record_at(&header, &bytes, 0, 0);
        }
        let _ = accept(&bytes, 0, &TAKES_ANYTHING);
    }

    #[test]
    fn damaged_records_never_panic(cut in 0usize..100, flip in 61usize..100) {
        let mut bytes = Sample::of(&["some value", "another value", "a third"]).encode();
        let flip = flip.min(bytes.len() - 1);
        bytes[flip] ^= 0xff;
        let header = BatchHeader::parse(&bytes).unwrap();
        let _ = first_record_at(&header, &bytes[..bytes.len() - cut.min(bytes.len())], i64::MAX, 0);
    }
}
