//! The sentences about what is worth telling besides the steps: one for each variant of `events/notice.rs`, in its order,
//! so that nothing is told twice in different words. Long because it has one sentence for each variant of
//! `events/notice.rs`.

use super::addressed;
use crate::engine::OsquerydChoice;
use crate::engine::native::processes;
use crate::events::{
    Detail, Doubt, Doubtful, Hosts, Look, Note, PortMoved, PortObstacle, RowsFrom, SessionChange, Warning,
};
use crate::report::duration;
use crate::stack::project::ProjectName;

/// A note, with commands that reach `project`.
pub(in crate::report) fn note(note: &Note, project: Option<&ProjectName>) -> String {
    let text = match note {
        Note::NothingToDo { services } => format!("nothing to do: {} healthy", count(*services)),
        Note::Up { services, elapsed } => {
            format!("up: {} healthy ({})", count(*services), duration(*elapsed))
        }
        Note::NoUsers => "no users; `osqdemo users add NAME` makes one".to_owned(),
        Note::NothingSubmitted => "no statements were submitted: the stack has no ksqlDB server".to_owned(),
        Note::StatementsLeftOut => {
            "no statements were submitted, as asked for; `osqdemo up --statements demo` submits the demo's"
                .to_owned()
        }
        Note::InPlaceOf { service, instead_of } => {
            format!(
                "{service} runs in place of {instead_of}, which is left out (`--with none` brings it back)"
            )
        }
        Note::Next { commands } => return next(commands, project),
        Note::LeftAsItIs => "left as it is (`--keep`); `osqdemo down` stops it".to_owned(),
        Note::TakingBack => "stopping what this run started".to_owned(),
        Note::NotAllTakenBack => {
            "not everything could be stopped in time; `osqdemo down` tries again".to_owned()
        }
        Note::Hosts(run) => hosts(run),
        Note::HostConfig {
            file,
            broker_replaced,
        } => {
            let mut text = format!("the hosts have the configuration `{}`", file.display());
            if *broker_replaced {
                text.push_str(", with the address of this project's broker as `bootstrap.servers`; `up --kafka` is for another one");
            }
            text
        }
        Note::Healthy { services } => match services.as_slice() {
            [service] => format!("{service} is healthy"),
            services => format!("{} services are healthy", services.len()),
        },
        Note::NoProjects { home } => format!("no projects in `{}`", home.display()),
        Note::GivesWay { verb, process } => {
            format!("`osqdemo {verb}` (process {process}) is at work on the project, and is ended")
        }
        Note::WasNotRunning {
            project,
            data_removed: false,
        } => format!("project `{project}` was not running"),
        Note::WasNotRunning {
            project,
            data_removed: true,
        } => format!("project `{project}` was not running; its data is removed"),
        Note::Down {
            project,
            data_removed: false,
            elapsed,
        } => format!("project `{project}` is down ({})", duration(*elapsed)),
        Note::Down {
            project,
            data_removed: true,
            elapsed,
        } => format!(
            "project `{project}` is down and its data is removed ({})",
            duration(*elapsed)
        ),
        Note::KafkaKept { kafka } => {
            format!("the topics on the Kafka at {kafka} stay as they are: it is not this project's")
        }
        Note::KafkaCleanedUp {
            kafka,
            topics,
            groups,
            statements,
        } => {
            let parts = [("topic", topics), ("group", groups), ("stream", statements)];
            let parts: Vec<String> = parts
                .into_iter()
                .filter(|(_, names)| !names.is_empty())
                .map(|(what, names)| {
                    let several = if names.len() == 1 { "" } else { "s" };
                    format!("{} {what}{several}", names.len())
                })
                .collect();
            match parts.as_slice() {
                [] => format!("this project has left nothing on the Kafka at {kafka}"),
                parts => format!(
                    "removed from the Kafka at {kafka} what this project had made there: {}; the rest stays as it is",
                    parts.join(", ")
                ),
            }
        }
        Note::ImagesRemoved { images } => match images.as_slice() {
            [] => "no images of osqdemo are left to remove".to_owned(),
            images => format!("removed: {}", images.join(", ")),
        },
        Note::ImagesBuilt { images, built } => match built {
            0 => format!("nothing to do: {images} images are up to date"),
            1 => "1 image was built".to_owned(),
            built => format!("{built} images were built"),
        },
        Note::NothingToPull => "no image of this stack comes from a registry".to_owned(),
        Note::ImagesLocked { images, file } => format!("{images} images are locked in `{}`", file.display()),
        Note::LeftoversRemoved { host, files } => format!(
            "removed from {host} what a killed scenario had left: `{}`",
            files.join("`, `")
        ),
        Note::SmokePhase { phase } => format!("smoke: {phase}"),
        Note::SmokePassed => "smoke: passed".to_owned(),
        Note::FaultRecovered { number, fault, took } => {
            format!("{number}. {fault}: well again ({})", duration(*took))
        }
        Note::FaultSet {
            fault,
            target: Some(target),
        } => format!("{fault}: done; `osqdemo fault clear {target}` ends it"),
        Note::FaultSet { fault, target: None } => format!("{fault}: done"),
        Note::FaultsCleared { faults } => match faults.as_slice() {
            [] => "no fault is set".to_owned(),
            faults => format!("ended: {}", faults.join(", ")),
        },
        Note::LeftForALook => "left as it is, for a look; `osqdemo down --volumes` removes it".to_owned(),
        Note::Attached {
            name,
            program,
            is_builtin,
            kafka,
        } => {
            let what = if *is_builtin {
                "the built-in agent".to_owned()
            } else {
                format!("`{}`", program.display())
            };
            format!("attached: the lines of {name} ({what}) arrive at {kafka}; Ctrl-C ends it")
        }
        Note::Detached { name, delivered } => {
            format!("detached: {delivered} lines of {name} have arrived, and nothing of it is left here")
        }
        Note::ListensOutside { address, authority } => format!(
            "other machines find the broker at {address}, with TLS (its authority is `{}`) and the users of `osqdemo users`",
            authority.display()
        ),
        Note::CertificatesMade {
            names,
            until,
            authority,
        } => format!(
            "the broker's certificate is for `{}`, until {until}; other machines need `{}`. `osqdemo up --listen HOST:PORT` \
             takes both",
            names.join("`, `"),
            authority.display()
        ),
        Note::UserAdded { name } => {
            format!("{name} may come in over the listener of `osqdemo up --listen HOST:PORT`")
        }
        Note::UserRemoved { name } => {
            format!("{name} may not come in any more; connections that are open stay")
        }
        Note::HostPackageWritten {
            folder,
            package,
            kafka,
        } => {
            let package = match package {
                Some(package) => format!("the package `{}`", package.display()),
                None => "no package, because there is no `dpkg-deb`".to_owned(),
            };
            let guide = folder.join("README.md");
            format!(
                "for machines that find Kafka at {kafka}: {package}, and a guide, `{}`",
                guide.display()
            )
        }
        Note::BundleWritten { file } => format!("everything for a report is in `{}`", file.display()),
        Note::SettingsFile { file: Some(file) } => format!("settings file: `{}`", file.display()),
        Note::SettingsFile { file: None } => "there is no settings file".to_owned(),
        Note::ManualWritten { folder } => format!(
            "the manual is in `{}`: `man -l {}`",
            folder.display(),
            folder.join("osqdemo.1").display()
        ),
        Note::KsqlServer { version, server } => format!("ksqlDB {version} at {server}; `help` for help"),
        Note::AwaitingRows { sources, from } => awaiting_rows(sources, *from),
        Note::QueryEnded { message } => message.clone(),
        Note::Session(change) => session(change),
    };
    addressed(&text, project)
}

