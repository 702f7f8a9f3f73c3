//! What `doctor` and `down` want to know of a daemon, beyond one project.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::path::{Path, PathBuf};

use bollard::models::{ContainerSummary, PortSummaryTypeEnum};
use bollard::query_parameters::{
    ListContainersOptionsBuilder, ListNetworksOptionsBuilder, ListVolumesOptionsBuilder,
};
use futures_util::future::try_join_all;
use jiff::Timestamp;
use serde_json::Value;

use crate::engine::docker::connection::Connection;
use crate::engine::docker::error::DockerError;
use crate::engine::docker::labels::{self, Owner};
use crate::engine::docker::observe;
use crate::plan::{Leftover, Publisher};
use crate::state::ProjectFolder;

/// What a daemon says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DaemonFacts {
    /// The memory of the machine that it runs containers on, in bytes; none where it does not tell.
    pub memory: Option<u64>,
    /// Where it keeps images and volumes, where that is a folder of this machine.
    pub folder: Option<PathBuf>,
    /// Whether it can hold containers to their memory limits.
    pub memory_limits: Support,
    /// The control groups of its machine, such as `version 2, driver systemd`.
    pub cgroups: String,
    /// Who is root in a container.
    pub root: Root,
    /// The proxies that it pulls through, by the names of their variables.
    pub proxies: Vec<&'static str>,
    /// How far its clock is from ours, in milliseconds.
    pub clock_skew_ms: Option<i64>,
}

/// Whether a daemon can do something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Support {
    /// It can.
    Yes,
    /// It cannot.
    No,
}

/// Who is root in a container.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Root {
    /// The machine's root.
    Root,
    /// The user who runs the daemon, in a user namespace.
    RootlessUser,
    /// Nobody of importance: the daemon makes a user namespace.
    Remapped,
}

impl fmt::Display for Root {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Root => "root of a container is the machine's root",
            Self::RootlessUser => "rootless: root of a container is the daemon's user",
            Self::Remapped => "root of a container is a user of a namespace",
        })
    }
}

impl Connection {
    /// The ports of the loopback address that containers publish, and which container each.
    ///
    /// # Errors
    /// When the daemon does not answer.
    pub async fn published(&self) -> Result<BTreeMap<u16, Publisher>, DockerError> {
        let running = ListContainersOptionsBuilder::default().build();
        let request = self.docker.list_containers(Some(running));
        let containers = self.answer("list", "the containers", request).await?;
        Ok(containers.into_iter().flat_map(published).collect())
    }

    /// What the daemon says of itself.
    ///
    /// # Errors
    /// When it does not answer.
    pub async fn facts(&self) -> Result<DaemonFacts, DockerError> {
        let info = self
            .answer("ask", "the daemon about itself", self.docker.info())
            .await?;
        let now = Timestamp::now();
        let clock: Option<Timestamp> = info.system_time.and_then(|text| text.parse().ok());
        let version = info.cgroup_version.map(|version| version.to_string());
        let is_old = version.as_deref() != Some("2");
        let driver = info.cgroup_driver.map(|driver| driver.to_string());
        let options = info.security_options.unwrap_or_default();
        let has_option = |name: &str| options.iter().any(|option| option.contains(name));
        let proxies = [("HTTP_PROXY", info.http_proxy), ("HTTPS_PROXY", info.https_proxy)];
        let folder = info.docker_root_dir.as_deref();
        let is_rootless = has_option("rootless") || self.daemon.is_rootless(folder);
        let is_local = self.endpoint.is_local();
        Ok(DaemonFacts {
            memory: info
                .mem_total
                .and_then(|bytes| u64::try_from(bytes).ok())
                .filter(|bytes| *bytes > 0),
            folder: info
                .docker_root_dir
                .map(PathBuf::from)
                .filter(|folder| is_local && folder.is_dir()),
            // podman without root says that it can where it cannot.
            memory_limits: if info.memory_limit == Some(false) || (is_rootless && is_old) {
                Support::No
            } else {
                Support::Yes
            },
            cgroups: format!(
                "version {}, driver {}",
                version
                    .filter(|version| !version.is_empty())
                    .as_deref()
                    .unwrap_or("1"),
                driver
                    .filter(|driver| !driver.is_empty())
                    .as_deref()
                    .unwrap_or("none")
            ),
            root: if is_rootless {
                Root::RootlessUser
            } else if has_option("userns") {
                Root::Remapped
            } else {
                Root::Root
            },
            proxies: proxies
                .into_iter()
                .filter(|(_, proxy)| proxy.as_deref().is_some_and(|proxy| !proxy.is_empty()))
                .map(|(name, _)| name)
                .collect(),
            clock_skew_ms: clock.map(|clock| clock.as_millisecond() - now.as_millisecond()),
        })
    }

