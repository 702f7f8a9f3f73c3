//! What can be wrong with what a project keeps on disk, and the way out of each.

use std::io;
use std::path::{Path, PathBuf};

use crate::error::Diagnose;
use crate::exit_code::ExitCode;
use crate::stack::project::ProjectName;
use crate::state::User;

/// The state cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// A file or folder of the state is out of reach.
    #[error("failed to {action} `{}`: {source}", path.display())]
    Io {
        /// What was tried, such as `read`.
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A file of the state is not what it should be.
    #[error("`{}` is damaged: {source}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What the parser said.
        source: serde_json::Error,
    },
    /// Something else stands where a file of the state must be.
    #[error("`{}` is damaged: it is not a file", path.display())]
    NotAFile {
        /// The place.
        path: PathBuf,
    },
    /// A file of the state is of a form that only a later version knows. It stays as it is.
    #[error(
        "`{}` was written by a newer osqdemo: it has format {format}, and this one knows up to {known}",
        path.display()
    )]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its form.
        format: u32,
        /// The newest form that this version knows.
        known: u32,
    },
    /// Another command works on the project.
    #[error(
        "another `osqdemo {verb}` is at work on project `{project}` (process {pid}{})",
        if *is_stopped { ", which was stopped" } else { "" }
    )]
    Busy {
        /// The project.
        project: ProjectName,
        /// The verb of the other command.
        verb: String,
        /// Its process.
        pid: u32,
        /// Whether that was stopped, so that it never comes to an end.
        is_stopped: bool,
    },
    /// A folder with a project's name holds something else.
    #[error("`{}` is not a project of osqdemo: it holds other files", path.display())]
    NotAProject {
        /// The folder.
        path: PathBuf,
    },
    /// A folder is another user's: what lies in it is neither believed nor changed.
    #[error("`{}` belongs to {owner}, and this is {user}", path.display())]
    Foreign {
        /// The folder.
        path: PathBuf,
        /// Whose it is.
        owner: User,
        /// Who runs this.
        user: User,
    },
    /// Others can write into a folder whose programs and settings would be followed.
    #[error("other users can write into `{}`", path.display())]
    OpenToOthers {
        /// The folder.
        path: PathBuf,
    },
    /// Something else stands where a folder of ours must be, such as a symbolic link.
    #[error("`{}` is {found}, not a folder", path.display())]
    NotAFolder {
        /// The place.
        path: PathBuf,
        /// What it is.
        found: &'static str,
    },
}

impl StateError {
    /// An I/O error on `path`.
    pub fn io(action: &'static str, path: &Path, source: io::Error) -> Self {
        Self::Io {
            action,
            path: path.to_owned(),
            source,
        }
    }
}

impl Diagnose for StateError {
    fn exit_code(&self) -> ExitCode {
        match self {
            Self::Busy { .. }
            | Self::Io { .. }
            | Self::NotAProject { .. }
            | Self::Foreign { .. }
            | Self::OpenToOthers { .. }
            | Self::NotAFolder { .. }
            | Self::Damaged { .. }
            | Self::NotAFile { .. }
            | Self::Newer { .. } => ExitCode::Preflight,
        }
    }

    fn hints(&self) -> Vec<String> {
        match self {
            Self::Busy {
                pid, is_stopped: true, ..
            } => vec![format!(
                "`kill -CONT {pid}` lets it go on, `kill -KILL {pid}` ends it; `osqdemo down` ends it too"
            )],
            Self::Busy { pid, verb, .. } => {
                let mut hints = vec![format!("wait until it is done, or end it with `kill {pid}`")];
                if verb == "up" {
                    hints.push(
                        "what it was asked for is in force then; another `osqdemo up` changes what its own options name"
                            .to_owned(),
                    );
                }
                hints
            }
            Self::Io { source, .. } if source.kind() == io::ErrorKind::StorageFull => {
                vec!["free some space, or set `OSQDEMO_HOME` to a folder on another disk".to_owned()]
            }
            Self::Io { source, .. } if source.kind() == io::ErrorKind::PermissionDenied => {
                vec!["set `OSQDEMO_HOME` to a folder that you can write to".to_owned()]
            }
            Self::Io { source, .. } if source.kind() == io::ErrorKind::ReadOnlyFilesystem => {
                vec!["set `OSQDEMO_HOME` to a folder on a disk that can be written to".to_owned()]
            }
            Self::Damaged { .. } | Self::NotAFile { .. } => vec![
                "`osqdemo down` stops what runs; `osqdemo down --volumes` removes the project, whatever the file says"
                    .to_owned(),
            ],
            Self::Newer { .. } => vec![
                "use the osqdemo that wrote it, or remove the project with `osqdemo down --volumes`"
                    .to_owned(),
            ],
            Self::NotAProject { .. } => {
                vec!["choose another `--project`, or another `OSQDEMO_HOME`".to_owned()]
            }
            Self::Foreign { owner, .. } => vec![format!(
                "run this as {owner}, without `sudo` or with it, as before; or set `OSQDEMO_HOME` to a folder of your own"
            )],
            Self::OpenToOthers { path } => vec![format!(
                "look at what is in it, then `chmod go-w {}`; or set `OSQDEMO_HOME` to a folder of your own",
                path.display()
            )],
            Self::NotAFolder { path, .. } => vec![format!("look at it, and remove it with `rm {}`", path.display())],
            Self::Io { .. } => Vec::new(),
        }
    }
}
