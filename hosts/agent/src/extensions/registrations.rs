//! Who has registered, under osqueryd's rules, and osqueryd's answers to its extensions' calls.

use std::collections::BTreeMap;
use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher as _, Hasher as _};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use osquery_protocol::plugin::TABLE_REGISTRY;
use osquery_protocol::server::{ExtensionHandler, ManagerHandler};
use osquery_protocol::{
    ByteString, ExtensionInfo, OptionInfo, PluginRequest, PluginResponse, Registry, Response, RouteUuid,
    Status,
};

use crate::agent_status::{AgentStatus, ExtensionStatus};
use crate::flags::Flags;
use crate::shutdown::Shutdown;
use crate::sql::{Database, TextRows};
use crate::status_log::StatusLog;
use osquery_configuration::OSQUERY_VERSION;

/// The registries an extension may add plugins to.
const REGISTRIES: [&str; 5] = ["config", "logger", "table", "distributed", "enroll"];
/// The plugins osqueryd has itself, whose names are taken.
const OWN_PLUGINS: [(&str, &str); 3] = [
    ("config", "filesystem"),
    ("logger", "filesystem"),
    ("logger", "stdout"),
];
/// The oldest SDK that is accepted.
const OLDEST_SDK: [u64; 3] = [1, 7, 7];
/// How often a wait looks whether the agent is to end.
const STEP: Duration = Duration::from_millis(100);

/// The list, and what is needed to answer calls.
pub(super) struct Registrations {
    state: Mutex<State>,
    changed: Condvar,
    flags: Flags,
    database: Arc<Mutex<Database>>,
    shutdown: Shutdown,
    status: StatusLog,
    /// Where tables read who has registered.
    agent: AgentStatus,
}

/// The extensions by number.
#[derive(Debug, Default)]
pub(super) struct State {
    extensions: BTreeMap<RouteUuid, Registered>,
}

/// One extension.
#[derive(Debug)]
struct Registered {
    info: ExtensionInfo,
    plugins: Registry,
    since: Instant,
}

impl State {
    pub(super) fn has_extension(&self, name: &str) -> bool {
        self.extensions.values().any(|known| known.info.name == name)
    }

    /// The extension that has a plugin.
    pub(super) fn route(&self, registry: &str, item: &str) -> Option<RouteUuid> {
        let has = |plugins: &Registry| {
            plugins
                .get(registry.as_bytes())
                .is_some_and(|items| items.contains_key(item.as_bytes()))
        };
        self.extensions
            .iter()
            .find(|(_, known)| has(&known.plugins))
            .map(|(&uuid, _)| uuid)
    }

    /// osqueryd's reasons to refuse, in its words.
    fn refusal(&self, info: &ExtensionInfo, registry: &Registry) -> Option<String> {
        if self.has_extension(&info.name.to_text()) {
            return Some("Duplicate extension registered".to_owned());
        }
        if is_too_old(&info.sdk_version) {
            return Some(format!("Extension SDK version too old: {}", info.sdk_version));
        }
        for (name, items) in registry {
            let known = name.as_str().filter(|name| REGISTRIES.contains(name));
            let Some(known) = known else {
                return Some(format!("Unknown registry name: {name}"));
            };
            for item in items.keys() {
                let item_name = item.to_text();
                if OWN_PLUGINS.contains(&(known, &*item_name)) || self.route(known, &item_name).is_some() {
                    return Some(format!("Duplicate registry item exists: {item}"));
                }
            }
        }
        None
    }

    /// A number of 16 bits that is not in use, and not osqueryd's own 0.
    fn free_uuid(&self) -> RouteUuid {
        loop {
            let random = RandomState::new().build_hasher().finish();
            let uuid = RouteUuid::from(u16::try_from(random % (1 << 16)).unwrap_or_default());
            if uuid != 0 && !self.extensions.contains_key(&uuid) {
                return uuid;
            }
        }
    }
}

