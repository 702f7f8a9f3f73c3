//! What there is of a project: what its supervisor says, or what it wrote down before it was lost; and what the system
//! says of the processes, which a supervisor does not see.

use std::collections::BTreeMap;
use std::fs;
use std::io;

use super::control::{Record, Records, Request, Response};
use super::{ANSWER_LIMIT, ENDING_LIMIT, NativeEngine, NativeError, Silence};
use crate::error::Result;
use crate::plan::{Observed, ObservedService, ServiceState, SupervisorState};
use crate::process::{self, Ending, HOST_VARIABLE, PROJECT_VARIABLE, ProcessId};
use crate::stack::ServiceName;
use crate::state::{CONTROL_SOCKET, StateError};

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
    /// [`NativeError::Silent`] when it is there and does not answer.
    pub async fn records(&self) -> Result<Option<(Liveness, Records)>> {
        let written = match self.written_records() {
            Ok(Some(written)) => written,
            // Whatever became of the file, who wrote it may be there.
            unwritten => {
                return match self.answered_records().await? {
                    Some(records) => Ok(Some((Liveness::Answers, records))),
                    None => unwritten.map(|_| None),
                };
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
        let is_supervisor = |process: &ProcessId| {
            let arguments = process::arguments(process.pid);
            arguments.iter().any(|argument| argument == "supervise")
        };
        self.marked().into_iter().find(is_supervisor)
    }

    /// What there is, as far as it can be told without the supervisor.
    pub(super) fn last_known_records(&self) -> Observed {
        let Ok(Some(records)) = self.written_records() else {
            // Whatever they said: the processes that were started for the project carry its mark.
            let supervisor = match (self.marked_supervisor(), self.marked().first()) {
                (Some(ProcessId { pid, .. }), _) => SupervisorState::Silent { pid },
                (None, Some(ProcessId { pid, .. })) => SupervisorState::Lost { pid: *pid },
                (None, None) => SupervisorState::Absent,
            };
            return Observed {
                supervisor,
                ..Observed::nothing()
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
