//! A project as the verbs see it: its folder, the engine that runs it, and what is wanted of it.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, TcpListener};
use std::sync::Arc;

use crate::commands::Context;
use crate::commands::request::{EngineKind, ProgramSource, Request, RequestError, StackChoice, stack_of};
use crate::doctor::{PortState, is_ours};
use crate::engine::Engine;
use crate::engine::docker::image::{HostVariant, ImageSources, OsqueryChoice};
use crate::engine::docker::{self, Connection, DockerEngine, PullSettings};
use crate::engine::fake::FakeEngine;
use crate::engine::native::isolation::Isolation;
use crate::engine::native::programs::{OsquerydChoice, Programs};
use crate::engine::native::{NativeEngine, Setup};
use crate::error::Result;
use crate::health::{FakeProber, Prober, ProtocolProber};
use crate::plan::{Choices, Observed, ResolveError, ServiceSpec, resolve};
use crate::stack::{ImageRef, Role, ServiceName, Stack};
use crate::state::{ProjectFolder, Remembered};

/// A project whose engine can observe and stop.
pub struct Project {
    /// Its folder.
    pub folder: ProjectFolder,
    /// What earlier runs chose.
    pub remembered: Remembered,
    /// Which engine it runs on.
    pub kind: EngineKind,
    /// Runs it.
    pub engine: Arc<dyn Engine>,
    /// The services it has.
    pub stack: Stack,
}

/// What is wanted of a project, and the means to get it.
pub struct Wanted {
    /// Which engine it is.
    pub kind: EngineKind,
    /// Can also start.
    pub engine: Arc<dyn Engine>,
    /// Asks for health.
    pub prober: Arc<dyn Prober>,
    /// The services as they should be, dependencies first.
    pub desired: Vec<ServiceSpec>,
    /// The names of the hosts.
    pub hostnames: BTreeMap<ServiceName, String>,
    /// What is to be remembered.
    pub remembered: Remembered,
    /// How the hosts are kept apart, on the native engine.
    pub isolation: Option<Isolation>,
    /// What the hosts run, on the Docker engine.
    pub host_variant: Option<HostVariant>,
    /// The daemon, on the Docker engine.
    pub daemon: Option<Daemon>,
}

/// The daemon of the Docker engine and what it is to do.
pub struct Daemon {
    /// The way to it.
    pub connection: Connection,
    /// The memory of its machine, in bytes.
    pub memory: Option<u64>,
    /// How images of registries are got.
    pub pull: PullSettings,
}

impl Project {
    /// The current project.
    ///
    /// # Errors
    /// When its state cannot be read.
    pub fn open(context: &Context) -> Result<Self> {
        Self::of_folder(ProjectFolder::new(
            &context.settings.home,
            &context.settings.project,
        ))
    }

    /// The project of a folder.
    ///
    /// # Errors
    /// When its state cannot be read.
    pub fn of_folder(folder: ProjectFolder) -> Result<Self> {
        let remembered = Remembered::load(&folder)?;
        let kind = engine_of(&remembered)?;
        let engine = engine(kind, &folder);
        Ok(Self {
            stack: stack_of(&remembered)?,
            folder,
            remembered,
            kind,
            engine,
        })
    }

    /// The same project with the stack that the user asked for.
    ///
    /// # Errors
    /// When this version does not have it, or the file is not a stack file.
    pub fn with_stack(mut self, choice: StackChoice) -> Result<Self> {
        match choice {
            StackChoice::Remembered => return Ok(self),
            StackChoice::Named(name) => {
                self.remembered.stack = Some(name);
                self.remembered.stack_file = None;
            }
            StackChoice::File(file) => {
                self.remembered.stack = None;
                self.remembered.stack_file = Some(file);
            }
        }
        self.stack = stack_of(&self.remembered)?;
        Ok(self)
    }

    /// What the stack is called.
    fn stack_name(&self) -> String {
        match (&self.remembered.stack_file, &self.remembered.stack) {
            (Some(file), _) => file.path.display().to_string(),
            (None, Some(name)) => name.clone(),
            (None, None) => "lite".to_owned(),
        }
    }

