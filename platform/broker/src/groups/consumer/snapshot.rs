//! A member as it is written down, so that the broker knows after a restart who reads what.
//!
//! Targets are not: they are worked out anew from what the members have, at an epoch later than any of theirs.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use kafka_protocol::protocol::StrBytes;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::assignor::Assignor;
use super::beat::Heartbeat;
use super::member::{Member, Pattern, Progress};
use super::{Classic, ConsumerGroup, Place, Timing};
use crate::groups::snapshot::Blob;

/// One member.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct MemberSnapshot {
    instance: Option<String>,
    rack: Option<String>,
    client: String,
    host: String,
    rebalance_ms: u64,
    topics: Vec<String>,
    pattern: Option<String>,
    assignor: Option<String>,
    epoch: i32,
    previous_epoch: i32,
    /// By the topic's id.
    assigned: BTreeMap<String, Vec<i32>>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    revoking: BTreeMap<String, Vec<i32>>,
    /// Where it speaks the classic protocol.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    classic: Option<ClassicSnapshot>,
}

/// What a member that speaks the classic protocol has besides.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct ClassicSnapshot {
    session_ms: u64,
    protocols: Vec<(String, Blob)>,
}

impl Member {
    pub(super) fn snapshot(&self) -> MemberSnapshot {
        let text = |text: &Option<StrBytes>| text.as_ref().map(StrBytes::to_string);
        MemberSnapshot {
            instance: text(&self.instance_id),
            rack: text(&self.rack_id),
            client: self.client_id.to_string(),
            host: self.client_host.to_string(),
            rebalance_ms: u64::try_from(self.rebalance_timeout.as_millis()).unwrap_or(u64::MAX),
            topics: self.topics().map(StrBytes::to_string).collect(),
            pattern: self.pattern().map(StrBytes::to_string),
            assignor: self.assignor.map(|assignor| assignor.name().to_owned()),
            epoch: self.epoch,
            previous_epoch: self.previous_epoch,
            assigned: by_topic(&self.assigned),
            revoking: by_topic(&self.revoking),
            classic: self.classic.as_ref().map(|classic| ClassicSnapshot {
                session_ms: u64::try_from(classic.session.as_millis()).unwrap_or(u64::MAX),
                protocols: classic
                    .protocols
                    .iter()
                    .map(|(name, metadata)| (name.to_string(), Blob(metadata.clone())))
                    .collect(),
            }),
        }
    }

    fn restored(stored: &MemberSnapshot, id: &StrBytes, timing: Timing, now: Instant) -> Self {
        let text = |text: &Option<String>| text.clone().map(StrBytes::from_string);
        let said = Heartbeat {
            member_id: id.clone(),
            epoch: stored.epoch,
            instance_id: text(&stored.instance),
            rack_id: text(&stored.rack),
            client_id: StrBytes::from_string(stored.client.clone()),
            client_host: StrBytes::from_string(stored.host.clone()),
            rebalance_timeout: Some(Duration::from_millis(stored.rebalance_ms)),
            topics: Some(stored.topics.iter().cloned().map(StrBytes::from_string).collect()),
            pattern: None,
            assignor: None,
            owned: None,
        };
        let classic = stored.classic.as_ref().map(|classic| {
            let protocols = classic.protocols.iter();
            let protocols =
                protocols.map(|(name, metadata)| (StrBytes::from_string(name.clone()), metadata.0.clone()));
            Classic::new(Duration::from_millis(classic.session_ms), protocols.collect())
        });
        let session = classic.as_ref().map_or(timing.session, |classic| classic.session);
        let mut member = Self::new(&said, now + session);
        member.classic = classic;
        let pattern = text(&stored.pattern).and_then(|text| Pattern::new(&text).ok());
        let assignor = text(&stored.assignor).and_then(|name| Assignor::of(&name).ok());
        member.update(&said, assignor, pattern);
        member.epoch = stored.epoch;
        member.previous_epoch = stored.previous_epoch;
        member.assigned = places(&stored.assigned);
        member.revoking = places(&stored.revoking);
        member.target = member.assigned.clone();
        if !member.revoking.is_empty() {
            member.progress = Progress::Revoking;
            member.revoke_by = Some(now + member.rebalance_timeout);
        }
        member
    }
}

impl ConsumerGroup {
    /// The group as it was last written down; its members have a whole session to be heard of.
    pub(crate) fn restored(
        stored: &BTreeMap<StrBytes, MemberSnapshot>,
        timing: Timing,
        now: Instant,
    ) -> Self {
        let mut group = Self::new();
        for (id, snapshot) in stored {
            let member = Member::restored(snapshot, id, timing, now);
            if let Some(instance_id) = &member.instance_id {
                group.instances.insert(instance_id.clone(), id.clone());
            }
            group.epoch = group.epoch.max(member.epoch);
            group.members.insert(id.clone(), member);
        }
        group.assignment_epoch = group.epoch;
        group.epoch += 1;
        group
    }
}

fn by_topic(places: &BTreeSet<Place>) -> BTreeMap<String, Vec<i32>> {
    let mut found: BTreeMap<String, Vec<i32>> = BTreeMap::new();
    for (topic, partition) in places {
        found.entry(topic.to_string()).or_default().push(*partition);
    }
    found
}

fn places(stored: &BTreeMap<String, Vec<i32>>) -> BTreeSet<Place> {
    stored
        .iter()
        .filter_map(|(topic, partitions)| Some((Uuid::parse_str(topic).ok()?, partitions)))
        .flat_map(|(topic, partitions)| partitions.iter().map(move |partition| (topic, *partition)))
        .collect()
}
