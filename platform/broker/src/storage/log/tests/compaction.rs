//! Logs of which only the last record of each key is kept.

use super::*;

const COMPACTION: CompactionSettings = CompactionSettings {
    min_dirty_ratio: 0.5,
    min_lag_ms: 0,
    max_lag_ms: i64::MAX,
    tombstone_ms: 10_000,
};

fn compact(log: &mut Log, now_ms: i64) -> bool {
    compact_as(log, now_ms, &COMPACTION)
}

fn compact_as(log: &mut Log, now_ms: i64, settings: &CompactionSettings) -> bool {
    sync(log);
    let Some(compaction) = log.begin_compaction(now_ms, settings).unwrap() else {
        return false;
    };
    let compacted = compaction.run().unwrap();
    log.end_compaction(&compacted).unwrap();
    log.compaction_is_safe(&compacted);
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
            for record in Records::of(&header, rest).unwrap().iter() {
                let record = record.unwrap();
                let key = String::from_utf8(record.key.unwrap().to_vec()).unwrap();
                found.push((record.offset, key, record.is_tombstone()));
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
        append(&mut log, &batch, &settings()).unwrap();
    }
    // A key that is written once, in the beginning, stays; one that was deleted goes in the end.
    let closed_to = log.active().base_offset;
    assert!(closed_to > 50);
    assert!(compact(&mut log, 100));
    // A group that had read to somewhere in between finds its place.
    assert_eq!(log.start_offset(), 0);
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
    let (again, recovery) = open_recovering(folder.path());
    assert_eq!(recovery, Recovery::default());
    assert_eq!(again.next_offset(), 100);
    assert_eq!(keyed_records(&again), left);
    // Without the written indexes it is the same.
    for (_, path) in segment::list(&RealDisk, folder.path()).unwrap() {
        let _ = fs::remove_file(path.with_extension("sparse-index"));
    }
    assert_eq!(keyed_records(&open(folder.path())), left);
}

