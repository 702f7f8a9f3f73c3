//! What a partition promises beside everything that goes on in it.

use std::collections::BTreeMap;

use super::*;
use crate::storage::batch::tests::Sample;
use crate::storage::checkpoint::Checkpoint;
use crate::storage::disk::simulated::{Operation, SimulatedDisk};
use crate::topics::settings::Defaults;
use crate::topics::settings::TopicSettings;

#[test]
fn after_a_failed_sync_nothing_more_is_promised() {
    let simulated = Arc::new(SimulatedDisk::new(1));
    let disk: SharedDisk = Arc::clone(&simulated) as SharedDisk;
    let folder = Path::new("/data/lines/0");
    let settings = TopicSettings::new(BTreeMap::new(), &Defaults::default()).unwrap();
    let batch = Sample::of(&["value"]).encode();
    let partition = Partition::open(&disk, "lines", 0, folder).unwrap();
    partition.append(&batch, 5_000, settings.log()).unwrap();
    simulated.fail(Operation::Sync, 0);
    assert!(partition.flush(CheckpointWhen::Always).is_err());
    // The system would take the next sync for a success.
    assert!(partition.flush(CheckpointWhen::Always).is_err());
    let refused = partition.append(&batch, 5_000, settings.log());
    assert!(matches!(refused, Err(AppendError::Failed)));
    // What was written can still be read, and a new process makes it safe before it promises anything.
    assert!(partition.locate(0).unwrap().is_some());
    simulated.kill();
    let partition = Partition::open(&disk, "lines", 0, folder).unwrap();
    partition.append(&batch, 5_000, settings.log()).unwrap();
    partition.flush(CheckpointWhen::Always).unwrap();
    simulated.cut_power();
    let partition = Partition::open(&disk, "lines", 0, folder).unwrap();
    let bounds = partition.bounds();
    assert_eq!((bounds.start, bounds.end), (0, 2));
    assert!(partition.log().active_range().unwrap().verify().is_ok());
}

/// What has been deleted is written down when the deletion is answered; a flush that began before must not write
/// down what was there then.
#[test]
fn a_flush_beside_a_deletion_brings_nothing_back() {
    let folder = tempfile::tempdir().unwrap();
    let disk = crate::storage::disk::RealDisk::shared();
    let settings = TopicSettings::new(
        BTreeMap::from([("segment.bytes".to_owned(), "200".to_owned())]),
        &Defaults::default(),
    )
    .unwrap();
    let batch = Sample::of(&["value"]).encode();
    let partition = Partition::open(&disk, "lines", 0, folder.path()).unwrap();
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::Acquire) {
                partition.append(&batch, 5_000, settings.log()).unwrap();
                partition.flush(CheckpointWhen::Always).unwrap();
            }
        });
        let mut deleted = 0;
        while deleted < 100 {
            let end = partition.bounds().end;
            partition.delete_before(end).unwrap();
            deleted += i64::from(end > 0);
            let written = Checkpoint::read(&*disk, folder.path()).map_or(0, |found| found.start_offset);
            assert!(
                written >= end,
                "{written} is written down after a deletion up to {end}"
            );
        }
        done.store(true, Ordering::Release);
    });
    let start = partition.bounds().start;
    drop(partition);
    let partition = Partition::open(&disk, "lines", 0, folder.path()).unwrap();
    assert!(partition.bounds().start >= start);
}

/// Settings of a topic with small segments, and others beside.
fn settings(others: &[(&str, &str)]) -> TopicSettings {
    let all = [("segment.bytes", "200")].iter().chain(others);
    let all = all.map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    TopicSettings::new(all.collect(), &Defaults::default()).unwrap()
}

#[test]
fn what_was_deleted_stays_so_whatever_is_written_down_after_it() {
    let folder = Path::new("/data/lines/0");
    let settings = settings(&[]);
    let batch = Sample::of(&["value"]).encode();
    for seed in 0..200 {
        let simulated = Arc::new(SimulatedDisk::new(seed));
        let disk: SharedDisk = Arc::clone(&simulated) as SharedDisk;
        let partition = Partition::open(&disk, "lines", 0, folder).unwrap();
        let append = |count| {
            for _ in 0..count {
                partition.append(&batch, 5_000, settings.log()).unwrap();
            }
        };
        append(10);
        partition.flush(CheckpointWhen::Always).unwrap();
        partition.delete_before(7).unwrap();
        append(5);
        // The checkpoint is replaced by a later one, whose name need not be on the disk yet.
        partition.flush(CheckpointWhen::Always).unwrap();
        append(5);
        simulated.cut_power();
        let bounds = Partition::open(&disk, "lines", 0, folder).unwrap().bounds();
        assert_eq!(bounds.start, 7, "seed {seed}");
        assert!(bounds.end >= 15, "seed {seed}");
    }
}

