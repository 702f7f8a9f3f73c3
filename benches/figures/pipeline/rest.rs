//! What the whole stack costs while it only watches: both hosts poll every second.

use std::time::{Duration, Instant};

use anyhow::Result;

use super::processes::{TICKS_PER_SECOND, usage_of};
use crate::figure::{Figure, Report};
use crate::stack::{BenchStack, Engine};
use crate::waiting::leave_alone;

/// How long one sample watches.
const WINDOW: Duration = Duration::from_secs(10);

/// Resident memory, and the share of one core.
pub(crate) fn measure(runs: usize, report: &mut Report) -> Result<()> {
    let stack = BenchStack::new(Engine::Native)?;
    stack.up()?;
    let (mut memory, mut processor) = (Vec::new(), Vec::new());
    for _ in 0..runs {
        let begun = Instant::now();
        let before = usage_of(&stack.home());
        leave_alone(WINDOW);
        let after = usage_of(&stack.home());
        memory.push(after.resident_kib / 1024.0);
        let seconds = (after.ticks - before.ticks) / TICKS_PER_SECOND;
        processor.push(100.0 * seconds / begun.elapsed().as_secs_f64());
    }
    report.add(Figure::new("resident memory of the whole stack, at rest", "MiB", memory).at_most(200.0));
    report.add(
        Figure::new(
            "processor time of the whole stack, at rest",
            "% of a core",
            processor,
        )
        .at_most(3.0),
    );
    Ok(())
}
