//! One service, or one helper of the engines, in the foreground.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use crate::quantity::parse_size;

/// `osqdemo serve`.
#[derive(Debug, Subcommand)]
pub enum ServeCommand {
    /// The Kafka broker.
    Broker(ServeBrokerArgs),
    /// The Schema Registry.
    SchemaRegistry(ServeSchemaRegistryArgs),
    /// The ksqlDB server.
    Ksqldb(ServeKsqldbArgs),
    /// The web console.
    Console(ServeConsoleArgs),
    /// What stands between a client and the broker while there are faults of the network (started by the supervisor).
    #[command(hide = true)]
    Link(ServeLinkArgs),
}

/// When records are brought to the disk itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Flush {
    /// In the background, within a second.
    Interval,
    /// Before they are acknowledged.
    EveryBatch,
}

/// `osqdemo serve broker`.
#[derive(Debug, Args)]
pub struct ServeBrokerArgs {
    /// The folder of the topics' data.
    #[arg(long, value_name = "DIR")]
    pub data_dir: PathBuf,
    /// The address for clients.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:9092")]
    pub listen: std::net::SocketAddr,
    /// The `HOST:PORT` told to clients; the listen address by default.
    #[arg(long, value_name = "HOST:PORT")]
    pub advertise: Option<String>,
    /// A second address, for clients that are told another way back: those in other containers.
    #[arg(long, value_name = "ADDRESS", requires = "internal_advertise")]
    pub internal_listen: Option<std::net::SocketAddr>,
    /// The `HOST:PORT` told to the clients of the second address.
    #[arg(long, value_name = "HOST:PORT", requires = "internal_listen")]
    pub internal_advertise: Option<String>,
    /// A file with more listeners, TLS, users, who may do what, when records are synced and what clients may take; what it
    /// says takes the place of options, and one of its listeners named `host` or `internal` that of the options' one.
    #[arg(long, value_name = "FILE")]
    pub broker_config: Option<PathBuf>,
    /// When records are brought to the disk itself: `interval` (within a second of their acknowledgement) or
    /// `every-batch` (before it).
    #[arg(long, value_name = "WHEN", value_enum, default_value_t = Flush::Interval)]
    pub flush: Flush,
    /// Partitions of a topic whose creator asks for no number.
    #[arg(long, value_name = "COUNT", default_value_t = 1, value_parser = clap::value_parser!(i32).range(1..=10_000))]
    pub default_partitions: i32,
    /// Whether a client that asks about a topic that does not exist may create it.
    #[arg(long, value_name = "true|false", default_value_t = true, action = clap::ArgAction::Set)]
    pub auto_create_topics: bool,
    /// Bytes a partition keeps unless its topic says otherwise; without a limit, as with Kafka, when not given.
    #[arg(long, value_name = "BYTES", value_parser = clap::value_parser!(u64).range(1..))]
    pub retention_bytes: Option<u64>,
    /// Bytes of a segment, the unit in which records are given up, unless the topic says otherwise.
    #[arg(long, value_name = "BYTES", default_value_t = 1 << 30, value_parser = clap::value_parser!(u64).range(14..))]
    pub segment_bytes: u64,
    /// Tell metrics to Prometheus at this address, under `/metrics`, by the names that Kafka's have there; without an address at
    /// 127.0.0.1:9404.
    #[arg(long, value_name = "ADDRESS", num_args = 0..=1, default_missing_value = "127.0.0.1:9404")]
    pub metrics: Option<std::net::SocketAddr>,
    /// End when standard input does.
    #[arg(long, hide = true)]
    pub until_stdin_closes: bool,
}

/// `osqdemo serve schema-registry`.
#[derive(Debug, Args)]
pub struct ServeSchemaRegistryArgs {
    /// The address of the REST API.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8081")]
    pub listen: std::net::SocketAddr,
    /// The broker that keeps the schemas.
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:9092")]
    pub bootstrap_servers: String,
    /// A file of client properties, for a broker that wants TLS and a password.
    #[arg(long, value_name = "FILE")]
    pub kafka_config: Option<PathBuf>,
    /// The topic that keeps them.
    #[arg(long, value_name = "TOPIC", default_value = "_schemas")]
    pub topic: String,
    /// A name under which clients reach it, besides loopback's and `schema-registry`.
    #[arg(long, value_name = "HOST")]
    pub allow_host: Vec<String>,
    /// An origin whose web pages may use it.
    #[arg(long, value_name = "ORIGIN")]
    pub allow_origin: Vec<String>,
    /// End when standard input does.
    #[arg(long, hide = true)]
    pub until_stdin_closes: bool,
}

