//! What is told of a run: its stages while they become complete, and the report at its end.

use std::time::Duration;

use tokio::time::Instant;

use super::{Bigfile, Finished, NAME, Run};
use crate::engine::HostExec;
use crate::error::Result;
use crate::events::{Doing, Ending, Event, Evidence, Outcome, SCHEMA_VERSION, SourceCount, Stage, Step};
use crate::exit_code::ExitCode;
use crate::scenario::observation::Join;
use crate::scenario::outcome::{ScenarioReport, Verdict};
use crate::scenario::progress::{Expectation, Progress, Standing};

impl<E: HostExec> Run<'_, E> {
    /// Shows the stages that are complete, in their order: a row may be here before the record that made it.
    pub(super) fn show_progress(&mut self) {
        let Some(progress) = &self.progress else {
            return;
        };
        for stage in progress.stages() {
            if stage.at.is_none() {
                if self.waiting.is_none_or(|(waiting, _)| waiting != stage.name) {
                    self.waiting = Some((stage.name, Instant::now()));
                    self.events.emit(Event::StepStarted {
                        step: Step::Stage(stage.name),
                        doing: Doing::AwaitingStage,
                    });
                }
                return;
            }
            if self.shown.insert(stage.name) {
                let latency = stage.latency_ms.unwrap_or(0).max(0).unsigned_abs();
                self.events.emit(Event::StepFinished {
                    step: Step::Stage(stage.name),
                    outcome: Outcome::Done,
                    ending: reached(progress, stage.name, self.bigfile),
                    elapsed: Duration::from_millis(latency),
                });
            }
        }
        self.waiting = None;
    }

    /// The report of what came of it.
    pub(super) fn finish(self, result: Result<()>) -> Finished {
        let failure = result.err();
        let exit_code = failure
            .as_ref()
            .map_or(ExitCode::Ok, |failure| failure.diagnosis().exit_code());
        let verdict = match exit_code {
            ExitCode::Ok => Verdict::Passed,
            ExitCode::ScenarioTimedOut => Verdict::TimedOut,
            ExitCode::Interrupted | ExitCode::Terminated => Verdict::Interrupted,
            _ => Verdict::Failed,
        };
        let (file, rows, misattributed_rows, stages, problem) = match &self.progress {
            Some(progress) => (
                progress.expectation().file.clone(),
                progress.rows(),
                progress.misattributed_rows(),
                progress.stages(),
                match progress.standing() {
                    Standing::Failed(problem) => Some(problem.stage),
                    Standing::Passed | Standing::Pending => None,
                },
            ),
            None => {
                let unseen = Progress::new(Expectation {
                    host: self.bigfile.host_identifier.clone(),
                    file: String::new(),
                    size: self.bigfile.size,
                });
                (
                    format!("myfile-{}", self.nonce),
                    Vec::new(),
                    0,
                    unseen.stages(),
                    None,
                )
            }
        };
        let mut report = ScenarioReport {
            schema_version: SCHEMA_VERSION,
            scenario: NAME,
            verdict,
            host: self.bigfile.host_identifier.clone(),
            file,
            size_bytes: self.bigfile.size,
            attempts: u32::try_from(self.plans.len()).unwrap_or(u32::MAX),
            rows,
            misattributed_rows,
            stages,
            restarts: Vec::new(),
            error: failure.as_ref().map(ToString::to_string),
            failed_stage: None,
        };
        if failure.is_some() {
            report.failed_stage = problem.or_else(|| report.first_missing_stage());
        }
        if let Some((stage, since)) = self.waiting
            && let Some(failure) = &failure
        {
            self.events.emit(Event::StepFinished {
                step: Step::Stage(stage),
                outcome: Outcome::Failed,
                ending: Ending::failed(failure.diagnosis()),
                elapsed: since.elapsed(),
            });
        }
        Finished { report, failure }
    }
}

/// What was seen of a stage that is complete.
fn reached(progress: &Progress, stage: Stage, bigfile: &Bigfile) -> Ending {
    let seen = progress.stage(stage);
    let row = |join| match progress.matching_row(join) {
        Some(row) => Evidence::Row {
            host: row.host.clone(),
            proc: row.proc.clone(),
            file: row.file.clone(),
        },
        None => Evidence::Records { sources: Vec::new() },
    };
    let evidence = match stage {
        Stage::WriteStarted => Evidence::Write {
            host: bigfile.host.clone(),
            file: progress.expectation().file.clone().into(),
            bytes: bigfile.size,
        },
        Stage::FileSize => Evidence::File { bytes: bigfile.size },
        Stage::JoinedRow => row(Join::Original),
        Stage::PreciseRow => row(Join::Precise),
        Stage::OsqueryLine | Stage::Topic | Stage::Stream => Evidence::Records {
            sources: seen
                .parts
                .iter()
                .map(|(source, count)| SourceCount {
                    source: (*source).to_owned(),
                    count: *count,
                })
                .collect(),
        },
    };
    Ending::Reached {
        count: seen.count,
        evidence,
    }
}
