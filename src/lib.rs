//! `osqdemo`: stands up, runs and verifies an osquery, Kafka and ksqlDB pipeline end to end.
//!
//! # Bird's-eye view
//! What was typed ([`cli`]) becomes what is meant ([`settings`]) and goes to a verb ([`commands`]). A verb that
//! changes the stack works in four steps: the engine ([`engine`]) *observes* what there is; a pure function
//! ([`plan`]) compares that with what is wanted (a [`stack`] and the user's choices) and returns a *plan*, data
//! with a cause for every operation; [`execute`] *carries it out*, as parallel as the order allows; [`health`]
//! asks each service in its own protocol whether it is *healthy*. Everything worth telling on the way is an
//! event ([`events`]), and only [`report`] shows it.
//!
//! A stack says which services there are, an engine says where they run. The native engine
//! ([`engine::native`]) runs them as processes: a supervisor per project is told what to do over a Unix socket,
//! and the hosts of the demo get namespaces of their own. The Docker engine ([`engine::docker`]) runs them as
//! containers. `osqdemo serve …` is one service of the platform in the foreground: what both engines start.
//!
//! # Code map
//! | module | holds |
//! |---|---|
//! | [`cli`], [`settings`], [`commands`] | the command line, in three layers |
//! | [`stack`], [`plan`], [`events`], [`error`], [`exit_code`] | pure data: no runtime, no I/O |
//! | [`engine`] | one trait; `native`, `docker` and `fake` |
//! | [`images`] | when an image is pulled, locked, retried: decided without a daemon |
//! | [`ports`] | which port each service gets, and who has those that are taken |
//! | [`execute`], [`health`], [`doctor`] | carrying out plans, asking for health, checking the machine |
//! | [`kafka`], [`ksqldb`], [`scenario`] | clients of the platform, and the proof that the pipeline works |
//! | [`chaos`] | the pipeline under faults, and the proof that nothing is lost |
//! | [`link`] | what stands between a client and the broker so that the way there can be slow or cut |
//! | [`listener`] | how other machines are let in by the project's own broker: certificates, users, address |
//! | [`report`] | the only place that prints; what happened also goes on the project's record |
//! | [`quantity`], [`waiting`], [`process`] | durations and sizes as people write and read them; the one place that lets time pass; processes of this machine |
//! | [`bundle`], [`tar`] | everything for a report of a failure, without secrets |
//! | [`client_properties`] | how a Kafka that wants TLS and a password is reached |
//! | [`host_config`] | what the hosts monitor: the default, or the user's own |
//! | [`state`] | a project's folder: lock, records, what it remembers |
//! | [`shutdown`], [`parent_watch`] | why a process should end: a signal, or its parent is gone |
//!
//! # Invariants
//! - Dependencies point one way: verbs → executing, asking, checking → engine trait, plan, stack, events. An
//!   engine knows nothing of plans' reasons or of health; nothing but `lib.rs` knows the verbs.
//! - `up; up` does nothing the second time; a repair touches exactly what differs; `down` leaves no process,
//!   socket, mount or lock behind.
//! - However a supervisor ends, its services end too: each one's standard input is a pipe whose other end only
//!   the supervisor holds.
//! - A process is never signalled by its pid alone: its start time must be the recorded one.
//! - No wait without a deadline, a probe and a reason; clean-up has a limit of its own.
//! - A failure shows its cause before anything is taken back.

pub mod bundle;
pub mod chaos;
pub mod cli;
pub mod client_properties;
pub mod commands;
pub mod doctor;
pub mod engine;
pub mod error;
pub mod events;
pub mod execute;
pub mod exit_code;
pub mod health;
pub mod host_config;
pub mod images;
pub mod input_file;
pub mod kafka;
pub mod ksqldb;
pub mod link;
pub mod listener;
pub mod near_names;
pub mod output_file;
pub mod parent_watch;
pub mod plan;
pub mod ports;
pub mod process;
pub mod quantity;
pub mod report;
pub mod scenario;
pub mod settings;
pub mod shutdown;
pub mod stack;
pub mod state;
pub mod tar;
pub mod waiting;

