//! The native engine: processes on this machine, looked after by a supervisor process per project. Here is what an
//! [`Engine`] is asked for, a function for each of its questions; what there is is found in `observed`, what is
//! to run is started in `starting` and ended in `ending`.

pub mod control;
mod ending;
mod error;
pub mod exec;
pub mod host_folder;
pub mod host_init;
pub mod isolation;
mod log_rotation;
mod observed;
pub mod programs;
mod starting;
mod supervised;
pub mod supervisor;

use std::io;
use std::time::Duration;

use rustix::process::Signal;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::engine::native::control::{Connection, Request, Response};
use crate::engine::native::isolation::Isolation;
use crate::engine::native::programs::Programs;
use crate::engine::{Answer, CallerStreams, Engine, Entered, ExecOutput, LogReading, News, log_file};
use crate::error::Result;
use crate::host_config::HostConfig;
use crate::plan::{Observed, ObservedService, ServiceSpec};
use crate::stack::{HttpService, ImageRef, Properties, Recipe, ServiceName};
use crate::state::{CONTROL_SOCKET, ProjectFolder};

pub use error::{NativeError, Silence, processes};
pub use observed::Liveness;
use observed::running_process;

/// How long the supervisor may take for an answer that needs no waiting.
const ANSWER_LIMIT: Duration = Duration::from_secs(5);

/// How long a supervisor that broke a connection off may take to be gone.
const ENDING_LIMIT: Duration = Duration::from_secs(1);

/// What a stop may take beyond the grace of the services.
const STOP_MARGIN: Duration = Duration::from_secs(5);

/// How often to ask the supervisor about a service that is starting.
const PACE: Duration = Duration::from_millis(20);

/// The native engine of one project.
pub struct NativeEngine {
    folder: ProjectFolder,
    setup: Option<Setup>,
}

/// What starting services takes; stopping and observing do without.
#[derive(Debug, Clone)]
pub struct Setup {
    /// The programs.
    pub programs: Programs,
    /// How the hosts are kept apart.
    pub isolation: Isolation,
    /// The configuration of the user's that the hosts get.
    pub host_config: Option<HostConfig>,
    /// Where the hosts find the registry, where their lines are to be Avro.
    pub registry: Option<HttpService>,
    /// What a connection to a Kafka outside of the stack takes.
    pub kafka: Properties,
}

impl NativeEngine {
    /// An engine that can observe, stop and run commands.
    pub fn new(folder: ProjectFolder) -> Self {
        Self { folder, setup: None }
    }

    /// An engine that can also start services.
    pub fn with_setup(folder: ProjectFolder, setup: Setup) -> Self {
        Self {
            folder,
            setup: Some(setup),
        }
    }

    /// The supervisor's answer to `request`.
    async fn ask(&self, request: &Request, limit: Duration) -> Result<Response> {
        let unreachable = |source| NativeError::Unreachable {
            project: self.folder.project.clone(),
            source,
        };
        Ok(self.exchange(request, limit).await?.map_err(unreachable)?)
    }

    /// The same, with what went wrong as the system says it.
    async fn exchange(&self, request: &Request, limit: Duration) -> Result<io::Result<Response>> {
        let socket = self.folder.socket(CONTROL_SOCKET)?;
        let asking = async { Connection::open(&socket).await?.ask(request, limit).await };
        Ok(asking.await)
    }

    /// Asks for something about a service that is either done or refused.
    async fn order(
        &self,
        action: &'static str,
        service: &ServiceName,
        request: &Request,
        limit: Duration,
    ) -> Result<()> {
        match self.ask(request, limit).await? {
            Response::Failed { reason } => Err(NativeError::Refused {
                action,
                service: service.clone(),
                reason,
            }
            .into()),
            Response::Done | Response::Observed(_) => Ok(()),
        }
    }

    async fn stop_service(&self, service: &ServiceName) -> Result<()> {
        let grace = self
            .known_records()
            .await?
            .and_then(|records| records.services.get(service).map(|record| record.stop_grace_ms))
            .map_or(Duration::ZERO, Duration::from_millis);
        let request = Request::Stop {
            service: service.clone(),
        };
        self.order("stop", service, &request, grace + STOP_MARGIN).await
    }
}

impl Engine for NativeEngine {
    fn observe(&self) -> Answer<'_, Observed> {
        Box::pin(self.observed(|_| true))
    }

    fn observe_service<'a>(&'a self, service: &'a ServiceName) -> Answer<'a, Option<ObservedService>> {
        let only = move |name: &ServiceName| name == service;
        Box::pin(async move { Ok(self.observed(only).await?.services.remove(service)) })
    }

    fn last_known(&self) -> Option<Observed> {
        Some(self.last_known_records())
    }

    fn pace(&self) -> Duration {
        PACE
    }

    // Processes need no images.

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
        Box::pin(self.start_supervisor())
    }

    fn start<'a>(&'a self, spec: &'a ServiceSpec) -> Answer<'a, ()> {
        Box::pin(self.start_service(spec))
    }

    fn resume<'a>(&'a self, spec: &'a ServiceSpec) -> Answer<'a, ()> {
        // A process that ended has left nothing.
        Box::pin(self.start_service(spec))
    }

    fn unpause<'a>(&'a self, service: &'a ServiceName) -> Answer<'a, ()> {
        Box::pin(async {
            if let Some(records) = self.known_records().await?
                && let Some(process) = records.services.get(service).and_then(|record| record.process)
            {
                for stopped in process.stopped_below() {
                    stopped.signal(Signal::CONT);
                }
            }
            Ok(())
        })
    }

    fn prove<'a>(&'a self, service: &'a ServiceName) -> Answer<'a, ()> {
        Box::pin(async move {
            let request = Request::Prove {
                service: service.clone(),
            };
            self.order("keep", service, &request, ANSWER_LIMIT).await
        })
    }

    fn stop<'a>(&'a self, service: &'a ServiceName) -> Answer<'a, ()> {
        Box::pin(self.stop_service(service))
    }

    fn remove<'a>(&'a self, _service: &'a ServiceName) -> Answer<'a, ()> {
        Box::pin(async { Ok(()) })
    }

    fn end_leftover<'a>(&'a self, service: &'a ServiceName) -> Answer<'a, ()> {
        Box::pin(self.end_left_over(service))
    }

    fn close(&self) -> Answer<'_, ()> {
        Box::pin(self.close_project())
    }

    fn hurry(&self) -> Answer<'_, ()> {
        Box::pin(async { self.ask(&Request::Hurry, ANSWER_LIMIT).await.map(|_| ()) })
    }

    fn remove_data(&self) -> Answer<'_, ()> {
        // All of it is in the project's folder.
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
        Box::pin(async {
            // A log is read also where nobody can say where its last run begins.
            let records = self.known_records().await.unwrap_or_default();
            let record = records.as_ref().and_then(|records| records.services.get(service));
            let run_starts_at = record.map_or(0, |record| record.log_starts_at);
            Ok(log_file::tail(&self.folder.log_file(service), run_starts_at)?)
        })
    }

    fn enter<'a>(
        &'a self,
        host: &'a ServiceName,
        argv: &'a [String],
        _caller: CallerStreams,
        _asked_to_end: &'a CancellationToken,
    ) -> Answer<'a, Entered> {
        Box::pin(async {
            let command = exec::command(self, &self.folder, host, argv).await?;
            Ok(Entered::Attend(command))
        })
    }

    fn run_on_host<'a>(&'a self, host: &'a ServiceName, argv: &'a [&'a str]) -> Answer<'a, ExecOutput> {
        Box::pin(exec::run(self, &self.folder, host, argv))
    }
}
