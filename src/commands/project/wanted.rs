//! What is wanted of a project: from a request and what is remembered to the services as they should be, and an engine
//! that can make them so.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use crate::commands::project::{Project, engine, listens};
use crate::commands::request::{
    EngineKind, HostConfigChoice, PortsRequest, ProgramSource, Request, RequestError,
};
use crate::engine::Engine;
use crate::engine::docker::image::{HostVariant, ImageSources, OsqueryChoice};
use crate::engine::docker::{self, Connection, DaemonFacts, DockerEngine, PullSettings};
use crate::engine::native::isolation::Isolation;
use crate::engine::native::programs::{self, Osqueryd, OsquerydChoice, Programs};
use crate::engine::native::{NativeEngine, Setup};
use crate::error::Result;
use crate::health::{FakeProber, Prober, ProtocolProber};
use crate::host_config::{self, HostConfig};
use crate::plan::{Choices, ResolveError, ServiceSpec, resolve};
use crate::ports::{self, Ports};
use crate::stack::{ImageRef, Role, ServiceName};
use crate::state::Remembered;

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
    /// What is wanted of the project, from this request and what is remembered.
    ///
    /// # Errors
    /// When the request cannot be, or a program is missing.
    pub async fn wanted(&self, request: &Request) -> Result<Wanted> {
        let kind = self.engine_for(request).await?;
        let left_out = match (&request.host_config, kind) {
            (HostConfigChoice::File(own), EngineKind::Native | EngineKind::Docker) => {
                let extension = programs::find_extension(&programs::own_path()?)?;
                Some(host_config::left_out(&extension, &own.path).await?)
            }
            _ => None,
        };
        let ports = self.ports_for(request, kind).await?;
        let mut remembered = self.remembering(request, kind, &ports);
        if let (Some(own), Some(left_out)) = (&mut remembered.host_config, left_out) {
            own.findings = left_out;
        }
        match kind {
            EngineKind::Native => self.wanted_natively(remembered, ports).await,
            EngineKind::Docker => {
                let pull = request.pull.clone().unwrap_or_else(PullSettings::usual);
                self.wanted_in_containers(remembered, ports, pull).await
            }
            EngineKind::Fake => self.wanted_of_fake(remembered, ports),
        }
    }

    /// The engine that is asked for, else the one it has been.
    async fn engine_for(&self, request: &Request) -> Result<EngineKind> {
        let kind = match request.engine {
            Some(EngineKind::Native) if !self.stack.is_native() => {
                return Err(RequestError::ContainersOnly {
                    name: self.stack_name(),
                }
                .into());
            }
            Some(kind) => kind,
            None if !self.stack.is_native() => EngineKind::Docker,
            None => self.kind,
        };
        // What the settings file says of images is passed over where there are none.
        let is_compiled = matches!(request.source, Some(ProgramSource::Checkout(_)));
        if kind == EngineKind::Native && is_compiled && request.typed.source("source").is_some() {
            return Err(RequestError::SourceWithoutImages.into());
        }
        if self.is_running_on_other_engine(kind).await? {
            return Err(RequestError::OtherEngine {
                running: self.kind,
                wanted: kind,
            }
            .into());
        }
        Ok(kind)
    }

    async fn ports_for(&self, request: &Request, kind: EngineKind) -> Result<Ports> {
        let PortsRequest::Choose(asked) = &request.ports else {
            return Ok(Ports::as_they_are(&self.stack, &self.remembered, listens(kind)));
        };
        let observed = if kind == self.kind {
            self.engine.observe().await?
        } else {
            engine(kind, &self.folder).observe().await?
        };
        let daemon = ports::Daemon::MayAnswer;
        Ok(self.choose_ports(kind, asked, &observed, daemon).await?)
    }

    /// What is to be remembered: what is asked for, else what was remembered.
    fn remembering(&self, request: &Request, kind: EngineKind, ports: &Ports) -> Remembered {
        let earlier = &self.remembered;
        let osqueryd = request.osqueryd.clone().or_else(|| earlier.osqueryd.clone());
        let osqueryd = Some(osqueryd.map_or("auto".to_owned(), |text| from_anywhere(&text)));
        let osquery_sha256 = request
            .osquery_sha256
            .clone()
            .or_else(|| earlier.osquery_sha256.clone());
        // What was not to be had is tried again when the user asks for it again, or anything about it is new; that the
        // settings file still says the same is neither.
        let is_new = request.typed.source("osqueryd").is_some()
            || osqueryd != earlier.osqueryd
            || osquery_sha256 != earlier.osquery_sha256;
        let osquery_unavailable = match &request.osquery_unavailable {
            None if !is_new => earlier.osquery_unavailable.clone(),
            reason => reason.clone(),
        };
        let osqueryd_found = match OsquerydChoice::parse(osqueryd.as_deref().unwrap_or_default()) {
            OsquerydChoice::Auto if kind == EngineKind::Native => earlier
                .osqueryd_found
                .clone()
                .filter(|found| !is_new && programs::is_still_there(found))
                .or_else(|| {
                    Some(programs::osqueryd_on_path().map_or_else(builtin, |path| path.display().to_string()))
                }),
            _ => None,
        };
        Remembered {
            engine: Some(kind.to_string()),
            stack: earlier.stack.clone(),
            stack_file: earlier.stack_file.clone(),
            without: earlier.without.clone(),
            ports: ports.asked().clone(),
            picked_ports: ports.picked().clone(),
            osqueryd,
            osqueryd_found,
            host_config: request.host_config.or(earlier.host_config.as_ref()),
            osquery_sha256,
            osquery_unavailable,
            source: match request.source.clone() {
                Some(source) => source.checkout(),
                None => earlier.source.clone(),
            },
        }
    }

    fn wanted_of_fake(&self, remembered: Remembered, ports: Ports) -> Result<Wanted> {
        let identity = |_| "fake".to_owned();
        Ok(Wanted {
            kind: EngineKind::Fake,
            engine: engine(EngineKind::Fake, &self.folder),
            prober: Arc::new(FakeProber),
            desired: self.resolved(&remembered, &ports, &identity, None, &BTreeMap::new())?,
            hostnames: self.hostnames(),
            ports,
            remembered,
            isolation: None,
            host_variant: None,
            daemon: None,
        })
    }

    async fn wanted_natively(&self, mut remembered: Remembered, ports: Ports) -> Result<Wanted> {
        let choice = remembered
            .osqueryd_found
            .as_deref()
            .or(remembered.osqueryd.as_deref());
        let programs = Programs::find(&OsquerydChoice::parse(choice.unwrap_or_default()))?;
        if let Osqueryd::Builtin(agent) = &programs.osqueryd {
            find_unknown_tables(agent, remembered.host_config.as_mut()).await?;
        }
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
        mut remembered: Remembered,
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
        // The agent of the image may be compiled there; the installed one has the same tables, where there is one.
        if let HostVariant::Agent { .. } = host_variant
            && let Ok(Osqueryd::Builtin(agent)) =
                programs::find_osqueryd(&OsquerydChoice::Builtin, &programs::own_path()?)
        {
            find_unknown_tables(&agent, remembered.host_config.as_mut()).await?;
        }
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
}

fn builtin() -> String {
    "builtin".to_owned()
}

/// Adds the queries that cannot run on the agent's tables to what counts for nothing.
async fn find_unknown_tables(agent: &Path, host_config: Option<&mut HostConfig>) -> Result<()> {
    let Some(own) = host_config else {
        return Ok(());
    };
    for finding in host_config::not_on_agent(agent, own).await? {
        if !own.findings.contains(&finding) {
            own.findings.push(finding);
        }
    }
    Ok(())
}

/// A path is remembered so that it means the same file in every folder.
fn from_anywhere(osqueryd: &str) -> String {
    match OsquerydChoice::parse(osqueryd) {
        OsquerydChoice::Path(path) => path.display().to_string(),
        OsquerydChoice::Auto | OsquerydChoice::OnPath | OsquerydChoice::Builtin => osqueryd.to_owned(),
    }
}
