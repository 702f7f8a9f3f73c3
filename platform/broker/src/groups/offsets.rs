//! How far each group has come, who was in it, and which transactions there are: in memory and in a journal.
//!
//! A commit is in the journal before it is acknowledged. The journal is rewritten when most of it is out of date.
//! Transactions are in the same journal because their end commits offsets: one entry does both.

mod entry;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::Path;

use kafka_protocol::protocol::StrBytes;

use self::entry::{Entry, commit_entry};
pub(crate) use self::entry::{EntryOffset, committed_of, entry_offset};
use super::consumer::snapshot::MemberSnapshot;
use super::settings::GroupSettings;
use super::snapshot::GroupSnapshot;
use super::transaction::{Change, Transaction};
use crate::error::Error;
use crate::storage::disk::SharedDisk;
use crate::storage::journal::{CUT_SUFFIX, Journal, Rewrite, Sync};

const FILE: &str = "offsets.journal";
/// A journal smaller than this is not worth rewriting.
const REWRITE_FROM: u64 = 1024 * 1024;

/// A partition of a topic, by name.
pub(crate) type TopicPartition = (StrBytes, i32);

/// What a group has committed for one partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Committed {
    /// Offset of the next record to read.
    pub(crate) offset: i64,
    /// Leader epoch of the last record read, or -1.
    pub(crate) leader_epoch: i32,
    /// Whatever the client noted with it.
    pub(crate) metadata: StrBytes,
    /// When it was committed, in milliseconds since the epoch.
    pub(crate) committed_at: i64,
}

/// One group's offsets.
#[derive(Debug, Clone, Default)]
pub(crate) struct GroupOffsets {
    /// The group's kind when it last committed.
    pub(crate) protocol_type: StrBytes,
    /// By partition.
    pub(crate) partitions: BTreeMap<TopicPartition, Committed>,
}

/// Every group's offsets. In order, so that whatever goes over all of them does so in the same order each time.
#[derive(Debug)]
pub(crate) struct OffsetStore {
    groups: BTreeMap<StrBytes, GroupOffsets>,
    /// Groups with members, as they were last written down.
    memberships: BTreeMap<StrBytes, GroupSnapshot>,
    /// Members of groups that the broker assigns.
    consumers: BTreeMap<StrBytes, BTreeMap<StrBytes, MemberSnapshot>>,
    /// What was set for groups.
    settings: BTreeMap<StrBytes, GroupSettings>,
    /// By transactional id.
    transactions: BTreeMap<StrBytes, Transaction>,
    /// Counts the entries that were written since the start, those a sync has begun to bring to the disk, and those that
    /// are there.
    written: u64,
    syncing: u64,
    synced: u64,
    journal: Journal,
    /// The journal's size when it held nothing out of date.
    compact_size: u64,
    unsynced: bool,
}

impl OffsetStore {
    /// Opens the journal in the data folder and reads it.
    pub(crate) fn open(disk: &SharedDisk, data_dir: &Path) -> Result<Self, Error> {
        let path = data_dir.join(FILE);
        let (journal, replay) = Journal::open(disk, &path).map_err(|source| Error::Storage {
            action: "read",
            path: path.clone(),
            source,
        })?;
        if replay.cut_entries > 0 {
            let kept = path.with_extension(CUT_SUFFIX);
            tracing::error!(
                path = %path.display(),
                kept = %kept.display(),
                cut_bytes = replay.cut_bytes,
                entries = replay.cut_entries,
                "the journal is damaged: what groups and transactions did since is not known any more; its end is kept beside"
            );
        } else if replay.cut_bytes > 0 {
            tracing::warn!(path = %path.display(), cut_bytes = replay.cut_bytes, "cut a half-written entry");
        }
        let mut store = Self {
            groups: BTreeMap::new(),
            memberships: BTreeMap::new(),
            consumers: BTreeMap::new(),
            settings: BTreeMap::new(),
            transactions: BTreeMap::new(),
            written: 0,
            syncing: 0,
            synced: 0,
            compact_size: 0,
            // What the process before has written may not be on the disk itself.
            unsynced: true,
            journal,
        };
        for bytes in &replay.entries {
            let entry = serde_json::from_slice(bytes).map_err(|error| Error::Damaged {
                path: path.clone(),
                reason: error.to_string(),
            })?;
            store.apply(entry);
        }
        Ok(store)
    }

