//! The native engine: processes on this machine, looked after by a supervisor process per project. Here is what an
//! [`Engine`] is asked for, a function for each of its questions; what there is is found in `observed`, and what runs is
//! ended in `ending`.

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
mod supervised;
pub mod supervisor;

use std::collections::BTreeMap;
use std::env;
use std::fs::{self, OpenOptions};
use std::io;
use std::process::Stdio;
use std::time::Duration;

use rustix::process::Signal;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Command;
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::engine::native::control::{Connection, Request, Response, ServiceProcess};
use crate::engine::native::host_folder::HostSettings;
use crate::engine::native::isolation::Isolation;
use crate::engine::native::programs::Programs;
use crate::engine::{Answer, CallerStreams, Engine, Entered, ExecOutput, Follow, News, log_file};
use crate::error::Result;
use crate::host_config::{self, HostConfig};
use crate::plan::{Observed, ObservedService, ServiceSpec};
use crate::process::{PROJECT_VARIABLE, SERVICE_VARIABLE};
use crate::stack::{HttpService, ImageRef, Properties, Recipe, Role, ServiceName};
use crate::state::{CONTROL_SOCKET, ProjectFolder, StateError, private_folder};

pub use error::{NativeError, Silence, processes};
pub use observed::Liveness;
use observed::running_process;

/// How long the supervisor may take until it listens.
const OPEN_LIMIT: Duration = Duration::from_secs(10);

/// How long the supervisor may take for an answer that needs no waiting.
const ANSWER_LIMIT: Duration = Duration::from_secs(5);

/// How long a supervisor that broke a connection off may take to be gone.
const ENDING_LIMIT: Duration = Duration::from_secs(1);

/// What a stop may take beyond the grace of the services.
const STOP_MARGIN: Duration = Duration::from_secs(5);

/// How often to ask the supervisor about a service that is starting.
const PACE: Duration = Duration::from_millis(20);

/// The variables of the caller that services inherit; everything else stays out of their environment.
const INHERITED: [&str; 9] = [
    "PATH",
    "LANG",
    "LC_ALL",
    "TZ",
    "TMPDIR",
    "RUST_LOG",
    "RUST_BACKTRACE",
    "LD_LIBRARY_PATH",
    "SSL_CERT_FILE",
];

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

    async fn start_supervisor(&self) -> Result<()> {
        let failed = |reason: String| NativeError::Supervisor {
            reason,
            log: self.supervisor_log_tail(),
        };
        let log = self.folder.supervisor_log();
        if let Some(folder) = log.parent() {
            private_folder(folder)?;
        }
        let log_file = OpenOptions::new()
            .create(true)
            .append(true)
            .open(&log)
            .map_err(|error| StateError::io("open", &log, error))?;
        let mut child = Command::new(programs::own_path()?)
            .args(["--project", self.folder.project.as_str(), "supervise"])
            .env("OSQDEMO_HOME", self.folder.home())
            .env(PROJECT_VARIABLE, self.folder.root())
            // What is a service is said to its services alone.
            .env_remove(SERVICE_VARIABLE)
            .current_dir("/")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log_file)
            // A Ctrl-C at `up` is for `up`, from the first moment on.
            .process_group(0)
            .spawn()
            .map_err(|error| failed(error.to_string()))?;
        let mut line = String::new();
        let ready = match child.stdout.take() {
            Some(stdout) => {
                let mut stdout = BufReader::new(stdout);
                timeout(OPEN_LIMIT, async { stdout.read_line(&mut line).await }).await
            }
            None => Ok(Ok(0)),
        };
        match ready {
            Ok(Ok(_)) if line.trim_end() == supervisor::READY => Ok(()),
            Ok(Ok(_)) => Err(failed("it ended at once".to_owned()).into()),
            Ok(Err(error)) => Err(failed(error.to_string()).into()),
            Err(_) => {
                let _ = child.start_kill();
                Err(failed(format!("it did not listen within {} s", OPEN_LIMIT.as_secs())).into())
            }
        }
    }

    fn supervisor_log_tail(&self) -> Vec<String> {
        let text = fs::read(self.folder.supervisor_log()).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let mut lines: Vec<String> = text.lines().rev().take(5).map(str::to_owned).collect();
        lines.reverse();
        lines
    }

    async fn start_service(&self, spec: &ServiceSpec) -> Result<()> {
        let Some(setup) = &self.setup else {
            return Err(NativeError::Refused {
                action: "start",
                service: spec.name.clone(),
                reason: "the engine was opened without what starting takes".to_owned(),
            }
            .into());
        };
        let process = self.process_for(spec, setup)?;
        self.order(
            "start",
            &spec.name,
            &Request::Start(Box::new(process)),
            ANSWER_LIMIT,
        )
        .await
    }

    /// The command line of a service, and its folders.
    fn process_for(&self, spec: &ServiceSpec, setup: &Setup) -> Result<ServiceProcess> {
        let mut argv: Vec<String> = Vec::new();
        let mut marked_host = None;
        let folder = match spec.role {
            Role::Host => {
                let host = host_folder::prepare(&HostSettings {
                    folder: &self.folder,
                    host: &spec.name,
                    hostname: &spec.hostname,
                    programs: &setup.programs,
                    isolation: &setup.isolation,
                    configuration: &host_config::text_for(
                        setup.host_config.as_ref(),
                        spec.bootstrap_servers.as_deref().unwrap_or_default(),
                        &setup.kafka,
                        setup.registry.as_ref(),
                    ),
                })?;
                match host.isolation {
                    Isolation::Namespaces => argv.extend(isolation::UNSHARE.map(str::to_owned)),
                    Isolation::Marked { .. } => marked_host = Some(host.folder.clone()),
                }
                host.home
            }
            _ => self.folder.root().join("data").join(spec.name.as_str()),
        };
        private_folder(&folder)?;
        argv.push(setup.programs.osqdemo.display().to_string());
        argv.extend(spec.arguments.iter().cloned());
        Ok(ServiceProcess {
            service: spec.name.clone(),
            argv,
            environment: self.environment(spec),
            folder,
            log: self.folder.log_file(&spec.name),
            marked_host,
            config_hash: spec.config_hash.clone(),
            host_config: spec.host_config.clone(),
            port: spec.port,
            depends_on: spec.depends_on.clone(),
            stop_grace_ms: u64::try_from(spec.stop_grace.as_millis()).unwrap_or(u64::MAX),
        })
    }

    fn environment(&self, spec: &ServiceSpec) -> BTreeMap<String, String> {
        let mut environment: BTreeMap<String, String> = INHERITED
            .iter()
            .filter_map(|name| Some(((*name).to_owned(), env::var(name).ok()?)))
            .collect();
        environment.insert(
            PROJECT_VARIABLE.to_owned(),
            self.folder.root().display().to_string(),
        );
        environment.insert(SERVICE_VARIABLE.to_owned(), spec.name.to_string());
        if let Some(clock) = &spec.clock {
            environment.insert(osqdemo_clock::VARIABLE.to_owned(), clock.display().to_string());
        }
        environment.insert(
            "OSQDEMO_HOME".to_owned(),
            self.folder.home().display().to_string(),
        );
        environment
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
        follow: Follow,
        pieces: mpsc::Sender<Vec<u8>>,
    ) -> Answer<'a, ()> {
        Box::pin(async move { Ok(log_file::send(&self.folder.log_file(service), follow, pieces).await?) })
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
