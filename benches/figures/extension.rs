//! The osquery extension: what its spool costs, and how fast a spool drains. The extension's own example plays osqueryd
//! and prints what it measures.

use anyhow::Result;
use serde::Deserialize;

use crate::example::run;
use crate::figure::{Figure, Report};

/// One line of the example's output.
#[derive(Deserialize)]
struct Measured {
    case: String,
    figure: String,
    value: f64,
}

/// What costs a line nothing but osqueryd's protocol; the extension without its spool, and with it.
const NOTHING: &str = "nothing";
const WITHOUT: &str = "without a spool";
const WITH: &str = "with the spool";

/// Rates, CPU and memory side by side, and the drain of a million lines.
pub(crate) fn measure(runs: usize, report: &mut Report) -> Result<()> {
    let mut measured = Vec::new();
    for part in ["rates", "drain"] {
        for _ in 0..runs {
            measured.extend(run::<Measured>("line_throughput", &[part])?);
        }
    }
    let of = |case: &str, figure: &str| -> Vec<f64> {
        let found = measured
            .iter()
            .filter(|one| one.case == case && one.figure == figure);
        found.map(|one| one.value).collect()
    };
    for round_trip in ["0 ms", "5 ms"] {
        let of = |case: &str, figure: &str| of(&format!("{case}, {round_trip}"), figure);
        let pairs = |figure: &str| {
            let pairs = of(WITH, figure).into_iter().zip(of(WITHOUT, figure));
            pairs.collect::<Vec<(f64, f64)>>()
        };
        for case in [NOTHING, WITHOUT, WITH] {
            let name = format!("lines taken, {case}, broker at {round_trip}");
            report.add(Figure::new(name, "lines/s", of(case, "lines_per_second")));
        }
        let share = pairs("lines_per_second")
            .iter()
            .map(|(with, without)| with / without * 100.0)
            .collect();
        let name = format!("lines taken with the spool, of those without, broker at {round_trip}");
        report.add(Figure::new(name, "%", share).at_least(90.0));
        let more = pairs("cpu_us_per_line")
            .iter()
            .map(|(with, without)| with - without)
            .collect();
        let name = format!("CPU of a line that the spool adds, broker at {round_trip}");
        report.add(Figure::new(name, "µs", more).at_most(5.0));
        let name = format!("answer to a line, 99th percentile, broker at {round_trip}");
        report.add(Figure::new(name, "µs", of(WITH, "answer_p99_us")).at_most(300.0));
        let protocol = of(NOTHING, "cpu_us_per_line")
            .into_iter()
            .zip(of(WITH, "cpu_us_per_line"));
        let share = protocol.map(|(nothing, with)| nothing / with * 100.0).collect();
        let name = format!("share of a line's CPU that is osqueryd's protocol, broker at {round_trip}");
        report.add(Figure::new(name, "%", share));
        let name = format!("resident after the lines, broker at {round_trip}");
        report.add(Figure::new(name, "MB", of(WITH, "resident_mb")).at_most(8.0));
    }
    report.add(Figure::new("start until it answers", "ms", of(WITH, "ready_ms")).at_most(10.0));
    let rate = of("drain", "lines_per_second");
    report.add(Figure::new("a million spooled lines, drained", "lines/s", rate).at_least(50_000.0));
    report.add(Figure::new(
        "resident before that",
        "MB",
        of("drain", "resident_before_mb"),
    ));
    report.add(Figure::new(
        "resident at most, with that",
        "MB",
        of("drain", "resident_most_mb"),
    ));
    Ok(())
}
