//! One group as a state machine: members join, one of them assigns, all sync, until somebody comes or goes.
//!
//! It is told the time and answers through the channels it was handed, so that it can be tested without a clock. The
//! rules are those of Kafka's classic group protocol (KIP-62, KIP-345, KIP-394, KIP-814).
//!
//! Long because it is one state machine: what a request does depends on where the group stands.

use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, Instant};

use bytes::Bytes;
use kafka_protocol::ResponseError;
use kafka_protocol::protocol::StrBytes;
use tokio::sync::oneshot;

use super::events::Events;
use super::member::{Assigned, Member, SyncResult};

#[cfg(test)]
mod chaos_tests;
mod conversion;
mod joining;
mod memory;
mod rebalance;
#[cfg(test)]
pub(crate) mod tests;

/// Where a group stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    /// Nobody is in it.
    Empty,
    /// Members are to join again, until all have or the deadline has passed.
    Preparing {
        /// When it is closed at the latest.
        deadline: Instant,
        /// When it is closed at the earliest.
        not_before: Instant,
    },
    /// The generation is fixed, its leader is to assign.
    Completing,
    /// Everybody has an assignment.
    Stable,
}

impl State {
    /// Kafka's name for it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Empty => "Empty",
            Self::Preparing { .. } => "PreparingRebalance",
            Self::Completing => "CompletingRebalance",
            Self::Stable => "Stable",
        }
    }
}

/// How offsets are committed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Commit {
    /// At once.
    Plain,
    /// With a transaction, whose producer can do nothing about a rebalance.
    InTransaction,
}

/// Who a request claims to come from.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Claim<'a> {
    /// The member's id.
    pub(crate) member_id: &'a StrBytes,
    /// Its lasting name.
    pub(crate) instance_id: Option<&'a StrBytes>,
    /// The generation it believes in.
    pub(crate) generation: i32,
}

/// A group of consumers.
#[derive(Debug)]
pub(crate) struct Group {
    state: State,
    generation: i32,
    protocol_type: StrBytes,
    protocol: StrBytes,
    leader: Option<StrBytes>,
    members: BTreeMap<StrBytes, Member>,
    /// Member ids by the lasting names of static members.
    instances: HashMap<StrBytes, StrBytes>,
    /// Ids handed out that have not joined yet, and when they lapse.
    expected: HashMap<StrBytes, Instant>,
    initial_delay: Duration,
    /// Since when nobody is in it, as far as that was looked at.
    deserted_at: Option<Instant>,
    /// Whether something was agreed on that is not written down yet.
    has_news: bool,
    /// What the log was not told yet.
    events: Events,
}

impl Group {
    /// A group nobody is in.
    pub(crate) fn new(initial_delay: Duration) -> Self {
        Self {
            state: State::Empty,
            generation: 0,
            protocol_type: StrBytes::new(),
            protocol: StrBytes::new(),
            leader: None,
            members: BTreeMap::new(),
            instances: HashMap::new(),
            expected: HashMap::new(),
            initial_delay,
            deserted_at: None,
            has_news: false,
            events: Events::default(),
        }
    }

    /// Where it stands.
    pub(crate) fn state(&self) -> State {
        self.state
    }

    /// Its kind; empty when it never had members.
    pub(crate) fn protocol_type(&self) -> &StrBytes {
        &self.protocol_type
    }

    /// Counts what was agreed on.
    pub(crate) fn generation(&self) -> i32 {
        self.generation
    }

    /// The assignor in force.
    pub(crate) fn protocol(&self) -> &StrBytes {
        &self.protocol
    }

    /// Its members by id.
    pub(crate) fn members(&self) -> &BTreeMap<StrBytes, Member> {
        &self.members
    }

    /// Whether a static member has that name.
    pub(crate) fn has_instance(&self, instance_id: &StrBytes) -> bool {
        self.instances.contains_key(instance_id)
    }

    /// What happened that the log was not told yet.
    pub(crate) fn take_events(&mut self) -> Events {
        std::mem::take(&mut self.events)
    }

    /// Whether nobody is in it, nor was for so long, nor is about to be.
    pub(crate) fn is_over(&mut self, now: Instant, shown: Duration) -> bool {
        if !self.is_deserted() {
            self.deserted_at = None;
            return false;
        }
        // One that never came about is nothing to show.
        self.generation == 0 || now >= *self.deserted_at.get_or_insert(now) + shown
    }

    /// Whether nobody is in it, nor about to be.
    pub(crate) fn is_deserted(&self) -> bool {
        self.members.is_empty() && self.expected.is_empty()
    }

