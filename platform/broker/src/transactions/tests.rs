//! What is asked of transactions at the wrong moment, by the wrong one, or while the disk refuses.
//!
//! Long because each wrong moment has its test, all of them on one scene.

use std::collections::BTreeMap;
use std::path::Path;

use super::*;
use crate::config::{Config, GroupTimings};
use crate::storage::batch::tests::{Sample, transactional};
use crate::storage::disk::simulated::{Operation, SimulatedDisk};
use crate::storage::disk::{Disk, Mode, SharedDisk};
use crate::storage::log::CheckpointWhen;
use crate::topics::Commitment;

const DATA: &str = "/data";
const NOW: i64 = 1_000_000;

/// A broker's stores on a disk that can be made to fail.
struct Broker {
    disk: Arc<SimulatedDisk>,
    topics: Topics,
    groups: Coordinator,
    transactions: Transactions,
}

fn name(text: &'static str) -> StrBytes {
    StrBytes::from_static_str(text)
}

fn place(index: i32) -> TopicPartition {
    (name("lines"), index)
}

impl Broker {
    fn new() -> Self {
        let disk = Arc::new(SimulatedDisk::new(1));
        disk.create_folder(Path::new(DATA)).unwrap();
        let broker = Self::open(&disk);
        let settings = BTreeMap::new();
        broker
            .topics
            .create(&name("lines"), 2, settings, Commitment::Apply)
            .unwrap();
        broker
    }

    fn open(disk: &Arc<SimulatedDisk>) -> Self {
        let shared: SharedDisk = Arc::clone(disk) as SharedDisk;
        Self {
            disk: Arc::clone(disk),
            topics: Topics::open(&shared, &Config::new(DATA)).unwrap(),
            groups: Coordinator::open(&shared, Path::new(DATA), GroupTimings::default()).unwrap(),
            transactions: Transactions::default(),
        }
    }

    fn stores(&self) -> Stores<'_> {
        Stores {
            topics: &self.topics,
            groups: &self.groups,
        }
    }

    fn lines(&self) -> Arc<Partition> {
        Arc::clone(&self.topics.by_name(&name("lines")).unwrap().partitions[0])
    }

    fn init(&self, id: &StrBytes) -> Producer {
        let taken = self.transactions.init(self.stores(), id, 60_000, None, NOW);
        taken.unwrap()
    }

    /// Writes one record to the first partition within a transaction.
    fn write(&self, id: &StrBytes, producer: Producer, sequence: i32) {
        let of = (id, producer);
        let added = self.transactions.add(self.stores(), of, &[place(0)], &[], NOW);
        added.unwrap();
        let sample = Sample::of(&["value"]).by(producer.0, producer.1, sequence);
        let batch = transactional(sample.at(NOW).encode());
        let topic = self.topics.by_name(&name("lines")).unwrap();
        let append = || self.lines().append(&batch, NOW, topic.settings.log());
        let written = self
            .transactions
            .within(self.stores(), of, (&place(0), Protocol::One), NOW, append);
        written.unwrap().unwrap();
    }

    fn end(&self, id: &StrBytes, producer: Producer, outcome: Outcome) -> Result<(), ResponseError> {
        let how = (outcome, Protocol::One);
        let ended = self.transactions.end(self.stores(), (id, producer), how, NOW);
        ended.map(|_| ())
    }

    fn decisions(&self, id: &StrBytes) -> usize {
        self.groups.transaction(id).unwrap().decisions.len()
    }
}

#[test]
fn only_the_decisions_that_were_seen_on_the_disk_are_settled() {
    let broker = Broker::new();
    let id = name("mine");
    let producer = broker.init(&id);
    broker.write(&id, producer, 0);
    broker.end(&id, producer, Outcome::Commit).unwrap();
    // Two look at the same time; one settles, and comes too late for the other what was decided since.
    let marked = broker.transactions.marked(broker.stores());
    let late = marked.clone();
    assert_eq!(marked.len(), 1);
    broker.transactions.settle(broker.stores(), marked);
    assert_eq!(broker.decisions(&id), 0);
    broker.write(&id, producer, 1);
    broker.end(&id, producer, Outcome::Commit).unwrap();
    broker.transactions.settle(broker.stores(), late);
    assert_eq!(broker.decisions(&id), 1);
}

