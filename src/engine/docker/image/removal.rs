//! Takes images of ours away: those that lost their name to newer ones, and all of them when the user asks.

use std::collections::{HashMap, HashSet};

use bollard::query_parameters::{ListContainersOptionsBuilder, ListImagesOptionsBuilder, RemoveImageOptions};

use crate::engine::docker::connection::Connection;
use crate::engine::docker::error::DockerError;
use crate::engine::docker::image;
use crate::engine::docker::labels;

/// What became of the images that osqdemo made.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RemovedImages {
    /// Those that are gone.
    pub removed: Vec<String>,
    /// Those that a container still needs.
    pub kept: Vec<String>,
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
    // The daemon refuses while something still needs it, and then nothing is lost.
    let _ = remove(connection, id).await;
}

impl Connection {
    /// Removes the images that osqdemo made, of the tag in force. What it pulled is not its own and stays.
    ///
    /// # Errors
    /// When the daemon does not answer, or refuses for another reason than that a container needs the image.
    pub async fn remove_made_images(&self) -> Result<RemovedImages, DockerError> {
        let filters = HashMap::from([("label".to_owned(), vec![labels::CONTENT.to_owned()])]);
        let options = ListImagesOptionsBuilder::default().filters(&filters).build();
        let request = self.docker.list_images(Some(options));
        let images = self.answer("list", "the images", request).await?;
        let suffix = format!(":{}", image::tag());
        let names = images.into_iter().flat_map(|image| image.repo_tags);
        // The daemon refuses to remove an image that is needed, but not one of its names while it has another.
        let needed = self.images_of_containers().await?;
        let mut outcome = RemovedImages::default();
        for name in names.filter(|name| name.ends_with(&suffix)) {
            if needed.contains(&name) {
                outcome.kept.push(name);
                continue;
            }
            match remove(self, &name).await {
                Ok(()) => outcome.removed.push(name),
                Err(error) if error.is_not_found() => {}
                Err(error) if error.is_done_already() => outcome.kept.push(name),
                Err(error) => return Err(error),
            }
        }
        outcome.removed.sort();
        outcome.kept.sort();
        Ok(outcome)
    }

    /// The names of the images of all containers there are, whoever made them.
    async fn images_of_containers(&self) -> Result<HashSet<String>, DockerError> {
        let options = ListContainersOptionsBuilder::default().all(true).build();
        let request = self.docker.list_containers(Some(options));
        let containers = self.answer("list", "the containers", request).await?;
        Ok(containers
            .into_iter()
            .filter_map(|container| container.image)
            .collect())
    }
}

async fn remove(connection: &Connection, name: &str) -> Result<(), DockerError> {
    let request = connection
        .docker
        .remove_image(name, None::<RemoveImageOptions>, None);
    let object = format!("image {name}");
    connection.answer("remove", &object, request).await.map(drop)
}
