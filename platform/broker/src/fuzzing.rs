//! What must hold of requests and of stored bytes, whatever they are, as functions that panic where it does not.
//!
//! For the fuzz targets in `fuzz/`; nothing of this is in a product build.

use std::fs;
use std::path::Path;

use crate::storage::batch::BatchHeader;
use crate::storage::batch::acceptance::{AcceptanceSettings, RecordTime, Target, accept};
use crate::storage::batch::compression::Compression;
use crate::storage::batch::records::{Records, with_records};
use crate::storage::disk::RealDisk;
use crate::storage::journal::Journal;
use crate::storage::log::{Log, LogSettings, Recovery};
use crate::storage::read::ReadError;

pub use crate::server::authentication::fuzzing::sasl_exchange;
pub use crate::server::dispatch::fuzzing::request;

const SETTINGS: LogSettings = LogSettings {
    segment_bytes: 4096,
    segment_ms: 60_000,
    retention_ms: None,
    retention_bytes: None,
    deletes: true,
    flush_messages: i64::MAX,
    flush_ms: i64::MAX,
    index_interval_bytes: 4096,
    acceptance: AcceptanceSettings {
        max_message_bytes: 1 << 20,
        compression: None,
        time: RecordTime::Create {
            max_before_ms: i64::MAX,
            max_after_ms: i64::MAX,
        },
        keys_required: false,
    },
    compaction: None,
};

/// A batch a producer may send: what is accepted can be read by consumers, taken apart and put together again, and be
/// compressed another way.
pub fn produced_batch(bytes: &[u8]) {
    let mut bytes = bytes.to_vec();
    repair_checksums(&mut bytes);
    let Ok(accepted) = accept(&bytes, 0, &SETTINGS.acceptance) else {
        return;
    };
    let header = BatchHeader::parse_produced(&accepted.bytes).expect("what was accepted is whole");
    let records = Records::of(&header, &accepted.bytes).expect("what was accepted can be read");
    let all = |records: &Records<'_>| -> Vec<(i64, i64, Vec<u8>)> {
        let records = records.iter().map(|record| record.expect("it was checked"));
        records
            .map(|record| (record.offset, record.timestamp, record.encoded.to_vec()))
            .collect()
    };
    let found = all(&records);
    assert_eq!(found.len(), header.record_count as usize);
    let kept = records.iter().map(|record| record.expect("it was checked"));
    let rebuilt = with_records(&header, &accepted.bytes, kept).expect("the records can be written anew");
    let again = BatchHeader::parse_whole(&rebuilt).expect("a rebuilt batch is whole");
    let records = Records::of(&again, &rebuilt).expect("a rebuilt batch can be read");
    assert_eq!(all(&records), found);
    for codec in [Compression::Lz4, Compression::Snappy] {
        let asked = AcceptanceSettings {
            compression: Some(Target::of(codec, None)),
            max_message_bytes: usize::MAX,
            ..SETTINGS.acceptance
        };
        let other = accept(&bytes, 0, &asked).expect("it was accepted before");
        let records = Records::of(&other.header, &other.bytes).expect("it can be read");
        assert_eq!(all(&records), found);
    }
}

/// A segment of any bytes in the empty folder `folder`: what recovery keeps can be read to its end and opened
/// again without further loss, and the log goes on behind it.
pub fn recovered_log(folder: &Path, bytes: &[u8]) {
    let Some((choice, bytes)) = bytes.split_first() else {
        return;
    };
    let mut bytes = bytes.to_vec();
    if choice & 1 == 0 {
        repair_checksums(&mut bytes);
    }
    if choice & 2 == 0 {
        fs::write(folder.join("00000000000000000000.log"), &bytes).expect("the folder can be written");
    } else {
        // A checkpoint, and two segments of which the second need not follow on the first.
        let (checkpoint, segment) = bytes.split_at(bytes.len().min(32));
        fs::write(folder.join("checkpoint.json"), checkpoint).expect("the folder can be written");
        fs::write(folder.join("00000000000000000000.log"), segment).expect("the folder can be written");
        fs::write(folder.join("00000000000000000001.log"), segment).expect("the folder can be written");
    }
    let disk = RealDisk::shared();
    let (log, _) = Log::open(&disk, folder).expect("every log can be opened");
    let (start, end) = (log.start_offset(), log.next_offset());
    read_through(&log);
    drop(log);
    let (mut log, recovery) = Log::open(&disk, folder).expect("a recovered log can be opened");
    assert_eq!(recovery, Recovery::default());
    assert_eq!((log.start_offset(), log.next_offset()), (start, end));
    if end < i64::MAX - 1 {
        let batch = one_record();
        let accepted = accept(&batch, 0, &SETTINGS.acceptance).expect("it is one");
        let appended = log
            .append(&accepted, 0, &SETTINGS)
            .expect("a log can be appended to");
        assert_eq!(appended.base_offset, end);
        read_through(&log);
    }
}