#[test]
fn tombstones_stay_for_a_while() {
    let folder = tempfile::tempdir().unwrap();
    let mut log = open(folder.path());
    let write = |log: &mut Log, key: &str, value: &str| {
        let batch = Sample::of(&[value]).keyed(key).at(1000).encode();
        append(log, &batch, &settings()).unwrap();
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

#[test]
fn compressed_records_are_compacted_and_deleted_like_others() {
    for codec in [
        Compression::Gzip,
        Compression::Snappy,
        Compression::Lz4,
        Compression::Zstd,
    ] {
        let folder = tempfile::tempdir().unwrap();
        let mut log = open(folder.path());
        let write = |log: &mut Log, key: &str, values: &[&str]| {
            let batch = Sample::of(values).keyed(key).at(1000).compressed(codec).encode();
            append(log, &batch, &settings()).unwrap();
        };
        write(&mut log, "kept", &["one", "two", "three"]);
        write(&mut log, "gone", &["value", "value"]);
        write(&mut log, "gone", &[""]);
        for number in 0..30 {
            write(&mut log, &format!("other {number}"), &["value"]);
        }
        assert!(compact(&mut log, 2000));
        let of = |log: &Log, key: &str| -> Vec<i64> {
            let found = keyed_records(log).into_iter();
            found
                .filter(|(_, found, _)| found == key)
                .map(|(offset, ..)| offset)
                .collect()
        };
        assert_eq!(
            (of(&log, "kept"), of(&log, "gone")),
            (vec![2], vec![5]),
            "{codec:?}"
        );
        for number in 0..60 {
            write(&mut log, &format!("more {number}"), &["value"]);
        }
        assert!(compact(&mut log, 20_000));
        assert_eq!(
            (of(&log, "kept"), of(&log, "gone")),
            (vec![2], vec![]),
            "{codec:?}"
        );
        assert_eq!(keyed_records(&open(folder.path())), keyed_records(&log));
    }
}

#[test]
fn nothing_deleted_comes_back_when_there_are_more_keys_than_one_go_takes() {
    let folder = tempfile::tempdir().unwrap();
    let mut log = open(folder.path());
    let write = |log: &mut Log, key: &str, value: &str| {
        let batch = Sample::of(&[value]).keyed(key).at(1000).encode();
        append(log, &batch, &settings()).unwrap();
    };
    write(&mut log, "gone", "value");
    for number in 0..100 {
        write(&mut log, &format!("key {number}"), "value");
    }
    write(&mut log, "gone", "");
    for number in 0..30 {
        write(&mut log, &format!("other {number}"), "value");
    }
    // Ten keys at a time, long after the tombstone's time: it must outlive what it deletes.
    for round in 0..200 {
        sync(&mut log);
        let now_ms = 100_000 + round * 20_000;
        let eager = CompactionSettings {
            min_dirty_ratio: 0.0,
            ..COMPACTION
        };
        let Some(mut compaction) = log.begin_compaction(now_ms, &eager).unwrap() else {
            break;
        };
        compaction.max_keys = 10;
        let compacted = compaction.run().unwrap();
        log.end_compaction(&compacted).unwrap();
        log.compaction_is_safe(&compacted);
        let mut from_the_end = keyed_records(&log).into_iter().rev();
        let last = from_the_end.find(|(_, key, _)| key == "gone");
        assert!(
            last.is_none_or(|(_, _, is_tombstone)| is_tombstone),
            "round {round}"
        );
    }
    assert_eq!(keyed_records(&log).len(), 130);
}

#[test]
fn a_producer_is_known_when_its_records_are_compacted_away_and_the_checkpoint_is_lost() {
    let folder = tempfile::tempdir().unwrap();
    let mut log = open(folder.path());
    for sequence in 0..3 {
        let batch = Sample::of(&["x"]).keyed("key").by(4, 0, sequence).encode();
        append(&mut log, &batch, &settings()).unwrap();
    }
    for _ in 0..30 {
        append(&mut log, &Sample::of(&["x"]).keyed("key").encode(), &settings()).unwrap();
    }
    assert!(compact(&mut log, 2000));
    fs::remove_file(folder.path().join("checkpoint.json")).unwrap();
    let mut again = open(folder.path());
    let repeated = Sample::of(&["x"]).keyed("key").by(4, 0, 2).encode();
    let stored = append(&mut again, &repeated, &settings()).unwrap();
    assert_eq!((stored.base_offset, stored.duplicate), (2, true));
}

#[test]
fn a_damaged_log_is_not_compacted() {
    let folder = tempfile::tempdir().unwrap();
    let mut log = open(folder.path());
    for _ in 0..50 {
        append(&mut log, &Sample::of(&["x"]).keyed("key").encode(), &settings()).unwrap();
    }
    sync(&mut log);
    damage(folder.path(), 1, 75, 1);
    let log = open(folder.path());
    let compaction = log.begin_compaction(2000, &COMPACTION).unwrap().unwrap();
    let damaged = compaction.run().unwrap_err();
    assert!(matches!(damaged, ReadError::Damaged { .. }));
}

#[test]
fn transactions_that_came_to_nothing_are_forgotten_with_their_records() {
    let folder = tempfile::tempdir().unwrap();
    let mut log = open(folder.path());
    let write = |log: &mut Log, number: i64| {
        let sample = Sample::of(&["withdrawn"]).keyed(&format!("key {number}"));
        let batch =
            crate::storage::batch::tests::transactional(sample.by(7, 0, number as i32).at(1000).encode());
        append(log, &batch, &settings()).unwrap();
    };
    for number in 0..40 {
        write(&mut log, number);
        log.end_transaction((7, 0), Outcome::Abort, 1000, &settings())
            .unwrap();
    }
    let closed_to = log.active().base_offset;
    let all = log.transactions().aborted_between(0, i64::MAX);
    assert_eq!(all.len(), 40);
    assert!(compact(&mut log, 2000));
    let left = log.transactions().aborted_between(0, i64::MAX);
    assert!(!left.is_empty() && left.len() < 20, "{}", left.len());
    assert!(left.iter().all(|aborted| aborted.last_offset >= closed_to));
    // What is still there is still told to be nothing.
    let mut records = keyed_records(&log);
    // Without the markers.
    records.retain(|(_, key, _)| key.starts_with("key"));
    assert!(!records.is_empty());
    for (offset, ..) in records {
        let found = log.transactions().aborted_between(offset, offset + 1);
        assert_eq!(found.len(), 1, "{offset}");
    }
    sync(&mut log);
    assert_eq!(
        open(folder.path()).transactions().aborted_between(0, i64::MAX),
        left
    );
}

#[test]
fn a_record_without_a_key_is_never_compacted_away() {
    let folder = tempfile::tempdir().unwrap();
    let mut log = open(folder.path());
    // Written before the topic was compacted.
    for number in 0..30 {
        let sample = Sample::of(&["value"]).at(number);
        let sample = if number % 2 == 0 {
            sample
        } else {
            sample.keyed("key")
        };
        append(&mut log, &sample.encode(), &settings()).unwrap();
    }
    let closed_to = log.active().base_offset;
    assert!(closed_to > 10);
    assert!(compact(&mut log, 100));
    let mut without_key = Vec::new();
    let mut with_key = 0;
    for range in log.ranges_since(0).unwrap() {
        let mut scan = range.scan();
        while let Some(batch) = scan.next_batch().unwrap() {
            for record in Records::of(&batch.header, batch.bytes).unwrap().iter() {
                let record = record.unwrap();
                match record.key {
                    None => without_key.push(record.offset),
                    Some(_) => with_key += i64::from(record.offset < closed_to),
                }
            }
        }
    }
    assert_eq!(without_key, (0..30).step_by(2).collect::<Vec<_>>());
    assert_eq!(with_key, 1);
}

/// However little there is to compact, no record waits for it longer than it may.
#[test]
fn what_is_overdue_is_compacted_however_little_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let mut log = open(folder.path());
    let mut number = 0;
    let mut append_one = |log: &mut Log| {
        let key = format!("key {number}");
        let batch = Sample::of(&["value"]).keyed(&key).at(number).encode();
        append(log, &batch, &settings()).unwrap();
        number += 1;
    };
    for _ in 0..200 {
        append_one(&mut log);
    }
    assert!(compact(&mut log, 200));
    // One more segment is closed: a small part of all, whose first record has its offset for a time.
    let first = log.active().base_offset;
    while log.active().base_offset == first {
        append_one(&mut log);
    }
    let patient = CompactionSettings {
        min_dirty_ratio: 0.9,
        max_lag_ms: 10_000,
        ..COMPACTION
    };
    assert!(
        !compact_as(&mut log, first + 10_000, &patient),
        "it is little, and may wait"
    );
    assert!(
        compact_as(&mut log, first + 10_001, &patient),
        "it has waited for so long"
    );
    assert!(!compact_as(&mut log, first + 20_000, &patient), "it is done");
}
