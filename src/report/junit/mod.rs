//! Reports as JUnit XML, as CI shows them: what each of them calls a test case.

mod chaos;
mod scenario;
mod smoke;

pub(super) use chaos::chaos_junit;
pub(super) use scenario::scenario_junit;
pub use smoke::{Phase, PhaseResult, smoke_junit};
