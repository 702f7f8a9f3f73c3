//! The settings file, `osqdemo.toml`: what stands in it is checked when it is read, and what is wrong is told with line
//! and column. Which services a stack has is not known here: that is checked against the stack later.

mod reader;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use osquery_configuration::regular_file;

use crate::engine::{EngineKind, OsquerydChoice};
use crate::error::Diagnose;
use crate::exit_code::ExitCode;
use crate::host_config::LineFormat;
use crate::images::{PullPolicy, RegistryPrefix};
use crate::input_file;
use crate::listener::ListenChoice;
use crate::near_names;
use crate::settings::key::{KEYS, Key};
use crate::settings::{
    HostConfigSource, KafkaChoice, KafkaConfigChoice, ProgramSource, StackName, StackOrigin, Statements,
};
use crate::stack::project::ProjectName;
use crate::stack::{ServiceName, Stack};

/// The file that is looked for in the current folder.
const SETTINGS_FILE: &str = "osqdemo.toml";

/// What a settings file says: its settings by their names, their values as they are meant. A path is relative to the
/// file where it is not absolute.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SettingsFile {
    /// Where it is.
    pub path: PathBuf,
    pub(super) project: Option<ProjectName>,
    pub(super) engine: Option<EngineKind>,
    pub(super) stack: Option<StackName>,
    pub(super) timeout: Option<Duration>,
    pub(super) osqueryd: Option<OsquerydChoice>,
    pub(super) osquery_sha256: Option<String>,
    pub(super) source: Option<ProgramSource>,
    pub(super) host_config: Option<HostConfigSource>,
    pub(super) format: Option<LineFormat>,
    pub(super) listen: Option<ListenChoice>,
    pub(super) kafka: Option<KafkaChoice>,
    pub(super) kafka_config: Option<KafkaConfigChoice>,
    pub(super) pull: Option<PullPolicy>,
    pub(super) registry: Option<RegistryPrefix>,
    pub(super) pull_silence: Option<Duration>,
    pub(super) lock_file: Option<PathBuf>,
    pub(super) scenario_size: Option<u64>,
    pub(super) scenario_host: Option<String>,
    pub(super) scenario_timeout: Option<Duration>,
    pub(super) statements: Option<Statements>,
    /// The optional services to start too.
    with: Option<Vec<Entry<()>>>,
    /// The services to leave out.
    without: Option<Vec<Entry<()>>>,
    /// The ports of services.
    ports: Vec<Entry<u16>>,
}

/// What the file says about a service.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Entry<T> {
    service: ServiceName,
    value: T,
    position: Position,
}

/// A place in the file, counted from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Position {
    /// The line.
    pub line: usize,
    /// The character in the line.
    pub column: usize,
}

/// Why a settings file cannot be followed.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// It cannot be read.
    #[error("failed to read the settings file `{}`: {source}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Something in it is wrong.
    #[error("`{}` {position}: {mistake}", path.display())]
    Mistake {
        /// The file.
        path: PathBuf,
        /// Where in it.
        position: Position,
        /// What.
        mistake: Mistake,
    },
}

/// What is wrong in a settings file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Mistake {
    /// It is not TOML.
    #[error("{message}")]
    Syntax {
        /// What the parser said.
        message: String,
    },
    /// A setting that does not exist.
    #[error("there is no setting `{path}`")]
    Unknown {
        /// Its name with its table.
        path: String,
    },
    /// A value of another type.
    #[error("`{path}` takes {takes}, not {}", article(found))]
    Type {
        /// The setting.
        path: String,
        /// What it takes.
        takes: String,
        /// What TOML calls the value's type.
        found: &'static str,
    },
    /// A value that cannot be.
    #[error("`{path}`: {reason}")]
    Value {
        /// The setting.
        path: String,
        /// Why not.
        reason: String,
        /// What may have been meant.
        hints: Vec<String>,
    },
    /// Two settings for one thing.
    #[error("`stack` and `stack-file` cannot both be set")]
    TwoStacks,
    /// A service that is not in the stack, listens nowhere, or cannot be left out.
    #[error("`{path}`: {reason}")]
    Service {
        /// The setting.
        path: &'static str,
        /// Why not.
        reason: String,
        /// What to do.
        hints: Vec<String>,
    },
}

impl fmt::Display for Position {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "line {} column {}", self.line, self.column)
    }
}

impl Diagnose for FileError {
    fn exit_code(&self) -> ExitCode {
        ExitCode::Usage
    }

    fn hints(&self) -> Vec<String> {
        match self {
            Self::Mistake {
                mistake: Mistake::Unknown { path },
                ..
            } => {
                let known: Vec<String> = KEYS.iter().map(Key::path).collect();
                near_names::hint("settings", path, &known)
            }
            Self::Mistake {
                mistake: Mistake::Value { hints, .. } | Mistake::Service { hints, .. },
                ..
            } => hints.clone(),
            Self::Mistake { .. } => Vec::new(),
            Self::Unreadable { .. } => {
                vec!["`--config FILE` or `OSQDEMO_CONFIG` names another one".to_owned()]
            }
        }
    }
}

