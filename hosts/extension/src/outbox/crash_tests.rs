//! The promise, tried: a script of lines, answers, failures and syncs runs on a simulated disk and a simulated Kafka,
//! and is stopped at every single step of the disk. After a kill no accepted line is missing; after a power cut none
//! that was synced. The order within a topic is kept, and what arrives twice has the same name.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::rc::Rc;

use super::kafka::{Message, SendError};
use super::*;
use crate::spool::simulated_disk::SimulatedDisk;
use crate::spool::{Identity, Limits};

const TOPICS: [&str; 3] = ["alpha", "beta", "gamma"];
/// Small, so that a script of some dozen lines has many segments.
const LIMITS: Limits = Limits {
    max_bytes: 64 * 1024,
    segment_bytes: 600,
};
const WINDOW: Window = Window { bytes: 600, lines: 7 };

/// SplitMix64: the same numbers on every machine.
struct Chance(u64);

impl Chance {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }
}

/// A record as a consumer sees it.
#[derive(Clone, Debug, PartialEq)]
struct Arrived {
    topic: String,
    value: Vec<u8>,
    /// `osqdemo-spool` and `osqdemo-seq`.
    name: (Vec<u8>, Vec<u8>),
}

#[derive(Debug, Default)]
struct Broker {
    sent: VecDeque<(LineId, Arrived)>,
    log: Vec<Arrived>,
    /// Refuses at once what goes there.
    missing: BTreeSet<&'static str>,
}

#[derive(Clone, Debug, Default)]
struct SimulatedKafka(Rc<RefCell<Broker>>);

impl Kafka for SimulatedKafka {
    fn send(&mut self, id: LineId, message: &Message<'_>) -> Result<(), SendError> {
        let mut broker = self.0.borrow_mut();
        let topic = message.record.topic;
        if broker.missing.contains(topic) {
            return Err(SendError::Failed(Failure::Passing("unknown topic".to_owned())));
        }
        if message.record.value.ends_with(b"never") && topic != DEAD_LETTER_TOPIC {
            return Err(SendError::Failed(Failure::Final("refused".to_owned())));
        }
        let header = |name| {
            let found = message.headers.iter().find(|(key, _)| *key == name);
            found.expect("every record is named").1.to_vec()
        };
        let arrived = Arrived {
            topic: topic.to_owned(),
            value: message.record.value.to_vec(),
            name: (header("osqdemo-spool"), header("osqdemo-seq")),
        };
        broker.sent.push_back((id, arrived));
        Ok(())
    }
}

impl SimulatedKafka {
    /// Acknowledges the oldest of what is under way.
    fn acknowledge(&self, count: u64) -> Vec<(LineId, Outcome)> {
        let mut broker = self.0.borrow_mut();
        let mut outcomes = Vec::new();
        for _ in 0..count {
            let Some((id, arrived)) = broker.sent.pop_front() else {
                break;
            };
            broker.log.push(arrived);
            outcomes.push((id, Ok(())));
        }
        outcomes
    }

    /// Fails everything of a topic that is under way, as librdkafka does.
    fn fail(&self, topic: &str) -> Vec<(LineId, Outcome)> {
        let mut broker = self.0.borrow_mut();
        let (failed, kept) = std::mem::take(&mut broker.sent)
            .into_iter()
            .partition::<Vec<_>, _>(|(_, arrived)| arrived.topic == topic);
        broker.sent = kept.into();
        let failure = || Failure::Passing("unknown partition".to_owned());
        failed.into_iter().map(|(id, _)| (id, Err(failure()))).collect()
    }

    /// The process ends. Some of what was under way has arrived, and nobody was told.
    fn forget(&self, arrived: u64) {
        self.acknowledge(arrived);
        let mut broker = self.0.borrow_mut();
        broker.sent.clear();
        broker.missing.clear();
    }
}

/// When lines are synced.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Sync {
    EachLine,
    NowAndThen,
    Never,
}

type Simulated = Outbox<SimulatedDisk, SimulatedKafka>;

struct World {
    disk: SimulatedDisk,
    kafka: SimulatedKafka,
    outbox: Simulated,
    now: Now,
    sync: Sync,
    /// What was accepted: topic and value.
    accepted: Vec<(String, Vec<u8>)>,
    /// How many of them are durable.
    durable: usize,
}

