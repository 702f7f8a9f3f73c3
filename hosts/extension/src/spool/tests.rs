use proptest::prelude::*;

use super::segment::first_of_name;
use super::simulated_disk::SimulatedDisk;
use super::*;

const LIMITS: Limits = Limits {
    max_bytes: 4096,
    segment_bytes: 400,
};

fn open(disk: &SimulatedDisk) -> Spool<SimulatedDisk> {
    let identity = Identity {
        boot: [1; 16],
        fresh: [2; 16],
    };
    Spool::open(disk.clone(), identity, LIMITS).unwrap()
}

fn append(spool: &mut Spool<SimulatedDisk>, value: &str) -> Result<Appended, AppendError> {
    spool.append(&Record {
        unix_ms: 7,
        topic: "t",
        key: None,
        value: value.as_bytes(),
    })
}

fn values(spool: &Spool<SimulatedDisk>) -> Vec<String> {
    let mut reader = Reader::at(spool.low());
    let mut values = Vec::new();
    while let Some(line) = reader.peek(spool).unwrap() {
        if !spool.is_done(line.seq) {
            values.push(String::from_utf8_lossy(line.record.value).into_owned());
        }
        reader.advance();
    }
    values
}

fn filled(disk: &SimulatedDisk, lines: usize) -> Spool<SimulatedDisk> {
    let mut spool = open(disk);
    for number in 0..lines {
        append(&mut spool, &format!("line {number}")).unwrap();
    }
    spool
}

#[test]
fn lines_come_back_in_their_order_until_they_are_done() {
    let disk = SimulatedDisk::default();
    let mut spool = filled(&disk, 40);
    assert!(spool.segments.len() > 3);
    for seq in (1..=20).chain([30]) {
        spool.mark_done(seq);
    }
    let expected: Vec<String> = (20..40)
        .filter(|number| *number != 29)
        .map(|number| format!("line {number}"))
        .collect();
    assert_eq!(values(&spool), expected);
    let before = spool.bytes();
    spool.tidy().unwrap();
    assert!(spool.bytes() < before);
    drop(spool);
    let mut spool = open(&disk);
    assert_eq!(values(&spool), expected);
    assert_eq!(append(&mut spool, "next").unwrap().seq, 41);
    assert_eq!(spool.undone(), 20);
}

#[test]
fn a_reader_that_read_everything_stands_where_the_next_line_ends() {
    let disk = SimulatedDisk::default();
    filled(&disk, 3);
    let mut spool = open(&disk);
    let mut reader = Reader::at(1);
    while reader.peek(&spool).unwrap().is_some() {
        reader.advance();
    }
    for value in ["in a segment of its own", "behind it"] {
        let appended = append(&mut spool, value).unwrap();
        reader.pass(&spool, appended.seq, appended.bytes);
        assert_eq!(reader.offset(), spool.active().unwrap().length, "{value}");
    }
}

#[test]
fn what_did_not_sync_is_synced_the_next_time() {
    let disk = SimulatedDisk::default();
    let mut spool = filled(&disk, 3);
    disk.set_broken(true);
    assert!(spool.take_unsynced().sync(&disk).is_err());
    spool.owe_again();
    disk.set_broken(false);
    spool.take_unsynced().sync(&disk).unwrap();
    assert_eq!(values(&open(&disk.after_power_cut(|| false))).len(), 3);
}

#[test]
fn numbers_are_not_used_again_when_everything_is_gone() {
    let disk = SimulatedDisk::default();
    let mut spool = filled(&disk, 5);
    let name = spool.name_of(1);
    for seq in 1..=5 {
        spool.mark_done(seq);
    }
    for turn in 0..3 {
        spool.tidy().unwrap();
        spool = open(&disk);
        assert_eq!((spool.next(), spool.undone()), (6, 0), "{turn}");
        assert_eq!(spool.name_of(6), name);
    }
}

#[test]
fn a_full_spool_takes_no_more_and_keeps_what_it_has() {
    let disk = SimulatedDisk::default();
    let mut spool = open(&disk);
    let mut taken = 0;
    while append(&mut spool, "0123456789").is_ok() {
        taken += 1;
    }
    assert!(spool.bytes() <= LIMITS.max_bytes && taken > 50);
    assert_eq!(values(&spool).len(), taken);
    let given_up = spool.give_up_oldest().unwrap() as usize;
    assert!(given_up > 0 && append(&mut spool, "0123456789").is_ok());
    assert_eq!(values(&spool).len(), taken - given_up + 1);
    assert!(matches!(
        append(&mut spool, &"x".repeat(5000)),
        Err(AppendError::Full)
    ));
}

#[test]
fn a_few_lines_that_stay_do_not_keep_the_room_of_the_others() {
    let disk = SimulatedDisk::default();
    let mut spool = filled(&disk, 60);
    let stays = |seq: u64| seq.is_multiple_of(7);
    for seq in (1..=60).filter(|seq| !stays(*seq)) {
        spool.mark_done(seq);
    }
    let before = spool.bytes();
    while spool.compact(61).unwrap() {}
    assert!(spool.bytes() * 3 < before, "{} of {before}", spool.bytes());
    let expected: Vec<String> = (1..=60)
        .filter(|seq| stays(*seq))
        .map(|seq| format!("line {}", seq - 1))
        .collect();
    assert_eq!(values(&spool), expected);
    assert_eq!(values(&open(&disk)), expected);
}

