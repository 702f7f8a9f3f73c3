//! `osqdemo up`: observe, plan, check, execute, submit the statements.

use std::future;
use std::time::Duration;

use serde_json::json;
use tokio::time::{Instant, timeout, timeout_at};

use crate::cli::{RunArgs, UpArgs};
use crate::commands::images::{self, ImagesChanged};
use crate::commands::osquery::{self, Tried};
use crate::commands::project::{Project, Wanted};
use crate::commands::request::{
    EngineKind, HostConfigChoice, PortsRequest, ProgramSource, Request, ports_asked_for, usual_limit,
};
use crate::commands::{Context, endpoints_of};
use crate::doctor::{memory_for, preflight};
use crate::engine::docker::Support;
use crate::engine::native::isolation::Isolation;
use crate::error::{Diagnose, Failure, Result};
use crate::events::{Detail, Note, SCHEMA_VERSION, Warning};
use crate::execute::{Begun, Execution, ExecutionSettings};
use crate::exit_code::ExitCode;
use crate::host_config::{self, Finding};
use crate::ksqldb::client::Client;
use crate::ksqldb::ddl;
use crate::plan::{Plan, ServiceSpec};
use crate::ports::{Blocked, Insists, PortTaken};
use crate::report::duration;
use crate::settings::parse_duration;
use crate::stack::{ServiceName, Stack};
use crate::state::{ProjectFolder, ProjectLock};

/// How many parts of the hosts' configuration that count for nothing are named at `up`.
const FINDINGS_SHOWN: usize = 10;

/// How long taking back what was started may take.
const ROLLBACK_LIMIT: Duration = Duration::from_secs(60);

/// The service that the statements are submitted to.
const STATEMENT_SERVICE: &str = "ksqldb-server";

/// How often `up` begins, when ports are taken by others after it has chosen them.
const ATTEMPTS: u32 = 3;

/// What came of an attempt.
enum Attempt {
    /// Everything is up.
    Up,
    /// A port that nobody insists on was taken after it was chosen; what was started is stopped.
    PortLost,
}

/// Taking back did not work.
#[derive(Debug, thiserror::Error)]
enum UpError {
    #[error("the statements were not submitted within {}", duration(*limit))]
    StatementsTooSlow { limit: Duration },
}

impl Diagnose for UpError {
    fn exit_code(&self) -> ExitCode {
        ExitCode::NotHealthy
    }
}

/// Runs the verb.
///
/// # Errors
/// Whatever keeps the stack from being up; what this run started is stopped then, unless `--keep`.
pub async fn run(context: Context, arguments: UpArgs) -> Result<()> {
    let stack = &arguments.run.target.stack;
    let host_config = HostConfigChoice::of(arguments.run.host_config.as_deref())?;
    if arguments.dry_run {
        let project = Project::asked_for(&context, stack)?;
        let request = request(&context, &project, &arguments.run, host_config)?;
        return dry_run(&context, &project, &request).await;
    }
    let folder = ProjectFolder::new(&context.settings.home, &context.settings.project);
    let _lock = ProjectLock::take(&folder, "up")?;
    let project = Project::asked_for(&context, stack)?;
    let limit = match &arguments.run.timeout {
        Some(limit) => parse_duration(limit)?,
        None => usual_limit(&project.stack),
    };
    let request = request(&context, &project, &arguments.run, host_config)?;
    for number in 1..=ATTEMPTS {
        let attempt = attempt(&context, &project, &request, &arguments, limit, number);
        if let Attempt::Up = Box::pin(attempt).await? {
            break;
        }
    }
    Ok(())
}

