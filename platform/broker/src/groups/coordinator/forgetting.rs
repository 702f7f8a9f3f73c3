//! What is forgotten: groups nobody is in, their offsets, deleted topics.

use std::time::SystemTime;

use kafka_protocol::ResponseError;
use kafka_protocol::protocol::StrBytes;

use super::Coordinator;
use crate::groups::consumer::ConsumerGroup;
use crate::groups::group::Group;
use crate::groups::member::CONSUMERS;
use crate::groups::offsets::TopicPartition;
use crate::told::beginning;

impl Coordinator {
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
}
