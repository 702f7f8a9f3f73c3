//! A query that writes, commits and crashes: after any step, with any part of what is under way lost.
//!
//! The runtime's part is small here, and its order is the real one, that of the task's ledger: the rest is told which
//! of what was sent arrived.

use std::collections::{BTreeMap, VecDeque};

use osqdemo_ksqldb::plan::QueryPlan;
use osqdemo_ksqldb::task::{Collector, Ledger, OutputRecord, StoreChange, StreamTimes, Task};
use proptest::prelude::*;

use crate::script::{Record, World, input};

const SOURCE: &str =
    "create stream s (k string key, g string, v int) with (kafka_topic='s', value_format='json');";

/// Aggregates to which a row that comes again makes no difference, so that what they come to is known.
const QUERIES: &[&str] = &[
    "create table o as select g, max(v) as m, collect_set(v) as c from s group by g;",
    "create table o as select g, max(v) as m, collect_set(v) as c from s
        window tumbling (size 10 milliseconds, grace period 3 milliseconds) group by g emit final;",
    "create table o as select g, max(v) as m, collect_set(v) as c from s
        window hopping (size 10 milliseconds, advance by 4 milliseconds, grace period 3 milliseconds) group by g emit final;",
];

const SESSIONS: &str = "create table o as select g, max(v) as m from s
    window session (5 milliseconds, grace period 2 milliseconds) group by g;";

/// Where reading goes on.
type Position = (usize, StreamTimes);

/// What the broker has.
#[derive(Default)]
struct Disk {
    committed: Option<Position>,
    changelog: Vec<StoreChange>,
    sink: Vec<OutputRecord>,
}

/// A running query: what it sent is under way until the broker has it.
struct Attempt {
    task: Task,
    ledger: Ledger<Position>,
    read: usize,
    changes: VecDeque<StoreChange>,
    output: VecDeque<OutputRecord>,
    /// How much of that was sent before the position which is to be committed.
    awaited: (usize, usize),
    is_sent: bool,
}

impl Attempt {
    fn begin(plan: &QueryPlan, disk: &Disk) -> Self {
        let mut task = Task::new(plan);
        let mut read = 0;
        if let Some((position, stream_times)) = &disk.committed {
            read = *position;
            task.go_on_from(stream_times);
            // A compacted topic.
            let compacted: BTreeMap<&[u8], &StoreChange> = disk
                .changelog
                .iter()
                .map(|change| (&*change.key, change))
                .collect();
            for change in compacted.values() {
                assert!(task.restore_store(
                    &change.store,
                    &change.key,
                    change.value.as_deref(),
                    change.timestamp
                ));
            }
            task.restored();
        }
        Self {
            task,
            ledger: Ledger::default(),
            read,
            changes: VecDeque::new(),
            output: VecDeque::new(),
            awaited: (0, 0),
            is_sent: false,
        }
    }

    /// One step of the runtime; which, the choice says where several are possible.
    fn step(&mut self, choice: u8, records: &[Record], disk: &mut Disk) {
        match choice % 8 {
            0..3 => self.process(records),
            3..5 => self.acknowledge(disk),
            _ if self.ledger.closing().is_none() => {
                let mut stream_times = StreamTimes::new();
                self.task.stream_times(&mut stream_times);
                self.ledger.close((self.read, stream_times));
                self.awaited = (self.changes.len(), self.output.len());
                self.is_sent = false;
            }
            _ if self.awaited != (0, 0) => self.acknowledge(disk),
            _ => self.commit(choice, disk),
        }
    }

    /// The broker takes the first two of what is under way to each topic.
    fn acknowledge(&mut self, disk: &mut Disk) {
        for _ in 0..2 {
            disk.changelog.extend(self.changes.pop_front());
            disk.sink.extend(self.output.pop_front());
            self.awaited = (self.awaited.0.saturating_sub(1), self.awaited.1.saturating_sub(1));
        }
    }

    /// The commit is sent, and then confirmed or refused. Sent, it may be lost.
    fn commit(&mut self, choice: u8, disk: &mut Disk) {
        if !std::mem::replace(&mut self.is_sent, true) {
            return;
        }
        if choice & 0x18 == 0 {
            self.ledger.refuse();
            return;
        }
        disk.committed = self.ledger.closing().cloned();
        self.changes.extend(self.ledger.confirm());
    }

    fn process(&mut self, records: &[Record]) {
        let Some(record) = records.get(self.read) else {
            return;
        };
        let mut collector = Collector::default();
        self.task.process(input(record), &mut collector);
        assert_eq!(self.task.failure(), None);
        self.read += 1;
        self.output.extend(collector.records);
        self.changes.extend(collector.changes);
        self.ledger.add(&mut collector.expired);
    }

    /// The end: of what is under way, the broker has got the first part, to each topic another one.
    fn crash(mut self, choice: u8, disk: &mut Disk) {
        let part = |share: u8, all: usize| usize::from(share % 4) * all / 3;
        let (changes, output) = (
            part(choice, self.changes.len()),
            part(choice >> 2, self.output.len()),
        );
        disk.changelog.extend(self.changes.drain(..changes));
        disk.sink.extend(self.output.drain(..output));
        let may_have_arrived = self.is_sent && self.awaited == (0, 0) && choice & 0x40 != 0;
        if let Some(position) = self.ledger.closing().filter(|_| may_have_arrived) {
            disk.committed = Some(position.clone());
        }
    }
}

/// At the end, all that is under way arrives.
const ALL: u8 = 0xf;

