//! Which services: the stack, and what is left out of it.

use std::collections::BTreeSet;
use std::fmt;
use std::path::PathBuf;

use crate::cli::StackArgs;
use crate::client_properties::ClientFile;
use crate::error::Result;
use crate::input_file;
use crate::settings::source::Layers;
use crate::settings::{KafkaChoice, KafkaConfigChoice, Setting, Settings, SettingsError, Source};
use crate::stack::{EmbeddedStack, KafkaAddress, Role, ServiceName, Stack};
use crate::state::{Remembered, StackFile};

/// A stack by its name or its file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StackName {
    /// One that is part of osqdemo.
    Embedded(EmbeddedStack),
    /// A file of the user's.
    File(PathBuf),
}

/// A stack as it was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StackChoice {
    /// One that is part of osqdemo.
    Embedded(EmbeddedStack),
    /// A file of the user's, and what it said.
    File(StackFile),
}

/// Whether the stack is the one that the settings file is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StackOrigin {
    /// It is: a service that it does not have is a mistake.
    OfTheFile,
    /// The user chose another one: what the file says about services that it does not have is passed over.
    ChosenOtherwise,
}

/// Which services.
#[derive(Debug, Clone)]
pub struct StackSettings {
    /// The stack.
    pub choice: Setting<StackChoice>,
    /// The optional services that are asked for.
    pub with: Setting<BTreeSet<ServiceName>>,
    /// The Kafka that it runs on.
    pub kafka: Setting<KafkaChoice>,
    /// How that is reached.
    pub kafka_config: Setting<KafkaConfigChoice>,
    /// The same as it was read, unless it is remembered.
    pub client_file: Option<ClientFile>,
    /// The services that are left out of it.
    pub without: Setting<BTreeSet<ServiceName>>,
    /// Its services, those aside.
    pub stack: Stack,
}

impl StackSettings {
    /// What is typed, else what the settings file says, else what is remembered, else stack `lite`.
    ///
    /// # Errors
    /// When this version does not have the stack, its file cannot be read, or a service cannot be left out.
    pub fn resolve(arguments: &StackArgs, settings: &Settings, remembered: &Remembered) -> Result<Self> {
        let file = settings.file.as_ref();
        let before = remembered_stack(remembered)?;
        let typed = match (&arguments.stack, &arguments.stack_file) {
            (_, Some(path)) => Some(StackName::File(path.clone())),
            (Some(name), None) => Some(StackName::Embedded(name.parse()?)),
            (None, None) => None,
        };
        let named = Layers::flag(typed)
            .or_file(file, |file| file.stack.clone())
            .given();
        let choice = match named {
            Some(Setting { value, source }) => Setting {
                value: value.read()?,
                source,
            },
            None => Layers::flag(None)
                .or_remembered(before.clone())
                .or_default(StackChoice::default()),
        };
        let whole = choice.services()?;
        // Another stack has other services.
        let is_another = choice.to_string() != before.unwrap_or_default().to_string();
        let earlier = |names: &BTreeSet<ServiceName>| {
            Some(names)
                .filter(|names| !names.is_empty() && !is_another)
                .cloned()
        };
        let origin = StackOrigin::of(&choice);
        let of_file = file.map(|file| file.with(&whole, origin)).transpose()?.flatten();
        let with = Layers::flag(services(&arguments.with))
            .or_file(file, |_| of_file)
            .or_remembered(earlier(&remembered.with))
            .or_default(BTreeSet::new());
        let mut kafka_config = Layers::flag(arguments.kafka_config.as_deref().map(KafkaConfigChoice::of))
            .or_file(file, |file| file.kafka_config.clone())
            .or_remembered(remembered.kafka_config.clone().map(KafkaConfigChoice::File))
            .or_default(KafkaConfigChoice::Plain);
        let mut client_file = read_client_file(&kafka_config)?;
        let of_client_file = client_file.as_ref().and_then(|file| file.servers().cloned());
        let kafka = Layers::typed(arguments.kafka.as_deref(), str::parse::<KafkaChoice>)?
            .or_file(file, |file| file.kafka.clone())
            .or_from(
                kafka_config.source.clone(),
                of_client_file.map(KafkaChoice::Outside),
            )
            .or_remembered(remembered_kafka(remembered)?.map(KafkaChoice::Outside))
            .or_default(KafkaChoice::OfStack);
        if kafka.outside().is_none() {
            if let (Source::Default, Some(file)) = (&kafka.source, &client_file) {
                let path = file.path().to_owned();
                return Err(SettingsError::NoServers { path }.into());
            }
            // It is about a Kafka that nobody wants any more.
            kafka_config.value = KafkaConfigChoice::Plain;
            client_file = None;
        }
        let whole = whole.with(&with)?.on_kafka(kafka.outside());
        let of_file = file
            .map(|file| file.without(&whole, origin))
            .transpose()?
            .flatten();
        let without = Layers::flag(services(&arguments.without))
            .or_file(file, |_| of_file)
            .or_remembered(earlier(&remembered.without))
            .or_default(BTreeSet::new());
        let stack = whole.without(&without)?;
        Ok(Self {
            choice,
            with,
            kafka,
            kafka_config,
            client_file,
            without,
            stack,
        })
    }
}

