//! `osqdemo attach`: this machine's own osqueryd, or the built-in agent, beside the hosts of the project, in the foreground.
//! It has the hosts' configuration, the extension, and a folder below the project's: with its end that is gone, unless
//! lines wait in it that the broker does not have yet.

mod error;
mod folder;
mod machine;
mod schedule;
mod spool_log;

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::{Instant, MissedTickBehavior, interval_at, timeout};

use self::error::AttachError;
use self::folder::AttachFolder;
use self::machine::{Ended, Machine};
use crate::cli::AttachArgs;
use crate::commands::project::Project;
use crate::commands::up::tell_findings;
use crate::commands::{Context, endpoints};
use crate::engine::OsquerydChoice;
use crate::engine::native::programs::{Osqueryd, Programs};
use crate::error::Result;
use crate::events::{Note, Warning};
use crate::health::{LastAnswer, Prober, ProtocolProber, Target};
use crate::host_config::{self, LineFormat};
use crate::plan::Observed;
use crate::process;
use crate::stack::{Cluster, HttpService, Probe, Role, ServiceName};
use crate::state::ProjectFolder;

/// How long the first line may take to be in Kafka.
const FIRST_LINE_WITHIN: Duration = Duration::from_secs(60);

/// How often it is looked whether the project is still there.
const LOOK: Duration = Duration::from_secs(2);

/// What is the case at the end of it.
enum Ending {
    /// A signal.
    Asked,
    /// The project was stopped.
    ProjectStopped,
    /// osqueryd, or the agent, ended by itself.
    Ended(Ended),
    /// No line was in Kafka in time.
    Silent(String),
}

/// Ends what is attached to a project whose folder is to be removed.
pub(super) fn end_at_once(project: &ProjectFolder) {
    process::kill_marked(&AttachFolder::of(project));
}

/// Fails when the project does not run, when this machine cannot be attached, or when its osqueryd ends by itself.
pub(super) async fn run(context: Context, arguments: AttachArgs) -> Result<()> {
    let project = Project::open(&context)?;
    let observed = project.engine.observe().await?;
    let cluster = endpoints::cluster(&project, &observed)?;
    let name = name_of_this_machine(&project, arguments.name)?;
    let queries = schedule::read(&arguments.queries)?;
    let configuration = host_config::text_for(
        project.remembered.host_config.as_ref(),
        &cluster.bootstrap_servers,
        &project.kafka_properties(),
        registry(&project, &observed).as_ref(),
    );
    let configuration = schedule::with_queries(&configuration, queries, arguments.interval)?;
    let programs = Programs::find(&OsquerydChoice::parse(&arguments.osqueryd))?;
    tell_findings(
        &context.reporter,
        &schedule::findings(&configuration, &programs).await?,
    );
    let folder = AttachFolder::take(&project.folder).await?;
    let spec = folder.furnish(&name, &programs, &configuration)?;
    let mut machine = Machine::start(&project.folder, &programs, &folder, &spec)?;
    let ending = attached(&context, &project, &name, &cluster, &programs, &mut machine).await;
    let said = machine.end(&context.shutdown).await;
    tell_end(&context, &name, folder, &said)?;
    let stopped = || AttachError::ProjectStopped {
        project: project.folder.project.clone(),
    };
    match ending {
        // As it is meant to end; the exit code tells of the signal.
        Ending::Asked => Ok(()),
        Ending::ProjectStopped => Err(stopped().into()),
        // `down` may have been faster than the look.
        Ending::Ended(_) if !is_running(&project).await => Err(stopped().into()),
        Ending::Ended(ended) => Err(AttachError::Ended {
            program: programs.osqueryd.path().to_owned(),
            status: ended.0,
            log: said.last_lines(),
        }
        .into()),
        Ending::Silent(last_answer) => Err(AttachError::NoLine {
            name,
            limit: FIRST_LINE_WITHIN,
            last_answer,
            log: said.last_lines(),
        }
        .into()),
    }
}

/// Tells when the first line is there, and returns with why it is over.
async fn attached(
    context: &Context,
    project: &Project,
    name: &str,
    cluster: &Cluster,
    programs: &Programs,
    machine: &mut Machine,
) -> Ending {
    let watching = async {
        tokio::select! {
            ended = machine.ended() => Ending::Ended(ended),
            () = context.shutdown.token().cancelled() => Ending::Asked,
            () = until_stopped(project) => Ending::ProjectStopped,
        }
    };
    let arriving = async {
        let last = LastAnswer::default();
        let prober = ProtocolProber {
            kafka: cluster.properties.clone(),
        };
        let target = Target {
            service: ServiceName::new(name),
            probe: Probe::Host,
            address: cluster.bootstrap_servers.clone(),
            hostname: name.to_owned(),
            started_at: Timestamp::now().as_millisecond(),
            lines_from: BTreeMap::new(),
        };
        match timeout(FIRST_LINE_WITHIN, prober.until_healthy(&target, &last)).await {
            Ok(_) => context.reporter.emit(Note::Attached {
                name: name.to_owned(),
                program: programs.osqueryd.path().to_owned(),
                is_builtin: matches!(programs.osqueryd, Osqueryd::Builtin(_)),
                kafka: cluster.bootstrap_servers.clone(),
            }),
            Err(_) => return Ending::Silent(last.get()),
        }
        std::future::pending().await
    };
    tokio::select! {
        ending = watching => ending,
        ending = arriving => ending,
    }
}

/// Returns once the project does not run any more.
async fn until_stopped(project: &Project) {
    let mut look = interval_at(Instant::now() + LOOK, LOOK);
    look.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        look.tick().await;
        if !is_running(project).await {
            return;
        }
    }
}

/// Whether the project runs, as far as is known: who cannot be asked now is asked again.
async fn is_running(project: &Project) -> bool {
    let seen = project.engine.observe().await;
    seen.map_or(true, |observed| observed.is_running())
}

/// The name that its lines carry: none of the project's own hosts'.
fn name_of_this_machine(
    project: &Project,
    asked: Option<String>,
) -> std::result::Result<String, AttachError> {
    let own = || rustix::system::uname().nodename().to_string_lossy().into_owned();
    let name = asked.unwrap_or_else(own);
    let is_usual = |character: char| character.is_ascii_alphanumeric() || "._-".contains(character);
    if name.is_empty() || name.len() > 253 || !name.chars().all(is_usual) {
        return Err(AttachError::Name { name });
    }
    let mut hosts = project.stack.with_role(Role::Host);
    match hosts.find(|host| host.machine_name() == name) {
        Some(_) => Err(AttachError::NameTaken { name }),
        None => Ok(name),
    }
}

/// Where the registry is, where the lines are to be Avro.
fn registry(project: &Project, observed: &Observed) -> Option<HttpService> {
    if project.remembered.line_format() == LineFormat::Json {
        return None;
    }
    endpoints::registry(project, observed).ok()
}

/// Removes the folder, unless something in it is nowhere else.
fn tell_end(context: &Context, name: &str, folder: AttachFolder, said: &machine::Said) -> Result<()> {
    let name = name.to_owned();
    if !folder.exists() {
        // `down --volumes` was before, and said so.
    } else if said.spool_is_empty() && !folder.has_dead_letters() {
        folder.remove()?;
        context.reporter.emit(Note::Detached {
            name,
            delivered: said.delivered(),
        });
    } else {
        context.reporter.emit(Warning::LinesKept {
            name,
            folder: folder.spool().to_owned(),
        });
    }
    Ok(())
}