/// One line each: the command, and what it shows.
fn next(commands: &[Look], project: Option<&ProjectName>) -> String {
    let lines: Vec<(String, String)> = commands
        .iter()
        .map(|look| (addressed(&format!("`osqdemo {look}`"), project), purpose(look)))
        .collect();
    let widest = lines.iter().map(|(command, _)| command.len()).max().unwrap_or(0);
    let lines = lines
        .iter()
        .map(|(command, purpose)| format!("\n  {command:widest$}  {purpose}"));
    format!("next:{}", lines.collect::<String>())
}

fn purpose(look: &Look) -> String {
    match look {
        Look::Scenario => "writes a file on a host and follows it to a joined row".to_owned(),
        Look::Lines { .. } => "a message as it is in Kafka".to_owned(),
        Look::Statements => "the prompt of ksqlDB".to_owned(),
        Look::Interface => "all of it, live, in a browser".to_owned(),
        Look::Shell { host } => format!("a shell on {host}"),
        Look::HostLog { host } => format!("what {host} says, as when no line of it comes"),
        Look::Down => "stops everything; with `--volumes` nothing stays".to_owned(),
    }
}

fn awaiting_rows(sources: &[String], from: RowsFrom) -> String {
    let sources = if sources.is_empty() {
        String::new()
    } else {
        format!(" of `{}`", sources.join("`, `"))
    };
    match from {
        RowsFrom::Latest => format!(
            "waiting for new rows{sources}, from now on (`SET 'auto.offset.reset'='earliest';` begins with the oldest); \
             Ctrl-C ends it"
        ),
        RowsFrom::Earliest => {
            format!(
                "the query has no row yet, from the oldest record{sources} on; waiting for one; Ctrl-C ends it"
            )
        }
    }
}