use std::env;

use osquery_resident_set::limit_arenas;
use tokio::runtime;

use crate::cli::{Cli, Command, GlobalArgs, ServeCommand, UsageError};
use crate::commands::Context;
use crate::error::{Diagnose, Failure};
use crate::events::Detail;
use crate::exit_code::ExitCode;
use crate::report::Reporter;
use crate::settings::{Follows, OutputSettings, Settings};
use crate::shutdown::Shutdown;
use crate::state::ProjectFolder;

/// Runs the command line and returns the process's exit code.
pub fn main() -> std::process::ExitCode {
    match commands::completions::answer_shell() {
        Ok(true) => return ExitCode::Ok.into(),
        Ok(false) => {}
        Err(error) => error.exit(),
    }
    let cli = match Cli::read() {
        Ok(cli) => cli,
        Err(error) if error.use_stderr() && cli::asks_for_json(env::args_os()) => {
            let json = GlobalArgs {
                json: true,
                ..GlobalArgs::default()
            };
            let failure = UsageError::of(&error).into();
            Reporter::new(OutputSettings::resolve(&json)).failure(&failure);
            return failure.diagnosis().exit_code().into();
        }
        // Help and the version, and what is wrong, as clap writes it.
        Err(error) => error.exit(),
    };
    let reporter = Reporter::new(OutputSettings::resolve(&cli.global));
    let code = match run(cli, reporter.clone()) {
        Ok(code) => code,
        Err(failure) => {
            let code = failure.diagnosis().exit_code();
            if code != ExitCode::Ok {
                reporter.last_failure(&failure);
            }
            code
        }
    };
    reporter.end_journal(code);
    code.into()
}

/// The process itself cannot do its work.
#[derive(Debug, thiserror::Error)]
enum ProcessError {
    #[error("failed to start the runtime: {source}")]
    Runtime { source: std::io::Error },
    #[error("failed to listen for signals: {source}")]
    Signals { source: std::io::Error },
}

impl Diagnose for ProcessError {
    fn exit_code(&self) -> ExitCode {
        ExitCode::Internal
    }
}

fn run(cli: Cli, reporter: Reporter) -> Result<ExitCode, Failure> {
    let follows = if cli.command.follows_settings_file() {
        Follows::SettingsFile
    } else {
        Follows::Nothing
    };
    let settings = Settings::resolve(&cli.global, follows)?;
    reporter.address(&settings.project);
    if let Some(verb) = commands::journalled(&cli.command) {
        let folder = ProjectFolder::new(&settings.home, &settings.project);
        reporter.begin_journal(folder, verb);
    }
    if let Some(file) = &settings.file {
        let file = file.path.clone();
        reporter.emit(Detail::SettingsFile { file });
    }
    let runtime = runtime(&cli.command).map_err(|source| ProcessError::Runtime { source })?;
    let result = runtime.block_on(async {
        let shutdown = Shutdown::install().map_err(|source| ProcessError::Signals { source })?;
        let context = Context {
            settings,
            reporter,
            shutdown: shutdown.clone(),
        };
        let result = Box::pin(commands::run(context, cli.command)).await;
        match (result, shutdown.exit_code()) {
            (Ok(()), code) => Ok(code.unwrap_or(ExitCode::Ok)),
            (Err(failure), _) => Err(failure),
        }
    });
    // What blocks in a library call (a probe of librdkafka) is not waited for.
    runtime.shutdown_background();
    result
}

/// For how many threads of a service that mostly waits the allocator keeps memory apart.
const ARENAS: u16 = 2;

/// The processes that only look after others live long and do little: one thread is enough for them.
fn runtime(command: &Command) -> std::io::Result<runtime::Runtime> {
    match command {
        Command::Supervise(_) | Command::HostInit(_) => runtime::Builder::new_current_thread(),
        Command::Serve(ServeCommand::Console(_) | ServeCommand::SchemaRegistry(_)) => {
            limit_arenas(ARENAS);
            runtime::Builder::new_multi_thread()
        }
        _ => runtime::Builder::new_multi_thread(),
    }
    .enable_all()
    .build()
}
