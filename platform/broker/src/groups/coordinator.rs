//! All groups of the broker, their offsets, and the timer that ends sessions and rebalances.

mod consumers;
#[cfg(test)]
mod tests;

pub(crate) use self::consumers::GroupSettingError;
use std::collections::HashMap;
use std::io;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;
use kafka_protocol::ResponseError;
use kafka_protocol::protocol::StrBytes;
use tokio::sync::{Notify, oneshot};

use super::consumer::ConsumerGroup;
use super::group::{Claim, Commit, Group};
use super::member::{JoinRefusal, JoinResult, Joining, SyncResult};
use super::offsets::{Committed, GroupOffsets, OffsetStore, TopicPartition};
use super::settings;
use super::transaction::{Change, Transaction};
use crate::config::GroupTimings;
use crate::error::Error;
use crate::storage::disk::SharedDisk;
use crate::told::beginning;

/// The kind of group whose members say which topics they read.
const CONSUMERS: &str = "consumer";
/// How long a group is shown that nobody is in and that has committed nothing, as Kafka shows it until its next clean-up.
const SHOWN_EMPTY: Duration = Duration::from_secs(10 * 60);

/// All groups of the broker.
///
/// Where several locks are held they are taken in the order of the fields.
#[derive(Debug)]
pub(crate) struct Coordinator {
    groups: Mutex<HashMap<StrBytes, Group>>,
    /// Groups whose partitions the broker assigns; none of them is in `groups` with members as well.
    consumers: Mutex<HashMap<StrBytes, ConsumerGroup>>,
    offsets: Mutex<OffsetStore>,
    /// Held over a flush.
    flushing: Mutex<()>,
    timings: GroupTimings,
    /// Called when a deadline may have come nearer.
    deadlines_changed: Notify,
}

/// A group as ListGroups shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Listing {
    pub(crate) group_id: StrBytes,
    pub(crate) protocol_type: StrBytes,
    pub(crate) state: &'static str,
    pub(crate) kind: GroupKind,
}

/// Who assigns the partitions of a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum GroupKind {
    /// One of its members.
    Classic,
    /// The broker.
    Consumer,
}

impl GroupKind {
    /// Kafka's name for it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Classic => "classic",
            Self::Consumer => "consumer",
        }
    }
}

/// A group as DescribeGroups shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Description {
    pub(crate) protocol_type: StrBytes,
    pub(crate) protocol: StrBytes,
    pub(crate) state: &'static str,
    pub(crate) members: Vec<DescribedMember>,
}

/// A member as DescribeGroups shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct DescribedMember {
    pub(crate) member_id: StrBytes,
    pub(crate) instance_id: Option<StrBytes>,
    pub(crate) client_id: StrBytes,
    pub(crate) client_host: StrBytes,
    pub(crate) metadata: Bytes,
    pub(crate) assignment: Bytes,
}

impl Coordinator {
    /// Reads the committed offsets and takes up the groups that were stable.
    pub(crate) fn open(disk: &SharedDisk, data_dir: &Path, timings: GroupTimings) -> Result<Self, Error> {
        let offsets = OffsetStore::open(disk, data_dir)?;
        let now = Instant::now();
        let groups = offsets
            .memberships()
            .map(|(group_id, snapshot)| {
                let delay = timings.initial_rebalance_delay;
                (group_id.clone(), Group::restored(snapshot.clone(), now, delay))
            })
            .collect();
        let consumers = offsets
            .consumers()
            .map(|(group_id, members)| {
                let timing = settings::timing(offsets.settings().get(group_id), &timings);
                (group_id.clone(), ConsumerGroup::restored(members, timing, now))
            })
            .collect();
        Ok(Self {
            groups: Mutex::new(groups),
            consumers: Mutex::new(consumers),
            offsets: Mutex::new(offsets),
            flushing: Mutex::default(),
            timings,
            deadlines_changed: Notify::new(),
        })
    }

