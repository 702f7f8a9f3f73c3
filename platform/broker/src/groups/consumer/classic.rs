//! Members that speak the classic protocol in a group whose partitions the broker assigns (KIP-848): they are on their
//! way from one protocol to the other, some before the others.
//!
//! Such a member joins to say what it subscribes to and owns, and asks by a sync what it may read. Nobody leads: the
//! broker has worked the targets out. A heartbeat tells it to join again when there is something to give up or to get.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use bytes::Bytes;
use kafka_protocol::ResponseError;
use kafka_protocol::protocol::StrBytes;
use uuid::Uuid;

use super::beat::{Heartbeat, JOINS};
use super::conversion::places_of;
use super::member::{Member, Progress};
use super::{ConsumerGroup, MAX_MEMBERS, Subscribable};
use crate::groups::embedded::{Assignment, Subscription};
use crate::groups::group::{Claim, Commit};
use crate::groups::member::{
    Assigned, CONSUMERS, FirstJoin, JoinRefusal, JoinResult, Joined, Joining, SyncResult, new_member_id,
};
use crate::groups::offsets::TopicPartition;

/// What a member that speaks the classic protocol has besides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Classic {
    /// Silence after which it counts as dead, as it asked for itself.
    pub(crate) session: Duration,
    /// The assignors it knows, best first, with its subscription for each: none of them is asked as long as the broker
    /// assigns.
    pub(crate) protocols: Vec<(StrBytes, Bytes)>,
    pub(super) due: Due,
}

/// What such a member is to do next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Due {
    Nothing,
    /// It was told to join again.
    Join {
        by: Instant,
    },
    /// It has joined and does not know yet what it may read.
    Sync {
        by: Instant,
    },
}

impl Classic {
    pub(super) fn new(session: Duration, protocols: Vec<(StrBytes, Bytes)>) -> Self {
        Self {
            session,
            protocols,
            due: Due::Nothing,
        }
    }

    /// When it counts as one that does not take part, however alive it is.
    pub(super) fn due_by(&self) -> Option<Instant> {
        match self.due {
            Due::Nothing => None,
            Due::Join { by } | Due::Sync { by } => Some(by),
        }
    }

    /// The assignor it likes best, and the version of its subscription for that.
    fn preferred(&self) -> Option<(StrBytes, i16)> {
        let (name, metadata) = self.protocols.first()?;
        Some((name.clone(), Subscription::read(metadata)?.version))
    }

    fn knows(&self, protocol: &StrBytes) -> bool {
        self.protocols.iter().any(|(name, _)| name == protocol)
    }
}

impl ConsumerGroup {
    /// Whether there are members, and none of them speaks the newer protocol.
    pub(crate) fn is_classic_alone(&self) -> bool {
        !self.members.is_empty() && self.members.values().all(|member| member.classic.is_some())
    }

    /// The members that speak the classic protocol.
    pub(crate) fn classic_members(&self) -> impl Iterator<Item = (&StrBytes, &Member, &Classic)> {
        let members = self.members.iter();
        members.filter_map(|(id, member)| Some((id, member, member.classic.as_ref()?)))
    }

    /// The names of the topics that are subscribed to, by their ids.
    pub(crate) fn names(&self) -> BTreeMap<Uuid, StrBytes> {
        let topics = self.topics.iter();
        topics.map(|(name, (id, _))| (*id, name.clone())).collect()
    }

    /// The static member of that name, where it is the last that speaks the newer protocol.
    pub(crate) fn last_of_instance(&self, instance_id: &StrBytes) -> Option<StrBytes> {
        let id = self.instances.get(instance_id)?;
        let mut newer = self.members.iter().filter(|(_, member)| member.classic.is_none());
        (newer.next()?.0 == id && newer.next().is_none()).then(|| id.clone())
    }

    /// Somebody has taken a member's place.
    pub(crate) fn give_up(&mut self, member_id: &StrBytes) {
        self.remove(member_id);
    }

