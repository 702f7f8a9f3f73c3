//! What the console is told when it starts.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;

/// How the console runs.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where the page is served; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Kafka's brokers, `host:port[,host:port…]`.
    pub bootstrap_servers: String,
    /// librdkafka properties beyond the brokers, for a cluster that wants TLS and SASL.
    pub kafka_properties: Vec<(String, String)>,
    /// The base URL of the ksqlDB server, where there is one.
    pub ksqldb_url: Option<String>,
    /// What else reaching it takes.
    pub ksqldb_access: Access,
    /// The base URL of the Schema Registry, where there is one.
    pub registry_url: Option<String>,
    /// What else reaching it takes.
    pub registry_access: Access,
    /// Names under which the console may be called besides the loopback ones.
    pub allowed_hosts: Vec<String>,
    /// Origins, such as `https://example.org`, whose pages may send requests besides the console's own.
    pub allowed_origins: Vec<String>,
}

/// What reaching a service that speaks HTTP takes besides its URL.
#[derive(Clone, Default)]
pub struct Access {
    /// A user and a password, for HTTP's basic authentication.
    pub credentials: Option<(String, String)>,
    /// A file of certificates to trust instead of the system's.
    pub certificates: Option<PathBuf>,
}

impl fmt::Debug for Access {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Access")
            .field("user", &self.credentials.as_ref().map(|(user, _)| user))
            .field("certificates", &self.certificates)
            .finish_non_exhaustive()
    }
}

impl Config {
    /// A console of a cluster without ksqlDB and registry.
    pub fn new(listen: SocketAddr, bootstrap_servers: impl Into<String>) -> Self {
        Self {
            listen,
            bootstrap_servers: bootstrap_servers.into(),
            kafka_properties: Vec::new(),
            ksqldb_url: None,
            ksqldb_access: Access::default(),
            registry_url: None,
            registry_access: Access::default(),
            allowed_hosts: Vec::new(),
            allowed_origins: Vec::new(),
        }
    }
}
