//! FindCoordinator: this broker coordinates every group and every transaction.

use kafka_protocol::ResponseError;
use kafka_protocol::messages::find_coordinator_response::Coordinator;
use kafka_protocol::messages::{BrokerId, FindCoordinatorRequest, FindCoordinatorResponse};
use kafka_protocol::protocol::StrBytes;

use super::{Call, NO_ERROR, NODE_ID, Session};

const GROUP: i8 = 0;
const TRANSACTION: i8 = 1;
/// From this version on several keys are asked for at once.
const BATCHED_SINCE: i16 = 4;

/// Answers with this broker; other things than groups and transactions are coordinated by nobody here.
pub(crate) async fn handle(
    session: &Session,
    call: &Call,
    request: FindCoordinatorRequest,
) -> FindCoordinatorResponse {
    let (code, node_id, host, port) = if matches!(request.key_type, GROUP | TRANSACTION) {
        let host = StrBytes::from_string(session.advertised.host.clone());
        (NO_ERROR, NODE_ID, host, i32::from(session.advertised.port))
    } else {
        let code = ResponseError::InvalidRequest.code();
        (code, BrokerId(-1), StrBytes::new(), -1)
    };
    let message =
        (code != NO_ERROR).then(|| StrBytes::from_static_str("there is no such kind of coordinator here"));
    if call.version < BATCHED_SINCE {
        return FindCoordinatorResponse::default()
            .with_error_code(code)
            .with_error_message(message)
            .with_node_id(node_id)
            .with_host(host)
            .with_port(port);
    }
    let coordinators = request
        .coordinator_keys
        .into_iter()
        .map(|key| {
            Coordinator::default()
                .with_key(key)
                .with_node_id(node_id)
                .with_host(host.clone())
                .with_port(port)
                .with_error_code(code)
                .with_error_message(message.clone())
        })
        .collect();
    FindCoordinatorResponse::default().with_coordinators(coordinators)
}
