//! What the containers wrote, and what is kept of it when they are removed.

use std::fs;
use std::io::Write;

use bollard::models::ContainerInspectResponse;
use bollard::query_parameters::{LogsOptions, LogsOptionsBuilder};
use futures_util::StreamExt;
use tokio::sync::mpsc;

use crate::engine::Follow;
use crate::engine::docker::connection::Connection;
use crate::engine::docker::error::DockerError;
use crate::engine::docker::labels::{self, Owner};
use crate::engine::docker::{containers, observe};
use crate::stack::ServiceName;
use crate::state::{ProjectFolder, StateError, private_folder};

/// How many of the last lines a report of a failure looks at.
const TAIL: &str = "300";

/// How many of the last lines are kept of a container that is removed.
const KEPT: &str = "5000";

fn options(tail: &str) -> LogsOptionsBuilder {
    LogsOptionsBuilder::default().stdout(true).stderr(true).tail(tail)
}

/// Sends what a container wrote; nothing when there is none.
pub(super) async fn send(
    connection: &Connection,
    container: &str,
    follow: Follow,
    pieces: &mpsc::Sender<Vec<u8>>,
) -> Result<(), DockerError> {
    let options = options("all").follow(follow == Follow::Yes).build();
    let mut stream = Box::pin(connection.docker.logs(container, Some(options)));
    loop {
        let piece = tokio::select! {
            piece = stream.next() => piece,
            () = pieces.closed() => None,
        };
        match piece {
            None => return Ok(()),
            Some(Ok(piece)) => {
                if pieces.send(piece.into_bytes().to_vec()).await.is_err() {
                    return Ok(());
                }
            }
            Some(Err(error)) => {
                let error = DockerError::api("read the log of", container, &error);
                return if error.is_done_already() {
                    Ok(())
                } else {
                    Err(error)
                };
            }
        }
    }
}

async fn collect(
    connection: &Connection,
    container: &str,
    options: LogsOptions,
) -> Result<Vec<u8>, DockerError> {
    let request = async {
        let mut stream = Box::pin(connection.docker.logs(container, Some(options)));
        let mut text = Vec::new();
        while let Some(piece) = stream.next().await {
            text.extend_from_slice(&piece?.into_bytes());
        }
        Ok(text)
    };
    connection.answer("read the log of", container, request).await
}

/// The end of what a container wrote since it was started last.
pub(super) async fn tail(
    connection: &Connection,
    owner: &Owner,
    service: &ServiceName,
) -> Result<String, DockerError> {
    let container = labels::container_name(owner, service);
    let Some(inspection) = observe::inspect(connection, &container).await? else {
        return Ok(String::new());
    };
    let started_at = observe::service(&inspection, owner, None).map_or(0, |(_, seen)| seen.started_at);
    let since = i32::try_from(started_at / 1000).unwrap_or(0);
    let text = collect(connection, &container, options(TAIL).since(since).build()).await?;
    Ok(String::from_utf8_lossy(&text).into_owned())
}

/// Keeps the end of a container's log in the project's folder, where `logs` finds it once the container is gone.
/// A container that nothing can be read of is no reason not to remove it.
pub(super) async fn keep(
    connection: &Connection,
    folder: &ProjectFolder,
    inspection: &ContainerInspectResponse,
) -> Result<(), StateError> {
    let Some(service) = observe::label(inspection, labels::SERVICE) else {
        return Ok(());
    };
    let container = containers::shown_name(inspection);
    let Ok(text) = collect(connection, container, options(KEPT).build()).await else {
        return Ok(());
    };
    if text.is_empty() || !folder.exists() {
        return Ok(());
    }
    let path = folder.log_file(&ServiceName::new(service));
    if let Some(folder) = path.parent() {
        private_folder(folder)?;
    }
    fs::File::create(&path)
        .and_then(|mut file| file.write_all(&text))
        .map_err(|error| StateError::io("write", &path, error))
}
