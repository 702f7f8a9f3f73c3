//! What a registry says of an image without pulling it: the platforms it is published for.

use std::time::Duration;

use crate::engine::docker::connection::Connection;
use crate::engine::docker::registry::{Asked, PullSettings};
use crate::error::Result;
use crate::stack::ImageRef;

impl Connection {
    /// The platforms that an image is published for, such as `linux/amd64`. It is the daemon that asks the registry,
    /// as it does for a pull.
    ///
    /// # Errors
    /// When the registry does not answer within the limit, or has no such image.
    pub async fn published_platforms(
        &self,
        image: &ImageRef,
        settings: &PullSettings,
        limit: Duration,
    ) -> Result<Vec<String>> {
        let Asked {
            asked, credentials, ..
        } = Asked::find(image, settings).await?;
        let name = asked.image();
        let request = self.docker.inspect_registry_image(name.as_str(), credentials);
        let answer = self.answer_within(limit, "ask", "the registry", request).await?;
        let mut platforms: Vec<String> = answer
            .platforms
            .into_iter()
            .filter_map(|platform| Some(format!("{}/{}", platform.os?, platform.architecture?)))
            .collect();
        platforms.sort();
        platforms.dedup();
        Ok(platforms)
    }
}