    /// A member joins that speaks the classic protocol, or joins again; it is answered at once.
    pub(crate) fn join_classic(
        &mut self,
        joining: Joining,
        topics: &dyn Subscribable,
        now: Instant,
    ) -> JoinResult {
        let refuse = |code, member_id: &StrBytes| {
            Err(JoinRefusal {
                code,
                member_id: member_id.clone(),
            })
        };
        let subscription = match joining.protocols.first() {
            Some((_, metadata)) if self.understands(&joining) => Subscription::read(metadata),
            _ => None,
        };
        let Some(subscription) = subscription else {
            return refuse(ResponseError::InconsistentGroupProtocol, &joining.member_id);
        };
        let is_new = joining.member_id.is_empty();
        if is_new && joining.instance_id.is_none() && joining.first_join == FirstJoin::NeedsId {
            return refuse(
                ResponseError::MemberIdRequired,
                &new_member_id(&joining.client_id),
            );
        }
        let owned = places_of(&subscription.owned, topics);
        // Who joins for the first time owns nothing: this one was given up, and others may have what it owned.
        if !is_new
            && joining.instance_id.is_none()
            && !owned.is_empty()
            && !self.members.contains_key(&joining.member_id)
        {
            return refuse(ResponseError::UnknownMemberId, &joining.member_id);
        }
        let member_id = match self.place_of(&joining) {
            Ok(member_id) => member_id,
            Err(code) => return refuse(code, &joining.member_id),
        };
        let said = said(&member_id, &joining, &subscription);
        let protocol = joining.protocols[0].0.clone();
        let is_known = self.members.contains_key(&member_id);
        let member = self
            .members
            .entry(member_id.clone())
            .or_insert_with(|| Member::new(&said, now));
        let spoke_newer = member.pattern.take().is_some() | member.assignor.take().is_some();
        let changed = member.update(&said, None, None) | spoke_newer | !is_known;
        member.deadline = now + joining.session_timeout;
        let by = now + joining.rebalance_timeout;
        let mut classic = Classic::new(joining.session_timeout, joining.protocols);
        let is_as_before = member
            .classic
            .as_ref()
            .is_some_and(|before| before.session == classic.session && before.protocols == classic.protocols);
        classic.due = Due::Sync { by };
        member.classic = Some(classic);
        if changed || !is_as_before {
            self.news.insert(member_id.clone());
        }
        if changed {
            self.begin_epoch();
        }
        self.refresh(topics);
        self.assign();
        self.reconcile(&member_id, Some(&owned), now);
        Ok(Joined {
            generation: self.members[&member_id].epoch,
            protocol_type: StrBytes::from_static_str(CONSUMERS),
            protocol,
            // Nobody.
            leader: StrBytes::new(),
            skip_assignment: false,
            member_id,
            members: Vec::new(),
        })
    }

    /// Whether it is a consumer, with an assignor that all others of its kind know: they may be a group of their own again.
    fn understands(&self, joining: &Joining) -> bool {
        let others = || {
            let members = self.classic_members();
            members.filter(|(id, member, _)| {
                let is_itself = **id == joining.member_id
                    || (member.instance_id.is_some() && member.instance_id == joining.instance_id);
                !is_itself
            })
        };
        joining.protocol_type.as_str() == CONSUMERS
            && joining
                .protocols
                .iter()
                .any(|(name, _)| others().all(|(_, _, classic)| classic.knows(name)))
    }

    /// The id of who joins: its own, a new one, or a new one in the place of the static member it was before.
    fn place_of(&mut self, joining: &Joining) -> Result<StrBytes, ResponseError> {
        let member_id = &joining.member_id;
        let former = joining
            .instance_id
            .as_ref()
            .map(|instance_id| (instance_id.clone(), self.instances.get(instance_id).cloned()));
        match &former {
            Some((_, None)) if !member_id.is_empty() => return Err(ResponseError::UnknownMemberId),
            Some((_, Some(former))) if !member_id.is_empty() && former != member_id => {
                return Err(ResponseError::FencedInstanceId);
            }
            _ => {}
        }
        if let Some(member) = self.members.get(member_id) {
            // An id of the newer protocol is none of this one.
            return match member.classic {
                Some(_) => Ok(member_id.clone()),
                None => Err(ResponseError::UnknownMemberId),
            };
        }
        if let Some((instance_id, Some(former))) = former {
            let own = new_member_id(&instance_id);
            self.take_place(former, own.clone(), instance_id);
            return Ok(own);
        }
        if self.members.len() >= MAX_MEMBERS {
            return Err(ResponseError::GroupMaxSizeReached);
        }
        let own = match (member_id.is_empty(), &joining.instance_id) {
            (false, _) => member_id.clone(),
            (true, Some(instance_id)) => new_member_id(instance_id),
            (true, None) => new_member_id(&joining.client_id),
        };
        if let Some((instance_id, None)) = former {
            self.instances.insert(instance_id, own.clone());
        }
        Ok(own)
    }

    /// A member asks what it may read.
    pub(crate) fn sync_classic(
        &mut self,
        claim: Claim<'_>,
        protocol: Option<(&StrBytes, &StrBytes)>,
        topics: &dyn Subscribable,
        now: Instant,
    ) -> SyncResult {
        self.check_classic(claim, now)?;
        self.refresh(topics);
        let epoch = self.epoch;
        let names = self.names();
        let member = self.members.get_mut(claim.member_id);
        let member = member.ok_or(ResponseError::UnknownMemberId)?;
        let preferred = member.classic.as_ref().and_then(Classic::preferred);
        let (name, version) = preferred.ok_or(ResponseError::UnknownMemberId)?;
        if let Some((kind, wanted)) = protocol
            && (kind.as_str() != CONSUMERS || *wanted != name)
        {
            return Err(ResponseError::InconsistentGroupProtocol);
        }
        // One that is to give something up has to know that first.
        if epoch > member.epoch && member.progress != Progress::Revoking {
            member.call(now);
            return Err(ResponseError::RebalanceInProgress);
        }
        member.settle();
        let may_read: BTreeSet<TopicPartition> = member
            .assigned
            .iter()
            .filter_map(|(topic, partition)| Some((names.get(topic)?.clone(), *partition)))
            .collect();
        Ok(Assigned {
            protocol_type: StrBytes::from_static_str(CONSUMERS),
            protocol: name,
            assignment: Assignment::write(version, &may_read),
        })
    }

