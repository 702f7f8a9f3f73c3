//! The groups whose partitions the broker assigns.

use std::collections::HashMap;
use std::io;
use std::time::Instant;

use kafka_protocol::ResponseError;
use kafka_protocol::protocol::StrBytes;

use super::{Coordinator, GroupKind, Listing, SHOWN_EMPTY};
use crate::groups::consumer::{Beat, ConsumerGroup, Heartbeat, JOINS, Refusal, Subscribable, Timing};
use crate::groups::group::{Claim, Commit, Group};
use crate::groups::member::CONSUMERS;
use crate::groups::settings::{self, GroupSettings, InvalidGroupSetting};
use crate::told::beginning;
use crate::topics::Commitment;

/// Why settings of a group were not changed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum GroupSettingError {
    #[error(transparent)]
    Setting(#[from] InvalidGroupSetting),
    #[error("the settings cannot be stored: {0}")]
    Storage(#[from] io::Error),
}

impl GroupSettingError {
    /// Kafka's code for it.
    pub(crate) fn code(&self) -> ResponseError {
        match self {
            Self::Setting(InvalidGroupSetting::TooMany) => ResponseError::PolicyViolation,
            Self::Setting(_) => ResponseError::InvalidConfig,
            Self::Storage(_) => ResponseError::KafkaStorageError,
        }
    }
}

impl Coordinator {
    /// A member of a group that the broker assigns is heard of; what it is to be told, and whether all that the group
    /// has decided is on the disk.
    ///
    /// It may not be told before that. If the power is cut after a member was told what it may read, and the broker no
    /// longer knows that, another one gets the same.
    pub(crate) fn beat(
        &self,
        group_id: &StrBytes,
        said: Heartbeat,
        topics: &dyn Subscribable,
        timing: Timing,
    ) -> Result<(Beat, bool), Refusal> {
        if group_id.is_empty() {
            return Err(Refusal::new(
                ResponseError::InvalidRequest,
                "the group id is empty",
            ));
        }
        let mut groups = self.groups();
        if let Some(classic) = groups.get(group_id).filter(|group| !group.is_deserted()) {
            let (group, beat) = self.upgrade(group_id, classic, said, topics, timing)?;
            let is_safe = self.offsets().is_synced(group.last_entry);
            self.consumers().insert(group_id.clone(), group);
            if let Some(classic) = groups.remove(group_id) {
                classic.dissolve();
            }
            self.deadlines_changed.notify_one();
            return Ok((beat, is_safe));
        }
        let mut consumers = self.consumers();
        if said.epoch != JOINS && !consumers.contains_key(group_id) {
            return Err(Refusal::new(
                ResponseError::UnknownMemberId,
                format!("group `{group_id}` has no members"),
            ));
        }
        let group = consumers
            .entry(group_id.clone())
            .or_insert_with(ConsumerGroup::new);
        let beat = group.heartbeat(said, topics, timing, Instant::now());
        let written = self.write_consumers_down(group_id, group);
        let is_safe = self.offsets().is_synced(group.last_entry);
        if group.epoch() == 0 {
            // Whoever was to be its first member was refused.
            consumers.remove(group_id);
        } else {
            // Nobody is in it, and from now on it is of this kind.
            groups.remove(group_id);
            self.go_back(&mut groups, &mut consumers, group_id, Instant::now());
        }
        drop((consumers, groups));
        self.deadlines_changed.notify_one();
        written.map_err(|error| unwritten(&error))?;
        beat.map(|beat| (beat, is_safe))
    }

    /// Does something to a group that the broker assigns and that somebody is in, and whether it could be written down;
    /// `None` where there is no such group.
    pub(super) fn with_members<T>(
        &self,
        group_id: &StrBytes,
        act: impl FnOnce(&mut ConsumerGroup) -> T,
    ) -> Option<(T, Result<(), ResponseError>)> {
        let mut consumers = self.consumers();
        let group = consumers.get_mut(group_id)?;
        if group.members().is_empty() {
            return None;
        }
        let done = act(group);
        let written = self.write_consumers_down(group_id, group);
        self.deadlines_changed.notify_one();
        Some((done, written.map_err(|_| ResponseError::CoordinatorNotAvailable)))
    }

    /// Whether all that a group has decided is on the disk, so that its members may be told.
    pub(crate) fn is_safe(&self, group_id: &StrBytes) -> bool {
        let consumers = self.consumers();
        let group = consumers.get(group_id);
        group.is_none_or(|group| self.offsets().is_synced(group.last_entry))
    }

    /// How the members of a group are timed that the broker assigns.
    pub(crate) fn timing(&self, group_id: &StrBytes) -> Timing {
        settings::timing(self.offsets().settings().get(group_id), &self.timings)
    }

    /// The groups that have settings of their own.
    pub(crate) fn configured(&self) -> Vec<StrBytes> {
        self.offsets().settings().keys().cloned().collect()
    }

    /// What is set for a group itself.
    pub(crate) fn settings(&self, group_id: &StrBytes) -> GroupSettings {
        self.offsets()
            .settings()
            .get(group_id)
            .cloned()
            .unwrap_or_default()
    }

    /// Changes what is set for a group: `change` is given what is set, and edits it. It is on the disk when this is done.
    pub(crate) fn configure(
        &self,
        group_id: &StrBytes,
        commitment: Commitment,
        change: impl FnOnce(&mut GroupSettings) -> Result<(), InvalidGroupSetting>,
    ) -> Result<(), GroupSettingError> {
        let mut offsets = self.offsets();
        let known = offsets.settings().get(group_id);
        if known.is_none() && offsets.settings().len() >= settings::MAX_GROUPS {
            return Err(InvalidGroupSetting::TooMany.into());
        }
        let mut set = known.cloned().unwrap_or_default();
        change(&mut set)?;
        settings::check(&set, &self.timings)?;
        if commitment == Commitment::ValidateOnly {
            return Ok(());
        }
        offsets.set(group_id, set)?;
        drop(offsets);
        Ok(self.flush()?)
    }

    /// Looks at a group that the broker assigns; `None` where there is none of that kind.
    pub(crate) fn with_consumers<T>(
        &self,
        group_id: &StrBytes,
        look: impl FnOnce(&ConsumerGroup) -> T,
    ) -> Option<T> {
        self.consumers().get(group_id).map(look)
    }

    /// Whether offsets may be asked for by who claims to be a member; who is in no group may.
    pub(crate) fn check_reader(
        &self,
        group_id: &StrBytes,
        member_id: Option<&StrBytes>,
        epoch: i32,
    ) -> Result<(), ResponseError> {
        let Some(member_id) = member_id.filter(|_| epoch >= 0) else {
            return Ok(());
        };
        self.check_consumer(group_id, member_id, epoch).unwrap_or(Ok(()))
    }

    /// Whether who claims to be a member may commit; `None` where the broker does not assign the group.
    fn check_consumer(
        &self,
        group_id: &StrBytes,
        member_id: &StrBytes,
        epoch: i32,
    ) -> Option<Result<(), ResponseError>> {
        let consumers = self.consumers();
        let group = consumers.get(group_id)?;
        // One that nobody is in may have become one of the other kind.
        if group.members().is_empty() && epoch >= 0 {
            return None;
        }
        Some(group.check_epoch(member_id, epoch))
    }

    /// Whether who claims to be a member may commit; `None` where the broker does not assign the group.
    pub(super) fn may_commit_to_consumers(
        &self,
        group_id: &StrBytes,
        claim: Claim<'_>,
        commit: Commit,
    ) -> Option<Result<(), ResponseError>> {
        let classic = self
            .consumers()
            .get_mut(group_id)
            .and_then(|group| group.may_commit_classic(claim, commit, Instant::now()));
        classic.or_else(|| self.check_consumer(group_id, claim.member_id, claim.generation))
    }

    /// The kind of a group's members, as it is noted with what they commit.
    pub(super) fn protocol_type(&self, group_id: &StrBytes) -> StrBytes {
        if self.is_consumers(group_id) {
            return StrBytes::from_static_str(CONSUMERS);
        }
        let groups = self.groups();
        let group = groups.get(group_id);
        group.map_or_else(StrBytes::new, |group| group.protocol_type().clone())
    }

    /// Whether the broker assigns a group.
    pub(super) fn is_consumers(&self, group_id: &StrBytes) -> bool {
        self.consumers().contains_key(group_id)
    }

    pub(super) fn list_consumers(&self) -> Vec<Listing> {
        self.consumers()
            .iter()
            .map(|(group_id, group)| Listing {
                group_id: group_id.clone(),
                protocol_type: StrBytes::from_static_str(CONSUMERS),
                state: group.state(),
                kind: GroupKind::Consumer,
            })
            .collect()
    }

    /// Ends sessions that are over; when there is something to end next.
    pub(super) fn expire_consumers(
        &self,
        groups: &mut HashMap<StrBytes, Group>,
        now: Instant,
    ) -> Option<Instant> {
        let mut consumers = self.consumers();
        let mut alone = Vec::new();
        for (group_id, group) in consumers.iter_mut() {
            group.expire(now);
            // What cannot be written is tried again with the next heartbeat, whose member is not told before.
            let _ = self.write_consumers_down(group_id, group);
            if group.is_classic_alone() {
                alone.push(group_id.clone());
            }
        }
        for group_id in alone {
            self.go_back(groups, &mut consumers, &group_id, now);
        }
        consumers.retain(|_, group| !group.is_over(now, SHOWN_EMPTY));
        consumers.values().filter_map(ConsumerGroup::next_deadline).min()
    }

    /// Writes down what was decided; what cannot be written is kept for the next time.
    pub(super) fn write_consumers_down(
        &self,
        group_id: &StrBytes,
        group: &mut ConsumerGroup,
    ) -> io::Result<()> {
        group.take_events().tell(group_id);
        let news = group.take_news();
        if news.is_empty() {
            return Ok(());
        }
        let mut offsets = self.offsets();
        let mut written = Ok(());
        for (member_id, member) in news {
            if let Err(error) = offsets.note_consumer(group_id, &member_id, member) {
                tracing::warn!(group = ?beginning(group_id), %error, "cannot write down the members of a group");
                group.put_back(member_id);
                written = Err(error);
            }
        }
        group.last_entry = offsets.last_entry();
        written
    }
}

pub(super) fn unwritten(error: &io::Error) -> Refusal {
    Refusal::new(
        ResponseError::CoordinatorNotAvailable,
        format!("the members of the group cannot be written down: {error}"),
    )
}
