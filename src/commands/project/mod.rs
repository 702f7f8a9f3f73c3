//! A project as the verbs see it: its folder, the services it has, and the engine that runs it.

mod hosts;
mod publishers;
mod request;
mod wanted;

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::commands::Context;
use crate::engine::docker::DockerEngine;
use crate::engine::fake::FakeEngine;
use crate::engine::native::NativeEngine;
use crate::engine::{Engine, EngineKind};
use crate::error::Result;
use crate::plan::Observed;
use crate::ports::{Listens, PortError, Ports, Publishers, Wishes};
use crate::settings::{
    Source, StackChoice, StackSettings, remembered_engine, remembered_kafka, remembered_stack,
};
use crate::stack::{ServiceName, Stack};
use crate::state::{ProjectFolder, Remembered};

pub use hosts::ProjectHosts;
pub use publishers::DaemonPublishers;
pub use request::{HostConfigChoice, PortsRequest, Request};
pub use wanted::{Means, Wanted};

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
        Ok(Self {
            stack: whole.without(&remembered.without)?,
            folder,
            remembered,
            kind,
            engine,
        })
    }

    /// The same project with this stack.
    #[must_use]
    pub fn with_stack(mut self, settings: &StackSettings) -> Self {
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
        self.stack = settings.stack.clone();
        self
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
