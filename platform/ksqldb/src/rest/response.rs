//! Responses.

use axum::body::Body;
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::accept::JSON;
use crate::execution::{ErrorCode, Failure};

/// A JSON response.
pub(super) fn json(status: StatusCode, body: &impl Serialize) -> Response {
    match serde_json::to_vec(body) {
        Ok(bytes) => with_type(status, JSON, bytes.into()),
        Err(error) => failure(&Failure::generic(ErrorCode::ServerError, error.to_string())),
    }
}

/// A response of that type.
pub(super) fn with_type(status: StatusCode, media_type: &'static str, body: Body) -> Response {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static(media_type));
    response
}

/// An error.
pub(super) fn failure(failure: &Failure) -> Response {
    let status = StatusCode::from_u16(failure.code.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    with_type(status, JSON, failure.to_json().to_string().into())
}

/// An error of an endpoint that gives its errors no content type.
pub(super) fn untyped_failure(failure: &Failure) -> Response {
    let mut response = self::failure(failure);
    response.headers_mut().remove(CONTENT_TYPE);
    response
}

/// The client accepts nothing this endpoint has.
pub(super) fn not_acceptable() -> Response {
    (StatusCode::NOT_ACCEPTABLE, "Not Acceptable").into_response()
}

/// The JSON body of a request.
pub(super) fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, Failure> {
    serde_json::from_slice(body)
        .map_err(|error| Failure::generic(ErrorCode::BadRequest, format!("Invalid JSON in request: {error}")))
}
