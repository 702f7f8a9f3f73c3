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
