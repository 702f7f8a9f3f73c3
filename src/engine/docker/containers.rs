//! Makes, starts, stops and removes the containers and the volumes of a project: a function for each request to the daemon,
//! none of which decides whether it is to be made.

use std::collections::HashMap;
use std::env;
use std::time::Duration;

use bollard::models::{
    ContainerCreateBody, ContainerInspectResponse, ContainerUpdateBody, HostConfig, Mount, MountType,
    NetworkingConfig, PortBinding, RestartPolicy, RestartPolicyNameEnum, VolumeCreateRequest,
};
use bollard::query_parameters::{
    CreateContainerOptionsBuilder, KillContainerOptionsBuilder, ListVolumesOptionsBuilder,
    RemoveContainerOptionsBuilder, RemoveVolumeOptions, StartContainerOptions, StopContainerOptions,
    UploadToContainerOptionsBuilder,
};
use futures_util::future::{join_all, try_join_all};

use crate::engine::docker::connection::Connection;
use crate::engine::docker::daemon::RestartPolicyFrom;
use crate::engine::docker::error::DockerError;
use crate::engine::docker::given::Given;
use crate::engine::docker::labels::{self, Owner};
use crate::engine::docker::networks::endpoint;
use crate::engine::docker::{image, logs, observe};
use crate::error;
use crate::plan::{ContainerSpec, ServiceSpec};
use crate::stack::{InitProcess, Privileges, RootFolder, ServiceName};
use crate::state::ProjectFolder;

/// What stopping may take beyond a service's grace.
const STOP_MARGIN: Duration = Duration::from_secs(20);

/// How long a container may take to end that says nothing about it.
const USUAL_GRACE: Duration = Duration::from_secs(10);

/// How often a service is started again where the daemon has to be told beforehand: enough for mishaps, and few
/// enough that one that cannot run is soon given up.
const RESTARTS_FROM_CREATION: i64 = 5;

/// The variables of the caller that containers and builds inherit: without them nothing behind a proxy works.
pub const PROXY_VARIABLES: [&str; 6] = [
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "NO_PROXY",
    "http_proxy",
    "https_proxy",
    "no_proxy",
];

/// The proxy variables that are set.
pub(super) fn proxy_variables() -> impl Iterator<Item = (String, String)> {
    PROXY_VARIABLES
        .iter()
        .filter_map(|name| Some(((*name).to_owned(), env::var(name).ok()?)))
}

/// Makes the container of a service, and its volumes.
pub(super) async fn create(
    connection: &Connection,
    owner: &Owner,
    spec: &ServiceSpec,
) -> Result<(), DockerError> {
    let container = spec.container.as_ref().ok_or_else(|| DockerError::NoContainer {
        service: spec.name.clone(),
    })?;
    let name = labels::container_name(owner, &spec.name);
    let object = format!("container {name}");
    create_volumes(connection, owner, container).await?;
    let options = CreateContainerOptionsBuilder::default().name(&name).build();
    let body = definition(connection, owner, spec, container);
    let request = connection.docker.create_container(Some(options), body);
    match connection.answer("create", &object, request).await {
        // Ours were seen before; this one is somebody else's.
        Err(error) if error.is_conflict() => Err(DockerError::Foreign { object }),
        made => made.map(drop),
    }
}

/// Makes the volumes of a container that are not there yet. podman gives those no labels that it makes on the way.
async fn create_volumes(
    connection: &Connection,
    owner: &Owner,
    container: &ContainerSpec,
) -> Result<(), DockerError> {
    try_join_all(container.volumes.iter().map(|mount| async move {
        let name = labels::volume_name(owner, &mount.volume);
        let object = format!("volume {name}");
        let request = connection.docker.create_volume(VolumeCreateRequest {
            name: Some(name),
            labels: Some(labels::of_volume(owner, &mount.volume)),
            ..Default::default()
        });
        connection.answer("create", &object, request).await
    }))
    .await
    .map(drop)
}

