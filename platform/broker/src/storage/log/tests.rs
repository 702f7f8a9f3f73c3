//! A log that is written, cut anywhere, opened again.
//!
//! Long because each way in which a log can be cut, damaged or rewritten has its test, on the same few helpers.

mod compaction;

use std::fs;

use proptest::prelude::*;

use super::super::batch::acceptance::{RecordTime, accept};
use super::super::batch::compression::Compression;
use super::super::batch::records::Records;
use super::super::batch::tests::Sample;
use super::super::disk::RealDisk;
use super::super::segment;
use super::*;

fn settings() -> LogSettings {
    LogSettings {
        segment_bytes: 1000,
        segment_ms: i64::MAX,
        retention_ms: None,
        retention_bytes: None,
        deletes: true,
        flush_messages: i64::MAX,
        flush_ms: i64::MAX,
        index_interval_bytes: 4096,
        acceptance: AcceptanceSettings {
            max_message_bytes: 1_000_000,
            compression: None,
            time: RecordTime::Create {
                max_before_ms: i64::MAX,
                max_after_ms: i64::MAX,
            },
            keys_required: false,
        },
        compaction: None,
    }
}

/// Accepts and appends a batch, written at the time of its records.
fn append(log: &mut Log, batch: &[u8], settings: &LogSettings) -> Result<Appended, AppendError> {
    let accepted = accept(batch, 0, &settings.acceptance)?;
    log.append(&accepted, accepted.header.max_timestamp, settings)
}

fn delete_before(log: &mut Log, offset: i64) {
    if let Some(deletion) = log.begin_delete(offset) {
        let written = deletion.run().unwrap();
        for segment in log.end_delete(&deletion, &written) {
            segment.remove().unwrap();
        }
    }
}

fn apply_retention(log: &mut Log, now_ms: i64, settings: &LogSettings) {
    let from = log.retained_from(now_ms, settings).unwrap();
    delete_before(log, from);
}

fn open_recovering(folder: &Path) -> (Log, Recovery) {
    Log::open(&RealDisk::shared(), folder).unwrap()
}

fn open(folder: &Path) -> Log {
    open_recovering(folder).0
}

/// Appends `count` batches of two records each, a second apart.
fn fill(log: &mut Log, count: i64) {
    for number in 0..count {
        let value = format!("value {number}");
        let batch = Sample::of(&[&value, "second"]).at(number * 1000).encode();
        append(log, &batch, &settings()).unwrap();
    }
}

/// Base offsets of all batches a consumer gets from `offset` on.
fn read_from(log: &Log, mut offset: i64) -> Vec<i64> {
    let mut found = Vec::new();
    while let Some(range) = log.range_at(offset).unwrap() {
        let bytes = range.batches_from(offset, 300).unwrap();
        if bytes.is_empty() {
            // Nothing but offsets that are not used again.
            offset = range.next_offset;
        }
        let mut rest = &bytes[..];
        while !rest.is_empty() {
            let header = BatchHeader::parse_whole(rest).unwrap();
            if header.record_count > 0 {
                found.push(header.base_offset);
            }
            offset = header.next_offset();
            rest = &rest[header.size..];
        }
    }
    found
}

fn sync(log: &mut Log) {
    let flush = log.begin_flush(CheckpointWhen::Always).unwrap();
    let flushed = flush.run();
    assert!(matches!(flushed, Flushed::Done));
    log.end_flush(&flush, &flushed);
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
    append(&mut log, &numbered, &settings()).unwrap();
    sync(&mut log);
    assert!(!log.needs_flush());
    let (again, recovery) = open_recovering(folder.path());
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
        append(&mut log, &batch, &settings()).unwrap();
        if sequence == 1 {
            sync(&mut log);
        }
    }
    let repeated = Sample::of(&["x"]).by(4, 0, 1).encode();
    let stored = Appended {
        base_offset: 1,
        duplicate: true,
        filled: false,
    };
    let mut again = open(folder.path());
    assert_eq!(again.producers, log.producers);
    assert_eq!(append(&mut again, &repeated, &settings()).unwrap(), stored);
    fs::remove_file(folder.path().join("checkpoint.json")).unwrap();
    let mut again = open(folder.path());
    assert_eq!(append(&mut again, &repeated, &settings()).unwrap(), stored);
    let gap = Sample::of(&["x"]).by(4, 0, 9).encode();
    let refused = append(&mut again, &gap, &settings());
    assert!(matches!(refused, Err(AppendError::OutOfOrder)));
}

