//! How a stack is run: what `up`, `smoke` and `doctor` go by, and what `build` shares with them. Long because these verbs
//! must agree on each of the options.

mod recalled;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use crate::cli::{OsqueryArgs, RunArgs, SourceArgs, TargetArgs};
use crate::engine::docker::image::checksum_of;
use crate::engine::{EngineKind, OsquerydChoice};
use crate::error::Result;
use crate::host_config::{self, LineFormat};
use crate::listener::{InvalidListenAddress, ListenChoice};
use crate::settings::source::Layers;
use crate::settings::{
    ImageSettings, KafkaConfigChoice, Setting, Settings, SettingsError, StackOrigin, StackSettings,
    parse_duration,
};
use crate::stack::{KafkaAddress, Role, ServiceName, Stack};
use crate::state::Remembered;

/// How long all services of a stack that runs in containers only may take: Control Center alone takes minutes.
const CONTAINERS_LIMIT: Duration = Duration::from_secs(15 * 60);

/// How long all services of another stack may take.
const USUAL_LIMIT: Duration = Duration::from_secs(60);

/// How a stack is run.
#[derive(Debug, Clone)]
pub struct RunSettings {
    /// Which services, where, on which ports.
    pub target: TargetSettings,
    /// How images are got.
    pub images: ImageSettings,
    /// What the hosts run.
    pub osquery: OsquerySettings,
    /// What the images are made of.
    pub source: Setting<ProgramSource>,
    /// What the hosts monitor.
    pub host_config: Setting<HostConfigSource>,
    /// In which format their lines are records.
    pub format: Setting<LineFormat>,
    /// Where the broker listens for other machines.
    pub listen: Setting<ListenChoice>,
    /// The packs to add to it: files, or names.
    pub packs: Vec<String>,
    /// Where names of packs are looked for first.
    pub pack_path: Option<PathBuf>,
    /// Which statements ksqlDB gets.
    pub statements: Setting<Statements>,
    /// How long all services together may take to become healthy.
    pub timeout: Setting<Duration>,
}

/// Which services, where, on which ports.
#[derive(Debug, Clone)]
pub struct TargetSettings {
    /// Which services.
    pub stack: StackSettings,
    /// Where they run.
    pub engine: Setting<EngineKind>,
    /// The ports that are asked for in this run: 0 keeps the one that a service has, or picks a free one. What earlier
    /// runs asked for is the project's to remember.
    pub ports: BTreeMap<ServiceName, Setting<u16>>,
}

/// What the hosts run.
#[derive(Debug, Clone)]
pub struct OsquerySettings {
    /// Which osqueryd.
    pub osqueryd: Setting<OsquerydChoice>,
    /// The checksum that its package must have.
    pub sha256: Option<Setting<String>>,
}

/// Where the programs come from that go into images.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum ProgramSource {
    /// From this installation.
    #[default]
    Installed,
    /// From this checkout, compiled inside Docker.
    Checkout(PathBuf),
}

/// Which statements ksqlDB gets.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Statements {
    /// Those of the pipeline.
    #[default]
    Demo,
    /// None: the user makes the streams by hand.
    None,
}

/// Where the configuration of the hosts stands.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum HostConfigSource {
    /// It is the default one.
    #[default]
    Default,
    /// In a file of the user's.
    File(PathBuf),
}

impl RunSettings {
    /// Every setting from the place that has the word.
    ///
    /// # Errors
    /// When a value cannot be, or two of them do not go together.
    pub fn resolve(arguments: &RunArgs, settings: &Settings, remembered: &Remembered) -> Result<Self> {
        let file = settings.file.as_ref();
        let target = TargetSettings::resolve(&arguments.target, settings, remembered)?;
        let source = source(&arguments.source, settings, remembered);
        if target.engine.value == EngineKind::Native {
            if !target.stack.stack.is_native() {
                return Err(SettingsError::ContainersOnly {
                    stack: target.stack.choice.to_string(),
                    engine: target.engine.source,
                }
                .into());
            }
            // What the settings file says of images is passed over where there are none.
            if matches!(source.value, ProgramSource::Checkout(_)) && source.source.is_this_run() {
                return Err(SettingsError::SourceWithoutImages.into());
            }
        }
        let earlier = remembered.host_config.as_ref();
        let format = format(arguments.format.as_deref(), settings, remembered, &target.stack)?;
        Ok(Self {
            images: ImageSettings::resolve(&arguments.pull, &arguments.lock, settings)?,
            osquery: OsquerySettings::resolve(&arguments.osquery, settings, remembered)?,
            source,
            host_config: Layers::flag(arguments.host_config.as_deref().map(HostConfigSource::of))
                .or_file(file, |file| file.host_config.clone())
                .or_remembered(earlier.map(|own| HostConfigSource::File(own.path.clone())))
                .or_default(HostConfigSource::Default),
            format,
            listen: listen(arguments.listen.as_deref(), settings, remembered, &target)?,
            packs: arguments.packs.clone(),
            pack_path: arguments.pack_path.clone(),
            statements: statements(arguments, settings, remembered)?,
            timeout: Layers::typed(arguments.timeout.as_deref(), parse_duration)?
                .or_file(file, |file| file.timeout)
                .or_default(usual_limit(&target.stack.stack)),
            target,
        })
    }

