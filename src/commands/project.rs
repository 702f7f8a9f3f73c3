//! A project as the verbs see it: its folder, the engine that runs it, and what is wanted of it.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, TcpListener};
use std::sync::Arc;

use crate::commands::Context;
use crate::commands::request::{EngineKind, Request, RequestError};
use crate::doctor::{PortState, is_ours};
use crate::engine::Engine;
use crate::engine::fake::FakeEngine;
use crate::engine::native::isolation::Isolation;
use crate::engine::native::programs::{OsquerydChoice, Programs};
use crate::engine::native::{NativeEngine, Setup};
use crate::error::Result;
use crate::health::{FakeProber, Prober, ProtocolProber};
use crate::plan::{Choices, Observed, ServiceSpec, resolve};
use crate::stack::{Role, ServiceName, Stack};
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
        let engine: Arc<dyn Engine> = match engine_of(&remembered)? {
            EngineKind::Native => Arc::new(NativeEngine::new(folder.clone())),
            EngineKind::Fake => Arc::new(FakeEngine::new(folder.clone())),
        };
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
        let ports = self.ports(request, &self.engine.observe().await?)?;
        let osqueryd = request
            .osqueryd
            .clone()
            .or_else(|| self.remembered.osqueryd.clone())
            .unwrap_or("auto".to_owned());
        let hostnames: BTreeMap<ServiceName, String> = self
            .stack
            .services
            .iter()
            .filter(|service| service.role == Role::Host)
            .map(|service| {
                let hostname = service
                    .hostname
                    .clone()
                    .unwrap_or_else(|| service.name.to_string());
                (service.name.clone(), hostname)
            })
            .collect();
        let remembered = Remembered {
            engine: Some(kind.to_string()),
            ports: ports.clone(),
            osqueryd: Some(osqueryd.clone()),
        };
        let resolved = |identity: &dyn Fn(Role) -> String| {
            resolve(
                &self.stack,
                &Choices {
                    ports: &ports,
                    folder: self.folder.root(),
                    identity,
                },
            )
        };
        match kind {
            EngineKind::Native => {
                let programs = Programs::find(&OsquerydChoice::parse(&osqueryd))?;
                let isolation = Isolation::detect().await;
                let desired = resolved(&|role| match role {
                    Role::Service => programs.identity_of_service(),
                    Role::Host => programs.identity_of_host(&isolation),
                })?;
                let broker = ports
                    .get(&ServiceName::new("broker"))
                    .copied()
                    .unwrap_or_default();
                let setup = Setup {
                    programs,
                    isolation: isolation.clone(),
                    hostnames: hostnames.clone(),
                    bootstrap_servers: format!("127.0.0.1:{broker}"),
                };
                Ok(Wanted {
                    engine: Arc::new(NativeEngine::with_setup(self.folder.clone(), setup)),
                    prober: Arc::new(ProtocolProber),
                    desired,
                    hostnames,
                    remembered,
                    isolation: Some(isolation),
                })
            }
            EngineKind::Fake => Ok(Wanted {
                engine: Arc::new(FakeEngine::new(self.folder.clone())),
                prober: Arc::new(FakeProber),
                desired: resolved(&|_| "fake".to_owned())?,
                hostnames,
                remembered,
                isolation: None,
            }),
        }
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