#[test]
fn producers_behind_damage_are_known_again() {
    // In a length, in a base offset.
    for at in [8, 7] {
        let folder = tempfile::tempdir().unwrap();
        let mut log = open(folder.path());
        let batch = |producer| Sample::of(&["x"]).by(producer, 0, 0).encode();
        for producer in [4, 5, 6] {
            append(&mut log, &batch(producer), &settings()).unwrap();
        }
        sync(&mut log);
        damage(folder.path(), 0, batch(4).len() + at, 0x40);
        fs::remove_file(folder.path().join("checkpoint.json")).unwrap();
        let again = open(folder.path());
        let known = [4, 5, 6].map(|producer| again.producers.get(producer).is_some());
        assert_eq!(known, [true, false, true], "{at}");
    }
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
    apply_retention(&mut log, 50_000, &keep);
    let first = read_from(&log, log.start_offset())[0];
    assert_eq!(first, log.start_offset());
    assert!((30..=60).contains(&first), "{first}");
    // In the end even the segment being written goes, and the offsets go on.
    apply_retention(&mut log, 1_000_000, &keep);
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
    apply_retention(&mut log, 0, &keep);
    assert!((2500..3500).contains(&log.size()), "{}", log.size());
    let start = log.start_offset();
    apply_retention(&mut log, 0, &keep);
    assert_eq!(log.start_offset(), start);
}

#[test]
fn deleted_records_stay_deleted() {
    let folder = tempfile::tempdir().unwrap();
    let mut log = open(folder.path());
    fill(&mut log, 50);
    delete_before(&mut log, 31);
    assert_eq!(log.start_offset(), 31);
    assert!(matches!(log.range_at(30), Err(ReadError::OutOfRange)));
    let again = open(folder.path());
    assert_eq!(again.start_offset(), 31);
    assert_eq!(read_from(&again, 31)[0], 30);
}

