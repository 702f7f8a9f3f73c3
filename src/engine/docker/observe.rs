//! What there is of a project, as its daemon sees it: containers, the network and images, found by label. The answers of
//! daemons that the tests read stand below, so that the file is longer than what it does.

use std::collections::{BTreeMap, HashMap};

use bollard::models::{ContainerInspectResponse, ContainerStateStatusEnum, Network};
use bollard::query_parameters::{
    EventsOptionsBuilder, InspectContainerOptions, ListContainersOptionsBuilder, ListNetworksOptionsBuilder,
};
use futures_util::TryStreamExt;
use futures_util::future::{join_all, try_join_all};
use jiff::Timestamp;

use crate::engine::docker::connection::Connection;
use crate::engine::docker::error::DockerError;
use crate::engine::docker::labels::{self, Owner};
use crate::plan::{
    Attachment, Exit, NetworkState, Observed, ObservedContainer, ObservedImage, ObservedService,
    ServiceState, SupervisorState,
};
use crate::stack::{ImageRef, ServiceName};

/// Everything.
pub(super) async fn observe(
    connection: &Connection,
    owner: &Owner,
    images: &[ImageRef],
) -> Result<Observed, DockerError> {
    let images = try_join_all(images.iter().map(|image| observe_image(connection, image)));
    let (network, ids, images) = tokio::try_join!(
        network(connection, owner),
        container_ids(connection, owner),
        images
    )?;
    let inspections = try_join_all(ids.iter().map(|id| inspect(connection, id))).await?;
    let services = inspections
        .into_iter()
        .flatten()
        .filter_map(|inspection| service(&inspection, owner, network.as_ref()));
    let services = join_all(services.map(async |(name, service)| {
        let service = with_last_exit(connection, service).await;
        (name, service)
    }))
    .await
    .into_iter()
    .collect();
    Ok(Observed {
        supervisor: SupervisorState::Daemon {
            network: match network {
                Some(_) => NetworkState::Present,
                None => NetworkState::Absent,
            },
        },
        services,
        images: images.into_iter().flatten().collect(),
    })
}

/// One service.
pub(super) async fn observe_service(
    connection: &Connection,
    owner: &Owner,
    name: &ServiceName,
) -> Result<Option<ObservedService>, DockerError> {
    let container = labels::container_name(owner, name);
    let Some(inspection) = inspect(connection, &container).await? else {
        return Ok(None);
    };
    Ok(match service(&inspection, owner, None) {
        Some((_, service)) => Some(with_last_exit(connection, service).await),
        None => None,
    })
}

/// The same with how it ended before the daemon started it again. That is in no inspection, only among the last few
/// hundred events, so it may be forgotten; what cannot be had is left out.
async fn with_last_exit(connection: &Connection, service: ObservedService) -> ObservedService {
    let last_exit = match &service.container {
        Some(container) if service.restarts > 0 => last_exit(connection, &container.id).await,
        _ => None,
    };
    ObservedService { last_exit, ..service }
}

/// How a container ended last, as far as the daemon remembers.
async fn last_exit(connection: &Connection, id: &str) -> Option<Exit> {
    let filters = HashMap::from([("container", vec![id]), ("event", vec!["die"])]);
    let now = Timestamp::now();
    let options = EventsOptionsBuilder::default()
        .since("0")
        .until(&format!("{}.{:09}", now.as_second(), now.subsec_nanosecond()))
        .filters(&filters)
        .build();
    let request = connection.docker.events(Some(options)).try_collect::<Vec<_>>();
    let ends = connection.answer("list", "the events", request).await.ok()?;
    let code = ends
        .into_iter()
        .next_back()?
        .actor?
        .attributes?
        .remove("exitCode")?;
    Some(exit_of_code(code.parse().ok()?))
}

/// What an exit status says.
fn exit_of_code(code: i64) -> Exit {
    match code {
        // What a shell, and process 1 of a container, make of a signal.
        129..=159 => Exit::Signal(i32::try_from(code - 128).unwrap_or_default()),
        code => Exit::Code(i32::try_from(code).unwrap_or(-1)),
    }
}

/// The project's network.
pub(super) async fn network(connection: &Connection, owner: &Owner) -> Result<Option<Network>, DockerError> {
    let options = ListNetworksOptionsBuilder::default()
        .filters(&owner.filter())
        .build();
    let request = connection.docker.list_networks(Some(options));
    let networks = connection.answer("list", "the networks", request).await?;
    let name = labels::network_name(owner);
    Ok(networks
        .into_iter()
        .find(|network| network.name.as_deref() == Some(name.as_str())))
}

/// The containers of the project, running or not.
pub(super) async fn container_ids(
    connection: &Connection,
    owner: &Owner,
) -> Result<Vec<String>, DockerError> {
    let options = ListContainersOptionsBuilder::default()
        .all(true)
        .filters(&owner.filter())
        .build();
    let request = connection.docker.list_containers(Some(options));
    let containers = connection.answer("list", "the containers", request).await?;
    Ok(containers
        .into_iter()
        .filter_map(|container| container.id)
        .collect())
}

/// A container, if it is there.
pub(super) async fn inspect(
    connection: &Connection,
    name: &str,
) -> Result<Option<ContainerInspectResponse>, DockerError> {
    let request = connection
        .docker
        .inspect_container(name, None::<InspectContainerOptions>);
    match connection
        .answer("inspect", &format!("container {name}"), request)
        .await
    {
        Ok(inspection) => Ok(Some(inspection)),
        // It may have been removed since it was listed.
        Err(error) if error.is_not_found() => Ok(None),
        Err(error) => Err(error),
    }
}

