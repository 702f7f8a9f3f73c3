//! Producers, consumers, compaction, retention, deletions and restarts against a disk that lies, by a seed.
//!
//! A run is a row of steps under virtual time, chosen by the seed: it can be run again from that one number. At any
//! step the process may be killed or the power cut, in the middle of a write too; a sync, a rename or a write may fail;
//! the disk may be full. What must hold afterwards is kept in a [`Model`] of what clients were told:
//! - what was acknowledged is there after a kill, and after a power cut as far as a flush had come;
//! - nothing is there twice or was never sent, and everything is at the offset that was told;
//! - what is lost in a power cut is the end, never a part of the middle;
//! - what was deleted does not come back, neither by its offset nor by its key;
//! - committed offsets do not go back;
//! - nothing of a transaction that came to nothing is seen by who reads what is committed, and all of one that was
//!   committed is, as far as its records are there.

mod checks;
mod ledger;
mod model;

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use kafka_protocol::protocol::StrBytes;

use self::ledger::Ledger;
use self::model::{InDoubt, KEYS, Model, Sent};
use crate::config::{Config, GroupTimings};
use crate::groups::Coordinator;
use crate::groups::offsets::Committed;
use crate::storage::batch::compression::Compression;
use crate::storage::batch::tests::Sample;
use crate::storage::disk::simulated::{Dice, Operation, SimulatedDisk};
use crate::storage::disk::{Disk, SharedDisk};
use crate::storage::log::{AppendError, CheckpointWhen};
use crate::topics::partition::Partition;
use crate::topics::{Commitment, Topics};
use crate::transactions::{Restart, Stores, Transactions};

const DATA: &str = "/data";
const STEPS: usize = 150;
/// Runs of the ordinary test; `OSQDEMO_SOAK_SECONDS` runs for so long instead.
const RUNS: u64 = 250;

/// How the broker ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Killed,
    PowerCut,
}

/// One run.
struct Run {
    dice: Dice,
    disk: Arc<SimulatedDisk>,
    topics: Topics,
    groups: Coordinator,
    transactions: Transactions,
    ledger: Ledger,
    models: Vec<Model>,
    now_ms: i64,
    next_id: u64,
    next_producer: i64,
    every_batch: bool,
    crashes: u64,
    trace: Vec<String>,
}

/// The partitions: two that are only written to and cut, two that are compacted.
fn partition(topics: &Topics, number: usize) -> Arc<Partition> {
    let name = if number < 2 { "lines" } else { "states" };
    let topic = topics
        .by_name(&StrBytes::from_static_str(name))
        .expect("the topic");
    Arc::clone(&topic.partitions[number % 2])
}

fn open(disk: &SharedDisk, restart: Restart, now_ms: i64) -> Option<(Topics, Coordinator, Transactions)> {
    let config = Config::new(DATA);
    let topics = Topics::open(disk, &config).ok()?;
    let groups = Coordinator::open(disk, Path::new(DATA), GroupTimings::default()).ok()?;
    let transactions = Transactions::default();
    let stores = Stores {
        topics: &topics,
        groups: &groups,
    };
    transactions.recover(stores, restart, now_ms);
    Some((topics, groups, transactions))
}

impl Run {
    fn new(seed: u64) -> Self {
        let mut dice = Dice::new(seed);
        let disk = Arc::new(SimulatedDisk::new(dice.roll()));
        disk.create_folder(Path::new(DATA)).expect("a folder");
        let shared: SharedDisk = Arc::clone(&disk) as SharedDisk;
        let (topics, groups, transactions) = open(&shared, Restart::Machine, 0).expect("an empty folder");
        let settings = |pairs: &[(&str, &str)]| {
            let pairs = pairs.iter();
            pairs
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                .collect::<BTreeMap<_, _>>()
        };
        let bounded = settings(&[("segment.bytes", "900"), ("retention.bytes", "6000")]);
        let compacted = settings(&[
            ("segment.bytes", "700"),
            ("cleanup.policy", "compact"),
            ("min.cleanable.dirty.ratio", "0.1"),
            ("delete.retention.ms", "5000"),
        ]);
        let rolling = settings(&[("segment.bytes", "900")]);
        for (name, settings) in [("lines", bounded), ("states", compacted), ("ledger", rolling)] {
            let name = StrBytes::from_static_str(name);
            topics
                .create(&name, 2, settings, Commitment::Apply)
                .expect("a topic");
        }
        let mut run = Self {
            every_batch: dice.chance(50),
            dice,
            disk,
            topics,
            groups,
            transactions,
            ledger: Ledger::default(),
            models: Vec::new(),
            now_ms: 1_000_000,
            next_id: 0,
            next_producer: 0,
            crashes: 0,
            trace: Vec::new(),
        };
        for _ in 0..4 {
            let producer = run.new_producer();
            run.models.push(Model {
                producer,
                ..Model::default()
            });
        }
        run
    }