#[test]
fn a_write_that_fails_half_way_leaves_no_trace() {
    let disk = SimulatedDisk::default();
    let mut spool = filled(&disk, 3);
    disk.set_capacity(Some(spool.bytes() as usize + 20));
    assert!(matches!(
        append(&mut spool, "does not fit any more"),
        Err(AppendError::Disk(_))
    ));
    disk.set_capacity(None);
    assert_eq!(append(&mut spool, "fits").unwrap().seq, 4);
    assert_eq!(values(&open(&disk)), ["line 0", "line 1", "line 2", "fits"]);
}

#[test]
fn a_disk_that_is_full_gets_back_what_is_done() {
    let disk = SimulatedDisk::default();
    let mut spool = filled(&disk, 40);
    disk.set_capacity(Some(0));
    for seq in 1..=40 {
        spool.mark_done(seq);
    }
    let before = spool.bytes();
    assert!(spool.tidy().is_err(), "what is done cannot be written down");
    assert!(spool.bytes() * 2 < before, "{} of {before}", spool.bytes());
    disk.set_capacity(None);
    // The highest number is still known.
    assert_eq!(append(&mut open(&disk), "next").unwrap().seq, 41);
}

#[test]
fn foreign_files_and_other_versions_are_set_aside() {
    let disk = SimulatedDisk::default();
    drop(filled(&disk, 3));
    let mut other = Header {
        spool: [9; 16],
        boot: [9; 16],
        first: 50,
    }
    .encode();
    other[8] = 2;
    disk.put(&segment_name(50), &other);
    disk.put(
        &segment_name(60),
        b"#!/bin/sh\necho not ours, and longer than a header of ours is\n",
    );
    disk.put("notes.txt", b"mine");
    let mut spool = open(&disk);
    assert_eq!(values(&spool), ["line 0", "line 1", "line 2"]);
    // What numbers are used in what was not understood is unknown, hence another name.
    append(&mut spool, "next").unwrap();
    assert_eq!(spool.name_of(4), [2; 16]);
    let names = disk.list().unwrap();
    for name in [
        segment_name(50) + SET_ASIDE,
        segment_name(60) + SET_ASIDE,
        "notes.txt".to_owned(),
    ] {
        assert!(names.contains(&name), "{names:?}");
    }
}

#[test]
fn a_line_that_contains_a_frame_is_one_line() {
    let disk = SimulatedDisk::default();
    let mut spool = open(&disk);
    let mut forged = Vec::new();
    Record {
        unix_ms: 0,
        topic: "t",
        key: None,
        value: b"forged",
    }
    .encode(2, 0, &mut forged);
    for value in [forged.as_slice(), b"true"] {
        let record = Record {
            unix_ms: 0,
            topic: "t",
            key: None,
            value,
        };
        spool.append(&record).unwrap();
    }
    // The first frame is damaged; what it holds is looked through for the next one.
    disk.damage(&segment_name(1), HEADER_LENGTH + PREFIX_BEFORE_TOPIC);
    assert_eq!(values(&open(&disk)), ["true"]);
}

/// A place in a frame before its topic.
const PREFIX_BEFORE_TOPIC: usize = 20;

proptest! {
    #[test]
    fn damage_costs_only_what_was_hit(lines in 1..60usize, hits in prop::collection::vec((any::<prop::sample::Index>(), 0..400usize), 0..4)) {
        let disk = SimulatedDisk::default();
        drop(filled(&disk, lines));
        let segments: Vec<String> = disk.list().unwrap().into_iter().filter(|name| first_of_name(name).is_some()).collect();
        for (segment, place) in &hits {
            disk.damage(segment.get(&segments).as_str(), HEADER_LENGTH + place);
        }
        let spool = open(&disk);
        let left = values(&spool);
        let numbers: Vec<usize> = left.iter().map(|line| line.strip_prefix("line ").unwrap().parse().unwrap()).collect();
        prop_assert!(numbers.is_sorted_by(|a, b| a < b));
        // A hit may reach into the next frame's prefix, hence two lines at most; a hit on the header costs its segment.
        let whole_segments = 12 * hits.len();
        prop_assert!(left.len() + whole_segments >= lines, "{} of {lines}", left.len());
        prop_assert!(spool.next() > numbers.last().copied().unwrap_or(0) as u64);
    }

    #[test]
    fn any_bytes_can_be_opened(segment in prop::collection::vec(any::<u8>(), 0..200), position in prop::collection::vec(any::<u8>(), 0..80)) {
        let disk = SimulatedDisk::default();
        let mut bytes = Header { spool: [1; 16], boot: [1; 16], first: 1 }.encode().to_vec();
        bytes.extend_from_slice(&segment);
        disk.put(&segment_name(1), &bytes);
        disk.put(&segment_name(900), &segment);
        disk.put(POSITION, &position);
        let mut spool = open(&disk);
        append(&mut spool, "new").unwrap();
        prop_assert_eq!(values(&spool).pop(), Some("new".to_owned()));
    }
}
