//! `osqdemo fault`: faults by hand, to see what becomes of the pipeline. What is set is on record in the project's folder,
//! so that it can be listed and ended, also after a part was started anew.

mod error;
mod record;
mod ways;

use std::time::Duration;

use jiff::Timestamp;
use rustix::process::Signal;
use serde_json::json;

use self::error::FaultError;
use self::record::{Record, SetFault};
use crate::chaos::fault::{FaultKind, Part, Target, Way, targets};
use crate::chaos::processes::{self, Mark};
use crate::cli::{ClearFaultArgs, FaultArgs, FaultCommand, SetFaultArgs, Step};
use crate::commands::project::Project;
use crate::commands::{CommandError, Context};
use crate::error::Result;
use crate::events::{Note, SCHEMA_VERSION};
use crate::link::{LONGEST_DELAY, insertion};
use crate::plan::{Observed, ServiceState};
use crate::process::ProcessId;
use crate::stack::ServiceName;
use crate::state::ProjectLock;

/// How much later everything arrives on a slow way, unless the user says otherwise.
const USUAL_DELAY: Duration = Duration::from_millis(200);

/// How far a clock is wrong, unless the user says otherwise.
const USUAL_STEP: Step = Step(5 * 60 * 1000);

/// The faults that are set on a project, as far as can be told.
pub(super) async fn shown(project: &Project, observed: &Observed) -> Vec<String> {
    let Ok(record) = Record::read(&project.folder) else {
        return Vec::new();
    };
    let in_force = in_force(project, observed, record.clone(), |_| true).await;
    let in_force = in_force.unwrap_or(record);
    in_force.faults.iter().map(SetFault::to_string).collect()
}

/// Fails when the project does not run, or what is asked for cannot be done.
pub(super) async fn run(context: Context, arguments: FaultArgs) -> Result<()> {
    let project = Project::open(&context)?;
    let observed = project.engine.observe().await?;
    if !observed.is_running() {
        let project = project.folder.project.clone();
        return Err(CommandError::NotRunning { project }.into());
    }
    match arguments.command.unwrap_or(FaultCommand::List) {
        FaultCommand::List => list(&context, &project, &observed).await,
        FaultCommand::Set(arguments) => set(&context, &project, &observed, &arguments).await,
        FaultCommand::Clear(arguments) => clear(&context, &project, &observed, &arguments).await,
    }
}

async fn list(context: &Context, project: &Project, observed: &Observed) -> Result<()> {
    let record = Record::read(&project.folder)?;
    let record = in_force(project, observed, record, |_| true).await?;
    let document = json!({ "schema_version": SCHEMA_VERSION, "faults": record.faults });
    context.reporter.data(&document, || {
        let lines = record.faults.iter().map(|fault| format!("{fault}\n"));
        lines.collect()
    })
}

/// Those on record without these that somebody else has ended meanwhile.
async fn in_force(
    project: &Project,
    observed: &Observed,
    record: Record,
    is_asked: impl Fn(&SetFault) -> bool,
) -> Result<Record> {
    let mut left = Record::default();
    for fault in &record.faults {
        if !is_asked(fault) || is_in_force(project, observed, fault, &record).await? {
            left.faults.push(fault.clone());
        }
    }
    Ok(left)
}

/// Who ended a stopped part, or let it go on, has ended its fault. Whether a network is cut only `clear` finds out.
async fn is_in_force(
    project: &Project,
    observed: &Observed,
    fault: &SetFault,
    record: &Record,
) -> Result<bool> {
    if ways::is_one(project, fault.kind) {
        return Box::pin(ways::is_in_force(project, observed, fault, record)).await;
    }
    let is_stopped = || {
        found(project, observed, &fault.target)
            .is_ok_and(|processes| processes.iter().any(|process| process.is_stopped()))
    };
    Ok(fault.kind == FaultKind::Partition || is_stopped())
}

