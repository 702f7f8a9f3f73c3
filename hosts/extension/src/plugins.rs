//! The two plugins, as osqueryd calls them.

use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock};

use osquery_protocol::plugin::{CONFIG_REGISTRY, ConfigRequest, LOGGER_REGISTRY, LoggerRequest};
use osquery_protocol::server::ExtensionHandler;
use osquery_protocol::{ByteString, ExtensionInfo, PluginRequest, Registry, Response, RouteTable, Status};
use tokio::sync::Notify;

use crate::configuration::Configuration;
use crate::outbox::Outbox;
use crate::{CONFIG_PLUGIN, EXTENSION_NAME, EXTENSION_VERSION, LOGGER_PLUGIN, json};

/// The SDK version that is claimed: osqueryd refuses anything before 1.7.7.
const SDK_VERSION: &str = "5.0.0";
/// osqueryd before August 2026 takes no larger configuration.
const SOURCE_SIZE_OF_OLD_OSQUERYD: usize = 1024 * 1024;

/// Who the extension says it is.
pub(crate) fn extension_info() -> ExtensionInfo {
    ExtensionInfo {
        name: EXTENSION_NAME.into(),
        version: EXTENSION_VERSION.into(),
        sdk_version: SDK_VERSION.into(),
        min_sdk_version: SDK_VERSION.into(),
    }
}

/// What it says it can do.
pub(crate) fn registry() -> Registry {
    let plugin = |name: &str| RouteTable::from([(ByteString::from(name), Vec::new())]);
    Registry::from([
        (CONFIG_REGISTRY.into(), plugin(CONFIG_PLUGIN)),
        (LOGGER_REGISTRY.into(), plugin(LOGGER_PLUGIN)),
    ])
}

/// Answers osqueryd.
pub(crate) struct Plugins {
    configuration_path: PathBuf,
    /// The last configuration that could be used.
    configuration: RwLock<Arc<Configuration>>,
    outbox: Arc<Outbox>,
    shutdown: Arc<Notify>,
}

impl Plugins {
    /// `shutdown` is notified when osqueryd asks the extension to end.
    pub(crate) fn new(
        configuration_path: PathBuf,
        configuration: Configuration,
        outbox: Arc<Outbox>,
        shutdown: Arc<Notify>,
    ) -> Self {
        Self {
            configuration_path,
            configuration: RwLock::new(Arc::new(configuration)),
            outbox,
            shutdown,
        }
    }

    fn configuration(&self) -> Arc<Configuration> {
        Arc::clone(&self.configuration.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn log(&self, request: LoggerRequest) -> Response {
        match request {
            LoggerRequest::Line(line) | LoggerRequest::Snapshot(line) | LoggerRequest::Event(line) => {
                self.outbox.accept(&self.configuration().routing, &line);
            }
            LoggerRequest::Batch(lines) => self.log_batch(&lines),
            LoggerRequest::Init(process) => tracing::debug!(%process, "logging starts"),
            LoggerRequest::Status(_) | LoggerRequest::Unknown => {}
            // The answer is a bit mask in the status code, and no bit is wanted: results only.
            LoggerRequest::Features => {}
        }
        Status::success().into()
    }

    fn log_batch(&self, lines: &[u8]) {
        let configuration = self.configuration();
        let mut left = json::elements(lines).into_iter().flatten();
        let complete = left.all(|line| {
            let line = line.ok().and_then(json::text);
            line.is_some_and(|line| {
                self.outbox.accept(&configuration.routing, &line);
                true
            })
        });
        if !complete || json::elements(lines).is_err() {
            tracing::warn!(
                bytes = lines.len(),
                "a batch of lines is not an array of strings; its rest was dropped"
            );
            self.outbox.count_lost();
        }
    }

    fn configure(&self, request: ConfigRequest) -> Response {
        match request {
            ConfigRequest::Generate => self.generate(),
            ConfigRequest::Pack { name, value } => {
                match self.configuration().pack(&name.to_text(), &value.to_text()) {
                    Ok(pack) => Response::rows(vec![[(name, pack.into())].into()]),
                    Err(error) => {
                        tracing::error!(pack = %name, "{error}");
                        Status::failed(error.to_string()).into()
                    }
                }
            }
            ConfigRequest::Unknown => Status::failed("a config plugin knows genConfig and genPack").into(),
        }
    }

    /// osqueryd asks at its start and at every refresh, so this is where a changed file is noticed. One
    /// that cannot be used changes nothing: osqueryd goes on with the last good one.
    fn generate(&self) -> Response {
        if let Err(error) = self.reload() {
            tracing::error!("the configuration in force stays, because: {error}");
        }
        match &self.configuration().source {
            Some(source) => {
                if source.len() > SOURCE_SIZE_OF_OLD_OSQUERYD {
                    tracing::warn!(
                        bytes = source.len(),
                        "older versions of osqueryd take at most 1 MiB of `source`"
                    );
                }
                Response::rows(vec![[("source_one".into(), source.as_str().into())].into()])
            }
            None => Status::failed("the extension's configuration has no `source`").into(),
        }
    }

    fn reload(&self) -> Result<(), crate::configuration::ConfigurationError> {
        let fresh = Configuration::load(&self.configuration_path)?;
        self.outbox.adopt(&fresh.properties)?;
        if fresh.findings != self.configuration().findings {
            fresh.log_findings();
        }
        *self.configuration.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(fresh);
        Ok(())
    }
}

impl ExtensionHandler for Plugins {
    fn call(&self, registry: &ByteString, item: &ByteString, request: PluginRequest) -> Response {
        match (registry.as_str(), item.as_str()) {
            (Some(LOGGER_REGISTRY), Some(LOGGER_PLUGIN)) => self.log(LoggerRequest::read(request)),
            (Some(CONFIG_REGISTRY), Some(CONFIG_PLUGIN)) => self.configure(ConfigRequest::read(request)),
            _ => Status::failed(format!("no plugin `{registry}/{item}` here")).into(),
        }
    }

    /// A line that made the logger fail must not make osqueryd fail.
    fn panicked(&self, registry: &ByteString, item: &ByteString) -> Response {
        tracing::error!("the plugin `{registry}/{item}` failed unexpectedly; what it was given is lost");
        if *registry == LOGGER_REGISTRY {
            self.outbox.count_lost();
            return Status::success().into();
        }
        Status::failed("unexpected failure").into()
    }

    fn shutdown(&self) {
        self.shutdown.notify_one();
    }
}
