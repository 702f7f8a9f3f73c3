//! What keeps an image from being made before anything is asked of the daemon.

use std::io;
use std::path::PathBuf;

use crate::engine::docker::image::program::{BASE_GLIBC, GlibcVersion};
use crate::error::Diagnose;
use crate::exit_code::ExitCode;

/// An image cannot be made from what there is.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// A program is not one for Linux.
    #[error("`{}` cannot go into an image: {reason}", path.display())]
    NotForLinux {
        /// The program.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// The daemon runs on another machine than osqdemo was built for.
    #[error("the Docker daemon runs on {daemon}, and this osqdemo is built for {own}")]
    OtherArchitecture {
        /// Ours.
        own: &'static str,
        /// The daemon's.
        daemon: String,
    },
    /// A program needs a newer C library than the base image has.
    #[error(
        "`{}` needs glibc {needed}, and the base image `debian:bookworm-slim` has {}",
        path.display(),
        BASE_GLIBC
    )]
    TooNew {
        /// The program.
        path: PathBuf,
        /// What it needs.
        needed: GlibcVersion,
    },
    /// What is to be compiled is not ours.
    #[error("`{}` is not a checkout of osqdemo's repository", path.display())]
    NotACheckout {
        /// The folder.
        path: PathBuf,
    },
    /// A file cannot be read.
    #[error("failed to read `{}`: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// What is given as osquery is not a package.
    #[error("`{}` is not a Debian package of osquery (`.deb`), which is what the Docker engine takes", path.display())]
    NotAPackage {
        /// The file.
        path: PathBuf,
    },
    /// The package is another one than it should be.
    #[error("the checksum of `{}` is {actual}, not {expected}", path.display())]
    WrongChecksum {
        /// The file.
        path: PathBuf,
        /// What it is.
        actual: String,
        /// What it should be.
        expected: String,
    },
    /// What the image is made from cannot be packed.
    #[error("failed to pack what an image is made from: {source}")]
    Pack {
        /// Why not.
        source: io::Error,
    },
    /// Not a checksum.
    #[error("`{text}` is not a SHA-256 checksum of 64 hexadecimal digits")]
    NotAChecksum {
        /// What was given.
        text: String,
    },
}

impl Diagnose for SourceError {
    fn exit_code(&self) -> ExitCode {
        match self {
            Self::NotForLinux { .. }
            | Self::OtherArchitecture { .. }
            | Self::TooNew { .. }
            | Self::Read { .. }
            | Self::Pack { .. }
            | Self::WrongChecksum { .. } => ExitCode::Preflight,
            Self::NotAPackage { .. } | Self::NotAChecksum { .. } | Self::NotACheckout { .. } => {
                ExitCode::Usage
            }
        }
    }

    fn hints(&self) -> Vec<String> {
        match self {
            Self::OtherArchitecture { .. } | Self::TooNew { .. } | Self::NotForLinux { .. } => vec![
                "`--source DIR`, a checkout of osqdemo's repository, compiles the programs for the images inside \
                 Docker"
                    .to_owned(),
                "`--engine native` needs no images".to_owned(),
            ],
            Self::NotACheckout { .. } => {
                vec!["`--source` takes the folder with osqdemo's `Cargo.lock`, or `installed`".to_owned()]
            }
            Self::NotAPackage { .. } => {
                vec!["`--osqueryd` takes `auto`, `osquery`, `builtin`, or the path of a package".to_owned()]
            }
            Self::WrongChecksum { .. } => vec!["fetch the package again from osquery's own site".to_owned()],
            Self::Read { .. } | Self::Pack { .. } | Self::NotAChecksum { .. } => Vec::new(),
        }
    }
}
