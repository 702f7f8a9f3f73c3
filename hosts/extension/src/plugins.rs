//! The plugins, as osqueryd calls them.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use osquery_configuration::regular_file;
use osquery_protocol::plugin::{
    CONFIG_REGISTRY, ConfigRequest, LOGGER_FEATURE_STATUS, LOGGER_REGISTRY, LoggerRequest, TABLE_REGISTRY,
};
use osquery_protocol::server::ExtensionHandler;
use osquery_protocol::{
    ByteString, ExtensionInfo, PluginRequest, PluginResponse, Registry, Response, RouteTable, Status,
};
use tokio::sync::Notify;

use crate::configuration::Configuration;
use crate::courier::{Courier, CourierError};
use crate::{CONFIG_PLUGIN, EXTENSION_VERSION, LOGGER_PLUGIN, json, statistics};

/// The SDK version that is claimed: osqueryd refuses anything before 1.7.7.
const SDK_VERSION: &str = "5.0.0";
/// osqueryd before August 2026 takes no larger configuration.
const SOURCE_SIZE_OF_OLD_OSQUERYD: usize = 1024 * 1024;

/// Who the extension says it is.
pub(crate) fn extension_info(name: &str) -> ExtensionInfo {
    ExtensionInfo {
        name: name.into(),
        version: EXTENSION_VERSION.into(),
        sdk_version: SDK_VERSION.into(),
        min_sdk_version: SDK_VERSION.into(),
    }
}

/// What it says it can do. `table` is the description of the table's columns.
pub(crate) fn registry(table: PluginResponse) -> Registry {
    let plugin = |name: &str, route| RouteTable::from([(ByteString::from(name), route)]);
    Registry::from([
        (CONFIG_REGISTRY.into(), plugin(CONFIG_PLUGIN, Vec::new())),
        (LOGGER_REGISTRY.into(), plugin(LOGGER_PLUGIN, Vec::new())),
        (TABLE_REGISTRY.into(), plugin(statistics::TABLE, table)),
    ])
}

/// What changes when a file is written or replaced.
type FileState = (u64, i64, i64, u64);

fn file_state(path: &Path) -> Option<FileState> {
    let metadata = std::fs::metadata(path).ok()?;
    Some((
        metadata.ino(),
        metadata.mtime(),
        metadata.mtime_nsec(),
        metadata.len(),
    ))
}

/// Answers osqueryd.
pub(crate) struct Plugins {
    configuration_path: PathBuf,
    /// The last configuration that could be used.
    configuration: RwLock<Arc<Configuration>>,
    /// The file as it was when it was last read.
    seen: Mutex<Option<FileState>>,
    courier: Arc<Courier>,
    shutdown: Arc<Notify>,
}

impl Plugins {
    /// `shutdown` is notified when osqueryd asks the extension to end.
    pub(crate) fn new(
        configuration_path: PathBuf,
        configuration: Configuration,
        courier: Arc<Courier>,
        shutdown: Arc<Notify>,
    ) -> Self {
        Self {
            seen: Mutex::new(file_state(&configuration_path)),
            configuration_path,
            configuration: RwLock::new(Arc::new(configuration)),
            courier,
            shutdown,
        }
    }

