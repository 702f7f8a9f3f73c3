//! A project as the verbs see it: its folder, the engine that runs it, and what is wanted of it.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::cli::StackArgs;
use crate::commands::Context;
use crate::commands::request::{
    EngineKind, HostConfigChoice, PortsRequest, ProgramSource, Request, RequestError, StackChoice,
    parse_without, stack_of, whole_stack_of,
};
use crate::engine::Engine;
use crate::engine::docker::image::{HostVariant, ImageSources, OsqueryChoice};
use crate::engine::docker::{self, Connection, DaemonFacts, DockerEngine, PullSettings};
use crate::engine::fake::FakeEngine;
use crate::engine::native::isolation::Isolation;
use crate::engine::native::programs::{self, OsquerydChoice, Programs};
use crate::engine::native::{NativeEngine, Setup};
use crate::error::Result;
use crate::health::{FakeProber, Prober, ProtocolProber};
use crate::host_config::{self, HostConfig};
use crate::plan::{Choices, Observed, ResolveError, ServiceSpec, resolve};
use crate::ports::{self, Listens, PortError, Ports, Wishes};
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
    /// The ports of the services.
    pub ports: Ports,
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
    /// What it says of itself.
    pub facts: DaemonFacts,
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

    /// The current project with the stack that was asked for: on the command line, else in the settings file, else as
    /// it is remembered.
    ///
    /// # Errors
    /// When this version does not have the stack, or a service cannot be left out of it.
    pub fn asked_for(context: &Context, arguments: &StackArgs) -> Result<Self> {
        let mut project = Self::open(context)?;
        let before = project.stack_name();
        match StackChoice::of(arguments)? {
            StackChoice::Remembered => {}
            StackChoice::Named(name) => {
                project.remembered.stack = Some(name);
                project.remembered.stack_file = None;
            }
            StackChoice::File(file) => {
                project.remembered.stack = None;
                project.remembered.stack_file = Some(file);
            }
        }
        let whole = whole_stack_of(&project.remembered)?;
        let settings = &context.settings;
        let of_file = match &settings.file {
            Some(file) => file.without(&whole, settings.stack_origin())?,
            None => None,
        };
        if let Some(without) = parse_without(&arguments.without).or(of_file) {
            project.remembered.without = without;
        } else if project.stack_name() != before {
            // Another stack has other services.
            project.remembered.without.clear();
        }
        project.stack = whole.without(&project.remembered.without)?;
        Ok(project)
    }

    /// What the stack is called.
    pub fn stack_name(&self) -> String {
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
            return Err(RequestError::OtherEngine {
                running: self.kind,
                wanted: kind,
            }
            .into());
        }
        if let (HostConfigChoice::File(own), EngineKind::Native | EngineKind::Docker) =
            (&request.host_config, kind)
        {
            let extension = programs::find_extension(&programs::own_path()?)?;
            host_config::check(&extension, &own.path).await?;
        }
        let ports = match &request.ports {
            PortsRequest::AsTheyAre => Ports::as_they_are(&self.stack, &self.remembered, listens(kind)),
            PortsRequest::Choose(asked) => {
                let observed = if kind == self.kind {
                    self.engine.observe().await?
                } else {
                    engine(kind, &self.folder).observe().await?
                };
                self.choose_ports(kind, asked, &observed, ports::Daemon::MayAnswer)
                    .await?
            }
        };
        let osqueryd = request
            .osqueryd
            .clone()
            .or_else(|| self.remembered.osqueryd.clone())
            .map_or("auto".to_owned(), |text| from_anywhere(&text));
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
            without: self.remembered.without.clone(),
            ports: ports.asked().clone(),
            picked_ports: ports.picked().clone(),
            osqueryd: Some(osqueryd),
            host_config: request.host_config.or(self.remembered.host_config.as_ref()),
            osquery_sha256,
            osquery_unavailable,
            source,
        };
        match kind {
            EngineKind::Native => self.wanted_natively(remembered, ports).await,
            EngineKind::Docker => {
                let pull = request.pull.clone().unwrap_or_else(PullSettings::usual);
                self.wanted_in_containers(remembered, ports, pull).await
            }
            EngineKind::Fake => Ok(Wanted {
                kind,
                engine: engine(kind, &self.folder),
                prober: Arc::new(FakeProber),
                desired: self.resolved(
                    &remembered,
                    &ports,
                    &|_| "fake".to_owned(),
                    None,
                    &BTreeMap::new(),
                )?,
                hostnames: self.hostnames(),
                ports,
                remembered,
                isolation: None,
                host_variant: None,
                daemon: None,
            }),
        }
    }

    async fn wanted_natively(&self, remembered: Remembered, ports: Ports) -> Result<Wanted> {
        let choice = OsquerydChoice::parse(remembered.osqueryd.as_deref().unwrap_or_default());
        let programs = Programs::find(&choice)?;
        let isolation = Isolation::detect().await?;
        let identity = |role| match role {
            Role::Service => programs.identity_of_service(),
            Role::Host => programs.identity_of_host(&isolation),
        };
        let desired = self.resolved(&remembered, &ports, &identity, None, &BTreeMap::new())?;
        let broker = ports
            .all()
            .get(&ServiceName::new("broker"))
            .copied()
            .unwrap_or_default();
        let hostnames = self.hostnames();
        let setup = Setup {
            programs,
            isolation: isolation.clone(),
            hostnames: hostnames.clone(),
            bootstrap_servers: format!("127.0.0.1:{broker}"),
            host_config: remembered.host_config.clone(),
        };
        Ok(Wanted {
            kind: EngineKind::Native,
            engine: Arc::new(NativeEngine::with_setup(self.folder.clone(), setup)),
            prober: Arc::new(ProtocolProber),
            desired,
            hostnames,
            ports,
            remembered,
            isolation: Some(isolation),
            host_variant: None,
            daemon: None,
        })
    }

    async fn wanted_in_containers(
        &self,
        remembered: Remembered,
        ports: Ports,
        pull: PullSettings,
    ) -> Result<Wanted> {
        let connection = Connection::open().await?;
        connection.check_local()?;
        let facts = connection.facts().await?;
        let choice = OsqueryChoice {
            osqueryd: remembered.osqueryd.clone().unwrap_or_default(),
            sha256: remembered.osquery_sha256.clone(),
            unavailable: remembered.osquery_unavailable.clone(),
        };
        let sources = ImageSources::find(&choice, &connection.architecture, remembered.source.as_deref())?;
        let mut variables = self.heaps(facts.memory);
        variables.extend(sources.variables());
        let desired = self.resolved(
            &remembered,
            &ports,
            &|_| String::new(),
            Some(&sources),
            &variables,
        )?;
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
            host_config: remembered.host_config.clone(),
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
            ports,
            remembered,
            isolation: None,
            host_variant: Some(host_variant),
            daemon: Some(Daemon {
                connection,
                facts,
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
        ports: &Ports,
        identity: &dyn Fn(Role) -> String,
        sources: Option<&ImageSources>,
        variables: &BTreeMap<String, String>,
    ) -> std::result::Result<Vec<ServiceSpec>, ResolveError> {
        resolve(
            &self.stack,
            &Choices {
                ports: ports.all(),
                folder: self.folder.root(),
                identity,
                variables,
                image_content: &|recipe| sources.map(|sources| sources.content(recipe)).unwrap_or_default(),
                host_config: remembered.host_config.as_ref().map(HostConfig::hash),
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

    /// The ports of services that are to be started, these ones as asked for.
    ///
    /// # Errors
    /// When two services are to have the same port, or none is free.
    pub async fn choose_ports(
        &self,
        kind: EngineKind,
        asked: &BTreeMap<ServiceName, u16>,
        observed: &Observed,
        daemon: ports::Daemon,
    ) -> std::result::Result<Ports, PortError> {
        Ports::choose(Wishes {
            stack: &self.stack,
            asked,
            remembered: &self.remembered,
            observed,
            folder: &self.folder,
            listens: listens(kind),
            daemon,
        })
        .await
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

fn listens(kind: EngineKind) -> Listens {
    match kind {
        EngineKind::Native | EngineKind::Fake => Listens::Process,
        EngineKind::Docker => Listens::Daemon,
    }
}

/// A path is remembered so that it means the same file in every folder.
fn from_anywhere(osqueryd: &str) -> String {
    match OsquerydChoice::parse(osqueryd) {
        OsquerydChoice::Path(path) => path.display().to_string(),
        OsquerydChoice::Auto | OsquerydChoice::OnPath | OsquerydChoice::Builtin => osqueryd.to_owned(),
    }
}
