//! Requests about groups of consumers.

use kafka_protocol::ResponseError;
use kafka_protocol::messages::delete_groups_response::DeletableGroupResult;
use kafka_protocol::messages::describe_groups_response::DescribedGroup;
use kafka_protocol::messages::find_coordinator_response::Coordinator;
use kafka_protocol::messages::offset_commit_request::OffsetCommitRequestTopic;
use kafka_protocol::messages::offset_commit_response::{
    OffsetCommitResponsePartition, OffsetCommitResponseTopic,
};
use kafka_protocol::messages::offset_delete_response::{
    OffsetDeleteResponsePartition, OffsetDeleteResponseTopic,
};
use kafka_protocol::messages::offset_fetch_request::OffsetFetchRequestTopic;
use kafka_protocol::messages::offset_fetch_response::{
    OffsetFetchResponseGroup, OffsetFetchResponsePartition, OffsetFetchResponsePartitions,
    OffsetFetchResponseTopic, OffsetFetchResponseTopics,
};
use kafka_protocol::messages::{
    BrokerId, ConsumerGroupDescribeRequest, ConsumerGroupDescribeResponse, ConsumerGroupHeartbeatRequest,
    ConsumerGroupHeartbeatResponse, DeleteGroupsRequest, DeleteGroupsResponse, DescribeGroupsRequest,
    DescribeGroupsResponse, FindCoordinatorRequest, FindCoordinatorResponse, GroupId, HeartbeatRequest,
    HeartbeatResponse, JoinGroupRequest, JoinGroupResponse, LeaveGroupRequest, LeaveGroupResponse,
    ListGroupsRequest, ListGroupsResponse, OffsetCommitRequest, OffsetCommitResponse, OffsetDeleteRequest,
    OffsetDeleteResponse, OffsetFetchRequest, OffsetFetchResponse, SyncGroupRequest, SyncGroupResponse,
    TopicName, consumer_group_describe_response,
};
use kafka_protocol::protocol::StrBytes;

use super::{Authorized, Permits, take_out};
use crate::api::Call;
use crate::security::acls::{CLUSTER, Operation, Resource};

const DENIED: i16 = 30; // GROUP_AUTHORIZATION_FAILED
const TOPIC_DENIED: i16 = 29; // TOPIC_AUTHORIZATION_FAILED

/// The kinds of coordinators of FindCoordinator, and since when it asks for several at once.
const GROUP: i8 = 0;
const TRANSACTION: i8 = 1;
const SEVERAL_COORDINATORS_SINCE: i16 = 4;
/// Versions of OffsetFetch in which something changed: a code for the whole, several groups at once.
const CODE_SINCE: i16 = 2;
const SEVERAL_GROUPS_SINCE: i16 = 8;

fn may(permits: &Permits<'_>, operation: Operation, group: &GroupId) -> bool {
    permits.may(operation, Resource::Group, &group.0)
}

/// Requests of members, which need to read in the name of the group.
macro_rules! of_members {
    ($($request:ident: $refused:expr;)*) => {
        $(
            impl Authorized for $request {
                type Denied = ();

                fn sift(&mut self, permits: &Permits<'_>, _: &Call) -> Result<(), Self::Response> {
                    match may(permits, Operation::Read, &self.group_id) {
                        true => Ok(()),
                        false => Err($refused.with_error_code(DENIED)),
                    }
                }
            }
        )*
    };
}

of_members! {
    // Before version 7 the name may not be null.
    JoinGroupRequest: JoinGroupResponse::default().with_generation_id(-1).with_protocol_name(Some(StrBytes::new()));
    SyncGroupRequest: SyncGroupResponse::default();
    HeartbeatRequest: HeartbeatResponse::default();
    LeaveGroupRequest: LeaveGroupResponse::default();
}

impl Authorized for ConsumerGroupHeartbeatRequest {
    type Denied = ();