    /// What is wanted of the project, from this request and what is remembered.
    ///
    /// # Errors
    /// When the request cannot be, or a program is missing.
    pub async fn wanted(&self, request: &Request) -> Result<Wanted> {
        let kind = match request.engine {
            Some(EngineKind::Native) if !self.stack.is_native() => {
                return Err(RequestError::ContainersOnly {
                    name: self.stack_name(),
                }
                .into());
            }
            Some(kind) => kind,
            None if !self.stack.is_native() => EngineKind::Docker,
            None => engine_of(&self.remembered)?,
        };
        if kind == EngineKind::Native && matches!(request.source, Some(ProgramSource::Checkout(_))) {
            return Err(RequestError::SourceWithoutImages.into());
        }
        if self.is_running_on_other_engine(kind).await? {
            let running = engine_of(&self.remembered)?;
            return Err(RequestError::OtherEngine {
                running,
                wanted: kind,
            }
            .into());
        }
        let observed = engine(kind, &self.folder).observe().await?;
        let ports = self.ports(request, &observed)?;
        let osqueryd = request
            .osqueryd
            .clone()
            .or_else(|| self.remembered.osqueryd.clone())
            .unwrap_or("auto".to_owned());
        let osquery_sha256 = request
            .osquery_sha256
            .clone()
            .or_else(|| self.remembered.osquery_sha256.clone());
        // What was not to be had is tried again when the user says anything new about it.
        let is_new = request.osqueryd.is_some() || osquery_sha256 != self.remembered.osquery_sha256;
        let osquery_unavailable = match &request.osquery_unavailable {
            None if !is_new => self.remembered.osquery_unavailable.clone(),
            reason => reason.clone(),
        };
        let source = match request.source.clone() {
            Some(source) => source.checkout(),
            None => self.remembered.source.clone(),
        };
        let remembered = Remembered {
            engine: Some(kind.to_string()),
            stack: self.remembered.stack.clone(),
            stack_file: self.remembered.stack_file.clone(),
            ports,
            osqueryd: Some(osqueryd),
            osquery_sha256,
            osquery_unavailable,
            source,
        };
        match kind {
            EngineKind::Native => self.wanted_natively(remembered).await,
            EngineKind::Docker => {
                let pull = request.pull.clone().unwrap_or_else(PullSettings::usual);
                self.wanted_in_containers(remembered, pull).await
            }
            EngineKind::Fake => Ok(Wanted {
                kind,
                engine: engine(kind, &self.folder),
                prober: Arc::new(FakeProber),
                desired: self.resolved(&remembered, &|_| "fake".to_owned(), None, &BTreeMap::new())?,
                hostnames: self.hostnames(),
                remembered,
                isolation: None,
                host_variant: None,
                daemon: None,
            }),
        }
    }

    async fn wanted_natively(&self, remembered: Remembered) -> Result<Wanted> {
        let choice = OsquerydChoice::parse(remembered.osqueryd.as_deref().unwrap_or_default());
        let programs = Programs::find(&choice)?;
        let isolation = Isolation::detect().await;
        let identity = |role| match role {
            Role::Service => programs.identity_of_service(),
            Role::Host => programs.identity_of_host(&isolation),
        };
        let desired = self.resolved(&remembered, &identity, None, &BTreeMap::new())?;
        let broker = remembered
            .ports
            .get(&ServiceName::new("broker"))
            .copied()
            .unwrap_or_default();
        let hostnames = self.hostnames();
        let setup = Setup {
            programs,
            isolation: isolation.clone(),
            hostnames: hostnames.clone(),
            bootstrap_servers: format!("127.0.0.1:{broker}"),
        };
        Ok(Wanted {
            kind: EngineKind::Native,
            engine: Arc::new(NativeEngine::with_setup(self.folder.clone(), setup)),
            prober: Arc::new(ProtocolProber),
            desired,
            hostnames,
            remembered,
            isolation: Some(isolation),
            host_variant: None,
            daemon: None,
        })
    }

    async fn wanted_in_containers(&self, remembered: Remembered, pull: PullSettings) -> Result<Wanted> {
        let connection = Connection::open().await?;
        let memory = connection.memory().await?;
        let choice = OsqueryChoice {
            osqueryd: remembered.osqueryd.clone().unwrap_or_default(),
            sha256: remembered.osquery_sha256.clone(),
            unavailable: remembered.osquery_unavailable.clone(),
        };
        let sources = ImageSources::find(
            &choice,
            &connection.architecture().await?,
            remembered.source.as_deref(),
        )?;
        let mut variables = self.heaps(memory);
        variables.extend(sources.variables());
        let desired = self.resolved(&remembered, &|_| String::new(), Some(&sources), &variables)?;
        let mut images: Vec<ImageRef> = desired
            .iter()
            .filter_map(|spec| Some(spec.container.as_ref()?.image.clone()))
            .collect();
        images.sort();
        images.dedup();
        let host_variant = sources.variant().clone();
        let setup = docker::Setup {
            sources,
            images,
            pull: pull.clone(),
        };
        Ok(Wanted {
            kind: EngineKind::Docker,
            engine: Arc::new(DockerEngine::with_setup(
                self.folder.clone(),
                connection.clone(),
                setup,
            )),
            prober: Arc::new(ProtocolProber),
            desired,
            hostnames: self.hostnames(),
            remembered,
            isolation: None,
            host_variant: Some(host_variant),
            daemon: Some(Daemon {
                connection,
                memory,
                pull,
            }),
        })
    }