#[test]
fn what_is_committed_stays_so_when_the_marker_cannot_be_written_at_the_start() {
    for restart in [Restart::Broker, Restart::Machine] {
        let broker = Broker::new();
        let id = name("mine");
        let producer = broker.init(&id);
        broker.write(&id, producer, 0);
        broker.lines().flush(CheckpointWhen::Always).unwrap();
        // The decision is written, its marker is not.
        broker.disk.fail(Operation::Write, 1);
        let ended = broker.end(&id, producer, Outcome::Commit);
        assert_eq!(ended, Err(ResponseError::ConcurrentTransactions));
        match restart {
            Restart::Broker => broker.disk.kill(),
            Restart::Machine => broker.disk.cut_power(),
        }
        let broker = Broker::open(&broker.disk);
        broker.disk.limit_room(Some(0));
        assert!(!broker.transactions.recover(broker.stores(), restart, NOW));
        assert!(broker.transactions.marked(broker.stores()).is_empty());
        assert!(broker.transactions.expire(broker.stores(), NOW).is_some());
        assert_eq!(
            (broker.decisions(&id), broker.lines().open_transactions().len()),
            (1, 1)
        );
        broker.disk.limit_room(None);
        assert_eq!(broker.transactions.expire(broker.stores(), NOW), None);
        assert_eq!(
            (broker.decisions(&id), broker.lines().open_transactions().len()),
            (0, 0)
        );
        assert_eq!(broker.lines().aborted_between(0, i64::MAX), []);
    }
}

#[test]
fn what_may_have_lost_a_part_is_aborted_later_when_the_disk_is_full_at_the_start() {
    let broker = Broker::new();
    let id = name("mine");
    let producer = broker.init(&id);
    broker.write(&id, producer, 0);
    broker.lines().flush(CheckpointWhen::Always).unwrap();
    broker.groups.flush().unwrap();
    broker.disk.cut_power();
    let broker = Broker::open(&broker.disk);
    broker.disk.limit_room(Some(0));
    assert!(
        !broker
            .transactions
            .recover(broker.stores(), Restart::Machine, NOW)
    );
    assert!(broker.end(&id, producer, Outcome::Commit).is_err());
    broker.disk.limit_room(None);
    let refused = broker.end(&id, producer, Outcome::Commit);
    assert_eq!(refused, Err(ResponseError::ProducerFenced));
    assert_eq!(broker.lines().open_transactions(), []);
    assert_eq!(broker.lines().aborted_between(0, i64::MAX).len(), 1);
}

#[test]
fn ids_that_nobody_knows_or_that_are_too_long_leave_nothing_behind() {
    let broker = Broker::new();
    let (id, nobody) = (name("nobody"), (1, 0));
    let unknown = Err(ResponseError::InvalidProducerIdMapping);
    let (transactions, stores) = (&broker.transactions, broker.stores());
    let done = transactions.add(stores, (&id, nobody), &[place(0)], &[], NOW);
    assert_eq!(done, unknown);
    for protocol in [Protocol::One, Protocol::Two] {
        let of = (&id, nobody);
        let done = transactions.within(stores, of, (&place(0), protocol), NOW, || ());
        assert_eq!(done, unknown);
        let done = transactions.commit_offsets(stores, of, (&name("readers"), protocol), &[], NOW);
        assert_eq!(done, unknown);
        let done = transactions.end(stores, of, (Outcome::Abort, protocol), NOW);
        assert_eq!(done.map(|_| ()), unknown);
    }
    assert_eq!(broker.end(&id, nobody, Outcome::Commit), unknown);
    let long = StrBytes::from_string("x".repeat(MAX_NAME_BYTES + 1));
    let refused = transactions.init(stores, &long, 1_000, None, NOW);
    assert_eq!(refused, Err(ResponseError::InvalidRequest));
    assert!(transactions.gates().is_empty());

    let producer = broker.init(&id);
    let refused = transactions.add(stores, (&id, producer), &[], std::slice::from_ref(&long), NOW);
    assert_eq!(refused, Err(ResponseError::InvalidGroupId));
    let refused = transactions.commit_offsets(stores, (&id, producer), (&long, Protocol::Two), &[], NOW);
    assert_eq!(refused, Err(ResponseError::InvalidGroupId));
    assert_eq!(transactions.gates().len(), 1);
}

