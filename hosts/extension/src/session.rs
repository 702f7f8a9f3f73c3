//! The extension's life with osqueryd: register, serve, watch, end.
//!
//! Whatever ends it (a signal, osqueryd's `shutdown()`, osqueryd's disappearance), the end is the same one:
//! bring what is in memory to Kafka while still answering, take leave, remove the socket. osqueryd waits 11
//! seconds before it kills, so all of it fits into less.

use std::io::ErrorKind;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use osquery_protocol::client::{ManagerClient, extension_socket};
use osquery_protocol::server::RunningServer;
use osquery_protocol::{ProtocolError, RouteUuid};
use osquery_resident_set::ResidentSet;
use tokio::sync::Notify;
use tokio::task::spawn_blocking;
use tokio::time::{MissedTickBehavior, interval_at, sleep};

use crate::arguments::Arguments;
use crate::configuration::Configuration;
use crate::courier::{Courier, CourierError, Left};
use crate::error::ExtensionError;
use crate::plugins::{Plugins, registry};
use crate::registration::{MANAGER_TIMEOUT, register};
use crate::signals::Signals;

/// How long lines may take to reach Kafka at the end.
const FLUSH_PATIENCE: Duration = Duration::from_secs(8);
/// How long lines that came during the flush may take.
const LAST_FLUSH_PATIENCE: Duration = Duration::from_millis(500);
/// How long another extension may keep the spool, and how often it is asked.
const SPOOL_PATIENCE: Duration = Duration::from_secs(10);
const SPOOL_PAUSE: Duration = Duration::from_millis(50);
/// When the extension looks after itself for the first time: its start is over by then, and what that took can go.
const FIRST_LOOK: Duration = Duration::from_secs(1);
/// The patience with osqueryd when taking leave.
const FAREWELL_TIMEOUT: Duration = Duration::from_millis(500);

const OSQUERYD_GONE: &str = "osqueryd is gone";

/// Runs the extension until its end.
pub(crate) async fn run(arguments: &Arguments, socket: &Path) -> Result<(), ExtensionError> {
    let resident_set = Mutex::new(ResidentSet::of_this_process());
    let mut signals = Signals::watch().map_err(|source| ExtensionError::Signals { source })?;
    let configuration_path = Configuration::path_from_environment();
    let configuration = Configuration::load(&configuration_path)?;
    configuration.log_findings();
    let courier = Arc::new(open(&configuration).await?);
    let shutdown = Arc::new(Notify::new());
    let plugins = Arc::new(Plugins::new(
        configuration_path,
        configuration,
        Arc::clone(&courier),
        Arc::clone(&shutdown),
    ));
    let session = Session {
        arguments,
        socket,
        plugins,
        courier,
        resident_set: Arc::new(resident_set),
    };
    let mut registration = None;
    let reason = tokio::select! {
        signal = signals.next() => Ok(signal),
        () = shutdown.notified() => Ok("osqueryd asked for it"),
        reason = session.serve(&mut registration) => reason,
    };
    tracing::info!(reason = reason.as_ref().unwrap_or(&"a failure"), "ending");
    // Lines that are in memory are brought to Kafka whatever the reason is.
    session.end(registration).await;
    reason.map(drop)
}

struct Session<'a> {
    arguments: &'a Arguments,
    /// osqueryd's.
    socket: &'a Path,
    plugins: Arc<Plugins>,
    courier: Arc<Courier>,
    resident_set: Arc<Mutex<ResidentSet>>,
}

/// A place on osqueryd's list, and the server that belongs to it.
struct Registration {
    uuid: RouteUuid,
    server: RunningServer,
}

