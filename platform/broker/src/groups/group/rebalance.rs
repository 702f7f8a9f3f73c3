//! From one generation to the next: all members are called together, then the generation is fixed.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use bytes::Bytes;
use kafka_protocol::ResponseError;
use kafka_protocol::protocol::StrBytes;

use super::{Group, State, supports};
use crate::groups::member::{Assigned, Joined, JoinedMember};

impl Group {
    /// Starts a rebalance, or sees whether the one under way is complete.
    pub(super) fn prepare(&mut self, now: Instant) {
        if self.state == State::Completing {
            for member in self.members.values_mut() {
                member.assignment = Bytes::new();
                if member.waiting_to_sync.is_some() {
                    member.touch(now);
                    member.refuse_sync(ResponseError::RebalanceInProgress);
                }
            }
        }
        if !matches!(self.state, State::Preparing { .. }) {
            let initial = self.state == State::Empty;
            let longest = self
                .members
                .values()
                .map(|member| member.rebalance_timeout)
                .max()
                .unwrap_or_default();
            self.state = State::Preparing {
                deadline: now + longest,
                not_before: if initial { now + self.initial_delay } else { now },
            };
        }
        self.complete_join_if_all_are_here(now);
    }

    pub(super) fn all_are_here(&self) -> bool {
        self.expected.is_empty()
            && self
                .members
                .values()
                .all(|member| member.waiting_to_join.is_some())
    }

    pub(super) fn complete_join_if_all_are_here(&mut self, now: Instant) {
        if let State::Preparing { not_before, .. } = self.state
            && not_before <= now
            && self.all_are_here()
        {
            self.complete_join(now);
        }
    }

    /// Fixes the next generation from the members that have joined.
    pub(super) fn complete_join(&mut self, now: Instant) {
        // Static members may come back; only the others are out when they are late.
        let late: Vec<StrBytes> = self
            .members
            .iter()
            .filter(|(_, member)| member.waiting_to_join.is_none() && member.instance_id.is_none())
            .map(|(id, _)| id.clone())
            .collect();
        for member_id in late {
            self.events.lose(&member_id, "it did not join again in time");
            self.forget(&member_id);
        }
        if self.members.is_empty() {
            self.generation += 1;
            self.state = State::Empty;
            self.has_news = true;
            self.events.agree(self.generation, 0, StrBytes::new());
            self.protocol = StrBytes::new();
            self.leader = None;
            return;
        }
        let longest = self
            .members
            .values()
            .map(|member| member.rebalance_timeout)
            .max()
            .unwrap_or_default();
        let leader_is_here = self
            .leader
            .as_ref()
            .and_then(|leader| self.members.get(leader))
            .is_some_and(|leader| leader.waiting_to_join.is_some());
        if !leader_is_here {
            let first = self
                .members
                .iter()
                .find(|(_, member)| member.waiting_to_join.is_some());
            match first {
                Some((id, _)) => self.leader = Some(id.clone()),
                None => {
                    // Only absent static members are left: they have until their sessions expire.
                    self.state = State::Preparing {
                        deadline: now + longest.max(Duration::from_millis(100)),
                        not_before: now,
                    };
                    return;
                }
            }
        }
        self.generation = self.generation.checked_add(1).unwrap_or(1);
        self.protocol = self.elect_protocol();
        self.state = State::Completing;
        for member in self.members.values_mut() {
            member.sync_deadline = Some(now + longest);
        }
        let ids: Vec<StrBytes> = self.members.keys().cloned().collect();
        for member_id in ids {
            let joined = self.joined(&member_id, self.leader.as_ref() == Some(&member_id));
            if let Some(member) = self.members.get_mut(&member_id)
                && let Some(reply) = member.waiting_to_join.take()
            {
                member.is_new = false;
                member.touch(now);
                let _ = reply.send(Ok(joined));
            }
        }
    }

    /// The assignor all members know that most of them like best.
    pub(super) fn elect_protocol(&self) -> StrBytes {
        let known_to_all = |name: &StrBytes| self.members.values().all(|member| supports(member, name));
        let mut votes: BTreeMap<&StrBytes, usize> = BTreeMap::new();
        for member in self.members.values() {
            if let Some((name, _)) = member.protocols.iter().find(|(name, _)| known_to_all(name)) {
                *votes.entry(name).or_default() += 1;
            }
        }
        votes
            .into_iter()
            .max_by_key(|(_, votes)| *votes)
            .map(|(name, _)| name.clone())
            .unwrap_or_default()
    }

    pub(super) fn joined(&self, member_id: &StrBytes, with_members: bool) -> Joined {
        let members = if with_members {
            self.members
                .iter()
                .map(|(id, member)| JoinedMember {
                    member_id: id.clone(),
                    instance_id: member.instance_id.clone(),
                    metadata: member.metadata(&self.protocol),
                })
                .collect()
        } else {
            Vec::new()
        };
        Joined {
            generation: self.generation,
            protocol_type: self.protocol_type.clone(),
            protocol: self.protocol.clone(),
            leader: self.leader.clone().unwrap_or_default(),
            skip_assignment: false,
            member_id: member_id.clone(),
            members,
        }
    }

    pub(super) fn assigned(&self, member_id: &StrBytes) -> Assigned {
        Assigned {
            protocol_type: self.protocol_type.clone(),
            protocol: self.protocol.clone(),
            assignment: self
                .members
                .get(member_id)
                .map(|member| member.assignment.clone())
                .unwrap_or_default(),
        }
    }
}