impl StackOrigin {
    pub(super) fn of(choice: &Setting<StackChoice>) -> Self {
        if choice.source.is_this_run() {
            Self::ChosenOtherwise
        } else {
            Self::OfTheFile
        }
    }
}

impl StackName {
    /// Reads the file, if it is one.
    fn read(self) -> std::result::Result<StackChoice, SettingsError> {
        match self {
            Self::Embedded(stack) => Ok(StackChoice::Embedded(stack)),
            Self::File(path) => match input_file::read_to_string(&path) {
                Ok(text) => Ok(StackChoice::File(StackFile { path, text })),
                Err(source) => Err(SettingsError::StackFile { path, source }),
            },
        }
    }
}

impl StackChoice {
    /// All its services.
    ///
    /// # Errors
    /// When it is a file, and that is not a stack file.
    pub fn services(&self) -> Result<Stack> {
        Ok(match self {
            Self::Embedded(stack) => stack.services()?,
            Self::File(StackFile { path, text }) => Stack::parse(&path.display().to_string(), text)?,
        })
    }
}

impl Default for StackChoice {
    fn default() -> Self {
        Self::Embedded(EmbeddedStack::default())
    }
}

impl fmt::Display for StackChoice {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Embedded(stack) => stack.fmt(formatter),
            Self::File(file) => file.path.display().fmt(formatter),
        }
    }
}

/// The stack that a project remembers, if it was ever told one.
///
/// # Errors
/// When this version does not have it.
pub fn remembered_stack(remembered: &Remembered) -> Result<Option<StackChoice>> {
    Ok(match (&remembered.stack_file, &remembered.stack) {
        (Some(file), _) => Some(StackChoice::File(file.clone())),
        (None, Some(name)) => Some(StackChoice::Embedded(name.parse()?)),
        (None, None) => None,
    })
}

impl StackSettings {
    /// Whether there is a Schema Registry, here or elsewhere, as far as it is known: what a file that is remembered said is looked
    /// at where its properties are kept.
    pub fn has_registry(&self) -> bool {
        let is_elsewhere = || match (&self.kafka_config.value, &self.client_file) {
            (KafkaConfigChoice::File(_), Some(file)) => file.names_registry(),
            (KafkaConfigChoice::File(_), None) => true,
            (KafkaConfigChoice::Plain, _) => false,
        };
        self.stack.first(Role::SchemaRegistry).is_some() || is_elsewhere()
    }
}

/// What is remembered is what was read then.
fn read_client_file(choice: &Setting<KafkaConfigChoice>) -> Result<Option<ClientFile>> {
    Ok(match (&choice.value, &choice.source) {
        (KafkaConfigChoice::Plain, _) | (_, Source::Remembered) => None,
        (KafkaConfigChoice::File(path), _) => Some(ClientFile::read(path)?),
    })
}

/// The Kafka that a project remembers to run on, in place of its stack's broker.
///
/// # Errors
/// When it is not an address.
pub fn remembered_kafka(remembered: &Remembered) -> Result<Option<KafkaAddress>> {
    Ok(remembered.kafka.as_deref().map(str::parse).transpose()?)
}

/// The services of an option that takes several, as they were typed; none where nothing was.
fn services(typed: &[String]) -> Option<BTreeSet<ServiceName>> {
    match typed {
        [] => None,
        [none] if none == "none" => Some(BTreeSet::new()),
        names => Some(names.iter().map(ServiceName::new).collect()),
    }
}
