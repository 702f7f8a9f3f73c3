//! `osqdemo-agent`: a stand-in for osqueryd where none is installed.
//!
//! It takes osqueryd's flags and configuration, runs the same schedule of SQL over `/proc` and files, keeps the same
//! differential state, and talks to the same extensions over the same Thrift protocol. It must not know Kafka, topics or
//! the extension's own configuration: those are the extension's business, as they are with osqueryd.

mod agent;
mod agent_status;
mod config_source;
mod cpu_time;
mod decorations;
mod differential;
mod digests;
mod exit_code;
mod extensions;
mod file_events;
mod flags;
#[cfg(any(test, fuzzing))]
#[doc(hidden)]
pub mod fuzzing;
mod identity;
mod loggers;
mod one_shot;
mod pid_file;
mod procfs;
mod program;
mod result_store;
mod row_encoder;
mod schedule;
mod scheduler;
mod shutdown;
mod splay;
mod sql;
mod status_log;
mod tables;
mod underway;

use std::fmt::Display;
use std::io::{self, Write as _};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use osquery_configuration::OSQUERY_VERSION;
use osquery_protocol::result_log::Numerics;

use crate::agent_status::AgentStatus;
use crate::exit_code::Exit;
use crate::flags::{CommandLine, Flags};
use crate::procfs::{ProcFs, Scope};
use crate::sql::{Database, QueryError};
use crate::status_log::StatusLog;
use crate::tables::Machine;

/// Runs the agent with the arguments after the program's name.
pub fn run(arguments: impl IntoIterator<Item = String>) -> ExitCode {
    let line = match CommandLine::parse(arguments) {
        Ok(line) => line,
        Err(error) => {
            complain(&error, error.hint());
            return Exit::Usage.into();
        }
    };
    if line.flags.help {
        return print(&flags::help());
    }
    if line.flags.version {
        let version = env!("CARGO_PKG_VERSION");
        return print(&format!(
            "osqdemo-agent {version} (stands in for osqueryd {OSQUERY_VERSION})\n"
        ));
    }
    match open_machine(&line.flags) {
        Ok((machine, database)) if line.flags.query.is_empty() => daemon(line, machine, database).into(),
        Ok((_, database)) => query(&line.flags, &database).into(),
        Err(error) => {
            complain(&error, None);
            Exit::Failed.into()
        }
    }
}

fn daemon(line: CommandLine, machine: Arc<Machine>, database: Database) -> Exit {
    match agent::run(line, machine, database) {
        Ok(()) => Exit::Success,
        Err(error) => {
            complain(&error, error.hint().map(str::to_owned));
            error.exit()
        }
    }
}

fn query(flags: &Flags, database: &Database) -> Exit {
    let numerics = if flags.logger_numerics {
        Numerics::AsNumbers
    } else {
        Numerics::AsText
    };
    match one_shot::run(database, &flags.query, numerics) {
        Ok(()) => Exit::Success,
        Err(error) => {
            complain(&error, None);
            Exit::Failed
        }
    }
}

/// The machine cannot be looked at.
#[derive(Debug, thiserror::Error)]
enum MachineError {
    #[error("cannot open `/proc`: {source}")]
    Proc { source: io::Error },
    #[error("cannot set up the tables: {source}")]
    Tables { source: QueryError },
}

fn open_machine(flags: &Flags) -> Result<(Arc<Machine>, Database), MachineError> {
    let status = StatusLog::default();
    status.set_verbose(flags.verbose);
    let scope = (!flags.process_scope_env.is_empty()).then(|| Scope::new(flags.process_scope_env.as_str()));
    let proc = ProcFs::open(scope).map_err(|source| MachineError::Proc { source })?;
    let agent = AgentStatus::default();
    agent.update(|agent| {
        agent.start_time = osqdemo_clock::timestamp().as_second();
        agent.flags = flags.status();
    });
    let machine = Arc::new(Machine {
        proc,
        root: std::path::PathBuf::new(),
        file_events: file_events::FileEvents::default(),
        agent,
        status: status.clone(),
    });
    let mut database =
        Database::open(tables::all(&machine), &status).map_err(|source| MachineError::Tables { source })?;
    database.explain_absent(tables::absent::why);
    database.limit_time(Duration::from_secs(flags.query_time_limit));
    Ok((machine, database))
}

fn complain(error: &dyn Display, hint: Option<String>) {
    let hint = hint.map(|hint| format!("hint: {hint}\n")).unwrap_or_default();
    // Nothing sensible can be done when stderr is gone.
    let _ = write!(io::stderr().lock(), "error: {error}\n{hint}");
}

fn print(text: &str) -> ExitCode {
    match io::stdout().lock().write_all(text.as_bytes()) {
        Ok(()) => Exit::Success.into(),
        Err(_) => Exit::Failed.into(),
    }
}
