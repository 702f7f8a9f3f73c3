//! `osqdemo up`: observe, plan, check, execute, submit the statements.

mod dry_run;
mod outside_kafka;
mod preparation;
mod registered;
mod result;
mod statements;
mod undoing;

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::cli::UpArgs;
use crate::commands::Context;
use crate::commands::project::{HostConfigChoice, Project, Request, Resolved};
use crate::engine::OsquerydChoice;
use crate::error::{Failure, Result};
use crate::events::Warning;
use crate::execute::{Execution, ExecutionSettings};
use crate::exit_code::ExitCode;
use crate::listener::ListenerFolder;
use crate::plan::Plan;
use crate::settings::{OnFailure, ProgramSource, RunSettings, Setting, Source, UpSettings};
use crate::state::{ProjectFolder, ProjectLock};

pub use preparation::tell_findings;

/// How often `up` begins, when ports are taken by others after it has chosen them.
const ATTEMPTS: u32 = 3;

/// A run of the verb.
struct Up<'a> {
    context: &'a Context,
    project: Project,
    request: Request,
    /// How long all services may take to become healthy.
    limit: Duration,
    on_failure: OnFailure,
}

/// What is wanted, and what has to be done for it.
struct Prepared {
    resolved: Resolved,
    plan: Plan,
}

/// What came of an attempt.
enum Attempt {
    /// Everything is up.
    Up,
    /// A port that nobody insists on was taken after it was chosen; what was started is stopped.
    PortLost,
}

/// Fails with whatever keeps the stack from being up; what this run started is stopped then, unless `--keep`.
pub(super) async fn run(context: Context, arguments: UpArgs) -> Result<()> {
    if arguments.dry_run {
        let project = Project::open(&context)?;
        let settings = UpSettings::resolve(&arguments, &context.settings, &project.remembered)?;
        return Up::new(&context, project, settings).await?.dry_run().await;
    }
    let folder = ProjectFolder::new(&context.settings.home, &context.settings.project);
    let _lock = ProjectLock::take(&folder, "up")?;
    let project = Project::open(&context)?;
    let settings = UpSettings::resolve(&arguments, &context.settings, &project.remembered)?;
    Up::new(&context, project, settings).await?.bring_up().await
}

/// Brings a project up that is settled already.
///
/// # Errors
/// As `run`.
pub async fn as_settled(context: Context, settings: UpSettings) -> Result<()> {
    let folder = ProjectFolder::new(&context.settings.home, &context.settings.project);
    let _lock = ProjectLock::take(&folder, "up")?;
    let project = Project::open(&context)?;
    Up::new(&context, project, settings).await?.bring_up().await
}

/// A settings file that merely lies in the current folder may be somebody else's: what it has run is told before it runs.
fn tell_programs(context: &Context, settings: &RunSettings) {
    if context.settings.is_file_named {
        return;
    }
    let osqueryd = match &settings.osquery.osqueryd {
        Setting {
            value: OsquerydChoice::Path(program),
            source: Source::File(file),
        } => Some(("osqueryd", program, file)),
        _ => None,
    };
    let checkout = match &settings.source {
        Setting {
            value: ProgramSource::Checkout(folder),
            source: Source::File(file),
        } => Some(("source", folder, file)),
        _ => None,
    };
    for (setting, program, file) in osqueryd.into_iter().chain(checkout) {
        context.reporter.emit(Warning::ProgramOfFolder {
            file: file.clone(),
            setting: setting.to_owned(),
            program: std::path::absolute(program)
                .unwrap_or_else(|_| program.clone())
                .display()
                .to_string(),
        });
    }
}

impl<'a> Up<'a> {
    async fn new(context: &'a Context, project: Project, settings: UpSettings) -> Result<Self> {
        tell_programs(context, &settings.run);
        let host_config = HostConfigChoice::read(&settings.run).await?;
        if let Some(address) = settings.run.listen.value.address() {
            ListenerFolder::of(&project.folder).check(address)?;
        }
        Ok(Self {
            limit: settings.run.timeout.value,
            on_failure: settings.on_failure,
            project: project.with_stack(&settings.run.target.stack)?,
            request: Request::of(settings.run, host_config)?,
            context,
        })
    }

    async fn bring_up(&self) -> Result<()> {
        for number in 1..=ATTEMPTS {
            if let Attempt::Up = Box::pin(self.attempt(number)).await? {
                break;
            }
        }
        Ok(())
    }

    async fn attempt(&self, number: u32) -> Result<Attempt> {
        let prepared = self.prepare().await.map_err(|failure| self.recalling(failure))?;
        self.tell_plan(&prepared);
        let began = Instant::now();
        let execution = self.execution(&prepared.resolved);
        match self.carry_out(&execution, &prepared).await {
            Ok(created) => {
                self.tell_result(&prepared, created, began.elapsed()).await?;
                Ok(Attempt::Up)
            }
            Err(failure) => self.undo(&execution, &prepared, failure, number).await,
        }
    }

    /// A failure that may be due to what is only remembered says so.
    fn recalling(&self, failure: Failure) -> Failure {
        let failed = match failure.diagnosis().exit_code() {
            ExitCode::Interrupted | ExitCode::Terminated => return failure,
            _ => failure.diagnosis().service(),
        };
        let failed = failed.and_then(|name| self.project.stack.service(name.as_str()));
        failure.with_hints(self.request.settings.hints_of_remembered(failed))
    }

    /// Carries out the plan; the statements go in as soon as ksqlDB is healthy. Returns how many of them made something
    /// new.
    async fn carry_out(&self, execution: &Execution, prepared: &Prepared) -> Result<usize> {
        let unchanged = prepared.plan.unchanged(&prepared.resolved.desired);
        let services = execution.run(&prepared.plan, &unchanged);
        let statements = self.submit_when_healthy(execution, &prepared.resolved);
        let (services, statements) = tokio::join!(services, statements);
        services.and(statements)
    }

    fn execution(&self, resolved: &Resolved) -> Execution {
        Execution::new(ExecutionSettings {
            engine: resolved.engine.clone(),
            prober: resolved.prober.clone(),
            events: Arc::new(self.context.reporter.clone()),
            shutdown: self.context.shutdown.clone(),
            desired: resolved.desired.clone(),
            limit: self.limit,
        })
    }
}
