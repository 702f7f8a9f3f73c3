//! ListGroups, DescribeGroups, DeleteGroups: groups as an administrator sees them.

use kafka_protocol::ResponseError;
use kafka_protocol::messages::delete_groups_response::DeletableGroupResult;
use kafka_protocol::messages::describe_groups_response::{DescribedGroup, DescribedGroupMember};
use kafka_protocol::messages::list_groups_response::ListedGroup;
use kafka_protocol::messages::{
    DeleteGroupsRequest, DeleteGroupsResponse, DescribeGroupsRequest, DescribeGroupsResponse, GroupId,
    ListGroupsRequest, ListGroupsResponse,
};
use kafka_protocol::protocol::StrBytes;

use super::{Call, NO_ERROR, Session, operations};
use crate::told::beginning;

/// The version of DescribeGroups in which an unknown group is an error rather than dead.
const UNKNOWN_GROUP_IS_AN_ERROR_SINCE: i16 = 6;

/// Lists the groups, filtered by state and type where the client asks for it.
pub(crate) async fn handle_list(
    session: &Session,
    _call: &Call,
    request: ListGroupsRequest,
) -> ListGroupsResponse {
    let wanted = |filter: &[StrBytes], value: &str| {
        filter.is_empty() || filter.iter().any(|word| word.eq_ignore_ascii_case(value))
    };
    let groups = session
        .node
        .groups
        .list()
        .into_iter()
        .filter(|group| wanted(&request.states_filter, group.state))
        .filter(|group| wanted(&request.types_filter, group.kind.name()))
        .map(|group| {
            ListedGroup::default()
                .with_group_id(GroupId(group.group_id))
                .with_protocol_type(group.protocol_type)
                .with_group_state(StrBytes::from_static_str(group.state))
                .with_group_type(StrBytes::from_static_str(group.kind.name()))
        })
        .collect();
    ListGroupsResponse::default().with_groups(groups)
}

/// Describes groups with their members.
pub(crate) async fn handle_describe(
    session: &Session,
    call: &Call,
    request: DescribeGroupsRequest,
) -> DescribeGroupsResponse {
    let authorized = match request.include_authorized_operations {
        true => operations::OF_GROUP,
        false => i32::MIN,
    };
    let groups = request
        .groups
        .into_iter()
        .map(|group_id| {
            let described = session.node.groups.describe(&group_id.0);
            let response = DescribedGroup::default().with_group_id(group_id);
            let Some(found) = described else {
                let dead = response.with_group_state(StrBytes::from_static_str("Dead"));
                return if call.version >= UNKNOWN_GROUP_IS_AN_ERROR_SINCE {
                    dead.with_error_code(ResponseError::GroupIdNotFound.code())
                        .with_error_message(Some(StrBytes::from_static_str("there is no such group")))
                } else {
                    dead
                };
            };
            let members = found
                .members
                .into_iter()
                .map(|member| {
                    DescribedGroupMember::default()
                        .with_member_id(member.member_id)
                        .with_group_instance_id(member.instance_id)
                        .with_client_id(member.client_id)
                        .with_client_host(member.client_host)
                        .with_member_metadata(member.metadata)
                        .with_member_assignment(member.assignment)
                })
                .collect();
            response
                .with_error_code(NO_ERROR)
                .with_group_state(StrBytes::from_static_str(found.state))
                .with_protocol_type(found.protocol_type)
                .with_protocol_data(found.protocol)
                .with_members(members)
                .with_authorized_operations(authorized)
        })
        .collect();
    DescribeGroupsResponse::default().with_groups(groups)
}

/// Deletes groups nobody is in.
pub(crate) async fn handle_delete(
    session: &Session,
    _call: &Call,
    request: DeleteGroupsRequest,
) -> DeleteGroupsResponse {
    let results = request
        .groups_names
        .into_iter()
        .map(|group_id| {
            let deleted = session.node.groups.delete(&group_id.0);
            if deleted.is_ok() {
                tell!(session, group = ?beginning(&group_id.0), "a group was deleted");
            }
            DeletableGroupResult::default()
                .with_group_id(group_id)
                .with_error_code(deleted.map_or_else(|code| code.code(), |()| NO_ERROR))
        })
        .collect();
    session.node.written.notify_one();
    DeleteGroupsResponse::default().with_results(results)
}
