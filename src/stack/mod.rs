//! Which services there are: names, ports, order. Pure data; knows nothing of where they run.

pub mod project;

use std::fmt;

use serde::{Deserialize, Serialize};

/// The name of a service, such as `broker` or `host2`: also its DNS name between containers.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ServiceName(String);

impl ServiceName {
    /// A name that is already known to be valid.
    pub fn new(name: impl Into<String>) -> Self {
        Self(name.into())
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ServiceName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// Where the clients on this machine find a running stack.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Endpoints {
    /// The broker for clients on this machine, such as `127.0.0.1:9092`.
    pub bootstrap_servers: String,
    /// The ksqlDB server's base URL, such as `http://127.0.0.1:8088`.
    pub ksqldb_url: String,
}
