//! `osqdemo projects`: every project of this user: whether it runs, on which engine, which stack, since when, and where.

use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::future::join_all;
use jiff::Timestamp;
use serde::Serialize;
use serde_json::json;
use tokio::time::timeout;

use crate::commands::Context;
use crate::commands::down::abandoned;
use crate::commands::project::Project;
use crate::error::Result;
use crate::events::{Note, SCHEMA_VERSION};
use crate::plan::{Observed, ServiceState, SupervisorState};
use crate::report::duration;
use crate::report::output_size::output_width;
use crate::report::table::table;
use crate::stack::ServiceName;
use crate::stack::project::ProjectName;
use crate::state::ProjectFolder;

/// How long an engine may take to tell about a project: the others are worth showing without it.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);

/// What is known of a project.
#[derive(Debug, Serialize)]
struct Summary {
    project: ProjectName,
    state: State,
    engine: Option<String>,
    stack: Option<String>,
    /// How many services run, and how many there are.
    services: Option<(usize, usize)>,
    /// How long the service that has been there longest runs.
    uptime_ms: Option<u64>,
    ports: BTreeMap<ServiceName, u16>,
    /// Why nothing is known of it.
    error: Option<String>,
}

/// Whether a project runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum State {
    /// All of it.
    Running,
    /// A part of it.
    Partly,
    /// Nothing of it.
    Stopped,
    /// Nobody looks after it.
    Lost,
    /// It cannot be told.
    Unknown,
}

impl State {
    fn word(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Partly => "partly running",
            Self::Stopped => "stopped",
            Self::Lost => "without a supervisor",
            Self::Unknown => "unknown",
        }
    }
}

/// Runs the verb.
///
/// # Errors
/// When the folder of all projects cannot be read.
pub async fn run(context: Context) -> Result<()> {
    let home = &context.settings.home;
    let mut folders = ProjectFolder::all(home)?;
    for project in abandoned(&context).await {
        if folders.iter().all(|folder| folder.project != project) {
            folders.push(ProjectFolder::new(home, &project));
        }
    }
    folders.sort_by(|one, other| one.project.cmp(&other.project));
    if folders.is_empty() {
        context.reporter.emit(Note::NoProjects { home: home.clone() });
    }
    let summaries: Vec<Summary> = join_all(folders.iter().map(summary)).await;
    let document = json!({ "schema_version": SCHEMA_VERSION, "home": home, "projects": summaries });
    context.reporter.data(&document, || {
        if summaries.is_empty() {
            return String::new();
        }
        let rows: Vec<Vec<String>> = summaries.iter().map(as_row).collect();
        let headers = ["PROJECT", "STATE", "ENGINE", "STACK", "UPTIME", "PORTS"];
        table(&headers, &rows, output_width())
    })
}

async fn summary(folder: &ProjectFolder) -> Summary {
    let unknown = |error: String| Summary {
        project: folder.project.clone(),
        state: State::Unknown,
        engine: None,
        stack: None,
        services: None,
        uptime_ms: None,
        ports: BTreeMap::new(),
        error: Some(error),
    };
    let project = match Project::of_folder(folder.clone()) {
        Ok(project) => project,
        Err(failure) => return unknown(failure.to_string()),
    };
    let of_project = |state, error: Option<String>| Summary {
        state,
        engine: Some(project.kind.to_string()),
        stack: Some(project.stack_name()),
        error,
        ..unknown(String::new())
    };
    match timeout(ANSWER_WITHIN, project.engine.observe()).await {
        Err(_) => of_project(
            State::Unknown,
            Some(format!("no answer within {} s", ANSWER_WITHIN.as_secs())),
        ),
        Ok(Err(failure)) => of_project(State::Unknown, Some(failure.to_string())),
        Ok(Ok(observed)) => {
            let running = running(&observed);
            let wanted = project.stack.services.len();
            Summary {
                services: Some((running.len(), wanted)),
                uptime_ms: uptime(&running, Timestamp::now()),
                ports: running
                    .iter()
                    .filter_map(|(name, _, port)| Some(((*name).clone(), (*port)?)))
                    .collect(),
                ..of_project(state(&observed, running.len(), wanted), None)
            }
        }
    }
}

/// The services that run: each with the time it was started at and its port.
fn running(observed: &Observed) -> Vec<(&ServiceName, i64, Option<u16>)> {
    let services = observed.services.iter();
    services
        .filter(|(_, service)| matches!(service.state, ServiceState::Running { .. }))
        .map(|(name, service)| (name, service.started_at, service.port))
        .collect()
}

fn state(observed: &Observed, running: usize, wanted: usize) -> State {
    match observed.supervisor {
        SupervisorState::Lost { .. } => State::Lost,
        _ if running == 0 && observed.services.is_empty() => State::Stopped,
        _ if running < wanted => State::Partly,
        _ => State::Running,
    }
}

fn uptime(running: &[(&ServiceName, i64, Option<u16>)], now: Timestamp) -> Option<u64> {
    let began = running.iter().map(|(_, started_at, _)| *started_at).min()?;
    u64::try_from(now.as_millisecond().saturating_sub(began)).ok()
}

fn as_row(summary: &Summary) -> Vec<String> {
    let or_nothing = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
    let state = match (summary.state, summary.services, &summary.error) {
        (State::Partly, Some((running, wanted)), _) => format!("{running} of {wanted} services"),
        (State::Unknown, _, Some(error)) => format!("unknown: {error}"),
        (state, ..) => state.word().to_owned(),
    };
    let ports: Vec<String> = summary
        .ports
        .iter()
        .map(|(service, port)| format!("{service} {port}"))
        .collect();
    vec![
        summary.project.to_string(),
        state,
        or_nothing(summary.engine.clone()),
        or_nothing(summary.stack.clone()),
        or_nothing(
            summary
                .uptime_ms
                .map(|uptime| duration(Duration::from_millis(uptime))),
        ),
        or_nothing(Some(ports.join(", ")).filter(|ports| !ports.is_empty())),
    ]
}