impl SettingsFile {
    /// Reads the file that was named, else the one in the current folder, if there is one.
    ///
    /// # Errors
    /// When it cannot be read, or something in it is wrong.
    pub fn find(named: Option<&Path>) -> Result<Option<Self>, FileError> {
        let path = named.unwrap_or(Path::new(SETTINGS_FILE));
        let text = match named {
            Some(path) => input_file::read_to_string(path),
            // Nobody asked for it: it may be anything.
            None => regular_file::read_to_string(path),
        };
        match text {
            Ok(text) => Self::parse(path, &text).map(Some),
            Err(error) if error.kind() == io::ErrorKind::NotFound && named.is_none() => Ok(None),
            Err(source) => Err(FileError::Unreadable {
                path: path.to_owned(),
                source,
            }),
        }
    }

    /// Reads the text of a file at that path.
    ///
    /// # Errors
    /// When something in it is wrong.
    pub fn parse(path: &Path, text: &str) -> Result<Self, FileError> {
        reader::read(path, text)
    }

    /// The ports it gives to services of the stack.
    ///
    /// # Errors
    /// When the stack does not have a service, or it publishes no port.
    pub fn ports(&self, stack: &Stack, origin: StackOrigin) -> Result<BTreeMap<ServiceName, u16>, FileError> {
        let mut ports = BTreeMap::new();
        for entry in &self.ports {
            let reason = match stack.service(entry.service.as_str()) {
                Some(service) if service.port.is_some() => {
                    ports.insert(entry.service.clone(), entry.value);
                    continue;
                }
                Some(_) => format!("service `{}` publishes no port", entry.service),
                None if origin == StackOrigin::ChosenOtherwise || stack.is_left_out(&entry.service) => {
                    continue;
                }
                None => format!("there is no service `{}`", entry.service),
            };
            let hints = near_names::hint("services", entry.service.as_str(), &stack.published());
            return Err(self.about_service("ports", entry.position, reason, hints));
        }
        Ok(ports)
    }

    /// The services it leaves out of the stack.
    ///
    /// # Errors
    /// When the stack does not have one, or it cannot be left out.
    pub fn without(
        &self,
        stack: &Stack,
        origin: StackOrigin,
    ) -> Result<Option<BTreeSet<ServiceName>>, FileError> {
        let Some(entries) = &self.without else {
            return Ok(None);
        };
        let names = meant(entries, origin, |name| stack.service(name.as_str()).is_some());
        match stack.clone().without(&names) {
            Ok(_) => Ok(Some(names)),
            Err(error) => Err(self.about_service(
                "without",
                position_of(entries, error.service()),
                error.to_string(),
                error.hints(),
            )),
        }
    }

    /// The optional services of the stack that it asks for.
    ///
    /// # Errors
    /// When one is not an optional service of the stack, or two do not go together.
    pub fn with(
        &self,
        stack: &Stack,
        origin: StackOrigin,
    ) -> Result<Option<BTreeSet<ServiceName>>, FileError> {
        let Some(entries) = &self.with else {
            return Ok(None);
        };
        let known = stack.optional_names();
        let names = meant(entries, origin, |name| {
            known.iter().any(|known| known == name.as_str())
        });
        match stack.clone().with(&names) {
            Ok(_) => Ok(Some(names)),
            Err(error) => Err(self.about_service(
                "with",
                position_of(entries, error.service()),
                error.to_string(),
                error.hints(),
            )),
        }
    }

    fn about_service(
        &self,
        path: &'static str,
        position: Position,
        reason: String,
        hints: Vec<String>,
    ) -> FileError {
        FileError::Mistake {
            path: self.path.clone(),
            position,
            mistake: Mistake::Service { path, reason, hints },
        }
    }
}

/// The services that are meant of a stack: of one that the file is not about, only those that it has.
fn meant(
    entries: &[Entry<()>],
    origin: StackOrigin,
    has: impl Fn(&ServiceName) -> bool,
) -> BTreeSet<ServiceName> {
    let names = entries.iter().map(|entry| &entry.service);
    names
        .filter(|name| origin == StackOrigin::OfTheFile || has(name))
        .cloned()
        .collect()
}

fn position_of(entries: &[Entry<()>], service: &ServiceName) -> Position {
    let mut entries = entries.iter();
    entries
        .find(|entry| entry.service == *service)
        .map_or(Position { line: 1, column: 1 }, |entry| entry.position)
}

fn article(found: &str) -> String {
    let is_vowel = found.starts_with(['a', 'e', 'i', 'o', 'u']);
    format!("{} {found}", if is_vowel { "an" } else { "a" })
}
