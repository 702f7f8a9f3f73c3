//! The REST API, as Confluent's registry answers it: the same statuses, codes and texts.
//!
//! `route` knows the paths, `negotiation` the content types, the other files what a path answers. Paths are split
//! before they are decoded, for a subject may hold anything, a slash too.

mod compatibility;
mod contexts;
mod negotiation;
mod query;
mod route;
mod schemas;
mod settings;
mod subjects;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header};
use axum::response::Response;
use osqdemo_callers::Callers;
use osqdemo_callers::bodies::{Bodies, BodyError};
use serde::de::DeserializeOwned;
use serde_json::{Value as Json, json};
use uuid::Builder;

use crate::refusal::Refusal;
use crate::registry::Registry;
use negotiation::Accepted;
use query::Query;
use route::Route;

/// The largest body of a request. A broker takes records of one mebibyte unless told otherwise.
const BODY_LIMIT: usize = 16 * 1024 * 1024;
/// The bodies of all requests that are not answered yet, in bytes.
const BODIES_ROOM: usize = 64 * 1024 * 1024;
/// The header by which a request is told from others.
const REQUEST_ID: &str = "x-request-id";
/// The header of clients that know more fields than version 7.9 has.
const KNOWS_MORE: &str = "confluent-accept-unknown-properties";

/// What every answer is made with.
pub(crate) struct App {
    pub(crate) registry: Arc<Registry>,
    pub(crate) callers: Callers,
    pub(crate) bodies: Bodies,
}

/// The room for what clients send, each within `deadline`.
pub(crate) fn bodies(deadline: Duration) -> Bodies {
    Bodies::new(BODY_LIMIT, BODIES_ROOM, deadline)
}

/// A request whose path is known.
struct Asked {
    query: Query,
    headers: HeaderMap,
    body: Bytes,
}

/// What is answered.
enum Answer {
    Json(Json),
    /// The text of a schema, as it is.
    Text(String),
}

impl From<Json> for Answer {
    fn from(json: Json) -> Self {
        Self::Json(json)
    }
}

/// The API.
pub(crate) fn router(app: App) -> Router {
    let app = Arc::new(app);
    Router::new()
        .fallback(answer)
        .layer(app.callers.cors())
        .with_state(app)
}

async fn answer(State(app): State<Arc<App>>, request: Request<Body>) -> Response {
    let (head, body) = request.into_parts();
    let id = head.headers.get(REQUEST_ID).cloned().or_else(fresh_id);
    let mut response = match answer_to(&app, &head.method, &head.uri, head.headers, body).await {
        Ok((answer, accepted)) => {
            let text = match answer {
                Answer::Json(json) => json.to_string(),
                Answer::Text(text) => text,
            };
            response(StatusCode::OK, Some(accepted.content_type()), text)
        }
        Err((refusal, accepted)) => {
            let body = json!({"error_code": refusal.code, "message": refusal.message});
            let content_type = (!refusal.is_bare).then(|| accepted.content_type());
            let status = StatusCode::from_u16(refusal.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
            response(status, content_type, body.to_string())
        }
    };
    if let Some(id) = id {
        response.headers_mut().insert(REQUEST_ID, id);
    }
    response
}

fn response(status: StatusCode, content_type: Option<&'static str>, body: String) -> Response {
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    if let Some(content_type) = content_type {
        response
            .headers_mut()
            .insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    }
    response
}

/// An id of a request, like those of Confluent's registry: a UUID of version 4.
fn fresh_id() -> Option<HeaderValue> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).ok()?;
    let id = Builder::from_random_bytes(bytes).into_uuid();
    HeaderValue::from_str(&id.to_string()).ok()
}

