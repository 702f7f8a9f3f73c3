//! The process that looks after a project's services. It is started by `up`, outlives it, and is told what to
//! do over its control socket. It never decides what should run.
//!
//! Every service has a pipe as standard input whose other end only the supervisor holds: however the
//! supervisor ends, its services notice and end too.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::task::JoinSet;
use tokio::time::interval;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::engine::native::control::{Record, Records, Request, Response, ServiceProcess};
use crate::engine::native::{log_rotation, supervised};
use crate::error::{Diagnose, Result};
use crate::exit_code::ExitCode;
use crate::plan::ServiceState;
use crate::process::ProcessId;
use crate::shutdown::Shutdown;
use crate::stack::ServiceName;
use crate::state::{CONTROL_SOCKET, ProjectFolder, StateError, remove_file, write_durably};
use crate::waiting::before_next_try;

/// How often logs are measured and the project's folder is looked for.
const HOUSEKEEPING: Duration = Duration::from_secs(5);

/// How long to wait before the next connection is accepted when one could not be.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// What `up` reads from the supervisor's standard output once it listens.
pub const READY: &str = "ready";

/// The supervisor cannot do its work.
#[derive(Debug, thiserror::Error)]
pub enum SupervisorError {
    /// Its socket cannot be opened.
    #[error("failed to listen on `{socket}`: {source}")]
    Listen {
        /// The socket.
        socket: String,
        /// What the system said.
        source: io::Error,
    },
    /// Its own entry in `/proc` cannot be read.
    #[error("failed to read `/proc/self/stat`")]
    OwnProcess,
}

impl Diagnose for SupervisorError {
    fn exit_code(&self) -> ExitCode {
        ExitCode::Start
    }
}

/// A service that is looked after.
pub(super) struct Supervised {
    pub(super) process: ServiceProcess,
    pub(super) record: Record,
    /// Whether it was healthy once: only then is it started again each time it ends unasked.
    pub(super) proven: Proven,
    /// Cancelled to stop it.
    pub(super) stop: CancellationToken,
    /// Cancelled when it is gone for good.
    pub(super) gone: CancellationToken,
}

/// Whether a service was healthy once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Proven {
    NotYet,
    Yes,
}

/// What the tasks of the supervisor share.
pub(super) struct Supervisor {
    folder: ProjectFolder,
    own: ProcessId,
    services: Mutex<BTreeMap<ServiceName, Supervised>>,
    /// Cancelled when nobody wants to wait for a graceful end any more.
    pub(super) hurry: CancellationToken,
}

/// Begins a session of its own: signals of the terminal that `up` runs on do not reach it, nor does the terminal's end.
///
/// It was started as a process group of its own, and the leader of a group cannot begin a session: so it joins the group of
/// whoever started it for this one moment. What fails here had been done before.
fn leave_terminal() {
    let parents = rustix::process::getppid().and_then(|parent| rustix::process::getpgid(Some(parent)).ok());
    if parents.is_some() {
        let _ = rustix::process::setpgid(None, parents);
    }
    let _ = rustix::process::setsid();
}

/// Looks after the services of a project until it is told to end. Says by `announce` that it listens.
///
/// # Errors
/// When it cannot begin.
pub async fn supervise(
    folder: ProjectFolder,
    announce: impl FnOnce() -> Result<()>,
    shutdown: &Shutdown,
) -> Result<()> {
    leave_terminal();
    let own = ProcessId::of(std::process::id()).ok_or(SupervisorError::OwnProcess)?;
    let socket = folder.socket(CONTROL_SOCKET)?;
    remove_file(&socket)?;
    let listener = UnixListener::bind(&socket).map_err(|source| SupervisorError::Listen {
        socket: socket.display().to_string(),
        source,
    })?;
    let supervisor = Arc::new(Supervisor {
        folder,
        own,
        services: Mutex::default(),
        hurry: CancellationToken::new(),
    });
    supervisor.write_records()?;
    info!(pid = own.pid, "the supervisor listens on `{}`", socket.display());
    if let Err(failure) = announce() {
        // Whoever started it is gone, and nobody else knows of it yet.
        let _ = supervisor.folder.remove_run_files();
        return Err(failure);
    }

    let closed = CancellationToken::new();
    let mut connections = JoinSet::new();
    let mut housekeeping = interval(HOUSEKEEPING);
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    connections.spawn(answer(Arc::clone(&supervisor), stream, closed.clone()));
                }
                Err(error) => {
                    warn!("failed to accept a connection: {error}");
                    // Out of descriptors, most likely: asking again at once would only fill the log.
                    before_next_try(ACCEPT_PAUSE).await;
                }
            },
            Some(_) = connections.join_next() => {}
            () = closed.cancelled() => break,
            () = shutdown.token().cancelled() => {
                info!("asked to end by a signal");
                supervisor.stop_all().await;
                break;
            }
            _ = housekeeping.tick() => {
                if !socket.exists() {
                    warn!("the control socket is gone, so nobody can reach the services: stopping them");
                    supervisor.stop_all().await;
                    break;
                }
                log_rotation::rotate(&supervisor.folder);
            }
        }
    }
    supervisor.folder.remove_run_files()?;
    connections.shutdown().await;
    info!("the supervisor ends");
    Ok(())
}

