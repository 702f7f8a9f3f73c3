//! `osqdemo`: stands up, runs and verifies an osquery, Kafka and ksqlDB pipeline end to end.

pub mod cli;
pub mod commands;
pub mod doctor;
pub mod engine;
pub mod error;
pub mod events;
pub mod execute;
pub mod exit_code;
pub mod health;
pub mod images;
pub mod kafka;
pub mod ksqldb;
pub mod lifeline;
pub mod near_names;
pub mod plan;
pub mod report;
pub mod scenario;
pub mod settings;
pub mod shutdown;
pub mod stack;
pub mod state;

use clap::Parser;
use tokio::runtime;

use crate::cli::{Cli, Command};
use crate::commands::Context;
use crate::error::{Diagnose, Failure};
use crate::exit_code::ExitCode;
use crate::report::Reporter;
use crate::settings::{OutputSettings, Settings};
use crate::shutdown::Shutdown;

/// Runs the command line and returns the process's exit code.
pub fn main() -> std::process::ExitCode {
    let cli = Cli::parse();
    let reporter = Reporter::new(OutputSettings::resolve(&cli.global));
    match run(cli, reporter.clone()) {
        Ok(code) => code.into(),
        Err(failure) => {
            let code = failure.diagnosis().exit_code();
            if code != ExitCode::Ok {
                reporter.last_failure(&failure);
            }
            code.into()
        }
    }
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
    let settings = Settings::resolve(&cli.global)?;
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

/// The processes that only look after others live long and do little: one thread is enough for them.
fn runtime(command: &Command) -> std::io::Result<runtime::Runtime> {
    match command {
        Command::Supervise(_) | Command::HostInit(_) => runtime::Builder::new_current_thread(),
        _ => runtime::Builder::new_multi_thread(),
    }
    .enable_all()
    .build()
}