    /// As the project has been run: nothing is asked for.
    ///
    /// # Errors
    /// When this version does not have what is remembered.
    pub fn as_remembered(remembered: &Remembered, home: &Path) -> Result<Self> {
        Self::resolve(
            &RunArgs::default(),
            &Settings::silent(home.to_owned()),
            remembered,
        )
    }
}

impl TargetSettings {
    /// Every setting from the place that has the word.
    ///
    /// # Errors
    /// When a value cannot be.
    pub fn resolve(arguments: &TargetArgs, settings: &Settings, remembered: &Remembered) -> Result<Self> {
        let file = settings.file.as_ref();
        let stack = StackSettings::resolve(&arguments.stack, settings, remembered)?;
        let (earlier, usual) = if stack.stack.is_native() {
            (remembered_engine(remembered)?, EngineKind::Native)
        } else {
            // It has no choice.
            (None, EngineKind::Docker)
        };
        let engine = Layers::typed(arguments.engine.as_deref(), str::parse::<EngineKind>)?
            .or_variable(&settings.environment.engine, str::parse::<EngineKind>)?
            .or_file(file, |file| file.engine)
            .or_remembered(earlier)
            .or_default(usual);
        if engine.value == EngineKind::Docker
            && let Some(server) = stack.stack.kafka.as_ref().and_then(KafkaAddress::loopback)
        {
            return Err(SettingsError::LoopbackInContainers {
                server: server.to_owned(),
                kafka: stack.kafka.source.clone(),
            }
            .into());
        }
        if engine.value == EngineKind::Docker
            && stack.kafka_config.value != KafkaConfigChoice::Plain
            && let Some(foreign) = stack.stack.services.iter().find(|service| {
                let container = service.container.as_ref();
                container.is_some_and(|container| container.recipe.is_none())
            })
        {
            return Err(SettingsError::KafkaConfigOfImage {
                service: foreign.name.clone(),
                config: stack.kafka_config.source.clone(),
            }
            .into());
        }
        let mut of_file = match file {
            Some(file) => file.ports(&stack.stack, StackOrigin::of(&stack.choice))?,
            None => BTreeMap::new(),
        };
        let mut typed = ports(&stack.stack, &arguments.ports)?;
        let asked: BTreeSet<ServiceName> = of_file.keys().chain(typed.keys()).cloned().collect();
        let setting = |service: ServiceName| {
            let layers = Layers::flag(typed.remove(&service));
            let setting = layers.or_file(file, |_| of_file.remove(&service)).given();
            Some((service, setting?))
        };
        Ok(Self {
            ports: asked.into_iter().filter_map(setting).collect(),
            stack,
            engine,
        })
    }

    /// The ports that are asked for.
    pub fn asked_ports(&self) -> BTreeMap<ServiceName, u16> {
        let ports = self.ports.iter();
        ports
            .map(|(service, port)| (service.clone(), port.value))
            .collect()
    }
}

impl OsquerySettings {
    /// Every setting from the place that has the word.
    ///
    /// # Errors
    /// When a value cannot be.
    pub fn resolve(arguments: &OsqueryArgs, settings: &Settings, remembered: &Remembered) -> Result<Self> {
        let file = settings.file.as_ref();
        let earlier = remembered.osqueryd.as_deref().map(OsquerydChoice::parse);
        Ok(Self {
            osqueryd: Layers::flag(arguments.osqueryd.as_deref().map(OsquerydChoice::parse))
                .or_file(file, |file| file.osqueryd.clone())
                .or_remembered(earlier)
                .or_default(OsquerydChoice::Auto),
            sha256: Layers::typed(arguments.osquery_sha256.as_deref(), checksum_of)?
                .or_variable(&settings.environment.osquery_sha256, checksum_of)?
                .or_file(file, |file| file.osquery_sha256.clone())
                .or_remembered(remembered.osquery_sha256.clone())
                .given(),
        })
    }
}

/// In which format lines are records. The topics of a project hold one: what is in them cannot change.
fn format(
    typed: Option<&str>,
    settings: &Settings,
    remembered: &Remembered,
    stack: &StackSettings,
) -> Result<Setting<LineFormat>> {
    let parsed = |text: &str| text.parse().map_err(SettingsError::LineFormat);
    let earlier = remembered.engine.as_ref().map(|_| remembered.line_format());
    let format = Layers::typed(typed, parsed)?
        .or_file(settings.file.as_ref(), |file| file.format)
        .or_remembered(earlier)
        .or_default(LineFormat::Json);
    match earlier {
        Some(earlier) if earlier != format.value => Err(SettingsError::OtherLineFormat {
            earlier,
            wanted: format.value,
            from: format.source,
        }
        .into()),
        _ if format.value == LineFormat::Avro && !stack.has_registry() => {
            Err(SettingsError::AvroWithoutRegistry { from: format.source }.into())
        }
        _ => Ok(format),
    }
}

