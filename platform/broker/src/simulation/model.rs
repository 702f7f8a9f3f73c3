//! What clients were told about a partition, and what must be in it then.

use std::collections::{BTreeMap, BTreeSet};

/// Keys that records of compacted partitions have.
pub(super) const KEYS: u64 = 12;

/// What was sent in one record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Sent {
    pub(super) id: u64,
    pub(super) key: String,
    pub(super) is_tombstone: bool,
}

/// A batch that may or may not have arrived.
#[derive(Debug, Clone)]
pub(super) struct InDoubt {
    pub(super) bytes: Vec<u8>,
    pub(super) records: Vec<Sent>,
}

/// What clients were told about a partition.
#[derive(Debug, Default)]
pub(super) struct Model {
    /// What was acknowledged, by offset.
    pub(super) acknowledged: BTreeMap<i64, Sent>,
    /// Before this offset everything outlives a power cut.
    pub(super) safe_to: i64,
    /// The log may not begin earlier.
    pub(super) deleted_to: i64,
    /// A deletion up to here was asked for and not answered.
    pub(super) maybe_deleted_to: i64,
    pub(super) in_doubt: Option<InDoubt>,
    pub(super) sequence: i32,
    pub(super) producer: i64,
    pub(super) committed: Vec<i64>,
    pub(super) safely_committed: usize,
}

/// What is in the log is what was sent, and all of it unless a later record of its key replaces it.
pub(super) fn check_records(
    number: usize,
    start: i64,
    found: &BTreeMap<i64, Sent>,
    model: &Model,
    doubtful: &BTreeSet<u64>,
) {
    let compacted = number >= 2;
    let matches = |found: &Sent, sent: &Sent| {
        found.key == sent.key
            && found.is_tombstone == sent.is_tombstone
            && (sent.is_tombstone || found.id == sent.id)
    };
    for (offset, record) in found {
        match model.acknowledged.get(offset) {
            Some(sent) => assert!(
                matches(record, sent),
                "{number}@{offset}: {record:?} for {sent:?}"
            ),
            None => assert!(
                record.is_tombstone || doubtful.contains(&record.id),
                "{number}@{offset}: {record:?} was never acknowledged there"
            ),
        }
    }
    let ids: Vec<u64> = found
        .values()
        .filter(|record| !record.is_tombstone)
        .map(|record| record.id)
        .collect();
    assert_eq!(
        ids.iter().collect::<BTreeSet<_>>().len(),
        ids.len(),
        "{number} has one twice"
    );
    if !compacted {
        for (offset, sent) in model.acknowledged.range(start..) {
            assert!(found.contains_key(offset), "{number}@{offset}: {sent:?} is lost");
        }
        return;
    }
    for key in (0..KEYS).map(|key| format!("key {key}")) {
        let is_of_key = |(_, record): &(&i64, &Sent)| record.key == key;
        let Some((offset, sent)) = model.acknowledged.iter().rev().find(is_of_key) else {
            continue;
        };
        match found.iter().rev().find(is_of_key) {
            Some((last, _)) if last >= offset => {}
            Some((last, record)) => panic!("{number}: {record:?}@{last} came back after {sent:?}@{offset}"),
            None => assert!(sent.is_tombstone, "{number}@{offset}: {sent:?} is lost"),
        }
    }
}
