//! `osqdemo down`: stop everything and leave nothing behind but data and images, and with `--volumes` and `--images`
//! not even those.

mod outside_kafka;

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use rustix::process::Signal;
use serde_json::json;
use tokio::time::{Instant, interval, timeout};

use crate::cli::DownArgs;
use crate::commands::project::Project;
use crate::commands::{Context, attach};
use crate::engine::EngineKind;
use crate::engine::docker::Connection;
use crate::error::{Failure, Result};
use crate::events::{Doing, Ending, Event, Note, Outcome, SCHEMA_VERSION, Step, Warning};
use crate::exit_code::ExitCode;
use crate::plan::{Observed, RecordLoss, SupervisorState};
use crate::process::ProcessId;
use crate::stack::ServiceName;
use crate::stack::project::ProjectName;
use crate::state::{
    ProjectFolder, ProjectLock, Remembered, StateError, remove_file, remove_folder_in_place_of,
};

/// How often to look which services are gone.
const LOOK: Duration = Duration::from_millis(20);
/// This command, as the lock names it.
const OWN_VERB: &str = "down";
/// How long a command that works on the project may take to stop what it has begun.
const GIVES_WAY_WITHIN: Duration = Duration::from_secs(30);
/// How long a killed process may take to be gone.
const KILLED_WITHIN: Duration = Duration::from_secs(5);

/// Fails when something cannot be stopped; with `--all` the other projects are stopped all the same.
pub(super) async fn run(context: Context, arguments: DownArgs) -> Result<()> {
    let folders = if arguments.all {
        let mut folders = ProjectFolder::all(&context.settings.home)?;
        for project in abandoned(&context).await {
            if folders.iter().all(|folder| folder.project != project) {
                folders.push(ProjectFolder::new(&context.settings.home, &project));
            }
        }
        folders
    } else {
        vec![ProjectFolder::new(
            &context.settings.home,
            &context.settings.project,
        )]
    };
    if folders.is_empty() {
        let home = context.settings.home.clone();
        context.reporter.emit(Note::NoProjects { home });
    }
    let mut first_failure: Option<Failure> = None;
    for folder in folders {
        if arguments.all {
            context.reporter.begin_journal(folder.clone(), "down");
        }
        let stopped = Box::pin(stop(&context, folder, &arguments)).await;
        if arguments.all {
            let code = stopped.as_ref().map_or_else(
                |failure| failure.diagnosis().exit_code(),
                |()| context.shutdown.exit_code().unwrap_or(ExitCode::Ok),
            );
            context.reporter.end_journal(code);
        }
        if let Err(failure) = stopped
            && let Some(earlier) = first_failure.replace(failure)
        {
            context.reporter.failure(&earlier);
        }
    }
    if let Some(failure) = first_failure {
        return Err(failure);
    }
    if arguments.images {
        remove_images(&context).await?;
    }
    Ok(())
}

/// Several projects share the images: they go once, after all projects that are to be stopped.
async fn remove_images(context: &Context) -> Result<()> {
    let outcome = Connection::open().await?.remove_made_images().await?;
    for image in &outcome.kept {
        let image = image.clone();
        context.reporter.emit(Warning::ImageKept { image });
    }
    context.reporter.emit(Note::ImagesRemoved {
        images: outcome.removed.clone(),
    });
    let document = json!({
        "schema_version": SCHEMA_VERSION,
        "images_removed": outcome.removed,
        "images_kept": outcome.kept,
    });
    context.reporter.data(&document, String::new)
}

/// The projects of this state home that a Docker daemon still knows, whatever became of their folders. Where no
/// daemon answers there are none that could be stopped.
pub(super) async fn abandoned(context: &Context) -> Vec<ProjectName> {
    let projects = async {
        let connection = Connection::open().await?;
        connection.projects(Some(&context.settings.home)).await
    };
    let projects = projects.await.unwrap_or_default();
    projects.into_keys().map(|leftover| leftover.project).collect()
}

