//! What has to be done, as data: a pure function from what is wanted and what there is to a [`Plan`], every
//! operation with its cause. Knows nothing of how an operation is carried out.

mod resolve;

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::stack::ServiceName;

pub use resolve::{Choices, ResolveError, ServiceSpec, resolve};

/// What there is, as an engine sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Observed {
    /// The process that looks after the services.
    pub supervisor: SupervisorState,
    /// Every service there is a trace of.
    pub services: BTreeMap<ServiceName, ObservedService>,
}

/// The process that looks after the services.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SupervisorState {
    /// There is none and there should be none.
    Absent,
    /// It answers.
    Running {
        /// Its process.
        pid: u32,
    },
    /// It was there and ended without being asked to.
    Lost {
        /// What its process was.
        pid: u32,
    },
}

/// A service as an engine sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ObservedService {
    /// What it is doing.
    pub state: ServiceState,
    /// The hash of the definition it was started with.
    pub config_hash: String,
    /// The port it was started with.
    pub port: Option<u16>,
    /// When it was started last, in milliseconds since 1970.
    pub started_at: i64,
    /// How often it was started again after it had ended unasked.
    pub restarts: u32,
}

/// What a service is doing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum ServiceState {
    /// It has a process.
    Running {
        /// The process.
        pid: u32,
    },
    /// It ended unasked and is about to be started again.
    Restarting {
        /// How it ended.
        exit: Exit,
    },
    /// It ended unasked and nobody starts it again.
    Exited {
        /// How it ended.
        exit: Exit,
    },
    /// It has a process that nobody looks after.
    Leftover {
        /// The process.
        pid: u32,
    },
}

/// How a process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Exit {
    /// By itself, with this status.
    Code(i32),
    /// By this signal.
    Signal(i32),
}

impl fmt::Display for Exit {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Code(code) => write!(formatter, "exit status {code}"),
            Self::Signal(9) => formatter.write_str("killed by signal 9 (SIGKILL)"),
            Self::Signal(signal) => write!(formatter, "killed by signal {signal}"),
        }
    }
}

/// What has to be done. Empty when everything is as wanted.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Plan {
    /// The operations. One may only start when those of its `after` are done; they stand before it.
    pub operations: Vec<Operation>,
}

/// One thing to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Operation {
    /// What.
    pub action: Action,
    /// Why.
    pub cause: Cause,
    /// The operations, by index, that must be done first.
    pub after: Vec<usize>,
}

/// What to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Start the process that looks after the services.
    StartSupervisor,
    /// End a process that nobody looks after.
    EndLeftover(ServiceName),
    /// Stop a service.
    Stop(ServiceName),
    /// Start a service and wait until it is healthy.
    Start(ServiceName),
}

/// Why something is to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cause {
    /// It is wanted and not there.
    NotRunning,
    /// It ended unasked.
    Ended(Exit),
    /// The process that looked after it is gone.
    SupervisorLost(u32),
    /// It is to listen on another port.
    PortChanged {
        /// The port it has.
        from: Option<u16>,
        /// The port it should have.
        to: Option<u16>,
    },
    /// Its definition, or a program it runs, is another one.
    DefinitionChanged,
    /// It is there and not wanted.
    NotInStack,
    /// The user asked for it.
    Requested,
}

impl fmt::Display for Action {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::StartSupervisor => formatter.write_str("start the supervisor"),
            Self::EndLeftover(service) => write!(formatter, "end what is left of {service}"),
            Self::Stop(service) => write!(formatter, "stop {service}"),
            Self::Start(service) => write!(formatter, "start {service}"),
        }
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let port = |port: &Option<u16>| port.map_or_else(|| "none".to_owned(), |port| port.to_string());
        match self {
            Self::NotRunning => formatter.write_str("not running"),
            Self::Ended(exit) => write!(formatter, "ended unexpectedly: {exit}"),
            Self::SupervisorLost(pid) => write!(formatter, "the supervisor (process {pid}) is gone"),
            Self::PortChanged { from, to } => {
                write!(formatter, "port changed from {} to {}", port(from), port(to))
            }
            Self::DefinitionChanged => formatter.write_str("its definition or program changed"),
            Self::NotInStack => formatter.write_str("not in the stack"),
            Self::Requested => formatter.write_str("requested"),
        }
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, Operation { action, cause, after }) in self.operations.iter().enumerate() {
            write!(formatter, "{}. {action} ({cause})", index + 1)?;
            if !after.is_empty() {
                let after: Vec<String> = after.iter().map(|index| (index + 1).to_string()).collect();
                write!(formatter, ", after {}", after.join(", "))?;
            }
            writeln!(formatter)?;
        }
        Ok(())
    }
}

impl Plan {
    /// What makes `observed` into `desired`. The services of `desired` must stand in an order in which
    /// dependencies come first, as [`resolve()`] gives them.
    pub fn make(desired: &[ServiceSpec], observed: &Observed) -> Self {
        let mut plan = Planner {
            desired,
            plan: Self::default(),
        };
        let needed = plan.needed(observed);
        plan.end_and_stop(observed, &needed);
        let supervisor = plan.supervisor(observed, &needed);
        plan.start(&needed, supervisor);
        plan.plan
    }

