//! What ended or was started anew while a scenario ran: it may pass all the same, and who reads the report wants to know.

use jiff::Timestamp;

use super::outcome::Restart;
use crate::plan::{Observed, ObservedService, ServiceState};

/// The services that are not the same run any more, by what was seen before and after.
pub fn between(before: &Observed, after: &Observed) -> Vec<Restart> {
    let both = before
        .services
        .iter()
        .filter_map(|(name, was)| Some((name, was, after.services.get(name)?)));
    both.filter_map(|(name, was, is)| {
        let times = is.restarts.saturating_sub(was.restarts);
        let cause = match (&is.state, times) {
            (ServiceState::Restarting { exit } | ServiceState::Exited { exit }, _) => exit.to_string(),
            (_, 1..) => is
                .last_exit
                .map_or_else(|| "it ended unasked".to_owned(), |exit| exit.to_string()),
            (_, 0) if is.started_at != was.started_at => "a command of osqdemo".to_owned(),
            (_, 0) => return None,
        };
        Some(Restart {
            service: name.to_string(),
            at: started_at(is),
            times: times.max(u32::from(is.started_at != was.started_at)),
            cause,
        })
    })
    .collect()
}

/// When it was started last; nothing while it does not run.
fn started_at(service: &ObservedService) -> Option<Timestamp> {
    match service.state {
        ServiceState::Restarting { .. } | ServiceState::Exited { .. } => None,
        ServiceState::Running { .. } | ServiceState::Paused { .. } | ServiceState::Leftover { .. } => {
            Timestamp::from_millisecond(service.started_at).ok()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::Exit;
    use crate::stack::ServiceName;

    fn seen(state: ServiceState, started_at: i64, restarts: u32, last_exit: Option<Exit>) -> Observed {
        let service = ObservedService {
            state,
            config_hash: String::new(),
            port: None,
            started_at,
            restarts,
            last_exit,
            host_config: None,
            container: None,
        };
        Observed {
            services: [(ServiceName::new("broker"), service)].into(),
            ..Observed::nothing()
        }
    }

    #[test]
    fn what_is_not_the_same_run_any_more_is_told_with_its_cause() {
        let running = |pid| ServiceState::Running { pid };
        let killed = Exit::Signal(9);
        let before = seen(running(1), 1000, 1, Some(Exit::Code(3)));
        let told = |after: &Observed| {
            let restarts = between(&before, after).into_iter().map(|restart| {
                let at = restart.at.map(Timestamp::as_millisecond);
                format!("{} {at:?} {}x: {}", restart.service, restart.times, restart.cause)
            });
            restarts.collect::<Vec<_>>().join("; ")
        };
        assert_eq!(told(&before), "");
        assert_eq!(
            told(&seen(running(2), 2000, 2, Some(killed))),
            "broker Some(2000) 1x: killed by signal 9 (SIGKILL)"
        );
        assert_eq!(
            told(&seen(running(2), 2000, 3, None)),
            "broker Some(2000) 2x: it ended unasked"
        );
        // `restart` begins to count anew.
        assert_eq!(
            told(&seen(running(2), 2000, 0, None)),
            "broker Some(2000) 1x: a command of osqdemo"
        );
        assert_eq!(
            told(&seen(ServiceState::Restarting { exit: killed }, 1000, 1, None)),
            "broker None 0x: killed by signal 9 (SIGKILL)"
        );
        assert_eq!(told(&Observed::nothing()), "", "`down` tells of itself");
    }
}
