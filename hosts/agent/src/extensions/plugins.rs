//! Calling the plugins of extensions, as osqueryd calls them: a ping on one connection, the call on another.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use osquery_protocol::client::call_like_osqueryd;
use osquery_protocol::plugin::ConfigRequest;
use osquery_protocol::{PluginRequest, PluginResponse, ProtocolError, Response, RouteUuid};

use super::registrations::Registrations;
use super::socket_of;
use osquery_configuration::{Findings, PackText};

use crate::config_source::{ConfigSource, SourceError};
use crate::shutdown::Shutdown;

/// The way to every plugin of every extension.
#[derive(Debug, Clone)]
pub(crate) struct Plugins {
    manager: PathBuf,
    registrations: Arc<Registrations>,
    timeout: Duration,
}

/// A call that did not succeed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PluginError {
    #[error("no extension has the plugin `{registry}/{item}`")]
    NotRegistered { registry: String, item: String },
    #[error("the plugin `{registry}/{item}` cannot be called: {source}")]
    Call {
        registry: String,
        item: String,
        source: ProtocolError,
    },
    #[error("the plugin `{registry}/{item}` answered code {code}: {message}")]
    Refused {
        registry: String,
        item: String,
        code: i32,
        message: String,
    },
}

impl Plugins {
    pub(super) fn new(manager: PathBuf, registrations: Arc<Registrations>, timeout: Duration) -> Self {
        Self {
            manager,
            registrations,
            timeout,
        }
    }

    pub(super) fn socket_of(&self, uuid: RouteUuid) -> PathBuf {
        socket_of(&self.manager, uuid)
    }

    /// Calls a plugin; the answer's code is the caller's to judge.
    pub(crate) fn ask(
        &self,
        registry: &str,
        item: &str,
        request: PluginRequest,
    ) -> Result<Response, PluginError> {
        let names = || (registry.to_owned(), item.to_owned());
        let Some(uuid) = self.registrations.route(registry, item) else {
            let (registry, item) = names();
            return Err(PluginError::NotRegistered { registry, item });
        };
        call_like_osqueryd(&self.socket_of(uuid), self.timeout, registry, item, request).map_err(|source| {
            let (registry, item) = names();
            PluginError::Call {
                registry,
                item,
                source,
            }
        })
    }

    /// Calls a plugin that must answer with code 0.
    pub(crate) fn call(
        &self,
        registry: &str,
        item: &str,
        request: PluginRequest,
    ) -> Result<Response, PluginError> {
        let response = self.ask(registry, item, request)?;
        if response.status.is_success() {
            return Ok(response);
        }
        Err(PluginError::Refused {
            registry: registry.to_owned(),
            item: item.to_owned(),
            code: response.status.code.into(),
            message: response.status.message.to_text().into_owned(),
        })
    }

    /// What an extension says of its table.
    pub(super) fn table(&self, name: &str) -> Option<PluginResponse> {
        self.registrations.table(name)
    }

    pub(crate) fn is_registered(&self, registry: &str, item: &str) -> bool {
        self.registrations.route(registry, item).is_some()
    }

    /// Waits until some extension has a plugin; returns whether one has.
    pub(crate) fn wait_for(
        &self,
        registry: &str,
        item: &str,
        patience: Duration,
        shutdown: &Shutdown,
    ) -> bool {
        self.registrations
            .wait_until(patience, shutdown, |state| state.route(registry, item).is_some())
    }
}

/// An extension's configuration plugin.
#[derive(Debug)]
pub(crate) struct ConfigPlugin {
    pub(crate) name: String,
    pub(crate) plugins: Plugins,
}

impl ConfigPlugin {
    fn ask(&self, request: ConfigRequest) -> Result<BTreeMap<String, String>, String> {
        let response = self
            .plugins
            .call("config", &self.name, request.into_request())
            .map_err(|error| error.to_string())?;
        match response.rows.as_slice() {
            [row] => Ok(row
                .iter()
                .map(|(name, text)| (name.to_string(), text.to_string()))
                .collect()),
            rows => Err(format!("it answered {} rows, not one", rows.len())),
        }
    }
}

impl ConfigSource for ConfigPlugin {
    fn sources(&self) -> Result<BTreeMap<String, String>, SourceError> {
        self.ask(ConfigRequest::Generate)
            .map_err(|reason| SourceError::Plugin {
                plugin: self.name.clone(),
                reason,
            })
    }
}

impl PackText for ConfigPlugin {
    fn pack_text(&self, name: &str, value: &str, _: &mut Findings) -> Result<String, String> {
        let mut row = self.ask(ConfigRequest::Pack {
            name: name.into(),
            value: value.into(),
        })?;
        match row.remove(name) {
            Some(text) if !text.is_empty() => Ok(text),
            Some(_) => Err("the plugin has no such pack".to_owned()),
            None => Err("Invalid plugin response".to_owned()),
        }
    }
}