    fn new_producer(&mut self) -> i64 {
        self.next_producer += 1;
        self.next_producer
    }

    fn shared(&self) -> SharedDisk {
        Arc::clone(&self.disk) as SharedDisk
    }

    fn note(&mut self, what: String) {
        self.trace.push(what);
    }

    fn step(&mut self) {
        self.now_ms += self.dice.below(400) as i64;
        let number = self.dice.below(4) as usize;
        match self.dice.below(100) {
            0..20 => self.go_on_with_transactions(),
            20..50 => self.produce(number),
            50..58 => self.flush(number),
            58..64 => self.compact(number),
            64..68 => self.retain(number),
            68..72 => self.delete(number),
            72..80 => self.commit(number),
            80..84 => self.flush_offsets(),
            84..87 => self.check_reading(number),
            87..90 => self.arrange_failure(),
            90..95 => {
                let operations = self.dice.below(30);
                self.disk.switch_off_in(operations);
            }
            _ => self.end(),
        }
        if self.disk.is_off() {
            self.end();
        }
    }

    fn arrange_failure(&mut self) {
        let operations = [
            Operation::Write,
            Operation::Sync,
            Operation::SyncFolder,
            Operation::Rename,
            Operation::Remove,
        ];
        match self.dice.below(6) {
            5 => {
                let room = self.dice.below(2000);
                self.disk.limit_room(Some(room));
                self.note(format!("room for {room} bytes"));
            }
            which => {
                let operation = operations[which as usize];
                let after = self.dice.below(4);
                self.disk.fail(operation, after);
                self.note(format!("{operation:?} fails after {after}"));
            }
        }
    }

    fn new_batch(&mut self, number: usize) -> InDoubt {
        let keyed = number >= 2;
        let key = format!("key {}", self.dice.below(KEYS));
        let is_tombstone = keyed && self.dice.chance(20);
        let count = 1 + self.dice.below(4);
        let mut values = Vec::new();
        let mut records = Vec::new();
        for _ in 0..count {
            let id = self.next_id;
            self.next_id += 1;
            let padding = self.dice.below(100) as usize;
            values.push(if is_tombstone {
                Vec::new()
            } else {
                format!("{id} {}", "x".repeat(padding)).into_bytes()
            });
            records.push(Sent {
                id,
                key: key.clone(),
                is_tombstone,
            });
        }
        let codec = [
            Compression::None,
            Compression::Gzip,
            Compression::Snappy,
            Compression::Lz4,
            Compression::Zstd,
        ][self.dice.below(5) as usize];
        let model = &mut self.models[number];
        let sample = Sample {
            key: Some(key),
            values,
            timestamp: self.now_ms,
            producer: Some((model.producer, 0, model.sequence)),
            compression: codec,
        };
        model.sequence += count as i32;
        InDoubt {
            bytes: sample.encode(),
            records,
        }
    }

