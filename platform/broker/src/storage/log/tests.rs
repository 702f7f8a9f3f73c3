//! A log that is written, cut anywhere, opened again.

use std::fs;

use proptest::prelude::*;

use super::super::batch::tests::Sample;
use super::*;

fn settings() -> LogSettings {
    LogSettings {
        segment_bytes: 1000,
        segment_ms: i64::MAX,
        retention_ms: None,
        retention_bytes: None,
        max_message_bytes: 1_000_000,
        compaction: None,
    }
}

fn open(folder: &Path) -> Log {
    Log::open(folder).unwrap().0
}

/// Appends `count` batches of two records each, a second apart.
fn fill(log: &mut Log, count: i64) {
    for number in 0..count {
        let value = format!("value {number}");
        let batch = Sample::of(&[&value, "second"]).at(number * 1000).encode();
        log.append(&batch, &settings()).unwrap();
    }
}

/// Base offsets of all batches a consumer gets from `offset` on.
fn read_from(log: &Log, mut offset: i64) -> Vec<i64> {
    let mut found = Vec::new();
    while let Some(range) = log.range_at(offset).unwrap() {
        let bytes = range.batches_from(offset, 300).unwrap();
        let mut rest = &bytes[..];
        while !rest.is_empty() {
            let header = BatchHeader::parse_whole(rest).unwrap();
            found.push(header.base_offset);
            offset = header.next_offset();
            rest = &rest[header.size..];
        }
    }
    found
}

fn sync(log: &mut Log) {
    let flush = log.begin_flush(CheckpointWhen::Always).unwrap();
    flush.run().unwrap();
    log.end_flush(&flush);
}

#[test]
fn records_are_read_back_across_segments() {
    let folder = tempfile::tempdir().unwrap();
    let mut log = open(folder.path());
    fill(&mut log, 50);
    assert!(log.segments.len() > 3);
    let all: Vec<i64> = (0..50).map(|batch| batch * 2).collect();
    assert_eq!(read_from(&log, 0), all);
    // The second record of a batch is had with its whole batch.
    assert_eq!(read_from(&log, 61), all[30..]);
    assert!(matches!(log.range_at(101), Err(ReadError::OutOfRange)));
    assert!(log.range_at(100).unwrap().is_none());
}

#[test]
fn a_clean_log_is_the_same_when_opened_again() {
    let folder = tempfile::tempdir().unwrap();
    let mut log = open(folder.path());
    fill(&mut log, 50);
    let numbered = Sample::of(&["x"]).by(4, 0, 0).encode();
    log.append(&numbered, &settings()).unwrap();
    sync(&mut log);
    assert!(!log.needs_flush());
    let (again, recovery) = Log::open(folder.path()).unwrap();
    assert_eq!(recovery, Recovery::default());
    assert!(!again.needs_flush());
    assert_eq!(again.next_offset(), 101);
    assert_eq!(again.producers, log.producers);
    for (one, other) in again.segments.iter().zip(&log.segments) {
        assert_eq!(one.index, other.index);
    }
}

#[test]
fn producers_are_known_again_with_and_without_a_checkpoint() {
    let folder = tempfile::tempdir().unwrap();
    let mut log = open(folder.path());
    for sequence in 0..3 {
        let batch = Sample::of(&["x"]).by(4, 0, sequence).encode();
        log.append(&batch, &settings()).unwrap();
        if sequence == 1 {
            sync(&mut log);
        }
    }
    let repeated = Sample::of(&["x"]).by(4, 0, 1).encode();
    let stored = Appended {
        base_offset: 1,
        duplicate: true,
    };
    let mut again = open(folder.path());
    assert_eq!(again.producers, log.producers);
    assert_eq!(again.append(&repeated, &settings()).unwrap(), stored);
    fs::remove_file(folder.path().join("checkpoint.json")).unwrap();
    let mut again = open(folder.path());
    assert_eq!(again.append(&repeated, &settings()).unwrap(), stored);
    let gap = Sample::of(&["x"]).by(4, 0, 9).encode();
    let refused = again.append(&gap, &settings());
    assert!(matches!(refused, Err(AppendError::OutOfOrder)));
}

