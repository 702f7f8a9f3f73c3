//! What is left of topics when the machine or an operation of the disk fails at any step of a change.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use kafka_protocol::protocol::StrBytes;

use super::*;
use crate::config::Config;
use crate::storage::batch::tests::Sample;
use crate::storage::disk::SharedDisk;
use crate::storage::disk::simulated::{Operation, SimulatedDisk};
use crate::storage::log::CheckpointWhen;

const LINES: &str = "lines";
const OTHER: &str = "other";

/// A disk with the topic `lines`, a synced record in it.
fn disk(seed: u64) -> (Arc<SimulatedDisk>, Topics) {
    let disk = Arc::new(SimulatedDisk::new(seed));
    let topics = open(&disk);
    create(&topics, LINES).unwrap();
    let topic = topics.by_name(&name_of(LINES)).unwrap();
    let batch = Sample::of(&["value"]).encode();
    topic.partitions[0]
        .append(&batch, 5_000, topic.settings.log())
        .unwrap();
    topic.partitions[0].flush(CheckpointWhen::Always).unwrap();
    (disk, topics)
}

fn open(disk: &Arc<SimulatedDisk>) -> Topics {
    let disk: SharedDisk = Arc::clone(disk) as SharedDisk;
    Topics::open(&disk, &Config::new("/data")).unwrap()
}

fn name_of(name: &'static str) -> StrBytes {
    StrBytes::from_static_str(name)
}

fn create(topics: &Topics, name: &'static str) -> Result<(), TopicError> {
    let made = topics.create(&name_of(name), 2, BTreeMap::new(), Commitment::Apply);
    made.map(drop)
}

/// The partitions of a topic after a restart, and whether the record is in it.
fn found(topics: &Topics, name: &'static str) -> Option<(usize, i64)> {
    let topic = topics.by_name(&name_of(name))?;
    Some((topic.partitions.len(), topic.partitions[0].bounds().end))
}

/// A change, and what is to be there when it was acknowledged.
type Change = (
    fn(&Topics) -> Result<(), TopicError>,
    &'static str,
    Option<(usize, i64)>,
);

const CHANGES: [Change; 3] = [
    (|topics| create(topics, OTHER), OTHER, Some((2, 0))),
    (
        |topics| topics.grow(&name_of(LINES), 4, None, Commitment::Apply),
        LINES,
        Some((4, 1)),
    ),
    (|topics| topics.delete(&name_of(LINES)).map(drop), LINES, None),
];

/// Checks what is there after a restart: what was before the change, or what was to be; the latter once it was acknowledged.
fn check(disk: &Arc<SimulatedDisk>, (_, name, after): Change, is_acknowledged: bool, what: &str) {
    let before = (name == LINES).then_some((2, 1));
    let topics = open(disk);
    let there = found(&topics, name);
    if is_acknowledged {
        assert_eq!(there, after, "{what}");
    } else {
        assert!(there == before || there == after, "{what}: {there:?}");
    }
    // Whatever it was, it can be done again, or was done.
    if there != after {
        let again = match after {
            None => topics.delete(&name_of(name)).map(drop),
            Some((partitions, 0)) => topics
                .create(
                    &name_of(name),
                    partitions as i32,
                    BTreeMap::new(),
                    Commitment::Apply,
                )
                .map(drop),
            Some((partitions, _)) => topics.grow(&name_of(name), partitions as i32, None, Commitment::Apply),
        };
        again.unwrap_or_else(|error| panic!("{what}: {error}"));
    }
    drop(topics);
    assert_eq!(found(&open(disk), name), after, "{what}");
}

#[test]
fn a_change_that_was_acknowledged_outlives_the_power_at_every_step() {
    for (number, change) in CHANGES.into_iter().enumerate() {
        let mut steps = 0;
        for step in 0.. {
            let mut is_over = false;
            for seed in 0..20 {
                let (disk, topics) = disk(seed);
                disk.switch_off_in(step);
                let is_acknowledged = change.0(&topics).is_ok();
                is_over = !disk.is_off();
                drop(topics);
                disk.cut_power();
                let what = format!("change {number}, step {step}, seed {seed}");
                check(&disk, change, is_acknowledged, &what);
            }
            if is_over {
                steps = step;
                break;
            }
        }
        assert!(steps > 3, "change {number} has {steps} steps");
    }
}

#[test]
fn an_operation_that_fails_leaves_the_topics_as_they_were_or_as_they_are_to_be() {
    let operations = [
        Operation::Write,
        Operation::Sync,
        Operation::SyncFolder,
        Operation::Rename,
        Operation::Remove,
    ];
    for (number, change) in CHANGES.into_iter().enumerate() {
        let mut refused = 0;
        for operation in operations {
            for after in 0..4 {
                for cuts_power in [false, true] {
                    let (disk, topics) = disk(after);
                    disk.fail(operation, after);
                    let is_acknowledged = change.0(&topics).is_ok();
                    refused += usize::from(!is_acknowledged);
                    drop(topics);
                    if cuts_power {
                        disk.cut_power();
                    } else {
                        disk.kill();
                    }
                    let what = format!("change {number}, {operation:?} {after}, power cut: {cuts_power}");
                    check(&disk, change, is_acknowledged, &what);
                }
            }
        }
        assert!(refused > 0, "change {number} never failed");
    }
}

/// Who looks a topic up, writes to it or reads it does not wait for a change of the list.
#[test]
fn nothing_is_synced_with_the_list_locked() {
    let (disk, topics) = disk(1);
    let topics = Arc::new(topics);
    let syncs = Arc::new(AtomicU64::new(0));
    disk.look_while_syncing({
        let (topics, syncs) = (Arc::clone(&topics), Arc::clone(&syncs));
        move || {
            assert!(topics.listed.try_write().is_ok(), "the list is locked");
            assert!(topics.defaults.try_write().is_ok(), "the defaults are locked");
            for topic in topics.all() {
                for partition in &topic.partitions {
                    partition.bounds();
                }
            }
            syncs.fetch_add(1, Ordering::Relaxed);
        }
    });
    let keep = |overrides: &mut BTreeMap<String, String>| {
        overrides.insert("retention.ms".to_owned(), "-1".to_owned());
        Ok(())
    };
    let lines = name_of(LINES);
    let changes: [&dyn Fn(); 6] = [
        &|| create(&topics, OTHER).unwrap(),
        &|| topics.grow(&lines, 4, None, Commitment::Apply).unwrap(),
        &|| topics.configure(&lines, Commitment::Apply, keep).unwrap(),
        &|| topics.configure_defaults(Commitment::Apply, keep).unwrap(),
        &|| assert!(topics.next_producer_id().is_ok()),
        &|| drop(topics.delete(&lines).unwrap()),
    ];
    for (number, change) in changes.into_iter().enumerate() {
        let before = syncs.load(Ordering::Relaxed);
        change();
        assert!(
            syncs.load(Ordering::Relaxed) > before,
            "change {number} syncs nothing"
        );
    }
}
