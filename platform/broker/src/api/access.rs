//! Access control, quotas and credentials, as a broker answers that has none of them.
//!
//! A tool that asks is told so in the way it knows from Kafka; what would be promised and not kept is refused.

use kafka_protocol::ResponseError;
use kafka_protocol::messages::alter_client_quotas_response::{EntityData, EntryData};
use kafka_protocol::messages::create_acls_response::AclCreationResult;
use kafka_protocol::messages::delete_acls_response::DeleteAclsFilterResult;
use kafka_protocol::messages::describe_user_scram_credentials_response::DescribeUserScramCredentialsResult;
use kafka_protocol::messages::{
    AlterClientQuotasRequest, AlterClientQuotasResponse, CreateAclsRequest, CreateAclsResponse,
    DeleteAclsRequest, DeleteAclsResponse, DescribeAclsRequest, DescribeAclsResponse,
    DescribeClientQuotasRequest, DescribeClientQuotasResponse, DescribeUserScramCredentialsRequest,
    DescribeUserScramCredentialsResponse,
};
use kafka_protocol::protocol::StrBytes;

use super::{Call, Session};

/// Kafka's own words.
const NO_AUTHORIZER: &str = "No Authorizer is configured on the broker";

/// Nobody is kept from anything.
pub(crate) async fn handle_describe_acls(
    _session: &Session,
    _call: &Call,
    _request: DescribeAclsRequest,
) -> DescribeAclsResponse {
    DescribeAclsResponse::default()
        .with_error_code(ResponseError::SecurityDisabled.code())
        .with_error_message(Some(StrBytes::from_static_str(NO_AUTHORIZER)))
}

/// Refuses what would not be watched over.
pub(crate) async fn handle_create_acls(
    _session: &Session,
    _call: &Call,
    request: CreateAclsRequest,
) -> CreateAclsResponse {
    let refused = AclCreationResult::default()
        .with_error_code(ResponseError::SecurityDisabled.code())
        .with_error_message(Some(StrBytes::from_static_str(NO_AUTHORIZER)));
    CreateAclsResponse::default().with_results(vec![refused; request.creations.len()])
}

/// Refuses, as there is nothing to delete.
pub(crate) async fn handle_delete_acls(
    _session: &Session,
    _call: &Call,
    request: DeleteAclsRequest,
) -> DeleteAclsResponse {
    let refused = DeleteAclsFilterResult::default()
        .with_error_code(ResponseError::SecurityDisabled.code())
        .with_error_message(Some(StrBytes::from_static_str(NO_AUTHORIZER)));
    DeleteAclsResponse::default().with_filter_results(vec![refused; request.filters.len()])
}

/// Nobody has a quota.
pub(crate) async fn handle_describe_quotas(
    _session: &Session,
    _call: &Call,
    _request: DescribeClientQuotasRequest,
) -> DescribeClientQuotasResponse {
    DescribeClientQuotasResponse::default().with_entries(Some(Vec::new()))
}

/// Refuses quotas, which nobody would be held to.
pub(crate) async fn handle_alter_quotas(
    _session: &Session,
    _call: &Call,
    request: AlterClientQuotasRequest,
) -> AlterClientQuotasResponse {
    let entries = request.entries.into_iter().map(|entry| {
        let entity = entry.entity.into_iter().map(|entity| {
            EntityData::default()
                .with_entity_type(entity.entity_type)
                .with_entity_name(entity.entity_name)
        });
        EntryData::default()
            .with_entity(entity.collect())
            .with_error_code(ResponseError::InvalidRequest.code())
            .with_error_message(Some(StrBytes::from_static_str("there are no quotas here")))
    });
    AlterClientQuotasResponse::default().with_entries(entries.collect())
}

/// Nobody has a password.
pub(crate) async fn handle_describe_credentials(
    _session: &Session,
    _call: &Call,
    request: DescribeUserScramCredentialsRequest,
) -> DescribeUserScramCredentialsResponse {
    let results = request.users.unwrap_or_default().into_iter().map(|user| {
        DescribeUserScramCredentialsResult::default()
            .with_user(user.name)
            .with_error_code(ResponseError::ResourceNotFound.code())
            .with_error_message(Some(StrBytes::from_static_str(
                "the user has no credentials here",
            )))
    });
    DescribeUserScramCredentialsResponse::default().with_results(results.collect())
}
