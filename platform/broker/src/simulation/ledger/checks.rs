//! Whether what was promised of transactions holds, after each end of the broker and at the end of the run.

use std::collections::{BTreeMap, BTreeSet};

use super::{GROUP, IDS, Open, PARTITIONS, Place, TOPIC, name};
use crate::simulation::{End, Run};
use crate::storage::batch::BatchHeader;
use crate::storage::batch::marker::{self, Outcome};
use crate::storage::batch::records::Records;
use crate::topics::partition::Partition;

impl Run {
    pub(in crate::simulation) fn check_ledger_after(&mut self, end: End) {
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
    pub(in crate::simulation) fn close_ledger(&mut self) {
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

    pub(super) fn check_ledger(&mut self) {
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