    fn sift(&mut self, permits: &Permits<'_>, _: &Call) -> Result<(), ConsumerGroupHeartbeatResponse> {
        let mut topics = self.subscribed_topic_names.iter().flatten();
        let code = if !may(permits, Operation::Read, &self.group_id) {
            DENIED
        } else if !topics.all(|topic| permits.may(Operation::Describe, Resource::Topic, &topic.0)) {
            TOPIC_DENIED
        } else {
            return Ok(());
        };
        Err(ConsumerGroupHeartbeatResponse::default().with_error_code(code))
    }
}

impl Authorized for ConsumerGroupDescribeRequest {
    type Denied = Vec<consumer_group_describe_response::DescribedGroup>;

    fn sift(
        &mut self,
        permits: &Permits<'_>,
        _: &Call,
    ) -> Result<Self::Denied, ConsumerGroupDescribeResponse> {
        let denied = take_out(&mut self.group_ids, |group| {
            may(permits, Operation::Describe, group)
        });
        let denied = denied.into_iter().map(|group| {
            consumer_group_describe_response::DescribedGroup::default()
                .with_group_id(group)
                .with_error_code(DENIED)
        });
        Ok(denied.collect())
    }

    fn complete(denied: Self::Denied, response: &mut ConsumerGroupDescribeResponse, permits: &Permits<'_>) {
        for group in &mut response.groups {
            let sees = |topic: &TopicName| permits.sees(Operation::Describe, Resource::Topic, &topic.0);
            let assigned = group
                .members
                .iter()
                .flat_map(|member| [&member.assignment, &member.target_assignment]);
            let sees_all = assigned
                .flat_map(|assignment| &assignment.topic_partitions)
                .all(|topic| sees(&topic.topic_name));
            if !sees_all {
                let message =
                    "The described group uses topics that the client is not authorized to describe.";
                group.members.clear();
                group.error_code = TOPIC_DENIED;
                group.error_message = Some(StrBytes::from_static_str(message));
            }
            group.authorized_operations = operations(group.authorized_operations, &group.group_id, permits);
        }
        response.groups.extend(denied);
    }
}

fn operations(told: i32, group: &GroupId, permits: &Permits<'_>) -> i32 {
    match told {
        i32::MIN => i32::MIN,
        all => permits.operations(all, Resource::Group, &group.0),
    }
}

impl Authorized for DescribeGroupsRequest {
    type Denied = Vec<DescribedGroup>;

    fn sift(&mut self, permits: &Permits<'_>, _: &Call) -> Result<Self::Denied, DescribeGroupsResponse> {
        let denied = take_out(&mut self.groups, |group| may(permits, Operation::Describe, group));
        let denied = denied.into_iter().map(|group| {
            DescribedGroup::default()
                .with_group_id(group)
                .with_error_code(DENIED)
        });
        Ok(denied.collect())
    }

    fn complete(denied: Self::Denied, response: &mut DescribeGroupsResponse, permits: &Permits<'_>) {
        for group in &mut response.groups {
            group.authorized_operations = operations(group.authorized_operations, &group.group_id, permits);
        }
        response.groups.extend(denied);
    }
}

/// Who may describe the cluster sees all groups, others those that they may describe.
impl Authorized for ListGroupsRequest {
    type Denied = ();

    fn sift(&mut self, _: &Permits<'_>, _: &Call) -> Result<(), ListGroupsResponse> {
        Ok(())
    }

    fn complete((): (), response: &mut ListGroupsResponse, permits: &Permits<'_>) {
        if !permits.sees(Operation::Describe, Resource::Cluster, CLUSTER) {
            response
                .groups
                .retain(|group| permits.sees(Operation::Describe, Resource::Group, &group.group_id.0));
        }
    }
}

impl Authorized for DeleteGroupsRequest {
    type Denied = Vec<DeletableGroupResult>;

    fn sift(&mut self, permits: &Permits<'_>, _: &Call) -> Result<Self::Denied, DeleteGroupsResponse> {
        let denied = take_out(&mut self.groups_names, |group| {
            may(permits, Operation::Delete, group)
        });
        let denied = denied.into_iter().map(|group| {
            DeletableGroupResult::default()
                .with_group_id(group)
                .with_error_code(DENIED)
        });
        Ok(denied.collect())
    }