    /// A producer sends its next batch, or once more the one it has no answer to.
    fn produce(&mut self, number: usize) {
        let batch = match self.models[number].in_doubt.take() {
            Some(batch) => batch,
            None => self.new_batch(number),
        };
        let partition = partition(&self.topics, number);
        let topic = if number < 2 { "lines" } else { "states" };
        let topic = self
            .topics
            .by_name(&StrBytes::from_static_str(topic))
            .expect("it");
        let appended = partition.append(&batch.bytes, self.now_ms, topic.settings.log());
        self.note(format!("produce to {number}: {appended:?}"));
        match appended {
            Ok(written) => {
                if self.every_batch && partition.flush(CheckpointWhen::Never).is_err() {
                    // Not acknowledged: its place is known, but the client was not told.
                    self.models[number].in_doubt = Some(batch);
                    return;
                }
                let model = &mut self.models[number];
                for (offset, sent) in (written.base_offset..).zip(batch.records) {
                    let before = model.acknowledged.insert(offset, sent.clone());
                    assert!(
                        before.is_none_or(|before| before == sent),
                        "offset {offset} of {number} was told twice"
                    );
                }
                if self.every_batch {
                    model.safe_to = partition.bounds().end;
                }
            }
            Err(AppendError::Storage(_) | AppendError::Failed) => self.models[number].in_doubt = Some(batch),
            Err(error) => panic!("partition {number} refuses {error}"),
        }
    }

    fn flush(&mut self, number: usize) {
        let partition = partition(&self.topics, number);
        let end = partition.bounds().end;
        let when = if self.dice.chance(50) {
            CheckpointWhen::Always
        } else {
            CheckpointWhen::Never
        };
        let flushed = partition.flush(when);
        self.note(format!("flush {number} to {end}: {flushed:?}"));
        if flushed.is_ok() {
            self.models[number].safe_to = end;
        }
    }

    fn compact(&mut self, number: usize) {
        if number < 2 {
            return;
        }
        let topic = self
            .topics
            .by_name(&StrBytes::from_static_str("states"))
            .expect("it");
        let settings = topic.settings.log().compaction.clone().expect("it is compacted");
        let compacted = partition(&self.topics, number).compact(self.now_ms, &settings);
        self.note(format!("compact {number}: {compacted:?}"));
    }

    fn retain(&mut self, number: usize) {
        if number >= 2 {
            return;
        }
        let topic = self
            .topics
            .by_name(&StrBytes::from_static_str("lines"))
            .expect("it");
        let partition = partition(&self.topics, number);
        let retained = partition.apply_retention(self.now_ms, topic.settings.log());
        self.note(format!("retain {number}: {retained:?}"));
        let model = &mut self.models[number];
        match retained {
            Ok(None) => {}
            Ok(Some(start)) => model.deleted_to = model.deleted_to.max(start),
            // What it was to give up nobody has asked for: it may go and may stay.
            Err(_) => model.maybe_deleted_to = i64::MAX,
        }
    }

    fn delete(&mut self, number: usize) {
        if number >= 2 {
            return;
        }
        let partition = partition(&self.topics, number);
        let bounds = partition.bounds();
        let offset = bounds.start + self.dice.below((bounds.end - bounds.start + 1) as u64) as i64;
        let deleted = partition.delete_before(offset);
        self.note(format!("delete {number} before {offset}: {deleted:?}"));
        let model = &mut self.models[number];
        match deleted {
            Ok(()) => model.deleted_to = model.deleted_to.max(offset),
            Err(_) => model.maybe_deleted_to = model.maybe_deleted_to.max(offset),
        }
    }

    fn commit(&mut self, number: usize) {
        let last = self.models[number].committed.last().copied().unwrap_or(0);
        let offset = last + self.dice.below(5) as i64;
        let committed = Committed {
            offset,
            leader_epoch: 0,
            metadata: StrBytes::default(),
            committed_at: self.now_ms,
        };
        let topic = (StrBytes::from_static_str("t"), number as i32);
        let group = StrBytes::from_static_str("group");
        let kind = StrBytes::from_static_str("consumer");
        let done = self
            .groups
            .offsets()
            .commit(&group, &kind, vec![(topic, committed)]);
        self.note(format!("commit {number} {offset}: {done:?}"));
        if done.is_ok() {
            self.models[number].committed.push(offset);
        }
    }

    fn flush_offsets(&mut self) {
        let mut offsets = self.groups.offsets();
        if self.dice.chance(30)
            && let Ok(rewrite) = offsets.begin_rewrite_now()
        {
            let written = rewrite.run();
            let done = offsets.end_rewrite(&rewrite, written);
            self.trace.push(format!("rewrite offsets: {done:?}"));
        }
        drop(offsets);
        let synced = self.groups.flush();
        self.note(format!("sync offsets: {synced:?}"));
        if synced.is_ok() {
            for model in &mut self.models {
                model.safely_committed = model.committed.len();
            }
        }
    }

