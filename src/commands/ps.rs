//! `osqdemo ps`: the services, their state and their addresses.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::commands::down::{seen, whatever_it_remembers};
use crate::commands::project::Project;
use crate::commands::{Context, fault};
use crate::error::{Diagnose, Result};
use crate::events::{Detail, SCHEMA_VERSION, Warning};
use crate::exit_code::ExitCode;
use crate::host_config::Finding;
use crate::near_names;
use crate::plan::{Observed, ObservedService, RecordLoss, ServiceState, SupervisorState};
use crate::report::duration;
use crate::report::output_size::output_width;
use crate::report::table::table;
use crate::settings::Verbosity;
use crate::stack::project::ProjectName;
use crate::stack::{KafkaAddress, Role, Service};
use crate::state::ProjectFolder;

/// There is no such project.
#[derive(Debug, thiserror::Error)]
#[error("there is no project `{project}` in `{}`", home.display())]
pub(super) struct NoProject {
    project: ProjectName,
    home: PathBuf,
    /// Those that there are.
    known: Vec<String>,
}

impl NoProject {
    pub(super) fn of(folder: &ProjectFolder) -> Self {
        let known = ProjectFolder::all(folder.home()).unwrap_or_default();
        Self {
            project: folder.project.clone(),
            home: folder.home().to_owned(),
            known: known.iter().map(|folder| folder.project.to_string()).collect(),
        }
    }
}

impl Diagnose for NoProject {
    fn exit_code(&self) -> ExitCode {
        ExitCode::NotRunning
    }

    fn hints(&self) -> Vec<String> {
        if self.known.is_empty() {
            return vec!["`osqdemo up` makes it".to_owned()];
        }
        let mut hints = near_names::hint("projects", self.project.as_str(), &self.known);
        hints.push("the verb `projects` lists them all".to_owned());
        hints
    }
}

/// Fails when there is no such project, or its state cannot be read.
pub(super) async fn run(context: Context) -> Result<()> {
    let folder = ProjectFolder::new(&context.settings.home, &context.settings.project.value);
    let project = Box::pin(whatever_it_remembers(&context, &folder)).await?;
    let observed = seen(&project).await?;
    if !folder.is_project() && observed.services.is_empty() && !observed.is_running() {
        return Err(NoProject::of(&folder).into());
    }
    let project_name = context.settings.project.value.clone();
    match observed.supervisor {
        SupervisorState::Lost { pid } => context.reporter.emit(Warning::SupervisorLost {
            project: project_name,
            process: pid,
            cleaned_up: false,
        }),
        SupervisorState::Silent { pid } => context.reporter.emit(Warning::SupervisorSilent {
            project: project_name,
            process: pid,
            cleaned_up: false,
        }),
        SupervisorState::Unrecorded { pid, others, record } => context.reporter.emit(Warning::Unrecorded {
            project: project_name,
            process: pid,
            others,
            damaged: (record == RecordLoss::Damaged).then(|| folder.services_file()),
            cleaned_up: false,
        }),
        SupervisorState::Absent | SupervisorState::Running { .. } | SupervisorState::Daemon { .. } => {}
    }
    for (name, service) in &observed.services {
        let is_running = matches!(service.state, ServiceState::Running { .. });
        // How it ended, a busy Docker daemon soon forgets.
        if is_running && (service.last_exit.is_some() || service.restarts > 0) {
            context.reporter.emit(Warning::Restarted {
                service: name.clone(),
                exit: service.last_exit,
            });
        }
    }
    for Finding { place, message } in findings(&project).iter().cloned() {
        context
            .reporter
            .emit(Detail::HostConfigFinding { place, message });
    }
    tell_host_lines(&context, &project, &observed).await;
    let faults = match observed.is_running() {
        true => Box::pin(fault::shown(&project, &observed)).await,
        false => Vec::new(),
    };
    for fault in &faults {
        context
            .reporter
            .emit(Warning::FaultInForce { fault: fault.clone() });
    }
    let mut document = document(&project, &observed);
    document["faults"] = json!(faults);
    context.reporter.data(&document, || {
        let rows: Vec<Vec<String>> = shown(&project)
            .map(|(service, absent)| as_row(service, absent, &observed, external_listener(&project, service)))
            .collect();
        let headers = ["SERVICE", "STATE", "UPTIME", "RESTARTS", "PID", "ADDRESS"];
        table(&headers, &rows, output_width())
    })
}

