//! What must hold of the partitions at any time, after an end of the broker, and after a flipped bit.

use std::collections::{BTreeMap, BTreeSet};

use kafka_protocol::protocol::StrBytes;

use super::model::{Sent, check_records};
use super::{End, Run, partition};
use crate::storage::batch::BatchHeader;
use crate::storage::batch::records::Records;
use crate::storage::read::ReadError;

impl Run {
    /// Every record of a partition, by offset.
    pub(super) fn read(&self, number: usize) -> BTreeMap<i64, Sent> {
        let partition = partition(&self.topics, number);
        let bounds = partition.bounds();
        let mut found = BTreeMap::new();
        let mut offset = bounds.start;
        while let Some((range, _)) = partition.locate(offset).expect("it is within the log") {
            let bytes = range.batches_from(offset, 500).expect("it can be read");
            if bytes.is_empty() {
                assert!(range.next_offset > offset, "reading goes on");
                offset = range.next_offset;
            }
            let mut rest = &bytes[..];
            while !rest.is_empty() {
                let header = BatchHeader::parse_whole(rest).expect("a whole batch");
                for record in Records::of(&header, rest).expect("records").iter() {
                    let record = record.expect("a record");
                    let value = String::from_utf8_lossy(record.value.unwrap_or_default()).into_owned();
                    let id = value.split(' ').next().and_then(|id| id.parse().ok());
                    let sent = Sent {
                        id: id.unwrap_or(u64::MAX),
                        key: String::from_utf8_lossy(record.key.unwrap_or_default()).into_owned(),
                        is_tombstone: record.is_tombstone(),
                    };
                    if record.offset >= bounds.start {
                        let before = found.insert(record.offset, sent);
                        assert!(before.is_none(), "offset {} of {number} twice", record.offset);
                    }
                }
                offset = header.next_offset();
                rest = &rest[header.size..];
            }
        }
        assert_eq!(offset, bounds.end);
        found
    }

    pub(super) fn check_after(&mut self, number: usize, end: End) {
        let bounds = partition(&self.topics, number).bounds();
        let found = self.read(number);
        let model = &mut self.models[number];
        let mut allowed = model.deleted_to.max(model.maybe_deleted_to);
        if end == End::PowerCut && model.safe_to <= model.deleted_to {
            // Nothing was safe yet, the name of the first segment neither: what is left may begin later.
            allowed = i64::MAX;
            model.acknowledged = model.acknowledged.split_off(&bounds.start);
        }
        assert!(
            (model.deleted_to..=allowed.max(0)).contains(&bounds.start),
            "{number} begins at {}, not from {} to {allowed}",
            bounds.start,
            model.deleted_to
        );
        match end {
            // A deletion that was not answered shows, but may yet be undone by a power cut.
            End::Killed => model.maybe_deleted_to = model.maybe_deleted_to.max(bounds.start),
            End::PowerCut => {
                model.deleted_to = bounds.start;
                model.maybe_deleted_to = 0;
            }
        }
        assert!(bounds.end >= model.safe_to, "{number} ends at {}", bounds.end);
        // What was in doubt and has arrived will be acknowledged when it is sent again.
        let doubtful: BTreeSet<u64> = model
            .in_doubt
            .iter()
            .flat_map(|batch| batch.records.iter().map(|sent| sent.id))
            .collect();
        if end == End::PowerCut {
            let lost = model.acknowledged.split_off(&bounds.end);
            if !lost.is_empty() {
                assert!(lost.keys().all(|offset| *offset >= model.safe_to));
                // Its producer starts over: what it was told is gone, as the policy allows.
                model.in_doubt = None;
                model.sequence = 0;
                self.next_producer += 1;
                model.producer = self.next_producer;
            }
        }
        model.safe_to = model.safe_to.min(bounds.end);
        check_records(number, bounds.start, &found, model, &doubtful);
        let group = self.groups.committed(&StrBytes::from_static_str("group"));
        let committed = group
            .and_then(|group| {
                let topic = (StrBytes::from_static_str("t"), number as i32);
                group.partitions.get(&topic).map(|found| found.offset)
            })
            .unwrap_or(0);
        let at_least = match end {
            End::Killed => model.committed.last(),
            End::PowerCut => model.committed[..model.safely_committed].last(),
        };
        assert!(
            committed >= *at_least.unwrap_or(&0),
            "{number} committed {committed}"
        );
        model.committed.retain(|offset| *offset <= committed);
        model.safely_committed = model.safely_committed.min(model.committed.len());
    }

    /// After a flipped bit: whatever is read is what was sent, and what was safe is there unless its damage is told.
    pub(super) fn check_one_by_one(&self, number: usize, what: &str) {
        let partition = partition(&self.topics, number);
        let bounds = partition.bounds();
        let model = &self.models[number];
        assert!(bounds.end >= model.safe_to, "{what}: it ends at {}", bounds.end);
        let mut missing = 0;
        for offset in bounds.start..bounds.end {
            let Some((range, _)) = partition.locate(offset).expect("it is within the log") else {
                continue;
            };
            let bytes = match range.batches_from(offset, 1) {
                Ok(bytes) => bytes,
                Err(ReadError::Damaged { .. }) => continue,
                Err(error) => panic!("{what}: {error}"),
            };
            let mut has_it = false;
            if let Ok(header) = BatchHeader::parse_whole(&bytes) {
                for record in Records::of(&header, &bytes).expect("records").iter() {
                    let record = record.expect("a record");
                    has_it |= record.offset == offset;
                    let sent = &model.acknowledged[&record.offset];
                    let id = format!("{} ", sent.id).into_bytes();
                    let value = record.value.unwrap_or_default();
                    assert!(sent.is_tombstone || value.starts_with(&id), "{what}: {sent:?}");
                }
            }
            missing += u64::from(!has_it);
        }
        // A bit at the very end of what was safe costs the batch it is in; recovery has said so.
        assert!(
            number >= 2 || missing <= 4,
            "{what}: {missing} records are hidden"
        );
    }

    pub(super) fn check_reading(&mut self, number: usize) {
        if self.disk.is_off() {
            return;
        }
        let start = partition(&self.topics, number).bounds().start;
        let found = self.read(number);
        let model = &self.models[number];
        assert!(start >= model.deleted_to, "{number} begins at {start}");
        let doubtful = model
            .in_doubt
            .iter()
            .flat_map(|batch| batch.records.iter().map(|sent| sent.id))
            .collect();
        check_records(number, start, &found, model, &doubtful);
    }
}
