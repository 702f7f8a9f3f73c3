//! DescribeClientQuotas and AlterClientQuotas, as a broker answers that has none: what would be promised and not kept is
//! refused.

use kafka_protocol::ResponseError;
use kafka_protocol::messages::alter_client_quotas_response::{EntityData, EntryData};
use kafka_protocol::messages::{
    AlterClientQuotasRequest, AlterClientQuotasResponse, DescribeClientQuotasRequest,
    DescribeClientQuotasResponse,
};
use kafka_protocol::protocol::StrBytes;

use super::{Call, Session};

/// Nobody has a quota.
pub(crate) async fn handle_describe(
    _session: &Session,
    _call: &Call,
    _request: DescribeClientQuotasRequest,
) -> DescribeClientQuotasResponse {
    DescribeClientQuotasResponse::default().with_entries(Some(Vec::new()))
}

/// Refuses quotas, which nobody would be held to.
pub(crate) async fn handle_alter(
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