/// The last record of each key.
fn last(sink: &[OutputRecord]) -> BTreeMap<Vec<u8>, String> {
    let texts = sink.iter().map(|record| {
        let value = record.value.as_deref().map(String::from_utf8_lossy);
        (
            record.key.clone().unwrap_or_default(),
            format!("{value:?}@{}", record.timestamp),
        )
    });
    texts.collect()
}

/// Records whose time goes on, back and forth: windows close while others are open.
fn records() -> impl Strategy<Value = Vec<Record>> {
    let group = prop_oneof![4 => Just("a"), 1 => Just("b")];
    let record = (group, 0..4_i32, 0..7_i64);
    prop::collection::vec(record, 4..24).prop_map(|all| {
        let mut now = 0;
        let records = all.into_iter().map(|(group, value, step)| {
            now += step - 1;
            Record::new(
                "s",
                now.max(0),
                &serde_json::json!({"G": group, "V": value}).to_string(),
            )
        });
        records.collect()
    })
}

fn plan_of(query: &str) -> QueryPlan {
    World::of(&format!("{SOURCE}{query}")).last_plan.unwrap()
}

/// What comes of the records without a crash.
fn whole(plan: &QueryPlan, records: &[Record]) -> Disk {
    let mut disk = Disk::default();
    let mut attempt = Attempt::begin(plan, &disk);
    while attempt.read < records.len() {
        attempt.process(records);
    }
    attempt.crash(ALL, &mut disk);
    disk
}

/// What comes of them with a crash after so many steps and another one soon: what the first restart leaves behind, the
/// second finds.
fn crashed(plan: &QueryPlan, records: &[Record], choices: &[u8], steps: usize) -> Disk {
    let mut disk = Disk::default();
    let mut attempt = Attempt::begin(plan, &disk);
    for (place, choice) in choices.iter().enumerate() {
        attempt.step(*choice, records, &mut disk);
        if place == steps || place == steps + 9 {
            attempt.crash(*choice, &mut disk);
            attempt = Attempt::begin(plan, &disk);
        }
    }
    while attempt.read < records.len() {
        attempt.process(records);
    }
    attempt.crash(ALL, &mut disk);
    disk
}

/// The sessions that a sink has: group, start, end and the largest value.
fn sessions(disk: &Disk) -> Vec<(Vec<u8>, i64, i64, Option<i64>)> {
    let live = last(&disk.sink)
        .into_iter()
        .filter(|(_, value)| !value.starts_with("None"));
    let session = |(key, value): (Vec<u8>, String)| {
        let (rest, start) = key.split_last_chunk().unwrap();
        let (group, end) = rest.split_last_chunk().unwrap();
        let largest = value
            .split(|c: char| !c.is_ascii_digit())
            .find_map(|digits| digits.parse().ok());
        (
            group.to_vec(),
            i64::from_be_bytes(*start),
            i64::from_be_bytes(*end),
            largest,
        )
    };
    live.map(session).collect()
}

/// Whether each session that there is without a crash is there with one, or is a part of one.
fn no_session_is_lost(
    plan: &QueryPlan,
    records: &[Record],
    choices: &[u8],
    steps: usize,
) -> Result<(), String> {
    let expected = sessions(&whole(plan, records));
    let found = sessions(&crashed(plan, records, choices, steps));
    let lost = expected.iter().find(|(group, start, end, most)| {
        !found
            .iter()
            .any(|(other, from, to, largest)| other == group && from <= start && to >= end && largest >= most)
    });
    match lost {
        Some((_, start, end, _)) => Err(format!(
            "{start} to {end} after {steps} steps: {found:?}, not {expected:?}"
        )),
        None => Ok(()),
    }
}

/// The rows of `a` come again when its session already ends at 9, where that of `b` at 0 is not yet to go.
#[test]
fn a_row_that_comes_again_lets_no_session_of_another_group_go() {
    let rows = [
        ("a", 0),
        ("a", 0),
        ("a", 0),
        ("a", 0),
        ("a", 1),
        ("b", 0),
        ("a", 0),
        ("a", 0),
        ("a", 1),
        ("b", 1),
        ("a", 2),
        ("a", 6),
        ("a", 9),
    ];
    let records: Vec<Record> = rows
        .iter()
        .map(|(group, time)| Record::new("s", *time, &serde_json::json!({"G": group, "V": 0}).to_string()))
        .collect();
    let choices = [
        88, 40, 88, 8, 224, 51, 8, 88, 5, 40, 112, 3, 88, 216, 122, 189, 102, 143, 90, 231, 216, 237, 90, 18,
        209, 157, 113, 201, 116,
    ];
    assert_eq!(
        no_session_is_lost(&plan_of(SESSIONS), &records, &choices, 19),
        Ok(())
    );
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn a_crash_loses_nothing(
        records in records(),
        choices in prop::collection::vec(any::<u8>(), 64),
    ) {
        for query in QUERIES {
            let plan = plan_of(query);
            let expected = last(&whole(&plan, &records).sink);
            for steps in 0..choices.len() {
                let sink = crashed(&plan, &records, &choices, steps).sink;
                prop_assert_eq!(&last(&sink), &expected, "{}\nafter {} steps", query, steps);
            }
        }
    }

    /// A session may have met others before the crash that it does not meet at that time: it is a part of one then.
    #[test]
    fn a_crash_loses_no_session(
        records in records(),
        choices in prop::collection::vec(any::<u8>(), 64),
    ) {
        let plan = plan_of(SESSIONS);
        for steps in 0..choices.len() {
            prop_assert_eq!(no_session_is_lost(&plan, &records, &choices, steps), Ok(()));
        }
    }
}