/// An image, if it is there.
pub(super) async fn observe_image(
    connection: &Connection,
    image: &ImageRef,
) -> Result<Option<(ImageRef, ObservedImage)>, DockerError> {
    let request = connection.docker.inspect_image(image.as_str());
    let inspection = match connection
        .answer("inspect", &format!("image {image}"), request)
        .await
    {
        Ok(inspection) => inspection,
        Err(error) if error.is_not_found() => return Ok(None),
        Err(error) => return Err(error),
    };
    let labels = inspection
        .config
        .and_then(|config| config.labels)
        .unwrap_or_default();
    let observed = ObservedImage {
        id: inspection.id.unwrap_or_default(),
        content: labels.get(labels::CONTENT).cloned(),
    };
    Ok(Some((image.clone(), observed)))
}

/// The label of a container.
pub(super) fn label<'a>(inspection: &'a ContainerInspectResponse, name: &str) -> Option<&'a str> {
    inspection
        .config
        .as_ref()?
        .labels
        .as_ref()?
        .get(name)
        .map(String::as_str)
}

/// The service that a container runs, and how it is; nothing for a container that is not of the project.
pub(super) fn service(
    inspection: &ContainerInspectResponse,
    owner: &Owner,
    network: Option<&Network>,
) -> Option<(ServiceName, ObservedService)> {
    if !owner.owns(inspection.config.as_ref()?.labels.as_ref()?) {
        return None;
    }
    let name = ServiceName::new(label(inspection, labels::SERVICE)?);
    let state = inspection.state.as_ref()?;
    let started_at = state
        .started_at
        .as_deref()
        .and_then(|text| text.parse::<Timestamp>().ok())
        .map_or(0, Timestamp::as_millisecond);
    let exit = || match state.exit_code.unwrap_or_default() {
        code if code != 0 && state.oom_killed == Some(true) => Exit::OutOfMemory {
            code: i32::try_from(code).unwrap_or(-1),
            limit: memory_limit(inspection),
        },
        code => exit_of_code(code),
    };
    let pid = || {
        state
            .pid
            .and_then(|pid| u32::try_from(pid).ok())
            .unwrap_or_default()
    };
    use ContainerStateStatusEnum::{PAUSED, RESTARTING, RUNNING};
    let service_state = match state.status {
        Some(RUNNING) => ServiceState::Running { pid: pid() },
        Some(PAUSED) => ServiceState::Paused { pid: pid() },
        Some(RESTARTING) => ServiceState::Restarting { exit: exit() },
        _ => ServiceState::Exited { exit: exit() },
    };
    let networks = inspection
        .network_settings
        .as_ref()
        .and_then(|settings| settings.networks.as_ref());
    let network_id = networks
        .and_then(|networks| networks.get(&labels::network_name(owner)))
        .and_then(|endpoint| endpoint.network_id.as_deref());
    let is_attached = network.zip(network_id).is_some_and(|(network, seen)| {
        // podman gives the network's name in place of its id; it removes no network that a container is in.
        network.id.as_deref() == Some(seen) || network.name.as_deref() == Some(seen)
    });
    Some((
        name,
        ObservedService {
            state: service_state,
            config_hash: label(inspection, labels::CONFIG_HASH)
                .unwrap_or_default()
                .to_owned(),
            port: published_port(inspection),
            started_at,
            restarts: inspection
                .restart_count
                .and_then(|count| u32::try_from(count).ok())
                .unwrap_or_default(),
            last_exit: None,
            host_config: label(inspection, labels::HOST_CONFIG).map(str::to_owned),
            container: Some(ObservedContainer {
                id: inspection.id.clone().unwrap_or_default(),
                image_id: inspection.image.clone().unwrap_or_default(),
                attachment: if is_attached {
                    Attachment::Attached
                } else {
                    Attachment::Detached
                },
            }),
        },
    ))
}

fn memory_limit(inspection: &ContainerInspectResponse) -> Option<u64> {
    let limit = inspection.host_config.as_ref()?.memory?;
    u64::try_from(limit).ok().filter(|limit| *limit > 0)
}

fn published_port(inspection: &ContainerInspectResponse) -> Option<u16> {
    let bindings = inspection.host_config.as_ref()?.port_bindings.as_ref()?;
    let binding = bindings.values().flatten().flatten().next()?;
    binding.host_port.as_ref()?.parse().ok()
}

/// The services of a project by how much they stand on each other: those that nobody needs first.
pub(super) fn dependents_first(
    inspections: Vec<ContainerInspectResponse>,
) -> Vec<Vec<ContainerInspectResponse>> {
    let mut needs: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for inspection in &inspections {
        let depends_on = label(inspection, labels::DEPENDS_ON).unwrap_or_default();
        needs.insert(
            label(inspection, labels::SERVICE).unwrap_or_default().to_owned(),
            depends_on.split(',').map(str::to_owned).collect(),
        );
    }
    let mut left = inspections;
    let mut levels = Vec::new();
    while !left.is_empty() {
        let is_needed = |inspection: &ContainerInspectResponse| {
            let name = label(inspection, labels::SERVICE).unwrap_or_default();
            left.iter().any(|other| {
                let other = label(other, labels::SERVICE).unwrap_or_default();
                other != name
                    && needs
                        .get(other)
                        .is_some_and(|needs| needs.iter().any(|needed| needed == name))
            })
        };
        let (needed, free): (Vec<_>, Vec<_>) = left.clone().into_iter().partition(is_needed);
        if free.is_empty() {
            // Labels that name each other in a circle are not ours; nothing may be left because of them.
            levels.push(needed);
            break;
        }
        levels.push(free);
        left = needed;
    }
    levels
}

#[cfg(test)]
mod tests;
