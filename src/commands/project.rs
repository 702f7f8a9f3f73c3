//! A project as the verbs see it: its folder, the engine that runs it, and what is wanted of it.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, TcpListener};
use std::sync::Arc;

use crate::commands::Context;
use crate::commands::request::{EngineKind, Request, RequestError};
use crate::doctor::{PortState, is_ours};
use crate::engine::Engine;
use crate::engine::docker::image::{
    HOST_IMAGE_VARIABLE, HostVariant, ImageSources, OSQUERY_IMAGE, OsqueryChoice,
};
use crate::engine::docker::{self, Connection, DockerEngine};
use crate::engine::fake::FakeEngine;
use crate::engine::native::isolation::Isolation;
use crate::engine::native::programs::{OsquerydChoice, Programs};
use crate::engine::native::{NativeEngine, Setup};
use crate::error::Result;
use crate::health::{FakeProber, Prober, ProtocolProber};
use crate::plan::{Choices, Observed, ResolveError, ServiceSpec, resolve};
use crate::stack::{ImageRef, Recipe, Role, ServiceName, Stack};
use crate::state::{ProjectFolder, Remembered};

/// A project whose engine can observe and stop.
pub struct Project {
    /// Its folder.
    pub folder: ProjectFolder,
    /// What earlier runs chose.
    pub remembered: Remembered,
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
        let engine = engine(engine_of(&remembered)?, &folder);
        Ok(Self {
            folder,
            remembered,
            engine,
            stack: Stack::lite()?,
        })
    }

    /// What is wanted of the project, from this request and what is remembered.
    ///
    /// # Errors
    /// When the request cannot be, or a program is missing.
    pub async fn wanted(&self, request: &Request) -> Result<Wanted> {
        let kind = request.engine.map_or_else(|| engine_of(&self.remembered), Ok)?;
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
        let remembered = Remembered {
            engine: Some(kind.to_string()),
            ports,
            osqueryd: Some(osqueryd),
            osquery_sha256,
        };
        match kind {
            EngineKind::Native => self.wanted_natively(remembered).await,
            EngineKind::Docker => self.wanted_in_containers(remembered).await,
            EngineKind::Fake => Ok(Wanted {
                kind,
                engine: engine(kind, &self.folder),
                prober: Arc::new(FakeProber),
                desired: self.resolved(&remembered, &|_| "fake".to_owned(), None)?,
                hostnames: self.hostnames(),
                remembered,
                isolation: None,
                host_variant: None,
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
        let desired = self.resolved(&remembered, &identity, None)?;
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
        })
    }

    async fn wanted_in_containers(&self, remembered: Remembered) -> Result<Wanted> {
        let connection = Connection::open().await?;
        let choice = OsqueryChoice {
            osqueryd: remembered.osqueryd.clone().unwrap_or_default(),
            sha256: remembered.osquery_sha256.clone(),
        };
        let sources = image_sources(&self.stack, &connection, &choice).await?;
        let desired = self.resolved(&remembered, &|_| String::new(), Some(&sources))?;
        let mut images: Vec<ImageRef> = desired
            .iter()
            .filter_map(|spec| Some(spec.container.as_ref()?.image.clone()))
            .collect();
        images.sort();
        images.dedup();
        let host_variant = sources.variant().clone();
        let setup = docker::Setup { sources, images };
        Ok(Wanted {
            kind: EngineKind::Docker,
            engine: Arc::new(DockerEngine::with_setup(self.folder.clone(), connection, setup)),
            prober: Arc::new(ProtocolProber),
            desired,
            hostnames: self.hostnames(),
            remembered,
            isolation: None,
            host_variant: Some(host_variant),
        })
    }

    fn resolved(
        &self,
        remembered: &Remembered,
        identity: &dyn Fn(Role) -> String,
        sources: Option<&ImageSources>,
    ) -> std::result::Result<Vec<ServiceSpec>, ResolveError> {
        resolve(
            &self.stack,
            &Choices {
                ports: &remembered.ports,
                folder: self.folder.root(),
                identity,
                variables: &sources.map(ImageSources::variables).unwrap_or_default(),
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

/// What the images of a stack are made of on this machine.
///
/// # Errors
/// When a program is missing or cannot go into an image.
pub async fn image_sources(
    stack: &Stack,
    connection: &Connection,
    choice: &OsqueryChoice,
) -> Result<ImageSources> {
    let with_osquery = |name: &str| (name == HOST_IMAGE_VARIABLE).then(|| OSQUERY_IMAGE.to_owned());
    let containers = stack
        .services
        .iter()
        .filter_map(|service| service.container.as_ref());
    let image = containers
        .filter(|container| container.recipe == Some(Recipe::Host))
        .map(|container| ImageRef::new(container.image.fill(&with_osquery)))
        .next();
    let is_there = match image {
        Some(image) => connection.has_image(&image).await?,
        None => false,
    };
    ImageSources::find(choice, is_there, &connection.architecture().await?).await
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