async fn set(context: &Context, project: &Project, observed: &Observed, typed: &SetFaultArgs) -> Result<()> {
    let kind = match typed.kind.parse::<FaultKind>() {
        Ok(
            kind @ (FaultKind::Stop
            | FaultKind::Partition
            | FaultKind::Slow
            | FaultKind::Clock
            | FaultKind::Kill),
        ) => kind,
        _ => {
            return Err(FaultError::UnknownKind {
                text: typed.kind.clone(),
            }
            .into());
        }
    };
    let target = target(project, &typed.target)?;
    let way = way(kind, typed)?;
    let step_ms = step(kind, typed)?;
    if matches!(kind, FaultKind::Partition | FaultKind::Slow) && target.part != Part::Whole {
        return Err(FaultError::PartOfNetwork { target }.into());
    }
    if kind == FaultKind::Clock && target.part != Part::Whole {
        return Err(FaultError::PartOfClock { target }.into());
    }
    if matches!(kind, FaultKind::Slow | FaultKind::Clock) && !ways::is_one(project, kind) {
        let engine = project.kind;
        return Err(FaultError::NotOn { kind, engine }.into());
    }
    let _lock = ProjectLock::take(&project.folder, "fault")?;
    // On record first: what was begun can be ended, whatever becomes of this process.
    let mut record = recorded(project).await?;
    let fault = SetFault {
        kind,
        target: target.clone(),
        since_ms: Timestamp::now().as_millisecond(),
        way,
        step_ms,
    };
    if kind != FaultKind::Kill {
        record.put(fault.clone());
        record.write(&project.folder)?;
    }
    let anew = [target.service.clone()];
    let done = match kind {
        kind if ways::is_one(project, kind) => {
            Box::pin(ways::make_so(context, project, &record, &anew)).await
        }
        FaultKind::Partition => match project.engine.network() {
            Some(network) => network.cut_off(&target.service).await,
            None => {
                let engine = project.kind;
                Err(FaultError::NotOn { kind, engine }.into())
            }
        },
        _ => found(project, observed, &target).map(|processes| {
            let signal = if kind == FaultKind::Stop {
                Signal::STOP
            } else {
                Signal::KILL
            };
            processes::signal(&processes, signal);
        }),
    };
    if let Err(failure) = done {
        record
            .faults
            .retain(|fault| (fault.kind, &fault.target) != (kind, &target));
        record.write(&project.folder)?;
        if ways::is_one(project, kind) && !context.shutdown.token().is_cancelled() {
            // Its cause first: to undo whatever was begun of it takes a while, and may fail as well.
            context.reporter.failure(&failure);
            if let Err(left) = Box::pin(ways::make_so(context, project, &record, &anew)).await {
                context.reporter.failure(&left);
            }
        }
        return Err(failure);
    }
    context.reporter.emit(Note::FaultSet {
        fault: fault.to_string(),
        target: (kind != FaultKind::Kill).then(|| target.to_string()),
    });
    let document = json!({ "schema_version": SCHEMA_VERSION, "set": { "kind": kind, "target": target } });
    context.reporter.data(&document, String::new)
}

async fn clear(
    context: &Context,
    project: &Project,
    observed: &Observed,
    typed: &ClearFaultArgs,
) -> Result<()> {
    let wanted = typed
        .target
        .as_deref()
        .map(|text| target(project, text))
        .transpose()?;
    let _lock = ProjectLock::take(&project.folder, "fault")?;
    let mut record = recorded(project).await?;
    let is_meant = |fault: &SetFault| wanted.as_ref().is_none_or(|target| fault.target == *target);
    let meant: Vec<SetFault> = record
        .faults
        .iter()
        .filter(|fault| is_meant(fault))
        .cloned()
        .collect();
    if let (Some(target), true) = (&wanted, meant.is_empty()) {
        let set = record
            .faults
            .iter()
            .map(|fault| fault.target.to_string())
            .collect();
        return Err(FaultError::NotSet {
            target: target.clone(),
            set,
        }
        .into());
    }
    let (of_ways, others): (Vec<_>, Vec<_>) =
        meant.iter().partition(|fault| ways::is_one(project, fault.kind));
    // First: behind a way that is free again nobody is well while the broker is stopped.
    for fault in others {
        if fault.kind == FaultKind::Partition {
            if let Some(network) = project.engine.network() {
                network.rejoin(&fault.target.service).await?;
            }
        } else if let Ok(processes) = found(project, observed, &fault.target) {
            // Who is gone needs no signal.
            processes::signal(&processes, Signal::CONT);
        }
        record.faults.retain(|other| other != fault);
        record.write(&project.folder)?;
    }
    // One that was interrupted may have left a link.
    if !of_ways.is_empty() || observed.services.keys().any(insertion::is_link) {
        record.faults.retain(|other| !of_ways.contains(&other));
        let anew: Vec<ServiceName> = of_ways.iter().map(|fault| fault.target.service.clone()).collect();
        Box::pin(ways::make_so(context, project, &record, &anew)).await?;
        record.write(&project.folder)?;
    }
    let cleared: Vec<String> = meant.iter().map(SetFault::to_string).collect();
    context.reporter.emit(Note::FaultsCleared {
        faults: cleared.clone(),
    });
    let document = json!({ "schema_version": SCHEMA_VERSION, "cleared": cleared });
    context.reporter.data(&document, String::new)
}

