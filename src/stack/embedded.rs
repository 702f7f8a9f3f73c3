//! The stacks that are part of osqdemo.

use std::fmt;
use std::str::FromStr;

use crate::error::Diagnose;
use crate::exit_code::ExitCode;
use crate::stack::{Stack, StackError};

/// A stack that is part of osqdemo.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum EmbeddedStack {
    /// Built from this repository.
    #[default]
    Lite,
    /// Confluent Platform in the form with ZooKeeper.
    Confluent,
    /// Confluent Platform as it is today.
    Confluent8,
    /// Apache Kafka's broker, and the rest built from this repository.
    Kafka,
    /// The hosts alone: the rest runs elsewhere.
    Cloud,
}

/// A stack that this version does not have.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("stack `{name}` is not available in this version")]
pub struct UnknownStack {
    /// Its name.
    pub name: String,
}

impl Diagnose for UnknownStack {
    fn exit_code(&self) -> ExitCode {
        ExitCode::Usage
    }

    fn hints(&self) -> Vec<String> {
        let names = EmbeddedStack::ALL.map(|stack| format!("`--stack {stack}`"));
        vec![format!("use {}, or a file with `--stack-file`", names.join(", "))]
    }
}

impl EmbeddedStack {
    /// Every stack, in the order in which they are told.
    pub const ALL: [Self; 5] = [
        Self::Lite,
        Self::Kafka,
        Self::Cloud,
        Self::Confluent,
        Self::Confluent8,
    ];

    /// Its name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Lite => "lite",
            Self::Confluent => "confluent",
            Self::Confluent8 => "confluent-8",
            Self::Kafka => "kafka",
            Self::Cloud => "cloud",
        }
    }

    /// Its services.
    ///
    /// # Errors
    /// When the embedded file is wrong, which a test rules out.
    pub fn services(self) -> Result<Stack, StackError> {
        match self {
            Self::Lite => Stack::lite(),
            Self::Confluent => Stack::confluent(),
            Self::Confluent8 => Stack::confluent_8(),
            Self::Kafka => Stack::kafka(),
            Self::Cloud => Stack::cloud(),
        }
    }
}

impl FromStr for EmbeddedStack {
    type Err = UnknownStack;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        let mut stacks = Self::ALL.into_iter();
        let named = stacks.find(|stack| stack.as_str() == name);
        named.ok_or_else(|| UnknownStack {
            name: name.to_owned(),
        })
    }
}

impl fmt::Display for EmbeddedStack {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stack::Role;

    /// What was wrong with single records is told in the same stream on every stack whose ksqlDB can write it there.
    #[test]
    fn the_processing_log_is_a_stream() {
        for embedded in EmbeddedStack::ALL {
            let stack = embedded.services().expect("the embedded stack");
            let optional = stack.optional.iter().map(|(_, service)| service);
            let services = stack.services.iter().chain(optional);
            let ksqldb = services.filter(|service| service.role == Role::Ksqldb);
            let ksqldb: Vec<_> = ksqldb.collect();
            assert_eq!(ksqldb.len(), 1, "{embedded}");
            let container = ksqldb[0].container.as_ref().expect("it runs in a container");
            let said = format!("{:?} {:?}", container.command, container.environment);
            let is_ours = said.contains("--processing-log-stream");
            let is_confluents = [
                "KSQL_KSQL_LOGGING_PROCESSING_TOPIC_AUTO_CREATE",
                "KSQL_KSQL_LOGGING_PROCESSING_STREAM_AUTO_CREATE",
                "KSQL_LOG4J_PROCESSING_LOG_BROKERLIST",
            ]
            .iter()
            .all(|variable| said.contains(variable));
            // 8.2 has nothing that writes it into a topic.
            let is_there = embedded != EmbeddedStack::Confluent8;
            assert_eq!(is_ours || is_confluents, is_there, "{embedded}: {said}");
            if let Some(native) = &ksqldb[0].native_command {
                let switch = "--processing-log-stream".to_owned();
                assert!(native.contains(&switch), "{embedded}: {native:?}");
            }
        }
    }
}