/// With `--verbose`, what the extension on each host says of its lines, as far as its log tells.
async fn tell_host_lines(context: &Context, project: &Project, observed: &Observed) {
    if context.settings.output.verbosity < Verbosity::Verbose {
        return;
    }
    for host in project.stack.with_role(Role::Host).map(|service| &service.name) {
        if !observed.services.contains_key(host) {
            continue;
        }
        // A log that cannot be read has its own verb to say so.
        let log = project.engine.log_tail(host).await.unwrap_or_default();
        if let Some(counts) = last_counts(&log) {
            context.reporter.emit(Detail::HostLines {
                host: host.clone(),
                counts,
            });
        }
    }
}

/// The counts of the last line in which the extension says them: `status: lines=7 …` or `lines so far: lines=7 …`.
fn last_counts(log: &str) -> Option<BTreeMap<String, u64>> {
    let said = log.lines().rev().find_map(|line| {
        let (_, counts) = line
            .split_once(" status: lines=")
            .or_else(|| line.split_once("lines so far: lines="))?;
        Some(format!("lines={counts}"))
    })?;
    let counts = said.split_whitespace().filter_map(|word| {
        let (name, count) = word.split_once('=')?;
        Some((name.to_owned(), count.parse().ok()?))
    });
    Some(counts.collect())
}

/// The document of the verb.
pub(super) fn document(project: &Project, observed: &Observed) -> Value {
    let services: Vec<Value> = shown(project)
        .map(|(service, absent)| as_json(service, absent, observed, external_listener(project, service)))
        .collect();
    json!({
        "schema_version": SCHEMA_VERSION,
        "project": project.folder.project,
        "supervisor": match observed.supervisor {
            SupervisorState::Absent => json!({ "state": "absent" }),
            SupervisorState::Running { pid } => json!({ "state": "running", "pid": pid }),
            SupervisorState::Lost { pid } => json!({ "state": "lost", "pid": pid }),
            SupervisorState::Silent { pid } => json!({ "state": "silent", "pid": pid }),
            SupervisorState::Unrecorded { pid, others, .. } => {
                json!({ "state": "unrecorded", "pid": pid, "others": others })
            }
            SupervisorState::Daemon { .. } => json!({ "state": "daemon" }),
        },
        "host_config": project.remembered.host_config.as_ref().map(|own| &own.path),
        "host_config_findings": findings(project),
        "kafka": project.stack.kafka,
        "services": services,
    })
}

/// What of the hosts' configuration counts for nothing.
fn findings(project: &Project) -> &[Finding] {
    let own = project.remembered.host_config.as_ref();
    own.map_or(&[], |own| &own.findings)
}

/// What it means that a service is not there.
#[derive(Clone, Copy)]
enum Absent<'a> {
    Stopped,
    LeftOut,
    /// This Kafka takes its place.
    OutsideKafka(&'a KafkaAddress),
}

/// The services to show, those that are left out at the end.
fn shown(project: &Project) -> impl Iterator<Item = (&Service, Absent<'_>)> {
    let wanted = project
        .stack
        .services
        .iter()
        .map(|service| (service, Absent::Stopped));
    wanted.chain(project.stack.left_out.iter().map(|service| {
        match project.stack.kafka_in_place_of(&service.name) {
            Some(kafka) => (service, Absent::OutsideKafka(kafka)),
            None => (service, Absent::LeftOut),
        }
    }))
}

fn as_row(service: &Service, absent: Absent<'_>, observed: &Observed, external: Option<&str>) -> Vec<String> {
    let seen = observed.services.get(&service.name);
    let is_running = seen.is_some_and(|seen| matches!(seen.state, ServiceState::Running { .. }));
    vec![
        service.name.to_string(),
        state(seen, absent, observed.supervisor),
        seen.filter(|_| is_running)
            .map(uptime)
            .map_or_else(|| "-".to_owned(), duration),
        restarts(seen, observed).map_or_else(|| "-".to_owned(), |restarts| restarts.to_string()),
        seen.and_then(pid)
            .map_or_else(|| "-".to_owned(), |pid| pid.to_string()),
        seen.filter(|_| is_running)
            .and_then(|seen| address(service, seen))
            .map_or_else(|| "-".to_owned(), |address| with_external(address, external)),
    ]
}

