//! What can go wrong between us and a ksqlDB server.
//!
//! Two kinds matter to a caller: the server answered and refused ([`Error::Rejected`]), or there was no
//! usable answer. The first is about the statement, the second about the service, and they end in different
//! exit codes.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::Value;

use crate::error::Diagnose;
use crate::exit_code::ExitCode;

/// An error in ksqlDB's own words.
///
/// Source of the shape: ksqlDB's REST API reference, "Errors"; `error_code` is the HTTP status times 100
/// plus a number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerError {
    /// ksqlDB's code, such as 40001; the HTTP status times 100 where the answer has none.
    pub code: u32,
    /// ksqlDB's message.
    pub message: String,
    /// The statement the message is about, where ksqlDB names one.
    pub statement: Option<String>,
}

/// A statement could not be parsed or does not make sense.
pub const BAD_STATEMENT: u32 = 40001;

impl ServerError {
    /// Reads an error object, also one that stands in the midst of rows.
    pub fn from_json(body: &Value) -> Option<Self> {
        let code = body.get("error_code")?.as_u64()?;
        Some(Self {
            code: u32::try_from(code).ok()?,
            message: body.get("message")?.as_str()?.to_owned(),
            statement: body
                .get("statementText")
                .and_then(Value::as_str)
                .filter(|text| !text.is_empty())
                .map(str::to_owned),
        })
    }

    /// Whether the server failed, rather than that it refused: what it stands on may be away.
    pub fn is_servers_own_failure(&self) -> bool {
        self.code / 100 == 500
    }

    /// Whether a `CREATE` was refused only because the thing is there already.
    pub fn is_already_exists(&self) -> bool {
        says_already_exists(&self.message)
    }
}

/// What ksqlDB since 0.20 puts before an error that comes up while it plans a `CREATE … AS SELECT`.
const PLANNING: &str = "Could not determine output schema for query due to error: ";

/// Whether a message of ksqlDB says that what was to be created is there already. ksqlDB has no code of its
/// own for this, so the whole sentence is read, `Cannot add stream 'PROC': A stream with the same name already exists`,
/// with the name as the only part that may be anything: another error may well have these words in it, and so may a name.
pub(super) fn says_already_exists(message: &str) -> bool {
    let message = message.strip_prefix(PLANNING).unwrap_or(message).trim_end();
    let message = message.strip_suffix('.').unwrap_or(message);
    ["stream", "table"].into_iter().any(|kind| {
        ['\'', '`'].into_iter().any(|quote| {
            let begin = format!("Cannot add {kind} {quote}");
            let end = format!("{quote}: A {kind} with the same name already exists");
            let name = message
                .strip_prefix(&begin)
                .and_then(|rest| rest.strip_suffix(&end));
            name.is_some_and(|name| !name.is_empty())
        })
    })
}

impl fmt::Display for ServerError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} ({})", self.message.trim_end(), self.code)
    }
}

/// A failed exchange with a ksqlDB server.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The URL of the server is not one.
    #[error("the ksqlDB address `{url}` is not a URL")]
    InvalidUrl {
        /// What was given.
        url: String,
    },
    /// No connection, or none in time.
    #[error("cannot reach ksqlDB at {url}: {reason}")]
    Unreachable {
        /// The server.
        url: String,
        /// The innermost cause.
        reason: String,
    },
    /// The connection ended in the middle of an answer.
    #[error("ksqlDB at {url} ended the connection in the middle of an answer: {reason}")]
    Lost {
        /// The server.
        url: String,
        /// The innermost cause.
        reason: String,
    },
    /// Nothing came within the time an answer may take.
    #[error("ksqlDB at {url} did not answer within {} s", after.as_secs())]
    TimedOut {
        /// The server.
        url: String,
        /// How long we waited.
        after: Duration,
    },
    /// The server refused, in its own words.
    #[error("ksqlDB: {0}")]
    Rejected(ServerError),
    /// The server does not let this client in.
    #[error("ksqlDB at {url} does not let this client in (HTTP {status}){}{reason}", if reason.is_empty() { "" } else { ": " })]
    Refused {
        /// The server.
        url: String,
        /// The HTTP status.
        status: u16,
        /// What it says, if anything.
        reason: String,
    },
    /// The certificates to trust cannot be used.
    #[error("cannot use the certificates of `{}`: {reason}", file.display())]
    Certificates {
        /// The file.
        file: PathBuf,
        /// Why.
        reason: String,
    },
    /// Something answered that does not speak ksqlDB's protocol.
    #[error("{url} does not answer like ksqlDB: {problem}")]
    UnexpectedAnswer {
        /// What was asked.
        url: String,
        /// What is wrong with the answer.
        problem: String,
    },
}

impl Error {
    /// Whether asking again later may help: the service is away, starting, or ending.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Unreachable { .. } | Self::Lost { .. } | Self::TimedOut { .. } => true,
            Self::Rejected(error) => error.code / 100 == 503,
            Self::InvalidUrl { .. }
            | Self::Refused { .. }
            | Self::Certificates { .. }
            | Self::UnexpectedAnswer { .. } => false,
        }
    }
}

impl Diagnose for Error {
    fn exit_code(&self) -> ExitCode {
        match self {
            Self::InvalidUrl { .. } | Self::Certificates { .. } => ExitCode::Usage,
            Self::Refused { .. } => ExitCode::Preflight,
            Self::Unreachable { .. } | Self::Lost { .. } | Self::TimedOut { .. } => ExitCode::NotRunning,
            Self::Rejected(error) if error.code / 100 == 503 => ExitCode::NotRunning,
            Self::Rejected(_) => ExitCode::StatementRejected,
            Self::UnexpectedAnswer { .. } => ExitCode::Internal,
        }
    }

    fn hints(&self) -> Vec<String> {
        match self {
            Self::Unreachable { .. } => {
                vec!["`osqdemo ps` says what runs, `osqdemo up` starts what is missing; what runs elsewhere has to answer there".to_owned()]
            }
            Self::Refused { .. } => {
                vec!["`ksqldb.basic.auth.user.info=USER:PASSWORD` in the file of `--kafka-config` says who asks".to_owned()]
            }
            Self::Lost { .. } => {
                vec!["see what the server wrote with `osqdemo logs ksqldb-server`".to_owned()]
            }
            Self::TimedOut { .. } => vec![
                "see what the server wrote with `osqdemo logs ksqldb-server`; `osqdemo restart ksqldb-server` starts it \
                 again"
                    .to_owned(),
            ],
            _ => Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_whole_sentence_says_that_it_is_there() {
        for there in [
            "Cannot add stream 'PROC': A stream with the same name already exists",
            "Cannot add stream `PROC`: A stream with the same name already exists.",
            "Could not determine output schema for query due to error: Cannot add table 'T': A table with the same name \
             already exists\n",
            "Cannot add stream 'it's already exists': A stream with the same name already exists",
        ] {
            assert!(says_already_exists(there), "{there}");
        }
        for other in [
            "Cannot add column `W` to schema. A column with the same name already exists.",
            "Cannot add stream 'T': A table with the same name already exists",
            "Cannot add table 'ST': CREATE OR REPLACE is not supported on source tables.",
            "Cannot add stream 'already exists': there is no topic `with the same name already exists`",
            "line 1:8: Cannot add stream 'A': A stream with the same name already exists",
            "",
        ] {
            assert!(!says_already_exists(other), "{other}");
        }
    }
}
