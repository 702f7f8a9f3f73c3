//! The Docker engine: its daemon, what the images are made of, and the memory that there is for heaps.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{Daemon, Means, Resolution, Resolved, find_unknown_tables};
use crate::client_properties::Portable;
use crate::commands::project::Project;
use crate::engine::OsquerydChoice;
use crate::engine::docker::image::{HostVariant, ImageSources, OsqueryChoice};
use crate::engine::docker::{Connection, DockerEngine, PullSettings, Setup};
use crate::engine::native::programs::{self, Osqueryd};
use crate::error::Result;
use crate::health::ProtocolProber;
use crate::plan::{CLIENT_FOLDER, Reach};
use crate::ports::Ports;
use crate::stack::ImageRef;
use crate::state::Remembered;

impl Project {
    pub(super) async fn resolved_in_containers(
        &self,
        mut remembered: Remembered,
        ports: Ports,
        pull: PullSettings,
    ) -> Result<Resolved> {
        let connection = Connection::open().await?;
        connection.check_local()?;
        let facts = connection.facts().await?;
        let choice = OsqueryChoice {
            osqueryd: OsquerydChoice::parse(remembered.osqueryd.as_deref().unwrap_or_default()),
            sha256: remembered.osquery_sha256.clone(),
            unavailable: remembered.osquery_unavailable.clone(),
        };
        let sources = ImageSources::find(&choice, &connection.architecture, remembered.source.as_deref())?;
        let mut variables = self.heaps(facts.memory);
        variables.extend(sources.variables());
        let resolution = Resolution {
            identity: &|_| String::new(),
            image_content: &|recipe| sources.content(recipe),
            programs: sources.programs(),
            variables: &variables,
            reach: Reach::Network,
        };
        let desired = self.resolved(&remembered, &ports, &resolution)?;
        let mut images: Vec<ImageRef> = desired
            .iter()
            .filter_map(|spec| Some(spec.container.as_ref()?.image.clone()))
            .collect();
        images.extend(sources.programs().map(|programs| programs.image.clone()));
        images.sort();
        images.dedup();
        let hosts = sources.variant().clone();
        // The agent of the image may be compiled there; the installed one has the same tables, where there is one.
        if let HostVariant::Agent { .. } = hosts
            && let Ok(Osqueryd::Builtin(agent)) =
                programs::find_osqueryd(&OsquerydChoice::Builtin, &programs::own_path()?)
        {
            find_unknown_tables(&agent, remembered.host_config.as_mut()).await?;
        }
        let client = self.client.as_ref().map(Portable::read).transpose()?;
        let remote = client
            .as_ref()
            .and_then(|client| client.within(CLIENT_FOLDER).registry);
        let registry = self.registry_of_hosts(&remembered, &ports, Reach::Network);
        let setup = Setup {
            sources,
            images,
            pull: pull.clone(),
            host_config: remembered.host_config.clone(),
            registry: match self.remote_registry() {
                // Its certificates are elsewhere in a container.
                Some(_) => registry.and(remote),
                None => registry,
            },
            client,
        };
        Ok(Resolved {
            engine: Arc::new(DockerEngine::with_setup(
                self.folder.clone(),
                connection.clone(),
                setup,
            )),
            prober: Arc::new(ProtocolProber {
                kafka: self.kafka_properties(),
            }),
            desired,
            ports,
            osqueryd_gone: None,
            remembered,
            means: Means::Containers(Box::new(Daemon {
                connection,
                facts,
                pull,
                hosts,
            })),
        })
    }

    /// The variables of the heaps, sized to the memory of the daemon's machine; a variable of the environment wins.
    fn heaps(&self, memory: Option<u64>) -> BTreeMap<String, String> {
        let mut variables = memory.map(|memory| self.stack.heaps(memory)).unwrap_or_default();
        for (name, value) in &mut variables {
            if let Ok(given) = std::env::var(name) {
                *value = given;
            }
        }
        variables
    }
}
