//! The rules by which services get their ports. Pure: who stands in the way of a port is asked through a function.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::ops::RangeInclusive;

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

impl fmt::Display for Obstacle {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Held(holder) => write!(formatter, "in use by {holder}"),
            Self::Unusable(reason) => write!(formatter, "not usable: {reason}"),
            Self::Sibling(service) => write!(formatter, "that of {service}"),
        }
    }
}

impl fmt::Display for Moved {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            service,
            from,
            obstacle,
            to,
        } = self;
        write!(
            formatter,
            "port {from} of {service} is {obstacle}: {service} gets port {to}, remembered by this project"
        )?;
        match obstacle {
            Obstacle::Sibling(_) => Ok(()),
            Obstacle::Held(_) | Obstacle::Unusable(_) => {
                write!(formatter, "; `--port {service}={from}` insists")
            }
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
    let begin = usize::try_from((question.seed)(service) % PICKED.len() as u64).unwrap_or_default();
    PICKED
        .skip(begin)
        .chain(PICKED.take(begin))
        .find(|port| {
            choice.service_at(*port).is_none()
                && published(question.stack).all(|(_, default)| default != *port)
                && claim(*port).is_ok()
        })
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
            // The one it has, so that asking twice changes nothing.
            let earlier = [self.asked_earlier, self.picked_earlier, &self.running];
            return earlier.iter().find_map(|ports| ports.get(service)).copied();
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
mod tests {
    use proptest::collection::{btree_map, btree_set};
    use proptest::prelude::*;
    use proptest::sample::select;

    use super::*;

    type Ports = BTreeMap<ServiceName, u16>;

    fn named<const N: usize>(ports: [(&str, u16); N]) -> Ports {
        ports.map(|(name, port)| (ServiceName::new(name), port)).into()
    }

    /// Chooses for stack `confluent` where somebody has the ports `taken`.
    fn chosen(asked: &Ports, earlier: (&Ports, &Ports), taken: &BTreeSet<u16>) -> Result<Choice, PortError> {
        let question = Question {
            stack: &Stack::confluent().expect("the embedded stack"),
            fixed: BTreeSet::new(),
            asked,
            asked_earlier: earlier.0,
            picked_earlier: earlier.1,
            running: Ports::new(),
            seed: &|service| service.as_str().len() as u64,
        };
        choose(&question, &mut |port| {
            if taken.contains(&port) {
                Err(Obstacle::Unusable("taken".to_owned()))
            } else {
                Ok(())
            }
        })
    }

    #[test]
    fn free_ports_are_the_stacks_and_nothing_is_remembered() {
        let nothing = Ports::new();
        let choice = chosen(&nothing, (&nothing, &nothing), &BTreeSet::new()).expect("ports");
        let ports: Vec<u16> = choice.ports.into_values().collect();
        assert_eq!(ports, [9092, 9021, 8088, 8081, 2181]);
        assert!(choice.asked.is_empty() && choice.picked.is_empty() && choice.moved.is_empty());
    }

    #[test]
    fn only_a_port_that_nobody_asked_for_makes_way() {
        let nothing = Ports::new();
        let taken = BTreeSet::from([9092]);
        let choice = chosen(&nothing, (&nothing, &nothing), &taken).expect("ports");
        let moved = choice.moved.first().expect("the broker moved");
        assert_eq!(
            moved.to_string(),
            "port 9092 of broker is not usable: taken: broker gets port 20006, remembered by this project; \
             `--port broker=9092` insists"
        );
        assert_eq!(choice.picked, named([("broker", 20006)]));

        let asked = named([("broker", 9092)]);
        for (now, earlier) in [(&asked, &nothing), (&nothing, &asked)] {
            let choice = chosen(now, (earlier, &nothing), &taken).expect("ports");
            assert_eq!(choice.asked, asked);
            assert!(choice.moved.is_empty());
            let blocked = choice.blocked.first().expect("the broker is blocked");
            assert_eq!((blocked.port, blocked.insists), (9092, Insists::User));
        }
    }

    #[test]
    fn a_port_of_a_sibling_makes_way_too() {
        let nothing = Ports::new();
        let asked = named([("broker", 8088)]);
        let choice = chosen(&asked, (&nothing, &nothing), &BTreeSet::new()).expect("ports");
        let moved = choice.moved.first().expect("ksqlDB moved");
        assert_eq!(
            moved.to_string(),
            "port 8088 of ksqldb-server is that of broker: ksqldb-server gets port 20013, remembered by this project"
        );
        let asked = named([("broker", 8088), ("ksqldb-server", 8088)]);
        let error = chosen(&asked, (&nothing, &nothing), &BTreeSet::new()).expect_err("both cannot");
        assert_eq!(
            error.to_string(),
            "services `broker` and `ksqldb-server` cannot both have port 8088"
        );
    }

    #[test]
    fn any_port_is_the_one_it_has_or_a_free_one_but_not_the_usual_one() {
        let (nothing, any) = (Ports::new(), named([("broker", 0)]));
        let broker = |earlier: (&Ports, &Ports)| {
            let choice = chosen(&any, earlier, &BTreeSet::new()).expect("ports");
            assert!(choice.asked.is_empty() && choice.moved.is_empty());
            choice.ports.get(&ServiceName::new("broker")).copied()
        };
        assert_eq!(broker((&nothing, &nothing)), Some(20006));
        assert_eq!(broker((&named([("broker", 1234)]), &nothing)), Some(1234));
        assert_eq!(broker((&nothing, &named([("broker", 4321)]))), Some(4321));
    }

    #[test]
    fn a_machine_without_a_free_port_is_an_error() {
        let nothing = Ports::new();
        let taken = (0..=u16::MAX).collect();
        let error = chosen(&nothing, (&nothing, &nothing), &taken).expect_err("none is free");
        assert_eq!(
            error.to_string(),
            "no port from 20000 to 29999 is free for zookeeper"
        );
    }

    const SERVICES: [&str; 5] = [
        "zookeeper",
        "broker",
        "schema-registry",
        "ksqldb-server",
        "control-center",
    ];

    /// Few enough ports that services and the rest of the machine want the same ones.
    fn some_port() -> impl Strategy<Value = u16> {
        prop_oneof![select(vec![2181_u16, 8081, 8088, 9021, 9092]), 20_000..20_030_u16]
    }

    fn some_ports() -> impl Strategy<Value = Ports> {
        btree_map(
            select(SERVICES.to_vec()).prop_map(ServiceName::new),
            some_port(),
            0..4,
        )
    }

    proptest! {
        #[test]
        fn no_port_is_given_twice_or_is_somebodys(
            asked in some_ports(),
            asked_earlier in some_ports(),
            mut picked_earlier in some_ports(),
            taken in btree_set(some_port(), 0..20),
        ) {
            picked_earlier.retain(|service, _| !asked_earlier.contains_key(service));
            let Ok(choice) = chosen(&asked, (&asked_earlier, &picked_earlier), &taken) else {
                // Only what two services are asked to have cannot be had.
                let mut insisted = asked_earlier;
                insisted.extend(asked);
                let different: BTreeSet<&u16> = insisted.values().collect();
                prop_assert!(different.len() < insisted.len());
                return Ok(());
            };
            let different: BTreeSet<&u16> = choice.ports.values().collect();
            prop_assert_eq!(different.len(), SERVICES.len());
            for (service, port) in &choice.ports {
                let is_blocked = choice.blocked.iter().any(|blocked| blocked.service == *service);
                prop_assert_eq!(is_blocked, taken.contains(port), "{} has port {}", service, port);
                let insisted = asked.get(service).or_else(|| asked_earlier.get(service));
                prop_assert_eq!(choice.asked.get(service), insisted);
                prop_assert!(insisted.is_none() || insisted == Some(port));
                prop_assert!(insisted.is_some() || !is_blocked);
            }
            for moved in &choice.moved {
                prop_assert!([2181, 8081, 8088, 9021, 9092].iter().all(|usual| *usual != moved.to));
            }
            // Once it runs with them, everything stays as it is, whatever is free or taken elsewhere.
            let again = chosen(&Ports::new(), (&choice.asked, &choice.picked), &BTreeSet::new()).expect("ports");
            prop_assert!(again.moved.is_empty());
            prop_assert_eq!(&again.ports, &choice.ports);
        }
    }
}