/// As a client begins that says 0 where it means none, and one whose id was forgotten.
#[test]
fn who_goes_on_with_an_id_that_nobody_knows_begins_anew() {
    let broker = Broker::new();
    let id = name("copies");
    let init = |current| {
        let stores = broker.stores();
        broker.transactions.init(stores, &id, 1_000, current, NOW)
    };
    let first = init(Some((0, 0))).unwrap();
    assert_eq!(first.1, 0);
    // From then on it is known, and another one is fenced.
    assert_eq!(init(Some((first.0 + 1, 0))), Err(ResponseError::ProducerFenced));
    assert_eq!(init(Some(first)), Ok((first.0, 1)));
    assert_eq!(init(Some(first)), Ok((first.0, 1)), "it did not get the answer");
}

#[test]
fn a_partition_that_is_named_often_is_written_down_once() {
    let broker = Broker::new();
    let id = name("mine");
    let producer = broker.init(&id);
    let size = || {
        let path = Path::new(DATA).join("offsets.journal");
        broker.disk.open(&path, Mode::Read).unwrap().size().unwrap()
    };
    let add = |partitions: &[TopicPartition]| {
        let before = size();
        let of = (&id, producer);
        let added = broker.transactions.add(broker.stores(), of, partitions, &[], NOW);
        added.unwrap();
        size() - before
    };
    let once = add(&[place(0)]);
    let mut repeated = vec![place(0); 1_000];
    assert_eq!(add(&repeated), 0);
    repeated.extend(vec![place(1); 1_000]);
    assert_eq!(add(&repeated), once);
    let known = broker.groups.transaction(&id).unwrap();
    assert_eq!(known.partitions.len(), 2);
}

#[test]
fn an_id_is_forgotten_only_as_it_was_seen_and_when_nothing_is_left_to_do() {
    let broker = Broker::new();
    let id = name("mine");
    let producer = broker.init(&id);
    let seen = broker.groups.transaction(&id).unwrap();
    let forget = |seen: &Transaction, gate: Gate| {
        let forgotten = broker.transactions.forget(broker.stores(), &id, seen, &gate);
        forgotten.unwrap()
    };
    let owing = Gate {
        unmarked: true,
        ..Gate::default()
    };
    assert!(!forget(&seen, owing));
    broker.write(&id, producer, 0);
    assert!(!forget(&seen, Gate::default()));
    let seen = broker.groups.transaction(&id).unwrap();
    assert!(forget(&seen, Gate::default()));
    assert!(broker.groups.transaction(&id).is_none());
}

/// A transaction of the second protocol: a batch of it, with no word before.
fn write_joining(
    broker: &Broker,
    id: &StrBytes,
    producer: Producer,
    sequence: i32,
) -> Result<(), ResponseError> {
    let sample = Sample::of(&["value"]).by(producer.0, producer.1, sequence);
    let batch = transactional(sample.at(NOW).encode());
    let topic = broker.topics.by_name(&name("lines")).unwrap();
    let append = || broker.lines().append(&batch, NOW, topic.settings.log());
    let of = (id, producer);
    let written = broker
        .transactions
        .within(broker.stores(), of, (&place(0), Protocol::Two), NOW, append);
    written.map(|written| {
        written.unwrap();
    })
}

fn end_with_epoch(
    broker: &Broker,
    id: &StrBytes,
    producer: Producer,
    outcome: Outcome,
) -> Result<Producer, ResponseError> {
    let how = (outcome, Protocol::Two);
    let ended = broker.transactions.end(broker.stores(), (id, producer), how, NOW);
    ended.map(|ended| ended.producer)
}

