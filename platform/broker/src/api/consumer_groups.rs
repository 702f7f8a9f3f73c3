//! ConsumerGroupHeartbeat, ConsumerGroupDescribe: groups whose partitions the broker assigns (KIP-848).

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use kafka_protocol::ResponseError;
use kafka_protocol::messages::consumer_group_describe_response::{
    Assignment as DescribedAssignment, DescribedGroup, Member as DescribedMember,
    TopicPartitions as DescribedPartitions,
};
use kafka_protocol::messages::consumer_group_heartbeat_response::{Assignment, TopicPartitions};
use kafka_protocol::messages::{
    ConsumerGroupDescribeRequest, ConsumerGroupDescribeResponse, ConsumerGroupHeartbeatRequest,
    ConsumerGroupHeartbeatResponse, TopicName,
};
use kafka_protocol::protocol::StrBytes;
use uuid::Uuid;

use super::offsets::sync;
use super::{Call, NO_ERROR, Session, operations};
use crate::groups::consumer::{ConsumerGroup, Heartbeat, JOINS, Member, Place, Refusal, Subscribable};
use crate::identity::random_uuid;
use crate::topics::Topics;

/// The first version in which members make up their ids themselves.
const OWN_ID_SINCE: i16 = 1;
/// What the description calls a member that speaks the classic protocol, and one that speaks this.
const SPEAKS_CLASSIC: i8 = 0;
const SPEAKS_CONSUMER: i8 = 1;

impl Subscribable for Topics {
    fn version(&self) -> u64 {
        self.version()
    }

    fn find(&self, name: &StrBytes) -> Option<(Uuid, i32)> {
        let topic = self.by_name(name)?;
        Some((topic.id, i32::try_from(topic.partitions.len()).ok()?))
    }

    fn names(&self) -> Vec<StrBytes> {
        self.all().iter().map(|topic| topic.name.clone()).collect()
    }
}

/// Takes what a member says and tells it what it may read.
pub(crate) async fn handle_heartbeat(
    session: &Session,
    call: &Call,
    request: ConsumerGroupHeartbeatRequest,
) -> ConsumerGroupHeartbeatResponse {
    let group_id = owned(&request.group_id.0);
    let timing = session.node.groups.timing(&group_id);
    let said = heartbeat(session, call, request);
    let groups = &session.node.groups;
    let answered = groups.beat(&group_id, said, &session.node.topics, timing);
    let answered = match answered {
        Ok((beat, is_safe)) if is_safe || sync(session).await => Ok(beat),
        Ok(_) => Err(Refusal::new(
            ResponseError::CoordinatorNotAvailable,
            "the members of the group cannot be brought to the disk",
        )),
        Err(refusal) => Err(refusal),
    };
    let response = ConsumerGroupHeartbeatResponse::default()
        .with_heartbeat_interval_ms(i32::try_from(timing.heartbeat.as_millis()).unwrap_or(i32::MAX));
    match answered {
        Ok(beat) => response
            .with_member_id(Some(beat.member_id))
            .with_member_epoch(beat.epoch)
            .with_assignment(beat.assigned.map(|places| {
                let topics = by_topic(&places)
                    .into_iter()
                    .map(|(topic, partitions)| {
                        TopicPartitions::default()
                            .with_topic_id(topic)
                            .with_partitions(partitions)
                    })
                    .collect();
                Assignment::default().with_topic_partitions(topics)
            })),
        Err(refusal) => response
            .with_error_code(refusal.code.code())
            .with_error_message(Some(StrBytes::from_string(refusal.message))),
    }
}

