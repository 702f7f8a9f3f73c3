//! An engine without processes, for tests that drive the real binary: `--engine fake`. What it "runs" stands
//! in a file of the project's folder. `OSQDEMO_FAKE` makes services misbehave, for example
//! `broker=start-fails,host1=exits,ksqldb-server=never-healthy`.

use std::collections::BTreeMap;
use std::env;
use std::fs;
use std::io;
use std::net::TcpListener;
use std::path::PathBuf;
use std::sync::OnceLock;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::engine::{Answer, CallerStreams, Engine, Entered, ExecOutput, LogReading, News, log_file};
use crate::error::{Diagnose, Result};
use crate::exit_code::ExitCode;
use crate::plan::{Exit, Observed, ObservedService, ServiceSpec, ServiceState, SupervisorState};
use crate::stack::{ImageRef, Recipe, ServiceName};
use crate::state::{ProjectFolder, StateError, private_folder, remove_file, write_durably};

/// Says how services misbehave.
const VARIABLE: &str = "OSQDEMO_FAKE";

/// How often to look: it costs next to nothing.
const PACE: Duration = Duration::from_millis(20);

/// What took the port of a service.
static THIEF: OnceLock<TcpListener> = OnceLock::new();

/// The fake engine of one project.
pub struct FakeEngine {
    folder: ProjectFolder,
    /// Operations run at the same time, and each changes the one file.
    change: tokio::sync::Mutex<()>,
}

/// How a fake service behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Behaviour {
    /// It starts and is healthy at once.
    Sound,
    /// It cannot be started.
    StartFails,
    /// Somebody takes its port before it listens, once.
    LosesPort,
    /// It starts and ends.
    Exits,
    /// It starts and never becomes healthy.
    NeverHealthy,
}

/// A fake service was told to misbehave.
#[derive(Debug, thiserror::Error)]
pub enum FakeError {
    /// `start-fails`.
    #[error("failed to start {service}: its program cannot be started: told to fail")]
    Start {
        /// The service.
        service: ServiceName,
    },
    /// There are no hosts to enter.
    #[error("the fake engine runs no commands")]
    NoCommands,
}

impl Diagnose for FakeError {
    fn exit_code(&self) -> ExitCode {
        ExitCode::Start
    }
}

#[derive(Default, Serialize, Deserialize)]
struct FakeState {
    services: BTreeMap<ServiceName, ObservedService>,
}

impl FakeEngine {
    /// The fake engine of a project.
    pub fn new(folder: ProjectFolder) -> Self {
        Self {
            folder,
            change: tokio::sync::Mutex::new(()),
        }
    }

    /// How `service` behaves.
    pub fn behaviour(service: &ServiceName) -> Behaviour {
        let all = env::var(VARIABLE).unwrap_or_default();
        all.split(',')
            .filter_map(|entry| entry.split_once('='))
            .find(|(name, _)| *name == service.as_str())
            .map_or(Behaviour::Sound, |(_, behaviour)| match behaviour {
                "start-fails" => Behaviour::StartFails,
                "loses-port" => Behaviour::LosesPort,
                "exits" => Behaviour::Exits,
                "never-healthy" => Behaviour::NeverHealthy,
                _ => Behaviour::Sound,
            })
    }

    fn path(&self) -> PathBuf {
        self.folder.root().join("fake.json")
    }

    fn load(&self) -> Result<Option<FakeState>> {
        let path = self.path();
        match fs::read(&path) {
            Ok(text) => Ok(Some(
                serde_json::from_slice(&text).map_err(|source| StateError::Damaged { path, source })?,
            )),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(StateError::io("read", &path, error).into()),
        }
    }

    async fn change(&self, change: impl FnOnce(&mut FakeState)) -> Result<()> {
        let _guard = self.change.lock().await;
        let mut state = self.load()?.unwrap_or_default();
        change(&mut state);
        let path = self.path();
        let text = serde_json::to_vec_pretty(&state).map_err(|source| StateError::Damaged {
            path: path.clone(),
            source,
        })?;
        Ok(write_durably(&path, &text)?)
    }

    async fn start_service(&self, spec: &ServiceSpec) -> Result<()> {
        let behaviour = Self::behaviour(&spec.name);
        let is_robbed = behaviour == Behaviour::LosesPort
            && THIEF.get().is_none()
            && spec
                .port
                .and_then(|port| TcpListener::bind(("127.0.0.1", port)).ok())
                .is_some_and(|listener| THIEF.set(listener).is_ok());
        if is_robbed || behaviour == Behaviour::StartFails {
            return Err(FakeError::Start {
                service: spec.name.clone(),
            }
            .into());
        }
        let log = self.folder.log_file(&spec.name);
        if let Some(folder) = log.parent() {
            private_folder(folder)?;
        }
        let text = match behaviour {
            Behaviour::Exits => "INFO fake service started\nERROR told to end\n",
            _ => "INFO fake service started\n",
        };
        fs::write(&log, text).map_err(|error| StateError::io("write", &log, error))?;
        self.change(|state| {
            let service = ObservedService {
                state: match behaviour {
                    Behaviour::Exits => ServiceState::Exited { exit: Exit::Code(3) },
                    _ => ServiceState::Running { pid: 1 },
                },
                config_hash: spec.config_hash.clone(),
                port: spec.port,
                started_at: jiff::Timestamp::now().as_millisecond(),
                restarts: 0,
                last_exit: None,
                host_config: spec.host_config.clone(),
                container: None,
            };
            state.services.insert(spec.name.clone(), service);
        })
        .await
    }
}

