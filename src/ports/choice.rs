//! The rules by which services get their ports. Pure: who stands in the way of a port is asked through a function.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::ops::RangeInclusive;

use crate::events::{PortMoved, PortObstacle};
use crate::ports::{Holder, PortError};
use crate::stack::{ServiceName, Stack};

/// Where ports are picked: below those that the system gives to outgoing connections, above the well-known ones.
const PICKED: RangeInclusive<u16> = 20_000..=29_999;

/// What is known when ports are chosen.
pub(super) struct Question<'a> {
    /// The services and their usual ports.
    pub(super) stack: &'a Stack,
    /// The services that cannot have another port than the stack's, unless it is asked for.
    pub(super) fixed: BTreeSet<ServiceName>,
    /// The ports that are asked for now; 0 is any.
    pub(super) asked: &'a BTreeMap<ServiceName, u16>,
    /// The ports that were asked for earlier.
    pub(super) asked_earlier: &'a BTreeMap<ServiceName, u16>,
    /// The ports that were picked earlier.
    pub(super) picked_earlier: &'a BTreeMap<ServiceName, u16>,
    /// The ports of the services that run.
    pub(super) running: BTreeMap<ServiceName, u16>,
    /// Any number that is the same for the same project and service: where picking begins.
    pub(super) seed: &'a dyn Fn(&ServiceName) -> u64,
}

/// What services get.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Choice {
    /// The port of every service that publishes one; no two have the same.
    pub(super) ports: BTreeMap<ServiceName, u16>,
    /// Those of them that the user asked for, now or earlier.
    pub(super) asked: BTreeMap<ServiceName, u16>,
    /// Those of them that were picked, now or earlier.
    pub(super) picked: BTreeMap<ServiceName, u16>,
    /// The services that get another port than they would have.
    pub(super) moved: Vec<Moved>,
    /// The services whose port is taken, and that get no other one.
    pub(super) blocked: Vec<Blocked>,
}

/// A service gets another port, because nobody insists on the one it would have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Moved {
    /// The service.
    pub service: ServiceName,
    /// The port it would have.
    pub from: u16,
    /// What is in the way.
    pub obstacle: Obstacle,
    /// The port it gets.
    pub to: u16,
}

/// A service cannot have the port that is insisted on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Blocked {
    /// The service.
    pub service: ServiceName,
    /// The port.
    pub port: u16,
    /// What is in the way.
    pub obstacle: Obstacle,
    /// Who insists.
    pub insists: Insists,
}

/// Who insists on a port.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Insists {
    /// The user, now or earlier.
    User,
    /// The stack file: the service would not know of another one.
    StackFile,
    /// Nobody: another `up` gets another port.
    Nobody,
}

/// Why a service cannot have a port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Obstacle {
    /// Somebody has it.
    Held(Holder),
    /// The system refuses for another reason.
    Unusable(String),
    /// Another service of the project gets it.
    Sibling(ServiceName),
}

impl Obstacle {
    /// The obstacle as it is told.
    pub fn told(&self) -> PortObstacle {
        match self {
            Self::Held(holder) => holder.told(),
            Self::Unusable(reason) => PortObstacle::Unusable {
                reason: reason.clone(),
            },
            Self::Sibling(service) => PortObstacle::Service {
                service: service.clone(),
            },
        }
    }
}

impl fmt::Display for Obstacle {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.told().fmt(formatter)
    }
}

impl Moved {
    /// The move as it is told.
    pub fn told(&self) -> PortMoved {
        PortMoved {
            service: self.service.clone(),
            from: self.from,
            to: self.to,
            obstacle: self.obstacle.told(),
        }
    }
}

