//! Services that start only when the user asks for them, and those whose place they take.

use std::collections::BTreeSet;

use serde::Serialize;

use crate::error::Diagnose;
use crate::exit_code::ExitCode;
use crate::near_names;
use crate::stack::{Change, KafkaAddress, Service, ServiceName, Stack};

/// What the file says of a service that starts only when it is asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Optional {
    /// The service that it runs in place of: both cannot be there.
    pub instead_of: Option<ServiceName>,
    /// The optional service that it comes along with, instead of being asked for by its own name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub along_with: Option<ServiceName>,
    /// What other services are told while it is there.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub changes: Vec<(ServiceName, Change)>,
}

/// Why a service of the file is not there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Absence {
    /// The user left it out.
    LeftOut,
    /// Another one that the user asked for runs in its place.
    Replaced {
        /// The other one.
        by: ServiceName,
    },
    /// It is optional, and nobody asked for it.
    NotAskedFor,
    /// It is part of what a Kafka outside of the stack does.
    OutsideKafka {
        /// Where that is.
        kafka: KafkaAddress,
    },
}

/// A service cannot be had in addition.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WithError {
    /// The stack has no optional service of that name.
    #[error("there is no optional service `{service}`")]
    Unknown {
        /// What was named.
        service: ServiceName,
        /// The optional services that there are.
        known: Vec<String>,
    },
    /// It is there anyway.
    #[error("service `{service}` is not optional: it is there without being asked for")]
    NotOptional {
        /// The service.
        service: ServiceName,
    },
    /// It comes along with another one, whose name stands for both.
    #[error("service `{service}` comes along with `{leader}`, and not by itself")]
    ComesAlong {
        /// The service.
        service: ServiceName,
        /// The one that it comes along with.
        leader: ServiceName,
    },
    /// It needs another optional one.
    #[error("service `{service}` needs `{dependency}`, which is optional too")]
    Needs {
        /// The service.
        service: ServiceName,
        /// What it needs.
        dependency: ServiceName,
    },
    /// Two services for one place.
    #[error("services `{service}` and `{other}` both run in place of `{instead_of}`")]
    OnePlace {
        /// The service.
        service: ServiceName,
        /// The one that has the place.
        other: ServiceName,
        /// Whose place it is.
        instead_of: ServiceName,
    },
}

impl WithError {
    /// The service that cannot be had.
    pub fn service(&self) -> &ServiceName {
        match self {
            Self::Unknown { service, .. }
            | Self::NotOptional { service }
            | Self::ComesAlong { service, .. }
            | Self::Needs { service, .. }
            | Self::OnePlace { service, .. } => service,
        }
    }
}

impl Diagnose for WithError {
    fn exit_code(&self) -> ExitCode {
        ExitCode::Usage
    }

    fn hints(&self) -> Vec<String> {
        match self {
            Self::Unknown { known, .. } if known.is_empty() => {
                vec!["this stack has no optional services".to_owned()]
            }
            Self::Unknown { service, known } => {
                near_names::hint("optional services", service.as_str(), known)
            }
            Self::ComesAlong { leader, .. } => vec![format!("`--with {leader}` starts both")],
            Self::Needs { service, dependency } => vec![format!("`--with {service},{dependency}`")],
            Self::NotOptional { .. } | Self::OnePlace { .. } => Vec::new(),
        }
    }
}

impl Stack {
    /// The stack with those of its optional services and what comes along with them, and without the ones whose places
    /// they take.
    ///
    /// # Errors
    /// When one of them is not an optional service of it, or two of them do not go together.
    pub fn with(mut self, names: &BTreeSet<ServiceName>) -> Result<Self, WithError> {
        for service in names {
            if let Some(leader) = self.leader_of(service) {
                let (service, leader) = (service.clone(), leader.clone());
                return Err(WithError::ComesAlong { service, leader });
            }
        }
        let names = &and_along(names, self.optional.iter().map(|(_, service)| service));
        for name in names {
            let Some(place) = self
                .optional
                .iter()
                .position(|(_, service)| service.name == *name)
            else {
                return Err(self.not_optional(name));
            };
            let (_, service) = self.optional.get(place).expect("its place was just found");
            let needed = service.depends_on.iter().find(|dependency| {
                let is_optional = self.optional.iter().any(|(_, other)| other.name == **dependency);
                is_optional && !names.contains(dependency)
            });
            if let Some(dependency) = needed {
                return Err(WithError::Needs {
                    service: name.clone(),
                    dependency: dependency.clone(),
                });
            }
            let instead_of = service
                .optional
                .as_ref()
                .and_then(|optional| optional.instead_of.clone());
            if let Some(instead_of) = instead_of {
                let there = self.services.iter().position(|other| other.name == instead_of);
                match (there, self.replaced_by(&instead_of)) {
                    (_, Some(other)) => {
                        return Err(WithError::OnePlace {
                            service: name.clone(),
                            other: other.clone(),
                            instead_of,
                        });
                    }
                    (Some(there), None) => self.left_out.push(self.services.remove(there)),
                    (None, None) => {}
                }
            }
            let (place, service) = self.optional.remove(place);
            let before = self.services.iter().take_while(|other| self.place(other) < place);
            let at = before.count();
            self.services.insert(at, service);
        }
        Ok(self)
    }

