//! The life of the agent, in osqueryd's order: state, extensions, configuration, loggers, schedule, farewell.

use std::io::Write as _;
use std::panic::{self, AssertUnwindSafe};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, mpsc};
use std::thread;
use std::time::Duration;

use osquery_resident_set::ResidentSet;

use crate::config_source::{ConfigFile, ConfigSource};
use crate::differential::Differential;
use crate::exit_code::Exit;
use crate::extensions::{ConfigPlugin, ExtensionHost, ExtensionHostError};
use crate::flags::{CommandLine, Flags};
use crate::identity::Identity;
use crate::loggers::{LoggerError, Loggers};
use crate::pid_file::{PidFile, PidFileError};
use crate::result_store::{ResultStore, StoreError};
use crate::scheduler::{Parts, Scheduler, SchedulerError};
use crate::shutdown::Shutdown;
use crate::sql::Database;
use crate::tables::Machine;

/// How long the schedule may go on, once the agent is to end, before its extensions are ended under it.
const LAST_LINES: Duration = Duration::from_secs(4);
/// The supervisor waits for the wish to end, however long that takes.
const LONG: Duration = Duration::from_secs(3600);

/// Why the agent could not start, or had to end.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AgentError {
    #[error(transparent)]
    PidFile(#[from] PidFileError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("cannot take signals: {0}")]
    Signals(#[source] std::io::Error),
    #[error(transparent)]
    Extensions(#[from] ExtensionHostError),
    #[error("cannot activate the configuration plugin `{name}`: neither the agent nor an extension has it")]
    ConfigPlugin { name: String },
    #[error("cannot start the scheduler's thread: {0}")]
    Thread(#[source] std::io::Error),
    #[error("the scheduler has failed unexpectedly; the log says where")]
    Unexpected,
    #[error("the configuration cannot be used; the log says why")]
    Config,
    #[error(transparent)]
    Logger(#[from] LoggerError),
    #[error(transparent)]
    Scheduler(#[from] SchedulerError),
}

impl AgentError {
    pub(crate) fn exit(&self) -> Exit {
        match self {
            // What osqueryd ends with 78 for, supervisors may be set up for.
            Self::Extensions(ExtensionHostError::Required { .. })
            | Self::ConfigPlugin { .. }
            | Self::Logger(_)
            | Self::Scheduler(_) => Exit::Catastrophic,
            _ => Exit::Failed,
        }
    }

    pub(crate) fn hint(&self) -> Option<&'static str> {
        match self {
            Self::PidFile(PidFileError::Running { .. }) => {
                Some("end that agent first, or use another `--pidfile`")
            }
            Self::PidFile(PidFileError::Write { .. }) => {
                Some("`--pidfile` names another file, `--ephemeral` uses none")
            }
            Self::Store(StoreError::InUse { .. }) => {
                Some("end that agent first, or use another `--database_path`")
            }
            Self::Store(StoreError::Folder { .. }) => {
                Some("`--database_path` names another folder, `--ephemeral` keeps nothing on disk")
            }
            Self::Extensions(ExtensionHostError::Serve { .. }) => {
                Some("`--extensions_socket` names another socket")
            }
            Self::Extensions(ExtensionHostError::Required { .. })
            | Self::ConfigPlugin { .. }
            | Self::Logger(LoggerError::Unknown { .. }) => Some(
                "name the extension in `--extensions_autoload` or `--extension`; one that is started by hand must be \
                 waited for: `--extensions_require=NAME --extensions_timeout=10`",
            ),
            _ => None,
        }
    }
}

/// Runs the agent until it is asked to end.
pub(crate) fn run(line: CommandLine, machine: Arc<Machine>, database: Database) -> Result<(), AgentError> {
    let mut resident_set = ResidentSet::of_this_process();
    let flags = line.flags.clone();
    let _pid_file = match flags.pidfile.as_str() {
        "" => None,
        _ if flags.ephemeral || only_looks(&flags) => None,
        path => Some(PidFile::create(Path::new(path), flags.force)?),
    };
    let store = if keeps_state(&flags) {
        ResultStore::open(Path::new(&flags.database_path))
    } else {
        ResultStore::in_memory()
    }?;
    let identity = Identity::read(&store)?;
    machine.agent.update(|agent| {
        agent.host_uuid.clone_from(&identity.host_uuid);
        agent.instance_id.clone_from(&identity.instance_id);
    });
    let shutdown = Shutdown::default();
    shutdown.on_signals().map_err(AgentError::Signals)?;
    let database = Arc::new(Mutex::new(database));
    let host = if flags.disable_extensions {
        None
    } else {
        match ExtensionHost::start(&flags, &database, &shutdown, &machine) {
            // A look at a file takes no extension.
            Err(error @ ExtensionHostError::Serve { .. })
                if only_looks(&flags) && flags.config_plugin == "filesystem" =>
            {
                machine.status.warning(&error.to_string());
                None
            }
            started => Some(started?),
        }
    };
    let outcome = supervise(host.as_ref(), &shutdown, || {
        let activated = activate(
            line,
            &machine,
            database,
            identity,
            store,
            host.as_ref(),
            &shutdown,
        )?;
        activated.map_or(Ok(()), |(scheduler, loggers)| {
            work(scheduler, &loggers, &mut resident_set)
        })
    });
    if outcome.is_ok() {
        machine.status.info("The agent ends as it was asked to");
    }
    outcome
}

/// A look at the configuration needs no place of its own, and disturbs no agent that runs.
fn only_looks(flags: &Flags) -> bool {
    flags.config_check || flags.config_dump
}

fn keeps_state(flags: &Flags) -> bool {
    !flags.ephemeral && !flags.disable_database && !only_looks(flags)
}

/// Runs the work, and ends the extensions when it is done or the agent is asked to end.
///
/// The work may hang in the call of an extension that does not answer. It gets a moment for its last lines; after that the
/// extensions are ended, and killed if need be, which ends such a call. The work has the first thread, because the
/// allocator keeps memory for each one that allocates much.
fn supervise(
    host: Option<&ExtensionHost>,
    shutdown: &Shutdown,
    work: impl FnOnce() -> Result<(), AgentError>,
) -> Result<(), AgentError> {
    thread::scope(|scope| {
        let (done, ended) = mpsc::channel::<()>();
        let supervisor =
            thread::Builder::new()
                .name("supervisor".to_owned())
                .spawn_scoped(scope, move || {
                    while !shutdown.wait(LONG) {}
                    // Nothing is ever sent: the wait ends with the work, or with its time.
                    let _: Result<(), _> = ended.recv_timeout(LAST_LINES);
                    if let Some(host) = host {
                        host.stop();
                    }
                });
        supervisor.map_err(AgentError::Thread)?;
        let outcome = panic::catch_unwind(AssertUnwindSafe(work));
        drop(done);
        shutdown.request();
        outcome.unwrap_or(Err(AgentError::Unexpected))
    })
}

/// Configuration and loggers; `None` when that was all there was to do.
fn activate(
    line: CommandLine,
    machine: &Arc<Machine>,
    database: Arc<Mutex<Database>>,
    identity: Identity,
    store: ResultStore,
    host: Option<&ExtensionHost>,
    shutdown: &Shutdown,
) -> Result<Option<(Scheduler, Loggers)>, AgentError> {
    let flags = line.flags.clone();
    if let Some(host) = host {
        host.wait_for_required(&flags, shutdown)?;
    }
    let source = config_source(&flags, host, shutdown)?;
    let mut scheduler = Scheduler::new(Parts {
        line,
        machine: Arc::clone(machine),
        database,
        identity,
        source,
        differential: Differential::new(store),
        shutdown: shutdown.clone(),
    });
    if keeps_state(&flags) {
        scheduler.watch_for_kills(Path::new(&flags.database_path));
    }
    let loaded = scheduler.load_config();
    if flags.config_dump {
        dump(&scheduler);
    }
    if flags.config_check && flags.json {
        // Nothing sensible can be done when stdout is gone.
        let _ = writeln!(std::io::stdout().lock(), "{}", scheduler.check());
    }
    if flags.config_check && !loaded {
        return Err(AgentError::Config);
    }
    if flags.config_check || flags.config_dump {
        return Ok(None);
    }
    let has_plugin = |name: &str| {
        host.is_some_and(|host| host.wait_for_plugin("logger", name, scheduler.flags(), shutdown))
    };
    let plugins = host.map(ExtensionHost::plugins);
    let loggers = Loggers::activate(scheduler.flags(), plugins, shutdown, &machine.status, has_plugin);
    match loggers {
        Ok(loggers) => Ok(Some((scheduler, loggers))),
        // Asked to end while it waited for the extension.
        Err(_) if shutdown.is_requested() => Ok(None),
        Err(error) => Err(error.into()),
    }
}

fn config_source(
    flags: &Flags,
    host: Option<&ExtensionHost>,
    shutdown: &Shutdown,
) -> Result<Box<dyn ConfigSource>, AgentError> {
    let name = flags.config_plugin.clone();
    if name == "filesystem" {
        return Ok(Box::new(ConfigFile::new(PathBuf::from(&flags.config_path))));
    }
    match host {
        Some(host) if host.wait_for_plugin("config", &name, flags, shutdown) || shutdown.is_requested() => {
            Ok(Box::new(ConfigPlugin {
                name,
                plugins: host.plugins(),
            }))
        }
        _ => Err(AgentError::ConfigPlugin { name }),
    }
}

fn work(
    mut scheduler: Scheduler,
    loggers: &Loggers,
    resident_set: &mut ResidentSet,
) -> Result<(), AgentError> {
    let status = scheduler.machine.status.clone();
    status.info(&format!(
        "The schedule begins; lines name this host {}",
        scheduler.host_identifier()
    ));
    Ok(scheduler.run(loggers, resident_set)?)
}

/// `--config_dump`: every source's text, as osqueryd prints it.
fn dump(scheduler: &Scheduler) {
    for (name, text) in scheduler.sources().into_iter().flatten() {
        let name = serde_json::Value::from(name.as_str());
        // Nothing sensible can be done when stdout is gone.
        let _ = writeln!(std::io::stdout().lock(), "{{{name}: {text}}}");
    }
}
