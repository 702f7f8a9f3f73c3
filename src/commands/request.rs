//! What the user asked for: which stack, which engine, which ports. Checked against the stack, not against the
//! machine.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::cli::{RunArgs, StackArgs, Typed};
use crate::engine::docker::PullSettings;
use crate::error::{Diagnose, Result};
use crate::exit_code::ExitCode;
use crate::host_config::{self, AddedPacks, HostConfig, HostConfigError};
use crate::near_names;
use crate::settings::Settings;
use crate::stack::{ServiceName, Stack};
use crate::state::{Remembered, StackFile};

/// What the user asked for.
#[derive(Debug, Clone, Default)]
pub struct Request {
    /// Which of it the user typed for this run; the settings file says the rest in every run.
    pub typed: Typed,
    /// The engine; the remembered one, else `native`, by default.
    pub engine: Option<EngineKind>,
    /// The ports of the services.
    pub ports: PortsRequest,
    /// Which osqueryd the hosts run.
    pub osqueryd: Option<String>,
    /// The checksum of osquery's package, for the hosts' image.
    pub osquery_sha256: Option<String>,
    /// The configuration of the hosts.
    pub host_config: HostConfigChoice,
    /// Why osquery's package cannot be had, where that was tried.
    pub osquery_unavailable: Option<String>,
    /// What the images are made of; the remembered source by default.
    pub source: Option<ProgramSource>,
    /// How images of registries are got; as usual by default.
    pub pull: Option<PullSettings>,
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

/// The ports of the services.
#[derive(Debug, Clone, Default)]
pub enum PortsRequest {
    /// As the project has them.
    #[default]
    AsTheyAre,
    /// Chosen for services that are to be started, these ones as asked for: 0 keeps the one it has, or picks a free
    /// one.
    Choose(BTreeMap<ServiceName, u16>),
}

/// The stack that the user asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StackChoice {
    /// The remembered one, else `lite`.
    Remembered,
    /// An embedded one.
    Named(String),
    /// A file of the user's.
    File(StackFile),
}

/// The configuration of the hosts that the user asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum HostConfigChoice {
    /// The remembered one, else the default.
    #[default]
    Remembered,
    /// The default.
    Default,
    /// One of the user's.
    File(HostConfig),
    /// One of these, with packs.
    WithPacks(Box<Self>, AddedPacks),
}

/// How long all services of a stack that runs in containers only may take: Control Center alone takes minutes.
const CONTAINERS_LIMIT: Duration = Duration::from_secs(15 * 60);

/// How long all services of another stack may take.
const USUAL_LIMIT: Duration = Duration::from_secs(60);

/// The engines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EngineKind {
    /// Processes on this machine.
    Native,
    /// Containers.
    Docker,
    /// Nothing at all, for tests.
    Fake,
}

/// The user asked for something that cannot be.
#[derive(Debug, thiserror::Error)]
pub enum RequestError {
    /// An engine that this version does not have.
    #[error("engine `{name}` is not available in this version")]
    Engine {
        /// Its name.
        name: String,
    },
    /// A stack that this version does not have.
    #[error("stack `{name}` is not available in this version")]
    Stack {
        /// Its name.
        name: String,
    },
    /// A stack file that cannot be read.
    #[error("failed to read the stack file `{}`: {source}", path.display())]
    StackFile {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A stack that does not run as processes.
    #[error("stack `{name}` runs in containers only, not on engine `native`")]
    ContainersOnly {
        /// Its name.
        name: String,
    },
    /// Not `SERVICE=PORT`.
    #[error("`{text}` is not of the form `SERVICE=PORT`")]
    Port {
        /// What was given.
        text: String,
    },
    /// A service that is not in the stack.
    #[error("there is no service `{name}`; the services are {known}")]
    UnknownService {
        /// What was given.
        name: String,
        /// The names of the services.
        known: String,
    },
    /// A service that the user left out.
    #[error("service `{service}` is left out")]
    LeftOut {
        /// The service.
        service: ServiceName,
    },
    /// A service that listens nowhere.
    #[error("service `{service}` publishes no port")]
    NoPort {
        /// The service.
        service: ServiceName,
    },
    /// Programs that are compiled for images, without images.
    #[error("`--source` is about images, and engine `native` has none")]
    SourceWithoutImages,
    /// The project runs on another engine.
    #[error("the project runs on engine `{running}`, not on `{wanted}`")]
    OtherEngine {
        /// The engine it runs on.
        running: EngineKind,
        /// The engine asked for.
        wanted: EngineKind,
    },
}

impl Diagnose for RequestError {
    fn exit_code(&self) -> ExitCode {
        ExitCode::Usage
    }

