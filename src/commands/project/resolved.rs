//! What is wanted of a project: from a request and what is remembered to the services as they should be, and an engine
//! that can make them so. What differs between the engines has a file for each.

mod docker;
mod fake;
mod native;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use crate::commands::project::{DaemonPublishers, PortsRequest, Project, Request, engine, listens};
use crate::engine::docker::image::HostVariant;
use crate::engine::docker::{Connection, DaemonFacts, PullSettings};
use crate::engine::native::isolation::Isolation;
use crate::engine::native::programs;
use crate::engine::{Engine, EngineKind, OsquerydChoice};
use crate::error::{Diagnose, Result};
use crate::events::Warning;
use crate::exit_code::ExitCode;
use crate::health::Prober;
use crate::host_config::{self, HostConfig, LineFormat};
use crate::listener::{ListenAddress, ListenerFolder};
use crate::plan::{Choices, ClientCopy, ProgramsImage, Reach, ResolveError, ServiceSpec, resolve};
use crate::ports::Ports;
use crate::settings::{SettingsError, Source, Statements};
use crate::stack::{HttpService, Recipe, Role};
use crate::state::Remembered;

/// What is wanted of a project, resolved to services and the means to get them.
pub struct Resolved {
    /// Can also start.
    pub engine: Arc<dyn Engine>,
    /// Asks for health.
    pub prober: Arc<dyn Prober>,
    /// The services as they should be, dependencies first.
    pub desired: Vec<ServiceSpec>,
    /// The ports of the services.
    pub ports: Ports,
    /// What is to be remembered.
    pub remembered: Remembered,
    /// What the engine has to run them by.
    pub means: Means,
    /// The osqueryd that the hosts ran is gone.
    pub osqueryd_gone: Option<Warning>,
}

/// The project runs on another engine.
#[derive(Debug, thiserror::Error)]
#[error("the project runs on engine `{running}`, not on `{wanted}`")]
struct OtherEngine {
    running: EngineKind,
    wanted: EngineKind,
    /// Who wants the other one.
    from: Source,
}

impl Diagnose for OtherEngine {
    fn exit_code(&self) -> ExitCode {
        ExitCode::Usage
    }

    fn hints(&self) -> Vec<String> {
        let from = self.from.hint(&format!("engine `{}`", self.wanted));
        let stop = "stop it first with `osqdemo down`".to_owned();
        from.into_iter().chain([stop]).collect()
    }
}

/// What an engine has to run services by.
pub enum Means {
    /// Processes of this machine.
    Processes {
        /// How the hosts are kept apart.
        isolation: Isolation,
    },
    /// Containers of a daemon.
    Containers(Box<Daemon>),
    /// Nothing: the services are only written down.
    Nothing,
}

/// The daemon of the Docker engine and what it is to do.
pub struct Daemon {
    /// The way to it.
    pub connection: Connection,
    /// What it says of itself.
    pub facts: DaemonFacts,
    /// How images of registries are got.
    pub pull: PullSettings,
    /// What the hosts run.
    pub hosts: HostVariant,
}

/// What the services of an engine are resolved with, besides what every engine shares.
struct Resolution<'a> {
    /// What identifies the programs and files that a role runs as processes.
    identity: &'a dyn Fn(Role) -> String,
    /// What identifies the content of an image that is made from this repository.
    image_content: &'a dyn Fn(Recipe) -> String,
    /// The image with the programs of those, where they are compiled.
    programs: Option<&'a ProgramsImage>,
    /// The values of the stack file's variables.
    variables: &'a BTreeMap<String, String>,
    /// From where the hosts reach the broker.
    reach: Reach,
}

impl Resolved {
    /// The daemon, where containers run.
    pub fn daemon(&self) -> Option<&Daemon> {
        match &self.means {
            Means::Containers(daemon) => Some(daemon),
            Means::Processes { .. } | Means::Nothing => None,
        }
    }
}

impl Project {
    /// What is wanted of the project, from this request and what is remembered.
    ///
    /// # Errors
    /// When the request cannot be, or a program is missing.
    pub async fn resolve(&self, request: &Request) -> Result<Resolved> {
        let kind = request.settings.target.engine.value;
        self.check_engine(request).await?;
        self.check_registry(request)?;
        let checked = match request.host_config.or(self.remembered.host_config.as_ref()) {
            Some(own) if request.host_config.is_new() && kind != EngineKind::Fake => {
                let extension = programs::find_extension(&programs::own_path()?)?;
                Some(host_config::left_out(&extension, &own).await?)
            }
            _ => None,
        };
        let ports = self.ports_for(request, kind).await?;
        let mut remembered = self.remembering(request, kind, &ports);
        if let (Some(own), Some(left_out)) = (&mut remembered.host_config, checked) {
            own.findings = left_out;
        }
        match kind {
            EngineKind::Native => self.resolved_natively(remembered, ports).await,
            EngineKind::Docker => {
                let pull = request.pull.clone();
                self.resolved_in_containers(remembered, ports, pull).await
            }
            EngineKind::Fake => self.resolved_of_fake(remembered, ports),
        }
    }

