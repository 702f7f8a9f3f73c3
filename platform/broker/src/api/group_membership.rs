//! JoinGroup, SyncGroup, Heartbeat, LeaveGroup: the life of a member of a group that assigns itself.

use std::time::Duration;

use kafka_protocol::ResponseError;
use kafka_protocol::messages::join_group_response::JoinGroupResponseMember;
use kafka_protocol::messages::leave_group_response::MemberResponse;
use kafka_protocol::messages::{
    HeartbeatRequest, HeartbeatResponse, JoinGroupRequest, JoinGroupResponse, LeaveGroupRequest,
    LeaveGroupResponse, SyncGroupRequest, SyncGroupResponse,
};
use kafka_protocol::protocol::StrBytes;
use tokio::sync::oneshot;

use super::offsets::sync;
use super::{Call, NO_ERROR, Session};
use crate::groups::group::Claim;
use crate::groups::member::{FirstJoin, JoinRefusal, Joined, Joining, SkipsAssignment};

/// Versions of JoinGroup in which something changed for the broker.
const REBALANCE_TIMEOUT_SINCE: i16 = 1;
const MEMBER_ID_REQUIRED_SINCE: i16 = 4;
const SKIP_ASSIGNMENT_SINCE: i16 = 9;
/// The version of LeaveGroup that lets several members go at once.
const LEAVE_SEVERAL_SINCE: i16 = 3;

/// Lets a member join and waits until the rebalance is over.
pub(crate) async fn handle_join(
    session: &Session,
    call: &Call,
    request: JoinGroupRequest,
) -> JoinGroupResponse {
    let session_timeout = milliseconds(request.session_timeout_ms);
    let static_member = request.group_instance_id.is_some();
    let joining = Joining {
        member_id: owned(&request.member_id),
        instance_id: request.group_instance_id.as_ref().map(owned),
        client_id: owned(&call.client_id),
        client_host: session.client_host.clone(),
        session_timeout,
        rebalance_timeout: if call.version >= REBALANCE_TIMEOUT_SINCE {
            milliseconds(request.rebalance_timeout_ms)
        } else {
            session_timeout
        },
        protocol_type: owned(&request.protocol_type),
        protocols: request
            .protocols
            .iter()
            .map(|protocol| {
                let metadata = bytes::Bytes::copy_from_slice(&protocol.metadata);
                (owned(&protocol.name), metadata)
            })
            .collect(),
        first_join: if call.version >= MEMBER_ID_REQUIRED_SINCE && !static_member {
            FirstJoin::NeedsId
        } else {
            FirstJoin::AtOnce
        },
        skips_assignment: if call.version >= SKIP_ASSIGNMENT_SINCE {
            SkipsAssignment::Yes
        } else {
            SkipsAssignment::No
        },
    };
    let member_id = request.member_id;
    let result = match session
        .node
        .groups
        .join(&owned(&request.group_id.0), joining, &session.node.topics)
    {
        Ok(answer) => wait(session, answer).await.unwrap_or_else(|code| {
            Err(JoinRefusal {
                code,
                member_id: member_id.clone(),
            })
        }),
        Err(refusal) => Err(refusal),
    };
    match result {
        Ok(joined) => accepted(call, joined),
        Err(refusal) => JoinGroupResponse::default()
            .with_error_code(refusal.code.code())
            .with_generation_id(-1)
            // Before version 7 the name may not be null.
            .with_protocol_name(Some(StrBytes::new()))
            .with_member_id(refusal.member_id),
    }
}

fn accepted(call: &Call, joined: Joined) -> JoinGroupResponse {
    let members = joined
        .members
        .into_iter()
        .map(|member| {
            JoinGroupResponseMember::default()
                .with_member_id(member.member_id)
                .with_group_instance_id(member.instance_id)
                .with_metadata(member.metadata)
        })
        .collect();
    JoinGroupResponse::default()
        .with_generation_id(joined.generation)
        .with_protocol_type(Some(joined.protocol_type))
        .with_protocol_name(Some(joined.protocol))
        .with_leader(joined.leader)
        .with_skip_assignment(joined.skip_assignment && call.version >= SKIP_ASSIGNMENT_SINCE)
        .with_member_id(joined.member_id)
        .with_members(members)
}

