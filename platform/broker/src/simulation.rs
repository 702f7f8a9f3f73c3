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
mod steps;

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use kafka_protocol::protocol::StrBytes;

use self::ledger::Ledger;
use self::model::Model;
use crate::config::{Config, GroupTimings};
use crate::groups::Coordinator;
use crate::storage::disk::simulated::{Dice, SimulatedDisk};
use crate::storage::disk::{Disk, SharedDisk};
use crate::storage::log::CheckpointWhen;
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

fn run(seed: u64) -> Run {
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
    run
}

#[test]
fn one_seed_is_one_run() {
    for seed in 0..40 {
        let [first, second] = [run(seed), run(seed)];
        assert_eq!(first.trace, second.trace, "seed {seed}");
        // Whatever else was thrown for: they have come equally far.
        let [first, second] = [first, second].map(|mut run| (run.dice.roll(), run.disk.roll()));
        assert_eq!(first, second, "seed {seed}");
    }
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
        crashes += run(first + runs).crashes;
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