async fn answer_to(
    app: &App,
    method: &Method,
    uri: &Uri,
    headers: HeaderMap,
    body: Body,
) -> Result<(Answer, Accepted), (Refusal, Accepted)> {
    let first = Accepted::default();
    if let Err(refusal) = app.callers.check(uri, &headers) {
        return Err((Refusal::forbidden(refusal), first));
    }
    let route = Route::parse(uri.path()).map_err(|refusal| (refusal, first))?;
    let action = route
        .action(method)
        .ok_or_else(|| (Refusal::bare(405, "HTTP 405 Method Not Allowed"), first))?;
    let takes_body = *method == Method::POST || *method == Method::PUT;
    if takes_body && !negotiation::is_understood(&headers) {
        return Err((Refusal::bare(415, "HTTP 415 Unsupported Media Type"), first));
    }
    let accepted = negotiation::accepted(&headers)
        .ok_or_else(|| (Refusal::bare(406, "HTTP 406 Not Acceptable"), first))?;
    let taken = app.bodies.take(body).await;
    let taken = taken.map_err(|error| (not_taken(&error), accepted))?;
    let asked = Asked {
        query: Query::of(uri),
        headers,
        body: taken.bytes,
    };
    let answered = route::carry_out(app, action, &asked).await;
    drop(taken.room);
    answered
        .map(|answer| (answer, accepted))
        .map_err(|refusal| (refusal, accepted))
}

fn not_taken(error: &BodyError) -> Refusal {
    match error {
        BodyError::TooLong { limit } => {
            Refusal::bad_request(format!("The body is longer than {limit} bytes"))
        }
        BodyError::Broken { .. } => Refusal::bad_request("The body ended too early"),
        BodyError::TooSlow { .. } => Refusal::bare(408, error.to_string()),
        BodyError::NoRoom { .. } => Refusal::bare(503, error.to_string()),
    }
}

impl Asked {
    /// The body, as what Confluent's registry calls by that name and that parameter.
    fn body<T: DeserializeOwned>(&self, name: &str, parameter: &str) -> Result<T, Refusal> {
        let body = self.body.trim_ascii();
        if body.is_empty() || body == b"null" {
            return Err(Refusal::missing_body(parameter));
        }
        let json: Json =
            serde_json::from_slice(body).map_err(|error| Refusal::bad_request(json_error(body, &error)))?;
        let token = match &json {
            Json::Object(_) => None,
            Json::Array(_) => Some("Array value (token `JsonToken.START_ARRAY`)".to_owned()),
            Json::String(_) => Some("String value (token `JsonToken.VALUE_STRING`)".to_owned()),
            Json::Number(_) => Some("Integer value (token `JsonToken.VALUE_NUMBER_INT`)".to_owned()),
            Json::Bool(value) => Some(format!(
                "Boolean value (token `JsonToken.VALUE_{}`)",
                value.to_string().to_uppercase()
            )),
            Json::Null => Some("Null value (token `JsonToken.VALUE_NULL`)".to_owned()),
        };
        if let Some(token) = token {
            return Err(Refusal::bad_request(format!(
                "Cannot deserialize value of type `{name}` from {token}"
            )));
        }
        serde_json::from_value(json).map_err(|error| {
            Refusal::bad_request(format!("Cannot deserialize value of type `{name}`: {error}"))
        })
    }

    /// Whether the client knows more fields than version 7.9 has.
    fn knows_more(&self) -> bool {
        let value = self.headers.get(KNOWS_MORE).and_then(|value| value.to_str().ok());
        value.is_some_and(|value| value.eq_ignore_ascii_case("true"))
    }
}

/// What Jackson would say, for the mistake that people make: a name without quotes.
fn json_error(body: &[u8], error: &serde_json::Error) -> String {
    let text = String::from_utf8_lossy(body);
    let name = text
        .strip_prefix('{')
        .map(str::trim_start)
        .and_then(|rest| rest.chars().next());
    match name.filter(|first| *first != '"' && *first != '}') {
        Some(first) => format!(
            "Unexpected character ('{first}' (code {})): was expecting double-quote to start field name",
            u32::from(first)
        ),
        None => error.to_string(),
    }
}