/// What is set, seen anew by who has the lock: another one may have set a fault a moment ago. A way that somebody else has
/// made free again stays so.
async fn recorded(project: &Project) -> Result<Record> {
    let observed = project.engine.observe().await?;
    let record = Record::read(&project.folder)?;
    in_force(project, &observed, record, |fault| {
        ways::is_one(project, fault.kind)
    })
    .await
}

/// How slow the way is to be, where that is the fault.
fn way(kind: FaultKind, typed: &SetFaultArgs) -> Result<Option<Way>> {
    if kind != FaultKind::Slow {
        return match (typed.delay, typed.loss) {
            (None, None) => Ok(None),
            _ => Err(FaultError::NotSlow.into()),
        };
    }
    let delay = typed.delay.unwrap_or(USUAL_DELAY);
    if delay > LONGEST_DELAY {
        return Err(FaultError::Delay.into());
    }
    Ok(Some(Way {
        delay_ms: u64::try_from(delay.as_millis()).unwrap_or(u64::MAX),
        loss_percent: typed.loss.unwrap_or_default(),
    }))
}

/// How far the clock is to be wrong, where that is the fault.
fn step(kind: FaultKind, typed: &SetFaultArgs) -> std::result::Result<Option<i64>, FaultError> {
    match (kind, typed.step) {
        (FaultKind::Clock, step) => Ok(Some(step.unwrap_or(USUAL_STEP).0)),
        (_, None) => Ok(None),
        (_, Some(_)) => Err(FaultError::NotClock),
    }
}

/// What a text means, on this stack.
fn target(project: &Project, text: &str) -> std::result::Result<Target, FaultError> {
    let known: Vec<Target> = targets(&project.stack)
        .into_iter()
        .filter(|target| target.part != Part::Supervisor)
        .collect();
    let meant = Target::try_from(text.to_owned())
        .ok()
        .filter(|target| known.contains(target));
    meant.ok_or_else(|| FaultError::UnknownTarget {
        text: text.to_owned(),
        known: known.iter().map(Target::to_string).collect(),
    })
}

/// The processes of a target that are this project's.
fn found(project: &Project, observed: &Observed, target: &Target) -> Result<Vec<ProcessId>> {
    let service = || target.service.clone();
    let seen = observed.services.get(&target.service);
    let pid = seen.and_then(|seen| match seen.state {
        ServiceState::Running { pid } | ServiceState::Paused { pid } => Some((seen, pid)),
        _ => None,
    });
    let Some((seen, pid)) = pid else {
        return Err(CommandError::ServiceNotRunning { service: service() }.into());
    };
    if !Mark::of(seen, project.folder.root()).is_on(pid) {
        return Err(FaultError::OutOfReach { service: service() }.into());
    }
    let processes = processes::of_part(pid, target.part);
    if processes.is_empty() {
        return Err(FaultError::NoProcess {
            target: target.clone(),
        }
        .into());
    }
    Ok(processes)
}