fn as_json(service: &Service, absent: Absent<'_>, observed: &Observed, external: Option<&str>) -> Value {
    let seen = observed.services.get(&service.name);
    let is_running = seen.is_some_and(|seen| matches!(seen.state, ServiceState::Running { .. }));
    json!({
        "service": service.name,
        "state": match (seen.map(|seen| &seen.state), absent) {
            (None, Absent::Stopped) => "stopped",
            (None, Absent::LeftOut | Absent::OutsideKafka(_)) => "left_out",
            (Some(ServiceState::Running { .. }), _) => "running",
            (Some(ServiceState::Paused { .. }), _) => "paused",
            (Some(ServiceState::Restarting { .. }), _) => "restarting",
            (Some(ServiceState::Exited { .. }), _) => "exited",
            (Some(ServiceState::Leftover { .. }), _) => "leftover",
        },
        "detail": state(seen, absent, observed.supervisor),
        "pid": seen.and_then(pid),
        "uptime_ms": seen.filter(|_| is_running).map(|seen| uptime(seen).as_millis() as u64),
        "restarts": restarts(seen, observed),
        "address": seen.filter(|_| is_running).and_then(|seen| address(service, seen)),
        "external_listener": external.filter(|_| is_running),
    })
}

/// Where the broker listens for other machines.
fn external_listener<'a>(project: &'a Project, service: &Service) -> Option<&'a str> {
    let listen = project.remembered.listen.as_deref();
    listen.filter(|_| service.role == Role::Broker)
}

fn with_external(address: String, external: Option<&str>) -> String {
    match external {
        Some(external) => format!("{address}, {external}"),
        None => address,
    }
}

/// How often it was started again, where that is on record.
fn restarts(seen: Option<&ObservedService>, observed: &Observed) -> Option<u32> {
    let is_on_record = !matches!(observed.supervisor, SupervisorState::Unrecorded { .. });
    seen.filter(|_| is_on_record).map(|seen| seen.restarts)
}

fn state(seen: Option<&ObservedService>, absent: Absent<'_>, supervisor: SupervisorState) -> String {
    match seen.map(|seen| &seen.state) {
        None => match absent {
            Absent::Stopped => "stopped".to_owned(),
            Absent::LeftOut => "left out".to_owned(),
            Absent::OutsideKafka(kafka) => format!("left out: Kafka at {kafka}"),
        },
        Some(ServiceState::Running { .. }) => "running".to_owned(),
        Some(ServiceState::Paused { .. }) => "paused".to_owned(),
        Some(ServiceState::Restarting { exit }) => format!("restarting ({exit})"),
        Some(ServiceState::Exited { exit }) => format!("exited ({exit})"),
        Some(ServiceState::Leftover { .. }) => match supervisor {
            SupervisorState::Unrecorded { .. } => "running, not on record".to_owned(),
            _ => "running without a supervisor".to_owned(),
        },
    }
}

fn pid(seen: &ObservedService) -> Option<u32> {
    match seen.state {
        ServiceState::Running { pid } | ServiceState::Paused { pid } | ServiceState::Leftover { pid } => {
            Some(pid)
        }
        ServiceState::Restarting { .. } | ServiceState::Exited { .. } => None,
    }
}

fn uptime(seen: &ObservedService) -> Duration {
    let milliseconds = Timestamp::now().as_millisecond().saturating_sub(seen.started_at);
    Duration::from_millis(u64::try_from(milliseconds).unwrap_or(0))
}

fn address(service: &Service, seen: &ObservedService) -> Option<String> {
    let port = seen.port?;
    let scheme = if service.role.speaks_http() { "http://" } else { "" };
    Some(format!("{scheme}127.0.0.1:{port}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_counts_of_a_log_count() {
        let log = "INFO registered uuid=1\nINFO status: lines=1 accepted=1 waiting=0\n\
                   WARN lines so far: lines=9 accepted=7 dropped=2\nINFO other lines=3\n";
        let counts = last_counts(log).expect("counts");
        assert_eq!((counts["lines"], counts["dropped"]), (9, 2));
        assert!(last_counts("INFO registered\n").is_none());
    }
}
