//! From a group of the classic protocol to one whose partitions the broker assigns, with its members in it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use kafka_protocol::ResponseError;
use kafka_protocol::protocol::StrBytes;

use super::beat::Refusal;
use super::classic::{Classic, said};
use super::member::Member;
use super::snapshot::MemberSnapshot;
use super::{ConsumerGroup, MAX_MEMBERS, Place, Subscribable};
use crate::groups::embedded::{Assignment, Subscription};
use crate::groups::group::Group;
use crate::groups::member::{self, CONSUMERS};
use crate::groups::offsets::TopicPartition;

/// Why a group stays one of the classic protocol. The sentences are Kafka's, and so is the code.
fn stays(group_id: &StrBytes, reason: &str) -> Refusal {
    Refusal::new(
        ResponseError::GroupIdNotFound,
        format!("Cannot upgrade classic group {group_id} to consumer group because {reason}."),
    )
}

impl ConsumerGroup {
    /// What a group of the classic protocol becomes when somebody joins who speaks the newer one.
    ///
    /// Everybody has what the group's last agreement gives him, and what he says that he still owns: it goes to nobody else
    /// before he has given it up.
    pub(crate) fn of_classic(
        group_id: &StrBytes,
        classic: &Group,
        topics: &dyn Subscribable,
        now: Instant,
    ) -> Result<Self, Refusal> {
        if !classic.members().is_empty() && classic.protocol_type().as_str() != CONSUMERS {
            return Err(stays(
                group_id,
                "the group does not use the consumer embedded protocol",
            ));
        }
        if classic.members().len() >= MAX_MEMBERS {
            return Err(stays(
                group_id,
                "the group exceeds the consumer group maximum size",
            ));
        }
        let mut group = Self::new();
        // Nobody is in a generation 0, nor is a group of this kind at an epoch 0.
        group.epoch = classic.generation().max(1);
        group.assignment_epoch = group.epoch;
        let mut owned = Vec::new();
        for (id, former) in classic.members() {
            let malformed = || stays(group_id, "the embedded consumer protocol is malformed");
            let metadata = former
                .protocols
                .iter()
                .find(|(name, _)| name == classic.protocol());
            let metadata = metadata.or(former.protocols.first()).ok_or_else(malformed)?;
            let subscription = Subscription::read(&metadata.1).ok_or_else(malformed)?;
            let mut member = converted(id, former, &subscription, now);
            member.epoch = classic.generation();
            member.previous_epoch = classic.generation();
            if !former.assignment.is_empty() {
                let assignment = Assignment::read(&former.assignment).ok_or_else(malformed)?;
                if assignment.has_user_data {
                    return Err(stays(
                        group_id,
                        "an unsupported custom assignor is in use. Please refer to the documentation or switch to a default assignor before re-attempting the upgrade",
                    ));
                }
                member.assigned = places_of(&assignment.places, topics);
            }
            owned.push((id.clone(), places_of(&subscription.owned, topics)));
            if let Some(instance_id) = &member.instance_id {
                group.instances.insert(instance_id.clone(), id.clone());
            }
            group.members.insert(id.clone(), member);
        }
        for (id, places) in owned {
            let free: Vec<Place> = places
                .into_iter()
                .filter(|place| group.is_free(place, &id))
                .collect();
            if let Some(member) = group.members.get_mut(&id) {
                member.assigned.extend(free);
                member.target.clone_from(&member.assigned);
            }
        }
        Ok(group)
    }

    /// All members as they are written down, which is done by that.
    pub(crate) fn take_everybody(&mut self) -> BTreeMap<StrBytes, MemberSnapshot> {
        self.news.clear();
        let members = self.members.iter();
        members
            .map(|(id, member)| (id.clone(), member.snapshot()))
            .collect()
    }
}

/// A member of the classic group in the words of the newer protocol.
fn converted(id: &StrBytes, former: &member::Member, subscription: &Subscription, now: Instant) -> Member {
    let said = said(id, &former.joining(id), subscription);
    let mut member = Member::new(&said, now + former.session_timeout);
    member.update(&said, None, None);
    member.classic = Some(Classic::new(former.session_timeout, former.protocols.clone()));
    member
}

/// Partitions by their topics' ids, as far as there are such topics.
pub(super) fn places_of(named: &BTreeSet<TopicPartition>, topics: &dyn Subscribable) -> BTreeSet<Place> {
    let mut found = BTreeMap::new();
    named
        .iter()
        .filter_map(|(name, partition)| {
            let topic = *found.entry(name).or_insert_with(|| topics.find(name));
            Some((topic?.0, *partition))
        })
        .collect()
}
