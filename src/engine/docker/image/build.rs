//! Builds an image through the API.

use std::collections::{HashMap, VecDeque};

use bollard::models::BuildInfo;
use bollard::query_parameters::{BuildImageOptionsBuilder, RemoveImageOptions};
use futures_util::StreamExt;

use crate::engine::News;
use crate::engine::docker::connection::Connection;
use crate::engine::docker::error::{DockerError, with_causes};
use crate::engine::docker::image::context::BuildContext;
use crate::engine::docker::{containers, labels};
use crate::error::Result;
use crate::events::StepNews;
use crate::stack::ImageRef;

/// How many of the last lines of a build are shown when it fails.
const LAST_LINES: usize = 15;

/// The longest step that is told, in characters.
const LONGEST_STEP: usize = 80;

/// Builds an image and tells the steps. The image that had its name before is removed, unless a container still
/// runs it. Dropping the future ends the build.
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
    while let Some(item) = stream.next().await {
        let info = item.map_err(|error| DockerError::Build {
            image: image.clone(),
            reason: reason(&error),
            log: last.iter().cloned().collect(),
        })?;
        let BuildInfo { stream, status, .. } = info;
        for line in [stream, status].into_iter().flatten() {
            for line in line
                .lines()
                .map(str::trim_end)
                .filter(|line| !line.trim().is_empty())
            {
                // `Step 1/4 : …` of Docker, `STEP 1/4: …` of podman.
                if line
                    .get(..5)
                    .is_some_and(|start| start.eq_ignore_ascii_case("step "))
                {
                    news(StepNews::Whole(shortened(line)));
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

/// Removes an image of ours that lost its name to a newer one. One that a container runs stays until that is gone.
pub(in crate::engine::docker) async fn remove_replaced(connection: &Connection, id: &str) {
    let object = format!("image {id}");
    let request = connection.docker.inspect_image(id);
    let Ok(inspection) = connection.answer("inspect", &object, request).await else {
        return;
    };
    let has_name = inspection.repo_tags.is_some_and(|names| !names.is_empty());
    let labels = inspection
        .config
        .and_then(|config| config.labels)
        .unwrap_or_default();
    if has_name || !labels.contains_key(labels::CONTENT) {
        return;
    }
    let request = connection
        .docker
        .remove_image(id, None::<RemoveImageOptions>, None);
    // The daemon refuses while something still needs it, and then nothing is lost.
    let _ = connection.answer("remove", &object, request).await;
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
