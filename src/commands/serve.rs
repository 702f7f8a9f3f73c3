//! `osqdemo serve`: one service of the platform in the foreground. What the native engine starts as processes,
//! and what containers run.

mod log_lines;

use std::future::Future;
use std::io;
use std::path::Path;

use osqdemo_broker::{ConfigFile, ConfigFileError, FlushPolicy, HostPort};
use osqdemo_registry_client::Settings;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio_util::sync::CancellationToken;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::format;

use self::log_lines::Bounded;
use crate::cli::{Flush, ServeBrokerArgs, ServeCommand, ServeConsoleArgs, ServeSchemaRegistryArgs};
use crate::client_properties::{ClientFile, ClientProperties};
use crate::commands::Context;
use crate::error::{Diagnose, Result};
use crate::exit_code::ExitCode;
use crate::kafka;
use crate::link::{self, LinkSettings};
use crate::parent_watch;
use crate::settings::{Advertised, BrokerListeners, ListenerSettings};
use crate::stack::HttpService;

/// A service cannot run.
#[derive(Debug, thiserror::Error)]
enum ServeError {
    #[error("the broker cannot run: {source}")]
    Broker { source: osqdemo_broker::Error },
    #[error("the broker's configuration cannot be followed: {source}")]
    BrokerConfig { source: ConfigFileError },
    #[error("the ksqlDB server cannot run: {source}")]
    Ksqldb { source: osqdemo_ksqldb::Error },
    #[error("the Schema Registry cannot run: {source}")]
    SchemaRegistry { source: osqdemo_schema_registry::Error },
    #[error("the console cannot run: {source}")]
    Console { source: osqdemo_console::Error },
}

impl Diagnose for ServeError {
    fn exit_code(&self) -> ExitCode {
        match self {
            Self::BrokerConfig { .. } => ExitCode::Usage,
            Self::Broker { .. }
            | Self::Ksqldb { .. }
            | Self::SchemaRegistry { .. }
            | Self::Console { .. } => ExitCode::Start,
        }
    }

    fn hints(&self) -> Vec<String> {
        match self {
            Self::Broker { source } => source.hint().into_iter().collect(),
            Self::BrokerConfig { source } => source.hint().into_iter().collect(),
            Self::Ksqldb { .. } | Self::SchemaRegistry { .. } | Self::Console { .. } => Vec::new(),
        }
    }
}

/// Whether the end of standard input ends the service.
#[derive(Debug, Clone, Copy)]
enum Lifeline {
    Watched,
    Ignored,
}

/// Runs the verb until a signal, or the end of standard input where that was asked for.
///
/// # Errors
/// When the service cannot run.
pub async fn run(context: Context, command: ServeCommand) -> Result<()> {
    start_log();
    raise_file_limit();
    match command {
        ServeCommand::Broker(arguments) => {
            let lifeline = lifeline_of(arguments.until_stdin_closes);
            let listeners = BrokerListeners::resolve(&arguments)?;
            let config = broker_config(arguments, listeners)?;
            until_asked(&context, lifeline, |shutdown| async {
                let served = osqdemo_broker::serve(config, shutdown).await;
                Ok(served.map_err(|source| ServeError::Broker { source })?)
            })
            .await
        }
        ServeCommand::Ksqldb(arguments) => {
            let lifeline = lifeline_of(arguments.until_stdin_closes);
            let mut config = osqdemo_ksqldb::Config::new(arguments.listen, arguments.bootstrap_servers);
            config.allowed_hosts = arguments.allow_host;
            config.allowed_origins = arguments.allow_origin;
            let client = client(arguments.kafka_config.as_deref())?;
            config.kafka_properties = client.kafka.0;
            config.service_id = arguments.service_id;
            config.processing_log_stream = arguments.processing_log_stream;
            // Nothing where the stack has none.
            if !arguments.connect.is_empty() {
                config.connect_url = arguments.connect;
            }
            config.store_size = arguments.store_size;
            config.schema_registry = named_or(arguments.schema_registry, client.registry).map(|registry| {
                let settings = kafka::registry_settings(&registry);
                let urls = registry.url.split(',').map(|url| url.trim().to_owned());
                Settings {
                    urls: urls.collect(),
                    ..settings
                }
            });
            until_asked(&context, lifeline, |shutdown| async {
                let served = osqdemo_ksqldb::serve(config, shutdown).await;
                Ok(served.map_err(|source| ServeError::Ksqldb { source })?)
            })
            .await
        }
        ServeCommand::SchemaRegistry(arguments) => {
            let lifeline = lifeline_of(arguments.until_stdin_closes);
            let config = schema_registry_config(arguments)?;
            until_asked(&context, lifeline, |shutdown| async {
                let served = osqdemo_schema_registry::serve(config, shutdown).await;
                Ok(served.map_err(|source| ServeError::SchemaRegistry { source })?)
            })
            .await
        }
        ServeCommand::Console(arguments) => {
            let lifeline = lifeline_of(arguments.until_stdin_closes);
            let config = console_config(arguments)?;
            until_asked(&context, lifeline, |shutdown| async {
                let served = osqdemo_console::serve(config, shutdown).await;
                Ok(served.map_err(|source| ServeError::Console { source })?)
            })
            .await
        }
        ServeCommand::Link(arguments) => {
            let lifeline = lifeline_of(arguments.until_stdin_closes);
            let settings = LinkSettings {
                listen: arguments.listen,
                to: arguments.to,
                control: arguments.control,
            };
            until_asked(&context, lifeline, |shutdown| link::serve(settings, shutdown)).await
        }
    }
}

