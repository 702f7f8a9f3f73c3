//! What a service is in the demo, and how its health is asked. A service is known by its role, never by its name: a
//! stack file may call its broker what it likes.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::stack::{Service, Stack};

/// What a service is in the demo.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// The Kafka broker: everything goes through it.
    Broker,
    /// The ksqlDB server: it runs the statements.
    Ksqldb,
    /// The registry of schemas.
    SchemaRegistry,
    /// Our user interface.
    Console,
    /// Confluent's user interface.
    ControlCenter,
    /// What a broker of an older form keeps its metadata in.
    Zookeeper,
    /// Kafka Connect.
    Connect,
    /// What keeps the metrics that Control Center shows.
    Prometheus,
    /// What sends the alerts that Prometheus raises.
    Alertmanager,
    /// A monitored machine.
    Host,
}

/// How the health of a service is asked, in its own protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Probe {
    /// A Kafka Metadata request.
    Kafka,
    /// ksqlDB's `/healthcheck` and `/info`.
    Ksqldb,
    /// ZooKeeper's four-letter words `ruok` and `srvr`.
    Zookeeper,
    /// The Schema Registry's `/subjects`.
    SchemaRegistry,
    /// The page of a user interface.
    ControlCenter,
    /// Kafka Connect's `/connectors`.
    Connect,
    /// Prometheus's `/-/ready`.
    Prometheus,
    /// Alertmanager's `/-/ready`.
    Alertmanager,
    /// A record of the host in the topic `processes`, newer than the host's start.
    Host,
}

impl Role {
    /// Every role, in the order in which messages name them.
    pub const ALL: [Self; 10] = [
        Self::Broker,
        Self::Ksqldb,
        Self::SchemaRegistry,
        Self::Console,
        Self::ControlCenter,
        Self::Zookeeper,
        Self::Connect,
        Self::Prometheus,
        Self::Alertmanager,
        Self::Host,
    ];

    /// Its name in a stack file.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Broker => "broker",
            Self::Ksqldb => "ksqldb",
            Self::SchemaRegistry => "schema-registry",
            Self::Console => "console",
            Self::ControlCenter => "control-center",
            Self::Zookeeper => "zookeeper",
            Self::Connect => "connect",
            Self::Prometheus => "prometheus",
            Self::Alertmanager => "alertmanager",
            Self::Host => "host",
        }
    }

    /// What the demo is not itself without, of a role that it cannot do without.
    pub fn purpose(self) -> Option<&'static str> {
        match self {
            Self::Broker => Some("everything goes through it"),
            Self::Ksqldb => Some("it runs the statements"),
            Self::SchemaRegistry
            | Self::Console
            | Self::ControlCenter
            | Self::Zookeeper
            | Self::Connect
            | Self::Prometheus
            | Self::Alertmanager
            | Self::Host => None,
        }
    }

    /// Whether a browser or `curl` understands what listens on its port.
    pub fn speaks_http(self) -> bool {
        match self {
            Self::Ksqldb
            | Self::SchemaRegistry
            | Self::Console
            | Self::ControlCenter
            | Self::Connect
            | Self::Prometheus
            | Self::Alertmanager => true,
            Self::Broker | Self::Zookeeper | Self::Host => false,
        }
    }

    /// Whether it is a user interface.
    pub fn is_interface(self) -> bool {
        matches!(self, Self::Console | Self::ControlCenter)
    }
}

impl Probe {
    /// Every probe, in the order in which messages name them.
    pub const ALL: [Self; 9] = [
        Self::Kafka,
        Self::Ksqldb,
        Self::SchemaRegistry,
        Self::ControlCenter,
        Self::Zookeeper,
        Self::Connect,
        Self::Prometheus,
        Self::Alertmanager,
        Self::Host,
    ];