/// Chooses. `claim` takes a port for this project, or tells what is in the way.
///
/// # Errors
/// When two services are to have the same port, or none can be picked.
pub(super) fn choose(
    question: &Question<'_>,
    claim: &mut dyn FnMut(u16) -> Result<(), Obstacle>,
) -> Result<Choice, PortError> {
    let mut choice = Choice::default();
    // Ports that are insisted on come first: the others make way for them.
    for (service, default) in published(question.stack) {
        let Some((port, insists)) = question.insisted(service, default) else {
            continue;
        };
        if let Some(first) = choice.service_at(port) {
            return Err(PortError::Same {
                first,
                second: service.clone(),
                port,
            });
        }
        if let Err(obstacle) = claim(port) {
            choice.blocked.push(Blocked {
                service: service.clone(),
                port,
                obstacle,
                insists,
            });
        }
        if insists == Insists::User {
            choice.asked.insert(service.clone(), port);
        }
        choice.ports.insert(service.clone(), port);
    }
    for (service, default) in published(question.stack) {
        if choice.ports.contains_key(service) {
            continue;
        }
        let Some(usual) = question.usual(service, default) else {
            let port = pick(question, &choice, service, claim)?;
            choice.picked.insert(service.clone(), port);
            choice.ports.insert(service.clone(), port);
            continue;
        };
        let claimed = match choice.service_at(usual) {
            Some(other) => Err(Obstacle::Sibling(other)),
            None => claim(usual),
        };
        let port = match claimed {
            Ok(()) => usual,
            Err(obstacle) => {
                let to = pick(question, &choice, service, claim)?;
                choice.moved.push(Moved {
                    service: service.clone(),
                    from: usual,
                    obstacle,
                    to,
                });
                to
            }
        };
        if port != default {
            choice.picked.insert(service.clone(), port);
        }
        choice.ports.insert(service.clone(), port);
    }
    Ok(choice)
}

/// The services that publish a port, with the stack's.
pub(super) fn published(stack: &Stack) -> impl Iterator<Item = (&ServiceName, u16)> {
    stack
        .services
        .iter()
        .filter_map(|service| Some((&service.name, service.port?.published)))
}

/// A port that is free and nobody's usual one.
fn pick(
    question: &Question<'_>,
    choice: &Choice,
    service: &ServiceName,
    claim: &mut dyn FnMut(u16) -> Result<(), Obstacle>,
) -> Result<u16, PortError> {
    pick_from((question.seed)(service), service, |port| {
        choice.service_at(port).is_none()
            && question.asked_earlier.get(service) != Some(&port)
            && published(question.stack).all(|(_, default)| default != port)
            && claim(port).is_ok()
    })
}

/// The first port that will do, from where `seed` says on.
pub(super) fn pick_from(
    seed: u64,
    service: &ServiceName,
    mut will_do: impl FnMut(u16) -> bool,
) -> Result<u16, PortError> {
    let begin = usize::try_from(seed % PICKED.len() as u64).unwrap_or_default();
    PICKED
        .skip(begin)
        .chain(PICKED.take(begin))
        .find(|port| will_do(*port))
        .ok_or_else(|| PortError::NoneFree {
            service: service.clone(),
            first: *PICKED.start(),
            last: *PICKED.end(),
        })
}

impl Question<'_> {
    /// The port that a service has to have, and who says so.
    fn insisted(&self, service: &ServiceName, default: u16) -> Option<(u16, Insists)> {
        match self.asked.get(service) {
            Some(0) => None,
            Some(port) => Some((*port, Insists::User)),
            None => match self.asked_earlier.get(service) {
                Some(port) => Some((*port, Insists::User)),
                None => self
                    .fixed
                    .contains(service)
                    .then_some((default, Insists::StackFile)),
            },
        }
    }

    /// The port that a service has unless that is taken; nothing when any will do.
    fn usual(&self, service: &ServiceName, default: u16) -> Option<u16> {
        if self.asked.get(service) == Some(&0) {
            // The one it has, so that asking twice changes nothing; but one that was insisted on is to be left.
            let insisted = self.asked_earlier.get(service);
            let earlier = [self.picked_earlier, &self.running];
            let port = earlier.iter().find_map(|ports| ports.get(service));
            return port.filter(|port| Some(*port) != insisted).copied();
        }
        Some(self.picked_earlier.get(service).copied().unwrap_or(default))
    }
}

impl Choice {
    fn service_at(&self, port: u16) -> Option<ServiceName> {
        let taken = self.ports.iter().find(|(_, other)| **other == port);
        taken.map(|(service, _)| service.clone())
    }
}

#[cfg(test)]
#[path = "choice_tests.rs"]
mod tests;
