//! What stands in the journal of offsets: an entry for each thing that was decided.

use std::collections::{BTreeMap, BTreeSet};

use kafka_protocol::protocol::StrBytes;
use serde::{Deserialize, Serialize};

use super::{Committed, OffsetStore, TopicPartition};
use crate::groups::consumer::snapshot::MemberSnapshot;
use crate::groups::settings::GroupSettings;
use crate::groups::snapshot::GroupSnapshot;
use crate::groups::transaction::{Change, Transaction};

/// One entry of the journal; the names are short because there are many.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Entry {
    #[serde(rename = "commit")]
    Commit {
        group: String,
        kind: String,
        at: i64,
        offsets: Vec<EntryOffset>,
    },
    #[serde(rename = "forget")]
    Forget {
        group: String,
        partitions: Vec<(String, i32)>,
    },
    #[serde(rename = "members")]
    Members {
        group: String,
        #[serde(flatten)]
        snapshot: GroupSnapshot,
    },
    /// A member of a group that the broker assigns; none when it is gone.
    #[serde(rename = "consumer")]
    Consumer {
        group: String,
        id: String,
        member: Option<MemberSnapshot>,
    },
    /// A group has become one that the broker assigns: in one entry, or a power cut might leave some of its members out.
    #[serde(rename = "converted")]
    Converted {
        group: String,
        members: BTreeMap<String, MemberSnapshot>,
    },
    /// All that is set for a group; nothing when it has no settings any more.
    #[serde(rename = "group_settings")]
    Settings { group: String, settings: GroupSettings },
    #[serde(rename = "forget_group")]
    ForgetGroup { group: String },
    #[serde(rename = "transaction")]
    Transaction { id: String, change: Change },
}

/// A committed offset as it is written down.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct EntryOffset {
    pub(crate) topic: String,
    pub(crate) partition: i32,
    pub(crate) offset: i64,
    pub(crate) epoch: i32,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(crate) note: String,
}

impl OffsetStore {
    /// The entries that say all there is to say now.
    pub(super) fn current_entries(&self) -> Vec<Entry> {
        let members = self.memberships.iter().map(|(group, snapshot)| Entry::Members {
            group: group.to_string(),
            snapshot: snapshot.clone(),
        });
        // One commit for each partition, since a commit has one time.
        let commits = self.groups.iter().flat_map(|(group, offsets)| {
            offsets.partitions.iter().map(|(partition, committed)| {
                let at = committed.committed_at;
                let one = std::iter::once((partition, committed));
                commit_entry(group, &offsets.protocol_type, at, one)
            })
        });
        // Before the commits: what a transaction has committed may be older than what was committed since.
        let transactions = self.transactions.iter().flat_map(|(id, transaction)| {
            transaction
                .changes()
                .into_iter()
                .map(|change| Entry::Transaction {
                    id: id.to_string(),
                    change,
                })
        });
        let consumers = self.consumers.iter().flat_map(|(group, members)| {
            members.iter().map(|(id, member)| Entry::Consumer {
                group: group.to_string(),
                id: id.to_string(),
                member: Some(member.clone()),
            })
        });
        let settings = self.settings.iter().map(|(group, settings)| Entry::Settings {
            group: group.to_string(),
            settings: settings.clone(),
        });
        transactions
            .chain(members)
            .chain(consumers)
            .chain(settings)
            .chain(commits)
            .collect()
    }

