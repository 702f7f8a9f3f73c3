//! Which osqueryd the hosts are to run, in the user's words. What that means is each engine's: natively a program of
//! this machine, in containers a package that goes into the hosts' image.

use std::fmt;
use std::path::PathBuf;

/// Which osqueryd the hosts are to run.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum OsquerydChoice {
    /// osquery where it can be had, else the built-in agent.
    #[default]
    Auto,
    /// osquery: natively the one on the PATH, in containers its official package.
    Osquery,
    /// The built-in agent.
    Builtin,
    /// This program, or this package.
    Path(PathBuf),
}

impl OsquerydChoice {
    /// Reads `auto`, `osquery`, `builtin` or a path.
    pub fn parse(text: &str) -> Self {
        match text {
            "auto" => Self::Auto,
            "osquery" => Self::Osquery,
            "builtin" => Self::Builtin,
            path => Self::Path(PathBuf::from(path)),
        }
    }

    /// The same in every folder.
    #[must_use]
    pub fn from_anywhere(self) -> Self {
        match self {
            Self::Path(path) => Self::Path(std::path::absolute(&path).unwrap_or(path)),
            word => word,
        }
    }
}

impl fmt::Display for OsquerydChoice {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto => formatter.write_str("auto"),
            Self::Osquery => formatter.write_str("osquery"),
            Self::Builtin => formatter.write_str("builtin"),
            Self::Path(path) => path.display().fmt(formatter),
        }
    }
}
