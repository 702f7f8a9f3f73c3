//! What each verb is told, one struct a verb: the verbs see these values, never the strings that were typed.

use std::path::PathBuf;
use std::time::Duration;

use crate::cli::{
    BigfileArgs, BuildArgs, BundleArgs, ConfigShowArgs, DoctorArgs, ImagesArgs, ImagesCommand, ProbeArgs,
    PullArgs, SmokeArgs, UpArgs, WaitArgs,
};
use crate::error::Result;
use crate::settings::scenario::USUAL_TIMEOUT_OF_SMOKE;
use crate::settings::source::Layers;
use crate::settings::up::source;
use crate::settings::{
    ImageSettings, OsquerySettings, ProgramSource, RunSettings, ScenarioSettings, Setting, Settings,
    SettingsError, StackSettings, TargetSettings, lock_file, parse_duration,
};
use crate::stack::Probe;
use crate::state::Remembered;

/// How long `wait` waits unless the user says otherwise.
const USUAL_WAIT: Duration = Duration::from_secs(60);

/// `osqdemo up`.
#[derive(Debug, Clone)]
pub struct UpSettings {
    /// How the stack is run.
    pub run: RunSettings,
    /// What becomes of what was started, should something fail.
    pub on_failure: OnFailure,
}

/// What becomes of what was started, should something fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnFailure {
    /// It is stopped.
    TakeBack,
    /// It is left for a look.
    Keep,
}

/// `osqdemo doctor`.
#[derive(Debug, Clone)]
pub struct DoctorSettings {
    /// What is to be run.
    pub target: TargetSettings,
    /// How images are got.
    pub images: ImageSettings,
}

/// `osqdemo smoke`.
#[derive(Debug, Clone)]
pub struct SmokeSettings {
    /// How the stack is run.
    pub run: RunSettings,
    /// What the scenario is run with.
    pub scenario: ScenarioSettings,
    /// Where a report for CI services goes.
    pub report: Option<PathBuf>,
    /// Where everything for a report of a failure goes.
    pub bundle: Option<PathBuf>,
}

/// `osqdemo build`.
#[derive(Debug, Clone)]
pub struct BuildSettings {
    /// What the hosts' image runs.
    pub osquery: OsquerySettings,
    /// What the images are made of.
    pub source: Setting<ProgramSource>,
    /// Whether also what is up to date is made.
    pub force: bool,
}

/// `osqdemo images`.
#[derive(Debug, Clone)]
pub struct ImagesSettings {
    /// Whose images.
    pub stack: StackSettings,
    /// How they are got.
    pub images: ImageSettings,
    /// What to do with them.
    pub action: ImagesAction,
}

/// What to do with images.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ImagesAction {
    /// Show them.
    List,
    /// Pull those that come from registries.
    Pull,
    /// Write down their content.
    Lock,
    /// Write them into this file.
    Save(PathBuf),
    /// Read them from this file.
    Load(PathBuf),
}

/// `osqdemo wait`.
#[derive(Debug, Clone)]
pub struct WaitSettings {
    /// How long to wait.
    pub limit: Setting<Duration>,
    /// For which services; all, where none is named.
    pub services: Vec<String>,
}

/// `osqdemo probe`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProbeSettings {
    /// How to ask.
    pub probe: Probe,
    /// Whom: `HOST:PORT`.
    pub address: String,
}

impl ProbeSettings {
    /// What is typed.
    ///
    /// # Errors
    /// When there is no such probe, or an address is not enough for it.
    pub fn resolve(arguments: &ProbeArgs) -> std::result::Result<Self, SettingsError> {
        let asked_by_address = || Probe::ALL.into_iter().filter(|probe| *probe != Probe::Host);
        let probe = asked_by_address()
            .find(|probe| probe.as_str() == arguments.probe)
            .ok_or_else(|| SettingsError::Probe {
                text: arguments.probe.clone(),
                known: asked_by_address().map(Probe::as_str).collect(),
            })?;
        Ok(Self {
            probe,
            address: arguments.address.clone(),
        })
    }
}

/// `osqdemo bundle`.
#[derive(Debug, Clone)]
pub struct BundleSettings {
    /// The file, where the user names one.
    pub output: Option<PathBuf>,
    /// The lock file of the images.
    pub lock_file: Setting<PathBuf>,
}

/// `osqdemo config show`.
#[derive(Debug, Clone)]
pub struct ShowSettings {
    /// How a stack would be run.
    pub run: RunSettings,
    /// What a scenario would be run with.
    pub scenario: ScenarioSettings,
}

impl UpSettings {
    /// Every setting from the place that has the word.
    ///
    /// # Errors
    /// When a value cannot be, or two of them do not go together.
    pub fn resolve(arguments: &UpArgs, settings: &Settings, remembered: &Remembered) -> Result<Self> {
        Ok(Self {
            run: RunSettings::resolve(&arguments.run, settings, remembered)?,
            on_failure: if arguments.keep {
                OnFailure::Keep
            } else {
                OnFailure::TakeBack
            },
        })
    }
}

