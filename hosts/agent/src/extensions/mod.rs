//! osqueryd's side of extensions: which programs to start, keeping them alive, who has registered, and calling plugins.
//!
//! The order of a start is osqueryd's: the manager's socket is served first, then the programs are started, and whoever
//! needs a plugin waits for it.

mod autoload;
mod plugins;
mod process;
mod registrations;
mod tables;
mod watcher;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use osquery_protocol::client::ExtensionClient;
use osquery_protocol::server::RunningServer;
use osquery_protocol::{ProtocolError, RouteUuid};

pub(crate) use plugins::{ConfigPlugin, PluginError, Plugins};

use self::process::ExtensionProcess;
use self::registrations::Registrations;
use self::tables::ExtensionTables;
use self::watcher::Watcher;
use crate::flags::Flags;
use crate::shutdown::Shutdown;
use crate::sql::Database;
use crate::status_log::StatusLog;
use crate::tables::Machine;

/// The longest path the manager's socket may have, so that `.65535` can be added for an extension's.
const LONGEST_SOCKET_PATH: usize = 97;
/// How long extensions may take to flush and end before they are killed; osqueryd waits 11 s.
const FAREWELL: Duration = Duration::from_secs(10);
/// How often an extension that has registered is asked whether it serves by now.
const SERVED_STEP: Duration = Duration::from_millis(5);
/// A ping is given at least this long, whatever is left of a wait.
const SHORTEST_PING: Duration = Duration::from_millis(100);
/// How long one extension may take to take note of the call `shutdown`.
const FAREWELL_CALL: Duration = Duration::from_secs(1);

/// The manager, and the extensions it has started.
#[derive(Debug)]
pub(crate) struct ExtensionHost {
    /// Answers until this value is dropped.
    _server: RunningServer,
    watcher: Mutex<Option<Watcher>>,
    registrations: Arc<Registrations>,
    plugins: Plugins,
    status: StatusLog,
    manages_any: bool,
}

/// Extensions that cannot be had.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ExtensionHostError {
    #[error("the extension socket's path `{}` is longer than {LONGEST_SOCKET_PATH} bytes", path.display())]
    SocketPath { path: PathBuf },
    #[error("cannot serve extensions: {source}")]
    Serve { source: ProtocolError },
    #[error("cannot watch extensions: {source}")]
    Watch { source: std::io::Error },
    #[error("the required extension `{name}` has not registered within {patience:?}")]
    Required { name: String, patience: Duration },
}

impl ExtensionHost {
    /// Serves the manager's socket, and starts what `--extension` and `--extensions_autoload` name.
    pub(crate) fn start(
        flags: &Flags,
        database: &Arc<Mutex<Database>>,
        shutdown: &Shutdown,
        machine: &Machine,
    ) -> Result<Self, ExtensionHostError> {
        let status = &machine.status;
        let socket = PathBuf::from(&flags.extensions_socket);
        if socket.as_os_str().len() > LONGEST_SOCKET_PATH {
            return Err(ExtensionHostError::SocketPath { path: socket });
        }
        let registrations = Arc::new(Registrations::new(
            flags.clone(),
            Arc::clone(database),
            shutdown.clone(),
            status.clone(),
            machine.agent.clone(),
        ));
        let server = RunningServer::manager(&socket, Arc::clone(&registrations))
            .map_err(|source| ExtensionHostError::Serve { source })?;
        let programs = autoload::discover(flags, status);
        let manages_any = !programs.is_empty();
        let processes = programs
            .into_iter()
            .map(|program| ExtensionProcess::new(program, &socket, flags))
            .collect();
        let interval = Duration::from_secs(flags.extensions_interval.max(1));
        let watcher = Watcher::start(
            processes,
            &socket,
            Arc::clone(&registrations),
            interval,
            status.clone(),
        )
        .map_err(|source| ExtensionHostError::Watch { source })?;
        let plugins = Plugins::new(
            socket,
            Arc::clone(&registrations),
            Duration::from_secs(flags.thrift_timeout.max(1)),
        );
        let tables = ExtensionTables::new(plugins.clone());
        database
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .use_foreign(Arc::new(tables));
        Ok(Self {
            _server: server,
            watcher: Mutex::new(Some(watcher)),
            registrations,
            plugins,
            status: status.clone(),
            manages_any,
        })
    }

    /// Waits for the extensions of `--extensions_require`.
    pub(crate) fn wait_for_required(
        &self,
        flags: &Flags,
        shutdown: &Shutdown,
    ) -> Result<(), ExtensionHostError> {
        let patience = Duration::from_secs(flags.extensions_timeout);
        let deadline = Instant::now() + patience;
        for name in flags
            .extensions_require
            .split(',')
            .map(str::trim)
            .filter(|name| !name.is_empty())
        {
            let serves = || self.registrations.find_extension(name);
            if !self.wait_until_served(deadline, shutdown, serves) && !shutdown.is_requested() {
                return Err(ExtensionHostError::Required {
                    name: name.to_owned(),
                    patience,
                });
            }
        }
        Ok(())
    }

    /// Waits for a plugin, if an extension may be on its way that has it. Returns whether it is there.
    pub(crate) fn wait_for_plugin(
        &self,
        registry: &str,
        item: &str,
        flags: &Flags,
        shutdown: &Shutdown,
    ) -> bool {
        let is_there = self.registrations.route(registry, item).is_some();
        let patience = if self.manages_any || is_there {
            Duration::from_secs(flags.extensions_timeout)
        } else {
            Duration::ZERO
        };
        self.wait_until_served(Instant::now() + patience, shutdown, || {
            self.registrations.route(registry, item)
        })
    }

    /// Waits until an extension has registered and serves its socket, whose name it only learns by registering.
    fn wait_until_served(
        &self,
        deadline: Instant,
        shutdown: &Shutdown,
        find: impl Fn() -> Option<RouteUuid>,
    ) -> bool {
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let patience = left.max(SHORTEST_PING);
            let answers = find().is_some_and(|uuid| {
                ExtensionClient::connect(&self.plugins.socket_of(uuid), patience)
                    .and_then(|mut extension| extension.ping())
                    .is_ok_and(|status| status.is_success())
            });
            if answers || left.is_zero() || shutdown.wait(SERVED_STEP) {
                return answers;
            }
        }
    }

    pub(crate) fn plugins(&self) -> Plugins {
        self.plugins.clone()
    }

    /// Asks every extension to end, both ways, and waits while it flushes. The manager answers until they are gone.
    pub(crate) fn stop(&self) {
        let watcher = self.watcher.lock().unwrap_or_else(PoisonError::into_inner).take();
        let mut processes = watcher.map(Watcher::stop).unwrap_or_default();
        for uuid in self.registrations.uuids() {
            let asked = ExtensionClient::connect(&self.plugins.socket_of(uuid), FAREWELL_CALL)
                .and_then(|mut extension| extension.shutdown());
            if let Err(error) = asked {
                self.status
                    .verbose(&|| format!("The extension {uuid} was not asked to end: {error}"));
            }
        }
        let deadline = Instant::now() + FAREWELL;
        for process in &processes {
            process.terminate();
        }
        for process in &mut processes {
            if !process.wait_until(deadline) {
                self.status.warning(&format!(
                    "The extension {} has not ended within {FAREWELL:?} and was killed",
                    process.program().display()
                ));
                process.kill();
            }
        }
    }
}

/// The socket of an extension beside the manager's.
fn socket_of(manager: &Path, uuid: i64) -> PathBuf {
    osquery_protocol::client::extension_socket(manager, uuid)
}
