//! A stack without some of its services, to save memory: what another one needs stays.

use std::collections::BTreeSet;

use crate::error::Diagnose;
use crate::exit_code::ExitCode;
use crate::near_names;
use crate::stack::optional::and_along;
use crate::stack::{Role, Service, ServiceName, Stack};

/// A service cannot be left out.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WithoutError {
    /// The stack does not have it.
    #[error("there is no service `{service}` to leave out")]
    Unknown {
        /// What was named.
        service: ServiceName,
        /// What there is.
        known: Vec<String>,
    },
    /// Others cannot do without it.
    #[error("service `{service}` cannot be left out: {} it", needed_by(dependents))]
    Needed {
        /// The service.
        service: ServiceName,
        /// Who needs it, in the order of the stack.
        dependents: Vec<ServiceName>,
    },
    /// The demo cannot do without it.
    #[error("service `{service}` cannot be left out: {why}")]
    Essential {
        /// The service.
        service: ServiceName,
        /// What it is for.
        why: &'static str,
    },
}

impl WithoutError {
    /// The service that cannot be left out.
    pub fn service(&self) -> &ServiceName {
        match self {
            Self::Unknown { service, .. }
            | Self::Needed { service, .. }
            | Self::Essential { service, .. } => service,
        }
    }
}

impl Diagnose for WithoutError {
    fn exit_code(&self) -> ExitCode {
        ExitCode::Usage
    }

    fn hints(&self) -> Vec<String> {
        match self {
            Self::Unknown { service, known } => near_names::hint("services", service.as_str(), known),
            Self::Needed { .. } | Self::Essential { .. } => Vec::new(),
        }
    }
}

fn needed_by(dependents: &[ServiceName]) -> String {
    let names: Vec<String> = dependents.iter().map(|name| format!("`{name}`")).collect();
    match names.as_slice() {
        [name] => format!("{name} needs"),
        names => {
            let (last, others) = names
                .split_last()
                .map_or(("", [].as_slice()), |(last, others)| (last.as_str(), others));
            format!("{} and {last} need", others.join(", "))
        }
    }
}

impl Stack {
    /// The stack without those services, and without what came along with them.
    ///
    /// # Errors
    /// When it does not have one of them, or cannot do without it.
    pub fn without(mut self, names: &BTreeSet<ServiceName>) -> Result<Self, WithoutError> {
        let names = &and_along(names, self.services.iter());
        let mut left_out = std::mem::take(&mut self.left_out);
        for name in names {
            // Another one runs in its place already.
            if left_out.iter().any(|service| service.name == *name) {
                continue;
            }
            let Some(service) = self.service(name.as_str()) else {
                return Err(WithoutError::Unknown {
                    service: name.clone(),
                    known: self
                        .services
                        .iter()
                        .map(|service| service.name.to_string())
                        .collect(),
                });
            };
            let is_replaced = || {
                self.with_role(service.role)
                    .any(|other| !names.contains(&other.name))
            };
            if let Some(why) = service.role.purpose().filter(|_| !is_replaced()) {
                return Err(WithoutError::Essential {
                    service: name.clone(),
                    why,
                });
            }
            let stays = |other: &&Service| !names.contains(&other.name) && other.depends_on.contains(name);
            let dependents: Vec<ServiceName> = self
                .services
                .iter()
                .filter(stays)
                .map(|other| other.name.clone())
                .collect();
            if !dependents.is_empty() {
                return Err(WithoutError::Needed {
                    service: name.clone(),
                    dependents,
                });
            }
        }
        let (gone, services): (Vec<_>, _) = self
            .services
            .into_iter()
            .partition(|service| names.contains(&service.name));
        left_out.extend(gone);
        self.services = services;
        self.left_out = left_out;
        Ok(self)
    }

    /// Whether the user left that service out.
    pub fn is_left_out(&self, name: &ServiceName) -> bool {
        self.left_out.iter().any(|service| service.name == *name)
    }

    /// The service of the platform that needs the most memory and can be left out.
    pub fn hungriest_optional(&self) -> Option<&Service> {
        let services = self.services.iter().filter(|service| service.role != Role::Host);
        services
            .filter(|service| {
                self.clone()
                    .without(&BTreeSet::from([service.name.clone()]))
                    .is_ok()
            })
            .max_by_key(|service| self.memory_of(service))
    }

