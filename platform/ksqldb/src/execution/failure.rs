//! Why a request fails, as ksqlDB's clients are told: an HTTP status, an error code and a message.

use serde::Serialize;
use serde_json::{Value as Json, json};

use super::entity::Answer;
use crate::plan::{PlanError, Stage};

/// ksqlDB's error codes. The first three digits are the HTTP status.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ErrorCode {
    /// The request is wrong.
    BadRequest,
    /// A statement is wrong.
    BadStatement,
    /// `SELECT` and `PRINT` have an endpoint of their own.
    QueryEndpoint,
    /// Too many push queries.
    TooManyPushQueries,
    /// The endpoint wants HTTP/2.
    Http2Only,
    /// The request comes from somewhere that has no business here.
    Forbidden,
    /// There is no such thing.
    NotFound,
    /// What was asserted does not hold.
    AssertionFailed,
    /// A format needs a schema registry, and none is set up.
    NoSchemaRegistry,
    /// The request was not sent in time.
    RequestTimeout,
    /// The request is too large.
    TooLarge,
    /// Too many pull queries at a time.
    TooManyRequests,
    /// Kafka Connect refused, with that HTTP status.
    Connect(u16),
    /// The server failed.
    ServerError,
    /// The request takes too long, or nobody waits for its answer any more.
    RequestEnded,
    /// An earlier command was not executed in time.
    CommandQueueCatchup,
    /// The server is starting.
    NotReady,
    /// The server is stopping.
    ShuttingDown,
}

impl ErrorCode {
    /// The code.
    pub(crate) fn number(self) -> u32 {
        match self {
            Self::BadRequest => 40000,
            Self::BadStatement => 40001,
            Self::QueryEndpoint => 40002,
            Self::TooManyPushQueries => 40003,
            Self::Http2Only => 40004,
            Self::Forbidden => 40300,
            Self::NotFound => 40400,
            Self::AssertionFailed => 41700,
            Self::NoSchemaRegistry => 42801,
            Self::RequestTimeout => 40800,
            Self::TooLarge => 41300,
            Self::TooManyRequests => 42900,
            Self::Connect(status) => u32::from(status) * 100,
            Self::ServerError => 50000,
            Self::RequestEnded => 50300,
            Self::CommandQueueCatchup => 50301,
            Self::NotReady => 50302,
            Self::ShuttingDown => 50303,
        }
    }

    /// The HTTP status.
    pub(crate) fn status(self) -> u16 {
        // The codes above are all five digits.
        u16::try_from(self.number() / 100).unwrap_or(500)
    }
}

/// Why a statement is not carried out, whatever its text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refusal {
    code: ErrorCode,
    pub(crate) message: String,
    /// Whether it is found in the statement as the client wrote it, before what it leaves open is filled in.
    is_early: bool,
}

impl Refusal {
    /// A refusal with a code of its own.
    pub(crate) fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            is_early: false,
        }
    }

    /// The same, about the statement as the client wrote it.
    pub(super) fn early(self) -> Self {
        Self {
            is_early: true,
            ..self
        }
    }

    /// A query that fills a source cannot be planned. ksqlDB finds that when it looks what the query's columns are.
    pub(crate) fn of_persistent_query(error: PlanError) -> Self {
        let found_so = error.stage == Stage::Planning;
        let mut refusal = Self::from(error);
        if found_so {
            refusal.message = format!(
                "Could not determine output schema for query due to error: {}",
                refusal.message
            );
        }
        refusal
    }

    /// As the failure of a statement, as the client wrote it and as it was completed.
    pub(crate) fn failure_of(self, written: &str, completed: &str) -> Failure {
        let text = if self.is_early { written } else { completed };
        self.failure(text)
    }

    /// As the failure of the statement of that text.
    pub(crate) fn failure(self, statement: &str) -> Failure {
        match self.code {
            ErrorCode::BadRequest | ErrorCode::NoSchemaRegistry => Failure::generic(self.code, self.message),
            _ => Failure::of_statement(self.code, self.message, statement),
        }
    }
}

impl From<String> for Refusal {
    fn from(message: String) -> Self {
        Self::new(ErrorCode::BadStatement, message)
    }
}

