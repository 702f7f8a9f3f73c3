//! From a group whose partitions the broker assigned back to one of the classic protocol, and the way there.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use kafka_protocol::ResponseError;
use kafka_protocol::protocol::StrBytes;

use super::{Group, State};
use crate::groups::consumer::ConsumerGroup;
use crate::groups::embedded::Assignment;
use crate::groups::member::{CONSUMERS, Member};
use crate::groups::offsets::TopicPartition;

impl Group {
    /// What a group becomes in which nobody speaks the newer protocol any more. Its members are called together: who has
    /// left had partitions.
    pub(crate) fn of_consumers(group: &ConsumerGroup, initial_delay: Duration, now: Instant) -> Self {
        let mut classic = Self {
            state: State::Stable,
            // Where all have arrived they are in it, and keep what they have until they join again.
            generation: group.assignment_epoch(),
            protocol_type: StrBytes::from_static_str(CONSUMERS),
            has_news: true,
            ..Self::new(initial_delay)
        };
        let names = group.names();
        for (id, former, speaks) in group.classic_members() {
            let mut member = Member::new(former.joining(id, speaks), now);
            let may_have: BTreeSet<TopicPartition> = former
                .held()
                .filter_map(|(topic, partition)| Some((names.get(topic)?.clone(), *partition)))
                .collect();
            member.assignment = Assignment::write(0, &may_have);
            member.is_new = false;
            member.touch(now);
            if let Some(instance_id) = &member.instance_id {
                classic.instances.insert(instance_id.clone(), id.clone());
            }
            classic.members.insert(id.clone(), member);
        }
        classic.protocol = classic.elect_protocol();
        classic.prepare(now);
        classic
    }

    /// It has become a group of the other kind: who waits joins that.
    pub(crate) fn dissolve(mut self) {
        for (member_id, member) in &mut self.members {
            member.refuse(member_id, ResponseError::RebalanceInProgress);
        }
    }
}
