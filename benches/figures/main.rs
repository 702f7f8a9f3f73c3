//! The figures of the README, measured side by side in one run: `make bench`.
//!
//! Each figure is the median of at least five samples and stands beside its target. The table goes to
//! standard error as it grows; the whole result goes to standard output as one JSON document. Nothing here
//! fails because a number is high: the machine may be busy, so the reader judges. The names of measurements as
//! arguments run only those: `cargo bench --bench figures -- native docker`.

mod docker;
mod figure;
mod latency;
mod orchestration;
mod processes;
mod rest;
mod stack;
mod throughput;

use std::process::ExitCode;

use anyhow::Result;
use figure::Report;
use stack::Engine;

/// Samples per figure.
const RUNS: usize = 5;

type Measurement = fn(usize, &mut Report) -> Result<()>;

/// Everything that is measured.
const MEASUREMENTS: [(&str, Measurement); 5] = [
    ("native", |runs, report| {
        orchestration::measure(Engine::Native, runs, report)
    }),
    ("docker", docker::measure),
    ("latency", latency::measure),
    ("rest", rest::measure),
    ("throughput", throughput::measure),
];

fn main() -> ExitCode {
    // Cargo adds `--bench`.
    let named: Vec<String> = std::env::args()
        .skip(1)
        .filter(|argument| !argument.starts_with('-'))
        .collect();
    let mut report = Report::default();
    let outcome = MEASUREMENTS
        .iter()
        .filter(|(name, _)| named.is_empty() || named.iter().any(|named| named == name))
        .try_for_each(|(_, measure)| measure(RUNS, &mut report));
    report.print();
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            report.note(&format!("error: {error:#}"));
            ExitCode::FAILURE
        }
    }
}
