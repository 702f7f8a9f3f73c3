//! How images are got.

use std::path::PathBuf;
use std::time::Duration;

use crate::cli::{LockArgs, PullArgs};
use crate::error::Result;
use crate::images::{PullPolicy, RegistryPrefix, USUAL_SILENCE};
use crate::settings::source::Layers;
use crate::settings::{Setting, Settings, SettingsError, parse_duration};

/// The name of the lock file in the folder of all projects.
const LOCK_FILE: &str = "images.lock";

/// How images are got.
#[derive(Debug, Clone)]
pub struct ImageSettings {
    /// When they are pulled.
    pub policy: Setting<PullPolicy>,
    /// From which registry, where not from the one of their names.
    pub registry: Option<Setting<RegistryPrefix>>,
    /// How long a registry may be silent.
    pub silence: Setting<Duration>,
    /// Where it stands what they must be.
    pub lock_file: Setting<PathBuf>,
}

impl ImageSettings {
    /// What is typed, else the environment, else the settings file, else what is usual. Nothing of it is remembered.
    ///
    /// # Errors
    /// When a value cannot be.
    pub fn resolve(pull: &PullArgs, lock: &LockArgs, settings: &Settings) -> Result<Self> {
        let file = settings.file.as_ref();
        let registry = |text: &str| text.parse().map_err(SettingsError::Registry);
        Ok(Self {
            policy: Layers::typed(pull.policy.as_deref(), |text| {
                text.parse().map_err(SettingsError::Policy)
            })?
            .or_file(file, |file| file.pull)
            .or_default(PullPolicy::default()),
            registry: Layers::typed(pull.registry.as_deref(), registry)?
                .or_variable(&settings.environment.registry, registry)?
                .or_file(file, |file| file.registry.clone())
                .given(),
            silence: Layers::typed(pull.pull_silence.as_deref(), parse_duration)?
                .or_file(file, |file| file.pull_silence)
                .or_default(USUAL_SILENCE),
            lock_file: lock_file(lock, settings),
        })
    }
}

/// The lock file of the images that is in force.
pub fn lock_file(arguments: &LockArgs, settings: &Settings) -> Setting<PathBuf> {
    Layers::flag(arguments.lock_file.clone())
        .or_variable_path(&settings.environment.lock_file)
        .or_file(settings.file.as_ref(), |file| file.lock_file.clone())
        .or_default(settings.home.join(LOCK_FILE))
}
