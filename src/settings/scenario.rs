//! What a scenario is run with. Whether the stack has the host is not known here.

use std::path::PathBuf;
use std::time::Duration;

use crate::cli::BigfileArgs;
use crate::error::Result;
use crate::scenario::error::ScenarioError;
use crate::settings::source::Layers;
use crate::settings::{Setting, Settings, parse_duration, parse_size};

/// The size of the scenario's file unless the user says otherwise.
const USUAL_SIZE: u64 = 1 << 30;

/// How long a scenario may take unless the user says otherwise.
pub(super) const USUAL_TIMEOUT: Duration = Duration::from_secs(60);

/// The same in a smoke test: the machines of CI services are slow.
pub(super) const USUAL_TIMEOUT_OF_SMOKE: Duration = Duration::from_secs(120);

/// `osqdemo scenario bigfile`.
#[derive(Debug, Clone)]
pub struct ScenarioSettings {
    /// The size of the file, in bytes; never 0.
    pub size: Setting<u64>,
    /// The host that writes it, where somebody names one.
    pub host: Option<Setting<String>>,
    /// How long all of it may take.
    pub timeout: Setting<Duration>,
    /// Whether what happens is written to the topic of runs also where the broker is not osqdemo's own.
    pub publish: bool,
    /// The reports to write.
    pub reports: Vec<ReportTarget>,
}

/// A report to write, and where to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReportTarget {
    /// In which form.
    pub format: ReportFormat,
    /// The file.
    pub path: PathBuf,
}

/// The form of a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReportFormat {
    /// Everything, for programs.
    Json,
    /// For CI services.
    Junit,
}

impl ScenarioSettings {
    /// What is typed, else what the settings file says, else what is usual. Nothing of it is remembered.
    ///
    /// # Errors
    /// When a value cannot be.
    pub fn resolve(arguments: &BigfileArgs, settings: &Settings) -> Result<Self> {
        Self::within(USUAL_TIMEOUT, arguments, settings)
    }

    /// The same with another usual time.
    pub(super) fn within(
        usual_timeout: Duration,
        arguments: &BigfileArgs,
        settings: &Settings,
    ) -> Result<Self> {
        let file = settings.file.as_ref();
        Ok(Self {
            size: Layers::typed(arguments.size.as_deref(), size)?
                .or_file(file, |file| file.scenario_size)
                .or_default(USUAL_SIZE),
            host: Layers::flag(arguments.host.clone())
                .or_file(file, |file| file.scenario_host.clone())
                .given(),
            timeout: Layers::typed(arguments.timeout.as_deref(), parse_duration)?
                .or_file(file, |file| file.scenario_timeout)
                .or_default(usual_timeout),
            publish: arguments.publish,
            reports: arguments
                .report
                .iter()
                .map(|text| ReportTarget::parse(text))
                .collect::<std::result::Result<_, _>>()?,
        })
    }
}

impl ReportTarget {
    /// Reads `json=FILE` or `junit=FILE`.
    ///
    /// # Errors
    /// [`ScenarioError::ReportForm`] when it is neither.
    pub fn parse(text: &str) -> std::result::Result<Self, ScenarioError> {
        let format = |word: &str| match word {
            "json" => Some(ReportFormat::Json),
            "junit" => Some(ReportFormat::Junit),
            _ => None,
        };
        text.split_once('=')
            .filter(|(_, path)| !path.is_empty())
            .and_then(|(word, path)| {
                Some(Self {
                    format: format(word)?,
                    path: PathBuf::from(path),
                })
            })
            .ok_or_else(|| ScenarioError::ReportForm {
                text: text.to_owned(),
            })
    }
}

fn size(text: &str) -> Result<u64> {
    match parse_size(text)? {
        0 => Err(ScenarioError::ZeroSize.into()),
        size => Ok(size),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_has_a_form_and_a_file() {
        for wrong in ["", "json", "xml=x", "json="] {
            let error = ReportTarget::parse(wrong).unwrap_err();
            assert!(matches!(error, ScenarioError::ReportForm { .. }), "{wrong}");
        }
        let right = ReportTarget::parse("junit=a=b.xml").unwrap();
        assert_eq!(
            (right.format, right.path),
            (ReportFormat::Junit, "a=b.xml".into())
        );
    }

    #[test]
    fn wrong_values_are_usage_errors() {
        let error = |arguments: BigfileArgs| {
            let failure =
                ScenarioSettings::resolve(&arguments, &Settings::silent("/home".into())).unwrap_err();
            let code = failure.diagnosis().exit_code() as u8;
            format!("{failure} exit {code}")
        };
        let size = |text: &str| BigfileArgs {
            size: Some(text.to_owned()),
            ..BigfileArgs::default()
        };
        let timeout = BigfileArgs {
            timeout: Some("soon".to_owned()),
            ..BigfileArgs::default()
        };
        insta::assert_snapshot!(error(size("0")), @"the size of the file must be at least 1 byte exit 2");
        insta::assert_snapshot!(error(size("1X")), @"`1X` is not a size such as `4096`, `64M` or `1G` exit 2");
        insta::assert_snapshot!(error(timeout), @"`soon` is not a duration such as `500ms`, `30s`, `2m` or `1m30s` exit 2");
    }
}
