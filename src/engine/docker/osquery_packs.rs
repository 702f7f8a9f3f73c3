//! The packs that come with the osquery in the hosts' image.

use std::collections::BTreeMap;

use bollard::models::ContainerCreateBody;
use bollard::query_parameters::{CreateContainerOptions, RemoveContainerOptionsBuilder};

use crate::engine::docker::connection::Connection;
use crate::engine::docker::error::DockerError;
use crate::engine::docker::image;

/// Where osquery's package has them.
const FOLDER: &str = "/opt/osquery/share/osquery/packs";

impl Connection {
    /// The packs of the osquery in the hosts' image, by the name of their file; none where that image is not made yet.
    ///
    /// # Errors
    /// When the daemon does not answer.
    pub async fn osquery_packs(&self) -> Result<BTreeMap<String, Vec<u8>>, DockerError> {
        let image = image::with_osquery();
        if !self.has_image(&image).await? {
            return Ok(BTreeMap::new());
        }
        // Files can be had of a container alone; this one never runs.
        let body = ContainerCreateBody {
            image: Some(image.to_string()),
            ..Default::default()
        };
        let object = format!("a container of image {image}");
        let request = self.docker.create_container(None::<CreateContainerOptions>, body);
        let container = self.answer("create", &object, request).await?.id;
        let files = self.folder_of(&container, FOLDER).await;
        let options = RemoveContainerOptionsBuilder::default().force(true).build();
        let request = self.docker.remove_container(&container, Some(options));
        self.answer("remove", &object, request).await?;
        match files {
            Ok(files) => Ok(files),
            // A package without packs.
            Err(error) if error.is_not_found() => Ok(BTreeMap::new()),
            Err(error) => Err(error),
        }
    }
}