impl DoctorSettings {
    /// Every setting from the place that has the word.
    ///
    /// # Errors
    /// When a value cannot be.
    pub fn resolve(arguments: &DoctorArgs, settings: &Settings, remembered: &Remembered) -> Result<Self> {
        Ok(Self {
            target: TargetSettings::resolve(&arguments.target, settings, remembered)?,
            images: ImageSettings::resolve(&arguments.pull, &arguments.lock, settings)?,
        })
    }
}

impl SmokeSettings {
    /// Every setting from the place that has the word.
    ///
    /// # Errors
    /// When a value cannot be, or two of them do not go together.
    pub fn resolve(arguments: &SmokeArgs, settings: &Settings, remembered: &Remembered) -> Result<Self> {
        let bigfile = BigfileArgs {
            size: arguments.size.clone(),
            host: arguments.host.clone(),
            timeout: arguments.scenario_timeout.clone(),
            ..BigfileArgs::default()
        };
        Ok(Self {
            run: RunSettings::resolve(&arguments.run, settings, remembered)?,
            scenario: ScenarioSettings::within(USUAL_TIMEOUT_OF_SMOKE, &bigfile, settings)?,
            report: arguments.report.as_deref().map(junit_file).transpose()?,
            bundle: arguments.bundle.clone(),
        })
    }
}

impl BuildSettings {
    /// What is typed, else what the settings file says. The images belong to no project: nothing is remembered.
    ///
    /// # Errors
    /// When a value cannot be.
    pub fn resolve(arguments: &BuildArgs, settings: &Settings) -> Result<Self> {
        let nothing = Remembered::default();
        Ok(Self {
            osquery: OsquerySettings::resolve(&arguments.osquery, settings, &nothing)?,
            source: source(&arguments.source, settings, &nothing),
            force: arguments.force,
        })
    }
}

impl ImagesSettings {
    /// Every setting from the place that has the word.
    ///
    /// # Errors
    /// When a value cannot be.
    pub fn resolve(arguments: &ImagesArgs, settings: &Settings, remembered: &Remembered) -> Result<Self> {
        let usual = PullArgs::default();
        let (pull, action) = match &arguments.command {
            None => (&usual, ImagesAction::List),
            Some(ImagesCommand::List(pull)) => (pull, ImagesAction::List),
            Some(ImagesCommand::Pull(pull)) => (pull, ImagesAction::Pull),
            Some(ImagesCommand::Lock(pull)) => (pull, ImagesAction::Lock),
            Some(ImagesCommand::Save(file)) => (&usual, ImagesAction::Save(file.file.clone())),
            Some(ImagesCommand::Load(file)) => (&usual, ImagesAction::Load(file.file.clone())),
        };
        Ok(Self {
            stack: StackSettings::resolve(&arguments.stack, settings, remembered)?,
            images: ImageSettings::resolve(pull, &arguments.lock, settings)?,
            action,
        })
    }
}

impl WaitSettings {
    /// What is typed. The settings file's `timeout` is about starting, not about waiting for what runs already.
    ///
    /// # Errors
    /// When the time cannot be one.
    pub fn resolve(arguments: WaitArgs) -> Result<Self> {
        Ok(Self {
            limit: Layers::typed(arguments.timeout.as_deref(), parse_duration)?.or_default(USUAL_WAIT),
            services: arguments.services,
        })
    }
}

impl BundleSettings {
    /// Every setting from the place that has the word.
    pub fn resolve(arguments: BundleArgs, settings: &Settings) -> Self {
        Self {
            lock_file: lock_file(&arguments.lock, settings),
            output: arguments.output,
        }
    }
}

impl ShowSettings {
    /// Every setting from the place that has the word.
    ///
    /// # Errors
    /// When a value cannot be, or two of them do not go together.
    pub fn resolve(arguments: &ConfigShowArgs, settings: &Settings, remembered: &Remembered) -> Result<Self> {
        let bigfile = BigfileArgs {
            size: arguments.size.clone(),
            host: arguments.host.clone(),
            timeout: arguments.scenario_timeout.clone(),
            ..BigfileArgs::default()
        };
        Ok(Self {
            run: RunSettings::resolve(&arguments.run, settings, remembered)?,
            scenario: ScenarioSettings::resolve(&bigfile, settings)?,
        })
    }
}

/// Reads `junit=FILE`.
fn junit_file(text: &str) -> std::result::Result<PathBuf, SettingsError> {
    match text.strip_prefix("junit=") {
        Some(path) if !path.is_empty() => Ok(PathBuf::from(path)),
        _ => Err(SettingsError::SmokeReport {
            text: text.to_owned(),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_probe_is_known_by_its_name_and_needs_no_more_than_an_address() {
        let resolve = |probe: &str| {
            ProbeSettings::resolve(&ProbeArgs {
                probe: probe.to_owned(),
                address: "127.0.0.1:9092".to_owned(),
            })
        };
        assert_eq!(
            resolve("kafka").map(|settings| settings.probe).ok(),
            Some(Probe::Kafka)
        );
        for probe in ["host", "kaf", ""] {
            let told = resolve(probe).unwrap_err().to_string();
            assert!(
                told.starts_with(&format!(
                    "there is no probe `{probe}`; the probes are kafka, ksqldb, "
                )),
                "{told}"
            );
            assert!(!told.contains(", host"), "{told}");
        }
    }
}
