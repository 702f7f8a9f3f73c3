//! Puts a link between the broker and each service that talks to it: from the services as they should be to those with
//! links. The services run as processes. Pure: which ports the links get is handed in.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use sha2::{Digest, Sha256};

use crate::plan::ServiceSpec;
use crate::stack::{Probe, Role, ServiceName};

/// What the name of a link begins with; the service follows that it is for.
const PREFIX: &str = "link-";

/// The option by which our services are told their broker.
const BOOTSTRAP: &str = "--bootstrap-servers";

/// How long a link may take until the broker answers through it.
const DEADLINE: Duration = Duration::from_secs(30);

/// How long a link may take to end.
const STOP_GRACE: Duration = Duration::from_secs(1);

/// The services of a stack, with links between some of them and the broker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Linked {
    /// All services as they should be, the links among them.
    pub desired: Vec<ServiceSpec>,
    /// The link of each service that has one.
    pub links: BTreeMap<ServiceName, Link>,
    /// The broker that the links lead to.
    pub broker: ServiceName,
}

/// A link as it should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// Its name as a service.
    pub name: ServiceName,
    /// Where its client finds it.
    pub port: u16,
    /// The socket over which it is told what the way is like.
    pub control: PathBuf,
}

impl Linked {
    /// The same links before these services.
    pub fn before(&self, desired: &[ServiceSpec]) -> Option<Self> {
        let places = self.links.iter().map(|(service, link)| {
            let place = (link.port, link.control.clone());
            (service.clone(), place)
        });
        put(desired, &places.collect())
    }
}

/// What the link of a service is called.
pub fn name_of(service: &ServiceName) -> ServiceName {
    ServiceName::new(format!("{PREFIX}{service}"))
}

/// Whether a service may be a link, by its name.
pub fn is_link(service: &ServiceName) -> bool {
    service.as_str().starts_with(PREFIX)
}

/// The services that talk to the stack's own broker as processes, so that a link can stand in between.
pub fn with_a_way(desired: &[ServiceSpec]) -> Vec<ServiceName> {
    let Some((_, address)) = broker(desired) else {
        return Vec::new();
    };
    let talk = desired.iter().filter(|spec| talks_to(spec, &address));
    talk.map(|spec| spec.name.clone()).collect()
}

/// Puts a link before each of `chosen` that has a way to the broker, with this port and this socket.
pub fn put(desired: &[ServiceSpec], chosen: &BTreeMap<ServiceName, (u16, PathBuf)>) -> Option<Linked> {
    let (broker, address) = broker(desired)?;
    let mut linked = Linked {
        desired: Vec::new(),
        links: BTreeMap::new(),
        broker: broker.name.clone(),
    };
    for spec in desired {
        match chosen.get(&spec.name).filter(|_| talks_to(spec, &address)) {
            Some((port, control)) => {
                let link = link(broker, &address, spec, *port, control);
                linked.links.insert(
                    spec.name.clone(),
                    Link {
                        name: link.name.clone(),
                        port: *port,
                        control: control.clone(),
                    },
                );
                linked.desired.push(behind(spec, &address, *port, &link.name));
                // Dependencies come first.
                let before = linked.desired.len() - 1;
                linked.desired.insert(before, link);
            }
            None => linked.desired.push(spec.clone()),
        }
    }
    Some(linked)
}

/// The stack's own broker, and where it listens as a process.
fn broker(desired: &[ServiceSpec]) -> Option<(&ServiceSpec, String)> {
    let broker = desired.iter().find(|spec| spec.role == Role::Broker)?;
    let port = broker.port?;
    Some((broker, format!("127.0.0.1:{port}")))
}

fn talks_to(spec: &ServiceSpec, address: &str) -> bool {
    if spec.role == Role::Host {
        return spec.bootstrap_servers.as_deref() == Some(address);
    }
    position(&spec.arguments, address).is_some()
}

/// Where in the arguments the broker's address stands.
fn position(arguments: &[String], address: &str) -> Option<usize> {
    let names_it = |at: usize| {
        arguments
            .get(at + 1)
            .is_some_and(|value| value == address)
            .then_some(at + 1)
    };
    let option = arguments.iter().position(|argument| argument == BOOTSTRAP);
    option.and_then(names_it).or_else(|| {
        let whole = format!("{BOOTSTRAP}={address}");
        arguments.iter().position(|argument| *argument == whole)
    })
}

/// A service that finds its broker behind its link.
fn behind(spec: &ServiceSpec, address: &str, port: u16, link: &ServiceName) -> ServiceSpec {
    let mut behind = spec.clone();
    let way = format!("127.0.0.1:{port}");
    if let Some(argument) = position(&behind.arguments, address).and_then(|at| behind.arguments.get_mut(at)) {
        *argument = argument.replace(address, &way);
    }
    if behind.role == Role::Host {
        behind.bootstrap_servers = Some(way.clone());
    }
    behind.depends_on.push(link.clone());
    behind.config_hash = hash(&[&spec.config_hash, &way]);
    behind
}

