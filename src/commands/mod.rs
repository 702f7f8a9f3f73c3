//! The verbs, one file each. What they share is a [`Context`].

pub mod attach;
pub mod build;
pub mod bundle;
pub mod certs;
pub mod chaos;
pub mod completions;
pub mod config;
pub mod doctor;
pub mod down;
mod endpoints;
pub mod exec;
pub mod fault;
pub mod groups;
pub mod host_package;
pub mod images;
pub mod ksql;
pub mod logs;
pub mod man;
pub mod open;
mod osquery;
pub mod probe;
pub mod project;
pub mod projects;
pub mod ps;
pub mod restart;
pub mod scenario;
pub mod schemas;
pub mod serve;
mod server_watch;
pub mod smoke;
pub mod tail;
pub mod top;
pub mod topics;
pub mod up;
pub mod users;
pub mod wait;

use crate::cli::{Command, FaultArgs, FaultCommand, ImagesCommand, ScenarioCommand};
use crate::engine::native::{host_init, supervisor};
use crate::error::{Diagnose, Result};
use crate::exit_code::ExitCode;
use crate::host_config;
use crate::report::Reporter;
use crate::settings::{ProbeSettings, Settings};
use crate::shutdown::Shutdown;
use crate::stack::project::ProjectName;
use crate::stack::{Role, ServiceName};
use crate::state::ProjectFolder;

/// What every verb gets.
#[derive(Clone)]
pub struct Context {
    /// What the command line means.
    pub settings: Settings,
    /// Where to tell it.
    pub reporter: Reporter,
    /// When to end.
    pub shutdown: Shutdown,
}

/// Errors that several verbs share.
#[derive(Debug, thiserror::Error)]
pub enum CommandError {
    /// Nothing runs under this name.
    #[error("project `{project}` is not running")]
    NotRunning {
        /// The project.
        project: ProjectName,
    },
    /// The stack has no such service, and the verb needs one.
    #[error("stack `{stack}` has no {role}")]
    NoRole {
        /// The stack.
        stack: String,
        /// What is needed.
        role: Role,
    },
    /// The service that the verb needs is left out of the stack.
    #[error("service `{service}` is left out")]
    LeftOut {
        /// The service.
        service: ServiceName,
    },
    /// The service that the verb needs is not running.
    #[error("{service} is not running")]
    ServiceNotRunning {
        /// The service.
        service: ServiceName,
    },
    /// The service that the verb needs is paused: it would not answer.
    #[error("{service} is paused: somebody stopped it without ending it")]
    ServicePaused {
        /// The service.
        service: ServiceName,
    },
    /// A verb that this build does not have.
    #[error("`{verb}` is not available in this version")]
    Unavailable {
        /// The verb.
        verb: &'static str,
    },
}

impl Diagnose for CommandError {
    fn exit_code(&self) -> ExitCode {
        match self {
            Self::NotRunning { .. }
            | Self::NoRole { .. }
            | Self::LeftOut { .. }
            | Self::ServiceNotRunning { .. }
            | Self::ServicePaused { .. } => ExitCode::NotRunning,
            Self::Unavailable { .. } => ExitCode::Usage,
        }
    }

    fn hints(&self) -> Vec<String> {
        match self {
            Self::NotRunning { .. } | Self::ServiceNotRunning { .. } => {
                vec!["start it with `osqdemo up`".to_owned()]
            }
            Self::NoRole {
                role: Role::Broker, ..
            } => vec!["name a Kafka that is already there with `osqdemo up --kafka HOST:PORT`".to_owned()],
            Self::ServicePaused { .. } => vec!["`osqdemo up` lets it go on".to_owned()],
            Self::NoRole { .. } => vec!["stack `lite` has all that the demo takes".to_owned()],
            Self::LeftOut { .. } => vec!["`osqdemo up --without none` brings it back".to_owned()],
            Self::Unavailable { .. } => Vec::new(),
        }
    }
}

