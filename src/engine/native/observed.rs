//! What there is of a project: what its supervisor says, or what it wrote down before it was lost; and what the system
//! says of the processes, which a supervisor does not see.

use std::collections::BTreeMap;
use std::fs;
use std::io;

use tokio::time::Instant;

use super::control::{Record, Records, Request, Response};
use super::{ANSWER_LIMIT, ENDING_LIMIT, NativeEngine, NativeError, Silence};
use crate::error::Result;
use crate::plan::{Observed, ObservedService, RecordLoss, ServiceState, SupervisorState};
use crate::process::{self, Ending, HOST_VARIABLE, PROJECT_VARIABLE, ProcessId, SERVICE_VARIABLE};
use crate::stack::ServiceName;
use crate::state::{AtWork, CONTROL_SOCKET, StateError};

/// Whether the supervisor answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Liveness {
    /// It does.
    Answers,
    /// It ended without being asked to.
    Lost,
}

impl NativeEngine {
    /// What the supervisor says, or what it wrote down before it was lost; nothing when there never was one.
    ///
    /// # Errors
    /// [`NativeError::Silent`] when it is there and does not answer, [`NativeError::Unrecorded`] when nothing tells what
    /// it is that runs.
    pub async fn records(&self) -> Result<Option<(Liveness, Records)>> {
        let written = match self.written_records() {
            Ok(Some(written)) => written,
            // Whatever became of the file, who wrote it may be there.
            unwritten => {
                if let Some(records) = self.answered_records().await? {
                    return Ok(Some((Liveness::Answers, records)));
                }
                // What is damaged says so itself.
                unwritten?;
                match self.written_by_now().await? {
                    Some(written) => written,
                    None => return Ok(None),
                }
            }
        };
        let supervisor = written.supervisor;
        // The records are written right after the socket is opened, and removed last.
        if !supervisor.is_alive() {
            return Ok(Some((Liveness::Lost, written)));
        }
        let silent = |reason| NativeError::Silent {
            project: self.folder.project.clone(),
            pid: supervisor.pid,
            reason,
        };
        if supervisor.is_stopped() {
            return Err(silent(Silence::Stopped).into());
        }
        match self.exchange(&Request::Observe, ANSWER_LIMIT).await? {
            Ok(Response::Observed(records)) => Ok(Some((Liveness::Answers, records))),
            Ok(_) => Ok(Some((Liveness::Lost, written))),
            // It may be ending just now.
            Err(error) => match self.written_records()? {
                Some(records) if records.supervisor.ended(ENDING_LIMIT).await == Ending::StillThere => {
                    Err(silent(Silence::Failed(error)).into())
                }
                written => Ok(written.map(|records| (Liveness::Lost, records))),
            },
        }
    }

    /// Where nothing is on record, nothing should run either, but for the moment in which that begins or ends.
    async fn written_by_now(&self) -> Result<Option<Records>> {
        let marked = self.marked();
        let is_other = |at_work: &AtWork| at_work.pid != std::process::id();
        // Whoever works on the project may be about to write it down, or has taken it away.
        if marked.is_empty() || AtWork::on(&self.folder).is_some_and(|at_work| is_other(&at_work)) {
            return Ok(None);
        }
        if let Some(written) = self.written_records()? {
            return Ok(Some(written));
        }
        let deadline = Instant::now() + ENDING_LIMIT;
        let mut there = Vec::new();
        for process in marked {
            let left = deadline.saturating_duration_since(Instant::now());
            if process.ended(left).await == Ending::StillThere {
                there.push(process);
            }
        }
        match unrecorded(&there) {
            None => Ok(None),
            Some((pid, others)) => Err(NativeError::Unrecorded {
                project: self.folder.project.clone(),
                pid,
                others,
            }
            .into()),
        }
    }

    /// What the supervisor says; nothing where none answers.
    async fn answered_records(&self) -> Result<Option<Records>> {
        let is_there = self.folder.exists()? && self.folder.socket(CONTROL_SOCKET)?.exists();
        // Whoever was stopped would be waited for in vain.
        if !is_there || self.marked_supervisor().is_some_and(ProcessId::is_stopped) {
            return Ok(None);
        }
        match self.exchange(&Request::Observe, ANSWER_LIMIT).await? {
            Ok(Response::Observed(records)) => Ok(Some(records)),
            _ => Ok(None),
        }
    }

    /// What is written down, else what the supervisor says.
    pub(super) async fn known_records(&self) -> Result<Option<Records>> {
        match self.written_records() {
            Ok(Some(written)) => Ok(Some(written)),
            _ => Ok(self.records().await?.map(|(_, records)| records)),
        }
    }

    pub(super) fn written_records(&self) -> Result<Option<Records>> {
        let path = self.folder.services_file();
        match fs::read(&path) {
            Ok(text) => Ok(Some(
                serde_json::from_slice(&text).map_err(|source| StateError::Damaged { path, source })?,
            )),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(StateError::io("read", &path, error).into()),
        }
    }

