//! Groups that change their protocol with members in them (KIP-848): when, and what is written down of it.

use std::collections::HashMap;
use std::time::Instant;

use kafka_protocol::ResponseError;
use kafka_protocol::protocol::StrBytes;
use tokio::sync::oneshot;

use super::Coordinator;
use super::consumers::unwritten;
use crate::groups::consumer::{Beat, ConsumerGroup, Heartbeat, JOINS, Refusal, Subscribable, Timing};
use crate::groups::group::Group;
use crate::groups::member::{JoinResult, Joining};
use crate::told::beginning;

impl Coordinator {
    /// What a group of the classic protocol becomes when somebody joins who speaks the newer one, and what he is told; it
    /// is written down. What is refused changes nothing.
    pub(super) fn upgrade(
        &self,
        group_id: &StrBytes,
        classic: &Group,
        said: Heartbeat,
        topics: &dyn Subscribable,
        timing: Timing,
    ) -> Result<(ConsumerGroup, Beat), Refusal> {
        let stays = |reason: String| Err(Refusal::new(ResponseError::GroupIdNotFound, reason));
        if said.epoch != JOINS {
            let of_whom = said.instance_id.as_ref();
            // With Kafka's code its client ends. If it came back it would drive out who has its place.
            if of_whom.is_some_and(|instance_id| classic.has_instance(instance_id)) {
                return stays(format!("Group {group_id} is not a consumer group."));
            }
            // Anybody else is told, other than by Kafka, that it may join again.
            return Err(Refusal::new(
                ResponseError::UnknownMemberId,
                format!("group `{group_id}` has gone back to the classic protocol"),
            ));
        }
        if !self.timings.migration.upgrades() {
            return stays(format!(
                "Cannot upgrade classic group {group_id} to consumer group because the online upgrade is disabled."
            ));
        }
        let now = Instant::now();
        let mut group = ConsumerGroup::of_classic(group_id, classic, topics, now)?;
        let beat = group.heartbeat(said, topics, timing, now)?;
        group.take_events().tell(group_id);
        let mut offsets = self.offsets();
        offsets
            .note_conversion(group_id, group.take_everybody())
            .map_err(|error| unwritten(&error))?;
        group.last_entry = offsets.last_entry();
        tracing::info!(
            group = ?beginning(group_id),
            members = group.members().len(),
            "a group with members has gone over to the consumer protocol"
        );
        Ok((group, beat))
    }

    /// Makes a group one of the classic protocol in which nobody speaks the newer one any more.
    pub(super) fn go_back(
        &self,
        groups: &mut HashMap<StrBytes, Group>,
        consumers: &mut HashMap<StrBytes, ConsumerGroup>,
        group_id: &StrBytes,
        now: Instant,
    ) {
        let Some(group) = consumers.get(group_id).filter(|group| group.is_classic_alone()) else {
            return;
        };
        if !self.timings.migration.downgrades() {
            return;
        }
        let mut classic = Group::of_consumers(group, self.timings.initial_rebalance_delay, now);
        tracing::info!(
            group = ?beginning(group_id),
            members = classic.members().len(),
            "a group with members has gone back to the classic protocol"
        );
        consumers.remove(group_id);
        self.write_down(group_id, &mut classic);
        groups.insert(group_id.clone(), classic);
    }

    /// Lets a member that speaks the classic protocol join a group that the broker assigns; who joins, where there is no
    /// such group, or was until now.
    pub(super) fn join_consumers(
        &self,
        groups: &mut HashMap<StrBytes, Group>,
        group_id: &StrBytes,
        joining: Joining,
        topics: &dyn Subscribable,
        reply: oneshot::Sender<JoinResult>,
    ) -> Option<(Joining, oneshot::Sender<JoinResult>)> {
        let now = Instant::now();
        let mut consumers = self.consumers();
        let Some(group) = consumers.get_mut(group_id) else {
            return Some((joining, reply));
        };
        let last = joining
            .instance_id
            .as_ref()
            .filter(|_| joining.member_id.is_empty());
        // With its place taken, nobody speaks the newer protocol any more.
        if let Some(last) = last.and_then(|instance_id| group.last_of_instance(instance_id))
            && self.timings.migration.downgrades()
        {
            group.give_up(&last);
            let _ = self.write_consumers_down(group_id, group);
            self.go_back(groups, &mut consumers, group_id, now);
        }
        if consumers
            .get(group_id)
            .is_none_or(|group| group.members().is_empty())
        {
            consumers.remove(group_id);
            return Some((joining, reply));
        }
        drop(consumers);
        if let Some((joined, _)) =
            self.with_members(group_id, |group| group.join_classic(joining, topics, now))
        {
            let _ = reply.send(joined);
        }
        None
    }
}