    /// A member shows that it is alive, and learns whether it has to join again.
    pub(crate) fn heartbeat_classic(&mut self, claim: Claim<'_>, now: Instant) -> Result<(), ResponseError> {
        self.check_classic(claim, now)?;
        let has_to_join = self.members.get(claim.member_id).is_some_and(|member| {
            let mut wanted = member.target.difference(&member.assigned);
            match member.progress {
                _ if member.epoch < self.epoch => true,
                Progress::Stable => false,
                Progress::Revoking => true,
                Progress::Waiting => wanted.any(|place| self.is_free(place, claim.member_id)),
            }
        });
        if !has_to_join {
            return Ok(());
        }
        if let Some(member) = self.members.get_mut(claim.member_id) {
            member.call(now);
        }
        Err(ResponseError::RebalanceInProgress)
    }

    /// A member that speaks the classic protocol goes; a static one may be named by its lasting name alone.
    pub(crate) fn leave_classic(
        &mut self,
        member_id: &StrBytes,
        instance_id: Option<&StrBytes>,
    ) -> Result<(), ResponseError> {
        let leaving = match instance_id {
            Some(instance_id) => {
                let current = self.instances.get(instance_id);
                let current = current.ok_or(ResponseError::UnknownMemberId)?;
                if !member_id.is_empty() && current != member_id {
                    return Err(ResponseError::FencedInstanceId);
                }
                current.clone()
            }
            None => member_id.clone(),
        };
        let member = self.members.get(&leaving);
        // An administrator may name a static member of either kind.
        if !member.is_some_and(|member| member.classic.is_some() || instance_id.is_some()) {
            return Err(ResponseError::UnknownMemberId);
        }
        self.remove(&leaving);
        Ok(())
    }

    /// Whether a member that speaks the classic protocol may commit; `None` of every other.
    pub(crate) fn may_commit_classic(
        &mut self,
        claim: Claim<'_>,
        commit: Commit,
        now: Instant,
    ) -> Option<Result<(), ResponseError>> {
        let due = self.members.get(claim.member_id)?.classic.as_ref()?.due;
        let checked = self.check_classic(claim, now);
        Some(match (due, commit) {
            (Due::Sync { .. }, Commit::Plain) => checked.and(Err(ResponseError::RebalanceInProgress)),
            _ => checked,
        })
    }

    /// Whether a claim is that of a member of this kind, which is alive then.
    fn check_classic(&mut self, claim: Claim<'_>, now: Instant) -> Result<(), ResponseError> {
        if let Some(instance_id) = claim.instance_id {
            match self.instances.get(instance_id) {
                None => return Err(ResponseError::UnknownMemberId),
                Some(current) if current != claim.member_id => return Err(ResponseError::FencedInstanceId),
                Some(_) => {}
            }
        }
        let member = self.members.get_mut(claim.member_id);
        let member = member.ok_or(ResponseError::UnknownMemberId)?;
        let classic = member.classic.as_ref();
        let session = classic.ok_or(ResponseError::UnknownMemberId)?.session;
        if member.epoch != claim.generation {
            return Err(ResponseError::IllegalGeneration);
        }
        member.deadline = now + session;
        Ok(())
    }
}

impl Member {
    /// It is told to join again.
    fn call(&mut self, now: Instant) {
        let by = now + self.rebalance_timeout;
        if let Some(classic) = &mut self.classic
            && !matches!(classic.due, Due::Join { .. })
        {
            classic.due = Due::Join { by };
        }
    }

    fn settle(&mut self) {
        if let Some(classic) = &mut self.classic {
            classic.due = Due::Nothing;
        }
    }
}

/// What a member says when it joins, in the words of the newer protocol.
pub(super) fn said(member_id: &StrBytes, joining: &Joining, subscription: &Subscription) -> Heartbeat {
    Heartbeat {
        member_id: member_id.clone(),
        epoch: JOINS,
        instance_id: joining.instance_id.clone(),
        rack_id: subscription.rack_id.clone(),
        client_id: joining.client_id.clone(),
        client_host: joining.client_host.clone(),
        rebalance_timeout: Some(joining.rebalance_timeout),
        topics: Some(subscription.topics.clone()),
        pattern: None,
        assignor: None,
        owned: None,
    }
}