fn hosts(hosts: &Hosts) -> String {
    match hosts {
        Hosts::Osquery { package } => format!("the hosts run osquery ({package})"),
        Hosts::Agent { because: None } => "the hosts run the built-in agent".to_owned(),
        Hosts::Agent {
            because: Some(because),
        } => format!("the hosts run the built-in agent: {because} (`--osqueryd auto` tries again)"),
    }
}

fn osqueryd_gone(path: &str, instead: &str) -> String {
    let instead = match OsquerydChoice::parse(instead) {
        OsquerydChoice::Path(other) => format!("`{}`", other.display()),
        _ => "the built-in agent".to_owned(),
    };
    format!(
        "`{path}`, which the hosts ran, is no program any more: they run {instead} from now on; `osqdemo up --osqueryd PATH` \
         insists on one"
    )
}

fn session(change: &SessionChange) -> String {
    match change {
        SessionChange::PropertySet {
            property,
            value,
            before: Some(before),
        } => format!(
            "changed property `{property}` from `{before}` to `{value}`; `UNSET '{property}';` reverts it"
        ),
        SessionChange::PropertySet {
            property,
            value,
            before: None,
        } => format!("set property `{property}` to `{value}`; `UNSET '{property}';` reverts it"),
        SessionChange::PropertyUnset { property, before } => {
            format!("unset property `{property}` (it was `{before}`)")
        }
        SessionChange::VariableDefined { variable, value } => format!("defined `{variable}` as `{value}`"),
        SessionChange::VariableUndefined { variable } => format!("undefined `{variable}`"),
    }
}

/// A warning, with commands that reach `project`.
pub(in crate::report) fn warning(warning: &Warning, project: Option<&ProjectName>) -> String {
    let text = match warning {
        Warning::PortMoved(moved) => port_moved(moved),
        Warning::SharedNamespaces { reason } => format!(
            "the hosts share this machine's namespaces ({reason}); the agent shows each its own processes"
        ),
        Warning::Hosts(run) => hosts(run),
        Warning::OsquerydGone { path, instead } => osqueryd_gone(path, instead),
        Warning::HostConfigFinding { place, message } => host_config_finding(place, message),
        Warning::FaultInForce { fault } => {
            format!("a fault is set: {fault}; `osqdemo fault clear` ends it")
        }
        Warning::MoreHostConfigFindings { count } => {
            format!("the hosts' configuration: {count} more like that; `osqdemo ps -v` shows all")
        }
        Warning::LinesKept { name, folder } => format!(
            "not every line of {name} has arrived, as far as is known; they are kept in `{}`, and the next `osqdemo attach` \
             delivers them",
            folder.display()
        ),
        Warning::CommandKilled {
            verb,
            process,
            was_stopped,
        } => {
            let why = if *was_stopped {
                "was stopped while it worked on the project, and is ended"
            } else {
                "worked on the project and did not end when it was asked to; it is killed"
            };
            format!("`osqdemo {verb}` (process {process}) {why}")
        }
        Warning::TightMemory(memory) => memory.to_string(),
        Warning::NoMemoryLimits => {
            "the Docker daemon cannot hold containers to their memory limits; `osqdemo doctor` says why"
                .to_owned()
        }
        Warning::Restarted {
            service,
            exit: Some(exit),
        } => format!("{service} ended ({exit}) and was started again"),
        Warning::Restarted { service, exit: None } => format!("{service} ended and was started again"),
        Warning::Crashed { service, exit } => format!("{service} ended ({exit}) and is started again"),
        Warning::SupervisorLost {
            process,
            cleaned_up: false,
            ..
        } => format!(
            "the supervisor (process {process}) is gone; `osqdemo up` repairs it, `osqdemo down` cleans up"
        ),
        Warning::SupervisorLost {
            project,
            process,
            cleaned_up: true,
        } => format!("the supervisor of project `{project}` (process {process}) was gone"),
        Warning::SupervisorSilent {
            process,
            cleaned_up: false,
            ..
        } => format!(
            "the supervisor (process {process}) does not answer: what is shown is what it wrote down last; `osqdemo down` ends it \
             and everything it looks after"
        ),
        Warning::SupervisorSilent {
            project,
            process,
            cleaned_up: true,
        } => {
            format!("the supervisor of project `{project}` (process {process}) did not answer and was killed")
        }
        Warning::Unrecorded {
            process,
            others,
            damaged,
            cleaned_up: false,
            ..
        } => format!(
            "{} of what runs ({}), and nobody answers for it: what is shown is what the processes tell; only `osqdemo down` \
             can end it",
            match damaged {
                Some(file) => format!("`{}` is damaged, the record", file.display()),
                None => "nothing is on record".to_owned(),
            },
            processes(*process, *others)
        ),
        Warning::Unrecorded {
            project,
            process,
            others,
            damaged,
            cleaned_up: true,
        } => format!(
            "{} of what ran of project `{project}` ({}), and it is ended",
            match damaged {
                Some(file) => format!("`{}` was damaged, the record", file.display()),
                None => "nothing was on record".to_owned(),
            },
            processes(*process, *others)
        ),
        Warning::ProgramOfFolder {
            file,
            setting,
            program,
        } => format!(
            "`{}` in this folder has a program run: `{setting}` is `{program}`",
            file.display()
        ),
        Warning::KsqldbAway { url, reason, at_most } => format!(
            "ksqlDB at {url} does not answer ({reason}); waiting for it, at most {}",
            duration(*at_most)
        ),
        Warning::StatementDoubtful { at, found } => format!("{at}: {}", doubtful(found)),
        Warning::StatementWarned { at, message } => format!("{at}: {}", message.replace('\n', " ")),
        Warning::WriterEndedEarly { host } => format!(
            "the process on {host} ended before osquery saw it; writing again, with the process held open"
        ),
        Warning::FilesLeft { host, files, reason } => format!(
            "`{}` may be left in the home folder of {host}: {reason}",
            files.join("`, `")
        ),
        Warning::StateUnread { project, reason } => {
            format!(
                "{reason}; project `{project}` is shown and stopped all the same, as far as can be told without it"
            )
        }
        Warning::ImageKept { image } => {
            format!("image `{image}` stays: a container of another project runs it")
        }
        Warning::NoBrowser { reason } => format!("no browser was opened: {reason}"),
        Warning::Trouble { failure } => failure.error.clone(),
    };
    addressed(&text, project)
}