/// Where the broker listens for other machines: our own broker, as a process.
fn listen(
    typed: Option<&str>,
    settings: &Settings,
    remembered: &Remembered,
    target: &TargetSettings,
) -> Result<Setting<ListenChoice>> {
    let parsed = |text: &str| -> std::result::Result<ListenChoice, InvalidListenAddress> { text.parse() };
    let earlier = remembered.listen.as_deref().map(parsed).transpose()?;
    let listen = Layers::typed(typed, parsed)?
        .or_file(settings.file.as_ref(), |file| file.listen.clone())
        .or_remembered(earlier)
        .or_default(ListenChoice::ThisMachine);
    let refused = match (&listen.value, target.engine.value) {
        (ListenChoice::ThisMachine, _) => return Ok(listen),
        (_, EngineKind::Docker) => SettingsError::ListenInContainers {
            listen: listen.source,
        },
        _ if target.stack.stack.first(Role::Broker).is_none() => SettingsError::ListenWithoutBroker {
            listen: listen.source,
        },
        _ => return Ok(listen),
    };
    Err(refused.into())
}

fn statements(
    arguments: &RunArgs,
    settings: &Settings,
    remembered: &Remembered,
) -> Result<Setting<Statements>> {
    let typed = match (arguments.statements.as_deref(), arguments.no_statements) {
        (Some(word), _) => Some(word.parse()?),
        (None, true) => Some(Statements::None),
        (None, false) => None,
    };
    let earlier = remembered.statements.as_deref().map(str::parse).transpose()?;
    Ok(Layers::flag(typed)
        .or_file(settings.file.as_ref(), |file| file.statements)
        .or_remembered(earlier)
        .or_default(Statements::Demo))
}

/// What the images are made of.
pub(super) fn source(
    arguments: &SourceArgs,
    settings: &Settings,
    remembered: &Remembered,
) -> Setting<ProgramSource> {
    Layers::flag(arguments.source.as_deref().map(ProgramSource::parse))
        .or_file(settings.file.as_ref(), |file| file.source.clone())
        .or_remembered(remembered.source.clone().map(ProgramSource::Checkout))
        .or_default(ProgramSource::Installed)
}

impl ProgramSource {
    /// Reads `installed` or a folder.
    pub fn parse(text: &str) -> Self {
        match text {
            "installed" => Self::Installed,
            folder => Self::Checkout(PathBuf::from(folder)),
        }
    }

    /// The checkout, if it is one: the same in every folder.
    pub fn checkout(&self) -> Option<PathBuf> {
        match self {
            Self::Installed => None,
            Self::Checkout(folder) => Some(std::path::absolute(folder).unwrap_or_else(|_| folder.clone())),
        }
    }
}

impl fmt::Display for ProgramSource {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Installed => formatter.write_str("installed"),
            Self::Checkout(folder) => folder.display().fmt(formatter),
        }
    }
}

impl FromStr for Statements {
    type Err = SettingsError;

    fn from_str(word: &str) -> std::result::Result<Self, Self::Err> {
        match word {
            "demo" => Ok(Self::Demo),
            "none" => Ok(Self::None),
            other => Err(SettingsError::Statements {
                text: other.to_owned(),
            }),
        }
    }
}

impl fmt::Display for Statements {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Demo => "demo",
            Self::None => "none",
        })
    }
}

impl HostConfigSource {
    /// What the word or path means.
    pub fn of(path: &Path) -> Self {
        if path == Path::new(host_config::DEFAULT_NAME) {
            Self::Default
        } else {
            Self::File(path.to_owned())
        }
    }
}

impl fmt::Display for HostConfigSource {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => formatter.write_str(host_config::DEFAULT_NAME),
            Self::File(path) => path.display().fmt(formatter),
        }
    }
}

/// The engine that a project remembers, if it was ever run.
///
/// # Errors
/// When this version does not have it.
pub fn remembered_engine(remembered: &Remembered) -> Result<Option<EngineKind>> {
    Ok(remembered.engine.as_deref().map(str::parse).transpose()?)
}

/// How long all services of a stack may take to become healthy, unless the user says otherwise.
fn usual_limit(stack: &Stack) -> Duration {
    if stack.is_native() {
        USUAL_LIMIT
    } else {
        CONTAINERS_LIMIT
    }
}

/// Reads what was typed of the form `SERVICE=PORT`.
fn ports(stack: &Stack, typed: &[String]) -> Result<BTreeMap<ServiceName, u16>> {
    let mut ports = BTreeMap::new();
    for text in typed {
        let wrong = || SettingsError::Port { text: text.clone() };
        let (name, port) = text.split_once('=').ok_or_else(wrong)?;
        let port: u16 = port.parse().map_err(|_| match port.parse::<u64>() {
            Ok(_) => SettingsError::PortRange { text: text.clone() },
            Err(_) => wrong(),
        })?;
        let service = stack.named(name)?;
        if service.port.is_none() {
            return Err(SettingsError::NoPort {
                service: service.name.clone(),
            }
            .into());
        }
        ports.insert(service.name.clone(), port);
    }
    Ok(ports)
}

#[cfg(test)]
mod tests;