    pub(super) fn apply(&mut self, entry: Entry) {
        match entry {
            Entry::Commit {
                group,
                kind,
                at,
                offsets,
            } => {
                let group = self.groups.entry(StrBytes::from_string(group)).or_default();
                group.protocol_type = StrBytes::from_string(kind);
                for offset in offsets {
                    let (partition, committed) = committed_of(offset, at);
                    group.partitions.insert(partition, committed);
                }
            }
            Entry::Forget { group, partitions } => {
                let group = StrBytes::from_string(group);
                let partitions: BTreeSet<TopicPartition> = partitions
                    .into_iter()
                    .map(|(topic, partition)| (StrBytes::from_string(topic), partition))
                    .collect();
                for transaction in self.transactions.values_mut() {
                    transaction
                        .offsets
                        .retain(|(of, partition), _| *of != group || !partitions.contains(partition));
                }
                if let Some(offsets) = self.groups.get_mut(&group) {
                    offsets
                        .partitions
                        .retain(|partition, _| !partitions.contains(partition));
                    if offsets.partitions.is_empty() {
                        self.groups.remove(&group);
                    }
                }
            }
            Entry::Members { group, snapshot } => {
                let group = StrBytes::from_string(group);
                if snapshot.members.is_empty() {
                    self.memberships.remove(&group);
                } else {
                    // It may have been one of the other kind until now.
                    self.consumers.remove(&group);
                    self.memberships.insert(group, snapshot);
                }
            }
            Entry::Consumer { group, id, member } => {
                let group = StrBytes::from_string(group);
                let members = self.consumers.entry(group.clone()).or_default();
                let id = StrBytes::from_string(id);
                match member {
                    Some(member) => members.insert(id, member),
                    None => members.remove(&id),
                };
                if members.is_empty() {
                    self.consumers.remove(&group);
                }
            }
            Entry::Converted { group, members } => {
                let group = StrBytes::from_string(group);
                self.memberships.remove(&group);
                let members = members.into_iter();
                let members = members.map(|(id, member)| (StrBytes::from_string(id), member));
                self.consumers.insert(group, members.collect());
            }
            Entry::Settings { group, settings } => {
                let group = StrBytes::from_string(group);
                if settings.is_empty() {
                    self.settings.remove(&group);
                } else {
                    self.settings.insert(group, settings);
                }
            }
            Entry::ForgetGroup { group } => {
                let group = StrBytes::from_string(group);
                for transaction in self.transactions.values_mut() {
                    transaction.offsets.retain(|(of, _), _| *of != group);
                }
                self.groups.remove(&group);
                self.memberships.remove(&group);
                self.consumers.remove(&group);
            }
            Entry::Transaction { id, change } => {
                let id = StrBytes::from_string(id);
                let mut known = self.transactions.remove(&id);
                let committed = Transaction::apply(&mut known, change);
                if let Some(known) = known {
                    self.transactions.insert(id, known);
                }
                for ((group, partition), committed) in committed {
                    let group = self.groups.entry(group).or_default();
                    if group.protocol_type.is_empty() {
                        group.protocol_type = StrBytes::from_static_str("consumer");
                    }
                    group.partitions.insert(partition, committed);
                }
            }
        }
    }
}

pub(super) fn commit_entry<'a>(
    group: &StrBytes,
    protocol_type: &StrBytes,
    at: i64,
    offsets: impl Iterator<Item = (&'a TopicPartition, &'a Committed)>,
) -> Entry {
    Entry::Commit {
        group: group.to_string(),
        kind: protocol_type.to_string(),
        at,
        offsets: offsets
            .map(|(partition, committed)| entry_offset(partition, committed))
            .collect(),
    }
}

/// A committed offset as it is written down.
pub(crate) fn entry_offset((topic, partition): &TopicPartition, committed: &Committed) -> EntryOffset {
    EntryOffset {
        topic: topic.to_string(),
        partition: *partition,
        offset: committed.offset,
        epoch: committed.leader_epoch,
        note: committed.metadata.to_string(),
    }
}

/// A committed offset that was written down.
pub(crate) fn committed_of(entry: EntryOffset, committed_at: i64) -> (TopicPartition, Committed) {
    let partition = (StrBytes::from_string(entry.topic), entry.partition);
    let committed = Committed {
        offset: entry.offset,
        leader_epoch: entry.epoch,
        metadata: StrBytes::from_string(entry.note),
        committed_at,
    };
    (partition, committed)
}
