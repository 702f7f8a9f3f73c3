//! Which port each service gets: the one that was asked for, else the one the project remembers, else the stack's.
//! A port that nobody asked for makes way when it is taken: another one is picked, told and remembered. Who has a
//! taken port is named. `up` chooses, `doctor` tells what `up` would choose.

mod choice;
mod holder;
mod reservation;

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::pin::Pin;

use crate::error::Diagnose;
use crate::exit_code::ExitCode;
use crate::plan::{Observed, Publisher, ServiceState};
use crate::ports::choice::{Choice, Question};
use crate::ports::holder::Machine;
use crate::ports::reservation::Reservation;
use crate::stack::{Role, Service, ServiceName, Stack};
use crate::state::{ProjectFolder, Remembered};

pub use choice::{Blocked, Insists, Moved, Obstacle};
pub use holder::Holder;

/// The ports of a project's services. While it lives, no other `up` chooses one of them.
#[derive(Debug)]
pub struct Ports {
    choice: Choice,
    listens: Listens,
    _reservations: Vec<Reservation>,
}

/// Free ports that are picked for processes of a project which nobody else has to find. While it lives, no other command
/// of osqdemo picks one of them.
#[derive(Debug, Default)]
pub struct FreePorts {
    reservations: Vec<Reservation>,
}

/// Who listens on the published ports.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Listens {
    /// A service itself.
    Process,
    /// The Docker daemon, for a service in a container.
    Daemon,
}

/// The containers that publish ports of this machine, by port.
pub type Published<'a> = Pin<Box<dyn Future<Output = BTreeMap<u16, Publisher>> + Send + 'a>>;

/// Knows which containers publish ports of this machine.
pub trait Publishers: Send + Sync {
    /// Who publishes which port; nobody, where nobody answers.
    fn published(&self) -> Published<'_>;
}

/// No container publishes anything, or nobody can tell.
pub struct NoPublishers;

impl Publishers for NoPublishers {
    fn published(&self) -> Published<'_> {
        Box::pin(async { BTreeMap::new() })
    }
}

/// What ports are chosen from.
#[derive(Clone, Copy)]
pub struct Wishes<'a> {
    /// The services.
    pub stack: &'a Stack,
    /// The ports that the user asks for; 0 keeps the one a service has, or picks a free one.
    pub asked: &'a BTreeMap<ServiceName, u16>,
    /// What earlier runs chose.
    pub remembered: &'a Remembered,
    /// What runs.
    pub observed: &'a Observed,
    /// The project.
    pub folder: &'a ProjectFolder,
    /// Who will listen.
    pub listens: Listens,
    /// Is asked who publishes ports.
    pub publishers: &'a dyn Publishers,
}

/// A service cannot have the port that is insisted on: somebody else has it.
#[derive(Debug, thiserror::Error)]
#[error("port {} of {} is {}", blocked.port, blocked.service, blocked.obstacle)]
pub struct PortTaken {
    /// The service, its port and who is in the way.
    pub blocked: Blocked,
    /// The folder of our projects.
    pub home: PathBuf,
}

impl Diagnose for PortTaken {
    fn exit_code(&self) -> ExitCode {
        ExitCode::Preflight
    }

    fn hints(&self) -> Vec<String> {
        vec![self.blocked.hint(&self.home)]
    }
}

/// There is no port for a service.
#[derive(Debug, thiserror::Error)]
pub enum PortError {
    /// Two services cannot have one port.
    #[error("services `{first}` and `{second}` cannot both have port {port}")]
    Same {
        /// One service.
        first: ServiceName,
        /// The other one.
        second: ServiceName,
        /// The port.
        port: u16,
    },
    /// Everything is taken.
    #[error("no port from {first} to {last} is free for {service}")]
    NoneFree {
        /// The service.
        service: ServiceName,
        /// The first port that was tried.
        first: u16,
        /// The last one.
        last: u16,
    },
}

impl Diagnose for PortError {
    fn exit_code(&self) -> ExitCode {
        match self {
            Self::NoneFree { .. } => ExitCode::Preflight,
            Self::Same { .. } => ExitCode::Usage,
        }
    }

