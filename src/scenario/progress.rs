//! How far an event has come through the pipeline, and what that means: the scenario's state machine.
//!
//! Fed with what was seen, in any order and any number of times; asked for the verdict and for the timeline.
//! Pure: no clock, no I/O.

use std::collections::{BTreeMap, HashSet};

use jiff::Timestamp;

use super::observation::{Join, JoinedRow, Sighting, Source};
use super::outcome::{ReportedRow, StageReport};
use crate::events::Stage;

/// The program that writes the file, as the path of a process ends.
const WRITER: &str = "/head";

/// What must come out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expectation {
    /// The host that writes, as osquery names it.
    pub host: String,
    /// The path of the file, which no other run has.
    pub file: String,
    /// How large the file must become.
    pub size: u64,
}

/// What the observations mean so far.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// Something is still missing.
    Pending,
    /// Everything expected was seen.
    Passed,
    /// Something was seen that must not be.
    Failed(Problem),
}

/// What must not be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The stage it came up in.
    pub stage: Stage,
    /// What it is.
    pub reason: String,
}

/// The state machine.
#[derive(Debug, Clone)]
pub struct Progress {
    expectation: Expectation,
    write_started: Option<Timestamp>,
    sightings: Vec<Sighting>,
    rows: BTreeMap<(Join, JoinedRow), u64>,
    first_match: BTreeMap<Join, Timestamp>,
    written: Option<(Timestamp, u64)>,
    problem: Option<Problem>,
}

/// How far one stage is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StageProgress {
    /// When all of it had been seen.
    pub at: Option<Timestamp>,
    /// How often something of it was seen.
    pub count: u64,
    /// What it consists of, and how often each was seen; empty where it is one thing.
    pub parts: Vec<(&'static str, u64)>,
}

impl Progress {
    /// Nothing was seen yet.
    pub fn new(expectation: Expectation) -> Self {
        Self {
            expectation,
            write_started: None,
            sightings: Vec::new(),
            rows: BTreeMap::new(),
            first_match: BTreeMap::new(),
            written: None,
            problem: None,
        }
    }

    /// What must come out.
    pub fn expectation(&self) -> &Expectation {
        &self.expectation
    }

    /// The process was told to write.
    pub fn write_started(&mut self, at: Timestamp) {
        self.write_started = Some(at);
    }

    /// The process ended by itself, and the file was measured.
    pub fn written(&mut self, at: Timestamp, bytes: u64) {
        self.written = Some((at, bytes));
        if bytes != self.expectation.size {
            let Expectation { file, size, .. } = &self.expectation;
            self.fail(
                Stage::FileSize,
                format!("`{file}` has {bytes} bytes instead of {size}"),
            );
        }
    }

    /// The process ended with an error.
    pub fn write_failed(&mut self, reason: String) {
        self.fail(Stage::FileSize, reason);
    }

    /// A record was seen in a topic. Only what is about our host, and either our file or a process that may
    /// write it, is remembered.
    pub fn saw(&mut self, sighting: Sighting) {
        let is_ours = match sighting.source {
            Source::ProcessLine | Source::ProcRow => sighting.path.ends_with(WRITER),
            Source::FileLine | Source::FilesRow => sighting.path == self.expectation.file,
        };
        if is_ours && sighting.host == self.expectation.host {
            self.sightings.push(sighting);
        }
    }

    /// A row came from one of the joins. Only rows about our file count.
    pub fn saw_row(&mut self, join: Join, row: JoinedRow, at: Timestamp) {
        if row.file != self.expectation.file {
            return;
        }
        let is_right_host = row.host == self.expectation.host;
        if is_right_host && row.proc.ends_with(WRITER) {
            self.first_match.entry(join).or_insert(at);
        }
        if !is_right_host && join == Join::Precise {
            self.fail(
                Stage::PreciseRow,
                format!(
                    "the precise join blames `{}` on {} for `{}`, which {} wrote",
                    row.proc, row.host, row.file, self.expectation.host
                ),
            );
        }
        *self.rows.entry((join, row)).or_default() += 1;
    }

    /// What the observations mean so far.
    pub fn standing(&self) -> Standing {
        if let Some(problem) = &self.problem {
            return Standing::Failed(problem.clone());
        }
        // The rows alone would do; the stages before them are on their way to us as well, and are the evidence.
        let is_complete = Stage::ALL.into_iter().all(|stage| self.stage(stage).at.is_some());
        if is_complete {
            Standing::Passed
        } else {
            Standing::Pending
        }
    }

    /// Whether both joins have named host, process and file.
    pub fn are_rows_complete(&self) -> bool {
        [Join::Original, Join::Precise]
            .iter()
            .all(|join| self.first_match.contains_key(join))
    }

    /// Whether osquery saw both the process and its file.
    pub fn was_seen_by_osquery(&self) -> bool {
        self.stage(Stage::Topic).at.is_some()
    }

    /// Whether both have passed the streams, so that only the joins can be waited for.
    pub fn has_passed_streams(&self) -> bool {
        self.stage(Stage::Stream).at.is_some()
    }

    /// How far a stage is.
    pub fn stage(&self, stage: Stage) -> StageProgress {
        let single = |at: Option<Timestamp>, count: u64| StageProgress {
            at,
            count,
            parts: Vec::new(),
        };
        match stage {
            Stage::WriteStarted => single(self.write_started, u64::from(self.write_started.is_some())),
            Stage::OsqueryLine => {
                self.pair(Source::ProcessLine, Source::FileLine, |sighting| sighting.made_at)
            }
            Stage::Topic => self.pair(Source::ProcessLine, Source::FileLine, |sighting| sighting.seen_at),
            Stage::Stream => self.pair(Source::ProcRow, Source::FilesRow, |sighting| sighting.seen_at),
            Stage::JoinedRow => self.joined(Join::Original),
            Stage::PreciseRow => self.joined(Join::Precise),
            Stage::FileSize => match self.written {
                Some((at, bytes)) if bytes == self.expectation.size => single(Some(at), 1),
                _ => single(None, 0),
            },
        }
    }