#[test]
fn old_segments_go_by_time() {
    let folder = tempfile::tempdir().unwrap();
    let mut log = open(folder.path());
    fill(&mut log, 50);
    let keep = LogSettings {
        retention_ms: Some(20_000),
        ..settings()
    };
    assert!(log.apply_retention(50_000, &keep).unwrap() > 0);
    let first = read_from(&log, log.start_offset())[0];
    assert_eq!(first, log.start_offset());
    assert!((30..=60).contains(&first), "{first}");
    // In the end even the segment being written goes, and the offsets go on.
    log.apply_retention(1_000_000, &keep).unwrap();
    assert_eq!((log.start_offset(), log.next_offset()), (100, 100));
    let again = open(folder.path());
    assert_eq!((again.start_offset(), again.next_offset()), (100, 100));
}

#[test]
fn old_segments_go_by_size() {
    let folder = tempfile::tempdir().unwrap();
    let mut log = open(folder.path());
    fill(&mut log, 50);
    let keep = LogSettings {
        retention_bytes: Some(2500),
        ..settings()
    };
    log.apply_retention(0, &keep).unwrap();
    assert!((2500..3500).contains(&log.size()), "{}", log.size());
    assert_eq!(log.apply_retention(0, &keep).unwrap(), 0);
}

#[test]
fn deleted_records_stay_deleted() {
    let folder = tempfile::tempdir().unwrap();
    let mut log = open(folder.path());
    fill(&mut log, 50);
    assert_eq!(log.delete_before(31).unwrap(), 31);
    assert!(matches!(log.range_at(30), Err(ReadError::OutOfRange)));
    let again = open(folder.path());
    assert_eq!(again.start_offset(), 31);
    assert_eq!(read_from(&again, 31)[0], 30);
}

#[test]
fn a_segment_is_not_written_to_for_ever() {
    let folder = tempfile::tempdir().unwrap();
    let mut log = open(folder.path());
    let weekly = LogSettings {
        segment_bytes: u64::MAX,
        segment_ms: 10_000,
        ..settings()
    };
    for second in 0..25 {
        let batch = Sample::of(&["x"]).at(second * 1000).encode();
        log.append(&batch, &weekly).unwrap();
    }
    let bases: Vec<i64> = log.segments.iter().map(|segment| segment.base_offset).collect();
    assert_eq!(bases, [0, 11, 22]);
}

#[test]
fn times_are_found() {
    let folder = tempfile::tempdir().unwrap();
    let mut log = open(folder.path());
    fill(&mut log, 50);
    let find = |timestamp| {
        log.ranges_since(timestamp)
            .unwrap()
            .iter()
            .find_map(|range| range.first_at(timestamp, 0).unwrap())
    };
    assert_eq!(find(0), Some((0, 0)));
    assert_eq!(find(30_000), Some((30_000, 60)));
    assert_eq!(find(30_001), Some((30_001, 61)));
    assert_eq!(find(30_002), Some((31_000, 62)));
    assert_eq!(find(49_002), None);
    assert_eq!(log.max_timestamp(), Some(49_001));
}

#[test]
fn damage_in_the_middle_cuts_everything_behind_it() {
    let folder = tempfile::tempdir().unwrap();
    let mut log = open(folder.path());
    fill(&mut log, 50);
    sync(&mut log);
    let second = segment::list(folder.path()).unwrap().swap_remove(1).1;
    fs::remove_file(second.with_extension("index")).unwrap();
    let (base, path) = segment::list(folder.path()).unwrap().swap_remove(1);
    let mut bytes = fs::read(&path).unwrap();
    bytes[500] ^= 1;
    fs::write(&path, bytes).unwrap();
    let (again, recovery) = Log::open(folder.path()).unwrap();
    assert!(recovery.cut_bytes > 0 && recovery.set_aside > 0);
    let found = read_from(&again, 0);
    assert!(found.contains(&base) && found.len() < 50);
    let expected: Vec<i64> = (0..found.len() as i64).map(|batch| batch * 2).collect();
    assert_eq!(found, expected);
    // It is filled up again past the names of what was set aside, and the old indexes are not believed.
    let mut again = again;
    fill(&mut again, 50);
    sync(&mut again);
    let written = read_from(&again, 0);
    assert_eq!(read_from(&open(folder.path()), 0), written);
    assert_eq!(written.len(), found.len() + 50);
}

