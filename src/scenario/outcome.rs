//! The result of a scenario, as its reports carry it. Data only.

use jiff::Timestamp;
use serde::{Serialize, Serializer};

use super::observation::Join;
use crate::events::Stage;

/// How a scenario ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Everything expected was seen, and nothing that must not be.
    Passed,
    /// Something was seen that must not be, or it could not be run.
    Failed,
    /// Something expected did not come before the deadline.
    TimedOut,
    /// The user ended it.
    Interrupted,
}

impl std::fmt::Display for Verdict {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(match self {
            Self::Passed => "passed",
            Self::Failed => "failed",
            Self::TimedOut => "timed out",
            Self::Interrupted => "interrupted",
        })
    }
}

/// A report of a scenario.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ScenarioReport {
    /// The version of this shape.
    pub schema_version: u32,
    /// The scenario's name.
    pub scenario: &'static str,
    /// How it ended.
    pub verdict: Verdict,
    /// The host that wrote.
    pub host: String,
    /// The path of the file on the host.
    pub file: String,
    /// How large it had to become.
    pub size_bytes: u64,
    /// How often the file was written: a second time, with the process held open, when the first process was
    /// gone before osquery looked.
    pub attempts: u32,
    /// The rows about the file, each different one once.
    pub rows: Vec<ReportedRow>,
    /// How many rows of the original's join name another host: the weakness that the precise join cures.
    pub misattributed_rows: u64,
    /// The timeline.
    pub stages: Vec<StageReport>,
    /// The services that ended or were started anew meanwhile.
    pub restarts: Vec<Restart>,
    /// Why it did not pass.
    pub error: Option<String>,
    /// The stage that the error belongs to.
    #[serde(skip)]
    pub failed_stage: Option<Stage>,
}

/// A row of one of the joins.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ReportedRow {
    /// The host of the process.
    pub host: String,
    /// The path of the program.
    pub proc: String,
    /// The path of the file.
    pub file: String,
    /// The join it came from.
    pub join: Join,
    /// How often it came.
    pub count: u64,
}

/// A service that ended or was started anew while the scenario ran.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Restart {
    /// The service.
    pub service: String,
    /// When it was started last: RFC 3339, UTC. Nothing where it did not run at the end.
    #[serde(serialize_with = "milliseconds")]
    pub at: Option<Timestamp>,
    /// How often it was started.
    pub times: u32,
    /// How it had ended the last time, or that it was asked to.
    pub cause: String,
}

impl std::fmt::Display for Restart {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.at {
            Some(at) => write!(formatter, "started again at {}", at.strftime("%H:%M:%S.%3f"))?,
            None => formatter.write_str("ended, and did not run at the end")?,
        }
        if self.times > 1 {
            write!(formatter, ", {} times in all", self.times)?;
        }
        write!(formatter, ": {}", self.cause)
    }
}

/// A stage of the timeline.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct StageReport {
    /// The stage.
    pub name: Stage,
    /// When it was complete: RFC 3339, UTC.
    #[serde(serialize_with = "milliseconds")]
    pub at: Option<Timestamp>,
    /// How often something of it was seen.
    pub count: u64,
    /// How long after the stage before it.
    pub latency_ms: Option<i64>,
}

impl ScenarioReport {
    /// The first stage that is not complete.
    pub fn first_missing_stage(&self) -> Option<Stage> {
        self.stages
            .iter()
            .find(|stage| stage.at.is_none())
            .map(|stage| stage.name)
    }
}

fn milliseconds<S: Serializer>(at: &Option<Timestamp>, serializer: S) -> Result<S::Ok, S::Error> {
    match at {
        Some(at) => serializer.serialize_some(&format!("{at:.3}")),
        None => serializer.serialize_none(),
    }
}