    /// Lets a member join; the receiver is answered when the rebalance is over.
    pub(crate) fn join(
        &self,
        group_id: &StrBytes,
        joining: Joining,
    ) -> Result<oneshot::Receiver<JoinResult>, JoinRefusal> {
        let refuse = |code| {
            Err(JoinRefusal {
                code,
                member_id: joining.member_id.clone(),
            })
        };
        if group_id.is_empty() {
            return refuse(ResponseError::InvalidGroupId);
        }
        let allowed = self.timings.min_session_timeout..=self.timings.max_session_timeout;
        if !allowed.contains(&joining.session_timeout) {
            return refuse(ResponseError::InvalidSessionTimeout);
        }
        let (reply, answer) = oneshot::channel();
        let mut groups = self.groups();
        let knows_itself = !joining.member_id.is_empty();
        if knows_itself && !groups.contains_key(group_id) {
            return refuse(ResponseError::UnknownMemberId);
        }
        if !self.give_up_consumers(group_id) {
            return refuse(ResponseError::InconsistentGroupProtocol);
        }
        let group = groups
            .entry(group_id.clone())
            .or_insert_with(|| Group::new(self.timings.initial_rebalance_delay));
        group.join(joining, Instant::now(), reply);
        self.write_down(group_id, group);
        drop(groups);
        self.deadlines_changed.notify_one();
        Ok(answer)
    }

    /// A member hands in or asks for assignments; the receiver is answered when the leader has done so.
    pub(crate) fn sync(
        &self,
        group_id: &StrBytes,
        claim: Claim<'_>,
        protocol: Option<(&StrBytes, &StrBytes)>,
        assignments: Vec<(StrBytes, Bytes)>,
    ) -> Result<oneshot::Receiver<SyncResult>, ResponseError> {
        let (reply, answer) = oneshot::channel();
        self.with(group_id, |group| {
            group.sync(claim, protocol, assignments, Instant::now(), reply);
            Ok(())
        })?;
        Ok(answer)
    }

    /// A member shows that it is alive.
    pub(crate) fn heartbeat(&self, group_id: &StrBytes, claim: Claim<'_>) -> Result<(), ResponseError> {
        // Deadlines only move away, so the timer needs no word of it.
        self.groups()
            .get_mut(group_id)
            .ok_or(ResponseError::UnknownMemberId)?
            .heartbeat(claim, Instant::now())
    }

    /// A member goes.
    pub(crate) fn leave(
        &self,
        group_id: &StrBytes,
        member_id: &StrBytes,
        instance_id: Option<&StrBytes>,
    ) -> Result<(), ResponseError> {
        self.with(group_id, |group| {
            group.leave(member_id, instance_id, Instant::now())
        })
    }

    /// Commits offsets for a member, or for a consumer that is in no generation.
    pub(crate) fn commit(
        &self,
        group_id: &StrBytes,
        claim: Claim<'_>,
        offsets: Vec<(TopicPartition, Committed)>,
    ) -> Result<(), ResponseError> {
        self.may_commit(group_id, claim, Commit::Plain)?;
        let protocol_type = self.protocol_type(group_id);
        self.offsets()
            .commit(group_id, &protocol_type, offsets)
            .map_err(|error| {
                tracing::error!(group = ?beginning(group_id), %error, "cannot store committed offsets");
                ResponseError::CoordinatorNotAvailable
            })
    }

    /// Whether a member, or a consumer that is in no generation, may commit offsets.
    pub(crate) fn may_commit(
        &self,
        group_id: &StrBytes,
        claim: Claim<'_>,
        commit: Commit,
    ) -> Result<(), ResponseError> {
        if let Some(checked) = self.check_consumer(group_id, claim.member_id, claim.generation) {
            return checked;
        }
        match self.groups().get_mut(group_id) {
            Some(group) => group.may_commit(claim, commit, Instant::now()),
            None if claim.generation < 0 => Ok(()),
            None => Err(ResponseError::IllegalGeneration),
        }
    }

    /// What is known of a transactional id.
    pub(crate) fn transaction(&self, id: &StrBytes) -> Option<Transaction> {
        self.offsets().transaction(id).cloned()
    }

    /// Every transactional id.
    pub(crate) fn transactions(&self) -> Vec<(StrBytes, Transaction)> {
        let offsets = self.offsets();
        let known = offsets.transactions();
        known.map(|(id, known)| (id.clone(), known.clone())).collect()
    }

    /// Changes what is known of a transactional id.
    pub(crate) fn change_transaction(&self, id: &StrBytes, change: Change) -> io::Result<()> {
        self.offsets().change_transaction(id, change)
    }

    /// Whether an open transaction is to commit something for a partition that a group reads.
    pub(crate) fn is_pending(&self, group_id: &StrBytes, partition: &TopicPartition) -> bool {
        self.offsets().is_pending(group_id, partition)
    }

    /// What a group has committed.
    pub(crate) fn committed(&self, group_id: &StrBytes) -> Option<GroupOffsets> {
        self.offsets().of(group_id).cloned()
    }