/// Takes the leader's assignments, or waits for them.
pub(crate) async fn handle_sync(
    session: &Session,
    _call: &Call,
    request: SyncGroupRequest,
) -> SyncGroupResponse {
    let claim = Claim {
        member_id: &request.member_id,
        instance_id: request.group_instance_id.as_ref(),
        generation: request.generation_id,
    };
    // Only from version 5 on does the member say what it believes in.
    let named = request.protocol_type.as_ref().zip(request.protocol_name.as_ref());
    let assignments = request
        .assignments
        .iter()
        .map(|assigned| (assigned.member_id.clone(), assigned.assignment.clone()))
        .collect();
    let result = match session.node.groups.sync(
        &request.group_id.0,
        claim,
        named,
        assignments,
        &session.node.topics,
    ) {
        Ok(answer) => wait(session, answer).await.unwrap_or_else(Err),
        Err(code) => Err(code),
    };
    // Where the broker assigns, nobody is told before it is safe.
    let is_safe = || session.node.groups.is_safe(&request.group_id.0);
    let result = match result {
        Ok(assigned) if is_safe() || sync(session).await => Ok(assigned),
        Ok(_) => Err(ResponseError::CoordinatorNotAvailable),
        Err(code) => Err(code),
    };
    match result {
        Ok(assigned) => SyncGroupResponse::default()
            .with_protocol_type(Some(assigned.protocol_type))
            .with_protocol_name(Some(assigned.protocol))
            .with_assignment(assigned.assignment),
        Err(code) => SyncGroupResponse::default().with_error_code(code.code()),
    }
}

/// Notes that a member is alive.
pub(crate) async fn handle_heartbeat(
    session: &Session,
    _call: &Call,
    request: HeartbeatRequest,
) -> HeartbeatResponse {
    let claim = Claim {
        member_id: &request.member_id,
        instance_id: request.group_instance_id.as_ref(),
        generation: request.generation_id,
    };
    let result = session.node.groups.heartbeat(&request.group_id.0, claim);
    HeartbeatResponse::default().with_error_code(code(result))
}

/// Lets members go.
pub(crate) async fn handle_leave(
    session: &Session,
    call: &Call,
    request: LeaveGroupRequest,
) -> LeaveGroupResponse {
    let group_id = &request.group_id.0;
    if call.version < LEAVE_SEVERAL_SINCE {
        let result = session.node.groups.leave(group_id, &request.member_id, None);
        return LeaveGroupResponse::default().with_error_code(code(result));
    }
    let members = request
        .members
        .into_iter()
        .map(|leaving| {
            let result =
                session
                    .node
                    .groups
                    .leave(group_id, &leaving.member_id, leaving.group_instance_id.as_ref());
            MemberResponse::default()
                .with_member_id(leaving.member_id)
                .with_group_instance_id(leaving.group_instance_id)
                .with_error_code(code(result))
        })
        .collect();
    LeaveGroupResponse::default()
        .with_error_code(NO_ERROR)
        .with_members(members)
}

/// Waits for the group's answer, which has a deadline of its own, or for the broker's end.
async fn wait<T>(session: &Session, answer: oneshot::Receiver<T>) -> Result<T, ResponseError> {
    tokio::select! {
        answer = answer => answer.map_err(|_| ResponseError::UnknownMemberId),
        () = session.node.shutdown.cancelled() => Err(ResponseError::CoordinatorNotAvailable),
    }
}

fn code(result: Result<(), ResponseError>) -> i16 {
    result.map_or_else(|code| code.code(), |()| NO_ERROR)
}

fn milliseconds(value: i32) -> Duration {
    Duration::from_millis(u64::try_from(value).unwrap_or(0))
}

/// A copy that does not keep the request's frame in memory.
fn owned(text: &StrBytes) -> StrBytes {
    StrBytes::from_string(text.to_string())
}
