//! A fake osqueryd for the tests of extensions.
//!
//! It does what the real one does at its sockets: accepts registrations (and refuses the ones it would
//! refuse), lists and drops extensions, and calls a plugin with two fresh connections. It runs no queries.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::client::{ExtensionClient, call_like_osqueryd, extension_socket};
use crate::plugin::{CONFIG_REGISTRY, ConfigRequest, LOGGER_REGISTRY, LoggerRequest};
use crate::server::{ExtensionHandler, ManagerHandler, RunningServer};
use crate::types::{
    ExtensionInfo, OptionInfo, PluginRequest, PluginResponse, Registry, Response, RouteUuid, Status,
};
use crate::{ByteString, ProtocolError};

/// The patience of every call to an extension.
const CALL_TIMEOUT: Duration = Duration::from_secs(10);

/// Numbers are handed out from here on. The real osqueryd draws them at random.
const FIRST_UUID: RouteUuid = 20_000;

/// A fake osqueryd; it ends when this value is dropped.
#[derive(Debug)]
pub struct FakeOsqueryd {
    server: RunningServer,
    state: Arc<State>,
}

impl FakeOsqueryd {
    /// Listens on `socket`.
    ///
    /// # Errors
    /// [`ProtocolError::Listen`] when the socket cannot be had.
    pub fn start(socket: &Path) -> Result<Self, ProtocolError> {
        let state = Arc::new(State {
            socket: socket.to_path_buf(),
            ..State::default()
        });
        let server = RunningServer::manager(socket, Arc::clone(&state))?;
        Ok(Self { server, state })
    }

    /// The socket that extensions register at.
    pub fn socket(&self) -> &Path {
        self.server.path()
    }

    /// Refuses the next `count` registrations with `message`.
    pub fn refuse_registrations(&self, count: usize, message: &str) {
        self.state.lock().refusals = vec![ByteString::from(message); count];
    }

    /// Gives a flag a value, as it is told to extensions that ask.
    pub fn set_option(&self, name: &str, value: &str) {
        self.state.lock().options.insert(name.into(), value.into());
    }

    /// How many registrations were attempted so far, refused ones included.
    pub fn registration_attempts(&self) -> usize {
        self.state.lock().attempts
    }

    /// Waits until an extension of that name is registered and answers on its own socket. `None` when
    /// that does not happen within `patience`.
    pub fn wait_for_extension(&self, name: &str, patience: Duration) -> Option<FakeExtension> {
        let deadline = Instant::now() + patience;
        let mut inner = self.state.lock();
        loop {
            let found = inner.extensions.iter().find(|(_, (info, _))| info.name == name);
            if let Some((&uuid, (info, registry))) = found {
                let extension = FakeExtension {
                    uuid,
                    info: info.clone(),
                    registry: registry.clone(),
                    socket: extension_socket(&self.state.socket, uuid),
                };
                drop(inner);
                if extension.ping().is_ok() {
                    return Some(extension);
                }
                inner = self.state.lock();
            }
            let left = deadline.checked_duration_since(Instant::now())?;
            // The extension's own socket appears without a notice, a moment after it is on the list. How long a start takes is
            // measured by this, hence the short turns.
            let turn = left.min(Duration::from_micros(200));
            inner = self
                .state
                .changed
                .wait_timeout(inner, turn)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
    }

    /// Takes an extension off the list, as osqueryd does with one that fails its ping.
    pub fn drop_extension(&self, uuid: RouteUuid) {
        self.state.lock().extensions.remove(&uuid);
    }

    /// The extensions that took their leave, in order.
    pub fn deregistered(&self) -> Vec<RouteUuid> {
        self.state.lock().deregistered.clone()
    }

    /// Ends, as an osqueryd that dies.
    pub fn stop(self) {
        self.server.stop();
    }
}

/// An extension that registered at a [`FakeOsqueryd`].
#[derive(Clone, Debug)]
pub struct FakeExtension {
    /// Its number.
    pub uuid: RouteUuid,
    /// What it said of itself.
    pub info: ExtensionInfo,
    /// Its plugins.
    pub registry: Registry,
    /// Its socket.
    pub socket: PathBuf,
}

impl FakeExtension {
    /// Pings on a fresh connection.
    ///
    /// # Errors
    /// Any [`ProtocolError`] of the call.
    pub fn ping(&self) -> Result<Status, ProtocolError> {
        ExtensionClient::connect(&self.socket, CALL_TIMEOUT)?.ping()
    }

