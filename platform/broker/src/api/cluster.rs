//! DescribeCluster, DescribeQuorum, UnregisterBroker: a cluster of one, which agrees with itself.

use kafka_protocol::ResponseError;
use kafka_protocol::messages::describe_cluster_response::DescribeClusterBroker;
use kafka_protocol::messages::describe_quorum_response::{Node, PartitionData, ReplicaState, TopicData};
use kafka_protocol::messages::{
    DescribeClusterRequest, DescribeClusterResponse, DescribeQuorumRequest, DescribeQuorumResponse,
    UnregisterBrokerRequest, UnregisterBrokerResponse,
};
use kafka_protocol::protocol::StrBytes;

use super::{Call, LEADER_EPOCH, NO_ERROR, NODE_ID, Session, operations};

/// Asks for brokers rather than controllers, and the only kind in version 0.
const BROKERS: i8 = 1;

/// Describes the cluster as this listener's clients see it.
pub(crate) async fn handle(
    session: &Session,
    call: &Call,
    request: DescribeClusterRequest,
) -> DescribeClusterResponse {
    let cluster_id = StrBytes::from_string(session.node.topics.cluster_id().to_owned());
    let response = DescribeClusterResponse::default()
        .with_cluster_id(cluster_id)
        .with_endpoint_type(BROKERS);
    if call.version >= 1 && request.endpoint_type != BROKERS {
        return response
            .with_error_code(ResponseError::MismatchedEndpointType.code())
            .with_error_message(Some(StrBytes::from_static_str(
                "this listener is a broker's, not a controller's",
            )));
    }
    let broker = DescribeClusterBroker::default()
        .with_broker_id(NODE_ID)
        .with_host(StrBytes::from_string(session.advertised.host.clone()))
        .with_port(i32::from(session.advertised.port));
    let response = if request.include_cluster_authorized_operations {
        response.with_cluster_authorized_operations(operations::OF_CLUSTER)
    } else {
        response
    };
    response.with_controller_id(NODE_ID).with_brokers(vec![broker])
}

/// The topic that Kafka's quorum agrees on.
const CLUSTER_METADATA: &str = "__cluster_metadata";
/// The first versions of DescribeQuorum that tell when nodes were heard of, and which there are.
const TIMES_SINCE: i16 = 1;
const NODES_SINCE: i16 = 2;

/// Tells that the only node leads, and has everything it has.
pub(crate) async fn handle_quorum(
    _session: &Session,
    call: &Call,
    request: DescribeQuorumRequest,
) -> DescribeQuorumResponse {
    let now_ms = osqdemo_clock::unix_ms();
    let topics = request.topics.into_iter().map(|topic| {
        let is_it = topic.topic_name.0.as_str() == CLUSTER_METADATA;
        let partitions = topic.partitions.iter().map(|partition| {
            let response = PartitionData::default().with_partition_index(partition.partition_index);
            if !is_it || partition.partition_index != 0 {
                return response.with_error_code(ResponseError::UnknownTopicOrPartition.code());
            }
            let mut voter = ReplicaState::default().with_replica_id(NODE_ID);
            if call.version >= TIMES_SINCE {
                voter.last_fetch_timestamp = now_ms;
                voter.last_caught_up_timestamp = now_ms;
            }
            response
                .with_error_code(NO_ERROR)
                .with_leader_id(NODE_ID)
                .with_leader_epoch(LEADER_EPOCH)
                .with_current_voters(vec![voter])
        });
        TopicData::default()
            .with_partitions(partitions.collect())
            .with_topic_name(topic.topic_name)
    });
    let response = DescribeQuorumResponse::default().with_topics(topics.collect());
    if call.version >= NODES_SINCE {
        response.with_nodes(vec![Node::default().with_node_id(NODE_ID)])
    } else {
        response
    }
}

/// Brokers that are gone can be forgotten; here is one, which is not.
pub(crate) async fn handle_unregister(
    _session: &Session,
    _call: &Call,
    request: UnregisterBrokerRequest,
) -> UnregisterBrokerResponse {
    let (code, message) = if request.broker_id == NODE_ID {
        let message = "this is the only broker there is";
        (ResponseError::InvalidRequest, message)
    } else {
        (ResponseError::BrokerIdNotRegistered, "there is no such broker")
    };
    UnregisterBrokerResponse::default()
        .with_error_code(code.code())
        .with_error_message(Some(StrBytes::from_static_str(message)))
}
