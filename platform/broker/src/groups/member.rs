//! One member of a group, and what it is waiting for.

use std::time::{Duration, Instant};

use bytes::Bytes;
use kafka_protocol::ResponseError;
use kafka_protocol::protocol::StrBytes;
use tokio::sync::oneshot;

use crate::identity::random_uuid;

/// How long a newcomer is waited with for a rebalance to end, as in Kafka: one that gave up and tries again leaves a member
/// behind each time.
const NEW_MEMBER_TIMEOUT: Duration = Duration::from_secs(5 * 60);

/// The kind of group whose members say which topics they read.
pub(crate) const CONSUMERS: &str = "consumer";

/// What a consumer says of itself when it joins.
#[derive(Debug, Clone)]
pub(crate) struct Joining {
    /// The id it was given before; empty at first.
    pub(crate) member_id: StrBytes,
    /// Its own, lasting name, when it is a static member (KIP-345).
    pub(crate) instance_id: Option<StrBytes>,
    /// What the client calls itself.
    pub(crate) client_id: StrBytes,
    /// Where it is.
    pub(crate) client_host: StrBytes,
    /// Silence after which it counts as dead.
    pub(crate) session_timeout: Duration,
    /// How long it may take to rejoin when the group is rebalanced.
    pub(crate) rebalance_timeout: Duration,
    /// `consumer`, `connect`, …
    pub(crate) protocol_type: StrBytes,
    /// The assignors it knows, best first, with its subscription for each.
    pub(crate) protocols: Vec<(StrBytes, Bytes)>,
    /// What it does when it joins without an id.
    pub(crate) first_join: FirstJoin,
    /// Whether it understands being leader without having to assign (JoinGroup 9).
    pub(crate) skips_assignment: SkipsAssignment,
}

/// How a member without an id is received.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FirstJoin {
    /// It is told its id and joins again with it (KIP-394).
    NeedsId,
    /// It becomes a member at once.
    AtOnce,
}

/// Whether a static leader that comes back can be told to keep the assignment (KIP-814).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SkipsAssignment {
    /// It can.
    Yes,
    /// It cannot, and has to believe it is a follower.
    No,
}

/// A member's place in the generation it has joined.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Joined {
    /// Number of the generation.
    pub(crate) generation: i32,
    /// The group's kind.
    pub(crate) protocol_type: StrBytes,
    /// The assignor chosen.
    pub(crate) protocol: StrBytes,
    /// Id of the member that assigns.
    pub(crate) leader: StrBytes,
    /// Whether the leader keeps the assignment as it is.
    pub(crate) skip_assignment: bool,
    /// The member's own id.
    pub(crate) member_id: StrBytes,
    /// All members, for the leader only.
    pub(crate) members: Vec<JoinedMember>,
}

/// One member as the leader sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct JoinedMember {
    /// Its id.
    pub(crate) member_id: StrBytes,
    /// Its lasting name.
    pub(crate) instance_id: Option<StrBytes>,
    /// Its subscription.
    pub(crate) metadata: Bytes,
}

/// Why a member could not join.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct JoinRefusal {
    /// Kafka's code.
    pub(crate) code: ResponseError,
    /// The id the member is to use from now on, if it is to try again.
    pub(crate) member_id: StrBytes,
}

/// What a member is to read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Assigned {
    /// The group's kind.
    pub(crate) protocol_type: StrBytes,
    /// The assignor chosen.
    pub(crate) protocol: StrBytes,
    /// The assignment, opaque to the broker.
    pub(crate) assignment: Bytes,
}

/// How a join ends.
pub(crate) type JoinResult = Result<Joined, JoinRefusal>;
/// How a sync ends.
pub(crate) type SyncResult = Result<Assigned, ResponseError>;

/// An id that no member has.
pub(crate) fn new_member_id(prefix: &StrBytes) -> StrBytes {
    StrBytes::from_string(format!("{prefix}-{}", random_uuid()))
}

/// One member of a group.
#[derive(Debug)]
pub(crate) struct Member {
    pub(crate) instance_id: Option<StrBytes>,
    pub(crate) client_id: StrBytes,
    pub(crate) client_host: StrBytes,
    pub(crate) session_timeout: Duration,
    pub(crate) rebalance_timeout: Duration,
    pub(crate) protocols: Vec<(StrBytes, Bytes)>,
    pub(crate) assignment: Bytes,
    /// When it counts as dead, unless it is waiting for an answer.
    deadline: Instant,
    /// Whether it was in no generation yet: then it may wait only so long.
    pub(crate) is_new: bool,
    /// When it must have asked for its assignment of this generation, where it has not yet.
    pub(crate) sync_deadline: Option<Instant>,
    pub(crate) waiting_to_join: Option<oneshot::Sender<JoinResult>>,
    pub(crate) waiting_to_sync: Option<oneshot::Sender<SyncResult>>,
    pub(crate) skips_assignment: SkipsAssignment,
}

impl Member {
    /// A member that has just arrived.
    pub(crate) fn new(joining: Joining, now: Instant) -> Self {
        Self {
            instance_id: joining.instance_id,
            client_id: joining.client_id,
            client_host: joining.client_host,
            session_timeout: joining.session_timeout,
            rebalance_timeout: joining.rebalance_timeout,
            protocols: joining.protocols,
            assignment: Bytes::new(),
            deadline: now + NEW_MEMBER_TIMEOUT,
            is_new: true,
            sync_deadline: None,
            waiting_to_join: None,
            waiting_to_sync: None,
            skips_assignment: joining.skips_assignment,
        }
    }