#[test]
fn a_batch_or_an_offset_begins_a_transaction_of_the_second_protocol() {
    let broker = Broker::new();
    let id = name("mine");
    let producer = broker.init(&id);
    let of = (&id, producer);
    // Of the first one it does not.
    let refused = broker
        .transactions
        .within(broker.stores(), of, (&place(0), Protocol::One), NOW, || ());
    assert_eq!(refused, Err(ResponseError::InvalidTxnState));
    write_joining(&broker, &id, producer, 0).unwrap();
    let known = broker.groups.transaction(&id).unwrap();
    assert_eq!((known.started_ms, known.partitions.len()), (Some(NOW), 1));
    let committed = |offset| Committed {
        offset,
        leader_epoch: 0,
        metadata: StrBytes::default(),
        committed_at: NOW,
    };
    let commit = |producer, protocol, offset| {
        let offsets = [(place(0), committed(offset))];
        let group = name("readers");
        let of = (&id, producer);
        broker
            .transactions
            .commit_offsets(broker.stores(), of, (&group, protocol), &offsets, NOW)
    };
    let refused = commit(producer, Protocol::One, 1);
    assert_eq!(refused, Err(ResponseError::InvalidTxnState));
    commit(producer, Protocol::Two, 7).unwrap();
    let next = end_with_epoch(&broker, &id, producer, Outcome::Commit).unwrap();
    let found = broker.groups.committed(&name("readers")).unwrap();
    assert_eq!(found.partitions[&place(0)].offset, 7);
    assert_eq!(broker.lines().open_transactions(), []);
    // Its numbers begin anew with its epoch; an offset alone is a transaction too.
    write_joining(&broker, &id, next, 0).unwrap();
    let next = end_with_epoch(&broker, &id, next, Outcome::Abort).unwrap();
    commit(next, Protocol::Two, 9).unwrap();
    end_with_epoch(&broker, &id, next, Outcome::Commit).unwrap();
    let found = broker.groups.committed(&name("readers")).unwrap();
    assert_eq!(found.partitions[&place(0)].offset, 9);
}

#[test]
fn each_end_gives_another_epoch_and_what_comes_late_is_refused() {
    for outcome in [Outcome::Commit, Outcome::Abort] {
        let broker = Broker::new();
        let id = name("mine");
        let first = broker.init(&id);
        write_joining(&broker, &id, first, 0).unwrap();
        let next = end_with_epoch(&broker, &id, first, outcome).unwrap();
        assert_eq!(next, (first.0, first.1 + 1));
        // The answer was lost; the other outcome was not decided.
        assert_eq!(end_with_epoch(&broker, &id, first, outcome), Ok(next));
        let other = match outcome {
            Outcome::Commit => Outcome::Abort,
            Outcome::Abort => Outcome::Commit,
        };
        let fenced = Err(ResponseError::ProducerFenced);
        assert_eq!(end_with_epoch(&broker, &id, first, other), fenced);
        let late = write_joining(&broker, &id, first, 1);
        assert_eq!(late, Err(ResponseError::ProducerFenced));
        assert_eq!(broker.groups.transaction(&id).unwrap().started_ms, None);
        // Once the next one is open, nobody asks for the end of the last.
        write_joining(&broker, &id, next, 0).unwrap();
        assert_eq!(end_with_epoch(&broker, &id, first, outcome), fenced);
        end_with_epoch(&broker, &id, next, Outcome::Commit).unwrap();
        // Nor does one whose id was taken over.
        let taken = broker.init(&id);
        assert_eq!(end_with_epoch(&broker, &id, next, Outcome::Commit), fenced);
        assert_eq!(
            end_with_epoch(&broker, &id, (next.0, next.1 + 1), Outcome::Commit),
            fenced
        );
        assert!(taken.1 > next.1 + 1);
    }
}

#[test]
fn nothing_can_be_given_up_and_cannot_be_committed() {
    let broker = Broker::new();
    let id = name("mine");
    let first = broker.init(&id);
    let refused = end_with_epoch(&broker, &id, first, Outcome::Commit);
    assert_eq!(refused, Err(ResponseError::InvalidTxnState));
    let next = end_with_epoch(&broker, &id, first, Outcome::Abort).unwrap();
    assert_eq!(next, (first.0, first.1 + 1));
    assert_eq!(end_with_epoch(&broker, &id, first, Outcome::Abort), Ok(next));
    // What was on its way meanwhile begins nothing, and a power cut does not change that.
    broker.disk.cut_power();
    let broker = Broker::open(&broker.disk);
    assert_eq!(
        write_joining(&broker, &id, first, 0),
        Err(ResponseError::ProducerFenced)
    );
    write_joining(&broker, &id, next, 0).unwrap();
}

