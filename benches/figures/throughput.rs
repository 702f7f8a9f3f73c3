//! The join, fed directly: the engine's own example prints what one core joins in a second.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};
use serde::Deserialize;

use crate::figure::{Report, Target};

#[derive(Deserialize)]
struct Measured {
    records_per_second: f64,
    peak_memory_mib: f64,
}

/// Records a second, and the memory that the window took.
pub fn measure(runs: usize, report: &mut Report) -> Result<()> {
    let folder = Path::new(env!("CARGO_BIN_EXE_osqdemo"))
        .parent()
        .context("the binary lies in no folder")?;
    let program = folder.join("examples").join("join_throughput");
    let (mut rates, mut memory) = (Vec::new(), Vec::new());
    for _ in 0..runs {
        let output = Command::new(&program)
            .output()
            .with_context(|| format!("failed to run `{}`", program.display()))?;
        if !output.status.success() {
            bail!(
                "`{}` failed: {}",
                program.display(),
                String::from_utf8_lossy(&output.stderr)
            );
        }
        let measured: Measured = serde_json::from_slice(&output.stdout)?;
        rates.push(measured.records_per_second);
        memory.push(measured.peak_memory_mib);
    }
    report.add(
        "stream-stream join, records of both sides",
        "records/s",
        Some(Target::AtLeast(300_000.0)),
        rates,
    );
    report.add("peak memory of that join", "MiB", None, memory);
    Ok(())
}