/// Starts the container of a service, with these files.
pub(super) async fn start(
    connection: &Connection,
    owner: &Owner,
    service: &ServiceName,
    given: Vec<Given>,
) -> Result<(), DockerError> {
    let name = labels::container_name(owner, service);
    let object = format!("container {name}");
    for Given { folder, files } in given {
        let options = UploadToContainerOptionsBuilder::default().path(&folder).build();
        let archive = files.finish().map_err(|source| DockerError::Pack { source })?;
        let body = bollard::body_full(archive.into());
        let request = connection.docker.upload_to_container(&name, Some(options), body);
        connection.answer("configure", &object, request).await?;
    }
    let request = connection
        .docker
        .start_container(&name, None::<StartContainerOptions>);
    connection.answer("start", &object, request).await
}

/// Lets a paused container go on.
pub(super) async fn unpause(
    connection: &Connection,
    owner: &Owner,
    service: &ServiceName,
) -> Result<(), DockerError> {
    let name = labels::container_name(owner, service);
    let request = connection.docker.unpause_container(&name);
    connection
        .answer("unpause", &format!("container {name}"), request)
        .await
}

/// The container of a service, as the daemon wants it described.
fn definition(
    connection: &Connection,
    owner: &Owner,
    spec: &ServiceSpec,
    container: &ContainerSpec,
) -> ContainerCreateBody {
    let network = labels::network_name(owner);
    let target = container.target_port.map(|port| format!("{port}/tcp"));
    let environment = proxy_variables()
        .chain(container.environment.iter().cloned())
        .map(|(name, value)| format!("{name}={value}"));
    let mounts = container.volumes.iter().map(|mount| Mount {
        typ: Some(MountType::VOLUME),
        source: Some(labels::volume_name(owner, &mount.volume)),
        target: Some(mount.target.clone()),
        ..Default::default()
    });
    let bindings = target.clone().zip(spec.port).map(|(target, port)| {
        let binding = PortBinding {
            host_ip: Some("127.0.0.1".to_owned()),
            host_port: Some(port.to_string()),
        };
        HashMap::from([(target, Some(vec![binding]))])
    });
    ContainerCreateBody {
        hostname: Some(container.hostname.clone()),
        image: Some(container.image.to_string()),
        entrypoint: container.entrypoint.clone(),
        cmd: Some(container.command.clone()).filter(|command| !command.is_empty()),
        env: Some(environment.collect()),
        labels: Some(labels::of_container(owner, spec)),
        exposed_ports: target.map(|target| vec![target]),
        stop_timeout: Some(i64::try_from(spec.stop_grace.as_secs()).unwrap_or(i64::MAX)),
        host_config: Some(HostConfig {
            network_mode: Some(network.clone()),
            port_bindings: bindings,
            mounts: Some(mounts.collect()),
            memory: container.memory_limit.and_then(|limit| i64::try_from(limit).ok()),
            cap_drop: given(&container.confinement.capabilities_dropped),
            cap_add: given(&container.capabilities),
            security_opt: match container.confinement.privileges {
                Privileges::MayGrow => None,
                Privileges::NeverGrow => Some(vec!["no-new-privileges:true".to_owned()]),
            },
            pids_limit: container.confinement.most_processes.map(i64::from),
            readonly_rootfs: Some(container.confinement.root == RootFolder::ReadOnly),
            tmpfs: given(&container.confinement.temporary_folders).map(|folders| {
                folders
                    .into_iter()
                    .map(|folder| (folder, String::new()))
                    .collect()
            }),
            init: Some(container.init == InitProcess::Reaper),
            // One crash may be chance. A service that never was healthy is not started over and over: that would only
            // hide why it cannot run.
            restart_policy: Some(RestartPolicy {
                name: Some(RestartPolicyNameEnum::ON_FAILURE),
                maximum_retry_count: Some(match connection.daemon.restart_policy_from() {
                    RestartPolicyFrom::Health => 1,
                    RestartPolicyFrom::Creation => RESTARTS_FROM_CREATION,
                }),
            }),
            ..Default::default()
        }),
        networking_config: Some(NetworkingConfig {
            endpoints_config: Some(HashMap::from([(network, endpoint(&spec.name))])),
        }),
        ..Default::default()
    }
}