fn count(services: usize) -> String {
    match services {
        1 => "1 service is".to_owned(),
        services => format!("{services} services are"),
    }
}

fn port_moved(moved: &PortMoved) -> String {
    let PortMoved {
        service,
        from,
        to,
        obstacle,
    } = moved;
    let text = format!(
        "port {from} of {service} is {obstacle}: {service} gets port {to}, remembered by this project"
    );
    match obstacle {
        PortObstacle::Service { .. } => text,
        _ => format!("{text}; `--port {service}={from}` insists"),
    }
}

fn doubtful(found: &Doubtful) -> String {
    let Doubtful { name, doubt, .. } = found;
    match doubt {
        Doubt::OtherDefinition => {
            format!(
                "`{name}` is there with another definition, and stays so; {}",
                found.way_out()
            )
        }
        Doubt::QueryTerminated | Doubt::QueryPaused { .. } => {
            format!("`{name}` is there, but {doubt}; {}", found.way_out())
        }
    }
}

fn host_config_finding(place: &str, message: &str) -> String {
    format!("the hosts' configuration: `{place}`: {message}")
}

/// A detail.
pub(in crate::report) fn detail(detail: &Detail) -> String {
    match detail {
        Detail::SettingsFile { file } => format!("settings file: `{}`", file.display()),
        Detail::Planned { index, operation } => format!("plan: {}", operation.numbered(*index)),
        Detail::HostConfigFinding { place, message } => host_config_finding(place, message),
        Detail::HostLines { host, counts } => {
            let counts: Vec<String> = counts
                .iter()
                .filter(|(_, count)| **count > 0)
                .map(|(name, count)| format!("{name} {count}"))
                .collect();
            format!("{host}'s extension, when it last said so: {}", counts.join(", "))
        }
        Detail::PushQueryAway { join, reason } => format!("the {join} push query: {reason}"),
        Detail::PushQueryBack { join } => {
            format!("the {join} push query runs again, from the beginning of the topics")
        }
        Detail::MissingInBundle { name, reason } => format!("missing: {name}: {reason}"),
    }
}

#[cfg(test)]
mod tests;
