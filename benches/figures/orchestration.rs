//! How long `up` and `down` take.

use anyhow::Result;

use crate::figure::{Report, Target};
use crate::stack::BenchStack;

/// Cold `up`, `up` with nothing to do, `down`.
pub(crate) fn measure(runs: usize, report: &mut Report) -> Result<()> {
    let (mut cold, mut idle, mut down) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..runs {
        let stack = BenchStack::new()?;
        cold.push(stack.up()?.as_secs_f64());
        idle.push(stack.run(&["up"])?.1.as_secs_f64());
        down.push(stack.run(&["down"])?.1.as_secs_f64());
    }
    report.add(
        "`up` until everything is healthy",
        "s",
        Some(Target::AtMost(2.0)),
        cold,
    );
    report.add("`up` with nothing to do", "s", None, idle);
    report.add("`down`", "s", Some(Target::AtMost(1.0)), down);
    Ok(())
}