#[test]
fn a_producer_whose_epochs_are_used_up_gets_another_number() {
    let broker = Broker::new();
    let id = name("mine");
    let (producer_id, _) = broker.init(&id);
    let change = Change::Init {
        producer_id,
        epoch: LAST_EPOCH,
        previous: None,
        previous_id: None,
        timeout_ms: 60_000,
        outcome: None,
        at: NOW,
    };
    write_down(broker.stores(), &id, change).unwrap();
    let last = (producer_id, LAST_EPOCH);
    write_joining(&broker, &id, last, 0).unwrap();
    let next = end_with_epoch(&broker, &id, last, Outcome::Commit).unwrap();
    assert!(next.0 != producer_id && next.1 == 0, "{next:?}");
    // Whose answer was lost asks again, by its old number.
    assert_eq!(end_with_epoch(&broker, &id, last, Outcome::Commit), Ok(next));
    let other = end_with_epoch(&broker, &id, last, Outcome::Abort);
    assert_eq!(other, Err(ResponseError::InvalidProducerIdMapping));
    assert_eq!(broker.lines().open_transactions(), []);
    write_joining(&broker, &id, next, 0).unwrap();
    assert_eq!(broker.groups.transaction(&id).unwrap().timeout_ms, 60_000);
    let late = write_joining(&broker, &id, last, 1);
    assert_eq!(late, Err(ResponseError::InvalidProducerIdMapping));
}

#[test]
fn an_end_whose_marker_could_not_be_written_is_answered_once_it_is() {
    let broker = Broker::new();
    let id = name("mine");
    let first = broker.init(&id);
    write_joining(&broker, &id, first, 0).unwrap();
    broker.lines().flush(CheckpointWhen::Always).unwrap();
    broker.disk.fail(Operation::Write, 1);
    let refused = end_with_epoch(&broker, &id, first, Outcome::Commit);
    assert_eq!(refused, Err(ResponseError::ConcurrentTransactions));
    assert_eq!(broker.lines().open_transactions().len(), 1);
    let next = end_with_epoch(&broker, &id, first, Outcome::Commit);
    assert_eq!(next, Ok((first.0, first.1 + 1)));
    assert_eq!(broker.lines().open_transactions(), []);
    assert_eq!(broker.lines().aborted_between(0, i64::MAX), []);
}

#[test]
fn a_transaction_whose_beginning_was_lost_with_the_machine_is_given_up_by_its_producer() {
    let broker = Broker::new();
    let id = name("mine");
    let first = broker.init(&id);
    broker.groups.flush().unwrap();
    // The batch reaches the disk, that it begins a transaction does not.
    write_joining(&broker, &id, first, 0).unwrap();
    broker.lines().flush(CheckpointWhen::Always).unwrap();
    broker.disk.cut_power();
    let broker = Broker::open(&broker.disk);
    broker
        .transactions
        .recover(broker.stores(), Restart::Machine, NOW);
    assert_eq!(broker.lines().open_transactions(), []);
    for sequence in [0, 1] {
        let went_on = write_joining(&broker, &id, first, sequence);
        assert!(went_on.is_err(), "{sequence}: {went_on:?}");
    }
    let committed = end_with_epoch(&broker, &id, first, Outcome::Commit);
    assert_eq!(committed, Err(ResponseError::ProducerFenced));
    let next = end_with_epoch(&broker, &id, first, Outcome::Abort).unwrap();
    assert_eq!(next, (first.0, first.1 + 1));
    write_joining(&broker, &id, next, 0).unwrap();
    end_with_epoch(&broker, &id, next, Outcome::Commit).unwrap();
}

#[test]
fn who_asks_again_after_its_last_epoch_gets_another_number() {
    let broker = Broker::new();
    let id = name("mine");
    let (producer_id, _) = broker.init(&id);
    let change = Change::Init {
        producer_id,
        epoch: i16::MAX,
        previous: Some(LAST_EPOCH),
        previous_id: None,
        timeout_ms: 60_000,
        outcome: Some(Outcome::Abort),
        at: NOW,
    };
    write_down(broker.stores(), &id, change).unwrap();
    let current = Some((producer_id, LAST_EPOCH));
    let taken = broker
        .transactions
        .init(broker.stores(), &id, 60_000, current, NOW)
        .unwrap();
    assert!(taken.0 != producer_id && taken.1 == 0, "{taken:?}");
}
