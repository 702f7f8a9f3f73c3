//! What the demo asks for, fed directly: the engine's own example prints what one core does in a second.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};
use serde::Deserialize;

use crate::figure::{Figure, Report};

/// One line of the example's output.
#[derive(Deserialize)]
struct Measured {
    case: String,
    records_per_second: f64,
    stored_rows: f64,
}

/// Records a second, and what the window keeps of them.
pub(crate) fn measure(runs: usize, report: &mut Report) -> Result<()> {
    let folder = Path::new(env!("CARGO_BIN_EXE_osqdemo"))
        .parent()
        .context("the binary lies in no folder")?;
    let program = folder.join("examples").join("join_throughput");
    let mut measured = Vec::new();
    for _ in 0..runs {
        let output = Command::new(&program)
            .output()
            .with_context(|| format!("failed to run `{}`", program.display()))?;
        if !output.status.success() {
            let text = String::from_utf8_lossy(&output.stderr);
            bail!("`{}` failed: {text}", program.display());
        }
        for line in String::from_utf8_lossy(&output.stdout).lines() {
            measured.push(serde_json::from_str::<Measured>(line)?);
        }
    }
    let of = |case: &str, value: fn(&Measured) -> f64| {
        measured
            .iter()
            .filter(|one| one.case == case)
            .map(value)
            .collect::<Vec<f64>>()
    };
    let rate = |one: &Measured| one.records_per_second;
    let kept = |one: &Measured| one.stored_rows;
    for (name, case, wanted) in [
        (
            "lines through the filter and projection of `proc`",
            "proc",
            1_000_000.0,
        ),
        (
            "lines counted by host over a tumbling minute",
            "count",
            1_500_000.0,
        ),
        ("join of the original, both sides", "verbatim", 1_000_000.0),
        ("precise join, both sides", "precise", 1_000_000.0),
    ] {
        report.add(
            Figure::new(name, "records/s", of(case, rate))
                .at_least(wanted)
                .bound_by("one core"),
        );
    }
    report.add(Figure::new(
        "rows that the precise join keeps, of 2 million",
        "rows",
        of("precise", kept),
    ));
    Ok(())
}