    /// Stop one service and start it again, because the user asked for it.
    pub fn restart(desired: &[ServiceSpec], observed: &Observed, service: &ServiceName) -> Self {
        let mut plan = Planner {
            desired,
            plan: Self::default(),
        };
        let needed = BTreeMap::from([(service.clone(), Cause::Requested)]);
        plan.end_and_stop(observed, &needed);
        let supervisor = plan.supervisor(observed, &needed);
        plan.start(&needed, supervisor);
        plan.plan
    }

    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.operations.is_empty()
    }

    /// The services that the plan starts.
    pub fn started(&self) -> impl Iterator<Item = &ServiceName> {
        self.operations
            .iter()
            .filter_map(|operation| match &operation.action {
                Action::Start(service) => Some(service),
                _ => None,
            })
    }
}

struct Planner<'a> {
    desired: &'a [ServiceSpec],
    plan: Plan,
}

impl Planner<'_> {
    /// The services to start, each with the reason.
    fn needed(&self, observed: &Observed) -> BTreeMap<ServiceName, Cause> {
        let cause = |spec: &ServiceSpec| -> Option<Cause> {
            if let SupervisorState::Lost { pid } = observed.supervisor {
                return Some(Cause::SupervisorLost(pid));
            }
            let Some(service) = observed.services.get(&spec.name) else {
                return Some(Cause::NotRunning);
            };
            match service.state {
                ServiceState::Leftover { .. } => Some(Cause::NotRunning),
                ServiceState::Restarting { exit } | ServiceState::Exited { exit } => Some(Cause::Ended(exit)),
                ServiceState::Running { .. } if service.port != spec.port => Some(Cause::PortChanged {
                    from: service.port,
                    to: spec.port,
                }),
                ServiceState::Running { .. } if service.config_hash != spec.config_hash => {
                    Some(Cause::DefinitionChanged)
                }
                ServiceState::Running { .. } => None,
            }
        };
        self.desired
            .iter()
            .filter_map(|spec| Some((spec.name.clone(), cause(spec)?)))
            .collect()
    }

    /// Ends what must go, dependents before what they depend on.
    fn end_and_stop(&mut self, observed: &Observed, needed: &BTreeMap<ServiceName, Cause>) {
        let unwanted = observed
            .services
            .keys()
            .filter(|name| self.desired.iter().all(|spec| spec.name != **name));
        let wanted = self.desired.iter().rev().map(|spec| &spec.name);
        let names: Vec<ServiceName> = unwanted.chain(wanted).cloned().collect();
        for name in names {
            let Some(service) = observed.services.get(&name) else {
                continue;
            };
            let is_wanted = self.desired.iter().any(|spec| spec.name == name);
            let cause = match (is_wanted, needed.get(&name)) {
                (false, _) => Cause::NotInStack,
                (true, Some(cause)) => cause.clone(),
                (true, None) => continue,
            };
            let action = match service.state {
                ServiceState::Leftover { .. } => Action::EndLeftover(name.clone()),
                // There is nothing to stop, and the next start replaces it.
                ServiceState::Exited { .. } if is_wanted => continue,
                _ => Action::Stop(name.clone()),
            };
            let dependents = self.operations_on(|other| {
                self.desired
                    .iter()
                    .any(|spec| spec.name == *other && spec.depends_on.contains(&name))
            });
            self.plan.operations.push(Operation {
                action,
                cause,
                after: dependents,
            });
        }
    }

    fn supervisor(&mut self, observed: &Observed, needed: &BTreeMap<ServiceName, Cause>) -> Option<usize> {
        let cause = match observed.supervisor {
            SupervisorState::Running { .. } => return None,
            SupervisorState::Absent if needed.is_empty() => return None,
            SupervisorState::Absent => Cause::NotRunning,
            SupervisorState::Lost { pid } => Cause::SupervisorLost(pid),
        };
        let after = (0..self.plan.operations.len()).collect();
        self.plan.operations.push(Operation {
            action: Action::StartSupervisor,
            cause,
            after,
        });
        Some(self.plan.operations.len() - 1)
    }

    fn start(&mut self, needed: &BTreeMap<ServiceName, Cause>, supervisor: Option<usize>) {
        for spec in self.desired {
            let Some(cause) = needed.get(&spec.name) else {
                continue;
            };
            let mut after =
                self.operations_on(|other| *other == spec.name || spec.depends_on.contains(other));
            after.extend(supervisor);
            after.sort_unstable();
            self.plan.operations.push(Operation {
                action: Action::Start(spec.name.clone()),
                cause: cause.clone(),
                after,
            });
        }
    }

    /// The operations so far on services that `matches`.
    fn operations_on(&self, matches: impl Fn(&ServiceName) -> bool) -> Vec<usize> {
        self.plan
            .operations
            .iter()
            .enumerate()
            .filter(|(_, operation)| match &operation.action {
                Action::StartSupervisor => false,
                Action::EndLeftover(name) | Action::Stop(name) | Action::Start(name) => matches(name),
            })
            .map(|(index, _)| index)
            .collect()
    }
}

#[cfg(test)]
mod tests;
