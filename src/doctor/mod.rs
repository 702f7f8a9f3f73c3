//! Whether this machine can run the stack: checks with a verdict and a way out. `doctor` shows all of them,
//! `up` runs those that decide whether it can start.

mod docker;
mod images;
mod isolation;
mod machine;
mod outside;

use std::io;
use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::engine::OsquerydChoice;
use crate::engine::docker::{Connection, PullSettings};
use crate::engine::native::isolation::Isolation;
use crate::engine::native::programs::{self, Osqueryd};
use crate::error::{Diagnose, Result};
use crate::events::TightMemory;
use crate::exit_code::ExitCode;
use crate::plan::{Observed, Plan};
use crate::ports::{PortTaken, Ports, is_ours};
use crate::stack::{ServiceName, Stack};
use crate::state::ProjectFolder;

pub use outside::Outside;

/// The verdict of a check.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// All is well.
    Pass,
    /// The stack runs, but not as well as it could.
    Warn,
    /// The stack cannot run.
    Fail,
}

impl Status {
    /// The verdict in four letters.
    pub fn word(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Warn => "warn",
            Self::Fail => "FAIL",
        }
    }
}

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Check {
    /// What it is about: `ports`, `machine`, `hosts`, `programs`, `docker`, `outside`.
    pub category: &'static str,
    /// What was looked at.
    pub name: String,
    /// The verdict.
    pub status: Status,
    /// What was found.
    pub message: String,
    /// What to do about it.
    pub fix: Option<String>,
}

/// The machine cannot run the stack.
#[derive(Debug, thiserror::Error)]
pub enum PreflightError {
    /// The stack does not fit into the memory.
    #[error("the stack needs {needed} MiB of memory, and the Docker engine's machine has {there} MiB")]
    Memory {
        /// What is needed, in MiB.
        needed: u64,
        /// What there is, in MiB.
        there: u64,
        /// The hungriest service that can be left out, and what that saves, in MiB.
        saving: Option<(ServiceName, u64)>,
    },
    /// Services of this machine cannot be reached.
    #[error("nothing on this machine can be reached at 127.0.0.1: {source}")]
    NoLoopback {
        /// What the system said.
        source: io::Error,
    },
    /// The disk is full.
    #[error("only {free} MiB are free on the disk of `{}`; at least {needed} MiB are needed", folder.display())]
    DiskFull {
        /// The folder.
        folder: PathBuf,
        /// What is free, in MiB.
        free: u64,
        /// What is needed, in MiB.
        needed: u64,
    },
}

impl Diagnose for PreflightError {
    fn exit_code(&self) -> ExitCode {
        ExitCode::Preflight
    }

    fn hints(&self) -> Vec<String> {
        match self {
            Self::Memory { saving, .. } => saving.iter().map(|(service, saved)| format!("`--without {service}` saves {saved} MiB")).chain([
                "give the Docker engine more memory (Docker Desktop: Settings, Resources; `colima start --memory 8`)"
                    .to_owned(),
                "`--stack lite` needs far less".to_owned(),
            ]).collect(),
            Self::NoLoopback { .. } => vec![machine::LOOPBACK_UP.to_owned()],
            Self::DiskFull { .. } => {
                vec!["free some space, or set `OSQDEMO_HOME` to a folder on another disk".to_owned()]
            }
        }
    }
}

/// The checks that decide whether the plan can be carried out.
///
/// # Errors
/// The first check that fails.
pub fn preflight(folder: &ProjectFolder, plan: &Plan, ports: &Ports) -> Result<()> {
    if plan.started().next().is_none() {
        return Ok(());
    }
    if let Some((free, needed)) = machine::disk_shortage(folder.root()) {
        return Err(PreflightError::DiskFull {
            folder: folder.root().to_owned(),
            free,
            needed,
        }
        .into());
    }
    if let Err(source) = machine::loopback() {
        return Err(PreflightError::NoLoopback { source }.into());
    }
    let mut blocked = ports.blocked().iter();
    match blocked.find(|blocked| plan.started().any(|service| *service == blocked.service)) {
        Some(blocked) => Err(PortTaken {
            blocked: blocked.clone(),
            home: folder.home().to_owned(),
        }
        .into()),
        None => Ok(()),
    }
}

/// Whether a stack fits into the memory of a machine, in bytes; a warning where it does, but only just.
///
/// # Errors
/// When it does not fit.
pub fn memory_for(stack: &Stack, there: u64) -> std::result::Result<Option<TightMemory>, PreflightError> {
    let needed = stack.memory();
    let (needed_mib, there_mib) = (needed >> 20, there >> 20);
    let saving = stack
        .hungriest_optional()
        .map(|service| (service.name.clone(), stack.memory_of(service) >> 20));
    if needed > there {
        return Err(PreflightError::Memory {
            needed: needed_mib,
            there: there_mib,
            saving,
        });
    }
    let is_tight = needed > there / 4 * 3;
    Ok(is_tight.then_some(TightMemory {
        needed_mib,
        there_mib,
        saving,
    }))
}