#[test]
fn a_deleted_segment_that_a_power_cut_brings_back_takes_nothing_with_it() {
    let folder = tempfile::tempdir().unwrap();
    let mut log = open(folder.path());
    fill(&mut log, 50);
    let flush = log.begin_flush(CheckpointWhen::Never).unwrap();
    let flushed = flush.run();
    log.end_flush(&flush, &flushed);
    let first = folder.path().join(format!("{:020}.log", 0));
    let removed = fs::read(&first).unwrap();
    let start = log.segments[2].base_offset + 1;
    delete_before(&mut log, start);
    drop(log);
    fs::write(&first, removed).unwrap();
    let (log, recovery) = open_recovering(folder.path());
    assert_eq!(recovery, Recovery::default());
    assert_eq!((log.start_offset(), log.next_offset()), (start, 100));
    assert_eq!(read_from(&log, start).last(), Some(&98));
    assert!(!first.exists());
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
        append(&mut log, &batch, &weekly).unwrap();
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

/// Flips bits of the file that holds the `number`th segment.
fn damage(folder: &Path, number: usize, at: usize, bits: u8) -> i64 {
    let (base, path) = segment::list(&RealDisk, folder).unwrap().swap_remove(number);
    let mut bytes = fs::read(&path).unwrap();
    bytes[at] ^= bits;
    fs::write(&path, bytes).unwrap();
    base
}

/// The offset a read from `offset` on finds damaged.
fn damaged_at(log: &Log, offset: i64) -> Option<i64> {
    let range = log.range_at(offset).unwrap()?;
    match range.batches_from(offset, 100) {
        Err(ReadError::Damaged { offset, .. }) => Some(offset),
        Ok(_) => None,
        Err(error) => panic!("{error}"),
    }
}

#[test]
fn damage_in_the_middle_of_what_was_not_safe_cuts_everything_behind_it() {
    let folder = tempfile::tempdir().unwrap();
    let mut log = open(folder.path());
    fill(&mut log, 50);
    let base = damage(folder.path(), 1, 500, 1);
    let (again, recovery) = open_recovering(folder.path());
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
fn damage_to_what_was_safe_is_told_and_hides_nothing_else() {
    // In a record, in a length, in a base offset; with and without an index that covers it.
    for (at, bits) in [(500, 1), (115 + 8, 0x40), (115, 0x40), (115 + 7, 4)] {
        for with_index in [true, false] {
            let folder = tempfile::tempdir().unwrap();
            let mut log = open(folder.path());
            fill(&mut log, 50);
            let whole = read_from(&log, 0);
            sync(&mut log);
            let base = damage(folder.path(), 1, at, bits);
            if !with_index {
                for (_, path) in segment::list(&RealDisk, folder.path()).unwrap() {
                    fs::remove_file(path.with_extension("sparse-index")).unwrap();
                }
            }
            let (again, recovery) = open_recovering(folder.path());
            assert_eq!((recovery.cut_bytes, recovery.set_aside), (0, 0));
            assert_eq!(recovery.damaged_bytes > 0, !with_index, "{at} {bits}");
            assert_eq!(again.next_offset(), 100);
            let damaged: Vec<i64> = (0..100)
                .step_by(2)
                .filter(|offset| damaged_at(&again, *offset).is_some())
                .collect();
            assert!(
                !damaged.is_empty() && damaged.len() < 12,
                "{at} {bits} {damaged:?}"
            );
            assert!(damaged.iter().all(|offset| *offset >= base));
            let left = whole.iter().filter(|offset| !damaged.contains(offset));
            for offset in left {
                let range = again.range_at(*offset).unwrap().unwrap();
                let bytes = range.batches_from(*offset, 100).unwrap();
                assert_eq!(BatchHeader::parse_whole(&bytes).unwrap().base_offset, *offset);
            }
            assert!(again.active_range().unwrap().verify().is_ok());
        }
    }
}

#[test]
fn an_index_of_a_longer_past_is_not_believed_when_the_log_has_grown_again() {
    let folder = tempfile::tempdir().unwrap();
    let mut whole = settings();
    whole.segment_bytes = u64::MAX;
    let mut log = open(folder.path());
    for sequence in 0..1000 {
        append(
            &mut log,
            &Sample::of(&["old"]).by(1, 0, sequence).encode(),
            &whole,
        )
        .unwrap();
    }
    sync(&mut log);
    drop(log);
    let (_, path) = segment::list(&RealDisk, folder.path()).unwrap().swap_remove(0);
    let file = fs::OpenOptions::new().write(true).open(&path).unwrap();
    file.set_len(file.metadata().unwrap().len() - 10).unwrap();

    let (mut log, recovery) = open_recovering(folder.path());
    assert_eq!((recovery.lost_records, log.next_offset()), (1, 1000));
    for sequence in 0..20 {
        let batch = Sample::of(&["a longer one"]).by(2, 0, sequence).encode();
        assert_eq!(
            append(&mut log, &batch, &whole).unwrap().base_offset,
            1000 + i64::from(sequence)
        );
    }
    // Killed: nothing is written down.
    drop(log);
    let (mut log, recovery) = open_recovering(folder.path());
    assert_eq!((recovery, log.next_offset()), (Recovery::default(), 1020));
    let expected: Vec<i64> = (0..999).chain(1000..1020).collect();
    assert_eq!(read_from(&log, 0), expected);
    // The producer is known by all its batches.
    let next = Sample::of(&["x"]).by(2, 0, 20).encode();
    assert_eq!(append(&mut log, &next, &whole).unwrap().base_offset, 1020);
    let repeated = Sample::of(&["a longer one"]).by(2, 0, 19).encode();
    assert_eq!(append(&mut log, &repeated, &whole).unwrap().base_offset, 1019);
}

#[test]
fn a_flipped_bit_in_a_base_offset_does_not_move_the_end() {
    let folder = tempfile::tempdir().unwrap();
    let mut log = open(folder.path());
    let batch = Sample::of(&["x"]).encode();
    for _ in 0..3 {
        append(&mut log, &batch, &settings()).unwrap();
    }
    drop(log);
    damage(folder.path(), 0, 2 * batch.len(), 0x40);
    let log = open(folder.path());
    assert_eq!(log.next_offset(), 2);
    assert_eq!(read_from(&log, 0), [0, 1]);
}

#[test]
fn a_segment_that_is_gone_takes_none_of_the_others_with_it() {
    let folder = tempfile::tempdir().unwrap();
    let mut log = open(folder.path());
    fill(&mut log, 50);
    sync(&mut log);
    let all = read_from(&log, 0);
    let listed = segment::list(&RealDisk, folder.path()).unwrap();
    fs::remove_file(&listed[1].1).unwrap();
    let (again, recovery) = open_recovering(folder.path());
    assert_eq!(recovery.lost_records, listed[2].0 - listed[1].0);
    let expected: Vec<i64> = all
        .into_iter()
        .filter(|offset| !(listed[1].0..listed[2].0).contains(offset))
        .collect();
    assert_eq!(read_from(&again, 0), expected);
    assert_eq!(again.next_offset(), 100);
}

#[test]
fn a_batch_over_the_limit_is_refused_and_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let mut log = open(folder.path());
    let mut small = settings();
    small.acceptance.max_message_bytes = 100;
    let batch = Sample::of(&["x".repeat(100).as_str()]).encode();
    let refused = append(&mut log, &batch, &small);
    assert!(matches!(
        refused,
        Err(AppendError::Refused(Refusal::TooLarge { limit: 100, .. }))
    ));
    assert_eq!(log.next_offset(), 0);
}

#[test]
fn the_index_is_as_dense_as_the_topic_asks() {
    let size = |index_interval_bytes| {
        let folder = tempfile::tempdir().unwrap();
        let mut log = open(folder.path());
        let sparse = LogSettings {
            segment_bytes: u64::MAX,
            index_interval_bytes,
            ..settings()
        };
        for _ in 0..1000 {
            append(&mut log, &Sample::of(&["value"]).encode(), &sparse).unwrap();
        }
        log.active().index.encode().len()
    };
    let (dense, usual, sparse) = (size(1024), size(4096), size(16_384));
    assert!(
        dense > 3 * usual && usual > 2 * sparse,
        "{dense} {usual} {sparse}"
    );
}

#[test]
fn a_time_in_a_compressed_batch_is_found() {
    let folder = tempfile::tempdir().unwrap();
    let mut log = open(folder.path());
    let values = vec!["value"; 1000];
    let batch = Sample::of(&values)
        .at(5_000)
        .compressed(Compression::Gzip)
        .encode();
    append(&mut log, &batch, &settings()).unwrap();
    let range = log.ranges_since(5_700).unwrap().remove(0);
    assert_eq!(range.first_at(5_700, 0).unwrap(), Some((5_700, 700)));
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
            append(&mut log, &batch, &whole).unwrap();
            if number == synced {
                sync(&mut log);
            }
        }
        let size = log.size();
        drop(log);
        let path = segment::list(&RealDisk, folder.path()).unwrap().swap_remove(0).1;
        let cut = cut.index(size as usize + 1) as u64;
        fs::OpenOptions::new().write(true).open(&path).unwrap().set_len(cut).unwrap();

        let (mut again, recovery) = open_recovering(folder.path());
        let batch_size = size / batches as u64;
        let kept = (cut / batch_size) as i64;
        prop_assert_eq!(recovery.cut_bytes, cut % batch_size);
        // What was safe once is not there, but its offsets are not given out a second time.
        let safe = if synced < batches { synced + 1 } else { 0 };
        let lost = (safe - kept).max(0);
        prop_assert_eq!((recovery.lost_records, again.next_offset()), (lost, kept + lost));
        prop_assert_eq!(read_from(&again, 0), (0..kept).collect::<Vec<_>>());
        let kept = kept + lost;
        // And it goes on where it was cut, also for the producer.
        let next = Sample::of(&["value"]).by(3, 0, kept as i32).encode();
        prop_assert_eq!(append(&mut again, &next, &whole).unwrap().base_offset, kept);
        prop_assert_eq!(append(&mut again, &next, &whole).unwrap().base_offset, kept);
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
            append(&mut log, &Sample::of(&[&value]).encode(), &big).unwrap();
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
