//! Delegation tokens, as a broker answers whose configuration has no secret to make them with: they are turned off.

use kafka_protocol::ResponseError;
use kafka_protocol::messages::{
    CreateDelegationTokenRequest, CreateDelegationTokenResponse, DescribeDelegationTokenRequest,
    DescribeDelegationTokenResponse, ExpireDelegationTokenRequest, ExpireDelegationTokenResponse,
    RenewDelegationTokenRequest, RenewDelegationTokenResponse,
};

use super::{Call, Session};

const TURNED_OFF: ResponseError = ResponseError::DelegationTokenAuthDisabled;

/// No token is made.
pub(crate) async fn handle_create(
    _session: &Session,
    _call: &Call,
    _request: CreateDelegationTokenRequest,
) -> CreateDelegationTokenResponse {
    CreateDelegationTokenResponse::default().with_error_code(TURNED_OFF.code())
}

/// No token holds longer.
pub(crate) async fn handle_renew(
    _session: &Session,
    _call: &Call,
    _request: RenewDelegationTokenRequest,
) -> RenewDelegationTokenResponse {
    RenewDelegationTokenResponse::default().with_error_code(TURNED_OFF.code())
}

/// No token ends earlier.
pub(crate) async fn handle_expire(
    _session: &Session,
    _call: &Call,
    _request: ExpireDelegationTokenRequest,
) -> ExpireDelegationTokenResponse {
    ExpireDelegationTokenResponse::default().with_error_code(TURNED_OFF.code())
}

/// There are none.
pub(crate) async fn handle_describe(
    _session: &Session,
    _call: &Call,
    _request: DescribeDelegationTokenRequest,
) -> DescribeDelegationTokenResponse {
    DescribeDelegationTokenResponse::default().with_error_code(TURNED_OFF.code())
}
