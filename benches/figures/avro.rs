//! What Avro costs and saves beside JSON: in the extension, in the topics and in ksqlDB. The extension's and the engine's
//! own examples print what they measure.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use osqdemo::kafka::{list_topics, read_all};
use serde::Deserialize;
use serde_json::Value;

use crate::example::run;
use crate::figure::{Figure, Report};
use crate::stack::{BenchStack, Engine};

/// How many lines the engine reads in each format.
const LINES: &str = "500000";
/// The extension's modes, and of how many of JSON's bytes each may be.
const MODES: [(&str, f64); 2] = [("map", 70.0), ("record", 50.0)];

/// One line of the extension's example.
#[derive(Deserialize)]
struct Measured {
    case: String,
    figure: String,
    value: f64,
}

/// One line of the engine's example.
#[derive(Deserialize)]
struct Case {
    records_per_cpu_second: f64,
}

/// A line's CPU in the extension, its bytes in a topic, and what it costs ksqlDB.
pub(crate) fn measure(runs: usize, report: &mut Report) -> Result<()> {
    extension(runs, report)?;
    topics(report)?;
    engine(runs, report)
}

fn extension(runs: usize, report: &mut Report) -> Result<()> {
    let mut turns = Vec::new();
    for _ in 0..runs {
        turns.push(run::<Measured>("line_throughput", &["formats"])?);
    }
    let cpu = |turn: &[Measured], format: &str| {
        let of_format = |one: &&Measured| one.case == format && one.figure == "cpu_us_per_line";
        turn.iter().find(of_format).map_or(f64::NAN, |one| one.value)
    };
    let of = |format: &str| turns.iter().map(|turn| cpu(turn, format)).collect();
    report.add(Figure::new("extension, CPU of a line in JSON", "µs", of("json")));
    for (mode, _) in MODES {
        let share = turns.iter().map(|turn| cpu(turn, mode) / cpu(turn, "json"));
        let name = format!("extension, CPU of a line in Avro (`{mode}`), of that in JSON");
        report.add(Figure::new(name, "times", share.collect()).at_most(1.3));
    }
    Ok(())
}

/// All lines of the default configuration in one scenario.
fn topics(report: &mut Report) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("lines");
    let lines = lines_of_a_scenario()?;
    std::fs::write(&file, lines.join("\n"))?;
    let told = run::<Measured>("line_throughput", &["bytes", &file.display().to_string()])?;
    let mut topics = BTreeMap::<&str, BTreeMap<&str, f64>>::new();
    for Measured { case, figure, value } in &told {
        topics.entry(figure).or_default().insert(case, *value);
    }
    let sum = |format: &str| -> f64 { topics.values().filter_map(|of| of.get(format)).sum() };
    let name = format!("a scenario's {} lines in JSON", lines.len());
    report.add(Figure::new(name, "bytes", vec![sum("json")]));
    for (mode, most) in MODES {
        let share = sum(mode) / sum("json") * 100.0;
        let name = format!("the same in Avro (`{mode}`), of those in JSON");
        report.add(Figure::new(name, "%", vec![share]).at_most(most));
    }
    for (topic, bytes) in &topics {
        let of = |format: &str| bytes.get(format).copied().unwrap_or(f64::NAN);
        report.add(Figure::new(
            format!("topic `{topic}` in JSON"),
            "bytes",
            vec![of("json")],
        ));
        for (mode, _) in MODES {
            let share = of(mode) / of("json") * 100.0;
            report.add(Figure::new(
                format!("topic `{topic}` in Avro (`{mode}`)"),
                "%",
                vec![share],
            ));
        }
    }
    Ok(())
}

/// The lines that host1 and host2 write while the scenario runs, and before.
fn lines_of_a_scenario() -> Result<Vec<String>> {
    let stack = BenchStack::new(Engine::Native)?;
    stack.up()?;
    stack.run(&["scenario", "bigfile"])?;
    let cluster = stack.endpoints()?.kafka;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let read = runtime.block_on(async {
        let topics = list_topics(&cluster).await?;
        let topics: Vec<String> = topics.into_iter().map(|topic| topic.name).collect();
        read_all(&cluster, &topics, |record| record.value.clone()).await
    });
    let read = read.map_err(|error| anyhow::anyhow!("{error}"))?;
    let is_line = |text: &String| {
        let line: Value = serde_json::from_str(text).unwrap_or_default();
        line["hostIdentifier"].is_string() && line["name"].is_string()
    };
    let texts = read.into_iter().flatten().map(String::from_utf8);
    Ok(texts.flatten().filter(is_line).collect())
}

fn engine(runs: usize, report: &mut Report) -> Result<()> {
    let cost = |case: &str| -> Result<f64> {
        let measured = run::<Case>("join_throughput", &[LINES, case])?;
        let measured = measured.first().context("the example measured nothing")?;
        Ok(1e6 / measured.records_per_cpu_second)
    };
    let (mut json, mut share) = (Vec::new(), Vec::new());
    for _ in 0..runs {
        let (of_json, of_avro) = (cost("proc")?, cost("proc_avro")?);
        json.push(of_json);
        share.push(of_avro / of_json);
    }
    report.add(Figure::new(
        "ksqlDB, CPU of a line in JSON through `proc`",
        "µs",
        json,
    ));
    report.add(
        Figure::new(
            "ksqlDB, CPU of a line in Avro (`map`), of that in JSON",
            "times",
            share,
        )
        .at_most(0.5),
    );
    Ok(())
}