#[test]
fn a_batch_over_the_limit_is_refused_and_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let mut log = open(folder.path());
    let small = LogSettings {
        max_message_bytes: 100,
        ..settings()
    };
    let batch = Sample::of(&["x".repeat(100).as_str()]).encode();
    let refused = log.append(&batch, &small);
    assert!(matches!(refused, Err(AppendError::TooLarge { limit: 100, .. })));
    assert_eq!(log.next_offset(), 0);
}

const COMPACTION: CompactionSettings = CompactionSettings {
    min_dirty_ratio: 0.5,
    min_lag_ms: 0,
    tombstone_ms: 10_000,
};

fn compact(log: &mut Log, now_ms: i64) -> bool {
    let Some(compaction) = log.begin_compaction(now_ms, &COMPACTION).unwrap() else {
        return false;
    };
    let compacted = compaction.run().unwrap();
    log.end_compaction(compacted).unwrap();
    true
}

/// The records a consumer sees: offset, key, and whether it is a tombstone.
fn keyed_records(log: &Log) -> Vec<(i64, String, bool)> {
    let mut found = Vec::new();
    let mut offset = log.start_offset();
    while let Some(range) = log.range_at(offset).unwrap() {
        let bytes = range.batches_from(offset, 10_000).unwrap();
        if bytes.is_empty() {
            offset = range.next_offset;
        }
        let mut rest = &bytes[..];
        while !rest.is_empty() {
            let header = BatchHeader::parse_whole(rest).unwrap();
            for record in super::super::batch::records(&header, rest).unwrap() {
                let key = String::from_utf8(record.key.unwrap().to_vec()).unwrap();
                found.push((record.offset, key, record.is_tombstone));
            }
            offset = header.next_offset();
            rest = &rest[header.size..];
        }
    }
    found
}

#[test]
fn compaction_keeps_the_last_record_of_each_key() {
    let folder = tempfile::tempdir().unwrap();
    let mut log = open(folder.path());
    for number in 0..100 {
        let value = if number == 41 { "" } else { "value" };
        let batch = Sample::of(&[value])
            .keyed(&format!("key {}", number % 5))
            .at(number)
            .encode();
        log.append(&batch, &settings()).unwrap();
    }
    // A key that is written once, in the beginning, stays; one that was deleted goes in the end.
    let closed_to = log.active().base_offset;
    assert!(closed_to > 50);
    assert!(compact(&mut log, 100));
    let left = keyed_records(&log);
    assert!(left.len() < 5 + (100 - closed_to) as usize + 1, "{}", left.len());
    for key in 0..5 {
        let name = format!("key {key}");
        let last = left.iter().rev().find(|(_, found, _)| *found == name).unwrap();
        assert_eq!(last.0, 95 + key);
        let closed = left
            .iter()
            .filter(|(offset, found, _)| *found == name && *offset < closed_to);
        assert!(closed.count() <= 1);
    }
    assert!(!compact(&mut log, 100), "nothing new to compact");
    // Every offset can still be asked for.
    for offset in log.start_offset()..=log.next_offset() {
        log.range_at(offset).unwrap();
    }
    sync(&mut log);
    let (again, recovery) = Log::open(folder.path()).unwrap();
    assert_eq!(recovery, Recovery::default());
    assert_eq!(again.next_offset(), 100);
    assert_eq!(keyed_records(&again), left);
    // Without the written indexes it is the same.
    for (_, path) in segment::list(folder.path()).unwrap() {
        let _ = fs::remove_file(path.with_extension("index"));
    }
    assert_eq!(keyed_records(&open(folder.path())), left);
}