    /// Every group there is, with members or with offsets only.
    pub(crate) fn list(&self) -> Vec<Listing> {
        let mut listed: Vec<Listing> = self
            .groups()
            .iter()
            .map(|(group_id, group)| Listing {
                group_id: group_id.clone(),
                protocol_type: group.protocol_type().clone(),
                state: group.state().name(),
                kind: GroupKind::Classic,
            })
            .collect();
        listed.extend(self.list_consumers());
        let offsets = self.offsets();
        for (group_id, offsets) in offsets.groups() {
            if !listed.iter().any(|listing| listing.group_id == *group_id) {
                listed.push(Listing {
                    group_id: group_id.clone(),
                    protocol_type: offsets.protocol_type.clone(),
                    state: "Empty",
                    kind: GroupKind::Classic,
                });
            }
        }
        listed.sort_by(|one, other| one.group_id.cmp(&other.group_id));
        listed
    }

    /// One group in detail.
    pub(crate) fn describe(&self, group_id: &StrBytes) -> Option<Description> {
        if let Some(group) = self.groups().get(group_id) {
            let members = group
                .members()
                .iter()
                .map(|(member_id, member)| DescribedMember {
                    member_id: member_id.clone(),
                    instance_id: member.instance_id.clone(),
                    client_id: member.client_id.clone(),
                    client_host: member.client_host.clone(),
                    metadata: member.metadata(group.protocol()),
                    assignment: member.assignment.clone(),
                })
                .collect();
            return Some(Description {
                protocol_type: group.protocol_type().clone(),
                protocol: group.protocol().clone(),
                state: group.state().name(),
                members,
            });
        }
        if self.is_consumers(group_id) {
            return None;
        }
        self.offsets().of(group_id).map(|offsets| Description {
            protocol_type: offsets.protocol_type.clone(),
            protocol: StrBytes::new(),
            state: "Empty",
            members: Vec::new(),
        })
    }

    /// Deletes a group nobody is in, with its offsets.
    pub(crate) fn delete(&self, group_id: &StrBytes) -> Result<(), ResponseError> {
        let mut groups = self.groups();
        let mut consumers = self.consumers();
        let mut offsets = self.offsets();
        let is_empty = |group: &ConsumerGroup| group.members().is_empty();
        match (groups.get(group_id), consumers.get(group_id)) {
            (Some(group), _) if !group.members().is_empty() => return Err(ResponseError::NonEmptyGroup),
            (_, Some(group)) if !is_empty(group) => return Err(ResponseError::NonEmptyGroup),
            (None, None) if offsets.of(group_id).is_none() => return Err(ResponseError::GroupIdNotFound),
            _ => {}
        }
        offsets
            .forget_group(group_id)
            .map_err(|_| ResponseError::CoordinatorNotAvailable)?;
        groups.remove(group_id);
        consumers.remove(group_id);
        Ok(())
    }

    /// Forgets what a group has committed for some partitions; those whose topics its members read are kept, and
    /// returned.
    pub(crate) fn forget_offsets(
        &self,
        group_id: &StrBytes,
        partitions: &[TopicPartition],
    ) -> Result<Vec<TopicPartition>, ResponseError> {
        let groups = self.groups();
        let consumers = self.consumers();
        let mut offsets = self.offsets();
        let mut members = Vec::new();
        let consumers = consumers.get(group_id);
        match groups.get(group_id) {
            // Of other kinds of members nobody knows what they read.
            Some(group) if !group.members().is_empty() && group.protocol_type().as_str() != CONSUMERS => {
                return Err(ResponseError::NonEmptyGroup);
            }
            Some(group) => members.extend(group.members().values()),
            None if consumers.is_some() => {}
            None if offsets.of(group_id).is_none() => return Err(ResponseError::GroupIdNotFound),
            None => {}
        }
        let (kept, gone): (Vec<_>, Vec<_>) = partitions.iter().cloned().partition(|(topic, _)| {
            members.iter().any(|member| member.reads(topic))
                || consumers.is_some_and(|group| group.reads(topic))
        });
        if !gone.is_empty() {
            offsets
                .forget(group_id, &gone)
                .map_err(|_| ResponseError::CoordinatorNotAvailable)?;
        }
        Ok(kept)
    }

    /// Forgets a deleted topic's offsets in every group.
    pub(crate) fn forget_topic(&self, topic: &StrBytes) {
        if let Err(error) = self.offsets().forget_topic(topic) {
            tracing::warn!(%topic, %error, "cannot forget the offsets of a deleted topic");
        }
    }