/// All checks for processes on this machine.
///
/// # Errors
/// When the environment asks for something that there is not.
pub async fn examine(
    folder: &ProjectFolder,
    stack: &Stack,
    ports: &Ports,
    observed: &Observed,
) -> Result<Vec<Check>> {
    let mut checks = check_ports(folder.home(), ports, observed);
    checks.push(machine::check_system());
    checks.push(machine::check_loopback());
    checks.push(machine::check_disk(folder.root()));
    checks.push(machine::check_memory(stack));
    if stack.has_hosts() {
        checks.push(isolation::check(&Isolation::detect().await?));
        checks.extend(check_programs_of_hosts());
    }
    Ok(checks)
}

/// All checks for containers, whose images are got that way. A daemon that could not be asked is one of the things to
/// be told.
pub async fn examine_docker(
    folder: &ProjectFolder,
    stack: &Stack,
    ports: &Ports,
    observed: &Observed,
    pull: &PullSettings,
    connection: Result<Connection>,
) -> Vec<Check> {
    let mut checks = check_ports(folder.home(), ports, observed);
    checks.push(machine::check_system());
    checks.push(machine::check_loopback());
    match connection {
        Ok(connection) => checks.extend(docker::check(&connection, folder.home(), stack, pull).await),
        Err(failure) => checks.push(docker::unanswered(&failure)),
    }
    checks
}

/// What `up` would make of the ports.
fn check_ports(home: &Path, ports: &Ports, observed: &Observed) -> Vec<Check> {
    let ports_of_services = ports.all().iter();
    ports_of_services
        .map(|(service, port)| check_port(service, *port, ports, observed, home))
        .collect()
}

fn check_port(service: &ServiceName, port: u16, ports: &Ports, observed: &Observed, home: &Path) -> Check {
    let check = |port: u16, status, message: String, fix| Check {
        category: "ports",
        name: format!("port {port} ({service})"),
        status,
        message,
        fix,
    };
    if let Some(blocked) = ports.blocked().iter().find(|other| other.service == *service) {
        let fix = Some(blocked.hint(home));
        check(port, Status::Fail, blocked.obstacle.to_string(), fix)
    } else if let Some(moved) = ports.moved().iter().find(|other| other.service == *service) {
        let message = format!(
            "{}; `osqdemo up` picks another, such as {}",
            moved.obstacle, moved.to
        );
        check(moved.from, Status::Warn, message, moved.obstacle.way_out(home))
    } else if is_ours(observed, port) {
        check(port, Status::Pass, "in use by this project".to_owned(), None)
    } else {
        check(port, Status::Pass, "free".to_owned(), None)
    }
}

fn check_programs_of_hosts() -> Vec<Check> {
    let check = |name: &str, status, message: String, fix| Check {
        category: "programs",
        name: name.to_owned(),
        status,
        message,
        fix,
    };
    let own = match programs::own_path() {
        Ok(own) => own,
        Err(error) => return vec![check("osqdemo", Status::Fail, error.to_string(), None)],
    };
    let osqueryd = match programs::find_osqueryd(&OsquerydChoice::Auto, &own) {
        Ok(Osqueryd::Real(path)) => check("osqueryd", Status::Pass, path.display().to_string(), None),
        Ok(Osqueryd::Builtin(path)) => check(
            "osqueryd",
            Status::Pass,
            format!(
                "not on the PATH; the built-in agent stands in: {}",
                path.display()
            ),
            None,
        ),
        Err(error) => check("osqueryd", Status::Fail, error.to_string(), error.hints().pop()),
    };
    let extension = match programs::find_extension(&own) {
        Ok(path) => check("extension", Status::Pass, path.display().to_string(), None),
        Err(error) => check("extension", Status::Fail, error.to_string(), error.hints().pop()),
    };
    vec![osqueryd, extension]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn too_little_memory_names_what_can_be_left_out() {
        let whole = Stack::confluent().expect("the embedded stack");
        let advice = |stack: &Stack, gib: u64| match memory_for(stack, gib << 30) {
            Ok(warning) => warning.map(|tight| tight.to_string()).unwrap_or_default(),
            Err(error) => error.hints().join("; "),
        };
        let saving = "`--without control-center` saves 1792 MiB";
        assert!(advice(&whole, 5).starts_with(saving), "{}", advice(&whole, 5));
        assert!(advice(&whole, 6).ends_with(saving), "{}", advice(&whole, 6));
        assert_eq!(advice(&whole, 16), "");
        let left_out = [ServiceName::new("control-center")].into();
        let less = whole.without(&left_out).expect("it can be left out");
        assert!(
            memory_for(&less, 5 << 30).is_ok(),
            "what is left out is not counted"
        );
        assert!(!advice(&less, 2).contains("--without"), "{}", advice(&less, 2));
    }
}
