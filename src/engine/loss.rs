//! Why a service is not the one any more that it was: what a scenario says when it loses the ground under its feet. A
//! pure comparison of what was seen before and is seen now.

use std::fmt;

use crate::plan::{Exit, NetworkState, Observed, ObservedService, ServiceState, SupervisorState};
use crate::stack::ServiceName;

/// Why a service is lost for whoever relied on it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Loss {
    /// A command of osqdemo stops it, or has.
    StoppedBy {
        /// Its verb.
        verb: String,
    },
    /// It is not there any more.
    Gone,
    /// It was started anew.
    Restarted,
    /// Somebody stopped it without ending it: it will not answer.
    Paused,
    /// It ended unasked.
    Ended {
        /// How, where that is known.
        exit: Option<Exit>,
    },
    /// What looks after it is there and does not answer.
    SupervisorSilent {
        /// Its process.
        pid: u32,
    },
    /// Nothing is on record of it any more, and nobody answers for it.
    Unrecorded,
    /// What looked after it is gone, and it with it.
    SupervisorEnded {
        /// What was its process.
        pid: u32,
    },
}

impl fmt::Display for Loss {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::StoppedBy { verb } => write!(formatter, "was stopped by `osqdemo {verb}`"),
            Self::Gone => formatter.write_str("was stopped"),
            Self::Restarted => formatter.write_str("was restarted"),
            Self::Paused => formatter.write_str("is paused: somebody stopped it without ending it"),
            Self::Ended { exit: Some(exit) } => write!(formatter, "ended: {exit}"),
            Self::Ended { exit: None } => formatter.write_str("ended, and was started again"),
            Self::SupervisorSilent { pid } => write!(
                formatter,
                "is out of reach: the supervisor (process {pid}) does not answer"
            ),
            Self::Unrecorded => formatter.write_str(
                "is out of reach: nothing on record tells of it any more, and nobody answers for it",
            ),
            Self::SupervisorEnded { pid } => write!(
                formatter,
                "ended with the supervisor (process {pid}), which was not asked to end"
            ),
        }
    }
}

/// What somebody relies on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reliance {
    /// On this very run of the service: what runs on it ends with it.
    ThisRun,
    /// On the service: it may end and come again.
    ComesAgain,
}

impl Loss {
    /// Why the service is lost, if it is. `verb` is that of a command that works on the project now.
    pub fn of(
        service: &ServiceName,
        reliance: Reliance,
        before: &Observed,
        now: &Observed,
        verb: Option<&str>,
    ) -> Option<Self> {
        let was = before.services.get(service)?;
        let by = |verb: &str| Self::StoppedBy {
            verb: verb.to_owned(),
        };
        if verb == Some("down") {
            return Some(by("down"));
        }
        if let SupervisorState::Lost { pid } = now.supervisor {
            return Some(Self::SupervisorEnded { pid });
        }
        let Some(is) = now.services.get(service) else {
            return match (now.supervisor, verb) {
                // Only `down` takes these away.
                (
                    SupervisorState::Absent
                    | SupervisorState::Daemon {
                        network: NetworkState::Absent,
                    },
                    _,
                ) => Some(by("down")),
                // It is about to be there again.
                (_, Some(_)) if reliance == Reliance::ComesAgain => None,
                (_, Some(verb)) => Some(by(verb)),
                (_, None) => Some(Self::Gone),
            };
        };
        match (&is.state, reliance) {
            // `restart` and `up` are about to let it go on.
            (ServiceState::Paused { .. }, _) => verb.is_none().then_some(Self::Paused),
            (ServiceState::Exited { exit }, Reliance::ComesAgain) if verb.is_none() => {
                Some(Self::Ended { exit: Some(*exit) })
            }
            (_, Reliance::ComesAgain) => None,
            (ServiceState::Exited { exit } | ServiceState::Restarting { exit }, Reliance::ThisRun) => {
                Some(verb.map_or(Self::Ended { exit: Some(*exit) }, by))
            }
            (_, Reliance::ThisRun) if is.restarts > was.restarts => Some(Self::Ended { exit: None }),
            (_, Reliance::ThisRun) => (run_of(is) != run_of(was)).then_some(Self::Restarted),
        }
    }
}

