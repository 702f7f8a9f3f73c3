//! What the console is told when it starts.

use std::net::SocketAddr;

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
    /// The base URL of the Schema Registry, where there is one.
    pub registry_url: Option<String>,
    /// Names under which the console may be called besides the loopback ones.
    pub allowed_hosts: Vec<String>,
    /// Origins, such as `https://example.org`, whose pages may send requests besides the console's own.
    pub allowed_origins: Vec<String>,
}

impl Config {
    /// A console of a cluster without ksqlDB and registry.
    pub fn new(listen: SocketAddr, bootstrap_servers: impl Into<String>) -> Self {
        Self {
            listen,
            bootstrap_servers: bootstrap_servers.into(),
            kafka_properties: Vec::new(),
            ksqldb_url: None,
            registry_url: None,
            allowed_hosts: Vec::new(),
            allowed_origins: Vec::new(),
        }
    }
}
