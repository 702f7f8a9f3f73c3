//! Finds the programs that the native engine runs: our own binary, the extension, the built-in agent or a
//! real osqueryd. They are found from where our own binary is, never from the working folder.

use std::env;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use crate::engine::OsquerydChoice;
use crate::engine::native::host_folder;
use crate::engine::native::isolation::Isolation;
use crate::error::Diagnose;
use crate::exit_code::ExitCode;
use crate::host_config;

/// The file name of the built-in agent.
const AGENT_NAMES: [&str; 1] = ["osqdemo-agent"];

/// The file name of the extension as cargo builds it, and as osqueryd wants it.
const EXTENSION_NAMES: [&str; 2] = ["confluent-ext", "confluent.ext"];

/// The programs of a native stack.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Programs {
    /// Our own binary.
    pub osqdemo: PathBuf,
    /// What a host runs.
    pub osqueryd: Osqueryd,
    /// The extension that osqueryd loads.
    pub extension: PathBuf,
}

/// What a host runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Osqueryd {
    /// A real one.
    Real(PathBuf),
    /// The built-in agent.
    Builtin(PathBuf),
}

impl Osqueryd {
    /// The program.
    pub fn path(&self) -> &Path {
        match self {
            Self::Real(path) | Self::Builtin(path) => path,
        }
    }
}

/// A program is missing.
#[derive(Debug, thiserror::Error)]
pub enum ProgramError {
    /// Our own binary cannot be found, which the system should always tell.
    #[error("failed to find the path of `osqdemo` itself: {source}")]
    OwnPath {
        /// What the system said.
        source: std::io::Error,
    },
    /// A part of the installation is not where it should be.
    #[error("the {what} was not found; looked for {}", list(looked_for))]
    Missing {
        /// What it is.
        what: &'static str,
        /// Where it could have been.
        looked_for: Vec<PathBuf>,
    },
    /// There is no osqueryd, and the user wants one.
    #[error("there is no `osqueryd` on the PATH")]
    NotOnPath,
    /// What `--osqueryd` names is not a program.
    #[error("`{}` is not a program that can be run", path.display())]
    NotAProgram {
        /// The path.
        path: PathBuf,
    },
}

impl Diagnose for ProgramError {
    fn exit_code(&self) -> ExitCode {
        match self {
            Self::NotAProgram { .. } => ExitCode::Usage,
            Self::Missing { .. } | Self::NotOnPath => ExitCode::Preflight,
            Self::OwnPath { .. } => ExitCode::Internal,
        }
    }

    fn hints(&self) -> Vec<String> {
        match self {
            Self::Missing { .. } => {
                vec!["build or install all of it: `make build`, or `make install PREFIX=…`".to_owned()]
            }
            Self::NotAProgram { .. } => {
                vec!["`--osqueryd` takes `auto`, `osquery`, `builtin`, or the path of an osqueryd".to_owned()]
            }
            Self::NotOnPath => vec![
                "install osquery (https://osquery.io/downloads), or give the path of an osqueryd".to_owned(),
                "`--osqueryd builtin` runs the built-in agent instead".to_owned(),
            ],
            Self::OwnPath { .. } => Vec::new(),
        }
    }
}

fn list(paths: &[PathBuf]) -> String {
    let paths: Vec<String> = paths.iter().map(|path| format!("`{}`", path.display())).collect();
    paths.join(", ")
}

impl Programs {
    /// Finds everything.
    ///
    /// # Errors
    /// When something is missing.
    pub fn find(choice: &OsquerydChoice) -> Result<Self, ProgramError> {
        let osqdemo = own_path()?;
        Ok(Self {
            osqueryd: find_osqueryd(choice, &osqdemo)?,
            extension: beside("extension", &osqdemo, &EXTENSION_NAMES)?,
            osqdemo,
        })
    }

    /// What tells the programs of a service from others.
    pub fn identity_of_service(&self) -> String {
        identity(&self.osqdemo)
    }

