//! Waits until a service is healthy, with a deadline and a reason: on failure it says what was asked, the last
//! answer, how long it took, how the process ended and what it wrote.

use std::future::pending;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::time::{Instant, MissedTickBehavior, interval, interval_at, sleep_until};

use crate::engine::Engine;
use crate::error::Result;
use crate::events::{Event, Listener, News, Step, Warning};
use crate::health::{HealthError, Hopeless, LastAnswer, Prober, Target, excerpt};
use crate::plan::{Exit, ObservedService, ServiceState};
use crate::stack::ServiceName;

/// How often it is looked whether what a service stands on is paused.
const GROUND_PACE: Duration = Duration::from_millis(500);

/// What is told of a crash.
#[derive(Default)]
struct Crash {
    is_told: AtomicBool,
}

/// Waits until the target is healthy.
pub struct HealthWait<'a> {
    /// Runs the service.
    pub engine: &'a dyn Engine,
    /// Asks it.
    pub prober: &'a dyn Prober,
    /// Is told the news.
    pub listener: &'a dyn Listener,
    /// When to give up.
    pub deadline: Instant,
    /// How long that was from the begin: of the service, or of all services together.
    pub limit: Duration,
    /// How often the service had been started again before this wait, where that is known: 0 of one that was just
    /// made.
    pub restarts_before: Option<u32>,
    /// The services that it stands on, and that nobody is about to start or to let go on: while one of them is paused,
    /// waiting is of no use.
    pub stands_on: &'a [ServiceName],
}

impl HealthWait<'_> {
    /// Waits. Dropping the future ends the wait.
    ///
    /// # Errors
    /// [`HealthError`] when the service ends, says that it cannot be healthy, or is not at the deadline.
    pub async fn until_healthy(&self, target: &Target) -> Result<()> {
        let began = Instant::now();
        let last = LastAnswer::default();
        let crash = Crash::default();
        tokio::select! {
            healthy = self.prober.until_healthy(target, &last) => match healthy {
                Ok(()) => self.confirm(target, &crash).await,
                Err(Hopeless { answer, way_out }) => {
                    let service = target.service.clone();
                    Err(HealthError::Hopeless { service, answer, way_out }.into())
                }
            },
            error = self.until_gone(target, &last, began, &crash) => Err(error?.into()),
            service = self.until_ground_is_paused() => Err(HealthError::Paused { service }.into()),
            () = sleep_until(self.deadline) => {
                let after = began.elapsed();
                Err(HealthError::NotInTime {
                    service: target.service.clone(),
                    probe: target.probe,
                    last_answer: last.get(),
                    limit: self.limit,
                    after,
                    log: log_of(self.engine, &target.service).await,
                }
                .into())
            }
        }
    }

    /// Looks once more at a service whose probe is content: what is paused can be so by what it said before, and a
    /// crash that was mended between two looks is told.
    async fn confirm(&self, target: &Target, crash: &Crash) -> Result<()> {
        let Some(service) = self.engine.observe_service(&target.service).await? else {
            return Ok(());
        };
        if matches!(service.state, ServiceState::Paused { .. }) {
            let service = target.service.clone();
            return Err(HealthError::Paused { service }.into());
        }
        if self
            .restarts_before
            .is_some_and(|before| service.restarts > before)
        {
            self.tell_once(crash, || Warning::Restarted {
                service: target.service.clone(),
                exit: service.last_exit,
            });
        }
        Ok(())
    }

    /// However often a service crashes while it is waited for, and however that shows, it is told once.
    fn tell_once(&self, crash: &Crash, warning: impl FnOnce() -> Warning) {
        if !crash.is_told.swap(true, Ordering::Relaxed) {
            self.listener.emit(warning());
        }
    }

    /// Returns once one of those is paused that the service stands on, with its name.
    async fn until_ground_is_paused(&self) -> ServiceName {
        if self.stands_on.is_empty() {
            return pending().await;
        }
        // What is healthy for all that has said so before the first look.
        let mut watch = interval_at(Instant::now() + GROUND_PACE, GROUND_PACE);
        watch.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            watch.tick().await;
            // Why the engine cannot say so is told by who watches the service itself.
            let Ok(observed) = self.engine.observe().await else {
                continue;
            };
            let is_paused = |name: &&ServiceName| {
                let service = observed.services.get(*name);
                service.is_some_and(|service| matches!(service.state, ServiceState::Paused { .. }))
            };
            if let Some(paused) = self.stands_on.iter().find(is_paused) {
                return paused.clone();
            }
        }
    }

    /// Watches the process of the service, and passes the probe's news on.
    async fn until_gone(
        &self,
        target: &Target,
        last: &LastAnswer,
        began: Instant,
        crash: &Crash,
    ) -> Result<HealthError> {
        let mut watch = interval(self.engine.pace());
        watch.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut news = String::new();
        let mut restarts_before = self.restarts_before;
        loop {
            watch.tick().await;
            match self.engine.observe_service(&target.service).await? {
                None => {
                    return Ok(HealthError::Gone {
                        service: target.service.clone(),
                    });
                }
                Some(service) => {
                    let before = *restarts_before.get_or_insert(service.restarts);
                    let exit = match service.state {
                        ServiceState::Exited { exit } => Some(exit),
                        ServiceState::Restarting { exit } if service.restarts > before + 1 => Some(exit),
                        // One crash is forgiven, where somebody starts the service again.
                        ServiceState::Restarting { exit } => {
                            let service = target.service.clone();
                            self.tell_once(crash, || Warning::Crashed { service, exit });
                            None
                        }
                        ServiceState::Running { .. } if service.restarts > before => {
                            let (name, exit) = (target.service.clone(), service.last_exit);
                            self.tell_once(crash, || Warning::Restarted { service: name, exit });
                            None
                        }
                        ServiceState::Paused { .. } => {
                            return Ok(HealthError::Paused {
                                service: target.service.clone(),
                            });
                        }
                        ServiceState::Running { .. } | ServiceState::Leftover { .. } => None,
                    };
                    if let Some(exit) = exit {
                        let after = began.elapsed();
                        return Ok(HealthError::Ended {
                            service: target.service.clone(),
                            exit,
                            after: Some(after),
                            log: log_of(self.engine, &target.service).await,
                        });
                    }
                }
            }
            let answer = last.get();
            if answer != news {
                news.clone_from(&answer);
                self.listener.emit(Event::StepProgress {
                    step: Step::service(&target.service),
                    news: News::Answer {
                        probe: target.probe,
                        answer,
                        elapsed: began.elapsed(),
                    },
                });
            }
        }
    }
}

