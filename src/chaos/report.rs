//! What came of a run, as data: for the table, for reports, and to run it again.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::check::{Finding, HostTally, StreamTally};
use super::fault::{FaultKind, Round};
use super::recovery::Recoveries;
use super::work::Work;

/// The most findings that a report has; the further ones are only counted.
pub const MOST_FINDINGS: usize = 200;

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Everything is as it must be.
    Passed,
    /// Something is not.
    Failed,
    /// The user ended it.
    Interrupted,
}

impl fmt::Display for Verdict {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Passed => "passed",
            Self::Failed => "failed",
            Self::Interrupted => "interrupted",
        })
    }
}

/// The report of a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChaosReport {
    /// The version of this shape.
    pub schema_version: u32,
    /// How it ended.
    pub verdict: Verdict,
    /// What the faults were drawn from.
    pub seed: u64,
    /// Which sorts they are of.
    pub faults: Vec<FaultKind>,
    /// The faults that were done.
    pub rounds: Vec<Round>,
    /// How long the run took, without what it took to bring the stack up and down, in milliseconds.
    pub elapsed_ms: u64,
    /// What the hosts did.
    pub work: Vec<Work>,
    /// What came of their lines.
    pub hosts: Vec<HostTally>,
    /// What came of the rows.
    pub streams: Vec<StreamTally>,
    /// How long each part took to be well again.
    pub recoveries: Vec<Recoveries>,
    /// How many committed positions were compared.
    pub positions_compared: u64,
    /// What must not be; the first [`MOST_FINDINGS`].
    pub findings: Vec<Finding>,
    /// How many that are in all.
    pub findings_in_all: u64,
    /// After how many faults the first of them showed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub smallest_prefix: Option<u32>,
}

/// What of a report is needed to run it again.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Replay {
    /// What the faults were drawn from.
    pub seed: u64,
    /// The faults.
    pub rounds: Vec<Round>,
}
