//! Builds an image through the API.

use std::collections::{HashMap, VecDeque};

use bollard::models::BuildInfo;
use bollard::query_parameters::BuildImageOptionsBuilder;
use futures_util::StreamExt;

use crate::engine::News;
use crate::engine::docker::connection::Connection;
use crate::engine::docker::error::{DockerError, with_causes};
use crate::engine::docker::image::context::BuildContext;
use crate::engine::docker::image::{PackageError, remove_replaced};
use crate::engine::docker::{containers, labels};
use crate::error::Result;
use crate::events::{News as Progress, StepNews};
use crate::stack::ImageRef;

/// How many of the last lines of a build are shown when it fails.
const LAST_LINES: usize = 15;

/// What the lines of a build begin with that are worth telling: Docker's, podman's, cargo's, those of our own script.
const NEWS: [&str; 4] = ["Step ", "STEP ", "Compiling ", "fetch-osquery: "];

/// The longest step that is told, in characters.
const LONGEST_STEP: usize = 80;

/// Builds an image and tells the steps. The image that had its name before is removed, unless a container still
/// runs it. Dropping the future ends the build.
///
/// # Errors
/// [`PackageError`] when osquery's package did not come, else [`DockerError::Build`].
pub(in crate::engine::docker) async fn build(
    connection: &Connection,
    image: &ImageRef,
    context: &BuildContext,
    content: &str,
    news: &News,
) -> Result<()> {
    let archive = context.archive()?;
    let arguments: HashMap<String, String> = containers::proxy_variables()
        .chain(context.arguments.clone())
        .collect();
    let labels = HashMap::from([(labels::CONTENT.to_owned(), content.to_owned())]);
    let options = BuildImageOptionsBuilder::default()
        .t(image.as_str())
        .buildargs(&arguments)
        .labels(&labels)
        .rm(true)
        .forcerm(true)
        .build();
    let body = bollard::body_full(archive.into());
    let before = connection.docker.inspect_image(image.as_str()).await;
    let before = before.ok().and_then(|image| image.id);
    let mut stream = Box::pin(connection.docker.build_image(options, None, Some(body)));
    let mut last: VecDeque<String> = VecDeque::new();
    let mut package = None;
    while let Some(item) = stream.next().await {
        let info = match (item, package.take()) {
            (Ok(info), told) => {
                package = told;
                info
            }
            (Err(_), Some(told)) => return Err(PackageError::into(told)),
            (Err(error), None) => {
                return Err(DockerError::Build {
                    image: image.clone(),
                    reason: reason(&error),
                    log: last.into(),
                }
                .into());
            }
        };
        let BuildInfo { stream, status, .. } = info;
        for line in [stream, status].into_iter().flatten() {
            for line in line.lines().map(plain).filter(|line| !line.trim().is_empty()) {
                package = PackageError::of_line(line).or(package);
                if NEWS.iter().any(|start| line.trim_start().starts_with(start)) {
                    let line = shortened(line.trim_start());
                    news(StepNews::Whole(Progress::BuilderLine { line }));
                }
                if last.len() == LAST_LINES {
                    last.pop_front();
                }
                last.push_back(line.to_owned());
            }
        }
    }
    if let Some(before) = before {
        remove_replaced(connection, &before).await;
    }
    Ok(())
}

/// A line without the colours that the daemon gives to what goes to standard error.
fn plain(line: &str) -> &str {
    line.trim_start_matches("\u{1b}[0m")
        .trim_start_matches("\u{1b}[91m")
        .trim_end_matches("\u{1b}[0m")
        .trim_end()
}

fn shortened(line: &str) -> String {
    if line.chars().count() <= LONGEST_STEP {
        return line.to_owned();
    }
    line.chars().take(LONGEST_STEP).chain(['…']).collect()
}

fn reason(error: &bollard::errors::Error) -> String {
    match error {
        bollard::errors::Error::DockerStreamError { error } => error.trim().to_owned(),
        bollard::errors::Error::DockerResponseServerError { message, .. } => message.trim().to_owned(),
        other => with_causes(other),
    }
}