fn broker_config(arguments: ServeBrokerArgs, listeners: BrokerListeners) -> Result<osqdemo_broker::Config> {
    let mut config = osqdemo_broker::Config::new(arguments.data_dir);
    if arguments.flush == Flush::EveryBatch {
        config.flush = FlushPolicy::EveryBatch;
    }
    config.default_partitions = arguments.default_partitions;
    config.auto_create_topics = arguments.auto_create_topics;
    config.retention.bytes = arguments.retention_bytes;
    config.retention.segment_bytes = arguments.segment_bytes;
    config.metrics = arguments.metrics;
    let BrokerListeners { first, internal } = listeners;
    if let Some(usual) = config.listeners.first_mut() {
        *usual = listener(usual.name.clone(), first);
    }
    let internal = internal.map(|internal| listener("internal".to_owned(), internal));
    config.listeners.extend(internal);
    if let Some(path) = arguments.broker_config {
        let file = ConfigFile::read(&path).map_err(|source| ServeError::BrokerConfig { source })?;
        file.apply(&mut config);
    }
    Ok(config)
}

fn schema_registry_config(arguments: ServeSchemaRegistryArgs) -> Result<osqdemo_schema_registry::Config> {
    let mut config = osqdemo_schema_registry::Config::new(arguments.listen, arguments.bootstrap_servers);
    config.kafka_properties = client(arguments.kafka_config.as_deref())?.kafka.0;
    config.topic = arguments.topic;
    config.allowed_hosts = arguments.allow_host;
    config.allowed_origins = arguments.allow_origin;
    Ok(config)
}

fn console_config(arguments: ServeConsoleArgs) -> Result<osqdemo_console::Config> {
    let mut config = osqdemo_console::Config::new(arguments.listen, arguments.bootstrap_servers);
    let client = client(arguments.kafka_config.as_deref())?;
    config.kafka_properties = client.kafka.0;
    if let Some(ksqldb) = named_or(arguments.ksqldb, client.ksqldb) {
        config.ksqldb_access = access(&ksqldb);
        config.ksqldb_url = Some(ksqldb.url);
    }
    if let Some(registry) = named_or(arguments.schema_registry, client.registry) {
        config.registry_access = access(&registry);
        config.registry_url = Some(registry.url);
    }
    config.allowed_hosts = arguments.allow_host;
    config.allowed_origins = arguments.allow_origin;
    Ok(config)
}

/// What a connection to the broker takes, and to what is beside it.
fn client(file: Option<&Path>) -> Result<ClientProperties> {
    let Some(path) = file else {
        return Ok(ClientProperties::default());
    };
    let client = ClientFile::read(path)?.resolve(|name| std::env::var(name).ok())?;
    kafka::check_properties(path, &client.kafka)?;
    Ok(client)
}

