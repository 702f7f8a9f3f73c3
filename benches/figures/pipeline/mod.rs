//! The whole pipeline on the native engine: how long `up` and `down` take, how long a line of osquery's takes to the
//! joined row, and what everything costs while it only watches.

mod latency;
pub(crate) mod processes;
mod rest;

use anyhow::Result;

use crate::figure::Report;
use crate::orchestration;
use crate::stack::Engine;

/// Orchestration, latency, rest.
pub(crate) fn measure(runs: usize, report: &mut Report) -> Result<()> {
    orchestration::measure(Engine::Native, runs, report)?;
    latency::measure(runs, report)?;
    rest::measure(runs, report)
}
