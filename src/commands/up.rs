//! `osqdemo up`: observe, plan, check, execute, submit the statements.

mod dry_run;
mod preparation;
mod result;
mod statements;
mod undoing;

use std::time::Duration;

use tokio::time::Instant;

use crate::cli::{RunArgs, UpArgs};
use crate::commands::Context;
use crate::commands::images;
use crate::commands::project::{Project, Wanted};
use crate::commands::request::{
    EngineKind, HostConfigChoice, PortsRequest, ProgramSource, Request, ports_asked_for, usual_limit,
};
use crate::error::Result;
use crate::execute::{Execution, ExecutionSettings};
use crate::plan::Plan;
use crate::settings::parse_duration;
use crate::state::{ProjectFolder, ProjectLock};

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

/// What becomes of what was started, should something fail.
#[derive(Clone, Copy, PartialEq, Eq)]
enum OnFailure {
    /// It is stopped.
    TakeBack,
    /// It is left for a look.
    Keep,
}

/// What is wanted, and what has to be done for it.
struct Prepared {
    wanted: Wanted,
    plan: Plan,
}

/// What came of an attempt.
enum Attempt {
    /// Everything is up.
    Up,
    /// A port that nobody insists on was taken after it was chosen; what was started is stopped.
    PortLost,
}

/// Runs the verb.
///
/// # Errors
/// Whatever keeps the stack from being up; what this run started is stopped then, unless `--keep`.
pub async fn run(context: Context, arguments: UpArgs) -> Result<()> {
    let host_config = HostConfigChoice::of(&arguments.run)?;
    if arguments.dry_run {
        return Up::new(&context, &arguments, host_config)?.dry_run().await;
    }
    let folder = ProjectFolder::new(&context.settings.home, &context.settings.project);
    let _lock = ProjectLock::take(&folder, "up")?;
    let up = Up::new(&context, &arguments, host_config)?;
    for number in 1..=ATTEMPTS {
        if let Attempt::Up = Box::pin(up.attempt(number)).await? {
            break;
        }
    }
    Ok(())
}

impl<'a> Up<'a> {
    fn new(context: &'a Context, arguments: &UpArgs, host_config: HostConfigChoice) -> Result<Self> {
        let project = Project::asked_for(context, &arguments.run.target.stack)?;
        Ok(Self {
            limit: match &arguments.run.timeout {
                Some(limit) => parse_duration(limit)?,
                None => usual_limit(&project.stack),
            },
            request: request(context, &project, &arguments.run, host_config)?,
            on_failure: if arguments.keep {
                OnFailure::Keep
            } else {
                OnFailure::TakeBack
            },
            context,
            project,
        })
    }

    async fn attempt(&self, number: u32) -> Result<Attempt> {
        let prepared = self.prepare().await?;
        self.tell_plan(&prepared);
        let began = Instant::now();
        let execution = self.execution(&prepared.wanted);
        match self.carry_out(&execution, &prepared).await {
            Ok(created) => {
                self.tell_result(&prepared, created, began.elapsed()).await?;
                Ok(Attempt::Up)
            }
            Err(failure) => self.undo(&execution, &prepared, failure, number).await,
        }
    }

    /// Carries out the plan; the statements go in as soon as ksqlDB is healthy. Returns how many of them made something
    /// new.
    async fn carry_out(&self, execution: &Execution, prepared: &Prepared) -> Result<usize> {
        let unchanged = prepared.plan.unchanged(&prepared.wanted.desired);
        let services = execution.run(&prepared.plan, &unchanged);
        let statements = self.submit_when_healthy(execution, &prepared.wanted);
        let (services, statements) = tokio::join!(services, statements);
        services.and(statements)
    }

    fn execution(&self, wanted: &Wanted) -> Execution {
        Execution::new(ExecutionSettings {
            engine: wanted.engine.clone(),
            prober: wanted.prober.clone(),
            reporter: self.context.reporter.clone(),
            shutdown: self.context.shutdown.clone(),
            desired: wanted.desired.clone(),
            limit: self.limit,
        })
    }
}

fn request(
    context: &Context,
    project: &Project,
    arguments: &RunArgs,
    host_config: HostConfigChoice,
) -> Result<Request> {
    Ok(Request {
        typed: context.settings.typed.clone(),
        engine: arguments
            .target
            .engine
            .as_deref()
            .map(EngineKind::parse)
            .transpose()?,
        ports: PortsRequest::Choose(ports_asked_for(
            &context.settings,
            &project.stack,
            &arguments.target.ports,
        )?),
        osqueryd: arguments.osquery.osqueryd.clone(),
        osquery_sha256: arguments.osquery.osquery_sha256.clone(),
        host_config,
        osquery_unavailable: None,
        source: arguments.source.source.as_deref().map(ProgramSource::parse),
        pull: Some(images::pull_settings(context, &arguments.pull, &arguments.lock)?),
    })
}