    /// The last stage, in order, that produced anything at all.
    pub fn last_productive_stage(&self) -> Option<Stage> {
        Stage::ALL
            .into_iter()
            .filter(|stage| *stage != Stage::FileSize)
            .rfind(|stage| self.stage(*stage).count > 0)
    }

    /// Where the event got stuck: what was produced last, and what did not follow.
    pub fn stuck_at(&self) -> String {
        let Some(last) = self.last_productive_stage() else {
            return "nothing was produced: the write did not start".to_owned();
        };
        let progress = self.stage(last);
        let missing: Vec<&str> = progress
            .parts
            .iter()
            .filter(|(_, count)| *count == 0)
            .map(|(part, _)| *part)
            .collect();
        if !missing.is_empty() {
            return format!(
                "the last stage that produced something is `{last}`, and there is nothing in {}",
                missing.join(" and ")
            );
        }
        match Stage::ALL
            .into_iter()
            .find(|stage| self.stage(*stage).at.is_none())
        {
            Some(next) => {
                format!("the last stage that produced something is `{last}`; `{next}` did not come")
            }
            None => format!("the last stage that produced something is `{last}`"),
        }
    }

    /// The timeline.
    pub fn stages(&self) -> Vec<StageReport> {
        Stage::ALL
            .into_iter()
            .map(|stage| {
                let at = self.completed_at(stage);
                let began = before(stage).and_then(|before| self.completed_at(before));
                StageReport {
                    name: stage,
                    at,
                    count: self.stage(stage).count,
                    latency_ms: at
                        .zip(began)
                        // The clock of a host may be ahead of ours.
                        .map(|(at, began)| (at.as_millisecond() - began.as_millisecond()).max(0)),
                }
            })
            .collect()
    }

    /// When a stage was complete at the latest: stages are seen through different connections, and a row may
    /// be here before the record that it was made of; but that record was there by then.
    fn completed_at(&self, stage: Stage) -> Option<Timestamp> {
        let seen_at = self.stage(stage).at?;
        Stage::ALL
            .into_iter()
            .filter(|after| before(*after) == Some(stage))
            .filter(|after| *after != Stage::FileSize)
            .filter_map(|after| self.completed_at(after))
            .chain([seen_at])
            .min()
    }

    /// The rows about our file.
    pub fn rows(&self) -> Vec<ReportedRow> {
        self.rows
            .iter()
            .map(|((join, row), count)| ReportedRow {
                host: row.host.clone(),
                proc: row.proc.clone(),
                file: row.file.clone(),
                join: *join,
                count: *count,
            })
            .collect()
    }

    /// How many rows of the original's join name a host that did not write the file: its known weakness.
    pub fn misattributed_rows(&self) -> u64 {
        self.rows
            .iter()
            .filter(|((_, row), _)| row.host != self.expectation.host)
            .map(|(_, count)| count)
            .sum()
    }

    fn fail(&mut self, stage: Stage, reason: String) {
        self.problem.get_or_insert(Problem { stage, reason });
    }

    /// A row of a join that is what is expected.
    pub fn matching_row(&self, join: Join) -> Option<&JoinedRow> {
        self.matching_rows(join).map(|(row, _)| row).next()
    }

    fn matching_rows(&self, join: Join) -> impl Iterator<Item = (&JoinedRow, u64)> {
        self.rows
            .iter()
            .filter(move |((of, row), _)| {
                *of == join && row.host == self.expectation.host && row.proc.ends_with(WRITER)
            })
            .map(|((_, row), count)| (row, *count))
    }

    fn joined(&self, join: Join) -> StageProgress {
        StageProgress {
            at: self.first_match.get(&join).copied(),
            count: self.matching_rows(join).map(|(_, count)| count).sum(),
            parts: Vec::new(),
        }
    }

    /// A stage that is complete when both the process and its file were seen. Other processes of the same
    /// program do not count, once the file has told which one it is.
    fn pair(&self, process: Source, file: Source, time: impl Fn(&Sighting) -> Timestamp) -> StageProgress {
        let of = |source: Source| {
            self.sightings
                .iter()
                .filter(move |sighting| sighting.source == source)
        };
        let writers: HashSet<&str> = of(Source::FileLine)
            .chain(of(Source::FilesRow))
            .map(|sighting| sighting.pid.as_str())
            .collect();
        let processes: Vec<&Sighting> = of(process)
            .filter(|sighting| writers.is_empty() || writers.contains(sighting.pid.as_str()))
            .collect();
        let files: Vec<&Sighting> = of(file).collect();
        let first = |sightings: &[&Sighting]| sightings.iter().map(|sighting| time(sighting)).min();
        StageProgress {
            at: first(&processes)
                .zip(first(&files))
                .map(|(process, file)| process.max(file)),
            count: (processes.len() + files.len()) as u64,
            parts: vec![
                (process.topic(), processes.len() as u64),
                (file.topic(), files.len() as u64),
            ],
        }
    }
}

/// The stage whose end is the beginning of this one.
fn before(stage: Stage) -> Option<Stage> {
    match stage {
        Stage::WriteStarted => None,
        Stage::OsqueryLine | Stage::FileSize => Some(Stage::WriteStarted),
        Stage::Topic => Some(Stage::OsqueryLine),
        Stage::Stream => Some(Stage::Topic),
        Stage::JoinedRow | Stage::PreciseRow => Some(Stage::Stream),
    }
}

#[cfg(test)]
#[path = "progress_tests.rs"]
mod tests;
