//! A project as the verbs see it: its folder, the services it has, and the engine that runs it.

mod hosts;
mod publishers;
mod wanted;

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::cli::StackArgs;
use crate::commands::Context;
use crate::commands::request::{
    EngineKind, RequestError, StackChoice, parse_without, stack_of, whole_stack_of,
};
use crate::engine::Engine;
use crate::engine::docker::DockerEngine;
use crate::engine::fake::FakeEngine;
use crate::engine::native::NativeEngine;
use crate::error::Result;
use crate::plan::Observed;
use crate::ports::{Listens, PortError, Ports, Publishers, Wishes};
use crate::stack::{ServiceName, Stack};
use crate::state::{ProjectFolder, Remembered};

pub use hosts::ProjectHosts;
pub use publishers::DaemonPublishers;
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
        let kind = engine_of(&remembered)?;
        let engine = engine(kind, &folder);
        Ok(Self {
            stack: stack_of(&remembered)?,
            folder,
            remembered,
            kind,
            engine,
        })
    }

    /// The current project with the stack that was asked for: on the command line, else in the settings file, else as
    /// it is remembered.
    ///
    /// # Errors
    /// When this version does not have the stack, or a service cannot be left out of it.
    pub fn asked_for(context: &Context, arguments: &StackArgs) -> Result<Self> {
        let mut project = Self::open(context)?;
        let before = project.stack_name();
        match StackChoice::of(arguments)? {
            StackChoice::Remembered => {}
            StackChoice::Named(name) => {
                project.remembered.stack = Some(name);
                project.remembered.stack_file = None;
            }
            StackChoice::File(file) => {
                project.remembered.stack = None;
                project.remembered.stack_file = Some(file);
            }
        }
        let whole = whole_stack_of(&project.remembered)?;
        let settings = &context.settings;
        let of_file = match &settings.file {
            Some(file) => file.without(&whole, settings.stack_origin())?,
            None => None,
        };
        if let Some(without) = parse_without(&arguments.without).or(of_file) {
            project.remembered.without = without;
        } else if project.stack_name() != before {
            // Another stack has other services.
            project.remembered.without.clear();
        }
        project.stack = whole.without(&project.remembered.without)?;
        Ok(project)
    }

    /// What the stack is called.
    pub fn stack_name(&self) -> String {
        match (&self.remembered.stack_file, &self.remembered.stack) {
            (Some(file), _) => file.path.display().to_string(),
            (None, Some(name)) => name.clone(),
            (None, None) => "lite".to_owned(),
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

fn engine_of(remembered: &Remembered) -> std::result::Result<EngineKind, RequestError> {
    remembered
        .engine
        .as_deref()
        .map_or(Ok(EngineKind::Native), EngineKind::parse)
}

fn listens(kind: EngineKind) -> Listens {
    match kind {
        EngineKind::Native | EngineKind::Fake => Listens::Process,
        EngineKind::Docker => Listens::Daemon,
    }
}