impl World {
    fn open(
        disk: SimulatedDisk,
        kafka: SimulatedKafka,
        boot: u8,
        fresh: u8,
        sync: Sync,
    ) -> std::io::Result<Self> {
        let identity = Identity {
            boot: [boot; 16],
            fresh: [fresh; 16],
        };
        let spool = Spool::open(disk.clone(), identity, LIMITS)?;
        let choices = Choices {
            when_full: WhenFull::DropNewest,
            needs_disk: true,
            headers: true,
            memory_bytes: 4096,
            window: WINDOW,
        };
        let outbox = Outbox::new(
            Some(spool),
            kafka.clone(),
            choices,
            [fresh ^ 0x80; 16],
            Arc::default(),
        );
        Ok(Self {
            disk,
            kafka,
            outbox,
            now: Now::default(),
            sync,
            accepted: Vec::new(),
            durable: 0,
        })
    }

    /// One action of the script.
    fn act(&mut self, chance: &mut Chance, number: u64) {
        self.now.elapsed += Duration::from_millis(chance.below(400));
        match chance.below(16) {
            0..=6 => self.line(chance, number),
            7..=9 => self.settle_all(self.kafka.acknowledge(1 + number % 4)),
            10 => {
                let topic = TOPICS[chance.below(3) as usize];
                self.settle_all(self.kafka.fail(topic));
            }
            11 => {
                let topic = TOPICS[chance.below(3) as usize];
                let mut broker = self.kafka.0.borrow_mut();
                if !broker.missing.remove(topic) {
                    broker.missing.insert(topic);
                }
            }
            12 => self.outbox.tidy(),
            13 if self.sync == Sync::NowAndThen => self.make_durable(),
            _ => {
                self.outbox.pump(self.now);
            }
        }
    }

    fn line(&mut self, chance: &mut Chance, number: u64) {
        let topic = TOPICS[chance.below(3) as usize];
        let filler = "x".repeat(chance.below(90) as usize);
        let end = if chance.below(12) == 0 { "never" } else { "" };
        let value = format!("{{\"name\":\"{topic}\",\"number\":{number}}}{filler}{end}").into_bytes();
        let record = Record {
            unix_ms: number as i64,
            topic,
            key: Some(b"host"),
            value: &value,
        };
        let taken = self.outbox.accept(self.now, &record);
        if self.sync == Sync::EachLine {
            self.make_durable();
        }
        // A line during which the process ended was not answered.
        if taken == Taken::Accepted && !self.disk.is_stopped() {
            self.accepted.push((topic.to_owned(), value));
            if self.sync == Sync::EachLine {
                self.durable = self.accepted.len();
            }
        }
    }

    fn make_durable(&mut self) {
        let spool = self.outbox.spool_mut().unwrap();
        let unsynced = spool.take_unsynced();
        if unsynced.sync(&self.disk).is_ok() {
            self.durable = self.accepted.len();
        }
    }

    fn settle_all(&mut self, outcomes: Vec<(LineId, Outcome)>) {
        for (id, outcome) in outcomes {
            self.outbox.settle(self.now, id, outcome);
        }
    }

    /// Kafka is well from now on, and takes everything.
    fn drain(&mut self) {
        self.kafka.0.borrow_mut().missing.clear();
        for _ in 0..2000 {
            self.now.elapsed += Duration::from_secs(1);
            while self.outbox.pump(self.now) == Progress::More {}
            self.settle_all(self.kafka.acknowledge(100));
            self.outbox.tidy();
            if self.outbox.waiting() == 0 {
                return;
            }
        }
        panic!("{} lines are never delivered", self.outbox.waiting());
    }
}