    fn complete(denied: Self::Denied, response: &mut DeleteGroupsResponse, _: &Permits<'_>) {
        response.results.extend(denied);
    }
}

impl Authorized for FindCoordinatorRequest {
    type Denied = Vec<Coordinator>;

    fn sift(&mut self, permits: &Permits<'_>, call: &Call) -> Result<Self::Denied, FindCoordinatorResponse> {
        let (resource, code) = match self.key_type {
            GROUP => (Resource::Group, DENIED),
            TRANSACTION => (
                Resource::TransactionalId,
                ResponseError::TransactionalIdAuthorizationFailed.code(),
            ),
            // Others have no coordinator, which everybody may be told.
            _ => return Ok(Vec::new()),
        };
        let may = |key: &StrBytes| permits.may(Operation::Describe, resource, key);
        if call.version < SEVERAL_COORDINATORS_SINCE {
            return match may(&self.key) {
                true => Ok(Vec::new()),
                false => Err(FindCoordinatorResponse::default()
                    .with_error_code(code)
                    .with_node_id(BrokerId(-1))
                    .with_port(-1)),
            };
        }
        let denied = take_out(&mut self.coordinator_keys, may).into_iter().map(|key| {
            Coordinator::default()
                .with_key(key)
                .with_error_code(code)
                .with_node_id(BrokerId(-1))
                .with_port(-1)
        });
        Ok(denied.collect())
    }

    fn complete(denied: Self::Denied, response: &mut FindCoordinatorResponse, _: &Permits<'_>) {
        response.coordinators.extend(denied);
    }
}

impl Authorized for OffsetCommitRequest {
    type Denied = Vec<OffsetCommitResponseTopic>;

    fn sift(&mut self, permits: &Permits<'_>, _: &Call) -> Result<Self::Denied, OffsetCommitResponse> {
        let refused = |topic: OffsetCommitRequestTopic, code| {
            let partitions = topic.partitions.iter().map(|partition| {
                OffsetCommitResponsePartition::default()
                    .with_partition_index(partition.partition_index)
                    .with_error_code(code)
            });
            OffsetCommitResponseTopic::default()
                .with_partitions(partitions.collect())
                .with_name(topic.name)
                .with_topic_id(topic.topic_id)
        };
        if !may(permits, Operation::Read, &self.group_id) {
            let topics = self.topics.drain(..).map(|topic| refused(topic, DENIED));
            return Err(OffsetCommitResponse::default().with_topics(topics.collect()));
        }
        let denied = take_out(&mut self.topics, |topic| {
            permits.may_topic(Operation::Read, &topic.name, topic.topic_id)
        });
        Ok(denied
            .into_iter()
            .map(|topic| refused(topic, TOPIC_DENIED))
            .collect())
    }

    fn complete(denied: Self::Denied, response: &mut OffsetCommitResponse, _: &Permits<'_>) {
        response.topics.extend(denied);
    }
}

/// What of an OffsetFetch was taken out: groups, topics of other groups, and topics in the versions with one group.
#[derive(Default)]
pub(crate) struct DeniedOffsets {
    groups: Vec<OffsetFetchResponseGroup>,
    of_groups: Vec<Vec<OffsetFetchResponseTopics>>,
    of_one: Vec<OffsetFetchResponseTopic>,
}

impl Authorized for OffsetFetchRequest {
    type Denied = DeniedOffsets;