impl Engine for FakeEngine {
    fn observe(&self) -> Answer<'_, Observed> {
        Box::pin(async {
            Ok(match self.load()? {
                None => Observed {
                    supervisor: SupervisorState::Absent,
                    services: BTreeMap::new(),
                    images: BTreeMap::new(),
                },
                Some(state) => Observed {
                    supervisor: SupervisorState::Running { pid: 1 },
                    services: state.services,
                    images: BTreeMap::new(),
                },
            })
        })
    }

    fn observe_service<'a>(&'a self, service: &'a ServiceName) -> Answer<'a, Option<ObservedService>> {
        Box::pin(async { Ok(self.load()?.and_then(|mut state| state.services.remove(service))) })
    }

    fn pace(&self) -> Duration {
        PACE
    }

    fn compile_programs<'a>(&'a self, _news: &'a News) -> Answer<'a, ()> {
        Box::pin(async { Ok(()) })
    }

    fn make_image<'a>(&'a self, _image: &'a ImageRef, _recipe: Recipe, _news: &'a News) -> Answer<'a, ()> {
        Box::pin(async { Ok(()) })
    }

    fn pull_image<'a>(&'a self, _image: &'a ImageRef, _news: &'a News) -> Answer<'a, ()> {
        Box::pin(async { Ok(()) })
    }

    fn open(&self) -> Answer<'_, ()> {
        Box::pin(self.change(|_| {}))
    }

    fn start<'a>(&'a self, spec: &'a ServiceSpec) -> Answer<'a, ()> {
        Box::pin(self.start_service(spec))
    }

    fn resume<'a>(&'a self, spec: &'a ServiceSpec) -> Answer<'a, ()> {
        // A process that ended has left nothing.
        self.start(spec)
    }

    fn unpause<'a>(&'a self, service: &'a ServiceName) -> Answer<'a, ()> {
        Box::pin(self.change(move |state| {
            if let Some(service) = state.services.get_mut(service) {
                service.state = ServiceState::Running { pid: 1 };
            }
        }))
    }

    fn prove<'a>(&'a self, _service: &'a ServiceName) -> Answer<'a, ()> {
        Box::pin(async { Ok(()) })
    }

    fn stop<'a>(&'a self, service: &'a ServiceName) -> Answer<'a, ()> {
        Box::pin(self.change(move |state| {
            state.services.remove(service);
        }))
    }

    fn remove<'a>(&'a self, _service: &'a ServiceName) -> Answer<'a, ()> {
        Box::pin(async { Ok(()) })
    }

    fn end_leftover<'a>(&'a self, service: &'a ServiceName) -> Answer<'a, ()> {
        self.stop(service)
    }

    fn close(&self) -> Answer<'_, ()> {
        Box::pin(async { Ok(remove_file(&self.path())?) })
    }

    fn hurry(&self) -> Answer<'_, ()> {
        Box::pin(async { Ok(()) })
    }

    fn remove_data(&self) -> Answer<'_, ()> {
        Box::pin(async { Ok(()) })
    }

    fn log<'a>(
        &'a self,
        service: &'a ServiceName,
        reading: LogReading,
        pieces: mpsc::Sender<Vec<u8>>,
    ) -> Answer<'a, ()> {
        Box::pin(async move { Ok(log_file::send(&self.folder.log_file(service), reading, pieces).await?) })
    }

    fn log_tail<'a>(&'a self, service: &'a ServiceName) -> Answer<'a, String> {
        Box::pin(async { Ok(log_file::tail(&self.folder.log_file(service), 0)?) })
    }

    fn enter<'a>(
        &'a self,
        _host: &'a ServiceName,
        _argv: &'a [String],
        _caller: CallerStreams,
        _asked_to_end: &'a CancellationToken,
    ) -> Answer<'a, Entered> {
        Box::pin(async { Err(FakeError::NoCommands.into()) })
    }

    fn run_on_host<'a>(&'a self, _host: &'a ServiceName, _argv: &'a [&'a str]) -> Answer<'a, ExecOutput> {
        Box::pin(async { Err(FakeError::NoCommands.into()) })
    }
}