    /// The names of the services that publish a port.
    pub fn published(&self) -> Vec<String> {
        let published = self.services.iter().filter(|service| service.port.is_some());
        published.map(|service| service.name.to_string()).collect()
    }
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;
    use proptest::prelude::*;

    use super::*;

    fn names(names: &[&str]) -> BTreeSet<ServiceName> {
        names.iter().map(|name| ServiceName::new(*name)).collect()
    }

    fn without(stack: Stack, left_out: &[&str]) -> String {
        match stack.without(&names(left_out)) {
            Ok(stack) => stack.names(),
            Err(error) => format!("{error}; {}", error.hints().join("; ")),
        }
    }

    #[test]
    fn what_others_need_stays() {
        let confluent = || Stack::confluent().expect("the embedded stack");
        let lite = || Stack::lite().expect("the embedded stack");
        assert_snapshot!(without(confluent(), &["control-center"]), @"zookeeper, broker, schema-registry, ksqldb-server, host1, host2");
        assert_snapshot!(without(confluent(), &["host1", "host2", "control-center"]), @"zookeeper, broker, schema-registry, ksqldb-server");
        assert_snapshot!(without(confluent(), &["schema-registry"]), @"service `schema-registry` cannot be left out: `ksqldb-server` and `control-center` need it;");
        assert_snapshot!(without(confluent(), &["schema-registry", "control-center"]), @"service `schema-registry` cannot be left out: `ksqldb-server` needs it;");
        assert_snapshot!(without(confluent(), &["zookeeper"]), @"service `zookeeper` cannot be left out: `broker` needs it;");
        assert_snapshot!(without(lite(), &["schema-registry"]), @"broker, ksqldb-server, console, host1, host2");
        assert_snapshot!(without(lite(), &["ksqldb-server"]), @"service `ksqldb-server` cannot be left out: it runs the statements;");
        assert_snapshot!(without(lite(), &["broker", "host1"]), @"service `broker` cannot be left out: everything goes through it;");
        assert_snapshot!(without(lite(), &["hots1"]), @"there is no service `hots1` to leave out; did you mean `host1`?");
        assert_snapshot!(without(lite(), &[]), @"broker, schema-registry, ksqldb-server, console, host1, host2");
    }

    #[test]
    fn of_two_brokers_one_can_be_left_out() {
        let broker = |name: &str| {
            format!(
                "  {name}:\n    stop_grace_period: 1s\n    x-osqdemo: {{probe: kafka, deadline: 1s, memory: 1M}}\n"
            )
        };
        let text = format!("services:\n{}{}", broker("a"), broker("b"));
        let two = || Stack::parse("test.yaml", &text).expect("a stack");
        assert_snapshot!(without(two(), &["a"]), @"b");
        assert_snapshot!(without(two(), &["a", "b"]), @"service `a` cannot be left out: everything goes through it;");
    }

    #[test]
    fn memory_and_heaps_count_without_it() {
        let whole = Stack::confluent().expect("the embedded stack");
        let less = whole
            .clone()
            .without(&names(&["control-center"]))
            .expect("it can be left out");
        assert_eq!(whole.memory() - less.memory(), 1792 << 20);
        let machine = 8 << 30;
        assert!(whole.heaps(machine).contains_key("CONTROL_CENTER_HEAP"));
        assert!(!less.heaps(machine).contains_key("CONTROL_CENTER_HEAP"));
        let size = |stack: &Stack| {
            let heaps = stack.heaps(machine);
            heaps
                .get("BROKER_HEAP")
                .and_then(|size| size.trim_end_matches('m').parse::<u64>().ok())
        };
        assert!(size(&less) > size(&whole), "what it leaves, others get");
    }

    proptest! {
        #[test]
        fn what_stays_has_what_it_needs(
            left_out in prop::collection::btree_set(
                prop::sample::select(vec![
                    "zookeeper", "broker", "schema-registry", "ksqldb-server", "control-center", "host1", "host2",
                ]),
                0..5,
            )
        ) {
            let whole = Stack::confluent().expect("the embedded stack");
            let left_out: BTreeSet<ServiceName> = left_out.into_iter().map(ServiceName::new).collect();
            if let Ok(stack) = whole.clone().without(&left_out) {
                for service in &stack.services {
                    prop_assert!(service.depends_on.iter().all(|name| stack.service(name.as_str()).is_some()));
                }
                prop_assert_eq!(stack.services.len() + stack.left_out.len(), whole.services.len());
                prop_assert_eq!(stack.left_out.len(), left_out.len());
            }
        }
    }
}