    /// Forgets the offsets of groups that have been empty for longer than offsets are kept.
    pub(crate) fn forget_abandoned(&self, now: SystemTime) {
        let kept = self.timings.offsets_retention;
        let before = now
            .checked_sub(kept)
            .and_then(|time| time.duration_since(SystemTime::UNIX_EPOCH).ok())
            .map_or(0, |time| i64::try_from(time.as_millis()).unwrap_or(i64::MAX));
        let groups = self.groups();
        let consumers = self.consumers();
        let mut offsets = self.offsets();
        let abandoned: Vec<StrBytes> = offsets
            .groups()
            .filter(|(group_id, _)| groups.get(*group_id).is_none_or(Group::is_deserted))
            .filter(|(group_id, _)| {
                let consumers = consumers.get(*group_id);
                consumers.is_none_or(|group| group.members().is_empty())
            })
            // A transaction still commits for it.
            .filter(|(group_id, _)| !offsets.has_pending(group_id))
            .filter(|(_, offsets)| {
                offsets
                    .partitions
                    .values()
                    .all(|committed| committed.committed_at < before)
            })
            .map(|(group_id, _)| group_id.clone())
            .collect();
        for group_id in abandoned {
            if let Err(error) = offsets.forget_group(&group_id) {
                tracing::warn!(group = ?beginning(&group_id), %error, "cannot forget an abandoned group");
            }
        }
    }

    /// Brings committed offsets to the disk; blocks on it.
    pub(crate) fn flush(&self) -> io::Result<()> {
        // One at a time: what a sync has made safe must not be left out by a rewrite that goes on beside it. Written
        // and synced without the offsets' own lock, so that commits do not wait for the disk.
        let _exclusive = self.flushing.lock().unwrap_or_else(PoisonError::into_inner);
        let rewrite = self.offsets().begin_rewrite()?;
        if let Some(rewrite) = rewrite {
            let written = rewrite.run();
            self.offsets().end_rewrite(&rewrite, written)?;
        }
        let sync = self.offsets().begin_sync();
        let Some(sync) = sync else {
            // The system would take the next sync for a success.
            return if self.offsets().has_failed() {
                Err(io::Error::other("an earlier sync of the journal has failed"))
            } else {
                Ok(())
            };
        };
        let synced = sync.run();
        self.offsets().end_sync(&sync, &synced);
        synced
    }

    /// Ends sessions and rebalances as their time comes; never returns.
    pub(crate) async fn keep_time(&self) {
        loop {
            let next = self.expire(Instant::now());
            let changed = self.deadlines_changed.notified();
            match next {
                Some(deadline) => {
                    tokio::select! {
                        () = tokio::time::sleep_until(deadline.into()) => {}
                        () = changed => {}
                    }
                }
                None => changed.await,
            }
        }
    }

    /// Ends what is over and returns when there is something to end next.
    fn expire(&self, now: Instant) -> Option<Instant> {
        let mut groups = self.groups();
        for (group_id, group) in groups.iter_mut() {
            if group.next_deadline().is_some_and(|deadline| deadline <= now) {
                group.expire(now);
                self.write_down(group_id, group);
            }
        }
        groups.retain(|_, group| !group.is_over(now, SHOWN_EMPTY));
        let next_of_consumers = self.expire_consumers(now);
        groups
            .values()
            .filter_map(Group::next_deadline)
            .chain(next_of_consumers)
            .min()
            // Whatever a client asks for, the timer does not spin.
            .map(|deadline| deadline.max(now + Duration::from_millis(1)))
    }

    fn with<T>(
        &self,
        group_id: &StrBytes,
        act: impl FnOnce(&mut Group) -> Result<T, ResponseError>,
    ) -> Result<T, ResponseError> {
        let mut groups = self.groups();
        let group = groups.get_mut(group_id).ok_or(ResponseError::UnknownMemberId)?;
        let done = act(group);
        self.write_down(group_id, group);
        self.deadlines_changed.notify_one();
        done
    }

    /// Writes down what a group has agreed on; without it members would only have to join again after a restart.
    fn write_down(&self, group_id: &StrBytes, group: &mut Group) {
        group.take_events().tell(group_id);
        if let Some(snapshot) = group.take_news()
            && let Err(error) = self.offsets().note_members(group_id, snapshot)
        {
            tracing::warn!(group = ?beginning(group_id), %error, "cannot write down the members of a group");
        }
    }

    fn groups(&self) -> MutexGuard<'_, HashMap<StrBytes, Group>> {
        self.groups.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn consumers(&self) -> MutexGuard<'_, HashMap<StrBytes, ConsumerGroup>> {
        self.consumers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is in the journal, locked.
    pub(crate) fn offsets(&self) -> MutexGuard<'_, OffsetStore> {
        self.offsets.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