    /// A member hands in the assignments (the leader) or asks for its own.
    pub(crate) fn sync(
        &mut self,
        claim: Claim<'_>,
        protocol: Option<(&StrBytes, &StrBytes)>,
        assignments: Vec<(StrBytes, Bytes)>,
        now: Instant,
        reply: oneshot::Sender<SyncResult>,
    ) {
        match self.try_sync(claim, protocol, assignments, now) {
            Ok(Some(assigned)) => {
                let _ = reply.send(Ok(assigned));
            }
            Ok(None) => {
                if let Some(member) = self.members.get_mut(claim.member_id) {
                    member.waiting_to_sync = Some(reply);
                }
                self.complete_sync(claim.member_id, now);
            }
            Err(code) => {
                let _ = reply.send(Err(code));
            }
        }
    }

    /// `None` means that the member has to wait.
    fn try_sync(
        &mut self,
        claim: Claim<'_>,
        protocol: Option<(&StrBytes, &StrBytes)>,
        assignments: Vec<(StrBytes, Bytes)>,
        now: Instant,
    ) -> Result<Option<Assigned>, ResponseError> {
        self.check_generation(claim)?;
        if let Some((kind, name)) = protocol
            && (*kind != self.protocol_type || *name != self.protocol)
        {
            return Err(ResponseError::InconsistentGroupProtocol);
        }
        self.touch(claim.member_id, now);
        match self.state {
            State::Empty => return Err(ResponseError::UnknownMemberId),
            State::Preparing { .. } => return Err(ResponseError::RebalanceInProgress),
            State::Stable | State::Completing => {}
        }
        if let Some(member) = self.members.get_mut(claim.member_id) {
            member.sync_deadline = None;
        }
        if self.state == State::Stable {
            return Ok(Some(self.assigned(claim.member_id)));
        }
        if self.leader.as_ref() == Some(claim.member_id) {
            for member in self.members.values_mut() {
                member.assignment = Bytes::new();
            }
            for (member_id, assignment) in assignments {
                if let Some(member) = self.members.get_mut(&member_id) {
                    // Copied, or it would keep the whole request frame in memory.
                    member.assignment = Bytes::copy_from_slice(&assignment);
                }
            }
        }
        Ok(None)
    }

    /// Makes the group stable once its leader has synced.
    fn complete_sync(&mut self, synced: &StrBytes, now: Instant) {
        if self.state != State::Completing || self.leader.as_ref() != Some(synced) {
            return;
        }
        self.state = State::Stable;
        self.has_news = true;
        self.events
            .agree(self.generation, self.members.len(), self.protocol.clone());
        let waiting: Vec<StrBytes> = self
            .members
            .iter()
            .filter(|(_, member)| member.waiting_to_sync.is_some())
            .map(|(id, _)| id.clone())
            .collect();
        for member_id in waiting {
            let assigned = self.assigned(&member_id);
            self.touch(&member_id, now);
            if let Some(reply) = self
                .members
                .get_mut(&member_id)
                .and_then(|member| member.waiting_to_sync.take())
            {
                let _ = reply.send(Ok(assigned));
            }
        }
    }

    /// A member shows that it is alive and learns whether it has to join again.
    pub(crate) fn heartbeat(&mut self, claim: Claim<'_>, now: Instant) -> Result<(), ResponseError> {
        self.check_generation(claim)?;
        self.touch(claim.member_id, now);
        match self.state {
            State::Empty => Err(ResponseError::UnknownMemberId),
            State::Preparing { .. } => Err(ResponseError::RebalanceInProgress),
            State::Completing | State::Stable => Ok(()),
        }
    }

    /// A member goes; a static one may be named by its lasting name alone.
    pub(crate) fn leave(
        &mut self,
        member_id: &StrBytes,
        instance_id: Option<&StrBytes>,
        now: Instant,
    ) -> Result<(), ResponseError> {
        if self.expected.remove(member_id).is_some() {
            self.complete_join_if_all_are_here(now);
            return Ok(());
        }
        let leaving = match instance_id {
            Some(instance_id) => {
                let current = self
                    .instances
                    .get(instance_id)
                    .ok_or(ResponseError::UnknownMemberId)?;
                if !member_id.is_empty() && current != member_id {
                    return Err(ResponseError::FencedInstanceId);
                }
                current.clone()
            }
            None => member_id.clone(),
        };
        if !self.members.contains_key(&leaving) {
            return Err(ResponseError::UnknownMemberId);
        }
        self.remove(&leaving, now);
        Ok(())
    }

