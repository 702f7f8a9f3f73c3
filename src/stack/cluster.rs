//! What runs outside of the stack, as clients of this machine reach it: a Kafka, and services that speak HTTP. Passwords
//! are part of it, and are never shown.

use std::fmt;
use std::path::PathBuf;

/// librdkafka's properties of a connection, such as `security.protocol`. Shown by their names alone.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Properties(pub Vec<(String, String)>);

/// A Kafka, as clients reach it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cluster {
    /// Where it listens: `HOST:PORT`, or several of them with commas between.
    pub bootstrap_servers: String,
    /// What else a connection to it takes.
    pub properties: Properties,
}

/// A service that speaks HTTP, as clients reach it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpService {
    /// Its base URL.
    pub url: String,
    /// Who the client is.
    pub credentials: Option<Credentials>,
    /// A file of certificates to trust instead of the system's.
    pub certificates: Option<PathBuf>,
}

/// A user and a password, for HTTP's basic authentication.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// The user, or the key of an API.
    pub user: String,
    /// The password, or the secret of the key.
    pub password: String,
}

impl Cluster {
    /// One that wants neither TLS nor a password.
    pub fn plain(bootstrap_servers: impl Into<String>) -> Self {
        Self {
            bootstrap_servers: bootstrap_servers.into(),
            properties: Properties::default(),
        }
    }
}

impl HttpService {
    /// One that wants no password.
    pub fn open(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            credentials: None,
            certificates: None,
        }
    }
}

impl fmt::Debug for Properties {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_list()
            .entries(self.0.iter().map(|(name, _)| name))
            .finish()
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Credentials")
            .field("user", &self.user)
            .finish_non_exhaustive()
    }
}

impl fmt::Display for Cluster {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.bootstrap_servers)
    }
}

impl fmt::Display for HttpService {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.url)
    }
}
