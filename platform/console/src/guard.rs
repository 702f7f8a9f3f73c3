//! Who is answered: callers that call the console by a name of its own and no page of a foreign origin, and changes only
//! with the token that its page was given.

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, Method};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use osqdemo_callers::Callers;
use osqdemo_callers::bodies::{Bodies, BodyError};

use crate::api::Refusal;
use crate::server::App;

/// The header in which the page returns its token.
const TOKEN_HEADER: &str = "x-osqdemo-token";

/// The rules of one console.
#[derive(Debug)]
pub(crate) struct Guard {
    callers: Callers,
    token: String,
}

impl Guard {
    /// Rules with a fresh token.
    pub(crate) fn new(callers: Callers) -> Result<Self, getrandom::Error> {
        let mut bytes = [0u8; 24];
        getrandom::fill(&mut bytes)?;
        Ok(Self {
            callers,
            token: bytes.iter().map(|byte| format!("{byte:02x}")).collect(),
        })
    }

    /// What the page must send with a change.
    pub(crate) fn token(&self) -> &str {
        &self.token
    }

    fn has_token(&self, headers: &HeaderMap) -> bool {
        headers
            .get(TOKEN_HEADER)
            .is_some_and(|given| given.as_bytes() == self.token.as_bytes())
    }
}

/// Answers 403 to whoever may not ask.
pub(crate) async fn check(State(app): State<App>, request: Request<Body>, next: Next) -> Response {
    let headers = request.headers();
    if let Err(refusal) = app.guard.callers.check(request.uri(), headers) {
        return Refusal::forbidden(refusal.to_string()).into_response();
    }
    let changes = request.method() != Method::GET && request.method() != Method::HEAD;
    if changes && !app.guard.has_token(headers) {
        return Refusal::forbidden(format!(
            "a change needs the header `{TOKEN_HEADER}` with the page's token; hint: load the page again"
        ))
        .into_response();
    }
    next.run(request).await
}

/// Reads the body: in time, only so much of it, and as far as there is room for it.
pub(crate) async fn take_in(State(bodies): State<Bodies>, request: Request<Body>, next: Next) -> Response {
    let (head, body) = request.into_parts();
    match bodies.take(body).await {
        Ok(taken) => {
            let response = next.run(Request::from_parts(head, Body::from(taken.bytes))).await;
            drop(taken.room);
            response
        }
        Err(error @ BodyError::NoRoom { .. }) => Refusal::busy(error.to_string()).into_response(),
        Err(error) => Refusal::wrong(error.to_string()).into_response(),
    }
}
