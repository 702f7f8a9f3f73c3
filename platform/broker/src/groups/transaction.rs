//! What is known of one transactional id, and the changes to it as they are written down.

use std::collections::{BTreeMap, BTreeSet};

use kafka_protocol::protocol::StrBytes;
use serde::{Deserialize, Serialize};

use super::offsets::{Committed, EntryOffset, TopicPartition, committed_of, entry_offset};
use crate::storage::batch::marker::Outcome;

/// A transactional id: its producer, the transaction that is open, and those decided of late.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Transaction {
    /// The id its producer numbers batches under.
    pub(crate) producer_id: i64,
    /// The producer's epoch; whoever has a smaller one is fenced.
    pub(crate) epoch: i16,
    /// The epoch before, when its owner may ask again because it has not heard of the new one.
    pub(crate) previous_epoch: Option<i16>,
    /// The number before, when its epochs were used up and its owner may ask again because it has not heard of the new one.
    pub(crate) previous_id: Option<i64>,
    /// How long a transaction may stay open, in milliseconds.
    pub(crate) timeout_ms: i32,
    /// When the open one was begun, in milliseconds since the epoch.
    pub(crate) started_ms: Option<i64>,
    /// Partitions that belong to the open one.
    pub(crate) partitions: BTreeSet<TopicPartition>,
    /// Groups whose offsets belong to it.
    pub(crate) groups: BTreeSet<StrBytes>,
    /// Those offsets, not committed yet.
    pub(crate) offsets: BTreeMap<(StrBytes, TopicPartition), Committed>,
    /// How the last one ended.
    pub(crate) outcome: Option<Outcome>,
    /// Decisions whose markers may not be on the disk itself, oldest first.
    pub(crate) decisions: Vec<Decision>,
    /// When anything changed last, in milliseconds since the epoch.
    pub(crate) changed_ms: i64,
}

/// How a transaction ended, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Decision {
    /// Its producer.
    pub(crate) producer_id: i64,
    /// How it ended.
    pub(crate) outcome: Outcome,
    /// Its partitions; all its records are before the offset.
    pub(crate) ends: BTreeMap<TopicPartition, i64>,
}

/// A change, as it is written down.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Change {
    /// A producer takes the id over.
    Init {
        producer_id: i64,
        epoch: i16,
        previous: Option<i16>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        previous_id: Option<i64>,
        timeout_ms: i32,
        outcome: Option<Outcome>,
        at: i64,
    },
    /// Partitions and groups join the transaction, which is begun by the first.
    Add {
        partitions: Vec<(String, i32)>,
        groups: Vec<String>,
        at: i64,
    },
    /// Offsets that count once the transaction is committed.
    Offsets {
        group: String,
        at: i64,
        offsets: Vec<EntryOffset>,
    },
    /// The transaction is over, whatever happens from here on.
    Decide {
        producer_id: i64,
        outcome: Outcome,
        epoch: i16,
        previous: Option<i16>,
        ends: Vec<(String, i32, i64)>,
        at: i64,
    },
    /// The markers of so many of the oldest decisions are on the disk itself.
    Settle { decisions: usize },
    /// Nobody has used the id for long.
    Forget,
}

impl Transaction {
    /// Applies a change to what is known of an id. Offsets that were committed by it are returned.
    pub(crate) fn apply(
        known: &mut Option<Self>,
        change: Change,
    ) -> BTreeMap<(StrBytes, TopicPartition), Committed> {
        let mut committed = BTreeMap::new();
        match change {
            Change::Init {
                producer_id,
                epoch,
                previous,
                previous_id,
                timeout_ms,
                outcome,
                at,
            } => {
                let decisions = known.take().map(|known| known.decisions).unwrap_or_default();
                *known = Some(Self {
                    producer_id,
                    epoch,
                    previous_epoch: previous,
                    previous_id,
                    timeout_ms,
                    started_ms: None,
                    partitions: BTreeSet::new(),
                    groups: BTreeSet::new(),
                    offsets: BTreeMap::new(),
                    outcome,
                    decisions,
                    changed_ms: at,
                });
            }
            Change::Forget => *known = None,
            change => {
                if let Some(known) = known {
                    committed = known.go_on(change);
                }
            }
        }
        committed
    }

    fn go_on(&mut self, change: Change) -> BTreeMap<(StrBytes, TopicPartition), Committed> {
        match change {
            Change::Add {
                partitions,
                groups,
                at,
            } => {
                self.started_ms.get_or_insert(at);
                self.changed_ms = at;
                let partitions = partitions.into_iter();
                self.partitions
                    .extend(partitions.map(|(topic, index)| (StrBytes::from_string(topic), index)));
                self.groups.extend(groups.into_iter().map(StrBytes::from_string));
            }
            Change::Offsets { group, at, offsets } => {
                let group = StrBytes::from_string(group);
                for offset in offsets {
                    let (partition, committed) = committed_of(offset, at);
                    self.offsets.insert((group.clone(), partition), committed);
                }
            }
            Change::Decide {
                producer_id,
                outcome,
                epoch,
                previous,
                ends,
                at,
            } => {
                let ends = ends.into_iter();
                self.decisions.push(Decision {
                    producer_id,
                    outcome,
                    ends: ends
                        .map(|(topic, index, end)| ((StrBytes::from_string(topic), index), end))
                        .collect(),
                });
                self.epoch = epoch;
                self.previous_epoch = previous;
                self.outcome = Some(outcome);
                self.started_ms = None;
                self.changed_ms = at;
                self.partitions.clear();
                self.groups.clear();
                let offsets = std::mem::take(&mut self.offsets);
                if outcome == Outcome::Commit {
                    return offsets;
                }
            }
            Change::Settle { decisions } => {
                self.decisions.drain(..decisions.min(self.decisions.len()));
            }
            Change::Init { .. } | Change::Forget => {}
        }
        BTreeMap::new()
    }

