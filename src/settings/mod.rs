//! What the command line means. Every value comes from the place that has the word, the order of which stands in
//! [`Source`], and keeps where it comes from. Each verb has one struct of settings; commands see these values, never
//! the strings that were typed.

mod chaos;
mod environment;
mod error;
mod file;
mod images;
mod kafka;
pub mod key;
mod output;
mod scenario;
mod schema;
mod serve;
mod shown;
mod source;
mod stack;
mod up;
mod verbs;

use std::env;
use std::path::PathBuf;

use crate::cli::GlobalArgs;
use crate::error::Result;
use crate::settings::source::Layers;
use crate::stack::project::ProjectName;

pub use crate::quantity::{InvalidQuantity, parse_duration, parse_size};
pub use chaos::ChaosSettings;
pub use environment::{Environment, Variable};
pub use error::SettingsError;
pub use file::{FileError, SettingsFile};
pub use images::{ImageSettings, lock_file};
pub use kafka::{KafkaChoice, KafkaConfigChoice};
pub use output::{Colour, Format, OutputSettings, Verbosity};
pub use scenario::{ReportFormat, ReportTarget, ScenarioSettings};
pub use schema::schema_text;
pub use serve::{Advertised, BrokerListeners, ListenerSettings};
pub use shown::{Shown, in_force};
pub use source::{Setting, Source};
pub use stack::{StackChoice, StackName, StackOrigin, StackSettings, remembered_kafka, remembered_stack};
pub use up::{
    HostConfigSource, OsquerySettings, ProgramSource, RunSettings, Statements, TargetSettings,
    remembered_engine,
};
pub use verbs::{
    BuildSettings, BundleSettings, DoctorSettings, ImagesAction, ImagesSettings, OnFailure, ProbeSettings,
    ShowSettings, SmokeSettings, UpSettings, WaitSettings,
};

/// The settings of every verb.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The project to work on.
    pub project: Setting<ProjectName>,
    /// The folder of all projects: `$OSQDEMO_HOME`, else `osqdemo` in the XDG state folder.
    pub home: PathBuf,
    /// How to talk to the user.
    pub output: OutputSettings,
    /// The variables that stand for options.
    pub environment: Environment,
    /// The settings file, where there is one and the verb follows it.
    pub file: Option<SettingsFile>,
    /// Whether the user named it; else it merely lies in the current folder, and may be somebody else's.
    pub is_file_named: bool,
}

/// Whether a verb follows the settings file. Some must work whatever stands in the current folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Follows {
    /// It does.
    SettingsFile,
    /// It does not.
    Nothing,
}

impl Settings {
    /// Resolves the options of every verb.
    ///
    /// # Errors
    /// When the settings file is wrong, the project's name is not one, or no state folder can be found.
    pub fn resolve(arguments: &GlobalArgs, follows: Follows) -> Result<Self> {
        let environment = Environment::of_process();
        let named = arguments.config.as_ref().filter(|path| !path.is_empty());
        let named = named.map(PathBuf::from).or_else(|| environment.config.path());
        let file = match follows {
            Follows::SettingsFile => SettingsFile::find(named.as_deref())?,
            Follows::Nothing => None,
        };
        let is_file_named = named.is_some();
        Ok(Self {
            is_file_named,
            ..Self::of(arguments, environment, file, home()?)?
        })
    }

    fn of(
        arguments: &GlobalArgs,
        environment: Environment,
        file: Option<SettingsFile>,
        home: PathBuf,
    ) -> Result<Self> {
        Ok(Self {
            project: project(arguments, &environment, file.as_ref())?,
            home,
            output: OutputSettings::resolve(arguments),
            environment,
            file,
            is_file_named: false,
        })
    }

    /// Those of a user who says nothing.
    pub fn silent(home: PathBuf) -> Self {
        let arguments = GlobalArgs::default();
        Self {
            project: Layers::flag(None).or_default(ProjectName::default()),
            home,
            output: OutputSettings::resolve(&arguments),
            environment: Environment::silent(),
            file: None,
            is_file_named: false,
        }
    }
}

fn project(
    arguments: &GlobalArgs,
    environment: &Environment,
    file: Option<&SettingsFile>,
) -> Result<Setting<ProjectName>> {
    let parse = |name: &str| name.parse::<ProjectName>().map_err(SettingsError::from);
    Ok(Layers::typed(arguments.project.as_deref(), parse)?
        .or_variable(&environment.project, parse)?
        .or_file(file, |file| file.project.clone())
        .or_default(ProjectName::default()))
}

fn home() -> std::result::Result<PathBuf, SettingsError> {
    let variable = |name: &str| {
        env::var_os(name)
            .filter(|value| !value.is_empty())
            .map(PathBuf::from)
    };
    variable("OSQDEMO_HOME")
        // The XDG specification: a path that is not absolute is to be ignored. It would mean another folder in every shell.
        .or_else(|| {
            variable("XDG_STATE_HOME")
                .filter(|folder| folder.is_absolute())
                .map(|folder| folder.join("osqdemo"))
        })
        .or_else(|| {
            variable("HOME")
                .filter(|folder| folder.is_absolute())
                .map(|folder| folder.join(".local/state/osqdemo"))
        })
        .map(|folder| std::path::absolute(&folder).unwrap_or(folder))
        .ok_or(SettingsError::NoHome)
        .and_then(usable_home)
}

/// Flag files and messages name the folder, a line each.
fn usable_home(home: PathBuf) -> std::result::Result<PathBuf, SettingsError> {
    match home.to_str() {
        Some(text) if !text.contains(char::is_control) => Ok(home),
        _ => Err(SettingsError::UnusableHome { home }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn homes() {
        use std::ffi::OsStr;
        use std::os::unix::ffi::OsStrExt;

        let usable = |path: &[u8]| {
            let path = PathBuf::from(OsStr::from_bytes(path));
            usable_home(path).map_err(|error| error.to_string())
        };
        assert!(usable("/a folder's 'ü' \"$x\"".as_bytes()).is_ok());
        assert_eq!(
            usable(b"/a\nb").expect_err("a line break"),
            r"the folder of the state, `/a\nb`, must be UTF-8 without control characters"
        );
        assert!(usable(b"/a\xff").is_err());
    }
}
