//! All groups of the broker, their offsets, and the timer that ends sessions and rebalances.

mod consumers;
mod conversion;
#[cfg(test)]
mod conversion_tests;
mod forgetting;
mod shown;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::io;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use kafka_protocol::ResponseError;
use kafka_protocol::protocol::StrBytes;
use tokio::sync::{Notify, oneshot};

pub(crate) use self::consumers::GroupSettingError;
pub(crate) use self::shown::{GroupKind, Listing};
use super::consumer::{ConsumerGroup, Subscribable};
use super::group::{Claim, Commit, Group};
use super::member::{JoinRefusal, JoinResult, Joining, SyncResult};
use super::offsets::{Committed, GroupOffsets, OffsetStore, TopicPartition};
use super::settings;
use super::transaction::{Change, Transaction};
use crate::config::GroupTimings;
use crate::error::Error;
use crate::storage::disk::SharedDisk;
use crate::told::beginning;

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
        topics: &dyn Subscribable,
    ) -> Result<oneshot::Receiver<JoinResult>, JoinRefusal> {
        let refuse = |member_id, code| Err(JoinRefusal { code, member_id });
        if group_id.is_empty() {
            return refuse(joining.member_id, ResponseError::InvalidGroupId);
        }
        let allowed = self.timings.min_session_timeout..=self.timings.max_session_timeout;
        if !allowed.contains(&joining.session_timeout) {
            return refuse(joining.member_id, ResponseError::InvalidSessionTimeout);
        }
        let (reply, answer) = oneshot::channel();
        let mut groups = self.groups();
        let Some((joining, reply)) = self.join_consumers(&mut groups, group_id, joining, topics, reply)
        else {
            return Ok(answer);
        };
        if !joining.member_id.is_empty() && !groups.contains_key(group_id) {
            return refuse(joining.member_id, ResponseError::UnknownMemberId);
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
        topics: &dyn Subscribable,
    ) -> Result<oneshot::Receiver<SyncResult>, ResponseError> {
        let (reply, answer) = oneshot::channel();
        let groups = self.groups();
        let synced = self.with_members(group_id, |group| {
            group.sync_classic(claim, protocol, topics, Instant::now())
        });
        if let Some((synced, written)) = synced {
            let _ = reply.send(written.and(synced));
            return Ok(answer);
        }
        self.with(groups, group_id, |group| {
            group.sync(claim, protocol, assignments, Instant::now(), reply);
            Ok(())
        })?;
        Ok(answer)
    }

    /// A member shows that it is alive.
    pub(crate) fn heartbeat(&self, group_id: &StrBytes, claim: Claim<'_>) -> Result<(), ResponseError> {
        let mut groups = self.groups();
        let heard = self.with_members(group_id, |group| group.heartbeat_classic(claim, Instant::now()));
        if let Some((heard, _)) = heard {
            return heard;
        }
        // Deadlines only move away, so the timer needs no word of it.
        groups
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
        let mut groups = self.groups();
        let now = Instant::now();
        let left = self.with_members(group_id, |group| group.leave_classic(member_id, instance_id));
        if let Some((left, _)) = left {
            self.go_back(&mut groups, &mut self.consumers(), group_id, now);
            return left;
        }
        self.with(groups, group_id, |group| group.leave(member_id, instance_id, now))
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
        let mut groups = self.groups();
        if let Some(checked) = self.may_commit_to_consumers(group_id, claim, commit) {
            return checked;
        }
        match groups.get_mut(group_id) {
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
        let next_of_consumers = self.expire_consumers(&mut groups, now);
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
        mut groups: MutexGuard<'_, HashMap<StrBytes, Group>>,
        group_id: &StrBytes,
        act: impl FnOnce(&mut Group) -> Result<T, ResponseError>,
    ) -> Result<T, ResponseError> {
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