    /// What there is; of the services only those that somebody wants to know of.
    pub(super) async fn observed(&self, is_wanted: impl Fn(&ServiceName) -> bool) -> Result<Observed> {
        let Some((liveness, records)) = self.records().await? else {
            return Ok(Observed {
                supervisor: SupervisorState::Absent,
                services: BTreeMap::new(),
                images: BTreeMap::new(),
            });
        };
        let pid = records.supervisor.pid;
        match liveness {
            Liveness::Answers => Ok(Observed {
                supervisor: SupervisorState::Running { pid },
                services: records
                    .services
                    .into_iter()
                    .filter(|(name, _)| is_wanted(name))
                    .map(|(name, record)| (name, as_it_is(record)))
                    .collect(),
                images: BTreeMap::new(),
            }),
            Liveness::Lost => {
                let leftovers = records.services.into_iter().filter_map(|(name, record)| {
                    let state = ServiceState::Leftover {
                        pid: leftover_of(&record)?.pid,
                    };
                    Some((
                        name,
                        ObservedService {
                            state,
                            ..record.service
                        },
                    ))
                });
                Ok(Observed {
                    supervisor: SupervisorState::Lost { pid },
                    services: leftovers.collect(),
                    images: BTreeMap::new(),
                })
            }
        }
    }

    /// The processes that were started for the project.
    fn marked(&self) -> Vec<ProcessId> {
        process::with_environment(PROJECT_VARIABLE, &self.folder.root().display().to_string())
    }

    /// That of them which looks after the others.
    fn marked_supervisor(&self) -> Option<ProcessId> {
        self.marked().into_iter().find(is_supervisor)
    }

    /// What there is, as far as it can be told without the supervisor.
    pub(super) fn last_known_records(&self) -> Observed {
        let written = self.written_records();
        let record = match &written {
            Ok(_) => RecordLoss::Missing,
            Err(_) => RecordLoss::Damaged,
        };
        let Ok(Some(records)) = written else {
            // Whatever they said: the processes that were started for the project carry its mark.
            let marked = self.marked();
            return match unrecorded(&marked) {
                None => Observed::nothing(),
                Some((pid, others)) => Observed {
                    supervisor: SupervisorState::Unrecorded { pid, others, record },
                    services: services_of(marked),
                    images: BTreeMap::new(),
                },
            };
        };
        let pid = records.supervisor.pid;
        let there = records.services.into_iter().filter_map(|(name, record)| {
            leftover_of(&record)?;
            Some((name, record.service))
        });
        Observed {
            supervisor: if records.supervisor.is_alive() {
                SupervisorState::Silent { pid }
            } else {
                SupervisorState::Lost { pid }
            },
            services: there.collect(),
            images: BTreeMap::new(),
        }
    }
}

fn is_supervisor(process: &ProcessId) -> bool {
    let arguments = process::arguments(process.pid);
    arguments.iter().any(|argument| argument == "supervise")
}

/// The one of these processes to name, which is the supervisor where it is among them, and how many others there are.
fn unrecorded(processes: &[ProcessId]) -> Option<(u32, usize)> {
    let supervisor = processes.iter().find(|process| is_supervisor(process));
    let named = supervisor.or(processes.first())?;
    Some((named.pid, processes.len() - 1))
}

/// The services that these processes are of, as far as their marks tell.
fn services_of(mut processes: Vec<ProcessId>) -> BTreeMap<ServiceName, ObservedService> {
    // What a service has begun is younger than its first process.
    processes.sort_unstable_by_key(|process| std::cmp::Reverse((process.start_time, process.pid)));
    let service = |process: ProcessId| {
        let name = process::environment_variable(process.pid, SERVICE_VARIABLE)?;
        let service = ObservedService {
            state: ServiceState::Leftover { pid: process.pid },
            config_hash: String::new(),
            port: None,
            started_at: 0,
            restarts: 0,
            last_exit: None,
            host_config: None,
            container: None,
        };
        Some((ServiceName::new(name), service))
    };
    processes.into_iter().filter_map(service).collect()
}

/// What is left of a service whose supervisor is gone: its process, or, of a host without namespaces, any that
/// carries its mark.
fn leftover_of(record: &Record) -> Option<ProcessId> {
    record.process.filter(|process| process.is_alive()).or_else(|| {
        let folder = record.marked_host.as_ref()?;
        process::with_environment(HOST_VARIABLE, &folder.display().to_string()).pop()
    })
}

/// The process of a service that runs.
pub(super) fn running_process(
    records: Option<(Liveness, Records)>,
    service: &ServiceName,
) -> std::result::Result<ProcessId, NativeError> {
    let not_running = || NativeError::NotRunning {
        service: service.clone(),
    };
    let records = match records {
        Some((Liveness::Answers, records)) => records,
        Some((Liveness::Lost, records)) => {
            return Err(NativeError::Lost {
                service: service.clone(),
                pid: records.supervisor.pid,
            });
        }
        None => return Err(not_running()),
    };
    let record = records.services.get(service).ok_or_else(not_running)?;
    match (&record.service.state, record.process) {
        (ServiceState::Running { .. }, Some(process)) => Ok(process),
        _ => Err(not_running()),
    }
}

/// A service as its supervisor knows it, unless somebody stopped a process of it, as a host's osqueryd: that the
/// supervisor does not see.
fn as_it_is(record: Record) -> ObservedService {
    let is_stopped = || {
        record
            .process
            .is_some_and(|process| !process.stopped_below().is_empty())
    };
    match record.service.state {
        ServiceState::Running { pid } if is_stopped() => ObservedService {
            state: ServiceState::Paused { pid },
            ..record.service
        },
        _ => record.service,
    }
}
