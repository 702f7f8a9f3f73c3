//! What a client is told.

use std::fmt;
use std::time::Duration;

/// How a client proves who it is.
#[derive(Clone, PartialEq, Eq)]
pub enum Credentials {
    /// HTTP Basic.
    Basic {
        /// The name.
        user: String,
        /// The password.
        password: String,
    },
    /// A bearer token.
    Bearer(String),
}

impl fmt::Debug for Credentials {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Basic { .. } => "Basic(…)",
            Self::Bearer(_) => "Bearer(…)",
        })
    }
}

/// How a registry is reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Its addresses; the next one is asked when one does not answer.
    pub urls: Vec<String>,
    /// Who the client is.
    pub credentials: Option<Credentials>,
    /// A file of certificates to trust instead of the system's.
    pub certificates: Option<String>,
    /// How long one request may take.
    pub timeout: Duration,
    /// How often a request is tried again.
    pub retries: u32,
    /// How long to wait before the first time, at most; twice as long before each further one.
    pub backoff: Duration,
    /// How many schemas are kept.
    pub capacity: usize,
    /// How long the latest version of a subject is believed.
    pub latest_for: Duration,
}

impl Settings {
    /// As Confluent's clients have them.
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            urls: vec![url.into()],
            credentials: None,
            certificates: None,
            timeout: Duration::from_secs(30),
            retries: 3,
            backoff: Duration::from_secs(1),
            capacity: 1_000,
            latest_for: Duration::from_secs(60),
        }
    }
}