/// A list that says something.
fn given(list: &[String]) -> Option<Vec<String>> {
    Some(list.to_vec()).filter(|list| !list.is_empty())
}

/// From now on the daemon starts the service again when it ends unasked.
pub(super) async fn prove(
    connection: &Connection,
    owner: &Owner,
    service: &ServiceName,
) -> Result<(), DockerError> {
    if connection.daemon.restart_policy_from() == RestartPolicyFrom::Creation {
        return Ok(());
    }
    let name = labels::container_name(owner, service);
    let body = ContainerUpdateBody {
        restart_policy: Some(RestartPolicy {
            name: Some(RestartPolicyNameEnum::UNLESS_STOPPED),
            maximum_retry_count: None,
        }),
        ..Default::default()
    };
    let request = connection.docker.update_container(&name, body);
    connection
        .answer("update", &format!("container {name}"), request)
        .await
}

/// Stops a container and removes it; one that is gone is as good. What it wrote, up to its end, is kept.
pub(super) async fn stop_and_remove(
    connection: &Connection,
    folder: &ProjectFolder,
    inspection: &ContainerInspectResponse,
) -> error::Result<()> {
    let id = inspection.id.as_deref().unwrap_or_default();
    let object = format!("container {}", shown_name(inspection));
    let grace = inspection
        .config
        .as_ref()
        .and_then(|config| u64::try_from(config.stop_timeout?).ok())
        .map_or(USUAL_GRACE, Duration::from_secs);
    let request = connection.docker.stop_container(id, None::<StopContainerOptions>);
    let stopped = connection
        .answer_within(grace + STOP_MARGIN, "stop", &object, request)
        .await;
    match stopped {
        Err(error) if !error.is_done_already() => return Err(error.into()),
        _ => {}
    }
    logs::keep(connection, folder, inspection).await?;
    remove(connection, id).await?;
    if let Some(image) = &inspection.image {
        image::remove_replaced(connection, image).await;
    }
    Ok(())
}

/// The name of a container without the slash that the daemon puts before it.
pub(super) fn shown_name(inspection: &ContainerInspectResponse) -> &str {
    inspection
        .name
        .as_deref()
        .unwrap_or_default()
        .trim_start_matches('/')
}

/// Removes a container, running or not, with its anonymous volumes.
async fn remove(connection: &Connection, name: &str) -> Result<(), DockerError> {
    let options = RemoveContainerOptionsBuilder::default()
        .force(true)
        .v(true)
        .build();
    let request = connection.docker.remove_container(name, Some(options));
    match connection
        .answer("remove", &format!("container {name}"), request)
        .await
    {
        // 409 says that somebody else is removing it at this moment.
        Err(error) if !error.is_done_already() => Err(error),
        _ => Ok(()),
    }
}

/// Kills every container of the project at once. What cannot be killed is gone already.
pub(super) async fn kill_all(connection: &Connection, owner: &Owner) -> Result<(), DockerError> {
    let ids = observe::container_ids(connection, owner).await?;
    join_all(ids.iter().map(|id| {
        let options = KillContainerOptionsBuilder::default().signal("SIGKILL").build();
        let request = connection.docker.kill_container(id, Some(options));
        connection.answer("kill", id, request)
    }))
    .await;
    Ok(())
}

/// Removes the volumes of the project.
pub(super) async fn remove_volumes(connection: &Connection, owner: &Owner) -> Result<(), DockerError> {
    let options = ListVolumesOptionsBuilder::default()
        .filters(&owner.filter())
        .build();
    let request = connection.docker.list_volumes(Some(options));
    let volumes = connection.answer("list", "the volumes", request).await?;
    try_join_all(
        volumes
            .volumes
            .unwrap_or_default()
            .into_iter()
            .map(|volume| async move {
                let request = connection
                    .docker
                    .remove_volume(&volume.name, None::<RemoveVolumeOptions>);
                match connection
                    .answer("remove", &format!("volume {}", volume.name), request)
                    .await
                {
                    Err(error) if !error.is_not_found() => Err(error),
                    _ => Ok(()),
                }
            }),
    )
    .await
    .map(drop)
}