    fn hints(&self) -> Vec<String> {
        match self {
            Self::Same { .. } => Vec::new(),
            Self::NoneFree { service, .. } => vec![format!("choose one with `--port {service}=PORT`")],
        }
    }
}

impl Ports {
    /// Chooses for services that are to be started where they do not run yet.
    ///
    /// # Errors
    /// When two services are to have the same port, or none is free. That a port is taken is an error only for a
    /// service that is started: see [`Ports::blocked`].
    pub async fn choose(wishes: Wishes<'_>) -> Result<Self, PortError> {
        let Wishes {
            stack,
            asked,
            remembered,
            observed,
            folder,
            listens,
            publishers,
        } = wishes;
        let usual = choice::published(stack).map(|(_, port)| port);
        let chosen = [asked, &remembered.ports, &remembered.picked_ports];
        let chosen = chosen.into_iter().flat_map(BTreeMap::values).copied();
        let foreign = usual.chain(chosen).filter(|port| !is_ours(observed, *port));
        let machine = Machine::look(listens, publishers, foreign).await;
        let mut reservations = Vec::new();
        let mut claim = |port| {
            if is_ours(observed, port) {
                return Ok(());
            }
            // In this order: a port is listened on before its reservation is given back.
            let reservation = Reservation::take(port)
                .map_err(|reserved| Obstacle::Held(Holder::Up { pid: reserved.pid }))?;
            match machine.obstacle(port) {
                Some(obstacle) => Err(obstacle),
                None => {
                    reservations.push(reservation);
                    Ok(())
                }
            }
        };
        let running = observed.services.iter();
        let question = Question {
            stack,
            fixed: fixed(stack, listens),
            asked,
            asked_earlier: &remembered.ports,
            picked_earlier: &remembered.picked_ports,
            running: running
                .filter_map(|(name, service)| Some((name.clone(), service.port?)))
                .collect(),
            seed: &|service| seed(folder, service),
        };
        Ok(Self {
            choice: choice::choose(&question, &mut claim)?,
            listens,
            _reservations: reservations,
        })
    }

    /// The ports as the project has them. Nothing is looked at and nothing reserved.
    pub fn as_they_are(stack: &Stack, remembered: &Remembered, listens: Listens) -> Self {
        let earlier = [&remembered.ports, &remembered.picked_ports];
        let ports = choice::published(stack).map(|(service, default)| {
            let chosen = earlier.iter().find_map(|ports| ports.get(service));
            (service.clone(), chosen.copied().unwrap_or(default))
        });
        Self {
            choice: Choice {
                ports: ports.collect(),
                asked: remembered.ports.clone(),
                picked: remembered.picked_ports.clone(),
                ..Choice::default()
            },
            listens,
            _reservations: Vec::new(),
        }
    }

    /// The port of every service that publishes one.
    pub fn all(&self) -> &BTreeMap<ServiceName, u16> {
        &self.choice.ports
    }

    /// Those of them that the user asked for.
    pub fn asked(&self) -> &BTreeMap<ServiceName, u16> {
        &self.choice.asked
    }

    /// Those of them that were picked.
    pub fn picked(&self) -> &BTreeMap<ServiceName, u16> {
        &self.choice.picked
    }

    /// The services that get another port than they would have, because that is taken.
    pub fn moved(&self) -> &[Moved] {
        &self.choice.moved
    }

    /// The services whose port is taken and insisted on.
    pub fn blocked(&self) -> &[Blocked] {
        &self.choice.blocked
    }

    /// The first of the services whose port was taken after it was chosen: it could not be started.
    pub async fn lost(
        &self,
        started: &[ServiceName],
        observed: &Observed,
        publishers: &dyn Publishers,
    ) -> Option<Blocked> {
        let of_started = |service: &ServiceName| Some((service.clone(), *self.choice.ports.get(service)?));
        let mut foreign = started
            .iter()
            .filter_map(of_started)
            .filter(|(_, port)| !is_ours(observed, *port));
        let wanted = foreign.clone().map(|(_, port)| port);
        let machine = Machine::look(self.listens, publishers, wanted).await;
        foreign.find_map(|(service, port)| {
            Some(Blocked {
                obstacle: machine.obstacle(port)?,
                insists: if self.choice.asked.contains_key(&service) {
                    Insists::User
                } else {
                    Insists::Nobody
                },
                service,
                port,
            })
        })
    }
}

