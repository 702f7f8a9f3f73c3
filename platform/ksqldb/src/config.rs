//! What the server is told when it starts.

use std::net::SocketAddr;
use std::time::Duration;

/// Where Kafka Connect is looked for by itself.
pub(crate) const CONNECT_URL: &str = "http://localhost:8083";

/// How the server runs.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where the REST API listens; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Kafka's brokers, `host:port[,host:port…]`.
    pub bootstrap_servers: String,
    /// librdkafka properties beyond the brokers, for a cluster that wants TLS and SASL.
    pub kafka_properties: Vec<(String, String)>,
    /// Names the server's own topics and consumer groups, so that two servers can share a broker.
    pub service_id: String,
    /// Where queries begin unless a request sets `auto.offset.reset`.
    pub offset_reset: OffsetReset,
    /// Names under which clients reach this server, besides loopback's and its own (`--allow-host`).
    pub allowed_hosts: Vec<String>,
    /// Origins (`http://host:port`) whose pages may use it, besides its own (`--allow-origin`).
    pub allowed_origins: Vec<String>,
    /// Whether the processing log is a stream that can be queried, `KSQL_PROCESSING_LOG`
    /// (`ksql.logging.processing.stream.auto.create`).
    pub processing_log_stream: bool,
    /// The Schema Registry (`ksql.schema.registry.url`).
    pub schema_registry: Option<osqdemo_registry_client::Settings>,
    /// Kafka Connect, which statements about connectors are handed on to (`ksql.connect.url`).
    pub connect_url: String,
    /// How many commands the command log may hold that no longer matter, besides as many as those that do.
    pub past_commands: usize,
    /// How long a client may take to send a request.
    pub request_deadline: Duration,
    /// How many WebSockets may be open at a time.
    pub most_websockets: usize,
    /// What the rows of a store may take, in bytes (`--store-size`). A query whose store takes more fails.
    pub store_size: usize,
}

impl Config {
    /// The defaults of a ksqlDB server: service id `default_`, queries begin with new records, clients and pages
    /// of this machine alone.
    pub fn new(listen: SocketAddr, bootstrap_servers: impl Into<String>) -> Self {
        Self {
            listen,
            bootstrap_servers: bootstrap_servers.into(),
            kafka_properties: Vec::new(),
            service_id: "default_".to_owned(),
            offset_reset: OffsetReset::Latest,
            allowed_hosts: Vec::new(),
            allowed_origins: Vec::new(),
            processing_log_stream: false,
            schema_registry: None,
            connect_url: CONNECT_URL.to_owned(),
            past_commands: 1_000,
            request_deadline: Duration::from_secs(30),
            most_websockets: 200,
            store_size: 1024 * 1024 * 1024,
        }
    }

    /// The topic that holds every executed command.
    pub(crate) fn command_topic(&self) -> String {
        format!("{}command_topic", self.internal_prefix("_"))
    }

    /// The topic of the processing log.
    pub(crate) fn processing_log_topic(&self) -> String {
        format!("{}ksql_processing_log", self.service_id)
    }

    /// The consumer group under which a persistent query commits its position.
    pub(crate) fn query_group(&self, query_id: &str) -> String {
        format!("{}query_{query_id}", self.internal_prefix(""))
    }

    /// The consumer group of something that commits nothing.
    pub(crate) fn transient_group(&self, query_id: &str) -> String {
        format!("{}{query_id}", self.internal_prefix(""))
    }

    /// The consumer group of a push query that starts now.
    pub(crate) fn push_group(&self, query_id: &str) -> String {
        let now = osqdemo_clock::unix_ms();
        self.transient_group(&format!("transient_{query_id}_{now}"))
    }

    /// Whether a topic is the server's own.
    pub(crate) fn is_internal_topic(name: &str) -> bool {
        name.starts_with("_confluent") || name.starts_with("__")
    }

    fn internal_prefix(&self, separator: &str) -> String {
        format!("_confluent-ksql-{}{separator}", self.service_id)
    }
}

/// Where a query without a position begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OffsetReset {
    /// With the oldest record.
    Earliest,
    /// With the records that come after it was made.
    Latest,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn topics_and_groups_are_named_as_ksqldb_names_them() {
        let config = Config::new(([127, 0, 0, 1], 0).into(), "localhost:9092");
        assert_eq!(config.command_topic(), "_confluent-ksql-default__command_topic");
        assert_eq!(
            config.query_group("CSAS_PROC_5"),
            "_confluent-ksql-default_query_CSAS_PROC_5"
        );
        assert_eq!(config.processing_log_topic(), "default_ksql_processing_log");
    }
}
