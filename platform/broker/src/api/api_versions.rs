//! ApiVersions: which requests, in which versions, the broker answers.

use kafka_protocol::ResponseError;
use kafka_protocol::messages::api_versions_response::{ApiVersion, FinalizedFeatureKey, SupportedFeatureKey};
use kafka_protocol::messages::{ApiVersionsRequest, ApiVersionsResponse};
use kafka_protocol::protocol::StrBytes;

use super::{Call, NO_ERROR, Session};
use crate::server::dispatch::SUPPORTED;
use crate::transactions::Protocol;

/// The first version with features.
const FEATURES_SINCE: i16 = 3;
/// The first version whose clients take 0 for the least version of a feature (KAFKA-17492).
const ZERO_SINCE: i16 = 4;

/// Lists every request the broker answers, and the one feature that clients go by.
pub(crate) async fn handle(
    _session: &Session,
    call: &Call,
    _request: ApiVersionsRequest,
) -> ApiVersionsResponse {
    let response = response(NO_ERROR);
    if call.version < FEATURES_SINCE {
        return response;
    }
    let name = StrBytes::from_static_str(Protocol::FEATURE);
    let least = i16::from(call.version < ZERO_SINCE);
    let supported = SupportedFeatureKey::default()
        .with_name(name.clone())
        .with_min_version(least)
        .with_max_version(Protocol::LATEST);
    let finalized = FinalizedFeatureKey::default()
        .with_name(name)
        .with_min_version_level(Protocol::LATEST)
        .with_max_version_level(Protocol::LATEST);
    response
        .with_supported_features(vec![supported])
        .with_finalized_features(vec![finalized])
        .with_finalized_features_epoch(0)
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