    /// What tells the programs of a host from others.
    pub fn identity_of_host(&self, isolation: &Isolation) -> String {
        let programs = [&self.osqdemo, self.osqueryd.path(), &self.extension];
        let kind = if *isolation == Isolation::Namespaces {
            "namespaces"
        } else {
            "marked"
        };
        let mut parts: Vec<String> = programs.map(identity).into();
        parts.extend([kind, host_config::DEFAULT, host_folder::FLAGS].map(str::to_owned));
        parts.join("\n")
    }
}

/// The path of our own binary.
///
/// # Errors
/// When the system does not tell.
pub fn own_path() -> Result<PathBuf, ProgramError> {
    let path = env::current_exe().map_err(|source| ProgramError::OwnPath { source })?;
    // A binary that was replaced while it runs is shown with this suffix: the new one has the old path.
    let text = path.to_string_lossy();
    Ok(text.strip_suffix(" (deleted)").map(PathBuf::from).unwrap_or(path))
}

/// A real osqueryd on the PATH.
pub fn osqueryd_on_path() -> Option<PathBuf> {
    env::split_paths(&env::var_os("PATH")?)
        .map(|folder| folder.join("osqueryd"))
        .find(|path| is_program(path))
}

/// Whether what `auto` turned out to be once can still be run.
pub fn is_still_there(found: &str) -> bool {
    match OsquerydChoice::parse(found) {
        OsquerydChoice::Path(path) => is_program(&path),
        _ => true,
    }
}

/// What a host runs for this choice.
///
/// # Errors
/// When it is missing.
pub fn find_osqueryd(choice: &OsquerydChoice, osqdemo: &Path) -> Result<Osqueryd, ProgramError> {
    let builtin = || beside("built-in agent", osqdemo, &AGENT_NAMES).map(Osqueryd::Builtin);
    match choice {
        OsquerydChoice::Auto => osqueryd_on_path().map_or_else(builtin, |path| Ok(Osqueryd::Real(path))),
        OsquerydChoice::Osquery => osqueryd_on_path()
            .map(Osqueryd::Real)
            .ok_or(ProgramError::NotOnPath),
        OsquerydChoice::Builtin => builtin(),
        OsquerydChoice::Path(path) if is_program(path) => Ok(Osqueryd::Real(path.clone())),
        OsquerydChoice::Path(path) => Err(ProgramError::NotAProgram { path: path.clone() }),
    }
}

/// The extension beside our own binary, or in the `libexec` folder of the installation.
///
/// # Errors
/// When it is missing.
pub fn find_extension(osqdemo: &Path) -> Result<PathBuf, ProgramError> {
    beside("extension", osqdemo, &EXTENSION_NAMES)
}

fn beside(what: &'static str, osqdemo: &Path, names: &[&str]) -> Result<PathBuf, ProgramError> {
    let folder = osqdemo.parent().unwrap_or(Path::new("/"));
    let libexec = folder
        .parent()
        .map(|prefix| prefix.join("libexec").join("osqdemo"));
    let looked_for: Vec<PathBuf> = [Some(folder.to_owned()), libexec]
        .into_iter()
        .flatten()
        .flat_map(|folder| names.iter().map(move |name| folder.join(name)))
        .collect();
    match looked_for.iter().find(|path| is_program(path)) {
        Some(path) => Ok(path.clone()),
        None => Err(ProgramError::Missing { what, looked_for }),
    }
}

fn is_program(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|metadata| metadata.is_file() && metadata.permissions().mode() & 0o111 != 0)
}

/// A file by path, size and time of change: good enough to tell one build from another, and cheap.
fn identity(path: impl AsRef<Path>) -> String {
    let path = path.as_ref();
    let metadata = fs::metadata(path).map_or((0, 0, 0), |metadata| {
        (metadata.size(), metadata.mtime(), metadata.mtime_nsec())
    });
    format!("{} {metadata:?}", path.display())
}
