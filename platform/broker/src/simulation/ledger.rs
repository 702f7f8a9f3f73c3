//! Transactions in a simulated run: two transactional ids write to the same two partitions and commit offsets.
//!
//! What is promised of them: who reads only what is committed sees nothing of a transaction that came to nothing, and
//! all of one that was committed, as far as its records are there; and a group's offset is one that was committed.

mod checks;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use kafka_protocol::protocol::StrBytes;

use super::Run;
use crate::groups::offsets::Committed;
use crate::storage::batch::compression::Compression;
use crate::storage::batch::marker::Outcome;
use crate::storage::batch::tests;
use crate::storage::batch::tests::Sample;
use crate::storage::log::CheckpointWhen;
use crate::topics::partition::Partition;
use crate::transactions::{Ended, Producer, Protocol, Stores};

const TOPIC: &str = "ledger";
const GROUP: &str = "bookkeepers";
const IDS: [&str; 2] = ["one", "two"];
const PARTITIONS: usize = 2;
const TIMEOUT_MS: i32 = 60_000;

/// Where a record is: its partition and its offset.
type Place = (usize, i64);

/// What producers were told of their transactions.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    writers: [Writer; 2],
    /// Records that were committed, by place; their numbers.
    committed: BTreeMap<Place, u64>,
    /// Numbers of records that must never be seen.
    withdrawn: BTreeSet<u64>,
    /// Transactions whose commit was asked for and not answered.
    in_doubt: Vec<Open>,
    /// What the group's offset may be: the last that was committed, or one whose commit was not answered since.
    offsets: BTreeSet<i64>,
    /// Whether one was committed for sure.
    has_offset: bool,
    /// Before these offsets everything outlives a power cut.
    safe_to: [i64; PARTITIONS],
    next_offset: i64,
}

#[derive(Debug, Default)]
struct Writer {
    producer: Option<Producer>,
    /// How its client speaks of transactions.
    is_second: bool,
    sequences: [i32; PARTITIONS],
    open: Open,
}

#[derive(Debug, Default, Clone)]
struct Open {
    records: BTreeMap<Place, u64>,
    /// Records sent whose place nobody was told.
    lost: BTreeSet<u64>,
    offset: Option<i64>,
    /// Something went wrong, so that it can only be given up.
    is_broken: bool,
}

fn name(text: &'static str) -> StrBytes {
    StrBytes::from_static_str(text)
}