    /// What it said when it joined.
    pub(crate) fn joining(&self, member_id: &StrBytes) -> Joining {
        Joining {
            member_id: member_id.clone(),
            instance_id: self.instance_id.clone(),
            client_id: self.client_id.clone(),
            client_host: self.client_host.clone(),
            session_timeout: self.session_timeout,
            rebalance_timeout: self.rebalance_timeout,
            protocol_type: StrBytes::from_static_str(CONSUMERS),
            protocols: self.protocols.clone(),
            first_join: FirstJoin::AtOnce,
            skips_assignment: self.skips_assignment,
        }
    }

    /// Takes over what a member that joins again says.
    pub(crate) fn update(&mut self, joining: Joining, now: Instant) {
        self.client_id = joining.client_id;
        self.client_host = joining.client_host;
        self.session_timeout = joining.session_timeout;
        self.rebalance_timeout = joining.rebalance_timeout;
        self.protocols = joining.protocols;
        self.skips_assignment = joining.skips_assignment;
        self.touch(now);
    }

    /// Notes that it is alive.
    pub(crate) fn touch(&mut self, now: Instant) {
        if !self.is_new {
            self.deadline = now + self.session_timeout;
        }
    }

    /// When it counts as dead if nothing is heard of it.
    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        (self.is_new || !self.is_waiting()).then_some(self.deadline)
    }

    /// Whether it waits for the broker, so that its silence means nothing.
    fn is_waiting(&self) -> bool {
        self.waiting_to_join.is_some() || self.waiting_to_sync.is_some()
    }

    /// Its subscription for an assignor.
    pub(crate) fn metadata(&self, protocol: &StrBytes) -> Bytes {
        self.protocols
            .iter()
            .find(|(name, _)| name == protocol)
            .map(|(_, metadata)| metadata.clone())
            .unwrap_or_default()
    }

    /// Whether it comes with the assignors it had before and, as a consumer, with the same topics.
    ///
    /// The rest of a subscription (what it owned, in which generation) differs whenever a consumer was started anew.
    pub(crate) fn reads_the_same(&self, protocols: &[(StrBytes, Bytes)]) -> bool {
        self.protocols.len() == protocols.len()
            && self
                .protocols
                .iter()
                .zip(protocols)
                .all(|((name, metadata), (other_name, other_metadata))| {
                    name == other_name && topics_of(metadata) == topics_of(other_metadata)
                })
    }

    /// Whether it reads a topic as a consumer; also when that cannot be told.
    pub(crate) fn reads(&self, topic: &StrBytes) -> bool {
        self.protocols
            .iter()
            .any(|(_, metadata)| has_topic(metadata, topic).unwrap_or(true))
    }

    /// Ends whatever it is waiting for.
    pub(crate) fn refuse(&mut self, member_id: &StrBytes, code: ResponseError) {
        // A receiver that is gone has disconnected; nobody is left to tell.
        if let Some(reply) = self.waiting_to_join.take() {
            let _ = reply.send(Err(JoinRefusal {
                code,
                member_id: member_id.clone(),
            }));
        }
        self.refuse_sync(code);
    }

    /// Ends its waiting for an assignment.
    pub(crate) fn refuse_sync(&mut self, code: ResponseError) {
        if let Some(reply) = self.waiting_to_sync.take() {
            let _ = reply.send(Err(code));
        }
    }
}

/// Whether a consumer's subscription has a topic; `None` when the metadata is something else.
fn has_topic(metadata: &Bytes, topic: &StrBytes) -> Option<bool> {
    let mut rest = topics_of(metadata)?.get(4..)?;
    while let Some((len, behind)) = rest.split_first_chunk() {
        let (name, behind) = behind.split_at_checked(usize::from(u16::from_be_bytes(*len)))?;
        if name == topic.as_bytes() {
            return Some(true);
        }
        rest = behind;
    }
    Some(false)
}

/// The encoded topics of a consumer's subscription: a count and so many strings behind the version.
///
/// `None` when the metadata is something else.
fn topics_of(metadata: &Bytes) -> Option<&[u8]> {
    let topics = metadata.get(2..)?;
    let (count, mut rest) = topics.split_first_chunk()?;
    for _ in 0..u32::from_be_bytes(*count) {
        let (len, behind) = rest.split_first_chunk()?;
        rest = behind.get(usize::from(u16::from_be_bytes(*len))..)?;
    }
    topics.get(..topics.len() - rest.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_topics_of_a_subscription_count() {
        let fresh = Bytes::from_static(b"\0\x01\0\0\0\x01\0\x05lines\xff\xff\xff\xff\0\0\0\0");
        let used = Bytes::from_static(b"\0\x01\0\0\0\x01\0\x05linesowned");
        assert_eq!(topics_of(&fresh), Some(&fresh[2..13]));
        assert_eq!(topics_of(&fresh), topics_of(&used));
        assert_eq!(topics_of(&Bytes::from_static(b"\0\0\0\0\0\x02\0\x01a")), None);
        assert_eq!(topics_of(&Bytes::from_static(b"\0")), None);
        let has = |name| has_topic(&used, &StrBytes::from_static_str(name));
        assert_eq!((has("lines"), has("line")), (Some(true), Some(false)));
        let other = StrBytes::from_static_str("lines");
        assert_eq!(
            has_topic(&Bytes::from_static(b"\0\0\0\0\0\x02\0\x01a"), &other),
            None
        );
    }
}
