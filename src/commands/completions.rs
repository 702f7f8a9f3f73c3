//! `osqdemo completions`: the script that makes a shell ask osqdemo what may come next, and the answers: beside verbs and
//! options also what there is just now, such as the services of the project. Nothing hidden is offered.

use std::collections::BTreeSet;
use std::io;
use std::path::Path;
use std::time::Duration;

use clap::CommandFactory;
use clap::builder::ArgExt;
use clap_complete::engine::{ArgValueCandidates, CompletionCandidate};
use clap_complete::env::{CompleteEnv, Shells};
use osqdemo_registry_client as registry_client;
use tokio::runtime;
use tokio::task::spawn_blocking;
use tokio::time::timeout;

use crate::chaos::fault;
use crate::cli::{Cli, CompletionsArgs, GlobalArgs};
use crate::commands::project::Project;
use crate::commands::{Context, endpoints};
use crate::error::{Diagnose, Result};
use crate::exit_code::ExitCode;
use crate::kafka::{list_topics, registry_settings};
use crate::listener::{ListenerFolder, Users};
use crate::settings::{Follows, Settings};
use crate::stack::{EmbeddedStack, Role, Service};
use crate::state::ProjectFolder;

/// The variable that tells osqdemo that a shell asks.
const VARIABLE: &str = "COMPLETE";

/// How long a broker may take for its topics, or a registry for its subjects: whoever pressed a key waits for them.
const ANSWER_WITHIN: Duration = Duration::from_secs(1);

/// There is no script for this shell.
#[derive(Debug, thiserror::Error)]
#[error("the script for {shell} cannot be written: {source}")]
struct NoScript {
    shell: clap_complete::Shell,
    source: io::Error,
}

impl Diagnose for NoScript {
    fn exit_code(&self) -> ExitCode {
        ExitCode::Usage
    }
}

/// Fails when standard output cannot be written.
pub(super) fn run(context: &Context, arguments: &CompletionsArgs) -> Result<()> {
    let mut script = Vec::new();
    let shells = Shells::builtins();
    let completer = shells.completer(&arguments.shell.to_string());
    completer
        .ok_or_else(|| io::Error::from(io::ErrorKind::Unsupported))
        .and_then(|completer| {
            completer.write_registration(VARIABLE, "osqdemo", "osqdemo", "osqdemo", &mut script)
        })
        .map_err(|source| NoScript {
            shell: arguments.shell,
            source,
        })?;
    context.reporter.text(&String::from_utf8_lossy(&script))
}

/// Answers a shell that asks what may come next; whether one did.
///
/// # Errors
/// When the question makes no sense.
pub fn answer_shell() -> clap::error::Result<bool> {
    let folder = std::env::current_dir().ok();
    CompleteEnv::with_factory(asked)
        .var(VARIABLE)
        .try_complete(std::env::args_os(), folder.as_deref().map(Path::new))
}

/// The command line with what its values may be.
fn asked() -> clap::Command {
    with_candidates(Cli::command())
}

fn with_candidates(command: clap::Command) -> clap::Command {
    let verb = command.get_name().to_owned();
    // In place: the order of arguments without a name is what tells them apart.
    let command = command.mut_args(|argument| match candidates(&verb, argument.get_id().as_str()) {
        Some(candidates) => argument.add(extension(candidates)),
        None => argument,
    });
    command.mut_subcommands(with_candidates)
}

type Candidates = fn() -> Vec<String>;

fn extension(candidates: Candidates) -> impl ArgExt {
    ArgValueCandidates::new(move || candidates().into_iter().map(CompletionCandidate::new).collect())
}

/// What the values of an argument of a verb may be.
fn candidates(verb: &str, argument: &str) -> Option<Candidates> {
    match (verb, argument) {
        (_, "project") => Some(projects),
        (_, "engine") => Some(|| vec!["native".to_owned(), "docker".to_owned()]),
        (_, "stack") => Some(stacks),
        (_, "without") => Some(services),
        (_, "with") => Some(optional_services),
        ("logs", "services") => Some(logs),
        ("wait", "services") | ("restart" | "open", "service") => Some(services),
        (_, "host") => Some(hosts),
        ("tail", "topic") | ("ksql", "declare") => Some(topics),
        ("remove", "name") => Some(users),
        ("set" | "clear", "target") => Some(fault_targets),
        ("show" | "check", "subject") => Some(subjects),
        _ => None,
    }
}

