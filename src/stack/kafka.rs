//! A stack on a Kafka that is already there, in place of its own broker: clients and services are pointed to that one,
//! and what only the broker needed is not started.

use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::Serialize;

use crate::error::Diagnose;
use crate::exit_code::ExitCode;
use crate::stack::{Role, Service, ServiceName, Stack};

/// Where a Kafka outside of every stack listens: `HOST:PORT`, or several of them with commas between.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(transparent)]
pub struct KafkaAddress(String);

/// Not an address of a Kafka.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not of the form `HOST:PORT` or `HOST:PORT,HOST:PORT`")]
pub struct InvalidKafkaAddress {
    /// What was given.
    pub text: String,
}

impl Diagnose for InvalidKafkaAddress {
    fn exit_code(&self) -> ExitCode {
        ExitCode::Usage
    }

    fn hints(&self) -> Vec<String> {
        vec![
            "for example `--kafka kafka.example.org:9092`, or `--kafka none` for the stack's own broker"
                .to_owned(),
        ]
    }
}

impl KafkaAddress {
    /// A regular expression of the texts that are addresses, for the schema of the settings file.
    pub const PATTERN: &str = concat!(
        r"([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\]):",
        r"([1-9][0-9]{0,3}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5])",
    );

    /// The address as clients of Kafka take it.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Its part that means another machine inside a container: loopback's.
    pub fn loopback(&self) -> Option<&str> {
        self.0.split(',').find(|server| {
            let host = server.rsplit_once(':').map_or("", |(host, _)| host);
            host.eq_ignore_ascii_case("localhost") || host.starts_with("127.") || host == "[::1]"
        })
    }

    /// Whether this machine's port is one of its parts.
    pub fn is_local_port(&self, port: u16) -> bool {
        let is_it = |server: &str| {
            let local = Self(server.to_owned());
            local.loopback().is_some() && server.ends_with(&format!(":{port}"))
        };
        self.0.split(',').any(is_it)
    }
}

impl FromStr for KafkaAddress {
    type Err = InvalidKafkaAddress;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.split(',').all(is_server) {
            return Ok(Self(text.to_owned()));
        }
        Err(InvalidKafkaAddress {
            text: text.to_owned(),
        })
    }
}

impl fmt::Display for KafkaAddress {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

fn is_server(text: &str) -> bool {
    let Some((host, port)) = text.rsplit_once(':') else {
        return false;
    };
    let in_brackets = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    let is_host = match in_brackets {
        Some(v6) => {
            !v6.is_empty()
                && v6
                    .bytes()
                    .all(|byte| byte.is_ascii_hexdigit() || b":.".contains(&byte))
        }
        None => {
            !host.is_empty()
                && host
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte))
        }
    };
    is_host && port.starts_with(|first: char| ('1'..='9').contains(&first)) && port.parse::<u16>().is_ok()
}

impl Stack {
    /// The stack on that Kafka, without its own broker and what only that one needs; as it is, where there is none.
    #[must_use]
    pub fn on_kafka(mut self, kafka: Option<KafkaAddress>) -> Self {
        if kafka.is_none() {
            return self;
        }
        let (gone, mut services): (Vec<_>, Vec<_>) = self.services.into_iter().partition(is_of_kafka);
        for service in &mut services {
            service
                .depends_on
                .retain(|name| gone.iter().all(|gone| gone.name != *name));
        }
        self.services = services;
        self.left_out.extend(gone);
        self.kafka = kafka;
        self
    }

    /// The Kafka that runs in place of that service.
    pub fn kafka_in_place_of(&self, name: &ServiceName) -> Option<&KafkaAddress> {
        let kafka = self.kafka.as_ref()?;
        let mut gone = self.left_out.iter().filter(|service| is_of_kafka(service));
        gone.any(|service| service.name == *name).then_some(kafka)
    }

    /// The address that stands for `{name}`, where that is a broker in whose place an outside Kafka is.
    pub fn kafka_for(&self, name: &str) -> Option<&KafkaAddress> {
        let kafka = self.kafka.as_ref()?;
        let is_known = self.order.iter().any(|known| known.as_str() == name);
        let is_broker = self.replaced_brokers().any(|broker| broker.name.as_str() == name);
        let is_missing = name == Role::Broker.as_str() && !is_known;
        (is_broker || is_missing).then_some(kafka)
    }

    /// The brokers of the file in whose place an outside Kafka is.
    pub fn replaced_brokers(&self) -> impl Iterator<Item = &Service> {
        let is_replaced = self.kafka.is_some();
        let left_out = self.left_out.iter();
        left_out.filter(move |service| is_replaced && service.role == Role::Broker)
    }
}

/// Whether a service is part of what Kafka is.
fn is_of_kafka(service: &Service) -> bool {
    matches!(service.role, Role::Broker | Role::Zookeeper)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use regex::Regex;

    use super::*;
    use crate::stack::EmbeddedStack;

    fn address(text: &str) -> KafkaAddress {
        text.parse().expect("an address")
    }

    #[test]
    fn every_stack_comes_up_without_what_kafka_is() {
        for embedded in EmbeddedStack::ALL {
            let whole = embedded.services().expect("the embedded stack");
            let stack = whole.clone().on_kafka(Some(address("kafka.example.org:9092")));
            assert_eq!(
                stack.services.len() + stack.left_out.len(),
                whole.services.len(),
                "{embedded}"
            );
            for service in &stack.services {
                assert!(!is_of_kafka(service), "{embedded}: {}", service.name);
                let is_there = |name: &ServiceName| stack.service(name.as_str()).is_some();
                assert!(
                    service.depends_on.iter().all(is_there),
                    "{embedded}: {}",
                    service.name
                );
            }
            assert_eq!(whole.clone().on_kafka(None), whole);
        }
    }

    #[test]
    fn loopback_is_known_in_all_its_forms() {
        for text in ["localhost:1", "a:1,LOCALHOST:2", "127.0.0.1:9", "[::1]:9"] {
            assert!(address(text).loopback().is_some(), "{text}");
        }
        for text in ["localhost.example.org:1", "10.127.0.1:9", "[2001:db8::1]:9"] {
            assert!(address(text).loopback().is_none(), "{text}");
        }
        assert!(address("a:9093,127.0.0.1:9092").is_local_port(9092));
        assert!(!address("a:9092,127.0.0.1:19092").is_local_port(9092));
    }

    proptest! {
        #[test]
        fn an_address_is_what_the_pattern_says(
            text in "[a-zA-Z0-9._:,\\[\\] -]{0,16}|(a\\.b|\\[::1\\]|\\[\\]|):[0-9]{0,6}(,c:[0-9]{1,5})?"
        ) {
            let pattern = Regex::new(&format!("^{0}(,{0})*$", KafkaAddress::PATTERN)).expect("a pattern");
            prop_assert_eq!(text.parse::<KafkaAddress>().is_ok(), pattern.is_match(&text));
        }
    }
}