    fn sift(&mut self, permits: &Permits<'_>, call: &Call) -> Result<DeniedOffsets, OffsetFetchResponse> {
        let may_see = |name: &TopicName| permits.may(Operation::Describe, Resource::Topic, &name.0);
        let mut denied = DeniedOffsets::default();
        if call.version >= SEVERAL_GROUPS_SINCE {
            let groups = take_out(&mut self.groups, |group| {
                may(permits, Operation::Describe, &group.group_id)
            });
            let groups = groups.into_iter().map(|group| {
                OffsetFetchResponseGroup::default()
                    .with_group_id(group.group_id)
                    .with_error_code(DENIED)
            });
            denied.groups = groups.collect();
            for group in &mut self.groups {
                let topics = group
                    .topics
                    .as_mut()
                    .map_or_else(Vec::new, |topics| take_out(topics, |topic| may_see(&topic.name)))
                    .into_iter()
                    .map(|topic| {
                        let partitions = topic.partition_indexes.iter().map(|index| {
                            OffsetFetchResponsePartitions::default()
                                .with_partition_index(*index)
                                .with_committed_offset(-1)
                                .with_error_code(TOPIC_DENIED)
                        });
                        OffsetFetchResponseTopics::default()
                            .with_partitions(partitions.collect())
                            .with_name(topic.name)
                    });
                denied.of_groups.push(topics.collect());
            }
            return Ok(denied);
        }
        let refused = |topic: OffsetFetchRequestTopic, code| {
            let partitions = topic.partition_indexes.iter().map(|index| {
                OffsetFetchResponsePartition::default()
                    .with_partition_index(*index)
                    .with_committed_offset(-1)
                    .with_error_code(code)
            });
            OffsetFetchResponseTopic::default()
                .with_partitions(partitions.collect())
                .with_name(topic.name)
        };
        if !may(permits, Operation::Describe, &self.group_id) {
            if call.version >= CODE_SINCE {
                return Err(OffsetFetchResponse::default().with_error_code(DENIED));
            }
            let topics = self.topics.take().unwrap_or_default().into_iter();
            let topics = topics.map(|topic| refused(topic, DENIED)).collect();
            return Err(OffsetFetchResponse::default().with_topics(topics));
        }
        if let Some(topics) = &mut self.topics {
            let topics = take_out(topics, |topic| may_see(&topic.name));
            denied.of_one = topics
                .into_iter()
                .map(|topic| refused(topic, TOPIC_DENIED))
                .collect();
        }
        Ok(denied)
    }

    fn complete(denied: DeniedOffsets, response: &mut OffsetFetchResponse, permits: &Permits<'_>) {
        // Where all were asked for, the others are as if they were not there.
        let sees = |name: &TopicName| permits.sees(Operation::Describe, Resource::Topic, &name.0);
        response.topics.retain(|topic| sees(&topic.name));
        for group in &mut response.groups {
            group.topics.retain(|topic| sees(&topic.name));
        }
        response.topics.extend(denied.of_one);
        // Groups are answered in the order they were asked for.
        for (group, topics) in response.groups.iter_mut().zip(denied.of_groups) {
            group.topics.extend(topics);
        }
        response.groups.extend(denied.groups);
    }
}

impl Authorized for OffsetDeleteRequest {
    type Denied = Vec<OffsetDeleteResponseTopic>;

    fn sift(&mut self, permits: &Permits<'_>, _: &Call) -> Result<Self::Denied, OffsetDeleteResponse> {
        if !may(permits, Operation::Delete, &self.group_id) {
            return Err(OffsetDeleteResponse::default().with_error_code(DENIED));
        }
        let denied = take_out(&mut self.topics, |topic| {
            permits.may(Operation::Read, Resource::Topic, &topic.name.0)
        });
        let denied = denied.into_iter().map(|topic| {
            let partitions = topic.partitions.iter().map(|partition| {
                OffsetDeleteResponsePartition::default()
                    .with_partition_index(partition.partition_index)
                    .with_error_code(TOPIC_DENIED)
            });
            OffsetDeleteResponseTopic::default()
                .with_partitions(partitions.collect())
                .with_name(topic.name)
        });
        Ok(denied.collect())
    }

    fn complete(denied: Self::Denied, response: &mut OffsetDeleteResponse, _: &Permits<'_>) {
        response.topics.extend(denied);
    }
}
