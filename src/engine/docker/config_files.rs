//! The files that a container is given by its stack file, through the API of the daemon: no folder of this machine has to be
//! one of the daemon's. They lie in volumes, which several services may share.

use bollard::query_parameters::ContainerArchiveInfoOptionsBuilder;

use crate::engine::docker::connection::Connection;
use crate::engine::docker::error::DockerError;
use crate::engine::docker::given::Given;
use crate::engine::docker::labels::{self, Owner};
use crate::plan::{ConfigFileSpec, ServiceSpec};
use crate::tar::TarArchive;

/// The permissions of the folder: services may make files there beside those that they are given.
const FOLDER_MODE: u32 = 0o755;

/// What a container that was made, and does not run, is to be given, folder by folder. Files that have become the services'
/// own stay as they are.
pub(super) async fn to_container(
    connection: &Connection,
    owner: &Owner,
    spec: &ServiceSpec,
) -> Result<Vec<Given>, DockerError> {
    let container = labels::container_name(owner, &spec.name);
    let mut given = Vec::new();
    for spec in &spec.container {
        for mount in &spec.volumes {
            let mut files = TarArchive::default();
            let mut user = None;
            for config in &spec.configs {
                let Some(name) = mount.file_name(&config.target) else {
                    continue;
                };
                if config.becomes_theirs() && is_there(connection, &container, config).await? {
                    continue;
                }
                // First, so that the folder is theirs whatever they are given.
                if user.is_none() {
                    files.append_own_folder_of(config.user.into(), FOLDER_MODE);
                }
                user = Some(config.user);
                files.append_of(
                    config.user.into(),
                    name,
                    config.mode,
                    0,
                    config.content.as_bytes(),
                );
            }
            if user.is_some() {
                let folder = mount.target.clone();
                given.push(Given { folder, files });
            }
        }
    }
    Ok(given)
}

/// Whether a container has that file.
async fn is_there(
    connection: &Connection,
    container: &str,
    config: &ConfigFileSpec,
) -> Result<bool, DockerError> {
    let target = &config.target;
    let options = ContainerArchiveInfoOptionsBuilder::default().path(target).build();
    let request = connection
        .docker
        .get_container_archive_info(container, Some(options));
    let object = format!("`{target}` of container {container}");
    match connection.answer("look for", &object, request).await {
        Ok(_) => Ok(true),
        Err(error) if error.is_not_found() => Ok(false),
        Err(error) => Err(error),
    }
}
