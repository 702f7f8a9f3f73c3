//! Images as the daemon has them, and the machine that it runs them on.

use bollard::models::ImageInspect;

use crate::engine::docker::connection::Connection;
use crate::engine::docker::error::DockerError;
use crate::images::LockedImage;

/// An image on the daemon's machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LocalImage {
    /// What the daemon calls it.
    pub id: String,
    /// The digests by which registries know it.
    pub digests: Vec<String>,
    /// What it is for, such as `linux/amd64`.
    pub platform: String,
    /// Its size in bytes.
    pub size: u64,
}

impl LocalImage {
    fn of(inspection: ImageInspect) -> Self {
        let digests = inspection.repo_digests.unwrap_or_default();
        Self {
            id: inspection.id.unwrap_or_default(),
            digests: digests
                .iter()
                .filter_map(|digest| Some(digest.split_once('@')?.1.to_owned()))
                .collect(),
            platform: format!(
                "{}/{}",
                inspection.os.unwrap_or_default(),
                inspection.architecture.unwrap_or_default()
            ),
            size: inspection
                .size
                .and_then(|size| u64::try_from(size).ok())
                .unwrap_or_default(),
        }
    }

    /// Whether it is the locked one.
    pub fn is(&self, locked: &LockedImage) -> bool {
        locked.is(&self.platform, &self.id, self.digests.iter().map(String::as_str))
    }

    /// What to call its content: a digest where it has one, else its id.
    pub fn content(&self) -> &str {
        self.digests.first().map_or(self.id.as_str(), String::as_str)
    }
}

impl Connection {
    /// What the daemon runs containers on, such as `linux/amd64`.
    pub fn platform(&self) -> String {
        format!("linux/{}", self.architecture)
    }

    /// The memory of the daemon's machine, in bytes; none where the daemon does not tell.
    ///
    /// # Errors
    /// When the daemon does not answer.
    pub async fn memory(&self) -> Result<Option<u64>, DockerError> {
        let request = self.docker.info();
        let info = self.answer("ask", "the daemon for its memory", request).await?;
        Ok(info
            .mem_total
            .and_then(|bytes| u64::try_from(bytes).ok())
            .filter(|bytes| *bytes > 0))
    }

    /// An image, where the daemon has it.
    ///
    /// # Errors
    /// When the daemon does not answer.
    pub async fn local_image(&self, image: &str) -> Result<Option<LocalImage>, DockerError> {
        let request = self.docker.inspect_image(image);
        match self.answer("inspect", &format!("image {image}"), request).await {
            Ok(inspection) => Ok(Some(LocalImage::of(inspection))),
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(error),
        }
    }
}