    /// What `auto` found once, when it is gone and something else is found now.
    fn osqueryd_gone(&self, remembered: &Remembered) -> Option<Warning> {
        let path = self.remembered.osqueryd_found.clone()?;
        let instead = remembered.osqueryd_found.clone()?;
        let is_gone = path != instead && !programs::is_still_there(&path);
        is_gone.then_some(Warning::OsquerydGone { path, instead })
    }

    /// Lines in Avro need a registry. Whether one elsewhere is named is known once the client properties are there.
    fn check_registry(&self, request: &Request) -> Result<()> {
        let format = &request.settings.format;
        let is_there = self.stack.first(Role::SchemaRegistry).is_some() || self.remote_registry().is_some();
        if format.value == LineFormat::Avro && !is_there {
            let from = format.source.clone();
            return Err(SettingsError::AvroWithoutRegistry { from }.into());
        }
        Ok(())
    }

    /// A project runs on one engine at a time.
    async fn check_engine(&self, request: &Request) -> Result<()> {
        let wanted = &request.settings.target.engine;
        if self.is_running_on_other_engine(wanted.value).await? {
            return Err(OtherEngine {
                running: self.kind,
                wanted: wanted.value,
                from: wanted.source.clone(),
            }
            .into());
        }
        Ok(())
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
        Ok(self
            .choose_ports(kind, asked, &observed, &DaemonPublishers)
            .await?)
    }

    /// What is to be remembered: what is asked for, else what was remembered.
    fn remembering(&self, request: &Request, kind: EngineKind, ports: &Ports) -> Remembered {
        let earlier = &self.remembered;
        let asked = &request.settings.osquery;
        let choice = asked.osqueryd.value.clone().from_anywhere();
        let osqueryd = Some(choice.to_string());
        let osquery_sha256 = asked.sha256.as_ref().map(|sha256| sha256.value.clone());
        // What was not to be had is tried again when the user asks for it again, or anything about it is new; that the
        // settings file still says the same is neither.
        let is_new = asked.osqueryd.source.is_this_run()
            || osqueryd != earlier.osqueryd
            || osquery_sha256 != earlier.osquery_sha256;
        let osquery_unavailable = match &request.osquery_unavailable {
            None if !is_new => earlier.osquery_unavailable.clone(),
            reason => reason.clone(),
        };
        let osqueryd_found = match choice {
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
            with: earlier.with.clone(),
            kafka: earlier.kafka.clone(),
            kafka_config: earlier.kafka_config.clone(),
            listen: request.settings.listen.value.address().map(ToString::to_string),
            without: earlier.without.clone(),
            statements: Some(request.settings.statements.value)
                .filter(|statements| *statements == Statements::None)
                .map(|statements| statements.to_string()),
            ports: ports.asked().clone(),
            picked_ports: ports.picked().clone(),
            osqueryd,
            osqueryd_found,
            host_config: request.host_config.or(earlier.host_config.as_ref()),
            line_format: Some(request.settings.format.value.to_string()),
            osquery_sha256,
            osquery_unavailable,
            source: request.settings.source.checkout(),
        }
    }

    fn resolved(
        &self,
        remembered: &Remembered,
        ports: &Ports,
        resolution: &Resolution<'_>,
    ) -> std::result::Result<Vec<ServiceSpec>, ResolveError> {
        resolve(
            &self.stack,
            &Choices {
                ports: ports.all(),
                folder: self.folder.root(),
                identity: resolution.identity,
                variables: resolution.variables,
                image_content: resolution.image_content,
                programs: resolution.programs,
                host_config: host_config::identity(
                    remembered.host_config.as_ref(),
                    self.registry_of_hosts(remembered, ports, resolution.reach)
                        .map(|registry| registry.url)
                        .as_deref(),
                ),
                client: self.client.as_ref().map(|client| ClientCopy {
                    file: self.folder.client_properties_file(),
                    identity: client.identity(),
                }),
                listener: self.listener_of(remembered),
                reach: resolution.reach,
            },
        )
    }

    /// What the broker is told of its listener for other machines. Whether everything is there that it takes is checked by
    /// who asks for it.
    fn listener_of(&self, remembered: &Remembered) -> Option<ClientCopy> {
        let address: ListenAddress = remembered.listen.as_deref()?.parse().ok()?;
        let folder = ListenerFolder::of(&self.folder);
        Some(ClientCopy {
            file: folder.broker_config(),
            identity: folder.identity(&address).unwrap_or_default(),
        })
    }

    /// Where the hosts find the registry, where their lines are to be Avro.
    fn registry_of_hosts(&self, remembered: &Remembered, ports: &Ports, reach: Reach) -> Option<HttpService> {
        if remembered.line_format() == LineFormat::Json {
            return None;
        }
        let Some(registry) = self.stack.first(Role::SchemaRegistry) else {
            return self.remote_registry().cloned();
        };
        Some(HttpService::open(match reach {
            Reach::Loopback => format!("http://127.0.0.1:{}", ports.all().get(&registry.name)?),
            Reach::Network => format!("http://{}:{}", registry.name, registry.port?.target),
        }))
    }
}

fn builtin() -> String {
    OsquerydChoice::Builtin.to_string()
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