    /// The variables of the heaps, sized to the memory of the daemon's machine; a variable of the environment wins.
    fn heaps(&self, memory: Option<u64>) -> BTreeMap<String, String> {
        let mut variables = memory.map(|memory| self.stack.heaps(memory)).unwrap_or_default();
        for (name, value) in &mut variables {
            if let Ok(given) = std::env::var(name) {
                *value = given;
            }
        }
        variables
    }

    fn resolved(
        &self,
        remembered: &Remembered,
        identity: &dyn Fn(Role) -> String,
        sources: Option<&ImageSources>,
        variables: &BTreeMap<String, String>,
    ) -> std::result::Result<Vec<ServiceSpec>, ResolveError> {
        resolve(
            &self.stack,
            &Choices {
                ports: &remembered.ports,
                folder: self.folder.root(),
                identity,
                variables,
                image_content: &|recipe| sources.map(|sources| sources.content(recipe)).unwrap_or_default(),
            },
        )
    }

    fn hostnames(&self) -> BTreeMap<ServiceName, String> {
        let hosts = self.stack.services.iter();
        hosts
            .filter(|service| service.role == Role::Host)
            .map(|service| {
                let hostname = service
                    .hostname
                    .clone()
                    .unwrap_or_else(|| service.name.to_string());
                (service.name.clone(), hostname)
            })
            .collect()
    }

    async fn is_running_on_other_engine(&self, wanted: EngineKind) -> Result<bool> {
        if engine_of(&self.remembered)? == wanted {
            return Ok(false);
        }
        Ok(!self.engine.observe().await?.services.is_empty())
    }

    /// The port of every service: asked for, else remembered, else the stack's.
    fn ports(&self, request: &Request, observed: &Observed) -> Result<BTreeMap<ServiceName, u16>> {
        let mut ports: BTreeMap<ServiceName, u16> = BTreeMap::new();
        for service in &self.stack.services {
            let Some(default) = service.port else { continue };
            let remembered = self.remembered.ports.get(&service.name).copied();
            let port = match request.ports.get(&service.name) {
                // Any port will do: the one it has, so that asking twice changes nothing.
                Some(0) => match remembered.filter(|port| is_usable(*port, observed)) {
                    Some(port) => port,
                    None => free_port(&service.name)?,
                },
                Some(port) => *port,
                None => remembered.unwrap_or(default.published),
            };
            if let Some((other, _)) = ports.iter().find(|(_, other)| **other == port) {
                return Err(RequestError::SamePort {
                    first: other.clone(),
                    second: service.name.clone(),
                    port,
                }
                .into());
            }
            ports.insert(service.name.clone(), port);
        }
        Ok(ports)
    }
}

/// An engine that can observe and stop.
fn engine(kind: EngineKind, folder: &ProjectFolder) -> Arc<dyn Engine> {
    match kind {
        EngineKind::Native => Arc::new(NativeEngine::new(folder.clone())),
        EngineKind::Docker => Arc::new(DockerEngine::new(folder.clone())),
        EngineKind::Fake => Arc::new(FakeEngine::new(folder.clone())),
    }
}

fn engine_of(remembered: &Remembered) -> std::result::Result<EngineKind, RequestError> {
    remembered
        .engine
        .as_deref()
        .map_or(Ok(EngineKind::Native), EngineKind::parse)
}

fn is_usable(port: u16, observed: &Observed) -> bool {
    is_ours(observed, port) || matches!(PortState::of(port), PortState::Free)
}

fn free_port(service: &ServiceName) -> std::result::Result<u16, RequestError> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
        .and_then(|listener| listener.local_addr())
        .map(|address| address.port())
        .map_err(|source| RequestError::NoFreePort {
            service: service.clone(),
            source,
        })
}