    /// The name to register under, when the configuration says so.
    pub(crate) fn extension_name(&self) -> Option<&'static str> {
        self.configuration().options.extension_name
    }

    /// The columns of the table, as osqueryd wants them.
    pub(crate) fn table_columns(&self) -> PluginResponse {
        let columns = statistics::row(&self.courier).into_iter();
        columns
            .map(|(name, kind, _)| statistics::column_route(name, kind).into())
            .collect()
    }

    fn table(&self, request: PluginRequest) -> Response {
        let action = request.get(b"action".as_slice()).and_then(ByteString::as_str);
        match action {
            Some("generate") => {
                let cells = statistics::row(&self.courier).into_iter();
                Response::rows(vec![
                    cells
                        .map(|(name, _, value)| (name.into(), value.into()))
                        .collect(),
                ])
            }
            Some("columns") => Response::rows(self.table_columns()),
            _ => Status::failed("the table can only be read").into(),
        }
    }

    fn configuration(&self) -> Arc<Configuration> {
        Arc::clone(&self.configuration.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn log(&self, request: LoggerRequest) -> Response {
        match request {
            LoggerRequest::Line(line) | LoggerRequest::Snapshot(line) | LoggerRequest::Event(line) => {
                self.courier.accept(&self.configuration().routing, &line);
            }
            LoggerRequest::Batch(lines) => self.log_batch(&lines),
            LoggerRequest::Init(process) => tracing::debug!(%process, "logging starts"),
            LoggerRequest::Status(lines) => self.log_status(&lines),
            LoggerRequest::Unknown => {}
            // The answer is a bit mask in the status code.
            LoggerRequest::Features => {
                let wanted = self.configuration().options.status_topic.is_some();
                let code = if wanted { LOGGER_FEATURE_STATUS } else { 0 };
                return Status {
                    code: code.into(),
                    ..Status::success()
                }
                .into();
            }
        }
        Status::success().into()
    }

    fn log_status(&self, lines: &[u8]) {
        let configuration = self.configuration();
        let Some(topic) = &configuration.options.status_topic else {
            return;
        };
        for line in json::elements(lines).into_iter().flatten().map_while(Result::ok) {
            self.courier.accept_status(topic, line);
        }
    }

    fn log_batch(&self, lines: &[u8]) {
        let configuration = self.configuration();
        let mut left = json::elements(lines).into_iter().flatten();
        let complete = left.all(|line| {
            let line = line.ok().and_then(json::text);
            line.is_some_and(|line| {
                self.courier.accept(&configuration.routing, &line);
                true
            })
        });
        if !complete || json::elements(lines).is_err() {
            tracing::warn!(
                bytes = lines.len(),
                "a batch of lines is not an array of strings; its rest was dropped"
            );
            self.courier.count_lost();
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

    /// Takes up a file that changed. osqueryd asks for the schedule in it when it wants to; the rest is in force at once.
    pub(crate) fn follow_file(&self) {
        let state = file_state(&self.configuration_path);
        let changed = *self.seen.lock().unwrap_or_else(PoisonError::into_inner) != state;
        if changed && let Err(error) = self.reload() {
            tracing::error!("the configuration in force stays, because: {error}");
        }
    }

    fn reload(&self) -> Result<(), CourierError> {
        // What was handed over is read by now, and cannot change.
        if regular_file::is_handed_over(&self.configuration_path) {
            return Ok(());
        }
        // Before it is read: what is written meanwhile is a change.
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner) = file_state(&self.configuration_path);
        let fresh = Configuration::load(&self.configuration_path)?;
        self.courier.adopt(&fresh)?;
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
            (Some(TABLE_REGISTRY), Some(statistics::TABLE)) => self.table(request),
            _ => Status::failed(format!("no plugin `{registry}/{item}` here")).into(),
        }
    }

    /// A line that made the logger fail must not make osqueryd fail.
    fn panicked(&self, registry: &ByteString, item: &ByteString) -> Response {
        tracing::error!("the plugin `{registry}/{item}` failed unexpectedly; what it was given is lost");
        if *registry == LOGGER_REGISTRY {
            self.courier.count_lost();
            return Status::success().into();
        }
        Status::failed("unexpected failure").into()
    }

    /// A line must not keep osqueryd waiting, whatever the disk does.
    fn overdue(&self, registry: &ByteString, item: &ByteString) -> Response {
        if *registry == LOGGER_REGISTRY {
            self.courier.note_overdue();
            return Status::success().into();
        }
        Status::failed(format!("the plugin `{registry}/{item}` takes too long")).into()
    }

    fn shutdown(&self) {
        self.shutdown.notify_one();
    }
}
