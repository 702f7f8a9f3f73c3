//! Transactions in a simulated run: two transactional ids write to the same two partitions and commit offsets.
//!
//! What is promised of them: who reads only what is committed sees nothing of a transaction that came to nothing, and
//! all of one that was committed, as far as its records are there; and a group's offset is one that was committed.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use kafka_protocol::protocol::StrBytes;

use super::{End, Run};
use crate::groups::offsets::Committed;
use crate::storage::batch::compression::Compression;
use crate::storage::batch::marker::{self, Outcome};
use crate::storage::batch::records::Records;
use crate::storage::batch::tests::Sample;
use crate::storage::batch::{BatchHeader, tests};
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

    pub(super) fn check_ledger_after(&mut self, end: End) {
        let ends = [0, 1].map(|index| self.ledger(index).bounds().end);
        if end == End::PowerCut {
            for (index, end) in ends.into_iter().enumerate() {
                assert!(
                    end >= self.ledger.safe_to[index],
                    "ledger {index} ends at {end}, before what was safe"
                );
                self.ledger.safe_to[index] = self.ledger.safe_to[index].min(end);
            }
            // As the policy allows, what was not safe may be lost; its places may be taken by markers already.
            let left = [0, 1].map(|index| read(&self.ledger(index), Isolation::None));
            let safe_to = self.ledger.safe_to;
            let is_left = |(index, offset): &Place, number: &mut u64| {
                let is_left = left[*index].get(offset) == Some(number);
                assert!(
                    is_left || *offset >= safe_to[*index],
                    "{number} was safe and is lost"
                );
                is_left
            };
            self.ledger.committed.retain(is_left);
            for open in &mut self.ledger.in_doubt {
                open.records.retain(is_left);
            }
            for writer in &mut self.ledger.writers {
                writer.producer = None;
                let open = std::mem::take(&mut writer.open);
                self.ledger.withdrawn.extend(open.records.into_values());
                self.ledger.withdrawn.extend(open.lost);
            }
        } else {
            for who in 0..IDS.len() {
                self.give_up_unless_open(who);
            }
        }
        self.check_ledger();
    }

    /// Ends what is open and looks at everything once more.
    pub(super) fn close_ledger(&mut self) {
        // What was arranged to fail may not have come up yet; then the broker is started once more.
        for attempt in 0.. {
            (0..IDS.len()).for_each(|who| self.take_over(who));
            let writers = &self.ledger.writers;
            if writers.iter().all(|writer| writer.producer.is_some()) {
                break;
            }
            assert!(attempt < 5, "transactions cannot begin anew");
            self.disk.limit_room(None);
            self.end();
        }
        for index in 0..PARTITIONS {
            let bounds = self.ledger(index).bounds();
            assert_eq!(bounds.stable, bounds.end, "ledger {index} has something open");
        }
        self.check_ledger();
    }

    fn check_ledger(&mut self) {
        if self.disk.is_off() {
            return;
        }
        let mut seen: BTreeMap<Place, u64> = BTreeMap::new();
        for index in 0..PARTITIONS {
            let committed = read(&self.ledger(index), Isolation::Committed);
            seen.extend(
                committed
                    .into_iter()
                    .map(|(offset, number)| ((index, offset), number)),
            );
        }
        let stable = [0, 1].map(|index| self.ledger(index).bounds().stable);
        let ledger = &mut self.ledger;
        // A commit that was not answered counts or does not, as a whole.
        let (arrived, doubtful) = std::mem::take(&mut ledger.in_doubt)
            .into_iter()
            .partition(|open: &Open| open.records.keys().any(|place| seen.contains_key(place)));
        ledger.in_doubt = doubtful;
        for open in arrived {
            ledger.committed.extend(open.records);
        }
        for (place, number) in &seen {
            assert!(
                !ledger.withdrawn.contains(number),
                "{number} at {place:?} came to nothing and is seen"
            );
            assert_eq!(
                ledger.committed.get(place),
                Some(number),
                "{number} is seen at {place:?} and was not committed"
            );
        }
        for (place, number) in &ledger.committed {
            assert!(
                place.1 >= stable[place.0] || seen.contains_key(place),
                "{number} at {place:?} was committed and is not seen"
            );
        }
        let committed = self.groups.committed(&name(GROUP));
        let offset = committed.and_then(|group| Some(group.partitions.get(&(name(TOPIC), 0))?.offset));
        let offsets = &self.ledger.offsets;
        // None is committed until the first commit is answered.
        let is_possible = match offset {
            Some(offset) => offsets.contains(&offset),
            None => !self.ledger.has_offset,
        };
        assert!(is_possible, "the offset is {offset:?}, not one of {offsets:?}");
    }
}

/// What a consumer wants to see.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Isolation {
    /// Everything.
    None,
    /// What is committed.
    Committed,
}

/// The records of a partition, by offset, as a consumer sees them.
fn read(partition: &Partition, isolation: Isolation) -> BTreeMap<i64, u64> {
    let mut bounds = partition.bounds();
    if isolation == Isolation::None {
        bounds.stable = bounds.end;
    }
    let mut aborted = partition.aborted_between(bounds.start, bounds.stable);
    aborted.sort_by_key(|aborted| aborted.first_offset);
    let mut aborted = aborted.into_iter().peekable();
    let mut withdrawing = BTreeSet::new();
    let mut found = BTreeMap::new();
    let mut offset = bounds.start;
    while offset < bounds.stable {
        let (range, _) = partition
            .locate(offset)
            .expect("it is within the log")
            .expect("more");
        let bytes = range.batches_from(offset, 500).expect("it can be read");
        if bytes.is_empty() {
            assert!(range.next_offset > offset, "reading goes on");
            offset = range.next_offset;
        }
        let mut rest = &bytes[..];
        while !rest.is_empty() {
            let header = BatchHeader::parse_whole(rest).expect("a whole batch");
            if header.base_offset >= bounds.stable {
                return found;
            }
            while let Some(next) = aborted.next_if(|next| next.first_offset <= header.last_offset()) {
                withdrawing.insert(next.producer_id);
            }
            if header.is_control() {
                if marker::outcome(&header, rest) == Ok(Some(Outcome::Abort)) {
                    withdrawing.remove(&header.producer_id);
                }
            } else if isolation == Isolation::None || !withdrawing.contains(&header.producer_id) {
                for record in Records::of(&header, rest).expect("records").iter() {
                    let record = record.expect("a record");
                    let value = String::from_utf8_lossy(record.value.unwrap_or_default()).into_owned();
                    found.insert(record.offset, value.parse().expect("a number"));
                }
            }
            offset = header.next_offset();
            rest = &rest[header.size..];
        }
    }
    found
}
