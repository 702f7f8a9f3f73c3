//! Why a package for other machines cannot be written.

use std::path::PathBuf;

use crate::error::Diagnose;
use crate::exit_code::ExitCode;

/// An error of `osqdemo host-package`.
#[derive(Debug, thiserror::Error)]
pub(super) enum HostPackageError {
    /// Something is there already.
    #[error("`{}` is there already, and is not empty", folder.display())]
    NotEmpty { folder: PathBuf },
    /// A file cannot be written, or one that goes into it cannot be read.
    #[error("failed to write `{}`: {source}", path.display())]
    Write { path: PathBuf, source: std::io::Error },
    /// Nobody finds anything there.
    #[error("`{text}` is not of the form `HOST:PORT` or `HOST:PORT,HOST:PORT`")]
    Address { text: String },
    /// Nobody has said where Kafka is.
    #[error("it is not known where the machines find Kafka")]
    NoAddress,
    /// `dpkg-deb` is there and failed.
    #[error("`dpkg-deb` failed: {reason}")]
    Package { reason: String },
}

impl Diagnose for HostPackageError {
    fn exit_code(&self) -> ExitCode {
        match self {
            Self::NotEmpty { .. } | Self::Write { .. } | Self::Address { .. } | Self::NoAddress => {
                ExitCode::Usage
            }
            Self::Package { .. } => ExitCode::Internal,
        }
    }

    fn hints(&self) -> Vec<String> {
        match self {
            Self::NotEmpty { .. } => vec!["name another folder with `--output DIR`".to_owned()],
            Self::NoAddress => vec![
                "name it with `--advertised HOST:PORT`, or start the project with `osqdemo up`".to_owned(),
            ],
            Self::Address { .. } => vec!["such as `--advertised kafka.example.org:9093`".to_owned()],
            Self::Write { .. } | Self::Package { .. } => Vec::new(),
        }
    }
}
