//! What is measured of osqdemo, part by part: `make bench WHAT=broker`, or all of them without `WHAT`.
//!
//! A part is a file or folder here, named as its section of `docs/figures.md`; it takes less than ten minutes and
//! less than 6 GB of disk. Each figure is the median of at least five samples and stands beside its target. The table
//! goes to standard error as it grows, the whole result to standard output as one JSON document, and a part that came
//! to its end rewrites its own section and no other. Nothing here fails because a number is high: the machine may be
//! busy, so the load is written beside the figures and the reader judges.

mod agent;
mod avro;
mod broker;
mod console;
mod docker;
mod example;
mod extension;
mod figure;
mod ksqldb;
mod machine;
mod orchestration;
mod peers;
mod pipeline;
mod registry;
mod sections;
mod service;
mod stack;
mod waiting;

use std::process::ExitCode;
use std::{env, fs};

use anyhow::{Context, Result, bail};
use figure::{Figure, Report};

/// Samples per figure.
const RUNS: usize = 5;

/// Where the figures stand.
const DOCUMENT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/figures.md");

type Measurement = fn(usize, &mut Report) -> Result<()>;

/// Every part, in the order of the document.
const PARTS: [(&str, Measurement); 8] = [
    ("pipeline", pipeline::measure),
    ("docker", docker::measure),
    ("extension", extension::measure),
    ("agent", agent::measure),
    ("broker", broker::measure),
    ("ksqldb", ksqldb::measure),
    ("registry", registry::measure),
    ("console", console::measure),
];

fn main() -> ExitCode {
    // Cargo adds `--bench`.
    let named: Vec<String> = env::args()
        .skip(1)
        .filter(|argument| !argument.starts_with('-'))
        .collect();
    let mut measured = Vec::new();
    let outcome = measure(&named, &mut measured);
    figure::print(&measured);
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            figure::tell(&format!("error: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

fn measure(named: &[String], measured: &mut Vec<Figure>) -> Result<()> {
    let known = PARTS.map(|(name, _)| name);
    if let Some(unknown) = named.iter().find(|name| !known.contains(&name.as_str())) {
        bail!("there is no part `{unknown}`; the parts are {}", known.join(", "));
    }
    for (name, part) in PARTS {
        if !named.is_empty() && !named.iter().any(|one| one == name) {
            continue;
        }
        let before = machine::load();
        let mut report = Report::default();
        let outcome = part(RUNS, &mut report);
        let section = format!(
            "{}\n\n{}",
            machine::describe(before, machine::load()),
            report.section()
        );
        let skipped = report.is_empty();
        measured.extend(report.into_figures());
        outcome.with_context(|| format!("part `{name}`"))?;
        if !skipped {
            record(name, &known, &section)?;
        }
    }
    Ok(())
}

fn record(part: &str, order: &[&str], section: &str) -> Result<()> {
    let document = fs::read_to_string(DOCUMENT).with_context(|| format!("failed to read `{DOCUMENT}`"))?;
    let document = sections::replace(&document, part, order, section);
    fs::write(DOCUMENT, document).with_context(|| format!("failed to write `{DOCUMENT}`"))
}