impl Session<'_> {
    /// Keeps the extension registered until there is a reason to end. `registration` is the current one.
    async fn serve(&self, registration: &mut Option<Registration>) -> Result<&'static str, ExtensionError> {
        let plugins = registry(self.plugins.table_columns());
        loop {
            let patience = self.arguments.registration_patience();
            let uuid = match register(self.socket, self.plugins.extension_name(), &plugins, patience).await {
                Err(ExtensionError::Unreachable { .. }) if registration.is_some() => {
                    return Ok(OSQUERYD_GONE);
                }
                outcome => outcome?,
            };
            let server = match registration.take() {
                Some(former) if former.uuid == uuid => former.server,
                // A former server ends only once the new one is there: no call finds nobody.
                former => {
                    let socket = extension_socket(self.socket, uuid);
                    let server = RunningServer::extension(&socket, Arc::clone(&self.plugins))
                        .map_err(|source| ExtensionError::Serve { source })?;
                    drop(former);
                    server
                }
            };
            tracing::info!(uuid, socket = %server.path().display(), "registered");
            *registration = Some(Registration { uuid, server });
            match self.watch(uuid).await {
                Departure::OsquerydGone => return Ok(OSQUERYD_GONE),
                Departure::Dropped => {
                    tracing::warn!(uuid, "osqueryd dropped the extension; registering again")
                }
            }
        }
    }

    /// Looks in intervals whether osqueryd is there and still has the extension on its list.
    async fn watch(&self, uuid: RouteUuid) -> Departure {
        let period = self.arguments.watch_interval();
        let first = tokio::time::Instant::now() + period.min(FIRST_LOOK);
        let mut ticks = interval_at(first, period);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut silent = false;
        loop {
            ticks.tick().await;
            let courier = Arc::clone(&self.courier);
            let plugins = Arc::clone(&self.plugins);
            let resident_set = Arc::clone(&self.resident_set);
            let socket = self.socket.to_owned();
            let look = spawn_blocking(move || {
                courier.tend();
                plugins.follow_file();
                let at_rest = courier.spool_status().waiting == 0;
                resident_set
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .tend(at_rest);
                is_listed(&socket, uuid)
            });
            match look.await {
                Ok(Ok(true)) => silent = false,
                Ok(Ok(false)) => return Departure::Dropped,
                Ok(Err(error)) if silent || nobody_listens(&error) => {
                    tracing::debug!("{error}");
                    return Departure::OsquerydGone;
                }
                // An osqueryd that is merely busy gets a second chance.
                Ok(Err(_)) => silent = true,
                Err(_) => return Departure::OsquerydGone,
            }
        }
    }

    /// The one end.
    async fn end(self, registration: Option<Registration>) {
        let Self { socket, courier, .. } = self;
        let manager = socket.to_owned();
        let farewell = spawn_blocking(move || {
            let mut left = courier.flush(Instant::now() + FLUSH_PATIENCE);
            if let Some(Registration { uuid, server }) = registration {
                take_leave(&manager, uuid);
                server.stop();
                left = courier.flush(Instant::now() + LAST_FLUSH_PATIENCE);
            }
            courier.end();
            (left, courier)
        });
        // A panic in there is already in the log, and there is nothing left to save.
        let Ok((left, courier)) = farewell.await else {
            return;
        };
        let Left { waiting, in_memory } = left;
        if in_memory > 0 {
            tracing::error!(
                left = in_memory,
                "Kafka did not take every line in time; the rest is lost"
            );
        }
        if waiting > in_memory {
            let left = waiting - in_memory;
            tracing::warn!(
                left,
                "Kafka did not take every line in time; the rest is in the spool for the next start"
            );
        }
        tracing::info!("ended; lines: {}", courier.books());
    }
}

/// Opens the spool. One that another extension has may be free in a moment: osqueryd starts the next extension while
/// the last one still ends.
async fn open(configuration: &Configuration) -> Result<Courier, ExtensionError> {
    let deadline = Instant::now() + SPOOL_PATIENCE;
    loop {
        match Courier::open(configuration) {
            Err(CourierError::SpoolTaken { .. }) if Instant::now() < deadline => sleep(SPOOL_PAUSE).await,
            outcome => return Ok(outcome?),
        }
    }
}

enum Departure {
    OsquerydGone,
    Dropped,
}

fn is_listed(socket: &Path, uuid: RouteUuid) -> Result<bool, ProtocolError> {
    Ok(ManagerClient::connect(socket, MANAGER_TIMEOUT)?
        .extensions()?
        .contains_key(&uuid))
}

fn nobody_listens(error: &ProtocolError) -> bool {
    let ProtocolError::Connect { source, .. } = error else {
        return false;
    };
    matches!(source.kind(), ErrorKind::NotFound | ErrorKind::ConnectionRefused)
}

/// Best effort: osqueryd may be gone, or busy ending.
fn take_leave(socket: &Path, uuid: RouteUuid) {
    let leave =
        ManagerClient::connect(socket, FAREWELL_TIMEOUT).and_then(|mut manager| manager.deregister(uuid));
    if let Err(error) = leave {
        tracing::debug!("osqueryd did not take the farewell: {error}");
    }
}