    /// Every container of a project, as the daemon describes it, by name.
    ///
    /// # Errors
    /// When the daemon does not answer.
    pub async fn inspections(&self, folder: &ProjectFolder) -> Result<BTreeMap<String, Value>, DockerError> {
        let ids = observe::container_ids(self, &Owner::new(folder)).await?;
        let found = try_join_all(ids.iter().map(|id| observe::inspect(self, id))).await?;
        let described = found.into_iter().flatten().filter_map(|inspection| {
            let name = inspection.name.clone()?;
            let name = name.trim_start_matches('/').to_owned();
            Some((name, serde_json::to_value(inspection).ok()?))
        });
        Ok(described.collect())
    }

    /// The projects that something is left of on the daemon, and how many containers each has: those of a state
    /// home, or of everybody.
    ///
    /// # Errors
    /// When the daemon does not answer.
    pub async fn projects(&self, home: Option<&Path>) -> Result<BTreeMap<Leftover, usize>, DockerError> {
        let filter = home.map_or_else(labels::of_anyone, labels::of_home);
        let containers = ListContainersOptionsBuilder::default()
            .all(true)
            .filters(&filter)
            .build();
        let networks = ListNetworksOptionsBuilder::default().filters(&filter).build();
        let volumes = ListVolumesOptionsBuilder::default().filters(&filter).build();
        let (containers, networks, volumes) = tokio::try_join!(
            self.answer(
                "list",
                "the containers",
                self.docker.list_containers(Some(containers))
            ),
            self.answer("list", "the networks", self.docker.list_networks(Some(networks))),
            self.answer("list", "the volumes", self.docker.list_volumes(Some(volumes)))
        )?;
        let containers = containers.into_iter().filter_map(|container| container.labels);
        let others = networks
            .into_iter()
            .filter_map(|network| network.labels)
            .chain(volumes.volumes.into_iter().flatten().map(|volume| volume.labels));
        let mut projects = BTreeMap::new();
        for (labels, count) in containers
            .map(|labels| (labels, 1))
            .chain(others.map(|labels| (labels, 0)))
        {
            if let Some(owner) = owner(&labels) {
                *projects.entry(owner).or_insert(0) += count;
            }
        }
        Ok(projects)
    }
}

/// The project of ours that something with these labels belongs to.
fn owner(labels: &HashMap<String, String>) -> Option<Leftover> {
    Some(Leftover {
        project: labels.get(labels::PROJECT)?.parse().ok()?,
        home: PathBuf::from(labels.get(labels::HOME)?),
    })
}

fn published(container: ContainerSummary) -> Vec<(u16, Publisher)> {
    let labels = container.labels.unwrap_or_default();
    let names = container.names.unwrap_or_default();
    let publisher = Publisher {
        container: names
            .first()
            .map(|name| name.trim_start_matches('/').to_owned())
            .or(container.id)
            .unwrap_or_default(),
        compose_project: labels.get(labels::COMPOSE_PROJECT).cloned(),
        owner: owner(&labels),
    };
    let is_loopback = |ip: &str| matches!(ip, "127.0.0.1" | "0.0.0.0" | "::" | "");
    container
        .ports
        .into_iter()
        .flatten()
        .filter(|port| port.typ != Some(PortSummaryTypeEnum::UDP))
        .filter(|port| is_loopback(port.ip.as_deref().unwrap_or_default()))
        .filter_map(|port| Some((port.public_port?, publisher.clone())))
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn published_ports_are_those_of_the_loopback_address() {
        let summary = json!({
            "Id": "1",
            "Names": ["/shop-kafka-1"],
            "Labels": { "com.docker.compose.project": "shop" },
            "Ports": [
                { "IP": "0.0.0.0", "PrivatePort": 9092, "PublicPort": 9092, "Type": "tcp" },
                { "IP": "127.0.0.1", "PrivatePort": 9093, "PublicPort": 19093, "Type": "tcp" },
                { "IP": "192.0.2.1", "PrivatePort": 9094, "PublicPort": 9094, "Type": "tcp" },
                { "IP": "0.0.0.0", "PrivatePort": 9095, "PublicPort": 9095, "Type": "udp" },
                { "PrivatePort": 9096, "Type": "tcp" },
            ],
        });
        let summary: ContainerSummary = serde_json::from_value(summary).expect("a summary");
        let published = published(summary);
        let ports: Vec<u16> = published.iter().map(|(port, _)| *port).collect();
        assert_eq!(ports, [9092, 19093]);
        let (_, publisher) = published.first().expect("one");
        assert_eq!(publisher.container, "shop-kafka-1");
        assert_eq!(publisher.compose_project.as_deref(), Some("shop"));
        assert_eq!(publisher.owner, None);
    }
}