impl From<PlanError> for Refusal {
    fn from(error: PlanError) -> Self {
        let PlanError { message, stage, .. } = error;
        match stage {
            Stage::Planning | Stage::Coding | Stage::Predicate => Self::from(message),
            Stage::Reading => Self::from(format!("Failed to prepare statement: {message}")).early(),
            Stage::Preparing => Self::from(format!("Exception while preparing statement: {message}")).early(),
            Stage::Request => Self::new(ErrorCode::BadRequest, message),
            Stage::Server => Self::new(ErrorCode::ServerError, message).early(),
            Stage::Internal => {
                tracing::warn!("a statement that ksqlDB fails at is refused: {message}");
                Self::new(ErrorCode::ServerError, INTERNAL_ERROR)
            }
        }
    }
}

/// What ksqlDB says where it fails at a query by itself.
const INTERNAL_ERROR: &str = "The server encountered an internal error when processing the query. Please consult the server logs for more information.";

/// Why a request fails.
#[derive(Debug, Clone)]
pub(crate) struct Failure {
    /// The code.
    pub(crate) code: ErrorCode,
    /// What the client is told.
    pub(crate) message: String,
    /// The statement, where one is to blame, and the answers of the statements before it.
    statement: Option<(String, Vec<Answer>)>,
}

#[derive(Serialize)]
struct Body<'a> {
    #[serde(rename = "@type")]
    kind: &'static str,
    error_code: u32,
    message: &'a str,
    #[serde(flatten)]
    statement: Option<StatementPart<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct StatementPart<'a> {
    statement_text: &'a str,
    entities: &'a [Answer],
}

impl Failure {
    /// A failure that no statement is to blame for.
    pub(crate) fn generic(code: ErrorCode, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            statement: None,
        }
    }

    /// A failure of a statement.
    pub(crate) fn of_statement(code: ErrorCode, message: impl Into<String>, statement: &str) -> Self {
        Self {
            code,
            message: message.into(),
            statement: Some((statement.to_owned(), Vec::new())),
        }
    }

    /// A statement that is wrong.
    pub(crate) fn bad_statement(message: impl Into<String>, statement: &str) -> Self {
        Self::of_statement(ErrorCode::BadStatement, message, statement)
    }

    /// `SELECT` or `PRINT` where no rows can be sent.
    pub(crate) fn query_endpoint(statement: &str) -> Self {
        let message = "The following statement types should be issued to the websocket endpoint '/query':\n\
                       \t* PRINT\n\t* SELECT";
        Self::of_statement(ErrorCode::QueryEndpoint, message, statement)
    }

    /// With the answers of the statements before it.
    pub(crate) fn after(mut self, answers: Vec<Answer>) -> Self {
        if let Some((_, entities)) = &mut self.statement {
            *entities = answers;
        }
        self
    }

    /// The body of the response.
    pub(crate) fn to_json(&self) -> Json {
        let body = Body {
            kind: if self.statement.is_some() {
                "statement_error"
            } else {
                "generic_error"
            },
            error_code: self.code.number(),
            message: &self.message,
            statement: self.statement.as_ref().map(|(text, answers)| StatementPart {
                statement_text: text,
                entities: answers,
            }),
        };
        // Strings and numbers always serialise; the alternative keeps the client informed all the same.
        serde_json::to_value(body)
            .unwrap_or_else(|_| json!({"@type": "generic_error", "error_code": self.code.number()}))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bodies_have_ksqldbs_shape() {
        let generic = Failure::generic(ErrorCode::NotReady, "Server initializing");
        assert_eq!(
            generic.to_json().to_string(),
            r#"{"@type":"generic_error","error_code":50302,"message":"Server initializing"}"#
        );
        assert_eq!(generic.code.status(), 503);
        assert_eq!(
            Failure::query_endpoint("SELECT 1;").to_json().to_string(),
            r#"{"@type":"statement_error","error_code":40002,"message":"The following statement types should be issued to the websocket endpoint '/query':\n\t* PRINT\n\t* SELECT","statementText":"SELECT 1;","entities":[]}"#
        );
    }
}
