//! How members come: new ones, known ones, static ones under a new id.

use std::time::Instant;

use kafka_protocol::ResponseError;
use kafka_protocol::protocol::StrBytes;
use tokio::sync::oneshot;

use super::{Claim, Group, State, supports};
use crate::groups::member::{
    FirstJoin, JoinRefusal, JoinResult, Joining, Member, SkipsAssignment, new_member_id,
};

impl Group {
    /// Lets a member join; `reply` is answered at once or when the rebalance is over.
    pub(crate) fn join(&mut self, joining: Joining, now: Instant, reply: oneshot::Sender<JoinResult>) {
        if let Err(refusal) = self.try_join(joining, now, reply) {
            let (refusal, reply) = *refusal;
            let _ = reply.send(Err(refusal));
        }
    }

    fn try_join(
        &mut self,
        joining: Joining,
        now: Instant,
        reply: oneshot::Sender<JoinResult>,
    ) -> Result<(), Box<(JoinRefusal, oneshot::Sender<JoinResult>)>> {
        let member_id = joining.member_id.clone();
        let refuse = |code, member_id, reply| Err(Box::new((JoinRefusal { code, member_id }, reply)));
        if !self.understands(&joining) {
            return refuse(ResponseError::InconsistentGroupProtocol, member_id, reply);
        }
        if member_id.is_empty() {
            if let Some(instance_id) = &joining.instance_id {
                match self.instances.get(instance_id).cloned() {
                    Some(old_id) => self.replace_static(&old_id, joining, now, reply),
                    None => {
                        let id = new_member_id(instance_id);
                        self.admit(id, joining, now, reply);
                    }
                }
                return Ok(());
            }
            let id = new_member_id(&joining.client_id);
            if joining.first_join == FirstJoin::NeedsId {
                self.expected.insert(id.clone(), now + joining.session_timeout);
                return refuse(ResponseError::MemberIdRequired, id, reply);
            }
            self.admit(id, joining, now, reply);
            return Ok(());
        }
        if self.expected.remove(&member_id).is_some() {
            self.admit(member_id, joining, now, reply);
            return Ok(());
        }
        let claim = Claim {
            member_id: &member_id,
            instance_id: joining.instance_id.as_ref(),
            generation: self.generation,
        };
        if let Err(code) = self.check_member(claim) {
            return refuse(code, member_id, reply);
        }
        self.rejoin(&member_id, joining, now, reply);
        Ok(())
    }

    /// Whether the group's kind and at least one assignor of every member are known to the newcomer.
    fn understands(&self, joining: &Joining) -> bool {
        if joining.protocol_type.is_empty() || joining.protocols.is_empty() {
            return false;
        }
        let others = || {
            self.members
                .iter()
                .filter(|(id, _)| **id != joining.member_id)
                .map(|(_, member)| member)
        };
        if others().next().is_none() {
            return true;
        }
        joining.protocol_type == self.protocol_type
            && joining
                .protocols
                .iter()
                .any(|(name, _)| others().all(|member| supports(member, name)))
    }

    fn admit(
        &mut self,
        member_id: StrBytes,
        joining: Joining,
        now: Instant,
        reply: oneshot::Sender<JoinResult>,
    ) {
        if self.members.is_empty() {
            self.protocol_type = joining.protocol_type.clone();
        }
        if let Some(instance_id) = &joining.instance_id {
            self.instances.insert(instance_id.clone(), member_id.clone());
        }
        let mut member = Member::new(joining, now);
        member.waiting_to_join = Some(reply);
        self.members.insert(member_id, member);
        self.prepare(now);
    }

    /// A known member joins again.
    fn rejoin(
        &mut self,
        member_id: &StrBytes,
        joining: Joining,
        now: Instant,
        reply: oneshot::Sender<JoinResult>,
    ) {
        let is_leader = self.leader.as_ref() == Some(member_id);
        let Some(member) = self.members.get_mut(member_id) else {
            return;
        };
        let unchanged = member.protocols == joining.protocols;
        member.update(joining, now);
        let nothing_to_do = match self.state {
            State::Stable => unchanged && !is_leader,
            // It missed the answer to its first join.
            State::Completing => unchanged,
            State::Empty | State::Preparing { .. } => false,
        };
        if nothing_to_do {
            let joined = self.joined(member_id, is_leader);
            let _ = reply.send(Ok(joined));
            return;
        }
        if let Some(member) = self.members.get_mut(member_id) {
            member.waiting_to_join = Some(reply);
        }
        self.prepare(now);
    }

    /// A static member comes back under a new id; if nothing else has changed, nobody is bothered.
    fn replace_static(
        &mut self,
        old_id: &StrBytes,
        joining: Joining,
        now: Instant,
        reply: oneshot::Sender<JoinResult>,
    ) {
        let Some(mut member) = self.members.remove(old_id) else {
            return;
        };
        member.refuse(old_id, ResponseError::FencedInstanceId);
        let new_id = new_member_id(joining.instance_id.as_ref().unwrap_or(&joining.client_id));
        if let Some(instance_id) = &joining.instance_id {
            self.instances.insert(instance_id.clone(), new_id.clone());
        }
        let was_leader = self.leader.as_ref() == Some(old_id);
        if was_leader {
            self.leader = Some(new_id.clone());
        }
        let unchanged = member.reads_the_same(&joining.protocols);
        let skips_assignment = joining.skips_assignment;
        member.update(joining, now);
        self.members.insert(new_id.clone(), member);
        if self.state == State::Stable && unchanged {
            self.has_news = true;
            let mut joined = self.joined(&new_id, was_leader);
            if was_leader {
                if skips_assignment == SkipsAssignment::Yes {
                    joined.skip_assignment = true;
                } else {
                    // Named by its old id it does not recognise itself, and asks for its assignment as a follower.
                    joined.leader = old_id.clone();
                    joined.members = Vec::new();
                }
            }
            let _ = reply.send(Ok(joined));
            return;
        }
        if let Some(member) = self.members.get_mut(&new_id) {
            member.waiting_to_join = Some(reply);
        }
        self.prepare(now);
    }
}
