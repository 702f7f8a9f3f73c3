//! Waits until a service is healthy, with a deadline and a reason: on failure it says what was asked, the last
//! answer, how long it took, how the process ended and what it wrote.

use std::future::pending;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::time::{Instant, MissedTickBehavior, interval, interval_at, sleep_until};

use crate::engine::Engine;
use crate::error::{Diagnose, Result};
use crate::events::{Event, Listener, News, Step, Warning};
use crate::exit_code::ExitCode;
use crate::health::{Hopeless, LastAnswer, Prober, Target, excerpt};
use crate::plan::{Exit, ObservedService, ServiceState};
use crate::quantity::duration;
use crate::stack::{Probe, ServiceName};

/// How often it is looked whether what a service stands on is paused.
const GROUND_PACE: Duration = Duration::from_millis(500);

/// A service that is not healthy.
#[derive(Debug, thiserror::Error)]
pub enum HealthError {
    /// It ended before it was healthy.
    #[error("{service} ended {}: {exit}", when(*after))]
    Ended {
        /// The service.
        service: ServiceName,
        /// How it ended.
        exit: Exit,
        /// How long it had been waited for; nothing when it had been healthy.
        after: Option<Duration>,
        /// The lines of its log that matter.
        log: Vec<String>,
    },
    /// Somebody paused it: it will not answer.
    #[error("{service} is paused: somebody stopped it without ending it")]
    Paused {
        /// The service.
        service: ServiceName,
    },
    /// It is not there any more.
    #[error("{service} is gone: it was stopped by somebody else")]
    Gone {
        /// The service.
        service: ServiceName,
    },
    /// It runs, and says that it will never be healthy as it is.
    #[error("{service} cannot be healthy: {answer}")]
    Hopeless {
        /// The service.
        service: ServiceName,
        /// What it answered.
        answer: String,
        /// What to do about it.
        way_out: String,
    },
    /// It runs, and is not healthy at the deadline.
    #[error("{service} was not healthy within {}", duration(*limit))]
    NotInTime {
        /// The service.
        service: ServiceName,
        /// What was asked.
        probe: Probe,
        /// The last answer.
        last_answer: String,
        /// How long it had, or all services together.
        limit: Duration,
        /// How long it was waited for.
        after: Duration,
        /// The lines of its log that matter.
        log: Vec<String>,
    },
}

impl Diagnose for HealthError {
    fn exit_code(&self) -> ExitCode {
        match self {
            Self::Ended { .. } | Self::Gone { .. } => ExitCode::Start,
            Self::Hopeless { .. } | Self::NotInTime { .. } | Self::Paused { .. } => ExitCode::NotHealthy,
        }
    }

    fn hints(&self) -> Vec<String> {
        match self {
            Self::Ended {
                service,
                exit: Exit::OutOfMemory { .. },
                ..
            } => vec![format!("give `{service}` a larger `mem_limit` in the stack file")],
            Self::Ended { service, log, .. } | Self::NotInTime { service, log, .. } => {
                hints(service, &log.join("\n"))
            }
            Self::Hopeless { way_out, .. } => vec![way_out.clone()],
            Self::Paused { .. } => vec!["`osqdemo up` lets it go on".to_owned()],
            Self::Gone { .. } => Vec::new(),
        }
    }

    fn details(&self) -> Vec<String> {
        let with_log = |mut lines: Vec<String>, service: &ServiceName, log: &[String]| {
            if log.is_empty() {
                lines.push(format!("{service} wrote nothing"));
            } else {
                lines.push(format!("what {service} wrote last:"));
                lines.extend(log.iter().map(|line| format!("  {line}")));
            }
            lines
        };
        match self {
            Self::Ended { service, log, .. } => with_log(Vec::new(), service, log),
            Self::NotInTime {
                service,
                probe,
                last_answer,
                after,
                log,
                ..
            } => {
                let answer = if last_answer.is_empty() {
                    "none"
                } else {
                    last_answer
                };
                with_log(
                    vec![
                        format!("probe: {probe}, for {}", duration(*after)),
                        format!("last answer: {answer}"),
                    ],
                    service,
                    log,
                )
            }
            Self::Gone { .. } | Self::Paused { .. } | Self::Hopeless { .. } => Vec::new(),
        }
    }
}

fn when(after: Option<Duration>) -> String {
    match after {
        Some(after) => format!("after {} before it was healthy", duration(after)),
        None => "while others waited for it".to_owned(),
    }
}

/// What to do about a service whose log says this.
fn hints(service: &ServiceName, log: &str) -> Vec<String> {
    let mut hints = Vec::new();
    match log.lines().rev().find_map(Obstacle::in_line) {
        Some(Obstacle::PortTaken) => hints.push(format!(
            "another process took its port: `--port {service}=0` picks a free one"
        )),
        Some(Obstacle::DiskFull) => {
            hints.push("free some space, or set `OSQDEMO_HOME` to a folder on another disk".to_owned());
        }
        None => {}
    }
    hints.push(format!(
        "`osqdemo logs {service}` shows all it wrote; `osqdemo up --keep` leaves it as it is for a look; \
         `osqdemo bundle` writes everything for a report"
    ));
    hints
}

/// What is told of a crash.
#[derive(Default)]
struct Crash {
    is_told: AtomicBool,
}

/// What the system refused a service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Obstacle {
    PortTaken,
    DiskFull,
}

impl Obstacle {
    /// What a line of a log ends with when the system refused something: the number of the error, as our services write
    /// it, or the exception of a service in Java. The same words in the midst of a line are somebody's prose.
    fn in_line(line: &str) -> Option<Self> {
        let line = line.trim_end();
        let ends = [
            (Self::PortTaken, "(os error 98)"),
            (Self::DiskFull, "(os error 28)"),
            (Self::PortTaken, "java.net.BindException: Address already in use"),
            (Self::DiskFull, "java.io.IOException: No space left on device"),
        ];
        ends.into_iter()
            .find_map(|(obstacle, end)| line.ends_with(end).then_some(obstacle))
    }
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
                Ok(()) => self.tell_mended(target, &crash).await,
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

    /// Tells of a crash that was mended between two looks, of a service that is healthy now.
    async fn tell_mended(&self, target: &Target, crash: &Crash) -> Result<()> {
        if let Some(before) = self.restarts_before
            && let Some(service) = self.engine.observe_service(&target.service).await?
            && service.restarts > before
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

    #[test]
    fn only_the_end_of_a_line_tells_what_the_system_refused() {
        let told = Obstacle::in_line;
        let port = Some(Obstacle::PortTaken);
        assert_eq!(
            told("error: failed to listen on `[::]:1`: Address already in use (os error 98)"),
            port
        );
        assert_eq!(
            told("Caused by: java.net.BindException: Address already in use"),
            port
        );
        assert_eq!(
            told("write: No space left on device (os error 28)\r"),
            Some(Obstacle::DiskFull)
        );
        for prose in [
            "created topic `address already in use`",
            "(os error 98) is what a stream is called",
            "java.net.BindException: Address already in use, says `no space left`",
        ] {
            assert_eq!(told(prose), None, "{prose}");
        }
    }
}