impl Run {
    fn stores(&self) -> Stores<'_> {
        Stores {
            topics: &self.topics,
            groups: &self.groups,
        }
    }

    fn ledger(&self, index: usize) -> Arc<Partition> {
        let topic = self.topics.by_name(&name(TOPIC)).expect("the topic");
        Arc::clone(&topic.partitions[index])
    }

    /// One of the producers goes on.
    pub(super) fn go_on_with_transactions(&mut self) {
        let who = self.dice.below(2) as usize;
        match self.dice.below(12) {
            _ if self.ledger.writers[who].producer.is_none() => self.take_over(who),
            0..5 => self.write(who),
            5 | 6 => self.set_offset(who),
            7 | 8 => self.end_transaction(who),
            9 => self.take_over(who),
            10 => self.settle(),
            _ => {
                if self.dice.chance(10) {
                    self.expire();
                }
                self.check_ledger();
            }
        }
    }

    /// A producer begins anew; what the one before had open is given up.
    fn take_over(&mut self, who: usize) {
        let (id, now_ms) = (name(IDS[who]), self.now_ms);
        let taken = self
            .transactions
            .init(self.stores(), &id, TIMEOUT_MS, None, now_ms);
        self.note(format!("{who} begins anew: {taken:?}"));
        let writer = &mut self.ledger.writers[who];
        let open = std::mem::take(&mut writer.open);
        self.ledger.withdrawn.extend(open.records.into_values());
        self.ledger.withdrawn.extend(open.lost);
        *writer = Writer {
            producer: taken.ok(),
            is_second: self.dice.chance(50),
            ..Writer::default()
        };
    }

    fn protocol(&self, who: usize) -> Protocol {
        match self.ledger.writers[who].is_second {
            false => Protocol::One,
            true => Protocol::Two,
        }
    }

    fn write(&mut self, who: usize) {
        let index = self.dice.below(PARTITIONS as u64) as usize;
        let count = 1 + self.dice.below(3);
        let numbers: Vec<u64> = (self.next_id..self.next_id + count).collect();
        self.next_id += count;
        let Some(producer) = self.ledger.writers[who].producer else {
            return;
        };
        let sample = Sample {
            key: None,
            values: numbers
                .iter()
                .map(|number| number.to_string().into_bytes())
                .collect(),
            timestamp: self.now_ms,
            producer: Some((producer.0, producer.1, self.ledger.writers[who].sequences[index])),
            compression: Compression::None,
        };
        let batch = tests::transactional(sample.encode());
        let (id, place) = (name(IDS[who]), (name(TOPIC), index as i32));
        let of = (&id, producer);
        let partition = self.ledger(index);
        let topic = self.topics.by_name(&name(TOPIC)).expect("the topic");
        let protocol = self.protocol(who);
        let added = match protocol {
            Protocol::One => {
                let place = std::slice::from_ref(&place);
                self.transactions.add(self.stores(), of, place, &[], self.now_ms)
            }
            Protocol::Two => Ok(()),
        };
        let sent = added.map(|()| {
            let append = || partition.append(&batch, self.now_ms, topic.settings.log());
            self.transactions
                .within(self.stores(), of, (&place, protocol), self.now_ms, append)
        });
        self.note(format!("{who} writes {numbers:?} to {index}: {sent:?}"));
        let is_safe = !self.every_batch || partition.flush(CheckpointWhen::Never).is_ok();
        let writer = &mut self.ledger.writers[who];
        match sent {
            Ok(Ok(Ok(written))) => {
                writer.sequences[index] += count as i32;
                let places = (written.base_offset..).map(|offset| (index, offset));
                writer.open.records.extend(places.zip(numbers));
                writer.open.is_broken |= !is_safe;
            }
            _ => {
                writer.open.lost.extend(numbers);
                writer.open.is_broken = true;
            }
        }
    }

    fn set_offset(&mut self, who: usize) {
        let Some(producer) = self.ledger.writers[who].producer else {
            return;
        };
        self.ledger.next_offset += 1;
        let offset = self.ledger.next_offset;
        let (id, group) = (name(IDS[who]), name(GROUP));
        let of = (&id, producer);
        let committed = Committed {
            offset,
            leader_epoch: 0,
            metadata: StrBytes::default(),
            committed_at: self.now_ms,
        };
        let offsets = [((name(TOPIC), 0), committed)];
        let protocol = self.protocol(who);
        let added = match protocol {
            Protocol::One => {
                let group = std::slice::from_ref(&group);
                self.transactions.add(self.stores(), of, &[], group, self.now_ms)
            }
            Protocol::Two => Ok(()),
        };
        let sent = added.and_then(|()| {
            self.transactions
                .commit_offsets(self.stores(), of, (&group, protocol), &offsets, self.now_ms)
        });
        self.note(format!("{who} sets the offset {offset}: {sent:?}"));
        let open = &mut self.ledger.writers[who].open;
        match sent {
            Ok(()) => open.offset = Some(offset),
            Err(_) => open.is_broken = true,
        }
    }

    fn end_transaction(&mut self, who: usize) {
        let writer = &mut self.ledger.writers[who];
        let Some(producer) = writer.producer else {
            return;
        };
        let open = std::mem::take(&mut writer.open);
        let outcome = if open.is_broken || self.dice.chance(40) {
            Outcome::Abort
        } else {
            Outcome::Commit
        };
        let id = name(IDS[who]);
        let how = (outcome, self.protocol(who));
        let mut ended = self
            .transactions
            .end(self.stores(), (&id, producer), how, self.now_ms);
        // An answer may be lost, or be one that asks to try again.
        if how.1 == Protocol::Two && self.dice.chance(30) {
            ended = self
                .transactions
                .end(self.stores(), (&id, producer), how, self.now_ms);
        }
        self.note(format!(
            "{who} ends with {how:?}: {:?}",
            ended.as_ref().map(|ended| (ended.marked.len(), ended.producer))
        ));
        if how.1 == Protocol::Two
            && let Ok(Ended { producer: next, .. }) = &ended
        {
            let writer = &mut self.ledger.writers[who];
            (writer.producer, writer.sequences) = (Some(*next), [0; PARTITIONS]);
            self.send_late(who, (&id, producer));
        }
        let is_safe = |marked: &[Arc<Partition>]| {
            let mut marked = marked.iter();
            marked.all(|partition| partition.flush(CheckpointWhen::Never).is_ok())
        };
        let is_answered = ended.is_ok_and(|ended| !self.every_batch || is_safe(&ended.marked));
        if !is_answered {
            // It has to ask who it is before it goes on.
            self.ledger.writers[who].producer = None;
        }
        match outcome {
            Outcome::Abort => {
                self.ledger.withdrawn.extend(open.records.into_values());
                self.ledger.withdrawn.extend(open.lost);
            }
            Outcome::Commit if is_answered => {
                self.ledger.committed.extend(open.records);
                if let Some(offset) = open.offset {
                    self.ledger.offsets = BTreeSet::from([offset]);
                    self.ledger.has_offset = true;
                }
            }
            Outcome::Commit => {
                self.ledger.offsets.extend(open.offset);
                self.ledger.in_doubt.push(open);
            }
        }
    }

    /// A batch that was on its way when its transaction ended: it is none of the next one.
    fn send_late(&self, who: usize, of: (&StrBytes, Producer)) {
        let place = (name(TOPIC), 0);
        let late = self
            .transactions
            .within(self.stores(), of, (&place, Protocol::Two), self.now_ms, || ());
        assert!(
            late.is_err(),
            "{who}: a late batch came into the next transaction"
        );
    }

    /// What the broker does every second: markers that are on the disk need not be remembered.
    fn settle(&mut self) {
        let marked = self.transactions.marked(self.stores());
        let mut ends = [0; PARTITIONS];
        for (index, end) in ends.iter_mut().enumerate() {
            let partition = self.ledger(index);
            *end = partition.bounds().end;
            if partition.flush(CheckpointWhen::Always).is_err() {
                return;
            }
        }
        self.note(format!("settle {marked:?}"));
        self.transactions.settle(self.stores(), marked);
        self.ledger.safe_to = ends;
    }

    /// Everything that is open has taken too long.
    fn expire(&mut self) {
        let later = self.now_ms + i64::from(TIMEOUT_MS) + 1;
        self.transactions.expire(self.stores(), later);
        self.note("transactions expire".to_owned());
        for who in 0..IDS.len() {
            self.give_up_unless_open(who);
        }
    }

    /// A producer whose transaction is not open any more learns of it.
    fn give_up_unless_open(&mut self, who: usize) {
        let known = self.groups.transaction(&name(IDS[who]));
        let writer = &mut self.ledger.writers[who];
        let goes_on = known.is_some_and(|known| {
            known.started_ms.is_some() && writer.producer == Some((known.producer_id, known.epoch))
        });
        let has_some = !writer.open.records.is_empty() || !writer.open.lost.is_empty();
        if !goes_on && (has_some || writer.open.offset.is_some()) {
            let open = std::mem::take(&mut writer.open);
            writer.producer = None;
            self.ledger.withdrawn.extend(open.records.into_values());
            self.ledger.withdrawn.extend(open.lost);
        }
    }
}
