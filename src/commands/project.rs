//! A project as the verbs see it: its folder, the engine that runs it, and what is wanted of it.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, TcpListener};
use std::sync::Arc;

use crate::commands::Context;
use crate::doctor::{PortState, is_ours};
use crate::engine::Engine;
use crate::engine::fake::FakeEngine;
use crate::engine::native::isolation::Isolation;
use crate::engine::native::programs::{OsquerydChoice, Programs};
use crate::engine::native::{NativeEngine, Setup};
use crate::error::{Diagnose, Result};
use crate::exit_code::ExitCode;
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

/// What the user asked for.
#[derive(Debug, Clone, Default)]
pub struct Request {
    /// The engine; the remembered one, else `native`, by default.
    pub engine: Option<EngineKind>,
    /// Ports: 0 keeps the one it has, or picks a free one.
    pub ports: BTreeMap<ServiceName, u16>,
    /// Which osqueryd the hosts run.
    pub osqueryd: Option<String>,
}

/// The engines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EngineKind {
    /// Processes on this machine.
    Native,
    /// Nothing at all, for tests.
    Fake,
}

/// The user asked for something that cannot be.
#[derive(Debug, thiserror::Error)]
pub enum RequestError {
    /// An engine that this version does not have.
    #[error("engine `{name}` is not available in this version")]
    Engine {
        /// Its name.
        name: String,
    },
    /// A stack that this version does not have.
    #[error("stack `{name}` is not available in this version")]
    Stack {
        /// Its name.
        name: String,
    },
    /// Not `SERVICE=PORT`.
    #[error("`{text}` is not of the form `SERVICE=PORT`")]
    Port {
        /// What was given.
        text: String,
    },
    /// A service that is not in the stack.
    #[error("there is no service `{name}`; the services are {known}")]
    UnknownService {
        /// What was given.
        name: String,
        /// The names of the services.
        known: String,
    },
    /// A service that listens nowhere.
    #[error("service `{service}` publishes no port")]
    NoPort {
        /// The service.
        service: ServiceName,
    },
    /// Two services cannot have one port.
    #[error("services `{first}` and `{second}` cannot both have port {port}")]
    SamePort {
        /// One service.
        first: ServiceName,
        /// The other one.
        second: ServiceName,
        /// The port.
        port: u16,
    },
    /// No port is free.
    #[error("failed to find a free port for `{service}`: {source}")]
    NoFreePort {
        /// The service.
        service: ServiceName,
        /// What the system said.
        source: std::io::Error,
    },
    /// The project runs on another engine.
    #[error("the project runs on engine `{running}`, not on `{wanted}`")]
    OtherEngine {
        /// The engine it runs on.
        running: EngineKind,
        /// The engine asked for.
        wanted: EngineKind,
    },
}

impl Diagnose for RequestError {
    fn exit_code(&self) -> ExitCode {
        match self {
            Self::NoFreePort { .. } => ExitCode::Preflight,
            _ => ExitCode::Usage,
        }
    }

    fn hints(&self) -> Vec<String> {
        match self {
            Self::Engine { .. } => vec!["use `--engine native`".to_owned()],
            Self::Stack { .. } => vec!["use `--stack lite`".to_owned()],
            Self::Port { .. } => vec!["for example `--port broker=19092`, or `--port broker=0`".to_owned()],
            Self::OtherEngine { .. } => vec!["stop it first with `osqdemo down`".to_owned()],
            _ => Vec::new(),
        }
    }
}

impl std::fmt::Display for EngineKind {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(self.as_str())
    }
}

impl EngineKind {
    /// The engine of that name.
    ///
    /// # Errors
    /// When this version does not have it.
    pub fn parse(name: &str) -> std::result::Result<Self, RequestError> {
        match name {
            "native" => Ok(Self::Native),
            "fake" => Ok(Self::Fake),
            _ => Err(RequestError::Engine {
                name: name.to_owned(),
            }),
        }
    }

    fn as_str(self) -> &'static str {
        match self {
            Self::Native => "native",
            Self::Fake => "fake",
        }
    }
}

/// The stack of that name.
///
/// # Errors
/// When this version does not have it.
pub fn stack(name: &str) -> Result<Stack> {
    match name {
        "lite" => Ok(Stack::lite()?),
        _ => Err(RequestError::Stack {
            name: name.to_owned(),
        }
        .into()),
    }
}

/// Reads `SERVICE=PORT` arguments.
///
/// # Errors
/// When one is not of that form, or names a service without a port.
pub fn parse_ports(stack: &Stack, arguments: &[String]) -> Result<BTreeMap<ServiceName, u16>> {
    let mut ports = BTreeMap::new();
    for text in arguments {
        let wrong = || RequestError::Port { text: text.clone() };
        let (name, port) = text.split_once('=').ok_or_else(wrong)?;
        let port: u16 = port.parse().map_err(|_| wrong())?;
        let service = stack.service(name).ok_or_else(|| unknown_service(stack, name))?;
        if service.port.is_none() {
            return Err(RequestError::NoPort {
                service: service.name.clone(),
            }
            .into());
        }
        ports.insert(service.name.clone(), port);
    }
    Ok(ports)
}

/// The error about a service that is not in the stack.
pub fn unknown_service(stack: &Stack, name: &str) -> RequestError {
    RequestError::UnknownService {
        name: name.to_owned(),
        known: stack.names(),
    }
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
        let variables = BTreeMap::new();
        let resolved = |identity: &dyn Fn(Role) -> String| {
            resolve(
                &self.stack,
                &Choices {
                    ports: &ports,
                    folder: self.folder.root(),
                    identity,
                    variables: &variables,
                    image_content: &|_| String::new(),
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
