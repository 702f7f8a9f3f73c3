//! A project as the verbs see it: its folder, the services it has, and the engine that runs it.

mod hosts;
mod links;
mod publishers;
mod request;
mod resolved;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use crate::client_properties::{ClientFile, ClientProperties};
use crate::commands::Context;
use crate::engine::docker::DockerEngine;
use crate::engine::fake::FakeEngine;
use crate::engine::native::NativeEngine;
use crate::engine::{Engine, EngineKind};
use crate::error::Result;
use crate::kafka;
use crate::plan::Observed;
use crate::ports::{Listens, PortError, Ports, Publishers, Wishes};
use crate::settings::{
    KafkaConfigChoice, Source, StackChoice, StackSettings, remembered_engine, remembered_kafka,
    remembered_stack,
};
use crate::stack::{Cluster, HttpService, KafkaAddress, Properties, Role, ServiceName, Stack};
use crate::state::{ProjectFolder, Remembered, remove_file, write_durably};

pub use hosts::ProjectHosts;
pub use links::linked;
pub use publishers::DaemonPublishers;
pub use request::{HostConfigChoice, PortsRequest, Request};
pub use resolved::{Means, Resolved};

/// A project whose engine can observe and stop.
pub struct Project {
    /// Its folder.
    pub folder: ProjectFolder,
    /// What earlier runs chose.
    pub remembered: Remembered,
    /// Which engine it runs on.
    pub kind: EngineKind,
    /// Runs it.
    pub engine: Arc<dyn Engine>,
    /// The services it has.
    pub stack: Stack,
    /// How what is outside of the stack is reached.
    pub client: Option<ClientProperties>,
    /// The build of osqdemo that runs its services as processes, where that is not this one.
    pub other_build: Option<PathBuf>,
}

impl Project {
    /// The current project.
    ///
    /// # Errors
    /// When its state cannot be read.
    pub fn open(context: &Context) -> Result<Self> {
        Self::of_folder(ProjectFolder::new(
            &context.settings.home,
            &context.settings.project,
        ))
    }

    /// The project of a folder.
    ///
    /// # Errors
    /// When its state cannot be read.
    pub fn of_folder(folder: ProjectFolder) -> Result<Self> {
        let remembered = Remembered::load(&folder)?;
        Self::that_remembers(folder, remembered)
    }

    /// The project of a folder, whatever is written in it.
    ///
    /// # Errors
    /// When this version does not have the engine or the stack.
    pub fn that_remembers(folder: ProjectFolder, remembered: Remembered) -> Result<Self> {
        let kind = remembered_engine(&remembered)?.unwrap_or(EngineKind::Native);
        let engine = engine(kind, &folder);
        let whole = remembered_stack(&remembered)?.unwrap_or_default().services()?;
        let whole = whole
            .with(&remembered.with)?
            .on_kafka(remembered_kafka(&remembered)?);
        let file = folder.client_properties_file();
        let client = match remembered.kafka_config {
            Some(_) if file.exists() => Some(ClientFile::read(&file)?.resolve(|_| None)?),
            _ => None,
        };
        Ok(Self {
            stack: whole.without(&remembered.without)?,
            client,
            other_build: None,
            folder,
            remembered,
            kind,
            engine,
        })
    }

    /// The same project with this stack.
    ///
    /// # Errors
    /// When a secret that the client properties name is not there.
    pub fn with_stack(mut self, settings: &StackSettings) -> Result<Self> {
        let remembered = &mut self.remembered;
        match (&settings.choice.value, &settings.choice.source) {
            // What nobody has chosen is not remembered as if somebody had.
            (_, Source::Default) => (remembered.stack, remembered.stack_file) = (None, None),
            (StackChoice::Embedded(stack), _) => {
                (remembered.stack, remembered.stack_file) = (Some(stack.to_string()), None);
            }
            (StackChoice::File(file), _) => {
                (remembered.stack, remembered.stack_file) = (None, Some(file.clone()));
            }
        }
        remembered.with = settings.with.value.clone();
        remembered.kafka = settings.kafka.outside().map(|kafka| kafka.to_string());
        remembered.without = settings.without.value.clone();
        match (&settings.kafka_config.value, &settings.client_file) {
            (KafkaConfigChoice::Plain, _) => (self.client, remembered.kafka_config) = (None, None),
            (KafkaConfigChoice::File(_), Some(file)) => {
                let client = file.resolve(|name| std::env::var(name).ok())?;
                kafka::check_properties(file.path(), &client.kafka)?;
                remembered.kafka_config = Some(file.path().to_owned());
                self.client = Some(client);
            }
            (KafkaConfigChoice::File(path), None) if self.client.is_none() => {
                // The copy of what is remembered is gone.
                self.client = Some(ClientFile::read(path)?.resolve(|name| std::env::var(name).ok())?);
            }
            (KafkaConfigChoice::File(_), None) => {}
        }
        self.stack = settings.stack.clone();
        Ok(self)
    }

