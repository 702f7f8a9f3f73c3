//! Scenarios: something happens on a host, and the pipeline must tell it rightly.
//!
//! A scenario passes only on data that it produced itself in this run. What has been seen and what it means is
//! decided by a state machine without I/O ([`progress`]); the files beside it talk to the host, the broker and
//! ksqlDB. Must not know where the stack runs: hosts are reached through [`crate::engine::HostExec`].

pub mod bigfile;
pub mod error;
pub mod observation;
pub mod outcome;
pub mod progress;

mod host_commands;
mod pipeline;
mod push_query;
pub mod restarts;
mod steady_clock;

/// A scenario that can be run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
pub struct ScenarioSummary {
    /// Its name on the command line.
    pub name: &'static str,
    /// What it shows, in a sentence.
    pub about: &'static str,
}

/// Every scenario there is.
pub const SCENARIOS: &[ScenarioSummary] = &[ScenarioSummary {
    name: bigfile::NAME,
    about: "a process on a host writes a large file; the joined row must name host, process and file",
}];
