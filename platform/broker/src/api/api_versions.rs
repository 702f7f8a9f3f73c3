//! ApiVersions: which requests, in which versions, the broker answers.

use kafka_protocol::ResponseError;
use kafka_protocol::messages::api_versions_response::ApiVersion;
use kafka_protocol::messages::{ApiVersionsRequest, ApiVersionsResponse};

use super::{Call, NO_ERROR, Session};
use crate::server::dispatch::SUPPORTED;

/// Lists every request the broker answers, and nothing else: older clients choke on the optional fields.
pub(crate) async fn handle(
    _session: &Session,
    _call: &Call,
    _request: ApiVersionsRequest,
) -> ApiVersionsResponse {
    response(NO_ERROR)
}

/// The answer to a version of ApiVersions that the broker does not know: the list, in version 0, with error 35.
pub(crate) fn unknown_version() -> ApiVersionsResponse {
    response(ResponseError::UnsupportedVersion.code())
}

fn response(error_code: i16) -> ApiVersionsResponse {
    let api_keys = SUPPORTED
        .iter()
        .map(|supported| {
            ApiVersion::default()
                .with_api_key(supported.key as i16)
                .with_min_version(supported.advertised_min)
                .with_max_version(supported.max)
        })
        .collect();
    ApiVersionsResponse::default()
        .with_error_code(error_code)
        .with_api_keys(api_keys)
}