fn heartbeat(session: &Session, call: &Call, request: ConsumerGroupHeartbeatRequest) -> Heartbeat {
    let timeout = u64::try_from(request.rebalance_timeout_ms).ok();
    let member_id =
        if request.member_id.is_empty() && request.member_epoch == JOINS && call.version < OWN_ID_SINCE {
            StrBytes::from_string(random_uuid().to_string())
        } else {
            owned(&request.member_id)
        };
    let topics = request.subscribed_topic_names.as_ref();
    Heartbeat {
        member_id,
        epoch: request.member_epoch,
        instance_id: request.instance_id.as_ref().map(owned),
        rack_id: request.rack_id.as_ref().map(owned),
        client_id: owned(&call.client_id),
        client_host: session.client_host.clone(),
        rebalance_timeout: timeout.map(Duration::from_millis),
        topics: topics.map(|names| names.iter().map(|name| owned(&name.0)).collect()),
        pattern: request.subscribed_topic_regex.as_ref().map(owned),
        assignor: request.server_assignor.as_ref().map(owned),
        owned: request.topic_partitions.map(|topics| {
            topics
                .iter()
                .flat_map(|topic| {
                    topic
                        .partitions
                        .iter()
                        .map(|partition| (topic.topic_id, *partition))
                })
                .collect()
        }),
    }
}

/// Describes groups that the broker assigns; of others their clients ask by DescribeGroups.
pub(crate) async fn handle_describe(
    session: &Session,
    _call: &Call,
    request: ConsumerGroupDescribeRequest,
) -> ConsumerGroupDescribeResponse {
    let authorized = match request.include_authorized_operations {
        true => operations::OF_GROUP,
        false => i32::MIN,
    };
    let groups = request
        .group_ids
        .into_iter()
        .map(|group_id| {
            let topics = &session.node.topics;
            let described = session
                .node
                .groups
                .with_consumers(&group_id.0, |group| describe(group, topics));
            let group = described.unwrap_or_else(|| {
                let message = format!("group `{}` is not one that the broker assigns", group_id.0);
                DescribedGroup::default()
                    .with_error_code(ResponseError::GroupIdNotFound.code())
                    .with_error_message(Some(StrBytes::from_string(message)))
            });
            let operations = if group.error_code == NO_ERROR {
                authorized
            } else {
                i32::MIN
            };
            group
                .with_group_id(group_id)
                .with_authorized_operations(operations)
        })
        .collect();
    ConsumerGroupDescribeResponse::default().with_groups(groups)
}

fn describe(group: &ConsumerGroup, topics: &Topics) -> DescribedGroup {
    let members = group
        .members()
        .iter()
        .map(|(id, member)| describe_member(topics, id, member))
        .collect();
    DescribedGroup::default()
        .with_group_state(StrBytes::from_static_str(group.state()))
        .with_group_epoch(group.epoch())
        .with_assignment_epoch(group.assignment_epoch())
        .with_assignor_name(StrBytes::from_static_str(group.assignor().name()))
        .with_members(members)
}

fn describe_member(topics: &Topics, id: &StrBytes, member: &Member) -> DescribedMember {
    let assignment = |places: &BTreeSet<Place>| {
        let places = by_topic(places)
            .into_iter()
            .filter_map(|(topic, partitions)| {
                let name = topics.by_id(topic)?.name.clone();
                let partitions = DescribedPartitions::default()
                    .with_topic_id(topic)
                    .with_topic_name(TopicName(name))
                    .with_partitions(partitions);
                Some(partitions)
            })
            .collect();
        DescribedAssignment::default().with_topic_partitions(places)
    };
    DescribedMember::default()
        .with_member_id(id.clone())
        .with_instance_id(member.instance_id.clone())
        .with_rack_id(member.rack_id.clone())
        .with_member_epoch(member.epoch)
        .with_client_id(member.client_id.clone())
        .with_client_host(member.client_host.clone())
        .with_subscribed_topic_names(member.topics().cloned().map(TopicName).collect())
        .with_subscribed_topic_regex(member.pattern().cloned())
        .with_assignment(assignment(&member.assigned))
        .with_target_assignment(assignment(&member.target))
        .with_member_type(match member.classic {
            Some(_) => SPEAKS_CLASSIC,
            None => SPEAKS_CONSUMER,
        })
}

fn by_topic(places: &BTreeSet<Place>) -> BTreeMap<Uuid, Vec<i32>> {
    let mut topics: BTreeMap<Uuid, Vec<i32>> = BTreeMap::new();
    for (topic, partition) in places {
        topics.entry(*topic).or_default().push(*partition);
    }
    topics
}

/// A copy that does not keep the request's frame in memory.
fn owned(text: &StrBytes) -> StrBytes {
    StrBytes::from_string(text.to_string())
}