    /// Calls a plugin as osqueryd does.
    ///
    /// # Errors
    /// Any [`ProtocolError`] of the two calls.
    pub fn call(
        &self,
        registry: &str,
        item: &str,
        request: PluginRequest,
    ) -> Result<Response, ProtocolError> {
        call_like_osqueryd(&self.socket, CALL_TIMEOUT, registry, item, request)
    }

    /// Sends `request` to the logger plugin `item`.
    ///
    /// # Errors
    /// Any [`ProtocolError`] of the two calls.
    pub fn log(&self, item: &str, request: LoggerRequest) -> Result<Status, ProtocolError> {
        Ok(self.call(LOGGER_REGISTRY, item, request.into_request())?.status)
    }

    /// Sends `request` to the configuration plugin `item`.
    ///
    /// # Errors
    /// Any [`ProtocolError`] of the two calls.
    pub fn configure(&self, item: &str, request: ConfigRequest) -> Result<Response, ProtocolError> {
        self.call(CONFIG_REGISTRY, item, request.into_request())
    }

    /// Asks the extension to end.
    ///
    /// # Errors
    /// Any [`ProtocolError`] of the call.
    pub fn shutdown(&self) -> Result<(), ProtocolError> {
        ExtensionClient::connect(&self.socket, CALL_TIMEOUT)?.shutdown()
    }
}

#[derive(Debug, Default)]
struct State {
    socket: PathBuf,
    inner: Mutex<Inner>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Inner {
    extensions: BTreeMap<RouteUuid, (ExtensionInfo, Registry)>,
    refusals: Vec<ByteString>,
    options: BTreeMap<ByteString, ByteString>,
    attempts: usize,
    registered: RouteUuid,
    deregistered: Vec<RouteUuid>,
}

impl State {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ExtensionHandler for State {
    fn call(&self, registry: &ByteString, item: &ByteString, _request: PluginRequest) -> Response {
        Status::failed(format!("no plugin `{registry}/{item}`")).into()
    }

    fn shutdown(&self) {}
}

impl ManagerHandler for State {
    fn extensions(&self) -> BTreeMap<RouteUuid, ExtensionInfo> {
        let core = ExtensionInfo {
            name: "core".into(),
            version: "5.0.0".into(),
            ..ExtensionInfo::default()
        };
        let registered = self.lock();
        let registered = registered
            .extensions
            .iter()
            .map(|(&uuid, (info, _))| (uuid, info.clone()));
        std::iter::once((0, core)).chain(registered).collect()
    }

    fn options(&self) -> BTreeMap<ByteString, OptionInfo> {
        let socket: ByteString = self.socket.to_string_lossy().into_owned().into();
        let option = |value| OptionInfo {
            value,
            default_value: "".into(),
            kind: "string".into(),
        };
        let given = self.lock().options.clone().into_iter();
        let own = (ByteString::from("extensions_socket"), socket);
        given
            .chain([own])
            .map(|(name, value)| (name, option(value)))
            .collect()
    }

    fn register(&self, info: ExtensionInfo, registry: Registry) -> Status {
        let mut inner = self.lock();
        inner.attempts += 1;
        if let Some(message) = inner.refusals.pop() {
            return Status::failed(message);
        }
        if inner
            .extensions
            .values()
            .any(|(known, _)| known.name == info.name)
        {
            return Status::failed("Duplicate extension registered");
        }
        inner.registered += 1;
        let uuid = FIRST_UUID + inner.registered;
        inner.extensions.insert(uuid, (info, registry));
        self.changed.notify_all();
        Status::success().with_uuid(uuid)
    }

    fn deregister(&self, uuid: RouteUuid) -> Status {
        let mut inner = self.lock();
        inner.deregistered.push(uuid);
        match inner.extensions.remove(&uuid) {
            Some(_) => Status::success(),
            None => Status::failed("No extension UUID registered"),
        }
    }

    fn query(&self, _sql: &ByteString) -> Response {
        let row = BTreeMap::from([(ByteString::from("1"), ByteString::from("1"))]);
        Response::rows(PluginResponse::from([row]))
    }

    fn query_columns(&self, _sql: &ByteString) -> Response {
        let row = BTreeMap::from([(ByteString::from("1"), ByteString::from("INTEGER"))]);
        Response::rows(PluginResponse::from([row]))
    }
}
