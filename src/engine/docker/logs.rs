//! What the containers wrote, and what is kept of it when they are removed.

use std::fs;
use std::io::Write;
use std::time::Duration;

use bollard::models::ContainerInspectResponse;
use bollard::query_parameters::{LogsOptions, LogsOptionsBuilder};
use futures_util::StreamExt;
use tokio::sync::mpsc;
use tokio::time::{MissedTickBehavior, interval};

use crate::engine::docker::connection::Connection;
use crate::engine::docker::error::DockerError;
use crate::engine::docker::labels::{self, Owner};
use crate::engine::docker::{containers, observe};
use crate::engine::{Follow, LogReading, log_file};
use crate::plan::ServiceState;
use crate::stack::ServiceName;
use crate::state::{ProjectFolder, StateError, private_folder};

/// How many of the last lines a report of a failure looks at.
const TAIL: &str = "300";

/// How often to look whether a container that is followed was started again.
const LOOK: Duration = Duration::from_millis(250);

/// How many of the last lines are kept of a container that is removed.
const KEPT: &str = "5000";

/// How much of them is kept, in bytes.
const LARGEST_KEPT: usize = 1 << 20;

fn options(tail: &str) -> LogsOptionsBuilder {
    LogsOptionsBuilder::default().stdout(true).stderr(true).tail(tail)
}

/// Sends what the container of a service wrote; with [`Follow::Yes`] also what it writes after it was started
/// again, or replaced, until nobody listens any more.
pub(super) async fn send(
    connection: &Connection,
    owner: &Owner,
    service: &ServiceName,
    LogReading { follow, last }: LogReading,
    pieces: &mpsc::Sender<Vec<u8>>,
) -> Result<(), DockerError> {
    let container = labels::container_name(owner, service);
    let mut shown_until = 0;
    let mut look = interval(LOOK);
    look.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let started_at = observe::observe_service(connection, owner, service)
            .await?
            .filter(|seen| matches!(seen.state, ServiceState::Running { .. }) || follow == Follow::No)
            .map_or(0, |seen| seen.started_at);
        if started_at > shown_until || follow == Follow::No {
            // All of it at first; later what was written since the new start. The API takes whole seconds, so a
            // line of the same second may come twice, but none is missed.
            let since = if shown_until == 0 { 0 } else { seconds(started_at) };
            let tail = match last {
                Some(last) if shown_until == 0 => last.to_string(),
                _ => "all".to_owned(),
            };
            let options = options(&tail).follow(follow == Follow::Yes).since(since).build();
            shown_until = started_at;
            send_stream(connection, &container, options, pieces).await?;
        }
        if follow == Follow::No {
            return Ok(());
        }
        tokio::select! {
            _ = look.tick() => {}
            () = pieces.closed() => return Ok(()),
        }
    }
}

/// Whole seconds since 1970, as the API takes them.
fn seconds(milliseconds: i64) -> i32 {
    i32::try_from(milliseconds / 1000).unwrap_or(0)
}

async fn send_stream(
    connection: &Connection,
    container: &str,
    options: LogsOptions,
    pieces: &mpsc::Sender<Vec<u8>>,
) -> Result<(), DockerError> {
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
    let options = options(TAIL).since(seconds(started_at)).build();
    let text = collect(connection, &container, options).await?;
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
    let Ok(mut text) = collect(connection, container, options(KEPT).build()).await else {
        return Ok(());
    };
    log_file::cut_to_end(&mut text, LARGEST_KEPT);
    if text.is_empty() || !folder.exists()? {
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