    /// Keeps how what is outside of the stack is reached, for the services and later runs; what is not needed any more
    /// goes.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn keep_client(&self) -> Result<()> {
        let file = self.folder.client_properties_file();
        match &self.client {
            Some(client) => write_durably(&file, client.to_text().as_bytes())?,
            None => remove_file(&file)?,
        }
        Ok(())
    }

    /// What a connection to the Kafka outside of the stack takes.
    pub fn kafka_properties(&self) -> Properties {
        let client = self.client.as_ref();
        client.map(|client| client.kafka.clone()).unwrap_or_default()
    }

    /// The Kafka outside of the stack at that address.
    pub fn cluster_at(&self, kafka: &KafkaAddress) -> Cluster {
        Cluster {
            bootstrap_servers: kafka.to_string(),
            properties: self.kafka_properties(),
        }
    }

    /// The ksqlDB server outside of the stack, where the stack has none.
    pub fn remote_ksqldb(&self) -> Option<&HttpService> {
        let remote = self.client.as_ref()?.ksqldb.as_ref();
        remote.filter(|_| self.stack.first(Role::Ksqldb).is_none())
    }

    /// The Schema Registry outside of the stack, where the stack has none.
    pub fn remote_registry(&self) -> Option<&HttpService> {
        let remote = self.client.as_ref()?.registry.as_ref();
        remote.filter(|_| self.stack.first(Role::SchemaRegistry).is_none())
    }

    /// Whether there is a ksqlDB server, here or elsewhere.
    pub fn has_ksqldb(&self) -> bool {
        self.stack.first(Role::Ksqldb).is_some() || self.remote_ksqldb().is_some()
    }

    /// What the stack is called.
    pub fn stack_name(&self) -> String {
        match (&self.remembered.stack_file, &self.remembered.stack) {
            (Some(file), _) => file.path.display().to_string(),
            (None, Some(name)) => name.clone(),
            (None, None) => StackChoice::default().to_string(),
        }
    }

    async fn is_running_on_other_engine(&self, wanted: EngineKind) -> Result<bool> {
        if self.kind == wanted {
            return Ok(false);
        }
        Ok(!self.engine.observe().await?.services.is_empty())
    }

    /// The ports of services that are to be started, these ones as asked for.
    ///
    /// # Errors
    /// When two services are to have the same port, or none is free.
    pub async fn choose_ports(
        &self,
        kind: EngineKind,
        asked: &BTreeMap<ServiceName, u16>,
        observed: &Observed,
        publishers: &dyn Publishers,
    ) -> std::result::Result<Ports, PortError> {
        Ports::choose(Wishes {
            stack: &self.stack,
            asked,
            remembered: &self.remembered,
            observed,
            folder: &self.folder,
            listens: listens(kind),
            publishers,
        })
        .await
    }
}

/// An engine that can observe and stop.
fn engine(kind: EngineKind, folder: &ProjectFolder) -> Arc<dyn Engine> {
    match kind {
        EngineKind::Native => Arc::new(NativeEngine::new(folder.clone())),
        EngineKind::Docker => Arc::new(DockerEngine::new(folder.clone())),
        EngineKind::Fake => Arc::new(FakeEngine::new(folder.clone())),
    }
}

fn listens(kind: EngineKind) -> Listens {
    match kind {
        EngineKind::Native | EngineKind::Fake => Listens::Process,
        EngineKind::Docker => Listens::Daemon,
    }
}