    fn hints(&self) -> Vec<String> {
        match self {
            Self::UnknownService { name, known } => {
                let near = near_names::near_names(name, known.split(", "));
                near.first()
                    .map(|name| format!("did you mean `{name}`?"))
                    .into_iter()
                    .collect()
            }
            Self::Engine { .. } => vec!["use `--engine native` or `--engine docker`".to_owned()],
            Self::Stack { .. } => {
                vec!["use `--stack lite`, `--stack confluent`, or a file with `--stack-file`".to_owned()]
            }
            Self::SourceWithoutImages => vec!["natively the installed programs run: `make build`".to_owned()],
            Self::ContainersOnly { .. } => vec!["use `--engine docker`".to_owned()],
            Self::Port { .. } => vec!["for example `--port broker=19092`, or `--port broker=0`".to_owned()],
            Self::LeftOut { .. } => vec!["`osqdemo up --without none` brings it back".to_owned()],
            Self::OtherEngine { .. } => vec!["stop it first with `osqdemo down`".to_owned()],
            _ => Vec::new(),
        }
    }
}

impl std::fmt::Display for EngineKind {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(self.as_str())
    }
}

impl EngineKind {
    /// The engine of that name.
    ///
    /// # Errors
    /// When this version does not have it.
    pub fn parse(name: &str) -> std::result::Result<Self, RequestError> {
        match name {
            "native" => Ok(Self::Native),
            "docker" => Ok(Self::Docker),
            "fake" => Ok(Self::Fake),
            _ => Err(RequestError::Engine {
                name: name.to_owned(),
            }),
        }
    }

    /// Its name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Native => "native",
            Self::Docker => "docker",
            Self::Fake => "fake",
        }
    }
}

impl ProgramSource {
    /// Reads `installed` or a folder.
    pub fn parse(text: &str) -> Self {
        match text {
            "installed" => Self::Installed,
            folder => Self::Checkout(std::path::absolute(folder).unwrap_or_else(|_| PathBuf::from(folder))),
        }
    }

    /// The checkout, if it is one.
    pub fn checkout(self) -> Option<PathBuf> {
        match self {
            Self::Installed => None,
            Self::Checkout(folder) => Some(folder),
        }
    }
}

impl StackChoice {
    /// What the arguments say; a file is read here.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn of(arguments: &StackArgs) -> std::result::Result<Self, RequestError> {
        match (&arguments.stack, &arguments.stack_file) {
            (_, Some(path)) => match fs::read_to_string(path) {
                Ok(text) => Ok(Self::File(StackFile {
                    path: path.clone(),
                    text,
                })),
                Err(source) => Err(RequestError::StackFile {
                    path: path.clone(),
                    source,
                }),
            },
            (Some(name), None) => Ok(Self::Named(name.clone())),
            (None, None) => Ok(Self::Remembered),
        }
    }
}

impl HostConfigChoice {
    /// What the argument says; a file is read here.
    ///
    /// # Errors
    /// When the file, or a pack, cannot be used.
    pub fn of(arguments: &RunArgs) -> std::result::Result<Self, HostConfigError> {
        let choice = match arguments.host_config.as_deref() {
            None => Self::Remembered,
            Some(path) if path == Path::new(host_config::DEFAULT_NAME) => Self::Default,
            Some(path) => HostConfig::read(path).map(Self::File)?,
        };
        let packs = AddedPacks::read(&arguments.packs, arguments.pack_path.as_deref())?;
        Ok(if packs.is_empty() {
            choice
        } else {
            Self::WithPacks(Box::new(choice), packs)
        })
    }

    /// Whether something is read that has to be checked.
    pub fn is_new(&self) -> bool {
        matches!(self, Self::File(_) | Self::WithPacks(..))
    }