impl FreePorts {
    /// One for a process of this name; `is_spoken_for` says which ports others of the project have, or will have.
    ///
    /// # Errors
    /// When none is free.
    pub fn pick(
        &mut self,
        folder: &ProjectFolder,
        name: &ServiceName,
        is_spoken_for: impl Fn(u16) -> bool,
    ) -> Result<u16, PortError> {
        let machine = Machine::of_processes();
        choice::pick_from(seed(folder, name), name, |port| {
            // In this order: a port is listened on before its reservation is given back.
            let reservation = Reservation::take(port).ok().filter(|_| !is_spoken_for(port));
            let free = reservation.filter(|_| machine.obstacle(port).is_none());
            let is_free = free.is_some();
            self.reservations.extend(free);
            is_free
        })
    }
}

impl Blocked {
    /// What to do about it; `home` is the folder of our projects.
    pub fn hint(&self, home: &Path) -> String {
        let service = &self.service;
        let other_port = match self.insists {
            Insists::User => format!("`--port {service}=0` picks a free port, and `osqdemo ps` shows it"),
            Insists::StackFile => format!(
                "write the port as `${{{}:-{}}}` in the stack file, in its advertised address too: then {service} can \
                 get another one",
                variable(service),
                self.port
            ),
            Insists::Nobody => "`osqdemo up` picks another port".to_owned(),
        };
        match self.obstacle.way_out(home) {
            Some(way_out) => format!("{way_out}; to keep both, {other_port}"),
            None => other_port,
        }
    }
}

impl Obstacle {
    /// The folder of the osqdemo project that is in the way.
    fn project(&self) -> Option<PathBuf> {
        match self {
            Self::Held(holder) => holder.project(),
            Self::Unusable(_) | Self::Sibling(_) => None,
        }
    }

    /// How the port is freed, if we know how; `home` is the folder of our projects.
    pub fn way_out(&self, home: &Path) -> Option<String> {
        if let Some(project) = self.project() {
            let name = project.file_name().unwrap_or_default().to_string_lossy();
            let its_home = project.parent().unwrap_or(&project);
            return Some(if its_home == home {
                format!("`osqdemo --project {name} down` stops that project")
            } else {
                format!(
                    "`OSQDEMO_HOME={} osqdemo --project {name} down` stops that project",
                    its_home.display()
                )
            });
        }
        match self {
            Self::Held(Holder::Container(publisher)) => Some(format!(
                "`docker stop {}` stops that container",
                publisher.container
            )),
            _ => None,
        }
    }
}

/// Whether a process of this project has the port; the plan ends it before the port is needed.
pub fn is_ours(observed: &Observed, port: u16) -> bool {
    observed.services.values().any(|service| {
        service.port == Some(port)
            && matches!(
                service.state,
                ServiceState::Running { .. } | ServiceState::Paused { .. } | ServiceState::Leftover { .. }
            )
    })
}

/// The services that would not know of another port. A broker tells its clients where it is; in a container it knows
/// its published port only by the variable of the stack file.
fn fixed(stack: &Stack, listens: Listens) -> BTreeSet<ServiceName> {
    let is_fixed = |service: &&Service| {
        listens == Listens::Daemon && service.role == Role::Broker && service.port_variable.is_none()
    };
    let services = stack.services.iter().filter(is_fixed);
    services.map(|service| service.name.clone()).collect()
}

/// The name of a variable for the port of a service, such as `BROKER_PORT`.
fn variable(service: &ServiceName) -> String {
    format!("{}_PORT", service.as_str().replace('-', "_").to_ascii_uppercase())
}

/// The same for the same project and service: `up` picks what `up --dry-run` has shown.
fn seed(folder: &ProjectFolder, service: &ServiceName) -> u64 {
    let mut hasher = DefaultHasher::new();
    (folder.root(), service).hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests;
