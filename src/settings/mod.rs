//! What the command line means. An option on it wins over the environment, that over the settings file, that over what
//! the project remembers, and that over the default: the file is what the user wrote down on purpose, and what is
//! remembered is only what was asked for last. Commands see these values, never the strings that were typed.

mod file;
pub mod key;
mod output;
mod schema;

use std::env;
use std::path::PathBuf;

use crate::cli::{GlobalArgs, Typed};
use crate::error::Diagnose;
use crate::exit_code::ExitCode;
use crate::stack::project::{InvalidProjectName, ProjectName};

pub use crate::quantity::{InvalidQuantity, parse_duration, parse_size};
pub use file::{FileError, SettingsFile, StackOrigin};
pub use output::{Colour, Format, OutputSettings, Verbosity};
pub use schema::schema_text;

/// The settings of every verb.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The project to work on.
    pub project: ProjectName,
    /// The folder of all projects: `$OSQDEMO_HOME`, else `osqdemo` in the XDG state folder.
    pub home: PathBuf,
    /// How to talk to the user.
    pub output: OutputSettings,
    /// What was typed, or stands in the environment.
    pub typed: Typed,
    /// The settings file, where there is one and the verb follows it.
    pub file: Option<SettingsFile>,
}

/// What is wrong with a setting.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum SettingsError {
    /// The project's name cannot be one.
    #[error(transparent)]
    Project(#[from] InvalidProjectName),
    /// There is no place for the state.
    #[error("no folder for the state: none of `OSQDEMO_HOME`, `XDG_STATE_HOME` and `HOME` is set")]
    NoHome,
    /// The state folder cannot be written down in the files that name it.
    #[error("the folder of the state, `{}`, must be UTF-8 without control characters", home.display().to_string().escape_debug())]
    UnusableHome {
        /// The folder.
        home: PathBuf,
    },
}

impl Diagnose for SettingsError {
    fn exit_code(&self) -> ExitCode {
        ExitCode::Usage
    }
}

impl Settings {
    /// Resolves the options of every verb, which were filled in from the file.
    ///
    /// # Errors
    /// When the project's name is not one, or no state folder can be found.
    pub fn resolve(
        arguments: &GlobalArgs,
        typed: Typed,
        file: Option<SettingsFile>,
    ) -> Result<Self, SettingsError> {
        Ok(Self {
            project: match &arguments.project {
                Some(name) => name.parse()?,
                None => ProjectName::default(),
            },
            home: home()?,
            output: OutputSettings::resolve(arguments),
            typed,
            file,
        })
    }

    /// Whether the stack is the one that the settings file is about.
    pub fn stack_origin(&self) -> StackOrigin {
        if self.typed.source("stack").is_some() || self.typed.source("stack-file").is_some() {
            StackOrigin::ChosenOtherwise
        } else {
            StackOrigin::OfTheFile
        }
    }
}

fn home() -> Result<PathBuf, SettingsError> {
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
        .or_else(|| variable("HOME").map(|folder| folder.join(".local/state/osqdemo")))
        .map(|folder| std::path::absolute(&folder).unwrap_or(folder))
        .ok_or(SettingsError::NoHome)
        .and_then(usable_home)
}

/// Flag files and messages name the folder, a line each.
fn usable_home(home: PathBuf) -> Result<PathBuf, SettingsError> {
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