    /// Why a service of the file is not there; none where it is there, or the file does not have it.
    pub fn absence(&self, name: &ServiceName) -> Option<Absence> {
        if let Some(kafka) = self.kafka_in_place_of(name) {
            let kafka = kafka.clone();
            return Some(Absence::OutsideKafka { kafka });
        }
        if self.left_out.iter().any(|service| service.name == *name) {
            return Some(match self.replaced_by(name) {
                Some(by) => Absence::Replaced { by: by.clone() },
                None => Absence::LeftOut,
            });
        }
        let is_optional = self.optional.iter().any(|(_, service)| service.name == *name);
        is_optional.then_some(Absence::NotAskedFor)
    }

    /// The services that run in place of others, with those.
    pub fn in_place_of(&self) -> impl Iterator<Item = (&ServiceName, &ServiceName)> {
        let services = self.services.iter();
        services.filter_map(|service| Some((&service.name, service.optional.as_ref()?.instead_of.as_ref()?)))
    }

    /// What can be asked for: the names of the optional services of the file, whether they are there or not.
    pub fn optional_names(&self) -> Vec<String> {
        let services = self.optional_services();
        services
            .filter(|(_, optional)| optional.along_with.is_none())
            .map(|(name, _)| name.to_string())
            .collect()
    }

    /// The service whose name an optional one is asked for by: its own, or that of the one that it comes along with.
    pub fn asked_for_by<'a>(&'a self, name: &'a ServiceName) -> &'a ServiceName {
        self.leader_of(name).unwrap_or(name)
    }

    /// The optional services that are there, and after them those that are not.
    fn optional_services(&self) -> impl Iterator<Item = (&ServiceName, &Optional)> {
        let waiting = self.optional.iter().map(|(_, service)| service);
        let services = self.services.iter().chain(&self.left_out).chain(waiting);
        services.filter_map(|service| Some((&service.name, service.optional.as_ref()?)))
    }

    /// The service that an optional one comes along with.
    fn leader_of(&self, name: &ServiceName) -> Option<&ServiceName> {
        let mut services = self.optional_services();
        let (_, optional) = services.find(|(service, _)| *service == name)?;
        optional.along_with.as_ref()
    }

    fn replaced_by(&self, name: &ServiceName) -> Option<&ServiceName> {
        let mut places = self.in_place_of();
        places.find(|(_, other)| *other == name).map(|(by, _)| by)
    }

    fn not_optional(&self, name: &ServiceName) -> WithError {
        let service = name.clone();
        if self
            .services
            .iter()
            .chain(&self.left_out)
            .any(|other| other.name == *name)
        {
            return WithError::NotOptional { service };
        }
        WithError::Unknown {
            service,
            known: self.optional_names(),
        }
    }

    /// Where in the file a service that is there stands.
    fn place(&self, service: &Service) -> usize {
        self.order
            .iter()
            .position(|name| *name == service.name)
            .unwrap_or(usize::MAX)
    }
}