    /// Its name in a stack file and on the command line.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Kafka => "kafka",
            Self::Ksqldb => "ksqldb",
            Self::Zookeeper => "zookeeper",
            Self::SchemaRegistry => "schema-registry",
            Self::ControlCenter => "control-center",
            Self::Connect => "connect",
            Self::Prometheus => "prometheus",
            Self::Alertmanager => "alertmanager",
            Self::Host => "host",
        }
    }

    /// The role of a service that is asked so and says nothing of its role.
    pub fn role(self) -> Role {
        match self {
            Self::Kafka => Role::Broker,
            Self::Ksqldb => Role::Ksqldb,
            Self::Zookeeper => Role::Zookeeper,
            Self::SchemaRegistry => Role::SchemaRegistry,
            Self::ControlCenter => Role::ControlCenter,
            Self::Connect => Role::Connect,
            Self::Prometheus => Role::Prometheus,
            Self::Alertmanager => Role::Alertmanager,
            Self::Host => Role::Host,
        }
    }

    /// Whether its answer tells the health of a service with this role: a page is a page, whoever serves it.
    pub fn tells_of(self, role: Role) -> bool {
        self.role() == role || (self == Self::ControlCenter && role == Role::Console)
    }
}

impl fmt::Display for Role {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Broker => "broker",
            Self::Ksqldb => "ksqlDB server",
            Self::SchemaRegistry => "schema registry",
            Self::Console => "console",
            Self::ControlCenter => "Control Center",
            Self::Zookeeper => "ZooKeeper",
            Self::Connect => "Kafka Connect worker",
            Self::Prometheus => "Prometheus",
            Self::Alertmanager => "Alertmanager",
            Self::Host => "host",
        })
    }
}

impl fmt::Display for Probe {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Kafka => "Kafka Metadata request",
            Self::Ksqldb => "GET /healthcheck and /info",
            Self::Zookeeper => "four-letter words `ruok` and `srvr`",
            Self::SchemaRegistry => "GET /subjects",
            Self::ControlCenter => "GET /",
            Self::Connect => "GET /connectors",
            Self::Prometheus | Self::Alertmanager => "GET /-/ready",
            Self::Host => "first record in topic `processes`",
        })
    }
}

impl Stack {
    /// The services with this role, in the order of the file.
    pub fn with_role(&self, role: Role) -> impl Iterator<Item = &Service> {
        self.services.iter().filter(move |service| service.role == role)
    }

    /// The service that a role stands for: the first in the file that has it.
    pub fn first(&self, role: Role) -> Option<&Service> {
        self.with_role(role).next()
    }

    /// Whether there are monitored machines in it; a stack file, and a stack on a Kafka elsewhere, may be without.
    pub fn has_hosts(&self) -> bool {
        self.first(Role::Host).is_some()
    }

    /// The broker that a service talks to: the one it depends on, else the first.
    pub fn broker_of(&self, service: &Service) -> Option<&Service> {
        self.with_role(Role::Broker)
            .find(|broker| service.depends_on.contains(&broker.name))
            .or_else(|| self.first(Role::Broker))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_in_stack_files_are_those_that_are_told() {
        for role in Role::ALL {
            assert_eq!(serde_json::to_value(role).expect("a text"), role.as_str());
        }
        for probe in Probe::ALL {
            assert_eq!(serde_json::to_value(probe).expect("a text"), probe.as_str());
            assert!(probe.tells_of(probe.role()), "{probe}");
        }
    }

    #[test]
    fn a_service_talks_to_the_broker_that_it_depends_on() {
        let service = |name: &str, probe: &str, on: &str| {
            format!(
                "  {name}:\n    depends_on: {{{on}}}\n    stop_grace_period: 1s\n    x-osqdemo: {{probe: {probe}, \
                 deadline: 1s, memory: 1M}}\n"
            )
        };
        let text = format!(
            "services:\n{}{}{}{}",
            service("a", "kafka", ""),
            service("b", "kafka", ""),
            service("c", "host", "b: {condition: service_healthy}"),
            service("d", "host", ""),
        );
        let stack = Stack::parse("test.yaml", &text).expect("a stack");
        let broker = |name: &str| {
            let service = stack.service(name).expect("a service");
            stack.broker_of(service).expect("a broker").name.to_string()
        };
        assert_eq!(broker("c"), "b");
        assert_eq!(broker("d"), "a");
    }
}