    /// The broker ends, one way or the other, and a new one is started.
    fn end(&mut self) {
        let end = if self.dice.chance(50) {
            End::Killed
        } else {
            End::PowerCut
        };
        self.note(format!("{end:?}"));
        loop {
            match end {
                End::Killed => self.disk.kill(),
                End::PowerCut => self.disk.cut_power(),
            }
            self.crashes += 1;
            // It may end again before it has come up.
            if self.dice.chance(20) {
                let operations = self.dice.below(15);
                self.disk.switch_off_in(operations);
            }
            let restart = match end {
                End::Killed => Restart::Broker,
                End::PowerCut => Restart::Machine,
            };
            match open(&self.shared(), restart, self.now_ms) {
                Some((topics, groups, transactions)) if !self.disk.is_off() => {
                    self.topics = topics;
                    self.groups = groups;
                    self.transactions = transactions;
                    break;
                }
                _ => assert!(self.disk.is_off(), "the broker does not start"),
            }
        }
        for number in 0..4 {
            self.check_after(number, end);
        }
        self.check_ledger_after(end);
    }
}

fn run(seed: u64) -> u64 {
    let mut run = Run::new(seed);
    let done = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        for _ in 0..STEPS {
            run.step();
        }
        run.end();
        run.close_ledger();
    }));
    if let Err(panic) = done {
        let last = run.trace.len().saturating_sub(60);
        let trace = run.trace[last..].join("\n  ");
        let text = panic
            .downcast_ref::<String>()
            .cloned()
            .or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()))
            .unwrap_or_default();
        panic!("{text}\nagain with OSQDEMO_SIMULATION_SEED={seed}; before it:\n  {trace}");
    }
    run.crashes
}

#[test]
fn nothing_is_lost_invented_or_hidden_whatever_the_disk_does() {
    let variable = |name: &str| {
        std::env::var(name)
            .ok()
            .and_then(|value| value.parse::<u64>().ok())
    };
    if let Some(seed) = variable("OSQDEMO_SIMULATION_SEED") {
        run(seed);
        return;
    }
    let started = Instant::now();
    let soak = variable("OSQDEMO_SOAK_SECONDS").map(Duration::from_secs);
    // A soak goes where no other has been.
    let first = match soak {
        Some(_) => std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .map_or(0, |since| since.as_secs() << 20),
        None => 0,
    };
    let (mut runs, mut crashes) = (0, 0);
    while soak.map_or(runs < RUNS, |soak| started.elapsed() < soak) {
        crashes += run(first + runs);
        runs += 1;
    }
    assert!(crashes > runs, "a run without a crash shows little");
    if soak.is_some() {
        let mut out = std::io::stderr();
        // Whoever has closed it does not want to know.
        let _ = writeln!(out, "{runs} runs, {crashes} crashes in {:?}", started.elapsed());
    }
}

#[test]
fn a_flipped_bit_hides_and_invents_nothing() {
    for seed in 0..150 {
        let mut run = Run::new(seed);
        let mut checkpointed = [0; 4];
        for _ in 0..60 {
            let number = run.dice.below(4) as usize;
            run.now_ms += 100;
            run.produce(number);
            match run.dice.below(8) {
                0 | 1 => {
                    // Only with a checkpoint is it known after the restart what was safe.
                    let flushed = partition(&run.topics, number).flush(CheckpointWhen::Always);
                    flushed.expect("nothing fails");
                    checkpointed[number] = partition(&run.topics, number).bounds().end;
                }
                2 => run.compact(number),
                _ => {}
            }
        }
        let suffix = [".log", ".log", ".sparse-index", "checkpoint.json"][run.dice.below(4) as usize];
        let flipped = run.disk.flip_bit(suffix);
        run.disk.kill();
        let opened = open(&run.shared(), Restart::Broker, run.now_ms);
        (run.topics, run.groups, run.transactions) = opened.expect("the broker starts");
        for (number, safe_to) in checkpointed.into_iter().enumerate() {
            run.models[number].safe_to = safe_to;
            run.check_one_by_one(number, &format!("{number} of seed {seed}, {flipped:?}"));
        }
    }
}