fn link(broker: &ServiceSpec, address: &str, spec: &ServiceSpec, port: u16, control: &Path) -> ServiceSpec {
    let way = format!("127.0.0.1:{port}");
    let name = name_of(&spec.name);
    let arguments = [
        "serve",
        "link",
        "--until-stdin-closes",
        "--listen",
        &way,
        "--to",
        address,
        "--control",
        &control.display().to_string(),
    ]
    .map(str::to_owned)
    .to_vec();
    ServiceSpec {
        hostname: name.to_string(),
        role: Role::Broker,
        // That the broker answers through it.
        probe: Probe::Kafka,
        probe_address: way,
        port: Some(port),
        bootstrap_servers: None,
        config_hash: hash(&arguments.iter().map(String::as_str).collect::<Vec<_>>()),
        arguments,
        depends_on: vec![broker.name.clone()],
        deadline: DEADLINE,
        stop_grace: STOP_GRACE,
        host_config: None,
        clock: None,
        container: None,
        name,
    }
}

fn hash(parts: &[&str]) -> String {
    let digest = Sha256::digest(parts.join("\n"));
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(name: &str, role: Role, arguments: &[&str]) -> ServiceSpec {
        ServiceSpec {
            name: ServiceName::new(name),
            role,
            hostname: name.to_owned(),
            probe: Probe::Kafka,
            probe_address: "127.0.0.1:9092".to_owned(),
            port: (role == Role::Broker).then_some(9092),
            bootstrap_servers: (role == Role::Host).then(|| "127.0.0.1:9092".to_owned()),
            arguments: arguments.iter().map(ToString::to_string).collect(),
            depends_on: Vec::new(),
            deadline: DEADLINE,
            stop_grace: STOP_GRACE,
            config_hash: format!("hash of {name}"),
            host_config: None,
            clock: None,
            container: None,
        }
    }

    fn stack() -> Vec<ServiceSpec> {
        vec![
            spec(
                "broker",
                Role::Broker,
                &["serve", "broker", "--listen", "127.0.0.1:9092"],
            ),
            spec(
                "ksqldb",
                Role::Ksqldb,
                &["serve", "ksqldb", "--bootstrap-servers", "127.0.0.1:9092", "-x"],
            ),
            spec(
                "console",
                Role::Console,
                &["serve", "console", "--bootstrap-servers=127.0.0.1:9092"],
            ),
            spec("host1", Role::Host, &["host-init", "spec"]),
            spec(
                "elsewhere",
                Role::Ksqldb,
                &["serve", "ksqldb", "--bootstrap-servers", "127.0.0.1:90921"],
            ),
        ]
    }

    #[test]
    fn a_service_finds_its_broker_behind_its_link() {
        let desired = stack();
        let names = with_a_way(&desired);
        assert_eq!(names, ["ksqldb", "console", "host1"].map(ServiceName::new));
        let chosen = names
            .into_iter()
            .zip(5_001..)
            .map(|(name, port)| (name.clone(), (port, PathBuf::from(format!("/p/{name}.sock")))))
            .collect();
        let linked = put(&desired, &chosen).expect("there is a broker");
        let shown: Vec<String> = linked
            .desired
            .iter()
            .map(|spec| {
                let broker = spec.bootstrap_servers.as_deref().unwrap_or_default();
                let after: Vec<&str> = spec.depends_on.iter().map(ServiceName::as_str).collect();
                format!(
                    "{}: {} {broker} after {}",
                    spec.name,
                    spec.arguments.join(" "),
                    after.join(",")
                )
            })
            .collect();
        insta::assert_debug_snapshot!(shown, @r#"
        [
            "broker: serve broker --listen 127.0.0.1:9092  after ",
            "link-ksqldb: serve link --until-stdin-closes --listen 127.0.0.1:5001 --to 127.0.0.1:9092 --control /p/ksqldb.sock  after broker",
            "ksqldb: serve ksqldb --bootstrap-servers 127.0.0.1:5001 -x  after link-ksqldb",
            "link-console: serve link --until-stdin-closes --listen 127.0.0.1:5002 --to 127.0.0.1:9092 --control /p/console.sock  after broker",
            "console: serve console --bootstrap-servers=127.0.0.1:5002  after link-console",
            "link-host1: serve link --until-stdin-closes --listen 127.0.0.1:5003 --to 127.0.0.1:9092 --control /p/host1.sock  after broker",
            "host1: host-init spec 127.0.0.1:5003 after link-host1",
            "elsewhere: serve ksqldb --bootstrap-servers 127.0.0.1:90921  after ",
        ]
        "#);
        for (before, after) in desired.iter().filter_map(|spec| {
            let linked = linked.desired.iter().find(|other| other.name == spec.name)?;
            Some((spec, linked))
        }) {
            let is_linked = linked.links.contains_key(&before.name);
            assert_eq!(
                before.config_hash != after.config_hash,
                is_linked,
                "{}",
                before.name
            );
        }
    }

    #[test]
    fn what_has_no_way_to_a_broker_of_the_stack_has_no_link() {
        let mut desired = stack();
        let everyone: BTreeMap<_, _> = desired
            .iter()
            .map(|spec| (spec.name.clone(), (5_000, PathBuf::new())))
            .collect();
        let linked = put(&desired, &everyone).expect("there is a broker");
        assert!(!linked.links.contains_key(&ServiceName::new("broker")));
        assert!(!linked.links.contains_key(&ServiceName::new("elsewhere")));
        let again = linked.before(&desired).expect("there is a broker");
        assert_eq!(again, linked);
        desired.retain(|spec| spec.role != Role::Broker);
        assert!(with_a_way(&desired).is_empty());
        assert_eq!(put(&desired, &everyone), None);
    }
}