#[test]
fn tombstones_stay_for_a_while() {
    let folder = tempfile::tempdir().unwrap();
    let mut log = open(folder.path());
    let write = |log: &mut Log, key: &str, value: &str| {
        let batch = Sample::of(&[value]).keyed(key).at(1000).encode();
        log.append(&batch, &settings()).unwrap();
    };
    write(&mut log, "gone", "value");
    write(&mut log, "gone", "");
    for number in 0..30 {
        write(&mut log, &format!("other {number}"), "value");
    }
    assert!(compact(&mut log, 2000));
    let gone = |log: &Log| keyed_records(log).into_iter().find(|(_, key, _)| key == "gone");
    assert_eq!(gone(&log), Some((1, "gone".to_owned(), true)));
    for number in 0..60 {
        write(&mut log, &format!("more {number}"), "value");
    }
    assert!(compact(&mut log, 20_000));
    assert_eq!(gone(&log), None);
    assert_eq!(keyed_records(&log).len(), 90);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn cut_anywhere_a_prefix_of_whole_batches_survives(
        batches in 1i64..30,
        synced in 0i64..30,
        cut in any::<prop::sample::Index>(),
    ) {
        let folder = tempfile::tempdir().unwrap();
        let mut log = open(folder.path());
        let mut whole = settings();
        whole.segment_bytes = 1_000_000;
        for number in 0..batches {
            let batch = Sample::of(&["value"]).at(number).by(3, 0, number as i32).encode();
            log.append(&batch, &whole).unwrap();
            if number == synced {
                sync(&mut log);
            }
        }
        let size = log.size();
        drop(log);
        let path = segment::list(folder.path()).unwrap().swap_remove(0).1;
        let cut = cut.index(size as usize + 1) as u64;
        fs::OpenOptions::new().write(true).open(&path).unwrap().set_len(cut).unwrap();

        let (mut again, recovery) = Log::open(folder.path()).unwrap();
        let batch_size = size / batches as u64;
        let kept = (cut / batch_size) as i64;
        prop_assert_eq!(recovery.cut_bytes, cut % batch_size);
        prop_assert_eq!(again.next_offset(), kept);
        prop_assert_eq!(read_from(&again, 0), (0..kept).collect::<Vec<_>>());
        // And it goes on where it was cut, also for the producer.
        let next = Sample::of(&["value"]).by(3, 0, kept as i32).encode();
        prop_assert_eq!(again.append(&next, &whole).unwrap().base_offset, kept);
        prop_assert_eq!(again.append(&next, &whole).unwrap().base_offset, kept);
        prop_assert_eq!(again.next_offset(), kept + 1);
    }

    #[test]
    fn every_batch_is_read_from_anywhere(
        sizes in proptest::collection::vec(1usize..30_000, 1..30),
        start in any::<prop::sample::Index>(),
        max_bytes in 1usize..40_000,
    ) {
        let folder = tempfile::tempdir().unwrap();
        let mut log = open(folder.path());
        let big = LogSettings { segment_bytes: 60_000, ..settings() };
        for size in &sizes {
            let value = "x".repeat(*size);
            log.append(&Sample::of(&[&value]).encode(), &big).unwrap();
        }
        let mut offset = start.index(sizes.len()) as i64;
        while let Some(range) = log.range_at(offset).unwrap() {
            let bytes = range.batches_from(offset, max_bytes).unwrap();
            let first = BatchHeader::parse_whole(&bytes).unwrap();
            prop_assert_eq!(first.base_offset, offset);
            prop_assert!(bytes.len() <= max_bytes.max(first.size));
            let mut rest = &bytes[..];
            while !rest.is_empty() {
                let header = BatchHeader::parse_whole(rest).unwrap();
                prop_assert_eq!(header.base_offset, offset);
                offset = header.next_offset();
                rest = &rest[header.size..];
            }
        }
        prop_assert_eq!(offset, sizes.len() as i64);
    }
}
