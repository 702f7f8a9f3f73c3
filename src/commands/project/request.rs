//! What is wanted of a project in one run: its settings, with the files that they name read.

use std::collections::BTreeMap;

use crate::commands::images;
use crate::commands::project::Project;
use crate::engine::docker::{Connection, PullSettings};
use crate::engine::{EngineKind, OsquerydChoice};
use crate::error::Result;
use crate::host_config::{AddedPacks, HostConfig, ShippedPacks};
use crate::settings::{HostConfigSource, RunSettings, Source};
use crate::stack::ServiceName;

/// What is wanted of a project in one run.
#[derive(Debug, Clone)]
pub struct Request {
    /// How it is to be run.
    pub settings: RunSettings,
    /// The ports of the services.
    pub ports: PortsRequest,
    /// The configuration of the hosts.
    pub host_config: HostConfigChoice,
    /// Why osquery's package cannot be had, where that was tried.
    pub osquery_unavailable: Option<String>,
    /// How images of registries are got.
    pub pull: PullSettings,
}

/// The ports of the services.
#[derive(Debug, Clone)]
pub enum PortsRequest {
    /// As the project has them.
    AsTheyAre,
    /// Chosen for services that are to be started, these ones as asked for: 0 keeps the one it has, or picks a free
    /// one.
    Choose(BTreeMap<ServiceName, u16>),
}

/// The configuration of the hosts, as it was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HostConfigChoice {
    /// The remembered one, else the default.
    Remembered,
    /// The default.
    Default,
    /// One of the user's.
    File(HostConfig),
    /// One of these, with packs.
    WithPacks(Box<Self>, AddedPacks),
}

impl Request {
    /// What these settings ask for; `host_config` is what they name.
    ///
    /// # Errors
    /// When the lock file of the images cannot be read.
    pub fn of(settings: RunSettings, host_config: HostConfigChoice) -> Result<Self> {
        Ok(Self {
            ports: PortsRequest::Choose(settings.target.asked_ports()),
            host_config,
            osquery_unavailable: None,
            pull: images::pull_settings(&settings.images)?,
            settings,
        })
    }

    /// The project as it is.
    ///
    /// # Errors
    /// When this version does not have what the project remembers.
    pub fn as_it_is(project: &Project) -> Result<Self> {
        Ok(Self {
            settings: RunSettings::as_remembered(&project.remembered, project.folder.home())?,
            ports: PortsRequest::AsTheyAre,
            host_config: HostConfigChoice::Remembered,
            osquery_unavailable: None,
            pull: PullSettings::usual(),
        })
    }
}

impl HostConfigChoice {
    /// What the settings name, read.
    ///
    /// # Errors
    /// When the file, or a pack, cannot be used.
    pub async fn read(settings: &RunSettings) -> Result<Self> {
        let choice = match (&settings.host_config.value, &settings.host_config.source) {
            // What is remembered is what was read then.
            (_, Source::Remembered | Source::Default) => Self::Remembered,
            (HostConfigSource::Default, _) => Self::Default,
            (HostConfigSource::File(path), _) => HostConfig::read(path).map(Self::File)?,
        };
        if settings.packs.is_empty() {
            return Ok(choice);
        }
        let shipped = shipped_packs(settings).await?;
        let packs = AddedPacks::read(&settings.packs, settings.pack_path.as_deref(), &shipped)?;
        Ok(Self::WithPacks(Box::new(choice), packs))
    }

    /// Whether something is read that has to be checked.
    pub fn is_new(&self) -> bool {
        matches!(self, Self::File(_) | Self::WithPacks(..))
    }

    /// What becomes of it, beside what is remembered.
    pub fn or(&self, remembered: Option<&HostConfig>) -> Option<HostConfig> {
        match self {
            Self::Remembered => remembered.cloned(),
            Self::Default => None,
            Self::File(own) => Some(own.clone()),
            Self::WithPacks(base, packs) => Some(packs.added_to(base.or(remembered))),
        }
    }
}

/// The packs of the osquery that the hosts run: on this machine, or in their image.
async fn shipped_packs(settings: &RunSettings) -> Result<ShippedPacks> {
    if settings.target.engine.value == EngineKind::Docker {
        let packs = Connection::open().await?.osquery_packs().await?;
        return Ok(ShippedPacks::Read(packs));
    }
    Ok(ShippedPacks::of_this_machine(
        match &settings.osquery.osqueryd.value {
            OsquerydChoice::Path(program) => Some(program),
            _ => None,
        },
    ))
}
