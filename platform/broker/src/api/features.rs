//! UpdateFeatures: the versions of what a cluster agrees on. Here that is fixed: what is asked for is there already, or
//! cannot be had.

use kafka_protocol::ResponseError;
use kafka_protocol::messages::update_features_request::FeatureUpdateKey;
use kafka_protocol::messages::update_features_response::UpdatableFeatureResult;
use kafka_protocol::messages::{UpdateFeaturesRequest, UpdateFeaturesResponse};
use kafka_protocol::protocol::StrBytes;

use super::{Call, NO_ERROR, Session};
use crate::transactions::Protocol;

/// From this version on there is one answer to all of a request.
const AS_A_WHOLE_SINCE: i16 = 2;

/// Says of each feature whether it has the version that is asked for.
pub(crate) async fn handle(
    _session: &Session,
    call: &Call,
    request: UpdateFeaturesRequest,
) -> UpdateFeaturesResponse {
    let checked: Vec<_> = request
        .feature_updates
        .into_iter()
        .map(|update| (check(&update), update.feature))
        .collect();
    if call.version >= AS_A_WHOLE_SINCE {
        let refused = checked.into_iter().find_map(|(checked, _)| checked.err());
        return match refused {
            Some(reason) => UpdateFeaturesResponse::default()
                .with_error_code(ResponseError::InvalidUpdateVersion.code())
                .with_error_message(Some(StrBytes::from_string(reason))),
            None => UpdateFeaturesResponse::default().with_error_message(None),
        };
    }
    let results = checked.into_iter().map(|(checked, feature)| {
        let result = UpdatableFeatureResult::default().with_feature(feature);
        match checked {
            Ok(()) => result.with_error_code(NO_ERROR).with_error_message(None),
            Err(reason) => result
                .with_error_code(ResponseError::InvalidUpdateVersion.code())
                .with_error_message(Some(StrBytes::from_string(reason))),
        }
    });
    UpdateFeaturesResponse::default()
        .with_error_message(None)
        .with_results(results.collect())
}

fn check(update: &FeatureUpdateKey) -> Result<(), String> {
    let (name, latest) = (Protocol::FEATURE, Protocol::LATEST);
    if update.feature.as_str() != name {
        return Err(format!("there is no such feature here, only {name}"));
    }
    if update.max_version_level != latest {
        let wanted = update.max_version_level;
        return Err(format!("{name} is {latest} here, and cannot be made {wanted}"));
    }
    Ok(())
}
