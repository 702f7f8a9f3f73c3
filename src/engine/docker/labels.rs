//! The labels of everything that is ours: our own, which alone decide about ownership, and Compose's, so that
//! `docker compose -p PROJECT ps` sees the project.

use std::collections::HashMap;
use std::path::Path;

use crate::plan::ServiceSpec;
use crate::stack::ServiceName;
use crate::stack::project::ProjectName;
use crate::state::ProjectFolder;

/// The project that something belongs to.
pub(super) const PROJECT: &str = "io.osqdemo.project";

/// The state home that knows the project. Two of them may share a daemon, and each has its own.
pub(super) const HOME: &str = "io.osqdemo.home";

/// The service that a container runs.
pub(super) const SERVICE: &str = "io.osqdemo.service";

/// Tells the definition that a container was made from.
pub(super) const CONFIG_HASH: &str = "io.osqdemo.config-hash";

/// The services that a container needs, separated by commas.
pub(super) const DEPENDS_ON: &str = "io.osqdemo.depends-on";

/// Identifies the content of an image that was made by us.
pub(super) const CONTENT: &str = "io.osqdemo.content";

/// The project of something, in Compose's words.
pub(super) const COMPOSE_PROJECT: &str = "com.docker.compose.project";

/// The name of the one network of a project, in Compose's words.
const NETWORK: &str = "default";

/// Whose something is: the project, and the state home that knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Owner {
    /// The project.
    pub(super) project: ProjectName,
    home: String,
}

impl Owner {
    pub(super) fn new(folder: &ProjectFolder) -> Self {
        Self {
            project: folder.project.clone(),
            home: folder.home().display().to_string(),
        }
    }

    /// Whether these labels say so.
    pub(super) fn owns(&self, labels: &HashMap<String, String>) -> bool {
        let is = |label: &str, value: &str| labels.get(label).is_some_and(|found| found == value);
        is(PROJECT, self.project.as_str()) && is(HOME, &self.home)
    }

    /// The filter that finds what belongs to the project.
    pub(super) fn filter(&self) -> HashMap<String, Vec<String>> {
        let labels = vec![
            format!("{PROJECT}={}", self.project),
            format!("{HOME}={}", self.home),
        ];
        HashMap::from([("label".to_owned(), labels)])
    }
}

/// The filter that finds what belongs to any project of a state home.
pub(super) fn of_home(home: &Path) -> HashMap<String, Vec<String>> {
    HashMap::from([("label".to_owned(), vec![format!("{HOME}={}", home.display())])])
}

/// The filter that finds what belongs to any project.
pub(super) fn of_anyone() -> HashMap<String, Vec<String>> {
    HashMap::from([("label".to_owned(), vec![PROJECT.to_owned()])])
}

/// The labels of a container.
pub(super) fn of_container(owner: &Owner, spec: &ServiceSpec) -> HashMap<String, String> {
    let depends_on: Vec<&str> = spec.depends_on.iter().map(ServiceName::as_str).collect();
    labels([
        (PROJECT, owner.project.as_str()),
        (HOME, &owner.home),
        (SERVICE, spec.name.as_str()),
        (CONFIG_HASH, &spec.config_hash),
        (DEPENDS_ON, &depends_on.join(",")),
        (COMPOSE_PROJECT, owner.project.as_str()),
        ("com.docker.compose.service", spec.name.as_str()),
        ("com.docker.compose.config-hash", &spec.config_hash),
        ("com.docker.compose.container-number", "1"),
        ("com.docker.compose.oneoff", "False"),
    ])
}

/// The labels of the network.
pub(super) fn of_network(owner: &Owner) -> HashMap<String, String> {
    labels([
        (PROJECT, owner.project.as_str()),
        (HOME, &owner.home),
        (COMPOSE_PROJECT, owner.project.as_str()),
        ("com.docker.compose.network", NETWORK),
    ])
}

/// The labels of a volume; `name` is the one in the stack file.
pub(super) fn of_volume(owner: &Owner, name: &str) -> HashMap<String, String> {
    labels([
        (PROJECT, owner.project.as_str()),
        (HOME, &owner.home),
        (COMPOSE_PROJECT, owner.project.as_str()),
        ("com.docker.compose.volume", name),
    ])
}

fn labels<const N: usize>(labels: [(&str, &str); N]) -> HashMap<String, String> {
    labels
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into()
}

/// The name of a service's container, as Compose gives it.
pub(super) fn container_name(owner: &Owner, service: &ServiceName) -> String {
    format!("{}-{service}-1", owner.project)
}

/// The name of the project's network, as Compose gives it.
pub(super) fn network_name(owner: &Owner) -> String {
    format!("{}_{NETWORK}", owner.project)
}

/// The name of a volume, as Compose gives it.
pub(super) fn volume_name(owner: &Owner, name: &str) -> String {
    format!("{}_{name}", owner.project)
}
