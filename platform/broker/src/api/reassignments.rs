//! ListPartitionReassignments, AlterPartitionReassignments, ElectLeaders: where replicas are, which never changes here.

use kafka_protocol::ResponseError;
use kafka_protocol::messages::alter_partition_reassignments_response::{
    ReassignablePartitionResponse, ReassignableTopicResponse,
};
use kafka_protocol::messages::elect_leaders_response::{PartitionResult, ReplicaElectionResult};
use kafka_protocol::messages::{
    AlterPartitionReassignmentsRequest, AlterPartitionReassignmentsResponse, ElectLeadersRequest,
    ElectLeadersResponse, ListPartitionReassignmentsRequest, ListPartitionReassignmentsResponse, TopicName,
};
use kafka_protocol::protocol::StrBytes;

use super::{Call, NO_ERROR, NODE_ID, Session};

/// Lists the partitions that are on their way to other brokers: none.
pub(crate) async fn handle_list(
    _session: &Session,
    _call: &Call,
    _request: ListPartitionReassignmentsRequest,
) -> ListPartitionReassignmentsResponse {
    ListPartitionReassignmentsResponse::default()
}

/// Agrees to leave partitions where they are, and refuses everything else.
pub(crate) async fn handle_alter(
    session: &Session,
    _call: &Call,
    request: AlterPartitionReassignmentsRequest,
) -> AlterPartitionReassignmentsResponse {
    let responses = request.topics.into_iter().map(|topic| {
        let known = session.node.topics.by_name(&topic.name.0);
        let partitions = topic.partitions.into_iter().map(|wanted| {
            let exists = known
                .as_ref()
                .is_some_and(|topic| topic.partition(wanted.partition_index).is_some());
            let refused = match wanted.replicas.as_deref() {
                _ if !exists => Some(ResponseError::UnknownTopicOrPartition),
                None => Some(ResponseError::NoReassignmentInProgress),
                Some([NODE_ID]) => None,
                Some(_) => Some(ResponseError::InvalidReplicaAssignment),
            };
            let response =
                ReassignablePartitionResponse::default().with_partition_index(wanted.partition_index);
            match refused {
                Some(ResponseError::InvalidReplicaAssignment) => response
                    .with_error_code(ResponseError::InvalidReplicaAssignment.code())
                    .with_error_message(Some(StrBytes::from_static_str("there is no broker but 1"))),
                Some(code) => response
                    .with_error_code(code.code())
                    .with_error_message(Some(StrBytes::from_string(code.to_string()))),
                None => response.with_error_code(NO_ERROR),
            }
        });
        ReassignableTopicResponse::default()
            .with_partitions(partitions.collect())
            .with_name(topic.name)
    });
    AlterPartitionReassignmentsResponse::default()
        .with_allow_replication_factor_change(request.allow_replication_factor_change)
        .with_responses(responses.collect())
}

/// Tells that every partition has its leader.
pub(crate) async fn handle_elect(
    session: &Session,
    _call: &Call,
    request: ElectLeadersRequest,
) -> ElectLeadersResponse {
    // Without a list all are meant, of which Kafka names only those that needed an election.
    let wanted = request.topic_partitions.unwrap_or_default();
    let results = wanted.into_iter().map(|topic| {
        let known = session.node.topics.by_name(&topic.topic.0);
        let partitions = topic.partitions.into_iter().map(|index| {
            let exists = known
                .as_ref()
                .is_some_and(|topic| topic.partition(index).is_some());
            let (code, message) = match exists {
                true => (ResponseError::ElectionNotNeeded, "the partition has its leader"),
                false => (
                    ResponseError::UnknownTopicOrPartition,
                    "there is no such partition",
                ),
            };
            PartitionResult::default()
                .with_partition_id(index)
                .with_error_code(code.code())
                .with_error_message(Some(StrBytes::from_static_str(message)))
        });
        ReplicaElectionResult::default()
            .with_partition_result(partitions.collect())
            .with_topic(TopicName(topic.topic.0))
    });
    ElectLeadersResponse::default().with_replica_election_results(results.collect())
}