/// Those services, and of the others the ones that come along with them.
pub(super) fn and_along<'a>(
    names: &BTreeSet<ServiceName>,
    others: impl Iterator<Item = &'a Service>,
) -> BTreeSet<ServiceName> {
    let along = others.filter_map(|service| {
        let leader = service.optional.as_ref()?.along_with.as_ref()?;
        names.contains(leader).then_some(&service.name)
    });
    along.chain(names).cloned().collect()
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;

    use super::*;

    fn names(names: &[&str]) -> BTreeSet<ServiceName> {
        names.iter().map(|name| ServiceName::new(*name)).collect()
    }

    /// A stack with two that want the place of `page`, and one that needs another optional one.
    fn stack() -> Stack {
        let service = |name: &str, on: &str, more: &str| {
            format!(
                "  {name}:\n    depends_on: {{{on}}}\n    stop_grace_period: 1s\n    x-osqdemo: {{probe: kafka, \
                 deadline: 1s, memory: 1M{more}}}\n"
            )
        };
        let text = [
            service("page", "", ""),
            service("ours", "", ", optional: true, instead_of: page"),
            service("theirs", "", ", optional: true, instead_of: page"),
            service("broker", "", ""),
            service("more", "ours: {condition: service_healthy}", ", optional: true"),
            service("also", "", ", optional: true, along_with: more"),
            service("last", "", ""),
        ];
        Stack::parse("test.yaml", &format!("services:\n{}", text.concat())).expect("a stack")
    }

    fn with(asked: &[&str]) -> String {
        match stack().with(&names(asked)) {
            Ok(stack) => stack.names(),
            Err(error) => format!("{error}; {}", error.hints().join("; ")),
        }
    }

    #[test]
    fn what_is_asked_for_stands_in_its_place() {
        assert_snapshot!(with(&[]), @"page, broker, last");
        assert_snapshot!(with(&["ours"]), @"ours, broker, last");
        assert_snapshot!(with(&["more", "ours"]), @"ours, broker, more, also, last");
        assert_snapshot!(with(&["more"]), @"service `more` needs `ours`, which is optional too; `--with more,ours`");
        assert_snapshot!(with(&["ours", "theirs"]), @"services `theirs` and `ours` both run in place of `page`; ");
        assert_snapshot!(with(&["broker"]), @"service `broker` is not optional: it is there without being asked for; ");
        assert_snapshot!(with(&["also", "more", "ours"]), @"service `also` comes along with `more`, and not by itself; `--with more` starts both");
        assert_eq!(stack().optional_names(), ["ours", "theirs", "more"]);
        assert_snapshot!(with(&["our"]), @"there is no optional service `our`; did you mean `ours`?");
        let none = Stack::lite()
            .expect("the embedded stack")
            .with(&names(&["connect"]));
        assert_eq!(
            none.map_err(|error| error.hints()),
            Err(vec!["this stack has no optional services".to_owned()])
        );
    }

    #[test]
    fn why_a_service_is_not_there_is_known() {
        let stack = stack().with(&names(&["ours"])).expect("it can be");
        let stack = stack.without(&names(&["last"])).expect("it can be");
        let absence = |name: &str| stack.absence(&ServiceName::new(name));
        assert_eq!(absence("last"), Some(Absence::LeftOut));
        assert_eq!(absence("theirs"), Some(Absence::NotAskedFor));
        let by = ServiceName::new("ours");
        assert_eq!(absence("page"), Some(Absence::Replaced { by }));
        assert_eq!(absence("ours"), None);
        assert_eq!(absence("nothing"), None);
    }

    #[test]
    fn what_is_replaced_can_be_left_out_as_well_and_what_is_asked_for_taken_back() {
        let asked = || stack().with(&names(&["ours"])).expect("it can be");
        let twice = asked().without(&names(&["page"])).expect("it is gone already");
        assert_eq!(twice.names(), "ours, broker, last");
        let back = asked().without(&names(&["ours"])).expect("it can be");
        assert_eq!(back.names(), "broker, last");
        let both = stack().with(&names(&["more", "ours"])).expect("they can be");
        let back = both.without(&names(&["more"])).expect("it can be");
        assert_eq!(back.names(), "ours, broker, last", "what came along goes along");
        assert_eq!(back.absence(&ServiceName::new("also")), Some(Absence::LeftOut));
    }

    #[test]
    fn the_console_takes_the_place_of_control_center() {
        for stack in [Stack::confluent(), Stack::confluent_8()] {
            let whole = stack.expect("the embedded stack");
            assert!(whole.service("console").is_none());
            let stack = whole.with(&names(&["console"])).expect("it has one");
            assert!(stack.service("control-center").is_none());
            let port = stack.service("console").and_then(|console| console.port);
            assert_eq!(port.map(|port| port.published), Some(9021));
        }
    }
}