async fn attempt(
    context: &Context,
    project: &Project,
    request: &Request,
    arguments: &UpArgs,
    limit: Duration,
    number: u32,
) -> Result<Attempt> {
    let wanted = project.wanted(request).await?;
    let observed = wanted.engine.observe().await?;
    let plan = Plan::make_without(&project.stack.left_out, &wanted.desired, &observed);
    preflight(&project.folder, &plan, &wanted.ports)?;
    check_memory(context, &project.stack, &wanted, &plan)?;
    // From here on there is a project, and what becomes of it can be looked into.
    wanted.remembered.save(&project.folder)?;
    tell_ports(context, &wanted);
    let plan = match images::provide_before_plan(context, &wanted).await? {
        ImagesChanged::Yes => {
            let observed = wanted.engine.observe().await?;
            Plan::make_without(&project.stack.left_out, &wanted.desired, &observed)
        }
        ImagesChanged::No => plan,
    };
    let (wanted, plan) = with_osquery_or_agent(context, project, request, wanted, plan, limit).await?;
    for (index, operation) in plan.operations.iter().enumerate() {
        let operation = operation.clone();
        context.reporter.emit(Detail::Planned { index, operation });
    }
    tell_hosts(context, &wanted, &plan);

    let execution = execution(context, &wanted, limit);
    let began = Instant::now();
    let result = execute(context, &execution, &plan, &wanted.desired, wanted.kind, limit).await;
    match result {
        Ok(created) => {
            tell_result(context, &wanted, &plan, created, began.elapsed()).await?;
            Ok(Attempt::Up)
        }
        Err(failure) => {
            let begun = execution.begun();
            let failure = match lost_port(&wanted, &begun, &failure).await {
                Some(lost) if lost.insists == Insists::Nobody && number < ATTEMPTS => {
                    take_back(context, &wanted, &begun).await?;
                    return Ok(Attempt::PortLost);
                }
                Some(blocked) => {
                    let home = context.settings.home.clone();
                    PortTaken { blocked, home }.into()
                }
                None => failure,
            };
            // The cause first, then what is done about it.
            context.reporter.failure(&failure);
            if arguments.keep {
                context.reporter.emit(Note::LeftAsItIs);
            } else {
                take_back(context, &wanted, &begun).await?;
            }
            Err(failure)
        }
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

fn execution(context: &Context, wanted: &Wanted, limit: Duration) -> Execution {
    Execution::new(ExecutionSettings {
        engine: wanted.engine.clone(),
        prober: wanted.prober.clone(),
        reporter: context.reporter.clone(),
        shutdown: context.shutdown.clone(),
        desired: wanted.desired.clone(),
        hostnames: wanted.hostnames.clone(),
        limit,
    })
}

/// What is wanted, and the plan for it, once it is known whether the hosts can run osquery.
async fn with_osquery_or_agent(
    context: &Context,
    project: &Project,
    request: &Request,
    wanted: Wanted,
    plan: Plan,
    limit: Duration,
) -> Result<(Wanted, Plan)> {
    let attempt = execution(context, &wanted, limit);
    let variant = wanted.host_variant.as_ref();
    let wanted = match osquery::try_image(&attempt, &wanted.desired, &plan, variant).await? {
        Tried::Nothing => return Ok((wanted, plan)),
        Tried::Made(_) => wanted,
        Tried::Unavailable(error) => {
            let osquery_unavailable = Some(error.to_string());
            let request = Request {
                osquery_unavailable,
                ..request.clone()
            };
            // Its ports are chosen once more, and would be in use by itself.
            drop(wanted);
            let wanted = project.wanted(&request).await?;
            wanted.remembered.save(&project.folder)?;
            wanted
        }
    };
    let observed = wanted.engine.observe().await?;
    let plan = Plan::make_without(&project.stack.left_out, &wanted.desired, &observed);
    Ok((wanted, plan))
}

/// The service whose port was taken after it was chosen, if that is why it could not be started. How that shows
/// differs from engine to engine; who has the port is worth more.
async fn lost_port(wanted: &Wanted, begun: &Begun, failure: &Failure) -> Option<Blocked> {
    if failure.diagnosis().exit_code() != ExitCode::Start {
        return None;
    }
    let observed = wanted.engine.observe().await.ok()?;
    wanted.ports.lost(&begun.services, &observed).await
}

/// Containers that do not fit into the memory of the daemon's machine are killed at some point; better told before
/// anything starts.
fn check_memory(context: &Context, stack: &Stack, wanted: &Wanted, plan: &Plan) -> Result<()> {
    let Some(daemon) = wanted.daemon.as_ref().filter(|_| !plan.is_empty()) else {
        return Ok(());
    };
    let tight = match daemon.facts.memory {
        Some(there) => memory_for(stack, there)?,
        None => None,
    };
    if let Some(tight) = tight {
        context.reporter.emit(Warning::TightMemory(tight));
    }
    if daemon.facts.memory_limits == Support::No {
        context.reporter.emit(Warning::NoMemoryLimits);
    }
    Ok(())
}

async fn dry_run(context: &Context, project: &Project, request: &Request) -> Result<()> {
    let wanted = project.wanted(request).await?;
    tell_ports(context, &wanted);
    let observed = wanted.engine.observe().await?;
    let plan = Plan::make_without(&project.stack.left_out, &wanted.desired, &observed);
    let operations: Vec<_> = plan
        .operations
        .iter()
        .map(|operation| {
            json!({
                "action": operation.action.to_string(),
                "cause": operation.cause.to_string(),
                "after": operation.after,
            })
        })
        .collect();
    let document = json!({
        "schema_version": SCHEMA_VERSION,
        "project": context.settings.project,
        "operations": operations,
    });
    context.reporter.data(&document, || {
        if plan.is_empty() {
            "nothing to do\n".to_owned()
        } else {
            plan.to_string()
        }
    })
}

/// Carries out the plan; the statements go in as soon as ksqlDB is healthy. Returns how many of them made
/// something new.
async fn execute(
    context: &Context,
    execution: &Execution,
    plan: &Plan,
    desired: &[ServiceSpec],
    engine: EngineKind,
    limit: Duration,
) -> Result<usize> {
    let is_started = |name: &ServiceName| plan.started().any(|started| started == name);
    let unchanged: Vec<ServiceName> = desired
        .iter()
        .map(|spec| spec.name.clone())
        .filter(|name| !is_started(name))
        .collect();
    let statement_service = ServiceName::new(STATEMENT_SERVICE);
    let statements = async {
        if engine == EngineKind::Fake {
            return Ok(0);
        }
        tokio::select! {
            () = execution.healthy(&statement_service) => {}
            () = execution.given_up() => return Ok(0),
        }
        let submitted = submit(context, execution, limit).await;
        if submitted.is_err() {
            execution.give_up();
        }
        submitted
    };
    let (services, statements) = tokio::join!(execution.run(plan, &unchanged), statements);
    services.and(statements)
}

async fn submit(context: &Context, execution: &Execution, limit: Duration) -> Result<usize> {
    let endpoints = context.endpoints().await?;
    let client = Client::new(&endpoints.ksqldb_url)?;
    let files = ddl::pipeline();
    let submission = ddl::submit(&client, &files, &context.reporter, context.shutdown.token());
    match timeout_at(execution.deadline(), submission).await {
        Ok(submission) => Ok(submission?.created.len()),
        Err(_) => Err(UpError::StatementsTooSlow { limit }.into()),
    }
}

/// Stops what this run started, on a time limit of its own; a further signal makes it hurry.
async fn take_back(context: &Context, wanted: &Wanted, begun: &Begun) -> Result<()> {
    if begun.ground.is_none() && begun.services.is_empty() {
        return Ok(());
    }
    context.reporter.emit(Note::TakingBack);
    let work = async {
        if begun.ground.is_some() {
            return wanted.engine.close().await;
        }
        for service in begun.services.iter().rev() {
            wanted.engine.stop(service).await?;
        }
        Ok(())
    };
    let hurry = async {
        context.shutdown.at_once().cancelled().await;
        let _ = wanted.engine.hurry().await;
        future::pending::<()>().await
    };
    tokio::select! {
        done = timeout(ROLLBACK_LIMIT, work) => match done {
            Ok(result) => result?,
            Err(_) => context.reporter.emit(Note::NotAllTakenBack),
        },
        () = hurry => {}
    }
    Ok(())
}

/// Which services get other ports than they would have, and why.
fn tell_ports(context: &Context, wanted: &Wanted) {
    for moved in wanted.ports.moved() {
        context.reporter.emit(Warning::PortMoved(moved.told()));
    }
}

/// When the hosts are less than they should be, that is told, and told only when something changes.
fn tell_hosts(context: &Context, wanted: &Wanted, plan: &Plan) {
    if plan.is_empty() {
        return;
    }
    if let Some(Isolation::Marked { reason }) = &wanted.isolation {
        let reason = reason.clone();
        context.reporter.emit(Warning::SharedNamespaces { reason });
    }
    if let Some(variant) = &wanted.host_variant {
        context.reporter.emit(variant.told());
    }
    if let Some(own) = &wanted.remembered.host_config {
        context.reporter.emit(Note::HostConfig {
            file: own.path.clone(),
            broker_replaced: own
                .servers()
                .is_some_and(|servers| servers != host_config::BROKER_IN_CONTAINERS),
        });
        for Finding { place, message } in own.findings.iter().take(FINDINGS_SHOWN).cloned() {
            context
                .reporter
                .emit(Warning::HostConfigFinding { place, message });
        }
        let count = own.findings.len().saturating_sub(FINDINGS_SHOWN);
        if count > 0 {
            context.reporter.emit(Warning::MoreHostConfigFindings { count });
        }
    }
}

async fn tell_result(
    context: &Context,
    wanted: &Wanted,
    plan: &Plan,
    created: usize,
    elapsed: Duration,
) -> Result<()> {
    let services = wanted.desired.len();
    context.reporter.emit(if plan.is_empty() && created == 0 {
        Note::NothingToDo { services }
    } else {
        Note::Up { services, elapsed }
    });
    let endpoints = endpoints_of(&wanted.engine.observe().await?, &context.settings.project)?;
    let hosts: Vec<&String> = wanted.hostnames.values().collect();
    let document = json!({
        "schema_version": SCHEMA_VERSION,
        "project": context.settings.project,
        "changed": !plan.is_empty() || created > 0,
        "elapsed_ms": u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX),
        "endpoints": endpoints,
        "hosts": hosts,
    });
    context.reporter.data(&document, || {
        format!(
            "Kafka   {}\nksqlDB  {}\nhosts   {}\n",
            endpoints.bootstrap_servers,
            endpoints.ksqldb_url,
            wanted.hostnames.values().cloned().collect::<Vec<_>>().join(", ")
        )
    })?;
    let commands = ["scenario bigfile", "exec host2"].map(str::to_owned).to_vec();
    context.reporter.emit(Note::Next { commands });
    Ok(())
}