    /// One group's offsets.
    pub(crate) fn of(&self, group: &StrBytes) -> Option<&GroupOffsets> {
        self.groups.get(group)
    }

    /// Every group that has committed something.
    pub(crate) fn groups(&self) -> impl Iterator<Item = (&StrBytes, &GroupOffsets)> {
        self.groups.iter()
    }

    /// Groups with members, as they were last written down.
    pub(crate) fn memberships(&self) -> impl Iterator<Item = (&StrBytes, &GroupSnapshot)> {
        self.memberships.iter()
    }

    /// Groups that the broker assigns, with their members as they were last written down.
    pub(crate) fn consumers(&self) -> impl Iterator<Item = (&StrBytes, &BTreeMap<StrBytes, MemberSnapshot>)> {
        self.consumers.iter()
    }

    /// Groups with settings of their own.
    pub(crate) fn settings(&self) -> &BTreeMap<StrBytes, GroupSettings> {
        &self.settings
    }

    /// Replaces what is set for a group.
    pub(crate) fn set(&mut self, group: &StrBytes, settings: GroupSettings) -> io::Result<()> {
        self.record(Entry::Settings {
            group: group.to_string(),
            settings,
        })
    }

    /// What is known of a transactional id.
    pub(crate) fn transaction(&self, id: &StrBytes) -> Option<&Transaction> {
        self.transactions.get(id)
    }

    /// Every transactional id.
    pub(crate) fn transactions(&self) -> impl Iterator<Item = (&StrBytes, &Transaction)> {
        self.transactions.iter()
    }

    /// Changes what is known of a transactional id.
    pub(crate) fn change_transaction(&mut self, id: &StrBytes, change: Change) -> io::Result<()> {
        self.record(Entry::Transaction {
            id: id.to_string(),
            change,
        })
    }

    /// Whether an open transaction is to commit something for a partition that a group reads.
    pub(crate) fn is_pending(&self, group: &StrBytes, partition: &TopicPartition) -> bool {
        let wanted = (group.clone(), partition.clone());
        self.transactions
            .values()
            .any(|transaction| transaction.offsets.contains_key(&wanted))
    }

    /// Whether an open transaction is to commit anything for a group.
    pub(crate) fn has_pending(&self, group: &StrBytes) -> bool {
        let mut transactions = self.transactions.values();
        transactions.any(|transaction| transaction.offsets.keys().any(|(of, _)| of == group))
    }

    /// Whether the disk has failed to keep what it was given.
    pub(crate) fn has_failed(&self) -> bool {
        self.journal.has_failed()
    }

    /// Writes down who is in a group; nobody, when it is empty.
    pub(crate) fn note_members(&mut self, group: &StrBytes, snapshot: GroupSnapshot) -> io::Result<()> {
        if snapshot.members.is_empty() && !self.memberships.contains_key(group) {
            return Ok(());
        }
        self.record(Entry::Members {
            group: group.to_string(),
            snapshot,
        })
    }

    /// Writes down a member of a group that the broker assigns; none when it is gone.
    pub(crate) fn note_consumer(
        &mut self,
        group: &StrBytes,
        id: &StrBytes,
        member: Option<MemberSnapshot>,
    ) -> io::Result<()> {
        let known = self.consumers.get(group).and_then(|members| members.get(id));
        if known == member.as_ref() {
            return Ok(());
        }
        self.record(Entry::Consumer {
            group: group.to_string(),
            id: id.to_string(),
            member,
        })
    }

    /// Writes down that a group has become one that the broker assigns, and who is in it.
    pub(crate) fn note_conversion(
        &mut self,
        group: &StrBytes,
        members: BTreeMap<StrBytes, MemberSnapshot>,
    ) -> io::Result<()> {
        let members = members.into_iter();
        self.record(Entry::Converted {
            group: group.to_string(),
            members: members.map(|(id, member)| (id.to_string(), member)).collect(),
        })
    }