/// The project of a folder, also when what it remembers cannot be read: then its engine is the one that knows it.
///
/// # Errors
/// When the folder is out of reach, or another user's.
pub(super) async fn whatever_it_remembers(context: &Context, folder: &ProjectFolder) -> Result<Project> {
    match Remembered::load(folder) {
        Ok(remembered) => Project::that_remembers(folder.clone(), remembered),
        Err(
            error @ (StateError::Newer { .. } | StateError::Damaged { .. } | StateError::NotAFile { .. }),
        ) => {
            context.reporter.emit(Warning::StateUnread {
                project: folder.project.clone(),
                reason: error.to_string(),
            });
            Project::that_remembers(folder.clone(), guessed(context, &folder.project).await)
        }
        Err(error) => Err(error.into()),
    }
}

/// What there is; where nobody answers, what is known without an answer.
pub(super) async fn seen(project: &Project) -> Result<Observed> {
    match project.engine.observe().await {
        Ok(observed) => Ok(observed),
        Err(failure) => project.engine.last_known().ok_or(failure),
    }
}

async fn guessed(context: &Context, project: &ProjectName) -> Remembered {
    let engine = if abandoned(context).await.contains(project) {
        EngineKind::Docker
    } else {
        EngineKind::Native
    };
    Remembered {
        engine: Some(engine.to_string()),
        ..Remembered::default()
    }
}

/// The lock, whoever has it: what is to be stopped needs no command that works on it.
async fn lock(context: &Context, folder: &ProjectFolder) -> Result<ProjectLock> {
    // Else nobody could ever take it.
    remove_folder_in_place_of(&folder.lock_file())?;
    let (verb, pid, is_stopped) = match ProjectLock::take(folder, OWN_VERB) {
        Err(StateError::Busy {
            verb,
            pid,
            is_stopped,
            ..
        }) if is_stopped || verb != OWN_VERB => (verb, pid, is_stopped),
        taken => return Ok(taken?),
    };
    let send = |signal| {
        if let Some(holder) = ProcessId::of(pid) {
            holder.signal(signal);
        }
    };
    if !is_stopped {
        context.reporter.emit(Note::GivesWay {
            verb: verb.clone(),
            process: pid,
        });
        send(Signal::TERM);
        if let Ok(taken) = timeout(GIVES_WAY_WITHIN, released(folder)).await {
            return Ok(taken?);
        }
    }
    send(Signal::KILL);
    context.reporter.emit(Warning::CommandKilled {
        verb,
        process: pid,
        was_stopped: is_stopped,
    });
    // The kernel takes its time only where a disk does.
    let taken = timeout(KILLED_WITHIN, released(folder)).await;
    Ok(taken.unwrap_or_else(|_| ProjectLock::take(folder, OWN_VERB))?)
}

/// The lock, once nobody has it.
async fn released(folder: &ProjectFolder) -> std::result::Result<ProjectLock, StateError> {
    let mut look = interval(LOOK);
    loop {
        match ProjectLock::take(folder, OWN_VERB) {
            Err(StateError::Busy { .. }) => look.tick().await,
            taken => return taken,
        };
    }
}

/// Whether processes of the project are there although its folder is not.
fn runs_without_a_folder(folder: &ProjectFolder) -> Result<bool> {
    let project = Project::that_remembers(folder.clone(), Remembered::default())?;
    Ok(project
        .engine
        .last_known()
        .is_some_and(|known| known.is_running()))
}

