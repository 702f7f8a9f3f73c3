//! The figures of the README, measured side by side in one run: `make bench`.
//!
//! Each figure is the median of at least five samples and stands beside its target. The table goes to
//! standard error as it grows; the whole result goes to standard output as one JSON document. Nothing here
//! fails because a number is high: the machine may be busy, so the reader judges.

mod figure;
mod latency;
mod orchestration;
mod processes;
mod rest;
mod stack;
mod throughput;

use std::process::ExitCode;

use figure::Report;

/// Samples per figure.
const RUNS: usize = 5;

fn main() -> ExitCode {
    let mut report = Report::default();
    let outcome = orchestration::measure(RUNS, &mut report)
        .and_then(|()| latency::measure(RUNS, &mut report))
        .and_then(|()| rest::measure(RUNS, &mut report))
        .and_then(|()| throughput::measure(RUNS, &mut report));
    report.print();
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            report.note(&format!("error: {error:#}"));
            ExitCode::FAILURE
        }
    }
}
