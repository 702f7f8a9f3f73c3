//! A group over a restart of the broker: what is agreed on is written down, and taken up again.

use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, Instant};

use bytes::Bytes;
use kafka_protocol::protocol::StrBytes;

use super::{Group, State};
use crate::groups::member::{FirstJoin, Joining, Member, SkipsAssignment};
use crate::groups::snapshot::{Blob, GroupSnapshot, MemberSnapshot};

impl Group {
    /// The group as it was last written down; its members have a whole session to be heard of.
    pub(crate) fn restored(snapshot: GroupSnapshot, now: Instant, initial_delay: Duration) -> Self {
        let kind = StrBytes::from_string(snapshot.kind);
        let mut members = BTreeMap::new();
        let mut instances = HashMap::new();
        for stored in snapshot.members {
            let id = StrBytes::from_string(stored.id.clone());
            let assignment = stored.assignment.0.clone();
            let joining = joining(stored, kind.clone());
            if let Some(instance_id) = &joining.instance_id {
                instances.insert(instance_id.clone(), id.clone());
            }
            let mut member = Member::new(joining, now);
            member.assignment = assignment;
            member.is_new = false;
            member.touch(now);
            members.insert(id, member);
        }
        let leader = snapshot.leader.map(StrBytes::from_string);
        let is_agreed = leader.is_some();
        let mut group = Self {
            state: if members.is_empty() {
                State::Empty
            } else {
                State::Stable
            },
            generation: snapshot.generation,
            protocol_type: kind,
            protocol: StrBytes::from_string(snapshot.protocol),
            leader,
            members,
            instances,
            ..Self::new(initial_delay)
        };
        // Nobody has assigned yet since it has become one of this kind.
        if group.state == State::Stable && !is_agreed {
            group.prepare(now);
        }
        group
    }

    /// What is to be written down, if anything has been agreed on since the last time.
    pub(crate) fn take_news(&mut self) -> Option<GroupSnapshot> {
        if !std::mem::take(&mut self.has_news) {
            return None;
        }
        let members = self
            .members
            .iter()
            .map(|(id, member)| MemberSnapshot {
                id: id.to_string(),
                instance: member.instance_id.as_ref().map(StrBytes::to_string),
                client: member.client_id.to_string(),
                host: member.client_host.to_string(),
                session_ms: milliseconds(member.session_timeout),
                rebalance_ms: milliseconds(member.rebalance_timeout),
                protocols: member
                    .protocols
                    .iter()
                    .map(|(name, metadata)| (name.to_string(), Blob(metadata.clone())))
                    .collect(),
                assignment: Blob(member.assignment.clone()),
            })
            .collect();
        Some(GroupSnapshot {
            kind: self.protocol_type.to_string(),
            generation: self.generation,
            protocol: self.protocol.to_string(),
            leader: self.leader.as_ref().map(StrBytes::to_string),
            members,
        })
    }
}

fn joining(stored: MemberSnapshot, kind: StrBytes) -> Joining {
    let protocols: Vec<(StrBytes, Bytes)> = stored
        .protocols
        .into_iter()
        .map(|(name, metadata)| (StrBytes::from_string(name), metadata.0))
        .collect();
    Joining {
        member_id: StrBytes::from_string(stored.id),
        instance_id: stored.instance.map(StrBytes::from_string),
        client_id: StrBytes::from_string(stored.client),
        client_host: StrBytes::from_string(stored.host),
        session_timeout: Duration::from_millis(stored.session_ms),
        rebalance_timeout: Duration::from_millis(stored.rebalance_ms),
        protocol_type: kind,
        protocols,
        first_join: FirstJoin::AtOnce,
        skips_assignment: SkipsAssignment::No,
    }
}

fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
