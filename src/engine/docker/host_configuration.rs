//! The configuration of a host, out of its container: also of one that has ended.

use std::collections::BTreeMap;

use bollard::query_parameters::DownloadFromContainerOptionsBuilder;
use futures_util::StreamExt;

use crate::engine::docker::connection::Connection;
use crate::engine::docker::error::DockerError;
use crate::engine::docker::labels::{self, Owner};
use crate::engine::docker::observe;
use crate::stack::ServiceName;
use crate::state::ProjectFolder;
use crate::tar;

/// Where hosts have their configuration.
const FOLDER: &str = "/etc/osquery";

/// How much of it is read, in bytes. Ours is far smaller.
const LARGEST_ARCHIVE: usize = 4 << 20;

impl Connection {
    /// The files of a host's configuration, by name; nothing when the host has no container.
    ///
    /// # Errors
    /// When the daemon does not answer, or the container has no such folder.
    pub async fn host_configuration(
        &self,
        folder: &ProjectFolder,
        host: &ServiceName,
    ) -> Result<Option<BTreeMap<String, String>>, DockerError> {
        let owner = Owner::new(folder);
        let container = labels::container_name(&owner, host);
        let inspection = observe::inspect(self, &container).await?;
        if inspection.is_none_or(|inspection| observe::service(&inspection, &owner, None).is_none()) {
            return Ok(None);
        }
        let files = self.folder_of(&container, FOLDER).await?;
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        Ok(Some(
            files
                .into_iter()
                .map(|(name, bytes)| (name, text(bytes)))
                .collect(),
        ))
    }

    /// The files of a folder in a container, by their path in it; as many as fit into what is read.
    pub(super) async fn folder_of(
        &self,
        container: &str,
        folder: &str,
    ) -> Result<BTreeMap<String, Vec<u8>>, DockerError> {
        let options = DownloadFromContainerOptionsBuilder::default()
            .path(folder)
            .build();
        let archive = async {
            let mut pieces = Box::pin(self.docker.download_from_container(container, Some(options)));
            let mut archive = Vec::new();
            while let Some(piece) = pieces.next().await {
                archive.extend_from_slice(&piece?);
                if archive.len() > LARGEST_ARCHIVE {
                    break;
                }
            }
            Ok(archive)
        };
        let object = format!("`{folder}` of container {container}");
        let archive = self.answer("read", &object, archive).await?;
        let files = tar::files(&archive).into_iter().map(|(name, bytes)| {
            // The names begin with the folder's own.
            let name = name.split_once('/').map_or(name.as_str(), |(_, name)| name);
            (name.to_owned(), bytes)
        });
        Ok(files.collect())
    }
}