/// The lines of a service's log that matter; none when there is no log, and why it cannot be read when it cannot.
pub async fn log_of(engine: &dyn Engine, service: &ServiceName) -> Vec<String> {
    match engine.log_tail(service).await {
        Ok(text) => excerpt(&text),
        Err(failure) => vec![format!("(its log cannot be read: {failure})")],
    }
}

/// How the service ended, if it did.
pub fn exit_of(service: &ObservedService) -> Option<Exit> {
    match service.state {
        ServiceState::Exited { exit } | ServiceState::Restarting { exit } => Some(exit),
        ServiceState::Running { .. } | ServiceState::Paused { .. } | ServiceState::Leftover { .. } => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::fake::FakeEngine;
    use crate::health::Probing;
    use crate::plan::ObservedService;
    use crate::stack::Probe;
    use crate::stack::project::ProjectName;
    use crate::state::ProjectFolder;

    /// Finds every service healthy, as the probe of a host does by a line that came before the pause.
    struct Content;

    impl Prober for Content {
        fn until_healthy<'a>(&'a self, _: &'a Target, _: &'a LastAnswer) -> Probing<'a> {
            Box::pin(async { Ok(()) })
        }
    }

    struct Unheard;

    impl Listener for Unheard {
        fn hear(&self, _: Event) {}
    }

    #[tokio::test]
    async fn what_is_paused_is_not_healthy_whatever_its_probe_finds() {
        let home = tempfile::tempdir().expect("a folder");
        let folder = ProjectFolder::new(home.path(), &ProjectName::default());
        let service = ServiceName::new("host2");
        let paused = ObservedService {
            state: ServiceState::Paused { pid: 1 },
            config_hash: String::new(),
            port: None,
            started_at: 0,
            restarts: 0,
            last_exit: None,
            host_config: None,
            container: None,
        };
        std::fs::create_dir_all(folder.root()).expect("a folder");
        let state = serde_json::json!({"services": {service.as_str(): paused}});
        std::fs::write(folder.root().join("fake.json"), state.to_string()).expect("a file");
        let target = Target {
            service,
            probe: Probe::Host,
            address: String::new(),
            hostname: "host2".to_owned(),
            started_at: 0,
            lines_from: std::collections::BTreeMap::new(),
        };
        let limit = Duration::from_secs(60);
        let wait = HealthWait {
            engine: &FakeEngine::new(folder),
            prober: &Content,
            listener: &Unheard,
            deadline: Instant::now() + limit,
            limit,
            restarts_before: None,
            stands_on: &[],
        };
        // Who is asked first, the probe or the engine, is by chance.
        for _ in 0..20 {
            let failure = wait.until_healthy(&target).await.expect_err("it is paused");
            assert_eq!(
                failure.to_string(),
                "host2 is paused: somebody stopped it without ending it"
            );
        }
    }
}