/// `osqdemo serve ksqldb`.
#[derive(Debug, Args)]
pub struct ServeKsqldbArgs {
    /// The address of the REST API.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8088")]
    pub listen: std::net::SocketAddr,
    /// The broker.
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:9092")]
    pub bootstrap_servers: String,
    /// A file of client properties, for a broker that wants TLS and a password.
    #[arg(long, value_name = "FILE")]
    pub kafka_config: Option<PathBuf>,
    /// A name under which clients reach it, besides loopback's and `ksqldb-server`.
    #[arg(long, value_name = "HOST")]
    pub allow_host: Vec<String>,
    /// An origin whose web pages may use it.
    #[arg(long, value_name = "ORIGIN")]
    pub allow_origin: Vec<String>,
    /// Declare the stream KSQL_PROCESSING_LOG, which tells what was wrong with single records.
    #[arg(long)]
    pub processing_log_stream: bool,
    /// The name of the server among those on one Kafka: its topics and groups carry it.
    #[arg(long, value_name = "ID", default_value = "default_")]
    pub service_id: String,
    /// The Schema Registry of the formats AVRO and JSON_SR, where there is one; else that of the client properties.
    #[arg(long, value_name = "URL")]
    pub schema_registry: Option<String>,
    /// Kafka Connect, which runs the connectors of CREATE CONNECTOR.
    #[arg(long, value_name = "URL", default_value = "http://localhost:8083")]
    pub connect: String,
    /// The memory that each store of a query may take: a table, the groups of an aggregate, a side of a table's join.
    ///
    /// A query that needs more fails and says so.
    #[arg(long, value_name = "SIZE", default_value = "1G", value_parser = store_size)]
    pub store_size: usize,
    /// End when standard input does.
    #[arg(long, hide = true)]
    pub until_stdin_closes: bool,
}

/// Less would not hold the rows of anything.
const LEAST_STORE_SIZE: usize = 1024 * 1024;

fn store_size(text: &str) -> Result<usize, String> {
    let size = parse_size(text).map_err(|error| error.to_string())?;
    match usize::try_from(size) {
        Ok(size) if size >= LEAST_STORE_SIZE => Ok(size),
        _ => Err("a store takes at least `1M`".to_owned()),
    }
}

/// `osqdemo serve console`.
#[derive(Debug, Args)]
pub struct ServeConsoleArgs {
    /// The address of the page.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:9021")]
    pub listen: std::net::SocketAddr,
    /// The broker.
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:9092")]
    pub bootstrap_servers: String,
    /// A file of client properties, for a broker that wants TLS and a password.
    #[arg(long, value_name = "FILE")]
    pub kafka_config: Option<PathBuf>,
    /// The ksqlDB server, where there is one; else that of the client properties.
    #[arg(long, value_name = "URL")]
    pub ksqldb: Option<String>,
    /// The Schema Registry, where there is one; else that of the client properties.
    #[arg(long, value_name = "URL")]
    pub schema_registry: Option<String>,
    /// A name under which browsers reach it, besides loopback's and `console`.
    #[arg(long, value_name = "HOST")]
    pub allow_host: Vec<String>,
    /// An origin whose web pages may use it.
    #[arg(long, value_name = "ORIGIN")]
    pub allow_origin: Vec<String>,
    /// End when standard input does.
    #[arg(long, hide = true)]
    pub until_stdin_closes: bool,
}

/// `osqdemo serve link`.
#[derive(Debug, Args)]
pub struct ServeLinkArgs {
    /// The address for the client.
    #[arg(long, value_name = "ADDRESS")]
    pub listen: std::net::SocketAddr,
    /// The broker's address.
    #[arg(long, value_name = "HOST:PORT")]
    pub to: String,
    /// The socket over which it is told what the way is like.
    #[arg(long, value_name = "PATH")]
    pub control: PathBuf,
    /// End when standard input does.
    #[arg(long)]
    pub until_stdin_closes: bool,
}

/// `osqdemo supervise`.
#[derive(Debug, Args)]
pub struct SuperviseArgs {}

/// `osqdemo host-init`.
#[derive(Debug, Args)]
pub struct HostInitArgs {
    /// The host's settings file.
    pub spec: PathBuf,
}

/// `osqdemo probe`.
#[derive(Debug, Args)]
pub struct ProbeArgs {
    /// How to ask.
    #[arg(value_name = "kafka|ksqldb|zookeeper|schema-registry|control-center")]
    pub probe: String,
    /// The service's `HOST:PORT`.
    pub address: String,
}