impl std::fmt::Debug for Registrations {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Registrations")
            .field("state", &self.state)
            .finish_non_exhaustive()
    }
}

impl Registrations {
    pub(super) fn new(
        flags: Flags,
        database: Arc<Mutex<Database>>,
        shutdown: Shutdown,
        status: StatusLog,
        agent: AgentStatus,
    ) -> Self {
        agent.update(|agent| agent.extensions_socket.clone_from(&flags.extensions_socket));
        Self {
            state: Mutex::default(),
            changed: Condvar::new(),
            flags,
            database,
            shutdown,
            status,
            agent,
        }
    }

    /// The descriptions of an extension's table, if an extension has it.
    pub(super) fn table(&self, name: &str) -> Option<PluginResponse> {
        let state = self.lock();
        let mut known = state.extensions.values();
        known.find_map(|known| {
            let tables = known.plugins.get(TABLE_REGISTRY.as_bytes())?;
            tables.get(name.as_bytes()).cloned()
        })
    }

    /// Tells the tables who has registered.
    fn tell(&self, state: &State) {
        let manager = std::path::Path::new(&self.flags.extensions_socket);
        let extensions = state.extensions.iter().map(|(&uuid, known)| ExtensionStatus {
            uuid,
            name: known.info.name.to_string(),
            version: known.info.version.to_string(),
            sdk_version: known.info.sdk_version.to_string(),
            socket: super::socket_of(manager, uuid).display().to_string(),
            plugins: names_of(&known.plugins),
        });
        let extensions: Vec<ExtensionStatus> = extensions.collect();
        self.agent.update(|agent| {
            agent.extensions_active = !extensions.is_empty();
            agent.extensions = extensions;
        });
    }

    /// The extensions that have been registered for at least so long: a newer one may not serve its socket yet, whose
    /// name it only learns by registering.
    pub(super) fn older_than(&self, age: Duration) -> Vec<RouteUuid> {
        let state = self.lock();
        state
            .extensions
            .iter()
            .filter(|(_, known)| known.since.elapsed() >= age)
            .map(|(&uuid, _)| uuid)
            .collect()
    }

    pub(super) fn find_extension(&self, name: &str) -> Option<RouteUuid> {
        self.lock()
            .extensions
            .iter()
            .find(|(_, known)| known.info.name == name)
            .map(|(&uuid, _)| uuid)
    }

    pub(super) fn uuids(&self) -> Vec<RouteUuid> {
        self.lock().extensions.keys().copied().collect()
    }

    pub(super) fn route(&self, registry: &str, item: &str) -> Option<RouteUuid> {
        self.lock().route(registry, item)
    }

    /// Takes an extension off the list because it does not answer.
    pub(super) fn remove(&self, uuid: RouteUuid, reason: &str) {
        let removed = {
            let mut state = self.lock();
            let removed = state.extensions.remove(&uuid);
            self.tell(&state);
            removed
        };
        if let Some(Registered { info, .. }) = removed {
            self.status.info(&format!(
                "Extension {} ({uuid}) has gone away: {reason}",
                info.name
            ));
        }
        self.changed.notify_all();
    }

