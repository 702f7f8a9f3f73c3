//! DescribeCluster: a cluster of one.

use kafka_protocol::ResponseError;
use kafka_protocol::messages::describe_cluster_response::DescribeClusterBroker;
use kafka_protocol::messages::{DescribeClusterRequest, DescribeClusterResponse};
use kafka_protocol::protocol::StrBytes;

use super::{Call, NODE_ID, Session};

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
    response.with_controller_id(NODE_ID).with_brokers(vec![broker])
}
