//! What the page asks once. Each answer is JSON; a refusal is `{"message", "hint"?, "details"?}` with a status that fits.

pub(crate) mod brokers;
pub(crate) mod groups;
pub(crate) mod ksql;
pub(crate) mod records;
pub(crate) mod schemas;
pub(crate) mod topics;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use crate::kafka::KafkaError;
use crate::ksqldb::{Ksqldb, KsqldbError};
use crate::registry::{Registry, RegistryError};
use crate::server::{App, Shared};

/// What a route answers.
pub(crate) type Answer = Result<Json<Value>, Refusal>;

/// Why the console does not do what was asked.
#[derive(Debug)]
pub(crate) struct Refusal {
    status: StatusCode,
    message: String,
    details: Option<Value>,
}

impl Refusal {
    /// The request means nothing.
    pub(crate) fn wrong(message: String) -> Self {
        Self::new(StatusCode::BAD_REQUEST, message)
    }

    /// What it is about is not there.
    pub(crate) fn not_found(message: String) -> Self {
        Self::new(StatusCode::NOT_FOUND, message)
    }

    /// Who asks may not.
    pub(crate) fn forbidden(message: String) -> Self {
        Self::new(StatusCode::FORBIDDEN, message)
    }

    /// There is too much of it already.
    pub(crate) fn busy(message: String) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, message)
    }

    /// A part of the console failed.
    pub(crate) fn internal(error: &tokio::task::JoinError) -> Self {
        tracing::error!("a request failed: {error}");
        Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "the console failed; its log says more".to_owned(),
        )
    }

    /// The refusal as the page reads it.
    pub(crate) fn body(&self) -> Value {
        let mut body = json!({"message": self.message});
        if let Some(details) = &self.details {
            body["details"] = details.clone();
        }
        body
    }

    fn new(status: StatusCode, message: String) -> Self {
        Self {
            status,
            message,
            details: None,
        }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        (self.status, Json(self.body())).into_response()
    }
}

impl From<KafkaError> for Refusal {
    fn from(error: KafkaError) -> Self {
        let status = match error {
            KafkaError::Unreachable(_) => StatusCode::BAD_GATEWAY,
            KafkaError::UnknownTopic(_) => StatusCode::NOT_FOUND,
            KafkaError::Client(_) => StatusCode::INTERNAL_SERVER_ERROR,
            KafkaError::Refused(_) => StatusCode::BAD_REQUEST,
        };
        Self::new(status, error.to_string())
    }
}

impl From<KsqldbError> for Refusal {
    fn from(error: KsqldbError) -> Self {
        let status = match &error {
            KsqldbError::Refused { status, .. } => {
                StatusCode::from_u16(*status).unwrap_or(StatusCode::BAD_REQUEST)
            }
            KsqldbError::Url(_)
            | KsqldbError::Access(_)
            | KsqldbError::Unreachable(_)
            | KsqldbError::Unexpected(_) => StatusCode::BAD_GATEWAY,
        };
        let message = error.to_string();
        let details = match error {
            KsqldbError::Refused { body, .. } => Some(body),
            _ => None,
        };
        Self {
            status,
            message,
            details,
        }
    }
}

impl From<RegistryError> for Refusal {
    fn from(error: RegistryError) -> Self {
        let status = match error {
            RegistryError::Refused(_) => StatusCode::NOT_FOUND,
            RegistryError::Url(_) | RegistryError::Access(_) | RegistryError::Unreachable(_) => {
                StatusCode::BAD_GATEWAY
            }
        };
        Self::new(status, error.to_string())
    }
}

impl Shared {
    /// The ksqlDB server, where there is one.
    pub(crate) fn ksqldb(&self) -> Result<&Ksqldb, Refusal> {
        let none = || Refusal::not_found("this console was started without a ksqlDB server".to_owned());
        self.ksqldb.as_ref().ok_or_else(none)
    }

    /// The Schema Registry, where there is one.
    pub(crate) fn registry(&self) -> Result<&Registry, Refusal> {
        let none = || Refusal::not_found("this console was started without a Schema Registry".to_owned());
        self.registry.as_ref().ok_or_else(none)
    }
}

/// `GET /api/health`: the console itself is well when it answers; the others are told.
pub(crate) async fn health(State(app): State<App>) -> Json<Value> {
    let kafka = app.cluster.layout().await.err().map(|error| error.to_string());
    let ksqldb = match &app.ksqldb {
        Some(ksqldb) => ksqldb.info().await.err().map(|error| error.to_string()),
        None => None,
    };
    Json(json!({
        "healthy": true,
        "kafka": kafka.unwrap_or_else(|| "up".to_owned()),
        "ksqldb": match &app.ksqldb {
            Some(_) => ksqldb.unwrap_or_else(|| "up".to_owned()),
            None => "none".to_owned(),
        },
    }))
}