    /// Waits until the list is as wanted; returns whether it is.
    pub(super) fn wait_until(
        &self,
        patience: Duration,
        shutdown: &Shutdown,
        wanted: impl Fn(&State) -> bool,
    ) -> bool {
        let deadline = Instant::now() + patience;
        let mut state = self.lock();
        loop {
            if wanted(&state) {
                return true;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() || shutdown.is_requested() {
                return false;
            }
            state = self
                .changed
                .wait_timeout(state, left.min(STEP))
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn database(&self) -> MutexGuard<'_, Database> {
        self.database.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ExtensionHandler for Registrations {
    fn call(&self, registry: &ByteString, item: &ByteString, _: PluginRequest) -> Response {
        Status::failed(format!(
            "the agent has no plugin {registry}/{item} for its extensions"
        ))
        .into()
    }

    fn shutdown(&self) {
        self.status.info("An extension asks the agent to end");
        self.shutdown.request();
    }
}

impl ManagerHandler for Registrations {
    fn extensions(&self) -> BTreeMap<RouteUuid, ExtensionInfo> {
        let core = ExtensionInfo {
            name: "core".into(),
            version: OSQUERY_VERSION.into(),
            sdk_version: "0.0.0".into(),
            min_sdk_version: "0.0.0".into(),
        };
        let state = self.lock();
        let registered = state
            .extensions
            .iter()
            .map(|(&uuid, known)| (uuid, known.info.clone()));
        std::iter::once((0, core)).chain(registered).collect()
    }

    fn options(&self) -> BTreeMap<ByteString, OptionInfo> {
        let options = self.flags.options().into_iter();
        options
            .map(|(name, value, default_value, kind)| {
                (
                    name.into(),
                    OptionInfo {
                        value: value.into(),
                        default_value: default_value.into(),
                        kind: kind.into(),
                    },
                )
            })
            .collect()
    }

    fn register(&self, info: ExtensionInfo, registry: Registry) -> Status {
        let mut state = self.lock();
        if let Some(reason) = state.refusal(&info, &registry) {
            self.status.warning(&format!(
                "Refused to register the extension {}: {reason}",
                info.name
            ));
            return Status::failed(reason);
        }
        let uuid = state.free_uuid();
        self.status.info(&format!(
            "Registering extension ({}, {uuid}, version={}, sdk={})",
            info.name, info.version, info.sdk_version
        ));
        state.extensions.insert(
            uuid,
            Registered {
                info,
                plugins: registry,
                since: Instant::now(),
            },
        );
        self.tell(&state);
        drop(state);
        self.changed.notify_all();
        Status::success().with_uuid(uuid)
    }

    fn deregister(&self, uuid: RouteUuid) -> Status {
        let removed = {
            let mut state = self.lock();
            let removed = state.extensions.remove(&uuid);
            self.tell(&state);
            removed
        };
        self.changed.notify_all();
        match removed {
            Some(_) => Status::success().with_uuid(uuid),
            None => Status::failed("No extension UUID registered"),
        }
    }

    fn query(&self, sql: &ByteString) -> Response {
        let mut rows = TextRows::default();
        match self.database().query(&sql.to_text(), &mut rows) {
            Ok(()) => Response::rows(rows.into_rows().into_iter().map(row).collect()),
            Err(error) => Status::failed(error.to_string()).into(),
        }
    }

    fn query_columns(&self, sql: &ByteString) -> Response {
        match self.database().columns(&sql.to_text()) {
            Ok(columns) => Response::rows(
                columns
                    .into_iter()
                    .map(|(name, kind)| BTreeMap::from([(name.into(), kind.into())]))
                    .collect(),
            ),
            Err(error) => Status::failed(error.to_string()).into(),
        }
    }
}

/// The names of all plugins, each behind its registry's.
fn names_of(plugins: &Registry) -> Vec<(String, String)> {
    let names = plugins.iter().flat_map(|(registry, items)| {
        items
            .keys()
            .map(move |item| (registry.to_string(), item.to_string()))
    });
    names.collect()
}

fn row(columns: BTreeMap<String, Vec<u8>>) -> BTreeMap<ByteString, ByteString> {
    columns
        .into_iter()
        .map(|(name, value)| (name.into(), value.into()))
        .collect()
}

/// Versions that are no version pass, and so does `0.0.0`, as with osqueryd.
fn is_too_old(version: &ByteString) -> bool {
    let text = version.to_text();
    let numbers: Result<Vec<u64>, _> = text.split('.').take(3).map(str::parse).collect();
    match numbers {
        Ok(numbers) => {
            numbers.iter().any(|&number| number != 0) && numbers.as_slice() < OLDEST_SDK.as_slice()
        }
        Err(_) => false,
    }
}

#[cfg(test)]
mod tests;