/// What tells one run of a service from another.
fn run_of(service: &ObservedService) -> (Option<u32>, i64) {
    let pid = match service.state {
        ServiceState::Running { pid } => Some(pid),
        _ => None,
    };
    (pid, service.started_at)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    const HOST: &str = "host2";

    fn seen(supervisor: SupervisorState, service: Option<(ServiceState, u32)>) -> Observed {
        let service = service.map(|(state, restarts)| {
            let started_at = match state {
                ServiceState::Running { pid } => i64::from(pid),
                _ => 0,
            };
            let service = ObservedService {
                state,
                config_hash: String::new(),
                port: None,
                started_at,
                restarts,
                last_exit: None,
                host_config: None,
                container: None,
            };
            (ServiceName::new(HOST), service)
        });
        Observed {
            supervisor,
            services: service.into_iter().collect::<BTreeMap<_, _>>(),
            images: BTreeMap::new(),
        }
    }

    fn told(reliance: Reliance, now: &Observed, verb: Option<&str>) -> String {
        let running = SupervisorState::Running { pid: 1 };
        let before = seen(running, Some((ServiceState::Running { pid: 7 }, 0)));
        Loss::of(&ServiceName::new(HOST), reliance, &before, now, verb)
            .map_or_else(|| "as it was".to_owned(), |loss| loss.to_string())
    }

    #[test]
    fn each_way_to_lose_a_host_has_its_words() {
        let running = SupervisorState::Running { pid: 1 };
        let host = |state, restarts| seen(running, Some((state, restarts)));
        let killed = Exit::Signal(9);
        let this_run = |now: &Observed, verb| told(Reliance::ThisRun, now, verb);
        let same = host(ServiceState::Running { pid: 7 }, 0);
        assert_eq!(this_run(&same, None), "as it was");
        assert_eq!(this_run(&same, Some("up")), "as it was");
        assert_eq!(this_run(&same, Some("down")), "was stopped by `osqdemo down`");
        assert_eq!(
            this_run(&seen(SupervisorState::Absent, None), None),
            "was stopped by `osqdemo down`"
        );
        assert_eq!(
            this_run(&seen(running, None), Some("restart")),
            "was stopped by `osqdemo restart`"
        );
        assert_eq!(this_run(&seen(running, None), None), "was stopped");
        assert_eq!(
            this_run(&host(ServiceState::Running { pid: 8 }, 0), None),
            "was restarted"
        );
        assert_eq!(
            this_run(&host(ServiceState::Running { pid: 8 }, 1), None),
            "ended, and was started again"
        );
        assert_eq!(
            this_run(&host(ServiceState::Restarting { exit: killed }, 0), None),
            "ended: killed by signal 9 (SIGKILL)"
        );
        let paused = host(ServiceState::Paused { pid: 7 }, 0);
        assert_eq!(
            this_run(&paused, None),
            "is paused: somebody stopped it without ending it"
        );
        assert_eq!(this_run(&paused, Some("up")), "as it was", "it lets it go on");
        assert_eq!(
            this_run(&seen(SupervisorState::Lost { pid: 1 }, None), None),
            "ended with the supervisor (process 1), which was not asked to end"
        );
    }

    #[test]
    fn a_service_that_comes_again_is_not_lost() {
        let running = SupervisorState::Running { pid: 1 };
        let exit = Exit::Signal(9);
        let told = |now: &Observed, verb| told(Reliance::ComesAgain, now, verb);
        let service = |state, restarts| seen(running, Some((state, restarts)));
        assert_eq!(
            told(&service(ServiceState::Running { pid: 8 }, 1), None),
            "as it was"
        );
        assert_eq!(
            told(&service(ServiceState::Restarting { exit }, 0), None),
            "as it was"
        );
        assert_eq!(told(&seen(running, None), Some("restart")), "as it was");
        assert_eq!(told(&seen(running, None), None), "was stopped");
        assert_eq!(
            told(&service(ServiceState::Paused { pid: 7 }, 0), None),
            "is paused: somebody stopped it without ending it",
            "it does not come again by itself"
        );
        assert_eq!(
            told(&service(ServiceState::Exited { exit }, 0), None),
            "ended: killed by signal 9 (SIGKILL)"
        );
    }
}