    /// Commits offsets, all or none.
    pub(crate) fn commit(
        &mut self,
        group: &StrBytes,
        protocol_type: &StrBytes,
        offsets: Vec<(TopicPartition, Committed)>,
    ) -> io::Result<()> {
        let Some(at) = offsets.first().map(|(_, committed)| committed.committed_at) else {
            return Ok(());
        };
        self.record(commit_entry(
            group,
            protocol_type,
            at,
            offsets
                .iter()
                .map(|(partition, committed)| (partition, committed)),
        ))
    }

    /// Forgets what a group has committed for some partitions.
    pub(crate) fn forget(&mut self, group: &StrBytes, partitions: &[TopicPartition]) -> io::Result<()> {
        self.record(Entry::Forget {
            group: group.to_string(),
            partitions: partitions
                .iter()
                .map(|(topic, partition)| (topic.to_string(), *partition))
                .collect(),
        })
    }

    /// Forgets everything a group has committed.
    pub(crate) fn forget_group(&mut self, group: &StrBytes) -> io::Result<()> {
        if !self.groups.contains_key(group)
            && !self.memberships.contains_key(group)
            && !self.consumers.contains_key(group)
            && !self.has_pending(group)
        {
            return Ok(());
        }
        self.record(Entry::ForgetGroup {
            group: group.to_string(),
        })
    }

    /// Forgets a deleted topic in every group, and in every open transaction: its successor has other records.
    pub(crate) fn forget_topic(&mut self, topic: &StrBytes) -> io::Result<()> {
        let committed = self.groups.iter().flat_map(|(group, offsets)| {
            let partitions = offsets.partitions.keys();
            partitions.map(move |partition| (group, partition))
        });
        let transactions = self.transactions.values();
        let pending = transactions.flat_map(|transaction| {
            let offsets = transaction.offsets.keys();
            offsets.map(|(group, partition)| (group, partition))
        });
        let mut affected: BTreeMap<StrBytes, BTreeSet<TopicPartition>> = BTreeMap::new();
        for (group, partition) in committed.chain(pending).filter(|(_, (name, _))| name == topic) {
            let partitions = affected.entry(group.clone()).or_default();
            partitions.insert(partition.clone());
        }
        affected.into_iter().try_for_each(|(group, partitions)| {
            let partitions: Vec<TopicPartition> = partitions.into_iter().collect();
            self.forget(&group, &partitions)
        })
    }

    /// Begins to write the journal anew when most of it is out of date.
    pub(crate) fn begin_rewrite(&mut self) -> io::Result<Option<Rewrite>> {
        if self.journal.size() < REWRITE_FROM.max(4 * self.compact_size) {
            return Ok(None);
        }
        self.begin_rewrite_now().map(Some)
    }

    /// Begins to write the journal anew.
    pub(crate) fn begin_rewrite_now(&mut self) -> io::Result<Rewrite> {
        let entries = self
            .current_entries()
            .iter()
            .map(serde_json::to_vec)
            .collect::<Result<Vec<_>, _>>()?;
        self.journal.begin_rewrite(entries.iter().map(Vec::as_slice))
    }

    /// Puts the rewritten journal in place.
    pub(crate) fn end_rewrite(&mut self, rewrite: &Rewrite, written: io::Result<()>) -> io::Result<()> {
        self.journal.end_rewrite(rewrite, written)?;
        self.compact_size = self.journal.size();
        self.unsynced = true;
        Ok(())
    }

    /// What has to be synced, if anything in the journal is new.
    pub(crate) fn begin_sync(&mut self) -> Option<Sync> {
        self.syncing = self.written;
        std::mem::take(&mut self.unsynced).then(|| self.journal.begin_sync())
    }

    /// Takes note of what became of a sync; after one that failed nothing more is taken.
    pub(crate) fn end_sync(&mut self, sync: &Sync, synced: &io::Result<()>) {
        self.journal.end_sync(sync, synced);
        if synced.is_ok() {
            self.synced = self.syncing;
        }
    }

    /// The number of the entry that was written last.
    pub(crate) fn last_entry(&self) -> u64 {
        self.written
    }

    /// Whether an entry is on the disk, by its number.
    pub(crate) fn is_synced(&self, entry: u64) -> bool {
        entry <= self.synced
    }

    fn record(&mut self, entry: Entry) -> io::Result<()> {
        self.journal.append(&serde_json::to_vec(&entry)?)?;
        self.written += 1;
        self.unsynced = true;
        self.apply(entry);
        Ok(())
    }
}