/// Who appends, reads or asks for the ends does not wait for the disk; who deletes and who flushes wait for each other,
/// so that neither writes down what the other has just changed.
#[test]
fn nothing_is_synced_with_the_log_locked() {
    let simulated = Arc::new(SimulatedDisk::new(1));
    let disk: SharedDisk = Arc::clone(&simulated) as SharedDisk;
    let partition = Arc::new(Partition::open(&disk, "states", 0, Path::new("/data/states/0")).unwrap());
    let syncs = Arc::new(AtomicU64::new(0));
    let exclusive = Arc::new(AtomicU64::new(0));
    simulated.look_while_syncing({
        let (partition, syncs, exclusive) =
            (Arc::clone(&partition), Arc::clone(&syncs), Arc::clone(&exclusive));
        move || {
            assert!(
                partition.log.try_lock().is_ok(),
                "the log is locked during a sync"
            );
            syncs.fetch_add(1, Ordering::Relaxed);
            exclusive.fetch_add(
                u64::from(partition.rewriting.try_lock().is_err()),
                Ordering::Relaxed,
            );
        }
    });
    // How many syncs something takes, and during how many of them no other rewriting can begin.
    let during = |work: &dyn Fn()| {
        let before = (syncs.load(Ordering::Relaxed), exclusive.load(Ordering::Relaxed));
        work();
        let after = (syncs.load(Ordering::Relaxed), exclusive.load(Ordering::Relaxed));
        (after.0 - before.0, after.1 - before.1)
    };
    let compacted = settings(&[
        ("cleanup.policy", "compact,delete"),
        ("min.cleanable.dirty.ratio", "0"),
        ("retention.bytes", "1000"),
    ]);
    let batch = Sample::of(&["value"]).keyed("key").encode();
    let appending = during(&|| {
        for _ in 0..20 {
            partition.append(&batch, 5_000, compacted.log()).unwrap();
        }
    });
    assert_eq!(appending, (0, 0));
    let (flushing, alone) = during(&|| partition.flush(CheckpointWhen::Always).unwrap());
    assert!(flushing > 0 && alone == flushing, "{alone} of {flushing}");
    let (compacting, alone) = during(&|| {
        let settings = compacted.log().compaction.clone().unwrap();
        assert!(partition.compact(5_000, &settings).unwrap());
    });
    // Only the end of it: the files that were written anew are synced before.
    assert!(alone > 0 && alone < compacting, "{alone} of {compacting}");
    let (deleting, alone) = during(&|| partition.delete_before(5).unwrap());
    assert!(deleting > 0 && alone == deleting, "{alone} of {deleting}");
    for _ in 0..20 {
        partition.append(&batch, 5_000, compacted.log()).unwrap();
    }
    let (retaining, alone) = during(&|| {
        assert!(
            partition
                .apply_retention(5_000, compacted.log())
                .unwrap()
                .is_some()
        );
    });
    assert!(retaining > 0 && alone == retaining, "{alone} of {retaining}");
}

/// Damage in the segment that was being written to when the broker was killed is told without anybody reading there.
#[test]
fn damage_in_the_active_segment_is_told_after_an_unclean_stop() {
    let folder = Path::new("/data/lines/0");
    let mut told = 0;
    for seed in 0..20 {
        let simulated = Arc::new(SimulatedDisk::new(seed));
        let disk: SharedDisk = Arc::clone(&simulated) as SharedDisk;
        let batch = Sample::of(&["value"]).encode();
        let settings = TopicSettings::new(BTreeMap::new(), &Defaults::default()).unwrap();
        let partition = Partition::open(&disk, "lines", 0, folder).unwrap();
        for _ in 0..10 {
            partition.append(&batch, 5_000, settings.log()).unwrap();
        }
        partition.flush(CheckpointWhen::Always).unwrap();
        simulated.kill();
        let partition = Partition::open(&disk, "lines", 0, folder).unwrap();
        partition.check_active_segment();
        assert_eq!(partition.damage_told.load(Ordering::Relaxed), -1, "there is none");
        drop(partition);
        let (path, at) = simulated.flip_bit(".log").unwrap();
        simulated.kill();
        let partition = Partition::open(&disk, "lines", 0, folder).unwrap();
        partition.check_active_segment();
        let (damaged, within) = (at / batch.len(), at % batch.len());
        // The leader's epoch means nothing here, and the end of a log that its index does not know is recovered.
        if (12..16).contains(&within) || damaged == 9 {
            continue;
        }
        told += 1;
        let offset = partition.damage_told.load(Ordering::Relaxed);
        assert_eq!(offset, damaged as i64, "seed {seed}: {} at {at}", path.display());
    }
    assert!(told > 10, "{told}");
}