/// The service that an option names, which wants no password; else the one of the client properties.
fn named_or(url: Option<String>, of_client: Option<HttpService>) -> Option<HttpService> {
    let named = url.filter(|url| !url.is_empty()).map(HttpService::open);
    named.or(of_client)
}

fn access(service: &HttpService) -> osqdemo_console::Access {
    let credentials = service.credentials.as_ref();
    osqdemo_console::Access {
        credentials: credentials.map(|known| (known.user.clone(), known.password.clone())),
        certificates: service.certificates.clone(),
    }
}

fn listener(name: String, settings: ListenerSettings) -> osqdemo_broker::Listener {
    let ListenerSettings { bind, advertised } = settings;
    osqdemo_broker::Listener {
        advertised: advertised.map(|Advertised { host, port }| HostPort { host, port }),
        ..osqdemo_broker::Listener::plaintext(name, bind)
    }
}

/// Lets this process open as many files as the system allows it. Every client takes some, a push query about ten,
/// and the usual limit of 1024 is there for programs that cannot handle more.
fn raise_file_limit() {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        ..limit
    };
    if let Err(error) = setrlimit(Resource::Nofile, raised) {
        tracing::warn!("the limit of open files stays at {:?}: {error}", limit.current);
    }
}

fn lifeline_of(until_stdin_closes: bool) -> Lifeline {
    if until_stdin_closes {
        Lifeline::Watched
    } else {
        Lifeline::Ignored
    }
}

/// Runs a service with a token that is cancelled when it is to end.
async fn until_asked<F>(
    context: &Context,
    lifeline: Lifeline,
    serve: impl FnOnce(CancellationToken) -> F,
) -> Result<()>
where
    F: Future<Output = Result<()>>,
{
    let shutdown = context.shutdown.token().child_token();
    if let Lifeline::Watched = lifeline {
        let (ended, asked) = (parent_watch::watch(), shutdown.clone());
        tokio::spawn(async move {
            ended.cancelled().await;
            asked.cancel();
        });
    }
    let at_once = context.shutdown.at_once();
    tokio::select! {
        served = Box::pin(serve(shutdown)) => served,
        // The second signal: whatever is not on disk by now is what a crash would lose too.
        () = at_once.cancelled() => Err(context.shutdown.interrupted().into()),
    }
}

/// The service's own log, on standard error; `RUST_LOG` says how much.
pub fn start_log() {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    // Fails only when a log was started before.
    let _ = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr)
        .with_ansi(false)
        // Where standard error cannot be written, on a full disk, the complaint about it could not be either,
        // and would panic.
        .log_internal_errors(false)
        .event_format(Bounded::new(format()))
        .try_init();
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::cli::{Cli, Command};

    fn config(options: &[&str]) -> osqdemo_broker::Config {
        let arguments = ["osqdemo", "serve", "broker", "--data-dir", "/data"];
        let cli = Cli::try_parse_from(arguments.iter().chain(options)).expect("its options");
        let Command::Serve(ServeCommand::Broker(arguments)) = cli.command else {
            panic!("another verb");
        };
        let listeners = BrokerListeners::resolve(&arguments).expect("its listeners");
        broker_config(arguments, listeners).expect("its configuration")
    }

    #[test]
    fn the_broker_is_what_its_options_say() {
        let usual = config(&[]);
        assert!(usual.auto_create_topics);
        assert_eq!(usual.default_partitions, 1);
        assert!(matches!(usual.flush, FlushPolicy::Every(_)));
        // Kafka's own.
        assert_eq!(
            (usual.retention.bytes, usual.retention.segment_bytes),
            (None, 1 << 30)
        );
        let other = config(&[
            "--auto-create-topics=false",
            "--default-partitions=3",
            "--flush=every-batch",
            "--retention-bytes=1000000",
            "--segment-bytes=2000",
        ]);
        assert!(!other.auto_create_topics);
        assert_eq!(other.default_partitions, 3);
        assert_eq!(other.flush, FlushPolicy::EveryBatch);
        assert_eq!(
            (other.retention.bytes, other.retention.segment_bytes),
            (Some(1_000_000), 2000)
        );
    }
}
