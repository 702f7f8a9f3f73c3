//! What a partition's log knows of transactions: which are open, and which have come to nothing.
//!
//! Records of an open transaction are kept from consumers that read only what is committed, and so is all behind them.
//! Of an aborted one, those consumers are told the producer and the first offset, and pass its records over up to the
//! marker. Both follow from the batches of the log; the checkpoint only saves the reading.

use std::collections::{BTreeMap, HashMap};

use serde::{Deserialize, Serialize};

use super::batch::BatchHeader;
use super::batch::marker::Outcome;

/// Transactions of a partition.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct TransactionIndex {
    /// The first offset of each open one, by producer id.
    open: BTreeMap<i64, i64>,
    /// Those that came to nothing, in the order of their markers.
    aborted: Vec<Aborted>,
}

/// A transaction that came to nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Aborted {
    /// Its producer.
    #[serde(rename = "p")]
    pub(crate) producer_id: i64,
    /// Offset of its first record.
    #[serde(rename = "f")]
    pub(crate) first_offset: i64,
    /// Offset of its marker.
    #[serde(rename = "l")]
    pub(crate) last_offset: i64,
}

impl TransactionIndex {
    /// Takes note of a batch that is in the log; a marker comes with what it says.
    pub(crate) fn note(&mut self, header: &BatchHeader, outcome: Option<Outcome>) {
        if let Some(outcome) = outcome {
            let first_offset = self.open.remove(&header.producer_id);
            if let (Outcome::Abort, Some(first_offset)) = (outcome, first_offset) {
                self.aborted.push(Aborted {
                    producer_id: header.producer_id,
                    first_offset,
                    last_offset: header.last_offset(),
                });
            }
        } else if header.is_transactional() && !header.is_control() {
            self.open.entry(header.producer_id).or_insert(header.base_offset);
        }
    }

    /// Where the open transaction of a producer begins.
    pub(crate) fn open_since(&self, producer_id: i64) -> Option<i64> {
        self.open.get(&producer_id).copied()
    }

    /// Every open transaction: its producer and its first offset.
    pub(crate) fn open(&self) -> impl Iterator<Item = (i64, i64)> {
        self.open.iter().map(|(id, first)| (*id, *first))
    }

    /// The first offset of all open ones.
    pub(crate) fn first_open(&self) -> Option<i64> {
        self.open.values().min().copied()
    }

    /// Those that came to nothing and have records from `from` on and before `to`.
    pub(crate) fn aborted_between(&self, from: i64, to: i64) -> Vec<Aborted> {
        let begin = self.aborted.partition_point(|aborted| aborted.last_offset < from);
        let later = self.aborted[begin..].iter();
        later
            .filter(|aborted| aborted.first_offset < to)
            .copied()
            .collect()
    }

    /// All that came to nothing, to be asked about single batches.
    pub(crate) fn aborted_by_producer(&self) -> AbortedByProducer {
        let mut by_producer: HashMap<i64, Vec<(i64, i64)>> = HashMap::new();
        for aborted in &self.aborted {
            let of_producer = by_producer.entry(aborted.producer_id).or_default();
            of_producer.push((aborted.first_offset, aborted.last_offset));
        }
        AbortedByProducer(by_producer)
    }

    /// Forgets those whose records are all gone: they lie before the log's start, or were compacted away.
    pub(crate) fn forget_before(&mut self, offset: i64) {
        self.aborted.retain(|aborted| aborted.last_offset >= offset);
    }
}

/// Offsets of aborted transactions, from the first record to the marker, by producer id.
#[derive(Debug, Default)]
pub(crate) struct AbortedByProducer(HashMap<i64, Vec<(i64, i64)>>);

impl AbortedByProducer {
    /// Whether a batch belongs to a transaction that came to nothing.
    pub(crate) fn has(&self, header: &BatchHeader) -> bool {
        if !header.is_transactional() || header.is_control() {
            return false;
        }
        let Some(ranges) = self.0.get(&header.producer_id) else {
            return false;
        };
        // Of one producer they follow on each other.
        let next = ranges.partition_point(|(_, last)| *last < header.base_offset);
        ranges
            .get(next)
            .is_some_and(|(first, _)| *first <= header.base_offset)
    }
}
