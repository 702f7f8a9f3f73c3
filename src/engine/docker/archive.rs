//! Images in a file: for machines that reach no registry.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bollard::query_parameters::ImportImageOptions;
use futures_util::StreamExt;
use tokio::fs::File;
use tokio::io::AsyncWriteExt;
use tokio::time::timeout;
use tokio_util::io::ReaderStream;

use crate::engine::News;
use crate::engine::docker::connection::Connection;
use crate::engine::docker::error::{DockerError, with_causes};
use crate::error::{Diagnose, Failure, Result};
use crate::events::{News as Progress, StepNews};
use crate::exit_code::ExitCode;
use crate::output_file::OutputFile;
use crate::stack::ImageRef;

/// How long the daemon may take for the next piece of an archive: it collects all layers before it sends the first.
const PIECE_LIMIT: Duration = Duration::from_secs(5 * 60);

/// How long reading a whole archive may take.
const LOAD_LIMIT: Duration = Duration::from_secs(30 * 60);

/// An archive cannot be written or read.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    /// The file.
    #[error("failed to {action} `{}`: {source}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The daemon's part.
    #[error("failed to {action} `{}`: {reason}", path.display())]
    Daemon {
        /// What was tried.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// What the daemon said.
        reason: String,
    },
}

impl Diagnose for ArchiveError {
    fn exit_code(&self) -> ExitCode {
        ExitCode::Pull
    }
}

impl Connection {
    /// Writes images into a file, whole or not at all. Returns its size.
    ///
    /// # Errors
    /// When the file cannot be written, or the daemon stops in the middle.
    pub async fn save_images(&self, images: &[ImageRef], path: &Path, news: &News) -> Result<u64> {
        let failed = |source| io_error("write", path, source);
        let file = OutputFile::at(path).map_err(failed)?;
        let saved = self.write_images(images, file.writing(), news).await;
        file.finish(saved, |source| failed(source).into())
    }

    async fn write_images(&self, images: &[ImageRef], path: &Path, news: &News) -> Result<u64> {
        let failed = |source| io_error("write", path, source);
        let mut file = File::create(path).await.map_err(failed)?;
        let names: Vec<&str> = images.iter().map(ImageRef::as_str).collect();
        let mut pieces = Box::pin(self.docker.export_images(&names));
        let mut size: u64 = 0;
        loop {
            let piece = match timeout(PIECE_LIMIT, pieces.next()).await {
                Ok(None) => break,
                Ok(Some(piece)) => piece.map_err(|error| self.archive_error("write", path, &error))?,
                Err(_) => return Err(silent("write", path, PIECE_LIMIT)),
            };
            file.write_all(&piece).await.map_err(failed)?;
            size += piece.len() as u64;
            news(StepNews::Whole(Progress::Written { bytes: size }));
        }
        match file.sync_all().await {
            // A pipe has no disk.
            Err(error) if error.kind() == io::ErrorKind::InvalidInput => {}
            settled => settled.map_err(failed)?,
        }
        Ok(size)
    }

    /// Reads images from a file. Returns their names.
    ///
    /// # Errors
    /// When the file cannot be read, or the daemon finds no images in it.
    pub async fn load_images(&self, path: &Path) -> Result<Vec<String>> {
        let file = File::open(path)
            .await
            .map_err(|source| io_error("read", path, source))?;
        let options = ImportImageOptions {
            quiet: true,
            ..ImportImageOptions::default()
        };
        let answers = self
            .docker
            .import_image_stream(options, ReaderStream::new(file), None);
        let collect = async {
            let mut answers = Box::pin(answers);
            let mut names = Vec::new();
            while let Some(answer) = answers.next().await {
                let answer = answer.map_err(|error| self.archive_error("load", path, &error))?;
                let lines = answer.stream.unwrap_or_default();
                names.extend(lines.lines().flat_map(loaded));
            }
            Ok(names)
        };
        match timeout(LOAD_LIMIT, collect).await {
            Ok(names) => names,
            Err(_) => Err(silent("load", path, LOAD_LIMIT)),
        }
    }

    fn archive_error(&self, action: &'static str, path: &Path, error: &bollard::errors::Error) -> Failure {
        use bollard::errors::Error::{DockerResponseServerError, DockerStreamError};
        let reason = match error {
            DockerStreamError { error } => error.trim().to_owned(),
            DockerResponseServerError { message, .. } => message.trim().to_owned(),
            other => match self.connection_error(other) {
                Some(error) => return error.into(),
                None => with_causes(other),
            },
        };
        ArchiveError::Daemon {
            action,
            path: path.to_owned(),
            reason,
        }
        .into()
    }
}

/// The images of a line: `Loaded image: NAME`, or `Loaded image ID: ID` where it has no name; all in one line, with
/// commas, from podman.
fn loaded(line: &str) -> Vec<String> {
    let names = line
        .strip_prefix("Loaded image")
        .and_then(|rest| Some(rest.split_once(": ")?.1));
    let names = names.into_iter().flat_map(|names| names.split(','));
    names.map(|name| name.trim().to_owned()).collect()
}

fn silent(action: &'static str, path: &Path, limit: Duration) -> Failure {
    DockerError::TooSlow {
        action,
        object: format!("`{}`", path.display()),
        limit,
    }
    .into()
}

fn io_error(action: &'static str, path: &Path, source: io::Error) -> ArchiveError {
    ArchiveError::Io {
        action,
        path: path.to_owned(),
        source,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_loaded_is_read_as_each_daemon_writes_it() {
        assert_eq!(loaded("Loaded image: a/b:1"), ["a/b:1"]);
        assert_eq!(loaded("Loaded image ID: sha256:12"), ["sha256:12"]);
        assert_eq!(
            loaded("Loaded image: docker.io/a/b:1,docker.io/c:2"),
            ["docker.io/a/b:1", "docker.io/c:2"]
        );
        assert!(loaded("open archive").is_empty());
    }
}
