//! What the command line means. An option on it wins over the environment, that over the settings file, that over what
//! the project remembers, and that over the default: the file is what the user wrote down on purpose, and what is
//! remembered is only what was asked for last. Commands see these values, never the strings that were typed.

mod file;
pub mod key;
mod output;
mod schema;

use std::env;
use std::path::PathBuf;
use std::time::Duration;

use crate::cli::{GlobalArgs, Typed};
use crate::error::Diagnose;
use crate::exit_code::ExitCode;
use crate::stack::project::{InvalidProjectName, ProjectName};

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
    /// Not a duration.
    #[error("`{text}` is not a duration such as `500ms`, `30s`, `2m` or `1m30s`")]
    Duration {
        /// What was given.
        text: String,
    },
    /// Not a size.
    #[error("`{text}` is not a size such as `4096`, `64M` or `1G`")]
    Size {
        /// What was given.
        text: String,
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
        .or_else(|| variable("XDG_STATE_HOME").map(|folder| folder.join("osqdemo")))
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

/// Reads a duration: whole numbers with the units `ms`, `s`, `m`, `h`, such as `500ms`, `30s` or `1m30s`.
///
/// # Errors
/// [`SettingsError::Duration`].
pub fn parse_duration(text: &str) -> Result<Duration, SettingsError> {
    let error = || SettingsError::Duration {
        text: text.to_owned(),
    };
    let mut rest = text;
    let mut total: u64 = 0;
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let (number, after) = rest.split_at(digits);
        let letters = after.bytes().take_while(u8::is_ascii_alphabetic).count();
        let (unit, after) = after.split_at(letters);
        let unit: u64 = match unit {
            "ms" => 1,
            "s" => 1_000,
            "m" => 60_000,
            "h" => 3_600_000,
            _ => return Err(error()),
        };
        let number: u64 = number.parse().map_err(|_| error())?;
        total = number
            .checked_mul(unit)
            .and_then(|part| total.checked_add(part))
            .ok_or_else(error)?;
        rest = after;
    }
    if text.is_empty() {
        Err(error())
    } else {
        Ok(Duration::from_millis(total))
    }
}

/// Reads a number of bytes: a whole number, alone or with `K`, `M`, `G` or `T` (powers of 1024; `KiB`, `MB`
/// and the like are accepted and mean the same).
///
/// # Errors
/// [`SettingsError::Size`].
pub fn parse_size(text: &str) -> Result<u64, SettingsError> {
    let error = || SettingsError::Size {
        text: text.to_owned(),
    };
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let shift = match unit.to_ascii_lowercase().as_str() {
        "" | "b" => 0,
        "k" | "kb" | "kib" => 10,
        "m" | "mb" | "mib" => 20,
        "g" | "gb" | "gib" => 30,
        "t" | "tb" | "tib" => 40,
        _ => return Err(error()),
    };
    let number: u64 = number.parse().map_err(|_| error())?;
    number.checked_mul(1 << shift).ok_or_else(error)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

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

    #[test]
    fn durations() {
        let read = |text| parse_duration(text).ok();
        assert_eq!(read("500ms"), Some(Duration::from_millis(500)));
        assert_eq!(read("30s"), Some(Duration::from_secs(30)));
        assert_eq!(read("1m30s"), Some(Duration::from_secs(90)));
        assert_eq!(read("0s"), Some(Duration::ZERO));
        for wrong in [
            "",
            "s",
            "30",
            "-1s",
            "1.5s",
            "1 s",
            "1d",
            "99999999999999999999h",
            "1s x",
        ] {
            assert_eq!(read(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn sizes() {
        let read = |text| parse_size(text).ok();
        assert_eq!(read("0"), Some(0));
        assert_eq!(read("4096"), Some(4096));
        assert_eq!(read("64M"), Some(64 << 20));
        assert_eq!(read("1g"), Some(1 << 30));
        assert_eq!(read("2KiB"), Some(2048));
        for wrong in ["", "G", "-1", "1.5G", "1X", "99999999999T"] {
            assert_eq!(read(wrong), None, "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in "\\PC*") {
            let _ = (parse_duration(&text), parse_size(&text));
        }

        #[test]
        fn milliseconds_are_read_back(milliseconds in 0_u64..u64::MAX) {
            prop_assert_eq!(
                parse_duration(&format!("{milliseconds}ms")),
                Ok(Duration::from_millis(milliseconds))
            );
        }
    }
}
