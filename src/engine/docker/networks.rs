//! The network of a project: made, taken away, left by a container and joined again.

use std::collections::HashMap;

use bollard::models::{
    EndpointSettings, NetworkConnectRequest, NetworkCreateRequest, NetworkDisconnectRequest,
};
use bollard::query_parameters::ListNetworksOptionsBuilder;

use crate::engine::docker::connection::Connection;
use crate::engine::docker::error::DockerError;
use crate::engine::docker::labels::{self, Owner};
use crate::stack::ServiceName;

/// Makes the network.
pub(super) async fn create(connection: &Connection, owner: &Owner) -> Result<(), DockerError> {
    let name = labels::network_name(owner);
    // The daemon would make a second network of the same name.
    let filter = HashMap::from([("name".to_owned(), vec![format!("^{name}$")])]);
    let options = ListNetworksOptionsBuilder::default().filters(&filter).build();
    let request = connection.docker.list_networks(Some(options));
    let networks = connection.answer("list", "the networks", request).await?;
    if networks
        .iter()
        .any(|network| network.name.as_deref() == Some(&name))
    {
        return Err(DockerError::Foreign {
            object: format!("network {name}"),
        });
    }
    let request = connection.docker.create_network(NetworkCreateRequest {
        name: name.clone(),
        driver: Some("bridge".to_owned()),
        labels: Some(labels::of_network(owner)),
        ..Default::default()
    });
    connection
        .answer("create", &format!("network {name}"), request)
        .await
        .map(drop)
}

/// Takes the container of a service off the network of the project.
pub(super) async fn cut_off(
    connection: &Connection,
    owner: &Owner,
    service: &ServiceName,
) -> Result<(), DockerError> {
    let container = labels::container_name(owner, service);
    let object = format!("container {container} from its network");
    let request = NetworkDisconnectRequest {
        container,
        force: None,
    };
    let network = labels::network_name(owner);
    let request = connection.docker.disconnect_network(&network, request);
    connection.answer("disconnect", &object, request).await
}

/// Puts it back, under its name.
pub(super) async fn rejoin(
    connection: &Connection,
    owner: &Owner,
    service: &ServiceName,
) -> Result<(), DockerError> {
    let container = labels::container_name(owner, service);
    let object = format!("container {container} with its network");
    let request = NetworkConnectRequest {
        container,
        endpoint_config: Some(endpoint(service)),
    };
    let network = labels::network_name(owner);
    let request = connection.docker.connect_network(&network, request);
    connection.answer("connect", &object, request).await
}

/// Under which names the others find a service.
pub(super) fn endpoint(service: &ServiceName) -> EndpointSettings {
    EndpointSettings {
        aliases: Some(vec![service.to_string()]),
        ..Default::default()
    }
}

/// Removes the networks of the project.
pub(super) async fn remove_all(connection: &Connection, owner: &Owner) -> Result<(), DockerError> {
    let options = ListNetworksOptionsBuilder::default()
        .filters(&owner.filter())
        .build();
    let request = connection.docker.list_networks(Some(options));
    let networks = connection.answer("list", "the networks", request).await?;
    for network in networks {
        let (id, name) = (network.id.unwrap_or_default(), network.name.unwrap_or_default());
        let request = connection.docker.remove_network(&id);
        match connection
            .answer("remove", &format!("network {name}"), request)
            .await
        {
            Err(error) if !error.is_not_found() => return Err(error),
            _ => {}
        }
    }
    Ok(())
}