    /// The changes that lead to what is known now.
    pub(crate) fn changes(&self) -> Vec<Change> {
        let mut changes = vec![Change::Init {
            producer_id: self.producer_id,
            epoch: self.epoch,
            previous: self.previous_epoch,
            previous_id: self.previous_id,
            timeout_ms: self.timeout_ms,
            outcome: self.outcome,
            at: self.changed_ms,
        }];
        changes.extend(self.decisions.iter().map(|decision| {
            let ends = decision.ends.iter();
            Change::Decide {
                producer_id: decision.producer_id,
                outcome: decision.outcome,
                epoch: self.epoch,
                previous: self.previous_epoch,
                ends: ends
                    .map(|((topic, index), end)| (topic.to_string(), *index, *end))
                    .collect(),
                at: self.changed_ms,
            }
        }));
        if let Some(at) = self.started_ms {
            changes.push(Change::Add {
                partitions: texts(&self.partitions),
                groups: self.groups.iter().map(ToString::to_string).collect(),
                at,
            });
        }
        for ((group, partition), committed) in &self.offsets {
            changes.push(Change::Offsets {
                group: group.to_string(),
                at: committed.committed_at,
                offsets: vec![entry_offset(partition, committed)],
            });
        }
        changes
    }

    /// When the open transaction has taken too long, in milliseconds since the epoch.
    pub(crate) fn deadline_ms(&self) -> Option<i64> {
        Some(self.started_ms?.saturating_add(i64::from(self.timeout_ms)))
    }

    /// How the transaction ended whose records begin at `first` of a partition, if that is known.
    pub(crate) fn outcome_of(
        &self,
        producer_id: i64,
        partition: &TopicPartition,
        first: i64,
    ) -> Option<Outcome> {
        let decided = self.decisions.iter().find(|decision| {
            decision.producer_id == producer_id
                && decision.ends.get(partition).is_some_and(|end| *end > first)
        });
        decided.map(|decision| decision.outcome)
    }
}

/// Partitions as they are written down.
pub(crate) fn texts<'a>(partitions: impl IntoIterator<Item = &'a TopicPartition>) -> Vec<(String, i32)> {
    let partitions = partitions.into_iter();
    partitions
        .map(|(topic, index)| (topic.to_string(), *index))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_changes_of_a_state_lead_to_it() {
        let mut known = None;
        let partition = |index| ("lines".to_owned(), index);
        let offset = |offset| EntryOffset {
            topic: "lines".to_owned(),
            partition: 1,
            offset,
            epoch: 0,
            note: String::new(),
        };
        let decide = |outcome| Change::Decide {
            producer_id: 7,
            outcome,
            epoch: 3,
            previous: Some(2),
            ends: vec![("lines".to_owned(), 0, 12)],
            at: 9,
        };
        let changes = [
            Change::Init {
                producer_id: 7,
                epoch: 2,
                previous: None,
                previous_id: Some(6),
                timeout_ms: 500,
                outcome: None,
                at: 1,
            },
            Change::Add {
                partitions: vec![partition(0)],
                groups: vec!["readers".to_owned()],
                at: 5,
            },
            Change::Offsets {
                group: "readers".to_owned(),
                at: 6,
                offsets: vec![offset(4)],
            },
            decide(Outcome::Commit),
            Change::Add {
                partitions: vec![partition(1)],
                groups: vec!["readers".to_owned()],
                at: 10,
            },
            Change::Offsets {
                group: "readers".to_owned(),
                at: 10,
                offsets: vec![offset(8)],
            },
        ];
        let mut committed = Vec::new();
        for change in changes {
            committed.extend(Transaction::apply(&mut known, change).into_values());
            let mut again = None;
            for change in known.as_ref().unwrap().changes() {
                assert!(Transaction::apply(&mut again, change).is_empty());
            }
            if let (Some(again), Some(known)) = (&mut again, &known)
                && known.started_ms.is_some()
            {
                again.changed_ms = known.changed_ms;
            }
            assert_eq!(again, known);
        }
        assert_eq!(committed.len(), 1);
        let known = known.unwrap();
        let partition = (StrBytes::from_static_str("lines"), 0);
        assert_eq!(known.outcome_of(7, &partition, 11), Some(Outcome::Commit));
        assert_eq!(known.outcome_of(7, &partition, 12), None);
        assert_eq!(known.outcome_of(8, &partition, 11), None);
    }
}
