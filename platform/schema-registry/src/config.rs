//! What the registry is told when it starts.

use std::net::SocketAddr;
use std::time::Duration;

/// How the registry runs.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where the REST API is served; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Kafka's brokers, `host:port[,host:port…]`.
    pub bootstrap_servers: String,
    /// librdkafka properties beyond the brokers, for a cluster that wants TLS and SASL.
    pub kafka_properties: Vec<(String, String)>,
    /// The topic that holds the schemas.
    pub topic: String,
    /// How long a change may take to be acknowledged and read back.
    pub write_deadline: Duration,
    /// Names under which the registry may be called besides the loopback ones.
    pub allowed_hosts: Vec<String>,
    /// Origins, such as `https://example.org`, whose pages may use the registry.
    pub allowed_origins: Vec<String>,
}

impl Config {
    /// A registry of a cluster, with what Confluent's has by default.
    pub fn new(listen: SocketAddr, bootstrap_servers: impl Into<String>) -> Self {
        Self {
            listen,
            bootstrap_servers: bootstrap_servers.into(),
            kafka_properties: Vec::new(),
            topic: "_schemas".to_owned(),
            write_deadline: Duration::from_secs(10),
            allowed_hosts: Vec::new(),
            allowed_origins: Vec::new(),
        }
    }
}