/// Answers the requests of one connection.
async fn answer(supervisor: Arc<Supervisor>, stream: UnixStream, closed: CancellationToken) {
    let mut stream = BufReader::new(stream);
    let mut line = String::new();
    loop {
        line.clear();
        match stream.read_line(&mut line).await {
            Ok(0) | Err(_) => return,
            Ok(_) => {}
        }
        let request = serde_json::from_str(&line);
        let is_close = matches!(request, Ok(Request::Close));
        let response = match request {
            Ok(request) => Arc::clone(&supervisor).carry_out(request).await,
            Err(error) => Response::Failed {
                reason: format!("not a request: {error}"),
            },
        };
        let Ok(mut answer) = serde_json::to_vec(&response) else {
            return;
        };
        answer.push(b'\n');
        let sent = stream.get_mut().write_all(&answer).await;
        if is_close {
            closed.cancel();
        }
        if sent.is_err() {
            return;
        }
    }
}

impl Supervisor {
    async fn carry_out(self: Arc<Self>, request: Request) -> Response {
        match request {
            Request::Observe => Response::Observed(self.records()),
            Request::Start(process) => match self.start(*process).await {
                Ok(()) => Response::Done,
                Err(reason) => Response::Failed { reason },
            },
            Request::Prove { service } => match self.services().get_mut(&service) {
                Some(Supervised { record, .. })
                    if matches!(record.service.state, ServiceState::Exited { .. }) =>
                {
                    Response::Failed {
                        reason: "it has ended".to_owned(),
                    }
                }
                Some(supervised) => {
                    supervised.proven = Proven::Yes;
                    Response::Done
                }
                None => Response::Failed {
                    reason: "it is not running".to_owned(),
                },
            },
            Request::Stop { service } => {
                self.stop(&service).await;
                Response::Done
            }
            Request::Hurry => {
                self.hurry.cancel();
                Response::Done
            }
            Request::Close => {
                self.stop_all().await;
                match self.folder.remove_run_files() {
                    Ok(()) => Response::Done,
                    Err(error) => Response::Failed {
                        reason: error.to_string(),
                    },
                }
            }
        }
    }

    async fn start(self: &Arc<Self>, process: ServiceProcess) -> std::result::Result<(), String> {
        let service = process.service.clone();
        let earlier = self
            .services()
            .get(&service)
            .map(|earlier| earlier.record.process);
        if earlier.flatten().is_some_and(ProcessId::is_alive) {
            return Err("it is running already".to_owned());
        }
        self.stop(&service).await;
        supervised::look_after(self, process)
            .map_err(|error| format!("its program cannot be started: {error}"))?;
        Ok(())
    }

    async fn stop(&self, service: &ServiceName) {
        let gone = self.services().get(service).map(|supervised| {
            supervised.stop.cancel();
            supervised.gone.clone()
        });
        let Some(gone) = gone else { return };
        gone.cancelled().await;
        self.services().remove(service);
        self.write_records_or_warn();
    }

    /// Stops everything: what nobody depends on first.
    async fn stop_all(&self) {
        loop {
            let last: Vec<ServiceName> = {
                let services = self.services();
                let is_needed = |name: &ServiceName| {
                    services
                        .values()
                        .any(|other| other.process.depends_on.contains(name))
                };
                let free = services.keys().filter(|name| !is_needed(name));
                free.cloned().collect()
            };
            if last.is_empty() {
                return;
            }
            for service in &last {
                if let Some(supervised) = self.services().get(service) {
                    supervised.stop.cancel();
                }
            }
            for service in &last {
                self.stop(service).await;
            }
        }
    }

    fn records(&self) -> Records {
        let services = self.services();
        let services = services
            .iter()
            .map(|(name, supervised)| (name.clone(), supervised.record.clone()));
        Records {
            supervisor: self.own,
            services: services.collect(),
        }
    }

    /// Writes `services.json`, from which leftovers are found should the supervisor be killed.
    fn write_records(&self) -> std::result::Result<(), StateError> {
        let path = self.folder.services_file();
        let text = serde_json::to_vec_pretty(&self.records()).map_err(|source| StateError::Damaged {
            path: path.clone(),
            source,
        })?;
        write_durably(&path, &text)
    }

    /// The same, where a full disk must not end the services.
    pub(super) fn write_records_or_warn(&self) {
        if let Err(error) = self.write_records() {
            warn!("{error}");
        }
    }

    pub(super) fn services(&self) -> MutexGuard<'_, BTreeMap<ServiceName, Supervised>> {
        // Nothing that holds the lock can panic half-way through a change.
        self.services.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