    /// Whether offsets may be committed by whoever makes this claim.
    pub(crate) fn may_commit(
        &mut self,
        claim: Claim<'_>,
        commit: Commit,
        now: Instant,
    ) -> Result<(), ResponseError> {
        // A consumer that assigns its own partitions is in no generation.
        if claim.generation < 0 && self.members.is_empty() {
            return Ok(());
        }
        self.check_generation(claim)?;
        self.touch(claim.member_id, now);
        match (self.state, commit) {
            (State::Completing, Commit::Plain) => Err(ResponseError::RebalanceInProgress),
            _ => Ok(()),
        }
    }

    /// Removes members that were silent for too long and ends rebalances that took too long.
    pub(crate) fn expire(&mut self, now: Instant) {
        self.expected.retain(|_, deadline| *deadline > now);
        let dead: Vec<StrBytes> = self
            .members
            .iter()
            .filter(|(_, member)| member.next_deadline().is_some_and(|deadline| deadline <= now))
            .map(|(id, _)| id.clone())
            .collect();
        for member_id in dead {
            self.events.lose(&member_id, "its session has expired");
            self.remove(&member_id, now);
        }
        match self.state {
            State::Preparing { deadline, .. } if deadline <= now => self.complete_join(now),
            State::Preparing { .. } => self.complete_join_if_all_are_here(now),
            // Partitions of one that does not ask which it has would be read by nobody, however alive it is.
            State::Completing | State::Stable => {
                let unsynced: Vec<StrBytes> = self
                    .members
                    .iter()
                    .filter(|(_, member)| member.sync_deadline.is_some_and(|deadline| deadline <= now))
                    .map(|(id, _)| id.clone())
                    .collect();
                for member_id in unsynced {
                    self.events
                        .lose(&member_id, "it did not ask for its assignment in time");
                    self.remove(&member_id, now);
                }
            }
            State::Empty => {}
        }
    }

    /// When [`Self::expire`] has something to do next.
    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        let members = self.members.values().filter_map(Member::next_deadline);
        let has_generation = matches!(self.state, State::Completing | State::Stable);
        let syncs = self
            .members
            .values()
            .filter(|_| has_generation)
            .filter_map(|member| member.sync_deadline);
        let state = match self.state {
            State::Preparing { deadline, not_before } if self.all_are_here() => {
                Some(deadline.min(not_before))
            }
            State::Preparing { deadline, .. } => Some(deadline),
            State::Empty | State::Completing | State::Stable => None,
        };
        members
            .chain(syncs)
            .chain(self.expected.values().copied())
            .chain(state)
            .min()
    }

    /// Takes a member out and rebalances what is left.
    fn remove(&mut self, member_id: &StrBytes, now: Instant) {
        self.forget(member_id);
        match self.state {
            State::Stable | State::Completing => self.prepare(now),
            State::Preparing { .. } => self.complete_join_if_all_are_here(now),
            State::Empty => {}
        }
    }

    fn forget(&mut self, member_id: &StrBytes) {
        let Some(mut member) = self.members.remove(member_id) else {
            return;
        };
        member.refuse(member_id, ResponseError::UnknownMemberId);
        if let Some(instance_id) = &member.instance_id {
            self.instances.remove(instance_id);
        }
        if self.leader.as_ref() == Some(member_id) {
            self.leader = None;
        }
    }

    fn touch(&mut self, member_id: &StrBytes, now: Instant) {
        if let Some(member) = self.members.get_mut(member_id) {
            member.touch(now);
        }
    }

    fn check_member(&self, claim: Claim<'_>) -> Result<(), ResponseError> {
        if let Some(instance_id) = claim.instance_id {
            match self.instances.get(instance_id) {
                None => return Err(ResponseError::UnknownMemberId),
                Some(current) if current != claim.member_id => {
                    return Err(ResponseError::FencedInstanceId);
                }
                Some(_) => {}
            }
        }
        if self.members.contains_key(claim.member_id) {
            Ok(())
        } else {
            Err(ResponseError::UnknownMemberId)
        }
    }

    pub(super) fn check_generation(&self, claim: Claim<'_>) -> Result<(), ResponseError> {
        self.check_member(claim)?;
        if claim.generation == self.generation {
            Ok(())
        } else {
            Err(ResponseError::IllegalGeneration)
        }
    }
}

fn supports(member: &Member, protocol: &StrBytes) -> bool {
    member.protocols.iter().any(|(name, _)| name == protocol)
}