/// The name of a verb whose runs are kept in the journal of the project: those that change something.
pub fn journalled(command: &Command) -> Option<&'static str> {
    match command {
        Command::Up(arguments) if !arguments.dry_run => Some("up"),
        // With `--all` each project gets its own part.
        Command::Down(arguments) if !arguments.all => Some("down"),
        Command::Restart(_) => Some("restart"),
        Command::Scenario(ScenarioCommand::Bigfile(_)) => Some("scenario"),
        Command::Chaos(_) => Some("chaos"),
        Command::Fault(FaultArgs {
            command: Some(FaultCommand::Set(_) | FaultCommand::Clear(_)),
        }) => Some("fault"),
        Command::Smoke(_) => Some("smoke"),
        Command::Build(_) => Some("build"),
        Command::Images(arguments) => match arguments.command {
            None | Some(ImagesCommand::List(_) | ImagesCommand::Save(_)) => None,
            Some(ImagesCommand::Pull(_)) => Some("images pull"),
            Some(ImagesCommand::Lock(_)) => Some("images lock"),
            Some(ImagesCommand::Load(_)) => Some("images load"),
        },
        _ => None,
    }
}

/// Runs a verb.
///
/// # Errors
/// Whatever ends the verb; the error knows its exit code.
pub async fn run(context: Context, command: Command) -> Result<()> {
    match command {
        Command::Up(arguments) => Box::pin(up::run(context, arguments)).await,
        Command::Build(arguments) => build::run(context, arguments).await,
        Command::Images(arguments) => images::run(context, arguments).await,
        Command::Down(arguments) => Box::pin(down::run(context, arguments)).await,
        Command::Projects(_) => Box::pin(projects::run(context)).await,
        Command::Ps(_) => ps::run(context).await,
        Command::Logs(arguments) => logs::run(context, arguments).await,
        Command::Exec(arguments) => exec::run(context, arguments).await,
        Command::Attach(arguments) => Box::pin(attach::run(context, arguments)).await,
        Command::Restart(arguments) => restart::run(context, arguments).await,
        Command::Wait(arguments) => wait::run(context, arguments).await,
        Command::Ksql(arguments) => ksql::run(context, arguments).await,
        Command::Top(arguments) => Box::pin(top::run(context, arguments)).await,
        Command::Topics(arguments) => topics::run(context, &arguments).await,
        Command::Groups(_) => groups::run(context).await,
        Command::Schemas(arguments) => schemas::run(context, arguments).await,
        Command::Tail(arguments) => tail::run(context, arguments).await,
        Command::Scenario(command) => scenario::run(context, command).await,
        Command::Chaos(arguments) => Box::pin(chaos::run(context, arguments)).await,
        Command::Fault(arguments) => Box::pin(fault::run(context, arguments)).await,
        Command::Doctor(arguments) => Box::pin(doctor::run(context, arguments)).await,
        Command::Smoke(arguments) => Box::pin(smoke::run(context, arguments)).await,
        Command::Bundle(arguments) => Box::pin(bundle::run(context, arguments)).await,
        Command::Open(arguments) => open::run(context, arguments).await,
        Command::Config(command) => config::run(&context, &command),
        Command::Serve(command) => serve::run(context, command).await,
        Command::HostConfig(_) => context.reporter.text(host_config::DEFAULT),
        Command::Users(arguments) => users::run(context, arguments).await,
        Command::Certs(command) => certs::run(&context, command),
        Command::HostPackage(arguments) => host_package::run(context, arguments).await,
        Command::Completions(arguments) => completions::run(&context, &arguments),
        Command::Man(arguments) => man::run(&context, arguments),
        Command::Probe(arguments) => probe::run(ProbeSettings::resolve(&arguments)?).await,
        Command::Supervise(_) => {
            serve::start_log();
            let folder = ProjectFolder::new(&context.settings.home, &context.settings.project);
            let announce = || context.reporter.text(supervisor::READY);
            supervisor::supervise(folder, announce, &context.shutdown).await
        }
        Command::HostInit(arguments) => {
            serve::start_log();
            host_init::run(&arguments.spec, &context.shutdown).await
        }
    }
}