fn stacks() -> Vec<String> {
    EmbeddedStack::ALL.iter().map(ToString::to_string).collect()
}

/// The optional services of the project's stack and of ours: which one is meant is typed beside it.
fn optional_services() -> Vec<String> {
    let ours = EmbeddedStack::ALL
        .into_iter()
        .filter_map(|stack| stack.services().ok());
    let stacks = project().map(|project| project.stack).into_iter().chain(ours);
    let names: BTreeSet<String> = stacks.flat_map(|stack| stack.optional_names()).collect();
    names.into_iter().collect()
}

/// The settings of whoever asks: what was typed before is not known, the variables and the current folder are.
fn settings() -> Option<Settings> {
    Settings::resolve(&GlobalArgs::default(), Follows::SettingsFile).ok()
}

fn projects() -> Vec<String> {
    let folders = settings().and_then(|settings| ProjectFolder::all(&settings.home).ok());
    let folders = folders.unwrap_or_default();
    folders.iter().map(|folder| folder.project.to_string()).collect()
}

fn project() -> Option<Project> {
    let settings = settings()?;
    Project::of_folder(ProjectFolder::new(&settings.home, &settings.project)).ok()
}

fn services_that(is_meant: impl Fn(&Service) -> bool) -> Vec<String> {
    let Some(project) = project() else {
        return Vec::new();
    };
    let services = project.stack.services.iter().filter(|service| is_meant(service));
    services.map(|service| service.name.to_string()).collect()
}

fn services() -> Vec<String> {
    services_that(|_| true)
}

fn logs() -> Vec<String> {
    services().into_iter().chain(["supervisor".to_owned()]).collect()
}

fn hosts() -> Vec<String> {
    services_that(|service| service.role == Role::Host)
}

/// The topics of the broker that runs, if it answers at once.
fn topics() -> Vec<String> {
    at_once(async {
        let project = project()?;
        let observed = project.engine.observe().await.ok()?;
        let broker = endpoints::cluster(&project, &observed).ok()?;
        let topics = list_topics(&broker).await.ok()?;
        Some(topics.into_iter().map(|topic| topic.name).collect())
    })
}

/// The subjects of the registry that runs, if it answers at once.
fn subjects() -> Vec<String> {
    at_once(async {
        let project = project()?;
        let observed = project.engine.observe().await.ok()?;
        let registry = endpoints::registry(&project, &observed).ok()?;
        let settings = registry_client::Settings {
            timeout: ANSWER_WITHIN,
            retries: 0,
            ..registry_settings(&registry)
        };
        let client = registry_client::Client::new(settings).ok()?;
        spawn_blocking(move || client.subjects().ok()).await.ok()?
    })
}

/// What there is to do a fault to.
fn fault_targets() -> Vec<String> {
    let targets = project()
        .map(|project| fault::targets(&project.stack))
        .unwrap_or_default();
    let by_hand = targets
        .iter()
        .filter(|target| target.part != fault::Part::Supervisor);
    by_hand.map(ToString::to_string).collect()
}

/// The users that the project has made.
fn users() -> Vec<String> {
    let users = project().and_then(|project| Users::read(&ListenerFolder::of(&project.folder)).ok());
    users.unwrap_or_default().names().map(str::to_owned).collect()
}

/// What is found out before whoever pressed a key has waited too long.
fn at_once(asking: impl Future<Output = Option<Vec<String>>>) -> Vec<String> {
    let Ok(runtime) = runtime::Builder::new_current_thread().enable_all().build() else {
        return Vec::new();
    };
    let found = runtime.block_on(async { timeout(ANSWER_WITHIN, asking).await });
    // What blocks in a library call is not waited for.
    runtime.shutdown_background();
    found.ok().flatten().unwrap_or_default()
}
