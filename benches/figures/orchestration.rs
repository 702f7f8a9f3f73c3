//! How long `up` and `down` take on an engine, and how much of it is osqdemo's own.

use std::collections::BTreeMap;
use std::process::Output;

use anyhow::{Context, Result};
use serde_json::Value;

use crate::figure::{Figure, Report};
use crate::stack::{BenchStack, Engine};

/// What is wanted of an engine, in seconds.
struct Wanted {
    cold: f64,
    idle: Option<f64>,
    changed: Option<f64>,
    down: f64,
}

impl Wanted {
    fn of(engine: Engine) -> Self {
        match engine {
            Engine::Native => Self {
                cold: 2.0,
                idle: None,
                changed: None,
                down: 1.0,
            },
            Engine::Docker => Self {
                cold: 6.0,
                idle: Some(0.3),
                changed: Some(5.0),
                down: 3.0,
            },
        }
    }
}

/// Cold `up`, its overhead, `up` with nothing to do, with a changed host configuration, `down`.
pub(crate) fn measure(engine: Engine, runs: usize, report: &mut Report) -> Result<()> {
    let (mut cold, mut overhead, mut idle) = (Vec::new(), Vec::new(), Vec::new());
    let (mut changed, mut down) = (Vec::new(), Vec::new());
    for number in 0..runs {
        let stack = BenchStack::new(engine)?;
        let (plan, _) = stack.run(&stack.up_arguments(&["--dry-run"]))?;
        let (told, elapsed) = stack.run(&stack.up_arguments(&[]))?;
        cold.push(elapsed.as_secs_f64());
        overhead.push(elapsed.as_secs_f64() - longest_chain(&plan, &told)?);
        idle.push(stack.run(&["up"])?.1.as_secs_f64());
        let own = stack.write_host_config(number)?;
        let own = own.to_str().context("the folder's name is no text")?;
        changed.push(stack.run(&["up", "--host-config", own])?.1.as_secs_f64());
        down.push(stack.run(&["down"])?.1.as_secs_f64());
    }
    let wanted = Wanted::of(engine);
    let mut add = |what: &str, most: Option<f64>, samples| {
        let figure = Figure::new(format!("{}: {what}", engine.name()), "s", samples);
        report.add(match most {
            Some(limit) => figure.at_most(limit),
            None => figure,
        });
    };
    add("`up` until everything is healthy", Some(wanted.cold), cold);
    add(
        "of that, beyond the services' own longest chain",
        Some(0.5),
        overhead,
    );
    add("`up` with nothing to do", wanted.idle, idle);
    add("`up` with a changed host configuration", wanted.changed, changed);
    add("`down`", Some(wanted.down), down);
    Ok(())
}

/// The longest time, in seconds, that services which wait for each other took from their start until they were
/// healthy: what no orchestration could save. Who waits for whom is in the plan, how long each took in the events.
fn longest_chain(plan: &Output, told: &Output) -> Result<f64> {
    let mut took: BTreeMap<String, f64> = BTreeMap::new();
    for line in String::from_utf8_lossy(&told.stderr).lines() {
        let event: Value = serde_json::from_str(line).with_context(|| format!("`{line}` is not an event"))?;
        if event["event"] == "step_finished"
            && event["step"]["kind"] == "service"
            && let (Some(name), Some(milliseconds)) =
                (event["step"]["name"].as_str(), event["elapsed_ms"].as_f64())
        {
            took.insert(format!("start {name}"), milliseconds / 1000.0);
        }
    }
    let plan: Value = serde_json::from_slice(&plan.stdout)?;
    let operations = plan["operations"]
        .as_array()
        .context("the plan has no operations")?;
    // What an operation waits for stands before it.
    let mut until: Vec<f64> = Vec::new();
    for operation in operations {
        let own = operation["action"].as_str().and_then(|action| took.get(action));
        let after = operation["after"].as_array().into_iter().flatten();
        let before = after
            .filter_map(|index| until.get(usize::try_from(index.as_u64()?).ok()?))
            .fold(0.0, |longest: f64, one| longest.max(*one));
        until.push(before + own.copied().unwrap_or_default());
    }
    until
        .into_iter()
        .reduce(f64::max)
        .filter(|longest| *longest > 0.0)
        .context("`up` told of no service that it started")
}
