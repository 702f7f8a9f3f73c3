//! `osqdemo smoke`: doctor, up with its statements, the scenario, down: one run from nothing to nothing, one exit code,
//! one report. What a CI job runs.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use tokio::time::Instant;

use crate::cli::{DownArgs, SmokeArgs};
use crate::commands::project::Project;
use crate::commands::{Context, bundle, doctor, down, scenario, up};
use crate::error::{Diagnose, Failure, Result};
use crate::events::{Event, Failed, Note, Warning};
use crate::exit_code::ExitCode;
use crate::report::junit::{Phase, PhaseResult, smoke_junit};
use crate::settings::{DoctorSettings, OnFailure, SmokeSettings, UpSettings};

/// A smoke test cannot run, or its report cannot be written.
#[derive(Debug, thiserror::Error)]
enum SmokeError {
    #[error("project `{project}` is running, and a smoke test begins and ends with nothing")]
    Running { project: String },
    #[error("failed to write the report `{}`: {source}", path.display())]
    ReportNotWritable { path: PathBuf, source: io::Error },
}

impl Diagnose for SmokeError {
    fn exit_code(&self) -> ExitCode {
        match self {
            Self::Running { .. } => ExitCode::Preflight,
            Self::ReportNotWritable { .. } => ExitCode::Usage,
        }
    }

    fn hints(&self) -> Vec<String> {
        match self {
            Self::Running { .. } => vec!["give it a project of its own: `osqdemo -p smoke smoke`".to_owned()],
            Self::ReportNotWritable { .. } => Vec::new(),
        }
    }
}

/// The phases of a run.
struct Run {
    context: Context,
    phases: Vec<Phase>,
    first_failure: Option<Failure>,
}

/// Fails with the first failure of a phase.
pub(super) async fn run(context: Context, arguments: SmokeArgs) -> Result<()> {
    let project = Project::open(&context)?;
    // Whatever is wrong is told before anything starts, also about the scenario.
    let settings = SmokeSettings::resolve(&arguments, &context.settings, &project.remembered)?;
    scenario::bigfile_on(&settings.run.target.stack.stack, &settings.scenario)?;
    // What runs may have lost its folder. Where there is none, and no engine answers, `doctor` tells.
    let is_running = match project.engine.observe().await {
        Ok(observed) => observed.is_running(),
        Err(error) if project.folder.exists()? => return Err(error),
        Err(_) => false,
    };
    if is_running {
        return Err(SmokeError::Running {
            project: context.settings.project.to_string(),
        }
        .into());
    }
    let mut run = Run {
        context: context.clone(),
        phases: Vec::new(),
        first_failure: None,
    };
    let SmokeSettings {
        run: how,
        scenario: bigfile,
        report,
        bundle,
    } = settings;
    let lock_file = how.images.lock_file.clone();
    let examine = DoctorSettings {
        target: how.target.clone(),
        images: how.images.clone(),
    };
    run.phase("doctor", Box::pin(doctor::examine(&context, project, &examine)))
        .await;
    let is_examined = run.first_failure.is_none();
    let start = UpSettings {
        run: how,
        on_failure: OnFailure::TakeBack,
    };
    run.phase("up", Box::pin(up::as_settled(context.clone(), start)))
        .await;
    run.phase("scenario", scenario::run_bigfile(context.clone(), bigfile))
        .await;
    if let (Some(path), Some(_)) = (&bundle, &run.first_failure) {
        run.bundle(path, &lock_file).await;
    }
    if is_examined {
        run.last_phase("down", Box::pin(down::run(context.clone(), down_arguments())))
            .await;
    }
    run.finish(report.as_deref())
}

fn down_arguments() -> DownArgs {
    DownArgs {
        volumes: true,
        images: false,
        all: false,
    }
}

impl Run {
    /// Runs a phase, unless an earlier one failed or the run was interrupted.
    async fn phase(&mut self, name: &'static str, work: impl Future<Output = Result<()>>) {
        if self.first_failure.is_some() || self.context.shutdown.exit_code().is_some() {
            self.phases.push(Phase {
                name,
                result: PhaseResult::Skipped,
                events: Vec::new(),
                elapsed: std::time::Duration::ZERO,
            });
        } else {
            self.last_phase(name, work).await;
        }
    }

    /// Writes everything for a report. That it cannot be written does not change how the run ends.
    async fn bundle(&self, path: &Path, lock: &Path) {
        let event = match bundle::write(&self.context, path, lock).await {
            Ok(_) => Event::Note(Note::BundleWritten {
                file: path.to_owned(),
            }),
            Err(failure) => Event::Warning(Warning::Trouble {
                failure: Failed::of(failure.diagnosis()),
            }),
        };
        self.context.reporter.emit(event);
    }

    /// Runs a phase whatever happened before.
    async fn last_phase(&mut self, name: &'static str, work: impl Future<Output = Result<()>>) {
        let phase = name.to_owned();
        self.context.reporter.emit(Note::SmokePhase { phase });
        let began = Instant::now();
        self.context.reporter.record();
        let result = work.await;
        let events = self.context.reporter.recorded();
        let result = match result {
            Ok(()) => PhaseResult::Passed,
            Err(failure) => {
                let failed = Failed::of(failure.diagnosis());
                self.context.reporter.last_failure(&failure);
                self.first_failure.get_or_insert(failure);
                PhaseResult::Failed(failed)
            }
        };
        self.phases.push(Phase {
            name,
            result,
            events,
            elapsed: began.elapsed(),
        });
    }

    fn finish(self, report: Option<&Path>) -> Result<()> {
        if let Some(path) = report {
            let written = smoke_junit(&self.phases)
                .map_err(io::Error::other)
                .and_then(|text| fs::write(path, text));
            if let Err(source) = written {
                let error = SmokeError::ReportNotWritable {
                    path: path.to_owned(),
                    source,
                };
                // What a phase found matters more than its report.
                return Err(self.first_failure.unwrap_or_else(|| error.into()));
            }
        }
        match self.first_failure {
            Some(failure) => Err(failure),
            None => {
                self.context.reporter.emit(Note::SmokePassed);
                Ok(())
            }
        }
    }
}
