//! The labels of everything that is ours: our own, which alone decide about ownership, and Compose's, so that
//! `docker compose -p PROJECT ps` sees the project.

use std::collections::HashMap;

use crate::plan::ServiceSpec;
use crate::stack::ServiceName;
use crate::stack::project::ProjectName;

/// The project that something belongs to.
pub(super) const PROJECT: &str = "io.osqdemo.project";

/// The service that a container runs.
pub(super) const SERVICE: &str = "io.osqdemo.service";

/// Tells the definition that a container was made from.
pub(super) const CONFIG_HASH: &str = "io.osqdemo.config-hash";

/// The services that a container needs, separated by commas.
pub(super) const DEPENDS_ON: &str = "io.osqdemo.depends-on";

/// Identifies the content of an image that was made by us.
pub(super) const CONTENT: &str = "io.osqdemo.content";

/// The name of the one network of a project, in Compose's words.
const NETWORK: &str = "default";

/// The filter that finds what belongs to a project.
pub(super) fn of_project(project: &ProjectName) -> HashMap<String, Vec<String>> {
    HashMap::from([("label".to_owned(), vec![format!("{PROJECT}={project}")])])
}

/// The labels of a container.
pub(super) fn of_container(project: &ProjectName, spec: &ServiceSpec) -> HashMap<String, String> {
    let depends_on: Vec<&str> = spec.depends_on.iter().map(ServiceName::as_str).collect();
    labels([
        (PROJECT, project.as_str()),
        (SERVICE, spec.name.as_str()),
        (CONFIG_HASH, &spec.config_hash),
        (DEPENDS_ON, &depends_on.join(",")),
        ("com.docker.compose.project", project.as_str()),
        ("com.docker.compose.service", spec.name.as_str()),
        ("com.docker.compose.config-hash", &spec.config_hash),
        ("com.docker.compose.container-number", "1"),
        ("com.docker.compose.oneoff", "False"),
    ])
}

/// The labels of the network.
pub(super) fn of_network(project: &ProjectName) -> HashMap<String, String> {
    labels([
        (PROJECT, project.as_str()),
        ("com.docker.compose.project", project.as_str()),
        ("com.docker.compose.network", NETWORK),
    ])
}

/// The labels of a volume; `name` is the one in the stack file.
pub(super) fn of_volume(project: &ProjectName, name: &str) -> HashMap<String, String> {
    labels([
        (PROJECT, project.as_str()),
        ("com.docker.compose.project", project.as_str()),
        ("com.docker.compose.volume", name),
    ])
}

fn labels<const N: usize>(labels: [(&str, &str); N]) -> HashMap<String, String> {
    labels
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into()
}

/// The name of a service's container, as Compose gives it.
pub(super) fn container_name(project: &ProjectName, service: &ServiceName) -> String {
    format!("{project}-{service}-1")
}

/// The name of the project's network, as Compose gives it.
pub(super) fn network_name(project: &ProjectName) -> String {
    format!("{project}_{NETWORK}")
}

/// The name of a volume, as Compose gives it.
pub(super) fn volume_name(project: &ProjectName, name: &str) -> String {
    format!("{project}_{name}")
}
