//! The files that a container is given by its stack file, through the API of the daemon: no folder of this machine has to be
//! one of the daemon's. They lie in volumes, which several services may share.

use bollard::query_parameters::ContainerArchiveInfoOptionsBuilder;

use crate::engine::docker::connection::Connection;
use crate::engine::docker::error::DockerError;
use crate::engine::docker::given::Given;
use crate::engine::docker::labels::{self, Owner};
use crate::plan::{ConfigFileSpec, ServiceSpec};
use crate::stack::{RootFolder, VolumeMount};
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
                let owner = config.user.into();
                user = Some(owner);
                files.append_of(owner, name, config.mode, 0, config.content.as_bytes());
            }
            let Some(user) = user else { continue };
            if spec.confinement.root == RootFolder::Writable {
                given.extend(folder_itself(mount, user));
            }
            let folder = mount.target.clone();
            given.push(Given { folder, files });
        }
    }
    Ok(given)
}

/// The folder of a volume, as its user's, so that more than what was given can be written there. It goes into the folder
/// above: Docker passes over what an archive says of the one that it is unpacked into.
fn folder_itself(mount: &VolumeMount, user: u64) -> Option<Given> {
    let (above, name) = mount.target.trim_end_matches('/').rsplit_once('/')?;
    let mut files = TarArchive::default();
    files.append_folder_of(user, name, FOLDER_MODE);
    let folder = if above.is_empty() { "/" } else { above }.to_owned();
    Some(Given { folder, files })
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