async fn stop(context: &Context, folder: ProjectFolder, arguments: &DownArgs) -> Result<()> {
    let name = folder.project.clone();
    let exists = folder.exists()?;
    let is_abandoned = !exists && abandoned(context).await.contains(&name);
    if !exists && !is_abandoned && !runs_without_a_folder(&folder)? {
        return tell(
            context,
            &folder,
            Stopped {
                was_running: false,
                services: 0,
                elapsed: Duration::ZERO,
            },
            arguments,
        );
    }
    let lock = lock(context, &folder).await?;
    if is_abandoned {
        let remembered = Remembered {
            engine: Some(EngineKind::Docker.to_string()),
            ..Remembered::default()
        };
        remembered.save(&folder)?;
    }
    let project = Box::pin(whatever_it_remembers(context, &folder)).await?;
    let began = Instant::now();
    let observed = seen(&project).await?;
    for service in observed.services.keys() {
        context.reporter.emit(Event::StepStarted {
            step: Step::service(service),
            doing: Doing::Stopping { cause: None },
        });
    }
    close(context, &project, &observed, began).await?;
    // What was done to processes has ended with them.
    remove_folder_in_place_of(&folder.faults_file())?;
    remove_file(&folder.faults_file())?;
    if arguments.volumes {
        project.engine.remove_data().await?;
        attach::end_at_once(&folder);
        // What it has made elsewhere stands in its folder.
        outside_kafka::clean_up(context, &project).await;
        folder.remove()?;
    } else if !exists && !is_abandoned && !folder.is_project() {
        // Only the lock is in it, and nobody has begun a project there meanwhile.
        folder.remove()?;
    }
    drop(lock);
    match observed.supervisor {
        SupervisorState::Lost { pid } => context.reporter.emit(Warning::SupervisorLost {
            project: name.clone(),
            process: pid,
            cleaned_up: true,
        }),
        SupervisorState::Silent { pid } => context.reporter.emit(Warning::SupervisorSilent {
            project: name.clone(),
            process: pid,
            cleaned_up: true,
        }),
        SupervisorState::Unrecorded { pid, others, record } => context.reporter.emit(Warning::Unrecorded {
            project: name.clone(),
            process: pid,
            others,
            damaged: (record == RecordLoss::Damaged).then(|| folder.services_file()),
            cleaned_up: true,
        }),
        SupervisorState::Absent | SupervisorState::Running { .. } | SupervisorState::Daemon { .. } => {}
    }
    tell(
        context,
        &folder,
        Stopped {
            was_running: observed.is_running() || !observed.services.is_empty(),
            services: observed.services.len(),
            elapsed: began.elapsed(),
        },
        arguments,
    )
}

/// Stops everything and tells when each service is gone; a second signal makes it hurry.
async fn close(context: &Context, project: &Project, observed: &Observed, began: Instant) -> Result<()> {
    let running: Mutex<Vec<&ServiceName>> = Mutex::new(observed.services.keys().collect());
    let there = || running.lock().unwrap_or_else(PoisonError::into_inner);
    let watching = async {
        let mut look = interval(LOOK);
        loop {
            look.tick().await;
            // An engine that is about to close may not answer any more.
            let Ok(now) = project.engine.observe().await else {
                continue;
            };
            there().retain(|service| {
                let is_there = now.services.contains_key(*service);
                if !is_there {
                    tell_stopped(context, service, Outcome::Done, began);
                }
                is_there
            });
        }
    };
    let closing = project.engine.close();
    tokio::pin!(closing, watching);
    let mut is_hurried = false;
    let closed = loop {
        tokio::select! {
            closed = &mut closing => break closed,
            // Beside the closing, not before it: whoever hangs is not asked forever.
            () = &mut watching => {}
            () = context.shutdown.at_once().cancelled(), if !is_hurried => {
                is_hurried = true;
                let _ = project.engine.hurry().await;
            }
        }
    };
    let outcome = if closed.is_ok() {
        Outcome::Done
    } else {
        Outcome::Failed
    };
    for service in there().iter() {
        tell_stopped(context, service, outcome, began);
    }
    closed
}

fn tell_stopped(context: &Context, service: &ServiceName, outcome: Outcome, began: Instant) {
    let ending = if outcome == Outcome::Done {
        Ending::Stopped
    } else {
        Ending::NotStopped
    };
    context.reporter.emit(Event::StepFinished {
        step: Step::service(service),
        outcome,
        ending,
        elapsed: began.elapsed(),
    });
}

struct Stopped {
    /// Whether anything was.
    was_running: bool,
    services: usize,
    elapsed: Duration,
}

fn tell(context: &Context, folder: &ProjectFolder, stopped: Stopped, arguments: &DownArgs) -> Result<()> {
    let name = &folder.project;
    let (project, data_removed) = (name.clone(), arguments.volumes);
    context.reporter.emit(if stopped.was_running {
        Note::Down {
            project,
            data_removed,
            elapsed: stopped.elapsed,
        }
    } else {
        Note::WasNotRunning {
            project,
            data_removed,
        }
    });
    let document = json!({
        "schema_version": SCHEMA_VERSION,
        "project": name,
        "stopped": stopped.services,
        "volumes_removed": arguments.volumes,
        "elapsed_ms": u64::try_from(stopped.elapsed.as_millis()).unwrap_or(u64::MAX),
    });
    context.reporter.data(&document, String::new)
}