    /// What becomes of it, beside what is remembered.
    pub fn or(&self, remembered: Option<&HostConfig>) -> Option<HostConfig> {
        match self {
            Self::Remembered => remembered.cloned(),
            Self::Default => None,
            Self::File(own) => Some(own.clone()),
            Self::WithPacks(base, packs) => Some(packs.added_to(base.or(remembered))),
        }
    }
}

/// How long all services of a stack may take to become healthy, unless the user says otherwise.
pub fn usual_limit(stack: &Stack) -> Duration {
    if stack.is_native() {
        USUAL_LIMIT
    } else {
        CONTAINERS_LIMIT
    }
}

/// The stack that a project runs.
///
/// # Errors
/// When this version does not have it, or its file is not a stack file.
pub fn stack_of(remembered: &Remembered) -> Result<Stack> {
    Ok(whole_stack_of(remembered)?.without(&remembered.without)?)
}

/// The same with the services that are left out.
///
/// # Errors
/// As [`stack_of`].
pub fn whole_stack_of(remembered: &Remembered) -> Result<Stack> {
    if let Some(StackFile { path, text }) = &remembered.stack_file {
        return Ok(Stack::parse(&path.display().to_string(), text)?);
    }
    match remembered.stack.as_deref() {
        None | Some("lite") => Ok(Stack::lite()?),
        Some("confluent") => Ok(Stack::confluent()?),
        Some(name) => Err(RequestError::Stack {
            name: name.to_owned(),
        }
        .into()),
    }
}

/// The services to leave out, as they were typed; none where nothing was.
pub fn parse_without(arguments: &[String]) -> Option<BTreeSet<ServiceName>> {
    match arguments {
        [] => None,
        [none] if none == "none" => Some(BTreeSet::new()),
        names => Some(names.iter().map(ServiceName::new).collect()),
    }
}

/// The ports that were asked for: those of the settings file, and over them those of the command line.
///
/// # Errors
/// When a service is not in the stack, or publishes no port.
pub fn ports_asked_for(
    settings: &Settings,
    stack: &Stack,
    arguments: &[String],
) -> Result<BTreeMap<ServiceName, u16>> {
    let mut ports = match &settings.file {
        Some(file) => file.ports(stack, settings.stack_origin())?,
        None => BTreeMap::new(),
    };
    ports.extend(parse_ports(stack, arguments)?);
    Ok(ports)
}

/// Reads `SERVICE=PORT` arguments.
///
/// # Errors
/// When one is not of that form, or names a service without a port.
pub fn parse_ports(stack: &Stack, arguments: &[String]) -> Result<BTreeMap<ServiceName, u16>> {
    let mut ports = BTreeMap::new();
    for text in arguments {
        let wrong = || RequestError::Port { text: text.clone() };
        let (name, port) = text.split_once('=').ok_or_else(wrong)?;
        let port: u16 = port.parse().map_err(|_| wrong())?;
        let service = stack.service(name).ok_or_else(|| unknown_service(stack, name))?;
        if service.port.is_none() {
            return Err(RequestError::NoPort {
                service: service.name.clone(),
            }
            .into());
        }
        ports.insert(service.name.clone(), port);
    }
    Ok(ports)
}

/// The error about a service that is not in the stack.
pub fn unknown_service(stack: &Stack, name: &str) -> RequestError {
    let service = ServiceName::new(name);
    if stack.is_left_out(&service) {
        return RequestError::LeftOut { service };
    }
    RequestError::UnknownService {
        name: name.to_owned(),
        known: stack.names(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn any_port_argument_is_read_or_refused(text in "(broker|host1|x)?=?\\PC{0,8}") {
            let stack = Stack::lite().expect("the embedded stack");
            match parse_ports(&stack, std::slice::from_ref(&text)) {
                Ok(ports) => {
                    let (name, port) = ports.iter().next().expect("one port");
                    prop_assert_eq!(text.parse::<String>().expect("itself"), format!("{name}={}", text.split_once('=').expect("a sign").1));
                    prop_assert_eq!(text.split_once('=').expect("a sign").1.parse::<u16>(), Ok(*port));
                }
                Err(failure) => prop_assert_eq!(failure.diagnosis().exit_code(), ExitCode::Usage),
            }
        }
    }
}