/// What must hold of everything that arrived. `needed` are the lines that must be there.
fn verify(log: &[Arrived], needed: &[(String, Vec<u8>)], context: &str) {
    let mut names: BTreeMap<&(Vec<u8>, Vec<u8>), &[u8]> = BTreeMap::new();
    let mut firsts: BTreeMap<&str, Vec<&[u8]>> = BTreeMap::new();
    for arrived in log {
        let former = names.insert(&arrived.name, &arrived.value);
        assert!(
            former.is_none_or(|former| former == arrived.value),
            "{context}: one name for two lines"
        );
        let of_topic = firsts.entry(&arrived.topic).or_default();
        if !of_topic.contains(&arrived.value.as_slice()) {
            of_topic.push(&arrived.value);
        }
    }
    for (topic, value) in needed {
        let topic = if value.ends_with(b"never") {
            DEAD_LETTER_TOPIC
        } else {
            topic
        };
        let there = firsts
            .get(topic)
            .is_some_and(|values| values.contains(&value.as_slice()));
        assert!(there, "{context}: {} is lost", String::from_utf8_lossy(value));
    }
    for topic in TOPICS {
        let numbers: Vec<u64> = firsts
            .get(topic)
            .into_iter()
            .flatten()
            .map(|value| number_of(value))
            .collect();
        assert!(
            numbers.is_sorted(),
            "{context}: `{topic}` is out of order: {numbers:?}"
        );
    }
}

fn number_of(value: &[u8]) -> u64 {
    let text = String::from_utf8_lossy(value);
    let digits = text
        .split("\"number\":")
        .nth(1)
        .unwrap()
        .split('}')
        .next()
        .unwrap();
    digits.parse().unwrap()
}

/// Runs the script, stopping the disk at `stop_at`; the number of the disk's steps.
fn run(seed: u64, sync: Sync, power_cut: bool, stop_at: Option<u64>) -> u64 {
    const ACTIONS: u64 = 110;
    let context = format!("seed {seed}, {sync:?}, power cut {power_cut}, stopped at {stop_at:?}");
    let mut chance = Chance(seed);
    let disk = SimulatedDisk::default();
    let kafka = SimulatedKafka::default();
    let mut world = World::open(disk.clone(), kafka.clone(), 1, 1, sync).unwrap();
    if let Some(step) = stop_at {
        disk.stop_at(step);
    }
    let mut number = 0;
    while number < ACTIONS && !disk.is_stopped() {
        world.act(&mut chance, number);
        number += 1;
    }
    let (accepted, durable) = (world.accepted, world.durable);
    let steps = disk.steps();
    kafka.forget(chance.below(8));
    let (left, boot) = match power_cut {
        true => (disk.after_power_cut(|| chance.below(2) == 0), 2),
        false => (disk.after_kill(), 1),
    };
    // The next process ends as well, somewhere at its beginning.
    left.stop_at(chance.below(6));
    if let Ok(mut world) = World::open(left.clone(), kafka.clone(), boot, 3, Sync::Never) {
        while world.outbox.pump(world.now) == Progress::More {}
        world.settle_all(kafka.acknowledge(chance.below(10)));
        world.outbox.tidy();
    }
    kafka.forget(chance.below(4));
    let mut world = World::open(left.after_kill(), kafka.clone(), boot, 5, Sync::Never).unwrap();
    let after_restart = number;
    for number in after_restart..after_restart + 10 {
        world.line(&mut chance, number);
    }
    world.drain();
    let mut needed = match power_cut {
        true => accepted[..durable].to_vec(),
        false => accepted,
    };
    needed.extend(world.accepted);
    verify(&kafka.0.borrow().log, &needed, &context);
    steps
}

fn crash_everywhere(sync: Sync, power_cut: bool) {
    for seed in 1..=SEEDS {
        let steps = run(seed, sync, power_cut, None);
        assert!(steps > 60, "the script has only {steps} steps");
        for step in 0..steps {
            run(seed, sync, power_cut, Some(step));
        }
    }
}

/// How many scripts are tried. Each is run once for each of its steps.
const SEEDS: u64 = 5;

#[test]
fn a_kill_at_any_step_loses_no_accepted_line() {
    crash_everywhere(Sync::Never, false);
}

#[test]
fn a_kill_at_any_step_loses_nothing_while_lines_are_synced() {
    crash_everywhere(Sync::EachLine, false);
}

#[test]
fn a_power_cut_at_any_step_loses_nothing_that_was_synced() {
    crash_everywhere(Sync::EachLine, true);
}

#[test]
fn a_power_cut_at_any_step_loses_only_what_was_not_synced_yet() {
    crash_everywhere(Sync::NowAndThen, true);
}