/// Entries of a journal of any bytes at `path`: opened again, the same entries are there.
pub fn recovered_journal(path: &Path, bytes: &[u8]) {
    fs::write(path, bytes).expect("the file can be written");
    let disk = RealDisk::shared();
    let (_, first) = Journal::open(&disk, path).expect("every journal can be opened");
    let (mut journal, second) = Journal::open(&disk, path).expect("a recovered journal can be opened");
    assert_eq!((second.cut_bytes, &second.entries), (0, &first.entries));
    if bytes.is_empty() {
        return;
    }
    journal.append(bytes).expect("a journal can be appended to");
    let (_, third) = Journal::open(&disk, path).expect("an appended journal can be opened");
    assert_eq!(third.entries.last().map(Vec::as_slice), Some(bytes));
}

/// Reads as a consumer does, from the start to the end.
fn read_through(log: &Log) {
    let mut offset = log.start_offset();
    while let Some(range) = log.range_at(offset).expect("the offset lies within the log") {
        let next_offset = range.next_offset;
        let found = match range.batches_from(offset, 512) {
            Ok(found) => found,
            // The checkpoint may call safe what never was.
            Err(ReadError::Damaged { .. }) => return,
            Err(error) => panic!("{error}"),
        };
        let Ok(header) = BatchHeader::parse(&found) else {
            // Only batches without records are left of the segment.
            assert!(next_offset > offset, "a read goes on");
            offset = next_offset;
            continue;
        };
        let _ = Records::of(&header, &found).map(|records| records.iter().count());
        assert!(header.last_offset() >= offset, "a read never goes back");
        offset = header.next_offset();
    }
    assert_eq!(offset, log.next_offset(), "a read ends where the log does");
    if let Some(latest) = log.max_timestamp() {
        for range in log.ranges_since(latest).expect("the log can be searched") {
            match range.first_at(latest, 0) {
                Ok(_) | Err(ReadError::Damaged { .. }) => {}
                Err(error) => panic!("{error}"),
            }
        }
    }
}

/// Gives every batch the checksum of its bytes, which no amount of guessing would find.
fn repair_checksums(bytes: &mut [u8]) {
    let mut at = 0;
    while let Ok(header) = BatchHeader::parse(&bytes[at..]) {
        let Some(end) = at.checked_add(header.size).filter(|end| *end <= bytes.len()) else {
            return;
        };
        let checksum = crc32c::crc32c(&bytes[at + 21..end]);
        bytes[at + 17..at + 21].copy_from_slice(&checksum.to_be_bytes());
        at = end;
    }
}

/// A batch with one record: key `k`, value `v`.
fn one_record() -> Vec<u8> {
    let record = [16, 0, 0, 0, 2, b'k', 2, b'v', 0];
    let mut bytes = Vec::new();
    bytes.extend(0i64.to_be_bytes());
    bytes.extend((49 + record.len() as i32).to_be_bytes());
    bytes.extend(0i32.to_be_bytes());
    bytes.push(2);
    bytes.extend([0; 4]); // the checksum
    bytes.extend(0i16.to_be_bytes());
    bytes.extend(0i32.to_be_bytes());
    bytes.extend(1_000i64.to_be_bytes());
    bytes.extend(1_000i64.to_be_bytes());
    bytes.extend((-1i64).to_be_bytes());
    bytes.extend((-1i16).to_be_bytes());
    bytes.extend((-1i32).to_be_bytes());
    bytes.extend(1i32.to_be_bytes());
    bytes.extend(record);
    repair_checksums(&mut bytes);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn they_hold_for_random_bytes(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let folder = tempfile::tempdir().unwrap();
            produced_batch(&bytes);
            recovered_log(folder.path(), &bytes);
            recovered_journal(&folder.path().join("journal"), &bytes);
            request(&bytes);
        }
    }

    #[test]
    fn they_hold_for_what_the_broker_writes_itself() {
        let folder = tempfile::tempdir().unwrap();
        let batch = one_record();
        assert!(accept(&batch, 0, &SETTINGS.acceptance).is_ok());
        produced_batch(&batch);
        recovered_log(folder.path(), &[&[0], &batch[..], &batch[..]].concat());
        recovered_journal(&folder.path().join("journal"), &batch);
        request(&batch);
    }

    #[test]
    fn the_seeds_of_requests_are_what_they_are_called() {
        let seeds = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fuzz/seeds/broker_request");
        let mut understood = 0;
        for seed in fs::read_dir(seeds).unwrap() {
            let path = seed.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            // The oldest ListOffsets is none of the decoder's.
            let expected = !name.contains("too_many") && name != "list_offsets_0";
            assert_eq!(request(&fs::read(&path).unwrap()), expected, "{name}");
            understood += u32::from(expected);
        }
        assert!(understood > 5);
    }
}
