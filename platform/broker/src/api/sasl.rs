//! SaslHandshake and SaslAuthenticate: a client tells who it is.

use kafka_protocol::ResponseError;
use kafka_protocol::messages::{
    SaslAuthenticateRequest, SaslAuthenticateResponse, SaslHandshakeRequest, SaslHandshakeResponse,
};
use kafka_protocol::protocol::StrBytes;

use super::{Call, NO_ERROR, Session};
use crate::server::authentication::{Framing, Stepped};

/// From this version on the messages of the exchange are requests of their own.
const REQUESTS_SINCE: i16 = 1;

/// Begins an exchange.
pub(crate) async fn handle_handshake(
    session: &Session,
    call: &Call,
    request: SaslHandshakeRequest,
) -> SaslHandshakeResponse {
    let framing = match call.version < REQUESTS_SINCE {
        true => Framing::Bare,
        false => Framing::Requests,
    };
    let begun = session.authentication.begin(&request.mechanism, framing);
    let mechanisms = session.authentication.mechanisms().iter();
    SaslHandshakeResponse::default()
        .with_error_code(begun.map_or_else(|error| error.code(), |()| NO_ERROR))
        .with_mechanisms(
            mechanisms
                .map(|mechanism| StrBytes::from_static_str(mechanism.name()))
                .collect(),
        )
}

/// Goes on with it.
pub(crate) async fn handle_authenticate(
    session: &Session,
    _call: &Call,
    request: SaslAuthenticateRequest,
) -> SaslAuthenticateResponse {
    let stepped = session.step(&request.auth_bytes, Framing::Requests);
    let response = SaslAuthenticateResponse::default();
    let refused = |error: ResponseError, message| {
        SaslAuthenticateResponse::default()
            .with_error_code(error.code())
            .with_error_message(Some(StrBytes::from_static_str(message)))
    };
    match stepped.await {
        Stepped::Continue(message) => response.with_auth_bytes(message.into()),
        Stepped::Known {
            message, lifetime_ms, ..
        } => response
            .with_auth_bytes(message.into())
            .with_session_lifetime_ms(lifetime_ms),
        Stepped::Refused => refused(
            ResponseError::SaslAuthenticationFailed,
            "Authentication failed: invalid credentials",
        ),
        Stepped::Unexpected => refused(
            ResponseError::IllegalSaslState,
            "a SaslHandshake that chooses a mechanism comes first",
        ),
    }
}
