//! Groups as ListGroups and DescribeGroups show them.

use bytes::Bytes;
use kafka_protocol::protocol::StrBytes;

use super::Coordinator;

/// A group as ListGroups shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Listing {
    pub(crate) group_id: StrBytes,
    pub(crate) protocol_type: StrBytes,
    pub(crate) state: &'static str,
    pub(crate) kind: GroupKind,
}

/// Who assigns the partitions of a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum GroupKind {
    /// One of its members.
    Classic,
    /// The broker.
    Consumer,
}

impl GroupKind {
    /// Kafka's name for it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Classic => "classic",
            Self::Consumer => "consumer",
        }
    }
}

/// A group as DescribeGroups shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Description {
    pub(crate) protocol_type: StrBytes,
    pub(crate) protocol: StrBytes,
    pub(crate) state: &'static str,
    pub(crate) members: Vec<DescribedMember>,
}

/// A member as DescribeGroups shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct DescribedMember {
    pub(crate) member_id: StrBytes,
    pub(crate) instance_id: Option<StrBytes>,
    pub(crate) client_id: StrBytes,
    pub(crate) client_host: StrBytes,
    pub(crate) metadata: Bytes,
    pub(crate) assignment: Bytes,
}

impl Coordinator {
    /// Every group there is, with members or with offsets only.
    pub(crate) fn list(&self) -> Vec<Listing> {
        let mut listed: Vec<Listing> = self
            .groups()
            .iter()
            .map(|(group_id, group)| Listing {
                group_id: group_id.clone(),
                protocol_type: group.protocol_type().clone(),
                state: group.state().name(),
                kind: GroupKind::Classic,
            })
            .collect();
        listed.extend(self.list_consumers());
        let offsets = self.offsets();
        for (group_id, offsets) in offsets.groups() {
            if !listed.iter().any(|listing| listing.group_id == *group_id) {
                listed.push(Listing {
                    group_id: group_id.clone(),
                    protocol_type: offsets.protocol_type.clone(),
                    state: "Empty",
                    kind: GroupKind::Classic,
                });
            }
        }
        listed.sort_by(|one, other| one.group_id.cmp(&other.group_id));
        listed
    }

    /// One group in detail.
    pub(crate) fn describe(&self, group_id: &StrBytes) -> Option<Description> {
        if let Some(group) = self.groups().get(group_id) {
            let members = group
                .members()
                .iter()
                .map(|(member_id, member)| DescribedMember {
                    member_id: member_id.clone(),
                    instance_id: member.instance_id.clone(),
                    client_id: member.client_id.clone(),
                    client_host: member.client_host.clone(),
                    metadata: member.metadata(group.protocol()),
                    assignment: member.assignment.clone(),
                })
                .collect();
            return Some(Description {
                protocol_type: group.protocol_type().clone(),
                protocol: group.protocol().clone(),
                state: group.state().name(),
                members,
            });
        }
        if self.is_consumers(group_id) {
            return None;
        }
        self.offsets().of(group_id).map(|offsets| Description {
            protocol_type: offsets.protocol_type.clone(),
            protocol: StrBytes::new(),
            state: "Empty",
            members: Vec::new(),
        })
    }
}
